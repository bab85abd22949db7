/*
 * jwks.h - the keys that an OpenID provider signs with (RFC 7517): read, kept, asked for again.
 *
 * A set has RSA keys of 2048 to 4096 bits and P-256 keys; what else stands in it is passed over:
 * other kinds, keys for encryption or another algorithm, shorter ones, a key with its private part.
 */
#ifndef TRIEN_PORTAL_JWKS_H
#define TRIEN_PORTAL_JWKS_H

#include "portal/jwt.h"

struct jwks {
	uint32_t n;
	struct jwt_key keys[KEY_SET_KEYS_MAX];
};

/*
 * Pure. jwks_free() when done. ST_INVALID: no JSON object with `keys`, a member twice, two keys of
 * one kind under one kid (which of them signed would be a guess); ST_TOO_LARGE.
 */
enum status jwks_read(struct jwks **out, struct slice json, struct error *e) must_use;
void jwks_free(struct jwks *s);
/*
 * Lent by s. The key that a header means: of its kid, if it names one (one of its own kind before
 * another, which is then refused for its algorithm); else the only one for its algorithm. NULL.
 */
const struct jwt_key *jwks_find(const struct jwks *s, const struct jwt_header *h);

/* Where a cache has its set and its time from. */
struct jwks_source {
	/* malloc'd bytes of the set; runs on the thread that asked, without a lock. */
	enum status (*fetch)(void *ctx, uint8_t **bytes, size_t *n, struct error *e);
	int64_t (*now_ms)(void *ctx);	/* never goes back */
	void *ctx;
};

struct jwks_cache;

enum status jwks_cache_new(struct jwks_cache **out, const struct jwks_source *source,
			   struct error *e) must_use;
/* No call is in it any more. */
void jwks_cache_free(struct jwks_cache *c);
enum jwks_wait { JWKS_NO_WAIT, JWKS_WAIT };

/*
 * As jwt_claims(), with the key that the token names. The set is fetched when it is needed first,
 * is older than KEY_SET_FRESH_MS, or does not have the key, by one thread at a time and not more
 * often than KEY_SET_PAUSE_MS and KEY_SET_FETCHES_MAX allow; a token costs one fetch at most. Who
 * has its key never waits; who needs a fetch that another thread makes waits for it, or with
 * JWKS_NO_WAIT gets ST_UNAVAILABLE. A set that cannot be had anew serves until KEY_SET_STALE_MS.
 * ST_UNAUTHENTICATED also: no such key; ST_UNAVAILABLE: the keys cannot be had. Any thread.
 */
enum status jwks_claims(struct jwks_cache *c, struct slice token, enum jwks_wait wait,
			json_t **claims, struct error *e) must_use;

#endif
