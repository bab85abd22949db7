#include "foreign/pdfxref.h"

#include "foreign/pdflex.h"
#include "foreign/pdfrows.h"
#include "limits.h"

#define SECTIONS_MAX 512
#define TAIL_BYTES 1024			/* 7.5.5, note of annex H: %%EOF stands in them */
#define GENERATION_MAX 65535

struct walk {
	struct xref *x;
	struct arena *arena;
	struct detail *d;
	uint32_t sections;
	uint32_t visited[SECTIONS_MAX];
};

static enum reason damaged(struct walk *w, const char *what, uint64_t at)
{
	return look_refuse(w->d, REASON_ORIGINAL_DAMAGED, "PDF: %s, byte %llu", what,
			   (unsigned long long)at);
}

static struct reader reader_at(const struct xref *x, uint64_t at)
{
	struct reader r = reader_of(x->file);

	if (at >= x->file.n)
		r.bad = true;
	else
		r.p += at;
	return r;
}

static uint64_t position(const struct xref *x, const struct reader *r)
{
	return (uint64_t)(r->p - x->file.p);
}

/* `n g obj` begins there, not somewhere behind it. */
static bool is_object(const struct xref *x, uint64_t at, int64_t number, int64_t generation)
{
	struct reader r = reader_at(x, at);
	int64_t n, g;

	if (r.bad || *r.p < '0' || *r.p > '9')
		return false;
	return pdf_expect_integer(&r, INT32_MAX, &n) &&
	       pdf_expect_integer(&r, GENERATION_MAX, &g) && pdf_expect(&r, "obj") &&
	       n == number && g == generation;
}

/* ---- entries ---- */

/* The newest section comes first and rules; each is checked. */
static enum reason entry(struct walk *w, uint64_t number, struct xref_entry e)
{
	struct xref *x = w->x;

	if (number >= x->n)
		return damaged(w, "object beyond /Size", number);
	if (e.kind == XREF_AT && !is_object(x, e.at, (int64_t)number, e.generation))
		return damaged(w, "wrong offset", e.at);
	if (e.kind == XREF_WITHIN && e.at >= x->n)
		return damaged(w, "no object stream", number);
	if (x->entries[number].kind == XREF_UNKNOWN)
		x->entries[number] = e;
	return REASON_NONE;
}

static enum reason entries_take(struct walk *w, int64_t size)
{
	struct xref *x = w->x;

	if (x->entries != NULL)
		return REASON_NONE;
	if (size < 1 || size > ORIGINAL_OBJECTS_MAX)
		return look_refuse(w->d, size < 1 ? REASON_ORIGINAL_DAMAGED :
				   REASON_ORIGINAL_TOO_LARGE, "PDF: /Size %lld", (long long)size);
	x->n = (uint32_t)size;
	x->entries = arena_zero(w->arena, x->n * sizeof(*x->entries));
	return x->entries != NULL ? REASON_NONE :
		look_refuse(w->d, REASON_ORIGINAL_TOO_LARGE, "memory");
}

/* ---- trailers ---- */

/* *before: the section before this one; -1: none. */
static enum reason trailer(struct walk *w, struct slice dict, uint64_t at, int64_t *before)
{
	struct pdf_word word;
	struct reader left;
	int64_t size;

	if (pdf_find(dict, "XRefStm", &word, &left))
		return look_refuse(w->d, REASON_ORIGINAL_HYBRID, "byte %llu",
				   (unsigned long long)at);
	if (pdf_find(dict, "Encrypt", &word, &left) && !pdf_is(word.text, "null"))
		return look_refuse(w->d, REASON_ORIGINAL_ENCRYPTED, "/Encrypt");
	if (!pdf_find_integer(dict, "Size", INT32_MAX, 0, &size) ||
	    !pdf_find_integer(dict, "Prev", (int64_t)w->x->file.n - 1, -1, before))
		return damaged(w, "trailer", at);
	return entries_take(w, size);
}

/* ---- tables ---- */

static bool is_word(const struct pdf_word *w, const char *text)
{
	return w->type == PDF_WORD && slice_eq(w->text, slice_str(text));
}

static enum reason subsection(struct walk *w, struct reader *r, int64_t first, int64_t n)
{
	enum reason why = REASON_NONE;

	for (int64_t i = 0; i < n && why == REASON_NONE; i++) {
		struct xref_entry e = { .kind = XREF_FREE };
		int64_t at, generation;
		struct pdf_word kind;

		pdf_expect_integer(r, 9999999999, &at);
		pdf_expect_integer(r, 99999, &generation);
		pdf_next(r, &kind);
		/* Some programs write 65536 for what never comes back. */
		if (r->bad || (!is_word(&kind, "f") &&
			       (!is_word(&kind, "n") || generation > GENERATION_MAX)))
			return damaged(w, "cross-reference", position(w->x, r));
		if (is_word(&kind, "n")) {
			if (at >= (int64_t)w->x->file.n)
				return damaged(w, "wrong offset", (uint64_t)at);
			e.kind = XREF_AT;
			e.at = (uint32_t)at;
		}
		e.generation = (uint16_t)generation;
		why = entry(w, (uint64_t)(first + i), e);
	}
	return why;
}

