/*
 * pool.h - memory that lives as long as one snapshot: taken piece by piece, freed at once.
 *
 * Cold path only; one thread at a time.
 */
#ifndef TRIEN_CATALOGUE_POOL_H
#define TRIEN_CATALOGUE_POOL_H

#include <stddef.h>

struct pool_block;
struct pool { struct pool_block *blocks; };	/* zeroed = empty */

/* Cleared, 16-byte aligned; NULL when memory is short. */
void *pool_take(struct pool *p, size_t n);
/* A NUL-terminated copy of n bytes; NULL when memory is short. */
char *pool_text(struct pool *p, const char *s, size_t n);
void pool_free(struct pool *p);

#endif
