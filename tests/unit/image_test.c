#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "catalogue/image.h"

#define TEXT(s) slice_of(s, sizeof(s) - 1)

static void finds_the_raster(void **state)
{
	const uint8_t *bits;
	uint32_t w, h;

	assert_null(image_parse(TEXT("P4\n9 2\n\x80\x80\x01\x00"), &w, &h, &bits));
	assert_int_equal(w, 9);
	assert_int_equal(h, 2);
	assert_int_equal(bits[2], 1);
	/* Comments of other programs, and pixels that look like text. */
	assert_null(image_parse(TEXT("P4\n# by hand\n8\t#x\n 2\n#\n"), &w, &h, &bits));
	assert_int_equal(bits[0], '#');
}

static void refuses_what_is_no_image(void **state)
{
	static const struct { const char *bytes; size_t n; } wrong[] = {
#define WRONG(s) { s, sizeof(s) - 1 }
		WRONG(""), WRONG("P"), WRONG("P4"), WRONG("P4\n8"), WRONG("P4\n8 1"),
		WRONG("P1\n8 1\n1"), WRONG("P4\n0 1\n"), WRONG("P4\n8 4001\n"),
		WRONG("P4\n4294967304 1\nx"), WRONG("P4\n8 1\n"), WRONG("P4\n8 1\nxx"),
		WRONG("P4\n# 8 1\nx"), WRONG("P4\n-8 1\nx"),
	};
	const uint8_t *bits;
	uint32_t w, h;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_non_null(image_parse(slice_of(wrong[i].bytes, wrong[i].n), &w, &h, &bits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_raster),
		cmocka_unit_test(refuses_what_is_no_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
