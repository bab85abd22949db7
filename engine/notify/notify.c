#include "notify/notify.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS 4096

/* One thing a watch waits for, hanging in the hub's table. */
struct entry {
	struct entry *next, **link;
	struct watch *watch;
	bool is_case;
	uint8_t id[16];
	uint8_t unit_n, code_n;
	char unit[CODE_BYTES_MAX], code[CASE_CODE_BYTES_MAX];
};

struct watch {
	struct notify *hub;
	void (*wake)(void *owner);
	void *owner;
	struct watch *next, **link;	/* hub->lock */
	uint64_t seen;			/* hub->lock: serial of the last change looked at */

	pthread_mutex_t lock;		/* below; taken inside hub->lock, never around it */
	enum status cut;
	uint32_t first, n, max;
	struct state_change *queue;	/* a ring of max */

	uint32_t entries_n;
	struct entry entries[];
};

/*
 * hub->lock is held while wake() runs: that is what lets notify_unwatch() promise that no wake is
 * running once it returns.
 */
struct notify {
	pthread_mutex_t lock;
	atomic_uint watches_n;
	bool closed;
	uint64_t serial;
	struct watch *watches;
	struct entry *buckets[BUCKETS];
};

static uint32_t bucket_of_id(const uint8_t id[16])
{
	return crc32c(0, id, 16) % BUCKETS;
}

static uint32_t bucket_of_case(const char *unit, size_t unit_n, const char *code, size_t code_n)
{
	return crc32c(crc32c(crc32c(0, unit, unit_n), "", 1), code, code_n) % BUCKETS;
}

enum status notify_new(struct notify **n)
{
	struct notify *hub = calloc(1, sizeof(*hub));

	if (hub == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&hub->lock, NULL);
	*n = hub;
	return ST_OK;
}

