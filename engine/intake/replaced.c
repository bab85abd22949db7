#include <stdio.h>

#include "base/calendar.h"
#include "intake/read.h"
#include "intake/submit.h"
#include "intake/validate.h"

/* What a result replaces is looked at as it stands; the store marks it when the new one is in. */
struct looking {
	struct call *call;
	struct read_thread *reader;
	const struct catalogue *catalogue;
	uint32_t day;			/* today */
	const struct case_view *c;
	/* of the result that is judged: what the new one's page will say of it */
	uint8_t id[16];
	char number[NUMBER_TEXT_BYTES_MAX + 1], unit[CODE_BYTES_MAX + 1];
	struct replaced old;
};

static bool same_key(const struct looking *l, const struct case_result *r,
		     const struct result_view *v)
{
	return slice_eq(r->unit, v->unit) && slice_eq(l->c->code, v->case_code) &&
	       slice_eq(r->kind, v->kind) && r->ordinal == v->ordinal;
}

/*
 * id: of the result in its place already, which is fine if that is this very one, sent again. What
 * was read before it goes with this look.
 */
static bool replaced_by_another(const struct looking *l, const struct case_result *r,
				const uint8_t id[16])
{
	struct result_view by;

	if (id_is_zero(id))
		return false;
	return l->call->in->ops.get(l->reader->store, id, &by) != ST_OK || !same_key(l, r, &by) ||
	       by.revision != r->revision;
}

/* The agency's code, and its name of that day, where it is another one than the new result's. */
static void note_old(struct looking *l, const struct case_result *r, const struct result_view *v)
{
	const struct unit *u;

	snprintf(l->number, sizeof(l->number), "%.*s", (int)v->number_text.n,
		 (const char *)v->number_text.p);
	l->old = (struct replaced){ .number = slice_str(l->number),
				    .day = day_vietnam(v->issued_ms),
				    .revoked = v->life == LIFE_REVOKED };
	if (slice_eq(r->unit, v->unit))
		return;
	snprintf(l->unit, sizeof(l->unit), "%.*s", (int)v->unit.n, (const char *)v->unit.p);
	l->old.unit = slice_str(l->unit);
	u = catalogue_unit(l->catalogue, v->unit, l->old.day);
	if (u != NULL && strlen(u->name) <= NAME_BYTES_MAX)
		l->old.agency = slice_str(u->name);
}

#define WHAT_BYTES 100			/* what is wrong, and what would be right */

static enum reason mismatch(char what[WHAT_BYTES], const char *name, struct slice code)
{
	snprintf(what, WHAT_BYTES, "it is of %s %.*s", name, (int)code.n, (const char *)code.p);
	return REASON_REPLACES_MISMATCH;
}

static enum reason judge(struct looking *l, const struct case_result *r, char what[WHAT_BYTES])
{
	struct result_view v;
	uint32_t revision;
	uint8_t by_id[16];
	char by[ID_TEXT_BYTES];
	enum status st;

	what[0] = '\0';
	if (!id_read(l->id, r->replaces))
		return REASON_REPLACES_UNKNOWN;
	st = l->call->in->ops.get(l->reader->store, l->id, &v);
	if (st == ST_AGAIN)		/* another engine's, as its id says, and not stored */
		return REASON_REPLACES_NOT_STORED;
	if (st != ST_OK && st != ST_NOT_FOUND)
		return REASON_STORE_AWAY;
	/* To whoever may not act for its agency nothing is told of it, nor that it is there. */
	if (st == ST_NOT_FOUND || v.state == STATE_VOID || !read_unit(l->call, v.unit))
		return REASON_REPLACES_UNKNOWN;
	if (v.state != STATE_STORED)
		return REASON_REPLACES_NOT_STORED;
	if (!slice_eq(r->kind, v.kind))
		return mismatch(what, "kind", v.kind);
	if (!catalogue_succeeds(l->catalogue, r->unit, v.unit, l->day))
		return mismatch(what, "agency", v.unit);
	note_old(l, r, &v);
	revision = same_key(l, r, &v) ? v.revision + 1u : 0;
	memcpy(by_id, v.replaced_by, sizeof(by_id));
	if (replaced_by_another(l, r, by_id)) {
		id_text(by, by_id);
		snprintf(what, WHAT_BYTES, "it was replaced by %.*s: replace that one",
			 ID_TEXT_BYTES, by);
		return REASON_REPLACES_MISMATCH;
	}
	if (r->revision == revision)
		return REASON_NONE;
	snprintf(what, WHAT_BYTES, "revision must be %u", revision);
	return REASON_REPLACES_MISMATCH;
}

static void check_case(struct looking *l, struct submitted_case *sc)
{
	size_t room;
	struct case_view c;
	enum status st = case_decode(&c, sc->bytes, &l->reader->scratch);

	if (st != ST_OK) {
		refuse(&sc->refusal, REASON_MALFORMED, "", "%s", status_name(st));
		return;
	}
	l->c = &c;
	room = sc->bytes.n + validate_more(&c);
	for (uint8_t i = 0; i < c.results_n && sc->refusal.reason == REASON_NONE; i++) {
		char field[48], what[WHAT_BYTES];
		enum reason why;

		if (c.results[i].replaces.n == 0)
			continue;
		why = judge(l, &c.results[i], what);
		snprintf(field, sizeof(field), "results[%u].replaces", i);
		if (why != REASON_NONE) {
			refuse(&sc->refusal, why, field, "%s", what);
			continue;
		}
		memcpy(sc->results[i].replaces, l->id, sizeof(l->id));
		case_add_replaced(&sc->bytes, room, l->id, &l->old);
	}
	l->c = NULL;
}

uint32_t replaced_check(struct call *c, struct read_thread *r, struct submission *s)
{
	struct looking l = { .call = c, .reader = r, .catalogue = s->catalogue,
			     .day = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx)) };
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
