#include "render/font.h"

#include <errno.h>
#include <hb-ot.h>
#include <hb-subset.h>
#include <stdlib.h>

#define FS_TYPE_LICENCE 0x000e		/* OpenType OS/2 fsType: usage permissions */
#define FS_TYPE_RESTRICTED 0x0002
#define FS_TYPE_NO_SUBSETTING 0x0100
#define FS_TYPE_BITMAP_ONLY 0x0200

struct font {
	hb_face_t *face;
	hb_font_t *font;		/* scaled to the font's own units */
	uint32_t units_per_em;
	struct font_metrics metrics;
};

/* What a CIDFontType2 needs (ISO 32000-1, 9.9 table 126). */
static const hb_tag_t kept[] = {
	HB_TAG('h', 'e', 'a', 'd'), HB_TAG('h', 'h', 'e', 'a'), HB_TAG('h', 'm', 't', 'x'),
	HB_TAG('m', 'a', 'x', 'p'), HB_TAG('l', 'o', 'c', 'a'), HB_TAG('g', 'l', 'y', 'f'),
};

struct table { hb_blob_t *blob; const uint8_t *p; uint32_t n; };

static struct table table_take(hb_face_t *face, const char *tag)
{
	struct table t = { .blob = hb_face_reference_table(face, hb_tag_from_string(tag, 4)) };

	t.p = (const uint8_t *)hb_blob_get_data(t.blob, &t.n);
	return t;
}

/* Big-endian, 0 beyond the end: a table that is too short says nothing. */
static uint32_t table_u16(const struct table *t, uint32_t at)
{
	return at + 2 <= t->n ? (uint32_t)t->p[at] << 8 | t->p[at + 1] : 0;
}

static uint32_t table_u32(const struct table *t, uint32_t at)
{
	return table_u16(t, at) << 16 | table_u16(t, at + 2);
}

static int16_t table_i16(const struct table *t, uint32_t at)
{
	return (int16_t)table_u16(t, at);
}

static enum status damaged(const char *path, const char *what, struct error *e)
{
	return error_set(e, ST_INVALID, "%s: no usable TrueType font: %s", path, what);
}

/* HarfBuzz clips tables to the file; a font that was cut short must not pass for a small one. */
static enum status check_directory(hb_face_t *face, const char *path, struct error *e)
{
	hb_blob_t *blob = hb_face_reference_blob(face);
	struct table file = { .blob = blob };
	enum status st = ST_OK;
	uint32_t tables_n;

	file.p = (const uint8_t *)hb_blob_get_data(blob, &file.n);
	tables_n = table_u16(&file, 4);
	if (table_u32(&file, 0) != 0x00010000 && table_u32(&file, 0) != HB_TAG('t', 'r', 'u', 'e'))
		st = damaged(path, "not a single face with TrueType outlines", e);
	else if (12 + tables_n * 16 > file.n)
		st = damaged(path, "the table directory is cut off", e);
	for (uint32_t i = 0; st == ST_OK && i < tables_n; i++) {
		uint32_t offset = table_u32(&file, 12 + i * 16 + 8);
		uint32_t length = table_u32(&file, 12 + i * 16 + 12);

		if (offset > file.n || length > file.n - offset)
			st = damaged(path, "a table reaches beyond the file", e);
	}
	hb_blob_destroy(blob);
	return st;
}

/* Every glyph lies inside glyf, in order. */
static bool outlines_sound(const struct table *head, const struct table *loca,
			   const struct table *glyf, uint32_t glyphs_n)
{
	bool wide = table_u16(head, 50) != 0;
	uint32_t before = 0;

	if (loca->n / (wide ? 4 : 2) < glyphs_n + 1)
		return false;
	for (uint32_t i = 0; i <= glyphs_n; i++) {
		uint32_t at = wide ? table_u32(loca, i * 4) : table_u16(loca, i * 2) * 2;

		if (at < before || at > glyf->n)
			return false;
		before = at;
	}
	return true;
}

