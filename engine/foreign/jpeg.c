#include "foreign/jpeg.h"

#include "foreign/exif.h"
#include "foreign/icc.h"

/* ITU-T T.81, table B.1. */
enum {
	TEM = 0x01, SOF0 = 0xC0, SOF1 = 0xC1, SOF2 = 0xC2, DHT = 0xC4, SOF_LAST = 0xCF,
	JPG = 0xC8, DAC = 0xCC, RST0 = 0xD0, RST7 = 0xD7, SOI = 0xD8, EOI = 0xD9, SOS = 0xDA,
	DQT = 0xDB, DNL = 0xDC, DRI = 0xDD, APP0 = 0xE0, APP1 = 0xE1, APP2 = 0xE2, APP14 = 0xEE,
	APP15 = 0xEF, COM = 0xFE,
};

#define FRAME_COMPONENTS_MAX 4
#define TRANSFORM_NONE 0
#define UNIT_INCH 1
#define UNIT_CM 2

struct scan {
	struct jpeg *out;
	struct detail *d;
	const uint8_t *start;
	struct reader r;
	struct exif exif;
	struct density jfif_density;
	struct slice profile;		/* its first part; none has more than one that is sRGB's */
	bool jfif, adobe, frame, progressive, tables, quantised;
	uint8_t transform;		/* of Adobe's marker */
	uint8_t ids[FRAME_COMPONENTS_MAX];
	uint8_t across[FRAME_COMPONENTS_MAX], down[FRAME_COMPONENTS_MAX];	/* sampling */
	uint8_t across_most, down_most;
	uint8_t shown;			/* bit n: component n begins in a scan */
	uint32_t interval;		/* MCUs between two restarts; 0: none */
};

static uint32_t big(struct reader *r, size_t width)
{
	struct slice s = read_bytes(r, width);
	uint32_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return v;
}

static enum reason damaged(struct scan *s, const char *what)
{
	return look_refuse(s->d, REASON_ORIGINAL_DAMAGED, "JPEG: %s, byte %zu", what,
			   (size_t)(s->r.p - s->start));
}

/* ---- application segments ---- */

static bool begins(struct slice s, const char *with, size_t n)
{
	return s.n >= n && memcmp(s.p, with, n) == 0;
}

static void app0(struct scan *s, struct slice segment)
{
	struct reader r = reader_of(segment);
	uint32_t unit;

	if (!begins(segment, "JFIF\0", 5))
		return;
	s->jfif = true;
	read_bytes(&r, 7);
	unit = read_u8(&r);
	s->jfif_density.x = big(&r, 2) * 100;
	s->jfif_density.y = big(&r, 2) * 100;
	if (unit == UNIT_CM) {
		s->jfif_density.x = s->jfif_density.x * 254 / 100;
		s->jfif_density.y = s->jfif_density.y * 254 / 100;
	}
	if (r.bad || (unit != UNIT_INCH && unit != UNIT_CM))
		s->jfif_density = (struct density){ 0, 0 };
}

static void application(struct scan *s, uint8_t marker, struct slice segment)
{
	if (marker == APP0)
		app0(s, segment);
	if (marker == APP1 && begins(segment, "Exif\0", 5) && segment.n > 6 &&
	    s->exif.orientation == 0)
		exif_read(slice_of(segment.p + 6, segment.n - 6), &s->exif);
	if (marker == APP2 && begins(segment, "ICC_PROFILE\0\1", 13) && segment.n > 14)
		s->profile = slice_of(segment.p + 14, segment.n - 14);
	if (marker == APP14 && begins(segment, "Adobe", 5) && segment.n >= 12) {
		s->adobe = true;
		s->transform = segment.p[11];
	}
}

/* ---- the frame ---- */

static enum reason frame_form(struct scan *s, uint8_t marker, uint8_t bits)
{
	const char *what = NULL;

	if (marker > SOF2)
		what = marker == 0xC3 ? "lossless" : marker < JPG ? "hierarchical" : "arithmetic";
	else if (bits != 8)
		what = "not 8 bits";
	return what == NULL ? REASON_NONE :
		look_refuse(s->d, REASON_ORIGINAL_FORMAT, "JPEG: %s", what);
}

static enum reason frame(struct scan *s, uint8_t marker, struct slice segment)
{
	struct reader r = reader_of(segment);
	uint8_t bits = read_u8(&r), n;
	enum reason why = frame_form(s, marker, bits);

