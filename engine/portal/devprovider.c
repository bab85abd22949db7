#include "portal/devprovider.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/io.h"
#include "portal/address.h"
#include "portal/devkey.h"
#include "portal/embedded.h"
#include "portal/form.h"
#include "portal/http.h"

#define CODES_MAX 64			/* given and not used yet; the oldest goes */
#define CODE_BYTES 32
#define CODE_CHARS BASE64URL_CHARS(CODE_BYTES)
#define CODE_MS_MAX (60 * 1000)
#define TOKEN_S 300
#define PARAMETER_BYTES_MAX 512
#define BODY_BYTES_MAX (16 * 1024)
#define PAGE_BYTES_MAX (256 * 1024)
#define CONNECTIONS_MAX 64
#define TIMEOUT_S 10

struct grant {
	char code[CODE_CHARS + 1];	/* "": none */
	char nonce[PARAMETER_BYTES_MAX + 1], challenge[CODE_CHARS + 1];
	char acr[PARAMETER_BYTES_MAX + 1];
	size_t person;
	int64_t until_ms;
};

/* All of it is its own thread's after dev_start(). */
struct devprovider {
	struct MHD_Daemon *daemon;
	int fd;
	char issuer[80];
	char *client;
	const char *redirect;
	const struct pages *pages;
	json_t *people;			/* the file; its list is `people` */
	struct devkey key;
	struct grant grants[CODES_MAX];
	uint32_t next;
};

/* A request whose body is being received. */
struct received { size_t n; char body[BODY_BYTES_MAX]; };

/* ---- start ---- */

enum status dev_listen_check(const char *listen, struct error *e)
{
	struct sockaddr_storage s;
	struct address a;
	socklen_t n;
	enum status st = listen_read(listen, &s, &n, e);

	if (st != ST_OK)
		return st;
	a = address_of((struct sockaddr *)&s);
	return address_is_loopback(&a) ? ST_OK :
	       error_set(e, ST_INVALID, "portal_dev_provider = %s: lets everybody in as anybody, "
			 "so only on a loopback address", listen);
}

/* *out is the caller's, also when they are refused. */
static enum status people_read(json_t **out, const char *path, struct error *e)
{
	const json_t *list, *one;
	json_error_t why;
	size_t i;

	*out = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (*out == NULL && why.line < 0)
		return error_set(e, ST_NOT_FOUND, "portal_dev_people = %s: %s", path, why.text);
	if (*out == NULL)
		return error_set(e, ST_INVALID, "portal_dev_people = %s:%d: %s", path, why.line,
				 why.text);
	list = json_object_get(*out, "people");
	if (json_array_size(list) == 0 || json_array_size(list) > DEV_PEOPLE_MAX)
		return error_set(e, ST_INVALID, "portal_dev_people = %s: `people` is a list of 1 "
				 "to %d", path, DEV_PEOPLE_MAX);
	json_array_foreach(list, i, one)
		if (!json_is_string(json_object_get(one, "name")) ||
		    !json_is_object(json_object_get(one, "claims")))
			return error_set(e, ST_INVALID, "portal_dev_people = %s: people[%zu] needs "
					 "`name` and `claims`", path, i);
	return ST_OK;
}

enum status dev_people_check(const char *people, struct error *e)
{
	json_t *read = NULL;
	enum status st = people_read(&read, people, e);

	json_decref(read);
	return st;
}

enum status dev_new(struct devprovider **out, const char *listen, const char *people,
		    const char *client, const char *redirect, struct error *e)
{
	struct devprovider *d;
	char at[64];
	bool loopback = false;
	enum status st = dev_listen_check(listen, e);

	if (st != ST_OK)
		return st;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return error_set(e, ST_NOMEM, "no memory for the built-in provider");
	d->fd = -1;
	d->client = strdup(client);
	d->redirect = redirect;
	st = d->client == NULL || devkey_make(&d->key) != ST_OK ?
	     error_set(e, ST_INTERNAL, "the built-in provider has no key") :
	     people_read(&d->people, people, e);
	if (st == ST_OK)
		st = http_listen("portal_dev_provider", listen, &d->fd, at, &loopback, e);
	if (st != ST_OK) {
		dev_free(d);
		return st;
	}
	snprintf(d->issuer, sizeof(d->issuer), "http://%s", at);
	*out = d;
	return ST_OK;
}

