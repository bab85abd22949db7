#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "journal/waiting.h"
#include "journal/waitlog.h"
#include "tmpdir.h"

/* Linked with --wrap=pwrite: the write with this number fails, from 1 on; 0: none. */
static int fails_at, writes;
static bool short_write;

ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset);

ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	if (++writes != fails_at)
		return __real_pwrite(fd, buf, n, offset);
	if (short_write)
		return __real_pwrite(fd, buf, n / 2 / 4096 * 4096, offset);
	errno = EIO;
	return -1;
}

/* Linked with --wrap=log_line. */
static int warnings;

void __wrap_log_line(enum log_level level, const char *part, const char *fmt, ...);

void __wrap_log_line(enum log_level level, const char *part, const char *fmt, ...)
{
	warnings += level >= LOG_WARN;
}

struct room {
	struct tmpdir dir;
	struct waiting *w;
	struct waiting_reader *reader;
	struct error e;
	uint8_t *payload, *back, type;
};

#define READ(r, sequence, size, n) \
	waiting_read((r)->reader, sequence, &(r)->type, (r)->back, size, n, &(r)->e)

static void shut(struct room *r)
{
	waiting_reader_close(r->reader);
	waiting_close(r->w);
	r->reader = NULL;
	r->w = NULL;
}

static enum status open_room(struct room *r)
{
	enum status st = waiting_open(&r->w, r->dir.path, &r->e);

	return st == ST_OK ? waiting_reader_open(&r->reader, r->w, &r->e) : st;
}

static void reopen(struct room *r)
{
	shut(r);
	assert_int_equal(open_room(r), ST_OK);
}

static void refused(struct room *r, enum status want)
{
	shut(r);
	assert_int_equal(waiting_open(&r->w, r->dir.path, &r->e), want);
	assert_null(r->w);
}

static void index_path(char path[PATH_MAX], const struct room *r, const char *suffix)
{
	snprintf(path, PATH_MAX, "%s/index.db%s", r->dir.path, suffix);
}

/* All segments will be read again. */
static void index_remove(struct room *r)
{
	char path[PATH_MAX];

	shut(r);
	index_path(path, r, "");
	assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
	static struct room r;

	r.w = NULL;
	r.reader = NULL;
	*state = &r;
	fails_at = writes = warnings = 0;
	short_write = false;
	r.payload = malloc(JOURNAL_RECORD_BYTES_MAX + 1);
	r.back = malloc(JOURNAL_RECORD_BYTES_MAX);
	if (r.payload == NULL || r.back == NULL || tmpdir_make(&r.dir) != 0)
		return -1;
	return open_room(&r) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct room *r = *state;

	shut(r);
	tmpdir_remove(&r->dir);
	free(r->payload);
	free(r->back);
	return 0;
}

static struct slice payload_of(struct room *r, uint64_t sequence, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->payload[i] = (uint8_t)(sequence * 7 + i * 13 + (i >> 8));
	return slice_of(r->payload, n);
}

static struct waiting_row row_of(uint64_t sequence)
{
	struct waiting_row row = { .sequence = sequence, .lane = sequence % 64, .reason = 41,
				   .parked_ms = (int64_t)(1795500000000 + sequence),
				   .number = sequence + 1, .year = 2026 };

	snprintf(row.unit, sizeof(row.unit), "ubnd-%llu", (unsigned long long)sequence);
	snprintf(row.kind, sizeof(row.kind), "xac-nhan-tinh-trang-hon-nhan");
	snprintf(row.register_code, sizeof(row.register_code), "GXN");
	snprintf(row.number_text, sizeof(row.number_text), "%llu/GXN-UBND",
		 (unsigned long long)row.number);
	snprintf(row.detail, sizeof(row.detail), "certificate of unit expired");
	return row;
}

