#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/landlock.h"
#include "base/log.h"
#include "signer/sandbox.h"
#include "signer/signer.h"
#include "signer/vault.h"

/* Requests taken at once; the engine has as many batches in flight, so none waits in the socket. */
#define REQUESTS_MAX 8
/*
 * What a thread takes at once: short enough that the last request of a row is shared by all cores.
 */
#define CHUNK 4
#define THREADS_MAX 64
#define STACK_BYTES (512 * 1024)

struct entry {
	int32_t key;
	enum sign_answer answer;
	const uint8_t *digest;
	uint16_t size;
};

struct request {
	struct request *next;		/* list of free, or queue of unfinished ones */
	uint64_t tag;
	uint32_t total, taken, left;	/* under process.lock */
	struct entry entries[SIGNER_DIGESTS_MAX];
	uint8_t signatures[SIGNER_DIGESTS_MAX][SIGNATURE_BYTES_MAX];
	uint8_t in[SIGNER_REQUEST_BYTES_MAX];
	uint8_t out[SIGNER_REPLY_BYTES_MAX + 4];
};

struct process {
	struct vault *vault;
	int socket;
	pthread_mutex_t lock, sending;
	pthread_cond_t work, room;
	struct request *requests, *free, *first, *last;
	bool closing;
	uint32_t threads_n;
	pthread_t threads[THREADS_MAX];
	struct vault_hand *hands[THREADS_MAX];
	_Atomic uint64_t *signed_n, *refused_n;	/* a key */
};

struct worker { struct process *p; struct vault_hand *hand; };

/* ---- the socket ---- */

/* The other end may have made the pair non-blocking: the flag is the description's. */
static bool wait_for(int fd, short what)
{
	struct pollfd f = { .fd = fd, .events = what };
	int rc;

	do
		rc = poll(&f, 1, -1);
	while (rc < 0 && errno == EINTR);
	return rc > 0;
}

/* ST_NOT_FOUND: the other end closed between messages. */
static enum status receive(int fd, void *buf, size_t n, bool at_start)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = recv(fd, (uint8_t *)buf + done, n - done, 0);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			return done == 0 && at_start ? ST_NOT_FOUND : ST_CORRUPT;
		else if (errno != EINTR && !(errno == EAGAIN && wait_for(fd, POLLIN)))
			return errno == ECONNRESET && at_start ? ST_NOT_FOUND : ST_IO;
	}
	return ST_OK;
}

static void transmit(struct process *p, const void *buf, size_t n)
{
	size_t done = 0;

	pthread_mutex_lock(&p->sending);
	while (done < n) {
		ssize_t put = send(p->socket, (const uint8_t *)buf + done, n - done, MSG_NOSIGNAL);

		if (put > 0)
			done += (size_t)put;
		else if (errno != EINTR && !(errno == EAGAIN && wait_for(p->socket, POLLOUT)))
			break;		/* the engine is gone; the reader sees it too */
	}
	pthread_mutex_unlock(&p->sending);
}

static void reply_begin(struct writer *w, void *buf, size_t n, uint64_t tag, uint32_t total)
{
	*w = writer_of(buf, n);
	write_u32(w, 0);
	write_u64(w, tag);
	write_u16(w, (uint16_t)total);
}

static void reply_send(struct process *p, struct writer *w)
{
	struct writer length = writer_of(w->start, 4);

	write_u32(&length, (uint32_t)(writer_size(w) - 4));
	transmit(p, w->start, writer_size(w));
}

static void say(struct process *p, enum sign_answer answer, const char *text)
{
	uint8_t buf[SIGNATURE_BYTES_MAX + 32];
	struct writer w;
	size_t n = strlen(text) < SIGNATURE_BYTES_MAX ? strlen(text) : SIGNATURE_BYTES_MAX;

	reply_begin(&w, buf, sizeof(buf), 0, 1);
	write_u8(&w, (uint8_t)answer);
	write_u16(&w, (uint16_t)n);
	write_bytes(&w, text, n);
	reply_send(p, &w);
}

/* ---- the threads that sign ---- */

static void answer(struct process *p, struct request *r)
{
	struct writer w;

	reply_begin(&w, r->out, sizeof(r->out), r->tag, r->total);
	for (uint32_t i = 0; i < r->total; i++) {
		write_u8(&w, (uint8_t)r->entries[i].answer);
		write_u16(&w, r->entries[i].size);
		write_bytes(&w, r->signatures[i], r->entries[i].size);
	}
	reply_send(p, &w);
}

