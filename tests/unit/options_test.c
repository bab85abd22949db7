#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "cli/options.h"

struct values { const char *unit; uint64_t next; bool json; };

static int read(struct values *v, int *argc, const char **argv)
{
	const struct option_row rows[] = {
		{ "unit", OPTION_TEXT, &v->unit, 0, 0 },
		{ "next", OPTION_COUNT, &v->next, 1, 10000 },
		{ "json", OPTION_FLAG, &v->json, 0, 0 },
	};

	*v = (struct values){ .next = 1 };
	return options_read("usage\n", argc, (char **)argv, rows, ARRAY_LEN(rows));
}

static void flags_stand_anywhere(void **state)
{
	const char *argv[] = { "register", "--json", "open", "--unit", "u", "-", "--next=4313",
			       "--", "--x" };
	int argc = ARRAY_LEN(argv);
	struct values v;

	assert_int_equal(read(&v, &argc, argv), -1);
	assert_string_equal(v.unit, "u");
	assert_true(v.next == 4313);
	assert_true(v.json);
	assert_int_equal(argc, 4);
	assert_string_equal(argv[1], "open");
	assert_string_equal(argv[2], "-");
	assert_string_equal(argv[3], "--x");
}

static void wrong_ones_are_named(void **state)
{
	static const char *const wrong[][2] = {
		{ "--unti", "u" }, { "--next", "0" }, { "--next", "10001" }, { "--next", "-1" },
		{ "--next", "7x" }, { "--json=yes", "" }, { "-j", "" }, { "x", "--unit" },
	};
	struct values v;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		const char *argv[] = { "register", wrong[i][0], wrong[i][1] };
		int argc = ARRAY_LEN(argv);

		assert_int_equal(read(&v, &argc, argv), 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_stand_anywhere),
		cmocka_unit_test(wrong_ones_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
