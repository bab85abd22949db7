#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "base/utf8.h"

static struct codeset all;
static uint8_t block[4096];

static int set_up(void **state)
{
	memset(all.bits, 0xff, sizeof(all.bits));
	return 0;
}

/* The long way: valid, NFC by utf8proc, nothing refused, everything shown. */
static bool plain_by_definition(struct slice s, const struct codeset *shown)
{
	struct slice rest = s;
	utf8proc_uint8_t *nfc;
	utf8proc_ssize_t n;
	bool same;

	while (rest.n > 0) {
		int32_t cp = utf8_next(&rest);

		if (cp < 0 || utf8_refused((uint32_t)cp) || !codeset_has(shown, (uint32_t)cp))
			return false;
	}
	n = utf8proc_map(s.p, (utf8proc_ssize_t)s.n, &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	assert_true(n >= 0);
	same = (size_t)n == s.n && memcmp(nfc, s.p, s.n) == 0;
	free(nfc);
	return same;
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

/* In a block of its very size, so that a sanitizer sees one byte too many. */
static bool plain(const uint8_t *p, size_t n, const struct codeset *shown)
{
	uint8_t *own = malloc(n > 0 ? n : 1);
	bool is;

	assert_non_null(own);
	memcpy(own, p, n);
	is = utf8_plain(slice_of(own, n), shown);
	free(own);
	return is;
}

static void vietnamese_is_plain(void **state)
{
	static const char *const texts[] = {
		"", "a", "Đ", "ế", "Nguyễn Thị Hoài Thư", "phường Lạc Xuân, tỉnh Sơn Lạc",
		"số 376, đường Thanh Niên, tổ dân phố 11", "– “Một” … ‘hai’ • 5 ₫",
		"ÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬĐÈÉẺẼẸÊỀẾỂỄỆÌÍỈĨỊÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÙÚỦŨỤƯỪỨỬỮỰỲÝỶỸỴ",
		"àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ",
		"0123456789abcde", "0123456789abcdef", "0123456789abcdeế", "0123456789abcế",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_true(plain((const uint8_t *)texts[i], strlen(texts[i]), &all));
}

/* Every code point, at every place of a block: plain only if it is so by definition. */
static void every_code_point(void **state)
{
	uint8_t text[40];

	for (uint32_t cp = 0; cp < 0x30000; cp++) {
		size_t before = cp % 19, n;

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		memset(text, 'x', sizeof(text));
		n = before + utf8_put(text + before, cp);
		if (plain(text, n, &all))
			assert_true(plain_by_definition(slice_of(text, n), &all));
		else	/* what Vietnamese needs takes the short way */
			assert_false((cp >= 0x20 && cp < 0x7f) || (cp >= 0x1ea0 && cp < 0x1efa) ||
				     (cp >= 0xc0 && cp < 0x200));
	}
}

static void only_what_is_shown(void **state)
{
	static struct codeset some;

	for (uint32_t cp = 0x20; cp < 0x7f; cp++)
		codeset_add(&some, cp);
	codeset_add(&some, 0x1ebf);
	assert_true(plain((const uint8_t *)"ế", 3, &some));
	assert_false(plain((const uint8_t *)"ề", 3, &some));
	assert_false(plain((const uint8_t *)"é", 2, &some));
	/* A font without one ASCII character goes the long way. */
	some.bits['~' / 32] &= ~(1u << '~' % 32);
	assert_false(plain((const uint8_t *)"a", 1, &some));
}

/* A font that lacks one letter of Vietnamese lacks it wherever it stands. */
static void one_letter_is_missing(void **state)
{
	static struct codeset but_one;
	uint8_t text[40];

	but_one = all;
	for (uint32_t cp = 0xc0; cp < 0x1f00; cp++) {
		size_t before = cp % 19, n;

		memset(text, 'x', sizeof(text));
		n = before + utf8_put(text + before, cp);
		n += 1 + cp % 3;
		but_one.bits[cp / 32] &= ~(1u << cp % 32);
		assert_false(plain(text, n, &but_one));
		codeset_add(&but_one, cp);
	}
}

#define HARMLESS 9		/* so many of the likely ones */

static void random_texts(void **state)
{
	static const uint16_t likely[] = { 'a', ' ', 'z', 0xe0, 0x111, 0x1b0, 0x1ea1, 0x1ef9,
					   0x2013, 0x301, 0x323, 0x202e, 0x1e9b, 0xad, 0x7f,
					   '\n', 0x4e2d };
	uint64_t seed = 8;
	uint32_t n_plain = 0;

	for (int round = 0; round < 60000; round++) {
		size_t n = 0, chars = next_random(&seed) % 60;
		/* Mostly harmless, so that long texts get to their end. */
		bool harmless = next_random(&seed) % 3 != 0, damaged = false;

		for (size_t i = 0; i < chars; i++)
			n += utf8_put(block + n, likely[next_random(&seed) %
							(harmless ? HARMLESS : ARRAY_LEN(likely))]);
		if (n > 0 && next_random(&seed) % 4 == 0) {
			block[next_random(&seed) % n] = (uint8_t)next_random(&seed);
			damaged = true;
		}
		if (n > 0 && next_random(&seed) % 8 == 0) {
			n--;
			damaged = true;
		}
		if (plain(block, n, &all)) {
			assert_true(plain_by_definition(slice_of(block, n), &all));
			n_plain++;
		} else {
			assert_true(damaged || !harmless);
		}
	}
	assert_true(n_plain > 10000);
}

static void composition(void **state)
{
	struct arena a;
	struct slice s = slice_str("Vie\xcc\xa3\xcc\x82t Nam"), nfc;

	arena_wrap(&a, block, sizeof(block));
	assert_int_equal(utf8_nfc(s, &a, &nfc), ST_OK);
	assert_true(slice_eq(nfc, slice_str("Việt Nam")));
	s = slice_str("Việt Nam");
	assert_int_equal(utf8_nfc(s, &a, &nfc), ST_OK);
	assert_ptr_equal(nfc.p, s.p);
	assert_int_equal(utf8_nfc(slice_str("a\xff"), &a, &nfc), ST_INVALID);
	arena_wrap(&a, block, 4);
	assert_int_equal(utf8_nfc(slice_str("Vie\xcc\xa3\xcc\x82t Nam"), &a, &nfc), ST_TOO_LARGE);
}

/* Every length, every place, what may and what may not stand there. */
static void strings_have_no_nul(void **state)
{
	static const struct { const char *piece; size_t n; bool good; } pieces[] = {
		{ "a", 1, true }, { "\x01", 1, true }, { "\x7f", 1, true }, { "ế", 3, true },
		{ "\0", 1, false }, { "\x80", 1, false }, { "\xc3", 1, false },
		{ "\xff", 1, false },
	};

	for (size_t n = 0; n < 40; n++)
		for (size_t at = 0; at <= n; at++)
			for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
				size_t whole = n + pieces[k].n;
				uint8_t *p = malloc(whole);

				assert_non_null(p);
				memset(p, 'x', whole);
				memcpy(p + at, pieces[k].piece, pieces[k].n);
				assert_int_equal(utf8_string(slice_of(p, whole)), pieces[k].good);
				free(p);
			}
	assert_true(utf8_string(slice_of("", 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_have_no_nul),
		cmocka_unit_test(vietnamese_is_plain), cmocka_unit_test(every_code_point),
		cmocka_unit_test(only_what_is_shown), cmocka_unit_test(one_letter_is_missing),
		cmocka_unit_test(random_texts),
		cmocka_unit_test(composition),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
