/*
 * hash.h - SHA-256 with forkable state, CRC32C, hex and Crockford base32.
 *
 * A `struct sha256` is allocated once per user (thread, item) and reused: no fetch and no
 * allocation by our code per document. Copying a state is how the static prefix is hashed once.
 */
#ifndef TRIEN_BASE_HASH_H
#define TRIEN_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define SHA256_BYTES 32

struct sha256;			/* one running state; one thread at a time */

/* NULL when memory is short. */
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *h);
void sha256_start(struct sha256 *h);
/* dst becomes a fork of src; both go on independently. */
void sha256_fork(struct sha256 *dst, const struct sha256 *src);
void sha256_add(struct sha256 *h, const void *p, size_t n);
/* Ends the state: start or fork before the next use. */
void sha256_end(struct sha256 *h, uint8_t out[SHA256_BYTES]);
/* One shot, without allocation. */
void sha256_once(const void *p, size_t n, uint8_t out[SHA256_BYTES]);

/* CRC-32C (Castagnoli), by instruction where the processor has it. crc = 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/* Lower or upper case; out gets 2n characters, no NUL. */
void hex_lower(char *out, const uint8_t *p, size_t n);
void hex_upper(char *out, const uint8_t *p, size_t n);
/* false: s is not exactly 2n hex digits. */
bool hex_read(uint8_t *out, size_t n, struct slice s);

/* 128 bits as 26 characters of Crockford base32, upper case, no NUL (result ids). */
#define ID_TEXT_BYTES 26
void id_text(char out[ID_TEXT_BYTES], const uint8_t id[16]);
/* Accepts lower case and the look-alikes O, I, L; false for anything else. */
bool id_read(uint8_t id[16], struct slice text);
/* There is none. */
bool id_is_zero(const uint8_t id[16]);

#endif
