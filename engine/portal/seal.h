/*
 * seal.h - what a browser keeps for us and can neither read nor change: AES-256-GCM under a random
 * key of this process, with a time until which it holds. Any thread.
 */
#ifndef TRIEN_PORTAL_SEAL_H
#define TRIEN_PORTAL_SEAL_H

#include "base/base64url.h"
#include "base/status.h"

#define SEAL_EXTRA_BYTES (12 + 8 + 16)	/* nonce, time, tag */
#define SEAL_CHARS(n) BASE64URL_CHARS((n) + SEAL_EXTRA_BYTES)

struct seal { uint8_t key[32]; };

/* ST_INTERNAL: no random bytes. */
enum status seal_new(struct seal *s) must_use;
/* out: SEAL_CHARS(n) + 1. ST_TOO_LARGE: n is beyond SEAL_BYTES_MAX; ST_INTERNAL. */
#define SEAL_BYTES_MAX 2048
enum status seal_close(const struct seal *s, const void *p, size_t n, int64_t until_ms,
		       char *out) must_use;
/* false: not sealed here, changed, over at now_ms, or larger than room. */
bool seal_open(const struct seal *s, const char *text, int64_t now_ms, void *out, size_t room,
	       size_t *n);

#endif
