/* Chunks of PNG files, and the rows that they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "damage.h"
#include "foreign/flate.h"
#include "foreign/png.h"

#define BYTES_MAX 65536

struct file { uint8_t p[BYTES_MAX]; size_t n; };

struct room { struct arena arena; struct file file; };

static void big(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void chunk(struct file *f, const char *type, const void *p, size_t n)
{
	uint8_t *at = f->p + f->n;

	assert_true(f->n + n + 12 <= sizeof(f->p));
	big(at, (uint32_t)n);
	memcpy(at + 4, type, 4);
	memcpy(at + 8, p, n);
	big(at + 8 + n, (uint32_t)crc32(crc32(0, NULL, 0), at + 4, (uInt)n + 4));
	f->n += n + 12;
}

static void begin(struct file *f, uint32_t width, uint32_t height, uint8_t bits, uint8_t colour)
{
	uint8_t header[13] = { [8] = bits, [9] = colour };

	memcpy(f->p, "\x89PNG\r\n\x1a\n", 8);
	f->n = 8;
	big(header, width);
	big(header + 4, height);
	chunk(f, "IHDR", header, sizeof(header));
}

/* `n` bytes of rows, all of filter 0, in chunks of `piece` bytes. */
static void data(struct file *f, size_t n, size_t piece)
{
	static const uint8_t zero[8192];
	uint8_t out[8192];
	uLongf got = sizeof(out);

	assert_true(n <= sizeof(zero));
	assert_int_equal(compress(out, &got, zero, n), Z_OK);
	for (size_t at = 0; at < got; at += piece)
		chunk(f, "IDAT", out + at, got - at < piece ? got - at : piece);
}

static enum reason look(struct room *r, struct png *p)
{
	uint8_t *exact = malloc(r->file.n);
	struct detail d;
	enum reason why;

	memcpy(exact, r->file.p, r->file.n);
	arena_reset(&r->arena);
	why = png_look(slice_of(exact, r->file.n), &r->arena, p, &d);
	free(exact);
	return why;
}

static void kinds(void **state)
{
	static const struct { uint8_t colour, bits; uint32_t row; uint8_t wrapped; } of[] = {
		{ 0, 1, 2, ORIGINAL_REBUILT }, { 0, 4, 5, ORIGINAL_REBUILT },
		{ 0, 16, 20, ORIGINAL_REBUILT }, { 2, 8, 30, ORIGINAL_REBUILT },
		{ 2, 16, 60, ORIGINAL_REBUILT }, { 4, 8, 20, ORIGINAL_CODING },
		{ 6, 16, 80, ORIGINAL_CODING },
	};
	struct room *r = *state;
	struct png p;

	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		for (int wrong = -1; wrong <= 1; wrong++) {
			begin(&r->file, 10, 7, of[i].bits, of[i].colour);
			data(&r->file, (size_t)((of[i].row + 1) * 7 + (uint32_t)wrong), 9);
			chunk(&r->file, "IEND", "", 0);
			assert_int_equal(look(r, &p), wrong == 0 ? REASON_NONE :
					 REASON_ORIGINAL_DAMAGED);
		}
		begin(&r->file, 10, 7, of[i].bits, of[i].colour);
		data(&r->file, (of[i].row + 1) * 7, 9);
		chunk(&r->file, "IEND", "", 0);
		assert_int_equal(look(r, &p), REASON_NONE);
		assert_int_equal(p.wrapped, of[i].wrapped);
		assert_int_equal(p.bits, of[i].bits);
		assert_int_equal(p.components, of[i].colour & 2 ? 3 : 1);
		assert_true(p.runs_n > 0 || p.wrapped != ORIGINAL_REBUILT);
	}
}

/* Likewise where something stands behind the end; what is missing before that is missed. */
static void more_behind_the_end(void **state)
{
	struct room *r = *state;
	struct png p;

	for (size_t missing = 0; missing < 2; missing++) {
		begin(&r->file, 4, 4, 8, 0);
		data(&r->file, 20 - missing, 100);
		chunk(&r->file, "IEND", "", 0);
		r->file.p[r->file.n++] = 'x';
		assert_int_equal(look(r, &p), missing > 0 ? REASON_ORIGINAL_DAMAGED : REASON_NONE);
		assert_true(missing > 0 || (p.wrapped == ORIGINAL_TAIL && p.runs_n == 0));
	}
}

