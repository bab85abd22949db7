/*
 * policy.h - which key may sign what, until when: CERTS/keys.json, and the algorithms we know.
 *
 * Read by the signer (which enforces it), by the engine's keyring (which chooses by it) and by
 * `trien keys list`. The format is described in keys/README.md. An unknown member is an error: a
 * misspelt "to" must not open a key for ever.
 */
#ifndef TRIEN_SIGNER_POLICY_H
#define TRIEN_SIGNER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define KEYS_MAX 65536			/* of one keys.json */
#define KEY_ID_BYTES_MAX 64
#define KEY_CHAIN_MAX 4			/* issuers above the certificate, the root included */

enum algorithm { ALG_RSA2048, ALG_RSA3072, ALG_PSS2048, ALG_P256, ALG_COUNT };

struct algorithm_info {
	const char *name;		/* as in keys.json */
	bool rsa, pss;
	uint16_t bits;			/* of the RSA modulus or the curve's field */
	uint16_t signature_min, signature_max;	/* bytes; ECDSA: DER, shorter ones are made again */
};

const struct algorithm_info *algorithm_info(enum algorithm a);
/* false: no such name. */
bool algorithm_by_name(enum algorithm *out, struct slice name);

/* Strings are borrowed from the policy. */
struct key_policy {
	const char *id;			/* [a-z0-9.-], unique */
	const char *unit;
	const char *signer;		/* NULL: the agency's seal */
	enum algorithm algorithm;
	uint32_t kinds_n;		/* 0: all kinds of the unit */
	const char **kinds;
	int64_t from_ms, to_ms;		/* Unix, UTC: [from, to); INT64_MIN / INT64_MAX when open */
	const char *key_file;		/* in the key folder */
	const char *cert_file;		/* in the certificate folder */
	uint8_t chain_n;
	const char *chain[KEY_CHAIN_MAX];	/* issuer first, the self-signed root last */
	const char *evidence;		/* "B-B" */
};

struct policy;

/* ST_NOT_FOUND, ST_INVALID: *e says file, line or path of the member, and what is allowed. */
enum status policy_load(struct policy **out, const char *certs_dir, struct error *e) must_use;
void policy_free(struct policy *p);
uint32_t policy_count(const struct policy *p);
const struct key_policy *policy_key(const struct policy *p, uint32_t index);
/* May the key sign this kind? */
bool policy_covers(const struct key_policy *k, struct slice kind);

#endif
