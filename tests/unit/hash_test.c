#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/hash.h"

static uint8_t bytes[400];

static int set_up(void **state)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	return 0;
}

/* Every length around the block's: one shot, in pieces, and forked give what EVP gives. */
static void sha256_in_all_ways(void **state)
{
	struct sha256 *h = sha256_new(), *fork = sha256_new();

	assert_non_null(h);
	assert_non_null(fork);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		uint8_t want[SHA256_BYTES], got[SHA256_BYTES];

		assert_int_equal(EVP_Digest(bytes, n, want, NULL, EVP_sha256(), NULL), 1);
		sha256_once(bytes, n, got);
		assert_memory_equal(got, want, sizeof(got));
		sha256_start(h);
		sha256_add(h, bytes, n / 3);
		sha256_fork(fork, h);
		sha256_add(fork, bytes + n / 3, n - n / 3);
		sha256_end(fork, got);
		assert_memory_equal(got, want, sizeof(got));
		sha256_add(h, bytes + n / 3, n - n / 3);
		sha256_end(h, got);
		assert_memory_equal(got, want, sizeof(got));
	}
	sha256_free(fork);
	sha256_free(h);
}

static void crc32c_known(void **state)
{
	uint8_t zeros[32] = { 0 };

	/* RFC 3720, B.4. */
	assert_int_equal(crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, bytes, 100), bytes + 100, 33), crc32c(0, bytes, 133));
}

static void ids_as_text(void **state)
{
	uint8_t id[16], back[16];
	char text[ID_TEXT_BYTES];

	for (int i = 0; i < 300; i++) {
		memcpy(id, bytes + i, sizeof(id));
		id_text(text, id);
		assert_true(id_read(back, slice_of(text, sizeof(text))));
		assert_memory_equal(id, back, sizeof(id));
		assert_false(id_read(back, slice_of(text, sizeof(text) - 1)));
	}
	assert_true(id_read(back, slice_str("oil00000000000000000000000")));
	/* 130 bits: the first character has only three. */
	assert_false(id_read(back, slice_str("80000000000000000000000000")));
	assert_false(id_read(back, slice_str("0000000000000u000000000000")));
}

static void hex(void **state)
{
	char text[8];
	uint8_t back[4];

	hex_upper(text, (const uint8_t *)"\x01\xab\xcd\xef", 4);
	assert_memory_equal(text, "01ABCDEF", 8);
	hex_lower(text, (const uint8_t *)"\x01\xab\xcd\xef", 4);
	assert_memory_equal(text, "01abcdef", 8);
	assert_true(hex_read(back, 4, slice_str("01AbcDef")));
	assert_memory_equal(back, "\x01\xab\xcd\xef", 4);
	assert_false(hex_read(back, 4, slice_str("01AbcDe")));
	assert_false(hex_read(back, 4, slice_str("01AbcDeg")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_in_all_ways), cmocka_unit_test(crc32c_known),
		cmocka_unit_test(ids_as_text), cmocka_unit_test(hex),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
