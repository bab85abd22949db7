#include "portal/provider.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "portal/jwt.h"

#define FORM_BYTES_MAX (16 * 1024)

struct provider {
	const struct oidc_settings *s;
	pthread_mutex_t lock;		/* of the rest */
	bool known;
	int64_t known_ms;
	struct metadata metadata;
};

enum status provider_new(struct provider **out, const struct oidc_settings *s, struct error *e)
{
	struct provider *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return error_set(e, ST_NOMEM, "no memory for sign-in");
	p->s = s;
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return ST_OK;
}

void provider_free(struct provider *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- what it says of itself ---- */

/* Another's mistake: it may be mended while we run, so it is no error of a request's. */
static enum status unfit(struct error *e, const char *what)
{
	return error_set(e, ST_UNAVAILABLE, "the provider's discovery: %s", what);
}

static bool url_take(char *out, const json_t *root, const char *name)
{
	const char *url = json_string_value(json_object_get(root, name));

	if (url == NULL || !fetch_url_fits(url))
		return false;
	memcpy(out, url, strlen(url) + 1);
	return true;
}

/* absent: what its absence says. */
static bool lists(const json_t *root, const char *name, const char *value, bool absent)
{
	const json_t *list = json_object_get(root, name), *one;
	size_t i;

	if (list == NULL)
		return absent;
	json_array_foreach(list, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), value) == 0)
			return true;
	return false;
}

static enum status metadata_read(const struct oidc_settings *s, const json_t *root,
				 struct metadata *out, struct error *e)
{
	const char *methods = "token_endpoint_auth_methods_supported";
	const char *issuer = json_string_value(json_object_get(root, "issuer"));
	bool secret = s->secret[0] != '\0', basic;

	*out = (struct metadata){ .issuer_returned = json_is_true(json_object_get(root,
		"authorization_response_iss_parameter_supported")) };
	if (issuer == NULL || strcmp(issuer, s->issuer) != 0)
		return unfit(e, "`issuer` is not the configured one");
	if (!url_take(out->authorization, root, "authorization_endpoint") ||
	    !url_take(out->token, root, "token_endpoint") || !url_take(out->keys, root, "jwks_uri"))
		return unfit(e, "an address is missing, or neither https nor on this machine");
	if (!lists(root, "code_challenge_methods_supported", "S256", true))
		return unfit(e, "it does not know PKCE with S256");
	if (!lists(root, "id_token_signing_alg_values_supported", jwt_alg_name(JWT_ES256), true) &&
	    !lists(root, "id_token_signing_alg_values_supported", jwt_alg_name(JWT_RS256), true))
		return unfit(e, "it signs with neither ES256 nor RS256");
	basic = lists(root, methods, "client_secret_basic", true);
	out->secret_in_form = secret && !basic;
	if (out->secret_in_form && !lists(root, methods, "client_secret_post", false))
		return unfit(e, "it takes a client's secret in no way that is known here");
	return ST_OK;
}

static enum status get(struct provider *p, const char *url, size_t max, struct fetched *out,
		       struct error *e)
{
	struct fetch_request r = { .url = url, .bytes_max = max };
	enum status st = p->s->fetch(p->s->ctx, &r, out, e);

	if (st != ST_OK)
		return st == ST_TIMEOUT ? st : ST_UNAVAILABLE;
	if (out->status != 200) {
		free(out->bytes);
		out->bytes = NULL;
		return error_set(e, ST_UNAVAILABLE, "the provider answers with status %ld",
				 out->status);
	}
	return ST_OK;
}

static enum status metadata_fetch(struct provider *p, struct metadata *out, struct error *e)
{
	char url[PROVIDER_URL_BYTES_MAX + 64];
	size_t n = strlen(p->s->issuer);
	struct fetched answer = { 0 };
	json_t *root;
	enum status st;

	/* Discovery 4.1: a slash at its end is taken off first. */
	n -= p->s->issuer[n - 1] == '/';
	snprintf(url, sizeof(url), "%.*s/.well-known/openid-configuration", (int)n, p->s->issuer);
	st = get(p, url, PROVIDER_ANSWER_BYTES_MAX, &answer, e);
	if (st != ST_OK)
		return st;
	root = json_loadb((const char *)answer.bytes, answer.n, JSON_REJECT_DUPLICATES, NULL);
	st = metadata_read(p->s, root, out, e);
	json_decref(root);
	free(answer.bytes);
	return st;
}

enum status provider_metadata(struct provider *p, int64_t now_ms, struct metadata *out,
			      struct error *e)
{
	struct metadata *fresh;
	bool known;
	enum status st;

	pthread_mutex_lock(&p->lock);
	known = p->known;
	if (known)
		*out = p->metadata;
	st = known && now_ms - p->known_ms < PROVIDER_AGAIN_MS ? ST_OK : ST_AGAIN;
	pthread_mutex_unlock(&p->lock);
	if (st == ST_OK)
		return ST_OK;
	fresh = malloc(sizeof(*fresh));
	if (fresh == NULL)
		return error_set(e, ST_NOMEM, "no memory for sign-in");
	st = metadata_fetch(p, fresh, e);
	if (st == ST_OK) {
		*out = *fresh;
		pthread_mutex_lock(&p->lock);
		p->metadata = *fresh;
		p->known = true;
		p->known_ms = now_ms;
		pthread_mutex_unlock(&p->lock);
	}
	free(fresh);
	return known ? ST_OK : st;
}