static void add(struct room *r, uint64_t sequence, size_t n)
{
	struct waiting_row row = row_of(sequence);

	assert_int_equal(waiting_add(r->w, &row, payload_of(r, sequence, n), &r->e), ST_OK);
}

static void removed(struct room *r, uint64_t sequence)
{
	assert_int_equal(waiting_remove(r->w, sequence, &r->e), ST_OK);
}

static void expect(struct room *r, uint64_t sequence, size_t n)
{
	struct waiting_row want = row_of(sequence), row;
	struct slice payload = payload_of(r, sequence, n);
	size_t got;

	assert_int_equal(waiting_find(r->reader, sequence, &row, &r->e), ST_OK);
	assert_int_equal(row.sequence, want.sequence);
	assert_int_equal(row.lane, want.lane);
	assert_int_equal(row.reason, want.reason);
	assert_int_equal(row.parked_ms, want.parked_ms);
	assert_int_equal(row.number, want.number);
	assert_int_equal(row.year, want.year);
	assert_string_equal(row.unit, want.unit);
	assert_string_equal(row.kind, want.kind);
	assert_string_equal(row.register_code, want.register_code);
	assert_string_equal(row.number_text, want.number_text);
	assert_string_equal(row.detail, want.detail);
	assert_int_equal(READ(r, sequence, JOURNAL_RECORD_BYTES_MAX, &got), ST_OK);
	assert_true(slice_eq(slice_of(r->back, got), payload));
}

static void absent(struct room *r, uint64_t sequence)
{
	struct waiting_row row;
	size_t n;

	assert_int_equal(waiting_find(r->reader, sequence, &row, &r->e), ST_NOT_FOUND);
	assert_int_equal(READ(r, sequence, JOURNAL_RECORD_BYTES_MAX, &n), ST_NOT_FOUND);
	assert_int_equal(waiting_remove(r->w, sequence, &r->e), ST_NOT_FOUND);
}

static uint32_t files(const struct room *r)
{
	DIR *d = opendir(r->dir.path);
	struct dirent *ent;
	uint32_t n = 0;

	assert_non_null(d);
	while ((ent = readdir(d)) != NULL)
		n += strstr(ent->d_name, ".seg") != NULL;
	closedir(d);
	return n;
}

static void path_of(char path[PATH_MAX], const struct room *r, uint32_t segno)
{
	snprintf(path, PATH_MAX, "%s/%016x.seg", r->dir.path, segno);
}

static void file_load(struct room *r, uint32_t segno, uint8_t **bytes, size_t *n)
{
	char path[PATH_MAX];

	path_of(path, r, segno);
	assert_int_equal(file_read(path, 64 << 20, bytes, n, &r->e), ST_OK);
}

static void file_put(struct room *r, uint32_t segno, const uint8_t *bytes, size_t n)
{
	char path[PATH_MAX];
	FILE *f;

	path_of(path, r, segno);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void rows_by_sequence(void **state)
{
	struct room *r = *state;
	struct waiting_row row;
	uint32_t n;

	assert_int_equal(waiting_count(r->w, 0), 0);
	assert_int_equal(waiting_after(r->reader, 0, 0, &row, 1, &n, &r->e), ST_OK);
	assert_int_equal(n, 0);
	absent(r, 1);
	for (uint64_t i = 0; i < 200; i++)
		add(r, i * 37 % 200 + 1, 1500);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(waiting_count(r->w, 0), 200);
		for (uint32_t i = 0; i < 200; i++) {
			assert_int_equal(waiting_after(r->reader, i % 2 == 0 ? STATE_HELD : 0, i,
						       &row, 1, &n, &r->e), ST_OK);
			assert_int_equal(n, 1);
			assert_int_equal(row.sequence, i + 1);
			expect(r, i + 1, 1500);
		}
		assert_int_equal(waiting_after(r->reader, STATE_HELD, 200, &row, 1, &n, &r->e),
				 ST_OK);
		assert_int_equal(n, 0);
		reopen(r);
	}
}

