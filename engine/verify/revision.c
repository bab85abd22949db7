#include "verify/revision.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify/same.h"

#define ENTRY_BYTES 20

static enum status say(struct finding *f, enum verdict v, enum indication i, enum status st,
		       const char *fmt, va_list ap)
{
	*f = (struct finding){ v, i, "" };
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	return st;
}

enum status pdf_bad(struct finding *f, const char *fmt, ...)
{
	enum status st;
	va_list ap;

	va_start(ap, fmt);
	st = say(f, VERDICT_FAILED, IND_FORMAT_FAILURE, ST_INVALID, fmt, ap);
	va_end(ap);
	return st;
}

enum status pdf_foreign(struct finding *f, const char *fmt, ...)
{
	enum status st;
	va_list ap;

	va_start(ap, fmt);
	st = say(f, VERDICT_INDETERMINATE, IND_GENERIC, ST_UNSUPPORTED, fmt, ap);
	va_end(ap);
	return st;
}

static struct reader reader_at(const struct pdf *pdf, uint64_t offset)
{
	return (struct reader){ pdf->file.p + offset, pdf->file.p + pdf->file.n, false };
}

static uint64_t offset_of(const struct pdf *pdf, const struct reader *r)
{
	return (uint64_t)(r->p - pdf->file.p);
}

/* ---- cross-reference table and trailer ---- */

static enum status add_entry(struct revision *rev, uint64_t number, struct slice line,
			     struct finding *f)
{
	struct reader r = reader_of(line);
	uint64_t offset = token_number(&r), generation;
	uint8_t kind;

	token_literal(&r, " ");
	generation = token_number(&r);
	token_literal(&r, " ");
	kind = read_u8(&r);
	if (r.bad || line.p[10] != ' ' || line.p[16] != ' ' || (kind != 'n' && kind != 'f') ||
	    (memcmp(line.p + 18, " \n", 2) != 0 && memcmp(line.p + 18, "\r\n", 2) != 0))
		return pdf_bad(f, "cross-reference entry of object %llu is malformed",
			       (unsigned long long)number);
	if (kind == 'f') {
		/* A freed object is one that another reader may still find. */
		if (number != 0 || generation != 65535)
			return pdf_bad(f, "object %llu is marked free", (unsigned long long)number);
		return ST_OK;
	}
	if (number == 0 || generation != 0)
		return pdf_bad(f, "object %llu: generation %llu is not allowed",
			       (unsigned long long)number, (unsigned long long)generation);
	rev->objects[rev->objects_n++] = (struct object){ .number = (uint32_t)number,
							  .offset = offset };
	return ST_OK;
}

/* Room for as many entries as the next section names. */
static enum status grow(struct revision *rev, uint64_t count, struct finding *f)
{
	size_t n = rev->objects_n + (size_t)count;
	struct object *more;

	if (n > OBJECTS_MAX)
		return pdf_bad(f, "more than %u objects in one revision", OBJECTS_MAX);
	more = realloc(rev->objects, n * sizeof(*more));
	if (more == NULL)
		return ST_NOMEM;
	rev->objects = more;
	return ST_OK;
}

static enum status read_sections(struct revision *rev, struct reader *r, struct finding *f)
{
	uint64_t next = 0;

	while (!r->bad && r->p < r->end && *r->p >= '0' && *r->p <= '9') {
		uint64_t first = token_number(r), count;
		enum status st;

		token_literal(r, " ");
		count = token_number(r);
		token_literal(r, "\n");
		if (r->bad || first < next || count == 0 || count > OBJECTS_MAX ||
		    first + count > UINT32_MAX || count > reader_left(r) / ENTRY_BYTES)
			return pdf_bad(f, "the cross-reference table at byte %llu is malformed",
				       (unsigned long long)rev->xref);
		st = grow(rev, count, f);
		for (uint64_t i = 0; i < count && st == ST_OK; i++)
			st = add_entry(rev, first + i, read_bytes(r, ENTRY_BYTES), f);
		if (st != ST_OK)
			return st;
		next = first + count;
	}
	return ST_OK;
}

/* Reads table, trailer, startxref and %%EOF of the revision whose table stands at rev->xref. */
static enum status read_revision(const struct pdf *pdf, struct revision *rev, struct finding *f)
{
	struct reader r = reader_at(pdf, rev->xref);
	enum status st;
	uint64_t at;

