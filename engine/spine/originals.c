#include "spine/originals.h"

#include <stdlib.h>

#include "base/log.h"
#include "spine/spine.h"

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
	names[r->originals_n] = (struct original_name){ .sequence = sequence, .lane = lane };
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

/* One row of the waiting room. */
static enum status row_note(struct replay *r, const struct waiting_row *row, uint8_t *record,
			    struct error *e)
{
	struct record_numbered rec;
	struct case_view c;
	uint8_t type;
	size_t n;
	enum status st = waiting_read(r->s->rows, row->sequence, &type, record,
				      JOURNAL_RECORD_BYTES_MAX, &n, e);

	arena_reset(&r->arena);
	if (st == ST_OK)
		st = record_numbered_decode(&rec, record_numbered_in(type, slice_of(record, n)));
	if (st == ST_OK)
		st = case_decode(&c, rec.case_bytes, &r->arena);
	if (st == ST_OK)
		return originals_note(r, &rec, &c);
	return error_set(e, st, "the waiting room's row %llu cannot be read; run fsck",
			 (unsigned long long)row->sequence);
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
			st = row_note(r, &row, record, e);
	}
	free(record);
	return st;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct original_name *)a)->sha256,
		      ((const struct original_name *)b)->sha256, SHA256_BYTES);
}

struct sweep { struct replay *r; struct store_reader *reader; bool any; };

static bool is_any(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	((struct sweep *)ctx)->any = true;
	return true;
}

/* Named by what waits or stands in the journal; by what is stored of them: it is settled now. */
static bool is_named(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	struct sweep *w = ctx;
	struct replay *r = w->r;
	struct original_name key, *at, *end = r->originals + r->originals_n;
	struct store *store = r->s->store;

	memcpy(key.sha256, sha256, SHA256_BYTES);
	at = r->originals_n == 0 ? NULL :
	     bsearch(&key, r->originals, r->originals_n, sizeof(key), by_digest);
	if (at == NULL)
		return false;
	while (at > r->originals && by_digest(at - 1, &key) == 0)
		at--;
	for (; at < end && by_digest(at, &key) == 0; at++) {
		struct result_view v;
		struct error e = { 0 };

		if (store->ops->get(w->reader, at->lane, at->sequence, &v) != ST_OK ||
		    v.state != STATE_STORED)
			continue;
		if (store->ops->original_settle(store, sha256, &e) != ST_OK)
			log_error("objects", "%s", e.text);
		break;
	}
	return true;
}

enum status originals_sweep(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct sweep w = { .r = r, .reader = reader };
	uint32_t removed = 0;
	enum status st = objects_sweep(r->s->objects, is_any, &w, &removed, e);

	/* Most of the time nothing waits: the rows need not be read. */
	if (st != ST_OK || !w.any)
		return st;
	st = rows_note(r, e);
	if (st != ST_OK)
		return st;
	if (r->originals_n > 0)
		qsort(r->originals, r->originals_n, sizeof(*r->originals), by_digest);
	st = objects_sweep(r->s->objects, is_named, &w, &removed, e);
	if (removed > 0)
		log_info("objects", "%u originals that no case names were removed", removed);
	return st;
}
