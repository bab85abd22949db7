#include "verify/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "verify/later.h"

#define FIELDS_OF_FORM_MAX 32
#define OWN_RANGE_BYTES 32		/* room for a, b and c of /ByteRange */

/* What is read of a signature dictionary, in one walk: /Contents is long. */
enum { IS_TYPE, IS_FILTER, IS_CERT, IS_TIME, IS_REFERENCE, IS_RANGE, IS_CONTENTS, IS_COUNT };

struct form { uint32_t n; uint32_t fields[FIELDS_OF_FORM_MAX]; };

/* ---- fields ---- */

static struct value object_value(const struct pdf *pdf, uint32_t number, uint8_t upto)
{
	const struct object *o = pdf_object(pdf, number, upto);

	return o == NULL || o->stream ? (struct value){ VALUE_BAD, { NULL, 0 } } : o->value;
}

/*
 * The flat list of /AcroForm /Fields, as the first revision has it; later ones may not change it.
 */
static enum status read_form(const struct pdf *pdf, struct form *form, struct finding *f)
{
	struct value catalog = object_value(pdf, pdf->root, 0);
	struct value acroform = pdf_follow(pdf, dict_get(catalog, "/AcroForm"), 0);
	struct value fields = pdf_follow(pdf, dict_get(acroform, "/Fields"), 0), v;
	struct reader r = array_elements(fields);

	form->n = 0;
	if (catalog.type != VALUE_DICT ||
	    !value_is(dict_get(catalog, "/Type"), VALUE_NAME, "/Catalog"))
		return pdf_bad(f, "there is no catalog");
	if (dict_get(acroform, "/XFA").type != VALUE_BAD)
		return pdf_foreign(f, "the file has an XFA form");
	while (array_next(&r, &v)) {
		static const char *const keys[] = { "/FT", "/Kids", "/Parent" };
		struct value is[3];

		dict_read(object_value(pdf, value_ref(v), 0), keys, is, 3);
		if (value_ref(v) == 0 || form->n == FIELDS_OF_FORM_MAX ||
		    !value_is(is[0], VALUE_NAME, "/Sig") || is[1].type != VALUE_BAD ||
		    is[2].type != VALUE_BAD)
			return pdf_foreign(f, "the form has a field that is no plain signature "
					      "field");
		for (uint32_t i = 0; i < form->n; i++)
			if (form->fields[i] == value_ref(v))
				return pdf_bad(f, "the form lists field object %u twice",
					       value_ref(v));
		form->fields[form->n++] = value_ref(v);
	}
	return ST_OK;
}


/* ---- one signature dictionary ---- */

static bool read_digits(struct reader *r, int n, int *out)
{
	struct slice s = read_bytes(r, (size_t)n);

	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			r->bad = true;
		*out = *out * 10 + (s.p[i] - '0');
	}
	return !r->bad;
}

/* (D:YYYYMMDDHHmmSS+07'00'), or Z. INT64_MIN: unreadable. */
static int64_t read_date(struct value v)
{
	struct reader r = reader_of(v.s);
	struct tm t = { 0 };
	int hours = 0, minutes = 0;
	uint8_t sign;
	int64_t ms;

	if (v.type != VALUE_STRING)
		return INT64_MIN;
	token_literal(&r, "(D:");
	read_digits(&r, 4, &t.tm_year);
	read_digits(&r, 2, &t.tm_mon);
	read_digits(&r, 2, &t.tm_mday);
	read_digits(&r, 2, &t.tm_hour);
	read_digits(&r, 2, &t.tm_min);
	read_digits(&r, 2, &t.tm_sec);
	sign = read_u8(&r);
	if (sign == '+' || sign == '-') {
		read_digits(&r, 2, &hours);
		token_literal(&r, "'");
		read_digits(&r, 2, &minutes);
		token_literal(&r, "'");
	} else if (sign != 'Z') {
		r.bad = true;
	}
	token_literal(&r, ")");
	if (r.bad || r.p != r.end || t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 ||
	    t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59 || hours > 14 ||
	    minutes > 59)
		return INT64_MIN;
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	ms = (int64_t)timegm(&t) * 1000;
	return sign == '-' ? ms + (hours * 60 + minutes) * 60000LL :
			     ms - (hours * 60 + minutes) * 60000LL;
}

enum status signed_range(struct slice file, uint32_t object, struct value range,
			 struct value contents, uint64_t out[4], struct slice *digits,
			 struct finding *f)
{
	struct reader r = array_elements(range);
	struct value v;
	uint64_t gap;
	int n = 0;

