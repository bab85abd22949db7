#include "portal/jwks.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64url.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define RSA_BYTES_MAX (RSA_BITS_MAX / 8 + 1)
#define EXPONENT_MIN 65537		/* FIPS 186-5 A.1.1 */
#define EXPONENT_BYTES_MAX 5
#define COORDINATE_BYTES 32

/* ---- one key ---- */

static bool number_read(const json_t *key, const char *name, uint8_t *out, size_t room, size_t *n)
{
	const json_t *v = json_object_get(key, name);

	return json_is_string(v) &&
	       base64url_read(out, room, n, slice_str(json_string_value(v))) && *n > 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, type, NULL), *check = NULL;
	EVP_PKEY *key = NULL;

	if (params == NULL || make == NULL || EVP_PKEY_fromdata_init(make) != 1 ||
	    EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	if (key != NULL)
		check = EVP_PKEY_CTX_new(key, NULL);
	if (key != NULL && (check == NULL || EVP_PKEY_public_check(check) != 1)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(make);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *rsa_key(const json_t *j)
{
	uint8_t modulus[RSA_BYTES_MAX], exponent[EXPONENT_BYTES_MAX];
	size_t modulus_n, exponent_n;
	OSSL_PARAM_BLD *build;
	BIGNUM *n, *e;
	EVP_PKEY *key = NULL;

	if (!number_read(j, "n", modulus, sizeof(modulus), &modulus_n) ||
	    !number_read(j, "e", exponent, sizeof(exponent), &exponent_n))
		return NULL;
	build = OSSL_PARAM_BLD_new();
	n = BN_bin2bn(modulus, (int)modulus_n, NULL);
	e = BN_bin2bn(exponent, (int)exponent_n, NULL);
	if (build != NULL && n != NULL && e != NULL && BN_num_bits(n) >= RSA_BITS_MIN &&
	    BN_num_bits(n) <= RSA_BITS_MAX && BN_is_odd(e) && BN_get_word(e) >= EXPONENT_MIN &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		key = from_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return key;
}

static EVP_PKEY *p256_key(const json_t *j)
{
	uint8_t point[1 + 2 * COORDINATE_BYTES] = { 4 };	/* uncompressed */
	OSSL_PARAM_BLD *build;
	EVP_PKEY *key = NULL;
	size_t x, y;

	if (!number_read(j, "x", point + 1, COORDINATE_BYTES, &x) ||
	    !number_read(j, "y", point + 1 + COORDINATE_BYTES, COORDINATE_BYTES, &y) ||
	    x != COORDINATE_BYTES || y != COORDINATE_BYTES)
		return NULL;
	build = OSSL_PARAM_BLD_new();
	if (build != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
		key = from_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return key;
}

/* Is the member there with another value? */
static bool says_other(const json_t *key, const char *name, const char *value)
{
	const json_t *v = json_object_get(key, name);

	return v != NULL && (!json_is_string(v) || strcmp(json_string_value(v), value) != 0);
}

static bool may_verify(const json_t *key)
{
	const json_t *ops = json_object_get(key, "key_ops"), *op;
	size_t i;

	if (ops == NULL)
		return true;
	json_array_foreach(ops, i, op)
		if (json_is_string(op) && strcmp(json_string_value(op), "verify") == 0)
			return true;
	return false;
}

/* false: none for signatures of ours, passed over. */
static bool key_read(const json_t *j, struct jwt_key *out)
{
	const json_t *kid = json_object_get(j, "kid");
	size_t kid_n = kid != NULL ? json_string_length(kid) : 0;
	const char *kty;

	/* A key whose private part was published is anybody's. */
	if (!json_is_object(j) || json_object_get(j, "d") != NULL || says_other(j, "use", "sig") ||
	    !may_verify(j) || (kid != NULL && (kid_n == 0 || kid_n > KID_BYTES_MAX)))
		return false;
	kty = json_string_value(json_object_get(j, "kty"));
	*out = (struct jwt_key){ .alg = JWT_ES256 };
	if (kty != NULL && strcmp(kty, "RSA") == 0)
		*out = (struct jwt_key){ .alg = JWT_RS256, .key = rsa_key(j) };
	else if (kty != NULL && strcmp(kty, "EC") == 0 && !says_other(j, "crv", "P-256"))
		out->key = p256_key(j);
	if (kid != NULL)
		memcpy(out->kid, json_string_value(kid), kid_n + 1);
	if (out->key != NULL && says_other(j, "alg", jwt_alg_name(out->alg))) {
		EVP_PKEY_free(out->key);
		out->key = NULL;
	}
	return out->key != NULL;
}

/* ---- a set ---- */

static const struct jwt_key *by_kid(const struct jwks *s, const char *kid, enum jwt_alg alg)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->keys[i].alg == alg && strcmp(s->keys[i].kid, kid) == 0)
			return &s->keys[i];
	return NULL;
}

static enum status set_read(struct jwks *s, const json_t *root, struct error *e)
{
	const json_t *list = json_object_get(root, "keys"), *j;
	size_t i;

	if (!json_is_array(list))
		return error_set(e, ST_INVALID, "the provider's key set is no JSON object with "
				 "`keys`, or says something twice");
	json_array_foreach(list, i, j) {
		struct jwt_key key;

		if (!key_read(j, &key))
			continue;
		if (s->n == KEY_SET_KEYS_MAX || by_kid(s, key.kid, key.alg) != NULL) {
			EVP_PKEY_free(key.key);
			return s->n == KEY_SET_KEYS_MAX ?
			       error_set(e, ST_TOO_LARGE, "the provider's key set has more than %d "
					 "keys for signatures", KEY_SET_KEYS_MAX) :
			       error_set(e, ST_INVALID, "the provider's key set has a kid twice");
		}
		s->keys[s->n++] = key;
	}
	return ST_OK;
}

enum status jwks_read(struct jwks **out, struct slice json, struct error *e)
{
	struct jwks *s;
	json_t *root;
	enum status st;

	if (json.n > KEY_SET_BYTES_MAX)
		return error_set(e, ST_TOO_LARGE, "the provider's key set has more than %d bytes",
				 KEY_SET_BYTES_MAX);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(e, ST_NOMEM, "no memory for the provider's keys");
	root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
	st = set_read(s, root, e);
	json_decref(root);
	if (st != ST_OK) {
		jwks_free(s);
		return st;
	}
	*out = s;
	return ST_OK;
}

void jwks_free(struct jwks *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		EVP_PKEY_free(s->keys[i].key);
	free(s);
}

const struct jwt_key *jwks_find(const struct jwks *s, const struct jwt_header *h)
{
	const struct jwt_key *found = NULL;

	if (h->kid[0] != '\0') {
		found = by_kid(s, h->kid, h->alg);
		return found != NULL ? found :
		       by_kid(s, h->kid, h->alg == JWT_ES256 ? JWT_RS256 : JWT_ES256);
	}
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->keys[i].alg != h->alg)
			continue;
		if (found != NULL)
			return NULL;
		found = &s->keys[i];
	}
	return found;
}
