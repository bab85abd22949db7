/* Links, events, voided numbers and marks: few, one at a time, on connections of their own. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "identity.h"
#include "store/postgres/asking.h"
#include "store/postgres/postgres.h"
#include "store/rows.h"

#define ACT_BYTES_MAX (4 * UINT16_MAX + 4096)	/* longer than any record of an act */
#define DAY_MS 86400000LL
#define DAYS_2000 10957				/* of 2000-01-01, from 1970 */

enum number_state { NUMBER_ISSUED = 1, NUMBER_VOID, NUMBER_OUTSIDE };

struct pg_acts {
	pthread_mutex_t lock;
	struct pg_asking servers[PG_SERVERS_MAX];
	struct pg_question question;
	uint8_t record[ACT_BYTES_MAX];
};

enum status pg_acts_open(struct postgres *p, struct error *e)
{
	p->acts = calloc(1, sizeof(*p->acts));
	if (p->acts == NULL)
		return error_set(e, ST_NOMEM, "no memory for the store's acts");
	pthread_mutex_init(&p->acts->lock, NULL);
	for (uint8_t i = 0; i < p->servers.n; i++)
		pg_asking_init(&p->acts->servers[i], &p->servers, i, PG_ACTS);
	return ST_OK;
}

void pg_acts_close(struct postgres *p)
{
	if (p->acts == NULL)
		return;
	for (uint8_t i = 0; i < p->servers.n; i++)
		pg_asking_close(&p->acts->servers[i]);
	pthread_mutex_destroy(&p->acts->lock);
	free(p->acts);
	p->acts = NULL;
}

struct pg_asking *pg_acts_lend(struct postgres *p, uint8_t server)
{
	pthread_mutex_lock(&p->acts->lock);
	return &p->acts->servers[server];
}

void pg_acts_give_back(struct postgres *p)
{
	pthread_mutex_unlock(&p->acts->lock);
}

/* ---- asking ---- */

static enum status failed(enum status st, struct error *e)
{
	return st == ST_UNAVAILABLE || st == ST_TIMEOUT ?
	       error_set(e, st, "the store is away") :
	       error_set(e, st, "the store refused what it was asked: %s", status_name(st));
}

static enum status ask(struct postgres *p, uint8_t lane, const struct pg_question *q, uint32_t n,
		       PGresult **out)
{
	return pg_ask(&p->acts->servers[p->servers.of_lane[lane]], q, n, out);
}

/* One statement whose rows do not matter; *rows: how many it changed. */
static enum status tell(struct postgres *p, uint8_t lane, const struct pg_question *q,
			uint32_t *rows)
{
	PGresult *out = NULL;
	enum status st = ask(p, lane, q, 1, &out);

	*rows = st == ST_OK ? (uint32_t)strtoul(PQcmdTuples(out), NULL, 10) : 0;
	PQclear(out);
	return st;
}

/* The same for a row of a sequence: its month is made where it is missing. */
static enum status tell_month(struct postgres *p, uint8_t lane, uint64_t sequence,
			      const struct pg_question *q, uint32_t *rows)
{
	enum status st = tell(p, lane, q, rows);
	struct pg_question month;
	uint32_t ignored;

	if (st != ST_NOT_FOUND)
		return st;
	pg_question(&month, PG_MONTHS);
	pg_int4(&month, (int32_t)(sequence_ms(sequence) / DAY_MS - DAYS_2000));
	pg_int4(&month, 1);
	st = tell(p, lane, &month, &ignored);
	return st == ST_OK ? tell(p, lane, q, rows) : st;
}

/* ---- links ---- */

/* ST_OK: that holder has it already; ST_NOT_FOUND: not yet. */
static enum status holding_known(struct postgres *p, const struct holding_link *l)
{
	struct pg_question *q = &p->acts->question;
	PGresult *out = NULL;
	uint8_t lane = lane_of_key(l->key);
	enum status st;
	bool known;

