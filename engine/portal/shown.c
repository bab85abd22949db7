/*
 * What a share shows, to whoever has its link, or the print and its code. The link alone says what
 * it is and asks: programs that look at links ahead of people use nothing up. A view is counted and
 * noted by the engine before anything is shown, once it is known that it can be; with it goes a
 * ticket for the file, where the share gives that.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/engineside.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/seen.h"
#include "portal/show.h"
#include "portal/told.h"
#include "share.h"

#define TICKET_MS (10 * 60 * 1000)	/* to fetch the file that a view gave */
#define TICKET_BYTES (2 * SHA256_BYTES)

/* ---- the ticket: share and time, under a secret of this process ---- */

static bool ticket_make(const struct portal *p, const char *id, int64_t until_ms,
			char out[TICKET_BYTES + 1])
{
	uint8_t mac[SHA256_BYTES];
	char text[96];
	unsigned int mac_n = 0;
	int n = snprintf(text, sizeof(text), "%s %lld", id, (long long)until_ms);

	if (n < 0 || (size_t)n >= sizeof(text) ||
	    HMAC(EVP_sha256(), p->secret, sizeof(p->secret), (const uint8_t *)text, (size_t)n, mac,
		 &mac_n) == NULL)
		return false;
	hex_lower(out, mac, sizeof(mac));
	out[TICKET_BYTES] = '\0';
	return true;
}

static bool ticket_good(const struct request *q, const char *id)
{
	const char *until = form_value(&q->form, "until"), *ticket = form_value(&q->form, "ticket");
	char expected[TICKET_BYTES + 1];
	int64_t until_ms = until != NULL ? strtoll(until, NULL, 10) : 0;

	return ticket != NULL && strlen(ticket) == TICKET_BYTES && until_ms > q->now_ms &&
	       ticket_make(q->portal, id, until_ms, expected) &&
	       CRYPTO_memcmp(ticket, expected, TICKET_BYTES) == 0;
}

static void ticket_told(const struct request *q, const char *id, json_t *m)
{
	char ticket[TICKET_BYTES + 1];
	int64_t until_ms = q->now_ms + TICKET_MS;

	if (ticket_make(q->portal, id, until_ms, ticket))
		json_object_set_new(m, "file", json_pack("{s:s, s:o, s:s}", "id", id, "until",
							 json_sprintf("%lld", (long long)until_ms),
							 "ticket", ticket));
}

/* ---- what it shows ---- */

static json_t *share_left(const Trien__V1__Share *s)
{
	return json_pack("{s:o, s:I}", "share", share_told(s), "left",
			 (json_int_t)s->views_max - s->views);
}

static json_t *scope_told(struct request *q, const Trien__V1__UseShareResponse *a)
{
	struct result_view v;
	struct reading *r;
	json_t *m;
	enum status st = reading_of(q, &r);

	if (st == ST_OK)
		st = seen_find(r, a->result->result_id, &v);
	if (st != ST_OK) {
		reading_refuse(q, st);
		return NULL;
	}
	m = share_left(a->share);
	json_object_set_new(m, "seen", seen_told(r, &v, q->language));
	if (a->share->scope >= TRIEN__V1__SHARE__SCOPE__DATA)
		json_object_set_new(m, "content", json_pack("{s:o}", "fields",
							    show_fields(r, &v, q->language)));
	if (a->share->scope >= TRIEN__V1__SHARE__SCOPE__FILE)
		ticket_told(q, a->share->share_id, m);
	return m;
}

static void ended(struct request *q, const char *why)
{
	if (request_json(q))
		answer_wrong(q, 409, why);
	else
		answer_page(q, 409, "share", json_pack("{s:s}", "ended", why));
}

static bool not_there(const struct failure *f)
{
	return f->code == GRPC_STATUS_NOT_FOUND || f->code == GRPC_STATUS_INVALID_ARGUMENT;
}

/* Why it shows nothing, to who has the right token; else it does not exist. */
static void refused(struct request *q, const struct failure *f)
{
	static const char *const known[] = { "SHARE_EXPIRED", "SHARE_USED_UP", "SHARE_REVOKED",
					     "SHARE_TRIED_OUT", "SHARE_RESTS" };

	if (f->code == GRPC_STATUS_FAILED_PRECONDITION)
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			if (strcmp(f->reason, known[i]) == 0) {
				ended(q, known[i]);
				return;
			}
	if (!not_there(f))
		engine_failed(q, f);
	else if (request_json(q))
		answer_error(q, 404);
	else
		answer_page(q, 404, "share", json_pack("{s:b}", "missing", 1));
}

/* NULL: answered, but where `missing` is given and it is not there. */
static Trien__V1__UseShareResponse *ask(struct request *q, Trien__V1__UseShareRequest *r,
					bool *missing)
{
	const char *id = r->token[0] != '\0' ? r->token :
			 r->share_id[0] != '\0' ? r->share_id : r->result_id;
	struct failure f = { 0 };
	Trien__V1__UseShareResponse *a =
		(void *)engine_ask(q->worker, engine_of_result(q, id), REPOSITORY "UseShare",
				   &r->base, &trien__v1__use_share_response__descriptor, &f);

	if (a == NULL && missing != NULL && not_there(&f))
		*missing = true;
	else if (a == NULL)
		refused(q, &f);
	return a;
}

