/*
 * index.h - the hash of short names (codes, field names) behind every look-up of the catalogue.
 *
 * Names come from our own files, so no attacker picks collisions; a look-up with a foreign name
 * costs at most one probe chain.
 */
#ifndef TRIEN_CATALOGUE_INDEX_H
#define TRIEN_CATALOGUE_INDEX_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

static inline uint64_t index_word(const uint8_t *p, size_t n)
{
	uint64_t w = 0;

	memcpy(&w, p, n < 8 ? n : 8);
	return w;
}

/* Head, middle, tail and length: names of one kind differ in one of them. */
static inline uint32_t index_hash(struct slice s)
{
	uint64_t h = s.n * 0x9e3779b97f4a7c15u;

	if (s.n > 0) {
		h = (h ^ index_word(s.p, s.n)) * 0xff51afd7ed558ccdu;
		if (s.n > 8) {
			h ^= h >> 29;
			h = (h ^ index_word(s.p + s.n - 8, 8)) * 0xc4ceb9fe1a85ec53u;
			h ^= h >> 29;
			h = (h ^ index_word(s.p + s.n / 2 - 4, 8)) * 0xff51afd7ed558ccdu;
		}
	}
	return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

#endif