	pg_question(q, PG_HOLDINGS);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(l->key, sizeof(l->key)));
	pg_int8(q, (int64_t)l->sequence + 1);
	pg_int8(q, 1);
	st = ask(p, lane, q, 1, &out);
	known = st == ST_OK && PQntuples(out) == 1 &&
		(uint64_t)pg_number(out, 0, 0) == l->sequence;
	PQclear(out);
	return st != ST_OK || known ? st : ST_NOT_FOUND;
}

/* Which of the results are stored: all of them or ST_NOT_FOUND. */
static enum status all_stored(struct postgres *p, const struct result_event *v, uint32_t n,
			      uint8_t lane, struct writer *w)
{
	struct pg_question *q = &p->acts->question;
	struct pg_array a = pg_array(w, PG_INT8);
	PGresult *out = NULL;
	enum status st;

	for (uint32_t i = 0; i < n; i++)
		if (v[i].lane == lane)
			pg_array_int8(&a, (int64_t)v[i].sequence);
	pg_question(q, PG_STORED);
	pg_int2(q, lane);
	pg_bytes(q, pg_array_end(&a));
	st = ask(p, lane, q, 1, &out);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		bool found = v[i].lane != lane;

		for (int k = 0; k < PQntuples(out) && !found; k++)
			found = (uint64_t)pg_number(out, k, 0) == v[i].sequence;
		if (!found)
			st = ST_NOT_FOUND;
	}
	PQclear(out);
	return st;
}

/* Part of an event's key: the same for the same words. */
static int64_t n_of(uint8_t kind, int64_t at_ms, struct slice what)
{
	uint8_t head[9], digest[SHA256_BYTES];
	struct writer w = writer_of(head, sizeof(head));
	struct sha256 *h = sha256_new();
	struct reader r = reader_of(slice_of(digest, sizeof(digest)));

	if (h == NULL)
		return -1;
	write_u8(&w, kind);
	write_u64(&w, (uint64_t)at_ms);
	sha256_start(h);
	sha256_add(h, head, sizeof(head));
	sha256_add(h, what.p, what.n);
	sha256_end(h, digest);
	sha256_free(h);
	return (int64_t)(read_u64(&r) & INT64_MAX);
}

/* A row to be written into `event`. */
struct event_row { uint64_t sequence; int64_t n, at_ms; uint8_t kind; struct slice record; };

static void events_question(struct pg_question *q, struct writer *w, uint8_t lane,
			    const struct event_row *rows, uint32_t n)
{
	static const enum pg_type types[] = { PG_INT8, PG_INT8, PG_INT2, PG_TIME, PG_INT4,
					      PG_BYTEA };

	pg_question(q, PG_EVENTS_ADD);
	pg_int2(q, lane);
	for (size_t column = 0; column < ARRAY_LEN(types); column++) {
		struct pg_array a = pg_array(w, types[column]);

		for (uint32_t i = 0; i < n; i++) {
			const struct event_row *row = &rows[i];

			switch (column) {
			case 0: pg_array_int8(&a, (int64_t)row->sequence); break;
			case 1: pg_array_int8(&a, row->n); break;
			case 2: pg_array_int2(&a, row->kind); break;
			case 3: pg_array_stamp(&a, row->at_ms); break;
			case 4: pg_array_int4(&a, pg_crc(lane, row->sequence,
							 (struct slice){ NULL, 0 },
							 row->record)); break;
			default: pg_array_bytes(&a, row->record);
			}
		}
		pg_bytes(q, pg_array_end(&a));
	}
}

static size_t events_room(uint32_t n, size_t record_bytes)
{
	return 6 * PG_ARRAY_BYTES + (size_t)n * (6 * 4 + 8 + 8 + 2 + 8 + 4) + record_bytes;
}