/* What is counted cannot be given back: is what it shows there to be shown? False: answered. */
static bool can_show(struct request *q, const Trien__V1__Share *s)
{
	char id[ID_TEXT_BYTES + 1];
	struct result_view v;
	struct reading *r;
	enum status st = reading_of(q, &r);

	/* A share's id begins with its result's. */
	snprintf(id, sizeof(id), "%.*s", ID_TEXT_BYTES, s->share_id);
	if (st == ST_OK)
		st = seen_find(r, id, &v);
	if (st != ST_OK)
		reading_refuse(q, st);
	return st == ST_OK;
}

/* What it is or shows; NULL: as ask(). */
static json_t *use(struct request *q, Trien__V1__UseShareRequest *r, bool *missing)
{
	bool look = r->validate_only, can = true;
	Trien__V1__UseShareResponse *a;
	json_t *m = NULL;

	r->validate_only = true;
	a = ask(q, r, missing);
	if (a != NULL && !look) {
		can = can_show(q, a->share);
		trien__v1__use_share_response__free_unpacked(a, NULL);
		r->validate_only = false;
		a = can ? ask(q, r, missing) : NULL;
	}
	if (a == NULL)
		return NULL;
	m = look ? share_left(a->share) : scope_told(q, a);
	trien__v1__use_share_response__free_unpacked(a, NULL);
	return m;
}

bool share_use_model(struct request *q, json_t **model)
{
	const char *token = form_value(&q->form, "token"), *code = form_value(&q->form, "code");
	const char *id = form_value(&q->form, "result_id"), *look = form_value(&q->form, "look");
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;

	*model = NULL;
	if ((token != NULL) == (code != NULL) || (code != NULL) != (id != NULL)) {
		answer_wrong(q, 400, "wrong.share_key");
		return false;
	}
	if (token != NULL)
		r.token = (char *)token;
	if (code != NULL)
		r.code = (char *)code;
	if (id != NULL)
		r.result_id = (char *)id;
	r.validate_only = look != NULL && strcmp(look, "1") == 0;
	*model = use(q, &r, NULL);
	return *model != NULL;
}

static json_t *link_model(struct request *q, bool look)
{
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;

	r.token = (char *)q->args[0];
	r.validate_only = look;
	return use(q, &r, NULL);
}

/* The link: what it is. */
static void link_show(struct request *q)
{
	json_t *m = link_model(q, true);

	if (m == NULL)
		return;
	json_object_set_new(m, "token", json_string(q->args[0]));
	answer_page(q, 200, "share", m);
}

static void link_use(struct request *q)
{
	json_t *m = link_model(q, false);

	if (m != NULL)
		answer_page(q, 200, "shown", m);
}

/* A print and its code. A wrong one leads back to what the print's QR code shows. */
static void code_use(struct request *q)
{
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;
	const char *code = form_value(&q->form, "code");
	bool missing = false;
	char back[80];
	json_t *m;

	r.result_id = (char *)q->args[0];
	r.code = (char *)(code != NULL ? code : "");
	m = use(q, &r, &missing);
	if (m != NULL) {
		answer_page(q, 200, "shown", m);
	} else if (missing && strlen(q->args[0]) == ID_TEXT_BYTES &&
		   strspn(q->args[0], "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ID_TEXT_BYTES) {
		snprintf(back, sizeof(back), "/V/%s?wrong=code", q->args[0]);
		answer_redirect(q, back);
	} else if (missing) {
		answer_page(q, 404, "share", json_pack("{s:b}", "missing", 1));
	}
}

/*
 * Has its holder ended it since it was viewed, is the paper still theirs? The engine knows before
 * the store does. That it is over or used up by now does not matter. False: answered.
 */
static bool still_given(struct request *q, const char *id)
{
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;
	json_t *m;

	r.share_id = (char *)id;
	r.validate_only = true;
	m = use(q, &r, NULL);
	json_decref(m);
	return m != NULL;
}

void share_file(struct request *q)
{
	const char *share = form_value(&q->form, "id");
	char id[ID_TEXT_BYTES + 1] = "";
	struct result_view v;
	struct reading *r;
	enum status st;

	/* A share's id begins with its result's. */
	if (share == NULL || strlen(share) != SHARE_ID_BYTES || !ticket_good(q, share)) {
		ended(q, "SHARE_EXPIRED");
		return;
	}
	if (!still_given(q, share))
		return;
	memcpy(id, share, ID_TEXT_BYTES);
	st = reading_of(q, &r);
	if (st == ST_OK)
		st = seen_find(r, id, &v);
	if (st == ST_OK)
		st = result_file_send(q, &v, id);
	if (st != ST_OK)
		reading_refuse(q, st);
}

const struct route shown_routes[] = {
	{ METHOD_GET, "/s/:token", link_show, WHO_ANYBODY, LIMIT_SCAN, ROUTE_SLOW },
	{ METHOD_GET, "/S/:token", link_show, WHO_ANYBODY, LIMIT_SCAN, ROUTE_SLOW },
	{ METHOD_POST, "/s/:token", link_use, WHO_ANYBODY, LIMIT_SCAN, ROUTE_SLOW },
	{ METHOD_POST, "/V/:id/code", code_use, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ METHOD_POST, "/shared/file", share_file, WHO_ANYBODY, LIMIT_PAGE, ROUTE_SLOW },
	{ 0 }
};
