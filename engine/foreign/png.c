#include "foreign/png.h"

#include "foreign/exif.h"
#include "foreign/flate.h"
#include "foreign/icc.h"
#include "limits.h"

#define SIGNATURE "\x89PNG\r\n\x1a\n"
#define CHUNK_BYTES_MAX 0x7FFFFFFFu
#define CRITICAL(type) (((type)[0] & 0x20) == 0)	/* 5.4: a capital letter */
#define CM_IN_METRE 100

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

struct chunk { char type[4]; struct slice data; };

struct parse {
	struct png *out;
	struct detail *d;
	const uint8_t *start;
	struct reader r;
	struct flate flate;
	struct exif exif;
	struct slice iccp;		/* as it stands in its chunk; empty: none */
	uint8_t colour, interlaced;
	bool header, inflating, transparent, animated, data_ended, ended;
	uint32_t runs_n;
};

static uint32_t big(struct reader *r)
{
	struct slice s = read_bytes(r, 4);

	return s.n == 0 ? 0 : (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 |
		(uint32_t)s.p[2] << 8 | s.p[3];
}

static enum reason damaged(struct parse *p, const char *what)
{
	return look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PNG: %s, byte %zu", what,
			   (size_t)(p->r.p - p->start));
}

static bool is(const struct chunk *c, const char *type)
{
	return memcmp(c->type, type, 4) == 0;
}

static enum reason chunk_read(struct parse *p, struct chunk *c)
{
	uint32_t n = big(&p->r), crc;
	struct slice type = read_bytes(&p->r, 4);

	c->data = read_bytes(&p->r, n);
	crc = big(&p->r);
	if (p->r.bad || n > CHUNK_BYTES_MAX) {
		p->r.bad = false;
		return damaged(p, "cut off");
	}
	memcpy(c->type, type.p, 4);
	for (int i = 0; i < 4; i++)
		if ((c->type[i] | 0x20) < 'a' || (c->type[i] | 0x20) > 'z')
			return damaged(p, "chunk");
	/* Type and data stand side by side. */
	if (crc32_z(crc32_z(0, NULL, 0), type.p, 4 + (size_t)n) != crc)
		return damaged(p, "wrong CRC");
	return REASON_NONE;
}

/* ---- the header ---- */

static uint32_t samples(uint8_t colour)
{
	static const uint8_t of[] = { 1, 0, 3, 1, 2, 0, 4 };

	return colour < ARRAY_LEN(of) ? of[colour] : 0;
}

/* Table 11.1: bit n set: so many bits are allowed. */
static bool bits_allowed(uint8_t colour, uint8_t bits)
{
	static const uint32_t of[] = { 0x10116, 0, 0x10100, 0x116, 0x10100, 0, 0x10100 };

	return colour < ARRAY_LEN(of) && bits <= 16 && (of[colour] >> bits & 1) != 0;
}

static void part_add(struct flate_rows *rows, uint64_t pixels, uint32_t high, uint32_t pixel_bits)
{
	if (pixels > 0 && high > 0)
		rows->parts[rows->n++] = (struct flate_part){ (pixels * pixel_bits + 7) / 8, high };
}

static struct flate_rows rows_of(const struct parse *p)
{
	/* Figure 4.8: where each pass begins and how it steps. */
	static const uint8_t x0[] = { 0, 4, 0, 2, 0, 1, 0 }, dx[] = { 8, 8, 4, 4, 2, 2, 1 };
	static const uint8_t y0[] = { 0, 0, 4, 0, 2, 0, 1 }, dy[] = { 8, 8, 8, 4, 4, 2, 2 };
	const struct png *o = p->out;
	uint32_t pixel_bits = samples(p->colour) * o->bits;
	struct flate_rows rows = { .filtered = true };

