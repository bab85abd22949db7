/*
 * remotekey.h - a key that is elsewhere: what keys.json says of it, its certificate, and whether an
 * answer is its signature.
 */
#ifndef TRIEN_REMOTE_REMOTEKEY_H
#define TRIEN_REMOTE_REMOTEKEY_H

#include <openssl/x509.h>
#include <stdint.h>

#include "remote/remote.h"
#include "signer/policy.h"

#define SERIAL_BYTES_MAX 96			/* as text */

struct remote_key {
	const struct key_policy *policy;	/* borrowed */
	X509 *certificate;
	EVP_PKEY_CTX *verify;
	int64_t not_before_ms, not_after_ms;
	char *certificate_base64;		/* DER */
	char serial_hex[SERIAL_BYTES_MAX], serial_decimal[SERIAL_BYTES_MAX];
};

/* Caller frees what was filled with remote_key_close(), also after a failure. */
enum status remote_key_open(struct remote_key *k, const struct key_policy *policy,
			    const char *certs_dir, struct error *e) must_use;
void remote_key_close(struct remote_key *k);
/* May it sign this unit and kind now (Unix ms)? REMOTE_SIGNED: yes. */
enum remote_status remote_key_judge(const struct remote_key *k, struct slice unit,
				    struct slice kind, int64_t now_ms);
/*
 * Is `answer` this key's signature over the digest? raw: ECDSA as r‖s. Then *n bytes stand in out,
 * in the form that a document takes; false: it is something else.
 */
bool remote_key_check(const struct remote_key *k, const uint8_t digest[32], struct slice answer,
		      bool raw, uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *n);
/* Is the text the DER of this key's certificate in base64? */
bool remote_key_is(const struct remote_key *k, const char *certificate_base64);

#endif