/* Entries are read once the trailer behind them has said how many objects there are. */
static enum reason table(struct walk *w, struct reader *r, bool take, struct slice *dict)
{
	enum reason why = REASON_NONE;
	struct pdf_word word;

	for (;;) {
		int64_t n;

		pdf_next(r, &word);
		if (is_word(&word, "trailer"))
			break;
		if (word.type != PDF_INTEGER || word.integer < 0 ||
		    !pdf_expect_integer(r, ORIGINAL_OBJECTS_MAX, &n))
			return damaged(w, "cross-reference", position(w->x, r));
		if (take)
			why = subsection(w, r, word.integer, n);
		for (int64_t i = 0; !take && i < 3 * n && !r->bad; i++)
			pdf_next(r, &word);
		if (why != REASON_NONE)
			return why;
	}
	if (!pdf_expect_dict(r, dict))
		return damaged(w, "trailer", position(w->x, r));
	return REASON_NONE;
}

static enum reason table_section(struct walk *w, uint64_t at, int64_t *before)
{
	struct reader r = reader_at(w->x, at), again;
	struct slice dict;
	enum reason why;

	pdf_expect(&r, "xref");
	again = r;
	why = table(w, &r, false, &dict);
	if (why == REASON_NONE)
		why = trailer(w, dict, at, before);
	return why == REASON_NONE ? table(w, &again, true, &dict) : why;
}

/* ---- streams ---- */

static bool stream_at(const struct xref *x, uint64_t at, struct slice *dict, struct reader *data)
{
	struct reader r = reader_at(x, at);
	int64_t n, g;

	if (r.bad || !pdf_expect_integer(&r, INT32_MAX, &n) ||
	    !pdf_expect_integer(&r, GENERATION_MAX, &g) || !pdf_expect(&r, "obj") ||
	    !pdf_expect_dict(&r, dict) || !pdf_expect(&r, "stream"))
		return false;
	/* 7.3.8.1: CR LF, or LF alone. */
	if (reader_left(&r) > 0 && *r.p == '\r')
		r.p++;
	if (reader_left(&r) == 0 || *r.p++ != '\n')
		return false;
	*data = r;
	return true;
}

/* Up to two bytes of an end of line may stand between. */
static bool ends(struct reader r)
{
	for (int i = 0; i < 2 && reader_left(&r) > 0 && (*r.p == '\r' || *r.p == '\n'); i++)
		r.p++;
	return reader_left(&r) >= 9 && memcmp(r.p, "endstream", 9) == 0;
}

static bool data_take(struct reader r, uint64_t length, struct slice *data)
{
	if (length > reader_left(&r))
		return false;
	*data = read_bytes(&r, (size_t)length);
	return ends(r);
}

bool xref_stream(const struct xref *x, int number, int generation, uint64_t length,
		 struct slice *dict, struct slice *data)
{
	const struct xref_entry *e;
	struct reader r;

	if (number < 0 || (uint32_t)number >= x->n)
		return false;
	e = &x->entries[number];
	return e->kind == XREF_AT && e->generation == generation &&
	       stream_at(x, e->at, dict, &r) && data_take(r, length, data);
}

static uint64_t field(const uint8_t **p, uint32_t width, uint64_t missing)
{
	uint64_t v = width == 0 ? missing : 0;

	for (uint32_t i = 0; i < width; i++)
		v = v << 8 | *(*p)++;
	return v;
}

static enum reason row(struct walk *w, const struct pdf_rows *rows, uint64_t i, uint64_t number)
{
	uint32_t plain = rows->widths[0] + rows->widths[1] + rows->widths[2];
	const uint8_t *p = rows->bytes.p + i * rows->width + (rows->width - plain);
	uint64_t kind = field(&p, rows->widths[0], 1);
	uint64_t at = field(&p, rows->widths[1], 0), third = field(&p, rows->widths[2], 0);
	struct xref_entry e = { .kind = XREF_FREE };

	if (kind == 1 && (at >= w->x->file.n || third > GENERATION_MAX))
		return damaged(w, "wrong offset", at);
	if (kind == 2 && at > UINT32_MAX)
		return damaged(w, "no object stream", number);
	if (kind > 2)
		return damaged(w, "cross-reference stream", number);
	if (kind != 0) {
		e.kind = kind == 1 ? XREF_AT : XREF_WITHIN;
		e.at = (uint32_t)at;
		e.generation = kind == 1 ? (uint16_t)third : 0;
	}
	return entry(w, number, e);
}

