#include "store/counted.h"

#include "base/calendar.h"
#include "facts.h"

#define DAY_MS (24 * 3600 * 1000LL)
#define MINUTE_MS 60000

/* ---- the packed words ---- */

enum { AT_CASE, AT_REPLACES, AT_TIMELINESS, AT_CHANNEL = 4, AT_DELIVERY = 7, AT_FEE = 9,
       AT_REUSED = 12, AT_SOURCES = 18, AT_TIMED = 24, AT_MINUTES, AT_DAYS = 49, AT_REPLACED = 61 };
enum { FEW_MAX = 63, MINUTES_MAX = 0xffffff, DAYS_MAX = 0xfff };
enum { AT_DIGITISED = 8, AT_CITIZEN_DATA = 16, AT_REUSING, PAPERS_MAX = 255 };

static uint64_t at_most(uint64_t v, uint64_t most)
{
	return v < most ? v : most;
}

static uint64_t part(int64_t word, int at, uint64_t mask)
{
	return (uint64_t)word >> at & mask;
}

static int64_t days_between(int64_t from_ms, int64_t to_ms)
{
	return (day_start_ms(day_vietnam(to_ms)) - day_start_ms(day_vietnam(from_ms))) / DAY_MS;
}

static uint64_t times(const struct facts *f, int64_t signed_ms)
{
	uint64_t w = (uint64_t)facts_timeliness(f, signed_ms) << AT_TIMELINESS;

	if (f->received_ms == 0 || f->received_ms > signed_ms)
		return w;
	return w | 1ull << AT_TIMED |
	       at_most((uint64_t)(signed_ms - f->received_ms) / MINUTE_MS, MINUTES_MAX) <<
	       AT_MINUTES;
}

static int64_t facts_word(const struct result_view *v, const struct facts *f, bool first)
{
	struct replaced old;
	uint64_t w = (uint64_t)!id_is_zero(v->replaces) << AT_REPLACES;
	int64_t days = days_between(v->accepted_ms, v->issued_ms);

	if (id_is_zero(v->replaces))
		w |= (uint64_t)first << AT_CASE | times(f, result_signed_ms(v));
	w |= (uint64_t)f->channel << AT_CHANNEL | (uint64_t)f->delivery << AT_DELIVERY |
	     (uint64_t)f->fee << AT_FEE | at_most(f->reused_n, FEW_MAX) << AT_REUSED |
	     at_most(f->sources_n, FEW_MAX) << AT_SOURCES;
	if (!id_is_zero(v->replaces) &&
	    case_skim_replaced(&old, v->case_bytes, v->replaces) == ST_OK && old.day != 0 &&
	    !old.revoked)
		w |= 1ull << AT_REPLACED;
	if (v->accepted_ms > 0 && days > 0)
		w |= at_most((uint64_t)days, DAYS_MAX) << AT_DAYS;
	return (int64_t)w;
}

static int32_t papers_word(const struct facts *f)
{
	bool all = f->digitised_n >= f->papers_n;
	uint64_t papers = at_most(f->papers_n, PAPERS_MAX);
	uint64_t digitised = all ? papers : at_most(f->digitised_n, PAPERS_MAX - 1);

	return (int32_t)(papers | digitised << AT_DIGITISED |
			 (uint64_t)f->citizen_data << AT_CITIZEN_DATA |
			 (uint64_t)(f->reused_n > 0) << AT_REUSING);
}

void counted_says(struct counted_says *out, const struct result_view *v)
{
	struct slice parts[COUNTS_PARTS], signer;
	struct case_lead lead;
	struct facts f;
	bool first = case_skim(&lead, v->case_bytes) == ST_OK && slice_eq(lead.unit, v->unit) &&
		     slice_eq(lead.kind, v->kind) && lead.ordinal == v->ordinal;

	if (case_skim_signer(&signer, v->case_bytes, v->unit, v->kind, v->ordinal) != ST_OK)
		signer = (struct slice){ NULL, 0 };
	facts_read(&f, lead.facts);
	out->facts = facts_word(v, &f, first);
	out->papers = first && id_is_zero(v->replaces) ? papers_word(&f) : 0;
	parts[COUNTS_PROCEDURE] = f.procedure;
	parts[COUNTS_FIELD] = f.field;
	parts[COUNTS_SIGNER] = signer;
	parts[COUNTS_CAUSE] = part(out->facts, AT_TIMELINESS, 3) == TIMELINESS_LATE ?
			      f.late_cause : (struct slice){ NULL, 0 };
	out->parts_n = counts_join(out->parts, parts);
}

/* One of n choices, counted from the first one on; 0: none of them. */
static void choice(struct counts *c, enum count first, uint64_t which, uint64_t n)
{
	if (which >= 1 && which <= n)
		c->of[first + which - 1]++;
}

/* ---- what adds what ---- */

static uint32_t accepted(struct counted out[2], uint32_t day)
{
	if (out[0].day == day) {
		out[0].by.of[COUNT_ACCEPTED] = 1;
		return 1;
	}
	out[1] = (struct counted){ .unit = out[0].unit, .kind = out[0].kind, .day = day,
				   .parts = out[0].parts, .engine = out[0].engine,
				   .by.of[COUNT_ACCEPTED] = 1 };
	return 2;
}

static uint8_t engine_of(uint64_t sequence)
{
	return (uint8_t)(sequence >> 14);	/* identity.h */
}

static_assert(COUNT_LATE == COUNT_EARLY + 2 &&
	      COUNT_CASES_LATE == COUNT_CASES_EARLY + 2 && COUNT_PROACTIVE == COUNT_ONLINE + 3 &&
	      COUNT_POSTED == COUNT_ELECTRONIC + 2 && COUNT_DUE == COUNT_FREE + 4,
	      "choices stand in the order of their numbers");

