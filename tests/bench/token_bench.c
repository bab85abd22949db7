/*
 * token_bench [--json FILE] [--module PATH] [--least RATIO] - the signer process on a PKCS#11 token
 * (SoftHSM) against the bare token: the same calls, C_SignInit and C_Sign, in a loop, at the number
 * of threads that suits it best. Ours with the default of sessions, and with more than it likes.
 * With --least it fails where ours is less than so much of the bare token's. Exit 77: the module is
 * not installed.
 *
 * Every module runs in a child of its own: SoftHSM does not survive a fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "signer/devca.h"
#include "signer/p11.h"
#include "signer/signer.h"
#include "tmpdir.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define PIN "123456"
#define LABEL "bench"
#define KEY "u.seal"
#define ROUNDS 9
#define MEASURE_MS 500
#define IN_FLIGHT 6
#define DIGESTS 128
#define MANY_SESSIONS 16

static const uint32_t bare_threads[] = { 1, 2, 4, 8 };

struct bench {
	const char *module;
	enum algorithm algorithm;
	struct tmpdir dir;
	char pin_file[320], tokens[320], conf[320], certs[320], keys[320];
	struct result { double rate, cpu_us; } *result;	/* a child's, shared */
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "token_bench: %s\n", what);
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) != 0)
		die(path);
}

static double cpu_us(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* body in a child; its result by b->result. */
static struct result in_child(struct bench *b, void (*body)(struct bench *b, uint32_t n),
			      uint32_t n)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		body(b, n);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die("a child failed");
	return *b->result;
}

static void init_token(CK_FUNCTION_LIST *f)
{
	unsigned char label[32];
	CK_SLOT_ID slots[8];
	CK_ULONG n = ARRAY_LEN(slots);
	CK_SESSION_HANDLE s;

	memset(label, ' ', sizeof(label));
	memcpy(label, LABEL, strlen(LABEL));
	if (p11_initialize(f) != CKR_OK || f->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK ||
	    n == 0 || f->C_InitToken(slots[0], (CK_UTF8CHAR *)PIN, strlen(PIN), label) != CKR_OK ||
	    f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s) !=
		    CKR_OK ||
	    f->C_Login(s, CKU_SO, (CK_UTF8CHAR *)PIN, strlen(PIN)) != CKR_OK ||
	    f->C_InitPIN(s, (CK_UTF8CHAR *)PIN, strlen(PIN)) != CKR_OK)
		die("the token cannot be made");
	f->C_Finalize(NULL);
}

/* A fresh token and a data folder whose only key is in it; n: "sessions", 0 = the default. */
static void make_keys(struct bench *b, uint32_t n)
{
	const char *paths[] = { b->dir.path };
	struct token_policy token = { .name = "hsm", .module = b->module, .label = LABEL,
		.slot = -1, .pin_file = b->pin_file, .sessions = n, .paths_n = 1,
		.paths = { paths[0] } };
	struct devca_config cfg = { .data = b->dir.path, .algorithm = ALG_P256, .crl_days = 30,
		.now_ms = (int64_t)time(NULL) * 1000, .token = &token };
	struct devca_key key = { .id = KEY, .unit = "u", .name = "u", .algorithm = b->algorithm,
		.valid_from_days = -1, .valid_to_days = 30, .in_token = true };
	struct devca *ca;
	struct error e = { 0 };
	CK_FUNCTION_LIST *f;
	void *library;

	if (p11_load(&library, &f, b->module, &e) != ST_OK)
		die(e.text);
	init_token(f);
	if (devca_new(&ca, &cfg, &e) != ST_OK || devca_add(ca, &key, &e) != ST_OK ||
	    devca_publish(ca, &e) != ST_OK)
		die(e.text);
	devca_free(ca);
}

/* ---- the bare token ---- */

struct hand {
	pthread_t thread;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	enum algorithm algorithm;
	CK_OBJECT_HANDLE key;
	const atomic_bool *stop;
	uint64_t signatures;
};

