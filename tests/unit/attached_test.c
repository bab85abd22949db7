/* The original in a copy is found as it stands there, and nothing else is taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "base/status.h"
#include "load/attached.h"

#define DATA "7 0 obj\n<</Type/EmbeddedFile/Subtype/application#2Fjson/Params<</Size 2>>" \
	     "/Length 2>>\nstream\n{}\nendstream\nendobj\n"
#define IMAGE "8 0 obj\n<</Type/XObject/Subtype/Image/Length 5>>\nstream\nbytes\nendstream\n" \
	      "endobj\n"
#define HEAD "9 0 obj\n<</Type/EmbeddedFile/Subtype/image#2Fjpeg/Params<</Size 5>>"
#define ORIGINAL HEAD "/Length 5>>\nstream\nbytes\nendstream\nendobj\n"

static size_t found(const char *text, const char *expected)
{
	struct slice s = attached_original(slice_str(text));

	if (expected != NULL)
		assert_memory_equal(s.p, expected, s.n);
	return s.n;
}

static void it_is_found_beside_others(void **state)
{
	assert_int_equal(found(DATA IMAGE ORIGINAL "xref", "bytes"), 5);
	assert_int_equal(found(IMAGE ORIGINAL DATA, "bytes"), 5);
	/* What stands within it is its own. */
	assert_int_equal(found(HEAD "/Length 130>>\nstream\n" ORIGINAL ORIGINAL, NULL), 130);
}

static void what_is_none_is_not_found(void **state)
{
	static const char *const none[] = {
		"", DATA, DATA IMAGE, ORIGINAL ORIGINAL, HEAD, HEAD ">>\nstream\nbytes",
		HEAD "/Length 0>>\nstream\n\nendstream", HEAD "/Length 6>>\nstream\nbytes",
		HEAD "/Length x>>\nstream\nbytes", HEAD "/Length 5", "/Type/EmbeddedFile/Subtype/",
		HEAD "/Length 99999999999999999999999>>\nstream\nbytes",
	};

	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		if (found(none[i], NULL) != 0)
			fail_msg("%zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_found_beside_others),
		cmocka_unit_test(what_is_none_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
