/*
 * The embedded store against crashes, lost and foreign indexes, flipped bits and full disks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell.h"
#include "store/embedded.h"
#include "storecase.h"
#include "tmpdir.h"

#define NOW_MS (STORECASE_BASE_MS + 1000000)
#define SEGMENT (256u * 1024)

struct fixture {
	struct tmpdir tmp;
	char dir[300], segment[340], index[340];
	struct storecase sc;
	struct store *store;
	struct store_reader *reader;
};

static enum status try_open(struct fixture *f, struct error *e)
{
	struct store_config cfg = { .dir = f->dir, .segment_bytes = SEGMENT };
	enum status st = store_embedded_open(&f->store, &cfg, e);

	if (st == ST_OK)
		st = f->store->ops->reader_open(f->store, &f->reader, e);
	return st;
}

static void open_store(struct fixture *f)
{
	struct error e = { 0 };

	if (try_open(f, &e) != ST_OK)
		fail_msg("%s", e.text);
}

static void close_store(struct fixture *f)
{
	if (f->store == NULL)
		return;
	f->store->ops->reader_close(f->reader);
	f->store->ops->close(f->store);
	f->store = NULL;
}

static void use_dir(struct fixture *f, const char *name)
{
	snprintf(f->dir, sizeof(f->dir), "%s/%s", f->tmp.path, name);
	snprintf(f->segment, sizeof(f->segment), "%s/0000000001.seg", f->dir);
	snprintf(f->index, sizeof(f->index), "%s/index.db", f->dir);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || tmpdir_make(&f->tmp) != 0 || storecase_open(&f->sc, 3, 5, 1500, 700) != 0)
		return -1;
	use_dir(f, "store");
	open_store(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_store(f);
	storecase_close(&f->sc);
	tmpdir_remove(&f->tmp);
	free(f);
	return 0;
}

static enum status put_some(struct fixture *f, uint32_t first, uint32_t n)
{
	struct error e = { 0 };

	storecase_fill(&f->sc, first, n);
	return embedded_put(f->store, f->sc.b, NOW_MS, &e);
}

static void put(struct fixture *f, uint32_t first, uint32_t n)
{
	assert_int_equal(put_some(f, first, n), ST_OK);
}

/* A crash: what is on disk goes on under another name, while the first never closes. */
static void crash_to(struct fixture *f, struct store **old, struct store_reader **old_reader,
		     const char *name)
{
	assert_int_equal(shell("cp -r %s %s/%s", f->dir, f->tmp.path, name), 0);
	*old = f->store;
	*old_reader = f->reader;
	f->store = NULL;
	use_dir(f, name);
}

/* ST_OK: exactly the right bytes; wrong ones fail the test. */
static enum status look(struct fixture *f, uint32_t k, const struct item *it)
{
	static uint8_t got[16384];
	struct result_view v;
	size_t n = sizeof(got), size;
	enum status st = f->store->ops->get(f->reader, storecase_lane(k), storecase_sequence(k),
					    &v);
	uint8_t *want;

	if (st != ST_OK)
		return st;
	assert_true(slice_eq(v.case_code, it->c.code));
	assert_true(slice_eq(v.case_bytes, it->case_bytes));
	st = f->store->ops->read(f->reader, storecase_lane(k), storecase_sequence(k), 0, got, &n);
	if (st != ST_OK)
		return st;
	want = storecase_file(it, &size);
	assert_int_equal(n, size);
	assert_memory_equal(got, want, n);
	free(want);
	return ST_OK;
}

/* How many of first … first + n are served; the others must be unknown or reported. */
static uint32_t served(struct fixture *f, uint32_t first, uint32_t n)
{
	uint32_t good = 0;

	storecase_fill(&f->sc, first, n);
	for (uint32_t i = 0; i < n; i++) {
		enum status st = look(f, first + i, &f->sc.b->items[i]);

		assert_true(st == ST_OK || st == ST_NOT_FOUND || st == ST_CORRUPT);
		good += st == ST_OK;
	}
	return good;
}

static void note(void *ctx, const char *line)
{
	(*(uint32_t *)ctx)++;
}

static uint32_t findings(struct fixture *f)
{
	struct error e = { 0 };
	uint64_t results;
	uint32_t n = 0;
	enum status st = store_embedded_check(f->dir, note, &n, &results, &e);

	assert_true((st == ST_OK && n == 0) || (n > 0 && (st == ST_CORRUPT || st == ST_DAMAGED)));
	return n;
}

