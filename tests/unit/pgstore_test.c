/*
 * The store on PostgreSQL keeps the contract as the embedded one does: on one server, on four with
 * the lanes spread, and on Citus, every transaction kept within a lane. Run by with_postgres.py;
 * with an argument (one, four, citus) there alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "pgrig.h"
#include "store/postgres/postgres.h"

/* ---- what is damaged is never served ---- */

static enum status read_some(struct pgrig *f, uint32_t k)
{
	uint8_t buf[16];
	size_t n = sizeof(buf);

	return f->same.store->ops->read(f->same.reader, storecase_lane(k), storecase_sequence(k),
					0, buf, &n);
}

static void flip(struct pgrig *f, const char *table, const char *column, uint32_t k)
{
	char text[300];

	snprintf(text, sizeof(text), "UPDATE %s SET %s = set_byte(%s, 20, get_byte(%s, 20) # 1) "
		 "WHERE sequence = %llu", table, column, column, column,
		 (unsigned long long)storecase_sequence(k));
	assert_int_equal(pgrig_all(f, text), 1);
}

static void test_a_flipped_bit(void **state)
{
	struct pgrig *f = *state;
	struct holding_view rows[8];
	struct result_view v;
	uint8_t key[16];
	uint32_t n, all_of_them;

	same_put(&f->same, 0, 6);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"),
			 f->same.sc.b->items[3].c.holders[0].number);
	assert_int_equal(f->same.store->ops->list(f->same.reader, key, 0, 8, rows, &all_of_them),
			 ST_OK);
	assert_true(all_of_them > 0);
	for (uint32_t k = 0; k < 6; k++)
		assert_int_equal(read_some(f, k), ST_OK);
	flip(f, "result", "record", 3);
	flip(f, "result", "layers", 4);
	flip(f, "result", "body", 5);
	assert_int_equal(same_get(&f->same, 3, &v), ST_CORRUPT);
	assert_int_equal(same_get(&f->same, 4, &v), ST_CORRUPT);
	assert_int_equal(same_get(&f->same, 5, &v), ST_OK);
	for (uint32_t k = 0; k < 6; k++)
		assert_int_equal(read_some(f, k), k < 3 ? ST_OK : ST_CORRUPT);
	/* The holder's other papers are still shown. */
	assert_int_equal(f->same.store->ops->list(f->same.reader, key, 0, 8, rows, &n), ST_OK);
	assert_int_equal(n, all_of_them - 1);
}

/* ---- lanes that lie apart ---- */

static bool is_whole(struct pgrig *f, uint32_t k)
{
	struct result_view v;
	bool whole = false;

	assert_int_equal(same_get(&f->same, k, &v), ST_OK);
	assert_int_equal(f->same.store->ops->whole(f->same.reader, &whole), ST_OK);
	return whole;
}

/* A crash between two transactions leaves some rows behind: whoever looks is told. */
static void test_what_was_broken_off(void **state)
{
	static const char *const tables[] = { "holding", "locator" };
	struct pgrig *f = *state;
	char text[200];

	same_put(&f->same, 0, 6);
	for (uint32_t k = 0; k < ARRAY_LEN(tables); k++) {
		assert_true(is_whole(f, k));
		snprintf(text, sizeof(text), "DELETE FROM %s WHERE sequence = %llu", tables[k],
			 (unsigned long long)storecase_sequence(k));
		assert_in_range(pgrig_all(f, text), 1, 2);
		assert_false(is_whole(f, k));
	}
	/* Taken again, it is whole. */
	storecase_fill(&f->same.sc, 0, 6);
	assert_int_equal(same_put_batch(&f->same), ST_OK);
	for (uint32_t k = 0; k < 6; k++)
		assert_true(is_whole(f, k));
}

static void test_a_row_of_another(void **state)
{
	struct pgrig *f = *state;
	struct result_view v;
	char text[400];

	same_put(&f->same, 0, 2);
	/* A whole row, checksum and all, in another's place. */
	snprintf(text, sizeof(text), "UPDATE result SET (crc, layers, record, body) = "
		 "(SELECT crc, layers, record, body FROM result WHERE sequence = %llu) "
		 "WHERE sequence = %llu", (unsigned long long)storecase_sequence(0),
		 (unsigned long long)storecase_sequence(1));
	assert_int_equal(pgrig_sql(0, text), 1);
	assert_int_equal(same_get(&f->same, 1, &v), ST_CORRUPT);
	assert_int_equal(read_some(f, 1), ST_CORRUPT);
}

