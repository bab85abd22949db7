#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>
#include <grpc/status.h>

#include "client/failure.h"
#include "intake/fault.h"

/* The engine's own encoder is the other side. */
static void decodes_what_the_engine_says(void **state)
{
	uint8_t bytes[FAULT_BYTES_MAX];
	struct fault fault;
	struct failure f;
	char message[512];
	size_t n;

	fault_set(&fault, FAULT_BUSY, "cases", "%s", "256 requests");
	fault_message(&fault, message, sizeof(message));
	n = fault_encode(&fault, bytes);
	assert_true(n > 0);
	failure_decode(&f, (int)fault.code, message, slice_of(bytes, n));
	assert_int_equal(f.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_string_equal(f.reason, "BUSY");
	assert_string_equal(f.field, "cases");
	assert_int_equal(f.retry_ms, 500);
	assert_string_equal(f.en, message);
	assert_string_equal(f.vi, "Máy chủ đang quá tải, hãy gửi lại sau");
	assert_true(failure_passing(&f));
	assert_int_equal(failure_exit(&f), EX_TEMPFAIL);
}

static void lives_with_details_that_are_broken(void **state)
{
	static const uint8_t junk[] = { 0x1a, 0xff, 0x01, 0x02 };
	struct failure f;

	failure_decode(&f, GRPC_STATUS_NOT_FOUND, "no", slice_of(junk, sizeof(junk)));
	assert_string_equal(f.en, "no");
	assert_string_equal(f.reason, "");
	assert_false(failure_passing(&f));
	assert_int_equal(failure_exit(&f), 1);
}

static void tells_away_from_refusing(void **state)
{
	struct failure away = { .code = GRPC_STATUS_UNAVAILABLE };
	struct failure stopping = { .code = GRPC_STATUS_UNAVAILABLE, .reason = "STOPPING" };
	struct failure denied = { .code = GRPC_STATUS_PERMISSION_DENIED };
	struct failure broken_off = { .code = GRPC_STATUS_UNKNOWN };
	struct failure internal = { .code = GRPC_STATUS_INTERNAL, .reason = "INTERNAL" };

	assert_int_equal(failure_exit(&away), EX_UNAVAILABLE);
	assert_int_equal(failure_exit(&stopping), EX_TEMPFAIL);
	assert_int_equal(failure_exit(&denied), EX_NOPERM);
	assert_false(failure_passing(&denied));
	assert_true(failure_passing(&broken_off));
	assert_false(failure_passing(&internal));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_what_the_engine_says),
		cmocka_unit_test(lives_with_details_that_are_broken),
		cmocka_unit_test(tells_away_from_refusing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
