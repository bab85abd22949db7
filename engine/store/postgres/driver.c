#include "store/postgres/driver.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/queue.h"
#include "store/layers.h"
#include "store/postgres/conn.h"
#include "store/postgres/folding.h"

#define PART_BYTES (1024 * 1024)	/* two of them on a connection */
#define IN_FLIGHT_BYTES (2 * PART_BYTES)
#define MONTHS_AHEAD 3			/* this one and two more */
#define BROKEN_MAX 5			/* times that an internal error of Citus is tried again */
#define TICK_MS 1000
#define CANCELED "57014"		/* statement_timeout's, too */
#define NS_PER_MS 1000000ull

struct server {
	struct pg_part *first, *last;	/* waiting, oldest first */
	uint32_t out;			/* with connections */
	struct store_layers layers;
	struct pg_known known;
	uint8_t rows_max;		/* of a part: fewer after one that took too long */
	bool folding;			/* one of those that are out is a FOLD */
	bool away;			/* it failed, and has taken nothing since */
	char why[24];			/* what was told of it */
};

struct pg_driver {
	struct pg_driver_config cfg;
	struct pg_conn_rig rig;
	struct queue *inbox;
	struct io_op inbox_op;
	bool inbox_polled, thread_started;
	pthread_t thread;
	atomic_bool stopping, up;
	_Atomic uint64_t retries;
	struct server servers[PG_SERVERS_MAX];
	struct pg_conn conns[PG_SERVERS_MAX * PG_CONNECTIONS_MAX];
	uint32_t conns_n;
	struct pg_work works[BATCHES_IN_FLIGHT_MAX];
	struct pg_part *free_parts;
	int32_t day;			/* whose months were asked for */
	struct pg_folding folding;
	uint64_t fewer;			/* the last FOLD's answer */
};

static uint64_t now_of(const struct pg_driver *d)
{
	return d->rig.clock.now_ns(d->rig.clock.ctx);
}

/* ---- parts ---- */

static struct pg_part *part_new(struct pg_driver *d, enum pg_part_kind kind, uint8_t server,
				struct pg_work *w)
{
	struct pg_part *part = d->free_parts;

	if (part != NULL)
		d->free_parts = part->next;
	else
		part = malloc(sizeof(*part));
	if (part == NULL) {
		struct error e;

		error_set(&e, ST_NOMEM, "no memory for what is to be stored");
		d->cfg.sink.failed(d->cfg.sink.ctx, &e);
		return NULL;
	}
	*part = (struct pg_part){ .kind = kind, .server = server, .lane = PG_LANE_ANY, .work = w };
	if (w != NULL)
		w->parts_left++;
	return part;
}

static void part_free(struct pg_driver *d, struct pg_part *part)
{
	part->then = NULL;
	part->next = d->free_parts;
	d->free_parts = part;
}

static void queue_first(struct pg_driver *d, struct pg_part *part)
{
	struct server *s = &d->servers[part->server];

	part->next = s->first;
	s->first = part;
	if (s->last == NULL)
		s->last = part;
}

static void queue_last(struct pg_driver *d, struct pg_part *part)
{
	struct server *s = &d->servers[part->server];

	part->next = NULL;
	if (s->last != NULL)
		s->last->next = part;
	else
		s->first = part;
	s->last = part;
}

/* The rows of w that lie on a server, in parts of bounded size. */
static void parts_make(struct pg_driver *d, struct pg_work *w, enum pg_part_kind kind,
		       uint8_t server, int16_t lane)
{
	struct pg_part *part = NULL;

	for (uint32_t i = 0; i < w->rows_n; i++) {
		uint32_t bytes;

		if (!pg_row_live(&w->rows[i]) ||
		    !pg_row_lies(&w->rows[i], kind, server, lane, d->cfg.servers, &bytes))
			continue;
		if (part != NULL && (part->bytes + bytes > PART_BYTES ||
				     part->n >= d->servers[server].rows_max)) {
			queue_last(d, part);
			part = NULL;
		}
		if (part == NULL && (part = part_new(d, kind, server, w)) == NULL)
			return;
		part->lane = lane;
		part->bytes += bytes;
		part->rows[part->n++] = (uint8_t)i;
	}
	if (part != NULL)
		queue_last(d, part);
}