static enum status check_outlines(hb_face_t *face, const char *path, struct error *e)
{
	struct table head = table_take(face, "head"), loca = table_take(face, "loca");
	struct table glyf = table_take(face, "glyf"), maxp = table_take(face, "maxp");
	struct table hhea = table_take(face, "hhea"), hmtx = table_take(face, "hmtx");
	uint32_t glyphs_n = table_u16(&maxp, 4), advances_n = table_u16(&hhea, 34);
	uint32_t units = table_u16(&head, 18);
	enum status st = ST_OK;

	if (glyphs_n == 0 || glyf.n == 0)
		st = damaged(path, "no TrueType outlines", e);
	else if (units < 16 || units > 16384)
		st = damaged(path, "head: units per em", e);
	else if (!outlines_sound(&head, &loca, &glyf, glyphs_n))
		st = damaged(path, "loca does not fit glyf", e);
	else if (advances_n == 0 || advances_n > glyphs_n ||
		 hmtx.n < advances_n * 4 + (glyphs_n - advances_n) * 2)
		st = damaged(path, "hmtx does not fit hhea", e);
	hb_blob_destroy(head.blob);
	hb_blob_destroy(loca.blob);
	hb_blob_destroy(glyf.blob);
	hb_blob_destroy(maxp.blob);
	hb_blob_destroy(hhea.blob);
	hb_blob_destroy(hmtx.blob);
	return st;
}

static enum status check_licence(hb_face_t *face, const char *path, struct error *e)
{
	struct table os2 = table_take(face, "OS/2");
	uint32_t fs_type = table_u16(&os2, 8);

	hb_blob_destroy(os2.blob);
	/* Several permissions: the widest counts, so "restricted" must stand alone. */
	if ((fs_type & FS_TYPE_LICENCE) == FS_TYPE_RESTRICTED)
		return error_set(e, ST_DENIED, "%s: its licence forbids embedding (fsType %04x)",
				 path, fs_type);
	if (fs_type & (FS_TYPE_NO_SUBSETTING | FS_TYPE_BITMAP_ONLY))
		return error_set(e, ST_DENIED, "%s: its licence forbids subsetting (fsType %04x)",
				 path, fs_type);
	return ST_OK;
}

static int16_t per_mille(const struct font *f, int32_t units)
{
	int32_t em = (int32_t)f->units_per_em, half = units < 0 ? -em / 2 : em / 2;

	return (int16_t)((units * 1000 + half) / em);
}

/* The version 2 field where there is one, else the height of H. */
static int32_t cap_height(const struct font *f, const struct table *os2)
{
	hb_glyph_extents_t box;
	uint16_t h = font_glyph(f, 'H');

	if (table_u16(os2, 0) >= 2 && table_i16(os2, 88) > 0)
		return table_i16(os2, 88);
	if (h != 0 && hb_font_get_glyph_extents(f->font, h, &box))
		return box.y_bearing;
	return table_i16(os2, 68);	/* typographic ascender */
}

/* PANOSE of a Latin text face knows it best; else the IBM family class. */
static bool has_serifs(const struct table *os2)
{
	uint32_t class = table_u16(os2, 30) >> 8, panose = table_u16(os2, 32);

	if (panose >> 8 == 2 && (panose & 0xff) > 1)
		return (panose & 0xff) < 11;
	return (class >= 1 && class <= 5) || class == 7;
}

static bool name_is_pdf_safe(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || strchr("[](){}<>/%#", *c) != NULL)
			return false;
	return name[0] != '\0';
}

static enum status read_metrics(struct font *f, const char *path, struct error *e)
{
	struct table head = table_take(f->face, "head"), hhea = table_take(f->face, "hhea");
	struct table os2 = table_take(f->face, "OS/2"), post = table_take(f->face, "post");
	struct font_metrics *m = &f->metrics;
	unsigned int room = sizeof(m->name);
	int32_t weight = (int32_t)table_u16(&os2, 4);