const char *dev_issuer(const struct devprovider *d)
{
	return d->issuer;
}

/* ---- answers ---- */

static enum MHD_Result reply(struct MHD_Connection *c, unsigned int status, const char *type,
			     const char *location, char *bytes)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(bytes != NULL ? strlen(bytes) : 0,
								 bytes, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (r == NULL) {
		free(bytes);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Content-Security-Policy", "default-src 'none'; style-src "
				"'self'; base-uri 'none'; frame-ancestors 'none'");
	if (location != NULL)
		MHD_add_response_header(r, "Location", location);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result reply_json(struct MHD_Connection *c, unsigned int status, json_t *j)
{
	char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text != NULL ? reply(c, status, "application/json", NULL, text) : MHD_NO;
}

static enum MHD_Result reply_wrong(struct MHD_Connection *c, unsigned int status, const char *why)
{
	return reply(c, status, "text/plain; charset=utf-8", NULL, strdup(why));
}

static enum MHD_Result discovery(const struct devprovider *d, struct MHD_Connection *c)
{
	char url[3][128];

	snprintf(url[0], sizeof(url[0]), "%s/authorize", d->issuer);
	snprintf(url[1], sizeof(url[1]), "%s/token", d->issuer);
	snprintf(url[2], sizeof(url[2]), "%s/keys", d->issuer);
	return reply_json(c, 200, json_pack("{s:s, s:s, s:s, s:s, s:[s], s:[s], s:[s], s:[s], "
		"s:[s], s:b}", "issuer", d->issuer, "authorization_endpoint", url[0],
		"token_endpoint", url[1], "jwks_uri", url[2], "response_types_supported", "code",
		"subject_types_supported", "public", "id_token_signing_alg_values_supported",
		"ES256", "code_challenge_methods_supported", "S256",
		"token_endpoint_auth_methods_supported", "none",
		"authorization_response_iss_parameter_supported", 1));
}

/* ---- who shall it be? ---- */

/* Of the query; "" where it is missing or too long. */
static const char *asked(struct MHD_Connection *c, const char *name)
{
	const char *v = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);

	return v != NULL && strlen(v) <= PARAMETER_BYTES_MAX ? v : "";
}

static const char *request_wrong(const struct devprovider *d, struct MHD_Connection *c)
{
	/* Before anything is sent there. */
	if (strcmp(asked(c, "client_id"), d->client) != 0 ||
	    strcmp(asked(c, "redirect_uri"), d->redirect) != 0)
		return "client_id or redirect_uri is not that of this portal\n";
	if (strcmp(asked(c, "response_type"), "code") != 0)
		return "response_type is not code\n";
	if (strcmp(asked(c, "code_challenge_method"), "S256") != 0 ||
	    strlen(asked(c, "code_challenge")) != CODE_CHARS)
		return "PKCE with S256 is needed\n";
	if (asked(c, "state")[0] == '\0' || asked(c, "nonce")[0] == '\0')
		return "state and nonce are needed\n";
	return NULL;
}

/* The request again, as a query. */
static void again(struct MHD_Connection *c, struct text *out)
{
	static const char *const names[] = { "client_id", "redirect_uri", "response_type",
		"code_challenge_method", "code_challenge", "state", "nonce", "acr_values" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		text_str(out, i > 0 ? "&" : "");
		text_str(out, names[i]);
		text_str(out, "=");
		text_url(out, slice_str(asked(c, names[i])));
	}
	text_add(out, "", 1);
}

static json_t *people_model(const struct devprovider *d, const char *request,
			    const char *language)
{
	const json_t *list = json_object_get(d->people, "people"), *one;
	json_t *rows = json_array();
	size_t i;

	json_array_foreach(list, i, one)
		json_array_append_new(rows, json_pack("{s:I, s:O, s:O?, s:s}", "person",
			(json_int_t)i, "name", json_object_get(one, "name"), "about",
			json_object_get(one, "about"), "request", request));
	return json_pack("{s:o, s:s, s:s}", "people", rows, "request", request, "language",
			 language);
}

static enum MHD_Result people_show(const struct devprovider *d, struct MHD_Connection *c)
{
	const char *wrong = request_wrong(d, c);
	struct text request = text_of(PAGE_BYTES_MAX), page = text_of(PAGE_BYTES_MAX);
	enum language l = language_of(asked(c, "ui_locales"));
	struct error e = { 0 };
	json_t *model;
	enum status st;

