#include "store/postgres/deep_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIES_MAX 8
#define TRY_MS 1000
#define SCRATCH_BYTES (4 * 1024 * 1024)

/* ---- what is told ---- */

static void line(struct deep *d, uint64_t open, const char *fmt, va_list ap)
{
	struct deep_lines *l = d->lines;

	if (l->n == DEEP_LINES) {
		l->more += open == 0;
		return;
	}
	l->of[l->n].open = open;
	vsnprintf(l->of[l->n++].text, DEEP_LINE_BYTES, fmt, ap);
}

void deep_fault(struct deep *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(d, 0, fmt, ap);
	va_end(ap);
}

void deep_open(struct deep *d, uint64_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(d, n, fmt, ap);
	va_end(ap);
}

/* Lines that both times had. */
static void keep_both(struct deep_lines *l, const struct deep_lines *again)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n; i++)
		for (uint32_t k = 0; k < again->n; k++)
			if (strcmp(l->of[i].text, again->of[k].text) == 0) {
				l->of[n++] = l->of[i];
				break;
			}
	l->n = n;
	l->more = l->more < again->more ? l->more : again->more;
}

static void tell(struct deep *d, const struct deep_lines *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		uint64_t open = l->of[i].open;

		d->report->open += open;
		d->report->faults += open == 0;
		d->cfg->told(d->cfg->ctx, l->of[i].text, open > 0 ? DEEP_OPEN : DEEP_FAULT);
	}
	d->report->faults += l->more;
}

/* ---- pages ---- */

enum status deep_ask(struct deep *d, struct pg_question *q, uint32_t max, enum pg_deep_table t,
		     PGresult **page, bool *more)
{
	enum status st;

	pg_int8(q, max);
	st = reader_ask(d->reader, d->server, q, page);
	if (st != ST_OK)
		return st;
	d->report->rows[t] += (uint64_t)PQntuples(*page);
	*more = (uint32_t)PQntuples(*page) == max;
	return ST_OK;
}

/* Counts and lines of a try that came to nothing go; so does where it was. */
static enum status look(struct deep *d, deep_page page, struct deep_lines *lines,
			struct deep_cursor *at, bool *more)
{
	const struct pg_deep_report counts = *d->report;
	const struct deep_cursor begin = *at;

	for (;;) {
		enum status st;

		lines->n = 0;
		lines->more = 0;
		d->lines = lines;
		reader_forget(d->reader, 0);
		st = page(d, at, more);
		if ((st != ST_UNAVAILABLE && st != ST_TIMEOUT) || d->tries_left == 0)
			return st;
		d->tries_left--;
		*d->report = counts;
		*at = begin;
		usleep(TRY_MS * 1000);
	}
}

/* Looked at again together with others: one wait for all of them. */
static enum status doubt(struct deep *d, deep_page page, const struct deep_cursor *at)
{
	size_t bytes = offsetof(struct deep_lines, of) + d->first.n * sizeof(d->first.of[0]);
	struct deep_doubt *one = &d->doubts[d->doubts_n];

	*one = (struct deep_doubt){ .page = page, .server = d->server, .lane = d->lane, .at = *at,
				    .lines = malloc(bytes) };
	if (one->lines == NULL)
		return ST_NOMEM;
	memcpy(one->lines, &d->first, bytes);
	d->doubts_n++;
	return ST_OK;
}

static enum status doubts_settle(struct deep *d)
{
	struct pg_deep_report *report = d->report;
	const uint8_t server = d->server, lane = d->lane;
	enum status st = ST_OK;

	if (d->doubts_n > 0)
		usleep(d->cfg->settle_ms * 1000);
	for (uint32_t i = 0; i < d->doubts_n && st == ST_OK; i++) {
		struct deep_doubt *one = &d->doubts[i];
		bool ignored;

		d->server = one->server;
		d->lane = one->lane;
		d->report = &d->ignored;
		st = look(d, one->page, &d->again, &one->at, &ignored);
		d->report = report;
		if (st != ST_OK)
			break;
		keep_both(one->lines, &d->again);
		tell(d, one->lines);
	}
	while (d->doubts_n > 0)
		free(d->doubts[--d->doubts_n].lines);
	d->server = server;
	d->lane = lane;
	return st;
}

static enum status page_run(struct deep *d, deep_page page, struct deep_cursor *at, bool *more)
{
	const struct deep_cursor begin = *at;
	enum status st = look(d, page, &d->first, at, more);