	hb_ot_name_get_utf8(f->face, HB_OT_NAME_ID_POSTSCRIPT_NAME, HB_LANGUAGE_INVALID, &room,
			    m->name);
	m->ascent = per_mille(f, table_i16(&hhea, 4));
	m->descent = per_mille(f, table_i16(&hhea, 6));
	m->cap_height = per_mille(f, cap_height(f, &os2));
	/* TrueType has no such value; the usual estimate from the weight class. */
	m->stem_v = (int16_t)(50 + (weight / 65) * (weight / 65));
	for (uint32_t i = 0; i < 4; i++)
		m->bbox[i] = per_mille(f, table_i16(&head, 36 + i * 2));
	m->italic_angle_tenths = (int16_t)((int32_t)table_u32(&post, 4) * 10 / 65536);
	m->serif = has_serifs(&os2);
	m->italic = table_u16(&head, 44) & 2;
	m->fixed = table_u32(&post, 12) != 0;
	hb_blob_destroy(head.blob);
	hb_blob_destroy(hhea.blob);
	hb_blob_destroy(os2.blob);
	hb_blob_destroy(post.blob);
	return name_is_pdf_safe(m->name) ? ST_OK : damaged(path, "no PostScript name", e);
}

static enum status open_face(struct font *f, const char *path, struct error *e)
{
	hb_blob_t *blob;
	enum status st;

	errno = 0;
	blob = hb_blob_create_from_file_or_fail(path);
	if (blob == NULL)
		return error_set(e, errno == ENOENT || errno == ENOTDIR ? ST_NOT_FOUND : ST_INVALID,
				 "%s: the font file cannot be read", path);
	f->face = hb_face_create(blob, 0);
	hb_blob_destroy(blob);
	st = check_directory(f->face, path, e);
	if (st == ST_OK)
		st = check_outlines(f->face, path, e);
	if (st == ST_OK)
		st = check_licence(f->face, path, e);
	if (st != ST_OK)
		return st;
	f->units_per_em = hb_face_get_upem(f->face);
	f->font = hb_font_create(f->face);
	/* Immutable objects may be read by any thread. */
	hb_face_make_immutable(f->face);
	hb_font_make_immutable(f->font);
	return read_metrics(f, path, e);
}

enum status font_open(struct font **out, const char *path, struct error *e)
{
	struct font *f = calloc(1, sizeof(*f));
	enum status st;

	if (f == NULL)
		return error_set(e, ST_NOMEM, "%s: no memory for the font", path);
	st = open_face(f, path, e);
	if (st != ST_OK) {
		font_close(f);
		return st;
	}
	*out = f;
	return ST_OK;
}

void font_close(struct font *f)
{
	if (f == NULL)
		return;
	hb_font_destroy(f->font);
	hb_face_destroy(f->face);
	free(f);
}

const struct font_metrics *font_metrics(const struct font *f)
{
	return &f->metrics;
}

uint16_t font_glyph(const struct font *f, uint32_t cp)
{
	hb_codepoint_t glyph = 0;

	return hb_font_get_nominal_glyph(f->font, cp, &glyph) ? (uint16_t)glyph : 0;
}

uint16_t font_advance(const struct font *f, uint16_t glyph)
{
	uint32_t units = (uint32_t)hb_font_get_glyph_h_advance(f->font, glyph);

	return (uint16_t)((units * 1000 + f->units_per_em / 2) / f->units_per_em);
}

/* What of the face's code points a document may show. */
static hb_set_t *showable(const struct font *f)
{
	hb_set_t *all = hb_set_create();
	hb_codepoint_t cp = HB_SET_VALUE_INVALID;

	hb_face_collect_unicodes(f->face, all);
	while (hb_set_next(all, &cp))
		if (utf8_refused(cp) || font_glyph(f, cp) == 0)
			hb_set_del(all, cp);
	return all;
}