	if (wrong != NULL)
		return reply_wrong(c, 400, wrong);
	l = l == LANGUAGES ? LANGUAGE_VI : l;
	again(c, &request);
	model = request.bad ? NULL : people_model(d, request.p, language_code(l));
	st = model != NULL ? page_render(d->pages, "devpeople", l, model, &page, &e) : ST_NOMEM;
	text_add(&page, "", 1);
	json_decref(model);
	text_free(&request);
	if (st == ST_OK && !page.bad)
		return reply(c, 200, "text/html; charset=utf-8", NULL, page.p);
	log_error("dev-provider", "%s", e.text);
	text_free(&page);
	return reply_wrong(c, 500, "the page cannot be made\n");
}

static bool grant_make(struct devprovider *d, struct MHD_Connection *c, size_t person,
		       const char **code)
{
	struct grant *g = &d->grants[d->next];
	uint8_t random[CODE_BYTES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return false;
	d->next = (d->next + 1) % CODES_MAX;
	base64url_write(g->code, random, sizeof(random));
	snprintf(g->nonce, sizeof(g->nonce), "%s", asked(c, "nonce"));
	snprintf(g->challenge, sizeof(g->challenge), "%s", asked(c, "code_challenge"));
	snprintf(g->acr, sizeof(g->acr), "%.*s", (int)strcspn(asked(c, "acr_values"), " "),
		 asked(c, "acr_values"));
	g->person = person;
	g->until_ms = io_wall_ms() + CODE_MS_MAX;
	*code = g->code;
	return true;
}

/* Back to the portal with a code; without a person, with a refusal. */
static enum MHD_Result choose(struct devprovider *d, struct MHD_Connection *c, const char *who)
{
	const char *wrong = request_wrong(d, c), *code = NULL;
	struct text to = text_of(PAGE_BYTES_MAX);
	size_t person = strtoul(who, NULL, 10);
	enum MHD_Result result;

	if (wrong != NULL)
		return reply_wrong(c, 400, wrong);
	if (who[0] != '\0' && (person >= json_array_size(json_object_get(d->people, "people")) ||
			       !grant_make(d, c, person, &code)))
		return reply_wrong(c, 400, "nobody is called so\n");
	text_printf(&to, "%s?%s=%s&state=", d->redirect, code != NULL ? "code" : "error",
		    code != NULL ? code : "access_denied");
	text_url(&to, slice_str(asked(c, "state")));
	text_str(&to, "&iss=");
	text_url(&to, slice_str(d->issuer));
	text_add(&to, "", 1);
	result = to.bad ? MHD_NO : reply(c, 303, "text/plain", to.p, NULL);
	text_free(&to);
	return result;
}

/* ---- a token for a code ---- */

static bool verifier_fits(const struct grant *g, const char *verifier)
{
	char text[CODE_CHARS + 1];
	uint8_t hash[SHA256_BYTES];

	if (verifier == NULL || strlen(verifier) < 43)
		return false;
	sha256_once(verifier, strlen(verifier), hash);
	base64url_write(text, hash, sizeof(hash));
	return strcmp(text, g->challenge) == 0;
}

static bool form_has(const struct form *f, const char *name, const char *value)
{
	const char *v = form_value(f, name);

	return v != NULL && strcmp(v, value) == 0;
}

/* Its code is used up, whatever else is right or wrong. */
static bool grant_take(struct devprovider *d, const struct form *f, struct grant *out)
{
	for (uint32_t i = 0; i < CODES_MAX; i++) {
		struct grant *g = &d->grants[i];

		if (g->code[0] == '\0' || !form_has(f, "code", g->code))
			continue;
		*out = *g;
		g->code[0] = '\0';
		return io_wall_ms() < out->until_ms && form_has(f, "redirect_uri", d->redirect) &&
		       form_has(f, "client_id", d->client) &&
		       verifier_fits(out, form_value(f, "code_verifier"));
	}
	return false;
}

static char *token_make(const struct devprovider *d, const struct grant *g)
{
	const json_t *one = json_array_get(json_object_get(d->people, "people"), g->person);
	json_t *claims = json_deep_copy(json_object_get(one, "claims"));
	json_int_t now = io_wall_ms() / 1000;
	char sub[32], *token;

	snprintf(sub, sizeof(sub), "dev-%zu", g->person);
	json_object_update_new(claims, json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss", d->issuer,
		"aud", d->client, "nonce", g->nonce, "iat", now, "exp", now + TOKEN_S, "sub", sub));
	if (g->acr[0] != '\0')
		json_object_set_new(claims, "acr", json_string(g->acr));
	token = devkey_sign(&d->key, claims);
	json_decref(claims);
	return token;
}

