/* Long tables as documents: pages, a row longer than a page, the file's own offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "render/ledger.h"

static const struct ledger_column columns[] = { { "Số", 100, 'c' }, { "Trích yếu", 900, 'l' } };
static const struct ledger_form form = { .superior = NULL, .issuer = "ỦY BAN\nXÃ", .title = "SỔ",
					 .subtitle = "Năm 2027", .running = "Sổ năm 2027",
					 .columns_n = 2, .columns = columns };

static int setup(void **state)
{
	const struct render_config cfg = { .verify_host = "HTTPS://A.VN", .templates_max = 1 };
	struct error e = { 0 };

	return render_open((struct render **)state, &cfg, &e) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	render_close(*state);
	return 0;
}

static unsigned int count(const uint8_t *pdf, size_t n, const char *what)
{
	unsigned int found = 0;
	const uint8_t *at = pdf;

	while ((at = memmem(at, n - (size_t)(at - pdf), what, strlen(what))) != NULL) {
		found++;
		at++;
	}
	return found;
}

/*
 * The words that a page shows, plain ASCII of them as it is. Caller frees; NULL: there is no such
 * page. m j x % ( ) have codes of their own (encoding.h).
 */
static char *shown(const uint8_t *pdf, size_t n, unsigned int page)
{
	const uint8_t *end = pdf + n, *at = pdf;
	uLongf size = 512 * 1024;
	char *text = calloc(1, size + 1);

	for (unsigned int i = 0; at != NULL && i < page; i++) {
		at = memmem(at, (size_t)(end - at), "/Type/Page/", 11);
		at = at == NULL ? NULL : at + 11;
	}
	at = at == NULL ? NULL : memmem(at, (size_t)(end - at), "stream\n", 7);
	assert_non_null(text);
	if (at == NULL) {
		free(text);
		return NULL;
	}
	assert_int_equal(uncompress((Bytef *)text, &size, at + 7, (uLong)(end - at - 7)), Z_OK);
	return text;
}

/* Its own last words lead to the table of objects. */
static void offsets_hold(const uint8_t *pdf, size_t n)
{
	const char *last = memmem(pdf, n, "startxref\n", 10);
	unsigned long at;

	assert_non_null(last);
	at = strtoul(last + 10, NULL, 10);
	assert_true(at < n && memcmp(pdf + at, "xref\n", 5) == 0);
	assert_memory_equal(pdf + n - 6, "%%EOF\n", 6);
}

static void pages_follow(void **state)
{
	struct ledger *l;
	struct error e = { 0 };
	uint8_t *pdf;
	size_t n;

	assert_int_equal(ledger_begin(&l, *state, &form, &e), ST_OK);
	for (uint32_t i = 1; i <= 100; i++) {
		char number[16];
		const char *cells[] = { number, "Giấy xác nhận" };

		snprintf(number, sizeof(number), "%02u", i);
		ledger_row(l, cells);
	}
	ledger_text(l, "Tổng cộng: 100", true);
	assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
	assert_int_equal(count(pdf, n, "/Type/Page/"), 4);
	offsets_hold(pdf, n);
	free(pdf);
	ledger_free(l);
}

static void a_row_longer_than_a_page(void **state)
{
	char *words = malloc(20001);
	const char *cells[] = { "01", words };
	struct ledger *l;
	struct error e = { 0 };
	uint8_t *pdf;
	size_t n;

	assert_non_null(words);
	for (int i = 0; i < 20000; i++)
		words[i] = i % 6 == 5 ? ' ' : 'a';
	words[20000] = '\0';
	assert_int_equal(ledger_begin(&l, *state, &form, &e), ST_OK);
	ledger_row(l, cells);
	cells[1] = "";
	ledger_row(l, cells);
	assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
	assert_true(count(pdf, n, "/Type/Page/") > 3);
	offsets_hold(pdf, n);
	free(pdf);
	ledger_free(l);
	free(words);
}

static void an_empty_book(void **state)
{
	struct ledger_form wide = form;
	struct ledger *l;
	struct error e = { 0 };
	uint8_t *pdf;
	size_t n;

	assert_int_equal(ledger_begin(&l, *state, &form, &e), ST_OK);
	assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
	assert_int_equal(count(pdf, n, "/Type/Page/"), 1);
	free(pdf);
	ledger_free(l);
	/* Given up half way: nothing is left. */
	assert_int_equal(ledger_begin(&l, *state, &form, &e), ST_OK);
	ledger_free(l);
	wide.columns_n = LEDGER_COLUMNS_MAX + 1;
	assert_int_equal(ledger_begin(&l, *state, &wide, &e), ST_INVALID);
}