static void parts_all(struct pg_driver *d, struct pg_work *w, enum pg_part_kind kind)
{
	const struct pg_servers *servers = d->cfg.servers;

	for (uint8_t i = 0; i < servers->n; i++)
		if (!servers->citus || kind == PART_BEFORE)
			parts_make(d, w, kind, i, PG_LANE_ANY);
	for (int16_t lane = 0; servers->citus && lane < LANES; lane++)
		parts_make(d, w, kind, servers->of_lane[lane], lane);
}

/* ---- a batch's way ---- */

/* Every part of its present phase is done. */
static void work_on(struct pg_driver *d, struct pg_work *w)
{
	struct batch *b = w->b;

	if (w->before) {
		w->before = false;
		parts_all(d, w, PART_ROWS);
		if (w->parts_left > 0)
			return;
	}
	w->b = NULL;
	d->cfg.sink.done(d->cfg.sink.ctx, b);
}

static void work_take(struct pg_driver *d, struct batch *b)
{
	struct pg_work *w = d->works;
	struct error e;

	while (w->b != NULL)
		w++;
	assert(w < d->works + ARRAY_LEN(d->works));
	if (pg_work_begin(w, b, d->cfg.sink.now_ms(d->cfg.sink.ctx)) != ST_OK) {
		error_set(&e, ST_NOMEM, "no memory for what is to be stored");
		d->cfg.sink.failed(d->cfg.sink.ctx, &e);
		return;
	}
	w->before = true;
	parts_all(d, w, PART_BEFORE);
	if (w->parts_left == 0)
		work_on(d, w);
}

static void part_gone(struct pg_driver *d, struct pg_part *part)
{
	struct pg_work *w = part->work;

	part_free(d, part);
	if (w != NULL && --w->parts_left == 0)
		work_on(d, w);
}

/* Some rows were there already: whose are they? */
static void look_closer(struct pg_driver *d, const struct pg_part *part, enum pg_part_kind kind)
{
	struct pg_part *look = part_new(d, kind, part->server, part->work);

	if (look == NULL)
		return;
	look->lane = part->lane;
	look->n = part->n;
	memcpy(look->rows, part->rows, part->n);
	queue_first(d, look);
}

static void folded(struct pg_driver *d, bool wrong)
{
	if (pg_folding_answered(&d->folding, wrong ? 0 : d->fewer, wrong, now_of(d)) && !wrong)
		log_info("store", "counters are folded: %llu rows fewer",
			 (unsigned long long)d->folding.fewer);
}

static void part_stored(struct pg_driver *d, struct pg_part *part)
{
	struct server *s = &d->servers[part->server];

	/* A slow server is tried with a little more each time. */
	if (part->kind == PART_ROWS && part->n >= s->rows_max && s->rows_max < BATCH_ITEMS_MAX)
		s->rows_max++;
	if (part->kind == PART_BEFORE && !pg_layers_known(part, d->cfg.servers, &s->layers))
		log_warn("store", "no memory to remember layers; they are sent again");
	for (uint8_t i = 0; i < part->sent_n; i++) {
		if (part->sent[i].done >= part->sent[i].rows)
			continue;
		if (part->sent[i].what == PGW_NUMBERS || part->sent[i].what == PGW_LANE_NUMBERS)
			look_closer(d, part, PART_NUMBERS_THERE);
		else if (part->sent[i].what == PGW_RESULTS ||
			 part->sent[i].what == PGW_LANE_RESULTS)
			look_closer(d, part, PART_RESULTS_THERE);
	}
	if (part->then != NULL)
		queue_first(d, part->then);
	if (part->kind == PART_FOLD)
		folded(d, part->sqlstate[0] != '\0');
	part_gone(d, part);
}

/* ---- what a server refuses ---- */

