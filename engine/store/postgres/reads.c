/* Who read what: a row a call and person, in the person's lane. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "identity.h"
#include "store/postgres/counting.h"
#include "store/postgres/events.h"
#include "store/postgres/lanes.h"
#include "store/readings.h"

#define RECORD_HEAD_BYTES 64		/* of a READ, beside its texts and names */
#define EVENT_BYTES (64 + PRINCIPAL_BYTES_MAX + REUSE_DETAIL_BYTES)

/* What a reuse counts for. */
struct reused_of { uint8_t lane; char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1]; };

/* One call of pg_note_reads(). */
struct noting {
	struct store_reader *r;
	const struct read_note *notes;
	struct place *of;		/* all names of all notes */
	uint32_t *note, *name;		/* whose each of them is */
	uint32_t n;
	PGresult *results[LANES], *lives[LANES];
	struct readings rows;
	struct event_row *reused;	/* at most one for each of the names */
	struct reused_of *reused_of;	/* as many */
	uint32_t reused_n;
	uint8_t *events_buf, *buf;	/* their records; those of rows, and parameters */
	struct writer events, w;
};

static void noting_free(struct noting *n)
{
	reader_forget(n->r, 0);
	readings_free(&n->rows);
	free(n->of);
	free(n->note);
	free(n->name);
	free(n->reused);
	free(n->reused_of);
	free(n->events_buf);
	free(n->buf);
}

/* ---- what is read ---- */

/* ST_NOT_FOUND: a note names what cannot be. */
static enum status noting_begin(struct noting *n, uint32_t notes_n)
{
	uint32_t all = 0;
	size_t bytes;

	for (uint32_t i = 0; i < notes_n; i++)
		all += n->notes[i].names_n;
	bytes = ((size_t)all + 1) * EVENT_BYTES;
	n->events_buf = malloc(bytes);
	n->events = writer_of(n->events_buf, bytes);
	n->of = calloc((size_t)all + 1, sizeof(*n->of));
	n->note = calloc((size_t)all + 1, sizeof(*n->note));
	n->name = calloc((size_t)all + 1, sizeof(*n->name));
	n->reused = calloc((size_t)all + 1, sizeof(*n->reused));
	n->reused_of = calloc((size_t)all + 1, sizeof(*n->reused_of));
	if (n->of == NULL || n->note == NULL || n->name == NULL || n->reused == NULL ||
	    n->reused_of == NULL || n->events_buf == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < notes_n; i++)
		for (uint32_t k = 0; k < n->notes[i].names_n; k++) {
			const struct result_name *name = &n->notes[i].names[k];

			if (name->lane >= LANES || name->sequence > INT64_MAX)
				return ST_NOT_FOUND;
			n->of[n->n] = (struct place){ .lane = name->lane,
						      .sequence = name->sequence };
			n->note[n->n] = i;
			n->name[n->n++] = k;
		}
	return ST_OK;
}

static enum status links_add(struct noting *n, uint32_t i)
{
	const struct place *at = &n->of[i];
	const PGresult *lives = n->lives[at->lane];
	enum status st = ST_OK;

	for (int k = 0; lives != NULL && k < PQntuples(lives) && st == ST_OK; k++) {
		struct holding_link l;
		struct slice record;

		if (pg_number(lives, k, 3) != PG_EVENT_LINKED ||
		    (uint64_t)pg_number(lives, k, 0) != at->sequence)
			continue;
		if (reader_record(lives, k, 1, at->lane, at->sequence, &record) &&
		    stored_link_decode(&l, record) == ST_OK)
			st = readings_add(&n->rows, n->note[i], n->name[i], l.key);
	}
	return st;
}