	if (st == ST_OK && d->first.n > 0)
		st = doubt(d, page, &begin);
	if (st == ST_OK && d->doubts_n == DEEP_DOUBTS)
		st = doubts_settle(d);
	if (st != ST_OK)
		return st;
	d->tries_left = TRIES_MAX;
	d->cfg->progress(d->cfg->ctx, d->report);
	return ST_OK;
}

static enum status walk(struct deep *d, deep_page page)
{
	struct deep_cursor at = { 0 };
	bool more = true;
	enum status st = ST_OK;

	while (more && st == ST_OK)
		st = page_run(d, page, &at, &more);
	return st;
}

/* ---- the order ---- */

static enum status rights(struct deep *d)
{
	bool books = true;

	d->report->files = d->report->counters = true;
	for (uint8_t i = 0; i < d->reader->home->servers.n; i++) {
		struct pg_question *q = &d->reader->questions[0];
		PGresult *answer = NULL;
		enum status st;

		pg_question(q, PG_MAY);
		st = reader_ask(d->reader, i, q, &answer);
		if (st != ST_OK)
			return st;
		d->report->files &= pg_number(answer, 0, 0) == 1;
		d->report->counters &= pg_number(answer, 0, 1) == 1;
		books &= pg_number(answer, 0, 2) == 1;
	}
	d->files = d->report->files;
	return books ? ST_OK : ST_DENIED;
}

static enum status lanes_walk(struct deep *d)
{
	static const struct { deep_page page; bool files; } steps[] = {
		{ deep_originals, true }, { deep_results, false },
		{ deep_holdings, true }, { deep_locators, true }, { deep_numbers, false },
		{ deep_voided, false }, { deep_events, false }, { deep_readings, true },
	};
	enum status st = ST_OK;

	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		d->lane = lane;
		d->server = d->reader->home->servers.of_lane[lane];
		for (size_t i = 0; i < ARRAY_LEN(steps) && st == ST_OK; i++)
			if (!steps[i].files || d->files)
				st = walk(d, steps[i].page);
		if (st == ST_OK)
			deep_originals_tell(d);
		d->report->lanes += st == ST_OK;
	}
	return st;
}

static enum status servers_walk(struct deep *d)
{
	enum status st = ST_OK;

	for (uint8_t i = 0; i < d->reader->home->servers.n && st == ST_OK; i++) {
		d->server = i;
		if (d->files)
			st = walk(d, deep_layers);
		if (st == ST_OK && d->report->counters)
			st = walk(d, deep_counters);
	}
	return st == ST_OK ? doubts_settle(d) : st;
}

static enum status failed(const struct deep *d, enum status st, struct error *e)
{
	if (st == ST_DENIED)
		return error_set(e, st, "this user may not read the store's books; an owner has to "
				 "say: GRANT trien_reader TO <user>, or GRANT trien_auditor");
	return error_set(e, st, "postgres, server %u: it does not answer: %s", d->server + 1u,
			 status_name(st));
}

static enum status run(const struct pg_deep_config *cfg, struct postgres *p,
		       struct pg_deep_report *out, struct error *e)
{
	struct deep *d = calloc(1, sizeof(*d));
	enum status st;

	if (d == NULL)
		return error_set(e, ST_NOMEM, "no memory to look at the store");
	d->cfg = cfg;
	d->report = out;
	d->tries_left = TRIES_MAX;
	st = arena_init(&d->scratch, SCRATCH_BYTES);
	if (st == ST_OK)
		st = reader_make(p, PG_CHECKS, &d->reader, e);
	else
		error_set(e, st, "no memory to look at the store");
	if (st == ST_OK) {
		st = rights(d);
		if (st == ST_OK)
			st = lanes_walk(d);
		if (st == ST_OK)
			st = servers_walk(d);
		if (st != ST_OK)
			failed(d, st, e);
		pg_reader_close(d->reader);
	}
	while (d->doubts_n > 0)
		free(d->doubts[--d->doubts_n].lines);
	arena_free(&d->scratch);
	free(d->originals);
	free(d);
	return st;
}

enum status pg_deep_check(const struct pg_deep_config *cfg, struct pg_deep_report *out,
			  struct error *e)
{
	const struct store_config sc = { .postgres = cfg->postgres, .postgres_n = cfg->postgres_n,
					 .citus = cfg->citus, .reader = cfg->reader };
	struct store *store = NULL;
	enum status st = store_postgres_open(&store, &sc, e);

	*out = (struct pg_deep_report){ 0 };
	if (st != ST_OK)
		return st;
	st = run(cfg, (struct postgres *)store, out, e);
	store->ops->close(store);
	return st;
}
