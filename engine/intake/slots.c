#include "intake/slots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What a slot keeps resident: the few that are in use all the time keep enough for a usual batch,
 * the rest, used under a flood, give nearly all back. */
#define KEEP_HOT_BYTES (1024 * 1024)
#define KEEP_COLD_BYTES (64 * 1024)
#define HOT_SLOTS 16

struct slots {
	pthread_mutex_t lock;
	struct slot slots[REQUESTS_IN_FLIGHT_MAX];	/* the large ones first */
	uint64_t free_map[REQUESTS_IN_FLIGHT_MAX / 64];
	atomic_uint taken;
};

static_assert(SLOTS_LARGE == 64, "the large slots are the first word of the map");
static_assert(HOT_SLOTS <= SLOTS_LARGE, "small ones have less than the hot ones keep");
static_assert(SLOT_LARGE_BYTES >= 3 * REQUEST_BYTES_MAX, "canonical cases and reply fit beside");
static_assert(SLOT_SMALL_BYTES >= 3 * CASE_BYTES_MAX, "one case and its reply fit");

enum status slots_new(struct slots **out)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++) {
		struct slot *slot = &s->slots[i];

		slot->index = (uint16_t)i;
		slot->large = i < SLOTS_LARGE;
		if (arena_init(&slot->submission.arena,
			       slot->large ? SLOT_LARGE_BYTES : SLOT_SMALL_BYTES) != ST_OK) {
			slots_free(s);
			return ST_NOMEM;
		}
	}
	memset(s->free_map, 0xff, sizeof(s->free_map));
	*out = s;
	return ST_OK;
}

void slots_free(struct slots *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++)
		arena_free(&s->slots[i].submission.arena);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* The lowest free one, so that the same few stay warm. */
struct slot *slot_take(struct slots *s, bool large)
{
	uint32_t w = large ? 0 : 1, end = large ? 1 : ARRAY_LEN(s->free_map);
	struct slot *slot = NULL;

	pthread_mutex_lock(&s->lock);
	for (; slot == NULL && w < end; w++) {
		if (s->free_map[w] == 0)
			continue;
		slot = &s->slots[w * 64 + (uint32_t)__builtin_ctzll(s->free_map[w])];
		s->free_map[w] &= s->free_map[w] - 1;
	}
	pthread_mutex_unlock(&s->lock);
	if (slot != NULL)
		atomic_fetch_add_explicit(&s->taken, 1, memory_order_relaxed);
	return slot;
}

void slot_give(struct slots *s, struct slot *slot)
{
	struct arena a = slot->submission.arena;
	size_t keep = slot->index < HOT_SLOTS ? KEEP_HOT_BYTES : KEEP_COLD_BYTES;

	if (a.peak > keep)
		madvise(a.base + keep, a.size - keep, MADV_DONTNEED);
	slot->submission = (struct submission){ .arena = { .base = a.base, .size = a.size } };
	atomic_fetch_sub_explicit(&s->taken, 1, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	s->free_map[slot->index / 64] |= 1ull << (slot->index % 64);
	pthread_mutex_unlock(&s->lock);
}

uint32_t slots_taken(const struct slots *s)
{
	return atomic_load_explicit(&((struct slots *)s)->taken, memory_order_relaxed);
}
