/*
 * damage.h - a file, damaged at random but the same in each run: what is made of it may be anything
 * that holds together, and nothing is read beyond its end (a copy of just its size, under ASan).
 */
#ifndef TRIEN_TESTS_DAMAGE_H
#define TRIEN_TESTS_DAMAGE_H

#include <stdlib.h>

#include "foreign/foreign.h"
#include "foreign/look.h"

static uint32_t damage_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

/* Bytes changed, some of them to what parsers know; or cut off; or a piece doubled. */
static size_t damage(uint8_t *p, size_t n, uint64_t *seed)
{
	static const uint8_t known[] = { 0, 1, 0xFF, 0x7F, '/', '<', '>', '(', '[', ' ', '9' };
	uint32_t how = damage_next(seed) % 8, times = 1 + damage_next(seed) % 4;

	if (how == 0)
		return damage_next(seed) % n;
	if (how == 1) {
		size_t from = damage_next(seed) % n, to = damage_next(seed) % n;
		size_t most = n - (from > to ? from : to);

		memmove(p + to, p + from, damage_next(seed) % (most + 1));
		return n;
	}
	while (times-- > 0) {
		uint32_t r = damage_next(seed);

		p[damage_next(seed) % n] = how < 5 ? (uint8_t)r : known[r % sizeof(known)];
	}
	return n;
}

/*
 * Looks at the file damaged in `rounds` ways, and in the soak many more. Returns how many of
 * `rounds` were still good.
 */
static uint32_t damage_all(struct slice file, uint32_t rounds, struct arena *a)
{
	static uint8_t answer[FOREIGN_ANSWER_BYTES_MAX];
	uint64_t seed = 1;
	uint32_t good = 0, more = getenv("TRIEN_FULL") != NULL ? 20 : 1;

	for (uint32_t i = 0; i < rounds * more; i++) {
		uint8_t *copy = malloc(file.n), *exact;
		struct foreign_verdict v = { REASON_NONE, "" };
		struct writer w = writer_of(answer, sizeof(answer));
		struct original o, got;
		struct foreign_file f;
		struct detail d;
		size_t n;

		assert_non_null(copy);
		memcpy(copy, file.p, file.n);
		n = damage(copy, file.n, &seed);
		exact = malloc(n + (n == 0));
		memcpy(exact, copy, n);
		free(copy);
		arena_reset(a);
		v.why = look_at(slice_of(exact, n), false, a, &o, &d);
		memcpy(v.detail, d.text, sizeof(v.detail));
		good += v.why == REASON_NONE;
		/* The engine can read whatever is said of it. */
		foreign_write(&w, &o, &v);
		assert_false(w.bad);
		f = (struct foreign_file){ .size = (uint32_t)n };
		assert_int_equal(foreign_read(writer_slice(&w), &f, a, &got, &v), ST_OK);
		free(exact);
	}
	return good / more;
}

#endif
