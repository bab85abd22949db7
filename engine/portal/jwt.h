/*
 * jwt.h - signed tokens: compact JWS with a JSON object inside (RFC 7515, RFC 7519), verify only.
 *
 * ES256 and RS256 and nothing else. Which of the two is decided by the key, never by the token: its
 * `alg` only has to agree (RFC 8725 3.1). No key, address or certificate that stands in a token is
 * looked at. The claims are handed out after the signature was found good, not before.
 *
 * Pure functions; any thread. Error texts hold nothing of the token.
 */
#ifndef TRIEN_PORTAL_JWT_H
#define TRIEN_PORTAL_JWT_H

#include <jansson.h>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"

enum jwt_alg { JWT_ES256, JWT_RS256 };

struct jwt_key {
	char kid[KID_BYTES_MAX + 1];	/* "": it has none */
	enum jwt_alg alg;		/* P-256: ES256; RSA of 2048 to 4096 bits: RS256 */
	EVP_PKEY *key;			/* public; owned by whoever owns this struct */
};

/* What says which key is meant; not yet to be believed. */
struct jwt_header {
	char kid[KID_BYTES_MAX + 1];	/* "": none named */
	enum jwt_alg alg;
};

/* "ES256", "RS256" */
const char *jwt_alg_name(enum jwt_alg alg);
/*
 * ST_TOO_LARGE beyond ID_TOKEN_BYTES_MAX; ST_INVALID: not three parts, a header that is no strict
 * base64url of a JSON object, a member twice, `crit`, another `typ` than JWT; ST_UNSUPPORTED: any
 * other algorithm, "none" and the HMACs among them.
 */
enum status jwt_header(struct slice token, struct jwt_header *out, struct error *e) must_use;
/*
 * The claims of a token that this key signed; json_decref() when done. As jwt_header(), and
 * ST_UNAUTHENTICATED: not signed by this key, or for an algorithm that is not this key's;
 * ST_INVALID also for signed claims that are no JSON object or have a member twice.
 */
enum status jwt_claims(struct slice token, const struct jwt_key *key, json_t **claims,
		       struct error *e) must_use;

#endif
