#include "base/calendar.h"
#include "intake/submit.h"
#include "intake/validate.h"

/* Reasons that hang on the day, the catalogue or the fonts; others were never issued. */
bool earlier_possible(const struct raw_case *raw, enum reason why)
{
	switch (why) {
	case REASON_UNIT_UNKNOWN:
	case REASON_KIND_UNKNOWN:
	case REASON_KIND_NOT_EFFECTIVE:
	case REASON_SIGNER_UNKNOWN:
	case REASON_SIGNER_NOT_ALLOWED:
	case REASON_FIELD_MISSING:
	case REASON_FIELD_UNKNOWN:
	case REASON_FIELD_TYPE:
	case REASON_FIELD_TOO_LONG:
	case REASON_FIELD_VALUE:
	case REASON_GLYPH_MISSING:
	case REASON_NUMBER_GIVEN_MISSING:
	case REASON_NUMBER_GIVEN_REFUSED:
		return raw->results_n > 0 && raw->results[0].unit.n <= CODE_BYTES_MAX &&
		       raw->code.n > 0 && raw->code.n <= CASE_CODE_BYTES_MAX;
	default:
		return false;
	}
}

/* Day of issue of one of the case's results, or 0: there is none. */
static uint32_t day_before(struct call *c, struct read_thread *r, const struct raw_case *raw)
{
	const struct engine_ops *ops = &c->in->ops;
	struct slice unit = raw->results[0].unit;
	struct state_change found;
	struct result_view v;
	uint32_t n = 0;

	if (ops->find_case(r->store, unit, raw->code, 1, &found, &n) != ST_OK || n == 0 ||
	    ops->get(r->store, found.result_id, &v) != ST_OK)
		return 0;
	/* It was accepted by the catalogue of that day; a number may have come much later. */
	return day_vietnam(v.accepted_ms != 0 ? v.accepted_ms : v.issued_ms);
}

static void judge_again(struct call *c, struct read_thread *r, struct submission *s,
			struct submitted_case *sc)
{
	struct validate_env env = { .catalogue = s->catalogue, .scratch = &r->scratch,
				    .coverage = c->in->ops.coverage(c->in->ops.ctx),
				    .original = sc->original };
	struct refusal *today = arena_take(&s->arena, sizeof(*today)), ignored;
	struct raw_case raw;

	arena_reset(&r->scratch);
	if (today == NULL || raw_read(&raw, sc->wire, &r->scratch, &ignored) != ST_OK)
		return;
	env.day = day_before(c, r, &raw);
	if (env.day == 0)
		return;
	*today = sc->refusal;
	sc->refusal = (struct refusal){ .reason = REASON_NONE };
	if (validate_case(sc, &raw, &env, &s->arena) == ST_OK)
		sc->unless_before = today;
	else
		sc->refusal = *today;
}

void earlier_check(struct call *c, struct read_thread *r, struct submission *s)
{
	for (uint32_t i = 0; i < s->cases_n; i++)
		if (s->cases[i].wire.n > 0)
			judge_again(c, r, s, &s->cases[i]);
}
