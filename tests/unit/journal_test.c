#include "journal_rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static enum io_kind uring = IO_URING, posix = IO_POSIX;

static void round_trip(void **state)
{
	struct rig *r = *state;
	static const size_t sizes[] = { 4, 5, 4000, 4084, 5, 9000, 50000, 4, 40000, 100 };

	rig_open_ok(r);
	assert_int_equal(r->seen_n, 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		rig_add_durable(r, sizes[i]);
		assert_true(journal_end(r->j) >= journal_durable(r->j));
	}
	rig_close(r);
	for (int again = 0; again < 3; again++) {
		rig_open_ok(r);
		assert_int_equal(r->seen_n, ARRAY_LEN(sizes));
		assert_int_equal(r->seen[r->seen_n - 1], r->last_pos);
		rig_close(r);
	}
}

static void batch_of_many(void **state)
{
	struct rig *r = *state;

	rig_open_ok(r);
	for (int i = 0; i < 300; i++)
		assert_int_equal(rig_add(r, 20 + i % 90), ST_OK);
	assert_true(r->last_pos >= journal_durable(r->j));
	rig_settle(r);
	assert_true(journal_durable(r->j) % 4096 == 0);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 300);
}

/* What was appended but never pumped is written by a clean close. */
static void close_writes(void **state)
{
	struct rig *r = *state;

	rig_open_ok(r);
	for (int i = 0; i < 10; i++)
		assert_int_equal(rig_add(r, 500), ST_OK);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 10);
}

static void limits(void **state)
{
	struct rig *r = *state;

	rig_open_ok(r);
	/* A segment without header, reserve, frame header, release, record header. */
	assert_int_equal(rig_add(r, RIG_SEGMENT_BYTES - 8192 - 96 + 1), ST_TOO_LARGE);
	rig_add_durable(r, RIG_SEGMENT_BYTES - 8192 - 96);
	assert_int_equal(journal_segment_of(r->j, r->last_pos), 2);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 1);
}

/* Forty segments through four slots; whatever is not released is there again. */
static void recycle(void **state)
{
	struct rig *r = *state;
	uint64_t released = 0;

	rig_open_ok(r);
	for (int i = 0; i < 1200; i++) {
		rig_add_durable(r, 1000 + i % 1500);
		if (journal_slots_free(r->j) < 2) {
			released = journal_segment_of(r->j, r->last_pos) * RIG_SEGMENT_BYTES;
			journal_release(r->j, r->last_pos);
			assert_int_equal(journal_slots_free(r->j), RIG_SLOTS - 1);
		}
		if (i % 100 == 57) {
			uint64_t free_before = journal_slots_free(r->j);

			rig_close(r);
			rig_open_ok(r);
			assert_true(r->seen[0] >= released);
			assert_true(r->seen[0] < released + 3 * 4096 || released == 0);
			assert_int_equal(r->seen_first + r->seen_n, r->added);
			assert_in_range(journal_slots_free(r->j), free_before - 1, free_before);
		}
	}
	assert_true(journal_segment_of(r->j, r->last_pos) > 30);
}

/* A pool without a free slot takes nothing more, and becomes free again by a release alone. */
static void full_pool(void **state)
{
	struct rig *r = *state;
	static const size_t sizes[] = { 50000, 5000, 4 };

	rig_open_ok(r);
	for (int round = 0; round < 3; round++) {
		uint64_t segno;

		for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
			for (int idle = 0; idle < 3;) {
				idle = rig_add(r, sizes[k]) == ST_FULL ? idle + 1 : 0;
				rig_settle(r);
			}
		}
		assert_int_equal(journal_slots_free(r->j), 0);
		if (round == 1) {
			rig_close(r);
			rig_open_ok(r);
			assert_int_equal(journal_slots_free(r->j), 0);
			assert_int_equal(rig_add(r, 4), ST_FULL);
		}
		segno = journal_segment_of(r->j, r->last_pos);
		journal_release(r->j, (segno - 1) * RIG_SEGMENT_BYTES);
		assert_int_equal(journal_slots_free(r->j), 2);
		rig_add_durable(r, 50000);
		assert_int_equal(journal_segment_of(r->j, r->last_pos), segno + 1);
	}
}