static void *sign_main(void *arg)
{
	struct hand *h = arg;
	uint8_t digest[32] = { 1 }, out[SIGNATURE_BYTES_MAX];
	CK_SESSION_HANDLE s;
	uint16_t size;

	if (h->f->C_OpenSession(h->slot, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK)
		die("a session");
	while (!atomic_load_explicit(h->stop, memory_order_relaxed)) {
		if (p11_sign(h->f, s, h->key, h->algorithm, digest, out, &size) != CKR_OK)
			die("the bare token does not sign");
		memcpy(digest, out + 8, 8);
		h->signatures++;
	}
	return NULL;
}

static void bare(struct bench *b, uint32_t threads)
{
	struct hand hands[16];
	double cpu = 0;
	struct hand first = { .algorithm = b->algorithm };
	struct key_policy like = { .label = KEY };
	struct pin pin;
	struct error e = { 0 };
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE s;
	atomic_bool stop = false;
	uint64_t all = 0;
	void *library;
	double begin;

	if (pin_read(&pin, b->pin_file, &e) != ST_OK ||
	    p11_load(&library, &first.f, b->module, &e) != ST_OK)
		die(e.text);
	if (p11_initialize(first.f) != CKR_OK ||
	    p11_find_token(first.f, LABEL, -1, &first.slot, &info) != CKR_OK ||
	    first.f->C_OpenSession(first.slot, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK ||
	    p11_login(first.f, s, &info, &pin) != CKR_OK ||
	    p11_find_key(first.f, s, &like, &first.key) != CKR_OK)
		die("the bare token");
	first.stop = &stop;
	cpu = cpu_us(RUSAGE_SELF);
	begin = now_s();
	for (uint32_t i = 0; i < threads; i++) {
		hands[i] = first;
		if (pthread_create(&hands[i].thread, NULL, sign_main, &hands[i]) != 0)
			die("a thread");
	}
	nanosleep(&(struct timespec){ MEASURE_MS / 1000, MEASURE_MS % 1000 * 1000000 }, NULL);
	atomic_store(&stop, true);
	for (uint32_t i = 0; i < threads; i++) {
		pthread_join(hands[i].thread, NULL);
		all += hands[i].signatures;
	}
	b->result->rate = (double)all / (now_s() - begin);
	b->result->cpu_us = (cpu_us(RUSAGE_SELF) - cpu) / (double)all;
}

/* ---- the signer ---- */

static void get(int fd, void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = recv(fd, (uint8_t *)buf + done, n - done, 0);

		if (got <= 0)
			die("the signer is gone");
		done += (size_t)got;
	}
}

/* Signatures of the next answer; what only says that it is still at it has none. */
static uint32_t answer(int fd)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	struct signer_reply r;
	enum sign_answer a;
	struct slice s;
	uint32_t n;

	get(fd, &n, 4);
	if (n > sizeof(buf))
		die("an answer is too large");
	get(fd, buf, n);
	if (signer_reply_open(&r, slice_of(buf, n)) != ST_OK)
		die("an answer is malformed");
	for (uint16_t i = 0; i < r.total; i++)
		if (signer_reply_next(&r, &a, &s) != ST_OK || a != ANSWER_SIGNED)
			die("the signer does not sign");
	return r.total;
}

static void ask(int fd)
{
	static uint8_t digests[DIGESTS][32], buf[SIGNER_REQUEST_BYTES_MAX];
	struct sign_group g = { slice_str(KEY), slice_str("u"), slice_str("k"), DIGESTS,
				(const uint8_t (*)[32])digests, 1 };
	struct writer w = writer_of(buf, sizeof(buf));

	if (signer_encode(&w, 1, &g, 1) != ST_OK ||
	    send(fd, buf, writer_size(&w), MSG_NOSIGNAL) != (ssize_t)writer_size(&w))
		die("a request");
}

