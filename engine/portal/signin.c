#include "portal/signin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/log.h"
#include "io/file.h"
#include "portal/devprovider.h"
#include "portal/inside.h"
#include "portal/oidc.h"
#include "portal/route.h"

#define RETURN_PATH "/sign-in/return"
#define ATTEMPT_COOKIE "trien-sign-in"
#define FILE_BYTES_MAX (1024 * 1024)
#define SECRET_BYTES_MAX 1024
#define DEV_CLIENT "trien-portal"

struct signin {
	struct oidc_settings settings;
	char redirect[PORTAL_URL_BYTES + sizeof(RETURN_PATH)];
	char *secret, *ca, *acr, *parties;	/* texts that settings point into; NULL: none */
	struct fetcher *fetcher;
	struct devprovider *dev;		/* NULL: another's */
	struct oidc *oidc;
};

/* ---- settings ---- */

static bool here(const char *url)
{
	return url[0] == '\0' || (strncmp(url, "http:", 5) == 0 && fetch_url_fits(url));
}

static bool listens_here(const char *listen)
{
	struct sockaddr_storage at;
	struct address a;
	struct error e;
	socklen_t n;

	if (listen_read(listen, &at, &n, &e) != ST_OK)
		return false;
	a = address_of((struct sockaddr *)&at);
	return address_is_loopback(&a);
}

/* Without a URL citizens see the address where it listens. */
static bool cookies_are_safe(const struct config_portal *p)
{
	return strncmp(p->url, "https:", 6) == 0 ||
	       (here(p->url) && (p->url[0] != '\0' || listens_here(p->listen)));
}

static enum status dev_check(const struct config *c, struct error *e)
{
	const struct config_sign_in *s = &c->portal.sign_in;
	enum status st;

	if (s->dev_people[0] == '\0')
		return error_set(e, ST_INVALID, "portal_dev_provider without portal_dev_people, "
				 "the file of those who may be chosen");
	if (!listens_here(c->portal.listen) || !here(c->portal.url))
		return error_set(e, ST_INVALID, "portal_dev_provider lets everybody in as anybody: "
				 "only where portal_listen and portal_url are this machine's own");
	if (!c->development)
		return error_set(e, ST_INVALID, "portal_dev_provider: only with development = "
				 "true");
	if (s->issuer[0] != '\0')
		return error_set(e, ST_INVALID, "portal_dev_provider and portal_oidc_issuer: one "
				 "of them");
	st = dev_listen_check(s->dev_listen, e);
	return st == ST_OK ? dev_people_check(s->dev_people, e) : st;
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

static enum status file_text(char **out, const char *setting, const char *path, size_t max,
			     struct error *e)
{
	struct error why = { 0 };
	uint8_t *bytes;
	size_t n;
	enum status st;

	if (path[0] == '\0')
		return ST_OK;
	st = file_read(path, max, &bytes, &n, &why);
	if (st != ST_OK)
		return error_set(e, st, "%s = %s", setting, why.text);
	*out = (char *)bytes;
	return ST_OK;
}

/* Its last line break is no part of it. */
static enum status secret_read(struct signin *s, const char *path, struct error *e)
{
	struct stat about;
	enum status st;

	if (path[0] == '\0')
		return ST_OK;
	if (stat(path, &about) == 0 && (about.st_mode & 077) != 0)
		return error_set(e, ST_INVALID, "portal_oidc_secret_file = %s: others can read it; "
				 "chmod 600", path);
	st = file_text(&s->secret, "portal_oidc_secret_file", path, SECRET_BYTES_MAX, e);
	if (st != ST_OK)
		return st;
	s->secret[strcspn(s->secret, "\r\n")] = '\0';
	return s->secret[0] != '\0' ? ST_OK :
	       error_set(e, ST_INVALID, "portal_oidc_secret_file = %s: is empty", path);
}

static enum status files_read(struct signin *s, const struct config_sign_in *c, struct error *e)
{
	enum status st = secret_read(s, c->secret_file, e);

	return st == ST_OK ? file_text(&s->ca, "portal_oidc_ca", c->ca, FILE_BYTES_MAX, e) : st;
}

static enum status files_check(const struct config_sign_in *c, struct error *e)
{
	struct signin *s = calloc(1, sizeof(*s));
	enum status st = s == NULL ? ST_NOMEM : files_read(s, c, e);

	signin_free(s);
	return st;
}

enum status signin_check(const struct config *c, struct error *e)
{
	const struct config_sign_in *s = &c->portal.sign_in;

