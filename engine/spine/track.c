#include "spine/track.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#define PLACES_MIN 4096

struct place { uint64_t pos; bool open; };

struct track {
	struct place *ring;
	uint64_t first, end;		/* running numbers; ring[n & mask] */
	uint64_t mask;
};

enum status track_new(struct track **out)
{
	struct track *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ST_NOMEM;
	t->mask = PLACES_MIN - 1;
	t->ring = calloc(PLACES_MIN, sizeof(*t->ring));
	if (t->ring == NULL) {
		free(t);
		return ST_NOMEM;
	}
	*out = t;
	return ST_OK;
}

void track_free(struct track *t)
{
	if (t == NULL)
		return;
	free(t->ring);
	free(t);
}

static enum status grow(struct track *t)
{
	uint64_t size = (t->mask + 1) * 2;
	struct place *ring = calloc(size, sizeof(*ring));

	if (ring == NULL)
		return ST_NOMEM;
	for (uint64_t n = t->first; n < t->end; n++)
		ring[n & (size - 1)] = t->ring[n & t->mask];
	free(t->ring);
	t->ring = ring;
	t->mask = size - 1;
	return ST_OK;
}

enum status track_open(struct track *t, uint64_t pos, uint64_t *place)
{
	if (t->end - t->first > t->mask && grow(t) != ST_OK)
		return ST_NOMEM;
	*place = t->end++;
	t->ring[*place & t->mask] = (struct place){ pos, true };
	return ST_OK;
}

void track_close(struct track *t, uint64_t place)
{
	assert(place >= t->first && place < t->end && t->ring[place & t->mask].open);
	t->ring[place & t->mask].open = false;
	while (t->first < t->end && !t->ring[t->first & t->mask].open)
		t->first++;
}

uint64_t track_oldest(const struct track *t, uint64_t end)
{
	return t->first < t->end ? t->ring[t->first & t->mask].pos : end;
}