static enum status event_tell(struct postgres *p, uint8_t lane, const struct event_row *row)
{
	size_t room = events_room(1, row->record.n);
	uint8_t *buf = malloc(room);
	struct writer w = writer_of(buf, room);
	uint32_t ignored;
	enum status st = ST_NOMEM;

	if (buf != NULL) {
		events_question(&p->acts->question, &w, lane, row, 1);
		assert(!w.bad);
		st = tell_month(p, lane, row->sequence, &p->acts->question, &ignored);
	}
	free(buf);
	return st;
}

static enum status holding_tell(struct postgres *p, const struct holding_link *l)
{
	struct pg_question *q = &p->acts->question;
	uint8_t lane = lane_of_key(l->key);
	uint32_t ignored;

	pg_question(q, PG_HOLDING_ADD);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(l->key, sizeof(l->key)));
	pg_int8(q, (int64_t)l->sequence);
	pg_int2(q, l->lane);
	pg_int2(q, l->holder.role);
	pg_int2(q, l->holder.visibility);
	pg_int4(q, (int32_t)l->holder.from);
	pg_int4(q, (int32_t)l->holder.to);
	return tell_month(p, lane, l->sequence, q, &ignored);
}

/*
 * All that the holding says: one that is told otherwise after a failure in between has an event of
 * its own, or its row would agree with none.
 */
static int64_t link_n(const struct holding_link *l)
{
	uint8_t room[sizeof(l->key) + 10];
	struct writer w = writer_of(room, sizeof(room));

	write_bytes(&w, l->key, sizeof(l->key));
	write_u8(&w, l->holder.role);
	write_u8(&w, l->holder.visibility);
	write_u32(&w, l->holder.from);
	write_u32(&w, l->holder.to);
	return n_of(PG_EVENT_LINKED, 0, writer_slice(&w));
}

/* The event first: who added a holder is known before there is one. */
static enum status link_locked(struct postgres *p, const struct holding_link *l, struct error *e)
{
	const struct result_event about = { .lane = l->lane, .sequence = l->sequence };
	struct event_row row = { .sequence = l->sequence, .at_ms = l->at_ms,
				 .kind = PG_EVENT_LINKED };
	struct writer w = writer_of(p->acts->record, sizeof(p->acts->record));
	uint8_t room[PG_ARRAY_BYTES + 16];
	struct writer small = writer_of(room, sizeof(room));
	enum status st;

	if (l->lane >= LANES || l->sequence > INT64_MAX - 1)
		return error_set(e, ST_NOT_FOUND, "no such result is stored");
	st = all_stored(p, &about, 1, l->lane, &small);
	if (st == ST_NOT_FOUND)
		return error_set(e, st, "no such result is stored");
	if (st == ST_OK)
		st = holding_known(p, l);
	if (st != ST_NOT_FOUND)
		return st == ST_OK ? ST_OK : failed(st, e);
	st = stored_link_encode(l, &w);
	if (st != ST_OK)
		return error_set(e, st, "the link's words are too long");
	row.record = writer_slice(&w);
	row.n = link_n(l);
	st = row.n >= 0 ? event_tell(p, l->lane, &row) : ST_NOMEM;
	if (st == ST_OK)
		st = holding_tell(p, l);
	return st == ST_OK ? ST_OK : failed(st, e);
}

enum status pg_link(struct store *store, const struct holding_link *l, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	enum status st;

	pthread_mutex_lock(&p->acts->lock);
	st = link_locked(p, l, e);
	pthread_mutex_unlock(&p->acts->lock);
	return st;
}

/* ---- events ---- */

