#include "verify/later.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>

#include "verify/same.h"

/* One revision, and which of its objects have been accounted for. */
struct addition {
	const struct pdf *pdf;
	const struct revision *rev;
	uint8_t i;
	struct found_signature *stamp;
	struct dss *dss;
	bool *seen;			/* by index in rev->objects */
	bool page;			/* the one that lists the stamp was found */
};

void dss_free(struct dss *d)
{
	sk_X509_pop_free(d->certs, X509_free);
	sk_X509_CRL_pop_free(d->crls, X509_CRL_free);
	*d = (struct dss){ .revision = 0 };
}

/* Does the revision write that object? Then it is accounted for from now on. */
static const struct object *take(struct addition *a, uint32_t number)
{
	const struct object *o = revision_object(a->rev, number);

	if (o != NULL)
		a->seen[o - a->rev->objects] = true;
	return o;
}

static bool is_new(const struct addition *a, uint32_t number)
{
	return pdf_object(a->pdf, number, a->i - 1) == NULL;
}

/* Behind a reference; VALUE_BAD: nothing, or so much that no more is read. */
static struct value follow(const struct addition *a, struct value v, uint8_t upto)
{
	struct value to = pdf_follow(a->pdf, v, upto);

	a->dss->read += to.s.n;
	return a->dss->read <= LATER_BYTES_MAX ? to :
		(struct value){ VALUE_BAD, { NULL, 0 } };
}

/* A value that may be written behind a reference; `was`: where it stood before. */
static struct value open_value(struct addition *a, struct value v, struct value was)
{
	uint32_t number = value_ref(v);

	if (number != 0 && (is_new(a, number) || number == value_ref(was)))
		take(a, number);
	return follow(a, v, a->i);
}

static struct value old_value(const struct addition *a, struct value v)
{
	return follow(a, v, a->i - 1);
}

static bool only_keys(struct value dict, const char *const *keys, size_t n)
{
	struct reader r = dict_entries(dict);
	struct slice key;
	struct value v;

	while (dict_next(&r, &key, &v)) {
		bool known = false;

		for (size_t i = 0; i < n; i++)
			known = known || slice_eq(key, slice_str(keys[i]));
		if (!known)
			return false;
	}
	return !r.bad;
}

/* ---- the document security store ---- */

enum item { ITEM_CERT, ITEM_CRL, ITEM_ANSWER, ITEM_STAMP };

/* All of the bytes are one such thing. */
static bool keep_item(struct dss *d, enum item type, struct slice data)
{
	const unsigned char *p = data.p, *end = data.p + data.n;
	X509 *cert = NULL;
	X509_CRL *crl = NULL;
	OCSP_RESPONSE *answer = NULL;
	CMS_ContentInfo *stamp = NULL;
	bool ok = false;

	if (type == ITEM_CERT && (cert = d2i_X509(NULL, &p, (long)data.n)) != NULL)
		ok = p == end && sk_X509_push(d->certs, cert) > 0;
	else if (type == ITEM_CRL && (crl = d2i_X509_CRL(NULL, &p, (long)data.n)) != NULL)
		ok = p == end && sk_X509_CRL_push(d->crls, crl) > 0;
	else if (type == ITEM_ANSWER)
		ok = (answer = d2i_OCSP_RESPONSE(NULL, &p, (long)data.n)) != NULL && p == end;
	else if (type == ITEM_STAMP)
		ok = (stamp = d2i_CMS_ContentInfo(NULL, &p, (long)data.n)) != NULL && p == end;
	if (!ok) {
		X509_free(cert);
		X509_CRL_free(crl);
	}
	d->answers += ok && type == ITEM_ANSWER;
	OCSP_RESPONSE_free(answer);
	CMS_ContentInfo_free(stamp);
	ERR_clear_error();
	return ok;
}

static enum status read_item(struct addition *a, enum item type, struct value ref,
			     struct finding *f)
{
	static const char *const keys[] = { "/Length" };
	uint32_t number = value_ref(ref);
	const struct object *o = pdf_object(a->pdf, number, a->i);

