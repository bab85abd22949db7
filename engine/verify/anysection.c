#include "verify/anysection.h"

#include <stdlib.h>

#include "verify/revision.h"

#define ENTRY_BYTES 20
#define GENERATION_FREE 65535

static struct reader reader_at(const struct any *a, uint64_t at)
{
	return (struct reader){ a->file.p + at, a->file.p + a->file.n, false };
}

static enum status add(struct any *a, struct any_revision *rev, struct any_object o,
		       struct finding *f)
{
	if (o.number >= ANY_OBJECTS_MAX || ++a->objects_n > ANY_OBJECTS_MAX)
		return pdf_foreign(f, "the file has more than %u objects", ANY_OBJECTS_MAX);
	if (o.kind == ANY_AT && (o.at == 0 || o.at >= a->file.n))
		return pdf_bad(f, "object %u stands outside of the file", o.number);
	if (rev->objects_n == rev->room) {
		uint32_t room = rev->room == 0 ? 256 : 2 * rev->room;
		struct any_object *more = realloc(rev->objects, room * sizeof(*more));

		if (more == NULL)
			return ST_NOMEM;
		rev->objects = more;
		rev->room = room;
	}
	rev->objects[rev->objects_n++] = o;
	return ST_OK;
}

static enum status odd_generation(uint64_t number, struct finding *f)
{
	return pdf_foreign(f, "object %llu has a generation other than 0",
			   (unsigned long long)number);
}

/* ---- tables ---- */

static enum status table_entry(struct any *a, struct any_revision *rev, uint64_t number,
			       struct slice line, struct finding *f)
{
	struct reader r = reader_of(line);
	uint64_t at = token_number(&r), generation;
	uint8_t kind, c, d;

	token_literal(&r, " ");
	generation = token_number(&r);
	token_literal(&r, " ");
	kind = read_u8(&r);
	c = read_u8(&r);
	d = read_u8(&r);
	if (r.bad || r.p != r.end || (kind != 'n' && kind != 'f') || (c != ' ' && c != '\r') ||
	    (d != '\n' && d != '\r') || number >= ANY_OBJECTS_MAX)
		return pdf_bad(f, "cross-reference entry of object %llu is malformed",
			       (unsigned long long)number);
	if (kind == 'n' && generation != 0)
		return odd_generation(number, f);
	return add(a, rev, (struct any_object){ .number = (uint32_t)number, .at = at,
						.kind = kind == 'n' ? ANY_AT : ANY_FREE }, f);
}

static enum status table(struct any *a, struct any_revision *rev, struct reader *r,
			 struct finding *f)
{
	enum status st = ST_OK;

	token_literal(r, "xref");
	token_gap(r);
	while (st == ST_OK && !r->bad && r->p < r->end && *r->p >= '0' && *r->p <= '9') {
		uint64_t first = token_number(r), n;

		token_literal(r, " ");
		n = token_number(r);
		token_gap(r);
		if (r->bad || n > reader_left(r) / ENTRY_BYTES || first + n > ANY_OBJECTS_MAX)
			break;
		for (uint64_t i = 0; st == ST_OK && i < n; i++)
			st = table_entry(a, rev, first + i, read_bytes(r, ENTRY_BYTES), f);
		token_space(r);
	}
	if (st != ST_OK)
		return st;
	token_literal(r, "trailer");
	rev->trailer = token_value(r);
	if (r->bad || rev->trailer.type != VALUE_DICT)
		return pdf_bad(f, "the cross-reference table at byte %llu is malformed",
			       (unsigned long long)rev->section);
	if (dict_get(rev->trailer, "/XRefStm").type != VALUE_BAD)
		return pdf_foreign(f, "the file has two kinds of cross-reference (hybrid)");
	return ST_OK;
}

/* ---- streams ---- */

struct rows { struct slice data; uint64_t widths[3]; };

static uint64_t column(struct reader *r, uint64_t width, uint64_t missing)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < width; i++)
		v = v << 8 | read_u8(r);
	return width == 0 ? missing : v;
}

static enum status row(struct any *a, struct any_revision *rev, const struct rows *rows,
		       struct reader *r, uint64_t number, struct finding *f)
{
	uint64_t kind = column(r, rows->widths[0], 1);
	uint64_t at = column(r, rows->widths[1], 0), third = column(r, rows->widths[2], 0);

