#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_TRUETYPE_TABLES_H

#include "render/font.h"
#include "tmpdir.h"

#define FONT_ROOT "/usr/share/fonts/truetype/liberation2/"
#define SERIF FONT_ROOT "LiberationSerif-"

/* FreeType, which reads fonts by code of its own, is the oracle. */
static FT_Library freetype;
static struct tmpdir dir;

static const char *const faces[] = { SERIF "Regular.ttf", SERIF "Bold.ttf",
				     SERIF "Italic.ttf", SERIF "BoldItalic.ttf" };

static int set_up(void **state)
{
	return FT_Init_FreeType(&freetype) == 0 ? tmpdir_make(&dir) : -1;
}

static int tear_down(void **state)
{
	tmpdir_remove(&dir);
	return FT_Done_FreeType(freetype);
}

static struct font *open_or_fail(const char *path)
{
	struct font *f = NULL;
	struct error e = { 0 };

	if (font_open(&f, path, &e) != ST_OK)
		fail_msg("%s", e.text);
	return f;
}

static FT_Face ft_open(const char *path)
{
	FT_Face face;

	assert_int_equal(FT_New_Face(freetype, path, 0, &face), 0);
	return face;
}

static uint32_t ft_advance(FT_Face face, uint32_t glyph)
{
	assert_int_equal(FT_Load_Glyph(face, glyph, FT_LOAD_NO_SCALE), 0);
	return ((uint32_t)face->glyph->metrics.horiAdvance * 1000 + face->units_per_EM / 2u) /
	       face->units_per_EM;
}

static void names_and_styles(void **state)
{
	static const struct { const char *name; bool italic; int16_t angle, stem_v; } want[] = {
		{ "LiberationSerif", false, 0, 86 }, { "LiberationSerif-Bold", false, 0, 150 },
		{ "LiberationSerif-Italic", true, -163, 86 },
		{ "LiberationSerif-BoldItalic", true, -163, 150 },
	};

	for (size_t i = 0; i < ARRAY_LEN(faces); i++) {
		struct font *f = open_or_fail(faces[i]);
		const struct font_metrics *m = font_metrics(f);

		assert_string_equal(m->name, want[i].name);
		assert_int_equal(m->italic, want[i].italic);
		assert_int_equal(m->stem_v, want[i].stem_v);
		assert_in_range(m->italic_angle_tenths - want[i].angle + 2, 0, 4);
		assert_true(m->serif);
		assert_false(m->fixed);
		font_close(f);
	}
	struct font *sans = open_or_fail(FONT_ROOT "LiberationSans-Regular.ttf");
	struct font *mono = open_or_fail(FONT_ROOT "LiberationMono-Regular.ttf");

	assert_false(font_metrics(sans)->serif);
	assert_true(font_metrics(mono)->fixed);
	font_close(mono);
	font_close(sans);
}

static void metrics_equal_freetype(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(faces); i++) {
		struct font *f = open_or_fail(faces[i]);
		const struct font_metrics *m = font_metrics(f);
		FT_Face face = ft_open(faces[i]);
		TT_OS2 *os2 = FT_Get_Sfnt_Table(face, FT_SFNT_OS2);
		double em = face->units_per_EM;

		assert_string_equal(m->name, FT_Get_Postscript_Name(face));
		assert_true(abs(m->ascent - (int)(face->ascender * 1000 / em)) <= 1);
		assert_true(abs(m->descent - (int)(face->descender * 1000 / em)) <= 1);
		assert_true(abs(m->cap_height - (int)(os2->sCapHeight * 1000 / em)) <= 1);
		assert_true(abs(m->bbox[0] - (int)((double)face->bbox.xMin * 1000 / em)) <= 1);
		assert_true(abs(m->bbox[1] - (int)((double)face->bbox.yMin * 1000 / em)) <= 1);
		assert_true(abs(m->bbox[2] - (int)((double)face->bbox.xMax * 1000 / em)) <= 1);
		assert_true(abs(m->bbox[3] - (int)((double)face->bbox.yMax * 1000 / em)) <= 1);
		FT_Done_Face(face);
		font_close(f);
	}
}

static void glyphs_and_advances_equal_freetype(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(faces); i++) {
		struct font *f = open_or_fail(faces[i]);
		FT_Face face = ft_open(faces[i]);

		for (uint32_t cp = 1; cp < 0x10000; cp++)
			assert_int_equal(font_glyph(f, cp), FT_Get_Char_Index(face, cp));
		for (uint32_t g = 0; g < (uint32_t)face->num_glyphs; g++)
			assert_int_equal(font_advance(f, (uint16_t)g), ft_advance(face, g));
		FT_Done_Face(face);
		font_close(f);
	}
}

