/* What writing and reading must agree on: lanes, checksums, times, classes of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/postgres/postgres.h"

static void test_lanes(void **state)
{
	uint64_t seen = 0;
	char unit[16];

	/* Stored rows lie where these say: they never change. */
	assert_int_equal(pg_lane_register(slice_str("ubnd-lac-xuan"), slice_str("XNTTHN")), 61);
	assert_int_equal(pg_lane_unit(slice_str("ubnd-lac-xuan")), 40);
	/* A unit's end is not a register's beginning. */
	assert_int_not_equal(pg_lane_register(slice_str("ab"), slice_str("c")),
			     pg_lane_register(slice_str("a"), slice_str("bc")));
	for (int i = 0; i < 1000; i++) {
		snprintf(unit, sizeof(unit), "don-vi-%d", i);
		assert_true(pg_lane_unit(slice_str(unit)) < LANES);
		seen |= 1ull << pg_lane_unit(slice_str(unit));
	}
	assert_true(seen == UINT64_MAX);
}

static void test_crc(void **state)
{
	struct slice layers = slice_str("layers"), record = slice_str("record");
	int32_t crc = pg_crc(7, 1234567, layers, record);
	/* As README and 001.sql say it: lane, sequence little-endian, layers, record. */
	static const uint8_t all[] = "\x07\x87\xd6\x12\0\0\0\0\0layersrecord";

	assert_int_equal(crc, (int32_t)crc32c(0, all, sizeof(all) - 1));
	assert_int_not_equal(crc, pg_crc(8, 1234567, layers, record));
	assert_int_not_equal(crc, pg_crc(7, 1234568, layers, record));
	assert_int_not_equal(crc, pg_crc(7, 1234567, slice_str("layerS"), record));
	assert_int_not_equal(crc, pg_crc(7, 1234567, layers, slice_str("recorD")));
}

static void test_time(void **state)
{
	assert_int_equal(pg_time(946684800000LL), 0);
	assert_int_equal(pg_time(1795000000123LL), (1795000000123LL - 946684800000LL) * 1000);
	assert_int_equal(pg_unix_ms(pg_time(1795000000123LL)), 1795000000123LL);
}

static void test_failures(void **state)
{
	static const char *const again[] = { NULL, "", "08006", "40001", "40P01", "53100", "53300",
					     "57014", "57P01", "57P03", "25006", "55P03", "42501",
					     "42P01", "0A000", "26000", "58030" };
	static const char *const row[] = { "22003", "22021", "23502", "23505", "54000",
					   "XX000", "XX002", "55000" };

	for (size_t i = 0; i < ARRAY_LEN(again); i++)
		assert_int_equal(pg_failure_of(again[i]), PG_RETRY);
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		assert_int_equal(pg_failure_of(row[i]), PG_ROW);
	assert_int_equal(pg_failure_of("23514"), PG_PARTITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
