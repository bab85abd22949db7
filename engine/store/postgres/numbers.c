/* Voided numbers and marks of the book. */
#include <assert.h>

#include "store/postgres/acts_inside.h"
#include "store/postgres/counting.h"
#include "store/rows.h"

enum number_state { NUMBER_ISSUED = 1, NUMBER_VOID, NUMBER_OUTSIDE };

/* ---- voided numbers ---- */

static void number_key(struct pg_question *q, uint8_t lane, const struct void_entry *v)
{
	pg_int2(q, lane);
	pg_bytes(q, v->unit);
	pg_bytes(q, v->register_code);
	pg_int4(q, (int32_t)v->year);
	pg_int8(q, (int64_t)v->number);
}

/* The number is in the book already: as this very act said, or for a result that never came. */
static enum status number_there(struct postgres *p, uint8_t lane, const struct void_entry *v,
				struct slice record, struct error *e)
{
	struct pg_question *q = &p->acts->questions[0];
	const struct result_event about = { .lane = v->lane, .sequence = v->sequence };
	uint8_t room[PG_ARRAY_BYTES + 16];
	struct writer small = writer_of(room, sizeof(room));
	PGresult *out = NULL;
	int64_t state = 0;
	uint32_t rows = 0;
	enum status st;

	pg_question(q, PG_NUMBER);
	number_key(q, lane, v);
	st = acts_ask(p, lane, q, 1, &out);
	if (st == ST_OK && PQntuples(out) == 1 && (uint64_t)pg_number(out, 0, 0) == v->sequence)
		state = pg_number(out, 0, 2);
	PQclear(out);
	if (st != ST_OK)
		return acts_failed(st, e);
	if (state == NUMBER_VOID || state == NUMBER_OUTSIDE)
		return ST_OK;
	if (state == NUMBER_ISSUED && v->sequence != 0)
		st = acts_all_stored(p, &about, 1, v->lane, &small, NULL);
	if (st == ST_NOT_FOUND) {
		pg_question(q, PG_NUMBER_VOID);
		number_key(q, lane, v);
		pg_stamp(q, v->at_ms);
		pg_bytes(q, record);
		st = acts_tell(p, lane, q, &rows);
		if (st == ST_OK && rows == 1)
			return ST_OK;
	}
	if (st != ST_OK)
		return acts_failed(st, e);
	return v->held == REASON_STORE_CONFLICT ? ST_EXISTS :
	       error_set(e, ST_CONFLICT, "number %llu is in the register already",
			 (unsigned long long)v->number);
}

static enum status number_tell(struct postgres *p, const struct void_entry *v, struct slice record,
			       struct error *e)
{
	struct pg_question *q = &p->acts->questions[0];
	uint8_t lane = pg_lane_register(v->unit, v->register_code);
	uint32_t rows;
	enum status st;

	pg_question(q, PG_NUMBER_ADD);
	number_key(q, lane, v);
	pg_int8(q, (int64_t)v->sequence);
	pg_int2(q, v->lane);
	pg_int2(q, v->used_outside ? NUMBER_OUTSIDE : NUMBER_VOID);
	pg_stamp(q, v->at_ms);
	pg_bytes(q, record);
	st = acts_tell(p, lane, q, &rows);
	if (st != ST_OK)
		return acts_failed(st, e);
	return rows == 1 ? ST_OK : number_there(p, lane, v, record, e);
}

/* Counts of an end into the second question; false: there are none. */
static bool void_counts(struct postgres *p, const struct void_entry *v, uint8_t lane,
			uint8_t *buf, size_t room)
{
	struct writer w = writer_of(buf, room);
	struct pg_count counts[2];
	uint32_t n = pg_counts_of_void(counts, v);

	if (n > 0)
		pg_count_question(&p->acts->questions[1], &w, lane, counts, n);
	assert(!w.bad);
	return n > 0;
}

/* The result goes on answering, by id and by case. */
static enum status voided_tell(struct postgres *p, const struct void_entry *v, struct slice record,
			       struct error *e)
{
	struct pg_question *q = &p->acts->questions[0];
	uint8_t key[16], buf[PG_COUNT_BYTES(2)];
	bool counts;
	enum status st;