static void extremes(void **state)
{
	struct room *r = *state;
	struct waiting_row row = { .sequence = INT64_MAX,
				   .lane = 255,
				   .reason = 255,
				   .parked_ms = INT64_MIN,
				   .number = UINT64_MAX,
				   .year = UINT32_MAX };
	struct waiting_row got;
	size_t n;

	memset(row.unit, 'u', CODE_BYTES_MAX);
	memset(row.kind, 'k', CODE_BYTES_MAX);
	memset(row.register_code, 'r', CODE_BYTES_MAX);
	memset(row.number_text, 'n', NUMBER_TEXT_BYTES_MAX);
	memset(row.detail, 'd', sizeof(row.detail));	/* without an end */
	assert_int_equal(waiting_add(r->w, &row, payload_of(r, 9, JOURNAL_RECORD_BYTES_MAX), &r->e),
			 ST_OK);
	assert_int_equal(waiting_add(r->w, &row, payload_of(r, 9, JOURNAL_RECORD_BYTES_MAX + 1),
				     &r->e),
			 ST_TOO_LARGE);
	add(r, 1, 0);
	reopen(r);
	assert_int_equal(waiting_find(r->reader, INT64_MAX, &got, &r->e), ST_OK);
	assert_int_equal(got.parked_ms, INT64_MIN);
	assert_int_equal(strlen(got.number_text), NUMBER_TEXT_BYTES_MAX);
	assert_int_equal(strlen(got.detail), sizeof(row.detail) - 1);
	assert_int_equal(READ(r, INT64_MAX, JOURNAL_RECORD_BYTES_MAX, &n), ST_OK);
	assert_int_equal(n, JOURNAL_RECORD_BYTES_MAX);
	assert_int_equal(READ(r, INT64_MAX, n - 1, &n), ST_TOO_LARGE);
	expect(r, 1, 0);
}

static void the_later_record_is_the_right_one(void **state)
{
	struct room *r = *state;
	struct waiting_row row = row_of(5), got;

	add(r, 5, 100);
	row.reason = 7;
	assert_int_equal(waiting_add(r->w, &row, payload_of(r, 6, 300), &r->e), ST_OK);
	for (int round = 0; round < 2; round++) {
			size_t n;

		assert_int_equal(waiting_count(r->w, 0), 1);
		assert_int_equal(waiting_find(r->reader, 5, &got, &r->e), ST_OK);
		assert_int_equal(got.reason, 7);
		assert_int_equal(READ(r, 5, 300, &n), ST_OK);
		assert_int_equal(n, 300);
		reopen(r);
	}
	removed(r, 5);
	absent(r, 5);
	reopen(r);
	absent(r, 5);
}

static void empty_segments_go(void **state)
{
	struct room *r = *state;

	for (uint64_t i = 1; i <= 40; i++)
		add(r, i, 1000000);
	assert_int_equal(files(r), 5);
	for (uint64_t i = 9; i <= 16; i++)
		removed(r, i);
	assert_int_equal(files(r), 5);	/* the first one is still held: in order only */
	for (uint64_t i = 1; i <= 8; i++)
		removed(r, i);
	assert_int_equal(files(r), 3);
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 24);
	for (uint64_t i = 17; i <= 40; i++)
		expect(r, i, 1000000);
	for (uint64_t i = 17; i <= 40; i++)
		removed(r, i);
	assert_int_equal(files(r), 0);
	add(r, 99, 10);
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 1);
	expect(r, 99, 10);
}

/* A certificate that is missing for years, while others come and go. */
static void one_row_does_not_keep_the_rest(void **state)
{
	struct room *r = *state;

	add(r, 1, 500);
	for (uint64_t i = 2; i < 70; i++) {
		add(r, i, 1000000);
		removed(r, i);
		assert_in_range(files(r), 1, 5);
		if (i % 30 == 0)
			reopen(r);
	}
	expect(r, 1, 500);
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 1);
	expect(r, 1, 500);
}

