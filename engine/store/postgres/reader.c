#include "store/postgres/reader.h"

#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
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
	r->hash = sha256_new();
	for (uint8_t i = 0; i < p->servers.n; i++)
		pg_asking_init(&r->servers[i], &p->servers, i, use);
	if (r->hash == NULL) {
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

static enum status life_row(const PGresult *answer, int row, int column, struct result_view *v)
{
	struct slice record;
	struct result_event ev;

	if (!reader_record(answer, row, column, v->lane, v->sequence, &record) ||
	    stored_event_decode(&ev, record) != ST_OK || ev.sequence != v->sequence)
		return ST_CORRUPT;
	stored_live(v, ev.kind);
	return ST_OK;
}

static void expire(struct result_view *v)
{
	if (v->valid_until != 0 && day_vietnam(io_wall_ms()) > v->valid_until)
		stored_live(v, LIFE_EXPIRED);
}

static void replace(struct result_view *v, const struct result_view *by)
{
	memcpy(v->replaced_by, by->result_id, sizeof(v->replaced_by));
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
		expire(&r->result.view);
	row = lanes_row(answer, LIFE);
	if (st == ST_OK && row >= 0)
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
			replace(&old.view, &r->result.view);
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

/* ---- lists ---- */

/* What a list's rows need, fetched for all of them at once. */
struct listed {
	uint32_t n;
	struct place *of;		/* results, as the holder's rows name them */
	PGresult *holdings, *results[LANES], *lives[LANES];
};

static enum status holdings_ask(struct store_reader *r, const uint8_t key[16], uint64_t before,
				uint32_t max, struct listed *l)
{
	struct pg_question *q = &r->questions[0];
	uint8_t lane = lane_of_key(key);
	enum status st;

	pg_question(q, PG_HOLDINGS);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(key, 16));
	pg_int8(q, before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before);
	pg_int8(q, max);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &l->holdings);
	l->n = st == ST_OK ? (uint32_t)PQntuples(l->holdings) : 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (!lanes_place(&l->of[i], pg_number(l->holdings, (int)i, 1),
			      pg_number(l->holdings, (int)i, 0)))
			return ST_CORRUPT;
	if (l->n > 0)
		st = lanes_ask(r, PG_RESULTS, l->of, l->n, l->results);
	if (l->n > 0 && st == ST_OK)
		st = lanes_ask(r, PG_LIVES, l->of, l->n, l->lives);
	return st;
}

/* The act that added the holder, which has a checksum of its own, says the same. */
static bool link_agrees(const PGresult *lives, int row, const struct stored_result *s,
			const uint8_t key[16], const struct holding_view *h)
{
	const struct result_view *v = &s->view;
	struct holding_link l;
	struct slice record;

	return pg_number(lives, row, 3) == PG_EVENT_LINKED &&
	       (uint64_t)pg_number(lives, row, 0) == v->sequence &&
	       reader_record(lives, row, 1, v->lane, v->sequence, &record) &&
	       stored_link_decode(&l, record) == ST_OK && l.sequence == v->sequence &&
	       memcmp(l.key, key, sizeof(l.key)) == 0 && l.holder.role == h->role &&
	       l.holder.visibility == h->visibility && l.holder.from == h->from &&
	       l.holder.to == h->to;
}

bool reader_holding(const struct stored_result *s, const PGresult *lives, const uint8_t key[16],
		    const struct holding_view *h)
{
	for (uint8_t i = 0; i < s->holdings_n; i++) {
		const struct stored_holding *own = &s->holdings[i];

		if (memcmp(own->key, key, sizeof(own->key)) == 0)
			return own->role == h->role && own->visibility == h->visibility &&
			       own->from == h->from && own->to == h->to;
	}
	for (int i = 0; lives != NULL && i < PQntuples(lives); i++)
		if (link_agrees(lives, i, s, key, h))
			return true;
	return false;
}