/* Whatever is written in it: what the fonts do not have is told, and nothing else is lost. */
static void any_text_is_printed(void **state)
{
	static const char *const texts[] = { "a\xF0\x9F\x98\x80z", "a\xFFz", "a\u4E2Dz", "a\x01z",
					     "a\xF0z" };
	uint8_t *pdf, *want;
	size_t n, want_n;

	for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
		const char *cells[] = { "01", i < ARRAY_LEN(texts) ? texts[i] : "a¤z" };
		struct ledger *l;
		struct error e = { 0 };

		assert_int_equal(ledger_begin(&l, *state, &form, &e), ST_OK);
		ledger_row(l, cells);
		if (i == ARRAY_LEN(texts))
			ledger_text(l, "Ghi chú: ký hiệu ¤ thay cho ký tự mà phông chữ của sổ này "
				    "không có.", false);
		assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
		ledger_free(l);
		if (i == 0) {
			want = pdf;
			want_n = n;
			continue;
		}
		assert_int_equal(n, want_n);
		assert_memory_equal(pdf, want, n);
		free(pdf);
	}
	free(want);
}

static void a_paragraph_longer_than_a_page(void **state)
{
	struct ledger *l;
	struct error e = { 0 };
	char *words = malloc(30001);
	uint8_t *pdf;
	size_t n;

	assert_non_null(words);
	for (int i = 0; i < 30000; i++)
		words[i] = i % 6 == 5 ? ' ' : 'a';
	memcpy(words + 29994, " last", 6);
	assert_int_equal(ledger_begin(&l, *state, &form, &e), ST_OK);
	ledger_text(l, words, false);
	ledger_text(l, "behind", true);
	assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
	assert_true(count(pdf, n, "/Type/Page/") >= 4);
	for (unsigned int page = 1; page <= count(pdf, n, "/Type/Page/"); page++) {
		char *text = shown(pdf, n, page);
		bool last = page == count(pdf, n, "/Type/Page/");

		assert_non_null(text);
		assert_true((strstr(text, "last") != NULL) == last);
		assert_true((strstr(text, "behind") != NULL) == last);
		free(text);
	}
	free(pdf);
	ledger_free(l);
	free(words);
}

/* The columns stand where rows follow, or, of a book without any, above all that is said of it. */
static void no_heading_stands_alone(void **state)
{
	static const struct ledger_column named[] = { { "Nu", 100, 'c' }, { "Co", 900, 'l' } };
	struct ledger_form high = form;
	struct error e = { 0 };

	high.columns = named;
	for (unsigned int lines = 1; lines < 34; lines++) {
		char cover[80] = "";
		const char *cells[] = { "01", "R\nR\nR\nR" };
		struct ledger *l;
		unsigned int with = 0;
		uint8_t *pdf;
		size_t n;

		for (unsigned int i = 0; i < 2 * lines; i++)
			cover[i] = i % 2 == 0 ? 'C' : '\n';
		high.issuer = cover;
		assert_int_equal(ledger_begin(&l, *state, &high, &e), ST_OK);
		ledger_row(l, cells);
		assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
		for (unsigned int page = 1; page <= count(pdf, n, "/Type/Page/"); page++) {
			char *text = shown(pdf, n, page);

			assert_true((strstr(text, "Nu") != NULL) == (strstr(text, "R") != NULL));
			with += strstr(text, "Nu") != NULL;
			free(text);
		}
		assert_true(with > 0);
		free(pdf);
		ledger_free(l);
	}
}

static void the_columns_of_an_empty_book_stand_above(void **state)
{
	static const struct ledger_column named[] = { { "Nu", 100, 'c' }, { "Co", 900, 'l' } };
	struct ledger_form f = form;
	struct error e = { 0 };
	struct ledger *l;
	char *text;
	uint8_t *pdf;
	size_t n;

	f.columns = named;
	assert_int_equal(ledger_begin(&l, *state, &f, &e), ST_OK);
	ledger_text(l, "Total", true);
	assert_int_equal(ledger_end(l, &pdf, &n, &e), ST_OK);
	text = shown(pdf, n, 1);
	assert_non_null(strstr(text, "Nu"));
	assert_true(strstr(text, "Nu") < strstr(text, "Total"));
	free(text);
	free(pdf);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_follow),
		cmocka_unit_test(a_row_longer_than_a_page),
		cmocka_unit_test(an_empty_book),
		cmocka_unit_test(any_text_is_printed),
		cmocka_unit_test(a_paragraph_longer_than_a_page),
		cmocka_unit_test(no_heading_stands_alone),
		cmocka_unit_test(the_columns_of_an_empty_book_stand_above),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
