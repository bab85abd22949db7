#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

#include "notify/notify.h"

static void count_wake(void *owner)
{
	(*(int *)owner)++;
}

static struct state_change change_of(const char *unit, const char *code, uint8_t id,
				     enum state state)
{
	struct state_change c = { .state = state, .at_ms = 1 };

	memset(c.result_id, id, sizeof(c.result_id));
	snprintf(c.unit, sizeof(c.unit), "%s", unit);
	snprintf(c.code, sizeof(c.code), "%s", code);
	return c;
}

static struct watch_case case_of(const char *unit, const char *code)
{
	return (struct watch_case){ slice_str(unit), slice_str(code) };
}

static void matches_by_case_and_by_id_once(void **state)
{
	struct notify *n;
	struct watch *w;
	struct watch_case cases[] = { case_of("phuong-3", "HS-1"), case_of("phuong-4", "HS-2") };
	uint8_t ids[2][16];
	struct watch_filter f = { cases, 2, (const uint8_t (*)[16])ids, 2, 0 };
	struct state_change in[5] = {
		change_of("phuong-3", "HS-1", 7, STATE_NUMBERED),	/* case and id */
		change_of("phuong-3", "HS-2", 1, STATE_NUMBERED),	/* neither */
		change_of("phuong-4", "HS-2", 2, STATE_STORED),		/* case */
		change_of("phuong-9", "HS-9", 8, STATE_HELD),		/* id */
		/* neither: names do not run together */
		change_of("phuong-3H", "S-1", 3, STATE_HELD),
	};
	struct state_change out[8];
	int wakes = 0;
	bool cut;

	memset(ids[0], 7, 16);
	memset(ids[1], 8, 16);
	assert_int_equal(notify_new(&n), ST_OK);
	notify_publish(n, in, 5);
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_OK);
	assert_int_equal(notify_take(w, out, 8, &cut), 0);
	notify_publish(n, in, 5);
	assert_int_equal(wakes, 1);
	assert_int_equal(notify_take(w, out, 2, &cut), 2);
	assert_false(cut);
	assert_memory_equal(&out[0], &in[0], sizeof(in[0]));
	assert_memory_equal(&out[1], &in[2], sizeof(in[2]));
	notify_publish(n, &in[3], 1);
	assert_int_equal(wakes, 1);	/* the queue was not empty */
	assert_int_equal(notify_take(w, out, 8, &cut), 2);
	notify_publish(n, &in[3], 1);
	assert_int_equal(wakes, 2);
	assert_int_equal(notify_count(n), 1);
	notify_unwatch(w);
	notify_publish(n, in, 5);
	assert_int_equal(wakes, 2);
	assert_int_equal(notify_count(n), 0);
	notify_free(n);
}

static void slow_watcher_is_cut_off_alone(void **state)
{
	struct notify *n;
	struct watch *slow, *quick;
	struct watch_case c = case_of("u", "c");
	struct watch_filter f = { &c, 1, NULL, 0, 3 };
	struct state_change in[5], out[8];
	int slow_wakes = 0, quick_wakes = 0;
	bool cut = false;

	for (uint8_t i = 0; i < 5; i++)
		in[i] = change_of("u", "c", i, STATE_STORED);
	assert_int_equal(notify_new(&n), ST_OK);
	assert_int_equal(notify_watch(n, &f, count_wake, &slow_wakes, &slow), ST_OK);
	f.queue_max = 5;
	assert_int_equal(notify_watch(n, &f, count_wake, &quick_wakes, &quick), ST_OK);
	notify_publish(n, in, 5);
	assert_int_equal(notify_cut(slow), ST_FULL);
	assert_int_equal(notify_cut(quick), ST_OK);
	assert_int_equal(slow_wakes, 1);
	/* What came before the cut is still given, in order, and then the end. */
	assert_int_equal(notify_take(slow, out, 2, &cut), 2);
	assert_false(cut);
	assert_int_equal(out[1].result_id[0], 1);
	assert_int_equal(notify_take(slow, out, 8, &cut), 1);
	assert_int_equal(out[0].result_id[0], 2);
	assert_true(cut);
	notify_publish(n, in, 1);
	assert_int_equal(notify_take(slow, out, 8, &cut), 0);
	assert_true(cut);
	assert_int_equal(notify_take(quick, out, 8, &cut), 5);
	notify_unwatch(slow);
	notify_unwatch(quick);
	notify_free(n);
}

static void close_wakes_and_refuses(void **state)
{
	struct notify *n;
	struct watch *w, *late;
	struct watch_case c = case_of("u", "c");
	struct watch_filter f = { &c, 1, NULL, 0, 0 };
	struct state_change out[1];
	int wakes = 0;
	bool cut = false;

	assert_int_equal(notify_new(&n), ST_OK);
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_OK);
	notify_close(n);
	assert_int_equal(wakes, 1);
	assert_int_equal(notify_take(w, out, 1, &cut), 0);
	assert_true(cut);
	assert_int_equal(notify_cut(w), ST_UNAVAILABLE);
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &late), ST_UNAVAILABLE);
	notify_unwatch(w);
	notify_free(n);
}

static void bounds_are_kept(void **state)
{
	static struct watch *all[WATCHES_MAX];
	static char name[CASE_CODE_BYTES_MAX + 2];
	struct notify *n;
	struct watch *w;
	struct watch_case c = case_of("u", "c"), bad = case_of("u", name);
	struct watch_filter f = { NULL, 0, NULL, 0, 0 };
	int wakes = 0;

	memset(name, 'x', CASE_CODE_BYTES_MAX + 1);
	assert_int_equal(notify_new(&n), ST_OK);
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_INVALID);
	bad.code.n = CASE_CODE_BYTES_MAX + 1;
	f = (struct watch_filter){ &bad, 1, NULL, 0, 0 };
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_INVALID);
	f = (struct watch_filter){ &c, WATCH_ENTRIES_MAX + 1, NULL, 0, 0 };
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_TOO_LARGE);
	f = (struct watch_filter){ &c, 1, NULL, 0, 1 };
	for (uint32_t i = 0; i < WATCHES_MAX; i++)
		assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &all[i]), ST_OK);
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_FULL);
	for (uint32_t i = 0; i < WATCHES_MAX; i++)
		notify_unwatch(all[i]);
	notify_free(n);
}

#define ROUNDS 20000

static void *publish_all(void *hub)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct state_change c = change_of("u", "c", 0, STATE_STORED);

		c.at_ms = i;
		notify_publish(hub, &c, 1);
	}
	return NULL;
}

/*
 * Two publishers against a taker: nothing is lost or doubled unless the watch says that it was cut.
 */
static void threads_agree(void **state)
{
	struct notify *n;
	struct watch *w;
	struct watch_case c = case_of("u", "c");
	struct watch_filter f = { &c, 1, NULL, 0, 0 };
	struct state_change out[64];
	pthread_t threads[2];
	uint64_t taken = 0;
	int wakes = 0;
	bool cut = false;

	assert_int_equal(notify_new(&n), ST_OK);
	assert_int_equal(notify_watch(n, &f, count_wake, &wakes, &w), ST_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, publish_all, n), 0);
	while (!cut && taken < 2 * ROUNDS)
		taken += notify_take(w, out, 64, &cut);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(cut ? taken < 2 * ROUNDS : taken == 2 * ROUNDS);
	assert_int_equal(notify_take(w, out, 64, &cut), 0);
	notify_unwatch(w);
	notify_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_by_case_and_by_id_once),
		cmocka_unit_test(slow_watcher_is_cut_off_alone),
		cmocka_unit_test(close_wakes_and_refuses),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(threads_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