/* ST_NOT_FOUND: the result does not stand yet. */
static enum status holding_at(struct store_reader *r, const struct listed *l, uint32_t i,
			      const uint8_t key[16], struct holding_view *out)
{
	const struct place *at = &l->of[i];
	const PGresult *h = l->holdings, *lives = l->lives[at->lane];
	int row = lanes_row(l->results[at->lane], at->sequence);
	enum status st;

	if (row < 0)
		return ST_NOT_FOUND;
	st = reader_row(l->results[at->lane], row, 1, at->lane, at->sequence, &r->result);
	if (st != ST_OK)
		return st;
	*out = (struct holding_view){ .result = r->result.view,
				      .role = (uint8_t)pg_number(h, (int)i, 2),
				      .visibility = (uint8_t)pg_number(h, (int)i, 3),
				      .from = (uint32_t)pg_number(h, (int)i, 4),
				      .to = (uint32_t)pg_number(h, (int)i, 5) };
	out->result.case_bytes = (struct slice){ NULL, 0 };
	if (!reader_holding(&r->result, lives, key, out))
		return ST_CORRUPT;
	expire(&out->result);
	for (int k = 0; k < PQntuples(lives) && st == ST_OK; k++)
		if ((uint64_t)pg_number(lives, k, 0) == at->sequence &&
		    pg_number(lives, k, 3) != PG_EVENT_LINKED)
			st = life_row(lives, k, 1, &out->result);
	return st;
}

/* The newest result that says it replaces this one. */
static int replacer_find(PGresult *const found[LANES], const struct place *old)
{
	const PGresult *answer = found[old->lane];

	for (int i = 0; answer != NULL && i < PQntuples(answer); i++)
		if (slice_eq(pg_column(answer, i, 0), slice_of(old->key, sizeof(old->key))))
			return i;
	return -1;
}

/* What replaces the n results of a list. */
static enum status lists_replaced(struct store_reader *r, struct holding_view *rows, uint32_t n)
{
	struct place *old = calloc(2 * (size_t)n + 1, sizeof(*old)), *by = old + n;
	PGresult *found[LANES], *results[LANES];
	uint32_t *whose = calloc((size_t)n + 1, sizeof(*whose)), by_n = 0;
	enum status st = old != NULL && whose != NULL ? ST_OK : ST_NOMEM;

	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		locator_replaced(old[i].key, rows[i].result.result_id);
		old[i].lane = lane_of_key(old[i].key);
		old[i].sequence = rows[i].result.sequence;
	}
	if (st == ST_OK && n > 0)
		st = lanes_ask(r, PG_REPLACED, old, n, found);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		int row = replacer_find(found, &old[i]);

		if (row < 0)
			continue;
		if (!lanes_place(&by[by_n], pg_number(found[old[i].lane], row, 2),
			      pg_number(found[old[i].lane], row, 1)))
			st = ST_CORRUPT;
		whose[by_n++] = i;
	}
	if (st == ST_OK && by_n > 0)
		st = lanes_ask(r, PG_RESULTS, by, by_n, results);
	for (uint32_t i = 0; i < by_n && st == ST_OK; i++) {
		struct result_view *v = &rows[whose[i]].result;
		int row = lanes_row(results[by[i].lane], by[i].sequence);

		if (row < 0)
			continue;
		st = reader_row(results[by[i].lane], row, 1, by[i].lane, by[i].sequence,
				&r->result);
		if (st == ST_OK && memcmp(r->result.view.replaces, v->result_id, 16) == 0) {
			replace(v, &r->result.view);
			continue;
		}
		/* What replaces it cannot be read: still it is not valid any more. */
		log_error("store", "damaged: result %llu, which replaces another",
			  (unsigned long long)by[i].sequence);
		stored_live(v, LIFE_REPLACED);
		st = ST_OK;
	}
	free(old);
	free(whose);
	return st;
}

enum status pg_list(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
		    uint32_t max, struct holding_view *out, uint32_t *n)
{
	struct listed l = { .of = calloc((size_t)max + 1, sizeof(*l.of)) };
	enum status st = l.of != NULL ? ST_OK : ST_NOMEM;

	reader_forget(r, 0);
	*n = 0;
	while (*n < max && st == ST_OK) {
		st = holdings_ask(r, holder_key, before, max - *n, &l);
		if (st != ST_OK || l.n == 0)
			break;
		for (uint32_t i = 0; i < l.n && st == ST_OK; i++) {
			st = holding_at(r, &l, i, holder_key, &out[*n]);
			*n += st == ST_OK;
			/* One damaged row does not hide a person's other papers. */
			if (st == ST_CORRUPT)
				log_error("store", "damaged: result %llu of a holder's list",
					  (unsigned long long)l.of[i].sequence);
			if (st == ST_CORRUPT || st == ST_NOT_FOUND)
				st = ST_OK;
		}
		before = l.of[l.n - 1].sequence;
		if (before == 0)
			break;
	}
	free(l.of);
	return st == ST_OK ? lists_replaced(r, out, *n) : st;
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
