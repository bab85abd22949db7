/*
 * What keeps the store fit for several servers and for Citus, checked over every statement that it
 * can send: each names the lane of every table, none needs what only one server can give.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/postgres/statements.h"
#include "store/postgres/work.h"

#define STATEMENTS (PG_STATEMENTS + PGW_COUNT)

static const char *text_of(uint32_t i, const char **name)
{
	if (i < PG_STATEMENTS) {
		*name = pg_statements[i].name;
		return pg_statements[i].sql;
	}
	*name = pg_write_text((enum pg_write)(i - PG_STATEMENTS))->name;
	return pg_write_text((enum pg_write)(i - PG_STATEMENTS))->sql;
}

/* Tables with a lane, and those that every server has for itself. */
static const char *const laned[] = { "result", "holding", "locator", "voided", "event",
				     "number_register", "counter", "reading",
				     "object", "claim" };
static const char *const shared[] = { "layer", "unit_owner" };

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* How often a whole word (or words) stands in it, in any case of letters. */
static uint32_t count(const char *sql, const char *word)
{
	size_t n = strlen(word);
	uint32_t found = 0;

	for (const char *p = sql; (p = strcasestr(p, word)) != NULL; p++)
		found += (p == sql || !word_char(p[-1]) || !word_char(word[0])) &&
			 (!word_char(p[n]) || !word_char(word[n - 1]));
	return found;
}

static uint32_t tables(const char *sql, const char *const *names, size_t n)
{
	static const char *const before[] = { "FROM", "JOIN", "INTO", "UPDATE" };
	uint32_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_LEN(before); k++) {
			char words[64];

			snprintf(words, sizeof(words), "%s %s", before[k], names[i]);
			found += count(sql, words);
		}
	return found;
}

/* In a condition, or first of the columns that are inserted. */
static uint32_t lanes_named(const char *sql)
{
	return count(sql, "lane = $1") + count(sql, "lane = l") + count(sql, "(lane,") -
	       count(sql, "ON CONFLICT (lane,");
}

/* One that changes rows of a lane: the first parameter, by value. */
static bool is_function(const char *sql)
{
	static const char *const names[] = { "fold", "claim", "release" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char text[64];
		size_t n = (size_t)snprintf(text, sizeof(text), "SELECT trien_%s($1::", names[i]);

		if (strncmp(sql, text, n) == 0)
			return strncmp(sql + n, "smallint,", 9) == 0 ||
			       strncmp(sql + n, "int2,", 5) == 0;
	}
	return false;
}

static void test_every_table_has_its_lane(void **state)
{
	const char *name;

	for (uint32_t i = 0; i < STATEMENTS; i++) {
		const char *sql = text_of(i, &name);
		uint32_t with = tables(sql, laned, ARRAY_LEN(laned));

		if (with != lanes_named(sql))
			fail_msg("%s: %u tables, %u lanes: %s", name, with, lanes_named(sql), sql);
		/* A function keeps to the lane that it is given. */
		if (is_function(sql)) {
			assert_int_equal(with, 0);
			assert_true(i >= PG_STATEMENTS || pg_statements[i].lane);
			continue;
		}
		/* Nothing else is asked: months are made by a function, the rest is shared. */
		if (with == 0 && count(sql, "trien_months") == 0 &&
		    count(sql, "has_table_privilege") == 0)
			assert_true(tables(sql, shared, ARRAY_LEN(shared)) > 0);
		if (i < PG_STATEMENTS)
			assert_int_equal(pg_statements[i].lane, with > 0);
	}
}

