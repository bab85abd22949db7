/*
 * /api/v1/: the models of the pages as JSON, for other portals. Who asks is known by the session's
 * cookie or by a bearer token; what they see is the models' own affair, so it is what the pages
 * show. openapi.json says all of it, and a test holds every answer against it.
 *
 * What a POST says is JSON, or the file itself: a page of others can make a browser send a form
 * with our cookie, but not that (Fetch, "CORS-safelisted request-header").
 */
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "portal/embedded.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/reading.h"
#include "portal/route.h"
#include "portal/signin.h"

static void unauthenticated(struct request *q, const char *challenge)
{
	answer_error(q, 401);
	answer_header(q, "WWW-Authenticate", challenge);
}

static bool asker_may(struct request *q, enum limit_class of, struct slice asker)
{
	uint32_t retry_ms;

	if (limit_take(q->portal->limits, of, asker, limit_clock_ms(), &retry_ms))
		return true;
	answer_later(q, retry_ms, NULL);
	return false;
}

/* A portal of others asks for many people from one address: each token has its own measure too. */
static bool token_may(struct request *q)
{
	const char *token = request_header(q, "Authorization");
	uint8_t name[SHA256_BYTES];

	sha256_once(token, strlen(token), name);
	return asker_may(q, LIMIT_API, slice_of(name, sizeof(name)));
}

/* As the page measures it: a person is the same one by the next token, and by the page. */
static bool page_may(struct request *q, enum limit_class of)
{
	uint8_t person[16];

	return asker_may(q, of, request_asker(q, person));
}

/* Whom q->session names from here on, where there is a token or a cookie. False: answered. */
static bool anybody(struct request *q)
{
	struct session who;

	switch (signin_bearer(q, &who)) {
	case ST_OK:
		q->session = who;
		q->signed_in = true;
		return token_may(q);
	case ST_NOT_FOUND:
		return true;
	case ST_UNAUTHENTICATED:
		unauthenticated(q, "Bearer error=\"invalid_token\"");
		return false;
	default:
		answer_error(q, 503);
		return false;
	}
}

/* False: answered. */
static bool known(struct request *q)
{
	if (!anybody(q))
		return false;
	if (!q->signed_in)
		unauthenticated(q, "Bearer");
	return q->signed_in;
}

static bool citizen(struct request *q)
{
	if (!known(q))
		return false;
	if (q->session.holder.number[0] != '\0')
		return true;
	answer_wrong(q, 403, "wrong.who");
	return false;
}

/* False: answered. */
static bool good(struct request *q, enum status st)
{
	if (st != ST_OK)
		reading_refuse(q, st);
	return st == ST_OK;
}

static bool type_is(const struct request *q, const char *type)
{
	const char *is = request_header(q, "Content-Type");
	size_t n = strlen(type);

	return is != NULL && strncasecmp(is, type, n) == 0 &&
	       (is[n] == '\0' || is[n] == ';' || is[n] == ' ');
}

/* The body, as q->form. False: answered. */
static bool said(struct request *q)
{
	form_free(&q->form);
	if (type_is(q, "application/json") && form_read_json(&q->form, q->body) == ST_OK)
		return true;
	answer_wrong(q, 400, "wrong.json");
	return false;
}

static void describe(struct request *q)
{
	const struct embedded *f = embedded_find("openapi.json");

	if (f != NULL)
		answer_asset(q, "application/json", embedded_bytes(f));
}

static json_t *units_json(const char *list)
{
	json_t *units = json_array();

	for (size_t n; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		json_array_append_new(units, json_stringn(list, n));
	}
	return units;
}

static void me(struct request *q)
{
	const struct session *s = &q->session;

	if (known(q))
		answer_json(q, 200, json_pack("{s:s, s:b, s:b, s:o}", "name", s->name, "citizen",
					      s->holder.number[0] != '\0', "leader",
					      (s->roles & ROLE_LEADER) != 0, "units",
					      units_json(s->units)));
}

static void results(struct request *q)
{
	json_t *model = NULL;

	if (citizen(q) && good(q, mine_model(q, &model)))
		answer_json(q, 200, model);
}

static void result(struct request *q)
{
	json_t *model = NULL;

	if (citizen(q) && good(q, result_model(q, q->args[0], &model)))
		answer_json(q, 200, model);
}

static void report(struct request *q)
{
	json_t *model = NULL;

	if (citizen(q) && page_may(q, LIMIT_FILE) && good(q, report_model(q, q->args[0], &model)))
		answer_json(q, 200, model);
}

static void file(struct request *q)
{
	if (citizen(q))
		result_file(q);
}

static void evidence(struct request *q)
{
	if (citizen(q))
		result_evidence(q);
}

