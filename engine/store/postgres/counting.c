#include "store/postgres/counting.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/postgres/events.h"
#include "store/postgres/reader.h"

#define LANES_TOGETHER 16

/* ---- what acts add ---- */

static enum count which(const struct counts *c)
{
	for (int i = 0; i < COUNTS; i++)
		if (c->of[i] > 0)
			return (enum count)i;
	assert(false);
	return COUNTS;
}

static void column_add(struct pg_array *a, size_t column, const struct pg_count *one)
{
	const struct counted *c = &one->of;

	switch (column) {
	case 0: pg_array_bytes(a, c->unit); break;
	case 1: pg_array_bytes(a, c->kind); break;
	case 2: pg_array_int4(a, (int32_t)c->day); break;
	case 3: pg_array_int2(a, c->engine); break;
	case 4: pg_array_int8(a, one->watermark); break;
	case 5: pg_array_bytes(a, slice_str(counts_names[which(&c->by)])); break;
	default: pg_array_int8(a, (int64_t)c->by.of[which(&c->by)]);
	}
}

void pg_count_question(struct pg_question *q, struct writer *w, uint8_t lane,
		       const struct pg_count *counts, uint32_t n)
{
	static const enum pg_type types[] = { PG_TEXT, PG_TEXT, PG_INT4, PG_INT2, PG_INT8, PG_TEXT,
					      PG_INT8 };

	pg_question(q, PG_COUNT_ADD);
	pg_int2(q, lane);
	for (size_t column = 0; column < ARRAY_LEN(types); column++) {
		struct pg_array a = pg_array(w, types[column]);

		for (uint32_t i = 0; i < n; i++)
			column_add(&a, column, &counts[i]);
		pg_bytes(q, pg_array_end(&a));
	}
}

int64_t pg_count_mark(int64_t n, uint64_t sequence)
{
	return (int64_t)(((uint64_t)n ^ sequence) & INT64_MAX);
}

void pg_count_reuse(struct pg_count *counts, uint32_t *n, const struct event_row *reuse,
		    const char *unit, const char *kind)
{
	const struct result_event ev = { .kind = EVENT_REUSED, .sequence = reuse->sequence,
					 .at_ms = reuse->at_ms };
	const struct result_view of = { .unit = slice_str(unit), .kind = slice_str(kind) };
	struct counted c;

	if (!counted_event(&c, &ev, &of))
		return;
	for (uint32_t i = 0; i < *n; i++) {
		struct counted *known = &counts[i].of;

		if (known->day == c.day && known->engine == c.engine &&
		    slice_eq(known->unit, c.unit) && slice_eq(known->kind, c.kind)) {
			known->by.of[COUNT_REUSES]++;
			return;
		}
	}
	counts[(*n)++] = (struct pg_count){ c, pg_count_mark(reuse->n, reuse->sequence) };
}

/* Of a number that never had a result: one of its own a book and year. */
static int64_t number_mark(const struct void_entry *v)
{
	char text[CODE_BYTES_MAX + 36];
	uint8_t digest[SHA256_BYTES];
	int n = snprintf(text, sizeof(text), "%.*s/%" PRIu32 "/%" PRIu64, (int)v->register_code.n,
			 (const char *)v->register_code.p, v->year, v->number);
	uint64_t mark = 0;

	assert(n > 0 && (size_t)n < sizeof(text));
	sha256_once(text, (size_t)n, digest);
	for (int i = 0; i < 8; i++)
		mark = mark << 8 | digest[i];
	return -(int64_t)(mark & INT64_MAX) - 1;
}

uint32_t pg_counts_of_void(struct pg_count out[2], const struct void_entry *v)
{
	/* A result ends once, so its sequence is a mark; and with the bit of another engine, whose
	 * rows are not these, a second one. */
	const uint64_t another = v->sequence ^ 128ull << 14;
	const int64_t marks[] = { v->sequence != 0 ? -(int64_t)v->sequence - 1 : number_mark(v),
				  -(int64_t)another - 1 };
	struct counted both[2];
	uint32_t n = counted_void(both, v), out_n = 0;

	for (uint32_t i = 0; i < 2 * (uint32_t)COUNTS; i++) {
		const uint32_t k = i % COUNTS;
		struct pg_count *one = &out[out_n];

		if (i / COUNTS >= n || both[i / COUNTS].by.of[k] == 0)
			continue;
		*one = (struct pg_count){ both[i / COUNTS], marks[k == COUNT_ACCEPTED] };
		memset(&one->of.by, 0, sizeof(one->of.by));
		one->of.by.of[k] = 1;
		out_n++;
	}
	return out_n;
}

