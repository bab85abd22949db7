#include "verify/anysign.h"

#include <stdlib.h>
#include <time.h>

#include "verify/revision.h"
#include "verify/signature.h"

#define FORM_DEPTH_MAX 16
#define DATE_BYTES_MAX 64

/* ---- the form ---- */

static bool has_area(struct value rect)
{
	struct reader r = array_elements(rect);
	double side[4] = { 0 };
	struct value v;
	char text[24];

	for (int i = 0; i < 4; i++) {
		if (!array_next(&r, &v) || v.s.n >= sizeof(text) ||
		    (v.type != VALUE_INTEGER && v.type != VALUE_REAL))
			return true;
		memcpy(text, v.s.p, v.s.n);
		text[v.s.n] = '\0';
		side[i] = strtod(text, NULL);
	}
	return side[0] != side[2] && side[1] != side[3];
}

static enum status add_field(const struct any *a, struct any_form *form, uint32_t number,
			     struct value field, struct finding *f)
{
	struct value v = dict_get(field, "/V");
	struct any_field *out = &form->fields[form->n];

	if (form->n == ARRAY_LEN(form->fields))
		return pdf_foreign(f, "the form has too many signature fields");
	if (v.type != VALUE_BAD && v.type != VALUE_REF)
		return pdf_foreign(f, "field object %u holds its value in itself", number);
	for (uint32_t i = 0; i < form->n; i++)
		if (form->fields[i].number == number)
			return pdf_bad(f, "the form lists field object %u twice", number);
	*out = (struct any_field){ .number = number, .value = value_ref(v),
				   .parted = dict_get(field, "/Kids").type != VALUE_BAD };
	out->locks = dict_get(field, "/Lock").type != VALUE_BAD;
	out->visible = out->parted || has_area(dict_get(field, "/Rect"));
	form->n++;
	return ST_OK;
}

static enum status walk(const struct any *a, uint8_t upto, struct value list, bool signature,
			uint32_t depth, struct any_form *form, struct finding *f)
{
	struct reader r = array_elements(any_follow(a, list, upto));
	enum status st = ST_OK;
	struct value v;

	while (st == ST_OK && array_next(&r, &v)) {
		struct value field = any_follow(a, v, upto), kids = dict_get(field, "/Kids");
		struct value type = dict_get(field, "/FT"), kid = { VALUE_BAD, { NULL, 0 } };
		struct reader first = array_elements(any_follow(a, kids, upto));
		bool is = type.type == VALUE_BAD ? signature : value_is(type, VALUE_NAME, "/Sig");

		if (value_ref(v) == 0 || field.type != VALUE_DICT || depth == FORM_DEPTH_MAX ||
		    ++form->seen > ANY_FIELDS_MAX)
			return pdf_foreign(f, "the form is too large, or of a form that is not "
					   "read");
		array_next(&first, &kid);
		if (kids.type != VALUE_BAD &&
		    dict_get(any_follow(a, kid, upto), "/T").type != VALUE_BAD)
			st = walk(a, upto, kids, is, depth + 1, form, f);
		else if (is)
			st = add_field(a, form, value_ref(v), field, f);
	}
	return st;
}

enum status any_form_read(const struct any *a, uint8_t upto, struct any_form *out,
			  struct finding *f)
{
	const struct any_object *catalog = any_object(a, a->root, upto);
	struct value form;

	*out = (struct any_form){ 0 };
	if (catalog == NULL || catalog->stream ||
	    !value_is(dict_get(catalog->value, "/Type"), VALUE_NAME, "/Catalog"))
		return pdf_bad(f, "there is no catalog");
	form = any_follow(a, dict_get(catalog->value, "/AcroForm"), upto);
	if (dict_get(form, "/XFA").type != VALUE_BAD)
		return pdf_foreign(f, "the file has an XFA form");
	return walk(a, upto, dict_get(form, "/Fields"), false, 0, out, f);
}

/* ---- one signature ---- */

static int digits(struct reader *r, int n)
{
	struct slice s = read_bytes(r, (size_t)n);
	int v = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			r->bad = true;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

/* A literal string without its escapes of a character (7.3.4.2), as some write a colon. */
static struct slice unescaped(struct slice s, uint8_t *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < max; i++) {
		const uint8_t *p = s.p + i;
		bool octal = *p == '\\' && s.n - i > 3 && p[1] >= '0' && p[1] <= '3' &&
			     p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7';

		out[n++] = octal ? (uint8_t)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')) :
			   *p;
		i += octal ? 3 : 0;
	}
	return slice_of(out, n);
}

/* ISO 32000-1, 7.9.4, to the second; the last apostrophe may be missing (32000-2). */
static int64_t date_of(struct value v)
{
	uint8_t text[DATE_BYTES_MAX];
	struct reader r = reader_of(unescaped(v.s, text, sizeof(text)));
	int hours = 0, minutes = 0;
	struct tm t = { 0 };
	uint8_t sign;
	int64_t ms;

	if (v.type != VALUE_STRING)
		return INT64_MIN;
	token_literal(&r, "(D:");
	t.tm_year = digits(&r, 4) - 1900;
	t.tm_mon = digits(&r, 2) - 1;
	t.tm_mday = digits(&r, 2);
	t.tm_hour = digits(&r, 2);
	t.tm_min = digits(&r, 2);
	t.tm_sec = digits(&r, 2);
	sign = read_u8(&r);
	if (sign == '+' || sign == '-') {
		hours = digits(&r, 2);
		token_literal(&r, "'");
		minutes = digits(&r, 2);
		if (reader_left(&r) == 2)
			token_literal(&r, "'");
	} else if (sign != 'Z') {
		r.bad = true;
	}
	token_literal(&r, ")");
	if (r.bad || r.p != r.end || t.tm_mon < 0 || t.tm_mon > 11 || t.tm_mday < 1 ||
	    t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59 || hours > 14 ||
	    minutes > 59)
		return INT64_MIN;
	ms = (hours * 60 + minutes) * 60000LL;
	return (int64_t)timegm(&t) * 1000 + (sign == '-' ? ms : -ms);
}

