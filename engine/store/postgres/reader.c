#include "store/postgres/reader.h"

#include <stdlib.h>

#include "base/calendar.h"
#include "io/io.h"
#include "store/postgres/lanes.h"
#include "store/rows.h"

/* ---- opening, asking ---- */

enum status reader_make(struct postgres *p, enum pg_use use, struct store_reader **out,
		       struct error *e)
{
	struct store_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return error_set(e, ST_NOMEM, "no memory for a reader");
	r->home = p;
	opened_init(&r->files);
	r->hash = sha256_new();
	r->piece = malloc(OBJECT_PIECE_BYTES);
	for (uint8_t i = 0; i < p->servers.n; i++)
		pg_asking_init(&r->servers[i], &p->servers, i, use);
	if (r->hash == NULL || r->piece == NULL) {
		sha256_free(r->hash);
		free(r->piece);
		free(r);
		return error_set(e, ST_NOMEM, "no memory for a reader");
	}
	*out = r;
	return ST_OK;
}

enum status pg_reader_open(struct store *store, struct store_reader **r, struct error *e)
{
	return reader_make((struct postgres *)store, PG_READS, r, e);
}

void pg_reader_close(struct store_reader *r)
{
	if (r == NULL)
		return;
	reader_forget(r, 0);
	for (uint8_t i = 0; i < r->home->servers.n; i++)
		pg_asking_close(&r->servers[i]);
	opened_free(&r->files);
	sha256_free(r->hash);
	free(r->piece);
	free(r->kept);
	free(r);
}

void reader_forget(struct store_reader *r, uint32_t kept)
{
	while (r->kept_n > kept)
		PQclear(r->kept[--r->kept_n]);
}

enum status reader_ask_all(struct store_reader *r, uint8_t server, const struct pg_question *q,
			   uint32_t n, PGresult **out)
{
	enum status st;

	if (r->kept_n + n > r->kept_room) {
		uint32_t room = 2 * (r->kept_n + n);
		PGresult **bigger = realloc(r->kept, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		r->kept = bigger;
		r->kept_room = room;
	}
	st = pg_ask(&r->servers[server], q, n, out);
	if (st != ST_OK)
		return st;
	memcpy(r->kept + r->kept_n, out, n * sizeof(*out));
	r->kept_n += n;
	return ST_OK;
}

enum status reader_ask(struct store_reader *r, uint8_t server, const struct pg_question *q,
		       PGresult **out)
{
	return reader_ask_all(r, server, q, 1, out);
}

/* ---- one result ---- */

enum status reader_row(const PGresult *answer, int row, int column, uint8_t lane, uint64_t sequence,
		       struct stored_result *out)
{
	struct slice layers = pg_column(answer, row, column);
	struct slice record = pg_column(answer, row, column + 1);

	if (pg_number(answer, row, column + 2) != pg_crc(lane, sequence, layers, record) ||
	    stored_result_decode(out, stored_version(STORED_RESULT), record) != ST_OK ||
	    out->view.lane != lane || out->view.sequence != sequence)
		return ST_CORRUPT;
	return ST_OK;
}

bool reader_record(const PGresult *answer, int row, int column, uint8_t lane, uint64_t sequence,
		   struct slice *record)
{
	*record = pg_column(answer, row, column);
	return pg_number(answer, row, column + 1) ==
	       pg_crc(lane, sequence, (struct slice){ NULL, 0 }, *record);
}

static enum status void_row(const PGresult *answer, int row, uint8_t lane, uint64_t sequence,
			    struct result_view *out)
{
	struct slice record;
	struct void_entry v;

	if (!reader_record(answer, row, 2, lane, sequence, &record) ||
	    stored_void_decode(&v, stored_version(STORED_VOID), record) != ST_OK ||
	    v.lane != lane || v.sequence != sequence)
		return ST_CORRUPT;
	stored_void_view(&v, out);
	return ST_OK;
}

enum status reader_event(const PGresult *answer, int row, int column, uint8_t lane,
			 uint64_t sequence, struct result_event *ev)
{
	struct slice record;

	if (!reader_record(answer, row, column, lane, sequence, &record) ||
	    stored_event_decode(ev, record) != ST_OK || ev->sequence != sequence)
		return ST_CORRUPT;
	return ST_OK;
}

static enum status life_row(const PGresult *answer, int row, int column, struct result_view *v)
{
	struct result_event ev;
	enum status st = reader_event(answer, row, column, v->lane, v->sequence, &ev);

	return st == ST_OK ? stored_event_live(v, &ev) : st;
}

void reader_expire(struct result_view *v)
{
	if (v->valid_until != 0 && day_vietnam(io_wall_ms()) > v->valid_until)
		stored_live(v, LIFE_EXPIRED);
}

void reader_replace(struct result_view *v, const struct result_view *by)
{
	memcpy(v->replaced_by, by->result_id, sizeof(v->replaced_by));
	v->replaced_ms = by->stored_ms;
	stored_live(v, LIFE_REPLACED);
}

static enum status get_ask(struct store_reader *r, uint8_t lane, uint64_t sequence, PGresult **out)
{
	struct pg_question *q = &r->questions[0];

	if (lane >= LANES)
		return ST_CORRUPT;
	pg_question(q, PG_GET);
	pg_int2(q, lane);
	pg_int8(q, (int64_t)sequence);
	return reader_ask(r, r->home->servers.of_lane[lane], q, out);
}

/*
 * What is known of a sequence, in r->result, with what stands beside it: a stored result with the
 * changes of its life, or a voided one. ST_NOT_FOUND, ST_CORRUPT.
 */
static enum status known(struct store_reader *r, uint8_t lane, uint64_t sequence)
{
	enum { RESULT = 1, VOIDED, LIFE };
	PGresult *answer = NULL;
	enum status st = get_ask(r, lane, sequence, &answer);
	int row;

	if (st != ST_OK)
		return st;
	row = lanes_row(answer, RESULT);
	if (row < 0) {
		row = lanes_row(answer, VOIDED);
		r->result = (struct stored_result){ 0 };
		return row < 0 ? ST_NOT_FOUND :
		       void_row(answer, row, lane, sequence, &r->result.view);
	}
	st = reader_row(answer, row, 1, lane, sequence, &r->result);
	if (st == ST_OK)
		reader_expire(&r->result.view);
	for (row = 0; row < PQntuples(answer) && st == ST_OK; row++)
		if (pg_number(answer, row, 0) == LIFE)
			st = life_row(answer, row, 2, &r->result.view);
	return st;
}

static enum status locate(struct store_reader *r, const uint8_t key[16], uint32_t max,
			  PGresult **out)
{
	struct pg_question *q = &r->questions[0];
	uint8_t lane = lane_of_key(key);

	pg_question(q, PG_LOCATE);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(key, 16));
	pg_int8(q, max);
	return reader_ask(r, r->home->servers.of_lane[lane], q, out);
}

