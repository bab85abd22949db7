#include "journal/livekeys.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 256u			/* versions */
#define PART 4096u			/* buckets */
#define BUCKETS_MIN PART

/* One version of a key. `older` is the one before it in its bucket, gone if below `first`. */
struct live {
	struct keyentry entry;
	uint64_t pos, older;
};

struct live_chunk { struct live of[CHUNK]; };

struct livekeys {
	/*
	 * Versions have running numbers first … end, in the order of their positions. A bucket
	 * holds the newest running number + 1. What falls below `first` is gone from all chains at
	 * once, because chains lead from new to old.
	 */
	struct live_chunk **chunks;	/* a ring: number / CHUNK & chunks_mask */
	uint64_t chunks_mask, first, end;
	/* Of `size` buckets, a power of 2, the first `split` are divided in two. */
	uint64_t **parts;
	uint64_t parts_room, size, split;
};

static struct live *at(const struct livekeys *l, uint64_t n)
{
	return &l->chunks[n / CHUNK & l->chunks_mask]->of[n % CHUNK];
}

static uint64_t hash_of(const uint8_t key[16])
{
	uint64_t h;

	memcpy(&h, key, sizeof(h));	/* the key is a hash */
	return h;
}

static uint64_t *bucket(const struct livekeys *l, uint64_t b)
{
	return &l->parts[b / PART][b % PART];
}

static uint64_t *bucket_of(const struct livekeys *l, const uint8_t key[16])
{
	uint64_t b = hash_of(key) & (2 * l->size - 1);

	return bucket(l, b < l->size + l->split ? b : b & (l->size - 1));
}

/* ---- room ---- */

static bool part_add(struct livekeys *l, uint64_t index)
{
	if (index >= l->parts_room) {
		uint64_t **bigger = realloc(l->parts, 2 * (index + 1) * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		memset(bigger + l->parts_room, 0,
		       (2 * (index + 1) - l->parts_room) * sizeof(*bigger));
		l->parts = bigger;
		l->parts_room = 2 * (index + 1);
	}
	if (l->parts[index] == NULL)
		l->parts[index] = calloc(PART, sizeof(**l->parts));
	return l->parts[index] != NULL;
}

/* Divides one bucket. Without memory the chains grow longer, no more. */
static void bucket_split(struct livekeys *l)
{
	uint64_t new = l->size + l->split, *low, *high, n;

	if (!part_add(l, new / PART))
		return;
	low = bucket(l, l->split);
	high = bucket(l, new);
	for (n = *low; n > l->first;) {
		struct live *v = at(l, n - 1);
		uint64_t **tail = hash_of(v->entry.key) & l->size ? &high : &low;

		**tail = n;
		*tail = &v->older;
		n = v->older;
	}
	*low = 0;
	*high = 0;
	if (++l->split == l->size) {
		l->size *= 2;
		l->split = 0;
	}
}

static bool chunks_grow(struct livekeys *l)
{
	uint64_t mask = 2 * l->chunks_mask + 1;
	struct live_chunk **bigger = calloc(mask + 1, sizeof(*bigger));

	if (bigger == NULL)
		return false;
	for (uint64_t c = l->first / CHUNK; c < (l->end + CHUNK - 1) / CHUNK; c++)
		bigger[c & mask] = l->chunks[c & l->chunks_mask];
	free(l->chunks);
	l->chunks = bigger;
	l->chunks_mask = mask;
	return true;
}

/* Where the next version comes. */
static bool room_make(struct livekeys *l)
{
	struct live_chunk **c;

	if (l->end % CHUNK != 0)
		return true;
	if (l->end / CHUNK - l->first / CHUNK > l->chunks_mask && !chunks_grow(l))
		return false;
	c = &l->chunks[l->end / CHUNK & l->chunks_mask];
	*c = malloc(sizeof(**c));
	return *c != NULL;
}

struct livekeys *livekeys_new(void)
{
	struct livekeys *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->size = BUCKETS_MIN;
	l->chunks = calloc(1, sizeof(struct live_chunk *));
	if (l->chunks == NULL || !part_add(l, 0)) {
		livekeys_free(l);
		return NULL;
	}
	return l;
}

void livekeys_free(struct livekeys *l)
{
	if (l == NULL)
		return;
	for (uint64_t i = 0; l->chunks != NULL && i <= l->chunks_mask; i++)
		free(l->chunks[i]);
	for (uint64_t i = 0; i < l->parts_room; i++)
		free(l->parts[i]);
	free(l->chunks);
	free(l->parts);
	free(l);
}

/* ---- keys ---- */

bool livekeys_get(const struct livekeys *l, const uint8_t key[16], struct keyentry *out)
{
	uint64_t n = *bucket_of(l, key);

	while (n > l->first) {
		const struct live *v = at(l, n - 1);

		if (memcmp(v->entry.key, key, 16) == 0) {
			*out = v->entry;
			return true;
		}
		n = v->older;
	}
	return false;
}

enum status livekeys_put(struct livekeys *l, const struct keyentry *entry, uint64_t pos)
{
	uint64_t *b;

	if (!room_make(l))
		return ST_NOMEM;
	if (l->end - l->first >= l->size + l->split)
		bucket_split(l);
	b = bucket_of(l, entry->key);
	*at(l, l->end) = (struct live){ .entry = *entry, .pos = pos, .older = *b };
	*b = ++l->end;
	return ST_OK;
}

/* ---- the oldest ---- */

enum status livekeys_span(const struct livekeys *l, uint64_t upto, struct live_span *out)
{
	uint64_t low = l->first, high = l->end, from = l->first / CHUNK, chunks;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (at(l, middle)->pos < upto)
			low = middle + 1;
		else
			high = middle;
	}
	*out = (struct live_span){ .first = l->first, .n = low - l->first };
	if (out->n == 0)
		return ST_OK;
	chunks = (low - 1) / CHUNK - from + 1;
	out->chunks = malloc(chunks * sizeof(struct live_chunk *));
	if (out->chunks == NULL)
		return ST_NOMEM;
	for (uint64_t c = 0; c < chunks; c++)
		out->chunks[c] = l->chunks[(from + c) & l->chunks_mask];
	return ST_OK;
}

const struct keyentry *live_span_at(const struct live_span *s, size_t i)
{
	size_t n = s->first % CHUNK + i;

	return &s->chunks[n / CHUNK]->of[n % CHUNK].entry;
}

void live_span_end(struct live_span *s)
{
	free(s->chunks);
	*s = (struct live_span){ 0 };
}

void livekeys_drop(struct livekeys *l, struct live_span *s)
{
	uint64_t first = l->first + s->n;

	for (uint64_t c = l->first / CHUNK; c < first / CHUNK; c++) {
		free(l->chunks[c & l->chunks_mask]);
		l->chunks[c & l->chunks_mask] = NULL;
	}
	l->first = first;
	live_span_end(s);
}