static void each_byte_counts(void **state)
{
	struct room *r = *state;
	struct png p;

	begin(&r->file, 4, 4, 8, 0);
	data(&r->file, 20, 100);
	chunk(&r->file, "IEND", "", 0);
	assert_int_equal(look(r, &p), REASON_NONE);
	assert_int_equal(p.runs_n, 1);
	assert_int_equal(p.runs[0].offset, 8 + 25 + 8);
	for (size_t i = 0; i < r->file.n; i++) {
		r->file.p[i] ^= 0x10;
		assert_int_not_equal(look(r, &p), REASON_NONE);
		r->file.p[i] ^= 0x10;
	}
	for (size_t n = r->file.n - 1; n > 0; n--) {
		r->file.n = n;
		assert_int_not_equal(look(r, &p), REASON_NONE);
	}
}

/* The filter byte of a row is there in each row, and one of five. */
static void rows_one_by_one(void **state)
{
	struct flate_rows rows = { .n = 2, .filtered = true,
				   .parts = { { 3, 2 }, { 1, 3 } } };
	static const uint8_t good[14] = { 4, 9, 9, 9, 0, 9, 9, 9, 1, 9, 2, 9, 3, 9 };
	uint8_t plain[15], packed[128];

	assert_int_equal(flate_bytes(&rows), 14);
	for (size_t wrong = 0; wrong <= sizeof(good); wrong++) {
		uLongf n = sizeof(packed);
		struct flate f;
		bool filter;

		memcpy(plain, good, sizeof(good));
		if (wrong < sizeof(good))
			plain[wrong] = 9;
		filter = wrong < sizeof(good) && good[wrong] != 9;
		assert_int_equal(compress(packed, &n, plain, sizeof(good)), Z_OK);
		assert_int_equal(flate_begin(&f, &rows), ST_OK);
		for (size_t i = 0; i < n; i++)
			flate_feed(&f, slice_of(packed + i, 1));
		assert_int_equal(flate_finish(&f), filter ? FLATE_BROKEN : FLATE_WHOLE);
	}
}

static void small_streams(void **state)
{
	uint8_t packed[128], out[16];
	uLongf n = sizeof(packed);
	size_t got;

	assert_int_equal(compress(packed, &n, (const uint8_t *)"0123456789abcdef", 16), Z_OK);
	assert_int_equal(flate_read(slice_of(packed, n), out, 16, &got), ST_OK);
	assert_int_equal(got, 16);
	assert_int_equal(flate_read(slice_of(packed, n), out, 15, &got), ST_TOO_LARGE);
	assert_int_equal(flate_read(slice_of(packed, n - 1), out, 16, &got), ST_CORRUPT);
	assert_int_equal(flate_read(slice_of(packed, 0), out, 16, &got), ST_CORRUPT);
}

static void damaged_at_random(void **state)
{
	struct room *r = *state;

	begin(&r->file, 4, 4, 8, 2);
	data(&r->file, 52, 7);
	chunk(&r->file, "tEXt", "Comment\0x", 9);
	chunk(&r->file, "IEND", "", 0);
	/* Hardly any damage escapes a CRC. */
	assert_in_range(damage_all(slice_of(r->file.p, r->file.n), 20000, &r->arena), 0, 3000);
}

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof(*r));

	*state = r;
	return r == NULL || arena_init(&r->arena, 1 << 20) != ST_OK;
}

static int teardown(void **state)
{
	struct room *r = *state;

	arena_free(&r->arena);
	free(r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(more_behind_the_end),
		cmocka_unit_test(each_byte_counts),
		cmocka_unit_test(rows_one_by_one),
		cmocka_unit_test(small_streams),
		cmocka_unit_test(damaged_at_random),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