static void flip(const char *path, off_t at, uint8_t bit)
{
	int fd = open(path, O_RDWR);
	uint8_t b;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= (uint8_t)(1u << bit);
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

/* ---- the index ---- */

static void test_deleted_index(void **state)
{
	struct fixture *f = *state;
	struct holding_view rows[200];
	char number[32];
	uint8_t key[16];
	uint32_t before, after;

	for (uint32_t k = 0; k < 640; k += 64)
		put(f, k, 64);
	storecase_holder(&f->sc, 0, number);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str(number));
	assert_int_equal(f->store->ops->list(f->reader, key, 0, 200, rows, &before), ST_OK);
	close_store(f);
	assert_int_equal(shell("rm %s/index.db*", f->dir), 0);
	open_store(f);
	assert_int_equal(f->store->ops->list(f->reader, key, 0, 200, rows, &after), ST_OK);
	assert_int_equal(before, after);
	assert_int_equal(served(f, 600, 40), 40);
	close_store(f);
	assert_int_equal(findings(f), 0);
}

static void test_crash_before_index(void **state)
{
	struct fixture *f = *state;
	struct store *old;
	struct store_reader *old_reader;

	put(f, 0, 50);
	close_store(f);
	open_store(f);
	put(f, 50, 50);
	crash_to(f, &old, &old_reader, "after");
	open_store(f);
	assert_int_equal(served(f, 0, 100), 100);
	/* What was stored is known: the engine's replay changes nothing. */
	put(f, 90, 20);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(f->sc.b->items[i].stored, i < 10 ? ST_EXISTS : ST_OK);
	close_store(f);
	assert_int_equal(findings(f), 0);
	old->ops->reader_close(old_reader);
	old->ops->close(old);
}

static void test_stale_and_foreign_index(void **state)
{
	struct fixture *f = *state;

	put(f, 0, 40);
	close_store(f);
	assert_int_equal(shell("cp %s %s/old.db", f->index, f->tmp.path), 0);
	open_store(f);
	put(f, 40, 40);
	close_store(f);
	assert_int_equal(shell("cp %s/old.db %s", f->tmp.path, f->index), 0);
	open_store(f);
	assert_int_equal(served(f, 0, 80), 80);
	close_store(f);
	assert_int_equal(findings(f), 0);
	/* Of another store, and no index at all. */
	use_dir(f, "other");
	open_store(f);
	put(f, 500, 10);
	close_store(f);
	use_dir(f, "store");
	assert_int_equal(shell("cp %s/other/0000000001.seg %s", f->tmp.path, f->segment), 0);
	assert_int_equal(shell("head -c 5000 /dev/urandom > %s", f->index), 0);
	open_store(f);
	assert_int_equal(served(f, 500, 10), 10);
}

static void test_foreign_index_of_same_length(void **state)
{
	struct fixture *f = *state;

	put(f, 0, 40);
	close_store(f);
	use_dir(f, "other");
	open_store(f);
	put(f, 500, 60);
	close_store(f);
	assert_int_equal(shell("cp %s/store/index.db %s", f->tmp.path, f->index), 0);
	open_store(f);
	assert_int_equal(served(f, 500, 60), 60);
	assert_int_equal(served(f, 0, 40), 0);
	close_store(f);
	assert_int_equal(findings(f), 0);
}