/* All of one lane in one transaction; their records lie in the writer. */
static enum status events_lane(struct postgres *p, const struct result_event *v, uint32_t n,
			       uint8_t lane, struct event_row *rows, struct writer *w)
{
	struct pg_question *q = &p->acts->question;
	uint32_t rows_n = 0, ignored;
	struct writer records;

	for (uint32_t i = 0; i < n; i++) {
		struct event_row *row = &rows[rows_n];
		uint8_t *from = w->p;
		enum status st;

		if (v[i].lane != lane)
			continue;
		*row = (struct event_row){ .sequence = v[i].sequence, .at_ms = v[i].at_ms,
					   .kind = v[i].kind };
		st = stored_event_encode(&v[i], w);
		row->record = slice_of(from, (size_t)(w->p - from));
		if (st != ST_OK)
			return st;
		if (v[i].kind != EVENT_READ)
			row->n = n_of(v[i].kind, v[i].at_ms, v[i].detail);
		else if (getrandom(&row->n, sizeof(row->n), 0) == sizeof(row->n))
			row->n &= INT64_MAX;
		else
			return ST_IO;
		if (row->n < 0)
			return ST_NOMEM;
		rows_n++;
	}
	records = writer_of(w->p, (size_t)(w->end - w->p));
	events_question(q, &records, lane, rows, rows_n);
	assert(!records.bad);
	return tell_month(p, lane, rows[0].sequence, q, &ignored);
}

static size_t events_bytes(const struct result_event *v, uint32_t n)
{
	size_t bytes = events_room(n, LANES * PG_ARRAY_BYTES);

	for (uint32_t i = 0; i < n; i++)
		bytes += 2 * (22 + v[i].actor.n + v[i].detail.n);
	return bytes;
}

static enum status lanes_of(const struct result_event *v, uint32_t n, uint64_t *lanes,
			    struct error *e)
{
	*lanes = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (v[i].lane >= LANES)
			return error_set(e, ST_NOT_FOUND, "no such result is stored");
		*lanes |= 1ull << v[i].lane;
	}
	return ST_OK;
}

static enum status events_locked(struct postgres *p, const struct result_event *v, uint32_t n,
				 uint64_t lanes, struct error *e)
{
	size_t room = events_bytes(v, n);
	struct event_row *rows = calloc((size_t)n + 1, sizeof(*rows));
	uint8_t *buf = malloc(room);
	enum status st = rows != NULL && buf != NULL ? ST_OK : ST_NOMEM;

	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		struct writer w = writer_of(buf, room);

		if ((lanes >> lane & 1) != 0)
			st = all_stored(p, v, n, lane, &w);
	}
	if (st == ST_NOT_FOUND)
		error_set(e, st, "no such result is stored");
	else if (st != ST_OK)
		failed(st, e);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		if (!event_is_kind(v[i].kind))
			st = error_set(e, ST_INVALID, "no such kind of event: %u", v[i].kind);
	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		struct writer w = writer_of(buf, room);

		if ((lanes >> lane & 1) == 0)
			continue;
		st = events_lane(p, v, n, lane, rows, &w);
		if (st != ST_OK)
			failed(st, e);
	}
	free(rows);
	free(buf);
	return st;
}

/*
 * Lanes have transactions of their own: if one of them fails, some reads are noted that then do
 * not take place, never the other way round.
 */
