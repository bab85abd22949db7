/*
 * sign.h - signed attributes, CMS skeletons, PAdES splice, check before release.
 *
 * PAdES baseline B-B (ETSI EN 319 142-1; CMS RFC 5652; signingCertificateV2 RFC 5035) from DER
 * skeletons: per document only 32 bytes of messageDigest and the signature value differ.
 * Everything here is called by press workers and is pure on its item, apart from the keyring,
 * an immutable snapshot that a reload swaps.
 */
#ifndef TRIEN_SIGN_H
#define TRIEN_SIGN_H

#include "batch.h"

struct key_policy;
struct keyring;			/* certificates, chains, CRLs, policy, skeletons; immutable */

struct keyring_config {
	const char *certs_dir;		/* DATA/certs: *.pem, *.crl, keys.json. No private key. */
	/* older than nextUpdate or this: stale. 0: CRLs are not required */
	uint32_t crl_age_hours_max;
	/* release check sampling of server-held file keys: 1 = every one (P4) */
	uint32_t check_one_in;
	/* pages are marked as without legal value: only then may a development CA's keys sign */
	bool development;
};

/*
 * Refuses the whole (a reload keeps the snapshot before): ST_NOT_FOUND, ST_INVALID with file and
 * key when keys.json is malformed, a chain does not lead to its self-signed root, or a certificate
 * is not of the stated algorithm. Expired, revoked or another agency's certificates load: they hold
 * items. ST_PRECONDITION: a key of a development CA where pages are not marked. ST_TOO_LARGE: a
 * revocation list beyond EVIDENCE_BYTES_MAX, which could not be kept.
 */
enum status keyring_load(struct keyring **k, const struct keyring_config *cfg,
			 struct error *e) must_use;
struct keyring *keyring_ref(struct keyring *k);
void keyring_unref(struct keyring *k);

/* A row of `trien keys list` and of metrics: when does what stop? index from 0 until false. */
struct key_row { const char *id, *unit, *signer, *algorithm; enum signer_role role;
		 int64_t not_before_ms, not_after_ms, from_ms, to_ms; uint8_t cert_sha256[32];
		 const char *subject;
		 int64_t fresh_to_ms; };	/* revocation known until; INT64_MIN: never */
bool keyring_row(const struct keyring *k, uint32_t index, struct key_row *out);
/* Could the key of that row sign at that time? REASON_NONE = yes. */
enum reason keyring_judge(const struct keyring *k, uint32_t index, int64_t at_ms);
const struct key_row *signing_key_row(const struct signing_key *k);
/* Where its private key is; struct key_policy of signer/policy.h. */
const struct key_policy *signing_key_policy(const struct signing_key *k);
/* Shared layers of a key's CMS skeletons: head, middle, tail per signature length. */
uint8_t signing_key_layers(const struct signing_key *k, const struct layer *const **layers);
/* DER of the certificate and its chain, for "kept for ever". count certificates. */
uint8_t signing_key_chain(const struct signing_key *k, const struct slice **ders);

/* Per worker: contexts for hashing and verifying. */
struct sign_worker;
enum status sign_worker_new(struct sign_worker **w) must_use;
void sign_worker_free(struct sign_worker *w);

/*
 * Could this person sign a document of that agency and kind at signed_ms? REASON_NONE, or why not,
 * as sign_plan() would say.
 */
enum reason sign_person(const struct keyring *k, const struct unit *u, const struct kind *kind,
			struct slice signer, int64_t signed_ms);

/*
 * Whoever stands in for another (KT, TL, TUQ) signs no longer than that lasts, whenever it was
 * confirmed: Unix ms, the last of its last day. INT64_MAX: for no other, or without an end.
 */
int64_t sign_delegated_until_ms(const struct signer *s);

/*
 * Chooses the keys of item's slots for signing time signed_ms and fills slots[].plan, or sets
 * item->held (KEY_MISSING, CERT_…, CRL_STALE). Before render. Slots of item->kept keep their key
 * and their time.
 */
void sign_plan(struct item *item, const struct keyring *k, int64_t signed_ms);

/*
 * Hashes slot's signed range, pokes the messageDigest, leaves the digest to sign in
 * slots[slot].to_sign. After render (slot 0) or after sign_bind(slot - 1). Before slot 0, item->mid
 * must be a fork of the template's prefix state, with the document's section added: it then travels
 * from hole to hole, so that no byte before the last hole is hashed twice. ST_INTERNAL: holes and
 * plan disagree.
 */
enum status sign_prepare(struct sign_worker *w, struct item *item, uint8_t slot) must_use;

/*
 * Splices slots[slot].value into the hole's parts and, where sampled or kept, verifies it with the
 * certificate. Wrong: item->held = SIGNATURE_WRONG, ST_CORRUPT. After the last slot: file_sha256
 * and doc.file_size are final. ECDSA: DER as OpenSSL gives it, ≤ 72 bytes for P-256.
 */
enum status sign_bind(struct sign_worker *w, struct item *item, uint8_t slot) must_use;

#endif
