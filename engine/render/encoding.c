#include "render/encoding.h"

#include "render/words.h"

/* What a document may show beside ASCII and Vietnamese, as far as all faces have it. */
static const struct { uint16_t first, last; } wanted[] = {
	{ 0x20, 0x7e }, { 0xa0, 0xac }, { 0xae, 0x24f },	/* Latin */
	{ 0x2bb, 0x2bc }, { 0x2c6, 0x2c7 }, { 0x2d8, 0x2dd },	/* modifier letters */
	{ 0x386, 0x3ce },					/* Greek */
	{ 0x1e00, 0x1eff },					/* Latin Extended Additional */
	{ 0x2010, 0x2015 }, { 0x2018, 0x201e }, { 0x2020, 0x2022 }, { 0x2026, 0x2026 },
	{ 0x2030, 0x2030 }, { 0x2032, 0x2033 }, { 0x2039, 0x203a }, { 0x2044, 0x2044 },
	{ 0x2070, 0x208e }, { 0x20ab, 0x20ac }, { 0x2103, 0x2103 }, { 0x2116, 0x2116 },
	{ 0x2122, 0x2122 }, { 0x2126, 0x2126 }, { 0x2150, 0x215e }, { 0x2190, 0x2193 },
	{ 0x2202, 0x2202 }, { 0x2206, 0x2206 }, { 0x2211, 0x2212 }, { 0x221a, 0x221a },
	{ 0x221e, 0x221e }, { 0x2248, 0x2248 }, { 0x2260, 0x2260 }, { 0x2264, 0x2265 },
};

/* The rest of Vietnamese, beside what ASCII has; every face must show it. */
static const struct { uint16_t first, last; } vietnamese[] = {
	{ 0xc0, 0xc3 },   { 0xc8, 0xca },   { 0xcc, 0xcd },   { 0xd2, 0xd5 },     { 0xd9, 0xda },
	{ 0xdd, 0xdd },   { 0xe0, 0xe3 },   { 0xe8, 0xea },   { 0xec, 0xed },     { 0xf2, 0xf5 },
	{ 0xf9, 0xfa },   { 0xfd, 0xfd },   { 0x102, 0x103 }, { 0x110, 0x111 },   { 0x128, 0x129 },
	{ 0x168, 0x169 }, { 0x1a0, 0x1a1 }, { 0x1af, 0x1b0 }, { 0x1ea0, 0x1ef9 },
};

/* With these and the Vietnamese letters the one-byte codes are full. */
static const uint16_t everyday[] = {
	'(', ')', '\\', '%', 'j', 'm', 'x', 0x2013, 0x2014, 0x2018, 0x2019, 0x201c, 0x201d, 0x2026,
	0x2022, 0xb7, 0xb0, 0xb2, 0xb3, 0x20ab, 0xd7, 0xb1, 0xbd, 0xa7, 0xab, 0xbb, 0x2264, 0x2265,
};

/* Those of ASCII that do not keep their code. */
static bool moved(uint32_t cp)
{
	return cp != 0 && cp < 0x80 && strchr("()\\%jmx", (int)cp) != NULL;
}

/* Codes that would need an escape, or that a reader changes, inside a string. */
static bool unusable(uint32_t code)
{
	return code == 0 || strchr("\n\r()\\", (int)code) != NULL;
}

static void give(struct encoding *e, uint32_t cp, uint16_t code)
{
	e->code[cp] = code;
	e->cp[code] = (uint16_t)cp;
}

static void give_next(struct encoding *e, uint32_t cp, uint16_t *next)
{
	if (!codeset_has(&e->coverage, cp))
		return;
	while (*next < CODE_WIDE && (unusable(*next) || e->cp[*next] != 0))
		(*next)++;
	if (*next < CODE_WIDE)
		give(e, cp, *next);
}

static enum status need(const struct encoding *e, uint32_t cp, struct font *const faces[FACES],
			struct error *err)
{
	for (int f = 0; !codeset_has(&e->coverage, cp) && f < FACES; f++)
		if (font_glyph(faces[f], cp) == 0)
			return error_set(err, ST_INVALID,
					 "font %s has no U+%04X, which Vietnamese text needs",
					 font_metrics(faces[f])->name, (unsigned)cp);
	return ST_OK;
}

static void cover(struct encoding *e, struct font *const faces[FACES])
{
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		for (uint32_t cp = wanted[i].first; cp <= wanted[i].last; cp++) {
			bool all = !utf8_refused(cp);

			for (int f = 0; f < FACES; f++)
				all = all && font_glyph(faces[f], cp) != 0;
			if (all)
				codeset_add(&e->coverage, cp);
		}
}

static enum status give_codes(struct encoding *e, struct error *err)
{
	uint16_t next = 1;

