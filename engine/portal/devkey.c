#include "portal/devkey.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64url.h"

#define HALF_BYTES 32
#define HALF_CHARS BASE64URL_CHARS(HALF_BYTES)
#define DER_BYTES_MAX 80
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"dev\"}"

enum status devkey_make(struct devkey *k)
{
	k->key = EVP_EC_gen("P-256");
	return k->key != NULL ? ST_OK : ST_INTERNAL;
}

void devkey_free(struct devkey *k)
{
	EVP_PKEY_free(k->key);
	k->key = NULL;
}

static bool coordinate(const struct devkey *k, const char *name, char out[HALF_CHARS + 1])
{
	uint8_t bytes[HALF_BYTES];
	BIGNUM *n = NULL;
	bool ok = EVP_PKEY_get_bn_param(k->key, name, &n) == 1 &&
		  BN_bn2binpad(n, bytes, HALF_BYTES) == HALF_BYTES;

	BN_free(n);
	if (ok)
		base64url_write(out, bytes, HALF_BYTES);
	return ok;
}

json_t *devkey_set(const struct devkey *k)
{
	char x[HALF_CHARS + 1], y[HALF_CHARS + 1];

	if (!coordinate(k, OSSL_PKEY_PARAM_EC_PUB_X, x) ||
	    !coordinate(k, OSSL_PKEY_PARAM_EC_PUB_Y, y))
		return NULL;
	return json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "EC", "crv",
			 "P-256", "x", x, "y", y, "kid", "dev", "use", "sig", "alg", "ES256");
}

/* r and s, as RFC 7518 3.4 has them. */
static bool sign(const struct devkey *k, const char *text, uint8_t raw[2 * HALF_BYTES])
{
	uint8_t der[DER_BYTES_MAX];
	const uint8_t *p = der;
	size_t n = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *sig = NULL;
	bool ok = ctx != NULL &&
		  EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->key) == 1 &&
		  EVP_DigestSign(ctx, der, &n, (const uint8_t *)text, strlen(text)) == 1 &&
		  (sig = d2i_ECDSA_SIG(NULL, &p, (long)n)) != NULL &&
		  BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HALF_BYTES) == HALF_BYTES &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HALF_BYTES, HALF_BYTES) == HALF_BYTES;

	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	return ok;
}

char *devkey_sign(const struct devkey *k, const json_t *claims)
{
	char *content = json_dumps(claims, JSON_COMPACT), *token;
	size_t n = content != NULL ? strlen(content) : 0, at = BASE64URL_CHARS(strlen(HEADER));
	uint8_t raw[2 * HALF_BYTES];

	token = malloc(at + BASE64URL_CHARS(n) + BASE64URL_CHARS(sizeof(raw)) + 3);
	if (content == NULL || token == NULL) {
		free(content);
		free(token);
		return NULL;
	}
	base64url_write(token, (const uint8_t *)HEADER, strlen(HEADER));
	token[at] = '.';
	base64url_write(token + at + 1, (const uint8_t *)content, n);
	free(content);
	at += 1 + BASE64URL_CHARS(n);
	if (!sign(k, token, raw)) {
		free(token);
		return NULL;
	}
	token[at] = '.';
	base64url_write(token + at + 1, raw, sizeof(raw));
	return token;
}
