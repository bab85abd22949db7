/* A provider's keys: which of them are taken, which one a token means, when they are had anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "portal/jwks.h"
#include "tokens.h"

#define CLAIMS "{\"sub\":\"x\"}"

static EVP_PKEY *p256, *other, *rsa;

static int make(void **state)
{
	p256 = made_p256();
	other = made_p256();
	rsa = made_rsa(2048);
	return 0;
}

static int unmake(void **state)
{
	EVP_PKEY_free(p256);
	EVP_PKEY_free(other);
	EVP_PKEY_free(rsa);
	return 0;
}

/* Takes the keys; NULL: fewer. */
static char *set_of(char *a, char *b)
{
	size_t n = strlen(a) + (b != NULL ? strlen(b) : 0) + 16;
	char *out = malloc(n);

	assert_non_null(out);
	snprintf(out, n, "{\"keys\":[%s%s%s]}", a, b != NULL ? "," : "", b != NULL ? b : "");
	free(a);
	free(b);
	return out;
}

/* How many keys are taken of a set; -1: it is refused. Takes the text. */
static int taken(char *text)
{
	struct jwks *s = NULL;
	struct error e;
	enum status st = jwks_read(&s, slice_str(text), &e);
	int n = st == ST_OK ? (int)s->n : -1;

	free(text);
	jwks_free(s);
	return n;
}

static const struct jwt_key *found(const struct jwks *s, const char *kid, enum jwt_alg alg)
{
	struct jwt_header h = { .alg = alg };

	snprintf(h.kid, sizeof(h.kid), "%s", kid);
	return jwks_find(s, &h);
}

static void which_key(void **state)
{
	char *text = set_of(jwk_of(p256, "a", ",\"use\":\"sig\",\"alg\":\"ES256\""),
			    jwk_of(rsa, "b", ",\"key_ops\":[\"verify\"]"));
	struct jwks *s;

	assert_int_equal(jwks_read(&s, slice_str(text), NULL), ST_OK);
	assert_int_equal(s->n, 2);
	assert_ptr_equal(found(s, "a", JWT_ES256), &s->keys[0]);
	assert_ptr_equal(found(s, "b", JWT_RS256), &s->keys[1]);
	/* Of the same kid but another kind: found, so that its algorithm is refused. */
	assert_ptr_equal(found(s, "b", JWT_ES256), &s->keys[1]);
	assert_null(found(s, "c", JWT_ES256));
	assert_ptr_equal(found(s, "", JWT_RS256), &s->keys[1]);
	jwks_free(s);
	free(text);
	text = set_of(jwk_of(p256, "a", ""), jwk_of(other, "b", ""));
	assert_int_equal(jwks_read(&s, slice_str(text), NULL), ST_OK);
	assert_null(found(s, "", JWT_ES256));
	jwks_free(s);
	free(text);
}

static void passed_over(void **state)
{
	static const char *const extra[] = {
		",\"use\":\"enc\"", ",\"use\":1", ",\"alg\":\"ES384\"", ",\"alg\":\"RS256\"",
		",\"key_ops\":[\"sign\"]", ",\"key_ops\":[]", ",\"d\":\"AAAA\"",
	};
	EVP_PKEY *small = made_rsa(1024);
	char *jwk;

	assert_int_equal(taken(set_of(jwk_of(p256, "a", ""), NULL)), 1);
	for (size_t i = 0; i < ARRAY_LEN(extra); i++)
		assert_int_equal(taken(set_of(jwk_of(p256, "a", extra[i]),
					      jwk_of(rsa, "b", ""))), 1);
	assert_int_equal(taken(set_of(jwk_of(rsa, "a", ",\"alg\":\"RS512\""), NULL)), 0);
	assert_int_equal(taken(set_of(jwk_of(small, "a", ""), NULL)), 0);
	EVP_PKEY_free(small);
	/* A point that lies on no curve. */
	jwk = jwk_of(p256, "a", "");
	jwk[40] = jwk[40] == 'A' ? 'B' : 'A';
	assert_int_equal(taken(set_of(jwk, NULL)), 0);
	assert_int_equal(taken(strdup("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"a\"},1,"
				      "{\"kty\":\"EC\",\"crv\":\"P-384\",\"kid\":\"b\"},{},"
				      "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},"
				      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"
				      "]}")), 0);
}

static void small_exponents(void **state)
{
	char *jwk = jwk_of(rsa, "a", ""), *e = strstr(jwk, "\"e\":\"AQAB\"");

	assert_non_null(e);
	memcpy(e, "\"e\":\"AAAD\"", 10);	/* 3 */
	assert_int_equal(taken(set_of(jwk, NULL)), 0);
}

