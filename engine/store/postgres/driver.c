#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/postgres/driver_inside.h"

#define IN_FLIGHT_BYTES (2 * PART_BYTES)
#define MONTHS_AHEAD 3			/* this one and two more */
#define TICK_MS 1000
#define NS_PER_MS 1000000ull

/* ---- the thread ---- */

/*
 * The one with the least on its way, if a part of that size fits there. Not behind bytes that are
 * still to be sent: libpq moves all of them after each that the socket took.
 */
static struct pg_conn *conn_for(struct pg_driver *d, uint8_t server, uint32_t bytes)
{
	struct pg_conn *best = NULL;

	for (uint32_t i = 0; i < d->conns_n; i++) {
		struct pg_conn *c = &d->conns[i];

		if (c->server != server || c->state != CONN_UP || c->out_armed ||
		    (c->first != NULL && c->bytes + bytes > IN_FLIGHT_BYTES))
			continue;
		if (best == NULL || c->bytes < best->bytes)
			best = c;
	}
	return best;
}

/*
 * On Citus a delta that is sent again must meet itself: none is folded away while a part is out
 * whose answer may get lost. Those that came back stand before a fold in the queue.
 */
static bool fold_between(const struct pg_driver *d, const struct server *s)
{
	return d->cfg.servers->citus && s->out > 0 &&
	       (s->folding || s->first->kind == PART_FOLD);
}

static void feed(struct pg_driver *d, uint8_t server)
{
	struct server *s = &d->servers[server];
	struct pg_conn *c;

	while (s->first != NULL && !fold_between(d, s) &&
	       (c = conn_for(d, server, s->first->bytes)) != NULL) {
		struct pg_part *part = s->first;

		s->first = part->next;
		if (s->first == NULL)
			s->last = NULL;
		s->out++;
		s->folding |= part->kind == PART_FOLD;
		pg_conn_send(c, part, &s->known);
	}
}

/* Every day the months to come; they are there long before the first row of one. */
static void months_ahead(struct pg_driver *d)
{
	int32_t day = pg_day_of(d->cfg.sink.now_ms(d->cfg.sink.ctx));

	if (day == d->day)
		return;
	d->day = day;
	for (uint8_t i = 0; i < d->cfg.servers->n; i++) {
		struct pg_part *part = part_new(d, PART_MONTHS, i, NULL);

		if (part == NULL)
			return;
		part->month = day;
		part->months = MONTHS_AHEAD;
		part_to_front(d, part);
	}
}

/* Behind whatever waits. When to look again, ns. */
static uint64_t fold_next(struct pg_driver *d, uint64_t now_ns)
{
	int lane = pg_folding_next(&d->folding, d->cfg.sink.now_ms(d->cfg.sink.ctx), now_ns);
	struct pg_part *part;

	if (lane >= 0) {
		part = part_new(d, PART_FOLD, d->cfg.servers->of_lane[lane], NULL);
		if (part == NULL)
			return UINT64_MAX;
		part->lane = (int16_t)lane;
		part->engine = d->cfg.engine;
		part_to_back(d, part);
	}
	return d->folding.out || d->folding.due_ns <= now_ns ? UINT64_MAX : d->folding.due_ns;
}

static void inbox_ready(struct io_op *op)
{
	struct pg_driver *d = op->owner;

	queue_ack(d->inbox);
	d->inbox_polled = false;
}

static uint32_t turn(struct pg_driver *d)
{
	uint64_t now = now_of(d), next = now + TICK_MS * NS_PER_MS, fold_ns;
	struct batch *b;

	while ((b = queue_pop(d->inbox)) != NULL)
		work_take(d, b);
	servers_look(d, now);
	months_ahead(d);
	fold_ns = fold_next(d, now);
	next = fold_ns < next ? fold_ns : next;
	for (uint32_t i = 0; i < d->conns_n; i++) {
		uint64_t due = pg_conn_tick(&d->conns[i], now);

		next = due < next ? due : next;
	}
	for (uint8_t i = 0; i < d->cfg.servers->n; i++)
		feed(d, i);
	if (!d->inbox_polled) {
		d->inbox_op = (struct io_op){ .done = inbox_ready, .owner = d };
		io_poll(d->rig.io, &d->inbox_op, queue_fd(d->inbox), POLLIN);
		d->inbox_polled = true;
	}
	if (!queue_arm(d->inbox))
		return 0;
	return next > now ? (uint32_t)((next - now) / NS_PER_MS) + 1 : 0;
}

static bool any_open(const struct pg_driver *d)
{
	for (uint32_t i = 0; i < d->conns_n; i++)
		if (d->conns[i].state != CONN_DOWN)
			return true;
	return d->inbox_polled;
}

