#include <stdlib.h>

#include "verify/anysign.h"
#include "verify/revision.h"

#define COMPARE_DEPTH_MAX 24

/* One revision after the first signed one, beside the document as it was before. */
struct change {
	const struct any *a;
	const struct any_signatures *all;
	uint8_t revision;
	const struct any_signature *here;	/* the signature that it brings; NULL: none */
	struct any_form before, after;
	uint8_t *references;		/* how often each number is referred to before; 255: more */
	uint32_t acroform, fields;	/* object numbers before; 0: not objects of their own */
	uint32_t info;
	struct finding *f;
};

/* ---- values beside each other ---- */

static bool same(struct value a, struct value b, uint32_t depth);

static bool is_one_of(struct slice key, const char *const *keys)
{
	for (size_t i = 0; keys != NULL && keys[i] != NULL; i++)
		if (slice_eq(key, slice_str(keys[i])))
			return true;
	return false;
}

/*
 * The entries of both but `except`. One way and the count: no key stands twice, and both ways would
 * double with each dictionary inside another.
 */
static bool same_dict(struct value a, struct value b, const char *const *except, uint32_t depth)
{
	struct reader r = dict_entries(a);
	struct entries other;
	size_t left = 0, at = 0;
	struct slice key;
	struct value v;

	if (!entries_read(&other, b))
		return false;
	for (size_t i = 0; i < other.n; i++)
		left += !is_one_of(other.keys[i], except);
	for (; dict_next(&r, &key, &v); at++) {
		if (is_one_of(key, except))
			continue;
		if (left-- == 0 || !same(v, entries_get(&other, key, at), depth + 1))
			return false;
	}
	return !r.bad && left == 0;
}

static bool same_array(struct value a, struct value b, uint32_t depth)
{
	struct reader x = array_elements(a), y = array_elements(b);
	struct value v, w;

	while (array_next(&x, &v))
		if (!array_next(&y, &w) || !same(v, w, depth + 1))
			return false;
	return !array_next(&y, &w) && !x.bad && !y.bad;
}

/* Written anew, spaces and the order of keys may differ; nothing else. */
static bool same(struct value a, struct value b, uint32_t depth)
{
	if (depth > COMPARE_DEPTH_MAX || a.type != b.type)
		return false;
	if (slice_eq(a.s, b.s))
		return true;
	if (a.type == VALUE_DICT)
		return same_dict(a, b, NULL, depth);
	return a.type == VALUE_ARRAY && same_array(a, b, depth);
}

static bool same_but(struct value a, struct value b, const char *const *except)
{
	return same_dict(a, b, except, 0);
}

/* ---- what refers to what ---- */

static void count(uint8_t *n, struct value v, uint32_t depth)
{
	struct reader r = v.type == VALUE_DICT ? dict_entries(v) : array_elements(v);
	struct slice key;
	struct value one;
	uint32_t to = value_ref(v);

	if (to > 0 && to < ANY_OBJECTS_MAX && n[to] < UINT8_MAX)
		n[to]++;
	if (depth > TOKEN_DEPTH_MAX || (v.type != VALUE_DICT && v.type != VALUE_ARRAY))
		return;
	while (v.type == VALUE_DICT ? dict_next(&r, &key, &one) : array_next(&r, &one))
		count(n, one, depth + 1);
}

/* Of all that is shown before. */
static void count_all(const struct any *a, uint8_t upto, uint8_t *n)
{
	memset(n, 0, ANY_OBJECTS_MAX);
	for (uint8_t i = 0; i <= upto; i++)
		for (uint32_t k = 0; k < a->revisions[i].objects_n; k++) {
			const struct any_object *o = &a->revisions[i].objects[k];

			/* A cross-reference stream is a trailer: it shows nothing. */
			if (any_object(a, o->number, upto) == o &&
			    !value_is(dict_get(o->value, "/Type"), VALUE_NAME, "/XRef"))
				count(n, o->value, 0);
		}
}

/* So that it is nothing else, too: what may change as one may not as the other. */
static bool has_one_use(const struct change *c, uint32_t number)
{
	return number < ANY_OBJECTS_MAX && c->references[number] <= 1;
}

/* ---- what may be changed ---- */

static const struct any_field *field_of(const struct any_form *form, uint32_t number)
{
	for (uint32_t i = 0; i < form->n; i++)
		if (form->fields[i].number == number)
			return &form->fields[i];
	return NULL;
}

static bool is_new(const struct change *c, uint32_t number)
{
	return number > 0 && any_object(c->a, number, c->revision - 1) == NULL;
}

/* A field that this revision brings, with its signature. */
static bool is_new_field(const struct change *c, struct value v)
{
	uint32_t number = value_ref(v);

	return is_new(c, number) && c->here != NULL && c->here->field == number;
}

