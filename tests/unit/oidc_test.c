/* The sign-in against a provider that is a function here: a good one, and every wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "portal/oidc.h"
#include "tokens.h"

#define ISSUER "https://id.example/realm"
#define REDIRECT "https://portal.example/sign-in/return"
#define NOW 1800000000000LL

struct provider_rig {
	EVP_PKEY *key;
	const char *discovery;		/* members in place of the usual ones, or NULL */
	const char *claims;		/* further members, each with a comma in front */
	const char *answer;		/* of the token endpoint, in place of a token */
	long answer_status;
	const char *wrong_nonce;
	enum status away;		/* of every request */
	char nonce[64], challenge[64];	/* of the newest oidc_begin() */
	int exchanges, discoveries;
	char form[2048], authorization[512];	/* of the newest exchange */
};

#define DISCOVERY "{\"issuer\":\"" ISSUER "\",\"authorization_endpoint\":" \
	"\"https://id.example/auth?realm=a\",\"token_endpoint\":\"https://id.example/token\"," \
	"\"jwks_uri\":\"https://id.example/keys\"}"

/* Malloc'd: a parameter of a query or form, not decoded (ours need no decoding). */
static char *parameter_of(const char *text, const char *name)
{
	char find[64];
	const char *at;

	snprintf(find, sizeof(find), "%s=", name);
	for (at = strstr(text, find); at != NULL; at = strstr(at + 1, find))
		if (at == text || at[-1] == '&' || at[-1] == '?')
			return strndup(at + strlen(find), strcspn(at + strlen(find), "&"));
	return NULL;
}

static char *token_now(struct provider_rig *p)
{
	char claims[1024];

	snprintf(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"aud\":\"portal\",\"sub\":\"7\","
		 "\"iat\":%lld,\"exp\":%lld,\"nonce\":\"%s\"%s}", NOW / 1000 - 1, NOW / 1000 + 300,
		 p->wrong_nonce != NULL ? p->wrong_nonce : p->nonce, p->claims);
	return token_of(p->key, "{\"alg\":\"ES256\",\"kid\":\"k\"}", claims);
}

/* PKCE as the provider checks it. */
static bool verifier_fits(const char *form, const char *challenge)
{
	char *verifier = parameter_of(form, "code_verifier"), *text;
	uint8_t hash[32];
	bool fits;

	if (verifier == NULL)
		return false;
	EVP_Digest(verifier, strlen(verifier), hash, NULL, EVP_sha256(), NULL);
	text = encoded(hash, sizeof(hash));
	fits = strlen(verifier) == 43 && strcmp(text, challenge) == 0;
	free(text);
	free(verifier);
	return fits;
}

static char *exchanged(struct provider_rig *p, const struct fetch_request *r, long *status)
{
	char *token, *out = malloc(4096);

	p->exchanges++;
	assert_non_null(r->form);
	assert_non_null(out);
	snprintf(p->form, sizeof(p->form), "%s", r->form);
	snprintf(p->authorization, sizeof(p->authorization), "%s",
		 r->authorization != NULL ? r->authorization : "");
	if (p->answer != NULL) {
		*status = p->answer_status;
		snprintf(out, 4096, "%s", p->answer);
		return out;
	}
	assert_true(verifier_fits(r->form, p->challenge));
	token = token_now(p);
	snprintf(out, 4096, "{\"access_token\":\"a\",\"token_type\":\"Bearer\","
		 "\"id_token\":\"%s\"}", token);
	free(token);
	return out;
}

static enum status provided(void *ctx, const struct fetch_request *r, struct fetched *out,
			    struct error *e)
{
	struct provider_rig *p = ctx;
	char *jwk, *text = NULL;

	if (p->away != ST_OK)
		return error_set(e, p->away, "away");
	out->status = 200;
	if (strcmp(r->url, ISSUER "/.well-known/openid-configuration") == 0) {
		p->discoveries++;
		text = strdup(p->discovery != NULL ? p->discovery : DISCOVERY);
	} else if (strcmp(r->url, "https://id.example/keys") == 0) {
		jwk = jwk_of(p->key, "k", "");
		text = malloc(strlen(jwk) + 16);
		assert_non_null(text);
		snprintf(text, strlen(jwk) + 16, "{\"keys\":[%s]}", jwk);
		free(jwk);
	} else if (strcmp(r->url, "https://id.example/token") == 0) {
		text = exchanged(p, r, &out->status);
	}
	assert_non_null(text);
	out->bytes = (uint8_t *)text;
	out->n = strlen(text);
	return ST_OK;
}