static void read_again(void **state)
{
	struct rig *r = *state;
	uint64_t pos[40];
	uint8_t buf[8192], type;
	size_t n;

	rig_open_ok(r);
	for (uint32_t i = 0; i < ARRAY_LEN(pos); i++) {
		while (rig_add(r, 4 + i * 200) == ST_FULL) {
			journal_pump(r->j);
			io_run(r->io, 10);
		}
		pos[i] = r->last_pos;
		/* Still in memory, or on its way. */
		assert_int_equal(journal_read(r->j, pos[i], &type, buf, sizeof(buf), &n, &r->e),
				 ST_OK);
		assert_int_equal(n, 4 + i * 200);
		assert_int_equal(buf[0], i);
		if (i % 3 == 0)
			journal_pump(r->j);
	}
	rig_settle(r);
	for (uint32_t i = 0; i < ARRAY_LEN(pos); i++) {
		assert_int_equal(journal_read(r->j, pos[i], &type, buf, sizeof(buf), &n, &r->e),
				 ST_OK);
		assert_int_equal(n, 4 + i * 200);
		assert_int_equal(buf[0], i);
		assert_int_equal(type, 1 + i % 5);
		assert_int_equal(journal_read(r->j, pos[i] + 1, &type, buf, sizeof(buf), &n, &r->e),
				 ST_CORRUPT);
		if (n > 0)
			assert_int_equal(journal_read(r->j, pos[i], &type, buf, n - 1, &n, &r->e),
					 ST_TOO_LARGE);
	}
	assert_int_equal(journal_read(r->j, journal_end(r->j) + 65536, &type, buf, sizeof(buf), &n,
				      &r->e), ST_NOT_FOUND);
	journal_release(r->j, r->last_pos);
	assert_int_equal(journal_read(r->j, pos[0], &type, buf, sizeof(buf), &n, &r->e),
			 ST_NOT_FOUND);
}

/* Answers come in any order; acknowledged is only what has nothing unwritten before it. */
static void order(void **state)
{
	struct rig *r = *state;
	uint64_t pos[4];

	rig_open_ok(r);
	rig_disk.hold = true;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(rig_add(r, 3000), ST_OK);
		journal_pump(r->j);
		pos[i] = r->last_pos;
	}
	assert_int_equal(rig_disk.held_n, 4);
	/* A fifth frame gathers until one of them is back; in the end there is no buffer left. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(rig_add(r, 100), ST_OK);
	journal_pump(r->j);
	assert_int_equal(rig_disk.held_n, 4);
	while (rig_add(r, 3000) == ST_OK)
		;
	rig_answer(2, 1);
	rig_answer(2, 1);		/* the fourth */
	assert_true(journal_durable(r->j) <= pos[0]);
	rig_answer(0, 1);
	assert_in_range(journal_durable(r->j), pos[0] + 1, pos[1]);
	rig_answer(0, 1);
	assert_in_range(journal_durable(r->j), pos[3] + 1, pos[3] + 8192);
	rig_disk.hold = false;
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, r->added);
}

/* All of a segment, then the next one's header, then its first frame. */
static void segment_order(void **state)
{
	struct rig *r = *state;

	rig_open_ok(r);
	rig_disk.hold = true;
	assert_int_equal(rig_add(r, 30000), ST_OK);
	journal_pump(r->j);
	assert_int_equal(rig_add(r, 15000), ST_OK);
	journal_pump(r->j);
	assert_int_equal(rig_add(r, 30000), ST_OK);
	journal_pump(r->j);
	assert_int_equal(journal_segment_of(r->j, r->last_pos), 2);
	assert_int_equal(rig_disk.held_n, 2);
	rig_answer(1, 1);
	journal_pump(r->j);
	assert_int_equal(rig_disk.held_n, 1);
	rig_answer(0, 1);
	journal_pump(r->j);
	assert_int_equal(rig_disk.held_n, 1);
	assert_int_equal(rig_disk.held[0].offset, 0);
	assert_int_equal(rig_disk.held[0].n, 4096);
	rig_answer(0, 1);
	journal_pump(r->j);
	assert_int_equal(rig_disk.held_n, 1);
	assert_int_equal(rig_disk.held[0].offset, 4096);
	rig_answer(0, 1);
	assert_true(r->last_pos < journal_durable(r->j));
}