	if (!p->interlaced)
		part_add(&rows, o->width, o->height, pixel_bits);
	for (int i = 0; p->interlaced && i < FLATE_PARTS_MAX; i++)
		part_add(&rows, (o->width + dx[i] - 1u - x0[i]) / dx[i],
			 (o->height + dy[i] - 1u - y0[i]) / dy[i], pixel_bits);
	return rows;
}

static enum reason header(struct parse *p, struct slice data)
{
	struct reader r = reader_of(data);
	struct png *o = p->out;
	uint8_t method, filter;
	struct flate_rows rows;
	enum reason why;

	o->width = big(&r);
	o->height = big(&r);
	o->bits = read_u8(&r);
	p->colour = read_u8(&r);
	method = read_u8(&r);
	filter = read_u8(&r);
	p->interlaced = read_u8(&r);
	if (p->header || r.bad || reader_left(&r) > 0 || !bits_allowed(p->colour, o->bits) ||
	    o->width == 0 || o->height == 0 || method != 0 || filter != 0 || p->interlaced > 1)
		return damaged(p, "header");
	p->header = true;
	o->components = p->colour == RGB || p->colour == RGB_ALPHA ? 3 : 1;
	why = look_sides(o->width, o->height, p->d);
	if (why != REASON_NONE)
		return why;
	rows = rows_of(p);
	if (flate_bytes(&rows) > ORIGINAL_DECODED_BYTES_MAX)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "PNG: %u x %u", o->width,
				   o->height);
	if (flate_begin(&p->flate, &rows) != ST_OK)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	p->inflating = true;
	return REASON_NONE;
}

/* ---- the others ---- */

static enum reason palette(struct parse *p, struct slice data)
{
	if (p->out->palette.n > 0 || p->runs_n > 0 || data.n == 0 || data.n % 3 != 0 ||
	    data.n > 768 || p->colour == GREY || p->colour == GREY_ALPHA ||
	    (p->colour == PALETTE && data.n / 3 > 1u << p->out->bits))
		return damaged(p, "palette");
	p->out->palette = data;
	return REASON_NONE;
}

static void physical(struct parse *p, struct slice data)
{
	struct reader r = reader_of(data);
	uint64_t x = big(&r), y = big(&r);
	bool metre = read_u8(&r) == 1;

	/* Samples in a metre; in an inch × 100. */
	x = x * 254 / CM_IN_METRE;
	y = y * 254 / CM_IN_METRE;
	if (!r.bad && metre && x > 0 && y > 0 && x < UINT32_MAX && y < UINT32_MAX)
		p->out->density = (struct density){ (uint32_t)x, (uint32_t)y };
}

static enum reason run_add(struct parse *p, struct slice data)
{
	if (p->data_ended || (p->colour == PALETTE && p->out->palette.n == 0))
		return damaged(p, "order");
	if (data.n == 0)
		return REASON_NONE;
	if (p->runs_n < ORIGINAL_RUNS_MAX)
		p->out->runs[p->runs_n] = (struct original_run){
			(uint32_t)(data.p - p->start), (uint32_t)data.n };
	p->runs_n++;
	flate_feed(&p->flate, data);
	return REASON_NONE;
}

static enum reason chunk_take(struct parse *p, const struct chunk *c)
{
	if (!p->header && !is(c, "IHDR"))
		return damaged(p, "order");
	if (is(c, "IDAT"))
		return run_add(p, c->data);
	p->data_ended = p->runs_n > 0;
	if (is(c, "IHDR"))
		return header(p, c->data);
	if (is(c, "PLTE"))
		return palette(p, c->data);
	if (is(c, "IEND")) {
		p->ended = true;
		return c->data.n == 0 ? REASON_NONE : damaged(p, "end");
	}
	if (CRITICAL(c->type))
		return damaged(p, "unknown chunk");
	if (is(c, "tRNS"))
		p->transparent = true;
	if (is(c, "acTL"))
		p->animated = true;
	if (is(c, "pHYs"))
		physical(p, c->data);
	if (is(c, "iCCP"))
		p->iccp = c->data;
	if (is(c, "eXIf"))
		exif_read(c->data, &p->exif);
	return REASON_NONE;
}