/* /Index, or all of its own /Size: calls row() for each, or counts them only. */
static bool each(struct walk *w, struct slice dict, const struct pdf_rows *rows, uint64_t *n,
		 enum reason *why)
{
	struct pdf_word word;
	struct reader left;
	bool given = pdf_find(dict, "Index", &word, &left);

	*n = 0;
	*why = REASON_NONE;
	if (given && word.type != PDF_ARRAY)
		return false;
	for (;;) {
		int64_t first = 0, count;

		if (!given && !pdf_find_integer(dict, "Size", ORIGINAL_OBJECTS_MAX, 0, &count))
			return false;
		if (given) {
			pdf_next(&left, &word);
			if (word.type == PDF_ARRAY_END)
				return true;
			first = word.integer;
			if (word.type != PDF_INTEGER || first < 0 ||
			    !pdf_expect_integer(&left, ORIGINAL_OBJECTS_MAX, &count) ||
			    *n + (uint64_t)count > 2 * ORIGINAL_OBJECTS_MAX)
				return false;
		}
		for (int64_t i = 0; rows != NULL && i < count && *why == REASON_NONE; i++)
			*why = row(w, rows, *n + (uint64_t)i, (uint64_t)(first + i));
		*n += (uint64_t)count;
		if (!given || *why != REASON_NONE)
			return true;
	}
}

static enum reason stream_section(struct walk *w, uint64_t at, int64_t *before)
{
	struct pdf_rows rows;
	struct slice dict, data;
	struct reader r;
	int64_t length;
	enum reason why;
	enum status st;
	uint64_t n;

	if (!stream_at(w->x, at, &dict, &r) ||
	    !pdf_find_integer(dict, "Length", INT32_MAX, -1, &length) || length < 0 ||
	    !data_take(r, (uint64_t)length, &data) || !pdf_rows_form(dict, &rows))
		return damaged(w, "no cross-reference", at);
	why = trailer(w, dict, at, before);
	if (why != REASON_NONE)
		return why;
	if (!each(w, dict, NULL, &n, &why))
		return damaged(w, "cross-reference stream", at);
	st = pdf_rows_read(dict, data, n, w->arena, &rows);
	if (st == ST_TOO_LARGE)
		return look_refuse(w->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	if (st != ST_OK || !each(w, dict, &rows, &n, &why))
		return damaged(w, "cross-reference stream", at);
	return why;
}

/* ---- all of them ---- */

static enum reason section(struct walk *w, uint64_t at, int64_t *before)
{
	struct reader r = reader_at(w->x, at);
	struct pdf_word word;

	*before = -1;
	for (uint32_t i = 0; i < w->sections; i++)
		if (w->visited[i] == at)
			return damaged(w, "sections in a circle", at);
	if (w->sections == SECTIONS_MAX)
		return look_refuse(w->d, REASON_ORIGINAL_TOO_LARGE, "PDF: %u sections",
				   SECTIONS_MAX);
	w->visited[w->sections++] = (uint32_t)at;
	pdf_next(&r, &word);
	return is_word(&word, "xref") ? table_section(w, at, before) :
		stream_section(w, at, before);
}

static const uint8_t *last(struct slice in, const char *text)
{
	size_t n = strlen(text);

	for (size_t at = in.n; at >= n; at--)
		if (memcmp(in.p + at - n, text, n) == 0)
			return in.p + at - n;
	return NULL;
}

static bool is_white(uint8_t c)
{
	return c == '\r' || c == '\n' || c == ' ' || c == '\t' || c == 0;
}

/* Where the newest section stands; nothing but blanks may follow the end that is marked. */
static enum reason newest(struct walk *w, int64_t *at)
{
	struct slice file = w->x->file, tail;
	const uint8_t *end, *start;
	struct reader r;

	tail = file.n <= TAIL_BYTES ? file : slice_of(file.p + file.n - TAIL_BYTES, TAIL_BYTES);
	end = last(tail, "%%EOF");
	if (end == NULL)
		return damaged(w, "no end", file.n);
	for (const uint8_t *p = end + 5; p < file.p + file.n; p++)
		if (!is_white(*p))
			return damaged(w, "data behind the end", (uint64_t)(p - file.p));
	start = last(slice_of(tail.p, (size_t)(end - tail.p)), "startxref");
	if (start == NULL)
		return damaged(w, "no startxref", file.n);
	r = (struct reader){ start, end, false };
	if (!pdf_expect(&r, "startxref") ||
	    !pdf_expect_integer(&r, (int64_t)file.n - 1, at) || *at == 0)
		return damaged(w, "startxref", (uint64_t)(start - file.p));
	return REASON_NONE;
}

enum reason xref_read(struct slice file, struct arena *a, struct xref *out, struct detail *d)
{
	struct walk w = { .x = out, .arena = a, .d = d };
	enum reason why;
	int64_t at = -1;

	*out = (struct xref){ .file = file };
	why = newest(&w, &at);
	while (why == REASON_NONE && at >= 0)
		why = section(&w, (uint64_t)at, &at);
	return why;
}