	if (why != REASON_NONE)
		return why;
	s->out->height = big(&r, 2);
	s->out->width = big(&r, 2);
	n = read_u8(&r);
	if (r.bad || s->frame || s->out->width == 0 || n == 0 || reader_left(&r) != 3u * n)
		return damaged(s, "frame");
	if (s->out->height == 0)
		return look_refuse(s->d, REASON_ORIGINAL_FORMAT, "JPEG: rows not said");
	if (n > FRAME_COMPONENTS_MAX || n == 2)
		return look_refuse(s->d, REASON_ORIGINAL_FORMAT, "JPEG: %u components", n);
	for (uint8_t i = 0; i < n; i++) {
		uint8_t sampling, table;

		s->ids[i] = read_u8(&r);
		sampling = read_u8(&r);
		table = read_u8(&r);
		if (sampling >> 4 < 1 || sampling >> 4 > 4 || (sampling & 15) < 1 ||
		    (sampling & 15) > 4 || table > 3)
			return damaged(s, "component");
		s->across[i] = sampling >> 4;
		s->down[i] = sampling & 15;
		if (s->across[i] > s->across_most)
			s->across_most = s->across[i];
		if (s->down[i] > s->down_most)
			s->down_most = s->down[i];
	}
	s->frame = true;
	s->progressive = marker == SOF2;
	s->out->components = n;
	return look_sides(s->out->width, s->out->height, s->d);
}

/* ---- scans ---- */

/* Which of the frame's; its number of components: none. */
static uint8_t component(const struct scan *s, uint8_t id)
{
	uint8_t i = 0;

	while (i < s->out->components && s->ids[i] != id)
		i++;
	return i;
}

static uint32_t parts(uint32_t whole, uint32_t part)
{
	return (whole + part - 1) / part;
}

/* A.2: what a scan of these components is made of. */
static void scan_size(const struct scan *s, const uint8_t *of, uint8_t n, uint32_t *mcus,
		      uint32_t *blocks)
{
	uint32_t width = s->out->width, height = s->out->height, in_mcu = 0;

	if (n == 1) {
		width = parts(width * s->across[of[0]], s->across_most);
		height = parts(height * s->down[of[0]], s->down_most);
		*mcus = *blocks = parts(width, 8) * parts(height, 8);
		return;
	}
	for (uint8_t i = 0; i < n; i++)
		in_mcu += s->across[of[i]] * s->down[of[i]];
	*mcus = parts(width, 8 * s->across_most) * parts(height, 8 * s->down_most);
	*blocks = *mcus * in_mcu;
}

/* To the next marker that is none of the scan's own; *restarts: how many of those, in order. */
static enum reason pass_coded(struct scan *s, uint32_t *restarts)
{
	struct reader *r = &s->r;

	for (;;) {
		const uint8_t *mark = memchr(r->p, 0xFF, reader_left(r));

		if (mark == NULL || mark + 1 >= r->end) {
			r->p = r->end;
			return damaged(s, "cut off");
		}
		r->p = mark;
		/* Stuffing, restarts, and fill bytes before a marker. */
		if (mark[1] >= RST0 && mark[1] <= RST7) {
			if (mark[1] - RST0 != (int)(*restarts % 8))
				return damaged(s, "restart");
			(*restarts)++;
			r->p += 2;
		} else if (mark[1] == 0) {
			r->p += 2;
		} else if (mark[1] == 0xFF) {
			r->p += 1;
		} else {
			return REASON_NONE;
		}
	}
}

/*
 * Bits that each block takes at least: one of its DC code and one that ends it (F.1.2), or its one
 * bit of DC (G.1.2.1); AC of many blocks may end in one code (G.1.2.2).
 */
static uint32_t block_bits(const struct scan *s, uint8_t first)
{
	return !s->progressive ? 2 : first == 0 ? 1 : 0;
}

/* Are its restarts as many as they must be, and could its bytes be all blocks? */
static enum reason coded(struct scan *s, const uint8_t *of, uint8_t n, uint8_t first)
{
	const uint8_t *from = s->r.p;
	uint32_t restarts = 0, wanted, mcus, blocks;
	enum reason why = pass_coded(s, &restarts);
	size_t bytes = (size_t)(s->r.p - from);

	if (why != REASON_NONE)
		return why;
	scan_size(s, of, n, &mcus, &blocks);
	wanted = s->interval == 0 ? 0 : parts(mcus, s->interval) - 1;
	/* Some programs write one behind the last interval too. */
	if (restarts < wanted || restarts > wanted + (s->interval != 0))
		return damaged(s, "restarts");
	if (bytes == 0 || bytes < parts(blocks * block_bits(s, first), 8))
		return damaged(s, "short scan");
	return REASON_NONE;
}

