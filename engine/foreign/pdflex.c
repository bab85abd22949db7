#include "foreign/pdflex.h"

#include <math.h>

#define DEPTH_MAX 64
#define DIGITS_MAX 18		/* of an integer: fits 64 bits */

static bool is_space(uint8_t c)
{
	return c == 0 || c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == ' ';
}

static bool is_delimiter(uint8_t c)
{
	return c != 0 && strchr("()<>[]{}/%", c) != NULL;
}

static bool is_regular(uint8_t c)
{
	return !is_space(c) && !is_delimiter(c);
}

static void pass_space(struct reader *r)
{
	while (r->p < r->end && (is_space(*r->p) || *r->p == '%')) {
		if (*r->p != '%') {
			r->p++;
			continue;
		}
		while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
			r->p++;
	}
}

static void bad(struct reader *r, struct pdf_word *w)
{
	r->bad = true;
	w->type = PDF_BAD;
}

static struct slice regular(struct reader *r)
{
	const uint8_t *from = r->p;

	while (r->p < r->end && is_regular(*r->p))
		r->p++;
	return slice_of(from, (size_t)(r->p - from));
}

/* ( … ), with brackets inside in pairs. */
static bool pass_literal(struct reader *r)
{
	uint32_t depth = 0;

	while (r->p < r->end) {
		uint8_t c = *r->p++;

		if (c == '\\' && r->p < r->end)
			r->p++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return true;
	}
	return false;
}

static bool pass_hex(struct reader *r)
{
	r->p++;
	while (r->p < r->end && *r->p != '>') {
		uint8_t c = *r->p++;

		if (!is_space(c) && strchr("0123456789abcdefABCDEF", c) == NULL)
			return false;
	}
	if (r->p == r->end)
		return false;
	r->p++;
	return true;
}

/* [+-]digits[.digits], or a word that merely begins so, or is too long to be any number. */
static void number_or_word(struct slice text, struct pdf_word *w)
{
	double v = 0, scale = 1;
	int64_t whole = 0;
	size_t digits = 0, i = text.p[0] == '+' || text.p[0] == '-';
	bool point = false;

	for (; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return;
		digits++;
		v = v * 10 + (c - '0');
		if (point)
			scale *= 10;
		else if (digits <= DIGITS_MAX)
			whole = whole * 10 + (c - '0');
	}
	if (digits == 0 || !isfinite(v) || !isfinite(scale))
		return;
	w->type = point || digits > DIGITS_MAX ? PDF_REAL : PDF_INTEGER;
	w->number = v / scale * (text.p[0] == '-' ? -1 : 1);
	w->integer = text.p[0] == '-' ? -whole : whole;
}

static bool two(const struct reader *r, char c)
{
	return r->end - r->p >= 2 && r->p[0] == c && r->p[1] == c;
}

void pdf_next(struct reader *r, struct pdf_word *w)
{
	const uint8_t *from;

	*w = (struct pdf_word){ .type = PDF_END };
	if (r->bad) {
		w->type = PDF_BAD;
		return;
	}
	pass_space(r);
	if (r->p == r->end)
		return;
	from = r->p;
	switch (*r->p) {
	case '/':
		r->p++;
		w->type = PDF_NAME;
		w->text = regular(r);
		return;
	case '(':
		w->type = PDF_STRING;
		if (!pass_literal(r))
			bad(r, w);
		break;
	case '<':
	case '>':
		w->type = *r->p == '<' ? PDF_DICT : PDF_DICT_END;
		if (two(r, (char)*r->p))
			r->p += 2;
		else if (*r->p == '<' && pass_hex(r))
			w->type = PDF_STRING;
		else
			bad(r, w);
		break;
	case '[':
	case ']':
		w->type = *r->p++ == '[' ? PDF_ARRAY : PDF_ARRAY_END;
		break;
	case ')':
	case '{':
	case '}':
		bad(r, w);
		break;
	default:
		w->type = PDF_WORD;
		w->text = regular(r);
		number_or_word(w->text, w);
		return;
	}
	w->text = slice_of(from, (size_t)(r->p - from));
}