bool counted_replaced(struct counted *out, const struct result_view *v, int64_t facts)
{
	struct replaced old;

	if (part(facts, AT_REPLACED, 1) == 0 ||
	    case_skim_replaced(&old, v->case_bytes, v->replaces) != ST_OK)
		return false;
	*out = (struct counted){ .unit = old.unit.n > 0 ? old.unit : v->unit, .kind = v->kind,
				 .day = old.day, .engine = engine_of(v->sequence),
				 .by.of[COUNT_REPLACED] = 1 };
	return true;
}

static void dossier(struct counts *c, int64_t papers)
{
	c->of[COUNT_CASES_REUSING] = part(papers, AT_REUSING, 1);
	c->of[COUNT_CASES_CITIZEN_DATA] = part(papers, AT_CITIZEN_DATA, 1);
	c->of[COUNT_PAPERS] = part(papers, 0, PAPERS_MAX);
	c->of[COUNT_PAPERS_DIGITISED] = part(papers, AT_DIGITISED, PAPERS_MAX);
	c->of[COUNT_CASES_WITH_PAPERS] = c->of[COUNT_PAPERS] > 0;
	c->of[COUNT_CASES_DIGITISED] = c->of[COUNT_PAPERS] > 0 &&
				       c->of[COUNT_PAPERS] == c->of[COUNT_PAPERS_DIGITISED];
}

uint32_t counted_result(struct counted out[COUNTED_RESULT_MAX], const struct result_view *v,
			const struct counted_says *says)
{
	const int64_t word = says->facts;
	struct counts *c = &out[0].by;
	int64_t days = (int64_t)part(word, AT_DAYS, DAYS_MAX);
	uint32_t n;

	out[0] = (struct counted){ .unit = v->unit, .kind = v->kind,
				   .parts = slice_of(says->parts, says->parts_n),
				   .day = day_vietnam(v->issued_ms),
				   .engine = engine_of(v->sequence),
				   .by.of[COUNT_RESULTS] = 1 };
	c->of[COUNT_CASES] = part(word, AT_CASE, 1);
	c->of[COUNT_REPLACEMENTS] = part(word, AT_REPLACES, 1);
	choice(c, COUNT_EARLY, part(word, AT_TIMELINESS, 3), 3);
	if (c->of[COUNT_CASES] == 1)
		choice(c, COUNT_CASES_EARLY, part(word, AT_TIMELINESS, 3), 3);
	choice(c, COUNT_ONLINE, part(word, AT_CHANNEL, 7), 4);
	choice(c, COUNT_ELECTRONIC, part(word, AT_DELIVERY, 3), 3);
	choice(c, COUNT_FREE, part(word, AT_FEE, 7), 5);
	c->of[COUNT_REUSED] = part(word, AT_REUSED, FEW_MAX);
	c->of[COUNT_REUSING] = c->of[COUNT_REUSED] > 0;
	c->of[COUNT_SOURCES] = part(word, AT_SOURCES, FEW_MAX);
	c->of[COUNT_SOURCED] = c->of[COUNT_SOURCES] > 0;
	c->of[COUNT_TIMED] = part(word, AT_TIMED, 1);
	c->of[COUNT_MINUTES] = part(word, AT_MINUTES, MINUTES_MAX);
	dossier(c, says->papers);
	n = accepted(out, days == 0 ? out[0].day : day_vietnam(v->issued_ms - days * DAY_MS));
	return n + counted_replaced(&out[n], v, word);
}

uint32_t counted_void(struct counted out[2], const struct void_entry *v)
{
	enum count end = COUNT_VOIDED;

	out[0] = (struct counted){ .unit = v->unit, .kind = v->kind, .day = day_vietnam(v->at_ms),
				   .engine = engine_of(v->sequence) };
	if (v->sequence == 0) {
		out[0].by.of[COUNT_OUTSIDE] = v->used_outside;
		return v->used_outside && v->number != 0;
	}
	if (v->state == STATE_REFUSED)
		end = COUNT_REFUSED;
	else if (v->state == STATE_WITHDRAWN)
		end = COUNT_WITHDRAWN;
	else if (v->state == STATE_TIMED_OUT)
		end = COUNT_TIMED_OUT;
	out[0].by.of[end] = 1;
	/* Version 1 of the record does not say when it was accepted. */
	return accepted(out, v->accepted_ms != 0 ? day_vietnam(v->accepted_ms) : out[0].day);
}

bool counted_event(struct counted *out, const struct result_event *ev,
		     const struct result_view *of)
{
	static const uint8_t which[] = { [EVENT_CORRECTED] = COUNT_CORRECTED,
					 [EVENT_REVOKED] = COUNT_REVOKED,
					 [EVENT_REUSED] = COUNT_REUSES };

	if (ev->kind >= ARRAY_LEN(which) || which[ev->kind] == 0)
		return false;
	*out = (struct counted){ .unit = of->unit, .kind = of->kind,
				 .day = day_vietnam(ev->kind == EVENT_REUSED ? ev->at_ms :
						    of->issued_ms),
				 .engine = engine_of(ev->sequence) };
	out->by.of[which[ev->kind]] = 1;
	return true;
}

bool counted_add(struct tally *t, const struct counted *c)
{
	struct tally_row *row = tally_at(t, c->unit, c->kind, c->day, c->parts, c->engine);

	for (int i = 0; row != NULL && i < COUNTS; i++)
		row->by.of[i] += c->by.of[i];
	return row != NULL;
}