static enum status reused_add(struct noting *n, const struct read_note *note,
			      const struct result_view *v)
{
	uint8_t detail[REUSE_DETAIL_BYTES];
	struct result_event ev = reading_event(note, v, detail);
	struct event_row *row = &n->reused[n->reused_n];
	struct reused_of *of = &n->reused_of[n->reused_n];
	uint8_t who[PRINCIPAL_BYTES_MAX + CASE_CODE_BYTES_MAX + 8];
	struct writer key = writer_of(who, sizeof(who));
	const uint8_t *from = n->events.p;

	write_blob(&key, note->actor);
	write_bytes(&key, note->case_code.p, note->case_code.n);
	if (key.bad)
		return ST_INVALID;
	*row = (struct event_row){ .sequence = v->sequence, .at_ms = ev.at_ms, .kind = ev.kind,
				   .n = pg_event_n(EVENT_REUSED, 0, writer_slice(&key)) };
	if (row->n < 0 || stored_event_encode(&ev, &n->events) != ST_OK)
		return ST_NOMEM;
	row->record = slice_of(from, (size_t)(n->events.p - from));
	of->lane = v->lane;
	snprintf(of->unit, sizeof(of->unit), "%.*s", (int)v->unit.n, (const char *)v->unit.p);
	snprintf(of->kind, sizeof(of->kind), "%.*s", (int)v->kind.n, (const char *)v->kind.p);
	n->reused_n++;
	return ST_OK;
}

/* Whom the results are about. */
static enum status holders_find(struct noting *n, uint32_t notes_n)
{
	struct stored_result *s = &n->r->result;
	enum status st = ST_OK;

	for (uint32_t i = 0; i < notes_n && st == ST_OK; i++)
		if (n->notes[i].holder != NULL)
			st = readings_add(&n->rows, i, READING_NO_NAME, n->notes[i].holder);
	for (uint32_t i = 0; i < n->n && st == ST_OK; i++) {
		const struct place *at = &n->of[i];
		int row = lanes_row(n->results[at->lane], at->sequence);

		if (row < 0)
			continue;
		st = reader_row(n->results[at->lane], row, 1, at->lane, at->sequence, s);
		if (st == ST_OK)
			st = readings_result(&n->rows, n->note[i], n->name[i], s);
		if (st == ST_OK)
			st = links_add(n, i);
		if (st == ST_OK && note_reuses(&n->notes[n->note[i]], n->name[i]))
			st = reused_add(n, &n->notes[n->note[i]], &s->view);
	}
	readings_sort(&n->rows);
	return st;
}

/* ---- what is written ---- */

/* A row of `reading`. */
struct row { uint64_t stamp; const uint8_t *key; struct slice record; };

static void rows_question(struct pg_question *q, struct writer *w, uint8_t lane,
			  const struct row *rows, uint32_t n)
{
	static const enum pg_type types[] = { PG_BYTEA, PG_INT8, PG_INT4, PG_BYTEA };

	pg_question(q, PG_READINGS_ADD);
	pg_int2(q, lane);
	for (size_t column = 0; column < ARRAY_LEN(types); column++) {
		struct pg_array a = pg_array(w, types[column]);

		for (uint32_t i = 0; i < n; i++) {
			const struct row *row = &rows[i];

			switch (column) {
			case 0: pg_array_bytes(&a, slice_of(row->key, 16)); break;
			case 1: pg_array_int8(&a, (int64_t)row->stamp); break;
			case 2: pg_array_int4(&a, pg_crc(lane, row->stamp,
							 (struct slice){ NULL, 0 },
							 row->record)); break;
			default: pg_array_bytes(&a, row->record);
			}
		}
		pg_bytes(q, pg_array_end(&a));
	}
}

static enum status tell(struct store_reader *r, uint8_t lane, uint32_t n, uint64_t stamp)
{
	uint8_t server = r->home->servers.of_lane[lane];
	struct pg_question *month = &r->questions[3];
	PGresult *out[3];
	enum status st = reader_ask_all(r, server, r->questions, n, out);

	if (st != ST_NOT_FOUND)
		return st;
	pg_question(month, PG_MONTHS);
	pg_int4(month, pg_day(sequence_ms(stamp)));
	pg_int4(month, 1);
	st = reader_ask_all(r, server, month, 1, out);
	return st == ST_OK ? reader_ask_all(r, server, r->questions, n, out) : st;
}

