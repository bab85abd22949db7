/*
 * What a share shows, to whoever has its link, or the print and its code. The link alone says what
 * it is and asks: programs that look at links ahead of people use nothing up. A view is counted and
 * noted by the engine before anything is shown; with it goes a ticket for the file, where the share
 * gives that.
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

#define TICKET_MS (10 * 60 * 1000)	/* to fetch the file that a view gave */
#define TICKET_BYTES (2 * SHA256_BYTES)

/* ---- the ticket: result and time, under a secret of this process ---- */

static bool ticket_make(const struct portal *p, const char *id, int64_t until_ms,
			char out[TICKET_BYTES + 1])
{
	uint8_t mac[SHA256_BYTES];
	char text[64];
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

static void scope_told(struct request *q, const Trien__V1__UseShareResponse *a)
{
	struct result_view v;
	struct reading *r;
	json_t *m;
	enum status st = reading_of(q, &r);

	if (st == ST_OK)
		st = seen_find(r, a->result->result_id, &v);
	if (st != ST_OK) {
		reading_refuse(q, st);
		return;
	}
	m = json_pack("{s:o, s:o, s:I}", "seen", seen_told(r, &v, q->language), "share",
		      share_told(a->share), "left",
		      (json_int_t)a->share->views_max - a->share->views);
	if (a->share->scope >= TRIEN__V1__SHARE__SCOPE__DATA)
		json_object_set_new(m, "content", json_pack("{s:o}", "fields",
							    show_fields(r, &v, q->language)));
	if (a->share->scope >= TRIEN__V1__SHARE__SCOPE__FILE)
		ticket_told(q, a->result->result_id, m);
	answer_page(q, 200, "shown", m);
}

/* Why it shows nothing, to who has the right token; else it does not exist. */
static void refused(struct request *q, const struct failure *f)
{
	static const char *const known[] = { "SHARE_EXPIRED", "SHARE_USED_UP", "SHARE_REVOKED",
					     "SHARE_RESTS" };

	if (f->code == GRPC_STATUS_FAILED_PRECONDITION)
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			if (strcmp(f->reason, known[i]) == 0) {
				answer_page(q, 409, "share", json_pack("{s:s}", "ended", known[i]));
				return;
			}
	if (f->code == GRPC_STATUS_NOT_FOUND || f->code == GRPC_STATUS_INVALID_ARGUMENT)
		answer_page(q, 404, "share", json_pack("{s:b}", "missing", 1));
	else
		engine_failed(q, f);
}

static Trien__V1__UseShareResponse *use(struct request *q, Trien__V1__UseShareRequest *r,
					struct failure *f)
{
	return (void *)engine_ask(q->worker, REPOSITORY "UseShare", &r->base,
				  &trien__v1__use_share_response__descriptor, f);
}

/* The link: what it is. */
static void link_show(struct request *q)
{
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;
	Trien__V1__UseShareResponse *a;
	struct failure f = { 0 };

	r.token = (char *)q->args[0];
	r.validate_only = true;
	a = use(q, &r, &f);
	if (a == NULL) {
		refused(q, &f);
		return;
	}
	answer_page(q, 200, "share",
		    json_pack("{s:o, s:s, s:I}", "share", share_told(a->share), "token",
			      q->args[0], "left",
			      (json_int_t)a->share->views_max - a->share->views));
	trien__v1__use_share_response__free_unpacked(a, NULL);
}

static void link_use(struct request *q)
{
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;
	Trien__V1__UseShareResponse *a;
	struct failure f = { 0 };

	r.token = (char *)q->args[0];
	a = use(q, &r, &f);
	if (a == NULL) {
		refused(q, &f);
		return;
	}
	scope_told(q, a);
	trien__v1__use_share_response__free_unpacked(a, NULL);
}

/* A print and its code. A wrong one leads back to what the print's QR code shows. */
static void code_use(struct request *q)
{
	Trien__V1__UseShareRequest r = TRIEN__V1__USE_SHARE_REQUEST__INIT;
	const char *code = form_value(&q->form, "code");
	Trien__V1__UseShareResponse *a;
	struct failure f = { 0 };
	char back[80];

	r.result_id = (char *)q->args[0];
	r.code = (char *)(code != NULL ? code : "");
	a = use(q, &r, &f);
	if (a != NULL) {
		scope_told(q, a);
		trien__v1__use_share_response__free_unpacked(a, NULL);
	} else if ((f.code == GRPC_STATUS_NOT_FOUND || f.code == GRPC_STATUS_INVALID_ARGUMENT) &&
		   strlen(q->args[0]) == ID_TEXT_BYTES &&
		   strspn(q->args[0], "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ID_TEXT_BYTES) {
		snprintf(back, sizeof(back), "/V/%s?wrong=code", q->args[0]);
		answer_redirect(q, back);
	} else {
		refused(q, &f);
	}
}

static void file_send(struct request *q)
{
	const char *id = form_value(&q->form, "id");
	struct result_view v;
	struct reading *r;
	enum status st;

	if (id == NULL || !ticket_good(q, id)) {
		answer_page(q, 409, "share", json_pack("{s:s}", "ended", "SHARE_EXPIRED"));
		return;
	}
	st = reading_of(q, &r);
	if (st == ST_OK)
		st = seen_find(r, id, &v);
	if (st == ST_OK)
		st = result_file_send(q, &v, id);
	if (st != ST_OK)
		reading_refuse(q, st);
}

const struct route shown_routes[] = {
	{ METHOD_GET, "/s/:token", link_show, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ METHOD_GET, "/S/:token", link_show, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ METHOD_POST, "/s/:token", link_use, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ METHOD_POST, "/V/:id/code", code_use, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ METHOD_POST, "/shared/file", file_send, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ 0 }
};
