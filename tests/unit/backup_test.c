/*
 * backup, restore and fsck on a small data folder of real parts: journal and store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/datacopy.h"
#include "io/file.h"
#include "io/io.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "shell.h"
#include "store/store.h"
#include "storecase.h"
#include "storewait.h"
#include "tmpdir.h"

#define SEGMENT_BYTES (256 * 1024)
#define SLOTS 4

struct fixture {
	struct tmpdir tmp;
	char data[300], journal[320], store[320], target[300], back[300];
	struct storecase sc;
	struct io *io;
	struct journal *j;
	struct store *s;
	struct storewait wait;
	uint32_t first, newest, stored;	/* what the journal says at replay */
	atomic_uint done, stop;
};

static enum status replay(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
			  struct error *e)
{
	struct fixture *f = ctx;
	struct reader r = reader_of(payload);

	if (type == RECORD_PARKED) {
		f->newest = read_u32(&r);
		f->first = f->first == 0 ? f->newest : f->first;
	} else if (type == RECORD_STORED_UP_TO) {
		f->stored = read_u32(&r);
	}
	return ST_OK;
}

static void open_data(struct fixture *f, const char *data)
{
	struct journal_config jc = { .dir = f->journal, .segment_bytes = SEGMENT_BYTES,
				     .slots = SLOTS, .depth = 2 };
	struct store_config sc = { .sink = storewait_sink(&f->wait, STORECASE_BASE_MS),
				   .dir = f->store, .segment_bytes = 1024 * 1024 };
	struct error e = { 0 };

	snprintf(f->journal, sizeof(f->journal), "%s/journal", data);
	snprintf(f->store, sizeof(f->store), "%s/store", data);
	f->first = f->newest = f->stored = 0;
	assert_int_equal(io_new(&f->io, IO_POSIX, 16, &e), ST_OK);
	if (journal_open(&f->j, f->io, &jc, 0, replay, f, &e) != ST_OK ||
	    store_embedded_open(&f->s, &sc, &e) != ST_OK)
		fail_msg("%s", e.text);
}

static void close_data(struct fixture *f)
{
	f->s->ops->close(f->s);
	journal_close(f->j);
	io_free(f->io);
}

static void note(struct fixture *f, uint8_t type, uint32_t k, size_t n)
{
	uint8_t bytes[1200] = { 0 };
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint64_t pos;

	write_u32(&w, k);
	assert_int_equal(journal_append(f->j, type, slice_of(bytes, n), &pos), ST_OK);
	while (journal_durable(f->j) <= pos) {
		journal_pump(f->j);
		io_run(f->io, 100);
	}
	/* Its segments come round again, as an engine's do. */
	if (journal_slots_free(f->j) < 2)
		journal_release(f->j, pos);
}

/* Result k: durable in the journal, then in the store, and now and then the journal says so. */
static void issue(struct fixture *f, uint32_t k)
{
	note(f, RECORD_PARKED, k, 1200);
	storecase_fill(&f->sc, k, 1);
	assert_int_equal(storewait_put(&f->wait, f->s, f->sc.b), ST_OK);
	if (k % 4 == 0)
		note(f, RECORD_STORED_UP_TO, k, 4);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || tmpdir_make(&f->tmp) != 0 ||
	    storecase_open(&f->sc, 2, 5, 1000, 5000) != 0)
		return -1;
	snprintf(f->data, sizeof(f->data), "%s/data", f->tmp.path);
	snprintf(f->target, sizeof(f->target), "%s/backup", f->tmp.path);
	snprintf(f->back, sizeof(f->back), "%s/back", f->tmp.path);
	open_data(f, f->data);
	for (uint32_t k = 1; k <= 20; k++)
		issue(f, k);
	close_data(f);
	return shell("mkdir -p %s/certs %s/keys && echo c > %s/certs/a.pem && "
		     "echo k > %s/keys/a.pem && echo '{}' > %s/principals.json",
		     f->data, f->data, f->data, f->data, f->data);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	storecase_close(&f->sc);
	tmpdir_remove(&f->tmp);
	free(f);
	return 0;
}

