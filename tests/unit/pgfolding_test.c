/* When counters are folded: each lane once a night, one at a time, with pauses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limits.h"
#include "store/postgres/folding.h"

#define EVENING_MS 1795543200000LL	/* 2026-11-24T18:00Z: 25 November, 01:00 in Vietnam */
#define HOUR_MS 3600000LL
#define SECOND_NS 1000000000ull

/* All lanes of a night; returns the time after them. */
static uint64_t night(struct pg_folding *f, int64_t wall_ms, uint64_t ns)
{
	for (int lane = 0; lane < LANES; lane++, ns += SECOND_NS) {
		assert_int_equal(pg_folding_next(f, wall_ms, ns), lane);
		assert_int_equal(pg_folding_answered(f, 2, false, ns), lane == LANES - 1);
	}
	assert_int_equal(f->fewer, 2 * LANES);
	assert_int_equal(pg_folding_next(f, wall_ms, ns), -1);
	return ns;
}

static void test_once_a_night(void **state)
{
	struct pg_folding f = { 0 };
	uint64_t ns = night(&f, EVENING_MS, SECOND_NS);

	/* Two in the morning has not come. */
	assert_int_equal(pg_folding_next(&f, EVENING_MS + HOUR_MS - 1, ns), -1);
	ns = night(&f, EVENING_MS + HOUR_MS, ns);
	assert_int_equal(pg_folding_next(&f, EVENING_MS + 24 * HOUR_MS, ns), -1);
	night(&f, EVENING_MS + 25 * HOUR_MS, ns);
}

static void test_one_at_a_time(void **state)
{
	struct pg_folding f = { 0 };

	assert_int_equal(pg_folding_next(&f, EVENING_MS, SECOND_NS), 0);
	/* However long it takes, and if a night passes over it. */
	assert_int_equal(pg_folding_next(&f, EVENING_MS + 2 * HOUR_MS, 9999 * SECOND_NS), -1);
	assert_false(pg_folding_answered(&f, 0, false, 9999 * SECOND_NS));
	/* Not at once. */
	assert_int_equal(pg_folding_next(&f, EVENING_MS, 9999 * SECOND_NS + 1), -1);
	assert_true(f.due_ns > 9999 * SECOND_NS);
	assert_int_equal(pg_folding_next(&f, EVENING_MS, f.due_ns), 1);
}

static void test_a_refusal_ends_the_night(void **state)
{
	struct pg_folding f = { 0 };

	assert_int_equal(pg_folding_next(&f, EVENING_MS, SECOND_NS), 0);
	assert_true(pg_folding_answered(&f, 0, true, SECOND_NS));
	assert_int_equal(pg_folding_next(&f, EVENING_MS, 9 * SECOND_NS), -1);
	night(&f, EVENING_MS + HOUR_MS, 9 * SECOND_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_a_night),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_a_refusal_ends_the_night),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