	for (uint32_t cp = 0x20; cp < 0x7f; cp++)
		if (!moved(cp))
			give(e, cp, (uint16_t)cp);
	for (size_t i = 0; i < ARRAY_LEN(everyday); i++)
		give_next(e, everyday[i], &next);
	for (size_t i = 0; i < ARRAY_LEN(vietnamese); i++)
		for (uint32_t cp = vietnamese[i].first; cp <= vietnamese[i].last; cp++)
			give_next(e, cp, &next);
	e->codes_n = CODE_WIDE;
	for (uint32_t cp = 0x80; cp < ENCODING_CPS; cp++) {
		if (!codeset_has(&e->coverage, cp) || e->code[cp] != 0)
			continue;
		if (e->codes_n == CODES_MAX)
			return error_set(err, ST_INTERNAL, "more than %d characters", CODES_MAX);
		give(e, cp, e->codes_n++);
	}
	e->code['\t'] = ' ';
	return ST_OK;
}

static uint16_t capital(const struct encoding *e, uint32_t cp)
{
	uint8_t text[4], out[16];
	struct writer w = writer_of(out, sizeof(out));
	struct slice s;
	int32_t up;

	words_upper(&w, slice_of(text, utf8_put(text, cp)));
	s = writer_slice(&w);
	up = utf8_next(&s);
	if (up <= 0 || up >= ENCODING_CPS || s.n > 0 || e->code[up] == 0)
		return e->code[cp];
	return e->code[up];
}

enum status encoding_make(struct encoding *e, struct font *const faces[FACES], struct error *err)
{
	enum status st = ST_OK;

	memset(e, 0, sizeof(*e));
	cover(e, faces);
	for (uint32_t cp = 0x20; st == ST_OK && cp < 0x7f; cp++)
		st = need(e, cp, faces, err);
	for (size_t i = 0; i < ARRAY_LEN(vietnamese); i++)
		for (uint32_t cp = vietnamese[i].first; cp <= vietnamese[i].last; cp++)
			st = st == ST_OK ? need(e, cp, faces, err) : st;
	if (st == ST_OK)
		st = give_codes(e, err);
	for (uint32_t c = 1; st == ST_OK && c < e->codes_n; c++) {
		if (e->cp[c] == 0)
			continue;
		e->upper[c] = capital(e, e->cp[c]);
		for (int f = 0; f < FACES; f++)
			e->width[f][c] = font_advance(faces[f], font_glyph(faces[f], e->cp[c]));
	}
	return st;
}

/* ---- text ---- */

/* A character of two or three bytes; those of four have no code. 0: none, or malformed. */
static inline uint32_t long_code(const struct encoding *e, const uint8_t **at, const uint8_t *end)
{
	const uint8_t *s = *at;
	uint32_t cp;

	if ((s[0] & 0xe0) == 0xc0 && end - s >= 2) {
		*at = s + 2;
		return e->code[(s[0] & 0x1fu) << 6 | (s[1] & 0x3fu)];
	}
	if ((s[0] & 0xf0) != 0xe0 || end - s < 3) {
		*at = end;
		return 0;
	}
	*at = s + 3;
	cp = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	return cp < ENCODING_CPS ? e->code[cp] : 0;
}

static void close_span(struct well *w, struct span s, const uint8_t *end, bool ends)
{
	s.n = (uint32_t)(end - s.p);
	s.ends = ends;
	if (s.n == 0 && !ends)
		return;
	if (w->n == w->max)
		w->full = true;
	else
		w->spans[w->n++] = s;
}

static inline void pour(const struct encoding *e, struct well *w, struct slice text,
			enum face face, const bool upper)
{
	const uint8_t *s = text.p, *end = text.p + text.n;
	const uint16_t *width = e->width[face];
	struct span span = { .p = w->p, .face = (uint8_t)face };
	uint32_t sum = 0;
	uint8_t *p = w->p;

	while (s < end) {
		uint32_t first = *s, code = first < 0x80 ? e->code[first] : long_code(e, &s, end);

		s += first < 0x80;
		if (upper)
			code = e->upper[code];
		if ((code >= CODE_WIDE) != span.wide || code == 0) {
			span.width = sum;
			close_span(w, span, p, first == '\n');
			w->foreign |= code == 0 && first != '\n';
			span = (struct span){ .p = p, .face = (uint8_t)face,
					      .wide = code >= CODE_WIDE };
			sum = 0;
			if (code == 0)
				continue;
		}
		sum += width[code];
		if (code >= CODE_WIDE)
			*p++ = (uint8_t)(code >> 8);
		*p++ = (uint8_t)code;
	}
	span.width = sum;
	close_span(w, span, p, false);
	w->p = p;
}

void encode(const struct encoding *e, struct well *w, struct slice text, enum face face,
	    bool upper)
{
	/* No character takes more bytes than it had: two of them from two, and one from one. */
	if (text.n > (size_t)(w->end - w->p))
		w->full = true;
	else if (upper)
		pour(e, w, text, face, true);
	else
		pour(e, w, text, face, false);
}
