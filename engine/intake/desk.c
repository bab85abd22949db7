#include "intake/desk.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "intake/deskwork.h"

#define SWEEP_MS 1000

struct desk {
	struct intake *in;
	pthread_mutex_t lock;		/* all below but the thread's own */
	pthread_cond_t wake;
	struct sessions *table;
	struct confirmation *first, *last;
	bool quiet;
	uint8_t *file;			/* SESSION_FILE_BYTES_MAX */
	pthread_t thread;
	bool started;
	/* the thread's */
	void *reader;
	int64_t again_ms;		/* not before: going on with what was broken off */
	uint64_t tries;
};

/* ---- kept sessions ---- */

enum status desk_keep(struct desk *d, struct session *s)
{
	struct writer w = writer_of(d->file, SESSION_FILE_BYTES_MAX);
	struct error e = { 0 };
	enum status st = session_encode(s, &w);

	if (st == ST_OK)
		st = d->in->ops.session_keep(d->in->ops.ctx, s->id, writer_slice(&w), &e);
	if (st != ST_OK && !s->unkept)
		log_error("sessions", "a session cannot be kept: %s",
			  e.text[0] != '\0' ? e.text : status_name(st));
	s->unkept = st != ST_OK;
	return st;
}

enum status desk_kept(struct desk *d, struct session *s)
{
	return s->unkept ? desk_keep(d, s) : ST_OK;
}

static void forget_file(void *owner, const uint8_t id[16])
{
	struct desk *d = owner;
	struct error e = { 0 };

	if (d->in->ops.session_forget(d->in->ops.ctx, id, &e) != ST_OK)
		log_warn("sessions", "%s", e.text);
}

static void load(void *owner, struct slice bytes)
{
	struct desk *d = owner;
	struct session *s;
	enum status st = session_decode(&s, bytes);

	if (st == ST_OK)
		st = sessions_add(d->table, s, forget_file, d);
	else
		s = NULL;
	if (st != ST_OK) {
		log_error("sessions", "a session that was kept is left out: %s", status_name(st));
		session_free(s);
	}
}

struct session *desk_lock(struct desk *d, const uint8_t id[16], const char *principal)
{
	struct session *s;

	pthread_mutex_lock(&d->lock);
	s = sessions_find(d->table, id);
	if (s == NULL || strcmp(s->principal, principal) != 0) {
		pthread_mutex_unlock(&d->lock);
		return NULL;
	}
	/* Derived from its time: what the file says of it may be older. */
	session_expire(s, d->in->ops.now_ms(d->in->ops.ctx));
	return s;
}

void desk_unlock(struct desk *d)
{
	pthread_mutex_unlock(&d->lock);
}

enum status desk_add(struct desk *d, struct session *s, uint8_t id[16])
{
	enum status st;

	pthread_mutex_lock(&d->lock);
	do {
		if (!sessions_share_left(d->table, s))
			st = ST_AGAIN;
		else if (getrandom(s->id, sizeof(s->id), 0) != (ssize_t)sizeof(s->id))
			st = ST_INTERNAL;
		else
			st = session_seal(s);
		if (st == ST_OK)
			st = sessions_add(d->table, s, forget_file, d);
	} while (st == ST_EXISTS);
	memcpy(id, s->id, sizeof(s->id));
	if (st == ST_OK) {
		st = desk_keep(d, s);
		if (st != ST_OK)
			sessions_release(d->table, s);
	}
	pthread_mutex_unlock(&d->lock);
	return st;
}

enum status desk_follow(struct desk *d, const uint8_t id[16], const struct followed *f, uint32_t n)
{
	enum status st = ST_OK;
	struct session *s;
	bool news = false;

	pthread_mutex_lock(&d->lock);
	s = sessions_find(d->table, id);
	for (uint32_t i = 0; s != NULL && i < n; i++) {
		uint32_t k = session_index(s, f[i].result_id);

		if (k < s->items_n)
			news |= session_follow(s, k, f[i].state, f[i].reason, f[i].number_text,
					       f[i].at_ms);
	}
	if (s == NULL)
		st = ST_NOT_FOUND;
	else
		st = news ? desk_keep(d, s) : desk_kept(d, s);
	pthread_mutex_unlock(&d->lock);
	return st;
}

/* ---- the thread ---- */

void desk_confirm(struct desk *d, struct confirmation *c)
{
	bool quiet;

	c->next = NULL;
	pthread_mutex_lock(&d->lock);
	quiet = d->quiet;
	if (!quiet) {
		*(d->first != NULL ? &d->last->next : &d->first) = c;
		d->last = c;
		pthread_cond_signal(&d->wake);
	}
	pthread_mutex_unlock(&d->lock);
	if (quiet) {
		c->status = ST_UNAVAILABLE;
		c->done(c);
	}
}

/* The one that was tried longest ago, so that no one that keeps failing hides the others. */
static struct session *in_turn(struct desk *d, bool (*wanted)(const struct session *s))
{
	struct session *found = NULL;

	for (struct session *s = sessions_next(d->table, NULL); s != NULL;
	     s = sessions_next(d->table, s))
		if (wanted(s) && (found == NULL || s->tried < found->tried))
			found = s;
	if (found != NULL)
		found->tried = ++d->tries;
	return found;
}

/* One that is CONFIRMING is written as it is gone on with. */
static bool is_left_unkept(const struct session *s)
{
	return s->unkept && s->state != SESSION_CONFIRMING;
}

static bool is_broken_off(const struct session *s)
{
	return s->state == SESSION_CONFIRMING;
}

/* Expired ones, ended ones whose time is over, and what could not be written: up to the first that
 * fails again. */