static struct oidc *oidc_of(struct provider_rig *p, const struct oidc_settings *more)
{
	struct oidc_settings s = *more;
	struct oidc *o;

	s.issuer = s.issuer != NULL ? s.issuer : ISSUER;
	s.client = "portal";
	s.secret = s.secret != NULL ? s.secret : "";
	s.redirect = REDIRECT;
	s.scope = "openid profile";
	s.audience = s.audience != NULL ? s.audience : "";
	s.claims = (struct claim_names){ .number = "citizen", .id_kind = "", .country = "",
		.name = "name", .roles = "roles", .units = "units", .leader = "leader",
		.fixed_id_kind = "citizen" };
	s.fetch = provided;
	s.ctx = p;
	if (p->claims == NULL)
		p->claims = ",\"citizen\":\"001199000017\",\"name\":\"Hà\"";
	assert_int_equal(oidc_new(&o, &s, NULL), ST_OK);
	return o;
}

static EVP_PKEY *key;

static struct provider_rig rig_of(void)
{
	return (struct provider_rig){ .key = key };
}

/* One browser's way to the provider and back. */
struct way { char cookie[OIDC_COOKIE_BYTES_MAX], *state, *url; };

static struct way begun(struct oidc *o, struct provider_rig *p, const char *back)
{
	struct text url = text_of(4096);
	struct way w;
	char *text;

	assert_int_equal(oidc_begin(o, back, "vi", NOW, w.cookie, &url, NULL), ST_OK);
	w.url = url.p;
	w.state = parameter_of(w.url, "state");
	assert_non_null(w.state);
	text = parameter_of(w.url, "nonce");
	snprintf(p->nonce, sizeof(p->nonce), "%s", text);
	free(text);
	text = parameter_of(w.url, "code_challenge");
	snprintf(p->challenge, sizeof(p->challenge), "%s", text);
	free(text);
	return w;
}

static void way_free(struct way *w)
{
	free(w->state);
	free(w->url);
}

static enum status finished(struct oidc *o, struct oidc_return r, int64_t now_ms,
			    struct session *who)
{
	char back[OIDC_BACK_BYTES_MAX + 1];
	struct session other;

	return oidc_finish(o, &r, now_ms, who != NULL ? who : &other, back, NULL);
}

static void a_citizen_signs_in(void **state)
{
	struct provider_rig p = rig_of();
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ .acr = { "loa-2", "loa-3" },
							      .acr_n = 2 });
	struct way w = begun(o, &p, "/results");
	struct oidc_return r = { .cookie = w.cookie, .state = w.state, .code = "c0/+" };
	char back[OIDC_BACK_BYTES_MAX + 1];
	struct session who;

	assert_ptr_equal(strstr(w.url, "https://id.example/auth?realm=a&response_type=code"
				"&client_id=portal&redirect_uri=https%3A%2F%2Fportal.example"
				"%2Fsign-in%2Freturn&scope=openid%20profile&ui_locales=vi"
				"&state="), w.url);
	assert_non_null(strstr(w.url, "&code_challenge_method=S256&acr_values=loa-2%20loa-3"));
	p.claims = ",\"citizen\":\"001199000017\",\"acr\":\"loa-2\"";
	assert_int_equal(oidc_finish(o, &r, NOW, &who, back, NULL), ST_OK);
	assert_string_equal(back, "/results");
	assert_string_equal(who.holder.number, "001199000017");
	assert_int_equal(who.roles, ROLE_CITIZEN);
	assert_ptr_equal(strstr(p.form, "grant_type=authorization_code&code=c0%2F%2B&redirect_uri="
				"https%3A%2F%2Fportal.example%2Fsign-in%2Freturn&code_verifier="),
			 p.form);
	assert_non_null(strstr(p.form, "&client_id=portal"));
	assert_string_equal(p.authorization, "");
	assert_int_equal(p.discoveries, 1);
	p.claims = ",\"citizen\":\"001199000017\",\"acr\":\"loa-1\"";
	assert_int_equal(finished(o, r, NOW, NULL), ST_UNAUTHENTICATED);
	way_free(&w);
	oidc_free(o);
}

