#include "verify/anyfile.h"

#include <stdlib.h>

#include "verify/anysection.h"
#include "verify/revision.h"

static int by_number(const void *a, const void *b)
{
	const struct any_object *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int by_offset(const void *a, const void *b)
{
	const struct any_object *x = *(struct any_object *const *)a;
	const struct any_object *y = *(struct any_object *const *)b;

	return (x->at > y->at) - (x->at < y->at);
}

static struct any_object *own_object(const struct any_revision *rev, uint64_t number)
{
	struct any_object key = { .number = (uint32_t)number };

	return number > UINT32_MAX ? NULL :
		bsearch(&key, rev->objects, rev->objects_n, sizeof(key), by_number);
}

const struct any_object *any_object(const struct any *a, uint32_t number, uint8_t upto)
{
	for (int i = upto; i >= 0; i--) {
		const struct any_object *o = own_object(&a->revisions[i], number);

		if (o != NULL)
			return o->kind == ANY_FREE ? NULL : o;
	}
	return NULL;
}

struct value any_follow(const struct any *a, struct value v, uint8_t upto)
{
	static const struct value nothing = { VALUE_BAD, { NULL, 0 } };
	const struct any_object *o;

	if (v.type != VALUE_REF)
		return v;
	o = any_object(a, value_ref(v), upto);
	return o == NULL || o->stream || o->value.type == VALUE_REF ? nothing : o->value;
}

/* ---- objects that stand in the file ---- */

/* A length that stands in an object of its own, which may not have been read yet. */
static bool length_of(const struct any *a, uint8_t revision, struct value v, uint64_t *length)
{
	const struct any_object *o;
	struct reader r;
	struct value n;

	if (v.type != VALUE_REF)
		return value_uint(v, length);
	o = any_object(a, value_ref(v), revision);
	if (o == NULL || o->kind != ANY_AT)
		return false;
	r = (struct reader){ a->file.p + o->at, a->file.p + a->file.n, false };
	token_number(&r);
	token_literal(&r, " 0 obj");
	n = token_value(&r);
	return !r.bad && value_uint(n, length);
}

static void read_stream(const struct any *a, uint8_t revision, struct any_object *o,
			struct reader *r)
{
	uint64_t length;

	token_literal(r, "stream");
	if (!r->bad && reader_left(r) > 0 && *r->p == '\r')
		r->p++;
	token_literal(r, "\n");
	if (o->value.type != VALUE_DICT ||
	    !length_of(a, revision, dict_get(o->value, "/Length"), &length)) {
		r->bad = true;
		return;
	}
	o->data = read_bytes(r, length);
	token_space(r);
	token_literal(r, "endstream");
	token_gap(r);
	o->stream = true;
}

/* Between here and its end, so far as that can be told. */
static bool says_signature(const struct any *a, uint64_t at)
{
	const uint8_t *p = a->file.p + at;
	const uint8_t *end = memmem(p, a->file.n - at, "endobj", 6);

	return end != NULL && memmem(p, (size_t)(end - p), "/ByteRange", 10) != NULL;
}

static enum status read_at(struct any *a, uint8_t revision, struct any_object *o,
			   struct finding *f)
{
	struct reader r = { a->file.p + o->at, a->file.p + a->file.n, false };

	if (token_number(&r) != o->number)
		r.bad = true;
	token_literal(&r, " 0 obj");
	if (r.bad)
		return pdf_bad(f, "object %u does not stand at byte %llu", o->number,
			       (unsigned long long)o->at);
	o->value = token_value(&r);
	token_space(&r);
	if (!r.bad && reader_left(&r) > 0 && *r.p == 's')
		read_stream(a, revision, o, &r);
	token_literal(&r, "endobj");
	o->end = (uint64_t)(r.p - a->file.p);
	if (r.bad && says_signature(a, o->at))
		return pdf_bad(f, "object %u at byte %llu is a malformed signature", o->number,
			       (unsigned long long)o->at);
	/* It may be sound, and beyond what token.h reads. */
	return r.bad ? pdf_foreign(f, "object %u at byte %llu is malformed, or of a form that is "
				   "not read", o->number, (unsigned long long)o->at) : ST_OK;
}

static bool is_white(struct slice s)
{
	struct reader r = reader_of(s);

	token_space(&r);
	return r.p == r.end;
}

/* In the order of the file: none overlaps another one or lies outside of its revision. */
static enum status read_standing(struct any *a, uint8_t revision, struct any_object **order,
				 uint32_t n, struct finding *f)
{
	struct any_revision *rev = &a->revisions[revision];
	uint64_t at = rev->start;

	rev->tiled = true;
	qsort(order, n, sizeof(struct any_object *), by_offset);
	for (uint32_t i = 0; i < n; i++) {
		enum status st;

		if (order[i]->at < at || order[i]->at >= rev->mark)
			return pdf_bad(f, "object %u overlaps another one, or lies outside of its "
				       "revision", order[i]->number);
		rev->tiled &= is_white(slice_of(a->file.p + at, order[i]->at - at));
		st = read_at(a, revision, order[i], f);
		if (st != ST_OK)
			return st;
		at = order[i]->end;
	}
	/* A cross-reference stream is one of the objects. */
	rev->tiled &= at > rev->section ||
		      is_white(slice_of(a->file.p + at, rev->section - at));
	return ST_OK;
}

/* ---- objects that stand in streams ---- */

struct packed { uint64_t number; struct slice data, head; uint64_t n, first; };

static enum status open_packed(struct any *a, uint8_t revision, uint64_t number, struct packed *p,
			       struct finding *f)
{
	const struct any_object *o = own_object(&a->revisions[revision], number);
	enum status st;

	if (o == NULL || o->kind != ANY_AT || !o->stream ||
	    !value_is(dict_get(o->value, "/Type"), VALUE_NAME, "/ObjStm") ||
	    !value_uint(dict_get(o->value, "/N"), &p->n) ||
	    !value_uint(dict_get(o->value, "/First"), &p->first))
		return pdf_bad(f, "object %llu is no object stream of its revision",
			       (unsigned long long)number);
	st = any_inflate(a, o->value, o->data, &p->data, f);
	if (st != ST_OK)
		return st;
	if (p->first > p->data.n || p->n > ANY_OBJECTS_MAX)
		return pdf_bad(f, "object stream %llu is damaged", (unsigned long long)number);
	p->number = number;
	p->head = slice_of(p->data.p, p->first);
	return ST_OK;
}

/* Its objects, in order, as far as the cross-reference knows them: all, and no other. */
static enum status read_packed(struct any *a, uint8_t revision, uint64_t number, struct finding *f)
{
	struct any_revision *rev = &a->revisions[revision];
	struct packed p = { 0 };
	enum status st = open_packed(a, revision, number, &p, f);
	struct reader head = reader_of(p.head);

	for (uint64_t i = 0; st == ST_OK && i < p.n; i++) {
		uint64_t name, at;
		struct any_object *o;
		struct reader r;

		token_space(&head);
		name = token_number(&head);
		token_gap(&head);
		at = token_number(&head);
		if (head.bad || p.first + at > p.data.n)
			return pdf_bad(f, "object stream %llu is damaged",
				       (unsigned long long)number);
		o = own_object(rev, name);
		if (o == NULL || o->kind != ANY_WITHIN || o->at != number || o->end != i)
			return pdf_bad(f, "object %llu stands in a stream where the "
				       "cross-reference does not have it",
				       (unsigned long long)name);
		r = reader_of(slice_of(p.data.p + p.first + at, p.data.n - p.first - at));
		o->value = token_value(&r);
		if (r.bad || o->value.type == VALUE_REF)
			return pdf_foreign(f, "object %u in a stream is of a form that is not "
					   "read", o->number);
	}
	return st;
}

static enum status read_within(struct any *a, uint8_t revision, struct finding *f)
{
	struct any_revision *rev = &a->revisions[revision];
	enum status st = ST_OK;

	for (uint32_t i = 0; st == ST_OK && i < rev->objects_n; i++) {
		const struct any_object *o = &rev->objects[i];

		if (o->kind == ANY_WITHIN && o->value.s.p == NULL)
			st = read_packed(a, revision, o->at, f);
		if (st == ST_OK && o->kind == ANY_WITHIN && o->value.s.p == NULL)
			st = pdf_bad(f, "object %u is not in its stream", o->number);
	}
	return st;
}

/* ---- all of it ---- */

static enum status sort_objects(struct any_revision *rev, struct finding *f)
{
	qsort(rev->objects, rev->objects_n, sizeof(*rev->objects), by_number);
	for (uint32_t i = 1; i < rev->objects_n; i++)
		if (rev->objects[i].number == rev->objects[i - 1].number)
			return pdf_bad(f, "object %u stands twice in one revision",
				       rev->objects[i].number);
	return ST_OK;
}

static enum status read_revision(struct any *a, uint8_t revision, struct finding *f)
{
	struct any_revision *rev = &a->revisions[revision];
	struct any_object **order = malloc((rev->objects_n + 1u) * sizeof(struct any_object *));
	uint32_t n = 0;
	enum status st = order == NULL ? ST_NOMEM : ST_OK;

	for (uint32_t i = 0; st == ST_OK && i < rev->objects_n; i++)
		if (rev->objects[i].kind == ANY_AT)
			order[n++] = &rev->objects[i];
	if (st == ST_OK)
		st = read_standing(a, revision, order, n, f);
	free(order);
	return st == ST_OK ? read_within(a, revision, f) : st;
}

static enum status check_trailers(struct any *a, struct finding *f)
{
	struct value id = { VALUE_BAD, { NULL, 0 } };

	for (uint8_t i = 0; i < a->revisions_n; i++) {
		const struct any_revision *rev = &a->revisions[i];
		struct reader r = array_elements(dict_get(rev->trailer, "/ID"));
		uint32_t root = value_ref(dict_get(rev->trailer, "/Root"));
		struct value first = { VALUE_BAD, { NULL, 0 } };

		array_next(&r, &first);
		if (root == 0 || (i > 0 && root != a->root) ||
		    (i > 0 && rev->size < a->revisions[i - 1].size) ||
		    (i > 0 && !slice_eq(first.s, id.s)))
			return pdf_bad(f, "revision %u: /Root, /Size or /ID of the trailer is "
				       "wrong", i + 1u);
		a->root = root;
		id = first;
	}
	return ST_OK;
}

static enum status check_header(struct slice file, struct finding *f)
{
	if (file.n < 64 || memcmp(file.p, "%PDF-", 5) != 0)
		return pdf_bad(f, "the file does not begin as a PDF");
	if (!(file.p[5] == '1' && file.p[7] >= '0' && file.p[7] <= '7') &&
	    !(file.p[5] == '2' && file.p[7] == '0'))
		return pdf_foreign(f, "the header names no version that is known");
	return ST_OK;
}

enum status any_open(struct any *a, struct slice file, struct finding *f)
{
	uint64_t start = 0;
	enum status st;

	*a = (struct any){ .file = file };
	st = check_header(file, f);
	if (st == ST_OK)
		st = any_sections(a, f);
	for (uint8_t i = 0; st == ST_OK && i < a->revisions_n; i++) {
		a->revisions[i].start = start;
		start = a->revisions[i].mark;
		st = sort_objects(&a->revisions[i], f);
	}
	for (uint8_t i = 0; st == ST_OK && i < a->revisions_n; i++)
		st = read_revision(a, i, f);
	return st == ST_OK ? check_trailers(a, f) : st;
}

void any_close(struct any *a)
{
	for (uint8_t i = 0; i < ANY_REVISIONS_MAX; i++)
		free(a->revisions[i].objects);
	for (uint32_t i = 0; i < a->buffers_n; i++)
		free(a->buffers[i]);
	free(a->buffers);
	*a = (struct any){ 0 };
}