/* Every length at which the last write may have ended. */
static void torn_tails_are_cut(void **state)
{
	struct room *r = *state;
	uint8_t *bytes;
	size_t n, last = 4096 + 2 * 4096 + 16384;

	add(r, 1, 1500);
	add(r, 2, 14000);
	removed(r, 1);
	add(r, 3, 10000);
	file_load(r, 1, &bytes, &n);
	assert_int_equal(n, last + 12288);
	/* A crash leaves no index that knows more than was durable. */
	for (size_t cut = last; cut < n; cut += cut - last < 70 ? 1 : 509) {
		index_remove(r);
		file_put(r, 1, bytes, cut);
		reopen(r);
		if (cut - last < 10000) {
			absent(r, 3);
			assert_int_equal(waiting_count(r->w, 0), 1);
			add(r, 3, 700);
			expect(r, 3, 700);
			reopen(r);
			expect(r, 3, 700);
		}
		absent(r, 1);
		expect(r, 2, 14000);
	}
	/* One block of the write did not arrive. */
	for (size_t block = last; block < n; block += 4096) {
		uint8_t saved[4096];

		memcpy(saved, bytes + block, 4096);
		memset(bytes + block, 0, 4096);
		index_remove(r);
		file_put(r, 1, bytes, n);
		reopen(r);
		absent(r, 3);
		expect(r, 2, 14000);
		memcpy(bytes + block, saved, 4096);
	}
	free(bytes);
}

/* What the index had seen was durable: that is no torn tail, and nothing of it is cut. */
static void what_the_index_knew_is_missed(void **state)
{
	struct room *r = *state;
	uint8_t *bytes;
	size_t n;

	for (uint64_t i = 1; i <= 4; i++)
		add(r, i, 3000);
	file_load(r, 1, &bytes, &n);
	for (size_t cut = 4096; cut < 4 * 4096 + 3000; cut += 509) {
		file_put(r, 1, bytes, cut);
		refused(r, ST_DAMAGED);
		assert_non_null(strstr(r->e.text, "held results are missing"));
	}
	bytes[4 * 4096 + 50] ^= 1;
	file_put(r, 1, bytes, n);
	refused(r, ST_DAMAGED);
	bytes[4 * 4096 + 50] ^= 1;
	file_put(r, 1, bytes, n);
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 4);
	free(bytes);
}

static void damage_is_told(void **state)
{
	struct room *r = *state;
	uint8_t *bytes;
	size_t n;

	for (uint64_t i = 1; i <= 4; i++)
		add(r, i, 3000);
	file_load(r, 1, &bytes, &n);
	assert_int_equal(n, 5 * 4096);
	for (size_t i = 0; i < n; i += 43) {
		size_t in_block = i % 4096;

		if (in_block >= 3100 && in_block < 3300)
			continue;	/* where the record ends */

		bool last = i >= 4 * 4096, padding = i >= 4096 && in_block >= 3300;

		bytes[i] ^= 0x20;
		index_remove(r);
		file_put(r, 1, bytes, n);
		if (padding) {
			reopen(r);
			assert_int_equal(waiting_count(r->w, 0), 4);
		} else if (last) {
			/* Nothing can tell it from a torn write. */
			reopen(r);
			assert_int_equal(waiting_count(r->w, 0), 3);
		} else {
			refused(r, ST_DAMAGED);
			assert_non_null(strstr(r->e.text, "broken at offset"));
		}
		bytes[i] ^= 0x20;
	}
	index_remove(r);
	/* Two frames changed places; one repeated. */
	memcpy(bytes + 4 * 4096, bytes + 3 * 4096, 4096);
	file_put(r, 1, bytes, n);
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 3);
	free(bytes);
}