static void coverage(void **state)
{
	static struct codeset set;
	struct font *f = open_or_fail(faces[0]);
	struct slice letters = slice_str("aàáảãạăằắẳẵặâầấẩẫậđeèẽêềểễuủưữỳỵÀẢÃĂẴÂẪĐỄƠỢỮỲ ỴƀɃ–—“”…₫");

	memset(&set, 0, sizeof(set));
	font_coverage(f, &set);
	while (letters.n > 0) {
		int32_t cp = utf8_next(&letters);

		assert_true(cp > 0);
		assert_true(codeset_has(&set, (uint32_t)cp));
	}
	for (uint32_t cp = 0; cp < 0x30000; cp++) {
		if (codeset_has(&set, cp)) {
			assert_false(utf8_refused(cp));
			assert_int_not_equal(font_glyph(f, cp), 0);
		} else if (font_glyph(f, cp) != 0) {
			assert_true(utf8_refused(cp));
		}
	}
	assert_false(codeset_has(&set, 0x4e2d));
	font_close(f);
}

static void want_vietnamese(struct codeset *set)
{
	memset(set, 0, sizeof(*set));
	for (uint32_t cp = 0x20; cp < 0x7f; cp++)
		codeset_add(set, cp);
	for (uint32_t cp = 0xa0; cp < 0x250; cp++)
		codeset_add(set, cp);
	for (uint32_t cp = 0x1ea0; cp < 0x1efa; cp++)
		codeset_add(set, cp);
	codeset_add(set, 0x4e2d);	/* which the face lacks */
}

static void expect_tables(FT_Face face)
{
	static const char known[6][5] = { "head", "hhea", "hmtx", "maxp", "loca", "glyf" };
	FT_ULong n = 0;

	assert_int_equal(FT_Sfnt_Table_Info(face, 0, NULL, &n), 0);
	assert_int_equal(n, ARRAY_LEN(known));
	for (FT_UInt i = 0; i < n; i++) {
		FT_ULong tag, length;
		bool found = false;

		assert_int_equal(FT_Sfnt_Table_Info(face, i, &tag, &length), 0);
		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			found = found || tag == FT_MAKE_TAG(known[k][0], known[k][1],
							    known[k][2], known[k][3]);
		assert_true(found);
	}
}

/* Each glyph of the subset has the outline and the advance of the whole face's. */
static void expect_same_glyphs(FT_Face whole, FT_Face part, const struct font_subset *s)
{
	for (uint32_t i = 0; i < s->glyphs_n; i++) {
		const struct font_glyph *g = &s->glyphs[i];
		FT_Outline *a = &whole->glyph->outline, *b = &part->glyph->outline;

		assert_true(i == 0 || g->cp > s->glyphs[i - 1].cp);
		assert_true(g->glyph > 0 && g->glyph < s->glyph_count);
		assert_int_equal(g->advance, ft_advance(whole, FT_Get_Char_Index(whole, g->cp)));
		assert_int_equal(g->advance, ft_advance(part, g->glyph));
		assert_int_equal(FT_Load_Char(whole, g->cp, FT_LOAD_NO_SCALE), 0);
		assert_int_equal(FT_Load_Glyph(part, g->glyph, FT_LOAD_NO_SCALE), 0);
		assert_int_equal(a->n_points, b->n_points);
		assert_int_equal(a->n_contours, b->n_contours);
		assert_memory_equal(a->points, b->points, (size_t)a->n_points * sizeof(*a->points));
	}
}

static void subset_opens_again(void **state)
{
	static struct codeset wanted;

	want_vietnamese(&wanted);
	for (size_t i = 0; i < ARRAY_LEN(faces); i++) {
		struct font *f = open_or_fail(faces[i]);
		FT_Face whole = ft_open(faces[i]), part;
		struct font_subset s;
		struct error e;

		assert_int_equal(font_subset(f, &wanted, &s, &e), ST_OK);
		/* Everything asked for but the one ideograph, and the soft hyphen. */
		assert_int_equal(s.glyphs_n, 95 + 0x250 - 0xa0 - 1 + 90);
		assert_in_range(s.glyph_count, s.glyphs_n, 700);
		assert_int_equal(FT_New_Memory_Face(freetype, s.bytes, (FT_Long)s.size, 0, &part),
				 0);
		assert_int_equal(part->num_glyphs, s.glyph_count);
		expect_tables(part);
		expect_same_glyphs(whole, part, &s);
		FT_Done_Face(part);
		FT_Done_Face(whole);
		font_subset_free(&s);
		assert_null(s.bytes);
		font_close(f);
	}
}

static void same_set_same_bytes(void **state)
{
	static struct codeset wanted;
	struct font *f = open_or_fail(faces[0]), *g = open_or_fail(faces[0]);
	struct font_subset a, b;
	struct error e;

	want_vietnamese(&wanted);
	assert_int_equal(font_subset(f, &wanted, &a, &e), ST_OK);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(font_subset(round == 0 ? f : g, &wanted, &b, &e), ST_OK);
		assert_int_equal(a.size, b.size);
		assert_memory_equal(a.bytes, b.bytes, a.size);
		assert_int_equal(a.glyphs_n, b.glyphs_n);
		for (uint32_t i = 0; i < a.glyphs_n; i++)
			assert_memory_equal(&a.glyphs[i].glyph, &b.glyphs[i].glyph, 2);
		font_subset_free(&b);
	}
	font_subset_free(&a);
	/* Nothing wanted: .notdef alone. */
	memset(&wanted, 0, sizeof(wanted));
	assert_int_equal(font_subset(f, &wanted, &a, &e), ST_OK);
	assert_int_equal(a.glyphs_n, 0);
	assert_int_equal(a.glyph_count, 1);
	font_subset_free(&a);
	font_close(g);
	font_close(f);
}

