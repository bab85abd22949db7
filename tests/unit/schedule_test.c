#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/schedule.h"

#define CASES 50000

/* All times, in seconds; checks that they never fall and that there are so many. */
static double *times(const struct schedule_options *o, uint64_t expected)
{
	double *t = calloc(expected, sizeof(*t));
	struct schedule s;
	struct error e;
	int64_t due, before = 0;
	uint64_t n = 0;

	assert_int_equal(schedule_init(&s, o, &e), ST_OK);
	while (schedule_next(&s, &due)) {
		assert_true(n < expected);
		assert_true(due >= before);
		assert_true((double)due <= s.long_s * 1e6 + 1);
		before = due;
		t[n++] = (double)due / 1e6;
	}
	assert_int_equal(n, expected);
	schedule_free(&s);
	return t;
}

static double share(const double *t, double from, double to)
{
	uint64_t n = 0;

	for (int i = 0; i < CASES; i++)
		n += t[i] >= from && t[i] < to;
	return (double)n / CASES;
}

static void constant_is_even(void **state)
{
	struct schedule_options o = { .cases = CASES, .seconds = 100 };
	double *t = times(&o, CASES);

	for (int i = 1; i < CASES; i++)
		assert_true(fabs(t[i] - t[i - 1] - 100.0 / CASES) < 2e-6);
	free(t);
}

/* Gaps of a Poisson process: mean and deviation are equal, and no gap knows the one before. */
static void poisson_gaps_are_exponential(void **state)
{
	struct schedule_options o = { .cases = CASES, .seconds = 5000, .poisson = true, .seed = 3 };
	double *t = times(&o, CASES), mean = 0, squares = 0, together = 0;

	for (int i = 1; i < CASES; i++)
		mean += (t[i] - t[i - 1]) / (CASES - 1);
	for (int i = 1; i < CASES; i++)
		squares += pow(t[i] - t[i - 1] - mean, 2) / (CASES - 1);
	for (int i = 2; i < CASES; i++)
		together += (t[i] - t[i - 1] - mean) * (t[i - 1] - t[i - 2] - mean) / (CASES - 2);
	assert_true(fabs(mean / 0.1 - 1) < 0.01);
	assert_true(fabs(sqrt(squares) / mean - 1) < 0.03);
	assert_true(fabs(together / squares) < 0.02);
	free(t);
}

static void the_seed_decides(void **state)
{
	struct schedule_options o = { .cases = CASES, .seconds = 10, .poisson = true, .seed = 1 };
	double *a = times(&o, CASES), *b = times(&o, CASES), *c;

	o.seed = 2;
	c = times(&o, CASES);
	assert_memory_equal(a, b, CASES * sizeof(*a));
	assert_memory_not_equal(a, c, CASES * sizeof(*a));
	free(a);
	free(b);
	free(c);
}

static void a_ramp_rises(void **state)
{
	struct schedule_options o = { .shape = SHAPE_RAMP, .seconds = 100, .rate_from = 100,
				      .rate_to = 900 };
	double *t = times(&o, CASES);
	struct schedule s;
	struct error e;

	/* The first half has 100 to 500 a second, the second 500 to 900. */
	assert_true(fabs(share(t, 0, 50) - 0.3) < 0.001);
	assert_true(fabs(1 / (t[CASES - 1] - t[CASES - 2]) - 900) < 5);
	assert_int_equal(schedule_init(&s, &o, &e), ST_OK);
	assert_true(fabs(schedule_rate(&s, 25) - 300) < 1);
	schedule_free(&s);
	free(t);
}

static void a_day_has_its_session(void **state)
{
	struct schedule_options o = { .shape = SHAPE_DAYS, .days = 1, .cases = CASES,
				      .session = 0.4, .compress = 60 };
	double *t = times(&o, CASES), session_s = OFFICE_SESSION_S / 60.0;
	double long_s = OFFICE_SESSION_LONG_S / 60.0, in = share(t, session_s, session_s + long_s);

	/* And what goes on at the counters in that quarter of an hour. */
	assert_true(in > 0.4 && in < 0.43);
	assert_true(share(t, session_s - long_s, session_s) < 0.03);
	assert_true(t[CASES - 1] > 0.99 * OFFICE_DAY_S / 60 && t[CASES - 1] < OFFICE_DAY_S / 60);
	free(t);
}

static void the_end_of_a_month_is_busy(void **state)
{
	struct schedule_options o = { .shape = SHAPE_DAYS, .days = 42, .cases = CASES,
				      .session = 0.3, .month_end = 5, .compress = 28800,
				      .poisson = true };
	double *t = times(&o, CASES);

	/* 38 ordinary days and 4 that count five times; a day is a second here. */
	assert_true(fabs(share(t, 19, 21) - 10 / 58.0) < 0.01);
	assert_true(fabs(share(t, 40, 42) - 10 / 58.0) < 0.01);
	assert_true(fabs(share(t, 3, 4) - 1 / 58.0) < 0.005);
	free(t);
}

static void at_once_is_at_once(void **state)
{
	struct schedule_options o = { .shape = SHAPE_AT_ONCE, .cases = CASES };
	double *t = times(&o, CASES);

	assert_true(t[CASES - 1] == 0);
	free(t);
}

static void what_cannot_be_is_refused(void **state)
{
	const struct schedule_options wrong[] = {
		{ .seconds = 10 },
		{ .cases = 10 },
		{ .cases = 10, .seconds = NAN },
		{ .cases = 10, .seconds = 1, .compress = -1 },
		{ .shape = SHAPE_RAMP, .seconds = 10, .rate_from = 10, .rate_to = 10 },
		{ .shape = SHAPE_DAYS, .cases = 10 },
		{ .shape = SHAPE_DAYS, .cases = 10, .days = SCHEDULE_DAYS_MAX + 1 },
		{ .shape = SHAPE_DAYS, .cases = 10, .days = 1, .session = 1.1 },
	};
	struct schedule s;
	struct error e;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(schedule_init(&s, &wrong[i], &e), ST_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_is_even),
		cmocka_unit_test(poisson_gaps_are_exponential),
		cmocka_unit_test(the_seed_decides),
		cmocka_unit_test(a_ramp_rises),
		cmocka_unit_test(a_day_has_its_session),
		cmocka_unit_test(the_end_of_a_month_is_busy),
		cmocka_unit_test(at_once_is_at_once),
		cmocka_unit_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
