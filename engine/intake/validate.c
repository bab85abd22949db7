#include "intake/validate.h"

#include "facts.h"
#include "intake/check.h"

#define REQUEST_ID_BYTES_MAX 64
#define CASE_CODE_AT (1 + 4 + 2)	/* in the canonical bytes (case.h) */

static enum status fail_code(struct check *x, enum reason why, struct slice code)
{
	char name[FIELD_NAME_BYTES_MAX + 1];

	check_name(name, code);
	return check_fail(x, why, "%s", name);
}

/* Kind, unit and signer as they stand on the day of issue. */
static enum status find_parts(struct check *x, struct submitted_result *out,
			      const struct raw_result *raw)
{
	const struct signer *s;
	bool allowed;

	x->at.member = "unit";
	out->unit = catalogue_unit(x->catalogue, raw->unit, x->day);
	if (out->unit == NULL)
		return fail_code(x, REASON_UNIT_UNKNOWN, raw->unit);
	x->at.member = "kind";
	out->kind = catalogue_kind(x->catalogue, raw->kind, x->day);
	if (out->kind == NULL)
		return fail_code(x, catalogue_kind_exists(x->catalogue, raw->kind) ?
				 REASON_KIND_NOT_EFFECTIVE : REASON_KIND_UNKNOWN, raw->kind);
	x->at.member = "signer";
	s = out->signer = catalogue_signer(x->catalogue, raw->signer, x->day);
	if (s == NULL)
		return fail_code(x, REASON_SIGNER_UNKNOWN, raw->signer);
	allowed = s->kinds_n == 0;
	for (uint8_t i = 0; i < s->kinds_n && !allowed; i++)
		allowed = strcmp(s->kinds[i], out->kind->code) == 0;
	if (!allowed || strcmp(s->unit, out->unit->code) != 0)
		return fail_code(x, REASON_SIGNER_NOT_ALLOWED, raw->signer);
	return ST_OK;
}

/* Copies come by calls of their own, which bring the original. */
static enum status check_copies(struct check *x, const struct kind *k)
{
	const struct original *o = x->original;
	enum copies wanted = o == NULL ? COPIES_NOTHING :
			     o->wrapped == ORIGINAL_OWN ? COPIES_RESULT : COPIES_ORIGINAL;

	x->at.member = "kind";
	if (k->copies == wanted || (wanted == COPIES_NOTHING && x->draft))
		return ST_OK;
	return check_fail(x, wanted == COPIES_NOTHING ? REASON_ORIGINAL_MISSING :
			  REASON_KIND_COPIES_OTHER, "%s", k->code);
}

/* What a paper that corrected the original is called stands on the copy's page. */
static enum status check_source(struct check *x)
{
	const struct original *o = x->original;
	struct slice as_shown;

	if (o == NULL || o->source == NULL)
		return ST_OK;
	x->at.member = "kind";
	return check_text(x, &as_shown, o->source->corrected, DECISION_NUMBER_BYTES_MAX, false);
}

static enum status take_given(struct check *x, struct submitted_result *out,
			      const struct raw_result *raw, struct arena *a)
{
	struct slice text;
	enum status st;

	x->at.member = "given_number";
	if (!out->kind->number_given)
		return raw->given_number == 0 && raw->given_text.n == 0 ?
		       ST_OK : check_fail(x, REASON_NUMBER_GIVEN_REFUSED, "%s", "");
	if (raw->given_number == 0)
		return check_fail(x, REASON_NUMBER_GIVEN_MISSING, "%s", "");
	out->given_number = raw->given_number;
	x->at.member = "given_text";
	st = check_text(x, &text, raw->given_text, NUMBER_TEXT_BYTES_MAX, false);
	if (st != ST_OK)
		return st;
	if (text.n > 0 && check_blank(text))
		return check_fail(x, REASON_FIELD_VALUE, "blank");
	out->given_text = arena_copy(a, text);
	return out->given_text.p == NULL && text.n > 0 ? check_spent(x) : ST_OK;
}

/* The id as we write it, whichever way it was typed. Whether it may be replaced is for those who
 * see the store. */
