#include "tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

EVP_PKEY *made_p256(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_non_null(key);
	return key;
}

EVP_PKEY *made_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);

	assert_non_null(key);
	return key;
}

char *encoded(const void *p, size_t n)
{
	char *out = malloc(n * 4 / 3 + 8);
	size_t k;

	assert_non_null(out);
	k = (size_t)EVP_EncodeBlock((unsigned char *)out, p, (int)n);
	while (k > 0 && out[k - 1] == '=')
		k--;
	out[k] = '\0';
	for (char *c = out; *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	return out;
}

static char *joined(char *a, char *b)
{
	size_t n = strlen(a) + strlen(b) + 2;
	char *out = malloc(n);

	assert_non_null(out);
	snprintf(out, n, "%s.%s", a, b);
	free(a);
	free(b);
	return out;
}

static char *content(const char *header, const char *claims)
{
	return joined(encoded(header, strlen(header)), encoded(claims, strlen(claims)));
}

char *token_with(const char *header, const char *claims, const void *signature, size_t n)
{
	return joined(content(header, claims), encoded(signature, n));
}

/* r and s of 32 bytes each, as a token has them. */
static size_t raw_ecdsa(uint8_t *sig, size_t n)
{
	const unsigned char *p = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);

	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32), 32);
	ECDSA_SIG_free(s);
	return 64;
}

char *token_of(EVP_PKEY *key, const char *header, const char *claims)
{
	char *text = content(header, claims);
	uint8_t sig[1024];
	size_t n = sizeof(sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	if (EVP_PKEY_is_a(key, "EC"))
		n = raw_ecdsa(sig, n);
	return joined(text, encoded(sig, n));
}

char *token_hmac(const char *header, const char *claims, const void *secret, size_t n)
{
	char *text = content(header, claims);
	uint8_t mac[32];
	unsigned mac_n = sizeof(mac);

	assert_non_null(HMAC(EVP_sha256(), secret, (int)n, (const uint8_t *)text, strlen(text), mac,
			     &mac_n));
	return joined(text, encoded(mac, mac_n));
}

static char *number_of(EVP_PKEY *key, const char *name, int width)
{
	uint8_t bytes[1024];
	BIGNUM *bn = NULL;
	int n;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &bn), 1);
	n = width > 0 ? BN_bn2binpad(bn, bytes, width) : BN_bn2bin(bn, bytes);
	assert_true(n > 0);
	BN_free(bn);
	return encoded(bytes, (size_t)n);
}

char *jwk_of(EVP_PKEY *key, const char *kid, const char *extra)
{
	bool ec = EVP_PKEY_is_a(key, "EC");
	int width = ec ? 32 : 0;
	char *a = number_of(key, ec ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_N, width);
	char *b = number_of(key, ec ? OSSL_PKEY_PARAM_EC_PUB_Y : OSSL_PKEY_PARAM_RSA_E, width);
	size_t n = strlen(a) + strlen(b) + strlen(kid) + strlen(extra) + 128;
	char *out = malloc(n);

	assert_non_null(out);
	snprintf(out, n, ec ? "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"kid\":"
		 "\"%s\"%s}" : "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\",\"kid\":\"%s\"%s}",
		 a, b, kid, extra);
	free(a);
	free(b);
	return out;
}
