#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "press_rig.h"

#define ROOM 4096

static struct well well_of(uint8_t *bytes, size_t n, struct span *spans, uint32_t max)
{
	return (struct well){ .p = bytes, .end = bytes + n, .spans = spans, .max = max };
}

/* UTF-8 of the spans, as a reader's ToUnicode gives it. */
static void decode(const struct encoding *e, const struct well *w, char *out)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const struct span *s = &w->spans[i];

		for (uint32_t k = 0; k < s->n; k += s->wide ? 2 : 1) {
			uint32_t code = s->wide ? s->p[k] * 256u + s->p[k + 1] : s->p[k];

			out += utf8_put((uint8_t *)out, e->cp[code]);
		}
		if (s->ends)
			*out++ = '\n';
	}
	*out = '\0';
}

static void every_code_comes_back(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[ROOM], text[4];
	struct span spans[8];

	for (uint32_t cp = 0x20; cp < ENCODING_CPS; cp++) {
		struct well w = well_of(bytes, sizeof(bytes), spans, 8);
		char back[8];
		size_t n = utf8_put(text, cp);

		if (!codeset_has(render_coverage(b->render), cp))
			continue;
		encode(b->press->encoding, &w, slice_of(text, n), FACE_REGULAR, false);
		assert_false(w.foreign || w.full);
		assert_int_equal(w.n, 1);
		decode(b->press->encoding, &w, back);
		assert_int_equal(strlen(back), n);
		assert_memory_equal(back, text, n);
		assert_int_equal(w.spans[0].wide, b->press->encoding->code[cp] >= CODE_WIDE);
	}
}

static void vietnamese_takes_one_byte(void **state)
{
	static const char text[] = "Cộng hòa xã hội chủ nghĩa Việt Nam – ẮẰẲẴẶẤẦẨẪẬĐƠƯỨỪỬỮỰỲỶỸỴ "
				   "(“20 m²”, 5.000 ₫, 100 %)";
	struct bench *b = *state;
	uint8_t bytes[ROOM];
	struct span spans[8];
	struct well w = well_of(bytes, sizeof(bytes), spans, 8);
	char back[256];

	encode(b->press->encoding, &w, slice_str(text), FACE_BOLD, false);
	assert_int_equal(w.n, 1);
	assert_false(w.spans[0].wide);
	decode(b->press->encoding, &w, back);
	assert_string_equal(back, text);
}

/* Whatever a value says, its bytes close no string and spell no word of a file's structure. */
static void no_word_of_pdf_can_be_spelt(void **state)
{
	static const char *const words[] = { "endstream", "endobj", "obj", "stream", "xref",
					     "startxref", "%PDF", "%%EOF", "(", ")", "\\" };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		uint8_t bytes[ROOM];
		struct span spans[8];
		struct well w = well_of(bytes, sizeof(bytes), spans, 8);

		encode(b->press->encoding, &w, slice_str(words[i]), FACE_REGULAR, false);
		assert_int_equal(w.n, 1);
		assert_null(memmem(w.spans[0].p, w.spans[0].n, words[i], strlen(words[i])));
	}
	for (uint32_t c = 0; c < CODE_WIDE; c++)
		if (c == 0 || strchr("\n\r()\\", (int)c) != NULL)
			assert_int_equal(b->press->encoding->cp[c], 0);
}

static void rare_letters_are_spans_of_their_own(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[ROOM];
	struct span spans[8];
	struct well w = well_of(bytes, sizeof(bytes), spans, 8);
	char back[64];

	encode(b->press->encoding, &w, slice_str("Ñăm Łódź"), FACE_REGULAR, false);
	assert_true(w.n > 1 && w.spans[0].wide && !w.spans[1].wide);
	decode(b->press->encoding, &w, back);
	assert_string_equal(back, "Ñăm Łódź");
}

static void capitals(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[ROOM];
	struct span spans[8];
	struct well w = well_of(bytes, sizeof(bytes), spans, 8);
	char back[128];

	encode(b->press->encoding, &w, slice_str("nguyễn thị ở đặng ưu jm%x ñ"), FACE_BOLD, true);
	decode(b->press->encoding, &w, back);
	assert_string_equal(back, "NGUYỄN THỊ Ở ĐẶNG ƯU JM%X Ñ");
}

static void breaks_tabs_and_widths(void **state)
{
	struct bench *b = *state;
	const uint16_t *width = b->press->encoding->width[FACE_REGULAR];
	uint8_t bytes[ROOM];
	struct span spans[8];
	struct well w = well_of(bytes, sizeof(bytes), spans, 8);

	encode(b->press->encoding, &w, slice_str("a\tb\n\nc"), FACE_REGULAR, false);
	assert_int_equal(w.n, 3);
	assert_true(w.spans[0].ends && w.spans[1].ends && !w.spans[2].ends);
	assert_int_equal(w.spans[0].n, 3);
	assert_int_equal(w.spans[0].width, width['a'] + width[' '] + width['b']);
	assert_int_equal(w.spans[1].n, 0);
}

static void what_it_cannot_show_is_told(void **state)
{
	static const char *const foreign[] = { "中", "\xf0\x9f\x99\x82", "\x01", "ab\xe1\xba",
					       "\xff", "\xc3" };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		uint8_t bytes[ROOM];
		struct span spans[8];
		struct well w = well_of(bytes, sizeof(bytes), spans, 8);

		encode(b->press->encoding, &w, slice_str(foreign[i]), FACE_REGULAR, false);
		assert_true(w.foreign);
	}
}

static void bounds_hold(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[4];
	struct span spans[2];
	struct well w = well_of(bytes, sizeof(bytes), spans, 2);

	encode(b->press->encoding, &w, slice_str("abcde"), FACE_REGULAR, false);
	assert_true(w.full);
	assert_int_equal(w.n, 0);
	w = well_of(bytes, sizeof(bytes), spans, 2);
	encode(b->press->encoding, &w, slice_str("\n\n\n"), FACE_REGULAR, false);
	assert_true(w.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_comes_back),
		cmocka_unit_test(vietnamese_takes_one_byte),
		cmocka_unit_test(no_word_of_pdf_can_be_spelt),
		cmocka_unit_test(rare_letters_are_spans_of_their_own),
		cmocka_unit_test(capitals),
		cmocka_unit_test(breaks_tabs_and_widths),
		cmocka_unit_test(what_it_cannot_show_is_told),
		cmocka_unit_test(bounds_hold),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
