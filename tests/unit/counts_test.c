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
static const struct slice none;

/* 2026-11-30 17:00 in Vietnam, and what lies around it. */
#define DUE_MS 1796032800000LL
#define HOUR_MS 3600000LL

static struct slice facts_from(int64_t due_ms, uint32_t extended, const char *database)
{
	struct writer w = writer_of(buf, sizeof(buf));
	uint8_t *at;

	put_text(&w, 1, "1.004873");
	put_number(&w, 3, CHANNEL_ONLINE);
	put_time(&w, 4, DUE_MS - 48 * HOUR_MS);
	put_time(&w, 5, due_ms);
	put_number(&w, 7, DELIVERY_POST);
	put_number(&w, 8, FEE_DUE);
	for (int i = 0; i < 3; i++)
		put_text(&w, 9, "KQ.1");
	at = put_begin(&w, 10);
	put_text(&w, 1, database);
	put_end(&w, at);
	put_number(&w, 11, extended);
	put_text(&w, 12, "Hộ tịch");
	put_text(&w, 13, "PHOI_HOP");
	put_number(&w, 14, 5);
	put_number(&w, 15, 300);
	put_text(&w, 99, "later");
	assert_false(w.bad);
	return writer_slice(&w);
}

static struct slice facts_of(int64_t due_ms, uint32_t extended)
{
	return facts_from(due_ms, extended, "CSDLDN");
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
	assert_true(slice_eq(f.procedure, slice_str("1.004873")));
	assert_true(slice_eq(f.field, slice_str("Hộ tịch")));
	assert_true(slice_eq(f.late_cause, slice_str("PHOI_HOP")));
	assert_true(f.papers_n == 5 && f.digitised_n == 300 && !f.citizen_data);
	facts_read(&f, facts_from(DUE_MS, 90, FACTS_POPULATION));
	assert_true(f.citizen_data);
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
			       20260101 + i % 25, none, 0);
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
		assert_non_null(tally_at(&t, slice_str("u"), slice_str("k"), i, none, 0));
	assert_null(tally_at(&t, slice_str("u"), slice_str("k"), 1000, none, 0));
	assert_non_null(tally_at(&t, slice_str("u"), slice_str("k"), 999, none, 0));
	tally_free(&t);
}

static void test_parts(void **state)
{
	struct slice of[COUNTS_PARTS] = { slice_str("1.004873"), none, slice_str("a\x1f\n"), none };
	struct counts_question q = { .by = 1u << COUNTS_SIGNER };
	char joined[PARTS_BYTES_MAX], asked[PARTS_BYTES_MAX];
	char long_one[CODE_BYTES_MAX + 1];
	struct slice all = slice_of(joined, counts_join(joined, of));

	assert_string_equal(joined, "1.004873\x1f\x1f" "a??");
	assert_true(slice_eq(counts_part(all, COUNTS_PROCEDURE), of[0]));
	assert_int_equal(counts_part(all, COUNTS_FIELD).n, 0);
	assert_true(slice_eq(counts_part(all, COUNTS_SIGNER), slice_str("a??")));
	assert_int_equal(counts_part(all, COUNTS_CAUSE).n, 0);
	assert_true(slice_eq(counts_parts_asked(&q, all, asked), slice_str("\x1f\x1f" "a??")));
	q.by = 1u << COUNTS_CAUSE;
	assert_int_equal(counts_parts_asked(&q, all, asked).n, 0);
	q.by = COUNTS_BY_ALL;
	assert_true(slice_eq(counts_parts_asked(&q, all, asked), all));
	q.by = 0;
	assert_int_equal(counts_parts_asked(&q, all, asked).n, 0);
	/* What is no code is none; all of the longest fit. */
	memset(long_one, 'x', sizeof(long_one));
	of[0] = slice_of(long_one, sizeof(long_one));
	of[1] = slice_str("\xff");
	of[2] = none;
	assert_int_equal(counts_join(joined, of), 0);
	for (int i = 0; i < COUNTS_PARTS; i++)
		of[i] = slice_of(long_one, CODE_BYTES_MAX);
	assert_int_equal(counts_join(joined, of), PARTS_BYTES_MAX - 1);
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
		cmocka_unit_test(test_tally), cmocka_unit_test(test_parts),
		cmocka_unit_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
