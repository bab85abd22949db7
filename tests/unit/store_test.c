/*
 * The embedded store as the engine uses it: put, reads, acts, marks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "shell.h"
#include "store/stored.h"
#include "storesame.h"
#include "tmpdir.h"

struct fixture {
	struct storesame same;		/* first */
	struct tmpdir tmp;
	char dir[300], witness[300];
	uint32_t opened;
};

static void open_store(struct fixture *f)
{
	struct store_config cfg = { .sink = storewait_sink(&f->same.wait, SAME_NOW_MS),
				    .dir = f->dir, .witness = f->witness,
				    .segment_bytes = 1024 * 1024 };
	struct error e = { 0 };

	if (store_embedded_open(&f->same.store, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	same_opened(&f->same);
}

/* As its index counts them. */
static int event_rows(struct storesame *same)
{
	const struct fixture *f = (const struct fixture *)same;
	char path[320];
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int n = -1;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM event", -1, &s, NULL),
			 SQLITE_OK);
	if (sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static void say(void *ctx, const char *line)
{
	print_error("%s\n", line);
}

/* Everything is checked in between; every second time the index is made from the segments. */
static void reopen(struct storesame *same)
{
	struct fixture *f = (struct fixture *)same;
	struct error e = { 0 };
	uint64_t results;

	same_close(&f->same);
	if (store_embedded_check(f->dir, say, NULL, &results, &e) != ST_OK)
		fail_msg("%s", e.text);
	if (f->opened++ % 2 == 1)
		assert_int_equal(shell("rm %s/index.db*", f->dir), 0);
	open_store(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || tmpdir_make(&f->tmp) != 0 ||
	    storecase_open(&f->same.sc, 3, 20, 3000, 900) != 0)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/store", f->tmp.path);
	snprintf(f->witness, sizeof(f->witness), "%s/outside/numbers", f->tmp.path);
	f->same.reopen = reopen;
	f->same.event_rows = event_rows;
	open_store(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	same_close(&f->same);
	storecase_close(&f->same.sc);
	tmpdir_remove(&f->tmp);
	free(f);
	return 0;
}

/* More than one segment, more than memory holds: rows go to SQLite on the way. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	uint8_t lane;
	uint64_t sequence;
	struct error e = { 0 };
	uint64_t results;

	for (uint32_t k = 0; k < 6400; k += 128)
		same_put(&f->same, k, 128);
	for (uint32_t k = 0; k < 6400; k += 640)
		same_check_all(&f->same, k, 20);
	assert_int_equal(f->same.store->ops->find_number(f->same.reader, slice_str("don-vi-2"),
						    slice_str("XN"),
						    2026, 1000, &lane, &sequence), ST_OK);
	assert_int_equal(sequence, storecase_sequence(999 * 3 + 2));
	assert_int_equal(lane, storecase_lane(999 * 3 + 2));
	same_close(&f->same);
	assert_int_equal(store_embedded_check(f->dir, NULL, NULL, &results, &e), ST_OK);
	assert_int_equal(results, 6400);
	open_store(f);
	same_check_all(&f->same, 6380, 20);
}

static void take_line(void *ctx, const char *line)
{
	uint32_t *n = ctx;

	*n += strstr(line, "evidence") != NULL;
}

/* A set that names what was never stored: fsck says so. */
static void test_fsck_misses_evidence(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };
	struct proof p;
	uint64_t results;
	uint32_t lines = 0;

	same_proof(&p, "a list");
	p.v.members_n = 0;
	same_put_with(&f->same, 0, &p);
	same_close(&f->same);
	assert_int_equal(store_embedded_check(f->dir, take_line, &lines, &results, &e),
			 ST_CORRUPT);
	assert_int_equal(lines, 1);
}

/* ---- records of the version before ---- */

static void test_version_1_is_read(void **state)
{
	static uint8_t bytes[4096], stretch[SHA256_BYTES];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct stored_result r = { .view = { .sequence = 9, .signatures_n = 1,
					     .signatures = { { .subject = slice_str("Khóa") } } } };
	struct void_entry gone = { .unit = slice_str("don-vi"), .number = 3, .sequence = 7,
				   .actor = slice_str("ai"), .kind = slice_str("xac-nhan") };
	size_t n, old_n;
	uint8_t *at;

	memset(stretch, 0xee, sizeof(stretch));
	memcpy(r.view.signatures[0].evidence_sha256, stretch, sizeof(stretch));
	assert_int_equal(stored_result_encode(&r, &w), ST_OK);
	n = writer_size(&w);
	at = memmem(bytes, n, stretch, sizeof(stretch));
	memmove(at, at + sizeof(stretch), n - sizeof(stretch) - (size_t)(at - bytes));
	n -= sizeof(stretch);
	assert_int_equal(stored_result_decode(&r, 1, slice_of(bytes, n)), ST_OK);
	assert_int_equal(r.view.sequence, 9);
	assert_true(slice_eq(r.view.signatures[0].subject, slice_str("Khóa")));
	assert_int_equal(r.view.signatures[0].evidence_sha256[0], 0);
	assert_int_equal(stored_result_decode(&r, 2, slice_of(bytes, n)), ST_CORRUPT);
	w = writer_of(bytes, sizeof(bytes));
	assert_int_equal(stored_void_encode(&gone, &w), ST_OK);
	old_n = writer_size(&w) - (1 + 1 + 16 + 1 + gone.kind.n + 1 + 1 + 2 + 2 + 8 + 8);
	assert_int_equal(stored_void_decode(&gone, 1, slice_of(bytes, old_n)), ST_OK);
	assert_int_equal(gone.number, 3);
	assert_true(slice_eq(gone.actor, slice_str("ai")));
	assert_int_equal(gone.kind.n, 0);
	assert_int_equal(stored_void_decode(&gone, 2, slice_of(bytes, old_n)), ST_CORRUPT);
}

/* The data folder goes back in time, the witness does not. */
static void run_sql(const struct fixture *f, const char *sql)
{
	char path[320];
	sqlite3 *db = NULL;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* An opening that breaks off while counters are folded loses none of them. */
static void test_counters_fold_whole_or_not(void **state)
{
	struct fixture *f = *state;
	struct store_config cfg = { .dir = f->dir };
	struct store *store = NULL;
	struct error e = { 0 };
	uint64_t results;

	/* Three watermarks, so that there is something to fold. */
	for (uint32_t k = 0; k < 30; k += 10) {
		same_put(&f->same, k, 10);
		same_close(&f->same);
		if (k < 20)
			open_store(f);
	}
	run_sql(f, "CREATE TRIGGER stop BEFORE INSERT ON counter "
		   "BEGIN SELECT RAISE(ABORT, 'the power went'); END");
	assert_int_not_equal(store_embedded_open(&store, &cfg, &e), ST_OK);
	run_sql(f, "DROP TRIGGER stop");
	if (store_embedded_check(f->dir, say, NULL, &results, &e) != ST_OK)
		fail_msg("%s", e.text);
	assert_int_equal(results, 30);
	open_store(f);
}

static void test_witness_remembers(void **state)
{
	struct fixture *f = *state;

	same_put(&f->same, 0, 6);
	same_close(&f->same);
	assert_int_equal(shell("cp -r %s %s.old", f->dir, f->dir), 0);
	open_store(f);
	same_put(&f->same, 6, 60);
	assert_int_equal(same_highest(&f->same), 22);
	same_close(&f->same);
	assert_int_equal(shell("rm -r %s && mv %s.old %s", f->dir, f->dir, f->dir), 0);
	open_store(f);
	assert_int_equal(same_highest(&f->same), 22);
	same_check_all(&f->same, 0, 6);
	/* Without a witness the store knows what it holds. */
	same_close(&f->same);
	assert_int_equal(remove(f->witness), 0);
	open_store(f);
	assert_int_equal(same_highest(&f->same), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_TESTS(setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fsck_misses_evidence, setup, teardown),
		cmocka_unit_test(test_version_1_is_read),
		cmocka_unit_test_setup_teardown(test_counters_fold_whole_or_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_witness_remembers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