enum status pg_events(struct store *store, const struct result_event *v, uint32_t n,
		      struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	uint64_t lanes;
	enum status st = lanes_of(v, n, &lanes, e);

	assert(n <= BATCH_GET_MAX);
	if (st != ST_OK)
		return st;
	pthread_mutex_lock(&p->acts->lock);
	st = events_locked(p, v, n, lanes, e);
	pthread_mutex_unlock(&p->acts->lock);
	return st;
}

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
	struct pg_question *q = &p->acts->question;
	const struct result_event about = { .lane = v->lane, .sequence = v->sequence };
	uint8_t room[PG_ARRAY_BYTES + 16];
	struct writer small = writer_of(room, sizeof(room));
	PGresult *out = NULL;
	int64_t state = 0;
	uint32_t rows = 0;
	enum status st;

	pg_question(q, PG_NUMBER);
	number_key(q, lane, v);
	st = ask(p, lane, q, 1, &out);
	if (st == ST_OK && PQntuples(out) == 1 && (uint64_t)pg_number(out, 0, 0) == v->sequence)
		state = pg_number(out, 0, 2);
	PQclear(out);
	if (st != ST_OK)
		return failed(st, e);
	if (state == NUMBER_VOID || state == NUMBER_OUTSIDE)
		return ST_OK;
	if (state == NUMBER_ISSUED && v->sequence != 0)
		st = all_stored(p, &about, 1, v->lane, &small);
	if (st == ST_NOT_FOUND) {
		pg_question(q, PG_NUMBER_VOID);
		number_key(q, lane, v);
		pg_stamp(q, v->at_ms);
		pg_bytes(q, record);
		st = tell(p, lane, q, &rows);
		if (st == ST_OK && rows == 1)
			return ST_OK;
	}
	if (st != ST_OK)
		return failed(st, e);
	return v->held == REASON_STORE_CONFLICT ? ST_EXISTS :
	       error_set(e, ST_CONFLICT, "number %llu is in the register already",
			 (unsigned long long)v->number);
}

static enum status number_tell(struct postgres *p, const struct void_entry *v, struct slice record,
			       struct error *e)
{
	struct pg_question *q = &p->acts->question;
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
	st = tell(p, lane, q, &rows);
	if (st != ST_OK)
		return failed(st, e);
	return rows == 1 ? ST_OK : number_there(p, lane, v, record, e);
}

/* The result goes on answering, by id and by case. */
static enum status voided_tell(struct postgres *p, const struct void_entry *v, struct slice record,
			       struct error *e)
{
	struct pg_question *q = &p->acts->question;
	uint8_t key[16];
	uint32_t ignored;
	enum status st;

	pg_question(q, PG_VOIDED_ADD);
	pg_int2(q, v->lane);
	pg_int8(q, (int64_t)v->sequence);
	pg_int4(q, pg_crc(v->lane, v->sequence, (struct slice){ NULL, 0 }, record));
	pg_bytes(q, record);
	st = tell_month(p, v->lane, v->sequence, q, &ignored);
	if (st == ST_OK && v->case_code.n > 0) {
		locator_case(key, v->unit, v->case_code);
		pg_question(q, PG_LOCATOR_ADD);
		pg_int2(q, lane_of_key(key));
		pg_bytes(q, slice_of(key, sizeof(key)));
		pg_int8(q, (int64_t)v->sequence);
		pg_int2(q, v->lane);
		st = tell_month(p, lane_of_key(key), v->sequence, q, &ignored);
	}
	return st == ST_OK ? ST_OK : failed(st, e);
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
	return st == ST_OK && v->sequence != 0 ? voided_tell(p, v, writer_slice(&w), e) : st;
}

/* A sequence that is another result's goes out of *v. */
static enum status void_dispute(struct postgres *p, struct void_entry *v, struct error *e)
{
	const struct result_event about = { .lane = v->lane, .sequence = v->sequence };
	uint8_t room[PG_ARRAY_BYTES + 16];
	struct writer small = writer_of(room, sizeof(room));
	bool dispute = v->held == REASON_STORE_CONFLICT || v->number == 0;
	enum status st = !dispute || v->sequence == 0 ? ST_NOT_FOUND :
			 all_stored(p, &about, 1, v->lane, &small);

	if (st == ST_OK)
		v->sequence = 0;
	return st == ST_OK || st == ST_NOT_FOUND ? ST_OK : failed(st, e);
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
		struct pg_question *q = &p->acts->question;
		PGresult *out = NULL;

		pg_question(q, PG_MARKS);
		pg_int2(q, lane);
		st = ask(p, lane, q, 1, &out);
		if (st == ST_OK)
			marks_tell(out, cb, ctx);
		PQclear(out);
	}
	pthread_mutex_unlock(&p->acts->lock);
	return st == ST_OK ? ST_OK : failed(st, e);
}
