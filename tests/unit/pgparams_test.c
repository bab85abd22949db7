/* Parameters as PostgreSQL reads them: arrays, single values, and buffers that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/postgres/params.h"

static void check(const struct pg_params *p, int i, const void *bytes, size_t n)
{
	assert_int_equal(p->sizes[i], n);
	assert_int_equal(p->formats[i], 1);
	assert_memory_equal(p->values[i], bytes, n);
}

static void test_arrays(void **state)
{
	/* pg_type.dat has the numbers, array_recv() the form. */
	static const char two[] = "\0\0\0\1" "\0\0\0\0" "\0\0\0\x15" "\0\0\0\2" "\0\0\0\1"
				  "\0\0\0\2\0\7" "\0\0\0\2\xff\xfe";
	static const char four[] = "\0\0\0\1" "\0\0\0\0" "\0\0\0\x17" "\0\0\0\1" "\0\0\0\1"
				   "\0\0\0\4\x12\x34\x56\x78";
	static const char eight[] = "\0\0\0\1" "\0\0\0\0" "\0\0\0\x14" "\0\0\0\1" "\0\0\0\1"
				    "\0\0\0\x8\0\0\0\0\0\0\1\0";
	static const char bytes[] = "\0\0\0\1" "\0\0\0\0" "\0\0\0\x11" "\0\0\0\2" "\0\0\0\1"
				    "\0\0\0\3abc" "\0\0\0\0";
	struct pg_params p = { 0 };

	pg_params_begin(&p);
	pg_params_array(&p, PG_OID_INT2, 2);
	pg_params_i16(&p, 7);
	pg_params_i16(&p, -2);
	pg_params_array(&p, PG_OID_INT4, 1);
	pg_params_i32(&p, 0x12345678);
	pg_params_one_i32(&p, -1);
	pg_params_array(&p, PG_OID_INT8, 1);
	pg_params_i64(&p, 256);
	pg_params_array(&p, PG_OID_BYTEA, 2);
	pg_params_bytes(&p, slice_str("abc"));
	pg_params_bytes(&p, slice_of(NULL, 0));
	assert_true(pg_params_end(&p));
	assert_int_equal(p.n, 5);
	check(&p, 0, two, sizeof(two) - 1);
	check(&p, 1, four, sizeof(four) - 1);
	check(&p, 2, "\xff\xff\xff\xff", 4);
	check(&p, 3, eight, sizeof(eight) - 1);
	check(&p, 4, bytes, sizeof(bytes) - 1);
	/* The buffer serves the next statement. */
	pg_params_begin(&p);
	pg_params_one_i32(&p, 1);
	assert_true(pg_params_end(&p));
	assert_int_equal(p.n, 1);
	check(&p, 0, "\0\0\0\1", 4);
	pg_params_free(&p);
}

static void test_grows(void **state)
{
	static uint8_t big[300000];
	struct pg_params p = { 0 };

	memset(big, 0xa5, sizeof(big));
	pg_params_begin(&p);
	pg_params_array(&p, PG_OID_BYTEA, 4);
	for (int i = 0; i < 4; i++)
		pg_params_bytes(&p, slice_of(big, sizeof(big)));
	pg_params_one_i32(&p, 9);
	assert_true(pg_params_end(&p));
	assert_int_equal(p.sizes[0], 20 + 4 * (4 + sizeof(big)));
	assert_memory_equal(p.values[0] + 20 + 3 * (4 + sizeof(big)) + 4, big, sizeof(big));
	check(&p, 1, "\0\0\0\x9", 4);
	pg_params_free(&p);
}

/* More than a message holds is refused before a byte of it is read. */
static void test_too_large(void **state)
{
	struct pg_params p = { 0 };

	pg_params_begin(&p);
	pg_params_array(&p, PG_OID_BYTEA, 1);
	pg_params_bytes(&p, slice_of("", INT32_MAX));
	pg_params_i16(&p, 1);
	assert_false(pg_params_end(&p));
	pg_params_begin(&p);
	pg_params_one_i32(&p, 3);
	assert_true(pg_params_end(&p));
	pg_params_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
