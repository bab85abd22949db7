#include "remote/remotekey.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "remote/tree.h"
#include "signer/certs.h"

#define CERTIFICATE_BYTES_MAX 8192

static enum status serials(struct remote_key *k, struct error *e)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(k->certificate), NULL);
	char *hex = n == NULL ? NULL : BN_bn2hex(n), *decimal = n == NULL ? NULL : BN_bn2dec(n);
	bool ok = hex != NULL && decimal != NULL &&
		  snprintf(k->serial_hex, sizeof(k->serial_hex), "%s", hex) < SERIAL_BYTES_MAX &&
		  snprintf(k->serial_decimal, sizeof(k->serial_decimal), "%s", decimal) <
			  SERIAL_BYTES_MAX;

	OPENSSL_free(hex);
	OPENSSL_free(decimal);
	BN_free(n);
	return ok ? ST_OK : error_set(e, ST_INVALID, "key '%s': a serial number too long",
				      k->policy->id);
}

enum status remote_key_open(struct remote_key *k, const struct key_policy *policy,
			    const char *certs_dir, struct error *e)
{
	unsigned char *der = NULL;
	json_t *text;
	enum status st;
	int n;

	*k = (struct remote_key){ .policy = policy };
	st = cert_read(&k->certificate, certs_dir, policy->cert_file, e);
	if (st != ST_OK)
		return st;
	if (!cert_has_algorithm(k->certificate, policy->algorithm))
		return error_set(e, ST_INVALID, "key '%s': the certificate %s is not for %s",
				 policy->id, policy->cert_file,
				 algorithm_info(policy->algorithm)->name);
	k->not_before_ms = cert_time_ms(X509_get0_notBefore(k->certificate));
	k->not_after_ms = cert_time_ms(X509_get0_notAfter(k->certificate));
	k->verify = algorithm_context(algorithm_info(policy->algorithm),
				      X509_get0_pubkey(k->certificate), false);
	n = i2d_X509(k->certificate, &der);
	text = n > 0 ? tree_base64(der, (size_t)n) : NULL;
	if (text != NULL)
		k->certificate_base64 = strdup(json_string_value(text));
	json_decref(text);
	OPENSSL_free(der);
	if (k->verify == NULL || k->certificate_base64 == NULL || n > CERTIFICATE_BYTES_MAX)
		return error_set(e, ST_INVALID, "key '%s': the certificate %s cannot be used: %s",
				 policy->id, policy->cert_file, openssl_reason());
	return serials(k, e);
}

void remote_key_close(struct remote_key *k)
{
	X509_free(k->certificate);
	EVP_PKEY_CTX_free(k->verify);
	free(k->certificate_base64);
}

enum remote_status remote_key_judge(const struct remote_key *k, struct slice unit,
				    struct slice kind, int64_t now_ms)
{
	if (!slice_eq(unit, slice_str(k->policy->unit)) || !policy_covers(k->policy, kind))
		return REMOTE_POLICY;
	if (now_ms < k->policy->from_ms || now_ms >= k->policy->to_ms ||
	    now_ms < k->not_before_ms || now_ms > k->not_after_ms)
		return REMOTE_NOT_VALID_NOW;
	return REMOTE_SIGNED;
}

/* r‖s, each half of the bytes, as DER. */
static size_t der_of_raw(struct slice raw, uint8_t out[SIGNATURE_BYTES_MAX])
{
	int half = (int)raw.n / 2, n = 0;
	BIGNUM *r = BN_bin2bn(raw.p, half, NULL), *s = BN_bin2bn(raw.p + half, half, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *at = out;

	if (r != NULL && s != NULL && sig != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;		/* the signature's now */
		n = i2d_ECDSA_SIG(sig, &at);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

bool remote_key_check(const struct remote_key *k, const uint8_t digest[32], struct slice answer,
		      bool raw, uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *n)
{
	const struct algorithm_info *info = algorithm_info(k->policy->algorithm);
	size_t size = answer.n;
	bool good;

	if (size == 0 || size > SIGNATURE_BYTES_MAX)
		return false;
	if (!info->rsa && raw) {
		if (size != 2 * (size_t)info->bits / 8)
			return false;
		size = der_of_raw(answer, out);
	} else {
		memcpy(out, answer.p, size);
	}
	good = size >= info->signature_min && size <= info->signature_max &&
	       EVP_PKEY_verify(k->verify, out, size, digest, 32) == 1;
	openssl_reason();
	*n = good ? (uint16_t)size : 0;
	return good;
}

bool remote_key_is(const struct remote_key *k, const char *certificate_base64)
{
	uint8_t a[CERTIFICATE_BYTES_MAX], b[CERTIFICATE_BYTES_MAX];
	long n = tree_base64_read(a, sizeof(a), certificate_base64);
	long m = tree_base64_read(b, sizeof(b), k->certificate_base64);

	return n > 0 && n == m && memcmp(a, b, (size_t)n) == 0;
}