static void first_failure_is_final(void **state)
{
	struct rig *r = *state;
	struct error e = { 0 };
	uint64_t durable;
	uint32_t acknowledged;

	rig_open_ok(r);
	rig_add_durable(r, 100);
	acknowledged = r->added;
	durable = journal_durable(r->j);
	rig_disk.hold = true;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_add(r, 100), ST_OK);
		journal_pump(r->j);
	}
	assert_false(journal_failed(r->j, &e));
	rig_answer(1, -EIO);
	assert_true(journal_failed(r->j, &e));
	assert_int_equal(e.status, ST_IO);
	assert_non_null(strstr(e.text, "segment 1 (slot-0000) at byte"));
	rig_answer(0, 1);
	rig_answer(0, 1);
	assert_int_equal(journal_durable(r->j), durable);
	assert_int_equal(rig_add(r, 100), ST_IO);
	journal_pump(r->j);
	assert_int_equal(rig_disk.held_n, 0);
	rig_disk.hold = false;
	rig_close(r);
	rig_open_ok(r);
	assert_true(r->seen_n >= acknowledged);
}

static void short_write_fails(void **state)
{
	struct rig *r = *state;
	struct error e = { 0 };

	rig_open_ok(r);
	rig_disk.hold = true;
	assert_int_equal(rig_add(r, 100), ST_OK);
	journal_pump(r->j);
	rig_answer(0, 0);
	assert_true(journal_failed(r->j, &e));
	assert_non_null(strstr(e.text, "short write"));
}

/* The kernel itself refuses a write: a limit on the file's length. */
static void refused_by_the_kernel(void **state)
{
	struct rig *r = *state;
	struct rlimit was, low;
	struct error e = { 0 };
	uint32_t acknowledged;

	rig_open_ok(r);
	rig_add_durable(r, 100);
	acknowledged = r->added;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	low = (struct rlimit){ 12 * 1024, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	for (int i = 0; i < 100 && !journal_failed(r->j, &e); i++) {
		if (rig_add(r, 1000) != ST_OK)
			break;
		journal_pump(r->j);
		io_run(r->io, 10);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_true(journal_failed(r->j, &e));
	rig_close(r);
	rig_open_ok(r);
	assert_true(r->seen_n >= acknowledged);
}

static void second_engine(void **state)
{
	struct rig *r = *state;
	struct journal *other = NULL;
	struct error e = { 0 };
	char pid[32];

	rig_open_ok(r);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_int_equal(journal_open(&other, r->io, &r->cfg, 0, NULL, NULL, &e), ST_EXISTS);
	assert_non_null(strstr(e.text, pid));
	rig_add_durable(r, 100);
}

static uint32_t files_in(const char *dir)
{
	char path[300];
	uint32_t n = 0;
	struct stat sb;

	for (uint32_t i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "%s/slot-%04u", dir, i);
		n += stat(path, &sb) == 0;
		snprintf(path, sizeof(path), "%s/slot-%04u.tmp", dir, i);
		n += stat(path, &sb) == 0;
	}
	return n;
}

static void no_space(void **state)
{
	struct rig *r = *state;

	r->cfg.segment_bytes = 0xfffff000;
	r->cfg.slots = 9999;
	assert_int_equal(rig_open(r), ST_NOSPACE);
	assert_non_null(strstr(r->e.text, "needs 42945337036800 bytes more"));
	assert_int_equal(files_in(r->dir.path), 0);

	r->cfg.segment_bytes = RIG_SEGMENT_BYTES;
	r->cfg.slots = RIG_SLOTS;
	rig_disk.no_space = true;
	assert_int_equal(rig_open(r), ST_NOSPACE);
	assert_non_null(strstr(r->e.text, "needs 262144 bytes more"));
	assert_int_equal(files_in(r->dir.path), 0);
	rig_disk.no_space = false;
	rig_open_ok(r);
	rig_add_durable(r, 100);
}

/* No direct writes: the same promises through the cache. */
static void plain_files(void **state)
{
	struct rig *r = *state;

	rig_disk.no_direct = true;
	rig_open_ok(r);
	for (int i = 0; i < 100; i++) {
		rig_add_durable(r, 3000);
		if (journal_slots_free(r->j) < 2)
			journal_release(r->j, r->last_pos);
	}
	rig_close(r);
	rig_disk.no_direct = false;
	rig_open_ok(r);
	assert_int_equal(r->seen_first + r->seen_n, 100);
}

static void settings(void **state)
{
	struct rig *r = *state;

	rig_open_ok(r);
	for (int i = 0; i < 30; i++)
		rig_add_durable(r, 3000);
	rig_close(r);
	r->cfg.segment_bytes *= 2;
	assert_int_equal(rig_open(r), ST_PRECONDITION);
	assert_non_null(strstr(r->e.text, "segments of 65536 bytes"));
	r->cfg.segment_bytes /= 2;
	/* Fewer slots than there are: all stay in use. More: the pool grows. */
	r->cfg.slots = 2;
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 30);
	assert_int_equal(journal_slots_free(r->j), 1);
	rig_close(r);
	r->cfg.slots = 6;
	rig_open_ok(r);
	assert_int_equal(journal_slots_free(r->j), 3);
	for (int i = 0; i < 30; i++)
		rig_add_durable(r, 3000);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 60);
}