void font_coverage(const struct font *f, struct codeset *out)
{
	hb_set_t *all = showable(f);
	hb_codepoint_t cp = HB_SET_VALUE_INVALID;

	while (hb_set_next(all, &cp))
		codeset_add(out, cp);
	hb_set_destroy(all);
}

static void drop_other_tables(const struct font *f, hb_subset_input_t *input)
{
	hb_set_t *drop = hb_subset_input_set(input, HB_SUBSET_SETS_DROP_TABLE_TAG);
	unsigned int start = 0, n;
	hb_tag_t tags[32];

	do {
		n = ARRAY_LEN(tags);
		hb_face_get_table_tags(f->face, start, &n, tags);
		for (unsigned int i = 0; i < n; i++)
			hb_set_add(drop, tags[i]);
		start += n;
	} while (n == ARRAY_LEN(tags));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		hb_set_del(drop, kept[i]);
}

/* The program's bytes, and which glyph of it shows which code point. */
static enum status take_subset(const struct font *f, hb_subset_plan_t *plan, const hb_set_t *wanted,
			       struct font_subset *out)
{
	const hb_map_t *renumbered = hb_subset_plan_old_to_new_glyph_mapping(plan);
	hb_face_t *face = hb_subset_plan_execute_or_fail(plan);
	hb_codepoint_t cp = HB_SET_VALUE_INVALID;
	hb_blob_t *blob;
	const char *bytes;
	unsigned int n;

	if (face == NULL)
		return ST_INVALID;
	blob = hb_face_reference_blob(face);
	hb_face_destroy(face);
	bytes = hb_blob_get_data(blob, &n);
	out->bytes = malloc(n);
	out->glyphs = calloc(hb_set_get_population(wanted) + 1, sizeof(*out->glyphs));
	if (n > 0 && out->bytes != NULL && out->glyphs != NULL) {
		memcpy(out->bytes, bytes, n);
		out->size = n;
	}
	hb_blob_destroy(blob);
	if (out->size == 0)
		return n > 0 ? ST_NOMEM : ST_INVALID;
	out->glyph_count = (uint16_t)hb_map_get_population(renumbered);
	while (hb_set_next(wanted, &cp)) {
		uint16_t glyph = font_glyph(f, cp);

		out->glyphs[out->glyphs_n++] = (struct font_glyph){
			.cp = cp, .glyph = (uint16_t)hb_map_get(renumbered, glyph),
			.advance = font_advance(f, glyph),
		};
	}
	return ST_OK;
}

enum status font_subset(const struct font *f, const struct codeset *wanted, struct font_subset *out,
			struct error *e)
{
	hb_subset_input_t *input = hb_subset_input_create_or_fail();
	hb_set_t *shown = showable(f);
	hb_codepoint_t cp = HB_SET_VALUE_INVALID;
	hb_subset_plan_t *plan = NULL;
	enum status st = ST_NOMEM;

	*out = (struct font_subset){ 0 };
	while (hb_set_next(shown, &cp))
		if (!codeset_has(wanted, cp))
			hb_set_del(shown, cp);
	if (input != NULL) {
		hb_subset_input_set_flags(input, HB_SUBSET_FLAGS_NO_HINTING);
		hb_set_set(hb_subset_input_unicode_set(input), shown);
		drop_other_tables(f, input);
		plan = hb_subset_plan_create_or_fail(f->face, input);
	}
	if (plan != NULL)
		st = take_subset(f, plan, shown, out);
	if (st != ST_OK) {
		font_subset_free(out);
		error_set(e, st, "%s: the font cannot be cut down to what documents show",
			  f->metrics.name);
	}
	hb_subset_plan_destroy(plan);
	hb_subset_input_destroy(input);
	hb_set_destroy(shown);
	return st;
}

void font_subset_free(struct font_subset *s)
{
	free(s->bytes);
	free(s->glyphs);
	*s = (struct font_subset){ 0 };
}