	while (n < 4 && array_next(&r, &v) && value_uint(v, &out[n]))
		n++;
	token_space(&r);
	if (n != 4 || r.bad || r.p != r.end || out[0] != 0)
		return pdf_bad(f, "PDF: /ByteRange of object %u is not [0 a b c]", object);
	if (contents.type != VALUE_HEX || contents.s.n < 4 || contents.s.n % 2 != 0)
		return pdf_bad(f, "PDF: /Contents of object %u is not an even number of hex digits",
			       object);
	gap = (uint64_t)(contents.s.p - file.p);
	if (out[1] != gap || out[2] != gap + contents.s.n)
		return pdf_bad(f, "PDF: the gap of /ByteRange is not the signature's own "
				  "/Contents");
	*digits = slice_of(contents.s.p + 1, contents.s.n - 2);
	return ST_OK;
}

/* V1–V3: the end is the revision's, too. */
static enum status read_range(const struct pdf *pdf, struct found_signature *s,
			      struct value range, struct value contents, struct finding *f)
{
	enum status st = signed_range(pdf->file, s->object, range, contents, s->range,
				      &s->contents, f);

	if (st == ST_OK && s->range[2] + s->range[3] != pdf->revisions[s->revision].end)
		return pdf_bad(f, "PDF: the signature does not cover its revision to the end");
	return st;
}

/* DocMDP and FieldMDP of /Reference. */
static enum status read_reference(const struct pdf *pdf, struct found_signature *s,
				  struct value list, struct finding *f)
{
	struct reader r = array_elements(list);
	struct value v;

	while (array_next(&r, &v)) {
		struct value method = dict_get(v, "/TransformMethod");
		struct value params = pdf_follow(pdf, dict_get(v, "/TransformParams"), s->revision);
		uint64_t p = 2;

		if (value_is(method, VALUE_NAME, "/DocMDP")) {
			if (dict_get(params, "/P").type != VALUE_BAD &&
			    !value_uint(dict_get(params, "/P"), &p))
				return pdf_bad(f, "PDF: the certification's /P is no number");
			if (p < 1 || p > 3 || s->docmdp != 0)
				return pdf_bad(f, "PDF: the certification's /P is %llu",
					       (unsigned long long)p);
			s->docmdp = (uint32_t)p;
		} else if (value_is(method, VALUE_NAME, "/FieldMDP")) {
			s->locks_all = true;
		} else {
			return pdf_bad(f, "PDF: /Reference has a transform method that is not "
					  "known");
		}
	}
	return list.type == VALUE_BAD || !r.bad ? ST_OK :
						  pdf_bad(f, "PDF: /Reference is malformed");
}

/*
 * Is the dictionary written as this engine writes it? All of it is signed but the hole: whoever
 * changes it to be judged by other rules breaks the signature.
 */
static bool own_dictionary(const struct pdf *pdf, const struct found_signature *s)
{
	static const char head[] = "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached"
				   "/M(D:";
	static const char range[] = "/ByteRange[0 ", contents[] = "]/Contents";
	const size_t range_n = strlen(range) + OWN_RANGE_BYTES + strlen(contents);
	const uint8_t *start = s->dict.s.p, *gap = pdf->file.p + s->range[1];
	const uint8_t *end = pdf->file.p + s->range[2], *p = gap - range_n;

	return s->dict.s.n > strlen(head) && (size_t)(gap - start) >= strlen(head) + range_n &&
		memcmp(start, head, strlen(head)) == 0 && memcmp(p, range, strlen(range)) == 0 &&
		memcmp(gap - strlen(contents), contents, strlen(contents)) == 0 &&
		start + s->dict.s.n == end + strlen(">>");
}

static enum status read_signature(const struct pdf *pdf, struct found_signature *s,
				  struct finding *f)
{
	static const char *const keys[IS_COUNT] = {
		[IS_TYPE] = "/Type", [IS_FILTER] = "/SubFilter", [IS_CERT] = "/Cert",
		[IS_TIME] = "/M", [IS_REFERENCE] = "/Reference", [IS_RANGE] = "/ByteRange",
		[IS_CONTENTS] = "/Contents",
	};
	struct value is[IS_COUNT];
	enum status st;