static void damage_while_running(void **state)
{
	struct room *r = *state;
	char path[PATH_MAX];
	size_t got;
	FILE *f;

	add(r, 1, 3000);
	add(r, 2, 3000);
	path_of(path, r, 1);
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 4096 + 1000, SEEK_SET);
	fputc(0x77, f);
	fclose(f);
	assert_int_equal(READ(r, 1, JOURNAL_RECORD_BYTES_MAX, &got), ST_CORRUPT);
	expect(r, 2, 3000);
}

static void files_lost_or_half_born(void **state)
{
	struct room *r = *state;
	char path[PATH_MAX];
	uint8_t *bytes, zeros[4096] = { 0 };
	size_t n;

	for (uint64_t i = 1; i <= 20; i++)
		add(r, i, 1000000);
	assert_int_equal(files(r), 3);
	/* Created, but a crash came before its header. */
	file_put(r, 4, zeros, 0);
	reopen(r);
	assert_int_equal(files(r), 3);
	file_put(r, 4, zeros, 100);
	reopen(r);
	file_put(r, 4, zeros, sizeof(zeros));
	reopen(r);
	assert_int_equal(files(r), 3);
	for (uint64_t i = 21; i <= 25; i++)
		add(r, i, 1000000);
	assert_int_equal(files(r), 4);
	reopen(r);
	for (uint64_t i = 1; i <= 25; i++)
		expect(r, i, 1000000);
	/* The end of a segment that another one follows. */
	index_remove(r);
	file_load(r, 2, &bytes, &n);
	file_put(r, 2, bytes, n - 1003520);
	refused(r, ST_DAMAGED);
	file_put(r, 2, bytes, n - 4096);
	refused(r, ST_DAMAGED);
	file_put(r, 2, bytes, n);
	reopen(r);
	path_of(path, r, 2);
	assert_int_equal(unlink(path), 0);
	refused(r, ST_DAMAGED);
	assert_non_null(strstr(r->e.text, "missing"));
	/* Another segment in its place. */
	index_remove(r);
	free(bytes);
	file_load(r, 1, &bytes, &n);
	file_put(r, 2, bytes, n);
	refused(r, ST_DAMAGED);
	free(bytes);
}

/* The deletion of the oldest was not durable: its rows stay gone. */
static void a_segment_comes_back(void **state)
{
	struct room *r = *state;
	uint8_t *bytes;
	size_t n;

	for (uint64_t i = 1; i <= 10; i++)
		add(r, i, 1000000);
	assert_int_equal(files(r), 2);
	file_load(r, 1, &bytes, &n);
	for (uint64_t i = 1; i <= 8; i++)
		removed(r, i);
	assert_int_equal(files(r), 1);
	file_put(r, 1, bytes, n);
	reopen(r);
	assert_int_equal(files(r), 1);
	assert_int_equal(waiting_count(r->w, 0), 2);
	absent(r, 3);
	expect(r, 9, 1000000);
	free(bytes);
}

/* The first failed write is final; what was acknowledged before it is there after a restart. */
static void failed_writes_are_final(void **state)
{
	struct room *r = *state;
	struct waiting_row row = row_of(50);

	for (int kind = 0; kind < 2; kind++) {
		short_write = kind == 1;
		reopen(r);
		add(r, 1 + (uint64_t)kind, 9000);
		writes = 0;
		fails_at = 1;
		assert_int_equal(waiting_add(r->w, &row, payload_of(r, 50, 9000), &r->e),
				 kind == 0 ? ST_IO : ST_NOSPACE);
		fails_at = 0;
		assert_int_equal(waiting_add(r->w, &row, payload_of(r, 50, 9000), &r->e),
				 kind == 0 ? ST_IO : ST_NOSPACE);
		assert_int_equal(waiting_remove(r->w, 1, &r->e), kind == 0 ? ST_IO : ST_NOSPACE);
		assert_true(strlen(r->e.text) > 0);
		expect(r, 1, 9000);
		reopen(r);
		absent(r, 50);
		expect(r, 1, 9000);
		add(r, 60 + (uint64_t)kind, 9000);
		reopen(r);
		expect(r, 60 + (uint64_t)kind, 9000);
	}
}