/* Those that are there already were counted then. */
static enum status reuses_known(struct noting *n, uint8_t lane, const struct event_row *own,
				uint32_t events, bool *there)
{
	struct pg_question *q = &n->r->questions[0];
	uint8_t *mark = n->w.p;
	struct pg_array sequences = pg_array(&n->w, PG_INT8), marks;
	PGresult *answer = NULL;
	enum status st;

	pg_question(q, PG_EVENTS_THERE);
	pg_int2(q, lane);
	for (uint32_t i = 0; i < events; i++)
		pg_array_int8(&sequences, (int64_t)own[i].sequence);
	pg_bytes(q, pg_array_end(&sequences));
	marks = pg_array(&n->w, PG_INT8);
	for (uint32_t i = 0; i < events; i++)
		pg_array_int8(&marks, own[i].n);
	pg_bytes(q, pg_array_end(&marks));
	assert(!n->w.bad);
	st = reader_ask(n->r, n->r->home->servers.of_lane[lane], q, &answer);
	n->w.p = mark;
	for (uint32_t i = 0; i < events && st == ST_OK; i++) {
		/* Two notes of a call may be of one reader and case. */
		for (uint32_t k = 0; k < i && !there[i]; k++)
			there[i] = own[k].sequence == own[i].sequence && own[k].n == own[i].n;
		for (int k = 0; k < PQntuples(answer) && !there[i]; k++)
			there[i] = (uint64_t)pg_number(answer, k, 0) == own[i].sequence &&
				   pg_number(answer, k, 1) == own[i].n;
	}
	return st;
}

/* The reuses of a lane into one question and what they count, one row an agency, kind and day. */
static enum status reuses_ask(struct noting *n, uint8_t lane, uint32_t *asked)
{
	struct event_row *own = calloc((size_t)n->reused_n + 1, sizeof(*own));
	struct pg_count *counts = calloc((size_t)n->reused_n + 1, sizeof(*counts));
	bool *there = calloc((size_t)n->reused_n + 1, sizeof(*there));
	const struct reused_of **of = calloc((size_t)n->reused_n + 1, sizeof(*of));
	uint32_t events = 0, counts_n = 0;
	enum status st = own != NULL && counts != NULL && there != NULL && of != NULL ? ST_OK :
											ST_NOMEM;

	for (uint32_t i = 0; i < n->reused_n && st == ST_OK; i++)
		if (n->reused_of[i].lane == lane) {
			of[events] = &n->reused_of[i];
			own[events++] = n->reused[i];
		}
	if (st == ST_OK && events > 0)
		st = reuses_known(n, lane, own, events, there);
	for (uint32_t i = 0; i < events && st == ST_OK; i++)
		if (!there[i])
			pg_count_reuse(counts, &counts_n, &own[i], of[i]->unit, of[i]->kind);
	if (st == ST_OK && events > 0)
		pg_events_question(&n->r->questions[(*asked)++], &n->w, lane, own, events);
	if (st == ST_OK && counts_n > 0)
		pg_count_question(&n->r->questions[(*asked)++], &n->w, lane, counts, counts_n);
	free(own);
	free(counts);
	free(there);
	free(of);
	return st;
}

/* All rows of one lane, in one transaction. */
static enum status lane_tell(struct noting *n, uint8_t lane, struct row *rows, uint32_t rows_n)
{
	struct pg_question *q = n->r->questions;
	uint8_t *mark = n->w.p;
	uint32_t asked = 0;
	enum status st = reuses_ask(n, lane, &asked);

	if (st != ST_OK)
		return st;
	if (rows_n > 0)
		rows_question(&q[asked++], &n->w, lane, rows, rows_n);
	assert(!n->w.bad);
	if (asked == 0)
		return ST_OK;
	st = tell(n->r, lane, asked, rows_n > 0 ? rows[0].stamp : n->notes[0].stamp);
	n->w.p = mark;
	return st;
}

/* Each record once into the buffer; then lane by lane. */
static enum status rows_tell(struct noting *n)
{
	struct row *rows = calloc((size_t)n->rows.n + 1, sizeof(*rows)), *lane_rows;
	struct reading_row row;
	uint32_t at = 0, rows_n = 0;
	enum status st = rows != NULL ? ST_OK : ST_NOMEM;

