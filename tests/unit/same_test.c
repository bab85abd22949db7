/*
 * same_test - values that mean the same however they are written, and those that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "verify/same.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct value value_of(const char *text)
{
	struct reader r = reader_of(slice_str(text));
	struct value v = token_value(&r);

	if (r.bad || r.p != r.end)
		fail_msg("no value: %s", text);
	return v;
}

static void what_is_the_same(void **state)
{
	static const char *const pairs[][2] = {
		{ "<</A 1/B(x)>>", "<< /B (x) /A 1 >>" },
		{ "(vi-VN)", "(vi\\055VN)" },
		{ "(a\\(b\\)c)", "<6128622963>" },
		{ "()", "<>" },
		{ "<AB>", "<ab>" },
		{ "<6>", "(`)" },
		{ "(\\n\\\\)", "(\\012\\134)" },
		{ "/a#2Fb", "/a#2fb" },
		{ "/abc", "/a#62c" },
		{ "[1 2[3]]", "[ 1 2 [ 3 ] ]" },
		{ "[1 0 R]", "[ 1 0 R ]" },
	};

	for (size_t i = 0; i < N(pairs); i++)
		if (!value_same(value_of(pairs[i][0]), value_of(pairs[i][1])) ||
		    !value_same(value_of(pairs[i][1]), value_of(pairs[i][0])))
			fail_msg("%s is not %s", pairs[i][0], pairs[i][1]);
}

static void what_is_not(void **state)
{
	static const char *const pairs[][2] = {
		{ "<</A 1>>", "<</A 2>>" },	 { "<</A 1>>", "<</A 1/B 2>>" },
		{ "(a)", "(ab)" },		 { "(a)", "<62>" },
		{ "(\\053)", "(\\054)" },	 { "/a", "/b" },
		{ "/a#2F", "/a" },		 { "[1 2]", "[2 1]" },
		{ "[1]", "[1 1]" },		 { "1 0 R", "2 0 R" },
		{ "1", "1.0" },			 { "true", "/true" },
		{ "null", "[]" },		 { "(1)", "1" },
		{ "<</A<</B[(x)]>>>>", "<</A<</B[(y)]>>>>" },
	};

	for (size_t i = 0; i < N(pairs); i++)
		if (value_same(value_of(pairs[i][0]), value_of(pairs[i][1])) ||
		    value_same(value_of(pairs[i][1]), value_of(pairs[i][0])))
			fail_msg("%s is %s", pairs[i][0], pairs[i][1]);
}

static void but_for_some_keys(void **state)
{
	static const char *const but[] = { "/B" };
	struct value a = value_of("<</A 1/B 2>>");

	assert_true(dict_same(a, value_of("<</A 1>>"), but, 1));
	assert_true(dict_same(a, value_of("<</B[3]/A 1>>"), but, 1));
	assert_false(dict_same(a, value_of("<</A 2/B 2>>"), but, 1));
	assert_false(dict_same(a, value_of("<</A 1/C 1>>"), but, 1));
	assert_false(dict_same(a, value_of("[1]"), but, 1));
}

static void how_an_array_goes_on(void **state)
{
	struct value last = { .type = VALUE_BAD };
	size_t more;

	assert_true(array_continues(value_of("[1 2]"), value_of("[1 2]"), &more, &last));
	assert_int_equal(more, 0);
	assert_true(array_continues(value_of("[1 2]"), value_of("[1 2 3 0 R]"), &more, &last));
	assert_int_equal(more, 1);
	assert_int_equal(value_ref(last), 3);
	assert_false(array_continues(value_of("[1 2]"), value_of("[1]"), &more, &last));
	assert_false(array_continues(value_of("[1 2]"), value_of("[3 1 2]"), &more, &last));
	assert_false(array_continues(value_of("[1]"), value_of("1"), &more, &last));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_the_same),
		cmocka_unit_test(what_is_not),
		cmocka_unit_test(but_for_some_keys),
		cmocka_unit_test(how_an_array_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