static void each_sign_in_is_its_own(void **state)
{
	struct provider_rig p = rig_of();
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ 0 });
	struct way a = begun(o, &p, "/"), b = begun(o, &p, "/");
	struct oidc_return r = { .cookie = a.cookie, .state = a.state, .code = "c" };
	struct oidc *other = oidc_of(&p, &(struct oidc_settings){ 0 });

	assert_string_not_equal(a.cookie, b.cookie);
	assert_string_not_equal(a.state, b.state);
	/* The browser of a has the nonce of a, the token that of b. */
	p.answer = "{\"error\":\"never asked\"}";
	p.answer_status = 500;
	r.state = b.state;
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.state = NULL;
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.state = "";
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.state = a.state;
	r.cookie = NULL;
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.cookie = "AAAA";
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.cookie = a.cookie;
	r.code = NULL;
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.code = "";
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	r.code = "c";
	assert_int_equal(finished(o, r, NOW + SIGN_IN_S_MAX * 1000, NULL), ST_PRECONDITION);
	/* Another process of ours, or the same one before a restart. */
	assert_int_equal(finished(other, r, NOW, NULL), ST_PRECONDITION);
	assert_int_equal(p.exchanges, 0);
	way_free(&a);
	way_free(&b);
	oidc_free(other);
	oidc_free(o);
}

static void a_changed_cookie_is_none(void **state)
{
	struct provider_rig p = rig_of();
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ 0 });
	struct way w = begun(o, &p, "/");
	struct oidc_return r = { .cookie = w.cookie, .state = w.state, .code = "c" };

	for (size_t i = 0; i < strlen(w.cookie); i++) {
		char was = w.cookie[i];

		w.cookie[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
		w.cookie[i] = was;
	}
	assert_int_equal(p.exchanges, 0);
	assert_int_equal(finished(o, r, NOW, NULL), ST_OK);
	way_free(&w);
	oidc_free(o);
}

static void the_provider_says_no(void **state)
{
	struct provider_rig p = rig_of();
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ 0 });
	struct way w = begun(o, &p, "/");
	struct oidc_return r = { .cookie = w.cookie, .state = w.state, .code = "c",
				 .error = "access_denied" };

	assert_int_equal(finished(o, r, NOW, NULL), ST_DENIED);
	r.error = "temporarily_unavailable";
	assert_int_equal(finished(o, r, NOW, NULL), ST_UNAVAILABLE);
	r.error = NULL;
	r.issuer = "https://evil.example";
	assert_int_equal(finished(o, r, NOW, NULL), ST_PRECONDITION);
	assert_int_equal(p.exchanges, 0);
	r.issuer = ISSUER;
	assert_int_equal(finished(o, r, NOW, NULL), ST_OK);
	way_free(&w);
	oidc_free(o);
}

static void tokens_that_are_not_ours(void **state)
{
	static const struct { const char *claims, *nonce; enum status st; } rows[] = {
		{ "", NULL, ST_NOT_FOUND },
		{ ",\"citizen\":\"17\"", NULL, ST_NOT_FOUND },
		{ NULL, "stolen", ST_UNAUTHENTICATED },
		{ NULL, "", ST_UNAUTHENTICATED },
		{ ",\"citizen\":\"001199000017\",\"nbf\":1800000100", NULL, ST_UNAUTHENTICATED },
		{ ",\"citizen\":\"001199000017\",\"azp\":\"x\"", NULL, ST_UNAUTHENTICATED },
		{ ",\"citizen\":\"001199000017\",\"iss\":\"x\"", NULL, ST_INVALID },	/* twice */
	};
	EVP_PKEY *other = made_p256();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct provider_rig p = rig_of();
		struct oidc *o = oidc_of(&p, &(struct oidc_settings){ 0 });
		struct way w = begun(o, &p, "/");
		struct oidc_return r = { .cookie = w.cookie, .state = w.state, .code = "c" };

		if (i == 0) {	/* keys are had */
			assert_int_equal(finished(o, r, NOW, NULL), ST_OK);
			p.key = other;
			assert_int_equal(finished(o, r, NOW, NULL), ST_UNAUTHENTICATED);
			p.key = key;
		}
		if (rows[i].claims != NULL)
			p.claims = rows[i].claims;
		p.wrong_nonce = rows[i].nonce;
		assert_int_equal(finished(o, r, NOW, NULL), rows[i].st);
		way_free(&w);
		oidc_free(o);
	}
	EVP_PKEY_free(other);
}