	if (reader_left(&r) > 0 && *r.p >= '0' && *r.p <= '9')
		return pdf_foreign(f, "the file uses cross-reference streams, which this engine "
				      "never writes");
	token_literal(&r, "xref\n");
	if (r.bad)
		return pdf_bad(f, "there is no cross-reference table at byte %llu",
			       (unsigned long long)rev->xref);
	st = read_sections(rev, &r, f);
	if (st != ST_OK)
		return st;
	token_literal(&r, "trailer");
	rev->trailer = token_value(&r);
	token_space(&r);
	token_literal(&r, "startxref\n");
	at = token_number(&r);
	token_literal(&r, "\n%%EOF\n");
	if (r.bad || rev->trailer.type != VALUE_DICT || at != rev->xref)
		return pdf_bad(f, "the trailer after byte %llu is malformed",
			       (unsigned long long)rev->xref);
	rev->end = offset_of(pdf, &r);
	if (dict_get(rev->trailer, "/Encrypt").type != VALUE_BAD)
		return pdf_foreign(f, "the file is encrypted");
	if (dict_get(rev->trailer, "/XRefStm").type != VALUE_BAD)
		return pdf_foreign(f, "the file has two kinds of cross-reference (hybrid)");
	return ST_OK;
}

/* The newest revision's table, from the end of the file: no search, no recovery. */
static enum status find_last(const struct pdf *pdf, uint64_t *xref, struct finding *f)
{
	static const char end[] = "\n%%EOF\n", word[] = "startxref\n";
	const uint8_t *p = pdf->file.p, *q;
	struct reader r;

	if (pdf->file.n < 64 || memcmp(p + pdf->file.n - strlen(end), end, strlen(end)) != 0)
		return pdf_bad(f, "the file does not end with %%%%EOF: it is cut or something "
				  "follows");
	q = p + pdf->file.n - strlen(end);
	while (q > p && q[-1] >= '0' && q[-1] <= '9')
		q--;
	if ((size_t)(q - p) < strlen(word) || memcmp(q - strlen(word), word, strlen(word)) != 0)
		return pdf_bad(f, "startxref is missing at the end of the file");
	r = (struct reader){ q, p + pdf->file.n, false };
	*xref = token_number(&r);
	if (r.bad || *xref >= pdf->file.n)
		return pdf_bad(f, "startxref points outside of the file");
	return ST_OK;
}

static enum status read_chain(struct pdf *pdf, struct finding *f)
{
	struct revision chain[REVISIONS_MAX];	/* newest first */
	uint64_t xref, before = pdf->file.n;
	uint8_t n = 0;
	enum status st = find_last(pdf, &xref, f);

	while (st == ST_OK) {
		struct value prev;

		if (n == REVISIONS_MAX) {
			st = pdf_bad(f, "more than %d revisions", REVISIONS_MAX);
			break;
		}
		chain[n] = (struct revision){ .xref = xref };
		st = read_revision(pdf, &chain[n], f);
		n++;
		if (st != ST_OK)
			break;
		if (n == 1 ? chain[0].end != before : chain[n - 1].end > before) {
			st = pdf_bad(f, "revisions overlap, or bytes follow the last one");
			break;
		}
		before = xref;
		prev = dict_get(chain[n - 1].trailer, "/Prev");
		if (prev.type == VALUE_BAD)
			break;
		if (!value_uint(prev, &xref) || xref >= before)
			st = pdf_bad(f, "/Prev does not point to an earlier revision");
	}
	pdf->revisions_n = n;
	for (uint8_t i = 0; i < n; i++)
		pdf->revisions[i] = chain[n - 1 - i];
	return st;
}

/* ---- objects ---- */

