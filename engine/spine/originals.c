#include "spine/originals.h"

#include <stdlib.h>

#include "base/log.h"
#include "spine/inflight.h"
#include "spine/recovery.h"

/* ---- on the way in ---- */

struct objects *originals_taken(const struct spine *s)
{
	if (s->mirror == NULL || strcmp(s->config->store, "postgres") == 0)
		return s->objects;
	log_info("objects", "no certified copies are made: with a mirror and the embedded store an "
		 "original would be on this machine only; store = postgres has both");
	return NULL;
}

enum status originals_fetch(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
			    uint64_t size)
{
	struct spine *s = ctx;
	struct error e = { 0 };
	enum status st = s->store->ops->original_fetch(s->store, lane, sha256, size, &e);

	/* Of what passes whoever tries again tells. */
	if (object_lost(st))
		log_error("objects", "an original is missing or damaged here, and cannot be had "
			  "from the store: %s %s", status_name(st), e.text);
	return st;
}

/* ---- after an end ---- */

void originals_drop(struct spine *s, uint8_t lane, const uint8_t sha256[SHA256_BYTES])
{
	struct error e = { 0 };

	if (s->store->ops->original_drop(s->store, lane, sha256, &e) != ST_OK)
		log_warn("objects", "what nothing names stays in the store until the next start: "
			 "%s", e.text);
}

struct dropped { struct spine *s; uint8_t lane; };

static void gone(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	const struct dropped *d = ctx;

	originals_drop(d->s, d->lane, sha256);
}

/* A row of the waiting room, read into record, whose case lies in a. */
static enum status row_read(struct spine *s, uint64_t sequence, uint8_t *record,
			    struct record_numbered *rec, struct case_view *c, struct arena *a)
{
	uint8_t type;
	size_t n;
	enum status st = waiting_read(s->rows, sequence, &type, record, JOURNAL_RECORD_BYTES_MAX,
				      &n, NULL);

	if (st == ST_OK)
		st = record_numbered_decode(rec, record_numbered_in(type, slice_of(record, n)));
	return st == ST_OK ? case_decode(c, rec->case_bytes, a) : st;
}

void originals_end(struct spine *s, uint8_t lane, uint64_t sequence)
{
	struct dropped d = { s, lane };
	struct record_numbered rec;
	struct case_view c;
	struct arena a;
	uint8_t i, *record = malloc(JOURNAL_RECORD_BYTES_MAX);

	/* What stays now goes at the next start. */
	if (record == NULL || arena_init(&a, 4 * CASE_BYTES_MAX) != ST_OK) {
		free(record);
		return;
	}
	if (row_read(s, sequence, record, &rec, &c, &a) == ST_OK) {
		i = record_result_index(&rec, sequence);
		if (i < rec.results_n && i < c.results_n && c.results[i].original != NULL)
			objects_end(s->objects, c.results[i].original->sha256, sequence, gone, &d);
	}
	arena_free(&a);
	free(record);
}

/* ---- after a crash ---- */

static enum status name_add(struct replay *r, const struct original *o, uint8_t lane,
			    uint64_t sequence)
{
	struct original_name *names = r->originals;

	if (r->originals_n == r->originals_room) {
		size_t room = r->originals_room == 0 ? 64 : 2 * r->originals_room;

		names = realloc(names, room * sizeof(*names));
		if (names == NULL)
			return ST_NOMEM;
		r->originals = names;
		r->originals_room = room;
	}
	names[r->originals_n] = (struct original_name){ .sequence = sequence, .size = o->size,
							.lane = lane };
	memcpy(names[r->originals_n++].sha256, o->sha256, SHA256_BYTES);
	return ST_OK;
}

enum status originals_note(struct replay *r, const struct record_numbered *rec,
			   const struct case_view *c)
{
	enum status st = ST_OK;

	for (uint8_t i = 0; i < c->results_n && i < rec->results_n && st == ST_OK; i++)
		if (c->results[i].original != NULL)
			st = name_add(r, c->results[i].original, rec->results[i].lane,
				      rec->results[i].sequence);
	return st;
}

