/*
 * random.h - the one source of chance: splitmix64, the same everywhere for the same seed. Not for
 * anything that must not be guessed.
 */
#ifndef SAMPLE_RANDOM_H
#define SAMPLE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct random { uint64_t state; };

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* A stream of its own for each (seed, stream): case 7 is the same however many cases are made. */
static inline struct random random_of(uint64_t seed, uint64_t stream)
{
	struct random r = { seed };
	uint64_t mixed = random_next(&r);

	r.state = mixed ^ stream * 0xd1342543de82ef95u;
	random_next(&r);
	return r;
}

/* 0 to n - 1. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint32_t)((random_next(r) >> 32) * n >> 32);
}

static inline uint32_t random_between(struct random *r, uint32_t from, uint32_t to)
{
	return from + random_below(r, to - from + 1);
}

static inline bool random_chance(struct random *r, uint32_t permille)
{
	return random_below(r, 1000) < permille;
}

#define RANDOM_PICK(r, list) ((list)[random_below((r), ARRAY_LEN(list))])

#endif