static void test_damaged_layers(void **state)
{
	struct pgrig *f = *state;

	same_put(&f->same, 0, 2);
	assert_int_equal(read_some(f, 0), ST_OK);
	assert_true(pgrig_sql(0, "UPDATE layer SET "
				 "bytes = set_byte(bytes, 50, get_byte(bytes, 50) # 1)") > 0);
	/* What was read before is kept, and good. */
	assert_int_equal(read_some(f, 1), ST_OK);
	f->same.reopen(&f->same);
	assert_int_equal(read_some(f, 1), ST_CORRUPT);
	assert_true(pgrig_sql(0, "DELETE FROM layer") > 0);
	assert_int_equal(read_some(f, 1), ST_CORRUPT);
}

static void test_damaged_acts(void **state)
{
	struct pgrig *f = *state;
	struct result_event ev = { .lane = storecase_lane(1), .sequence = storecase_sequence(1),
				   .kind = EVENT_REVOKED, .at_ms = SAME_NOW_MS,
				   .actor = slice_str("ai"), .detail = slice_str("ly do") };
	struct void_entry gone = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				   .year = 2026, .number = 900, .lane = 7,
				   .sequence = storecase_sequence(70), .at_ms = SAME_NOW_MS,
				   .reason = slice_str("hỏng"), .actor = slice_str("ai") };
	struct result_view v;
	struct error e = { 0 };

	same_put(&f->same, 0, 2);
	assert_int_equal(f->same.store->ops->events(f->same.store, &ev, 1, &e), ST_OK);
	assert_int_equal(f->same.store->ops->void_number(f->same.store, &gone, &e), ST_OK);
	assert_int_equal(f->same.store->ops->get(f->same.reader, 7, gone.sequence, &v), ST_OK);
	flip(f, "event", "record", 1);
	flip(f, "voided", "record", 70);
	assert_int_equal(same_get(&f->same, 1, &v), ST_CORRUPT);
	assert_int_equal(f->same.store->ops->get(f->same.reader, 7, gone.sequence, &v),
			 ST_CORRUPT);
	assert_int_equal(same_get(&f->same, 0, &v), ST_OK);
}

/* ---- holders that were added ---- */

static uint32_t listed(struct pgrig *f, const struct holding_link *l, struct holding_view *row)
{
	uint32_t n;

	assert_int_equal(f->same.store->ops->list(f->same.reader, l->key, 0, 1, row, &n), ST_OK);
	return n;
}

/* Their rows have no checksum; the event that added them has. */
static void test_damaged_links(void **state)
{
	struct pgrig *f = *state;
	struct holding_link l = { .lane = storecase_lane(1), .sequence = storecase_sequence(1),
				  .at_ms = SAME_NOW_MS, .actor = slice_str("ai"),
				  .holder = { .id_kind = ID_CITIZEN, .role = HOLDER_CHILD,
					      .country = slice_str("VN"),
					      .number = slice_str("079000000001"),
					      .name = slice_str("Trẻ Thử") } };
	struct holding_view row;
	struct error e = { 0 };

	same_put(&f->same, 0, 3);
	holder_key_of_id(l.key, ID_CITIZEN, slice_str("VN"), l.holder.number);
	assert_int_equal(f->same.store->ops->link(f->same.store, &l, &e), ST_OK);
	assert_int_equal(listed(f, &l, &row), 1);
	/* The server went between the event and the holding, and the next who asks says it anew. */
	assert_int_equal(pgrig_sql(0, "DELETE FROM holding WHERE role = 3"), 1);
	assert_int_equal(listed(f, &l, &row), 0);
	l.holder.from = 20261124;
	l.at_ms++;
	assert_int_equal(f->same.store->ops->link(f->same.store, &l, &e), ST_OK);
	assert_int_equal(listed(f, &l, &row), 1);
	assert_int_equal(row.from, 20261124);
	assert_int_equal(pgrig_sql(0, "UPDATE holding SET visibility = 7 WHERE role = 3"), 1);
	assert_int_equal(listed(f, &l, &row), 0);
	assert_int_equal(pgrig_sql(0, "UPDATE holding SET visibility = 0 WHERE role = 3"), 1);
	assert_int_equal(listed(f, &l, &row), 1);
	assert_int_equal(pgrig_sql(0, "UPDATE event SET record = set_byte(record, 30, 9)"), 2);
	assert_int_equal(listed(f, &l, &row), 0);
	assert_int_equal(pgrig_sql(0, "DELETE FROM event"), 2);
	assert_int_equal(listed(f, &l, &row), 0);
}