	if (o == NULL || !o->stream)
		return pdf_bad(f, "DSS of revision %u: object %u is no stream", a->i + 1u, number);
	if (revision_object(a->rev, number) == NULL)
		return ST_OK;			/* of an earlier revision, and read there */
	if (!is_new(a, number))
		return pdf_bad(f, "DSS of revision %u: object %u was another before", a->i + 1u,
			       number);
	if (a->seen[o - a->rev->objects])
		return ST_OK;			/* named again by /VRI */
	take(a, number);
	if (!only_keys(o->value, keys, 1))
		return pdf_foreign(f, "DSS of revision %u: object %u is coded", a->i + 1u, number);
	if (++a->dss->items > DSS_ITEMS_MAX || o->data.n > EVIDENCE_BYTES_MAX)
		return pdf_foreign(f, "DSS of revision %u: more than is looked at", a->i + 1u);
	return keep_item(a->dss, type, o->data) ? ST_OK :
		pdf_bad(f, "DSS of revision %u: object %u is not what it is listed as", a->i + 1u,
			number);
}

static enum status read_items(struct addition *a, enum item type, struct value list,
			      struct value was, struct finding *f)
{
	struct value all = open_value(a, list, was), v;
	struct reader r = array_elements(all);
	enum status st = ST_OK;

	if (list.type == VALUE_BAD)
		return ST_OK;
	while (st == ST_OK && array_next(&r, &v))
		st = read_item(a, type, v, f);
	if (st == ST_OK && r.bad)
		st = pdf_bad(f, "DSS of revision %u is malformed", a->i + 1u);
	return st;
}

static enum status read_vri(struct addition *a, struct value v, struct value was, struct finding *f)
{
	static const char *const keys[] = { "/Type", "/Cert", "/CRL", "/OCSP", "/TS", "/TU" };
	struct value vri = open_value(a, v, was), old = old_value(a, was), is[6], old_is[6];
	enum status st;

	if (vri.type != VALUE_DICT || !only_keys(vri, keys, 6))
		return pdf_bad(f, "VRI of revision %u is malformed", a->i + 1u);
	dict_read(vri, keys, is, 6);
	dict_read(old, keys, old_is, 6);
	if ((is[0].type != VALUE_BAD && !value_is(is[0], VALUE_NAME, "/VRI")) ||
	    (is[5].type != VALUE_BAD && is[5].type != VALUE_STRING && is[5].type != VALUE_HEX))
		return pdf_bad(f, "VRI of revision %u is malformed", a->i + 1u);
	st = read_items(a, ITEM_CERT, is[1], old_is[1], f);
	if (st == ST_OK)
		st = read_items(a, ITEM_CRL, is[2], old_is[2], f);
	if (st == ST_OK)
		st = read_items(a, ITEM_ANSWER, is[3], old_is[3], f);
	if (st == ST_OK && is[4].type != VALUE_BAD)
		st = read_item(a, ITEM_STAMP, is[4], f);
	return st;
}

static enum status read_all_vri(struct addition *a, struct value v, struct value was,
				struct finding *f)
{
	struct reader r = dict_entries(open_value(a, v, was));
	enum status st = ST_OK;
	struct entries old;
	struct slice key;
	struct value one;

	if (v.type == VALUE_BAD)
		return ST_OK;
	entries_read(&old, old_value(a, was));
	for (size_t at = 0; st == ST_OK && dict_next(&r, &key, &one); at++) {
		/* SHA-1 of the signature in hex (ISO 32000-2 12.8.4.3). */
		if (key.n != 41)
			return pdf_bad(f, "VRI of revision %u is malformed", a->i + 1u);
		st = read_vri(a, one, entries_get(&old, key, at), f);
	}
	if (st == ST_OK && r.bad)
		st = pdf_bad(f, "VRI of revision %u is malformed", a->i + 1u);
	return st;
}

static enum status read_dss(struct addition *a, struct value v, struct value was, struct finding *f)
{
	static const char *const keys[] = { "/Type", "/Certs", "/CRLs", "/OCSPs", "/VRI" };
	struct value dss = open_value(a, v, was), old = old_value(a, was), is[5], old_is[5];
	enum status st;

	if (v.type == VALUE_BAD)
		return was.type == VALUE_BAD ? ST_OK :
			pdf_bad(f, "revision %u takes the DSS away", a->i + 1u);
	if (dss.type != VALUE_DICT || !only_keys(dss, keys, 5))
		return pdf_bad(f, "DSS of revision %u is malformed", a->i + 1u);
	dict_read(dss, keys, is, 5);
	dict_read(old, keys, old_is, 5);
	if (is[0].type != VALUE_BAD && !value_is(is[0], VALUE_NAME, "/DSS"))
		return pdf_bad(f, "DSS of revision %u is malformed", a->i + 1u);
	st = read_items(a, ITEM_CERT, is[1], old_is[1], f);
	if (st == ST_OK)
		st = read_items(a, ITEM_CRL, is[2], old_is[2], f);
	if (st == ST_OK)
		st = read_items(a, ITEM_ANSWER, is[3], old_is[3], f);
	if (st == ST_OK)
		st = read_all_vri(a, is[4], old_is[4], f);
	if (st == ST_OK && !value_same(v, was))
		a->dss->revision = a->i;
	/* Behind the same reference another store can stand. */
	if (st == ST_OK && value_ref(v) != 0 && revision_object(a->rev, value_ref(v)) != NULL)
		a->dss->revision = a->i;
	return st;
}