/* The old elements, in their order, then fields that are new. */
static bool grown(const struct change *c, struct value was, struct value is)
{
	struct reader x = array_elements(was), y = array_elements(is);
	struct value v, w;

	if (is.type != VALUE_ARRAY || (was.type != VALUE_ARRAY && was.type != VALUE_BAD))
		return false;
	while (array_next(&x, &v))
		if (!array_next(&y, &w) || !same(v, w, 0))
			return false;
	while (array_next(&y, &w))
		if (!is_new_field(c, w))
			return false;
	return was.type == VALUE_BAD || (!x.bad && !y.bad);
}

/* An array in place, or by a reference that stays. */
static bool grown_entry(const struct change *c, struct value was, struct value is)
{
	if (was.type == VALUE_REF || is.type == VALUE_REF)
		return same(was, is, 0) || (was.type == VALUE_BAD && is_new(c, value_ref(is)) &&
		       grown(c, was, any_follow(c->a, is, c->revision)));
	return same(was, is, 0) || grown(c, was, is);
}

static bool may_acroform(const struct change *c, struct value was, struct value is)
{
	static const char *const free_keys[] = { "/Fields", "/SigFlags", NULL };

	return same_but(was, is, free_keys) &&
	       grown_entry(c, dict_get(was, "/Fields"), dict_get(is, "/Fields"));
}

static bool may_catalog(const struct change *c, struct value was, struct value is)
{
	static const char *const free_keys[] = { "/AcroForm", "/DSS", "/Extensions", NULL };
	struct value form = dict_get(was, "/AcroForm"), dss = dict_get(is, "/DSS");
	struct value old_dss = dict_get(was, "/DSS");

	if (!same_but(was, is, free_keys) ||
	    dict_get(is, "/Extensions").type == VALUE_REF ||
	    (old_dss.type == VALUE_REF && !same(old_dss, dss, 0)) ||
	    (dss.type == VALUE_REF && old_dss.type != VALUE_REF && !is_new(c, value_ref(dss))))
		return false;
	return same(form, dict_get(is, "/AcroForm"), 0) ||
	       may_acroform(c, form, dict_get(is, "/AcroForm"));
}

static bool may_page(const struct change *c, struct value was, struct value is)
{
	static const char *const free_keys[] = { "/Annots", NULL };

	return same_but(was, is, free_keys) &&
	       grown_entry(c, dict_get(was, "/Annots"), dict_get(is, "/Annots"));
}

/* Its signature, and what it looks like: only of objects that are new, as nothing old changes. */
static bool may_field(const struct change *c, const struct any_field *field, struct value was,
		      struct value is)
{
	static const char *const free_keys[] = { "/V", "/AP", NULL };
	struct reader r = dict_entries(dict_get(is, "/AP"));
	struct slice key;
	struct value v;

	if (field->value != 0 || field->parted || c->here == NULL ||
	    c->here->field != field->number || !same_but(was, is, free_keys))
		return false;
	if (same(dict_get(was, "/AP"), dict_get(is, "/AP"), 0))
		return true;
	while (dict_next(&r, &key, &v))
		if (!slice_eq(key, slice_str("/N")) || value_ref(v) == 0)
			return false;
	return true;
}

static bool may_info(struct value was, struct value is)
{
	static const char *const free_keys[] = { "/ModDate", "/Producer", NULL };

	return same_but(was, is, free_keys);
}

/* Dictionaries and arrays below /DSS, as they were before: ISO 32000-2, 12.8.4.3. */
static bool in_dss(const struct change *c, uint32_t number)
{
	static const char *const keys[] = { "/Certs", "/CRLs", "/OCSPs", "/VRI" };
	const struct any_object *root = any_object(c->a, c->a->root, c->revision - 1);
	struct value entry = dict_get(root->value, "/DSS");
	struct value dss = any_follow(c->a, entry, c->revision - 1);

	if (value_ref(entry) == number)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (value_ref(dict_get(dss, keys[i])) == number)
			return true;
	return false;
}

/* The /Annots of a page, where they are an object of their own. */
static bool is_annotations(const struct change *c, uint32_t number)
{
	for (uint8_t i = 0; i < c->revision; i++)
		for (uint32_t k = 0; k < c->a->revisions[i].objects_n; k++) {
			const struct any_object *o = &c->a->revisions[i].objects[k];

			if (value_is(dict_get(o->value, "/Type"), VALUE_NAME, "/Page") &&
			    value_ref(dict_get(o->value, "/Annots")) == number)
				return true;
		}
	return false;
}