static void ours(struct bench *b, uint32_t unused)
{
	struct signer_config cfg = { .keys_dir = b->keys, .certs_dir = b->certs, .threads = 2 };
	int pair[2], status;
	uint32_t asked = 0, signatures = 0;
	pid_t pid;
	double begin, end;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		die("socketpair");
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		cfg.socket = pair[1];
		_exit(signer_run(&cfg));
	}
	close(pair[1]);
	answer(pair[0]);		/* ready */
	begin = now_s();
	end = begin + MEASURE_MS / 1000.0;
	while (asked > 0 || now_s() < end) {
		while (asked < IN_FLIGHT && now_s() < end) {
			ask(pair[0]);
			asked++;
		}
		uint32_t n = answer(pair[0]);

		signatures += n;
		asked -= n > 0;
	}
	b->result->rate = signatures / (now_s() - begin);
	close(pair[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("the signer failed");
	/* Its start and end are in it. */
	b->result->cpu_us = cpu_us(RUSAGE_CHILDREN) / signatures;
}

/* ---- all of it ---- */

static void bench_open(struct bench *b, enum algorithm a, uint32_t sessions)
{
	char text[512];

	b->algorithm = a;
	if (tmpdir_make(&b->dir) != 0)
		die("a folder");
	snprintf(b->pin_file, sizeof(b->pin_file), "%s/pin", b->dir.path);
	snprintf(b->tokens, sizeof(b->tokens), "%s/tokens", b->dir.path);
	snprintf(b->conf, sizeof(b->conf), "%s/softhsm2.conf", b->dir.path);
	snprintf(b->certs, sizeof(b->certs), "%s/certs", b->dir.path);
	snprintf(b->keys, sizeof(b->keys), "%s/keys", b->dir.path);
	if (mkdir(b->tokens, 0700) != 0)
		die(b->tokens);
	snprintf(text, sizeof(text), "directories.tokendir = %s\nobjectstore.backend = file\n",
		 b->tokens);
	write_file(b->conf, text);
	write_file(b->pin_file, PIN "\n");
	setenv("SOFTHSM2_CONF", b->conf, 1);
	in_child(b, make_keys, sessions);
}

static int by_value(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* How many threads the bare token likes best. */
static uint32_t suits(struct bench *b)
{
	uint32_t likes = 0;
	double best = 0;

	for (size_t t = 0; t < ARRAY_LEN(bare_threads); t++) {
		double rate = in_child(b, bare, bare_threads[t]).rate;

		if (rate > best) {
			best = rate;
			likes = bare_threads[t];
		}
	}
	return likes;
}

/* The median of ours ÷ the bare token's; each pair in a row, as the machine is never the same. */
static double ratio(struct bench *b, enum algorithm a, uint32_t sessions)
{
	double ratios[ROUNDS], rates[ROUNDS], bests[ROUNDS], cpu[ROUNDS], r;
	uint32_t likes;

	bench_open(b, a, sessions);
	likes = suits(b);
	for (int i = 0; i < ROUNDS; i++) {
		struct result best = in_child(b, bare, likes), mine = in_child(b, ours, 0);

		bests[i] = best.rate;
		rates[i] = mine.rate;
		ratios[i] = mine.rate / best.rate;
		cpu[i] = best.cpu_us / mine.cpu_us;
	}
	r = median(ratios, ROUNDS);
	printf("%-8s sessions %2u: bare %.0f/s with %u threads, ours %.0f/s: %.3f (by CPU "
	       "time %.3f)\n",
	       algorithm_info(a)->name, sessions != 0 ? sessions : TOKEN_SESSIONS,
	       median(bests, ROUNDS), likes, median(rates, ROUNDS), r, median(cpu, ROUNDS));
	tmpdir_remove(&b->dir);
	return r;
}

int main(int argc, char **argv)
{
	static const enum algorithm algorithms[] = { ALG_RSA2048, ALG_P256 };
	struct bench b = { .module = MODULE };
	const char *json = NULL;
	FILE *out = NULL;
	double least = 0;
	bool kept = true;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--json") == 0)
			json = argv[i + 1];
		if (strcmp(argv[i], "--module") == 0)
			b.module = argv[i + 1];
		if (strcmp(argv[i], "--least") == 0)
			least = strtod(argv[i + 1], NULL);
	}
	if (access(b.module, R_OK) != 0) {
		fprintf(stderr, "token_bench: %s: %s\n", b.module, strerror(errno));
		return 77;
	}
	b.result = mmap(NULL, sizeof(*b.result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (b.result == MAP_FAILED || (json != NULL && (out = fopen(json, "w")) == NULL))
		die("no room for the result");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		const char *name = algorithm_info(algorithms[i])->name;
		double usual = ratio(&b, algorithms[i], 0);
		double many = ratio(&b, algorithms[i], MANY_SESSIONS);

		kept = kept && usual >= least && many >= least;
		if (out != NULL)
			fprintf(out, "%s  \"token.%s.ratio\": %.4f,\n"
				"  \"token.%s.many_sessions_ratio\": %.4f", i == 0 ? "{\n" : ",\n",
				name, usual, name, many);
	}
	if (out != NULL) {
		fputs("\n}\n", out);
		fclose(out);
	}
	if (!kept)
		fprintf(stderr, "token_bench: less than %.2f of the bare token\n", least);
	return kept ? 0 : 1;
}
