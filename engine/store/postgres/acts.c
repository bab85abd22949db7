/* Links and events: few, one at a time, on connections of their own. */
#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "identity.h"
#include "store/postgres/acts_inside.h"
#include "store/postgres/counting.h"
#include "store/postgres/events.h"
#include "store/rows.h"

#define DAY_MS 86400000LL
#define DAYS_2000 10957				/* of 2000-01-01, from 1970 */

enum status pg_acts_open(struct postgres *p, bool reads, struct error *e)
{
	p->acts = calloc(1, sizeof(*p->acts));
	if (p->acts == NULL)
		return error_set(e, ST_NOMEM, "no memory for the store's acts");
	pthread_mutex_init(&p->acts->lock, NULL);
	for (uint8_t i = 0; i < p->servers.n; i++)
		pg_asking_init(&p->acts->servers[i], &p->servers, i,
			       reads ? PG_READS : PG_ACTS);
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

enum status acts_failed(enum status st, struct error *e)
{
	return st == ST_UNAVAILABLE || st == ST_TIMEOUT ?
	       error_set(e, st, "the store is away") :
	       error_set(e, st, "the store refused what it was asked: %s", status_name(st));
}

enum status acts_ask(struct postgres *p, uint8_t lane, const struct pg_question *q, uint32_t n,
		     PGresult **out)
{
	return pg_ask(&p->acts->servers[p->servers.of_lane[lane]], q, n, out);
}

enum status acts_tell(struct postgres *p, uint8_t lane, const struct pg_question *q,
		      uint32_t *rows)
{
	PGresult *out = NULL;
	enum status st = acts_ask(p, lane, q, 1, &out);

	*rows = st == ST_OK ? (uint32_t)strtoul(PQcmdTuples(out), NULL, 10) : 0;
	PQclear(out);
	return st;
}

int32_t pg_day(int64_t unix_ms)
{
	return (int32_t)(unix_ms / DAY_MS - DAYS_2000);
}

/* The question and, where it counts, the second one, in one transaction. */
static enum status tell_both(struct postgres *p, uint8_t lane, bool counts)
{
	PGresult *out[2] = { NULL, NULL };
	enum status st = acts_ask(p, lane, p->acts->questions, counts ? 2 : 1, out);

	PQclear(out[0]);
	PQclear(out[1]);
	return st;
}

enum status acts_tell_month(struct postgres *p, uint8_t lane, uint64_t sequence, bool counts)
{
	enum status st = tell_both(p, lane, counts);
	struct pg_question month;
	uint32_t ignored;

	if (st != ST_NOT_FOUND)
		return st;
	pg_question(&month, PG_MONTHS);
	pg_int4(&month, pg_day(sequence_ms(sequence)));
	pg_int4(&month, 1);
	st = acts_tell(p, lane, &month, &ignored);
	return st == ST_OK ? tell_both(p, lane, counts) : st;
}

/* ---- links ---- */

/* ST_OK: that holder has it already; ST_NOT_FOUND: not yet. */
static enum status holding_known(struct postgres *p, const struct holding_link *l)
{
	struct pg_question *q = &p->acts->questions[0];
	PGresult *out = NULL;
	uint8_t lane = lane_of_key(l->key);
	enum status st;
	bool known;

	pg_question(q, PG_HOLDINGS);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(l->key, sizeof(l->key)));
	pg_int8(q, (int64_t)l->sequence + 1);
	pg_int8(q, 1);
	st = acts_ask(p, lane, q, 1, &out);
	known = st == ST_OK && PQntuples(out) == 1 &&
		(uint64_t)pg_number(out, 0, 0) == l->sequence;
	PQclear(out);
	return st != ST_OK || known ? st : ST_NOT_FOUND;
}

static bool about_set(struct about *out, const PGresult *answer, int row)
{
	struct slice unit = pg_column(answer, row, 1), kind = pg_column(answer, row, 2);

	if (unit.n > CODE_BYTES_MAX || kind.n > CODE_BYTES_MAX)
		return false;
	*out = (struct about){ .issued_ms = pg_unix_ms(pg_number(answer, row, 3)) };
	memcpy(out->unit, unit.p, unit.n);
	memcpy(out->kind, kind.p, kind.n);
	return true;
}

