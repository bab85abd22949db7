#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/stalls.h"

static void what_lies_in_between_counts(void **state)
{
	static const struct stall of[] = { { 1000, 4000 }, { 9000, 20000 }, { 50000, 5000 } };
	struct stall_sum sum = { 0 };

	stalls_add(&sum, of, 3, 0, 100000);
	assert_true(fabs(sum.share - 0.29) < 1e-9 && sum.longest_ms == 20);
	sum = (struct stall_sum){ 0 };
	stalls_add(&sum, of, 3, 4000, 14000);	/* the end of one, the beginning of the next */
	assert_true(fabs(sum.share - 0.6) < 1e-9 && sum.longest_ms == 5);
	sum = (struct stall_sum){ 0 };
	stalls_add(&sum, of, 3, 30000, 50000);
	assert_true(sum.share == 0 && sum.longest_ms == 0);
}

static void what_is_not_watched_is_unknown(void **state)
{
	assert_true(isnan(stalls_between(NULL, 0, 1000).share));
	assert_true(stalls_cpu_s(NULL) == 0);
	stalls_stop(NULL);
}

/* Where the right to it is missing, it says so and leaves nothing behind. */
static void it_starts_and_stops(void **state)
{
	struct error e;
	struct stalls *s;
	enum status st = stalls_start(&s, &e);

	assert_true(st == ST_OK || st == ST_UNAVAILABLE);
	assert_true((s != NULL) == (st == ST_OK));
	if (s != NULL)
		assert_true(stalls_between(s, 0, 1000).share == 0);
	stalls_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lies_in_between_counts),
		cmocka_unit_test(what_is_not_watched_is_unknown),
		cmocka_unit_test(it_starts_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