/* No statement at all but these: so none is SET, LOCK, LISTEN, CREATE, COPY or DECLARE. */
static void test_only_plain_statements(void **state)
{
	static const char *const begin[] = { "SELECT ", "INSERT INTO ", "UPDATE ", "WITH ",
					     "(SELECT ", "DELETE FROM unit_owner ",
					     "DELETE FROM claim " };
	static const char *const never[] = { "nextval", "currval", "lastval", "setval", "serial",
					     "pg_advisory", "pg_try_advisory", "temp", "temporary",
					     "pg_temp", "notify", "set_config", "lock", "trigger",
					     "cursor", "for update", "for share", "now",
					     "current_timestamp", "clock_timestamp", "current_date",
					     "random", "gen_random_uuid", "pg_sleep" };
	const char *name;

	for (uint32_t i = 0; i < STATEMENTS; i++) {
		const char *sql = text_of(i, &name);
		bool plain = false;

		for (size_t k = 0; k < ARRAY_LEN(begin); k++)
			plain |= strncmp(sql, begin[k], strlen(begin[k])) == 0;
		if (!plain)
			fail_msg("%s begins otherwise: %s", name, sql);
		for (size_t k = 0; k < ARRAY_LEN(never); k++)
			if (count(sql, never[k]) > 0)
				fail_msg("%s has '%s': %s", name, never[k], sql);
		assert_null(strchr(sql, ';'));
	}
}

/* Statistics come from counters alone, whatever else is stored. */
static void test_counts_read_counters_only(void **state)
{
	const char *sql = pg_statements[PG_COUNTS].sql;

	assert_int_equal(count(sql, "FROM counter"), 1);
	assert_int_equal(tables(sql, laned, ARRAY_LEN(laned)), 1);
	assert_int_equal(tables(sql, shared, ARRAY_LEN(shared)), 0);
}

/*
 * What is stored stays: but for a number that turns void, for who owns a unit and for notes that an
 * original may go, nothing is changed or taken away. Above all no event.
 */
static void test_rows_are_only_added(void **state)
{
	uint32_t updates = 0, deletes = 0;
	const char *name;

	for (uint32_t i = 0; i < STATEMENTS; i++) {
		const char *sql = text_of(i, &name);

		updates += count(sql, "UPDATE");
		deletes += count(sql, "DELETE") + count(sql, "TRUNCATE") + count(sql, "MERGE");
	}
	assert_int_equal(updates, 1);
	assert_int_equal(count(pg_statements[PG_NUMBER_VOID].sql, "UPDATE number_register SET"), 1);
	assert_int_equal(deletes, 3);
	assert_int_equal(count(text_of(PG_STATEMENTS + PGW_UNCLAIM, &name),
			       "DELETE FROM claim"), 1);
	assert_int_equal(count(text_of(PG_STATEMENTS + PGW_LANE_UNCLAIM, &name),
			       "DELETE FROM claim"), 1);
	assert_int_equal(count(pg_statements[PG_OWNERS_DROP].sql, "DELETE FROM unit_owner"), 1);
}

/* Portable: a conflict's columns are named, rows are looked at by parameters. */
static void test_conflicts_are_named(void **state)
{
	const char *name;

	for (uint32_t i = 0; i < STATEMENTS; i++) {
		const char *sql = text_of(i, &name);

		if (count(sql, "ON CONFLICT") != count(sql, "ON CONFLICT (lane,") +
		    count(sql, "ON CONFLICT (hash)") + count(sql, "ON CONFLICT (unit)"))
			fail_msg("%s: %s", name, sql);
		assert_int_equal(count(sql, "DO UPDATE"), 0);
	}
}

/* Statements of a part whose transaction stays within a lane, and what is sent one by one. */
static uint32_t sent_on_citus(const char *names[STATEMENTS], const char *texts[STATEMENTS])
{
	static const enum pg_part_kind kinds[] = { PART_BEFORE, PART_ROWS, PART_NUMBERS_THERE,
						   PART_RESULTS_THERE };
	static struct pg_work work;
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (int16_t lane = PG_LANE_ANY; lane <= 0; lane++) {
			struct pg_part part = { .work = &work, .kind = kinds[i], .lane = lane };
			enum pg_write all[PG_PART_WRITES_MAX];
			uint32_t count = pg_writes_of(&part, true, all);

			for (uint32_t k = 0; k < count && (lane == 0 || i == 0); k++) {
				names[n] = pg_write_text(all[k])->name;
				texts[n++] = pg_write_text(all[k])->sql;
			}
		}
	for (uint32_t i = 0; i < PG_STATEMENTS; i++) {
		names[n] = pg_statements[i].name;
		texts[n++] = pg_statements[i].sql;
	}
	return n;
}