	if (s->id_kind[0] == '\0' && person_id_kind(s->fixed_id_kind) == 0)
		return error_set(e, ST_INVALID, "portal_id_kind = %s: none of citizen, "
				 "old_citizen, passport, enterprise, tax, other",
				 s->fixed_id_kind);
	if (s->dev_listen[0] != '\0')
		return dev_check(c, e);
	if (s->issuer[0] == '\0')
		return ST_OK;
	if (!oidc_issuer_fits(s->issuer))
		return error_set(e, ST_INVALID, "portal_oidc_issuer = %s: https://… is needed "
				 "(http only to this machine), without a query", s->issuer);
	if (!cookies_are_safe(&c->portal))
		return error_set(e, ST_INVALID, "portal_oidc_issuer needs portal_url = https://…: "
				 "over http, cookies of who is signed in would be everybody's on "
				 "the way");
	if (s->client[0] == '\0')
		return error_set(e, ST_INVALID, "portal_oidc_issuer without portal_oidc_client");
	if (!has_word(s->scope, "openid"))
		return error_set(e, ST_INVALID, "portal_oidc_scope = %s: openid is missing",
				 s->scope);
	return files_check(s, e);
}

/* "a, b" → its parts, in a copy. */
static enum status list_read(char **kept, const char *of[OIDC_LIST_MAX], uint32_t *n,
			     const char *text, const char *setting, struct error *e)
{
	char *at = strdup(text);

	*kept = at;
	if (at == NULL)
		return error_set(e, ST_NOMEM, "no memory for settings");
	while (*(at += strspn(at, ", ")) != '\0') {
		size_t k = strcspn(at, ", ");
		bool last = at[k] == '\0';

		if (*n == OIDC_LIST_MAX)
			return error_set(e, ST_INVALID, "%s: at most %d", setting, OIDC_LIST_MAX);
		of[(*n)++] = at;
		at[k] = '\0';
		at += k + !last;
	}
	return ST_OK;
}

static enum status fetch_over_net(void *ctx, const struct fetch_request *r, struct fetched *out,
				  struct error *e)
{
	return fetch(ctx, r, out, e);
}

static void settings_fill(struct signin *s, const struct config_sign_in *c)
{
	struct oidc_settings *o = &s->settings;

	o->issuer = s->dev != NULL ? dev_issuer(s->dev) : c->issuer;
	o->client = s->dev != NULL ? DEV_CLIENT : c->client;
	o->secret = s->secret != NULL ? s->secret : "";
	o->redirect = s->redirect;
	o->scope = c->scope;
	o->audience = c->audience;
	o->claims = (struct claim_names){
		.number = c->number, .id_kind = c->id_kind, .country = c->country, .name = c->name,
		.roles = c->roles, .units = c->units, .leader = c->leader,
		.fixed_id_kind = c->fixed_id_kind,
	};
	o->fetch = fetch_over_net;
	o->ctx = s->fetcher;
}

static enum status open_all(struct signin *s, const struct portal *p, struct error *e)
{
	const struct config_sign_in *c = &p->config->portal.sign_in;
	enum status st = ST_OK;

	snprintf(s->redirect, sizeof(s->redirect), "%s" RETURN_PATH, p->url);
	if (c->dev_listen[0] != '\0')
		st = dev_new(&s->dev, c->dev_listen, c->dev_people, DEV_CLIENT, s->redirect, e);
	if (st == ST_OK)
		st = files_read(s, c, e);
	if (st == ST_OK)
		st = list_read(&s->acr, s->settings.acr, &s->settings.acr_n, c->acr,
			       "portal_oidc_acr", e);
	if (st == ST_OK)
		st = list_read(&s->parties, s->settings.parties, &s->settings.parties_n, c->parties,
			       "portal_api_parties", e);
	if (st == ST_OK)
		st = fetcher_new(&s->fetcher, s->ca != NULL ? s->ca : "", e);
	if (st != ST_OK)
		return st;
	settings_fill(s, c);
	return oidc_new(&s->oidc, &s->settings, e);
}

enum status signin_new(struct signin **out, const struct portal *p, struct error *e)
{
	const struct config_sign_in *c = &p->config->portal.sign_in;
	struct signin *s;
	enum status st;

