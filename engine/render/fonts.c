#include "render/sheet.h"

#include <stdlib.h>

#define IDENTITY "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
#define BLOCK 100			/* entries of one bfchar section (Adobe TN 5014) */

/* One byte is its own CID, so the encoding is one range. */
static const char cmap[] =
	"%!PS-Adobe-3.0 Resource-CMap\n/CIDInit/ProcSet findresource begin\n12 dict begin\n"
	"begincmap\n/CIDSystemInfo 3 dict dup begin\n/Registry(Adobe)def\n"
	"/Ordering(Identity)def\n/Supplement 0 def\nend def\n/CMapName/TrienOneByte def\n"
	"/CMapType 1 def\n/WMode 0 def\n1 begincodespacerange\n<00> <FF>\nendcodespacerange\n"
	"1 begincidrange\n<00> <FF> 0\nendcidrange\nendcmap\n"
	"CMapName currentdict/CMap defineresource pop\nend\nend\n";

static const char unicode_head[] =
	"/CIDInit/ProcSet findresource begin\n12 dict begin\nbegincmap\n"
	"/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n"
	"/CMapName/Adobe-Identity-UCS def\n/CMapType 2 def\n1 begincodespacerange\n";
static const char unicode_tail[] =
	"endcmap\nCMapName currentdict/CMap defineresource pop\nend\nend\n";

static void unicode_entries(const struct encoding *e, FILE *f, uint32_t last, int digits)
{
	uint32_t codes[CODES_MAX], n = 0;

	for (uint32_t c = 1; c <= last; c++)
		if (e->cp[c] != 0)
			codes[n++] = c;
	for (uint32_t i = 0; i < n; i++) {
		if (i % BLOCK == 0)
			fprintf(f, "%u beginbfchar\n", n - i < BLOCK ? n - i : BLOCK);
		fprintf(f, "<%0*X> <%04X>\n", digits, codes[i], e->cp[codes[i]]);
		if (i % BLOCK == BLOCK - 1 || i == n - 1)
			fputs("endbfchar\n", f);
	}
}

static enum status unicode_object(const struct encoding *e, struct sheet *s, bool wide)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	enum status st;

	if (f == NULL)
		return ST_NOMEM;
	fputs(unicode_head, f);
	fputs(wide ? "<0000> <FFFF>\nendcodespacerange\n" : "<00> <FF>\nendcodespacerange\n", f);
	unicode_entries(e, f, wide ? e->codes_n - 1u : CODE_WIDE - 1u, wide ? 4 : 2);
	fputs(unicode_tail, f);
	st = fclose(f) != 0 ? ST_NOMEM :
		object_stream(s, wide ? OBJ_TOUNICODE_WIDE : OBJ_TOUNICODE, "", slice_of(text, n));
	free(text);
	return st;
}

/* ---- one face ---- */

