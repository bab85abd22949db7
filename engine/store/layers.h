/*
 * layers.h - which shared layers are stored, and where. Inside store/ only.
 *
 * Ids rise from 1 and are given by the writer; any thread may look. Some thousands of entries: one
 * for each font set, form, unit, signer and key.
 */
#ifndef TRIEN_STORE_LAYERS_H
#define TRIEN_STORE_LAYERS_H

#include <pthread.h>

#include "base/hash.h"
#include "base/status.h"

struct layer_entry {
	uint8_t sha256[SHA256_BYTES];
	uint64_t position;		/* 0: not durable yet */
	uint32_t size;
	uint32_t next;			/* of its hash chain; id */
};

struct store_layers {
	pthread_mutex_t lock;
	struct layer_entry *of;		/* of[id - 1] */
	uint32_t n, room;
	uint32_t *heads, heads_n;	/* id; a power of two */
};

enum status layers_init(struct store_layers *l) must_use;
void layers_free(struct store_layers *l);
/* 0: unknown. */
uint32_t layers_find(struct store_layers *l, const uint8_t sha256[SHA256_BYTES]);
/* The next id; 0: no memory. Writer. */
uint32_t layers_add(struct store_layers *l, const uint8_t sha256[SHA256_BYTES], uint32_t size,
		    uint64_t position);
void layers_place(struct store_layers *l, uint32_t id, uint64_t position);
/* Forgets those behind the first n. Writer. */
void layers_cut(struct store_layers *l, uint32_t n);
/* A copy; false: no such id, or not durable. */
bool layers_get(struct store_layers *l, uint32_t id, struct layer_entry *out);

#endif
