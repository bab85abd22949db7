#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "catalogue/form.h"

struct fixture { struct pool pool; struct error e; struct form f; };

static void open_text(struct fixture *x, const char *text)
{
	*x = (struct fixture){ 0 };
	assert_int_equal(form_open(&x->f, "f.json", slice_str(text), &x->pool, &x->e), ST_OK);
}

static void close_text(struct fixture *x)
{
	form_close(&x->f);
	pool_free(&x->pool);
}

static void syntax_is_told_by_line(void **state)
{
	struct pool pool = { 0 };
	struct error e;
	struct form f;

	assert_int_equal(form_open(&f, "f.json", slice_str("{\n\"a\": 1,\n\"a\": 2 }"), &pool, &e),
			 ST_INVALID);
	assert_int_equal(strncmp(e.text, "f.json:3: duplicate object key", 30), 0);
	assert_int_equal(form_open(&f, "f.json", slice_str("{\n]"), &pool, &e), ST_INVALID);
	assert_int_equal(strncmp(e.text, "f.json:2: ", 10), 0);
	assert_int_equal(form_open(&f, "f.json", slice_str(""), &pool, &e), ST_INVALID);
	assert_int_equal(form_open(&f, "f.json", slice_of("{\"a\":\"\\u0000\"}", 14), &pool, &e),
			 ST_INVALID);
	pool_free(&pool);
}

/* Lines are found again in any shape of text: strings with brackets, escapes, nesting. */
static void places_are_found_again(void **state)
{
	struct fixture x;

	open_text(&x, "{ \"x\": \"}]\\\"{\",\n"
		  " \"deep\": [[1, {\"l\": \"\\\\\"}],\n"
		  "  {\"k\"\n:\n7}],\n"			/* its value stands in line 5 */
		  " \"a\": { \"deep\": [ ] },\n"
		  " \"l\": [ 0,\n1,\n{ \"z\": 0 }\n] }");
	assert_int_equal(form_line(&x.f, "x"), 1);
	assert_int_equal(form_line(&x.f, "a"), 6);
	assert_int_equal(form_line(&x.f, "nothing"), 1);
	form_enter(&x.f, "deep");
	form_enter_at(&x.f, 1);
	assert_int_equal(form_line(&x.f, NULL), 3);
	assert_int_equal(form_line(&x.f, "k"), 5);
	form_leave(&x.f);
	form_leave(&x.f);
	form_enter(&x.f, "l");
	form_enter_at(&x.f, 2);
	assert_int_equal(form_fail(&x.f, "z", "bad %d", 7), ST_INVALID);
	assert_string_equal(x.e.text, "f.json:9: l[2].z: bad 7");
	/* The first failure stays. */
	form_fail(&x.f, NULL, "later");
	assert_string_equal(x.e.text, "f.json:9: l[2].z: bad 7");
	close_text(&x);
}

static void values_are_checked(void **state)
{
	static const char *const names[] = { "one", "two", NULL };
	struct fixture x;
	size_t n;

	open_text(&x, "{\"t\": \"Tên\", \"n\": 7, \"d\": \"2028-02-29\", \"b\": true, "
		  "\"c\": \"two\", \"w\": 13.5, \"l\": [\"a\", \"b\"], \"e\": \"\"}");
	assert_string_equal(form_text(&x.f, x.f.root, "t", FORM_REQUIRED, 4), "Tên");
	assert_null(form_text(&x.f, x.f.root, "none", 0, 4));
	assert_string_equal(form_text(&x.f, x.f.root, "e", FORM_EMPTY, 4), "");
	assert_int_equal(form_int(&x.f, x.f.root, "n", 0, 7, 7), 7);
	assert_int_equal(form_int(&x.f, x.f.root, "none", 5, 7, 7), 5);
	assert_int_equal(form_day(&x.f, x.f.root, "d", 0), 20280229);
	assert_int_equal(form_day(&x.f, x.f.root, "none", 0), 0);
	assert_true(form_bool(&x.f, x.f.root, "b", false));
	assert_int_equal(form_choice(&x.f, x.f.root, "c", names, 0), 1);
	assert_int_equal(form_choice(&x.f, x.f.root, "none", names, 0), 0);
	assert_int_equal(form_tenths(&x.f, x.f.root, "w", 0, 0, 200), 135);
	assert_string_equal(form_texts(&x.f, x.f.root, "l", 0, 2, 9, &n)[1], "b");
	assert_int_equal(n, 2);
	assert_null(form_texts(&x.f, x.f.root, "none", 0, 2, 9, &n));
	assert_int_equal(n, 0);
	assert_int_equal(x.f.status, ST_OK);
	close_text(&x);
}

static void form_day_of(const char *day, const char *error)
{
	struct fixture x;
	char text[64];

	snprintf(text, sizeof(text), "{\"d\": \"%s\"}", day);
	open_text(&x, text);
	assert_int_equal(form_day(&x.f, x.f.root, "d", 0), 0);
	assert_string_equal(x.e.text, error);
	close_text(&x);
}

static void days_are_real(void **state)
{
	static const char wrong[] = "f.json:1: d: must be a date of the form 2026-07-01";

	form_day_of("2027-02-29", wrong);
	form_day_of("2026-13-01", wrong);
	form_day_of("2026-00-10", wrong);
	form_day_of("1899-12-31", wrong);
	form_day_of("2026-7-010", wrong);
	form_day_of("2026/07/01", wrong);
	form_day_of("2026- 7- 1", wrong);
	form_day_of("+026-07-01", wrong);
	form_day_of("2026-07-01x", "f.json:1: d: 11 bytes; 1 to 10 are allowed");
}

static void nearest_names(void **state)
{
	static const char *const names[] = { "layout", "fields", "from", NULL };

	assert_string_equal(form_nearest("layuot", names), "layout");
	assert_string_equal(form_nearest("feilds", names), "fields");
	assert_null(form_nearest("zzzzzz", names));
	assert_null(form_nearest("", names));
	assert_null(form_nearest("0123456789012345678901234567890123456789012345678", names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syntax_is_told_by_line),
		cmocka_unit_test(places_are_found_again),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(days_are_real),
		cmocka_unit_test(nearest_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
