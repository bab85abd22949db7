#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/landlock.h"
#include "base/log.h"
#include "signer/door.h"
#include "signer/sandbox.h"
#include "signer/turns.h"

/* Requests taken at once; the engine has as many batches in flight, so none waits in the socket. */
#define REQUESTS_MAX 8
#define THREADS_MAX 128			/* of all sources */
#define FILE_THREADS_MAX 32		/* patient ones; as many help */
#define STACK_BYTES (512 * 1024)
/* Modules are others' code, and log in their own way. */
#define TOKEN_STACK_BYTES (1024 * 1024)
/* Most tokens are there by then: nothing is held for them. */
#define TOKENS_WAIT_MS 2000
/* A request that waits for a slow token says so; the engine gives a silent signer up. */
#define STILL_AT_IT_NS 2000000000ull

struct entry {
	int32_t key;
	enum sign_answer answer;
	const uint8_t *digest;
	uint16_t size;
};

struct request {
	struct request *next;		/* list of free */
	uint64_t tag;
	uint32_t total, runs_n;
	/* From here to entries under process.lock, once it is queued. */
	uint32_t left;			/* entries to sign */
	bool queued;
	bool waits[1 + TOKENS_MAX];	/* for that source */
	struct entry entries[SIGNER_DIGESTS_MAX];
	struct run runs[SIGNER_DIGESTS_MAX];
	uint8_t signatures[SIGNER_DIGESTS_MAX][SIGNATURE_BYTES_MAX];
	uint8_t in[SIGNER_REQUEST_BYTES_MAX];
	uint8_t out[SIGNER_REPLY_BYTES_MAX + 4];
};

/* Waits for a token. */
struct joining { struct process *p; uint32_t source; };

struct process {
	struct vault *vault;
	struct door door;
	pthread_mutex_t lock;
	pthread_cond_t room, ready;
	struct request *requests, *free;
	struct turns turns;
	uint64_t said_ns[1 + TOKENS_MAX];	/* a source: STILL_AT_IT */
	uint32_t threads_n, ready_n;
	uint32_t joins_n, joining_n;	/* threads that wait for a token; those still at it */
	pthread_t joins[TOKENS_MAX];
	struct joining joinings[TOKENS_MAX];
	pthread_t threads[THREADS_MAX];
	struct vault_hand *hands[THREADS_MAX];
	_Atomic uint64_t *signed_n, *refused_n;	/* a key */
};

/* patient: behind others' threads. helps: only while much waits (base/cpu.h). */
enum manner { MANNER_PLAIN, MANNER_PATIENT, MANNER_HELPS };
struct worker { struct process *p; uint32_t source; enum manner manner; struct vault_hand *hand; };

/* ---- the threads that sign ---- */

static void answer(struct process *p, struct request *r)
{
	struct writer w;

	door_reply(&w, r->out, sizeof(r->out), r->tag, r->total);
	for (uint32_t i = 0; i < r->total; i++) {
		write_u8(&w, (uint8_t)r->entries[i].answer);
		write_u16(&w, r->entries[i].size);
		write_bytes(&w, r->signatures[i], r->entries[i].size);
	}
	door_send(&p->door, &w);
}

/* A text in the place of a signature says why there is none. */
static void refuse(struct entry *e, uint8_t *place, enum status st, const char *why)
{
	size_t n = strlen(why) < SIGNATURE_BYTES_MAX ? strlen(why) : SIGNATURE_BYTES_MAX;

	e->answer = st == ST_UNAVAILABLE || st == ST_DENIED ? ANSWER_UNAVAILABLE : ANSWER_FAILED;
	memcpy(place, why, n);
	e->size = (uint16_t)n;
}

static void sign_entry(struct process *p, struct vault_hand *hand, struct request *r, uint32_t i)
{
	struct entry *e = &r->entries[i];
	enum status st = vault_sign(hand, (uint32_t)e->key, e->digest, r->signatures[i], &e->size);

	if (st != ST_OK)
		refuse(e, r->signatures[i], st, vault_why(hand));
	atomic_fetch_add_explicit(st == ST_OK ? &p->signed_n[e->key] : &p->refused_n[e->key], 1,
				  memory_order_relaxed);
}