/* V1-V3. */
static enum status read_range(const struct any *a, struct any_signature *s, struct finding *f)
{
	const struct any_revision *rev = &a->revisions[s->revision];
	enum status st = signed_range(a->file, s->object, dict_get(s->dict, "/ByteRange"),
				      dict_get(s->dict, "/Contents"), s->range, &s->contents, f);
	uint64_t end = st == ST_OK ? s->range[2] + s->range[3] : 0;

	if (st == ST_OK && (end < rev->mark || end > rev->end))
		return pdf_bad(f, "PDF: the signature does not cover its revision to the end");
	return st;
}

static enum status read_reference(const struct any *a, struct any_signature *s, struct finding *f)
{
	struct value list = dict_get(s->dict, "/Reference"), v;
	struct reader r = array_elements(any_follow(a, list, s->revision));
	enum status st = ST_OK;

	while (st == ST_OK && array_next(&r, &v)) {
		struct value one = any_follow(a, v, s->revision);
		struct value method = dict_get(one, "/TransformMethod");
		struct value params = any_follow(a, dict_get(one, "/TransformParams"),
						 s->revision);
		struct value level = dict_get(params, "/P");
		uint64_t p = 2;

		if (value_is(method, VALUE_NAME, "/FieldMDP")) {
			bool some = value_is(dict_get(params, "/Action"), VALUE_NAME, "/Include");

			s->locks_some |= some;
			s->locks_all |= !some;
		} else if (!value_is(method, VALUE_NAME, "/DocMDP")) {
			st = pdf_foreign(f, "PDF: /Reference has a transform method that is not "
					 "known");
		} else if ((level.type != VALUE_BAD && !value_uint(level, &p)) || p < 1 || p > 3 ||
			   s->docmdp != 0) {
			st = pdf_bad(f, "PDF: the certification's /P is not 1, 2 or 3");
		} else {
			s->docmdp = (uint32_t)p;
		}
	}
	return st;
}

static enum status read_one(const struct any *a, const struct any_form *form, uint8_t revision,
			    const struct any_object *o, struct any_signature *s, struct finding *f)
{
	struct value filter = dict_get(o->value, "/SubFilter");
	uint32_t holders = 0;
	enum status st;

	*s = (struct any_signature){ .object = o->number, .revision = revision, .dict = o->value };
	if (o->kind != ANY_AT || o->stream || (revision > 0 &&
	    any_object(a, o->number, revision - 1) != NULL))
		return pdf_bad(f, "PDF: signature object %u stands in a stream, or over another "
			       "object", o->number);
	for (uint32_t i = 0; i < form->n; i++)
		if (form->fields[i].value == o->number) {
			s->field = form->fields[i].number;
			s->locks_all |= form->fields[i].locks;
			holders++;
		}
	if (holders != 1)
		return pdf_bad(f, "PDF: signature object %u is held by %u fields", o->number,
			       holders);
	s->timestamp = value_is(filter, VALUE_NAME, "/ETSI.RFC3161");
	s->pades = value_is(filter, VALUE_NAME, "/ETSI.CAdES.detached");
	if (s->timestamp != value_is(dict_get(o->value, "/Type"), VALUE_NAME, "/DocTimeStamp"))
		return pdf_bad(f, "PDF: object %u is half a time-stamp", o->number);
	if (!s->timestamp && !s->pades &&
	    !value_is(filter, VALUE_NAME, "/adbe.pkcs7.detached"))
		return pdf_foreign(f, "PDF: signature object %u is of a kind that is not known",
				   o->number);
	s->signed_ms = date_of(dict_get(o->value, "/M"));
	st = read_range(a, s, f);
	return st == ST_OK ? read_reference(a, s, f) : st;
}

/* ---- all of them ---- */

enum status any_signatures_read(const struct any *a, struct any_signatures *out, struct finding *f)
{
	uint8_t last = a->revisions_n - 1;
	struct any_form form;
	enum status st = any_form_read(a, last, &form, f);

	out->n = 0;
	for (uint8_t i = 0; st == ST_OK && i <= last; i++) {
		uint32_t before = out->n;

		for (uint32_t k = 0; st == ST_OK && k < a->revisions[i].objects_n; k++) {
			const struct any_object *o = &a->revisions[i].objects[k];

			if (o->kind == ANY_FREE || !is_signature(o->value))
				continue;
			if (out->n == VERIFY_SIGNATURES_MAX)
				return pdf_foreign(f, "PDF: more than %d signatures",
						   VERIFY_SIGNATURES_MAX);
			if (out->n > before)
				return pdf_bad(f, "PDF: revision %u has more than one signature",
					       i + 1u);
			st = read_one(a, &form, i, o, &out->list[out->n++], f);
		}
	}
	/* A field that points to something else would be shown as signed elsewhere. */
	for (uint32_t i = 0; st == ST_OK && i < form.n; i++) {
		bool known = form.fields[i].value == 0;

		for (uint8_t k = 0; k < out->n; k++)
			known |= out->list[k].field == form.fields[i].number;
		if (!known)
			st = pdf_bad(f, "PDF: field object %u has a value that is no signature",
				     form.fields[i].number);
	}
	if (st == ST_OK && out->n == 0)
		st = pdf_foreign(f, "PDF: there is no signature in the file");
	return st;
}