static void months_first(struct pg_driver *d, struct pg_part *part)
{
	struct pg_part *months = part_new(d, PART_MONTHS, part->server, NULL);

	if (months == NULL)
		return;
	part->months_made = true;
	pg_months_of(part, &months->month, &months->months);
	months->then = part;
	queue_first(d, months);
}

static void halve(struct pg_driver *d, struct pg_part *part)
{
	struct pg_part *rest = part_new(d, part->kind, part->server, part->work);

	if (rest == NULL)
		return;
	pg_part_halve(part, rest);
	queue_first(d, rest);
	queue_first(d, part);
}

/* What took too long as a whole may do in halves; the same again would never end. */
static void again(struct pg_driver *d, struct pg_part *part)
{
	if (strcmp(part->sqlstate, CANCELED) != 0 || part->work == NULL || part->n < 2) {
		queue_first(d, part);
		return;
	}
	d->servers[part->server].rows_max = (uint8_t)(part->n / 2);
	halve(d, part);
}

/* The server's own text may repeat the row (P9): state and statement only. */
static void refused(struct pg_driver *d, struct pg_part *part)
{
	const char *what = pg_write_text(part->failed)->name;
	struct item *it;

	if (part->work == NULL) {
		log_error("store", "server %u: SQLSTATE %s at %s", part->server + 1u,
			  part->sqlstate, what);
		part_stored(d, part);
		return;
	}
	if (part->n > 1) {
		halve(d, part);
		return;
	}
	it = part->work->rows[part->rows[0]].it;
	if (it->held == REASON_NONE) {
		it->held = REASON_STORE_REFUSED;
		snprintf(it->held_detail, sizeof(it->held_detail), "SQLSTATE %s, %s",
			 part->sqlstate, what);
		log_error("store", "server %u refuses one result: SQLSTATE %s at %s; it is held",
			  part->server + 1u, part->sqlstate, what);
	}
	part_gone(d, part);
}

/* ---- what connections tell ---- */

static void up_set(struct pg_driver *d)
{
	bool up = true;

	for (uint8_t i = 0; i < d->cfg.servers->n; i++)
		up &= !d->servers[i].away;
	atomic_store(&d->up, up);
}

static void away(struct pg_driver *d, uint8_t server, const char *why, const char *where)
{
	struct server *s = &d->servers[server];
	/* One that is cut off and then refuses says more than one that is cut off again. */
	bool told = s->away && (where[0] == '\0' || strcmp(s->why, why) == 0);

	if (!told && !atomic_load(&d->stopping)) {
		log_error("store", "server %u: %s%s%s; trying again", server + 1u, why,
			  where[0] != '\0' ? " at " : "", where);
		snprintf(s->why, sizeof(s->why), "%s", why);
	}
	s->away = true;
	up_set(d);
}

static bool idle(const struct server *s)
{
	return s->first == NULL && s->out == 0;
}

static void back(struct pg_driver *d, uint8_t server)
{
	if (d->servers[server].away)
		log_info("store", "server %u takes results again", server + 1u);
	d->servers[server].away = false;
	up_set(d);
}

static void on_lost(void *ctx, struct pg_conn *c, const char *why)
{
	struct pg_driver *d = ctx;
	struct server *s = &d->servers[c->server];
	struct pg_part *first = c->first;
	uint32_t n = 0;

	for (struct pg_part *p = first; p != NULL; p = p->next) {
		s->folding &= p->kind != PART_FOLD;
		n++;
	}
	if (n > 0) {
		c->last->next = s->first;
		s->first = first;
		if (s->last == NULL)
			s->last = c->last;
		s->out -= n;
	}
	atomic_fetch_add(&d->retries, n > 0 ? n : 1);
	away(d, c->server, why, "");
}

static void on_up(void *ctx, struct pg_conn *c)
{
	struct pg_driver *d = ctx;

	/* Nothing to try it with. */
	if (idle(&d->servers[c->server]))
		back(d, c->server);
}

