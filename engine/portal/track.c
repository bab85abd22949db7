/*
 * How far a case is, for whoever knows its code and the last four digits of a holder's number
 * (Decree 61/2018: whoever filed a case may follow it). Case codes are serial, so a wrong code and
 * wrong digits are one answer, and look-ups are few: of an address (LIMIT_LOOKUP), and, as there
 * are only ten thousand digits, wrong ones for one code: of an address (LIMIT_CASE_ASKER), and, as
 * there are many addresses, of all (LIMIT_CASE). Whoever is signed in and types the own number's
 * end tries nothing out: whatever others typed, a holder gets in.
 */
#include <string.h>

#include "base/calendar.h"
#include "base/hash.h"
#include "case.h"
#include "portal/agencies.h"
#include "portal/engineside.h"
#include "portal/inside.h"
#include "portal/library.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/show.h"
#include "portal/told.h"

#define DIGITS 4

static const char *state_name(Trien__V1__State s)
{
	switch (s) {
	case TRIEN__V1__STATE__STORED:
		return "stored";
	case TRIEN__V1__STATE__AWAITING_APPROVAL:
		return "approval";
	case TRIEN__V1__STATE__AWAITING_SIGNATURE:
		return "signature";
	case TRIEN__V1__STATE__HELD:
		return "held";
	case TRIEN__V1__STATE__REFUSED:
		return "refused";
	case TRIEN__V1__STATE__WITHDRAWN:
		return "withdrawn";
	case TRIEN__V1__STATE__TIMED_OUT:
		return "timed_out";
	case TRIEN__V1__STATE__VOID:
		return "void";
	default:
		return "under_way";
	}
}

static json_t *form_told(struct request *q)
{
	const char *code = form_value(&q->form, "code"), *unit = form_value(&q->form, "unit");

	return json_pack("{s:o, s:s, s:b, s:b, s:b}", "agencies",
			 agencies_told(q->worker->edition->catalogue, unit), "code",
			 code != NULL ? code : "", "missing", 0, "ask_agency", 0,
			 "elsewhere", 0);
}

static void track_show(struct request *q)
{
	answer_page(q, 200, "track", form_told(q));
}

/* The form again, with what is wrong. */
static void again(struct request *q, unsigned int status, const char *what)
{
	json_t *m;

	if (request_json(q)) {
		answer_wrong(q, status, status != 404 ? what : NULL);
		return;
	}
	m = form_told(q);
	json_object_set_new(m, what, json_true());
	answer_page(q, status, "track", m);
}

static void result_told(const struct request *q, const Trien__V1__TrackedResult *r, json_t *list)
{
	const struct catalogue *c = q->worker->edition->catalogue;
	uint32_t day = day_vietnam(q->now_ms);
	const struct kind *k = show_kind(c, slice_str(r->kind), day);
	json_t *m = json_pack("{s:s, s:o, s:s}", "kind",
			      k == NULL ? r->kind : q->language == LANGUAGE_EN ? k->name_en :
			      k->name_vi, "unit", show_unit_name(c, slice_str(r->unit), day),
			      "state", state_name(r->state));

	told_time(m, "since", r->change_time);
	json_array_append_new(list, m);
}

static json_t *told(struct request *q, const Trien__V1__TrackCaseResponse *a)
{
	json_t *list = json_array(), *m;

	for (size_t i = 0; i < a->n_results; i++)
		result_told(q, a->results[i], list);
	m = json_pack("{s:s, s:o, s:i, s:i, s:b}", "code", form_value(&q->form, "code"), "results",
		      list, "total", (int)a->total, "stored", (int)a->stored, "done",
		      a->stored + a->ended == a->total);
	told_time(m, "due", a->due_time);
	return m;
}

/*
 * May digits be tried for this case, or (limit_take) have wrong ones been: whatever agency is named
 * with it, a wrong one would be another try. False: answered.
 */
static bool case_limit(struct request *q, const char *code,
		       bool (*limit)(struct limits *l, enum limit_class of, struct slice asker,
				     int64_t now_ms, uint32_t *retry_ms))
{
	uint8_t name[2 * SHA256_BYTES], person[16], both[SHA256_BYTES];
	struct slice asker = request_asker(q, person);
	struct limits *l = q->portal->limits;
	int64_t now_ms = limit_clock_ms();
	uint32_t retry_ms;

	sha256_once(code, strlen(code), name);
	sha256_once(asker.p, asker.n, name + SHA256_BYTES);
	sha256_once(name, sizeof(name), both);
	if (limit(l, LIMIT_CASE_ASKER, slice_of(both, sizeof(both)), now_ms, &retry_ms) &&
	    limit(l, LIMIT_CASE, slice_of(name, SHA256_BYTES), now_ms, &retry_ms))
		return true;
	answer_later(q, retry_ms, "wrong.digits");
	return false;
}

static bool own_digits(const struct request *q, const char *digits)
{
	struct holder me = { .number = slice_str(q->session.holder.number) };
	struct case_view mine = { .holders = &me, .holders_n = 1 };
	struct holder_ends ends;

	if (!q->signed_in)
		return false;
	case_ends(&ends, &mine);
	return holder_ends_have(&ends, digits);
}

bool track_model(struct request *q, json_t **model)
{
	const char *code = form_value(&q->form, "code"), *unit = form_value(&q->form, "unit");
	const char *digits = form_value(&q->form, "digits");
	Trien__V1__TrackCaseRequest r = TRIEN__V1__TRACK_CASE_REQUEST__INIT;
	Trien__V1__TrackCaseResponse *a;
	struct failure f = { 0 };
	bool own;

	*model = NULL;
	if (code == NULL || code[0] == '\0' || digits == NULL || strlen(digits) != DIGITS ||
	    strspn(digits, "0123456789") != DIGITS) {
		again(q, 400, "incomplete");
		return false;
	}
	if (unit == NULL || unit[0] == '\0')
		unit = agency_of_case(q->worker->edition->catalogue, code);
	if (unit == NULL) {
		again(q, 400, "ask_agency");
		return false;
	}
	own = own_digits(q, digits);
	if (!own && !case_limit(q, code, limit_may))
		return false;
	r.unit = (char *)unit;
	r.code = (char *)code;
	r.last_digits = (char *)digits;
	a = (void *)engine_ask(q->worker, engine_of_unit(unit), REPOSITORY "TrackCase", &r.base,
			       &trien__v1__track_case_response__descriptor, &f);
	if (a != NULL) {
		*model = told(q, a);
	} else if (f.code == GRPC_STATUS_NOT_FOUND || f.code == GRPC_STATUS_INVALID_ARGUMENT) {
		if (own || case_limit(q, code, limit_take))
			again(q, 404, "missing");
	} else if (engine_elsewhere(&f)) {
		again(q, 503, "elsewhere");
	} else {
		engine_failed(q, &f);
	}
	if (a != NULL)
		trien__v1__track_case_response__free_unpacked(a, NULL);
	return a != NULL;
}

static void track_find(struct request *q)
{
	json_t *m;

	if (track_model(q, &m))
		answer_page(q, 200, "tracked", m);
}

const struct route track_routes[] = {
	{ METHOD_GET, "/track", track_show, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_POST, "/track", track_find, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ 0 }
};