/* Whatever replaces r->result. A locator can stand before its result does, on another server. */
static enum status replaced_by(struct store_reader *r)
{
	struct stored_result old = r->result;
	struct place at = { .sequence = old.view.sequence }, by;
	PGresult *found[LANES];
	enum status st;

	locator_replaced(at.key, old.view.result_id);
	at.lane = lane_of_key(at.key);
	st = lanes_ask(r, PG_REPLACED, &at, 1, found);
	if (st == ST_OK && PQntuples(found[at.lane]) == 0)
		return ST_OK;
	if (st == ST_OK && !lanes_place(&by, pg_number(found[at.lane], 0, 2),
				     pg_number(found[at.lane], 0, 1)))
		st = ST_CORRUPT;
	if (st == ST_OK)
		st = known(r, by.lane, by.sequence);
	if (st == ST_OK && r->result.view.state == STATE_STORED) {
		if (memcmp(r->result.view.replaces, old.view.result_id, 16) == 0)
			reader_replace(&old.view, &r->result.view);
		else
			st = ST_CORRUPT;
	}
	r->result = old;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status pg_get(struct store_reader *r, uint8_t lane, uint64_t sequence, struct result_view *out)
{
	enum status st;

	reader_forget(r, 0);
	st = known(r, lane, sequence);
	if (st == ST_OK && r->result.view.state == STATE_STORED)
		st = replaced_by(r);
	if (st == ST_OK)
		*out = r->result.view;
	return st;
}

/* ---- what happened to it ---- */

/* Into a list by time, of at most max; the newest falls off. */
static void history_keep(struct result_event *out, uint32_t *n, uint32_t max,
			 const struct result_event *ev)
{
	uint32_t at = *n;

	while (at > 0 && out[at - 1].at_ms > ev->at_ms)
		at--;
	if (at == max)
		return;
	*n += *n < max;
	memmove(&out[at + 1], &out[at], (*n - at - 1) * sizeof(*out));
	out[at] = *ev;
}

static enum status link_row(const PGresult *answer, int row, uint8_t lane, uint64_t sequence,
			    struct result_event *out)
{
	struct slice record;

	if (!reader_record(answer, row, 1, lane, sequence, &record) ||
	    stored_link_event(out, record) != ST_OK)
		return ST_CORRUPT;
	return out->lane == lane && out->sequence == sequence ? ST_OK : ST_CORRUPT;
}

enum status pg_history(struct store_reader *r, uint8_t lane, uint64_t sequence, uint32_t max,
		       struct result_event *out, uint32_t *n)
{
	struct place at = { .lane = lane, .sequence = sequence };
	PGresult *lives[LANES], *answer;
	enum status st;