static int by_offset(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static int by_number(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static void take_stream(struct object *o, struct reader *r)
{
	uint64_t length;

	token_literal(r, "stream");
	if (!r->bad && reader_left(r) > 0 && *r->p == '\r')
		r->p++;
	token_literal(r, "\n");
	if (o->value.type != VALUE_DICT || !value_uint(dict_get(o->value, "/Length"), &length)) {
		r->bad = true;
		return;
	}
	o->data = read_bytes(r, length);
	token_gap(r);
	token_literal(r, "endstream");
	token_gap(r);
	o->stream = true;
}

/* One object, which must begin exactly here. */
static enum status read_object(struct object *o, struct reader *r, struct finding *f)
{
	struct value type;

	if (token_number(r) != o->number)
		r->bad = true;
	token_literal(r, " 0 obj");
	o->value = token_value(r);
	token_space(r);
	if (!r->bad && reader_left(r) > 0 && *r->p == 's')
		take_stream(o, r);
	token_literal(r, "endobj");
	token_gap(r);
	if (r->bad)
		return pdf_bad(f, "object %u at byte %llu is malformed", o->number,
			       (unsigned long long)o->offset);
	type = dict_get(o->value, "/Type");
	if (o->stream &&
	    (value_is(type, VALUE_NAME, "/ObjStm") || value_is(type, VALUE_NAME, "/XRef")))
		return pdf_foreign(f, "the file uses object streams, which this engine never "
				      "writes");
	return ST_OK;
}

/*
 * Takes the objects of the known prefix as they were read once, if the table has just these, there.
 * Returns where reading must go on.
 */
static uint64_t take_prefix(const struct prefix *p, struct revision *rev)
{
	uint32_t found = 0, inside = 0;

	for (uint32_t i = 0; i < rev->objects_n; i++) {
		const struct object *o = &rev->objects[i];

		inside += o->offset < p->n;
		found += found < p->objects_n && p->objects[found].number == o->number &&
			 p->objects[found].offset == o->offset;
	}
	if (rev->xref < p->n || found != p->objects_n || inside != found)
		return rev->start;
	for (uint32_t i = 0, k = 0; k < found; i++)
		if (rev->objects[i].number == p->objects[k].number)
			rev->objects[i] = p->objects[k++];
	return p->n;
}

/* The objects must tile the revision: no byte is left in which something else could stand. */
static enum status tile(const struct pdf *pdf, const struct revision *rev, uint64_t start,
			struct object **order, uint32_t n, struct finding *f)
{
	struct reader r = { pdf->file.p + start, pdf->file.p + rev->xref, false };

	for (uint32_t i = 0; i < n; i++) {
		enum status st;

		if (order[i]->offset != offset_of(pdf, &r))
			return pdf_bad(f,
				       "byte %llu: not where the cross-reference table has an "
				       "object",
				       (unsigned long long)offset_of(pdf, &r));
		st = read_object(order[i], &r, f);
		if (st != ST_OK)
			return st;
	}
	return r.p == r.end ? ST_OK :
			      pdf_bad(f,
				      "byte %llu: something stands between objects and "
				      "cross-reference table",
				      (unsigned long long)offset_of(pdf, &r));
}

static enum status read_objects(const struct pdf *pdf, struct revision *rev, struct finding *f)
{
	struct object **order = malloc((rev->objects_n + 1) * sizeof(struct object *));
	uint64_t start = rev->start;
	bool sorted = true;
	uint32_t n = 0;
	enum status st;

	if (order == NULL)
		return ST_NOMEM;
	if (rev == pdf->revisions && pdf->prefix != NULL)
		start = take_prefix(pdf->prefix, rev);
	for (uint32_t i = 0; i < rev->objects_n; i++) {
		if (rev->objects[i].known)
			continue;
		order[n] = &rev->objects[i];
		sorted = sorted && (n == 0 || order[n - 1]->offset < order[n]->offset);
		n++;
	}
	if (!sorted)
		qsort(order, n, sizeof(*order), by_offset);
	st = tile(pdf, rev, start, order, n, f);
	free(order);
	return st;
}

/* `%PDF-1.7` and the comment that marks the file as binary. */
static void take_header(struct reader *r)
{
	token_literal(r, "%PDF-1.7\n%");
	for (int i = 0; i < 4; i++)
		if (read_u8(r) < 0x80)
			r->bad = true;
	token_literal(r, "\n");
}

static enum status read_header(const struct pdf *pdf, uint64_t *end, struct finding *f)
{
	struct reader r = reader_at(pdf, 0);

	take_header(&r);
	if (r.bad && pdf->file.n > 8 && memcmp(pdf->file.p, "%PDF-", 5) == 0)
		return pdf_foreign(f, "the header is not the one that this engine writes");
	if (r.bad)
		return pdf_bad(f, "the file does not begin as a PDF");
	*end = offset_of(pdf, &r);
	return ST_OK;
}

/* What all trailers must agree on. */
static enum status check_trailers(struct pdf *pdf, struct finding *f)
{
	struct value id, first = { .type = VALUE_BAD };

	for (uint8_t i = 0; i < pdf->revisions_n; i++) {
		const struct revision *rev = &pdf->revisions[i];
		uint32_t root = value_ref(dict_get(rev->trailer, "/Root"));
		struct reader r = array_elements(dict_get(rev->trailer, "/ID"));
		uint64_t size, before = pdf->size;

		if (!value_uint(dict_get(rev->trailer, "/Size"), &size) || size < before ||
		    root == 0 || (i > 0 && root != pdf->root))
			return pdf_bad(f, "revision %u: /Size or /Root of the trailer is wrong",
				       i + 1u);
		if (!array_next(&r, &id) || id.type != VALUE_HEX ||
		    (i > 0 && !value_same(id, first)))
			return pdf_bad(f, "revision %u: /ID of the trailer is wrong", i + 1u);
		if (i == 0)
			first = id;
		pdf->root = root;
		pdf->size = size;
		if (rev->objects_n > 0 && rev->objects[rev->objects_n - 1].number >= size)
			return pdf_bad(f, "object %u is beyond /Size",
				       rev->objects[rev->objects_n - 1].number);
	}
	return ST_OK;
}

enum status pdf_open(struct pdf *pdf, struct slice file, const struct prefix *prefix,
		     struct finding *f)
{
	enum status st;
	uint64_t start = 0;

	*pdf = (struct pdf){ .file = file, .prefix = prefix };
	if (file.n > VERIFY_FILE_BYTES_MAX)
		return pdf_foreign(f, "the file is larger than %u bytes", VERIFY_FILE_BYTES_MAX);
	st = read_header(pdf, &start, f);
	if (st == ST_OK)
		st = read_chain(pdf, f);
	for (uint8_t i = 0; st == ST_OK && i < pdf->revisions_n; i++) {
		struct revision *rev = &pdf->revisions[i];

		rev->start = start;
		start = rev->end;
		st = rev->xref < rev->start ? pdf_bad(f, "revisions overlap") :
					      read_objects(pdf, rev, f);
	}
	return st == ST_OK ? check_trailers(pdf, f) : st;
}

void pdf_close(struct pdf *pdf)
{
	for (uint8_t i = 0; i < REVISIONS_MAX; i++)
		free(pdf->revisions[i].objects);
	*pdf = (struct pdf){ 0 };
}

bool is_signature(struct value v)
{
	static const char *const keys[] = { "/ByteRange", "/Type" };
	struct value is[2];

	dict_read(v, keys, is, 2);
	return is[0].type != VALUE_BAD || value_is(is[1], VALUE_NAME, "/Sig") ||
		value_is(is[1], VALUE_NAME, "/DocTimeStamp");
}

enum status prefix_read(struct object **out, uint32_t *n, struct slice bytes)
{
	struct reader r = reader_of(bytes);
	struct object *list = NULL;
	struct finding f = { 0 };

	*n = 0;
	take_header(&r);
	while (!r.bad && r.p < r.end && *n < OBJECTS_MAX) {
		struct object *more = realloc(list, (*n + 1) * sizeof(*list)), *o;
		struct reader peek = r;

		if (more == NULL) {
			free(list);
			return ST_NOMEM;
		}
		list = more;
		o = &list[(*n)++];
		*o = (struct object){ .number = (uint32_t)token_number(&peek), .known = true,
				      .offset = (uint64_t)(r.p - bytes.p) };
		if (read_object(o, &r, &f) != ST_OK || (!o->stream && is_signature(o->value)))
			r.bad = true;
	}
	qsort(list, *n, sizeof(*list), by_number);
	for (uint32_t i = 1; i < *n; i++)
		if (list[i].number == list[i - 1].number)
			r.bad = true;
	if (!r.bad && r.p == r.end && *n > 0) {
		*out = list;
		return ST_OK;
	}
	free(list);
	return ST_INVALID;
}

const struct object *revision_object(const struct revision *r, uint32_t number)
{
	struct object key = { .number = number };

	return bsearch(&key, r->objects, r->objects_n, sizeof(*r->objects), by_number);
}

const struct object *pdf_object(const struct pdf *pdf, uint32_t number, uint8_t upto)
{
	for (int i = upto; i >= 0; i--) {
		const struct object *o = revision_object(&pdf->revisions[i], number);

		if (o != NULL)
			return o;
	}
	return NULL;
}

struct value pdf_follow(const struct pdf *pdf, struct value v, uint8_t upto)
{
	static const struct value nothing = { VALUE_BAD, { NULL, 0 } };
	const struct object *o;

	if (v.type != VALUE_REF)
		return v;
	o = pdf_object(pdf, value_ref(v), upto);
	return o == NULL || o->stream || o->value.type == VALUE_REF ? nothing : o->value;
}