static void sign_entry(struct process *p, struct vault_hand *hand, struct request *r, uint32_t i)
{
	struct entry *e = &r->entries[i];

	e->size = 0;
	if (e->answer == ANSWER_SIGNED &&
	    vault_sign(hand, (uint32_t)e->key, e->digest, r->signatures[i], &e->size) != ST_OK)
		e->answer = ANSWER_FAILED;
	if (e->key >= 0)
		atomic_fetch_add_explicit(e->answer == ANSWER_SIGNED ? &p->signed_n[e->key] :
					  &p->refused_n[e->key], 1, memory_order_relaxed);
}

/* The next entries of the oldest request; NULL when closing. Called and left with the lock held. */
static struct request *take(struct process *p, uint32_t *first, uint32_t *n)
{
	struct request *r;

	while (p->first == NULL && !p->closing)
		pthread_cond_wait(&p->work, &p->lock);
	r = p->first;
	if (r == NULL)
		return NULL;
	*first = r->taken;
	*n = r->total - r->taken < CHUNK ? r->total - r->taken : CHUNK;
	r->taken += *n;
	if (r->taken == r->total) {
		p->first = r->next;
		if (p->first == NULL)
			p->last = NULL;
	}
	return r;
}

static void *sign_main(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct process *p = w.p;
	struct request *r;
	uint32_t first, n;

	free(arg);
	pthread_mutex_lock(&p->lock);
	while ((r = take(p, &first, &n)) != NULL) {
		pthread_mutex_unlock(&p->lock);
		for (uint32_t i = 0; i < n; i++) {
			sign_entry(p, w.hand, r, first + i);
			/* The kernel's own threads, which end the journal's writes, go first. */
			sched_yield();
		}
		pthread_mutex_lock(&p->lock);
		r->left -= n;
		if (r->left > 0)
			continue;
		pthread_mutex_unlock(&p->lock);
		answer(p, r);
		pthread_mutex_lock(&p->lock);
		r->next = p->free;
		p->free = r;
		pthread_cond_signal(&p->room);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- requests ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct slice read_name(struct reader *in)
{
	return read_bytes(in, read_u8(in));
}

/* ST_CORRUPT: the engine broke the framing; nothing after it can be trusted. */
static enum status parse(struct process *p, struct request *r, struct slice message)
{
	struct reader in = reader_of(message);
	int64_t now = now_ms();
	uint16_t groups;

	r->tag = read_u64(&in);
	groups = read_u16(&in);
	r->total = r->taken = 0;
	for (uint16_t g = 0; g < groups && !in.bad; g++) {
		struct slice id = read_name(&in), unit = read_name(&in), kind = read_name(&in);
		uint16_t count = read_u16(&in);
		struct slice digests = read_bytes(&in, (size_t)count * 32);
		int32_t key = in.bad ? -1 : vault_find(p->vault, id);
		enum sign_answer a = key < 0 ? ANSWER_UNKNOWN_KEY :
			vault_judge(p->vault, (uint32_t)key, unit, kind, now);

		if (in.bad || count > SIGNER_DIGESTS_MAX - r->total)
			return ST_CORRUPT;
		for (uint16_t i = 0; i < count; i++)
			r->entries[r->total++] =
				(struct entry){ key, a, digests.p + 32 * (size_t)i, 0 };
	}
	r->left = r->total;
	return in.bad || reader_left(&in) != 0 || r->total == 0 || r->tag == 0 ? ST_CORRUPT : ST_OK;
}

static struct request *wait_room(struct process *p)
{
	struct request *r;

	pthread_mutex_lock(&p->lock);
	while (p->free == NULL)
		pthread_cond_wait(&p->room, &p->lock);
	r = p->free;
	p->free = r->next;
	pthread_mutex_unlock(&p->lock);
	r->next = NULL;
	return r;
}

static void enqueue(struct process *p, struct request *r)
{
	pthread_mutex_lock(&p->lock);
	if (p->last != NULL)
		p->last->next = r;
	else
		p->first = r;
	p->last = r;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

static int serve(struct process *p)
{
	for (;;) {
		struct request *r = wait_room(p);
		uint8_t head[4];
		struct reader length;
		uint32_t size;
		enum status st = receive(p->socket, head, sizeof(head), true);

		if (st == ST_NOT_FOUND)
			return EX_OK;
		length = reader_of(slice_of(head, sizeof(head)));
		size = read_u32(&length);
		if (st == ST_OK && size > sizeof(r->in))
			st = ST_CORRUPT;
		if (st == ST_OK)
			st = receive(p->socket, r->in, size, false);
		if (st == ST_OK)
			st = parse(p, r, slice_of(r->in, size));
		if (st != ST_OK) {
			log_error("signer", "the engine's request is malformed (%s); stopping",
				  status_name(st));
			return EX_PROTOCOL;
		}
		enqueue(p, r);
	}
}

/* ---- start and end ---- */

static enum status start_threads(struct process *p, uint32_t wanted, struct error *e)
{
	pthread_attr_t attr;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t n = wanted != 0 ? wanted : cores > 0 ? (uint32_t)cores : 1;
	enum status st = ST_OK;

	if (n > THREADS_MAX)
		n = THREADS_MAX;
	if (pthread_attr_init(&attr) != 0)
		return error_set(e, ST_NOMEM, "the signer cannot start its threads");
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (st == ST_OK && p->threads_n < n) {
		struct worker *w = malloc(sizeof(*w));

		st = w == NULL ? ST_NOMEM : vault_hand_new(&p->hands[p->threads_n], p->vault);
		if (st == ST_OK) {
			*w = (struct worker){ p, p->hands[p->threads_n] };
			if (pthread_create(&p->threads[p->threads_n], &attr, sign_main, w) != 0)
				st = ST_NOMEM;
		}
		if (st == ST_OK) {
			p->threads_n++;
			continue;
		}
		free(w);
		vault_hand_free(p->hands[p->threads_n]);
		error_set(e, st, "the signer cannot start its threads");
	}
	pthread_attr_destroy(&attr);
	return st;
}

static enum status prepare(struct process *p, const struct signer_config *cfg, struct error *e)
{
	struct landlock_paths nothing = { 0 };
	enum status st = sandbox_prepare(e);

	cpu_patient();
	if (st == ST_OK)
		st = vault_open(&p->vault, cfg, e);
	if (st != ST_OK)
		return st;
	p->requests = calloc(REQUESTS_MAX, sizeof(*p->requests));
	p->signed_n = calloc(vault_keys(p->vault), sizeof(*p->signed_n));
	p->refused_n = calloc(vault_keys(p->vault), sizeof(*p->refused_n));
	if (p->requests == NULL || p->signed_n == NULL || p->refused_n == NULL)
		return error_set(e, ST_NOMEM, "the signer has no memory");
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		p->requests[i].next = p->free;
		p->free = &p->requests[i];
	}
	/* Where the kernel has no landlock the filter below still forbids every open. */
	st = landlock_exclude_others(&nothing, e);
	if (st == ST_OK || st == ST_UNSUPPORTED)
		st = start_threads(p, cfg->threads, e);
	return st == ST_OK ? sandbox_enter(e) : st;
}

static void report(const struct process *p)
{
	for (uint32_t i = 0; i < vault_keys(p->vault); i++) {
		uint64_t done = atomic_load(&p->signed_n[i]);
		uint64_t refused = atomic_load(&p->refused_n[i]);

		if (done > 0 || refused > 0)
			log_info("signer", "key=%s signatures=%llu refused=%llu",
				 vault_policy(p->vault, i)->id, (unsigned long long)done,
				 (unsigned long long)refused);
	}
}

static void finish(struct process *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < p->threads_n; i++) {
		pthread_join(p->threads[i], NULL);
		vault_hand_free(p->hands[i]);
	}
	if (p->signed_n != NULL && p->refused_n != NULL)
		report(p);
	vault_close(p->vault);
	free(p->requests);
	free(p->signed_n);
	free(p->refused_n);
	free(p);
}

int signer_run(const struct signer_config *cfg)
{
	struct process *p = calloc(1, sizeof(*p));
	struct error e = { 0 };
	int code;

	/* A terminal's ^C or a stopped service reaches us too, while the engine still drains. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if (p == NULL)
		return EX_OSERR;
	p->socket = cfg->socket;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->sending, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->room, NULL);
	if (prepare(p, cfg, &e) == ST_OK) {
		log_info("signer", "keys=%u threads=%u ready", vault_keys(p->vault), p->threads_n);
		say(p, ANSWER_SIGNED, "ready");
		code = serve(p);
	} else {
		log_error("signer", "%s", e.text);
		say(p, ANSWER_FAILED, e.text);
		code = EX_CONFIG;
	}
	finish(p);
	return code;
}