/* One write, one moment: readers see all of a group or nothing. */
static void a_group_is_one_write(void **state)
{
	struct room *r = *state;
	struct waiting_row row;

	add(r, 1, 500);
	writes = 0;
	waiting_begin(r->w);
	for (uint64_t i = 2; i <= 50; i++)
		add(r, i, 700);
	removed(r, 1);
	removed(r, 7);
	assert_int_equal(writes, 0);
	assert_int_equal(waiting_find(r->reader, 2, &row, &r->e), ST_NOT_FOUND);
	assert_int_equal(waiting_find(r->reader, 1, &row, &r->e), ST_OK);
	assert_int_equal(waiting_count(r->w, 0), 1);
	assert_int_equal(waiting_commit(r->w, &r->e), ST_OK);
	assert_int_equal(writes, 1);
	for (int again = 0; again < 2; again++) {
		absent(r, 1);
		absent(r, 7);
		expect(r, 2, 700);
		expect(r, 50, 700);
		assert_int_equal(waiting_count(r->w, 0), 48);
		index_remove(r);
		assert_int_equal(open_room(r), ST_OK);
	}
	/* Nothing in it: nothing is written. */
	writes = 0;
	waiting_begin(r->w);
	assert_int_equal(waiting_commit(r->w, &r->e), ST_OK);
	assert_int_equal(writes, 0);
}

/* What does not fit one frame takes several; the same row may come and go within. */
static void a_group_of_any_size(void **state)
{
	struct room *r = *state;

	waiting_begin(r->w);
	for (uint64_t i = 1; i <= 30; i++)
		add(r, i, JOURNAL_RECORD_BYTES_MAX - (size_t)i);
	add(r, 3, 40);
	removed(r, 4);
	add(r, 4, 50);
	removed(r, 5);
	assert_int_equal(waiting_commit(r->w, &r->e), ST_OK);
	for (int again = 0; again < 2; again++) {
		expect(r, 1, JOURNAL_RECORD_BYTES_MAX - 1);
		expect(r, 3, 40);
		expect(r, 4, 50);
		absent(r, 5);
		expect(r, 30, JOURNAL_RECORD_BYTES_MAX - 30);
		reopen(r);
	}
	waiting_begin(r->w);
	for (uint64_t i = 1; i <= 30; i++)
		if (i != 5)
			removed(r, i);
	assert_int_equal(waiting_commit(r->w, &r->e), ST_OK);
	assert_int_equal(files(r), 0);
}

static void a_group_that_was_not_written_is_not_there(void **state)
{
	struct room *r = *state;

	add(r, 1, 500);
	waiting_begin(r->w);
	add(r, 2, 500);
	removed(r, 1);
	writes = 0;
	fails_at = 1;
	assert_int_equal(waiting_commit(r->w, &r->e), ST_IO);
	fails_at = 0;
	assert_int_equal(waiting_remove(r->w, 1, &r->e), ST_IO);
	assert_int_equal(waiting_count(r->w, 0), 1);
	expect(r, 1, 500);
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 1);
	expect(r, 1, 500);
	absent(r, 2);
	/* Nor one whose process ended in the midst of it: its only row is not taken for gone. */
	waiting_begin(r->w);
	removed(r, 1);
	assert_int_equal(waiting_count(r->w, 0), 1);
	add(r, 2, 500);
	reopen(r);
	absent(r, 2);
	expect(r, 1, 500);
}

#define GROUP_ROWS 12

/* Begins a group that takes several frames, and goes on to its end or to its first failure. */
static enum status large_group(struct room *r)
{
	enum status st = ST_OK;

