/*
 * font.h - one TrueType face: what it can show, how wide, and the subset that a document embeds.
 *
 * Opened and subset at template build (HarfBuzz); a render only reads widths through tables that
 * the caller copies out. Any thread may read an open font; one thread at a time makes a subset.
 */
#ifndef TRIEN_RENDER_FONT_H
#define TRIEN_RENDER_FONT_H

#include "base/utf8.h"

struct font;

/* In 1/1000 em (PDF glyph space), as a FontDescriptor wants them (ISO 32000-1, 9.8.1). */
struct font_metrics {
	char name[64];			/* PostScript name */
	int16_t ascent, descent, cap_height, stem_v;
	int16_t bbox[4];
	int16_t italic_angle_tenths;	/* degrees × 10 */
	bool serif, italic, fixed;
};

/*
 * ST_NOT_FOUND, ST_INVALID (no TrueType outlines, or damaged), ST_DENIED: its OS/2 fsType forbids
 * embedding or subsetting. The path stands in *e.
 */
enum status font_open(struct font **f, const char *path, struct error *e) must_use;
void font_close(struct font *f);
const struct font_metrics *font_metrics(const struct font *f);
/* Glyph of the code point in the whole face; 0: it has none. */
uint16_t font_glyph(const struct font *f, uint32_t cp);
/* Advance of a glyph of the whole face, 1/1000 em, rounded to nearest. */
uint16_t font_advance(const struct font *f, uint16_t glyph);
/* Adds every code point that the face shows and utf8_refused() does not forbid. */
void font_coverage(const struct font *f, struct codeset *out);

/* A subset: only head, hhea, hmtx, maxp, loca, glyf; no hints. glyphs[]: malloc'd, by cp. */
struct font_glyph { uint32_t cp; uint16_t glyph; /* in the subset */ uint16_t advance; };
struct font_subset {
	uint8_t *bytes;			/* the font program, malloc'd */
	size_t size;
	uint32_t glyphs_n;		/* code points asked for and present */
	struct font_glyph *glyphs;
	uint16_t glyph_count;		/* of the program, .notdef included */
};
/* The same font and set give the same bytes. */
enum status font_subset(const struct font *f, const struct codeset *wanted, struct font_subset *out,
			struct error *e) must_use;
void font_subset_free(struct font_subset *s);

#endif
