#include "remote/api.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote/tree.h"

enum status api_body(struct api_request *out, json_t *body)
{
	if (body == NULL)
		return ST_NOMEM;
	out->body = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return out->body == NULL ? ST_NOMEM : ST_OK;
}

bool api_text(char *out, size_t n, const json_t *v)
{
	const char *s = json_string_value(v);
	size_t m = json_string_length(v);
	char number[32];

	if (json_is_integer(v)) {
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
		s = number;
		m = strlen(number);
	}
	if (s == NULL || m == 0 || m >= n || strlen(s) != m)
		return false;
	for (size_t i = 0; i < m; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	memcpy(out, s, m + 1);
	return true;
}

void api_signature_read(struct api_signature *out, const json_t *v, enum text_form form)
{
	const char *s = json_string_value(v);
	long n = -1;

	if (s != NULL && strlen(s) == json_string_length(v))
		n = form == FORM_HEX ? tree_hex_read(out->bytes, sizeof(out->bytes), s) :
			tree_base64_read(out->bytes, sizeof(out->bytes), s);
	out->n = n > 0 ? (uint16_t)n : 0;
}

/* ---- OAuth 2 client credentials (RFC 6749, 4.4) ---- */

static void encoded(char **at, const char *end, const char *s)
{
	for (; *s != '\0' && *at + 4 < end; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || strchr("-._~", *s) != NULL)
			*(*at)++ = *s;
		else
			*at += snprintf(*at, 4, "%%%02X", (unsigned char)*s);
	}
	**at = '\0';
}

static void plain(char **at, const char *s)
{
	size_t n = strlen(s);

	memcpy(*at, s, n + 1);
	*at += n;
}

static enum status token_build(struct api_request *out, const struct service *s)
{
	size_t n = 128 + 3 * (strlen(s->client) + strlen(s->client_secret) +
			      (s->scope != NULL ? strlen(s->scope) : 0));
	char *at = malloc(n);

	if (at == NULL)
		return ST_NOMEM;
	snprintf(out->url, sizeof(out->url), "%s", s->token_url);
	out->form = true;
	out->body = at;
	plain(&at, "grant_type=client_credentials&client_id=");
	encoded(&at, out->body + n, s->client);
	plain(&at, "&client_secret=");
	encoded(&at, out->body + n, s->client_secret);
	if (s->scope != NULL) {
		plain(&at, "&scope=");
		encoded(&at, out->body + n, s->scope);
	}
	return ST_OK;
}

static void token_read(struct api_answer *out, json_t *body)
{
	json_int_t seconds = json_integer_value(json_object_get(body, "expires_in"));

	if (!api_text(out->text, sizeof(out->text), json_object_get(body, "access_token"))) {
		out->verdict = VERDICT_UNREADABLE;
		return;
	}
	out->verdict = VERDICT_TOKEN;
	out->seconds = seconds > 0 && seconds < 31536000 ? (uint32_t)seconds : 0;
}

/* ---- what both makers share ---- */

enum status api_build(struct api_request *out, const struct api_ask *ask)
{
	*out = (struct api_request){ .url = "" };
	if (ask->step == STEP_TOKEN)
		return token_build(out, ask->service);
	return ask->service->api == API_CSC ? csc_build(out, ask) : hasharray_build(out, ask);
}

void api_request_free(struct api_request *r)
{
	if (r->body != NULL)
		OPENSSL_cleanse(r->body, strlen(r->body));
	free(r->body);
	r->body = NULL;
}

static enum api_verdict of_status(long status)
{
	if (status >= 200 && status < 300)
		return VERDICT_SIGNED;
	if (status == 401)
		return VERDICT_DENIED;
	if (status == 400 || status == 404 || status == 410 || status == 413 || status == 422)
		return VERDICT_BAD;
	return VERDICT_AGAIN;
}

void api_read(struct api_answer *out, const struct api_ask *ask, long status, struct slice body)
{
	json_t *v = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);

	*out = (struct api_answer){ .verdict = of_status(status), .error = "" };
	out->signatures = calloc(ask->n > 0 ? ask->n : 1, sizeof(*out->signatures));
	if (out->verdict == VERDICT_SIGNED && (v == NULL || out->signatures == NULL))
		out->verdict = VERDICT_UNREADABLE;
	else if (ask->step == STEP_TOKEN && out->verdict == VERDICT_SIGNED)
		token_read(out, v);
	else if (ask->step != STEP_TOKEN && ask->service->api == API_CSC)
		csc_read(out, ask, v);
	else if (ask->step != STEP_TOKEN && out->verdict == VERDICT_SIGNED)
		hasharray_read(out, ask, v);
	/* Asked about a transaction and told that the question is wrong: it is not known. */
	if (out->verdict == VERDICT_BAD && (ask->step == STEP_CHECK || ask->step == STEP_POLL))
		out->verdict = VERDICT_LOST;
	json_decref(v);
}

void api_answer_free(struct api_answer *a)
{
	OPENSSL_cleanse(a->text, sizeof(a->text));
	free(a->signatures);
	a->signatures = NULL;
}
