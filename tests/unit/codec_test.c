#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "signer/signer.h"

static void request_is_byte_for_byte_the_format(void **state)
{
	uint8_t digests[2][32], buf[256], want[256] = {
		0, 0, 0, 0,				/* bytes of what follows, below */
		8, 7, 6, 5, 4, 3, 2, 1,			/* tag */
		1, 0,					/* groups */
		3, 'k', 'e', 'y', 1, 'u', 2, 'x', 'y',
		1, 2, 0 };				/* urgency, count */
	struct sign_group g = { slice_str("key"), slice_str("u"), slice_str("xy"), 2,
				(const uint8_t (*)[32])digests, 1 };
	struct writer w = writer_of(buf, sizeof(buf));

	memset(digests[0], 0xaa, 32);
	memset(digests[1], 0xbb, 32);
	assert_int_equal(signer_encode(&w, 0x0102030405060708, &g, 1), ST_OK);
	want[0] = (uint8_t)(8 + 2 + 4 + 2 + 3 + 1 + 2 + 64);
	memset(want + 26, 0xaa, 32);
	memset(want + 58, 0xbb, 32);
	assert_int_equal(writer_size(&w), 90);
	assert_memory_equal(buf, want, 90);
}

static void request_has_bounds(void **state)
{
	static uint8_t digests[SIGNER_DIGESTS_MAX + 1][32], buf[128 * 1024];
	struct sign_group g = { slice_str("key"), slice_str("u"), slice_str("x"),
				SIGNER_DIGESTS_MAX, (const uint8_t (*)[32])digests, 0 };
	uint8_t name[300] = { 0 };
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(signer_encode(&w, 1, &g, 1), ST_OK);
	g.count++;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(signer_encode(&w, 1, &g, 1), ST_TOO_LARGE);
	g.count = 1;
	w = writer_of(buf, 20);
	assert_int_equal(signer_encode(&w, 1, &g, 1), ST_TOO_LARGE);
	g.kind = slice_of(name, sizeof(name));
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(signer_encode(&w, 1, &g, 1), ST_TOO_LARGE);
}

static void reply_gives_answers_in_order(void **state)
{
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));
	struct signer_reply r;
	enum sign_answer a;
	struct slice s;

	write_u64(&w, 77);
	write_u16(&w, 2);
	write_u8(&w, ANSWER_SIGNED);
	write_u16(&w, 3);
	write_bytes(&w, "abc", 3);
	write_u8(&w, ANSWER_POLICY);
	write_u16(&w, 0);
	assert_int_equal(signer_reply_open(&r, writer_slice(&w)), ST_OK);
	assert_int_equal(r.tag, 77);
	assert_int_equal(r.total, 2);
	assert_int_equal(signer_reply_next(&r, &a, &s), ST_OK);
	assert_int_equal(a, ANSWER_SIGNED);
	assert_true(slice_eq(s, slice_str("abc")));
	assert_int_equal(signer_reply_next(&r, &a, &s), ST_OK);
	assert_int_equal(a, ANSWER_POLICY);
	assert_int_equal(s.n, 0);
	assert_int_equal(signer_reply_next(&r, &a, &s), ST_CORRUPT);
}

static void every_truncation_of_a_reply_is_corrupt(void **state)
{
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u64(&w, 77);
	write_u16(&w, 1);
	write_u8(&w, ANSWER_SIGNED);
	write_u16(&w, 3);
	write_bytes(&w, "abc", 3);
	for (size_t n = 0; n < writer_size(&w); n++) {
		struct signer_reply r;
		enum sign_answer a;
		struct slice s;
		enum status st = signer_reply_open(&r, slice_of(buf, n));

		if (st == ST_OK)
			st = signer_reply_next(&r, &a, &s);
		assert_int_equal(st, ST_CORRUPT);
	}
}

static void an_unknown_answer_is_corrupt(void **state)
{
	uint8_t buf[16] = { 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, ANSWERS, 0, 0 };
	struct signer_reply r;
	enum sign_answer a;
	struct slice s;

	assert_int_equal(signer_reply_open(&r, slice_of(buf, 13)), ST_OK);
	assert_int_equal(signer_reply_next(&r, &a, &s), ST_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_byte_for_byte_the_format),
		cmocka_unit_test(request_has_bounds),
		cmocka_unit_test(reply_gives_answers_in_order),
		cmocka_unit_test(every_truncation_of_a_reply_is_corrupt),
		cmocka_unit_test(an_unknown_answer_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
