#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/caselines.h"

static void open_text(struct cases *c, char path[32], const char *text, size_t n)
{
	struct error e;
	int fd;

	snprintf(path, 32, "/tmp/trien-cases-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_true(write(fd, text, n) == (ssize_t)n);
	close(fd);
	assert_int_equal(cases_open(c, path, &e), ST_OK);
	unlink(path);
}

static void next_is(struct cases *c, const char *code, uint64_t line)
{
	Trien__V1__Case *m;
	struct error e;

	assert_int_equal(cases_next(c, &m, &e), ST_OK);
	assert_string_equal(m->code, code);
	assert_true(c->number == line);
	trien__v1__case__free_unpacked(m, NULL);
}

static void next_is_wrong(struct cases *c, const char *why, uint64_t line)
{
	Trien__V1__Case *m;
	struct error e;

	assert_int_equal(cases_next(c, &m, &e), ST_INVALID);
	assert_string_equal(e.text, why);
	assert_true(c->number == line);
}

static void a_bad_line_harms_no_other(void **state)
{
	static const char text[] = "\xEF\xBB\xBF{\"code\":\"a\"}\r\n\n  \n{\"code\":\"b\"\n"
				   "{\"code\":\"c\",\"holder\":[]}\n{\"code\":\"d\0\"}\n"
				   "{\"code\":\"e\"}";
	struct cases c;
	char path[32];
	Trien__V1__Case *m;
	struct error e;

	open_text(&c, path, text, sizeof(text) - 1);
	assert_true(c.size == sizeof(text) - 1);
	next_is(&c, "a", 1);
	next_is_wrong(&c, "column 11: '}' expected near end of file", 4);
	next_is_wrong(&c, "no member \"holder\" in Case", 5);
	assert_int_equal(cases_next(&c, &m, &e), ST_INVALID);
	next_is(&c, "e", 7);
	assert_int_equal(cases_next(&c, &m, &e), ST_NOT_FOUND);
	assert_true(c.bytes == c.size);
	cases_close(&c);
}

static void a_line_without_end_takes_no_memory(void **state)
{
	size_t n = CASES_LINE_BYTES_MAX + 100;
	char *text = malloc(n), path[32];
	struct cases c;

	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text + n - 13, "\n{\"code\":\"z\"}", 13);
	open_text(&c, path, text, n);
	free(text);
	next_is_wrong(&c, "longer than 4194304 bytes", 1);
	next_is(&c, "z", 2);
	cases_close(&c);
}

static void a_missing_file_is_said(void **state)
{
	struct cases c;
	struct error e;

	assert_int_equal(cases_open(&c, "/nowhere/cases.jsonl", &e), ST_NOT_FOUND);
	cases_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_line_harms_no_other),
		cmocka_unit_test(a_line_without_end_takes_no_memory),
		cmocka_unit_test(a_missing_file_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
