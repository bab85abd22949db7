/* A batch's rows in parts, from the queue until a server has taken or refused them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/postgres/driver_inside.h"

#define BROKEN_MAX 5			/* times that an internal error of Citus is tried again */
#define CANCELED "57014"		/* statement_timeout's, too */

/* ---- parts ---- */

struct pg_part *part_new(struct pg_driver *d, enum pg_part_kind kind, uint8_t server,
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

void part_to_front(struct pg_driver *d, struct pg_part *part)
{
	struct server *s = &d->servers[part->server];

	part->next = s->first;
	s->first = part;
	if (s->last == NULL)
		s->last = part;
}

void part_to_back(struct pg_driver *d, struct pg_part *part)
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
			part_to_back(d, part);
			part = NULL;
		}
		if (part == NULL && (part = part_new(d, kind, server, w)) == NULL)
			return;
		part->lane = lane;
		part->bytes += bytes;
		part->rows[part->n++] = (uint8_t)i;
	}
	if (part != NULL)
		part_to_back(d, part);
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
	pg_originals_stored(d->cfg.objects, b);
	d->cfg.sink.done(d->cfg.sink.ctx, b);
}

void work_take(struct pg_driver *d, struct batch *b)
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

void part_gone(struct pg_driver *d, struct pg_part *part)
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
	part_to_front(d, look);
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
		part_to_front(d, part->then);
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
	part_to_front(d, months);
}

static void halve(struct pg_driver *d, struct pg_part *part)
{
	struct pg_part *rest = part_new(d, part->kind, part->server, part->work);

	if (rest == NULL)
		return;
	pg_part_halve(part, rest);
	part_to_front(d, rest);
	part_to_front(d, part);
}

/* What took too long as a whole may do in halves; the same again would never end. */
static void again(struct pg_driver *d, struct pg_part *part)
{
	if (strcmp(part->sqlstate, CANCELED) != 0 || part->work == NULL || part->n < 2) {
		part_to_front(d, part);
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
	server_away(d, c->server, why, "");
}

/* Whoever made a server fast for a test and forgot it is told here, once. */
static void on_risks(void *ctx, struct pg_conn *c, const char *risks)
{
	struct pg_driver *d = ctx;
	char *told = d->servers[c->server].risks;

	if (strcmp(told, risks) == 0)
		return;
	snprintf(told, PG_RISKS_BYTES, "%s", risks);
	if (risks[0] == '\0')
		log_info("store", "server %u: its settings are good again", c->server + 1u);
	else if (c->rig->servers->risks_refused)
		log_error("store", "server %u: %s: when it crashes, results are lost that the "
			  "engine no longer has. Nothing is stored there before it is on",
			  c->server + 1u, risks);
	else
		log_warn("store", "server %u: %s: when it crashes, results are lost that the "
			 "engine no longer has; for development only", c->server + 1u, risks);
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
		/* Numbers may go in where results do not. */
		if (part->kind == PART_ROWS)
			server_stored(d, c->server);
		part_stored(d, part);
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
		server_away(d, c->server, why, pg_write_text(part->failed)->name);
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

const struct pg_conn_events driver_events = { .answered = on_answered, .row = on_row,
					      .lost = on_lost, .risks = on_risks };
