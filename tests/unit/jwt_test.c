/* Tokens: what two good keys signed, and every way in which one is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "portal/jwt.h"
#include "tokens.h"

#define ES "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"a\"}"
#define RS "{\"alg\":\"RS256\",\"kid\":\"b\"}"
#define LONG_CLAIMS "{\"sub\":\"x\",\"y\":\"%0*d\"}"
#define CLAIMS "{\"sub\":\"x\",\"exp\":5}"

static struct jwt_key p256, rsa;

static int make(void **state)
{
	p256 = (struct jwt_key){ .kid = "a", .alg = JWT_ES256, .key = made_p256() };
	rsa = (struct jwt_key){ .kid = "b", .alg = JWT_RS256, .key = made_rsa(2048) };
	return 0;
}

static int unmake(void **state)
{
	EVP_PKEY_free(p256.key);
	EVP_PKEY_free(rsa.key);
	return 0;
}

/* Takes the token. */
static enum status opened(char *token, const struct jwt_key *key)
{
	json_t *claims = NULL;
	struct error e = { 0 };
	enum status st = jwt_claims(slice_str(token), key, &claims, &e);

	assert_int_equal(st, st == ST_OK ? ST_OK : e.status);
	assert_true((claims != NULL) == (st == ST_OK));
	if (st == ST_OK)
		assert_string_equal(json_string_value(json_object_get(claims, "sub")), "x");
	json_decref(claims);
	free(token);
	return st;
}

static void good(void **state)
{
	char *token = token_of(rsa.key, RS, CLAIMS);
	struct jwt_header h;

	assert_int_equal(jwt_header(slice_str(token), &h, NULL), ST_OK);
	assert_int_equal(h.alg, JWT_RS256);
	assert_string_equal(h.kid, "b");
	assert_int_equal(opened(token, &rsa), ST_OK);
	assert_int_equal(opened(token_of(p256.key, ES, CLAIMS), &p256), ST_OK);
	assert_int_equal(opened(token_of(p256.key, "{\"alg\":\"ES256\"}", CLAIMS), &p256), ST_OK);
	/* RFC 7515 4.1.9: such a type is not case-sensitive. */
	assert_int_equal(opened(token_of(p256.key, "{\"alg\":\"ES256\",\"typ\":\"jwt\"}", CLAIMS),
				&p256), ST_OK);
}

static void headers(void **state)
{
	static const struct { const char *header; enum status st; } bad[] = {
		{ "{\"alg\":\"none\"}", ST_UNSUPPORTED },
		{ "{\"alg\":\"None\"}", ST_UNSUPPORTED },
		{ "{\"alg\":\"HS256\"}", ST_UNSUPPORTED },
		{ "{\"alg\":\"ES384\"}", ST_UNSUPPORTED },
		{ "{\"alg\":\"es256\"}", ST_UNSUPPORTED },
		{ "{\"alg\":\"PS256\"}", ST_UNSUPPORTED },
		{ "{\"alg\":[\"ES256\"]}", ST_UNSUPPORTED },
		{ "{}", ST_UNSUPPORTED },
		{ "{\"alg\":\"RS256\"}", ST_UNAUTHENTICATED },
		{ "{\"alg\":\"HS256\",\"alg\":\"ES256\"}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"typ\":\"logout+jwt\"}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"typ\":1}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"kid\":1}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"kid\":\"\"}", ST_INVALID },
		{ "{\"alg\":\"ES256\",\"kid\":\"a\\u0000b\"}", ST_INVALID },
		{ "[\"ES256\"]", ST_INVALID },
		{ "{\"alg\":\"ES256\"} {}", ST_INVALID },
		{ "{\"alg\":\"ES256\"", ST_INVALID },
		{ "{\"alg\":\"ES\xff\"}", ST_INVALID },
		{ "", ST_INVALID },
	};
	char long_kid[KID_BYTES_MAX + 64];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(opened(token_of(p256.key, bad[i].header, CLAIMS), &p256),
				 bad[i].st);
	snprintf(long_kid, sizeof(long_kid), "{\"alg\":\"ES256\",\"kid\":\"%0*d\"}",
		 KID_BYTES_MAX, 0);
	assert_int_equal(opened(token_of(p256.key, long_kid, CLAIMS), &p256), ST_OK);
	snprintf(long_kid, sizeof(long_kid), "{\"alg\":\"ES256\",\"kid\":\"%0*d\"}",
		 KID_BYTES_MAX + 1, 0);
	assert_int_equal(opened(token_of(p256.key, long_kid, CLAIMS), &p256), ST_INVALID);
}

/* The public key's text as the secret of an HMAC, the best known confusion. */
static void confusion(void **state)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *pem;
	long n;

	assert_int_equal(PEM_write_bio_PUBKEY(b, rsa.key), 1);
	n = BIO_get_mem_data(b, &pem);
	assert_int_equal(opened(token_hmac("{\"alg\":\"HS256\"}", CLAIMS, pem, (size_t)n), &rsa),
			 ST_UNSUPPORTED);
	assert_int_equal(opened(token_hmac(RS, CLAIMS, pem, (size_t)n), &rsa), ST_UNAUTHENTICATED);
	BIO_free(b);
	/* A key of another kind, and the algorithm of the other. */
	assert_int_equal(opened(token_of(p256.key, ES, CLAIMS), &rsa), ST_UNAUTHENTICATED);
	assert_int_equal(opened(token_of(rsa.key, RS, CLAIMS), &p256), ST_UNAUTHENTICATED);
	assert_int_equal(opened(token_of(rsa.key, ES, CLAIMS), &p256), ST_UNAUTHENTICATED);
	assert_int_equal(opened(token_of(p256.key, RS, CLAIMS), &rsa), ST_UNAUTHENTICATED);
	/* A key that the token brings along. */
	assert_int_equal(opened(token_of(p256.key, "{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"}}",
					 CLAIMS), &rsa), ST_UNAUTHENTICATED);
}