static int backup(struct fixture *f, const char *extra)
{
	char *argv[] = { "backup", "--data", f->data, f->target, (char *)extra, NULL };

	return cli_backup(extra != NULL ? 5 : 4, argv);
}

static int restore(struct fixture *f)
{
	char *argv[] = { "restore", f->target, "--data", f->back, NULL };

	return cli_restore(4, argv);
}

static int fsck(const char *data)
{
	char *argv[] = { "fsck", "--data", (char *)data, NULL };

	return cli_fsck(3, argv);
}

static bool has(const char *folder, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path_exists(path);
}

/* How many results 1 … n the restored folder has; there are no gaps among them. */
static uint32_t results_back(struct fixture *f)
{
	struct store_reader *r;
	struct result_view v;
	struct error e = { 0 };
	uint32_t k = 1, beyond;

	open_data(f, f->back);
	assert_int_equal(f->s->ops->reader_open(f->s, &r, &e), ST_OK);
	while (f->s->ops->get(r, storecase_lane(k), storecase_sequence(k), &v) == ST_OK)
		k++;
	for (beyond = k; beyond < k + 200; beyond++)
		assert_int_equal(f->s->ops->get(r, storecase_lane(beyond),
						storecase_sequence(beyond), &v), ST_NOT_FOUND);
	f->s->ops->reader_close(r);
	close_data(f);
	return k - 1;
}

static void flip(const char *folder, const char *name, off_t at)
{
	char path[600];
	uint8_t b;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 4;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

static void test_there_and_back(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(backup(f, NULL), 0);
	assert_true(has(f->target, MANIFEST));
	assert_true(has(f->target, "certs/a.pem"));
	assert_true(has(f->target, "principals.json"));
	assert_false(has(f->target, "keys"));
	assert_false(has(f->target, "store/index.db"));
	assert_false(has(f->target, "journal/lock"));
	assert_int_equal(restore(f), 0);
	assert_false(has(f->back, MANIFEST));
	assert_int_equal(fsck(f->back), 0);
	assert_int_equal(results_back(f), 20);
	assert_int_equal(f->newest, 20);
	assert_int_equal(fsck(f->back), 0);
}

/* What waits always: a mirror's results go on from it. What is stored goes with the store. */
static void test_originals(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shell("cd %s/store && mkdir -p objects/waiting objects/ab && "
			       "echo 1 > objects/waiting/11 && echo 2 > objects/ab/22 && "
			       "echo 3 > objects/waiting/7.part", f->data), 0);
	assert_int_equal(backup(f, "--without-store"), 0);
	assert_true(has(f->target, "store/objects/waiting/11"));
	assert_false(has(f->target, "store/objects/ab"));
	assert_int_equal(shell("rm -rf %s", f->target), 0);
	assert_int_equal(backup(f, NULL), 0);
	assert_false(has(f->target, "store/objects/waiting/7.part"));
	assert_int_equal(restore(f), 0);
	assert_true(has(f->back, "store/objects/waiting/11"));
	assert_true(has(f->back, "store/objects/ab/22"));
}

static void test_keys_only_when_asked(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(backup(f, "--with-keys"), 0);
	assert_true(has(f->target, "keys/a.pem"));
}

static void test_refuses(void **state)
{
	struct fixture *f = *state;
	char *nowhere[] = { "backup", "--data", "/nonexistent", f->target, NULL };

	assert_int_equal(cli_backup(4, nowhere), EX_NOINPUT);
	assert_int_equal(restore(f), EX_NOINPUT);
	assert_int_equal(backup(f, NULL), 0);
	assert_int_equal(backup(f, NULL), EX_DATAERR);
	assert_int_equal(restore(f), 0);
	assert_int_equal(restore(f), EX_DATAERR);
}