static void type0(struct sheet *s, uint32_t number, const char *name, uint32_t cidfont, bool wide)
{
	object_begin(s, number);
	fprintf(s->f, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding", name);
	if (wide)
		fputs("/Identity-H", s->f);
	else
		fprintf(s->f, " %d 0 R", OBJ_CMAP);
	fprintf(s->f, "/DescendantFonts[%u 0 R]/ToUnicode %d 0 R>>", cidfont,
		wide ? OBJ_TOUNICODE_WIDE : OBJ_TOUNICODE);
	object_end(s);
}

static void cidfont(const struct encoding *e, struct sheet *s, uint32_t number, const char *name,
		    int face)
{
	object_begin(s, number);
	fprintf(s->f,
		"<</Type/Font/Subtype/CIDFontType2/BaseFont/%s" IDENTITY
		"/FontDescriptor %u 0 R/CIDToGIDMap %u 0 R/DW 0/W[1[", name, number + 1,
		number + 3);
	for (uint32_t c = 1; c < e->codes_n; c++)
		fprintf(s->f, c == 1 ? "%u" : " %u", e->width[face][c]);
	fputs("]]>>", s->f);
	object_end(s);
}

static void descriptor(struct sheet *s, uint32_t number, const char *name,
		       const struct font_metrics *m)
{
	int flags = 4 | (m->fixed ? 1 : 0) | (m->serif ? 2 : 0) | (m->italic ? 64 : 0);

	object_begin(s, number);
	fprintf(s->f,
		"<</Type/FontDescriptor/FontName/%s/Flags %d/FontBBox[%d %d %d %d]"
		"/ItalicAngle %d.%d/Ascent %d/Descent %d/CapHeight %d/StemV %d/FontFile2 %u 0 R>>",
		name, flags, m->bbox[0], m->bbox[1], m->bbox[2], m->bbox[3],
		m->italic_angle_tenths / 10, abs(m->italic_angle_tenths % 10), m->ascent,
		m->descent, m->cap_height, m->stem_v, number + 1);
	object_end(s);
}

/* CID to glyph of the subset, two bytes each. */
static enum status glyph_map(const struct encoding *e, struct sheet *s, uint32_t number,
			     const struct font_subset *subset)
{
	uint8_t map[2 * CODES_MAX] = { 0 };

	for (uint32_t i = 0; i < subset->glyphs_n; i++) {
		const struct font_glyph *g = &subset->glyphs[i];
		uint16_t code = g->cp < ENCODING_CPS ? e->code[g->cp] : 0;

		map[2 * code] = (uint8_t)(g->glyph >> 8);
		map[2 * code + 1] = (uint8_t)g->glyph;
	}
	return object_stream(s, number, "", slice_of(map, 2u * e->codes_n));
}

/* Six letters that tell one subset from another (ISO 32000-1, 9.6.4). */
static void subset_name(char *out, size_t size, const struct font_subset *subset, const char *name)
{
	uint8_t hash[SHA256_BYTES];
	char tag[7] = { 0 };

	sha256_once(subset->bytes, subset->size, hash);
	for (int i = 0; i < 6; i++)
		tag[i] = (char)('A' + hash[i] % 26);
	snprintf(out, size, "%s+%s", tag, name);
}

static enum status face_objects(const struct encoding *e, struct font *font, int face,
				struct sheet *s, struct error *err)
{
	uint32_t n = OBJ_FONT + (uint32_t)face * OBJ_FONT_PARTS;
	struct font_subset subset;
	char name[80], dict[40];
	enum status st = font_subset(font, &e->coverage, &subset, err);

	if (st != ST_OK)
		return st;
	subset_name(name, sizeof(name), &subset, font_metrics(font)->name);
	type0(s, n, name, n + 2, false);
	type0(s, n + 1, name, n + 2, true);
	cidfont(e, s, n + 2, name, face);
	descriptor(s, n + 3, name, font_metrics(font));
	snprintf(dict, sizeof(dict), "/Length1 %zu", subset.size);
	st = object_stream(s, n + 4, dict, slice_of(subset.bytes, subset.size));
	if (st == ST_OK)
		st = glyph_map(e, s, n + 5, &subset);
	font_subset_free(&subset);
	return st;
}

enum status fonts_layer(const struct encoding *enc, struct font *const faces[FACES],
			struct slice icc, struct sheet *s, struct error *e)
{
	char dict[] = "/Type/CMap/CMapName/TrienOneByte" IDENTITY "/WMode 0";
	enum status st;

	fputs("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", s->f);
	st = object_stream(s, OBJ_ICC, "/N 3", icc);
	if (st == ST_OK)
		st = object_stream(s, OBJ_CMAP, dict, slice_str(cmap));
	if (st == ST_OK)
		st = unicode_object(enc, s, false);
	if (st == ST_OK)
		st = unicode_object(enc, s, true);
	for (int f = 0; st == ST_OK && f < FACES; f++)
		st = face_objects(enc, faces[f], f, s, e);
	object_begin(s, OBJ_FONTS);
	for (int f = 0; f < FACES; f++)
		fprintf(s->f, "%s/F%d %d 0 R/G%d %d 0 R", f == 0 ? "<<" : "", f + 1,
			OBJ_FONT + f * OBJ_FONT_PARTS, f + 1, OBJ_FONT + f * OBJ_FONT_PARTS + 1);
	fputs(">>", s->f);
	object_end(s);
	/* What an unsigned field shows, and what a signature of the agency locks. */
	if (st == ST_OK)
		st = object_stream(s, OBJ_EMPTY,
				   "/Type/XObject/Subtype/Form/BBox[0 0 1 1]/Resources<<>>",
				   slice_str(""));
	object_begin(s, OBJ_LOCK);
	fputs("<</Type/SigFieldLock/Action/All>>", s->f);
	object_end(s);
	return st;
}