	dict_read(s->dict, keys, is, IS_COUNT);
	if (is[IS_TYPE].type != VALUE_BAD && !value_is(is[IS_TYPE], VALUE_NAME, "/Sig"))
		return pdf_foreign(f, "object %u is no document signature but something else",
				   s->object);
	if (!value_is(is[IS_FILTER], VALUE_NAME, "/ETSI.CAdES.detached"))
		return pdf_foreign(f, "signature object %u is not PAdES (ETSI.CAdES.detached)",
				   s->object);
	if (is[IS_CERT].type != VALUE_BAD)
		return pdf_bad(f, "PAdES: /Cert is not allowed (EN 319 142-1 clause 6.3)");
	st = read_range(pdf, s, is[IS_RANGE], is[IS_CONTENTS], f);
	s->own = st == ST_OK && own_dictionary(pdf, s);
	if (st == ST_OK)
		st = read_reference(pdf, s, is[IS_REFERENCE], f);
	s->signed_ms = read_date(is[IS_TIME]);
	if (st == ST_OK && s->signed_ms == INT64_MIN)
		return pdf_bad(f, "PAdES: /M of object %u is missing or malformed", s->object);
	return st;
}

enum status stamp_read(const struct pdf *pdf, struct found_signature *stamp, struct finding *f)
{
	static const char *const keys[] = { "/Type", "/SubFilter", "/ByteRange", "/Contents",
					    "/Reference" };
	struct value is[5];

	dict_read(stamp->dict, keys, is, 5);
	if (!value_is(is[0], VALUE_NAME, "/DocTimeStamp") ||
	    !value_is(is[1], VALUE_NAME, "/ETSI.RFC3161") || is[4].type != VALUE_BAD)
		return pdf_bad(f, "object %u is no document time stamp", stamp->object);
	return read_range(pdf, stamp, is[2], is[3], f);
}

/* ---- what a revision holds ---- */

/* The one signature dictionary of revision i, and the field that holds it from then on. */
static enum status find_in_revision(const struct pdf *pdf, const struct form *form, uint8_t i,
				    struct found_signature *s, struct finding *f)
{
	const struct revision *rev = &pdf->revisions[i];
	uint32_t holders = 0;

	*s = (struct found_signature){ .revision = i };
	for (uint32_t k = 0; k < rev->objects_n; k++) {
		const struct object *o = &rev->objects[k];

		if (o->known || o->stream || !is_signature(o->value))
			continue;
		if (s->object != 0)
			return pdf_bad(f, "revision %u has more than one signature", i + 1u);
		if (i > 0 && pdf_object(pdf, o->number, i - 1) != NULL)
			return pdf_bad(f, "revision %u writes over an object by a signature",
				       i + 1u);
		s->object = o->number;
		s->dict = o->value;
	}
	if (s->object == 0)
		return i == 0 ? pdf_bad(f, "the document is not signed") : ST_OK;
	if (value_is(dict_get(s->dict, "/Type"), VALUE_NAME, "/DocTimeStamp")) {
		s->object = 0;
		return i == 0 ? pdf_foreign(f, "a time stamp without a signature") : ST_OK;
	}
	for (uint32_t k = 0; k < form->n; k++) {
		static const char *const keys[] = { "/V", "/Lock" };
		struct value is[2];

		dict_read(object_value(pdf, form->fields[k], i), keys, is, 2);
		if (value_ref(is[0]) != s->object)
			continue;
		s->field = form->fields[k];
		holders++;
		s->locks_all |= is[1].type != VALUE_BAD;
	}
	if (holders != 1)
		return pdf_bad(f, "the signature of revision %u is held by %u fields", i + 1u,
			       holders);
	return read_signature(pdf, s, f);
}

/* Is every entry of `a` but `except` in `b`, byte for byte? */
static bool same_entries(struct value a, struct value b, const char *const *except, size_t except_n)
{
	struct reader r = dict_entries(a);
	struct entries other;
	struct slice key;
	struct value v;

	if (!entries_read(&other, b))
		return false;
	for (size_t at = 0; dict_next(&r, &key, &v); at++) {
		bool skip = false;

		for (size_t i = 0; i < except_n; i++)
			skip = skip || slice_eq(key, slice_str(except[i]));
		if (!skip && !slice_eq(entries_get(&other, key, at).s, v.s))
			return false;
	}
	return !r.bad;
}

/* An appearance that the first revision, which the first signature covers, already had. */
static bool old_appearance(const struct pdf *pdf, struct value ap)
{
	struct reader r = dict_entries(ap);
	struct slice key;
	struct value v;
	int n = 0;

	while (dict_next(&r, &key, &v)) {
		const struct object *o = pdf_object(pdf, value_ref(v), 0);

		if (!slice_eq(key, slice_str("/N")) || o == NULL || !o->stream)
			return false;
		n++;
	}
	return n == 1;
}