enum status provider_keys(struct provider *p, uint8_t **bytes, size_t *n, struct error *e)
{
	struct fetched answer = { 0 };
	struct metadata m;
	enum status st;

	pthread_mutex_lock(&p->lock);
	st = p->known ? ST_OK : ST_AGAIN;
	m = p->metadata;
	pthread_mutex_unlock(&p->lock);
	/* A bearer token may come before anybody signed in. */
	if (st != ST_OK)
		st = metadata_fetch(p, &m, e);
	if (st == ST_OK)
		st = get(p, m.keys, KEY_SET_BYTES_MAX, &answer, e);
	if (st != ST_OK)
		return st;
	*bytes = answer.bytes;
	*n = answer.n;
	return ST_OK;
}

/* ---- a token for a code ---- */

static void field(struct text *form, const char *name, const char *value)
{
	text_str(form, form->n > 0 ? "&" : "");
	text_str(form, name);
	text_str(form, "=");
	text_url(form, slice_str(value));
}

static void wiped(struct text *t)
{
	if (t->p != NULL)
		explicit_bzero(t->p, t->n);
	text_free(t);
}

/* RFC 6749 2.3.1: both are encoded as in a form before they are joined. */
static void basic(struct text *out, const struct oidc_settings *s)
{
	struct text pair = text_of(FORM_BYTES_MAX);
	char *base64;

	text_url(&pair, slice_str(s->client));
	text_str(&pair, ":");
	text_url(&pair, slice_str(s->secret));
	base64 = malloc(pair.n * 4 / 3 + 8);
	out->bad |= pair.bad || base64 == NULL;
	if (!out->bad) {
		EVP_EncodeBlock((unsigned char *)base64, (unsigned char *)pair.p, (int)pair.n);
		text_str(out, "Basic ");
		text_str(out, base64);
		text_add(out, "", 1);
		explicit_bzero(base64, strlen(base64));
	}
	free(base64);
	wiped(&pair);
}

/* What it answers instead of a token (RFC 6749 5.2). */
static enum status refusal(const struct fetched *answer, struct error *e)
{
	json_t *root = json_loadb((const char *)answer->bytes, answer->n, JSON_REJECT_DUPLICATES,
				  NULL);
	const char *code = json_string_value(json_object_get(root, "error"));
	bool named = code != NULL && strlen(code) <= 40 &&
		     strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code);
	bool grant = named && strcmp(code, "invalid_grant") == 0;
	enum status st;

	st = error_set(e, grant ? ST_PRECONDITION : ST_UNAVAILABLE,
		       "the provider gives no token: status %ld, %s", answer->status,
		       named ? code : "no reason");
	json_decref(root);
	return st;
}

static enum status token_take(const struct fetched *answer, char **token, struct error *e)
{
	json_t *root = json_loadb((const char *)answer->bytes, answer->n, JSON_REJECT_DUPLICATES,
				  NULL);
	const char *id_token = json_string_value(json_object_get(root, "id_token"));

	*token = id_token != NULL ? strdup(id_token) : NULL;
	json_decref(root);
	return *token != NULL ? ST_OK :
	       error_set(e, ST_UNAVAILABLE, "the provider's answer holds no ID token");
}

enum status provider_exchange(struct provider *p, const struct metadata *m, const char *code,
			      const char *verifier, char **token, struct error *e)
{
	struct text form = text_of(FORM_BYTES_MAX), header = text_of(FORM_BYTES_MAX);
	struct fetch_request r = { .url = m->token, .bytes_max = PROVIDER_ANSWER_BYTES_MAX };
	struct fetched answer = { 0 };
	bool secret = p->s->secret[0] != '\0';
	enum status st;

	field(&form, "grant_type", "authorization_code");
	field(&form, "code", code);
	field(&form, "redirect_uri", p->s->redirect);
	field(&form, "code_verifier", verifier);
	if (!secret || m->secret_in_form)
		field(&form, "client_id", p->s->client);
	if (secret && m->secret_in_form)
		field(&form, "client_secret", p->s->secret);
	else if (secret)
		basic(&header, p->s);
	text_add(&form, "", 1);
	r.form = form.p;
	r.authorization = header.n > 0 ? header.p : NULL;
	st = form.bad || header.bad ? error_set(e, ST_NOMEM, "no room for the token's request") :
	     p->s->fetch(p->s->ctx, &r, &answer, e);
	wiped(&form);
	wiped(&header);
	if (st != ST_OK)
		return st == ST_TIMEOUT || st == ST_NOMEM ? st : ST_UNAVAILABLE;
	st = answer.status == 200 ? token_take(&answer, token, e) : refusal(&answer, e);
	explicit_bzero(answer.bytes, answer.n);
	free(answer.bytes);
	return st;
}