/* All that wait for this source, which has just signed. Called without the lock. */
static void say_still_at_it(struct process *p, uint32_t source)
{
	uint8_t buf[32];
	uint64_t tags[REQUESTS_MAX];
	uint32_t n = 0;
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	pthread_mutex_lock(&p->lock);
	if (now - p->said_ns[source] >= STILL_AT_IT_NS) {
		p->said_ns[source] = now;
		for (uint32_t i = 0; i < REQUESTS_MAX; i++)
			if (p->requests[i].queued && p->requests[i].waits[source])
				tags[n++] = p->requests[i].tag;
	}
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < n; i++) {
		struct writer w;

		door_reply(&w, buf, sizeof(buf), tags[i], 0);
		door_send(&p->door, &w);
	}
}

static void request_free(struct process *p, struct request *r)
{
	r->next = p->free;
	p->free = r;
	pthread_cond_signal(&p->room);
}

static void *sign_main(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct process *p = w.p;
	struct request *r;
	uint32_t first, n;

	free(arg);
	if (w.manner == MANNER_PATIENT)
		cpu_patient();
	pthread_mutex_lock(&p->lock);
	p->ready_n++;
	pthread_cond_signal(&p->ready);
	while ((r = turns_take(&p->turns, &p->lock, w.source, w.manner == MANNER_HELPS, &first,
			       &n)) != NULL) {
		pthread_mutex_unlock(&p->lock);
		for (uint32_t i = 0; i < n; i++)
			sign_entry(p, w.hand, r, first + i);
		if (w.source != VAULT_FILES)
			say_still_at_it(p, w.source);
		pthread_mutex_lock(&p->lock);
		r->left -= n;
		if (r->left > 0)
			continue;
		r->queued = false;
		pthread_mutex_unlock(&p->lock);
		answer(p, r);
		pthread_mutex_lock(&p->lock);
		request_free(p, r);
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

/* One group: its entries, and a run where they may be signed. ST_CORRUPT as parse(). */
static enum status parse_group(struct process *p, struct request *r, struct reader *in, int64_t now)
{
	struct slice id = read_name(in), unit = read_name(in), kind = read_name(in);
	uint8_t urgency = read_u8(in);
	uint16_t count = read_u16(in);
	struct slice digests = read_bytes(in, (size_t)count * 32);
	int32_t key = in->bad ? -1 : vault_find(p->vault, id);
	enum sign_answer a = key < 0 ? ANSWER_UNKNOWN_KEY :
		vault_judge(p->vault, (uint32_t)key, unit, kind, now);

	if (in->bad || count > SIGNER_DIGESTS_MAX - r->total)
		return ST_CORRUPT;
	if (a == ANSWER_SIGNED && count > 0) {
		r->runs[r->runs_n++] = (struct run){ NULL, r, r->total, r->total + count,
						     (uint32_t)key, urgency };
		r->left += count;
		r->waits[vault_source(p->vault, (uint32_t)key)] = true;
	} else if (key >= 0) {
		atomic_fetch_add_explicit(&p->refused_n[key], count, memory_order_relaxed);
	}
	for (uint16_t i = 0; i < count; i++)
		r->entries[r->total++] =
			(struct entry){ key, a, digests.p + 32 * (size_t)i, 0 };
	return ST_OK;
}

/* ST_CORRUPT: the engine broke the framing; nothing after it can be trusted. */
static enum status parse(struct process *p, struct request *r, struct slice message)
{
	struct reader in = reader_of(message);
	int64_t now = now_ms();
	uint16_t groups;
	enum status st = ST_OK;

	r->tag = read_u64(&in);
	groups = read_u16(&in);
	for (uint16_t g = 0; g < groups && !in.bad && st == ST_OK; g++)
		st = parse_group(p, r, &in, now);
	return st != ST_OK || in.bad || reader_left(&in) != 0 || r->total == 0 || r->tag == 0 ?
		ST_CORRUPT : ST_OK;
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
	r->total = r->runs_n = r->left = 0;
	memset(r->waits, 0, sizeof(r->waits));
	return r;
}

static void enqueue(struct process *p, struct request *r)
{
	if (r->left == 0) {
		answer(p, r);
		pthread_mutex_lock(&p->lock);
		request_free(p, r);
		pthread_mutex_unlock(&p->lock);
		return;
	}
	pthread_mutex_lock(&p->lock);
	r->queued = true;
	for (uint32_t i = 0; i < r->runs_n; i++)
		turns_join(&p->turns, &r->runs[i]);
	pthread_mutex_unlock(&p->lock);
}

static int serve(struct process *p)
{
	for (;;) {
		struct request *r = wait_room(p);
		size_t size;
		enum status st = door_receive(&p->door, r->in, sizeof(r->in), &size);

		if (st == ST_NOT_FOUND)
			return EX_OK;
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

static enum status start_thread(struct process *p, uint32_t source, enum manner manner,
				const pthread_attr_t *attr)
{
	uint32_t i = p->threads_n;
	struct worker *w = i < THREADS_MAX ? malloc(sizeof(*w)) : NULL;
	enum status st = w == NULL ? ST_NOMEM : vault_hand_new(&p->hands[i], p->vault, source);

	if (st == ST_OK) {
		*w = (struct worker){ p, source, manner, p->hands[i] };
		if (pthread_create(&p->threads[i], attr, sign_main, w) == 0) {
			p->threads_n++;
			return ST_OK;
		}
		vault_hand_free(p->hands[i]);
		st = ST_NOMEM;
	}
	free(w);
	return st;
}

static enum status start_threads(struct process *p, uint32_t wanted, struct error *e)
{
	pthread_attr_t attr;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	enum status st = ST_OK;

	if (wanted == 0)
		wanted = cores > 0 ? (uint32_t)cores : 1;
	if (pthread_attr_init(&attr) != 0)
		return error_set(e, ST_NOMEM, "the signer cannot start its threads");
	for (uint32_t source = 0; st == ST_OK && source < vault_sources(p->vault); source++) {
		uint32_t n = source == VAULT_FILES ? wanted :
			vault_source_threads(p->vault, source);

		if (n > FILE_THREADS_MAX)
			n = FILE_THREADS_MAX;
		pthread_attr_setstacksize(&attr, source == VAULT_FILES ? STACK_BYTES :
					  TOKEN_STACK_BYTES);
		for (uint32_t i = 0; st == ST_OK && i < n; i++)
			st = start_thread(p, source, source == VAULT_FILES ? MANNER_PATIENT :
					  MANNER_PLAIN, &attr);
		for (uint32_t i = 0; st == ST_OK && i < n && source == VAULT_FILES; i++)
			st = start_thread(p, source, MANNER_HELPS, &attr);
	}
	pthread_attr_destroy(&attr);
	cpu_unhurried();
	/* Behind the system call filter no thread can make itself patient. */
	pthread_mutex_lock(&p->lock);
	while (p->ready_n < p->threads_n)
		pthread_cond_wait(&p->ready, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return st == ST_OK ? ST_OK : error_set(e, st, "the signer cannot start its threads");
}

static void *join_main(void *arg)
{
	struct joining *j = arg;
	struct process *p = j->p;

	vault_connect_late(p->vault, j->source);
	pthread_mutex_lock(&p->lock);
	p->joining_n--;
	pthread_cond_signal(&p->ready);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Each by itself: one that does not answer keeps neither another nor the keys in files. */
static enum status join_tokens(struct process *p, struct error *e)
{
	struct timespec until;
	pthread_attr_t attr;
	int failed = pthread_attr_init(&attr);

	if (failed == 0)
		pthread_attr_setstacksize(&attr, TOKEN_STACK_BYTES);
	for (uint32_t s = 1; failed == 0 && s < vault_sources(p->vault); s++) {
		struct joining *j = &p->joinings[p->joins_n];

		*j = (struct joining){ p, s };
		vault_expect(p->vault, s);
		pthread_mutex_lock(&p->lock);
		p->joining_n++;
		pthread_mutex_unlock(&p->lock);
		failed = pthread_create(&p->joins[p->joins_n], &attr, join_main, j);
		p->joins_n += failed == 0;
	}
	pthread_attr_destroy(&attr);
	if (failed != 0)
		return error_set(e, ST_NOMEM, "the signer cannot start its threads");
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TOKENS_WAIT_MS / 1000;
	pthread_mutex_lock(&p->lock);
	while (p->joining_n > 0 && pthread_cond_clockwait(&p->ready, &p->lock, CLOCK_MONOTONIC,
							  &until) == 0)
		;
	if (p->joining_n > 0)
		log_error("signer", "%u tokens do not answer; their keys cannot sign until they do",
			  p->joining_n);
	pthread_mutex_unlock(&p->lock);
	return ST_OK;
}

static enum status make_room(struct process *p, struct error *e)
{
	uint32_t keys = vault_keys(p->vault);

	p->requests = calloc(REQUESTS_MAX, sizeof(*p->requests));
	p->signed_n = calloc(keys, sizeof(*p->signed_n));
	p->refused_n = calloc(keys, sizeof(*p->refused_n));
	if (p->requests == NULL || p->signed_n == NULL || p->refused_n == NULL ||
	    turns_init(&p->turns, p->vault) != ST_OK)
		return error_set(e, ST_NOMEM, "the signer has no memory");
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		p->requests[i].next = p->free;
		p->free = &p->requests[i];
	}
	return ST_OK;
}

/* Nothing, but for what the modules of tokens need: keys.json says it. */
static enum status shut_files(const struct process *p, struct sandbox_needs *needs, struct error *e)
{
	/* Names and addresses are looked up in files. */
	static const char *const of_network[] = { "/etc" };
	const char *rw[TOKENS_MAX * TOKEN_PATHS_MAX];
	struct landlock_paths paths = { .rw = rw, .ro = of_network };

	*needs = (struct sandbox_needs){ 0 };
	for (uint32_t s = 1; s < vault_sources(p->vault); s++) {
		const struct token_policy *t = vault_token(p->vault, s);

		needs->files = true;
		needs->network |= t->network;
		for (uint32_t i = 0; i < t->paths_n; i++)
			rw[paths.rw_n++] = t->paths[i];
	}
	paths.ro_n = needs->network ? ARRAY_LEN(of_network) : 0;
	return landlock_exclude_others(&paths, e);
}

static enum status prepare(struct process *p, const struct signer_config *cfg, struct error *e)
{
	struct sandbox_needs needs;
	enum status st = sandbox_prepare(e);

	if (st == ST_OK)
		st = vault_open(&p->vault, cfg, e);
	if (st == ST_OK)
		st = make_room(p, e);
	if (st != ST_OK)
		return st;
	/*
	 * Before modules run, so that their threads are shut in too. Where the kernel has no
	 * landlock the filter below still forbids every open, unless there are tokens.
	 */
	st = shut_files(p, &needs, e);
	if (st == ST_OK || st == ST_UNSUPPORTED)
		st = cfg->later ? ST_OK : vault_connect(p->vault, e);
	if (st == ST_OK)
		st = start_threads(p, cfg->threads, e);
	if (st == ST_OK && cfg->later)
		st = join_tokens(p, e);
	return st == ST_OK ? sandbox_enter(&needs, e) : st;
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
	turns_close(&p->turns);
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < p->joins_n; i++)
		pthread_join(p->joins[i], NULL);
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
	turns_free(&p->turns);
	door_free(&p->door);
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
	door_init(&p->door, cfg->socket);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->room, NULL);
	pthread_cond_init(&p->ready, NULL);
	if (prepare(p, cfg, &e) == ST_OK) {
		log_info("signer", "keys=%u threads=%u ready", vault_keys(p->vault), p->threads_n);
		door_say(&p->door, ANSWER_SIGNED, "ready");
		code = serve(p);
	} else {
		log_error("signer", "%s", e.text);
		door_say(&p->door, ANSWER_FAILED, e.text);
		code = EX_CONFIG;
	}
	finish(p);
	return code;
}