	waiting_begin(r->w);
	for (uint64_t i = 2; i <= GROUP_ROWS && st == ST_OK; i++) {
		struct waiting_row row = row_of(i);

		st = waiting_add(r->w, &row, payload_of(r, i, JOURNAL_RECORD_BYTES_MAX), &r->e);
	}
	if (st == ST_OK) {
		removed(r, 1);
		assert_int_equal(waiting_remove(r->w, 1, &r->e), ST_NOT_FOUND);
	}
	return st;
}

/* How many of its rows are there: the first ones, each whole, and nothing behind the first gap. */
static uint64_t beginning(struct room *r)
{
	struct waiting_row row;
	uint64_t n = 0;

	while (n + 2 <= GROUP_ROWS &&
	       waiting_find(r->reader, n + 2, &row, &r->e) == ST_OK) {
		expect(r, n + 2, JOURNAL_RECORD_BYTES_MAX);
		n++;
	}
	for (uint64_t i = n + 2; i <= GROUP_ROWS; i++)
		absent(r, i);
	return n;
}

/* What stands in frames of its own may be there without the rest, never the rest without it. */
static void a_beginning_of_a_group_may_be_there(void **state)
{
	struct room *r = *state;
	struct waiting_row row;

	for (int at = 1; at <= 3; at++) {
		add(r, 1, 500);
		writes = 0;
		fails_at = at;
		assert_int_equal(large_group(r), ST_IO);
		assert_int_equal(waiting_commit(r->w, &r->e), ST_IO);
		fails_at = 0;
		assert_int_equal(waiting_find(r->reader, 2, &row, &r->e), ST_NOT_FOUND);
		assert_int_equal(waiting_count(r->w, 0), 1);
		expect(r, 1, 500);
		reopen(r);
		expect(r, 1, 500);
		if (at == 1)
			assert_int_equal(beginning(r), 0);
		else
			assert_in_range(beginning(r), 1, GROUP_ROWS - 2);
		assert_int_equal(waiting_count(r->w, 0), 1 + beginning(r));
		for (uint64_t i = 1; i <= GROUP_ROWS; i++)
			(void)!waiting_remove(r->w, i, &r->e);
	}
	/* Its process ended before the commit: the last frame has not been written. */
	add(r, 1, 500);
	assert_int_equal(large_group(r), ST_OK);
	reopen(r);
	expect(r, 1, 500);
	assert_in_range(beginning(r), 1, GROUP_ROWS - 1);
}

/* A segment's header block as a later format would have it. */
static void format_raise(const uint8_t header[4096], uint8_t out[4096])
{
	uint32_t crc;

	memmove(out, header, 4096);
	out[8] = 2;
	crc = crc32c(0, out, 4092);
	for (int i = 0; i < 4; i++)
		out[4092 + i] = (uint8_t)(crc >> 8 * i);
}

static void unknown_is_refused_by_name(void **state)
{
	struct room *r = *state;
	char path[PATH_MAX];
	uint8_t *bytes;
	size_t n;

	add(r, 1, 100);
	file_load(r, 1, &bytes, &n);
	format_raise(bytes, bytes);
	file_put(r, 1, bytes, n);
	refused(r, ST_UNSUPPORTED);
	free(bytes);
	/* Other files in the folder are not ours. */
	path_of(path, r, 1);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/notes.txt", r->dir.path);
	fclose(fopen(path, "w"));
	reopen(r);
	assert_int_equal(waiting_count(r->w, 0), 0);
}

static enum status nothing(void *ctx, const struct frame_record *rec, struct error *e)
{
	return ST_OK;
}