/* fsck sees rows that are missing or too many. */
static void test_fsck_compares_the_index(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;

	put(f, 0, 40);
	close_store(f);
	assert_int_equal(findings(f), 0);
	assert_int_equal(sqlite3_open(f->index, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "DELETE FROM holding WHERE sequence = (SELECT max(sequence) "
				      "FROM result)", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(findings(f), 2);
	assert_int_equal(sqlite3_exec(db, "UPDATE counter SET results = results + 1",
				      NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(findings(f), 5);
	/* Without an index there is nothing to compare with, and nothing is wrong. */
	assert_int_equal(shell("rm %s/index.db*", f->dir), 0);
	assert_int_equal(findings(f), 0);
}

/* ---- crashes ---- */

/* Cut anywhere: whole frames are there, the torn one is not, and it goes on. */
static void test_cut_anywhere(void **state)
{
	struct fixture *f = *state;
	uint32_t last = 0;
	struct stat st;
	off_t used = 0;

	for (uint32_t k = 0; k < 48; k += 6)
		put(f, k, 6);
	close_store(f);
	assert_int_equal(shell("cp %s %s/whole", f->segment, f->tmp.path), 0);
	for (off_t cut = 0; cut < (off_t)SEGMENT; cut += 1777) {
		char cut_file[340];
		uint32_t good;

		snprintf(cut_file, sizeof(cut_file), "%s/whole", f->tmp.path);
		assert_int_equal(shell("rm -rf %s && mkdir %s && head -c %lld %s > %s", f->dir,
				       f->dir,
		      (long long)cut, cut_file, f->segment), 0);
		open_store(f);
		good = served(f, 0, 48);
		assert_true(good >= last && good % 6 == 0);
		if (good > last)
			used = cut;
		last = good;
		put(f, good, 12);
		assert_int_equal(served(f, 0, good + 12), good + 12);
		close_store(f);
		assert_int_equal(findings(f), 0);
		if (good == 48)
			break;
	}
	assert_int_equal(last, 48);
	assert_true(used > 0 && stat(f->segment, &st) == 0);
}

/* An index that knows more than the segments hold: acknowledged results are gone. */
static void test_lost_end_is_reported(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };

	put(f, 0, 30);
	put(f, 30, 30);
	close_store(f);
	assert_int_equal(truncate(f->segment, 60000), 0);
	assert_int_equal(try_open(f, &e), ST_DAMAGED);
	assert_non_null(strstr(e.text, "acknowledged results are missing"));
	assert_true(findings(f) > 0);
}

static void test_middle_is_reported(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };

	for (uint32_t k = 0; k < 40; k += 10)
		put(f, k, 10);
	close_store(f);
	assert_int_equal(shell("rm %s/index.db*", f->dir), 0);
	flip(f->segment, 40000, 3);
	assert_int_equal(try_open(f, &e), ST_DAMAGED);
	assert_non_null(strstr(e.text, "0000000001.seg"));
	assert_true(findings(f) > 0);
	flip(f->segment, 40000, 3);
	/* The header block: what stands behind it must not be overwritten. */
	flip(f->segment, 17, 0);
	assert_int_equal(try_open(f, &e), ST_DAMAGED);
	flip(f->segment, 17, 0);
	open_store(f);
	assert_int_equal(served(f, 0, 40), 40);
}

static void test_missing_segment_is_reported(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };

	for (uint32_t k = 0; k < 600; k += 60)
		put(f, k, 60);
	close_store(f);
	assert_int_equal(shell("mv %s/0000000002.seg %s/away && rm %s/index.db*", f->dir,
			       f->tmp.path, f->dir), 0);
	assert_int_equal(try_open(f, &e), ST_DAMAGED);
	assert_true(findings(f) > 0);
	assert_int_equal(shell("mv %s/away %s/0000000002.seg", f->tmp.path, f->dir), 0);
	/* The last one was begun and never written: a crash, no loss. */
	shell("head -c 4096 /dev/zero > %s/0000000099.tmp; n=$(ls %s | grep seg | wc -l); "
	      "head -c 4096 /dev/zero > %s/$(printf %%010d $((n+1))).seg", f->dir, f->dir, f->dir);
	open_store(f);
	for (uint32_t k = 0; k < 600; k += 60)
		assert_int_equal(served(f, k, 60), 60);
	for (uint32_t k = 600; k < 900; k += 60)
		put(f, k, 60);
	assert_int_equal(served(f, 840, 60), 60);
	close_store(f);
	assert_int_equal(findings(f), 0);
}

/* ---- flipped bits ---- */

/* Used bytes of the segment: up to the last that is not zero. */
static off_t used_bytes(const char *path)
{
	static uint8_t all[SEGMENT];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, all, sizeof(all));

	close(fd);
	while (n > 0 && all[n - 1] == 0)
		n--;
	return n;
}

static void test_flips_in_segments(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };
	uint32_t unnoticed = 0, refused = 0, held_back = 0, tried = 0;
	off_t used;

	for (uint32_t k = 0; k < 40; k += 10)
		put(f, k, 10);
	close_store(f);
	used = used_bytes(f->segment);
	for (off_t at = 5; at < used; at += 991) {
		uint32_t found, good = 40;
		enum status st;

		flip(f->segment, at, (uint8_t)(at % 8));
		tried++;
		st = try_open(f, &e);
		if (st == ST_OK)
			good = served(f, 0, 40);
		else
			assert_int_equal(st, ST_DAMAGED);
		close_store(f);
		found = findings(f);
		refused += st != ST_OK;
		held_back += good < 40;
		if (st != ST_OK || good < 40)
			assert_true(found > 0);
		unnoticed += found == 0;
		flip(f->segment, at, (uint8_t)(at % 8));
	}
	print_message("%u flips: %u results held back, %u starts refused, %u in padding\n", tried,
		      held_back, refused, unnoticed);
	/* Padding is at most a block for each of four frames. */
	assert_true(unnoticed <= 4 * 4096 / 991 + 4 + 4096 / 991);
	assert_true(held_back > 0);
	assert_int_equal(findings(f), 0);
}