static void answers_that_are_no_token(void **state)
{
	static const struct { const char *answer; long status; enum status st; } rows[] = {
		{ "{\"error\":\"invalid_grant\"}", 400, ST_PRECONDITION },
		{ "{\"error\":\"invalid_client\"}", 401, ST_UNAVAILABLE },
		{ "{\"error\":\"<script>\"}", 400, ST_UNAVAILABLE },
		{ "<html>", 502, ST_UNAVAILABLE },
		{ "{}", 200, ST_UNAVAILABLE },
		{ "{\"id_token\":7}", 200, ST_UNAVAILABLE },
		{ "{\"id_token\":\"a.b.c\",\"id_token\":\"a.b.c\"}", 200, ST_UNAVAILABLE },
		{ "{\"id_token\":\"a.b.c\"}", 200, ST_INVALID },
		/* {"alg":"none"} */
		{ "{\"id_token\":\"eyJhbGciOiJub25lIn0.e30.\"}", 200, ST_UNSUPPORTED },
		{ "", 302, ST_UNAVAILABLE },
	};
	struct provider_rig p = rig_of();
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ 0 });
	struct way w = begun(o, &p, "/");
	struct oidc_return r = { .cookie = w.cookie, .state = w.state, .code = "c" };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		p.answer = rows[i].answer;
		p.answer_status = rows[i].status;
		assert_int_equal(finished(o, r, NOW, NULL), rows[i].st);
	}
	p.away = ST_TIMEOUT;
	assert_int_equal(finished(o, r, NOW, NULL), ST_TIMEOUT);
	way_free(&w);
	oidc_free(o);
}

static void discoveries(void **state)
{
#define ENDS(a, t, k) "\"authorization_endpoint\":\"" a "\",\"token_endpoint\":\"" t "\"," \
	"\"jwks_uri\":\"" k "\""
#define GOOD ENDS("https://id.example/a", "https://id.example/token", "https://id.example/keys")
	static const char *const bad[] = {
		"", "[]", "<html>",
		"{" GOOD "}",
		"{\"issuer\":\"" ISSUER "/\"," GOOD "}",
		"{\"issuer\":\"" ISSUER "\",\"issuer\":\"" ISSUER "\"," GOOD "}",
		"{\"issuer\":\"" ISSUER "\"," ENDS("http://b/a", "https://b/c", "https://d") "}",
		"{\"issuer\":\"" ISSUER "\"," ENDS("https://b/a", "http://10.0.0.1/c", "https://d")
			"}",
		"{\"issuer\":\"" ISSUER "\"," ENDS("https://b/a", "https://b/c", "file:///d") "}",
		"{\"issuer\":\"" ISSUER "\"," ENDS("javascript:x", "https://b/c", "https://d") "}",
		"{\"issuer\":\"" ISSUER "\",\"code_challenge_methods_supported\":[\"plain\"]," GOOD
			"}",
		"{\"issuer\":\"" ISSUER "\",\"id_token_signing_alg_values_supported\":[\"HS256\"]"
			"," GOOD "}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct provider_rig p = rig_of();
		struct oidc *o = oidc_of(&p, &(struct oidc_settings){ 0 });
		struct text url = text_of(4096);
		char cookie[OIDC_COOKIE_BYTES_MAX];

		p.discovery = bad[i];
		assert_int_equal(oidc_begin(o, "/", "vi", NOW, cookie, &url, NULL), ST_UNAVAILABLE);
		assert_null(url.p);
		/* Its operator mended it. */
		p.discovery = NULL;
		assert_int_equal(oidc_begin(o, "/", "vi", NOW, cookie, &url, NULL), ST_OK);
		text_free(&url);
		/* What was known serves while it is broken again. */
		p.discovery = bad[i];
		url = text_of(4096);
		assert_int_equal(oidc_begin(o, "/", "vi", NOW + PROVIDER_AGAIN_MS, cookie, &url,
					    NULL), ST_OK);
		assert_int_equal(p.discoveries, 3);
		text_free(&url);
		oidc_free(o);
	}
}

