/*
 * How much is not finished: the waiting room, and what is on its way.
 *
 * What comes from the room keeps its row until it is through, and is counted there. Where it is
 * stored and its row is still to go (inflight.h) it is taken out again: the room is read first, so
 * nothing is taken out that was not counted.
 */
#include "counts.h"
#include "spine/reads.h"

struct unfinished {
	struct tally *out;
	int64_t now_ms, before_ms;
	bool full;
};

static struct counts *counts_of(struct unfinished *u, struct slice unit, struct slice kind)
{
	struct tally_row *row = tally_at(u->out, unit, kind, 0, (struct slice){ NULL, 0 }, 0);

	u->full |= row == NULL;
	return row != NULL ? &row->by : NULL;
}

static void wait_in_room(void *ctx, const struct waiting_sum *sum)
{
	struct unfinished *u = ctx;
	struct counts *c = counts_of(u, sum->unit, sum->kind);

	if (c == NULL)
		return;
	c->of[COUNT_RESULTS] += sum->rows;
	c->of[COUNT_LATE] += sum->late;
	c->of[COUNT_ON_TIME] += sum->rows - sum->late - sum->undated;
	c->of[COUNT_ACCEPTED] += sum->earlier;
}

static void less(uint64_t *n)
{
	*n -= *n > 0;
}

static void fly(void *ctx, const struct flight *f)
{
	struct unfinished *u = ctx;
	bool through = f->state >= STATE_STORED, has_row = f->room != 0;
	enum count when = f->due_ms < u->now_ms ? COUNT_LATE : COUNT_ON_TIME;
	struct counts *c;

	if (through != has_row)
		return;
	c = counts_of(u, f->unit, f->kind);
	if (c == NULL)
		return;
	if (through) {
		less(&c->of[COUNT_RESULTS]);
		if (f->due_ms != 0)
			less(&c->of[when]);
		if (f->accepted_ms < u->before_ms)
			less(&c->of[COUNT_ACCEPTED]);
		return;
	}
	c->of[COUNT_RESULTS]++;
	c->of[when] += f->due_ms != 0;
	c->of[COUNT_ACCEPTED] += f->accepted_ms < u->before_ms;
}

enum status reads_pending(void *reader, int64_t before_ms, struct tally *out)
{
	struct reads *r = reader;
	struct unfinished u = { .out = out, .before_ms = before_ms, .now_ms = io_wall_ms() };
	enum status st = ST_OK;

	tally_clear(out);
	if (reads_anything_waits(r))
		st = waiting_sums(r->rows, u.now_ms, before_ms, wait_in_room, &u, NULL);
	inflight_each(r->spine->inflight, fly, &u);
	return st != ST_OK ? st : u.full ? ST_TOO_LARGE : ST_OK;
}
