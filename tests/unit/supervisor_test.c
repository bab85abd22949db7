/* How long the supervisor waits before it starts a child again that keeps crashing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor.h"

static void a_pause_grows_and_ends_growing(void **state)
{
	int64_t before = 0;

	assert_int_equal(supervisor_pause_ms(0), 0);
	assert_int_equal(supervisor_pause_ms(1), 200);
	for (uint32_t crashes = 1; crashes <= 200; crashes++) {
		int64_t ms = supervisor_pause_ms(crashes);

		assert_true(ms >= before && ms <= 3200);
		before = ms;
	}
	assert_int_equal(supervisor_pause_ms(UINT32_MAX), 3200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_grows_and_ends_growing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