/* Any file, anywhere: the restore says so and leaves nothing. */
static void test_damaged_backup(void **state)
{
	struct fixture *f = *state;
	static const char *const files[] = { "store/0000000001.seg", "journal/slot-0000",
					     "certs/a.pem", "principals.json", MANIFEST };

	assert_int_equal(backup(f, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		flip(f->target, files[i], 1);
		assert_int_equal(restore(f), EX_DATAERR);
		assert_false(path_exists(f->back));
		flip(f->target, files[i], 1);
	}
	assert_int_equal(shell("touch %s/certs/more", f->target), 0);
	assert_int_equal(restore(f), EX_DATAERR);
	assert_int_equal(shell("rm %s/certs/more && mv %s/principals.json %s/certs/x", f->target,
			       f->target, f->target), 0);
	assert_int_equal(restore(f), EX_DATAERR);
	assert_int_equal(shell("mv %s/certs/x %s/principals.json", f->target, f->target), 0);
	assert_int_equal(restore(f), 0);
}

/* Damage in the folder itself is found, not copied. */
static void test_damaged_data(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fsck(f->data), 0);
	flip(f->data, "store/0000000001.seg", 9000);
	assert_int_equal(fsck(f->data), EX_DATAERR);
	assert_int_equal(backup(f, NULL), EX_DATAERR);
	assert_false(path_exists(f->target));
	flip(f->data, "store/0000000001.seg", 9000);
	flip(f->data, "journal/slot-0000", 4096 + 70);
	assert_int_equal(fsck(f->data), EX_DATAERR);
	assert_int_equal(backup(f, NULL), EX_DATAERR);
	flip(f->data, "journal/slot-0000", 4096 + 70);
	assert_int_equal(fsck(f->data), 0);
	assert_int_equal(backup(f, NULL), 0);
}

static void test_fsck_keeps_off_a_running_engine(void **state)
{
	struct fixture *f = *state;

	open_data(f, f->data);
	assert_int_equal(fsck(f->data), EX_TEMPFAIL);
	close_data(f);
	assert_int_equal(fsck(f->data), 0);
}

static void *work(void *arg)
{
	struct fixture *f = arg;

	for (uint32_t k = 21; !atomic_load(&f->stop); k++) {
		issue(f, k);
		atomic_store(&f->done, k);
	}
	return NULL;
}

/*
 * Of a running engine: the store has all that the journal says it has, and nothing that the journal
 * does not know.
 */
static void test_running(void **state)
{
	struct fixture *f = *state;
	pthread_t t;
	uint32_t results;

	open_data(f, f->data);
	assert_int_equal(pthread_create(&t, NULL, work, f), 0);
	for (int i = 0; i < 4; i++) {
		uint32_t before;

		while (atomic_load(&f->done) < 30 + (uint32_t)i * 300)
			usleep(1000);
		before = atomic_load(&f->done);
		assert_int_equal(backup(f, NULL), 0);
		assert_int_equal(shell("mv %s %s.%d", f->target, f->target, i), 0);
		print_message("backed up between results %u and %u\n", before,
			      atomic_load(&f->done));
	}
	atomic_store(&f->stop, 1);
	pthread_join(t, NULL);
	close_data(f);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(shell("rm -rf %s && mv %s.%d %s", f->back, f->target, i,
				       f->target), 0);
		assert_int_equal(restore(f), 0);
		assert_int_equal(fsck(f->back), 0);
		results = results_back(f);
		assert_true(results >= 30 + (uint32_t)i * 300);
		assert_true(f->newest >= results && f->stored <= results);
		/* What was said before the oldest segment is not heard any more. */
		assert_true(f->newest <= (f->stored > 0 ? f->stored : f->first) + 8);
		assert_int_equal(shell("rm -rf %s", f->target), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_originals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_only_when_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_backup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fsck_keeps_off_a_running_engine, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_running, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
