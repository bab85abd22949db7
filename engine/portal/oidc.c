#include "portal/oidc.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64url.h"
#include "base/hash.h"
#include "io/io.h"
#include "portal/jwks.h"
#include "portal/provider.h"
#include "portal/seal.h"

#define RANDOM_BYTES 32
#define RANDOM_CHARS BASE64URL_CHARS(RANDOM_BYTES)

/* What the browser keeps for us between oidc_begin() and oidc_finish(), sealed. */
struct attempt {
	uint8_t state[RANDOM_BYTES], nonce[RANDOM_BYTES], verifier[RANDOM_BYTES];
	char back[OIDC_BACK_BYTES_MAX + 1];
};

static_assert(SEAL_CHARS(sizeof(struct attempt)) < OIDC_COOKIE_BYTES_MAX, "it fits the cookie");
static_assert(sizeof(struct attempt) <= SEAL_BYTES_MAX, "it fits the seal");

struct oidc {
	struct oidc_settings s;
	struct seal seal;
	struct provider *provider;
	struct jwks_cache *keys;
};

static int64_t boot_ms(void *ctx)
{
	return (int64_t)(io_boot_ns() / 1000000u);
}

static enum status keys_fetch(void *ctx, uint8_t **bytes, size_t *n, struct error *e)
{
	struct oidc *o = ctx;

	return provider_keys(o->provider, bytes, n, e);
}

bool oidc_issuer_fits(const char *issuer)
{
	return fetch_url_fits(issuer) && strchr(issuer, '?') == NULL;
}

enum status oidc_new(struct oidc **out, const struct oidc_settings *s, struct error *e)
{
	struct jwks_source source = { keys_fetch, boot_ms, NULL };
	struct oidc *o;
	enum status st;

	if (!oidc_issuer_fits(s->issuer) || s->client[0] == '\0')
		return error_set(e, ST_INVALID, "no OpenID provider, or no client_id there");
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return error_set(e, ST_NOMEM, "no memory for sign-in");
	o->s = *s;
	source.ctx = o;
	st = seal_new(&o->seal);
	if (st == ST_OK)
		st = provider_new(&o->provider, &o->s, e);
	if (st == ST_OK)
		st = jwks_cache_new(&o->keys, &source, e);
	if (st != ST_OK) {
		oidc_free(o);
		return st;
	}
	*out = o;
	return ST_OK;
}

void oidc_free(struct oidc *o)
{
	if (o == NULL)
		return;
	jwks_cache_free(o->keys);
	provider_free(o->provider);
	OPENSSL_cleanse(o, sizeof(*o));
	free(o);
}

/* ---- to the provider ---- */

static void parameter(struct text *url, const char *name, const char *value)
{
	text_str(url, memchr(url->p, '?', url->n) != NULL ? "&" : "?");
	text_str(url, name);
	text_str(url, "=");
	text_url(url, slice_str(value));
}

static void random_parameter(struct text *url, const char *name, const uint8_t value[RANDOM_BYTES])
{
	char text[RANDOM_CHARS + 1];

	base64url_write(text, value, RANDOM_BYTES);
	parameter(url, name, text);
}

static void levels(struct text *url, const struct oidc_settings *s)
{
	struct text list = text_of(PROVIDER_URL_BYTES_MAX);

	for (uint32_t i = 0; i < s->acr_n; i++) {
		text_str(&list, i > 0 ? " " : "");
		text_str(&list, s->acr[i]);
	}
	text_add(&list, "", 1);
	if (s->acr_n > 0 && !list.bad)
		parameter(url, "acr_values", list.p);
	url->bad |= list.bad;
	text_free(&list);
}

/* PKCE: the provider learns the verifier's hash now and the verifier with the code. */
static void challenge(struct text *url, const uint8_t verifier[RANDOM_BYTES])
{
	char text[RANDOM_CHARS + 1];
	uint8_t hash[SHA256_BYTES];

	base64url_write(text, verifier, RANDOM_BYTES);
	sha256_once(text, RANDOM_CHARS, hash);
	random_parameter(url, "code_challenge", hash);
	parameter(url, "code_challenge_method", "S256");
}

enum status oidc_begin(struct oidc *o, const char *back, const char *language, int64_t now_ms,
		       char cookie[OIDC_COOKIE_BYTES_MAX], struct text *url, struct error *e)
{
	struct attempt a = { 0 };
	struct metadata m;
	enum status st = provider_metadata(o->provider, now_ms, &m, e);

	if (st != ST_OK)
		return st;
	if (strlen(back) <= OIDC_BACK_BYTES_MAX)
		memcpy(a.back, back, strlen(back));
	else
		a.back[0] = '/';
	if (RAND_bytes(a.state, RANDOM_BYTES) != 1 || RAND_bytes(a.nonce, RANDOM_BYTES) != 1 ||
	    RAND_bytes(a.verifier, RANDOM_BYTES) != 1 ||
	    seal_close(&o->seal, &a, sizeof(a), now_ms + SIGN_IN_S_MAX * 1000, cookie) != ST_OK)
		return error_set(e, ST_INTERNAL, "no random bytes for a sign-in");
	text_str(url, m.authorization);
	parameter(url, "response_type", "code");
	parameter(url, "client_id", o->s.client);
	parameter(url, "redirect_uri", o->s.redirect);
	parameter(url, "scope", o->s.scope);
	parameter(url, "ui_locales", language);
	random_parameter(url, "state", a.state);
	random_parameter(url, "nonce", a.nonce);
	challenge(url, a.verifier);
	levels(url, &o->s);
	text_add(url, "", 1);
	OPENSSL_cleanse(&a, sizeof(a));
	return url->bad ? error_set(e, ST_TOO_LARGE, "the provider's address is too long") : ST_OK;
}

