/* base64url: one text for one value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64url.h"

/* RFC 4648 10, without the padding; and the two letters that plain base64 has otherwise. */
static const struct { const char *bytes; size_t n; const char *text; } known[] = {
	{ "", 0, "" },		{ "f", 1, "Zg" },	{ "fo", 2, "Zm8" },
	{ "foo", 3, "Zm9v" },	{ "foob", 4, "Zm9vYg" },	{ "fooba", 5, "Zm9vYmE" },
	{ "foobar", 6, "Zm9vYmFy" },	{ "\xfb\xff\xbf", 3, "-_-_" },	{ "\0\0", 2, "AAA" },
};

static void known_texts(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char text[16];
		uint8_t back[8];
		size_t n;

		base64url_write(text, (const uint8_t *)known[i].bytes, known[i].n);
		assert_string_equal(text, known[i].text);
		assert_int_equal(strlen(text), BASE64URL_CHARS(known[i].n));
		assert_true(base64url_read(back, sizeof(back), &n, slice_str(text)));
		assert_int_equal(n, known[i].n);
		assert_memory_equal(back, known[i].bytes, n);
	}
}

static void other_texts_are_refused(void **state)
{
	static const char *const bad[] = {
		"Zg==", "Zm8=", "Z", "Zm9vY", "Zm9v\n", " Zm9v", "+/+/", "Zm 9v", "Zm9v.",
		"Zh", "Zm9", "Zm9vYmF", "\xc3\xa9" "aa",
	};
	uint8_t out[16];
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(base64url_read(out, sizeof(out), &n, slice_str(bad[i])));
		assert_int_equal(n, 0);
	}
	assert_false(base64url_read(out, 2, &n, slice_str("Zm9v")));
	assert_true(base64url_read(out, 3, &n, slice_str("Zm9v")));
	assert_false(base64url_read(out, sizeof(out), &n, slice_of("Zg\0A", 4)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_texts), cmocka_unit_test(other_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