static bool may_change(const struct change *c, const struct any_object *was,
		       const struct any_object *is)
{
	const struct any_field *field = field_of(&c->before, is->number);
	uint32_t n = is->number;

	if (was->stream || is->stream)
		return was->stream && is->stream && same(was->value, is->value, 0) &&
		       slice_eq(was->data, is->data);
	if (same(was->value, is->value, 0))
		return true;
	if (n == c->a->root)
		return may_catalog(c, was->value, is->value);
	if (field != NULL)
		return may_field(c, field, was->value, is->value);
	if (value_is(dict_get(was->value, "/Type"), VALUE_NAME, "/Page"))
		return may_page(c, was->value, is->value);
	if (!has_one_use(c, n))
		return false;
	if (n == c->acroform)
		return may_acroform(c, was->value, is->value);
	if (n == c->fields || is_annotations(c, n))
		return grown(c, was->value, is->value);
	if (n == c->info)
		return may_info(was->value, is->value);
	return in_dss(c, n);
}

static enum status check_objects(const struct change *c)
{
	const struct any_revision *rev = &c->a->revisions[c->revision];

	for (uint32_t i = 0; i < rev->objects_n; i++) {
		const struct any_object *is = &rev->objects[i];
		const struct any_object *was = any_object(c->a, is->number, c->revision - 1);
		bool known = is->number < ANY_OBJECTS_MAX && c->references[is->number] > 0;

		if (is->kind == ANY_FREE && was == NULL)
			continue;
		/* Whatever referred to it before would show it now. */
		if (was == NULL && known)
			return pdf_bad(c->f, "PDF: object %u, which was missing, was added after a "
				       "signature", is->number);
		if (was != NULL && (is->kind == ANY_FREE || !may_change(c, was, is)))
			return pdf_bad(c->f, "PDF: object %u was changed after a signature",
				       is->number);
	}
	return ST_OK;
}

/* ---- what is added ---- */

/* Objects of this revision that are still to be followed, and those that were. */
struct reach { const struct any_object **left; uint32_t left_n; bool *seen; };

static void follow(const struct change *c, struct reach *w, struct value v, uint32_t depth)
{
	const struct any_revision *rev = &c->a->revisions[c->revision];
	struct reader r = v.type == VALUE_DICT ? dict_entries(v) : array_elements(v);
	const struct any_object *o;
	struct slice key;
	struct value one;

	if (v.type == VALUE_REF && is_new(c, value_ref(v))) {
		o = any_object(c->a, value_ref(v), c->revision);
		if (o != NULL && !w->seen[o - rev->objects]) {
			w->seen[o - rev->objects] = true;
			w->left[w->left_n++] = o;
		}
	}
	if (depth > TOKEN_DEPTH_MAX || (v.type != VALUE_DICT && v.type != VALUE_ARRAY))
		return;
	while (v.type == VALUE_DICT ? dict_next(&r, &key, &one) : array_next(&r, &one))
		follow(c, w, one, depth + 1);
}

/* Each new object belongs to what was let be changed: nothing is left lying for somebody else. */
static enum status check_added(const struct change *c)
{
	const struct any_revision *rev = &c->a->revisions[c->revision];
	struct reach w = { calloc(rev->objects_n + 1u, sizeof(struct any_object *)), 0,
			   calloc(rev->objects_n + 1u, sizeof(bool)) };
	enum status st = w.left != NULL && w.seen != NULL ? ST_OK : ST_NOMEM;

	for (uint32_t i = 0; st == ST_OK && i < rev->objects_n; i++)
		if (!is_new(c, rev->objects[i].number))
			follow(c, &w, rev->objects[i].value, 0);
	if (st == ST_OK)
		follow(c, &w, dict_get(rev->trailer, "/Info"), 0);
	while (st == ST_OK && w.left_n > 0)
		follow(c, &w, w.left[--w.left_n]->value, 0);
	for (uint32_t i = 0; st == ST_OK && i < rev->objects_n; i++) {
		const struct any_object *o = &rev->objects[i];
		struct value type = dict_get(o->value, "/Type");
		bool frame = o->stream && (value_is(type, VALUE_NAME, "/XRef") ||
					   value_is(type, VALUE_NAME, "/ObjStm"));

		if (o->kind != ANY_FREE && is_new(c, o->number) && !w.seen[i] && !frame)
			st = pdf_bad(c->f, "PDF: object %u, which belongs to nothing, was added "
				     "after a signature", o->number);
	}
	free(w.left);
	free(w.seen);
	return st;
}

/* ---- a signature after another one ---- */

/* What the signatures before let it be: DocMDP (12.8.2.2), FieldMDP (12.8.2.4). */
static enum status check_permission(const struct change *c)
{
	const struct any_field *after = field_of(&c->after, c->here->field);
	const struct any_field *before = field_of(&c->before, c->here->field);