/* V6: a later revision fills one empty field (value and appearance) and brings the signature. */
static enum status check_change(const struct pdf *pdf, const struct found_signature *before,
				const struct found_signature *s, struct finding *f)
{
	static const char *const may_change[] = { "/V", "/AP" };
	const struct revision *rev = &pdf->revisions[s->revision];
	uint8_t old = s->revision - 1;
	struct value was = object_value(pdf, s->field, old),
		     is = object_value(pdf, s->field, s->revision);

	for (uint32_t k = 0; k < rev->objects_n; k++)
		if (rev->objects[k].number != s->field && rev->objects[k].number != s->object)
			return pdf_bad(f, "PDF: after signature %u, object %u was changed or added",
				       old + 1u, rev->objects[k].number);
	if (dict_get(was, "/V").type != VALUE_BAD)
		return pdf_bad(f, "PDF: a field that was signed is signed again");
	if (was.type != VALUE_DICT || is.type != VALUE_DICT ||
	    !same_entries(was, is, may_change, 2) || !same_entries(is, was, may_change, 2))
		return pdf_bad(f,
			       "PDF: after signature %u, field object %u was changed beyond "
			       "signing it",
			       old + 1u, s->field);
	if (!slice_eq(dict_get(was, "/AP").s, dict_get(is, "/AP").s) &&
	    !old_appearance(pdf, dict_get(is, "/AP")))
		return pdf_bad(f,
			       "PDF: field object %u got an appearance that signature 1 does not "
			       "cover",
			       s->field);
	if (before->docmdp == 1 || before->locks_all)
		return pdf_bad(f, "PDF: signature %u forbids any later one", old + 1u);
	if (s->docmdp != 0)
		return pdf_bad(f, "PDF: only the first signature may certify the document");
	return ST_OK;
}

/*
 * Each field that the form has from the start must be signed by one of ours. Another value would be
 * shown as signed elsewhere; without any, a signature that belongs there is not there yet, or not
 * any more: what the officer signed is no result without the agency.
 */
static enum status check_fields(const struct pdf *pdf, const struct form *form,
				const struct found *found, struct finding *f)
{
	for (uint32_t k = 0; k < form->n; k++) {
		struct value field;
		bool known = false;

		for (uint8_t i = 0; i < found->signatures_n; i++)
			known = known || found->signatures[i].field == form->fields[k];
		if (known)
			continue;
		field = object_value(pdf, form->fields[k], found->signatures_n - 1);
		if (dict_get(field, "/V").type != VALUE_BAD)
			return pdf_bad(f, "PDF: field object %u has a value that is no signature",
				       form->fields[k]);
		*f = (struct finding){ VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE, "" };
		snprintf(f->why, sizeof(f->why), "field object %u is not signed: a signature is "
			 "missing", form->fields[k]);
		return ST_OK;
	}
	return ST_OK;
}

/* Signature i, with what it may have changed. */
static enum status add_signature(const struct pdf *pdf, struct found *found,
				 const struct found_signature *s, struct finding *f)
{
	struct found_signature *list = found->signatures;
	uint8_t i = found->signatures_n;

	if (i == VERIFY_SIGNATURES_MAX)
		return pdf_bad(f, "more than %d signatures", VERIFY_SIGNATURES_MAX);
	/* What is added to a document is added to a whole one. */
	if (s->revision != i)
		return pdf_bad(f, "PDF: revision %u signs what was added to a signed document",
			       s->revision + 1u);
	list[i] = *s;
	found->signatures_n++;
	if (s->own != list[0].own)
		return pdf_bad(f, "PDF: signature %u is not in the form of those before", i + 1u);
	return i > 0 ? check_change(pdf, &list[i - 1], s, f) : ST_OK;
}

enum status signatures_find(const struct pdf *pdf, struct found *found, struct dss *dss,
			    struct finding *f)
{
	struct form form;
	enum status st = read_form(pdf, &form, f);

	found->signatures_n = found->stamps_n = 0;
	for (uint8_t i = 0; st == ST_OK && i < pdf->revisions_n; i++) {
		struct found_signature s;

		st = find_in_revision(pdf, &form, i, &s, f);
		if (st == ST_OK && s.object != 0) {
			st = add_signature(pdf, found, &s, f);
		} else if (st == ST_OK) {
			st = later_read(pdf, i, &s, dss, f);
			if (st == ST_OK && s.object != 0)
				found->stamps[found->stamps_n++] = s;
		}
	}
	if (st == ST_OK)
		st = later_check_references(pdf, found->signatures_n, f);
	if (st == ST_OK && !found->signatures[0].own)
		st = pdf_foreign(f, "the signatures are not in the form of this engine");
	return st == ST_OK ? check_fields(pdf, &form, found, f) : st;
}