/* One row of the waiting room. One that cannot be read harms no other; what it names is unknown. */
static enum status row_note(struct replay *r, const struct waiting_row *row, uint8_t *record)
{
	struct record_numbered rec;
	struct case_view c;
	enum status st;

	arena_reset(&r->arena);
	st = row_read(r->s, row->sequence, record, &rec, &c, &r->arena);
	if (st == ST_OK)
		return originals_note(r, &rec, &c);
	if (st == ST_NOMEM)
		return st;
	log_error("waiting", "ALARM: %s %s: its row %llu cannot be read: %s; trien fsck says what "
		  "is damaged, bring it back from a copy and start again", row->unit,
		  row->case_code, (unsigned long long)row->sequence, status_name(st));
	r->originals_lost++;
	return ST_OK;
}

static enum status rows_note(struct replay *r, struct error *e)
{
	uint8_t *record = malloc(JOURNAL_RECORD_BYTES_MAX);
	struct waiting_row row = { 0 };
	uint32_t n = 1;
	enum status st = record != NULL ? ST_OK : ST_NOMEM;

	while (st == ST_OK && n > 0) {
		st = waiting_after(r->s->rows, 0, row.sequence, &row, 1, &n, e);
		if (st == ST_OK && n > 0)
			st = row_note(r, &row, record);
	}
	free(record);
	return st;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct original_name *)a)->sha256,
		      ((const struct original_name *)b)->sha256, SHA256_BYTES);
}

/* All that the journal and the waiting room name, so that they can be looked for. */
static enum status names_gather(struct replay *r, struct error *e)
{
	enum status st = r->originals_whole ? ST_OK : rows_note(r, e);

	if (st != ST_OK || r->originals_whole)
		return st;
	if (r->originals_n > 0)
		qsort(r->originals, r->originals_n, sizeof(*r->originals), by_digest);
	if (r->originals_lost > 0)
		log_warn("objects", "%u rows cannot be read: originals that no other names stay",
			 r->originals_lost);
	r->originals_whole = true;
	return ST_OK;
}

/* The first that names it, and how many do. */
static struct original_name *names_of(const struct replay *r, const uint8_t sha256[SHA256_BYTES],
				      size_t *n)
{
	struct original_name key, *at = NULL, *end = r->originals + r->originals_n;

	memcpy(key.sha256, sha256, SHA256_BYTES);
	*n = 0;
	if (r->originals_n > 0)
		at = bsearch(&key, r->originals, r->originals_n, sizeof(key), by_digest);
	if (at == NULL)
		return NULL;
	while (at > r->originals && by_digest(at - 1, &key) == 0)
		at--;
	while (at + *n < end && by_digest(at + *n, &key) == 0)
		++*n;
	return at;
}

struct sweep { struct replay *r; struct store_reader *reader; bool any; };

static bool is_any(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	((struct sweep *)ctx)->any = true;
	return true;
}

/*
 * Named by what waits or stands in the journal, but for what ended without a result; maybe by a row
 * that cannot be read; by what is stored of them: it is settled now.
 */
static bool is_named(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	struct sweep *w = ctx;
	struct store *store = w->r->s->store;
	size_t n;
	const struct original_name *names = names_of(w->r, sha256, &n);
	bool named = w->r->originals_lost > 0;

	for (size_t i = 0; i < n; i++) {
		struct result_view v;
		struct error e = { 0 };
		bool known = store->ops->get(w->reader, names[i].lane, names[i].sequence, &v) ==
			     ST_OK;

		named |= !known || v.state == STATE_STORED;
		if (!known || v.state != STATE_STORED)
			continue;
		if (store->ops->original_settle(store, sha256, &e) != ST_OK)
			log_error("objects", "%s", e.text);
		break;
	}
	return named;
}

