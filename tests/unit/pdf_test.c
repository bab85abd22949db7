/* Our own reading of a PDF: words, cross-reference sections, pages that are one image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "damage.h"
#include "foreign/pdflex.h"
#include "foreign/pdfxref.h"

#define BYTES_MAX 8192
#define OBJECTS 5

static void words(void **state)
{
	static const struct { const char *text; enum pdf_type type; } one[] = {
		{ "", PDF_END }, { " % all comment", PDF_END }, { "12", PDF_INTEGER },
		{ "-3", PDF_INTEGER }, { "+.5", PDF_REAL }, { "4.", PDF_REAL }, { "-", PDF_WORD },
		{ "1e3", PDF_WORD }, { "--1", PDF_WORD }, { "1.2.3", PDF_WORD }, { "/", PDF_NAME },
		{ "/A#42", PDF_NAME }, { "(a(b)\\)c)", PDF_STRING }, { "<0aF >", PDF_STRING },
		{ "<<", PDF_DICT }, { ">>", PDF_DICT_END }, { "[", PDF_ARRAY },
		{ "]", PDF_ARRAY_END }, { "(open", PDF_BAD }, { "<0g>", PDF_BAD },
		{ "<0", PDF_BAD }, { ">", PDF_BAD }, { ")", PDF_BAD }, { "{", PDF_BAD },
		{ "(\\", PDF_BAD },
		{ "99999999999999999999", PDF_REAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(one); i++) {
		size_t n = strlen(one[i].text);
		char *exact = malloc(n + 1);
		struct reader r = reader_of(slice_of(exact, n));
		struct pdf_word w;

		memcpy(exact, one[i].text, n);
		pdf_next(&r, &w);
		assert_int_equal(w.type, one[i].type);
		pdf_next(&r, &w);
		assert_true(w.type == PDF_END || w.type == PDF_BAD);
		free(exact);
	}
}

/* Digits beyond what a double holds: no number, so that nobody computes with infinity. */
static void numbers_without_end(void **state)
{
	static const size_t points[] = { 0, 1, 399, 400 };
	char digits[402];

	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		struct reader r = reader_of(slice_of(digits, sizeof(digits) - 1));
		struct pdf_word w;

		memset(digits, '9', sizeof(digits));
		digits[points[i]] = '.';
		pdf_next(&r, &w);
		assert_int_equal(w.type, PDF_WORD);
	}
}

static void dictionaries(void **state)
{
	struct slice d = slice_str("<</A 1/B 2 0 R/C<</D 3/E[1 2]>>/#44 (x)/E true/F 4>>");
	struct pdf_word w;
	struct reader left;
	int64_t v;

	assert_true(pdf_find_integer(d, "A", 9, -1, &v) && v == 1);
	assert_false(pdf_find_integer(d, "A", 0, -1, &v));	/* too large */
	assert_false(pdf_find_integer(d, "B", 9, -1, &v));	/* a reference */
	assert_true(pdf_find(d, "D", &w, &left) && w.type == PDF_STRING);
	assert_true(pdf_find(d, "E", &w, &left) && w.type == PDF_WORD);
	assert_true(pdf_find_integer(d, "F", 9, -1, &v) && v == 4);
	assert_true(pdf_find_integer(d, "G", 9, -1, &v) && v == -1);
	assert_false(pdf_find(slice_str("<< /A"), "A", &w, &left));
	assert_false(pdf_find(slice_str("<< 1 2 >>"), "A", &w, &left));
}

/* A catalog, a page tree, a page, its content and its image, with a table behind. */
struct file { char p[BYTES_MAX]; size_t n, at[OBJECTS + 1]; };

static void add(struct file *f, const char *text)
{
	size_t n = strlen(text);

	assert_true(f->n + n <= sizeof(f->p));
	memcpy(f->p + f->n, text, n);
	f->n += n;
}

static void table(struct file *f, int wrong, const char *trailer)
{
	char row[128];
	size_t start = f->n;

	add(f, "xref\n0 6\n0000000000 65535 f \n");
	for (int i = 1; i <= OBJECTS; i++) {
		snprintf(row, sizeof(row), "%010zu 00000 n \n", f->at[i] + (i == wrong ? 1 : 0));
		add(f, row);
	}
	snprintf(row, sizeof(row), "trailer\n<< /Size 6 /Root 1 0 R %s >>\nstartxref\n%zu\n%%%%EOF",
		 trailer, start);
	add(f, row);
}