static void secrets(void **state)
{
	struct provider_rig p = rig_of();
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ .secret = "s:&" });
	struct way w = begun(o, &p, "/");
	struct oidc_return r = { .cookie = w.cookie, .state = w.state, .code = "c" };

	/* "portal:s%3A%26", each part encoded before they are joined */
	assert_int_equal(finished(o, r, NOW, NULL), ST_OK);
	assert_string_equal(p.authorization, "Basic cG9ydGFsOnMlM0ElMjY=");
	assert_null(strstr(p.form, "client"));
	way_free(&w);
	oidc_free(o);
	p = rig_of();
	p.discovery = "{\"issuer\":\"" ISSUER "\",\"token_endpoint_auth_methods_supported\":"
		      "[\"client_secret_post\"]," GOOD "}";
	o = oidc_of(&p, &(struct oidc_settings){ .secret = "s:&" });
	w = begun(o, &p, "/");
	r = (struct oidc_return){ .cookie = w.cookie, .state = w.state, .code = "c" };
	assert_int_equal(finished(o, r, NOW, NULL), ST_OK);
	assert_string_equal(p.authorization, "");
	assert_non_null(strstr(p.form, "&client_id=portal&client_secret=s%3A%26"));
	way_free(&w);
	oidc_free(o);
}

static enum status bearer(struct oidc *o, EVP_PKEY *by, const char *claims)
{
	char text[512], *token;
	struct session who;
	enum status st;

	snprintf(text, sizeof(text), "{\"iss\":\"" ISSUER "\",\"sub\":\"7\",\"iat\":%lld,\"exp\":"
		 "%lld,\"citizen\":\"001199000017\"%s}", NOW / 1000 - 3600, NOW / 1000 + 300,
		 claims);
	token = token_of(by, "{\"alg\":\"ES256\",\"kid\":\"k\"}", text);
	st = oidc_bearer(o, slice_str(token), NOW, &who, NULL);
	free(token);
	return st;
}

static void bearer_tokens(void **state)
{
	struct provider_rig p = rig_of();
	struct oidc *closed = oidc_of(&p, &(struct oidc_settings){ 0 });
	struct oidc *o = oidc_of(&p, &(struct oidc_settings){ .audience = "api",
		.parties = { "wallet" }, .parties_n = 1 });
	EVP_PKEY *other = made_p256();

	assert_int_equal(bearer(o, key, ",\"aud\":\"api\""), ST_OK);
	assert_int_equal(bearer(o, key, ",\"aud\":[\"api\",\"x\"],\"azp\":\"wallet\""), ST_OK);
	assert_int_equal(bearer(o, key, ",\"aud\":\"api\",\"azp\":\"bank\""),
			 ST_UNAUTHENTICATED);
	assert_int_equal(bearer(o, key, ",\"aud\":\"portal\""), ST_UNAUTHENTICATED);
	assert_int_equal(bearer(o, key, ""), ST_UNAUTHENTICATED);
	assert_int_equal(bearer(o, key, ",\"aud\":\"api\",\"events\":{}"), ST_UNAUTHENTICATED);
	assert_int_equal(bearer(o, other, ",\"aud\":\"api\""), ST_UNAUTHENTICATED);
	assert_int_equal(bearer(closed, key, ",\"aud\":\"\""), ST_UNAUTHENTICATED);
	/* The sign-in needs no more than it did. */
	assert_int_equal(p.exchanges, 0);
	EVP_PKEY_free(other);
	oidc_free(closed);
	oidc_free(o);
}

static void addresses(void **state)
{
	static const char *const good[] = { "https://a", "https://a.b:8443/c?d=e",
		"http://127.0.0.1", "http://127.0.0.1:80/x", "http://[::1]:8080/",
		"http://localhost:1" };
	static const char *const bad[] = { "", "http://a", "http://127.0.0.1.evil.example/",
		"http://localhost.evil", "http://127.0.0.1@evil/", "https://u:p@a", "https://",
		"https:///a", "ftp://a", "file:///etc/passwd", "https://a#b", "https://a b",
		"https://a\\@b", "http://127.0.0.1:80@evil/", "http://[::1]evil/", "HTTPS://a",
		"https://a\r\nb", "http://127.0.0.1:8x/" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(fetch_url_fits(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(fetch_url_fits(bad[i]));
}

static int make(void **state)
{
	key = made_p256();
	return 0;
}

static int unmake(void **state)
{
	EVP_PKEY_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_citizen_signs_in), cmocka_unit_test(each_sign_in_is_its_own),
		cmocka_unit_test(a_changed_cookie_is_none), cmocka_unit_test(the_provider_says_no),
		cmocka_unit_test(tokens_that_are_not_ours),
		cmocka_unit_test(answers_that_are_no_token), cmocka_unit_test(discoveries),
		cmocka_unit_test(secrets), cmocka_unit_test(bearer_tokens),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