static enum reason whole(struct parse *p)
{
	enum flate_end end = flate_finish(&p->flate);

	p->inflating = false;
	if (end == FLATE_WHOLE && p->flate.behind == 0)
		return REASON_NONE;
	return look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PNG: %s",
			   end == FLATE_BROKEN ? "data cannot be read" :
			   end == FLATE_SHORT ? "rows are missing" : "more data than rows");
}

static enum reason chunks(struct parse *p)
{
	enum reason why = REASON_NONE;

	while (why == REASON_NONE && !p->ended) {
		struct chunk c;

		why = chunk_read(p, &c);
		if (why == REASON_NONE)
			why = chunk_take(p, &c);
	}
	return why == REASON_NONE ? whole(p) : why;
}

/* 11.3.3.3: a name, how it is compressed, and that. A palette's entries are RGB. */
static bool has_other_colours(const struct parse *p, struct arena *a)
{
	uint8_t components = p->colour == PALETTE ? 3 : p->out->components;
	const uint8_t *name_end = p->iccp.n > 0 ? memchr(p->iccp.p, 0, p->iccp.n) : NULL;
	size_t at = name_end == NULL ? 0 : (size_t)(name_end - p->iccp.p) + 2;
	size_t before = a->used, n = 0;
	enum status st = ST_NOMEM;
	uint8_t *bytes;
	bool other;

	if (at == 0 || at >= p->iccp.n)
		return false;
	bytes = arena_take(a, ICC_BYTES_MAX);
	if (bytes != NULL)
		st = flate_read(slice_of(p->iccp.p + at, p->iccp.n - at), bytes, ICC_BYTES_MAX,
				&n);
	/* What is no zlib stream is no profile; one that is larger is none of sRGB's kind. */
	other = st == ST_OK ? icc_is_of(slice_of(bytes, n), components) &&
			      !icc_is_srgb(slice_of(bytes, n), components) : st != ST_CORRUPT;
	a->used = before;
	return other;
}

enum reason png_look(struct slice file, struct arena *a, struct png *out, struct detail *d)
{
	struct parse p = { .out = out, .d = d, .start = file.p, .r = reader_of(file) };
	struct slice signature = read_bytes(&p.r, sizeof(SIGNATURE) - 1);
	enum reason why;

	*out = (struct png){ .orientation = 1 };
	if (!slice_eq(signature, slice_of(SIGNATURE, sizeof(SIGNATURE) - 1)))
		return look_refuse(d, REASON_ORIGINAL_FORMAT, "no PNG");
	out->runs = arena_take(a, ORIGINAL_RUNS_MAX * sizeof(*out->runs));
	if (out->runs == NULL)
		return look_refuse(d, REASON_ORIGINAL_TOO_LARGE, "memory");
	why = chunks(&p);
	if (p.inflating)
		inflateEnd(&p.flate.z);
	if (why != REASON_NONE)
		return why;
	if (p.exif.orientation != 0)
		out->orientation = p.exif.orientation;
	if (p.colour != PALETTE)
		out->palette = slice_of(NULL, 0);	/* a hint for poor screens */
	if (reader_left(&p.r) > 0)
		out->wrapped = ORIGINAL_TAIL;
	else if (p.transparent || p.animated || p.interlaced || samples(p.colour) % 2 == 0)
		out->wrapped = ORIGINAL_CODING;
	else if (has_other_colours(&p, a))
		out->wrapped = ORIGINAL_COLOUR;
	else if (p.runs_n > ORIGINAL_RUNS_MAX)
		out->wrapped = ORIGINAL_LONG;
	else
		out->runs_n = (uint16_t)p.runs_n;
	return REASON_NONE;
}
