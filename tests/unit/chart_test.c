/* Numbers as pictures: bars that fit, and parts that are seen however small they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "portal/chart.h"

static void numbers(void **state)
{
	static const struct { uint64_t n; const char *vi, *en; } of[] = {
		{ 0, "0", "0" }, { 999, "999", "999" }, { 1000, "1.000", "1,000" },
		{ 27804, "27.804", "27,804" },
		{ UINT64_MAX, "18.446.744.073.709.551.615", "18,446,744,073,709,551,615" },
	};
	char text[CHART_NUMBER_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		chart_number(text, of[i].n, LANGUAGE_VI);
		assert_string_equal(text, of[i].vi);
		chart_number(text, of[i].n, LANGUAGE_EN);
		assert_string_equal(text, of[i].en);
	}
}

static void rates(void **state)
{
	char text[CHART_NUMBER_BYTES];

	assert_int_equal(chart_rate(0, 7), 0);
	assert_int_equal(chart_rate(7, 7), 10000);
	assert_int_equal(chart_rate(2, 3), 6667);
	assert_int_equal(chart_rate(1, 20000), 1);	/* half of one, up */
	assert_int_equal(chart_rate(1, 20001), 0);
	chart_percent(text, 9986, LANGUAGE_VI);
	assert_string_equal(text, "99,86 %");
	chart_percent(text, 9986, LANGUAGE_EN);
	assert_string_equal(text, "99.86%");
	chart_percent(text, 505, LANGUAGE_VI);
	assert_string_equal(text, "5,05 %");
	chart_percent(text, 10000, LANGUAGE_EN);
	assert_string_equal(text, "100%");
}

static int number(const json_t *bar, size_t i, const char *name)
{
	return (int)json_integer_value(json_object_get(json_array_get(bar, i), name));
}

/* One behind the other, inside of the whole. */
static int fits(const json_t *bar)
{
	int x = 0;

	for (size_t i = 0; i < json_array_size(bar); i++) {
		assert_int_equal(number(bar, i, "x"), x);
		assert_true(number(bar, i, "width") >= 4);
		x += number(bar, i, "width");
	}
	assert_true(x <= (int)CHART_WIDTH);
	return x;
}

static void bars(void **state)
{
	const struct chart_part parts[] = { { "a", 30 }, { "b", 0 }, { "c", 20 } };
	const struct chart_part tiny[] = { { "a", 1 }, { "b", 999998 }, { "c", 1 } };
	const struct chart_part none[] = { { "a", 0 } };
	json_t *bar = chart_bar(parts, 3, 100);

	assert_int_equal(json_array_size(bar), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(bar, 1), "kind")),
			    "c");
	assert_int_equal(fits(bar), 500);
	json_decref(bar);
	bar = chart_bar(tiny, 3, 1000000);
	assert_int_equal(json_array_size(bar), 3);
	assert_int_equal(fits(bar), (int)CHART_WIDTH);
	json_decref(bar);
	bar = chart_bar(none, 1, 0);
	assert_int_equal(json_array_size(bar), 0);
	json_decref(bar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(rates), cmocka_unit_test(bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
