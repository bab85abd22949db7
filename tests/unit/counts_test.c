/* What statistics read in facts, when something is in time, and sums by agency, kind and period. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/calendar.h"
#include "base/wire.h"
#include "counts.h"
#include "facts.h"

static uint8_t buf[4096];

/* 2026-11-30 17:00 in Vietnam, and what lies around it. */
#define DUE_MS 1796032800000LL
#define HOUR_MS 3600000LL

static struct slice facts_of(int64_t due_ms, uint32_t extended)
{
	struct writer w = writer_of(buf, sizeof(buf));

	put_text(&w, 1, "1.004873");
	put_number(&w, 3, CHANNEL_ONLINE);
	put_time(&w, 4, DUE_MS - 48 * HOUR_MS);
	put_time(&w, 5, due_ms);
	put_number(&w, 7, DELIVERY_POST);
	put_number(&w, 8, FEE_DUE);
	for (int i = 0; i < 3; i++)
		put_text(&w, 9, "KQ.1");
	put_text(&w, 10, "x");
	put_number(&w, 11, extended);
	put_text(&w, 99, "later");
	assert_false(w.bad);
	return writer_slice(&w);
}

static void test_facts(void **state)
{
	struct facts f;

	facts_read(&f, facts_of(DUE_MS, 90));
	assert_int_equal(f.channel, CHANNEL_ONLINE);
	assert_int_equal(f.delivery, DELIVERY_POST);
	assert_int_equal(f.fee, FEE_DUE);
	assert_true(f.reused_n == 3 && f.sources_n == 1);
	assert_true(f.received_ms == DUE_MS - 48 * HOUR_MS);
	assert_true(f.due_ms == DUE_MS + 90 * 60000);
	/* Without a deadline there is nothing to be moved. */
	facts_read(&f, facts_of(0, 90));
	assert_true(f.due_ms == 0);
	facts_read(&f, slice_of(buf, 0));
	assert_true(f.due_ms == 0 && f.received_ms == 0 && f.channel == CHANNEL_NONE);
}

/* Whatever the bytes are: nothing is read outside, and no choice is one that nobody knows. */
static void test_facts_of_anything(void **state)
{
	uint32_t x = 1, at;

	for (int round = 0; round < 20000; round++) {
		struct slice whole = facts_of(DUE_MS, 5);
		size_t n = (x = x * 1664525u + 1013904223u) % (whole.n + 1);
		uint8_t *exact = test_malloc(n + 1);
		struct facts f;

		memcpy(exact, whole.p, n);
		for (int k = 0; k < 3 && n > 0; k++) {
			x = x * 1664525u + 1013904223u;
			at = x % n;
			exact[at] = (uint8_t)(x >> 24);
		}
		facts_read(&f, slice_of(exact, n));
		assert_true(f.channel < CHANNELS && f.delivery < DELIVERIES && f.fee < FEES);
		assert_true(f.due_ms >= 0 && f.received_ms >= 0);
		test_free(exact);
	}
}

static void test_timeliness(void **state)
{
	struct facts f = { .due_ms = DUE_MS };

	assert_int_equal(day_vietnam(DUE_MS), 20261130);
	assert_int_equal(facts_timeliness(&f, DUE_MS - 17 * HOUR_MS - 1), TIMELINESS_EARLY);
	assert_int_equal(facts_timeliness(&f, DUE_MS - 17 * HOUR_MS), TIMELINESS_ON_TIME);
	assert_int_equal(facts_timeliness(&f, DUE_MS), TIMELINESS_ON_TIME);
	assert_int_equal(facts_timeliness(&f, DUE_MS + 1), TIMELINESS_LATE);
	f.due_ms = 0;
	assert_int_equal(facts_timeliness(&f, DUE_MS), TIMELINESS_NONE);
}

static void test_periods(void **state)
{
	assert_int_equal(counts_period_of(COUNTS_DAY, 20261130), 20261130);
	assert_int_equal(counts_period_of(COUNTS_MONTH, 20261130), 202611);
	assert_int_equal(counts_period_of(COUNTS_YEAR, 20261130), 2026);
	for (uint32_t month = 1; month <= 12; month++)
		assert_int_equal(counts_period_of(COUNTS_QUARTER, 20260001 + month * 100),
				 20260 + (month + 2) / 3);
}

/* More keys than it began with; each is one row, and none is lost while it grows. */
static void test_tally(void **state)
{
	struct tally t;
	char unit[16];

	assert_int_equal(tally_init(&t, 2, 1000), ST_OK);
	for (uint32_t i = 0; i < 5000; i++) {
		struct tally_row *row;

		snprintf(unit, sizeof(unit), "u-%u", i % 40);
		row = tally_at(&t, slice_str(unit), slice_str(i % 2 == 0 ? "k" : "kk"),
			       20260101 + i % 25, 0);
		assert_non_null(row);
		row->by.of[COUNT_RESULTS]++;
	}
	tally_sort(&t);
	assert_int_equal(t.n, 200);
	for (uint32_t i = 0; i < t.n; i++) {
		assert_int_equal(t.rows[i].by.of[COUNT_RESULTS], 25);
		assert_true(i == 0 || tally_order(&t.rows[i - 1], &t.rows[i]) < 0);
	}
	tally_clear(&t);
	for (uint32_t i = 0; i < 1000; i++)
		assert_non_null(tally_at(&t, slice_str("u"), slice_str("k"), i, 0));
	assert_null(tally_at(&t, slice_str("u"), slice_str("k"), 1000, 0));
	assert_non_null(tally_at(&t, slice_str("u"), slice_str("k"), 999, 0));
	tally_free(&t);
}

static void test_questions(void **state)
{
	const struct slice units[] = { slice_str("a"), slice_str("b") };
	struct counts_question q = { .units = units, .units_n = 2, .from = 20260101,
				     .to = 20260131 };

	assert_true(counts_asked(&q, slice_str("b"), slice_str("k"), 20260131));
	assert_false(counts_asked(&q, slice_str("c"), slice_str("k"), 20260131));
	assert_false(counts_asked(&q, slice_str("a"), slice_str("k"), 20260201));
	q.to = 0;
	assert_true(counts_asked(&q, slice_str("a"), slice_str("k"), 20990201));
	assert_false(counts_asked(&q, slice_str("a"), slice_str("k"), 20251231));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts), cmocka_unit_test(test_facts_of_anything),
		cmocka_unit_test(test_timeliness), cmocka_unit_test(test_periods),
		cmocka_unit_test(test_tally), cmocka_unit_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
