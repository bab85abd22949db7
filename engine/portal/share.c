/*
 * What a holder lets others see: made on the page of a result, listed, ended. The engine makes and
 * keeps a share; its secret is shown once, on the page that answers, and stands nowhere else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/drawn.h"
#include "portal/engineside.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/seen.h"
#include "portal/told.h"

#define SHARES_PAGE 50

struct choice { const char *name; int value; };

static const struct choice kinds[] = {
	{ "link", TRIEN__V1__SHARE__KIND__LINK }, { "code", TRIEN__V1__SHARE__KIND__CODE },
};
static const struct choice scopes[] = {
	{ "state", TRIEN__V1__SHARE__SCOPE__STATE }, { "data", TRIEN__V1__SHARE__SCOPE__DATA },
	{ "file", TRIEN__V1__SHARE__SCOPE__FILE },
};
static const struct choice states[] = {
	{ "open", TRIEN__V1__SHARE__STATE__OPEN }, { "expired", TRIEN__V1__SHARE__STATE__EXPIRED },
	{ "used_up", TRIEN__V1__SHARE__STATE__USED_UP },
	{ "revoked", TRIEN__V1__SHARE__STATE__REVOKED },
	{ "tried_out", TRIEN__V1__SHARE__STATE__TRIED_OUT },
};

static bool chosen(const struct choice *of, size_t n, const char *name, int *out)
{
	for (size_t i = 0; name != NULL && i < n; i++)
		if (strcmp(of[i].name, name) == 0) {
			*out = of[i].value;
			return true;
		}
	return false;
}

static const char *name_of(const struct choice *of, size_t n, int value)
{
	for (size_t i = 0; i < n; i++)
		if (of[i].value == value)
			return of[i].name;
	return "other";
}

json_t *share_told(const Trien__V1__Share *s)
{
	json_t *m = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "id", s->share_id, "result_id", s->result_id,
		"kind", name_of(kinds, ARRAY_LEN(kinds), s->kind),
		"scope", name_of(scopes, ARRAY_LEN(scopes), s->scope),
		"state", name_of(states, ARRAY_LEN(states), s->state),
		"views", (json_int_t)s->views, "views_max", (json_int_t)s->views_max);

	told_time(m, "made", s->create_time);
	told_time(m, "until", s->expire_time);
	told_time(m, "last_view", s->last_view_time);
	json_object_set_new(m, "open",
			    json_boolean(s->state == TRIEN__V1__SHARE__STATE__OPEN));
	return m;
}

/* ---- making one ---- */

static bool number_in(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long v;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	v = strtoul(text, &end, 10);
	*out = (uint32_t)v;
	return *end == '\0' && v >= min && v <= max;
}

static bool share_wanted(const struct form *f, Trien__V1__CreateShareRequest *out)
{
	int kind, scope;

	if (!chosen(kinds, ARRAY_LEN(kinds), form_value(f, "kind"), &kind) ||
	    !chosen(scopes, ARRAY_LEN(scopes), form_value(f, "scope"), &scope) ||
	    !number_in(form_value(f, "seconds"), 1, SHARE_SECONDS_MAX, &out->ttl_seconds) ||
	    !number_in(form_value(f, "views"), 1, SHARE_VIEWS_MAX, &out->views_max))
		return false;
	out->kind = (Trien__V1__Share__Kind)kind;
	out->scope = (Trien__V1__Share__Scope)scope;
	return true;
}

/* What the holder gives away: the link, or the code and where to type it. */
static void secret_told(struct request *q, const Trien__V1__CreateShareResponse *a, json_t *m)
{
	char link[PORTAL_URL_BYTES + 64];

	if (a->share->kind == TRIEN__V1__SHARE__KIND__CODE) {
		json_object_set_new(m, "code", json_sprintf("%.4s-%s", a->code, a->code + 4));
		snprintf(link, sizeof(link), "%s/V/%s", q->portal->url, a->share->result_id);
	} else {
		json_object_set_new(m, "token", json_string(a->token));
		snprintf(link, sizeof(link), "%s/s/%s", q->portal->url, a->token);
	}
	json_object_set_new(m, "link", json_string(link));
}

static void picture_told(const struct request *q, json_t *m)
{
	const char *link = json_string_value(json_object_get(m, "link"));
	char capitals[PORTAL_URL_BYTES + 64];

	/* In capitals the picture is smaller (ISO/IEC 18004 7.4.4), and /S/ leads there, too. */
	for (size_t i = 0; i <= strlen(link); i++)
		capitals[i] = (char)(link[i] >= 'a' && link[i] <= 'z' ? link[i] - 32 : link[i]);
	drawn_qr(q->portal->qr, capitals, m, "qr");
}