enum status acts_all_stored(struct postgres *p, const struct result_event *v, uint32_t n,
			    uint8_t lane, struct writer *w, struct about *about)
{
	struct pg_question *q = &p->acts->questions[0];
	struct pg_array a = pg_array(w, PG_INT8);
	PGresult *out = NULL;
	enum status st;

	for (uint32_t i = 0; i < n; i++)
		if (v[i].lane == lane)
			pg_array_int8(&a, (int64_t)v[i].sequence);
	pg_question(q, PG_STORED);
	pg_int2(q, lane);
	pg_bytes(q, pg_array_end(&a));
	st = acts_ask(p, lane, q, 1, &out);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		bool found = v[i].lane != lane;

		for (int k = 0; k < PQntuples(out) && !found; k++) {
			found = (uint64_t)pg_number(out, k, 0) == v[i].sequence;
			if (found && about != NULL && !about_set(&about[i], out, k))
				st = ST_CORRUPT;
		}
		if (!found)
			st = ST_NOT_FOUND;
	}
	PQclear(out);
	return st;
}

int64_t pg_event_n(uint8_t kind, int64_t at_ms, struct slice what)
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

void pg_events_question(struct pg_question *q, struct writer *w, uint8_t lane,
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

size_t pg_events_room(uint32_t n, size_t record_bytes)
{
	return 6 * PG_ARRAY_BYTES + (size_t)n * (6 * 4 + 8 + 8 + 2 + 8 + 4) + record_bytes;
}

static enum status event_tell(struct postgres *p, uint8_t lane, const struct event_row *row)
{
	size_t room = pg_events_room(1, row->record.n);
	uint8_t *buf = malloc(room);
	struct writer w = writer_of(buf, room);
	enum status st = ST_NOMEM;

	if (buf != NULL) {
		pg_events_question(&p->acts->questions[0], &w, lane, row, 1);
		assert(!w.bad);
		st = acts_tell_month(p, lane, row->sequence, false);
	}
	free(buf);
	return st;
}

static enum status holding_tell(struct postgres *p, const struct holding_link *l)
{
	struct pg_question *q = &p->acts->questions[0];
	uint8_t lane = lane_of_key(l->key);

	pg_question(q, PG_HOLDING_ADD);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(l->key, sizeof(l->key)));
	pg_int8(q, (int64_t)l->sequence);
	pg_int2(q, l->lane);
	pg_int2(q, l->holder.role);
	pg_int2(q, l->holder.visibility);
	pg_int4(q, (int32_t)l->holder.from);
	pg_int4(q, (int32_t)l->holder.to);
	return acts_tell_month(p, lane, l->sequence, false);
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
	return pg_event_n(PG_EVENT_LINKED, 0, writer_slice(&w));
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
	st = acts_all_stored(p, &about, 1, l->lane, &small, NULL);
	if (st == ST_NOT_FOUND)
		return error_set(e, st, "no such result is stored");
	if (st == ST_OK)
		st = holding_known(p, l);
	if (st != ST_NOT_FOUND)
		return st == ST_OK ? ST_OK : acts_failed(st, e);
	st = stored_link_encode(l, &w);
	if (st != ST_OK)
		return error_set(e, st, "the link's words are too long");
	row.record = writer_slice(&w);
	row.n = link_n(l);
	st = row.n >= 0 ? event_tell(p, l->lane, &row) : ST_NOMEM;
	if (st == ST_OK)
		st = holding_tell(p, l);
	return st == ST_OK ? ST_OK : acts_failed(st, e);
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

/* What a call's events are made into. */
struct events_work {
	const struct result_event *of;
	uint32_t n;
	struct about *about;		/* n of each */
	struct event_row *rows;
	struct pg_count *counts;
	uint8_t *buf;
	size_t room;
};

static uint32_t events_count(struct events_work *work, uint8_t lane)
{
	uint32_t n = 0, row = 0;

	for (uint32_t i = 0; i < work->n; i++) {
		const struct result_event *ev = &work->of[i];
		const struct result_view of = { .unit = slice_str(work->about[i].unit),
						.kind = slice_str(work->about[i].kind),
						.issued_ms = work->about[i].issued_ms };
		struct counted c;

		if (ev->lane != lane)
			continue;
		if (counted_event(&c, ev, &of))
			work->counts[n++] = (struct pg_count){
				c, -pg_count_mark(work->rows[row].n, ev->sequence) - 1 };
		row++;
	}
	return n;
}

/* All of one lane in one transaction; their records lie in the writer. */
static enum status events_lane(struct postgres *p, struct events_work *work, uint8_t lane)
{
	struct writer all = writer_of(work->buf, work->room), *w = &all, records;
	uint32_t rows_n = 0, counts_n;

	for (uint32_t i = 0; i < work->n; i++) {
		const struct result_event *ev = &work->of[i];
		struct event_row *row = &work->rows[rows_n];
		uint8_t *from = w->p;
		enum status st;

		if (ev->lane != lane)
			continue;
		*row = (struct event_row){ .sequence = ev->sequence, .at_ms = ev->at_ms,
					   .kind = ev->kind };
		st = stored_event_encode(ev, w);
		row->record = slice_of(from, (size_t)(w->p - from));
		if (st != ST_OK)
			return st;
		if (ev->kind != EVENT_READ)
			row->n = pg_event_n(ev->kind, ev->at_ms, ev->detail);
		else if (getrandom(&row->n, sizeof(row->n), 0) == sizeof(row->n))
			row->n &= INT64_MAX;
		else
			return ST_IO;
		if (row->n < 0)
			return ST_NOMEM;
		rows_n++;
	}
	records = writer_of(w->p, (size_t)(w->end - w->p));
	pg_events_question(&p->acts->questions[0], &records, lane, work->rows, rows_n);
	counts_n = events_count(work, lane);
	if (counts_n > 0)
		pg_count_question(&p->acts->questions[1], &records, lane, work->counts, counts_n);
	assert(!records.bad);
	return acts_tell_month(p, lane, work->rows[0].sequence, counts_n > 0);
}

static size_t events_bytes(const struct result_event *v, uint32_t n)
{
	size_t bytes = pg_events_room(n, LANES * PG_ARRAY_BYTES) + PG_COUNT_BYTES(n);

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

static enum status events_all(struct postgres *p, struct events_work *work, uint64_t lanes,
			      struct error *e)
{
	enum status st = ST_OK;

	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		struct writer w = writer_of(work->buf, work->room);

		if ((lanes >> lane & 1) != 0)
			st = acts_all_stored(p, work->of, work->n, lane, &w, work->about);
	}
	if (st == ST_NOT_FOUND)
		error_set(e, st, "no such result is stored");
	else if (st != ST_OK)
		acts_failed(st, e);
	for (uint32_t i = 0; i < work->n && st == ST_OK; i++)
		if (!event_is_kind(work->of[i].kind))
			st = error_set(e, ST_INVALID, "no such kind of event: %u",
				       work->of[i].kind);
	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		if ((lanes >> lane & 1) == 0)
			continue;
		st = events_lane(p, work, lane);
		if (st != ST_OK)
			acts_failed(st, e);
	}
	return st;
}

static enum status events_locked(struct postgres *p, const struct result_event *v, uint32_t n,
				 uint64_t lanes, struct error *e)
{
	struct events_work work = { .of = v, .n = n, .room = events_bytes(v, n) };
	enum status st = ST_NOMEM;

	work.about = calloc((size_t)n + 1, sizeof(*work.about));
	work.rows = calloc((size_t)n + 1, sizeof(*work.rows));
	work.counts = calloc((size_t)n + 1, sizeof(*work.counts));
	work.buf = malloc(work.room);
	if (work.about != NULL && work.rows != NULL && work.counts != NULL && work.buf != NULL)
		st = events_all(p, &work, lanes, e);
	free(work.about);
	free(work.rows);
	free(work.counts);
	free(work.buf);
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
