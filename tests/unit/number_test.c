#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "catalogue/catalogue.h"
#include "catalogue/number.h"

static enum status format(char *out, const char *form, const char *notation, uint64_t n)
{
	struct kind k = { .number_form = form };
	struct unit u = { .notation = notation };

	return number_format(out, &k, &u, n, 2026);
}

static void two_digits_at_least(void **state)
{
	char out[NUMBER_TEXT_BYTES_MAX + 1];

	assert_int_equal(format(out, "{n}/GXN-{unit}", "UBND", 7), ST_OK);
	assert_string_equal(out, "07/GXN-UBND");
	assert_int_equal(format(out, "{n}/GXN-{unit}", "UBND", 99), ST_OK);
	assert_string_equal(out, "99/GXN-UBND");
	assert_int_equal(format(out, "{n}/GXN-{unit}", "UBND", 100), ST_OK);
	assert_string_equal(out, "100/GXN-UBND");
	assert_int_equal(format(out, "{n}/{yyyy}/QĐ-{unit}", "UBND", 12), ST_OK);
	assert_string_equal(out, "12/2026/QĐ-UBND");
	assert_int_equal(format(out, "{n}", "", 1), ST_OK);
	assert_string_equal(out, "01");
}

static void dots_where_a_number_will_stand(void **state)
{
	struct kind k = { .number_form = "{n}/{yyyy}/QĐ-{unit}" };
	struct unit u = { .notation = "UBND" };
	char out[NUMBER_TEXT_BYTES_MAX + 1];

	number_dots(out, &k, &u);
	assert_string_equal(out, "……/…/QĐ-UBND");
	/* Whatever fits with its longest number fits with dots. */
	k.number_form = "{n}/KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK";
	u.notation = "";
	number_dots(out, &k, &u);
	assert_string_equal(out, "……/KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK");
}

/* A book goes on through the year: its volumes do not begin the numbers again. */
static void volumes_of_a_book(void **state)
{
	static const struct { uint64_t n; const char *book; } rows[] = {
		{ 0, "…/…-SCT/BS" }, { 1, "01/2026-SCT/BS" }, { 200, "01/2026-SCT/BS" },
		{ 201, "02/2026-SCT/BS" }, { 20001, "101/2026-SCT/BS" },
	};
	struct kind k = { .number_form = "{n}/{v}", .book_form = "{v}/{yyyy}-{unit}",
			  .volume_numbers = 200 };
	struct unit u = { .notation = "SCT/BS" };
	char out[NUMBER_TEXT_BYTES_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		number_book(out, &k, &u, rows[i].n, 2026);
		assert_string_equal(out, rows[i].book);
	}
	assert_int_equal(number_format(out, &k, &u, 401, 2026), ST_OK);
	assert_string_equal(out, "401/03");
	number_dots(out, &k, &u);
	assert_string_equal(out, "……/…");
}

static void bounds(void **state)
{
	static const char longest[] = "{n}/KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK";
	char out[NUMBER_TEXT_BYTES_MAX + 1];

	assert_int_equal(format(out, "{n}", "", 0), ST_INVALID);
	assert_int_equal(format(out, "{n}", "", UINT64_MAX), ST_OK);
	assert_string_equal(out, "18446744073709551615");
	assert_int_equal(number_form_bytes(longest, ""), NUMBER_TEXT_BYTES_MAX);
	assert_int_equal(format(out, longest, "", 99999999999), ST_OK);
	assert_int_equal(strlen(out), NUMBER_TEXT_BYTES_MAX);
	assert_int_equal(format(out, longest, "", 100000000000), ST_TOO_LARGE);
	assert_int_equal(format(out, "{n}{unit}",
				"012345678901234567890123456789012345678901234567", 1),
			 ST_TOO_LARGE);
	assert_int_equal(strlen(out), NUMBER_TEXT_BYTES_MAX);
}

static void wrong_forms(void **state)
{
	assert_null(number_form_wrong("{n}/{yyyy}-{unit}", false));
	assert_non_null(number_form_wrong("", false));
	assert_non_null(number_form_wrong("{n}{n}", false));
	assert_non_null(number_form_wrong("{n", false));
	assert_non_null(number_form_wrong("{n}}", false));
	assert_non_null(number_form_wrong("{n}/{year}", true));
	assert_non_null(number_form_wrong("{n}/{v}", false));
	assert_null(number_form_wrong("{n}/{v}", true));
	assert_null(number_book_wrong("{v}/{yyyy}-SCT/BS"));
	assert_non_null(number_book_wrong("{yyyy}-SCT/BS"));
	assert_non_null(number_book_wrong("{v}{v}"));
	assert_non_null(number_book_wrong("{n}/{v}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_digits_at_least),
		cmocka_unit_test(dots_where_a_number_will_stand),
		cmocka_unit_test(volumes_of_a_book),
		cmocka_unit_test(bounds),
		cmocka_unit_test(wrong_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
