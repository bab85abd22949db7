/*
 * keyring.h - the public side of the signing keys, as the files of sign/ see it.
 *
 * Immutable once loaded, but for the pool of verification contexts in each key. Times are
 * Unix milliseconds, UTC.
 */
#ifndef TRIEN_SIGN_KEYRING_H
#define TRIEN_SIGN_KEYRING_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "signer/cms.h"
#include "sign/sign.h"

/* P-256 has seven lengths, RSA one. */
#define SKELETONS_MAX 8
#define VERIFIERS_MAX 8

struct signing_key {
	struct key_row row;
	const struct key_policy *policy;
	const struct algorithm_info *info;
	enum algorithm algorithm;
	X509 *chain[KEY_CHAIN_MAX + 1];	/* signer's first, root last */
	struct slice ders[KEY_CHAIN_MAX + 1];
	uint8_t chain_n;
	struct layer issuers[KEY_CHAIN_MAX];	/* chain[1 …] as layers */
	int lists[KEY_CHAIN_MAX];	/* which CRL was asked about chain[i]; -1: none */
	struct evidence evidence;
	char name[256];
	bool wrong_unit;		/* the certificate names another agency than the policy */
	bool revoked;
	int64_t valid_from_ms, valid_to_ms;	/* whole chain: [from, to] */
	int64_t fresh_to_ms;		/* revocation is known until then; INT64_MIN: never */
	uint32_t check_one_in;
	uint32_t hole_bytes;
	uint8_t skeletons_n;
	struct cms_skeleton skeletons[SKELETONS_MAX];	/* by length, from signature_min */
	const struct layer *layers[3 * SKELETONS_MAX];
	uint8_t attributes[CMS_ATTRIBUTES_BYTES];
	/* Prepared contexts, taken and put back by workers; NULL = out or not made yet. */
	_Atomic(EVP_PKEY_CTX *) verifiers[VERIFIERS_MAX];
};

/* Chain signatures, validity window, revocation; fills the key's trust fields. */
enum status trust_judge(struct signing_key *k, const STACK_OF(X509_CRL) *crls,
			uint32_t crl_age_hours_max, struct error *e) must_use;
/*
 * DER of every list, in their order, ended by one without bytes. Freed by the caller even if it
 * fails: ST_TOO_LARGE, ST_NOMEM.
 */
enum status evidence_lists(struct layer **out, const STACK_OF(X509_CRL) *crls,
			   struct error *e) must_use;
void evidence_lists_free(struct layer *lists);
/* Fills k->evidence from what trust_judge() found; borrows from lists. */
enum status evidence_build(struct signing_key *k, const struct layer *lists,
			   struct error *e) must_use;
void evidence_free(struct signing_key *k);

/* May the key sign at signed_ms? REASON_NONE = yes. */
enum reason trust_at(const struct signing_key *k, int64_t signed_ms);

/*
 * The keys of (unit, signer or "" for the agency), walking from *at = UINT32_MAX; NULL at the end.
 */
const struct signing_key *keyring_next(const struct keyring *k, struct slice unit,
				       struct slice signer, uint32_t *at);
/* Any key of that signer, whatever its unit; "" = none. Linear: only to name a reason. */
bool keyring_has_signer(const struct keyring *k, struct slice signer);

/* Does value verify as signature over digest under the key's certificate? Any thread. */
bool verifier_check(const struct signing_key *k, const uint8_t digest[SHA256_BYTES],
		    const uint8_t *value, uint16_t size);

#endif