/*
 * What Citus can see to be of one shard: rows that are given, or a lane that is a value. No row
 * goes from one distributed table into another one.
 */
static void test_on_citus_a_statement_is_of_one_shard(void **state)
{
	const char *names[STATEMENTS], *texts[STATEMENTS];
	uint32_t n = sent_on_citus(names, texts);

	assert_true(n > PG_STATEMENTS);
	for (uint32_t i = 0; i < n; i++) {
		const char *sql = texts[i];
		uint32_t with = tables(sql, laned, ARRAY_LEN(laned));
		uint32_t into = count(sql, "INSERT INTO");
		bool given = count(sql, "FROM unnest($") == 1 || count(sql, "VALUES ($1") == 1;

		if (into > 0 ? into != 1 || !given || with > 1 || count(sql, "JOIN") > 0 :
			       with != count(sql, "lane = $1"))
			fail_msg("%s: %s", names[i], sql);
	}
}

/*
 * What it says of INSERT … SELECT … ON CONFLICT is how many rows were sent. Nobody may rely on
 * that: rows that go in are returned, or their number is not asked for.
 */
static void test_on_citus_rows_that_went_in_are_returned(void **state)
{
	static const char *const unasked[] = { "layers", "lane_counters", "holdings", "locators",
					       "events_add", "readings_add", "count_add" };
	const char *names[STATEMENTS], *texts[STATEMENTS];
	uint32_t n = sent_on_citus(names, texts), returned = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool asked = count(texts[i], "FROM unnest") == 1 &&
			     count(texts[i], "ON CONFLICT") == 1;

		for (size_t k = 0; k < ARRAY_LEN(unasked); k++)
			asked &= strcmp(names[i], unasked[k]) != 0;
		if (asked && count(texts[i], "RETURNING lane") != 1)
			fail_msg("%s: %s", names[i], texts[i]);
		returned += asked;
	}
	/* Numbers and results: whose they are is looked up where one did not go in. */
	assert_int_equal(returned, 2);
}

static void test_names_are_their_own(void **state)
{
	const char *a, *b;

	for (uint32_t i = 0; i < STATEMENTS; i++) {
		text_of(i, &a);
		assert_true(a[0] != '\0');
		for (uint32_t k = i + 1; k < STATEMENTS; k++) {
			text_of(k, &b);
			/* Logs say only the name: it may not stand for two. */
			if (strcmp(a, b) == 0 && strcmp(a, "months") != 0)
				fail_msg("two are called %s", a);
		}
	}
}

/* Would it be noticed? */
static void test_the_check_itself(void **state)
{
	assert_int_equal(tables("SELECT a FROM result WHERE lane = $1::int2", laned, 7), 1);
	assert_int_equal(lanes_named("SELECT a FROM result WHERE lane = $1::int2"), 1);
	assert_int_equal(lanes_named("SELECT a FROM result WHERE sequence = $1"), 0);
	assert_int_equal(lanes_named("SELECT a FROM result WHERE result_lane = $1"), 0);
	assert_int_equal(tables("SELECT a FROM results_x JOIN event", laned, 7), 1);
	assert_int_equal(count("SELECT nextval('x')", "nextval"), 1);
	assert_int_equal(count("SELECT known", "now"), 0);
	assert_int_equal(lanes_named("INSERT INTO event (lane, a) SELECT 1 ON CONFLICT (lane, a) "
				     "DO NOTHING"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_table_has_its_lane),
		cmocka_unit_test(test_only_plain_statements),
		cmocka_unit_test(test_counts_read_counters_only),
		cmocka_unit_test(test_rows_are_only_added),
		cmocka_unit_test(test_conflicts_are_named),
		cmocka_unit_test(test_on_citus_a_statement_is_of_one_shard),
		cmocka_unit_test(test_on_citus_rows_that_went_in_are_returned),
		cmocka_unit_test(test_names_are_their_own),
		cmocka_unit_test(test_the_check_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