	while (st == ST_OK && (st = readings_next(&n->rows, &at, &row)) == ST_OK) {
		const struct read_note *note = &n->notes[row.note];
		const uint8_t *from = n->w.p;

		st = stored_reading_encode(row.key, note, row.which, row.n, &n->w);
		rows[rows_n++] = (struct row){ note->stamp, row.key,
					       slice_of(from, (size_t)(n->w.p - from)) };
	}
	st = st == ST_NOT_FOUND ? ST_OK : st;
	lane_rows = calloc((size_t)rows_n + 1, sizeof(*lane_rows));
	if (lane_rows == NULL)
		st = ST_NOMEM;
	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		uint32_t k = 0;

		for (uint32_t i = 0; i < rows_n; i++)
			if (lane_of_key(rows[i].key) == lane)
				lane_rows[k++] = rows[i];
		st = lane_tell(n, lane, lane_rows, k);
	}
	free(rows);
	free(lane_rows);
	return st;
}

static size_t texts_bytes(const struct read_note *n)
{
	return n->actor.n + n->purpose.n + n->legal_basis.n + n->requester.n + n->case_code.n;
}

/* Twice: the records, and as parameters. */
static enum status room_make(struct noting *n)
{
	size_t bytes = pg_events_room(n->n, 0) + 8 * PG_ARRAY_BYTES + PG_COUNT_BYTES(n->n);

	for (uint32_t i = 0; i < n->rows.n; i++)
		bytes += 2 * (texts_bytes(&n->notes[n->rows.of[i].note]) + RECORD_HEAD_BYTES +
			      READING_NAME_BYTES) + 48;
	bytes += (size_t)n->n * EVENT_BYTES;
	n->buf = malloc(bytes);
	n->w = writer_of(n->buf, bytes);
	return n->buf != NULL ? ST_OK : ST_NOMEM;
}

/*
 * Lanes have transactions of their own: if one of them fails, some reads are noted that then do
 * not take place, never the other way round.
 */
enum status pg_note_reads(struct store *store, const struct read_note *notes, uint32_t notes_n,
			  struct error *e)
{
	struct noting n = { .r = ((struct postgres *)store)->noter, .notes = notes };
	enum status st = noting_begin(&n, notes_n);

	if (st == ST_OK && n.n > 0)
		st = lanes_ask(n.r, PG_RESULTS, n.of, n.n, n.results);
	if (st == ST_OK && n.n > 0)
		st = lanes_ask(n.r, PG_LIVES, n.of, n.n, n.lives);
	if (st == ST_OK)
		st = holders_find(&n, notes_n);
	if (st == ST_OK)
		st = room_make(&n);
	if (st == ST_OK)
		st = rows_tell(&n);
	noting_free(&n);
	if (st == ST_OK)
		return ST_OK;
	return error_set(e, st, st == ST_UNAVAILABLE || st == ST_TIMEOUT ? "the store is away" :
			 "who reads cannot be noted: %s", status_name(st));
}

/* ---- readers ---- */

static bool row_good(const PGresult *answer, int row, const uint8_t key[16], uint64_t stamp,
		     struct reading_view *v)
{
	struct slice record;

	return reader_record(answer, row, 1, lane_of_key(key), stamp, &record) &&
	       stored_reading_decode(v, record) == ST_OK && v->stamp == stamp &&
	       memcmp(v->holder, key, sizeof(v->holder)) == 0;
}

enum status pg_readings(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
			uint32_t max, void (*one)(void *ctx, const struct reading_view *v),
			void *ctx, uint64_t *last)
{
	struct pg_question *q = &r->questions[0];
	uint8_t lane = lane_of_key(holder_key);
	PGresult *answer = NULL;
	enum status st;
	int n;

	*last = 0;
	reader_forget(r, 0);
	pg_question(q, PG_READINGS);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(holder_key, 16));
	pg_int8(q, before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before);
	pg_int8(q, max);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &answer);
	n = st == ST_OK ? PQntuples(answer) : 0;
	for (int i = 0; i < n; i++) {
		uint64_t stamp = (uint64_t)pg_number(answer, i, 0);
		struct reading_view v;

		/* One damaged row does not hide the others. */
		if (row_good(answer, i, holder_key, stamp, &v))
			one(ctx, &v);
		else
			log_error("store", "damaged: row %llu of who read",
				  (unsigned long long)stamp);
	}
	if (n > 0 && (uint32_t)n == max)
		*last = (uint64_t)pg_number(answer, n - 1, 0);
	return st;
}