static void make(struct file *f, int wrong, const char *trailer)
{
	static const char *const objects[OBJECTS] = {
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 200] /Contents 4 0 R "
		"/Resources << /XObject << /I 5 0 R >> >> >>",
		"<< /Length 28 >>\nstream\nq 100 0 0 200 0 0 cm /I Do Q\nendstream",
		"<< /Type /XObject /Subtype /Image /Width 8 /Height 2 /BitsPerComponent 1 "
		"/ColorSpace /DeviceGray /Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 8 "
		">> /Length 3 >>\nstream\n\300ab\nendstream",
	};
	char head[32];

	f->n = 0;
	add(f, "%PDF-1.4\n");
	for (int i = 1; i <= OBJECTS; i++) {
		f->at[i] = f->n;
		snprintf(head, sizeof(head), "%d 0 obj\n", i);
		add(f, head);
		add(f, objects[i - 1]);
		add(f, "\nendobj\n");
	}
	table(f, wrong, trailer);
}

static enum reason read_it(struct arena *a, const struct file *f, struct xref *x)
{
	struct detail d;

	arena_reset(a);
	return xref_read(slice_of(f->p, f->n), a, x, &d);
}

static void sections(void **state)
{
	struct arena *a = *state;
	struct slice dict, data;
	struct file f;
	struct xref x;

	make(&f, 0, "");
	assert_int_equal(read_it(a, &f, &x), REASON_NONE);
	assert_int_equal(x.n, 6);
	assert_int_equal(x.entries[3].at, f.at[3]);
	assert_true(xref_stream(&x, 5, 0, 3, &dict, &data));
	assert_true(slice_eq(data, slice_str("\300ab")));
	assert_false(xref_stream(&x, 5, 0, 2, &dict, &data));
	assert_false(xref_stream(&x, 5, 1, 3, &dict, &data));
	assert_false(xref_stream(&x, 3, 0, 3, &dict, &data));
	assert_false(xref_stream(&x, 6, 0, 3, &dict, &data));
	assert_false(xref_stream(&x, -1, 0, 3, &dict, &data));
	for (int wrong = 1; wrong <= OBJECTS; wrong++) {
		make(&f, wrong, "");
		assert_int_equal(read_it(a, &f, &x), REASON_ORIGINAL_DAMAGED);
	}
	make(&f, 0, "/Encrypt 9 0 R");
	assert_int_equal(read_it(a, &f, &x), REASON_ORIGINAL_ENCRYPTED);
	make(&f, 0, "/XRefStm 9");
	assert_int_equal(read_it(a, &f, &x), REASON_ORIGINAL_HYBRID);
	make(&f, 0, "/Prev 9");
	assert_int_equal(read_it(a, &f, &x), REASON_ORIGINAL_DAMAGED);
}

static void a_page_of_one_image(void **state)
{
	struct arena *a = *state;
	struct original o;
	struct detail d;
	struct file f;

	make(&f, 0, "");
	arena_reset(a);
	assert_int_equal(look_at(slice_of(f.p, f.n), false, a, &o, &d), REASON_NONE);
	assert_int_equal(o.format, ORIGINAL_PDF);
	assert_int_equal(o.wrapped, ORIGINAL_REBUILT);
	assert_int_equal(o.images_n, 1);
	assert_int_equal(o.images[0].coding, IMAGE_FAX);
	assert_memory_equal(f.p + o.images[0].runs[0].offset, "\300ab", 3);
	assert_int_equal(o.images[0].page_height, 20000);
	assert_int_equal(look_at(slice_of(f.p, f.n), true, a, &o, &d), REASON_NONE);
	assert_int_equal(o.wrapped, ORIGINAL_OWN);
	assert_int_equal(o.images_n, 0);
	assert_int_equal(o.pages, 1);
}

static void damaged_at_random(void **state)
{
	struct file f;

	make(&f, 0, "");
	assert_in_range(damage_all(slice_of(f.p, f.n), 4000, *state), 100, 3900);
}

static int setup(void **state)
{
	static struct arena a;

	*state = &a;
	return arena_init(&a, 32 << 20) != ST_OK;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(numbers_without_end),
		cmocka_unit_test(dictionaries),
		cmocka_unit_test(sections),
		cmocka_unit_test(a_page_of_one_image),
		cmocka_unit_test(damaged_at_random),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