/* ---- and back ---- */

static enum status again(struct error *e, const char *why)
{
	return error_set(e, ST_PRECONDITION, "%s", why);
}

static enum status attempt_open(const struct oidc *o, const struct oidc_return *r, int64_t now_ms,
				struct attempt *a, struct error *e)
{
	char state[RANDOM_CHARS + 1];
	size_t n = 0;

	if (r->cookie == NULL ||
	    !seal_open(&o->seal, r->cookie, now_ms, a, sizeof(*a), &n) || n != sizeof(*a))
		return again(e, "no sign-in of this browser is under way");
	base64url_write(state, a->state, RANDOM_BYTES);
	if (r->state == NULL || strlen(r->state) != RANDOM_CHARS ||
	    CRYPTO_memcmp(r->state, state, RANDOM_CHARS) != 0)
		return again(e, "`state` is not that of this browser's sign-in");
	return ST_OK;
}

/* Is it an answer of our provider, and what is it? (RFC 6749 4.1.2, RFC 9207) */
static enum status return_check(const struct oidc *o, const struct metadata *m,
				const struct oidc_return *r, struct error *e)
{
	if (r->issuer != NULL ? strcmp(r->issuer, o->s.issuer) != 0 : m->issuer_returned)
		return again(e, "`iss` of the return is not the configured provider");
	if (r->error != NULL && (strcmp(r->error, "temporarily_unavailable") == 0 ||
				 strcmp(r->error, "server_error") == 0))
		return error_set(e, ST_UNAVAILABLE, "the provider says that it is not available");
	if (r->error != NULL)
		return error_set(e, ST_DENIED, "the provider says no");
	if (r->code == NULL || r->code[0] == '\0' || strlen(r->code) > PROVIDER_CODE_BYTES_MAX)
		return again(e, "no code came back");
	return ST_OK;
}

static enum status token_check(struct oidc *o, const char *token, const uint8_t nonce[RANDOM_BYTES],
			       int64_t now_ms, struct session *who, struct error *e)
{
	char text[RANDOM_CHARS + 1];
	struct claims_wanted w = {
		.issuer = o->s.issuer, .audience = o->s.client, .nonce = text, .acr = o->s.acr,
		.acr_n = o->s.acr_n, .now_s = now_ms / 1000, .age_s_max = TOKEN_AGE_S_MAX,
		.life_s_max = TOKEN_LIFE_S_MAX,
	};
	json_t *claims = NULL;
	enum status st = jwks_claims(o->keys, slice_str(token), JWKS_WAIT, &claims, e);

	base64url_write(text, nonce, RANDOM_BYTES);
	if (st == ST_OK)
		st = claims_check(claims, &w, e);
	if (st == ST_OK)
		st = claims_person(claims, &o->s.claims, who, e);
	json_decref(claims);
	return st;
}

enum status oidc_finish(struct oidc *o, const struct oidc_return *r, int64_t now_ms,
			struct session *who, char back[OIDC_BACK_BYTES_MAX + 1], struct error *e)
{
	char verifier[RANDOM_CHARS + 1], *token = NULL;
	struct metadata m;
	struct attempt a;
	enum status st = attempt_open(o, r, now_ms, &a, e);

	if (st != ST_OK)
		return st;
	memcpy(back, a.back, sizeof(a.back));
	st = provider_metadata(o->provider, now_ms, &m, e);
	if (st == ST_OK)
		st = return_check(o, &m, r, e);
	base64url_write(verifier, a.verifier, RANDOM_BYTES);
	if (st == ST_OK)
		st = provider_exchange(o->provider, &m, r->code, verifier, &token, e);
	if (st == ST_OK)
		st = token_check(o, token, a.nonce, now_ms, who, e);
	if (token != NULL)
		OPENSSL_cleanse(token, strlen(token));
	free(token);
	OPENSSL_cleanse(&a, sizeof(a));
	OPENSSL_cleanse(verifier, sizeof(verifier));
	return st;
}

enum status oidc_bearer(struct oidc *o, struct slice token, int64_t now_ms, struct session *who,
			struct error *e)
{
	struct claims_wanted w = {
		.issuer = o->s.issuer, .audience = o->s.audience, .parties = o->s.parties,
		.parties_n = o->s.parties_n, .acr = o->s.acr, .acr_n = o->s.acr_n,
		.now_s = now_ms / 1000, .age_s_max = TOKEN_LIFE_S_MAX,
		.life_s_max = TOKEN_LIFE_S_MAX,
	};
	json_t *claims = NULL;
	enum status st;

	if (o->s.audience[0] == '\0')
		return error_set(e, ST_UNAUTHENTICATED, "no bearer tokens: portal_api_audience is "
				 "not set");
	st = jwks_claims(o->keys, token, JWKS_NO_WAIT, &claims, e);
	if (st == ST_OK)
		st = claims_check(claims, &w, e);
	if (st == ST_OK)
		st = claims_person(claims, &o->s.claims, who, e);
	json_decref(claims);
	return st;
}