void notify_free(struct notify *n)
{
	if (n == NULL)
		return;
	assert(n->watches == NULL);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* hub->lock is held. */
static void watch_cut(struct watch *w, enum status why)
{
	bool edge;

	pthread_mutex_lock(&w->lock);
	edge = w->cut == ST_OK && w->n == 0;
	if (w->cut == ST_OK)
		w->cut = why;
	pthread_mutex_unlock(&w->lock);
	if (edge)
		w->wake(w->owner);
}

void notify_close(struct notify *n)
{
	pthread_mutex_lock(&n->lock);
	n->closed = true;
	for (struct watch *w = n->watches; w != NULL; w = w->next)
		watch_cut(w, ST_UNAVAILABLE);
	pthread_mutex_unlock(&n->lock);
}

/* hub->lock is held. */
static void watch_push(struct watch *w, const struct state_change *c)
{
	bool edge = false;

	pthread_mutex_lock(&w->lock);
	if (w->cut == ST_OK && w->n == w->max) {
		/* The queue is not empty, so a wake is outstanding: no second one. */
		w->cut = ST_FULL;
	} else if (w->cut == ST_OK) {
		w->queue[(w->first + w->n) % w->max] = *c;
		edge = w->n++ == 0;
	}
	pthread_mutex_unlock(&w->lock);
	if (edge)
		w->wake(w->owner);
}

static bool entry_matches(const struct entry *e, const struct state_change *c, size_t unit_n,
			  size_t code_n)
{
	if (!e->is_case)
		return memcmp(e->id, c->result_id, sizeof(e->id)) == 0;
	return e->unit_n == unit_n && e->code_n == code_n &&
	       memcmp(e->unit, c->unit, unit_n) == 0 && memcmp(e->code, c->code, code_n) == 0;
}

static void publish_one(struct notify *n, const struct state_change *c)
{
	size_t unit_n = strnlen(c->unit, CODE_BYTES_MAX);
	size_t code_n = strnlen(c->code, CASE_CODE_BYTES_MAX);
	uint32_t buckets[2] = {
		bucket_of_id(c->result_id), bucket_of_case(c->unit, unit_n, c->code, code_n)
	};

	n->serial++;
	for (uint32_t i = 0; i < ARRAY_LEN(buckets); i++) {
		for (struct entry *e = n->buckets[buckets[i]]; e != NULL; e = e->next) {
			/* A watch may ask for a case and for an id of it: once is enough. */
			if (e->watch->seen == n->serial || !entry_matches(e, c, unit_n, code_n))
				continue;
			e->watch->seen = n->serial;
			watch_push(e->watch, c);
		}
	}
}

void notify_publish(struct notify *n, const struct state_change *changes, uint32_t changes_n)
{
	if (atomic_load_explicit(&n->watches_n, memory_order_acquire) == 0)
		return;
	pthread_mutex_lock(&n->lock);
	for (uint32_t i = 0; i < changes_n; i++)
		publish_one(n, &changes[i]);
	pthread_mutex_unlock(&n->lock);
}

static enum status filter_check(const struct watch_filter *f)
{
	if (f->cases_n == 0 && f->ids_n == 0)
		return ST_INVALID;
	if (f->cases_n > WATCH_ENTRIES_MAX || f->ids_n > WATCH_ENTRIES_MAX ||
	    f->cases_n + f->ids_n > WATCH_ENTRIES_MAX || f->queue_max > WATCH_QUEUE_MAX)
		return ST_TOO_LARGE;
	for (uint32_t i = 0; i < f->cases_n; i++)
		if (f->cases[i].unit.n == 0 || f->cases[i].unit.n > CODE_BYTES_MAX ||
		    f->cases[i].code.n == 0 || f->cases[i].code.n > CASE_CODE_BYTES_MAX)
			return ST_INVALID;
	return ST_OK;
}

static struct watch *watch_new(const struct watch_filter *f)
{
	uint32_t n = f->cases_n + f->ids_n;
	uint32_t max = f->queue_max != 0 ? f->queue_max : WATCH_QUEUE_MAX;
	struct watch *w = calloc(1, sizeof(*w) + n * sizeof(w->entries[0]));

	if (w == NULL)
		return NULL;
	w->queue = calloc(max, sizeof(w->queue[0]));
	if (w->queue == NULL) {
		free(w);
		return NULL;
	}
	w->max = max;
	w->entries_n = n;
	pthread_mutex_init(&w->lock, NULL);
	for (uint32_t i = 0; i < f->cases_n; i++) {
		struct entry *e = &w->entries[i];

		e->is_case = true;
		e->unit_n = (uint8_t)f->cases[i].unit.n;
		e->code_n = (uint8_t)f->cases[i].code.n;
		memcpy(e->unit, f->cases[i].unit.p, e->unit_n);
		memcpy(e->code, f->cases[i].code.p, e->code_n);
	}
	for (uint32_t i = 0; i < f->ids_n; i++)
		memcpy(w->entries[f->cases_n + i].id, f->ids[i], 16);
	return w;
}

static void watch_free(struct watch *w)
{
	pthread_mutex_destroy(&w->lock);
	free(w->queue);
	free(w);
}

static void hub_hang(struct notify *n, struct watch *w)
{
	for (uint32_t i = 0; i < w->entries_n; i++) {
		struct entry *e = &w->entries[i];
		uint32_t bucket = !e->is_case ? bucket_of_id(e->id) :
			bucket_of_case(e->unit, e->unit_n, e->code, e->code_n);
		struct entry **head = &n->buckets[bucket];

		e->watch = w;
		e->next = *head;
		e->link = head;
		if (e->next != NULL)
			e->next->link = &e->next;
		*head = e;
	}
	w->next = n->watches;
	w->link = &n->watches;
	if (w->next != NULL)
		w->next->link = &w->next;
	n->watches = w;
}

enum status notify_watch(struct notify *n, const struct watch_filter *f, void (*wake)(void *owner),
			 void *owner, struct watch **out)
{
	enum status st = filter_check(f);
	struct watch *w;

	if (st != ST_OK)
		return st;
	w = watch_new(f);
	if (w == NULL)
		return ST_NOMEM;
	w->hub = n;
	w->wake = wake;
	w->owner = owner;
	pthread_mutex_lock(&n->lock);
	if (n->closed) {
		st = ST_UNAVAILABLE;
	} else if (n->watches_n >= WATCHES_MAX) {
		st = ST_FULL;
	} else {
		hub_hang(n, w);
		atomic_fetch_add_explicit(&n->watches_n, 1, memory_order_release);
	}
	pthread_mutex_unlock(&n->lock);
	if (st != ST_OK) {
		watch_free(w);
		return st;
	}
	*out = w;
	return ST_OK;
}

uint32_t notify_take(struct watch *w, struct state_change *out, uint32_t max, bool *cut)
{
	uint32_t n;

	pthread_mutex_lock(&w->lock);
	for (n = 0; n < max && w->n > 0; n++) {
		out[n] = w->queue[w->first];
		w->first = (w->first + 1) % w->max;
		w->n--;
	}
	if (cut != NULL)
		*cut = w->cut != ST_OK && w->n == 0;
	pthread_mutex_unlock(&w->lock);
	return n;
}

enum status notify_cut(struct watch *w)
{
	enum status why;

	pthread_mutex_lock(&w->lock);
	why = w->cut;
	pthread_mutex_unlock(&w->lock);
	return why;
}

void notify_unwatch(struct watch *w)
{
	struct notify *n;

	if (w == NULL)
		return;
	n = w->hub;
	pthread_mutex_lock(&n->lock);
	for (uint32_t i = 0; i < w->entries_n; i++) {
		struct entry *e = &w->entries[i];

		*e->link = e->next;
		if (e->next != NULL)
			e->next->link = e->link;
	}
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
	atomic_fetch_sub_explicit(&n->watches_n, 1, memory_order_release);
	pthread_mutex_unlock(&n->lock);
	watch_free(w);
}

uint32_t notify_count(const struct notify *n)
{
	return atomic_load_explicit(&n->watches_n, memory_order_relaxed);
}
