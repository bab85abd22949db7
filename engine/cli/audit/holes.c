#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/audit/holes.h"

#define CHUNK 4096			/* numbers that are settled at a time */
#define PAGE 256
#define SEEN_LATE_NS 20000000		/* store.h: what was stored is seen within 10 ms */

/* A part of a hole: which of its numbers are accounted for. */
struct chunk {
	struct audit_holes *h;
	uint64_t from, to;
	uint64_t known;			/* how many */
	uint64_t last;			/* that the store told */
	bool there[CHUNK];
};

enum status audit_hole_add(struct audit_holes *h, uint64_t from, uint64_t to)
{
	if (h->n == h->room) {
		size_t room = h->room == 0 ? 64 : 2 * h->room;
		void *bigger = realloc(h->of, room * sizeof(*h->of));

		if (bigger == NULL)
			return ST_NOMEM;
		h->of = bigger;
		h->room = room;
	}
	h->of[h->n++] = (struct audit_hole){ from, to };
	return ST_OK;
}

static void account(void *ctx, uint64_t number)
{
	struct chunk *c = ctx;

	if (number < c->from || number > c->to || c->there[number - c->from])
		return;
	c->there[number - c->from] = true;
	c->known++;
}

static bool stored_since(void *ctx, const struct book_entry *row)
{
	struct chunk *c = ctx;

	c->last = row->number;
	account(c, row->number);
	return row->number < c->to;
}

/* The engine first, then the store: a number goes from the one to the other, and never back. */
static enum status ask(struct chunk *c, const struct audit *a, const struct register_mark *m)
{
	uint32_t n = PAGE;
	enum status st = ST_OK;

	if (c->h->asked && !audit_engine_pending(c->h->engine, m, c->from, c->to, account, c))
		c->h->asked = false;
	if (c->known == c->to - c->from + 1)
		return ST_OK;
	if (c->h->asked)
		nanosleep(&(struct timespec){ .tv_nsec = SEEN_LATE_NS }, NULL);
	c->last = c->from - 1;
	while (st == ST_OK && n == PAGE && c->last < c->to)
		st = a->store->ops->book(a->walker, slice_str(m->unit), slice_str(m->code), m->year,
					 c->last, PAGE, stored_since, c, &n);
	return st;
}

/* gap: where a run of numbers that nobody has began; 0: none is open. */
static void runs(struct chunk *c, uint64_t *gap)
{
	for (uint64_t number = c->from; number <= c->to; number++) {
		if (c->there[number - c->from] && *gap != 0) {
			c->h->lost(c->h->ctx, *gap, number - 1);
			*gap = 0;
		} else if (!c->there[number - c->from] && *gap == 0) {
			*gap = number;
		}
	}
}

static enum status settle(struct audit_holes *h, const struct audit *a,
			  const struct register_mark *m, struct audit_hole hole)
{
	struct chunk c;
	uint64_t gap = 0;
	enum status st = ST_OK;

	for (uint64_t from = hole.from; from <= hole.to && st == ST_OK; from = c.to + 1) {
		memset(&c, 0, sizeof(c));
		c.h = h;
		c.from = from;
		c.to = hole.to - from >= CHUNK ? from + CHUNK - 1 : hole.to;
		st = ask(&c, a, m);
		if (st == ST_OK)
			runs(&c, &gap);
		h->pending += c.known;
	}
	if (gap != 0)
		h->lost(h->ctx, gap, hole.to);
	return st;
}

enum status audit_holes_settle(struct audit_holes *h, const struct audit *a,
			       const struct register_mark *m)
{
	enum status st = ST_OK;

	h->pending = 0;
	for (size_t i = 0; i < h->n && st == ST_OK; i++)
		st = settle(h, a, m, h->of[i]);
	h->n = 0;
	return st;
}