static void refused_sets(void **state)
{
	char *huge = malloc(KEY_SET_BYTES_MAX + 2), *many, *jwk = jwk_of(p256, "", "");
	size_t n = 0, room = (KEY_SET_KEYS_MAX + 2) * 300;

	assert_int_equal(taken(strdup("[]")), -1);
	assert_int_equal(taken(strdup("{\"keys\":{}}")), -1);
	assert_int_equal(taken(strdup("{\"keys\":[],\"keys\":[]}")), -1);
	assert_int_equal(taken(strdup("<html>")), -1);
	assert_int_equal(taken(set_of(jwk_of(p256, "a", ""), jwk_of(other, "a", ""))), -1);
	assert_int_equal(taken(set_of(jwk_of(p256, "a", ""), jwk_of(rsa, "a", ""))), 2);
	assert_non_null(huge);
	memset(huge, ' ', KEY_SET_BYTES_MAX + 1);
	huge[KEY_SET_BYTES_MAX + 1] = '\0';
	memcpy(huge, "{\"keys\":[]}", 11);
	assert_int_equal(taken(huge), -1);
	free(jwk);
	many = malloc(room);
	assert_non_null(many);
	n = (size_t)snprintf(many, room, "{\"keys\":[");
	for (int i = 0; i <= KEY_SET_KEYS_MAX; i++) {
		char kid[8];

		snprintf(kid, sizeof(kid), "k%d", i);
		jwk = jwk_of(p256, kid, "");
		n += (size_t)snprintf(many + n, room - n, "%s%s", i > 0 ? "," : "", jwk);
		free(jwk);
	}
	snprintf(many + n, room - n, "]}");
	assert_int_equal(taken(many), -1);
}

/* ---- the cache ---- */

struct provider {
	char *set;			/* NULL: it is away */
	int fetches;
	int64_t now_ms;
	pthread_mutex_t lock;		/* of `held` */
	pthread_cond_t moved;
	bool hold, held;		/* a fetch waits until `hold` is taken off */
};

static enum status provider_fetch(void *ctx, uint8_t **bytes, size_t *n, struct error *e)
{
	struct provider *p = ctx;

	pthread_mutex_lock(&p->lock);
	p->fetches++;
	p->held = p->hold;
	pthread_cond_broadcast(&p->moved);
	while (p->hold)
		pthread_cond_wait(&p->moved, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (p->set == NULL)
		return error_set(e, ST_TIMEOUT, "away");
	*n = strlen(p->set);
	*bytes = (uint8_t *)strdup(p->set);
	return ST_OK;
}

static int64_t provider_now(void *ctx)
{
	return ((struct provider *)ctx)->now_ms;
}

static struct jwks_cache *cache_of(struct provider *p)
{
	struct jwks_source source = { provider_fetch, provider_now, p };
	struct jwks_cache *c;

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	assert_int_equal(jwks_cache_new(&c, &source, NULL), ST_OK);
	return c;
}

static enum status asked_so(struct jwks_cache *c, EVP_PKEY *key, const char *kid,
			    enum jwks_wait wait)
{
	char header[64], *token;
	json_t *claims = NULL;
	enum status st;

	snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
	token = token_of(key, header, CLAIMS);
	st = jwks_claims(c, slice_str(token), wait, &claims, NULL);
	json_decref(claims);
	free(token);
	return st;
}

static enum status asked(struct jwks_cache *c, EVP_PKEY *key, const char *kid)
{
	return asked_so(c, key, kid, JWKS_WAIT);
}

static void rotation(void **state)
{
	struct provider p = { .set = set_of(jwk_of(p256, "a", ""), NULL), .now_ms = 1000 };
	struct jwks_cache *c = cache_of(&p);

	for (int i = 0; i < 5; i++)
		assert_int_equal(asked(c, p256, "a"), ST_OK);
	assert_int_equal(p.fetches, 1);
	free(p.set);
	p.set = set_of(jwk_of(p256, "a", ""), jwk_of(other, "b", ""));
	assert_int_equal(asked(c, other, "b"), ST_OK);
	assert_int_equal(p.fetches, 2);
	/* A known kid costs nothing, not even under a wrong signature. */
	assert_int_equal(asked(c, p256, "b"), ST_UNAUTHENTICATED);
	assert_int_equal(p.fetches, 2);
	/* Old: asked for again; the key that was taken out is gone. */
	free(p.set);
	p.set = set_of(jwk_of(other, "b", ""), NULL);
	assert_int_equal(asked(c, p256, "a"), ST_OK);
	p.now_ms += KEY_SET_FRESH_MS;
	assert_int_equal(asked(c, p256, "a"), ST_UNAUTHENTICATED);
	assert_int_equal(p.fetches, 3);
	jwks_cache_free(c);
	free(p.set);
}

static void unknown_kids_are_no_flood(void **state)
{
	struct provider p = { .set = set_of(jwk_of(p256, "a", ""), NULL), .now_ms = 1000 };
	struct jwks_cache *c = cache_of(&p);

	for (int i = 0; i < 100; i++)
		assert_int_equal(asked(c, other, "nobody"), ST_UNAUTHENTICATED);
	assert_int_equal(p.fetches, KEY_SET_FETCHES_MAX);
	assert_int_equal(asked(c, p256, "a"), ST_OK);
	for (int i = 0; i < 100; i++) {
		p.now_ms += KEY_SET_PAUSE_MS / 10;
		assert_int_equal(asked(c, other, "nobody"), ST_UNAUTHENTICATED);
	}
	assert_int_equal(p.fetches, KEY_SET_FETCHES_MAX + 10);
	jwks_cache_free(c);
	free(p.set);
}

static void away(void **state)
{
	struct provider p = { .now_ms = 1000 };
	struct jwks_cache *c = cache_of(&p);

	for (int i = 0; i < 20; i++)
		assert_int_equal(asked(c, p256, "a"), ST_UNAVAILABLE);
	assert_int_equal(p.fetches, KEY_SET_FETCHES_MAX);
	p.set = set_of(jwk_of(p256, "a", ""), NULL);
	p.now_ms += KEY_SET_PAUSE_MS;
	assert_int_equal(asked(c, p256, "a"), ST_OK);
	/* Away again: the old keys serve, but not for ever. */
	free(p.set);
	p.set = NULL;
	p.now_ms += KEY_SET_FRESH_MS;
	assert_int_equal(asked(c, p256, "a"), ST_OK);
	assert_int_equal(asked(c, other, "b"), ST_UNAVAILABLE);
	p.now_ms += KEY_SET_STALE_MS - KEY_SET_FRESH_MS;
	assert_int_equal(asked(c, p256, "a"), ST_UNAVAILABLE);
	/* A page of its operator instead of keys. */
	p.set = strdup("<html>");
	p.now_ms += KEY_SET_PAUSE_MS;
	assert_int_equal(asked(c, p256, "a"), ST_UNAVAILABLE);
	jwks_cache_free(c);
	free(p.set);
}

struct asker { struct jwks_cache *c; EVP_PKEY *key; const char *kid; enum status st; };

static void *ask(void *ctx)
{
	struct asker *a = ctx;

	a->st = asked(a->c, a->key, a->kid);
	return NULL;
}

/* While one fetch hangs, those with a known key go on, and no second one begins. */
static void a_hanging_fetch(void **state)
{
	struct provider p = { .set = set_of(jwk_of(p256, "a", ""), NULL), .now_ms = 1000 };
	struct jwks_cache *c = cache_of(&p);
	struct asker one = { c, other, "b", ST_INTERNAL }, two = one;
	pthread_t threads[2];

	assert_int_equal(asked(c, p256, "a"), ST_OK);
	p.hold = true;
	assert_int_equal(pthread_create(&threads[0], NULL, ask, &one), 0);
	pthread_mutex_lock(&p.lock);
	while (!p.held)
		pthread_cond_wait(&p.moved, &p.lock);
	pthread_mutex_unlock(&p.lock);
	assert_int_equal(pthread_create(&threads[1], NULL, ask, &two), 0);
	p.now_ms += KEY_SET_FRESH_MS;
	for (int i = 0; i < 10; i++)
		assert_int_equal(asked(c, p256, "a"), ST_OK);
	assert_int_equal(asked_so(c, other, "b", JWKS_NO_WAIT), ST_UNAVAILABLE);
	free(p.set);
	p.set = set_of(jwk_of(other, "b", ""), NULL);
	pthread_mutex_lock(&p.lock);
	p.hold = false;
	pthread_cond_broadcast(&p.moved);
	pthread_mutex_unlock(&p.lock);
	assert_int_equal(pthread_join(threads[0], NULL), 0);
	assert_int_equal(pthread_join(threads[1], NULL), 0);
	assert_int_equal(one.st, ST_OK);
	assert_int_equal(two.st, ST_OK);
	assert_int_equal(p.fetches, 2);
	jwks_cache_free(c);
	free(p.set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_key), cmocka_unit_test(passed_over),
		cmocka_unit_test(small_exponents), cmocka_unit_test(refused_sets),
		cmocka_unit_test(rotation), cmocka_unit_test(unknown_kids_are_no_flood),
		cmocka_unit_test(away), cmocka_unit_test(a_hanging_fetch),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