	if (before == NULL && after->visible && c->here->timestamp)
		return pdf_bad(c->f, "PDF: a time-stamp was made visible");
	if (c->here->timestamp)
		return ST_OK;
	if (c->here->docmdp != 0)
		return pdf_bad(c->f, "PDF: only the first signature may certify the document");
	for (uint8_t i = 0; i < c->all->n; i++) {
		const struct any_signature *s = &c->all->list[i];

		if (s->revision >= c->revision)
			break;
		if (s->docmdp == 1 || s->locks_all || (s->locks_some && before != NULL))
			return pdf_bad(c->f, "PDF: signature %u forbids any later one", i + 1u);
		/* Sneaky Signature: drawn over what was certified. */
		if (s->docmdp != 0 && before == NULL && after->visible)
			return pdf_bad(c->f, "PDF: a visible field was added to a certified "
				       "document");
	}
	return ST_OK;
}

static enum status check_form(const struct change *c)
{
	for (uint32_t i = 0; i < c->after.n; i++) {
		const struct any_field *is = &c->after.fields[i];
		const struct any_field *was = field_of(&c->before, is->number);
		bool here = c->here != NULL && c->here->field == is->number;

		if (here ? was != NULL && was->value != 0 :
			   was == NULL || was->value != is->value)
			return pdf_bad(c->f, "PDF: field object %u was changed or added after a "
				       "signature", is->number);
	}
	if (c->before.n > c->after.n)
		return pdf_bad(c->f, "PDF: a field was taken away after a signature");
	return c->here != NULL ? check_permission(c) : ST_OK;
}

/* ---- one revision ---- */

static void find_places(struct change *c)
{
	uint8_t upto = c->revision - 1;
	const struct any_object *root = any_object(c->a, c->a->root, upto);
	struct value form = dict_get(root->value, "/AcroForm");

	c->acroform = value_ref(form);
	c->fields = value_ref(dict_get(any_follow(c->a, form, upto), "/Fields"));
	for (uint8_t i = 0; i <= upto; i++)
		c->info = value_ref(dict_get(c->a->revisions[i].trailer, "/Info"));
}

static enum status check_trailer(const struct change *c)
{
	struct value was = dict_get(c->a->revisions[c->revision - 1].trailer, "/Info");
	struct value is = dict_get(c->a->revisions[c->revision].trailer, "/Info");

	if (!c->a->revisions[c->revision].tiled)
		return pdf_bad(c->f, "PDF: revision %u has bytes between its objects",
			       c->revision + 1u);
	if (was.type != VALUE_BAD && is.type != VALUE_BAD && !same(was, is, 0))
		return pdf_bad(c->f, "PDF: /Info was exchanged after a signature");
	return ST_OK;
}

/* A revision without a signature brings evidence: /DSS, or something below it, is another. */
static bool brings_evidence(const struct change *c)
{
	const struct any_revision *rev = &c->a->revisions[c->revision];
	const struct any_object *was = any_object(c->a, c->a->root, c->revision - 1);
	const struct any_object *is = any_object(c->a, c->a->root, c->revision);
	struct value before = dict_get(was->value, "/DSS"), after = dict_get(is->value, "/DSS");

	if (after.type == VALUE_BAD || !same(before, after, 0))
		return after.type != VALUE_BAD;
	for (uint32_t i = 0; i < rev->objects_n; i++)
		if (in_dss(c, rev->objects[i].number))
			return true;
	return false;
}

static enum status check_revision(struct change *c)
{
	enum status st;

	for (uint8_t i = 0; i < c->all->n; i++)
		if (c->all->list[i].revision == c->revision)
			c->here = &c->all->list[i];
	st = check_trailer(c);
	if (st == ST_OK)
		st = any_form_read(c->a, c->revision - 1, &c->before, c->f);
	if (st == ST_OK)
		st = any_form_read(c->a, c->revision, &c->after, c->f);
	if (st != ST_OK)
		return st;
	find_places(c);
	count_all(c->a, c->revision - 1, c->references);
	st = check_objects(c);
	if (st == ST_OK && c->here == NULL && !brings_evidence(c))
		st = pdf_bad(c->f, "PDF: revision %u, behind a signature, brings neither a "
			     "signature nor evidence", c->revision + 1u);
	if (st == ST_OK)
		st = check_added(c);
	return st == ST_OK ? check_form(c) : st;
}

enum status any_changes_check(const struct any *a, const struct any_signatures *s,
			      struct finding *f)
{
	uint8_t *references = malloc(ANY_OBJECTS_MAX);
	enum status st = references == NULL ? ST_NOMEM : ST_OK;

	for (uint32_t i = s->list[0].revision + 1u; st == ST_OK && i < a->revisions_n; i++) {
		struct change c = { .a = a, .all = s, .revision = (uint8_t)i,
				    .references = references, .f = f };

		st = check_revision(&c);
	}
	free(references);
	return st;
}