static enum MHD_Result token_give(struct devprovider *d, struct MHD_Connection *c,
				  const struct received *body)
{
	struct form f = { 0 };
	struct grant g;
	char *token;
	json_t *j;

	if (form_read(&f, slice_of(body->body, body->n)) != ST_OK ||
	    !form_has(&f, "grant_type", "authorization_code") || !grant_take(d, &f, &g)) {
		form_free(&f);
		return reply_json(c, 400, json_pack("{s:s}", "error", "invalid_grant"));
	}
	form_free(&f);
	token = token_make(d, &g);
	j = json_pack("{s:s, s:s, s:s, s:i}", "id_token", token, "access_token", g.code,
		      "token_type", "Bearer", "expires_in", TOKEN_S);
	free(token);
	return reply_json(c, 200, j);
}

/* ---- libmicrohttpd's calls ---- */

static enum MHD_Result sheet_show(struct MHD_Connection *c)
{
	const struct embedded *f = embedded_find("assets/portal.css");
	struct slice s = f != NULL ? embedded_bytes(f) : slice_of("", 0);

	return reply(c, 200, "text/css; charset=utf-8", NULL, strndup((const char *)s.p, s.n));
}

static enum MHD_Result get(struct devprovider *d, struct MHD_Connection *c, const char *path)
{
	if (strcmp(path, "/.well-known/openid-configuration") == 0)
		return discovery(d, c);
	if (strcmp(path, "/keys") == 0)
		return reply_json(c, 200, devkey_set(&d->key));
	if (strcmp(path, "/authorize") == 0)
		return asked(c, "login_hint")[0] == '\0' ? people_show(d, c) :
		       choose(d, c, asked(c, "login_hint"));
	if (strcmp(path, "/choose") == 0)
		return choose(d, c, asked(c, "person"));
	if (strcmp(path, "/portal.css") == 0)
		return sheet_show(c);
	return reply_wrong(c, 404, "not found\n");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_n, void **request_ctx)
{
	struct devprovider *d = ctx;
	struct received *body = *request_ctx;

	if (strcmp(method, "GET") == 0)
		return get(d, c, url);
	if (strcmp(method, "POST") != 0 || strcmp(url, "/token") != 0)
		return reply_wrong(c, 405, "not so\n");
	if (body == NULL) {
		*request_ctx = calloc(1, sizeof(*body));
		return *request_ctx != NULL ? MHD_YES : MHD_NO;
	}
	if (*data_n == 0)
		return token_give(d, c, body);
	if (*data_n > sizeof(body->body) - body->n)
		return MHD_NO;
	memcpy(body->body + body->n, data, *data_n);
	body->n += *data_n;
	*data_n = 0;
	return MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **request_ctx,
			 enum MHD_RequestTerminationCode how)
{
	free(*request_ctx);
	*request_ctx = NULL;
}

enum status dev_start(struct devprovider *d, const struct pages *pages, struct error *e)
{
	d->pages = pages;
	d->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL,
				     on_request, d, MHD_OPTION_LISTEN_SOCKET, d->fd,
				     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, d, MHD_OPTION_END);
	if (d->daemon == NULL)
		return error_set(e, ST_UNAVAILABLE, "the built-in provider cannot serve its port");
	d->fd = -1;			/* the daemon's */
	log_warn("portal", "anybody can sign in as anybody: the built-in provider on %s",
		 d->issuer);
	return ST_OK;
}

void dev_free(struct devprovider *d)
{
	if (d == NULL)
		return;
	if (d->daemon != NULL)
		MHD_stop_daemon(d->daemon);
	if (d->fd >= 0)
		close(d->fd);
	devkey_free(&d->key);
	json_decref(d->people);
	free(d->client);
	free(d);
}
