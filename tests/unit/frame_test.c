#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/frame.h"
#include "base/hash.h"

#define SEGNO 7u
#define POSITION (SEGNO * 65536u + 8192u)

static uint8_t buf[16384] __attribute__((aligned(4096)));

/* Three records of different sizes, one empty, one of two parts. */
static uint32_t build(struct frame *f, uint32_t prev)
{
	uint8_t big[5000];
	struct slice parts[2] = { slice_str("một "), slice_str("hai") };
	uint64_t pos[3];

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 31);
	frame_begin(f, buf, sizeof(buf), POSITION);
	assert_int_equal(frame_add(f, 2, 1, slice_of(big, sizeof(big)), &pos[0]), ST_OK);
	assert_int_equal(frame_add(f, 3, 1, slice_of(NULL, 0), &pos[1]), ST_OK);
	assert_int_equal(frame_addv(f, 4, 2, parts, 2, &pos[2]), ST_OK);
	assert_int_equal(pos[0], POSITION + FRAME_HEADER_BYTES);
	assert_int_equal(pos[1], pos[0] + FRAME_RECORD_BYTES + sizeof(big));
	return frame_finish(f, SEGNO, 5, prev, POSITION - 4096);
}

static void round_trip(void **state)
{
	struct frame f;
	struct frame_view v;
	struct frame_record r;
	uint32_t padded = build(&f, 0xabcd), at = 0;

	assert_int_equal(padded, 8192);
	assert_int_equal(frame_length(buf, SEGNO, POSITION), f.used);
	assert_int_equal(frame_check(&v, slice_of(buf, padded), SEGNO, POSITION), ST_OK);
	assert_int_equal(v.records, 3);
	assert_int_equal(v.epoch, 5);
	assert_int_equal(v.prev, 0xabcd);
	assert_int_equal(v.durable, POSITION - 4096);
	assert_int_equal(v.crc, f.crc);
	assert_true(frame_next(&v, &at, &r));
	assert_int_equal(r.payload.n, 5000);
	assert_true(frame_next(&v, &at, &r));
	assert_int_equal(r.payload.n, 0);
	assert_true(frame_next(&v, &at, &r));
	assert_int_equal(r.type, 4);
	assert_int_equal(r.version, 2);
	assert_true(slice_eq(r.payload, slice_str("một hai")));
	assert_false(frame_next(&v, &at, &r));

	/* The third record alone, by its position. */
	size_t off = r.position - POSITION;
	assert_int_equal(frame_record_read(&r, slice_of(buf + off, padded - off), POSITION + off),
			 ST_OK);
	assert_int_equal(frame_record_read(&r, slice_of(buf + off, padded - off),
					   POSITION + off + 1),
			 ST_CORRUPT);
	assert_int_equal(frame_record_read(&r, slice_of(buf + off, 15), POSITION + off),
			 ST_CORRUPT);
}

static void empty_frame_testifies(void **state)
{
	struct frame f;
	struct frame_view v;
	uint32_t at = 0;
	struct frame_record r;

	frame_begin(&f, buf, sizeof(buf), POSITION);
	assert_int_equal(frame_finish(&f, SEGNO, 1, 2, POSITION), FRAME_BLOCK_BYTES);
	assert_int_equal(frame_check(&v, slice_of(buf, 4096), SEGNO, POSITION), ST_OK);
	assert_int_equal(v.durable, POSITION);
	assert_false(frame_next(&v, &at, &r));
}

static void full(void **state)
{
	struct frame f;
	uint8_t big[sizeof(buf)] = { 0 };

	frame_begin(&f, buf, 4096, POSITION);
	assert_int_equal(frame_add(&f, 1, 1, slice_of(big, 4096 - 76), NULL), ST_OK);
	assert_int_equal(f.used, 4096);
	assert_int_equal(frame_add(&f, 1, 1, slice_of(NULL, 0), NULL), ST_FULL);
	frame_begin(&f, buf, 4096, POSITION);
	assert_int_equal(frame_add(&f, 1, 1, slice_of(big, 4096 - 75), NULL), ST_FULL);
	assert_int_equal(f.records, 0);
	assert_int_equal(f.used, FRAME_HEADER_BYTES);
}