static void sweep(struct desk *d, int64_t now)
{
	struct session *s = sessions_next(d->table, NULL);

	while (s != NULL) {
		struct session *next = sessions_next(d->table, s);
		int64_t until;

		if (session_expire(s, now) && desk_keep(d, s) != ST_OK)
			log_warn("sessions", "an expired session stays open on disk");
		until = session_forget_ms(s);
		if (until != 0 && now >= until) {
			uint8_t id[16];

			memcpy(id, s->id, sizeof(id));
			sessions_forget(d->table, id);
			forget_file(d, id);
		}
		s = next;
	}
	do
		s = in_turn(d, is_left_unkept);
	while (s != NULL && desk_keep(d, s) == ST_OK);
}

/* True: *c is one to be gone on with. */
static bool broken_off(struct desk *d, int64_t now, struct confirmation *c)
{
	struct session *s = now >= d->again_ms ? in_turn(d, is_broken_off) : NULL;

	if (s == NULL)
		return false;
	memcpy(c->session, s->id, sizeof(s->id));
	memcpy(c->manifest, s->manifest, SHA256_BYTES);
	return true;
}

/* A client's mistake fails at once, and says nothing of what is broken off. */
static bool is_mistake(enum status st)
{
	return st == ST_NOT_FOUND || st == ST_CONFLICT || st == ST_PRECONDITION;
}

/* Clients that confirm again and again do not put off what was waiting as theirs was begun. */
static void put_off(struct desk *d, int64_t begun, enum status st, bool own)
{
	if (st != ST_OK && (own || (!is_mistake(st) && begun >= d->again_ms)))
		d->again_ms = d->in->ops.now_ms(d->in->ops.ctx) + SWEEP_MS;
}

static struct confirmation *take(struct desk *d)
{
	struct confirmation *c = d->first;

	if (c != NULL)
		d->first = c->next;
	return c;
}

static void wait_work(struct desk *d)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SWEEP_MS / 1000;
	pthread_cond_timedwait(&d->wake, &d->lock, &until);
}

static void *desk_main(void *arg)
{
	struct desk *d = arg;
	struct desk_work work = { .in = d->in, .desk = d, .reader = d->reader };

	pthread_mutex_lock(&d->lock);
	while (!d->quiet) {
		int64_t now = d->in->ops.now_ms(d->in->ops.ctx);
		struct confirmation own = { 0 };
		struct confirmation *c;

		sweep(d, now);
		/* What a crash or a full journal broke off comes first, but not again and again. */
		c = broken_off(d, now, &own) ? &own : take(d);
		if (c == NULL) {
			wait_work(d);
			continue;
		}
		pthread_mutex_unlock(&d->lock);
		c->status = desk_work(&work, c->session, c->manifest);
		put_off(d, now, c->status, c == &own);
		if (c->done != NULL)
			c->done(c);
		pthread_mutex_lock(&d->lock);
	}
	for (struct confirmation *c; (c = take(d)) != NULL;) {
		pthread_mutex_unlock(&d->lock);
		c->status = ST_UNAVAILABLE;
		c->done(c);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

struct session *desk_find(struct desk *d, const uint8_t id[16])
{
	pthread_mutex_lock(&d->lock);
	return sessions_find(d->table, id);
}

bool desk_claimed(struct desk *d, const struct session *s, const uint8_t result_id[16])
{
	bool claimed;

	pthread_mutex_lock(&d->lock);
	claimed = sessions_claimed(d->table, s, result_id);
	pthread_mutex_unlock(&d->lock);
	return claimed;
}

bool desk_approved(struct desk *d, const struct session *s, const uint8_t result_id[16])
{
	bool approved;

	pthread_mutex_lock(&d->lock);
	approved = sessions_approved(d->table, s, result_id);
	pthread_mutex_unlock(&d->lock);
	return approved;
}

enum status desk_open(struct desk **out, struct intake *in, struct error *e)
{
	struct desk *d = calloc(1, sizeof(*d));
	pthread_condattr_t attr;
	enum status st = ST_OK;

	if (d == NULL)
		return error_set(e, ST_NOMEM, "no memory for signing sessions");
	d->in = in;
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->wake, &attr);
	pthread_condattr_destroy(&attr);
	d->file = malloc(SESSION_FILE_BYTES_MAX);
	if (d->file == NULL || sessions_new(&d->table) != ST_OK)
		st = error_set(e, ST_NOMEM, "no memory for signing sessions");
	if (st == ST_OK)
		st = in->ops.session_each(in->ops.ctx, load, d, e);
	if (st == ST_OK)
		st = in->ops.reader_open(in->ops.ctx, &d->reader, e);
	if (st == ST_OK && pthread_create(&d->thread, NULL, desk_main, d) != 0)
		st = error_set(e, ST_NOMEM, "no thread for signing sessions");
	if (st != ST_OK) {
		desk_close(d);
		return st;
	}
	d->started = true;
	if (sessions_count(d->table) > 0)
		log_info("sessions", "%u signing sessions are known", sessions_count(d->table));
	*out = d;
	return ST_OK;
}

void desk_quiet(struct desk *d, uint32_t ms)
{
	struct timespec until;

	if (d == NULL || !d->started)
		return;
	pthread_mutex_lock(&d->lock);
	d->quiet = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000 + 1;
	d->started = pthread_clockjoin_np(d->thread, NULL, CLOCK_MONOTONIC, &until) != 0;
}

void desk_close(struct desk *d)
{
	if (d == NULL)
		return;
	desk_quiet(d, 0);
	if (d->started)
		pthread_join(d->thread, NULL);
	if (d->reader != NULL)
		d->in->ops.reader_close(d->reader);
	sessions_free(d->table);
	free(d->file);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
