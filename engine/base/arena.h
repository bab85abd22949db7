/*
 * arena.h - bump allocation over one fixed block: reset, never free.
 *
 * An arena belongs to one thread at a time; passing its owner (a request, a batch) passes it.
 */
#ifndef TRIEN_BASE_ARENA_H
#define TRIEN_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct arena {
	uint8_t *base;
	size_t used, size;	/* bytes */
	size_t peak;		/* highest `used` since arena_init */
};

/* Allocates the block (page aligned, untouched). ST_NOMEM if the system refuses. */
enum status arena_init(struct arena *a, size_t size) must_use;
/* Wraps caller memory; arena_free must not be called on it. */
void arena_wrap(struct arena *a, void *block, size_t size);
void arena_free(struct arena *a);

/* 16-byte aligned, not cleared; NULL when the block is spent (caller answers ST_TOO_LARGE). */
void *arena_take(struct arena *a, size_t n);
/* As arena_take, cleared. */
void *arena_zero(struct arena *a, size_t n);
/* A copy in the arena; p == NULL with n > 0 when spent. */
struct slice arena_copy(struct arena *a, struct slice s);
void arena_reset(struct arena *a);

#endif
