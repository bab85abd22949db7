#include "batch.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A batch that once held a giant document gives its pages back. */
#define KEEP_BYTES (1024 * 1024)

struct batch_pool {
	struct batch *free;
	uint32_t total, in_flight;
	struct batch *all;
	struct arena *work;		/* one block a batch, cut into ranges by batch_split */
};

static enum status batch_init(struct batch *b, struct arena *work)
{
	enum status st = arena_init(&b->arena, BATCH_RECORD_BYTES);

	if (st == ST_OK)
		st = arena_init(work, BATCH_WORK_BYTES);
	for (uint32_t i = 0; i < BATCH_ITEMS_MAX && st == ST_OK; i++) {
		b->items[i].mid = sha256_new();
		if (b->items[i].mid == NULL)
			st = ST_NOMEM;
	}
	return st;
}

enum status batch_pool_new(struct batch_pool **out, uint32_t batches)
{
	struct batch_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ST_NOMEM;
	p->total = batches;
	p->all = calloc(batches, sizeof(*p->all));
	p->work = calloc(batches, sizeof(*p->work));
	if (p->all == NULL || p->work == NULL) {
		batch_pool_free(p);
		return ST_NOMEM;
	}
	for (uint32_t i = 0; i < batches; i++) {
		if (batch_init(&p->all[i], &p->work[i]) != ST_OK) {
			batch_pool_free(p);
			return ST_NOMEM;
		}
		p->all[i].next = p->free;
		p->free = &p->all[i];
	}
	*out = p;
	return ST_OK;
}

void batch_pool_free(struct batch_pool *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; p->all != NULL && p->work != NULL && i < p->total; i++) {
		for (uint32_t k = 0; k < BATCH_ITEMS_MAX; k++)
			sha256_free(p->all[i].items[k].mid);
		arena_free(&p->all[i].arena);
		arena_free(&p->work[i]);
	}
	free(p->work);
	free(p->all);
	free(p);
}

static struct arena *work_of(struct batch_pool *p, struct batch *b)
{
	return &p->work[b - p->all];
}

struct batch *batch_take(struct batch_pool *p)
{
	struct batch *b = p->free;

	if (b == NULL)
		return NULL;
	p->free = b->next;
	b->next = NULL;
	p->in_flight++;
	b->items_n = 0;
	b->slot = 0;
	b->ranges_n = 0;
	/* The ranges' arenas are cut out of this block. */
	b->ranges[0].arena = *work_of(p, b);
	batch_move(b, BATCH_FREE, BATCH_FILLING);
	return b;
}

static void give_back(struct arena *a)
{
	if (a->peak > KEEP_BYTES)
		madvise(a->base, a->size, MADV_DONTNEED);
	a->used = a->peak = 0;
}

void batch_release(struct batch_pool *p, struct batch *b)
{
	struct arena *work = work_of(p, b);

	for (uint8_t i = 0; i < b->ranges_n; i++)
		if (b->ranges[i].arena.peak > work->peak)
			work->peak = b->ranges[i].arena.peak;
	give_back(work);
	give_back(&b->arena);
	for (uint32_t i = 0; i < b->items_n; i++) {
		struct sha256 *mid = b->items[i].mid;

		b->items[i] = (struct item){ .mid = mid };
	}
	batch_move(b, BATCH_DONE, BATCH_FREE);
	b->next = p->free;
	p->free = b;
	p->in_flight--;
}

uint32_t batch_in_flight(const struct batch_pool *p)
{
	return p->in_flight;
}

void batch_split(struct batch *b)
{
	uint8_t *base = b->ranges[0].arena.base;
	size_t size = b->ranges[0].arena.size;
	uint32_t n = (b->items_n + BATCH_RANGE_ITEMS - 1) / BATCH_RANGE_ITEMS;
	size_t share = size / n & ~(size_t)4095;
	uint32_t first = 0;

	assert(b->stage == BATCH_FILLING && b->items_n > 0);
	b->ranges_n = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++) {
		struct batch_range *r = &b->ranges[i];
		uint32_t count = (b->items_n - first + (n - i) - 1) / (n - i);

		r->batch = b;
		r->first = first;
		r->count = count;
		arena_wrap(&r->arena, base + i * share, share);
		first += count;
	}
	assert(first == b->items_n);
}

static void batch_check(const struct batch *b)
{
	for (uint32_t i = 0; i < b->items_n; i++) {
		const struct item *item = &b->items[i];

		if (b->stage >= BATCH_PRESS && b->stage != BATCH_DONE)
			assert(item->sequence != 0 && item->record.n > 0);
		if (b->stage == BATCH_SIGNING && item->held == REASON_NONE)
			assert(item->doc.parts_n > 0 && item->slots_n > 0);
		if (b->stage == BATCH_STORING && item->held == REASON_NONE)
			assert(item->doc.file_size > 0 && item->slots[0].value_size > 0);
	}
}

void batch_move(struct batch *b, enum batch_stage from, enum batch_stage to)
{
	assert(b->stage == from);
	b->stage = to;
	batch_check(b);
}
