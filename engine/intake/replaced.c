#include <stdio.h>

#include "intake/submit.h"

/* What a result replaces is looked at as it stands; the store marks it when the new one is in. */
struct looking {
	struct call *call;
	struct read_thread *reader;
	const struct catalogue *catalogue;
	const struct case_view *c;
};

static bool same_key(const struct looking *l, const struct case_result *r,
		     const struct result_view *v)
{
	return slice_eq(r->unit, v->unit) && slice_eq(l->c->code, v->case_code) &&
	       slice_eq(r->kind, v->kind) && r->ordinal == v->ordinal;
}

/* The result in its place already: fine if that is this very one, sent again. */
static bool replaced_by_another(const struct looking *l, const struct case_result *r,
				const struct result_view *v)
{
	static const uint8_t none[16];
	uint8_t id[16];
	struct result_view by;

	memcpy(id, v->replaced_by, sizeof(id));
	if (memcmp(id, none, sizeof(id)) == 0)
		return false;
	return l->call->in->ops.get(l->reader->store, id, &by) != ST_OK || !same_key(l, r, &by) ||
	       by.revision != r->revision;
}

static enum reason judge(const struct looking *l, const struct case_result *r, const char **what)
{
	struct result_view v;
	uint8_t id[16];
	enum status st;

	*what = "";
	if (!id_read(id, r->replaces))
		return REASON_REPLACES_UNKNOWN;
	st = l->call->in->ops.get(l->reader->store, id, &v);
	if (st == ST_NOT_FOUND || (st == ST_OK && v.state == STATE_VOID))
		return REASON_REPLACES_UNKNOWN;
	if (st != ST_OK || v.state != STATE_STORED)
		return REASON_REPLACES_NOT_STORED;
	*what = "kind";
	if (!slice_eq(r->kind, v.kind))
		return REASON_REPLACES_MISMATCH;
	*what = "agency";
	if (!catalogue_succeeds(l->catalogue, r->unit, v.unit))
		return REASON_REPLACES_MISMATCH;
	*what = "revision";
	if (same_key(l, r, &v) ? r->revision != v.revision + 1 : r->revision != 0)
		return REASON_REPLACES_MISMATCH;
	*what = "replaced already";
	return replaced_by_another(l, r, &v) ? REASON_REPLACES_MISMATCH : REASON_NONE;
}

static void check_case(struct looking *l, struct submitted_case *sc)
{
	struct case_view c;
	enum status st = case_decode(&c, sc->bytes, &l->reader->scratch);

	if (st != ST_OK) {
		refuse(&sc->refusal, REASON_MALFORMED, "", "%s", status_name(st));
		return;
	}
	l->c = &c;
	for (uint8_t i = 0; i < c.results_n && sc->refusal.reason == REASON_NONE; i++) {
		const char *what;
		enum reason why;
		char field[48];

		if (c.results[i].replaces.n == 0)
			continue;
		why = judge(l, &c.results[i], &what);
		snprintf(field, sizeof(field), "results[%u].replaces", i);
		if (why != REASON_NONE)
			refuse(&sc->refusal, why, field, "%s", what);
	}
	l->c = NULL;
}

uint32_t replaced_check(struct call *c, struct read_thread *r, struct submission *s)
{
	struct looking l = { .call = c, .reader = r, .catalogue = s->catalogue };
	uint32_t left = 0;

	for (uint32_t i = 0; i < s->cases_n; i++) {
		struct submitted_case *sc = &s->cases[i];

		if (sc->refusal.reason != REASON_NONE)
			continue;
		if (sc->replaces) {
			arena_reset(&r->scratch);
			check_case(&l, sc);
		}
		left += sc->refusal.reason == REASON_NONE;
	}
	return left;
}
