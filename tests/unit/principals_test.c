/* Who may call: what stands in principals.json, and what may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "intake/principals.h"
#include "tmpdir.h"

static char path[4200];

static enum status load(struct principals **out, const char *entries, struct error *e)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fprintf(f, "{\"principals\": [%s]}", entries);
	assert_int_equal(fclose(f), 0);
	return principals_load(out, path, NULL, e);
}

static void test_signers(void **state)
{
	struct principals *p;
	struct principal *pr;
	struct error e = { 0 };

	assert_int_equal(load(&p, "{\"name\": \"a\", \"roles\": [\"sign\"], \"signers\": [\"x\"]},"
			      "{\"name\": \"b\", \"roles\": [\"sign\"], "
			      "\"signers\": [\"x\", \"y\"]},"
			      "{\"name\": \"c\", \"roles\": [\"sign\"], \"signers\": [\"*\"]},"
			      "{\"name\": \"d\", \"roles\": [\"read\"], \"units\": [\"u\"]}", &e),
			 ST_OK);
	pr = principals_named(p, slice_str("a"));
	assert_true(principal_may(pr, MAY_SIGN) && !principal_may(pr, MAY_READ));
	assert_true(principal_signer(pr, slice_str("x")) && !principal_signer(pr, slice_str("y")));
	assert_false(principal_unit(pr, slice_str("x")));
	assert_string_equal(principal_signer_only(pr), "x");
	pr = principals_named(p, slice_str("b"));
	assert_true(principal_signer(pr, slice_str("y")) && !principal_signer(pr, slice_str("*")));
	assert_null(principal_signer_only(pr));
	pr = principals_named(p, slice_str("c"));
	assert_true(principal_signer(pr, slice_str("anyone")));
	assert_null(principal_signer_only(pr));
	pr = principals_named(p, slice_str("d"));
	assert_false(principal_may(pr, MAY_SIGN) || principal_signer(pr, slice_str("x")));
	assert_true(principal_unit(pr, slice_str("u")));
	principals_unref(p);
}

static void test_wrong(void **state)
{
	static const char *const wrong[][2] = {
		{ "{\"name\": \"a\", \"roles\": [\"sign\"]}", "go together" },
		{ "{\"name\": \"a\", \"roles\": [\"sign\"], \"signers\": []}", "go together" },
		{ "{\"name\": \"a\", \"roles\": [\"read\"], \"signers\": [\"x\"]}", "go together" },
		{ "{\"name\": \"a\", \"roles\": [\"sign\"], \"signers\": \"x\"}", "a list" },
		{ "{\"name\": \"a\", \"roles\": [\"sign\"], \"signers\": [1]}", "a list" },
		{ "{\"name\": \"a\", \"roles\": [\"sign\"], \"signers\": [\"\"]}", "a list" },
		{ "{\"name\": \"a\", \"roles\": [\"signs\"], \"signers\": [\"x\"]}", "a role is" },
		{ "{\"name\": \"a\", \"roles\": [], \"units\": {}}", "a list" },
		{ "{\"name\": \"a\", \"roles\": [], \"signer\": []}", "unknown key" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct principals *p;
		struct error e = { 0 };

		assert_int_equal(load(&p, wrong[i][0], &e), ST_INVALID);
		assert_non_null(strstr(e.text, wrong[i][1]));
		assert_non_null(strstr(e.text, "principals[0]"));
		assert_null(p);
	}
}

/* Without a file the engine's own uid may do all. */
static void test_no_file(void **state)
{
	struct principals *p;
	struct principal *pr;
	struct error e = { 0 };

	unlink(path);
	assert_int_equal(principals_load(&p, path, NULL, &e), ST_OK);
	pr = principals_uid(p, geteuid());
	assert_non_null(pr);
	assert_true(principal_may(pr, MAY_SIGN) && principal_signer(pr, slice_str("x")));
	assert_true(principal_all_units(pr));
	principals_unref(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signers),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_no_file),
	};
	struct tmpdir dir;
	int failed;

	if (tmpdir_make(&dir) != 0)
		return 1;
	snprintf(path, sizeof(path), "%s/principals.json", dir.path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	tmpdir_remove(&dir);
	return failed;
}