/* The caller's no stops the start, with the caller's story or ours. */
static void replay_refused(void **state)
{
	struct rig *r = *state;

	rig_open_ok(r);
	rig_add_durable(r, 100);
	rig_close(r);
	r->replay_says = ST_UNSUPPORTED;
	assert_int_equal(rig_open(r), ST_UNSUPPORTED);
	assert_non_null(strstr(r->e.text, "record of type 1"));
	r->replay_says = ST_OK;
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 1);
}

/* Appends as fast as it can and says down the pipe how many records are durable, until it dies. */
static void append_for_ever(struct rig *r, int out)
{
	uint64_t pos[256];
	uint32_t durable = r->added;

	if (io_new(&r->io, r->kind, 16, &r->e) != ST_OK || rig_open(r) != ST_OK)
		_exit(1);
	for (;;) {
		uint32_t before = durable;

		while (r->added - durable < ARRAY_LEN(pos) &&
		       rig_add(r, 4 + r->added * 37 % 5000) == ST_OK) {
			pos[(r->added - 1) % ARRAY_LEN(pos)] = r->last_pos;
			journal_pump(r->j);
		}
		io_run(r->io, 10);
		journal_pump(r->j);
		while (durable < r->added && pos[durable % ARRAY_LEN(pos)] < journal_durable(r->j))
			durable++;
		journal_release(r->j, journal_durable(r->j));
		if (durable != before && write(out, &durable, sizeof(durable)) != sizeof(durable))
			_exit(0);
	}
}

#define RECORDS_MIN 200			/* in all rounds: else the writer was hardly tried */

/* Killed at random times: all that was acknowledged is there, nothing else than was written. */
static void killed(void **state)
{
	struct rig *r = *state;
	unsigned int seed = 20261124;

	/* A busy machine gets through fewer records in a round: then there are more rounds. */
	for (int round = 0; round < 20 || (r->added < RECORDS_MIN && round < 200); round++) {
		uint32_t durable = r->added, next;
		int fds[2];
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		if (child == 0)
			append_for_ever(r, fds[1]);
		close(fds[1]);
		usleep(10000 + (useconds_t)rand_r(&seed) % 40000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		while (read(fds[0], &next, sizeof(next)) == sizeof(next))
			durable = next;
		close(fds[0]);
		rig_open_ok(r);
		assert_true(r->seen_first + r->seen_n >= durable || r->seen_n == 0);
		if (r->seen_n > 0)
			r->added = r->seen_first + r->seen_n;
		assert_true(r->added >= durable);
		rig_close(r);
	}
	if (r->added < RECORDS_MIN)
		fail_msg("only %u records in all rounds", r->added);
}

#define BOTH(f) \
	{ #f " (io_uring)", f, rig_new, rig_free, &uring }, \
	{ #f " (posix)", f, rig_new, rig_free, &posix }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(round_trip), BOTH(batch_of_many), BOTH(close_writes), BOTH(limits),
		BOTH(recycle), BOTH(full_pool), BOTH(read_again), BOTH(order), BOTH(segment_order),
		BOTH(first_failure_is_final), BOTH(short_write_fails), BOTH(refused_by_the_kernel),
		BOTH(second_engine), BOTH(no_space), BOTH(plain_files), BOTH(settings),
		BOTH(replay_refused), BOTH(killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