	*out = NULL;
	if (c->issuer[0] == '\0' && c->dev_listen[0] == '\0')
		return ST_OK;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(e, ST_NOMEM, "no memory for sign-in");
	st = open_all(s, p, e);
	if (st != ST_OK) {
		signin_free(s);
		return st;
	}
	*out = s;
	return ST_OK;
}

enum status signin_start(struct signin *s, const struct portal *p, struct error *e)
{
	return s != NULL && s->dev != NULL ? dev_start(s->dev, p->pages, e) : ST_OK;
}

void signin_free(struct signin *s)
{
	if (s == NULL)
		return;
	oidc_free(s->oidc);
	fetcher_free(s->fetcher);
	dev_free(s->dev);
	if (s->secret != NULL)
		explicit_bzero(s->secret, strlen(s->secret));
	free(s->secret);
	free(s->ca);
	free(s->acr);
	free(s->parties);
	free(s);
}

/* ---- pages ---- */

static void cookie_set(struct request *q, const char *name, const char *value, const char *life)
{
	char text[OIDC_COOKIE_BYTES_MAX + 128];
	bool https = q->portal->https;

	snprintf(text, sizeof(text), "%s%s=%s; Path=/; HttpOnly; SameSite=Lax%s%s",
		 https ? "__Host-" : "", name, value, https ? "; Secure" : "", life);
	answer_header(q, "Set-Cookie", text);
}

static bool attempt_cookie(const struct request *q, char out[OIDC_COOKIE_BYTES_MAX])
{
	return request_cookie(q, q->portal->https ? "__Host-" ATTEMPT_COOKIE : ATTEMPT_COOKIE, out,
			      OIDC_COOKIE_BYTES_MAX);
}

static void failed(struct request *q, enum status st, const struct error *e)
{
	switch (st) {
	case ST_PRECONDITION:
		answer_wrong(q, 400, "wrong.sign_in_again");
		return;
	case ST_DENIED:
		answer_wrong(q, 403, "wrong.sign_in_denied");
		return;
	default:
		break;
	}
	log_warn("sign-in", "%s", e->text);
	if (st == ST_NOT_FOUND)
		answer_wrong(q, 403, "wrong.sign_in_nobody");
	else if (status_class(st) == CLASS_RETRY)
		answer_wrong(q, 503, "wrong.sign_in_provider");
	else if (status_class(st) == CLASS_REJECT)
		answer_wrong(q, 403, "wrong.sign_in_token");
	else
		answer_error(q, 500);
}

/* Behind the address of the built-in provider: whom it need not ask for. */
static void hint(struct text *url, const char *person)
{
	url->n--;
	text_str(url, "&login_hint=");
	text_url(url, slice_str(person));
	text_add(url, "", 1);
}

static void sign_in(struct request *q)
{
	const struct signin *s = q->portal->signin;
	const char *back = own_path(form_value(&q->query, "back"));
	const char *as = s != NULL && s->dev != NULL ? form_value(&q->query, "as") : NULL;
	struct text url = text_of(PORTAL_TARGET_BYTES_MAX);
	char cookie[OIDC_COOKIE_BYTES_MAX], life[32];
	struct error e = { 0 };
	enum status st;

	if (s == NULL) {
		answer_wrong(q, 503, "wrong.sign_in_off");
		return;
	}
	if (q->signed_in && as == NULL) {
		answer_redirect(q, back);
		return;
	}
	st = oidc_begin(s->oidc, back, language_code(q->language), q->now_ms, cookie, &url, &e);
	if (st == ST_OK && as != NULL)
		hint(&url, as);
	if (st == ST_OK && url.bad) {
		answer_error(q, 400);
	} else if (st == ST_OK) {
		answer_redirect(q, url.p);
		snprintf(life, sizeof(life), "; Max-Age=%d", SIGN_IN_S_MAX);
		cookie_set(q, ATTEMPT_COOKIE, cookie, life);
	} else {
		failed(q, st, &e);
	}
	text_free(&url);
}

static void sign_in_return(struct request *q)
{
	const struct signin *s = q->portal->signin;
	char attempt[OIDC_COOKIE_BYTES_MAX], cookie[SESSION_COOKIE_BYTES + 1];
	char back[OIDC_BACK_BYTES_MAX + 1];
	struct oidc_return r = {
		.cookie = attempt_cookie(q, attempt) ? attempt : NULL,
		.state = form_value(&q->query, "state"), .code = form_value(&q->query, "code"),
		.error = form_value(&q->query, "error"), .issuer = form_value(&q->query, "iss"),
	};
	struct session who;
	struct error e = { 0 };
	enum status st;

	if (s == NULL) {
		answer_error(q, 404);
		return;
	}
	st = oidc_finish(s->oidc, &r, q->now_ms, &who, back, &e);
	if (st == ST_OK)
		st = session_start(q->portal->sessions, &who, q->now_ms, cookie, &e);
	if (st == ST_OK) {
		if (q->signed_in)
			session_end(q->portal->sessions, q->session.key);
		answer_redirect(q, own_path(back));
		cookie_set(q, SESSION_COOKIE, cookie, "");
	} else {
		failed(q, st, &e);
	}
	explicit_bzero(cookie, sizeof(cookie));
	if (r.cookie != NULL)
		cookie_set(q, ATTEMPT_COOKIE, "", "; Max-Age=0");
}

static void sign_out(struct request *q)
{
	if (q->signed_in)
		session_end(q->portal->sessions, q->session.key);
	answer_redirect(q, "/");
	cookie_set(q, SESSION_COOKIE, "", "; Max-Age=0");
}

const struct route signin_routes[] = {
	{ METHOD_GET, "/sign-in", sign_in, WHO_ANYBODY, LIMIT_SIGN_IN, ROUTE_SLOW },
	{ METHOD_GET, RETURN_PATH, sign_in_return, WHO_ANYBODY, LIMIT_SIGN_IN, ROUTE_SLOW },
	{ METHOD_POST, "/sign-out", sign_out, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ 0 }
};

/* ---- the API ---- */

enum status signin_bearer(const struct request *q, struct session *who)
{
	static const char scheme[] = "Bearer ";
	const char *header = request_header(q, "Authorization");
	const struct signin *s = q->portal->signin;
	struct error e;
	enum status st;

	if (header == NULL)
		return ST_NOT_FOUND;
	if (s == NULL || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
		return ST_UNAUTHENTICATED;
	st = oidc_bearer(s->oidc, slice_str(header + sizeof(scheme) - 1), q->now_ms, who, &e);
	return st == ST_OK || status_class(st) == CLASS_RETRY ? st : ST_UNAUTHENTICATED;
}