static enum reason scan(struct scan *s, struct slice segment)
{
	struct reader r = reader_of(segment);
	uint8_t n = read_u8(&r), of[FRAME_COMPONENTS_MAX], first;

	if (!s->frame || !s->tables || !s->quantised || n == 0 || n > s->out->components ||
	    reader_left(&r) != 2u * n + 3)
		return damaged(s, "scan");
	for (uint8_t i = 0; i < n; i++) {
		of[i] = component(s, read_u8(&r));
		if (of[i] == s->out->components)
			return damaged(s, "scan");
		read_u8(&r);
	}
	first = read_u8(&r);
	for (uint8_t i = 0; i < n && (first == 0 || !s->progressive); i++)
		s->shown |= (uint8_t)(1u << of[i]);
	return coded(s, of, n, first);
}

static enum reason restart_interval(struct scan *s, struct slice segment)
{
	struct reader r = reader_of(segment);

	s->interval = big(&r, 2);
	return r.bad || reader_left(&r) > 0 ? damaged(s, "restart interval") : REASON_NONE;
}

static enum reason segment(struct scan *s, uint8_t marker)
{
	uint32_t n = big(&s->r, 2);
	struct slice body = read_bytes(&s->r, n < 2 ? SIZE_MAX : n - 2);

	if (s->r.bad) {
		s->r.bad = false;
		return damaged(s, "cut off");
	}
	if (marker >= APP0 && marker <= APP15)
		application(s, marker, body);
	else if (marker == DHT)
		s->tables = true;
	else if (marker == DQT)
		s->quantised = true;
	else if (marker == SOS)
		return scan(s, body);
	else if (marker == DAC)
		return look_refuse(s->d, REASON_ORIGINAL_FORMAT, "JPEG: arithmetic");
	else if (marker == DNL)
		return look_refuse(s->d, REASON_ORIGINAL_FORMAT, "JPEG: rows not said");
	else if (marker >= SOF0 && marker <= SOF_LAST && marker != JPG)
		return frame(s, marker, body);
	else if (marker == DRI)
		return restart_interval(s, body);
	else if (marker != COM)
		return damaged(s, "marker");
	return REASON_NONE;
}

/* What a page that says /DeviceGray or /DeviceRGB would show otherwise. */
static uint8_t wrapped(const struct scan *s)
{
	if (reader_left(&s->r) > 0)
		return ORIGINAL_TAIL;
	if (s->out->components == 4)
		return ORIGINAL_COLOUR;
	/* Programs differ: some take the letters for RGB, some see YCbCr. */
	if (s->out->components == 3 && !s->jfif && !s->adobe && memcmp(s->ids, "RGB", 3) == 0)
		return ORIGINAL_COLOUR;
	if (s->out->components == 3 && s->adobe && s->transform > 1)
		return ORIGINAL_COLOUR;
	return ORIGINAL_REBUILT;
}

static enum reason segments(struct scan *s)
{
	enum reason why = REASON_NONE;
	uint8_t marker = 0;

	while (why == REASON_NONE && marker != EOI) {
		if (read_u8(&s->r) != 0xFF || s->r.bad)
			return damaged(s, s->r.bad ? "cut off" : "no marker");
		do
			marker = read_u8(&s->r);
		while (marker == 0xFF);
		if (s->r.bad || marker == 0)
			return damaged(s, s->r.bad ? "cut off" : "no marker");
		if (marker != EOI && marker != TEM)
			why = marker >= RST0 && marker <= SOI ? damaged(s, "marker") :
				segment(s, marker);
	}
	return why;
}

enum reason jpeg_look(struct slice file, struct jpeg *out, struct detail *d)
{
	struct scan s = { .out = out, .d = d, .start = file.p, .r = reader_of(file) };
	enum reason why;

	*out = (struct jpeg){ 0 };
	if (!begins(file, "\xFF\xD8", 2))
		return look_refuse(d, REASON_ORIGINAL_FORMAT, "no JPEG");
	s.r.p += 2;
	why = segments(&s);
	if (why != REASON_NONE)
		return why;
	if (!s.frame || s.shown != (1u << out->components) - 1)
		return damaged(&s, "no image");
	out->orientation = s.exif.orientation != 0 ? s.exif.orientation : 1;
	out->density = s.jfif_density.x != 0 ? s.jfif_density : s.exif.density;
	out->wrapped = wrapped(&s);
	out->other_colours = icc_is_of(s.profile, out->components) &&
			     !icc_is_srgb(s.profile, out->components);
	return REASON_NONE;
}