static void reads(struct request *q)
{
	json_t *model = NULL;

	if (citizen(q) && good(q, reads_model(q, &model)))
		answer_json(q, 200, model);
}

static void lead(struct request *q)
{
	json_t *model = NULL;

	if (!known(q))
		return;
	if ((q->session.roles & ROLE_LEADER) == 0)
		answer_wrong(q, 403, "wrong.who");
	else if (good(q, lead_model(q, &model)))
		answer_json(q, 200, model);
}

/* ---- shares ---- */

static void shares(struct request *q)
{
	json_t *model;

	if (citizen(q) && shares_model(q, &model))
		answer_json(q, 200, model);
}

static void share_new(struct request *q)
{
	json_t *model;

	if (citizen(q) && said(q) && share_make_model(q, q->args[0], &model))
		answer_json(q, 201, model);
}

static void share_revoke(struct request *q)
{
	json_t *model;

	if (citizen(q) && said(q) && share_end_model(q, q->args[0], &model))
		answer_json(q, 200, model);
}

static void share_use(struct request *q)
{
	json_t *model;

	/* A code is short, a token is not. */
	if (anybody(q) && said(q) &&
	    page_may(q, form_value(&q->form, "code") != NULL ? LIMIT_LOOKUP : LIMIT_SCAN) &&
	    share_use_model(q, &model))
		answer_json(q, 200, model);
}

static void shared_file(struct request *q)
{
	if (anybody(q) && said(q))
		share_file(q);
}

/* ---- what anybody may know ---- */

static void lookup(struct request *q)
{
	json_t *model = NULL;

	if (anybody(q) && page_may(q, LIMIT_SCAN) &&
	    good(q, seen_model(q, q->args[0], &model)))
		answer_json(q, 200, model);
}

static void lookup_number(struct request *q)
{
	json_t *model = NULL;
	enum status st;

	if (!anybody(q) || !page_may(q, LIMIT_LOOKUP))
		return;
	st = numbers_model(q, &model);
	if (st == ST_INVALID)
		answer_wrong(q, 400, "incomplete");
	else if (good(q, st))
		answer_json(q, 200, model);
}

static void lookup_file(struct request *q)
{
	if (anybody(q) && page_may(q, LIMIT_SCAN))
		seen_file(q);
}

static void verify(struct request *q)
{
	json_t *model = NULL;

	if (!anybody(q))
		return;
	if (q->body.n == 0 || (!type_is(q, "application/pdf") &&
			       !type_is(q, "application/octet-stream")))
		answer_wrong(q, 400, "wrong.file");
	else if (good(q, verify_model(q, q->body, &model)))
		answer_json(q, 200, model);
}

static void track(struct request *q)
{
	json_t *model;

	if (anybody(q) && page_may(q, LIMIT_LOOKUP) && said(q) && track_model(q, &model))
		answer_json(q, 200, model);
}

#define V1 "/api/v1"

const struct route api_routes[] = {
	{ METHOD_GET, V1 "/openapi.json", describe, WHO_ANYBODY, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/me", me, WHO_ANYBODY, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results", results, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id", result, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id/file", file, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id/report", report, WHO_CITIZEN, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_GET, V1 "/results/:id/evidence/:sha256", evidence, WHO_CITIZEN, LIMIT_API,
	  ROUTE_JSON },
	{ METHOD_GET, V1 "/reads", reads, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/lead", lead, WHO_LEADER, LIMIT_API, ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_GET, V1 "/shares", shares, WHO_CITIZEN, LIMIT_API, ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_POST, V1 "/results/:id/shares", share_new, WHO_CITIZEN, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_POST, V1 "/shares/:share/revoke", share_revoke, WHO_CITIZEN, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_POST, V1 "/shares/use", share_use, WHO_ANYBODY, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_POST, V1 "/shares/file", shared_file, WHO_ANYBODY, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_GET, V1 "/lookup", lookup_number, WHO_ANYBODY, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_GET, V1 "/lookup/:id", lookup, WHO_ANYBODY, LIMIT_API, ROUTE_JSON | ROUTE_SLOW },
	{ METHOD_GET, V1 "/verify/lookup", lookup_file, WHO_ANYBODY, LIMIT_API,
	  ROUTE_JSON | ROUTE_SLOW },
	/* Before its body is taken. */
	{ METHOD_POST, V1 "/verify", verify, WHO_ANYBODY, LIMIT_FILE,
	  ROUTE_JSON | ROUTE_SLOW | ROUTE_FILE },
	{ METHOD_POST, V1 "/track", track, WHO_ANYBODY, LIMIT_API, ROUTE_JSON | ROUTE_SLOW },
	{ 0 }
};
