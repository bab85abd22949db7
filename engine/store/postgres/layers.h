/*
 * layers.h - shared bytes as they were read from a server and checked: few and immutable, so they
 * are kept, the least used go first. Inside store/postgres only. Any thread.
 */
#ifndef TRIEN_STORE_POSTGRES_LAYERS_H
#define TRIEN_STORE_POSTGRES_LAYERS_H

#include "base/hash.h"

struct pg_layers;

/*
 * Copies [offset, offset + *n) of the bytes with that SHA-256 to `to`, which has room bytes; *n 0:
 * up to their end. ST_NOT_FOUND: not kept here; ST_CORRUPT: there is no such range, or no room.
 */
enum status pg_layers_copy(struct pg_layers *l, const uint8_t sha256[SHA256_BYTES],
			   uint32_t offset, uint8_t *to, size_t room, size_t *n) must_use;
/* Keeps a copy, if there is memory. The caller has checked them. */
void pg_layers_keep(struct pg_layers *l, const uint8_t sha256[SHA256_BYTES], struct slice bytes);

#endif
