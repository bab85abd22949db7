#include "foreign/pdfinside.h"

#include <math.h>

#include "foreign/flate.h"
#include "foreign/pdflex.h"

#define CONTENT_BYTES_MAX (64 * 1024)	/* of a page that only shows one image */
#define OPERANDS_MAX 6
#define SAVED_MAX 16

struct state { double m[6]; struct area clip; };

/* A path that is built: a rectangle, which may be about to clip. */
enum path { PATH_NONE, PATH_RECTANGLE, PATH_CLIPS };

struct play {
	struct placed *out;
	struct state now, saved[SAVED_MAX];
	uint32_t saved_n, operands_n, shown;
	double operands[OPERANDS_MAX];
	struct slice name;		/* the operand that is one */
	bool named;
	enum path path;
	struct area rectangle;
};

static bool all_finite(const double *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(v[i]))
			return false;
	return true;
}

/* 8.3.4: what comes first is applied first. false: beyond all numbers. */
static bool concat(double now[6], const double m[6])
{
	double r[6] = {
		m[0] * now[0] + m[1] * now[2], m[0] * now[1] + m[1] * now[3],
		m[2] * now[0] + m[3] * now[2], m[2] * now[1] + m[3] * now[3],
		m[4] * now[0] + m[5] * now[2] + now[4], m[4] * now[1] + m[5] * now[3] + now[5],
	};

	memcpy(now, r, sizeof(r));
	return all_finite(r, ARRAY_LEN(r));
}

static struct area within(struct area a, struct area b)
{
	return (struct area){ fmax(a.left, b.left), fmax(a.bottom, b.bottom),
			      fmin(a.right, b.right), fmin(a.top, b.top) };
}

/* x y width height; only upright ones, or turned by a right angle. */
static bool rectangle(struct play *p)
{
	const double *m = p->now.m, *v = p->operands;
	double x[2], y[2];

	if (p->operands_n != 4 || p->named || p->path != PATH_NONE ||
	    !((m[1] == 0 && m[2] == 0) || (m[0] == 0 && m[3] == 0)))
		return false;
	for (int i = 0; i < 2; i++) {
		double u = v[0] + i * v[2], w = v[1] + i * v[3];

		x[i] = m[0] * u + m[2] * w + m[4];
		y[i] = m[1] * u + m[3] * w + m[5];
	}
	p->rectangle = (struct area){ fmin(x[0], x[1]), fmin(y[0], y[1]), fmax(x[0], x[1]),
				      fmax(y[0], y[1]) };
	p->path = PATH_RECTANGLE;
	return all_finite(x, 2) && all_finite(y, 2);
}

/* A path is clipped to, or dropped; it is never painted. */
static bool path(struct play *p, struct slice op)
{
	if (pdf_is(op, "re"))
		return rectangle(p);
	if (p->operands_n != 0 || p->named || p->path == PATH_NONE)
		return false;
	if (pdf_is(op, "W") || pdf_is(op, "W*")) {
		p->path = PATH_CLIPS;
		return true;
	}
	if (!pdf_is(op, "n"))
		return false;
	if (p->path == PATH_CLIPS)
		p->now.clip = within(p->now.clip, p->rectangle);
	p->path = PATH_NONE;
	return true;
}

static bool show(struct play *p)
{
	if (!p->named || p->operands_n != 0 || p->name.n == 0 ||
	    p->name.n + 2 > sizeof(p->out->name) || memchr(p->name.p, '#', p->name.n) != NULL)
		return false;
	p->out->name[0] = '/';
	memcpy(p->out->name + 1, p->name.p, p->name.n);
	p->out->name[p->name.n + 1] = '\0';
	memcpy(p->out->matrix, p->now.m, sizeof(p->out->matrix));
	p->out->clip = p->now.clip;
	return ++p->shown == 1;
}

/* Whatever else an operator does, it would be lost. */
static bool operate(struct play *p, struct slice op)
{
	bool none = p->operands_n == 0 && !p->named;

	if (p->path != PATH_NONE || pdf_is(op, "re")) {
		if (!path(p, op))
			return false;
	} else if (pdf_is(op, "q")) {
		if (!none || p->saved_n == SAVED_MAX)
			return false;
		p->saved[p->saved_n++] = p->now;
	} else if (pdf_is(op, "Q")) {
		if (!none || p->saved_n == 0)
			return false;
		p->now = p->saved[--p->saved_n];
	} else if (pdf_is(op, "cm")) {
		if (p->operands_n != 6 || p->named || !concat(p->now.m, p->operands))
			return false;
	} else if (pdf_is(op, "Do")) {
		if (!show(p))
			return false;
	} else if (!pdf_is(op, "ri") && !pdf_is(op, "i")) {
		return false;
	}
	p->operands_n = 0;
	p->named = false;
	return true;
}

static bool play(struct play *p, struct slice text)
{
	struct reader r = reader_of(text);
	struct pdf_word w;

	for (pdf_next(&r, &w); w.type != PDF_END; pdf_next(&r, &w)) {
		if (w.type == PDF_INTEGER || w.type == PDF_REAL) {
			if (p->operands_n == OPERANDS_MAX)
				return false;
			p->operands[p->operands_n++] = w.number;
		} else if (w.type == PDF_NAME && !p->named) {
			p->named = true;
			p->name = w.text;
		} else if (w.type != PDF_WORD || !operate(p, w.text)) {
			return false;
		}
	}
	return p->operands_n == 0 && !p->named && p->shown == 1;
}

/* Appends one content stream, and a blank: they are one text (7.8.2). */
static bool append(struct pdf *p, qpdf_oh stream, uint8_t *text, size_t *n)
{
	qpdf_oh dict, filter;
	struct slice data;
	size_t got;

	if (!pdf_stream(p, stream, &data))
		return false;
	dict = qpdf_oh_get_dict(p->q, stream);
	filter = pdf_only(p, qpdf_oh_get_key(p->q, dict, "/Filter"));
	if (qpdf_oh_is_null(p->q, filter)) {
		if (data.n >= CONTENT_BYTES_MAX - *n)
			return false;
		memcpy(text + *n, data.p, data.n);
		got = data.n;
	} else if (!qpdf_oh_is_name_and_equals(p->q, filter, "/FlateDecode") ||
		   !qpdf_oh_is_null(p->q, qpdf_oh_get_key(p->q, dict, "/DecodeParms")) ||
		   flate_read(data, text + *n, CONTENT_BYTES_MAX - *n, &got) != ST_OK ||
		   got == CONTENT_BYTES_MAX - *n) {
		return false;
	}
	*n += got;
	text[(*n)++] = '\n';
	return true;
}

bool pdf_content(struct pdf *p, qpdf_oh page, struct placed *out)
{
	struct play played = { .out = out, .now = { { 1, 0, 0, 1, 0, 0 }, { -INFINITY, -INFINITY,
							INFINITY, INFINITY } } };
	qpdf_oh contents = qpdf_oh_get_key(p->q, page, "/Contents");
	size_t before = p->arena->used, n = 0;
	uint8_t *text = arena_take(p->arena, CONTENT_BYTES_MAX);
	bool good = text != NULL;

	if (qpdf_oh_is_array(p->q, contents)) {
		int parts = qpdf_oh_get_array_n_items(p->q, contents);

		for (int i = 0; i < parts && good; i++)
			good = append(p, qpdf_oh_get_array_item(p->q, contents, i), text, &n);
	} else if (good) {
		good = append(p, contents, text, &n);
	}
	good = good && play(&played, slice_of(text, n));
	p->arena->used = before;
	return good;
}