/* ---- numbers ---- */

/* A number goes into the book before its result does: when that never comes it is voided there. */
static void test_a_result_that_never_came(void **state)
{
	struct pgrig *f = *state;
	struct void_entry gone = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				   .year = 2026, .number = 901, .lane = 7,
				   .sequence = storecase_sequence(71), .at_ms = SAME_NOW_MS,
				   .reason = slice_str("hỏng"), .actor = slice_str("ai") };
	struct result_view v;
	struct error e = { 0 };
	char text[300];

	snprintf(text, sizeof(text), "INSERT INTO number_register (lane, unit, register, year,"
		 " number, sequence, result_lane, state, at) VALUES (%u, 'don-vi-0', 'XN', 2026,"
		 " 901, %llu, 7, 1, now())", pg_lane_register(gone.unit, gone.register_code),
		 (unsigned long long)gone.sequence);
	assert_int_equal(pgrig_all(f, text), 1);
	for (int again = 0; again < 2; again++)
		assert_int_equal(f->same.store->ops->void_number(f->same.store, &gone, &e), ST_OK);
	assert_int_equal(pgrig_all(f, "SELECT lane FROM number_register "
				   "WHERE number = 901 AND state = 2"
				" AND record IS NOT NULL"), 1);
	assert_int_equal(f->same.store->ops->get(f->same.reader, 7, gone.sequence, &v), ST_OK);
	assert_int_equal(v.state, STATE_VOID);
	/* Another sequence's number it is not. */
	gone.sequence = storecase_sequence(72);
	assert_int_equal(f->same.store->ops->void_number(f->same.store, &gone, &e), ST_CONFLICT);
}

/* ---- a worker that goes ---- */

/* Refuses so many inserts of results as Citus does when a worker breaks off in a commit. */
static void break_off(struct pgrig *f, int times)
{
	char text[600];

	snprintf(text, sizeof(text), "DROP SEQUENCE IF EXISTS tries; CREATE SEQUENCE tries;"
		 "CREATE OR REPLACE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS "
		 "$$ BEGIN IF nextval('tries') <= %d THEN RAISE 'failure on connection marked as "
		 "essential' USING ERRCODE = 'XX000'; END IF; RETURN NULL; END $$;"
		 "CREATE OR REPLACE TRIGGER break_off BEFORE INSERT ON result "
		 "FOR EACH STATEMENT EXECUTE FUNCTION break_off()", times);
	pgrig_all(f, text);
}

static void test_a_worker_lost_in_a_commit(void **state)
{
	struct pgrig *f = *state;

	if (pgrig_all(f, "SELECT FROM pg_extension WHERE extname = 'citus'") == 1)
		skip();		/* it takes no triggers */
	break_off(f, 3);
	same_put(&f->same, 0, 1);
	/* A row that fails so for ever is found, as on any server. */
	break_off(f, 1000);
	storecase_fill(&f->same.sc, 1, 1);
	assert_int_equal(same_put_batch(&f->same), ST_OK);
	assert_int_equal(f->same.sc.b->items[0].held, REASON_STORE_REFUSED);
	break_off(f, 0);
	same_put(&f->same, 2, 1);
	assert_int_equal(pgrig_all(f, "SELECT lane FROM result"), 2);
}

/* ---- connections ---- */

static void test_cut_off(void **state)
{
	struct pgrig *f = *state;
	struct result_view v;

	same_put(&f->same, 0, 6);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(same_get(&f->same, 2, &v), ST_OK);
		assert_true(pgrig_sql(0, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
				      "WHERE datname = current_database() "
				      "AND pid <> pg_backend_pid()") > 0);
		/* The same call notices, connects again and answers. */
		assert_int_equal(same_get(&f->same, 2, &v), ST_OK);
		assert_int_equal(same_highest(&f->same), 2);
	}
}