/* ---- the time stamp ---- */

static enum status read_stamp(struct addition *a, uint32_t field, struct finding *f)
{
	static const char *const keys[] = { "/FT", "/T", "/Type", "/Subtype", "/F", "/Rect", "/P",
					    "/TU", "/V" };
	const struct object *o = take(a, field);
	struct value rect, v, is[3];
	static const char *const wanted[] = { "/FT", "/Rect", "/V" };
	struct reader r;
	size_t n = 0;

	if (o == NULL || o->stream || !is_new(a, field) || !only_keys(o->value, keys, 9))
		return pdf_bad(f, "field object %u is none of a time stamp", field);
	dict_read(o->value, wanted, is, 3);
	rect = is[1];
	r = array_elements(rect);
	while (rect.type == VALUE_ARRAY && array_next(&r, &v)) {
		if (!value_is(v, VALUE_INTEGER, "0"))
			return pdf_bad(f, "field object %u of a time stamp has an area", field);
		n++;
	}
	if (!value_is(is[0], VALUE_NAME, "/Sig") || (rect.type != VALUE_BAD && n != 4))
		return pdf_bad(f, "field object %u is none of a time stamp", field);
	a->stamp->field = field;
	a->stamp->object = value_ref(is[2]);
	a->stamp->revision = a->i;
	o = take(a, a->stamp->object);
	if (o == NULL || o->stream || !is_new(a, o->number))
		return pdf_bad(f, "field object %u has no time stamp", field);
	a->stamp->dict = o->value;
	return stamp_read(a->pdf, a->stamp, f);
}

/* The one page that lists the stamp's field behind what it had (ISO 32000-1 12.5.2). */
static enum status check_page(struct addition *a, const struct object *o, struct finding *f)
{
	static const char *const but[] = { "/Annots" };
	const struct object *was = pdf_object(a->pdf, o->number, a->i - 1);
	struct value last = { .type = VALUE_BAD };
	size_t more = 0;

	if (was == NULL || was->stream || o->stream || a->stamp->field == 0 || a->page ||
	    !value_is(dict_get(o->value, "/Type"), VALUE_NAME, "/Page") ||
	    !dict_same(was->value, o->value, but, 1) ||
	    !array_continues(old_value(a, dict_get(was->value, "/Annots")),
			     open_value(a, dict_get(o->value, "/Annots"),
					dict_get(was->value, "/Annots")), &more, &last) ||
	    more != 1 || value_ref(last) != a->stamp->field)
		return pdf_bad(f, "PDF: after the last signature, object %u was changed or added",
			       o->number);
	take(a, o->number);
	a->page = true;
	return ST_OK;
}

/* ---- the catalog ---- */

/* {/NAME <</Type/DeveloperExtensions/BaseVersion/1.7/ExtensionLevel 5>>} (ISO 32000-1 7.12) */
static bool only_says_so(struct value extensions)
{
	static const char *const keys[] = { "/Type", "/BaseVersion", "/ExtensionLevel", "/URL",
					    "/ExtensionRevision" };
	struct reader r = dict_entries(extensions);
	struct slice key;
	struct value v;

	while (dict_next(&r, &key, &v))
		if (!slice_eq(key, slice_str("/Type")) &&
		    (v.type != VALUE_DICT || !only_keys(v, keys, 5)))
			return false;
	return !r.bad;
}

static enum status check_form(struct addition *a, struct value now, struct value was,
			      struct finding *f)
{
	static const char *const but[] = { "/Fields" };
	struct value form = open_value(a, now, was), old = old_value(a, was);
	struct value last = { .type = VALUE_BAD };
	size_t more = 0;

	if (!dict_same(old, form, but, 1) ||
	    !array_continues(old_value(a, dict_get(old, "/Fields")),
			     open_value(a, dict_get(form, "/Fields"), dict_get(old, "/Fields")),
			     &more, &last) ||
	    more > 1)
		return pdf_bad(f, "PDF: revision %u changes the form", a->i + 1u);
	return more == 1 ? read_stamp(a, value_ref(last), f) : ST_OK;
}

