#include "intake/server.h"

/* One case whole, and what an inspection tells (original.h). */
#define SCRATCH_BYTES (8 * 1024 * 1024)
#define GATHER_BYTES (REQUEST_BYTES_MAX + 64 * 1024)
#define TICK_MS 1000
#define EACH_MAX 64

void read_turn(struct read_thread *r, struct call *c)
{
	turn_begin(&c->turn);
	arena_reset(&r->scratch);
	c->m->work(c, r);
	/* Once more: behind those who wait. */
	if (!turn_end(&c->turn) ||
	    queue_push(c->slow ? r->in->slow_jobs : r->in->jobs, c) != ST_OK)
		call_unref(c);
}

void calls_each(struct intake *in, bool (*wanted)(const struct call *c),
		void (*one)(struct call *c))
{
	struct call *some[EACH_MAX];
	uint64_t below = UINT64_MAX;
	uint32_t n;

	do {
		n = 0;
		pthread_mutex_lock(&in->lock);
		for (struct call *c = in->live; c != NULL && n < EACH_MAX; c = c->next) {
			if (c->number >= below || !wanted(c) || !call_try_ref(c))
				continue;
			some[n++] = c;
			below = c->number;
		}
		pthread_mutex_unlock(&in->lock);
		for (uint32_t i = 0; i < n; i++) {
			one(some[i]);
			call_unref(some[i]);
		}
	} while (n == EACH_MAX);
}

static bool has_tick(const struct call *c)
{
	return c->m != NULL && c->m->tick != NULL;
}

static void tick(struct call *c)
{
	c->m->tick(c);
}

/*
 * By whichever copier is free: the others may be at an inspection for many seconds. The clock is
 * read behind the last tick, so that it is never the earlier one.
 */
static void tick_all(struct intake *in)
{
	uint_fast64_t last = atomic_load(&in->ticked_ms), now = intake_clock_ms();

	if (now - last >= TICK_MS && atomic_compare_exchange_strong(&in->ticked_ms, &last, now))
		calls_each(in, has_tick, tick);
}

static void *copy_main(void *arg)
{
	struct read_thread *r = arg;

	for (;;) {
		struct call *c = queue_wait(r->jobs, TICK_MS);

		if (c == NULL && atomic_load(&r->in->closing))
			return NULL;
		if (c != NULL && atomic_load(&c->refs) == 0)
			call_end(c);
		else if (c != NULL)
			read_turn(r, c);
		tick_all(r->in);
	}
}

enum status copiers_start(struct intake *in, struct error *e)
{
	for (uint32_t i = 0; i < INTAKE_COPIERS; i++) {
		struct read_thread *r = &in->copiers[i];
		enum status st = in->ops.reader_open(in->ops.ctx, &r->store, e);

		if (st != ST_OK)
			return st;
		r->in = in;
		r->jobs = in->slow_jobs;
		if (arena_init(&r->scratch, SCRATCH_BYTES) != ST_OK ||
		    arena_init(&r->gather, GATHER_BYTES) != ST_OK ||
		    pthread_create(&r->thread, NULL, copy_main, r) != 0)
			return error_set(e, ST_NOMEM, "intake: no memory for a copier");
		r->started = true;
	}
	return ST_OK;
}

void copiers_stop(struct intake *in)
{
	atomic_store(&in->closing, true);
	if (in->slow_jobs != NULL)
		queue_close(in->slow_jobs);
	for (uint32_t i = 0; i < INTAKE_COPIERS; i++) {
		struct read_thread *r = &in->copiers[i];

		if (r->started)
			pthread_join(r->thread, NULL);
		if (r->store != NULL)
			in->ops.reader_close(r->store);
		arena_free(&r->scratch);
		arena_free(&r->gather);
	}
}