	*n = 0;
	reader_forget(r, 0);
	st = known(r, lane, sequence);
	if (st != ST_OK || r->result.view.state != STATE_STORED)
		return st == ST_OK ? ST_NOT_FOUND : st;
	st = lanes_ask(r, PG_LIVES, &at, 1, lives);
	answer = st == ST_OK ? lives[lane] : NULL;
	for (int row = 0; answer != NULL && row < PQntuples(answer); row++) {
		struct result_event ev;

		st = pg_number(answer, row, 3) == PG_EVENT_LINKED ?
			     link_row(answer, row, lane, sequence, &ev) :
			     reader_event(answer, row, 1, lane, sequence, &ev);
		if (st != ST_OK)
			return st;
		history_keep(out, n, max, &ev);
	}
	return st;
}

/* ---- its shares ---- */

enum status pg_shares(struct store_reader *r, uint8_t lane, uint64_t sequence,
		      void (*one)(void *ctx, const struct result_event *v), void *ctx)
{
	struct pg_question *q = &r->questions[0];
	PGresult *answer = NULL;
	enum status st;

	reader_forget(r, 0);
	st = known(r, lane, sequence);
	if (st != ST_OK || r->result.view.state != STATE_STORED)
		return st == ST_OK ? ST_NOT_FOUND : st;
	pg_question(q, PG_SHARES);
	pg_int2(q, lane);
	pg_int8(q, (int64_t)sequence);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &answer);
	for (int row = 0; st == ST_OK && row < PQntuples(answer); row++) {
		struct result_event ev;

		st = reader_event(answer, row, 0, lane, sequence, &ev);
		if (st == ST_OK)
			one(ctx, &ev);
	}
	return st;
}

/* ---- locators ---- */

enum status pg_find_case(struct store_reader *r, struct slice unit, struct slice code, uint32_t max,
			 uint8_t *lanes, uint64_t *sequences, uint32_t *n)
{
	const struct result_view *v = &r->result.view;
	PGresult *answer = NULL;
	uint8_t key[16];
	enum status st;

	*n = 0;
	reader_forget(r, 0);
	if (unit.n > CODE_BYTES_MAX || code.n > CASE_CODE_BYTES_MAX)
		return ST_NOT_FOUND;
	locator_case(key, unit, code);
	st = locate(r, key, max, &answer);
	for (int i = 0; st == ST_OK && i < PQntuples(answer); i++) {
		struct place at;

		if (!lanes_place(&at, pg_number(answer, i, 1), pg_number(answer, i, 0)))
			return ST_CORRUPT;
		st = known(r, at.lane, at.sequence);
		if (st == ST_NOT_FOUND) {
			st = ST_OK;
			continue;
		}
		if (st == ST_OK && (!slice_eq(v->unit, unit) || !slice_eq(v->case_code, code)))
			st = ST_CORRUPT;
		if (st != ST_OK)
			break;
		lanes[*n] = at.lane;
		sequences[(*n)++] = at.sequence;
	}
	return st == ST_OK && *n == 0 ? ST_NOT_FOUND : st;
}

enum status pg_find_number(struct store_reader *r, struct slice unit, struct slice register_code,
			   uint32_t year, uint64_t number, uint8_t *lane, uint64_t *sequence)
{
	enum { ISSUED = 1 };
	const struct result_view *v = &r->result.view;
	struct pg_question *q = &r->questions[0];
	PGresult *answer = NULL;
	struct place at;
	uint8_t own;
	enum status st;

	reader_forget(r, 0);
	if (unit.n > CODE_BYTES_MAX || register_code.n > CODE_BYTES_MAX || year > INT32_MAX ||
	    number > INT64_MAX)
		return ST_NOT_FOUND;
	own = pg_lane_register(unit, register_code);
	pg_question(q, PG_NUMBER);
	pg_int2(q, own);
	pg_bytes(q, unit);
	pg_bytes(q, register_code);
	pg_int4(q, (int32_t)year);
	pg_int8(q, (int64_t)number);
	st = reader_ask(r, r->home->servers.of_lane[own], q, &answer);
	if (st != ST_OK)
		return st;
	if (PQntuples(answer) == 0 || pg_number(answer, 0, 2) != ISSUED)
		return ST_NOT_FOUND;
	if (!lanes_place(&at, pg_number(answer, 0, 1), pg_number(answer, 0, 0)))
		return ST_CORRUPT;
	/* A number stands in the book before its result stands. */
	st = known(r, at.lane, at.sequence);
	if (st == ST_OK && v->state != STATE_STORED)
		return ST_NOT_FOUND;
	if (st == ST_OK && (v->number != number || v->register_year != year ||
			    !slice_eq(v->unit, unit) ||
			    !slice_eq(v->register_code, register_code)))
		return ST_CORRUPT;
	*lane = at.lane;
	*sequence = at.sequence;
	return st;
}

/* ---- all of them ---- */

enum status pg_names(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
		     uint32_t max, struct result_name *out, uint32_t *n)
{
	struct pg_question *q = &r->questions[0];
	PGresult *answer = NULL;
	enum status st;

	reader_forget(r, 0);
	*n = 0;
	pg_question(q, PG_WALK_RESULTS);
	pg_int2(q, lane);
	pg_int8(q, (int64_t)after);
	pg_int8(q, (int64_t)max);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &answer);
	for (int i = 0; st == ST_OK && i < PQntuples(answer) && *n < max; i++) {
		uint64_t sequence = (uint64_t)pg_number(answer, i, 0);

		if (sequence > upto)
			break;
		out[(*n)++] = (struct result_name){ .sequence = sequence, .lane = lane };
	}
	return st;
}

void pg_unchecked(struct store_reader *r)
{
	r->unchecked = true;
}