static enum status check_catalog(struct addition *a, struct finding *f)
{
	static const char *const but[] = { "/DSS", "/AcroForm", "/Extensions" };
	const struct object *was = pdf_object(a->pdf, a->pdf->root, a->i - 1);
	const struct object *now = pdf_object(a->pdf, a->pdf->root, a->i);
	struct value is[3], old[3];
	enum status st;

	take(a, a->pdf->root);
	if (was == NULL || now == NULL || was->stream || now->stream ||
	    !dict_same(was->value, now->value, but, 3))
		return pdf_bad(f, "PDF: revision %u changes the catalog", a->i + 1u);
	dict_read(was->value, but, old, 3);
	dict_read(now->value, but, is, 3);
	if (is[2].type == VALUE_BAD ? old[2].type != VALUE_BAD :
	    is[2].type != VALUE_DICT || !only_says_so(is[2]))
		return pdf_bad(f, "PDF: revision %u changes the catalog's extensions", a->i + 1u);
	st = check_form(a, is[1], old[1], f);
	return st == ST_OK ? read_dss(a, is[0], old[0], f) : st;
}

/* ---- the whole revision ---- */

static enum status check_objects(struct addition *a, struct finding *f)
{
	enum status st = ST_OK;

	for (uint32_t k = 0; st == ST_OK && k < a->rev->objects_n; k++)
		if (!a->seen[k])
			st = check_page(a, &a->rev->objects[k], f);
	if (st == ST_OK && a->stamp->object == 0 && a->dss->revision != a->i)
		st = pdf_bad(f, "the document was changed after its last signature (byte %llu on)",
			     (unsigned long long)a->rev->start);
	return st;
}

enum status later_read(const struct pdf *pdf, uint8_t i, struct found_signature *stamp,
		       struct dss *dss, struct finding *f)
{
	static const char *const keys[] = { "/Size", "/Root", "/ID", "/Prev" };
	struct addition a = { .pdf = pdf, .rev = &pdf->revisions[i], .i = i, .stamp = stamp,
			      .dss = dss };
	enum status st;

	*stamp = (struct found_signature){ .revision = i };
	if (a.rev->objects_n > LATER_OBJECTS_MAX)
		return pdf_foreign(f, "revision %u has more objects than are looked at", i + 1u);
	if (!only_keys(a.rev->trailer, keys, 4))
		return pdf_bad(f, "PDF: the trailer of revision %u says more than it may", i + 1u);
	if (dss->certs == NULL)
		dss->certs = sk_X509_new_null();
	if (dss->crls == NULL)
		dss->crls = sk_X509_CRL_new_null();
	a.seen = calloc(a.rev->objects_n + 1, sizeof(*a.seen));
	if (a.seen == NULL || dss->certs == NULL || dss->crls == NULL) {
		free(a.seen);
		return ST_NOMEM;
	}
	st = check_catalog(&a, f);
	if (st == ST_OK)
		st = check_objects(&a, f);
	free(a.seen);
	if (dss->read > LATER_BYTES_MAX)
		st = pdf_foreign(f, "revision %u refers to more than is looked at", i + 1u);
	return st;
}

/* ---- what stood before ---- */

/* Is there a reference in a value of revision k to what only one from `first` on has? */
static bool waits(const struct pdf *pdf, uint8_t k, uint8_t first, struct value v)
{
	struct reader r;
	struct slice key;
	struct value w;

	if (v.type == VALUE_REF)
		return pdf_object(pdf, value_ref(v), k < first ? first - 1 : k) == NULL &&
			pdf_object(pdf, value_ref(v), pdf->revisions_n - 1) != NULL;
	if (v.type == VALUE_DICT) {
		r = dict_entries(v);
		while (dict_next(&r, &key, &w))
			if (waits(pdf, k, first, w))
				return true;
	} else if (v.type == VALUE_ARRAY) {
		r = array_elements(v);
		while (array_next(&r, &w))
			if (waits(pdf, k, first, w))
				return true;
	}
	return false;
}

enum status later_check_references(const struct pdf *pdf, uint8_t first, struct finding *f)
{
	for (uint8_t k = 0; first < pdf->revisions_n && k < pdf->revisions_n - 1; k++) {
		const struct revision *rev = &pdf->revisions[k];

		for (uint32_t n = 0; n < rev->objects_n; n++)
			if (waits(pdf, k, first, rev->objects[n].value))
				return pdf_bad(f, "PDF: object %u waited for one that was added "
					       "after it was signed", rev->objects[n].number);
	}
	return ST_OK;
}