/* Behind what the index knows. */
static void foreign_append(struct room *r, uint8_t type, uint8_t version)
{
	const struct waitlog_place begin = { 0 };
	struct slice payload = slice_str("of a later version");
	struct waitlog *log;
	uint64_t pos;

	assert_int_equal(waitlog_open(&log, r->dir.path, &begin, &begin, nothing, NULL, &r->e),
			 ST_OK);
	assert_int_equal(waitlog_append(log, type, version, &payload, 1, &pos, &r->e), ST_OK);
	assert_int_equal(waitlog_flush(log, &r->e), ST_OK);
	waitlog_close(log);
}

/* The version that wrote it finds all as it was: nothing is made again in order to refuse it. */
static void a_later_version_keeps_its_index(void **state)
{
	struct room *r = *state;
	uint8_t *bytes, later[4096];
	char path[PATH_MAX];
	struct stat before, after;
	size_t n;

	add(r, 1, 100);
	shut(r);
	file_load(r, 1, &bytes, &n);
	index_path(path, r, "");
	assert_int_equal(stat(path, &before), 0);
	for (int kind = 0; kind < 3; kind++) {
		if (kind == 0) {
			format_raise(bytes, later);
			file_put(r, 1, later, sizeof(later));
		} else {
			foreign_append(r, kind == 1 ? WAITLOG_GONE + 1 : WAITLOG_PUT,
				       kind == 1 ? 1 : 99);
		}
		warnings = 0;
		refused(r, ST_UNSUPPORTED);
		assert_non_null(strstr(r->e.text, "start the version that wrote it"));
		assert_int_equal(warnings, 0);
		assert_int_equal(stat(path, &after), 0);
		assert_int_equal(after.st_ino, before.st_ino);
		file_put(r, 1, bytes, n);
		assert_int_equal(open_room(r), ST_OK);
		assert_false(waiting_made_anew(r->w));
		expect(r, 1, 100);
		shut(r);
	}
	free(bytes);
}

/* Against a model, with restarts. */
static void at_random(void **state)
{
	struct room *r = *state;
	static size_t sizes[64];
	unsigned int seed = 11;
	uint32_t held = 0, seen = 0;

	memset(sizes, 0, sizeof(sizes));
	for (int i = 0; i < 700; i++) {
		uint64_t sequence = (uint64_t)rand_r(&seed) % 64;
		bool grouped = i / 100 % 2 == 1;
		size_t n = 1 + (size_t)rand_r(&seed) % (i % 10 == 0 ? 900000 : 6000);

		if (grouped && i % 10 == 0)
			waiting_begin(r->w);
		if (sizes[sequence] == 0 || rand_r(&seed) % 4 == 0) {
			add(r, sequence, n);
			held += sizes[sequence] == 0;
			sizes[sequence] = n;
		} else {
			removed(r, sequence);
			held--;
			sizes[sequence] = 0;
		}
		if (grouped && i % 10 == 9)
			assert_int_equal(waiting_commit(r->w, &r->e), ST_OK);
		if (!grouped || i % 10 == 9)
			seen = held;
		if (i % 50 == 9)
			reopen(r);
		assert_int_equal(waiting_count(r->w, 0), seen);
		assert_in_range(files(r), held > 0, 12);
	}
	for (uint64_t i = 0; i < 64; i++) {
		if (sizes[i] != 0)
			expect(r, i, sizes[i]);
		else
			absent(r, i);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(rows_by_sequence), CASE(extremes), CASE(the_later_record_is_the_right_one),
		CASE(empty_segments_go), CASE(one_row_does_not_keep_the_rest),
		CASE(torn_tails_are_cut), CASE(what_the_index_knew_is_missed),
		CASE(damage_is_told), CASE(damage_while_running),
		CASE(files_lost_or_half_born), CASE(a_segment_comes_back),
		CASE(failed_writes_are_final), CASE(a_group_is_one_write),
		CASE(a_group_of_any_size), CASE(a_group_that_was_not_written_is_not_there),
		CASE(a_beginning_of_a_group_may_be_there),
		CASE(unknown_is_refused_by_name), CASE(a_later_version_keeps_its_index),
		CASE(at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