static enum status take_replaces(struct check *x, struct case_result *out,
				 const struct raw_result *raw)
{
	uint8_t id[16];
	char *text;

	x->at.member = "replaces";
	if (raw->replaces.n == 0) {
		x->at.member = "revision";
		return raw->revision == 0 ? ST_OK :
		       check_fail(x, REASON_FIELD_VALUE, "only together with replaces");
	}
	if (!id_read(id, raw->replaces))
		return check_fail(x, REASON_REPLACES_UNKNOWN, "not a result id");
	text = arena_take(x->scratch, ID_TEXT_BYTES);
	if (text == NULL)
		return check_spent(x);
	id_text(text, id);
	out->replaces = slice_of(text, ID_TEXT_BYTES);
	return ST_OK;
}

static enum status take_result(struct check *x, struct submitted_result *out,
			       struct case_result *r, const struct raw_result *raw, struct arena *a)
{
	enum status st = find_parts(x, out, raw);

	*r = (struct case_result){ 0 };
	if (st != ST_OK)
		return st;
	out->unit_code = r->unit = slice_str(out->unit->code);
	out->kind_code = r->kind = slice_str(out->kind->code);
	r->signer = slice_str(out->signer->code);
	x->at.member = "ordinal";
	if (raw->ordinal > UINT16_MAX)
		return check_fail(x, REASON_FIELD_VALUE, "at most %d", UINT16_MAX);
	x->at.member = "revision";
	if (raw->revision > UINT16_MAX)
		return check_fail(x, REASON_FIELD_VALUE, "at most %d", UINT16_MAX);
	out->ordinal = r->ordinal = (uint16_t)raw->ordinal;
	r->revision = (uint16_t)raw->revision;
	r->original = x->original;
	st = check_copies(x, out->kind);
	if (st == ST_OK)
		st = check_source(x);
	if (st == ST_OK)
		st = take_replaces(x, r, raw);
	if (st == ST_OK)
		st = take_given(x, out, raw, a);
	r->given_number = out->given_number;
	r->given_text = out->given_text;
	return st == ST_OK ? check_fields(x, r, raw, out->kind) : st;
}

static enum status take_results(struct check *x, struct submitted_case *out, struct case_view *c,
				const struct raw_case *raw, struct arena *a)
{
	enum status st = ST_OK;

	x->at = (struct place){ .member = "results" };
	if (raw->results_n == 0)
		return check_fail(x, REASON_RESULT_MISSING, "%s", "");
	if (raw->results_n > 1 && x->original != NULL)
		return check_fail(x, REASON_COPY_NOT_ALONE, "%s", "");
	c->results = arena_take(x->scratch, raw->results_n * sizeof(*c->results));
	if (c->results == NULL)
		return check_spent(x);
	for (uint32_t i = 0; i < raw->results_n && st == ST_OK; i++) {
		struct submitted_result *s = &out->results[i];
		struct case_result *r = &c->results[i];
		uint8_t holder[16];

		x->at = (struct place){ .list = "results", .index = i, .row = -1 };
		*s = (struct submitted_result){ 0 };
		st = take_result(x, s, r, &raw->results[i], a);
		if (st != ST_OK)
			break;
		result_key(s->key, r->unit, c->code, r->kind, r->ordinal, r->revision);
		holder_key(holder, &c->holders[0], r->unit, c->code, 0);
		s->lane = lane_of_key(holder);
		x->at.member = "";
		for (uint32_t k = 0; k < i && st == ST_OK; k++)
			if (memcmp(out->results[k].key, s->key, sizeof(s->key)) == 0)
				st = check_fail(x, REASON_RESULT_DUPLICATE,
						"the same as results[%u]", k);
	}
	c->results_n = out->results_n = (uint8_t)raw->results_n;
	return st;
}

/* ---- the case ---- */

static bool code_fits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i], letter = c | 0x20;

		if ((letter < 'a' || letter > 'z') && (c < '-' || c > '9') && c != '_')
			return false;
	}
	return s.n > 0 && s.n <= CASE_CODE_BYTES_MAX;
}

static enum status take_side(struct check *x, struct case_view *c, const struct raw_case *raw)
{
	static const uint8_t priorities[] = { PRIORITY_NORMAL, PRIORITY_INTERACTIVE,
					      PRIORITY_NORMAL, PRIORITY_BULK };
	struct slice rest = raw->request_id;

