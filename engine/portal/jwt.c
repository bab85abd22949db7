#include "portal/jwt.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64url.h"

#define HALF_BYTES 32			/* r and s of ES256 (RFC 7518 3.4) */
#define RSA_BYTES_MAX 512
#define ECDSA_DER_BYTES_MAX 80

struct parts { struct slice header, claims, signature, covered; };

static const char *const names[] = { [JWT_ES256] = "ES256", [JWT_RS256] = "RS256" };

const char *jwt_alg_name(enum jwt_alg alg)
{
	return names[alg];
}

static enum status parts_of(struct slice token, struct parts *out, struct error *e)
{
	const uint8_t *first, *second, *end = token.p + token.n;

	if (token.n > ID_TOKEN_BYTES_MAX)
		return error_set(e, ST_TOO_LARGE, "a token has at most %d bytes",
				 ID_TOKEN_BYTES_MAX);
	first = token.n > 0 ? memchr(token.p, '.', token.n) : NULL;
	second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
	if (second == NULL)
		return error_set(e, ST_INVALID, "a token has three parts");
	out->header = slice_of(token.p, (size_t)(first - token.p));
	out->claims = slice_of(first + 1, (size_t)(second - first - 1));
	out->signature = slice_of(second + 1, (size_t)(end - second - 1));
	out->covered = slice_of(token.p, (size_t)(second - token.p));
	return ST_OK;
}

/* A JSON object in base64url. Two members of one name: each reader would believe another one. */
static enum status object_read(struct slice part, const char *what, json_t **out, struct error *e)
{
	uint8_t *bytes = malloc(part.n + 1);
	json_t *j;
	size_t n;

	if (bytes == NULL)
		return error_set(e, ST_NOMEM, "no memory for a token");
	if (!base64url_read(bytes, part.n, &n, part)) {
		free(bytes);
		return error_set(e, ST_INVALID, "the token's %s is not base64url", what);
	}
	j = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
	free(bytes);
	if (!json_is_object(j)) {
		json_decref(j);
		return error_set(e, ST_INVALID, "the token's %s is no JSON object, or says "
				 "something twice", what);
	}
	*out = j;
	return ST_OK;
}

static enum status alg_read(const json_t *header, enum jwt_alg *out, struct error *e)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));

	for (size_t i = 0; alg != NULL && i < ARRAY_LEN(names); i++)
		if (strcmp(alg, names[i]) == 0) {
			*out = (enum jwt_alg)i;
			return ST_OK;
		}
	return error_set(e, ST_UNSUPPORTED, "a token is signed with ES256 or RS256");
}

static enum status header_read(const json_t *header, struct jwt_header *out, struct error *e)
{
	const json_t *kid = json_object_get(header, "kid"), *typ = json_object_get(header, "typ");
	enum status st = alg_read(header, &out->alg, e);

	if (st != ST_OK)
		return st;
	/* `crit` names what a reader has to know, and there is nothing that this one knows. */
	if (json_object_get(header, "crit") != NULL)
		return error_set(e, ST_INVALID, "the token's header has `crit`");
	/* A logout or access token of the same provider is signed as well (RFC 8725 3.11). */
	if (typ != NULL && (!json_is_string(typ) || strcasecmp(json_string_value(typ), "JWT") != 0))
		return error_set(e, ST_INVALID, "the token's `typ` is not JWT");
	out->kid[0] = '\0';
	if (kid == NULL)
		return ST_OK;
	if (!json_is_string(kid) || json_string_length(kid) == 0 ||
	    json_string_length(kid) > KID_BYTES_MAX)
		return error_set(e, ST_INVALID, "the token's `kid` is text of 1 to %d bytes",
				 KID_BYTES_MAX);
	memcpy(out->kid, json_string_value(kid), json_string_length(kid) + 1);
	return ST_OK;
}

enum status jwt_header(struct slice token, struct jwt_header *out, struct error *e)
{
	struct parts p;
	json_t *header = NULL;
	enum status st = parts_of(token, &p, e);

	if (st == ST_OK)
		st = object_read(p.header, "header", &header, e);
	if (st == ST_OK)
		st = header_read(header, out, e);
	json_decref(header);
	return st;
}

/* OpenSSL takes ECDSA values as DER, tokens have them as two numbers. */
static size_t ecdsa_der(uint8_t *out, const uint8_t raw[2 * HALF_BYTES])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, HALF_BYTES, NULL);
	BIGNUM *s = BN_bin2bn(raw + HALF_BYTES, HALF_BYTES, NULL);
	int n = 0;

	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(sig, &out);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

static bool signed_by(const struct parts *p, const struct jwt_key *key)
{
	uint8_t raw[RSA_BYTES_MAX], der[ECDSA_DER_BYTES_MAX];
	const uint8_t *value = raw;
	EVP_PKEY_CTX *how = NULL;
	EVP_MD_CTX *ctx;
	bool good;
	size_t n;

	if (!base64url_read(raw, sizeof(raw), &n, p->signature))
		return false;
	if (key->alg == JWT_ES256) {
		if (n != 2 * HALF_BYTES)
			return false;
		n = ecdsa_der(der, raw);
		value = der;
	} else if (n != (size_t)EVP_PKEY_get_size(key->key)) {
		return false;
	}
	ctx = EVP_MD_CTX_new();
	good = ctx != NULL && EVP_DigestVerifyInit(ctx, &how, EVP_sha256(), NULL, key->key) == 1 &&
	       (key->alg == JWT_ES256 ||
		EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PADDING) == 1) &&
	       EVP_DigestVerify(ctx, value, n, p->covered.p, p->covered.n) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

enum status jwt_claims(struct slice token, const struct jwt_key *key, json_t **claims,
		       struct error *e)
{
	struct jwt_header header;
	struct parts p;
	enum status st = jwt_header(token, &header, e);

	if (st == ST_OK)
		st = parts_of(token, &p, e);
	if (st != ST_OK)
		return st;
	if (header.alg != key->alg)
		return error_set(e, ST_UNAUTHENTICATED, "the token's algorithm is not its key's");
	if (!signed_by(&p, key))
		return error_set(e, ST_UNAUTHENTICATED, "the token's signature is not its key's");
	return object_read(p.claims, "content", claims, e);
}