/* Every bit before the padding matters, none in it. */
static void bit_flips(void **state)
{
	struct frame f;
	struct frame_view v;
	uint32_t padded = build(&f, 1);

	for (uint32_t i = 0; i < padded; i++) {
		for (int bit = 0; bit < 8; bit++) {
			enum status want = i < f.used ? ST_CORRUPT : ST_OK;

			buf[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(frame_check(&v, slice_of(buf, padded), SEGNO, POSITION),
					 want);
			buf[i] ^= (uint8_t)(1 << bit);
		}
	}
}

/* A frame is valid only at its own place, and only whole. */
static void place_and_length(void **state)
{
	struct frame f;
	struct frame_view v;
	uint32_t padded = build(&f, 1);

	assert_int_equal(frame_check(&v, slice_of(buf, padded), SEGNO + 1, POSITION), ST_CORRUPT);
	assert_int_equal(frame_check(&v, slice_of(buf, padded), SEGNO, POSITION + 4096),
			 ST_CORRUPT);
	for (uint32_t n = 0; n < f.used; n++)
		assert_int_equal(frame_check(&v, slice_of(buf, n), SEGNO, POSITION), ST_CORRUPT);
	assert_int_equal(frame_check(&v, slice_of(buf, f.used), SEGNO, POSITION), ST_OK);
}

static void segment_headers(void **state)
{
	struct segment_header h = { FRAME_JOURNAL, 65536, 9, 9 * 65536, 3, 0x1234 }, got;

	segment_header_write(buf, &h);
	assert_memory_equal(buf, "TRIENSEG", 8);
	assert_int_equal(segment_header_read(&got, buf, FRAME_JOURNAL), ST_OK);
	assert_int_equal(got.segno, 9);
	assert_int_equal(got.first, 9 * 65536);
	assert_int_equal(got.epoch, 3);
	assert_int_equal(got.prev, 0x1234);
	assert_int_equal(segment_header_read(&got, buf, FRAME_STORE), ST_CORRUPT);
	for (size_t i = 0; i < FRAME_BLOCK_BYTES; i++) {
		buf[i] ^= 0x10;
		assert_int_equal(segment_header_read(&got, buf, FRAME_JOURNAL), ST_CORRUPT);
		buf[i] ^= 0x10;
	}
	/* A later version, properly summed, is refused by name. */
	buf[8] = 2;
	uint32_t crc = crc32c(0, buf, 4092);
	for (int i = 0; i < 4; i++)
		buf[4092 + i] = (uint8_t)(crc >> (8 * i));
	assert_int_equal(segment_header_read(&got, buf, FRAME_JOURNAL), ST_UNSUPPORTED);
}

/* Bytes at random, and frames broken at random: never more than ST_CORRUPT (run under ASan). */
static void mutations(void **state)
{
	struct frame f;
	struct frame_view v;
	struct frame_record r;
	unsigned int seed = 20261124;

	for (int run = 0; run < 20000; run++) {
		uint32_t padded = build(&f, 1);
		size_t n = (size_t)rand_r(&seed) % padded + 1;
		uint8_t *exact = malloc(n);
		uint32_t at = 0;

		assert_non_null(exact);
		for (int k = rand_r(&seed) % 6 + 1; k > 0; k--)
			buf[(size_t)rand_r(&seed) % (k > 3 ? 100u : padded)] = (uint8_t)rand_r(
				&seed);
		memcpy(exact, buf, n);
		if (frame_check(&v, slice_of(exact, n), SEGNO, POSITION) == ST_OK)
			while (frame_next(&v, &at, &r))
				assert_in_range((uintptr_t)r.payload.p, (uintptr_t)exact,
						(uintptr_t)exact + n);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(empty_frame_testifies),
		cmocka_unit_test(full), cmocka_unit_test(bit_flips),
		cmocka_unit_test(place_and_length), cmocka_unit_test(segment_headers),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