static void signatures(void **state)
{
	EVP_PKEY *other = made_p256(), *other_rsa = made_rsa(2048);
	const uint8_t zeros[512] = { 0 };
	char *token, *dot;

	assert_int_equal(opened(token_of(other, ES, CLAIMS), &p256), ST_UNAUTHENTICATED);
	assert_int_equal(opened(token_of(other_rsa, RS, CLAIMS), &rsa), ST_UNAUTHENTICATED);
	EVP_PKEY_free(other);
	EVP_PKEY_free(other_rsa);
	/* r = s = 0 (CVE-2022-21449), and lengths that are none. */
	for (size_t n = 0; n <= 65; n++)
		assert_int_equal(opened(token_with(ES, CLAIMS, zeros, n), &p256),
				 ST_UNAUTHENTICATED);
	assert_int_equal(opened(token_with(RS, CLAIMS, zeros, 256), &rsa), ST_UNAUTHENTICATED);
	assert_int_equal(opened(token_with(RS, CLAIMS, zeros, 512), &rsa), ST_UNAUTHENTICATED);
	/* Other content under a signature that was good. */
	token = token_of(p256.key, ES, CLAIMS);
	dot = strchr(token, '.');
	dot[5] = dot[5] == 'A' ? 'B' : 'A';
	assert_int_equal(opened(token, &p256), ST_UNAUTHENTICATED);
	/* The last letter of 64 bytes has four bits too many: one text for one value. */
	token = token_of(p256.key, ES, CLAIMS);
	token[strlen(token) - 1]++;
	assert_int_equal(opened(token, &p256), ST_UNAUTHENTICATED);
}

static void every_changed_letter_is_noticed(void **state)
{
	char *token = token_of(p256.key, ES, CLAIMS);
	size_t n = strlen(token);

	for (size_t i = 0; i < n; i++) {
		char *changed = strdup(token);

		assert_non_null(changed);
		changed[i] = changed[i] == 'x' ? 'y' : 'x';
		assert_int_not_equal(opened(changed, &p256), ST_OK);
	}
	free(token);
}

static void shapes(void **state)
{
	static const char *const bad[] = { "", ".", "..", "...", "a.b", "a.b.c.d",
		"YQ.YQ.YQ.YQ.YQ" };
	char *token = token_of(p256.key, ES, CLAIMS), *more;
	size_t n = strlen(token);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(opened(strdup(bad[i]), &p256), ST_OK);
	more = malloc(n + 8);
	assert_non_null(more);
	for (const char *tail = "=\n .A"; *tail != '\0'; tail++) {
		snprintf(more, n + 8, "%s%c", token, *tail);
		assert_int_not_equal(opened(strdup(more), &p256), ST_OK);
		snprintf(more, n + 8, "%c%s", *tail, token);
		assert_int_not_equal(opened(strdup(more), &p256), ST_OK);
	}
	free(more);
	/* Signed, but no claims. */
	assert_int_equal(opened(token_of(p256.key, ES, "[1]"), &p256), ST_INVALID);
	assert_int_equal(opened(token_of(p256.key, ES, "\"x\""), &p256), ST_INVALID);
	assert_int_equal(opened(token_of(p256.key, ES, "{\"sub\":\"x\",\"sub\":\"y\"}"), &p256),
			 ST_INVALID);
	assert_int_equal(opened(token_of(p256.key, ES, ""), &p256), ST_INVALID);
	free(token);
}

static void huge(void **state)
{
	char *claims = malloc(ID_TOKEN_BYTES_MAX + 1);

	assert_non_null(claims);
	snprintf(claims, ID_TOKEN_BYTES_MAX, LONG_CLAIMS, ID_TOKEN_BYTES_MAX * 5 / 8, 0);
	assert_int_equal(opened(token_of(p256.key, ES, claims), &p256), ST_OK);
	snprintf(claims, ID_TOKEN_BYTES_MAX, LONG_CLAIMS, ID_TOKEN_BYTES_MAX * 3 / 4, 0);
	assert_int_equal(opened(token_of(p256.key, ES, claims), &p256), ST_TOO_LARGE);
	/* Nothing but brackets: no depth that the reader's stack does not bear. */
	memset(claims, '[', ID_TOKEN_BYTES_MAX / 2);
	claims[ID_TOKEN_BYTES_MAX / 2] = '\0';
	assert_int_equal(opened(token_of(p256.key, ES, claims), &p256), ST_INVALID);
	free(claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(headers), cmocka_unit_test(confusion),
		cmocka_unit_test(signatures), cmocka_unit_test(every_changed_letter_is_noticed),
		cmocka_unit_test(shapes), cmocka_unit_test(huge),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