	if (r->bad || kind > 2 || number >= ANY_OBJECTS_MAX)
		return pdf_bad(f, "the cross-reference stream at byte %llu is malformed",
			       (unsigned long long)rev->section);
	if (kind == 1 && third != 0)
		return odd_generation(number, f);
	return add(a, rev, (struct any_object){ .number = (uint32_t)number, .at = at,
						.kind = (uint8_t)kind,
						.end = kind == 2 ? third : 0 }, f);
}

static enum status rows_read(struct any *a, struct any_revision *rev, const struct rows *rows,
			     struct finding *f)
{
	struct value index = dict_get(rev->trailer, "/Index"), v;
	struct reader list = array_elements(index), r = reader_of(rows->data);
	uint64_t first = 0, n = rev->size;
	enum status st = ST_OK;

	while (st == ST_OK) {
		if (index.type == VALUE_ARRAY &&
		    (!array_next(&list, &v) || !value_uint(v, &first) ||
		     !array_next(&list, &v) || !value_uint(v, &n)))
			break;
		for (uint64_t i = 0; st == ST_OK && i < n; i++)
			st = row(a, rev, rows, &r, first + i, f);
		if (index.type != VALUE_ARRAY)
			break;
	}
	if (st == ST_OK && (r.p != r.end || (index.type == VALUE_ARRAY && list.p != list.end)))
		st = pdf_bad(f, "the cross-reference stream at byte %llu is malformed",
			     (unsigned long long)rev->section);
	return st;
}

static enum status stream(struct any *a, struct any_revision *rev, struct reader *r,
			  struct finding *f)
{
	struct rows rows = { .data = { NULL, 0 } };
	struct reader widths;
	struct slice data;
	struct value v;
	uint64_t length;
	int n = 0;
	enum status st;

	token_number(r);
	token_literal(r, " 0 obj");
	rev->trailer = token_value(r);
	token_space(r);
	token_literal(r, "stream");
	if (!r->bad && reader_left(r) > 0 && *r->p == '\r')
		r->p++;
	token_literal(r, "\n");
	if (r->bad || !value_is(dict_get(rev->trailer, "/Type"), VALUE_NAME, "/XRef") ||
	    !value_uint(dict_get(rev->trailer, "/Length"), &length) ||
	    !value_uint(dict_get(rev->trailer, "/Size"), &rev->size))
		return pdf_bad(f, "there is no cross-reference at byte %llu",
			       (unsigned long long)rev->section);
	data = read_bytes(r, length);
	token_space(r);
	token_literal(r, "endstream");
	token_gap(r);
	token_literal(r, "endobj");
	widths = array_elements(dict_get(rev->trailer, "/W"));
	while (n < 3 && array_next(&widths, &v) && value_uint(v, &rows.widths[n]) &&
	       rows.widths[n] <= 8)
		n++;
	if (r->bad || n != 3)
		return pdf_bad(f, "the cross-reference stream at byte %llu is malformed",
			       (unsigned long long)rev->section);
	st = any_inflate(a, rev->trailer, data, &rows.data, f);
	return st == ST_OK ? rows_read(a, rev, &rows, f) : st;
}

/* ---- the chain ---- */

static void end_of_line(struct reader *r)
{
	if (reader_left(r) > 0 && *r->p == '\r')
		r->p++;
	if (reader_left(r) > 0 && *r->p == '\n')
		r->p++;
}

static enum status section(struct any *a, struct any_revision *rev, struct finding *f)
{
	struct reader r = reader_at(a, rev->section);
	bool is_table = reader_left(&r) > 4 && memcmp(r.p, "xref", 4) == 0;
	enum status st = is_table ? table(a, rev, &r, f) : stream(a, rev, &r, f);

	if (st == ST_OK && dict_get(rev->trailer, "/Encrypt").type != VALUE_BAD)
		st = pdf_foreign(f, "the file is encrypted");
	if (st != ST_OK)
		return st;
	rev->mark = rev->end = (uint64_t)(r.p - a->file.p);
	token_space(&r);
	/* The first of a linearized file may end so: see join(). */
	if (!is_table && reader_left(&r) > 9 && memcmp(r.p, "startxref", 9) != 0)
		return ST_OK;
	token_literal(&r, "startxref");
	token_gap(&r);
	rev->startxref = token_number(&r);
	token_gap(&r);
	token_literal(&r, "%%EOF");
	rev->mark = (uint64_t)(r.p - a->file.p);
	end_of_line(&r);
	rev->end = (uint64_t)(r.p - a->file.p);
	if (r.bad || !value_uint(dict_get(rev->trailer, "/Size"), &rev->size))
		return pdf_bad(f, "the trailer after byte %llu is malformed",
			       (unsigned long long)rev->section);
	return ST_OK;
}

