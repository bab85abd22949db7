/*
 * /api/v1/: the models of the pages as JSON, for other portals. Who asks is known by the session's
 * cookie or by a bearer token; what they see is the models' own affair, so it is what the pages
 * show. openapi.json says all of it, and a test holds every answer against it.
 */
#include <string.h>
#include <time.h>

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

static int64_t steady_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A portal of others asks for many people from one address: each token has its own measure too. */
static bool token_may(struct request *q)
{
	const char *token = request_header(q, "Authorization");
	uint8_t name[SHA256_BYTES];
	uint32_t retry_ms;

	sha256_once(token, strlen(token), name);
	if (limit_take(q->portal->limits, LIMIT_API, slice_of(name, sizeof(name)), steady_ms(),
		       &retry_ms))
		return true;
	answer_error(q, 429);
	answer_header(q, "Retry-After", "60");
	return false;
}

/* Whom q->session names from here on. False: answered. */
static bool known(struct request *q)
{
	struct session who;

	switch (signin_bearer(q, &who)) {
	case ST_OK:
		q->session = who;
		q->signed_in = true;
		return token_may(q);
	case ST_NOT_FOUND:
		if (!q->signed_in)
			unauthenticated(q, "Bearer");
		return q->signed_in;
	case ST_UNAUTHENTICATED:
		unauthenticated(q, "Bearer error=\"invalid_token\"");
		return false;
	default:
		answer_error(q, 503);
		return false;
	}
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

	if (citizen(q) && good(q, report_model(q, q->args[0], &model)))
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

#define V1 "/api/v1"

const struct route api_routes[] = {
	{ METHOD_GET, V1 "/openapi.json", describe, WHO_ANYBODY, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/me", me, WHO_ANYBODY, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results", results, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id", result, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id/file", file, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id/report", report, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/results/:id/evidence/:sha256", evidence, WHO_CITIZEN, LIMIT_API,
	  ROUTE_JSON },
	{ METHOD_GET, V1 "/reads", reads, WHO_CITIZEN, LIMIT_API, ROUTE_JSON },
	{ METHOD_GET, V1 "/lead", lead, WHO_LEADER, LIMIT_API, ROUTE_JSON | ROUTE_SLOW },
	{ 0 }
};