bool pdf_expect(struct reader *r, const char *word)
{
	struct pdf_word w;

	pdf_next(r, &w);
	if (w.type != PDF_WORD || !slice_eq(w.text, slice_str(word)))
		r->bad = true;
	return !r->bad;
}

bool pdf_expect_integer(struct reader *r, int64_t max, int64_t *out)
{
	struct pdf_word w;

	pdf_next(r, &w);
	*out = w.integer;
	if (w.type != PDF_INTEGER || w.integer < 0 || w.integer > max)
		r->bad = true;
	return !r->bad;
}

/* The rest of a value whose first word was w. */
static bool pass_value(struct reader *r, const struct pdf_word *w)
{
	int depth = w->type == PDF_ARRAY || w->type == PDF_DICT;
	struct pdf_word next;

	if (w->type == PDF_END || w->type == PDF_BAD || w->type == PDF_ARRAY_END ||
	    w->type == PDF_DICT_END)
		r->bad = true;
	while (depth > 0 && !r->bad) {
		pdf_next(r, &next);
		if (next.type == PDF_ARRAY || next.type == PDF_DICT)
			depth++;
		else if (next.type == PDF_ARRAY_END || next.type == PDF_DICT_END)
			depth--;
		if (next.type == PDF_END || depth > DEPTH_MAX)
			r->bad = true;
	}
	return !r->bad;
}

bool pdf_expect_dict(struct reader *r, struct slice *dict)
{
	struct pdf_word w;

	pdf_next(r, &w);
	*dict = w.text;
	if (w.type != PDF_DICT || !pass_value(r, &w))
		r->bad = true;
	else
		dict->n = (size_t)(r->p - dict->p);
	return !r->bad;
}

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ?
		(c | 32) - 'a' + 10 : -1;
}

bool pdf_is(struct slice text, const char *name)
{
	size_t at = 0;

	for (; *name != '\0' && at < text.n; name++) {
		uint8_t c = text.p[at++];

		if (c == '#' && text.n - at >= 2 && hex_digit(text.p[at]) >= 0 &&
		    hex_digit(text.p[at + 1]) >= 0) {
			c = (uint8_t)(hex_digit(text.p[at]) << 4 | hex_digit(text.p[at + 1]));
			at += 2;
		}
		if (c != (uint8_t)*name)
			return false;
	}
	return *name == '\0' && at == text.n;
}

/* After an integer: the rest of `g R`, where it is a reference. */
static void pass_reference(struct reader *r)
{
	struct reader ahead = *r;
	struct pdf_word generation, word;

	pdf_next(&ahead, &generation);
	pdf_next(&ahead, &word);
	if (generation.type == PDF_INTEGER && word.type == PDF_WORD && pdf_is(word.text, "R"))
		*r = ahead;
}

bool pdf_find(struct slice dict, const char *key, struct pdf_word *value, struct reader *left)
{
	struct reader r = reader_of(dict);
	struct pdf_word w;

	pdf_next(&r, &w);
	while (w.type == PDF_DICT && !r.bad) {
		pdf_next(&r, &w);
		if (w.type != PDF_NAME)
			return false;
		pdf_next(&r, value);
		if (pdf_is(w.text, key)) {
			*left = r;
			return value->type != PDF_BAD && value->type != PDF_END;
		}
		if (!pass_value(&r, value))
			return false;
		if (value->type == PDF_INTEGER)
			pass_reference(&r);
		w.type = PDF_DICT;
	}
	return false;
}

bool pdf_find_integer(struct slice dict, const char *key, int64_t max, int64_t missing,
		      int64_t *out)
{
	struct pdf_word w, next;
	struct reader left;

	*out = missing;
	if (!pdf_find(dict, key, &w, &left))
		return true;
	*out = w.integer;
	if (w.type != PDF_INTEGER || w.integer < 0 || w.integer > max)
		return false;
	pdf_next(&left, &next);
	return next.type == PDF_NAME || next.type == PDF_DICT_END;
}