/* From the end of the file, without a search. */
static enum status newest(const struct any *a, uint64_t *at, struct finding *f)
{
	const uint8_t *p = a->file.p, *q = p + a->file.n;
	struct reader r;

	if (q > p && q[-1] == '\n')
		q--;
	if (q > p && q[-1] == '\r')
		q--;
	if (q - p < 32 || memcmp(q - 5, "%%EOF", 5) != 0)
		return pdf_bad(f, "the file does not end with %%%%EOF: it is cut or something "
			       "follows");
	q -= 5;
	while (q > p && (q[-1] == '\n' || q[-1] == '\r' || q[-1] == ' '))
		q--;
	while (q > p && q[-1] >= '0' && q[-1] <= '9')
		q--;
	r = (struct reader){ q, p + a->file.n, false };
	while (q > p && (q[-1] == '\n' || q[-1] == '\r' || q[-1] == ' '))
		q--;
	*at = token_number(&r);
	if (r.bad || q - p < 9 || memcmp(q - 9, "startxref", 9) != 0 || *at >= a->file.n)
		return pdf_bad(f, "startxref is missing at the end of the file, or points outside "
			       "of it");
	return ST_OK;
}

/*
 * A linearized file (annex F): the section at its beginning says /Prev of the one at its end, and
 * both are one revision, the oldest. *first becomes it.
 */
static enum status join(struct any *a, struct any_revision *first, uint64_t other,
			struct finding *f)
{
	struct any_revision second = { .section = other };
	enum status st = section(a, &second, f);

	if (st == ST_OK && (first->startxref != 0 || second.startxref != first->section ||
			    dict_get(second.trailer, "/Prev").type != VALUE_BAD))
		st = pdf_bad(f, "/Prev does not point to an earlier revision");
	for (uint32_t i = 0; st == ST_OK && i < second.objects_n; i++)
		st = add(a, first, second.objects[i], f);
	first->mark = second.mark;
	first->end = second.end;
	first->section = second.section;
	free(second.objects);
	return st;
}

static enum status chain(struct any *a, struct any_revision *list, uint8_t *n, struct finding *f)
{
	uint64_t at, before = a->file.n;
	enum status st = newest(a, &at, f);
	bool more = true;

	for (*n = 0; st == ST_OK && more; ) {
		struct any_revision *rev = &list[*n];
		struct value prev;

		if (*n == ANY_REVISIONS_MAX)
			return pdf_foreign(f, "more than %d revisions", ANY_REVISIONS_MAX);
		*rev = (struct any_revision){ .section = at };
		++*n;
		st = section(a, rev, f);
		if (st != ST_OK)
			return st;
		prev = dict_get(rev->trailer, "/Prev");
		more = prev.type != VALUE_BAD;
		if (more && (!value_uint(prev, &at) || at >= a->file.n))
			return pdf_bad(f, "/Prev does not point to an earlier revision");
		if (more && at > rev->section) {
			st = join(a, rev, at, f);
			more = false;
		} else if (rev->startxref != rev->section) {
			st = pdf_bad(f, "the trailer after byte %llu does not name its own section",
				     (unsigned long long)rev->section);
		}
		if (st == ST_OK && (*n == 1 ? rev->end != before : rev->mark > before))
			st = pdf_bad(f, "revisions overlap, or bytes follow the last one");
		before = rev->section;
	}
	return st;
}

enum status any_sections(struct any *a, struct finding *f)
{
	struct any_revision *list = calloc(ANY_REVISIONS_MAX, sizeof(*list));
	uint8_t n = 0;
	enum status st = list == NULL ? ST_NOMEM : chain(a, list, &n, f);

	a->revisions_n = n;
	for (uint8_t i = 0; i < n; i++)
		a->revisions[i] = list[n - 1 - i];
	free(list);
	return st;
}
