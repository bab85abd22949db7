/*
 * The embedded store as the engine uses it: put, reads, acts, marks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shell.h"
#include "store/embedded.h"
#include "store/index_parts.h"
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
				    .segment_bytes = 1024 * 1024,
				    .objects = f->same.objects };
	struct error e = { 0 };

	if (store_embedded_open(&f->same.store, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	same_opened(&f->same);
}

/* As its index has them, in memory and in its file. */
static int event_rows(struct storesame *same)
{
	const struct embedded *s = (const struct embedded *)same->store;
	uint64_t n = 0;

	assert_int_equal(index_rows(same->reader->index, ROW_EVENT, &n), ST_OK);
	for (uint32_t i = 0; i < s->index->rows_n; i++)
		n += s->index->rows[i].table == ROW_EVENT;
	return (int)n;
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

static bool spoil_one(void *ctx, const uint8_t sha256[SHA256_BYTES], uint64_t size)
{
	char hex[2 * SHA256_BYTES + 1] = { 0 };

	hex_lower(hex, sha256, SHA256_BYTES);
	assert_int_equal(shell("printf x | dd of=%s/objects/%.2s/%s bs=1 seek=777777 conv=notrunc"
			       " 2>/dev/null", (const char *)ctx, hex, hex + 2), 0);
	return true;
}

static uint32_t damages;

static void tell_damage(void *ctx, const char *line)
{
	damages += strstr(line, "original") != NULL;
}

/* fsck sees it, too. */
static void spoil(struct storesame *same)
{
	struct fixture *f = (struct fixture *)same;
	struct error e = { 0 };
	char path[400];
	uint64_t results;

	snprintf(path, sizeof(path), "%s/objects", f->dir);
	assert_int_equal(objects_walk(path, false, spoil_one, f->dir, &e), ST_OK);
	damages = 0;
	assert_int_equal(store_embedded_check(f->dir, tell_damage, NULL, &results, &e),
			 ST_CORRUPT);
	assert_int_equal(damages, 1);
}

static int setup(void **state)
{
	char objects[400];
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || tmpdir_make(&f->tmp) != 0 ||
	    storecase_open(&f->same.sc, 3, 20, 3000, 900) != 0)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/store", f->tmp.path);
	snprintf(f->witness, sizeof(f->witness), "%s/outside/numbers", f->tmp.path);
	f->same.reopen = reopen;
	f->same.event_rows = event_rows;
	f->same.spoil = spoil;
	snprintf(objects, sizeof(objects), "%s/objects", f->dir);
	if (objects_open(&f->same.objects, objects, NULL) != ST_OK)
		return -1;
	open_store(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	same_close(&f->same);
	objects_close(f->same.objects);
	storecase_close(&f->same.sc);
	tmpdir_remove(&f->tmp);
	free(f);
	return 0;
}

static long rss_kb(void)
{
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%*d %ld", &pages), 1);
	fclose(statm);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A large copy is read in pieces: whoever serves it needs memory for one. */
static void test_large_copy(void **state)
{
	struct storesame *f = &((struct fixture *)*state)->same;
	static uint8_t got[DOWNLOAD_CHUNK_BYTES];
	size_t size = 24u << 20, n = sizeof(got);
	uint8_t *bytes = malloc(size);
	long before;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 1000);
	same_bring(f, 0, slice_of(bytes, size));
	storecase_fill(&f->sc, 0, 1);
	storecase_copy(&f->sc, &f->sc.b->items[0], slice_of(bytes, size));
	assert_int_equal(same_put_batch(f), ST_OK);
	before = rss_kb();
	for (uint64_t at = 0; n == sizeof(got); at += n)
		assert_int_equal(f->store->ops->read(f->reader, storecase_lane(0),
						     storecase_sequence(0), at, got, &n), ST_OK);
	assert_true(rss_kb() - before < 2 * 1024);
	free(bytes);
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

/* What a statement may read. */
static int only_counters(void *seen, int act, const char *table, const char *column,
			 const char *db, const char *trigger)
{
	if (act != SQLITE_READ)
		return SQLITE_OK;
	*(uint32_t *)seen += strcmp(table, "counter") == 0;
	return strcmp(table, "counter") == 0 || strcmp(table, "meta") == 0 ? SQLITE_OK :
									    SQLITE_DENY;
}

/* Statistics come from counters: no other table is read for them, and no segment is open there. */
static void test_counts_read_counters_only(void **state)
{
	const struct counts_question q = { .period = COUNTS_MONTH };
	struct fixture *f = *state;
	struct store_reader *r;
	uint32_t seen = 0;
	struct tally t;

	same_put(&f->same, 0, 30);
	f->same.reopen(&f->same);
	r = f->same.reader;
	sqlite3_set_authorizer(r->index->db, only_counters, &seen);
	assert_int_equal(tally_init(&t, 64, 64), ST_OK);
	assert_int_equal(f->same.store->ops->counts(r, &q, &t), ST_OK);
	assert_true(seen > 0);
	assert_int_equal(t.n, 3);
	tally_free(&t);
	sqlite3_set_authorizer(r->index->db, NULL, NULL);
}

static void event_add(struct fixture *f, uint32_t k, uint8_t kind, const char *detail)
{
	const struct result_event ev = { .lane = storecase_lane(k),
					 .sequence = storecase_sequence(k), .kind = kind,
					 .at_ms = SAME_NOW_MS, .actor = slice_str("ai"),
					 .detail = slice_str(detail) };
	struct error e = { 0 };

	if (f->same.store->ops->events(f->same.store, &ev, 1, &e) != ST_OK)
		fail_msg("%s", e.text);
}

/* Events are added and never changed, nor taken away: neither in the index nor in the segments. */
static void test_events_are_only_added(void **state)
{
	struct fixture *f = *state;
	unsigned long long end;

	same_put(&f->same, 0, 4);
	event_add(f, 1, EVENT_CORRECTED, "12/ĐC-UBND");
	end = ((struct embedded *)f->same.store)->log.end % (1024 * 1024);
	same_close(&f->same);
	assert_int_equal(shell("cp %s/0000000001.seg %s.before", f->dir, f->dir), 0);
	run_sql(f, "CREATE TRIGGER kept BEFORE DELETE ON event "
		   "BEGIN SELECT RAISE(ABORT, 'no'); END;"
		   "CREATE TRIGGER same BEFORE UPDATE ON event "
		   "BEGIN SELECT RAISE(ABORT, 'no'); END");
	open_store(f);
	event_add(f, 1, EVENT_REVOKED, "45/QĐ-UBND");
	event_add(f, 1, EVENT_REVOKED, "45/QĐ-UBND");
	event_add(f, 2, EVENT_RESTRICTED, "46/QĐ-UBND");
	event_add(f, 2, EVENT_RELEASED, "47/QĐ-UBND");
	same_close(&f->same);
	open_store(f);
	assert_int_equal(event_rows(&f->same), 4);
	assert_true(end > 4096);
	assert_int_equal(shell("cmp -n %llu %s/0000000001.seg %s.before", end, f->dir, f->dir), 0);
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

/* What is cut short, or of a call that is none, is no reading; nor is one with something behind. */
static void test_reading_bytes(void **state)
{
	const struct result_name names[] = { { 3, 77 }, { 4, 78 } };
	const struct read_note note = { .stamp = 9, .call = READ_LIST, .actor = slice_str("ai"),
					.purpose = slice_str("để"), .names = names, .names_n = 2 };
	const uint32_t which[] = { 1 };
	uint8_t key[16] = { 1, 2 }, bytes[256];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reading_view v;
	size_t n;

	assert_int_equal(stored_reading_encode(key, &note, which, 1, &w), ST_OK);
	n = writer_slice(&w).n;
	assert_int_equal(stored_reading_decode(&v, slice_of(bytes, n)), ST_OK);
	assert_memory_equal(v.holder, key, sizeof(key));
	assert_int_equal(v.names_n, 1);
	assert_int_equal(reading_name(&v, 0).sequence, 78);
	assert_int_equal(reading_name(&v, 0).lane, 4);
	assert_true(slice_eq(v.purpose, note.purpose));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(stored_reading_decode(&v, slice_of(bytes, i)), ST_CORRUPT);
	assert_int_equal(stored_reading_decode(&v, slice_of(bytes, n + 1)), ST_CORRUPT);
	for (size_t i = 0; i < n * 8; i++) {	/* any damage: decoded or refused, within bounds */
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		if (stored_reading_decode(&v, slice_of(bytes, n)) == ST_OK)
			assert_true(v.names.n == (size_t)v.names_n * READING_NAME_BYTES);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	bytes[24] = READ_CALLS;
	assert_int_equal(stored_reading_decode(&v, slice_of(bytes, n)), ST_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_TESTS(setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fsck_misses_evidence, setup, teardown),
		cmocka_unit_test(test_reading_bytes),
		cmocka_unit_test(test_version_1_is_read),
		cmocka_unit_test_setup_teardown(test_counters_fold_whole_or_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts_read_counters_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_are_only_added, setup, teardown),
		cmocka_unit_test_setup_teardown(test_witness_remembers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