enum status originals_sweep(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct sweep w = { .r = r, .reader = reader };
	uint32_t removed = 0;
	enum status st = objects_sweep(r->s->objects, is_any, &w, &removed, e);

	/* Most of the time nothing waits: the rows need not be read. */
	if (st != ST_OK || !w.any)
		return st;
	st = names_gather(r, e);
	if (st != ST_OK)
		return st;
	st = objects_sweep(r->s->objects, is_named, &w, &removed, e);
	if (removed > 0)
		log_info("objects", "%u originals that no case names were removed", removed);
	return st;
}

/* ---- in a store on servers ---- */

struct claims { struct replay *r; struct error e; enum status status; uint32_t removed; };

/* Neither stored nor ended. One that cannot be looked up is taken for it. */
static bool is_open(struct spine *s, uint64_t sequence)
{
	struct state_change about;
	struct waiting_row row;
	int64_t accepted_ms;
	uint8_t lane;

	return inflight_get(s->inflight, sequence, &about, &lane, &accepted_ms) ||
	       waiting_find(s->rows, sequence, &row, NULL) != ST_NOT_FOUND;
}

static bool is_needed(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES])
{
	struct claims *c = ctx;
	struct original_name *names;
	bool needed = false;
	size_t n;

	/* Most of the time there is none: the rows need not be read. */
	if (c->status == ST_OK)
		c->status = names_gather(c->r, &c->e);
	if (c->status != ST_OK)
		return true;
	names = names_of(c->r, sha256, &n);
	needed = c->r->originals_lost > 0;
	for (size_t i = 0; i < n; i++) {
		if (names[i].lane != lane)
			continue;
		names[i].claimed = true;
		needed |= is_open(c->r->s, names[i].sequence);
	}
	return needed;
}

/* A store that went back in time has lost what this machine still has. */
static enum status unclaimed_keep(struct replay *r, struct error *e)
{
	struct spine *s = r->s;
	enum status st = ST_OK;

	for (size_t i = 0; i < r->originals_n && st == ST_OK; i++) {
		const struct original_name *o = &r->originals[i];

		if (o->claimed || !is_open(s, o->sequence))
			continue;
		st = s->store->ops->original_keep(s->store, o->lane, o->sha256, o->size, e);
		if (object_lost(st))
			st = ST_OK;
	}
	return st;
}

/*
 * What goes on from here, so that an end removes what nothing else names. Rows that were not read
 * name nothing that is here or claimed; what cannot be read may name anything.
 */
static void names_tell(struct replay *r)
{
	struct spine *s = r->s;

	for (size_t i = 0; i < r->originals_n; i++)
		if (is_open(s, r->originals[i].sequence))
			objects_name(s->objects, r->originals[i].sha256, r->originals[i].sequence);
	if (r->originals_lost == 0)
		objects_counted(s->objects);
}

static enum status claims_ask(void *ctx, struct error *e)
{
	struct claims *c = ctx;
	struct store *store = c->r->s->store;
	enum status st = store->ops->originals_sweep(store, is_needed, c, &c->removed, e);

	return st == ST_OK ? unclaimed_keep(c->r, e) : st;
}

enum status originals_meet(struct replay *r, struct error *e)
{
	struct claims c = { .r = r };
	enum status st = wait_for_store(claims_ask, &c, e);

	if (c.status != ST_OK)
		return error_set(e, c.status, "%s", c.e.text);
	if (c.removed > 0)
		log_info("objects", "%u originals that no case names were removed from the store",
			 c.removed);
	if (st == ST_OK)
		names_tell(r);
	if (st == ST_OK || st == ST_UNAVAILABLE || st == ST_TIMEOUT)
		return st;
	/* They stay a while longer: no reason not to begin. */
	log_error("objects", "originals of the store were not looked through: %s", e->text);
	return ST_OK;
}
