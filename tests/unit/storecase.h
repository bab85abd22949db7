/*
 * storecase.h - made-up results for tests and bench of the store: everything follows from a running
 * number, so that what must be stored can be made again for comparison.
 */
#ifndef TESTS_STORECASE_H
#define TESTS_STORECASE_H

#include "batch.h"

#define STORECASE_LAYERS 3
#define STORECASE_ENGINE 3
#define STORECASE_BASE_MS 1795000000000LL	/* November 2026 */

struct storecase {
	uint32_t units;			/* results go round over so many units */
	uint32_t holders;		/* and so many citizens */
	uint32_t body_bytes;		/* at least; up to an eighth more */
	struct batch *b;
	struct arena arena;
	struct kind kind;
	struct layer layers[STORECASE_LAYERS];
	uint8_t *layer_bytes;
	struct sha256 *hash;
};

int storecase_open(struct storecase *sc, uint32_t units, uint32_t holders, uint32_t body_bytes,
		   uint32_t layer_bytes);
void storecase_close(struct storecase *sc);

/* Fills the batch with results first … first + n; what was in it before is gone. */
void storecase_fill(struct storecase *sc, uint32_t first, uint32_t n);
/*
 * Makes the item a copy of these bytes: between its first part and the others stand some of the
 * body, some of them, some of the body, and all of them.
 */
void storecase_copy(struct storecase *sc, struct item *it, struct slice original);
/* After changing fields of an item's case: canonical bytes and digest again. */
void storecase_encode(struct storecase *sc, struct item *it);

uint64_t storecase_sequence(uint32_t k);
uint8_t storecase_lane(uint32_t k);
void storecase_unit(const struct storecase *sc, uint32_t k, char out[16]);
void storecase_code(uint32_t k, char out[32]);
uint64_t storecase_number(const struct storecase *sc, uint32_t k);
void storecase_holder(const struct storecase *sc, uint32_t k, char out[32]);
/* The file's bytes, in the item's parts put together. Caller frees. */
uint8_t *storecase_file(const struct item *it, size_t *size);

#endif