/* ---- what they say ---- */

static struct slice texts(struct writer *w, const struct slice *of, uint32_t n)
{
	struct pg_array a = pg_array(w, PG_TEXT);

	for (uint32_t i = 0; i < n; i++)
		pg_array_bytes(&a, of[i]);
	return pg_array_end(&a);
}

/* The codes that are asked for: of every lane the same. */
struct asked { const struct counts_question *q; struct slice units, kinds; };

static void question(struct pg_question *to, const struct asked *a, uint8_t lane)
{
	const struct counts_question *q = a->q;

	pg_question(to, PG_COUNTS);
	pg_int2(to, lane);
	pg_bytes(to, a->units);
	pg_bytes(to, a->kinds);
	pg_int4(to, (int32_t)q->from);
	pg_int4(to, q->to != 0 ? (int32_t)q->to : INT32_MAX);
	pg_int2(to, (int16_t)q->period);
	pg_int2(to, q->by);
}

static bool told(const PGresult *answer, const struct counts_question *q, struct tally *out)
{
	char asked[PARTS_BYTES_MAX];

	for (int i = 0; i < PQntuples(answer); i++) {
		struct tally_row *row = tally_at(out, pg_column(answer, i, 0),
						 pg_column(answer, i, 1),
						 (uint32_t)pg_number(answer, i, 2),
						 counts_parts_asked(q, pg_column(answer, i, 3),
								    asked), 0);

		for (int k = 0; row != NULL && k < COUNTS; k++)
			row->by.of[k] += (uint64_t)pg_number(answer, i, 4 + k);
		if (row == NULL)
			return false;
	}
	return true;
}

static enum status ask_lanes(struct store_reader *r, uint8_t server, const uint8_t *lanes,
			     uint32_t n, const struct asked *a, struct tally *out)
{
	PGresult *answers[LANES_TOGETHER];
	enum status st;

	reader_forget(r, 0);
	for (uint32_t i = 0; i < n; i++)
		question(&r->questions[i], a, lanes[i]);
	st = reader_ask_all(r, server, r->questions, n, answers);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		if (!told(answers[i], a->q, out))
			st = ST_TOO_LARGE;
	return st;
}

/* Some lanes at once, where they are not each a transaction's: their answers are kept together. */
static enum status ask_server(struct store_reader *r, uint8_t server, const struct asked *a,
			      struct tally *out)
{
	const struct pg_servers *s = &r->home->servers;
	const uint32_t together = s->citus ? 1 : LANES_TOGETHER;
	uint8_t lanes[LANES_TOGETHER];
	uint32_t n = 0;
	enum status st = ST_OK;

	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
		if (s->of_lane[lane] == server)
			lanes[n++] = lane;
		if (n < together && (lane < LANES - 1 || n == 0))
			continue;
		st = ask_lanes(r, server, lanes, n, a, out);
		n = 0;
	}
	return st;
}

/*
 * A delta lies in one lane, so each is there whole or not at all; results of one case may be in two
 * of them.
 */
enum status pg_counts(struct store_reader *r, const struct counts_question *q, struct tally *out)
{
	size_t room = 2 * PG_ARRAY_BYTES;
	struct asked a = { .q = q };
	struct writer w;
	uint8_t *buf;
	enum status st = ST_OK;

	for (uint32_t i = 0; i < q->units_n; i++)
		room += 4 + q->units[i].n;
	for (uint32_t i = 0; i < q->kinds_n; i++)
		room += 4 + q->kinds[i].n;
	buf = malloc(room);
	if (buf == NULL)
		return ST_NOMEM;
	tally_clear(out);
	w = writer_of(buf, room);
	a.units = texts(&w, q->units, q->units_n);
	a.kinds = texts(&w, q->kinds, q->kinds_n);
	assert(!w.bad);
	for (uint8_t i = 0; i < r->home->servers.n && st == ST_OK; i++)
		st = ask_server(r, i, &a, out);
	free(buf);
	return st;
}