/*
 * Citus has no SQLSTATE for a worker that is lost in the middle of a commit but that of an internal
 * error, which elsewhere is a row's: it is one only when it comes again and again.
 */
static bool worker_lost(const struct pg_driver *d, struct pg_part *part)
{
	if (!d->cfg.servers->citus || strcmp(part->sqlstate, "XX000") != 0 ||
	    part->broken == BROKEN_MAX)
		return false;
	part->broken++;
	return true;
}

static void on_answered(void *ctx, struct pg_conn *c, struct pg_part *part)
{
	struct pg_driver *d = ctx;
	struct server *s = &d->servers[c->server];
	char why[16];

	s->out--;
	s->folding &= part->kind != PART_FOLD;
	if (part->sqlstate[0] == '\0') {
		bool rows = part->kind == PART_ROWS;

		part_stored(d, part);
		/* Numbers may go in where results do not. */
		if (rows || idle(s))
			back(d, c->server);
		return;
	}
	if (part->failure == PG_PARTITION && part->work != NULL && !part->months_made) {
		months_first(d, part);
	} else if ((part->failure != PG_RETRY && !worker_lost(d, part)) ||
		   part->kind == PART_FOLD) {
		/* Counters that are not folded are no reason to hold results up. */
		refused(d, part);
	} else {
		snprintf(why, sizeof(why), "SQLSTATE %s", part->sqlstate);
		away(d, c->server, why, pg_write_text(part->failed)->name);
		pg_conn_lose(c, why);
		/* It was older than those that came back now. */
		again(d, part);
	}
}

static uint64_t number_of(const PGresult *r, int row, int column)
{
	const uint8_t *p = (const uint8_t *)PQgetvalue(r, row, column);
	uint64_t v = 0;

	for (int i = 0; i < PQgetlength(r, row, column); i++)
		v = v << 8 | p[i];
	return v;
}

static void on_row(void *ctx, struct pg_part *part, enum pg_write what, const PGresult *r,
		   int row)
{
	struct pg_driver *d = ctx;
	struct item *it;

	if (what == PGW_NEWEST) {
		d->servers[part->server].known.newest = number_of(r, row, 0);
		return;
	}
	if (what == PGW_FOLD) {
		d->fewer = number_of(r, row, 0);
		return;
	}
	if (what == PGW_RESULTS) {
		part->sent[part->answered].done = (uint32_t)number_of(r, row, 0);
		return;
	}
	if (what == PGW_LANE_NUMBERS || what == PGW_LANE_RESULTS) {
		part->sent[part->answered].done++;
		return;
	}
	if (part->work == NULL)
		return;
	it = part->work->rows[number_of(r, row, 0)].it;
	if (it->stored == ST_CONFLICT)
		return;
	if (what == PGW_NUMBERS_THERE || what == PGW_LANE_NUMBERS_THERE)
		it->stored = number_of(r, row, 1) == it->sequence && number_of(r, row, 2) == 1 ?
			it->stored : ST_CONFLICT;
	else
		it->stored = PQgetlength(r, row, 1) == SHA256_BYTES &&
			memcmp(PQgetvalue(r, row, 1), it->case_digest, SHA256_BYTES) == 0 ?
			ST_EXISTS : ST_CONFLICT;
}

static const struct pg_conn_events events = { .answered = on_answered, .row = on_row,
					      .lost = on_lost, .up = on_up };

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
		queue_first(d, part);
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
		queue_last(d, part);
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
			queue_first(d, newest);
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
	d->rig.events = &events;
	d->rig.ctx = d;
	d->rig.statement_ms = cfg->statement_ms;
	d->rig.clock = cfg->clock != NULL ? *cfg->clock :
		       (struct pg_clock){ .now_ns = system_now, .wait_ms = system_wait };
	pg_conn_rig_init(&d->rig);
	atomic_init(&d->up, true);
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

bool pg_driver_up(const struct pg_driver *d, uint64_t *retries)
{
	*retries = d != NULL ? atomic_load(&d->retries) : 0;
	return d == NULL || atomic_load(&d->up);
}