bool share_make_model(struct request *q, const char *id, json_t **model)
{
	Trien__V1__CreateShareRequest r = TRIEN__V1__CREATE_SHARE_REQUEST__INIT;
	Trien__V1__Person person = engine_person(&q->session);
	Trien__V1__CreateShareResponse *a;
	struct failure f = { 0 };

	*model = NULL;
	r.result_id = (char *)id;
	r.as_holder = &person;
	if (!share_wanted(&q->form, &r)) {
		answer_wrong(q, 400, "wrong.share");
		return false;
	}
	a = (void *)engine_ask(q->worker, engine_of_result(q, id), REPOSITORY "CreateShare",
			       &r.base, &trien__v1__create_share_response__descriptor, &f);
	if (a == NULL) {
		/* Of an id that is none: the same as of one that is not there. */
		if (f.code == GRPC_STATUS_INVALID_ARGUMENT)
			answer_error(q, 404);
		else
			engine_failed(q, &f);
		return false;
	}
	*model = json_pack("{s:o, s:b}", "share", share_told(a->share), "pending", a->pending);
	secret_told(q, a, *model);
	trien__v1__create_share_response__free_unpacked(a, NULL);
	return true;
}

static void share_make(struct request *q)
{
	json_t *m;

	if (!share_make_model(q, q->args[0], &m))
		return;
	picture_told(q, m);
	answer_page(q, 201, "shared", m);
}

/* ---- the list, and the end ---- */

/* Of what it is; where the store cannot be read now, its id says it. */
static json_t *row_told(struct request *q, const Trien__V1__Share *s)
{
	json_t *m = share_told(s), *seen;
	struct result_view v;
	struct reading *r;

	if (reading_of(q, &r) == ST_OK && seen_find(r, s->result_id, &v) == ST_OK) {
		seen = seen_told(r, &v, q->language);
		json_object_set(m, "kind_name", json_object_get(seen, "kind"));
		json_object_set(m, "number_text", json_object_get(seen, "number"));
		json_decref(seen);
	}
	return m;
}

bool shares_model(struct request *q, json_t **model)
{
	const char *token = form_value(&q->query, "page");
	Trien__V1__ListSharesRequest r = TRIEN__V1__LIST_SHARES_REQUEST__INIT;
	Trien__V1__Person person = engine_person(&q->session);
	Trien__V1__ListSharesResponse *a;
	struct failure f = { 0 };
	json_t *list = json_array();

	*model = NULL;
	r.as_holder = &person;
	r.page_size = SHARES_PAGE;
	if (token != NULL)
		r.page_token = (char *)token;
	a = (void *)engine_ask(q->worker, ENGINE_ANY, REPOSITORY "ListShares", &r.base,
			       &trien__v1__list_shares_response__descriptor, &f);
	if (a == NULL) {
		json_decref(list);
		engine_failed(q, &f);
		return false;
	}
	for (size_t i = 0; i < a->n_shares; i++)
		json_array_append_new(list, row_told(q, a->shares[i]));
	*model = json_pack("{s:b, s:o, s:s}", "any", json_array_size(list) > 0, "shares", list,
			   "next", a->next_page_token);
	trien__v1__list_shares_response__free_unpacked(a, NULL);
	return true;
}

static void shares_show(struct request *q)
{
	json_t *m;

	if (shares_model(q, &m))
		answer_page(q, 200, "shares", m);
}

bool share_end_model(struct request *q, const char *share, json_t **model)
{
	Trien__V1__RevokeShareRequest r = TRIEN__V1__REVOKE_SHARE_REQUEST__INIT;
	Trien__V1__Person person = engine_person(&q->session);
	Trien__V1__RevokeShareResponse *a;
	struct failure f = { 0 };

	*model = NULL;
	r.share_id = (char *)share;
	r.as_holder = &person;
	a = (void *)engine_ask(q->worker, engine_of_result(q, share), REPOSITORY "RevokeShare",
			       &r.base, &trien__v1__revoke_share_response__descriptor, &f);
	if (a == NULL) {
		engine_failed(q, &f);
		return false;
	}
	*model = json_pack("{s:s, s:b}", "id", a->share_id, "pending", a->pending);
	trien__v1__revoke_share_response__free_unpacked(a, NULL);
	return true;
}

static void share_end(struct request *q)
{
	json_t *m;

	if (!share_end_model(q, q->args[0], &m))
		return;
	json_decref(m);
	answer_redirect(q, "/shares");
}

const struct route share_routes[] = {
	{ METHOD_POST, "/results/:id/shares", share_make, WHO_CITIZEN, LIMIT_PAGE, ROUTE_SLOW },
	{ METHOD_GET, "/shares", shares_show, WHO_CITIZEN, LIMIT_PAGE, ROUTE_SLOW },
	{ METHOD_POST, "/shares/:id/revoke", share_end, WHO_CITIZEN, LIMIT_PAGE, ROUTE_SLOW },
	{ 0 }
};
