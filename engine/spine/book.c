#include <stdlib.h>

#include "spine/reads.h"

/*
 * The official book of a register, put together from those who know a part of it. Asked in the
 * order of inflight.h, so that no number is missed that moves meanwhile: those on their way (noted
 * when the walk began, looked at again with each page), then the waiting room, then the store.
 */
struct book {
	char unit[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
	uint32_t year;
	uint64_t upto, after;		/* told so far */
	struct flying *flying;		/* by number */
	uint32_t flying_n, flying_at;
};

/* A number that is not stored yet, as the page found it. */
struct pending_number {
	uint64_t number, sequence;
	int32_t row;			/* in rows; -1: on its way, as `now` says */
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;
};

struct page {
	struct reads *r;
	struct book *b;
	uint32_t max, told;
	struct waiting_row *rows;
	struct pending_number *list;	/* by number */
	uint32_t list_n, list_at;
	void (*cb)(void *ctx, const struct book_entry *row);
	void *ctx;
	bool ended;
};

enum status book_open(void *reader, struct slice unit, struct slice code, uint32_t year,
		      uint64_t after, uint64_t upto, struct book **out)
{
	struct reads *r = reader;
	struct book *b = calloc(1, sizeof(*b));
	enum status st;

	if (b == NULL)
		return ST_NOMEM;
	if (unit.n > CODE_BYTES_MAX || code.n > CODE_BYTES_MAX) {
		free(b);
		return ST_INVALID;
	}
	memcpy(b->unit, unit.p, unit.n);
	memcpy(b->code, code.p, code.n);
	b->year = year;
	b->after = after;
	b->upto = upto;
	st = inflight_register(r->spine->inflight, unit, code, year, &b->flying, &b->flying_n);
	if (st != ST_OK) {
		free(b);
		return st;
	}
	*out = b;
	return ST_OK;
}

void book_close(struct book *b)
{
	if (b == NULL)
		return;
	free(b->flying);
	free(b);
}

static int by_number(const void *a, const void *b)
{
	const struct pending_number *x = a, *y = b;

	return x->number != y->number ? (x->number > y->number) - (x->number < y->number) :
					(x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* Those on their way, at most max. */
static void flying_add(struct page *p)
{
	struct book *b = p->b;
	uint32_t n = 0;

	while (b->flying_at < b->flying_n && b->flying[b->flying_at].number <= b->after)
		b->flying_at++;
	for (uint32_t i = b->flying_at; i < b->flying_n && n < p->max; i++) {
		struct pending_number *at = &p->list[n];

		at->number = b->flying[i].number;
		at->sequence = b->flying[i].sequence;
		at->row = -1;
		n += inflight_get(p->r->spine->inflight, at->sequence, &at->now, &at->lane,
				  &at->accepted_ms) && at->now.state != STATE_STORED;
	}
	p->list_n = n;
}

/* Those that wait, at most max, but for what is on its way by now. */
static enum status waiting_add_to(struct page *p)
{
	const struct book *b = p->b;
	uint32_t n = 0, flying_n = p->list_n;
	enum status st;

	if (!reads_anything_waits(p->r))
		return ST_OK;
	st = waiting_numbers(p->r->rows, slice_str(b->unit), slice_str(b->code), b->year, b->after,
			     p->rows, p->max, &n, NULL);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		bool listed = false;

		for (uint32_t k = 0; k < flying_n && !listed; k++)
			listed = p->list[k].sequence == p->rows[i].sequence;
		if (!listed)
			p->list[p->list_n++] = (struct pending_number){
				.number = p->rows[i].number, .sequence = p->rows[i].sequence,
				.row = (int32_t)i };
	}
	qsort(p->list, p->list_n, sizeof(*p->list), by_number);
	return st;
}

static void tell(struct page *p, const struct book_entry *row)
{
	p->cb(p->ctx, row);
	p->told++;
	p->b->after = row->number;
}

/* As it was when the page was asked for: it may have been stored since. */
static void pending_tell(struct page *p, const struct pending_number *at)
{
	struct reads *r = p->r;
	struct book_entry row = { .number = at->number, .sequence = at->sequence,
				.state = BOOK_PENDING };

	if (at->row >= 0) {
		r->row = p->rows[at->row];
		reads_waiting(r, &row.result);
		row.signer = slice_str(r->row.signer);
	} else {
		r->now = at->now;
		reads_in_flight(r, &row.result, at->lane, at->sequence, at->accepted_ms);
	}
	tell(p, &row);
}

/* Its row was read before the store was asked: is it still there, and nothing on its way? */
static bool still_waits(struct page *p, const struct pending_number *at)
{
	int64_t accepted_ms;
	uint8_t lane;

	if (inflight_get(p->r->spine->inflight, at->sequence, &p->r->now, &lane, &accepted_ms))
		return p->r->now.state < STATE_STORED;
	return at->row >= 0 &&
	       waiting_find(p->r->rows, at->sequence, &p->r->row, NULL) == ST_OK;
}

static void pending_below(struct page *p, uint64_t number)
{
	while (p->list_at < p->list_n && p->list[p->list_at].number < number &&
	       p->told < p->max)
		pending_tell(p, &p->list[p->list_at++]);
}

/* One of the store's, with what has its number and is not stored. */
static bool stored_tell(void *ctx, const struct book_entry *row)
{
	struct page *p = ctx;
	bool shown = false;

	if (row->number >= p->b->upto) {
		p->ended = true;
		return false;
	}
	pending_below(p, row->number);
	if (p->told >= p->max)
		return false;
	for (; p->list_at < p->list_n && p->list[p->list_at].number == row->number; p->list_at++) {
		const struct pending_number *at = &p->list[p->list_at];

		/* A number of two results is what an auditor looks for: both are told. */
		if (!still_waits(p, at))
			continue;
		shown |= at->sequence == row->sequence;
		pending_tell(p, at);
	}
	if (!shown)
		tell(p, row);
	return p->told < p->max;
}

static enum status page_tell(struct page *p, bool *ended)
{
	struct book *b = p->b;
	struct reads *r = p->r;
	uint32_t n = 0;
	enum status st;

	flying_add(p);
	st = waiting_add_to(p);
	if (st == ST_OK)
		st = r->spine->store->ops->book(r->store, slice_str(b->unit), slice_str(b->code),
						b->year, b->after, p->max, stored_tell, p, &n);
	if (st != ST_OK)
		return st;
	/* The store has no more: the rest is what is not stored yet. */
	if (p->told < p->max && (n < p->max || p->ended)) {
		pending_below(p, b->upto);
		*ended = p->told < p->max;
	}
	return ST_OK;
}

enum status book_next(void *reader, struct book *b, uint32_t max,
		      void (*cb)(void *ctx, const struct book_entry *row), void *ctx, bool *ended)
{
	struct page p = { .r = reader, .b = b, .max = max, .cb = cb, .ctx = ctx };
	enum status st = ST_NOMEM;

	*ended = false;
	p.rows = malloc(max * sizeof(*p.rows));
	p.list = malloc(2 * (size_t)max * sizeof(*p.list));
	if (p.rows != NULL && p.list != NULL)
		st = page_tell(&p, ended);
	free(p.rows);
	free(p.list);
	return st;
}