static void *driver_main(void *arg)
{
	struct pg_driver *d = arg;

	/* It asks all lanes at once: on Citus it stays unknown, and results are looked for. */
	for (uint8_t i = 0; i < d->cfg.servers->n && !d->cfg.servers->citus; i++) {
		struct pg_part *newest = part_new(d, PART_NEWEST, i, NULL);

		if (newest != NULL)
			part_to_front(d, newest);
	}
	while (!atomic_load(&d->stopping))
		io_run(d->rig.io, d->rig.clock.wait_ms(d->rig.clock.ctx, turn(d)));
	for (uint32_t i = 0; i < d->conns_n; i++)
		pg_conn_lose(&d->conns[i], "the engine stops");
	if (d->inbox_polled)
		io_cancel(d->rig.io, &d->inbox_op);
	while (any_open(d))
		io_run(d->rig.io, TICK_MS);
	return NULL;
}

/* ---- from outside ---- */

static uint64_t system_now(void *ctx)
{
	return io_boot_ns();
}

static uint32_t system_wait(void *ctx, uint32_t ms)
{
	return ms;
}

static enum status prepare(struct pg_driver *d, struct error *e)
{
	const struct pg_servers *servers = d->cfg.servers;
	enum status st = io_new(&d->rig.io, d->cfg.io, 2 * ARRAY_LEN(d->conns) + 1, e);

	if (st == ST_OK)
		st = queue_new(&d->inbox, BATCHES_IN_FLIGHT_MAX);
	for (uint8_t i = 0; i < servers->n && st == ST_OK; i++) {
		st = layers_init(&d->servers[i].layers);
		d->servers[i].rows_max = BATCH_ITEMS_MAX;
		d->servers[i].known = (struct pg_known){ &d->servers[i].layers, UINT64_MAX };
		for (uint32_t k = 0; k < d->cfg.connections; k++)
			d->conns[d->conns_n++] = (struct pg_conn){ .rig = &d->rig, .server = i };
	}
	return st;
}

enum status pg_driver_new(struct pg_driver **out, const struct pg_driver_config *cfg,
			  struct error *e)
{
	struct pg_driver *d = calloc(1, sizeof(*d));
	enum status st;

	assert(cfg->connections >= 1 && cfg->connections <= PG_CONNECTIONS_MAX);
	if (d == NULL)
		return error_set(e, ST_NOMEM, "no memory for the store's connections");
	d->cfg = *cfg;
	d->rig.servers = cfg->servers;
	d->rig.events = &driver_events;
	d->rig.ctx = d;
	d->rig.statement_ms = cfg->statement_ms;
	d->rig.clock = cfg->clock != NULL ? *cfg->clock :
		       (struct pg_clock){ .now_ns = system_now, .wait_ms = system_wait };
	pg_conn_rig_init(&d->rig);
	st = prepare(d, e);
	if (st == ST_OK) {
		d->thread_started = pthread_create(&d->thread, NULL, driver_main, d) == 0;
		st = d->thread_started ? ST_OK : ST_NOMEM;
	}
	if (st != ST_OK) {
		pg_driver_free(d);
		return error_set(e, st, "the store's thread cannot start: %s", status_name(st));
	}
	*out = d;
	return ST_OK;
}

static void parts_free(struct pg_part *part)
{
	while (part != NULL) {
		struct pg_part *next = part->next;

		free(part->then);
		free(part);
		part = next;
	}
}

void pg_driver_free(struct pg_driver *d)
{
	if (d == NULL)
		return;
	atomic_store(&d->stopping, true);
	if (d->inbox != NULL)
		queue_close(d->inbox);
	if (d->thread_started)
		pthread_join(d->thread, NULL);
	for (uint8_t i = 0; i < d->cfg.servers->n; i++) {
		parts_free(d->servers[i].first);
		layers_free(&d->servers[i].layers);
	}
	parts_free(d->free_parts);
	for (size_t i = 0; i < ARRAY_LEN(d->works); i++)
		free(d->works[i].bytes);
	pg_params_free(&d->rig.params);
	while (d->inbox != NULL && queue_pop(d->inbox) != NULL)
		;
	queue_free(d->inbox);
	io_free(d->rig.io);
	free(d);
}

void pg_driver_take(struct pg_driver *d, struct batch *b)
{
	enum status st = queue_push(d->inbox, b);

	/* It holds every batch there can be. */
	assert(st == ST_OK);
}

void pg_driver_health(const struct pg_driver *d, struct store_health *out)
{
	out->retries = atomic_load(&d->retries);
	out->servers_away = atomic_load(&d->servers_away);
	out->lanes_away = atomic_load(&d->lanes_away);
	out->up = out->servers_away == 0;
}
