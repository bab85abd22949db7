/* A case with all its results, whichever agencies they are of. */
#include <stdlib.h>

#include "spine/reads.h"

#define ARENA_BYTES (4 * CASE_BYTES_MAX)	/* what a decoded case needs beside its bytes */

struct whole {
	struct reads *r;
	struct slice code;
	uint32_t units_n;
	char units[CASE_RESULTS_MAX][CODE_BYTES_MAX + 1];
};

static void unit_add(struct whole *w, struct slice unit)
{
	for (uint32_t i = 0; i < w->units_n; i++)
		if (slice_eq(slice_str(w->units[i]), unit))
			return;
	if (w->units_n < CASE_RESULTS_MAX && unit.n <= CODE_BYTES_MAX) {
		memcpy(w->units[w->units_n], unit.p, unit.n);
		w->units[w->units_n++][unit.n] = '\0';
	}
}

/* Every stored result has the whole case with it. */
static enum status units_of(struct whole *w, struct slice case_bytes)
{
	struct case_view c;
	struct arena a;
	enum status st = arena_init(&a, ARENA_BYTES);

	if (st != ST_OK)
		return st;
	st = case_decode(&c, case_bytes, &a);
	for (uint8_t i = 0; st == ST_OK && i < c.results_n; i++)
		unit_add(w, c.results[i].unit);
	arena_free(&a);
	return st;
}

/* The result of a sequence, wherever it is. */
static enum status result_at(struct reads *r, uint8_t lane, uint64_t sequence,
			     struct result_view *out)
{
	int64_t accepted_ms;
	enum status st = ST_NOT_FOUND;

	if (sequence > INT64_MAX)
		return ST_NOT_FOUND;
	if (inflight_get(r->spine->inflight, sequence, &r->now, &lane, &accepted_ms) &&
	    r->now.state != STATE_STORED) {
		reads_in_flight(r, out, lane, sequence, accepted_ms);
		return ST_OK;
	}
	if (reads_anything_waits(r))
		st = waiting_find(r->rows, sequence, &r->row, NULL);
	if (st == ST_OK)
		reads_waiting(r, out);
	return st == ST_NOT_FOUND ? r->spine->store->ops->get(r->store, lane, sequence, out) : st;
}

/* Its record in the waiting room has the whole case, too. ST_NOT_FOUND: it has none. */
static enum status waiting_case_bytes(struct reads *r, uint64_t sequence, struct slice *out)
{
	struct record_numbered rec;
	uint8_t type;
	size_t n;
	enum status st;

	if (sequence > INT64_MAX || !reads_anything_waits(r))
		return ST_NOT_FOUND;
	st = reads_record_room(r);
	if (st == ST_OK)
		st = waiting_read(r->rows, sequence, &type, r->record, JOURNAL_RECORD_BYTES_MAX,
				  &n, NULL);
	if (st == ST_OK)
		st = record_numbered_decode(&rec, record_numbered_in(type,
							      slice_of(r->record, n)));
	if (st == ST_OK)
		*out = rec.case_bytes;
	return st;
}

static enum status waiting_units(struct whole *w, uint64_t sequence)
{
	struct slice bytes;
	enum status st = waiting_case_bytes(w->r, sequence, &bytes);

	return st == ST_OK ? units_of(w, bytes) : st;
}

enum status reads_case_of(void *reader, const uint8_t result_id[16], struct slice *out)
{
	struct reads *r = reader;
	struct result_view v;
	uint64_t sequence;
	uint8_t lane;
	enum status st;

	if (!identity_read(r->identity, result_id, &lane, &sequence) || sequence > INT64_MAX)
		return ST_NOT_FOUND;
	st = waiting_case_bytes(r, sequence, out);
	if (st != ST_NOT_FOUND)
		return st;
	st = r->spine->store->ops->get(r->store, lane, sequence, &v);
	if (st == ST_OK && v.case_bytes.n == 0)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		*out = v.case_bytes;
	return st;
}

/* As long as all that is known of it flies: where the others are. */
static enum status flying_units(struct whole *w, const struct state_change *one, uint64_t sequence)
{
	struct result_view v;
	enum status st = ST_OK;

	for (uint8_t i = 0; i < one->case_n && (st == ST_OK || st == ST_NOT_FOUND); i++) {
		st = result_at(w->r, one->case_lanes[i], sequence - one->case_at + i, &v);
		if (st == ST_OK && slice_eq(v.case_code, w->code))
			unit_add(w, v.unit);
	}
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/*
 * What ended without being issued does not say what else its case had: results of one case were
 * accepted at one moment, and got one sequence after the other, in one lane unless their holder has
 * no number.
 */
static enum status neighbours(struct whole *w, const struct result_view *ended)
{
	uint64_t sequence = ended->sequence;
	int64_t accepted_ms = ended->accepted_ms;
	uint8_t lane = ended->lane;
	enum status st = ST_OK;

	for (uint64_t at = sequence - CASE_RESULTS_MAX + 1; at < sequence + CASE_RESULTS_MAX;
	     at++) {
		struct result_view v;

		st = at == sequence ? ST_NOT_FOUND : result_at(w->r, lane, at, &v);
		if (st != ST_OK && st != ST_NOT_FOUND)
			return st;
		if (st == ST_OK && v.accepted_ms == accepted_ms && slice_eq(v.case_code, w->code))
			unit_add(w, v.unit);
	}
	return ST_OK;
}

/* One of a known state; ST_NOT_FOUND: it does not say more than that. */
static enum status known_units(struct whole *w, const struct state_change *one, bool ended)
{
	struct reads *r = w->r;
	struct result_view v;
	uint64_t sequence;
	uint8_t lane;
	enum status st;

	if (!identity_read(r->identity, one->result_id, &lane, &sequence))
		return ST_NOT_FOUND;
	if (!state_is_end(one->state)) {
		st = ended ? ST_NOT_FOUND : waiting_units(w, sequence);
		return st == ST_NOT_FOUND && one->case_n > 0 ? flying_units(w, one, sequence) : st;
	}
	if ((one->state == STATE_STORED) == ended)
		return ST_NOT_FOUND;
	st = r->spine->store->ops->get(r->store, lane, sequence, &v);
	if (st != ST_OK)
		return st;
	if (ended)
		return neighbours(w, &v);
	return v.case_bytes.n > 0 ? units_of(w, v.case_bytes) : ST_NOT_FOUND;
}

/* Whichever of them says it. */
static enum status units_find(struct whole *w, const struct state_change *known, uint32_t n)
{
	enum status st = ST_NOT_FOUND;

	for (uint32_t i = 0; i < n && st == ST_NOT_FOUND; i++)
		st = known_units(w, &known[i], false);
	for (uint32_t i = 0; i < n && st == ST_NOT_FOUND; i++)
		st = known_units(w, &known[i], true);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status reads_whole_case(void *reader, struct slice unit, struct slice code, uint32_t max,
			     struct state_change *out, uint32_t *n)
{
	struct whole w = { .r = reader, .code = code };
	enum status st;

	unit_add(&w, unit);
	st = reads_case(reader, unit, code, max, out, n);
	if (st == ST_OK)
		st = units_find(&w, out, *n);
	for (uint32_t i = 1; i < w.units_n && st == ST_OK && *n < max; i++) {
		uint32_t more = 0;

		st = reads_case(reader, slice_str(w.units[i]), code, max - *n, out + *n, &more);
		st = st == ST_NOT_FOUND ? ST_OK : st;
		*n += more;
	}
	return st;
}