	x->at = (struct place){ .member = "priority" };
	if (raw->priority >= ARRAY_LEN(priorities))
		return check_fail(x, REASON_FIELD_VALUE, "not a Priority");
	c->priority = priorities[raw->priority];
	x->at.member = "request_id";
	if (rest.n > REQUEST_ID_BYTES_MAX)
		return check_fail(x, REASON_FIELD_TOO_LONG, "at most %d bytes",
				  REQUEST_ID_BYTES_MAX);
	if (utf8_plain(rest, x->coverage))
		rest.n = 0;
	while (rest.n > 0) {
		int32_t cp = utf8_next(&rest);

		if (cp < 0)
			return check_fail(x, REASON_UTF8_INVALID, "%s", "");
		if (utf8_refused((uint32_t)cp))
			return check_fail(x, REASON_CHARACTER_REFUSED, "U+%04X", (uint32_t)cp);
	}
	c->request_id = raw->request_id;
	c->facts = raw->facts;
	c->approval = raw->approval;
	return ST_OK;
}

size_t validate_more(const struct case_view *c)
{
	size_t more = 0;

	for (uint8_t i = 0; i < c->results_n; i++)
		more += c->results[i].replaces.n > 0 ? CASE_REPLACED_BYTES : 0;
	return more;
}

/* Straight into the arena: its free end is the writer's room. */
static enum status encode(struct check *x, struct submitted_case *out, const struct case_view *c,
			  struct arena *a)
{
	uint8_t *start = arena_take(a, 0);
	size_t room = a->size - a->used, more = validate_more(c);
	struct facts facts;
	struct writer w;

	x->at = (struct place){ .member = "" };
	if (room > CASE_BYTES_MAX)
		room = CASE_BYTES_MAX;
	w = writer_of(start, room > more ? room - more : 0);
	if (start == NULL || case_encode(c, &w) != ST_OK ||
	    arena_take(a, writer_size(&w) + more) != start)
		return check_spent(x);
	out->bytes = writer_slice(&w);
	out->code = slice_of(out->bytes.p + CASE_CODE_AT, c->code.n);
	out->priority = c->priority;
	facts_read(&facts, c->facts);
	out->due_ms = facts.due_ms;
	case_ends(&out->ends, c);
	return case_digest(out->bytes, out->digest);
}

enum status validate_case(struct submitted_case *out, const struct raw_case *raw,
			  const struct validate_env *env, struct arena *a)
{
	struct check x = { env->catalogue, env->coverage, env->day, env->scratch, &out->refusal,
			   { .member = "code" }, env->original, env->draft };
	struct case_view c = { .code = raw->code };
	size_t mark = a->used;
	enum status st = ST_OK;

	if (!code_fits(raw->code))
		st = check_fail(&x, REASON_CASE_CODE_INVALID, "1 to %d of A-Z a-z 0-9 . _ / -",
				CASE_CODE_BYTES_MAX);
	if (st == ST_OK)
		st = check_holders(&x, &c, raw);
	if (st == ST_OK)
		st = take_results(&x, out, &c, raw, a);
	if (st == ST_OK)
		st = take_side(&x, &c, raw);
	if (st == ST_OK)
		st = encode(&x, out, &c, a);
	if (st != ST_OK)
		a->used = mark;
	return st;
}

enum status validate_holder(struct holder *out, const struct raw_holder *raw,
			    const struct codeset *coverage, struct arena *a, struct refusal *why)
{
	struct check x = { .coverage = coverage, .scratch = a, .why = why,
			   .at = { .member = "number" } };
	enum status st;

	if (raw->number.n == 0)
		return check_fail(&x, REASON_HOLDER_INVALID, "it must have a number");
	st = check_holder(&x, out, raw);
	if (st != ST_OK)
		return st;
	out->country = arena_copy(a, out->country);
	out->number = arena_copy(a, out->number);
	out->name = arena_copy(a, out->name);
	return out->country.p == NULL || out->number.p == NULL || out->name.p == NULL ?
	       check_spent(&x) : ST_OK;
}
