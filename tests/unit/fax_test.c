/* Group 4: rows of each mode, runs of all lengths, and what is none of it, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "foreign/fax.h"

#define BYTES_MAX 4096

struct bits { uint8_t p[BYTES_MAX]; size_t n; };

static void put(struct bits *b, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == ' ')
			continue;
		assert_true(b->n < 8 * BYTES_MAX);
		if (*text == '1')
			b->p[b->n / 8] |= (uint8_t)(0x80 >> b->n % 8);
		b->n++;
	}
}

static enum fax_end check(const char *text, uint32_t width, uint32_t height, const char *tail)
{
	static struct bits b;
	struct arena a;
	enum fax_end end;
	uint8_t *exact;
	size_t n;

	memset(&b, 0, sizeof(b));
	put(&b, text);
	n = (b.n + 7) / 8;
	exact = malloc(n + strlen(tail));
	memcpy(exact, b.p, n);
	memcpy(exact + n, tail, strlen(tail));
	assert_int_equal(arena_init(&a, 1 << 20), ST_OK);
	assert_int_equal(fax_check(slice_of(exact, n + strlen(tail)), width, height, &a, &end),
			 ST_OK);
	assert_int_equal(a.used, 0);
	arena_free(&a);
	free(exact);
	return end;
}

#define EOFB "000000000001000000000001"

static void rows_of_each_mode(void **state)
{
	/* White; 2 black 3 white 3; the same; one shifted to the right; passed over; black. */
	static const char rows[] = "1"
		"001 0111 10 1"
		"1 1 1"
		"011 010 1"
		"0001 1"
		"001 00110101 000101";

	assert_int_equal(check(rows, 8, 6, ""), FAX_WHOLE);
	assert_int_equal(check("1 001 0111 10 1 1 1 1 011 010 1 0001 1 001 00110101 000101" EOFB,
			       8, 6, ""), FAX_WHOLE);
	assert_int_equal(check("1" EOFB, 8, 1, "\r\n"), FAX_WHOLE);
	assert_int_equal(check("1" EOFB, 8, 1, "hidden"), FAX_LONG);
	assert_int_equal(check("1" EOFB, 8, 2, ""), FAX_SHORT);
	/* Without an end of block, zeros to the next byte are no row. */
	assert_int_equal(check("1", 8, 9, ""), FAX_BROKEN);
	assert_int_equal(check("11111111", 8, 9, ""), FAX_SHORT);
	assert_int_equal(check("", 8, 1, ""), FAX_SHORT);
}

static void long_runs(void **state)
{
	/* White 2560 + 64 + 5, black 1728 + 0; together 4357. */
	assert_int_equal(check("001 000000011111 11011 1100 0000001100101 0000110111" EOFB, 4357, 1,
			       ""), FAX_WHOLE);
	assert_int_equal(check("001 000000011111 11011 1100 0000001100101 0000110111" EOFB, 4356, 1,
			       ""), FAX_BROKEN);
	/* Runs of no length: black from the first sample on. */
	assert_int_equal(check("001 00110101 11 1 1 1 1" EOFB, 4, 2, ""), FAX_WHOLE);
}

static void codes_that_are_none(void **state)
{
	assert_int_equal(check("0000001111 1111111111111111", 8, 2, ""), FAX_BROKEN);
	assert_int_equal(check("001 00000000 1111111111111111", 8, 1, ""), FAX_BROKEN);
	/* To the right beyond the row. */
	assert_int_equal(check("011 11111111111111111111", 8, 1, ""), FAX_BROKEN);
}

static void bits_at_random(void **state)
{
	uint64_t seed = 1;
	struct arena a;
	uint32_t ends[4] = { 0 };

	assert_int_equal(arena_init(&a, 1 << 20), ST_OK);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t n = i % 40, width = 1 + i % 37 * (i % 3 == 0 ? 100 : 1);
		uint8_t *exact = malloc(n + 1);
		enum fax_end end;

		for (uint32_t k = 0; k < n; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			exact[k] = (uint8_t)(seed >> 56 | (i % 2 == 0 ? seed >> 48 : 0));
		}
		assert_int_equal(fax_check(slice_of(exact, n), width, 1 + i % 5, &a, &end), ST_OK);
		ends[end]++;
		free(exact);
	}
	assert_true(ends[FAX_BROKEN] > 0 && ends[FAX_SHORT] > 0 && ends[FAX_LONG] > 0);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_each_mode),
		cmocka_unit_test(long_runs),
		cmocka_unit_test(codes_that_are_none),
		cmocka_unit_test(bits_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