/* ---- files that are no fonts ---- */

struct file { uint8_t *bytes; size_t n; };

static struct file slurp(const char *path)
{
	FILE *in = fopen(path, "rb");
	struct file f = { .bytes = malloc(1 << 20) };

	assert_non_null(in);
	assert_non_null(f.bytes);
	f.n = fread(f.bytes, 1, 1 << 20, in);
	assert_true(f.n > 0 && f.n < 1 << 20);
	fclose(in);
	return f;
}

static enum status open_bytes(const uint8_t *bytes, size_t n, struct error *e)
{
	char path[300];
	struct font *f = NULL;
	enum status st;
	FILE *out;

	snprintf(path, sizeof(path), "%s/font.ttf", dir.path);
	out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	fclose(out);
	st = font_open(&f, path, e);
	if (st == ST_OK) {
		static struct codeset wanted;
		struct font_subset s;

		want_vietnamese(&wanted);
		if (font_subset(f, &wanted, &s, e) == ST_OK)
			font_subset_free(&s);
		font_close(f);
	} else {
		assert_null(f);
		assert_non_null(strstr(e->text, path));
	}
	return st;
}

static uint8_t *table_of(struct file *f, const char *tag)
{
	uint32_t n = (uint32_t)f->bytes[4] << 8 | f->bytes[5];

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *entry = f->bytes + 12 + i * 16;

		if (memcmp(entry, tag, 4) == 0)
			return f->bytes + ((uint32_t)entry[9] << 16 | (uint32_t)entry[10] << 8 |
					   entry[11]);
	}
	fail_msg("no table %s", tag);
	return NULL;
}

static void licences(void **state)
{
	static const struct { uint16_t fs_type; enum status st; } cases[] = {
		{ 0x0000, ST_OK }, { 0x0002, ST_DENIED }, { 0x0004, ST_OK }, { 0x0008, ST_OK },
		{ 0x0006, ST_OK }, { 0x0100, ST_DENIED }, { 0x0104, ST_DENIED },
		{ 0x0208, ST_DENIED },
	};
	struct file f = slurp(faces[0]);
	uint8_t *os2 = table_of(&f, "OS/2");
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		os2[8] = (uint8_t)(cases[i].fs_type >> 8);
		os2[9] = (uint8_t)cases[i].fs_type;
		assert_int_equal(open_bytes(f.bytes, f.n, &e), cases[i].st);
	}
	free(f.bytes);
}

static void other_files(void **state)
{
	struct file f = slurp(faces[0]);
	struct font *font = NULL;
	struct error e;
	uint8_t *entry;

	assert_int_equal(font_open(&font, "/nonexistent/font.ttf", &e), ST_NOT_FOUND);
	assert_non_null(strstr(e.text, "/nonexistent/font.ttf"));
	assert_int_equal(open_bytes((const uint8_t *)"", 0, &e), ST_INVALID);
	assert_int_equal(open_bytes((const uint8_t *)"%PDF-1.7\n", 9, &e), ST_INVALID);
	for (size_t n = 0; n < f.n; n += n < 400 ? 7 : 4099)
		assert_int_equal(open_bytes(f.bytes, n, &e), ST_INVALID);
	assert_int_equal(open_bytes(f.bytes, f.n - 64, &e), ST_INVALID);
	/* PostScript outlines. */
	memcpy(f.bytes, "OTTO", 4);
	assert_int_equal(open_bytes(f.bytes, f.n, &e), ST_INVALID);
	memcpy(f.bytes, "\0\1\0\0", 4);
	/* Without glyf. */
	entry = f.bytes + 12;
	while (memcmp(entry, "glyf", 4) != 0)
		entry += 16;
	memcpy(entry, "glyx", 4);
	assert_int_equal(open_bytes(f.bytes, f.n, &e), ST_INVALID);
	free(f.bytes);
}

/* Whatever is damaged, nothing crashes; the sanitizers watch. */
static void mutations(void **state)
{
	struct file f = slurp(faces[0]);
	uint8_t *bytes = malloc(f.n);
	uint64_t seed = 7;
	struct error e;

	assert_non_null(bytes);
	for (int round = 0; round < 150; round++) {
		memcpy(bytes, f.bytes, f.n);
		for (int k = 0; k < 8; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			/* Half of the damage falls on the directory and the tables before glyf. */
			bytes[(seed >> 33) % (k % 2 == 0 ? 4096 : f.n)] = (uint8_t)(seed >> 20);
		}
		(void)open_bytes(bytes, f.n, &e);
	}
	free(bytes);
	free(f.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_styles), cmocka_unit_test(metrics_equal_freetype),
		cmocka_unit_test(glyphs_and_advances_equal_freetype), cmocka_unit_test(coverage),
		cmocka_unit_test(subset_opens_again), cmocka_unit_test(same_set_same_bytes),
		cmocka_unit_test(licences), cmocka_unit_test(other_files),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