	pg_question(q, PG_VOIDED_ADD);
	pg_int2(q, v->lane);
	pg_int8(q, (int64_t)v->sequence);
	pg_int4(q, pg_crc(v->lane, v->sequence, (struct slice){ NULL, 0 }, record));
	pg_bytes(q, record);
	counts = void_counts(p, v, v->lane, buf, sizeof(buf));
	st = acts_tell_month(p, v->lane, v->sequence, counts);
	if (st == ST_OK && v->case_code.n > 0) {
		locator_case(key, v->unit, v->case_code);
		pg_question(q, PG_LOCATOR_ADD);
		pg_int2(q, lane_of_key(key));
		pg_bytes(q, slice_of(key, sizeof(key)));
		pg_int8(q, (int64_t)v->sequence);
		pg_int2(q, v->lane);
		st = acts_tell_month(p, lane_of_key(key), v->sequence, false);
	}
	return st == ST_OK ? ST_OK : acts_failed(st, e);
}

/* Counted once the number is known to be this one's; told again, it meets itself. */
static enum status outside_tell(struct postgres *p, const struct void_entry *v, struct error *e)
{
	uint8_t buf[PG_COUNT_BYTES(2)], lane = pg_lane_register(v->unit, v->register_code);
	uint32_t ignored;
	enum status st = ST_OK;

	if (v->number != 0 && v->sequence == 0 && void_counts(p, v, lane, buf, sizeof(buf)))
		st = acts_tell(p, lane, &p->acts->questions[1], &ignored);
	return st == ST_OK ? ST_OK : acts_failed(st, e);
}

static enum status void_tell(struct postgres *p, struct void_entry *v, struct error *e)
{
	struct writer w = writer_of(p->acts->record, sizeof(p->acts->record));
	enum status st = stored_void_encode(v, &w);

	if (st != ST_OK)
		return error_set(e, st, "the words of a voided number are too long");
	st = v->number != 0 ? number_tell(p, v, writer_slice(&w), e) : ST_OK;
	if (st == ST_EXISTS) {
		v->number = 0;
		w = writer_of(p->acts->record, sizeof(p->acts->record));
		st = stored_void_encode(v, &w);
	}
	if (st != ST_OK)
		return st;
	return v->sequence != 0 ? voided_tell(p, v, writer_slice(&w), e) : outside_tell(p, v, e);
}

/* A sequence that is another result's goes out of *v. */
static enum status void_dispute(struct postgres *p, struct void_entry *v, struct error *e)
{
	const struct result_event about = { .lane = v->lane, .sequence = v->sequence };
	uint8_t room[PG_ARRAY_BYTES + 16];
	struct writer small = writer_of(room, sizeof(room));
	bool dispute = v->held == REASON_STORE_CONFLICT || v->number == 0;
	enum status st = !dispute || v->sequence == 0 ? ST_NOT_FOUND :
			 acts_all_stored(p, &about, 1, v->lane, &small, NULL);

	if (st == ST_OK)
		v->sequence = 0;
	return st == ST_OK || st == ST_NOT_FOUND ? ST_OK : acts_failed(st, e);
}

enum status pg_void(struct store *store, const struct void_entry *v, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	struct void_entry left = *v;
	enum status st;

	if (v->unit.n > CODE_BYTES_MAX || v->register_code.n > CODE_BYTES_MAX ||
	    v->case_code.n > CASE_CODE_BYTES_MAX || v->lane >= LANES)
		return error_set(e, ST_INVALID, "unit, register or case code too long");
	pthread_mutex_lock(&p->acts->lock);
	st = void_dispute(p, &left, e);
	if (st == ST_OK)
		st = void_tell(p, &left, e);
	pthread_mutex_unlock(&p->acts->lock);
	return st;
}

/* ---- marks ---- */

static void marks_tell(const PGresult *answer, void (*cb)(void *ctx, const struct register_mark *m),
		       void *ctx)
{
	for (int i = 0; i < PQntuples(answer); i++) {
		struct slice unit = pg_column(answer, i, 0), code = pg_column(answer, i, 1);
		struct register_mark m = { .year = (uint32_t)pg_number(answer, i, 2),
					   .highest = (uint64_t)pg_number(answer, i, 3) };

		if (unit.n > CODE_BYTES_MAX || code.n > CODE_BYTES_MAX)
			continue;
		memcpy(m.unit, unit.p, unit.n);
		memcpy(m.code, code.p, code.n);
		cb(ctx, &m);
	}
}

enum status pg_marks(struct store *store, void (*cb)(void *ctx, const struct register_mark *m),
		     void *ctx, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	enum status st = ST_OK;

	pthread_mutex_lock(&p->acts->lock);
	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		struct pg_question *q = &p->acts->questions[0];
		PGresult *out = NULL;

		pg_question(q, PG_MARKS);
		pg_int2(q, lane);
		st = acts_ask(p, lane, q, 1, &out);
		if (st == ST_OK)
			marks_tell(out, cb, ctx);
		PQclear(out);
	}
	pthread_mutex_unlock(&p->acts->lock);
	return st == ST_OK ? ST_OK : acts_failed(st, e);
}