static void test_flips_in_the_index(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };
	struct stat st;
	uint8_t key[16];
	char number[32], other[32];

	for (uint32_t k = 0; k < 40; k += 10)
		put(f, k, 10);
	close_store(f);
	storecase_holder(&f->sc, 0, number);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str(number));
	assert_int_equal(shell("cp %s %s/good.db", f->index, f->tmp.path), 0);
	assert_int_equal(stat(f->index, &st), 0);
	for (off_t at = 3; at < st.st_size; at += 257) {
		struct holding_view rows[50];
		uint32_t n = 0;

		flip(f->index, at, (uint8_t)(at % 8));
		if (try_open(f, &e) == ST_OK) {
			served(f, 0, 40);
			if (f->store->ops->list(f->reader, key, 0, 50, rows, &n) != ST_OK)
				n = 0;
			for (uint32_t i = 0; i < n; i++) {
				uint32_t k = 0;

				while (storecase_sequence(k) != rows[i].result.sequence)
					k++;
				storecase_holder(&f->sc, k, other);
				assert_string_equal(number, other);
			}
		}
		close_store(f);
		assert_int_equal(shell("rm -f %s/index.db* && cp %s/good.db %s", f->dir,
				       f->tmp.path, f->index), 0);
	}
	open_store(f);
	assert_int_equal(served(f, 0, 40), 40);
}

/* ---- limits ---- */

/*
 * No room for another segment: nothing is stored, nothing is lost, it goes on when there is
 * room.
 */
static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, less = { SEGMENT - 1, 0 };
	uint32_t k = 0;
	enum status st = ST_OK;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	less.rlim_max = old.rlim_max;
	for (; st == ST_OK && k < 3000; k += 30) {
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
		st = put_some(f, k, 30);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	}
	assert_int_equal(st, ST_IO);
	k -= 30;
	assert_int_equal(served(f, 0, k), k);
	assert_int_equal(served(f, k, 30), 0);
	put(f, k, 30);
	assert_int_equal(served(f, 0, 30), 30);
	assert_int_equal(served(f, k, 30), 30);
	close_store(f);
	assert_int_equal(findings(f), 0);
}

/*
 * A write that fails half-way: until a restart nothing more is taken, what was acknowledged is
 * served.
 */
static void test_failed_write(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, less = { 4096, 0 };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	less.rlim_max = old.rlim_max;
	put(f, 0, 30);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
	assert_int_equal(put_some(f, 30, 30), ST_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(put_some(f, 30, 30), ST_IO);
	assert_int_equal(served(f, 0, 30), 30);
	close_store(f);
	open_store(f);
	put(f, 30, 30);
	assert_int_equal(served(f, 0, 60), 60);
	close_store(f);
	assert_int_equal(findings(f), 0);
}

struct watcher { struct fixture *f; atomic_uint stored, stop; uint32_t looks; };

static void *watch(void *arg)
{
	struct watcher *w = arg;
	struct store_reader *r;
	struct error e;
	uint32_t k = 0;

	if (w->f->store->ops->reader_open(w->f->store, &r, &e) != ST_OK)
		return "open";
	while (!atomic_load(&w->stop)) {
		uint32_t n = atomic_load(&w->stored);
		struct result_view v;
		char code[32];

		if (n == 0)
			continue;
		k = (k + 7919) % n;
		storecase_code(k, code);
		if (w->f->store->ops->get(r, storecase_lane(k), storecase_sequence(k),
					  &v) != ST_OK ||
		    !slice_eq(v.case_code, slice_str(code)))
			return "get";
		w->looks++;
	}
	w->f->store->ops->reader_close(r);
	return NULL;
}

/* What put() returned is there at once for every reader, while rows move from memory to SQLite. */
static void test_reading_while_writing(void **state)
{
	struct fixture *f = *state;
	struct watcher w = { .f = f };
	pthread_t t;
	void *wrong;

	assert_int_equal(pthread_create(&t, NULL, watch, &w), 0);
	for (uint32_t k = 0; k < 9000; k += 100) {
		put(f, k, 100);
		atomic_store(&w.stored, k + 100);
	}
	atomic_store(&w.stop, 1);
	pthread_join(t, &wrong);
	assert_null(wrong);
	assert_true(w.looks > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deleted_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash_before_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_and_foreign_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_index_of_same_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fsck_compares_the_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_end_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_middle_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_segment_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flips_in_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flips_in_the_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading_while_writing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
