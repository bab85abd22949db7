#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include <pthread.h>

#include "base/hash.h"
#include "journal/livekeys.h"

#define MANY 70000u		/* the table doubles four times */

static int setup(void **state)
{
	*state = livekeys_new();
	return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	livekeys_free(*state);
	return 0;
}

/* Version v of key n. */
static struct keyentry entry(uint32_t n, uint32_t v)
{
	struct keyentry k = { .sequence = (uint64_t)v << 32 | n };
	uint8_t hash[SHA256_BYTES];

	sha256_once(&n, sizeof(n), hash);
	memcpy(k.key, hash, sizeof(k.key));
	return k;
}

static void put(struct livekeys *l, uint32_t n, uint32_t v, uint64_t pos)
{
	struct keyentry k = entry(n, v);

	assert_int_equal(livekeys_put(l, &k, pos), ST_OK);
}

static bool is_there(struct livekeys *l, uint32_t n, uint32_t v)
{
	struct keyentry wanted = entry(n, v), got;

	return livekeys_get(l, wanted.key, &got) && got.sequence == wanted.sequence;
}

static void all_are_found_while_it_grows(void **state)
{
	struct livekeys *l = *state;

	for (uint32_t n = 0; n < MANY; n++) {
		put(l, n, 1, n);
		/* The newest, the oldest and one between. */
		assert_true(is_there(l, n, 1) && is_there(l, 0, 1) && is_there(l, n / 2, 1));
		assert_false(is_there(l, n + 1, 1));
	}
	for (uint32_t n = 0; n < MANY; n++)
		assert_true(is_there(l, n, 1));
}

/* Across any number of divisions the newest version stands before the older ones. */
static void the_newest_version_wins(void **state)
{
	struct livekeys *l = *state;

	for (uint32_t v = 1; v <= 3; v++)
		for (uint32_t n = 0; n < MANY / 3; n++)
			put(l, n, v, v);
	for (uint32_t n = 0; n < MANY / 3; n++)
		assert_true(is_there(l, n, 3));
}

static void what_is_dropped_is_gone_and_what_came_later_stays(void **state)
{
	struct livekeys *l = *state;
	struct live_span s;
	uint32_t put_n = 0, dropped = 0;

	/* Steps that are no multiple of a chunk; the ring goes round many times. */
	while (put_n < MANY) {
		uint32_t step = 1 + put_n * 7 % 1500;

		for (uint32_t i = 0; i < step; i++, put_n++)
			put(l, put_n, 1, put_n);
		assert_int_equal(livekeys_span(l, put_n - step / 2, &s), ST_OK);
		assert_int_equal(s.n, put_n - step / 2 - dropped);
		for (size_t i = 0; i < s.n; i++)
			assert_int_equal(live_span_at(&s, i)->sequence,
					 entry(dropped + (uint32_t)i, 1).sequence);
		dropped += (uint32_t)s.n;
		livekeys_drop(l, &s);
		for (uint32_t n = dropped > 50 ? dropped - 50 : 0; n < dropped; n++)
			assert_false(is_there(l, n, 1));
		for (uint32_t n = dropped; n < put_n; n++)
			assert_true(is_there(l, n, 1));
	}
	assert_int_equal(livekeys_span(l, UINT64_MAX, &s), ST_OK);
	livekeys_drop(l, &s);
	assert_int_equal(livekeys_span(l, UINT64_MAX, &s), ST_OK);
	assert_int_equal(s.n, 0);
	assert_false(is_there(l, MANY - 1, 1));
	put(l, 5, 2, UINT64_MAX);
	assert_true(is_there(l, 5, 2));
}

struct span_reader { struct live_span span; uint64_t sum; };

static void *read_span(void *arg)
{
	struct span_reader *r = arg;

	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < r->span.n; i++)
			r->sum += live_span_at(&r->span, i)->sequence & UINT32_MAX;
	return NULL;
}

static void a_span_is_read_while_more_is_put(void **state)
{
	struct livekeys *l = *state;
	struct span_reader r = { .sum = 0 };
	pthread_t thread;

	for (uint32_t n = 0; n < 10000; n++)
		put(l, n, 1, n);
	assert_int_equal(livekeys_span(l, 10000, &r.span), ST_OK);
	assert_int_equal(pthread_create(&thread, NULL, read_span, &r), 0);
	for (uint32_t n = 10000; n < MANY; n++)
		put(l, n, 1, n);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r.sum, 20ull * 9999 * 10000 / 2);
	livekeys_drop(l, &r.span);
	assert_false(is_there(l, 9999, 1));
	assert_true(is_there(l, 10000, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_are_found_while_it_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(the_newest_version_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_dropped_is_gone_and_what_came_later_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_span_is_read_while_more_is_put, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
