#include <stdlib.h>

#include "store/postgres/lanes.h"

static_assert(BOOK_ISSUED == 1 && BOOK_VOID == 2 && BOOK_OUTSIDE == 3, "the states of 001.sql");

/* A page of the book, and the results that it names, fetched for all of them at once. */
struct page {
	PGresult *numbers, *results[LANES];
	struct place *of;		/* of the issued ones */
	uint32_t n, of_n;
};

static enum status page_ask(struct store_reader *r, struct slice unit, struct slice code,
			    uint32_t year, uint64_t after, uint32_t max, struct page *p)
{
	struct pg_question *q = &r->questions[0];
	uint8_t lane = pg_lane_register(unit, code);
	enum status st;

	pg_question(q, PG_BOOK);
	pg_int2(q, lane);
	pg_bytes(q, unit);
	pg_bytes(q, code);
	pg_int4(q, (int32_t)year);
	pg_int8(q, after > INT64_MAX ? INT64_MAX : (int64_t)after);
	pg_int8(q, max);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &p->numbers);
	p->n = st == ST_OK ? (uint32_t)PQntuples(p->numbers) : 0;
	for (uint32_t i = 0; i < p->n; i++)
		if (pg_number(p->numbers, (int)i, 2) == BOOK_ISSUED &&
		    lanes_place(&p->of[p->of_n], pg_number(p->numbers, (int)i, 1),
				pg_number(p->numbers, (int)i, 0)))
			p->of_n++;
	return p->of_n > 0 ? lanes_ask(r, PG_RESULTS, p->of, p->of_n, p->results) : st;
}

static bool issued_row(struct store_reader *r, const struct page *p, int row,
		       struct book_entry *out)
{
	struct place at;
	int found;

	if (!lanes_place(&at, pg_number(p->numbers, row, 1), pg_number(p->numbers, row, 0)))
		return false;
	found = lanes_row(p->results[at.lane], at.sequence);
	if (found < 0 || reader_row(p->results[at.lane], found, 1, at.lane, at.sequence,
				    &r->result) != ST_OK)
		return false;
	out->result = r->result.view;
	return true;
}

static bool void_row(const struct page *p, int row, struct book_entry *out)
{
	struct void_entry v;

	if (stored_void_decode(&v, stored_version(STORED_VOID),
			       pg_column(p->numbers, row, 4)) != ST_OK ||
	    v.sequence != (uint64_t)pg_number(p->numbers, row, 0) ||
	    v.used_outside != (out->state == BOOK_OUTSIDE))
		return false;
	out->actor = v.actor;
	stored_void_view(&v, &out->result);
	return true;
}

static void row_read(struct store_reader *r, struct slice unit, struct slice code, uint32_t year,
		     const struct page *p, int row, struct book_entry *out)
{
	const struct result_view *v = &out->result;
	int64_t state = pg_number(p->numbers, row, 2);
	bool read = false;

	*out = (struct book_entry){ .number = (uint64_t)pg_number(p->numbers, row, 3),
				  .sequence = (uint64_t)pg_number(p->numbers, row, 0),
				  .state = BOOK_ISSUED };
	if (state == BOOK_VOID || state == BOOK_OUTSIDE)
		out->state = (enum book_state)state;
	if (out->state == BOOK_ISSUED)
		read = state == BOOK_ISSUED && issued_row(r, p, row, out);
	else
		read = void_row(p, row, out);
	out->damaged = !read || v->number != out->number || v->register_year != year ||
		       !slice_eq(v->unit, unit) || !slice_eq(v->register_code, code);
}

enum status pg_book(struct store_reader *r, struct slice unit, struct slice code, uint32_t year,
		    uint64_t after, uint32_t max,
		    bool (*cb)(void *ctx, const struct book_entry *row), void *ctx, uint32_t *n)
{
	struct page p = { .of = calloc((size_t)max + 1, sizeof(*p.of)) };
	enum status st = p.of != NULL ? ST_OK : ST_NOMEM;
	bool on = true;

	reader_forget(r, 0);
	*n = 0;
	if (unit.n > CODE_BYTES_MAX || code.n > CODE_BYTES_MAX || year > INT32_MAX)
		p.n = 0;
	else if (st == ST_OK)
		st = page_ask(r, unit, code, year, after, max, &p);
	for (uint32_t i = 0; i < p.n && st == ST_OK && on; i++) {
		struct book_entry row;

		row_read(r, unit, code, year, &p, (int)i, &row);
		on = cb(ctx, &row);
		(*n)++;
	}
	free(p.of);
	return st;
}