static void test_readers_have_a_user_of_their_own(void **state)
{
	struct pgrig *f = *state;
	struct result_view v;

	same_put(&f->same, 0, 1);
	same_close(&f->same);
	pgrig_sql(0, "DROP ROLE IF EXISTS reader1; CREATE ROLE reader1 LOGIN IN ROLE trien_reader");
	f->reader = "reader1";
	pgrig_open(f);
	same_put(&f->same, 1, 1);
	assert_int_equal(same_get(&f->same, 1, &v), ST_OK);
	assert_int_equal(pgrig_sql(0, "SELECT FROM pg_stat_activity WHERE usename = 'reader1' AND "
				"datname = current_database()"), 1);
	/* Nor could it, whatever it is asked. */
	assert_int_equal(pgrig_sql(0, "SELECT WHERE "
				      "has_table_privilege('reader1', 'result', 'INSERT')"), 0);
}

/* By another process, which may only read: all that it is asked, and sessions that cannot write. */
static void test_looked_at(void **state)
{
	struct pgrig *f = *state;
	char text[300];
	const char *const texts[] = { text };
	struct store_config cfg = { .postgres = texts, .postgres_n = 1, .reader = "reader2" };
	struct storesame seen = { .sc = f->same.sc };
	struct error e = { 0 };

	pgrig_sql(0, "DROP ROLE IF EXISTS reader2; CREATE ROLE reader2 LOGIN IN ROLE trien_reader");
	pgrig_connection(text, sizeof(text), 0);
	same_put(&f->same, 0, 6);
	if (store_look_open(&seen.store, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	same_opened(&seen);
	same_check_all(&seen, 0, 6);
	assert_int_equal(same_highest(&seen), 2);
	same_put(&f->same, 6, 6);
	same_check_all(&seen, 6, 6);
	assert_int_equal(same_highest(&seen), 4);
	assert_null(seen.store->ops->take);
	assert_null(seen.store->ops->events);
	assert_null(seen.store->ops->void_number);
	assert_int_equal(pgrig_sql(0, "SELECT FROM pg_stat_activity WHERE usename = 'reader2' AND "
				"datname = current_database()"), 2);
	same_close(&seen);
}

/* ---- counters ---- */

static int counter_rows(struct pgrig *f)
{
	return pgrig_all(f, "SELECT lane FROM counter");
}

static void counted(struct pgrig *f, int results, int of_another)
{
	char text[200];

	snprintf(text, sizeof(text), "SELECT lane FROM counter, generate_series(1, results) "
		 "WHERE engine = %d", STORECASE_ENGINE);
	assert_int_equal(pgrig_all(f, text), results);
	assert_int_equal(pgrig_all(f, "SELECT lane FROM counter WHERE engine = 9"), of_another);
}

/* As few as there are lanes, units, kinds and days. */
static int folded_rows(struct pgrig *f)
{
	return pgrig_all(f, "SELECT DISTINCT lane, unit, kind, day, engine FROM counter "
		      "WHERE engine <> 9");
}

/* What a start begins with; the last lanes of it come after seconds. */
static void wait_folded(struct pgrig *f, int others)
{
	for (int i = 0; i < 600 && counter_rows(f) != folded_rows(f) + others; i++)
		usleep(50000);
	assert_int_equal(counter_rows(f), folded_rows(f) + others);
}

static void test_counters_are_folded(void **state)
{
	struct pgrig *f = *state;

	for (uint32_t k = 0; k < 120; k += 6)
		same_put(&f->same, k, 6);
	for (uint32_t i = 0; i < f->servers; i++)
		pgrig_sql(f->first + i, "INSERT INTO counter SELECT min(lane), 'don-vi-0', "
			  "'xac-nhan', 20261124, 9, w, 1 FROM result, "
			  "generate_series(1, 3) AS w GROUP BY w");
	assert_true(counter_rows(f) > folded_rows(f) + 3 * (int)f->servers);
	f->same.reopen(&f->same);
	wait_folded(f, 3 * (int)f->servers);
	counted(f, 120, 3 * (int)f->servers);
	/* Again and again changes nothing; what comes then is counted beside it. */
	same_put(&f->same, 120, 6);
	f->same.reopen(&f->same);
	wait_folded(f, 3 * (int)f->servers);
	counted(f, 126, 3 * (int)f->servers);
}

/* Two at once, and results that come meanwhile: none is counted twice, none is lost. */
static void test_two_fold_at_once(void **state)
{
	struct pgrig *f = *state;
	char conninfo[300], text[100];
	PGconn *c[2];

	pgrig_connection(conninfo, sizeof(conninfo), 0);
	for (int i = 0; i < 2; i++)
		c[i] = PQconnectdb(conninfo);
	for (uint32_t k = 0; k < 240; k += 6) {
		for (int i = 0; i < 2; i++) {
			snprintf(text, sizeof(text), "SELECT sum(trien_fold(l::smallint, "
				 "%d::smallint)) FROM generate_series(0, 63) l", STORECASE_ENGINE);
			assert_int_equal(PQsendQuery(c[i], text), 1);
		}
		same_put(&f->same, k, 6);
		for (int i = 0; i < 2; i++)
			for (PGresult *r; (r = PQgetResult(c[i])) != NULL; PQclear(r))
				assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
	}
	counted(f, 240, 0);
	for (int i = 0; i < 2; i++)
		PQfinish(c[i]);
}

static bool fold_fails(struct pgrig *f)
{
	char conninfo[300], text[100];
	PGconn *c;
	PGresult *r;
	bool failed;

	pgrig_connection(conninfo, sizeof(conninfo), 0);
	c = PQconnectdb(conninfo);
	snprintf(text, sizeof(text), "SELECT trien_fold(l::smallint, %d::smallint) "
		 "FROM generate_series(0, 63) l", STORECASE_ENGINE);
	r = PQexec(c, text);
	failed = PQresultStatus(r) == PGRES_FATAL_ERROR;
	PQclear(r);
	PQfinish(c);
	return failed;
}

/* The sum does not go in: what it sums stays. The store takes results all the same. */
static void test_a_fold_that_fails(void **state)
{
	struct pgrig *f = *state;
	int rows;

	for (uint32_t k = 0; k < 60; k += 6)
		same_put(&f->same, k, 6);
	rows = counter_rows(f);
	assert_true(rows > folded_rows(f));
	pgrig_sql(0, "UPDATE counter SET results = results + 6;"
	       "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS "
	       "$$ BEGIN IF NEW.results > 6 THEN RAISE 'no' USING ERRCODE = '53100'; END IF; "
	       "RETURN NEW; END $$;"
	       "CREATE TRIGGER stop BEFORE INSERT ON counter FOR EACH ROW EXECUTE FUNCTION stop()");
	assert_true(fold_fails(f));
	assert_int_equal(counter_rows(f), rows);
	f->same.reopen(&f->same);
	same_put(&f->same, 60, 6);
	same_close(&f->same);
	pgrig_sql(0, "DROP TRIGGER stop ON counter; UPDATE counter SET results = results - 6 "
	       "WHERE results > 6");
	counted(f, 66, 0);
	assert_true(counter_rows(f) > rows);
	assert_false(fold_fails(f));
	counted(f, 66, 0);
	assert_int_equal(counter_rows(f), folded_rows(f));
}

/* argv[1]: where, one of these; without it everywhere. */
static bool asked(int argc, char **argv, const char *where)
{
	return argc < 2 || strcmp(argv[1], where) == 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest citus[] = {
		SAME_TESTS(pgrig_citus, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_result_that_never_came, pgrig_citus,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_counters_are_folded, pgrig_citus,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_worker_lost_in_a_commit, pgrig_citus,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_what_was_broken_off, pgrig_citus,
						pgrig_teardown),
	};
	const struct CMUnitTest four[] = {
		SAME_TESTS(pgrig_four, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_what_was_broken_off, pgrig_four,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_counters_are_folded, pgrig_four,
						pgrig_teardown),
	};
	const struct CMUnitTest one[] = {
		SAME_TESTS(pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_flipped_bit, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_row_of_another, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_layers, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_acts, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_links, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_counters_are_folded, pgrig_one,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_two_fold_at_once, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_fold_that_fails, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_result_that_never_came, pgrig_one,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_cut_off, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_looked_at, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_readers_have_a_user_of_their_own, pgrig_one,
						pgrig_teardown),
	};
	int failed = 0;

	if (getenv("TRIEN_POSTGRES") == NULL)
		return 77;
	if (asked(argc, argv, "citus"))
		failed += cmocka_run_group_tests(citus, NULL, NULL);
	if (asked(argc, argv, "one"))
		failed += cmocka_run_group_tests(one, NULL, NULL);
	if (asked(argc, argv, "four"))
		failed += cmocka_run_group_tests(four, NULL, NULL);
	return failed != 0;
}
