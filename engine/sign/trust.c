#include <openssl/x509v3.h>

#include "sign/keyring.h"
#include "signer/certs.h"

#define HOUR_MS (3600LL * 1000)

static enum status check_link(const struct signing_key *k, uint8_t i, struct error *e)
{
	X509 *cert = k->chain[i], *issuer = k->chain[i + 1 < k->chain_n ? i + 1 : i];

	if (X509_check_issued(issuer, cert) != X509_V_OK ||
	    X509_verify(cert, X509_get0_pubkey(issuer)) != 1) {
		openssl_reason();
		return error_set(e, ST_INVALID,
				 i + 1 < k->chain_n ? "key '%s': certificate %u of its chain is "
						      "not issued by the next one" :
						      "key '%s': certificate %u, the last of its "
						      "chain, is not a self-signed root",
				 k->policy->id, i + 1u);
	}
	if (i > 0 && X509_check_ca(cert) != 1)
		return error_set(e, ST_INVALID, "key '%s': certificate %u of its chain is no CA",
				 k->policy->id, i + 1u);
	return ST_OK;
}

/* Every certificate but the root is asked for; one that cannot be known makes the whole unknown. */
static void judge_revocation(struct signing_key *k, const STACK_OF(X509_CRL) *crls,
			     uint32_t crl_age_hours_max)
{
	k->fresh_to_ms = INT64_MAX;
	for (uint8_t i = 0; i + 1 < k->chain_n; i++) {
		struct revocation r = crl_look_up(crls, k->chain[i], k->chain[i + 1]);
		int64_t until = r.next_ms;

		k->lists[i] = r.list;
		if (r.state == REVOCATION_REVOKED)
			k->revoked = true;
		if (r.state == REVOCATION_UNKNOWN)
			until = INT64_MIN;
		else if (r.this_ms + crl_age_hours_max * HOUR_MS < until)
			until = r.this_ms + crl_age_hours_max * HOUR_MS;
		if (until < k->fresh_to_ms)
			k->fresh_to_ms = until;
	}
	if (crl_age_hours_max == 0)
		k->fresh_to_ms = INT64_MAX;
}

enum status trust_judge(struct signing_key *k, const STACK_OF(X509_CRL) *crls,
			uint32_t crl_age_hours_max, struct error *e)
{
	enum status st = ST_OK;
	char unit[KEY_ID_BYTES_MAX + 1];

	k->valid_from_ms = INT64_MIN;
	k->valid_to_ms = INT64_MAX;
	for (uint8_t i = 0; i < k->chain_n && st == ST_OK; i++) {
		int64_t from = cert_time_ms(X509_get0_notBefore(k->chain[i]));
		int64_t to = cert_time_ms(X509_get0_notAfter(k->chain[i]));

		st = check_link(k, i, e);
		if (from > k->valid_from_ms)
			k->valid_from_ms = from;
		if (to < k->valid_to_ms)
			k->valid_to_ms = to;
	}
	if (st != ST_OK)
		return st;
	if ((X509_get_key_usage(k->chain[0]) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
		return error_set(e, ST_INVALID,
				 "key '%s': its certificate may not sign documents (key usage)",
				 k->policy->id);
	k->wrong_unit = cert_unit(k->chain[0], unit, sizeof(unit)) &&
			strcmp(unit, k->policy->unit) != 0;
	judge_revocation(k, crls, crl_age_hours_max);
	return ST_OK;
}

/* The gravest first: a person who reads the reason should not fix a lesser one in vain. */
enum reason trust_at(const struct signing_key *k, int64_t signed_ms)
{
	if (k->wrong_unit)
		return REASON_CERT_WRONG_UNIT;
	if (k->revoked)
		return REASON_CERT_REVOKED;
	if (signed_ms > k->valid_to_ms)
		return REASON_CERT_EXPIRED;
	if (signed_ms < k->valid_from_ms)
		return REASON_CERT_NOT_YET_VALID;
	if (signed_ms < k->policy->from_ms || signed_ms >= k->policy->to_ms)
		return REASON_KEY_MISSING;
	if (signed_ms > k->fresh_to_ms)
		return REASON_CRL_STALE;
	return REASON_NONE;
}

/* Contexts wander between workers, so that a reload needs no word with them and nothing is made
 * per document: at most one more a thread that verifies under this key at the same moment. */
bool verifier_check(const struct signing_key *key, const uint8_t digest[SHA256_BYTES],
		    const uint8_t *value, uint16_t size)
{
	struct signing_key *k = (struct signing_key *)key;
	EVP_PKEY_CTX *c = NULL;
	bool good;

	for (int i = 0; i < VERIFIERS_MAX && c == NULL; i++)
		if (atomic_load_explicit(&k->verifiers[i], memory_order_relaxed) != NULL)
			c = atomic_exchange(&k->verifiers[i], NULL);
	if (c == NULL)
		c = algorithm_context(k->info, X509_get0_pubkey(k->chain[0]), false);
	if (c == NULL)
		return false;
	good = EVP_PKEY_verify(c, value, size, digest, SHA256_BYTES) == 1;
	if (!good)
		openssl_reason();
	for (int i = 0; i < VERIFIERS_MAX && c != NULL; i++) {
		EVP_PKEY_CTX *empty = NULL;

		if (atomic_compare_exchange_strong(&k->verifiers[i], &empty, c))
			c = NULL;
	}
	EVP_PKEY_CTX_free(c);
	return good;
}
