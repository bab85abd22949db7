/* The waiting room's index: what it answers, and that it is never more than the segments say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/db.h"
#include "io/file.h"
#include "journal/waitcheck.h"
#include "journal/waitlog.h"
#include "tmpdir.h"

#define TEXT(s) slice_str(s)
#define TEXT_OF(s) { (const uint8_t *)(s), sizeof(s) - 1 }	/* where a constant is needed */
#define PAYLOAD_BYTES 600

/* Linked with --wrap=db_run: the commit with this number fails, from 1 on; 0: none. */
static int fails_at, commits;
static bool dies;

enum status __real_db_run(sqlite3 *db, const char *path, const char *sql, struct error *e);
enum status __wrap_db_run(sqlite3 *db, const char *path, const char *sql, struct error *e);

enum status __wrap_db_run(sqlite3 *db, const char *path, const char *sql, struct error *e)
{
	if (strcmp(sql, "COMMIT") != 0 || ++commits != fails_at)
		return __real_db_run(db, path, sql, e);
	if (dies)
		_exit(9);
	return error_set(e, ST_NOSPACE, "%s: cannot write: disk full", path);
}

struct room {
	struct tmpdir dir;
	struct waiting *w;
	struct waiting_reader *reader;
	struct error e;
	uint8_t back[PAYLOAD_BYTES + 1000], type;
};

static void shut(struct room *r)
{
	waiting_reader_close(r->reader);
	waiting_close(r->w);
	r->reader = NULL;
	r->w = NULL;
}

static void open_room(struct room *r)
{
	assert_int_equal(waiting_open(&r->w, r->dir.path, &r->e), ST_OK);
	assert_int_equal(waiting_reader_open(&r->reader, r->w, &r->e), ST_OK);
}

static int setup(void **state)
{
	static struct room r;

	memset(&r, 0, sizeof(r));
	fails_at = commits = 0;
	dies = false;
	*state = &r;
	if (tmpdir_make(&r.dir) != 0)
		return -1;
	open_room(&r);
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;

	shut(r);
	tmpdir_remove(&r->dir);
	return 0;
}

static struct waiting_row row_of(uint64_t sequence)
{
	struct waiting_row row = { .sequence = sequence, .lane = sequence % 64,
				   .state = STATE_HELD, .reason = 41, .record = RECORD_NUMBERED,
				   .parked_ms = 1795500000000, .number = sequence, .year = 2026 };

	snprintf(row.unit, sizeof(row.unit), "ubnd-%llu", (unsigned long long)sequence % 3);
	snprintf(row.kind, sizeof(row.kind), "kind-%llu", (unsigned long long)sequence % 2);
	snprintf(row.signer, sizeof(row.signer), "signer-%llu", (unsigned long long)sequence % 4);
	snprintf(row.case_code, sizeof(row.case_code), "H29.15-%llu",
		 (unsigned long long)sequence / 4);
	return row;
}

static struct slice payload_of(uint64_t sequence, uint8_t bytes[PAYLOAD_BYTES])
{
	for (size_t i = 0; i < PAYLOAD_BYTES; i++)
		bytes[i] = (uint8_t)(sequence * 7 + i * 13);
	return slice_of(bytes, PAYLOAD_BYTES);
}

static void put(struct room *r, const struct waiting_row *row)
{
	uint8_t bytes[PAYLOAD_BYTES];

	assert_int_equal(waiting_add(r->w, row, payload_of(row->sequence, bytes), &r->e), ST_OK);
}

static void add(struct room *r, uint64_t sequence)
{
	struct waiting_row row = row_of(sequence);

	put(r, &row);
}

static void expect(struct room *r, uint64_t sequence)
{
	uint8_t bytes[PAYLOAD_BYTES];
	struct waiting_row row;
	size_t n;

	assert_int_equal(waiting_find(r->reader, sequence, &row, &r->e), ST_OK);
	assert_int_equal(row.sequence, sequence);
	assert_int_equal(waiting_read(r->reader, sequence, &r->type, r->back, sizeof(r->back), &n,
				      &r->e), ST_OK);
	assert_int_equal(r->type, RECORD_NUMBERED);
	assert_true(slice_eq(slice_of(r->back, n), payload_of(sequence, bytes)));
}

static void absent(struct room *r, uint64_t sequence)
{
	struct waiting_row row;

	assert_int_equal(waiting_find(r->reader, sequence, &row, &r->e), ST_NOT_FOUND);
}

static void path_of(char path[PATH_MAX], const struct room *r, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", r->dir.path, name);
}

static void index_remove(struct room *r)
{
	char path[PATH_MAX];

	path_of(path, r, "index.db");
	assert_int_equal(unlink(path), 0);
}

static void file_take(struct room *r, const char *name, uint8_t **bytes, size_t *n)
{
	char path[PATH_MAX];

	path_of(path, r, name);
	assert_int_equal(file_read(path, 64 << 20, bytes, n, &r->e), ST_OK);
}

static void file_put(struct room *r, const char *name, const void *bytes, size_t n)
{
	char path[PATH_MAX];

	path_of(path, r, name);
	assert_int_equal(file_replace(path, slice_of(bytes, n), 0600, &r->e), ST_OK);
}

#define SEGMENT_1 "0000000000000001.seg"

/* ---- the index and the segments ---- */

static void deleted_is_made_anew(void **state)
{
	struct room *r = *state;
	char path[PATH_MAX];
	struct stat sb;

	for (uint64_t i = 1; i <= 50; i++)
		add(r, i);
	for (uint64_t i = 1; i <= 50; i += 5)
		assert_int_equal(waiting_remove(r->w, i, &r->e), ST_OK);
	shut(r);
	path_of(path, r, "index.db");
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	open_room(r);
	assert_false(waiting_made_anew(r->w));
	shut(r);
	assert_int_equal(unlink(path), 0);
	open_room(r);
	assert_true(waiting_made_anew(r->w));
	assert_int_equal(waiting_count(r->w, 0), 40);
	assert_int_equal(waiting_count(r->w, STATE_HELD), 40);
	for (uint64_t i = 1; i <= 50; i++) {
		if (i % 5 == 1)
			absent(r, i);
		else
			expect(r, i);
	}
}

/* As a power cut leaves it: commits are not durable, only whole. */
static void behind_catches_up(void **state)
{
	struct room *r = *state;
	uint8_t *index;
	size_t n;

	for (uint64_t i = 1; i <= 20; i++)
		add(r, i);
	shut(r);
	file_take(r, "index.db", &index, &n);
	open_room(r);
	for (uint64_t i = 21; i <= 40; i++)
		add(r, i);
	for (uint64_t i = 1; i <= 40; i += 4)
		assert_int_equal(waiting_remove(r->w, i, &r->e), ST_OK);
	shut(r);
	file_put(r, "index.db", index, n);
	free(index);
	open_room(r);
	assert_false(waiting_made_anew(r->w));
	assert_int_equal(waiting_count(r->w, STATE_HELD), 30);
	for (uint64_t i = 1; i <= 40; i++) {
		if (i % 4 == 1)
			absent(r, i);
		else
			expect(r, i);
	}
}

/* A restored folder with the index of a later day: who restored says that it is meant. */
static void ahead_is_refused(void **state)
{
	struct room *r = *state;
	uint8_t *segment;
	size_t n;

	for (uint64_t i = 1; i <= 10; i++)
		add(r, i);
	file_take(r, SEGMENT_1, &segment, &n);
	for (uint64_t i = 11; i <= 20; i++)
		add(r, i);
	assert_int_equal(waiting_remove(r->w, 3, &r->e), ST_OK);
	shut(r);
	file_put(r, SEGMENT_1, segment, n);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(waiting_open(&r->w, r->dir.path, &r->e), ST_DAMAGED);
		assert_non_null(strstr(r->e.text, "to go on without them, delete index.db"));
	}
	index_remove(r);
	open_room(r);
	assert_true(waiting_made_anew(r->w));
	assert_int_equal(waiting_count(r->w, 0), 10);
	expect(r, 3);
	absent(r, 11);
	free(segment);
}

/* Of the same length, but another history. */
static void foreign_is_made_anew(void **state)
{
	struct room *r = *state;
	uint8_t *first, *segment;
	size_t first_n, n;

	add(r, 1);
	file_take(r, SEGMENT_1, &first, &first_n);
	for (uint64_t i = 2; i <= 10; i++)
		add(r, i);
	file_take(r, SEGMENT_1, &segment, &n);
	shut(r);
	index_remove(r);
	file_put(r, SEGMENT_1, first, first_n);
	open_room(r);
	for (uint64_t i = 102; i <= 110; i++)
		add(r, i);
	shut(r);
	file_put(r, SEGMENT_1, segment, n);
	open_room(r);
	assert_true(waiting_made_anew(r->w));
	assert_int_equal(waiting_count(r->w, 0), 10);
	absent(r, 102);
	expect(r, 10);
	free(first);
	free(segment);
}

static void broken_is_made_anew(void **state)
{
	struct room *r = *state;
	static const char other[] =
		"CREATE TABLE place (id INTEGER PRIMARY KEY, format INTEGER, frame INTEGER, "
		"upto INTEGER, crc INTEGER); INSERT INTO place VALUES (1, 99, 0, 0, 0);";
	char path[PATH_MAX];
	sqlite3 *db = NULL;

	add(r, 1);
	shut(r);
	file_put(r, "index.db", "no database, and longer than a header of one would be", 53);
	open_room(r);
	expect(r, 1);
	shut(r);
	path_of(path, r, "index.db");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(db_connect(&db, path, other, &r->e), ST_OK);
	sqlite3_close(db);
	open_room(r);
	expect(r, 1);
	/* Without a place it says nothing of the segments. */
	shut(r);
	assert_int_equal(db_connect(&db, path, "DELETE FROM place", &r->e), ST_OK);
	sqlite3_close(db);
	open_room(r);
	expect(r, 1);
	assert_int_equal(waiting_count(r->w, 0), 1);
}

/* Found only when what it lacks is applied to it. */
static void broken_within_is_made_anew(void **state)
{
	struct room *r = *state;
	char path[PATH_MAX];
	sqlite3 *db = NULL;
	uint8_t *index;
	size_t n;

	add(r, 1);
	add(r, 2);
	shut(r);
	file_take(r, "index.db", &index, &n);
	open_room(r);
	assert_int_equal(waiting_remove(r->w, 1, &r->e), ST_OK);
	shut(r);
	file_put(r, "index.db", index, n);
	free(index);
	path_of(path, r, "index.db");
	assert_int_equal(db_connect(&db, path, "UPDATE waiting SET state = 99", &r->e), ST_OK);
	sqlite3_close(db);
	open_room(r);
	assert_true(waiting_made_anew(r->w));
	absent(r, 1);
	expect(r, 2);
	assert_int_equal(waiting_count(r->w, 0), 1);
}

/* The segment has it, the index does not: told as a failure, found at the next start. */
static void a_commit_fails(void **state)
{
	struct room *r = *state;
	struct waiting_row row = row_of(2);
	uint8_t bytes[PAYLOAD_BYTES];

	add(r, 1);
	commits = 0;
	fails_at = 1;
	assert_int_equal(waiting_add(r->w, &row, payload_of(2, bytes), &r->e), ST_NOSPACE);
	fails_at = 0;
	assert_int_equal(waiting_add(r->w, &row, payload_of(2, bytes), &r->e), ST_NOSPACE);
	assert_int_equal(waiting_remove(r->w, 1, &r->e), ST_NOSPACE);
	absent(r, 2);
	shut(r);
	open_room(r);
	expect(r, 1);
	expect(r, 2);
}

static void killed_before_the_commit(void **state)
{
	struct room *r = *state;

	add(r, 1);
	add(r, 2);
	shut(r);
	for (int removes = 0; removes < 2; removes++) {
		pid_t child = fork();
		int code;

		if (child == 0) {
			if (waiting_open(&r->w, r->dir.path, &r->e) != ST_OK)
				_exit(1);
			commits = 0;
			fails_at = 1;
			dies = true;
			if (removes)
				(void)!waiting_remove(r->w, 1, &r->e);
			else
				add(r, 3);
			_exit(2);
		}
		assert_int_equal(waitpid(child, &code, 0), child);
		assert_int_equal(WEXITSTATUS(code), 9);
		open_room(r);
		assert_false(waiting_made_anew(r->w));
		expect(r, 2);
		expect(r, 3);
		if (removes)
			absent(r, 1);
		else
			expect(r, 1);
		assert_int_equal(waiting_count(r->w, STATE_HELD), removes ? 2 : 3);
		shut(r);
	}
}

/* ---- offline ---- */

static void count_line(void *ctx, const char *line)
{
	(*(uint32_t *)ctx)++;
}

/* Findings; the frames one after the other, as a walk over the segments gives them. */
static uint32_t checked(struct room *r, uint64_t *rows)
{
	struct waitcheck *c;
	uint8_t *bytes;
	uint32_t findings = 0;
	size_t n, at = FRAME_BLOCK_BYTES;

	assert_int_equal(waitcheck_new(&c, r->dir.path), ST_OK);
	file_take(r, SEGMENT_1, &bytes, &n);
	while (at < n) {
		uint64_t position = WAITLOG_SEGMENT_BYTES + at;
		uint32_t length = frame_length(bytes + at, 1, position);
		struct frame_view v;

		assert_int_equal(frame_check(&v, slice_of(bytes + at, length), 1, position), ST_OK);
		assert_int_equal(waitcheck_frame(c, &v), ST_OK);
		at += frame_padded(length);
	}
	assert_int_equal(waitcheck_end(c, count_line, &findings, rows, &r->e), ST_OK);
	waitcheck_free(c);
	free(bytes);
	return findings;
}

static void the_index_is_checked(void **state)
{
	struct room *r = *state;
	static const char *const wrong[] = {
		"DELETE FROM waiting WHERE sequence = 7",
		"INSERT INTO waiting SELECT 99, position, size, state, signer, priority, due, "
		"expires, unit, kind, case_code, register, year, number, row, accepted FROM "
		"waiting WHERE sequence = 8",
		"UPDATE waiting SET position = position + 4096 WHERE sequence = 9",
	};
	uint8_t *index;
	char path[PATH_MAX];
	uint64_t rows;
	size_t n;

	for (uint64_t i = 1; i <= 10; i++)
		add(r, i);
	shut(r);
	file_take(r, "index.db", &index, &n);
	open_room(r);
	assert_int_equal(waiting_remove(r->w, 4, &r->e), ST_OK);
	add(r, 2);
	shut(r);
	assert_int_equal(checked(r, &rows), 0);
	assert_int_equal(rows, 9);
	path_of(path, r, "index.db");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		sqlite3 *db = NULL;

		assert_int_equal(db_connect(&db, path, wrong[i], &r->e), ST_OK);
		sqlite3_close(db);
		assert_int_equal(checked(r, &rows), 1);
	}
	/* Behind, missing or of no form: the next start sees to it. */
	file_put(r, "index.db", index, n);
	assert_int_equal(checked(r, &rows), 0);
	file_put(r, "index.db", index, n / 2);
	assert_int_equal(checked(r, &rows), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(checked(r, &rows), 0);
	assert_int_equal(rows, 9);
	free(index);
}

/* ---- what it answers ---- */

static int by_urgency(const void *a, const void *b)
{
	const struct waiting_row *x = a, *y = b;
	int64_t due_x = x->due_ms != 0 ? x->due_ms : INT64_MAX;
	int64_t due_y = y->due_ms != 0 ? y->due_ms : INT64_MAX;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (due_x != due_y)
		return due_x < due_y ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static bool fits(const struct waiting_row *row, const struct waiting_filter *f)
{
	return row->state == (uint8_t)f->state &&
	       (f->signer == NULL || strcmp(row->signer, f->signer) == 0) &&
	       (f->unit == NULL || strcmp(row->unit, f->unit) == 0) &&
	       (f->kind == NULL || strcmp(row->kind, f->kind) == 0) &&
	       (f->due_before_ms == 0 || (row->due_ms != 0 && row->due_ms < f->due_before_ms));
}

/* Page by page, against the rows sorted here. */
static void list_like(struct room *r, const struct waiting_row *all, uint32_t all_n,
		      const struct waiting_filter *f, uint32_t page)
{
	struct waiting_row *want = calloc(all_n, sizeof(*want)), *got = calloc(page, sizeof(*got));
	struct waiting_place place;
	const struct waiting_place *after = NULL;
	uint32_t want_n = 0, at = 0, n;

	assert_non_null(want);
	assert_non_null(got);
	for (uint32_t i = 0; i < all_n; i++)
		if (fits(&all[i], f))
			want[want_n++] = all[i];
	qsort(want, want_n, sizeof(*want), by_urgency);
	do {
		assert_int_equal(waiting_list(r->reader, f, after, got, page, &n, &r->e), ST_OK);
		for (uint32_t i = 0; i < n; i++, at++) {
			assert_in_range(at, 0, want_n - 1);
			assert_int_equal(got[i].sequence, want[at].sequence);
			place = (struct waiting_place){ got[i].priority, got[i].due_ms,
							got[i].sequence };
		}
		after = &place;
	} while (n == page);
	assert_int_equal(at, want_n);
	free(want);
	free(got);
}

#define ROWS 120

static void orders_and_pages(void **state)
{
	struct room *r = *state;
	static const enum state states[] = { STATE_HELD, STATE_AWAITING_APPROVAL,
					     STATE_AWAITING_SIGNATURE };
	struct waiting_row *all = calloc(ROWS, sizeof(*all)), got[8];
	unsigned int seed = 5;
	uint32_t n;

	assert_non_null(all);
	for (uint32_t i = 0; i < ROWS; i++) {
		all[i] = row_of((uint64_t)i * 77 % ROWS + 1);
		all[i].state = (uint8_t)states[rand_r(&seed) % 3];
		all[i].priority = (uint8_t)(rand_r(&seed) % 3);
		all[i].due_ms = rand_r(&seed) % 3 == 0 ? 0 : 1000 + rand_r(&seed) % 5;
		all[i].expires_ms = rand_r(&seed) % 2 == 0 ? 0 : 500 + rand_r(&seed) % 100;
		put(r, &all[i]);
	}
	for (int s = 0; s < 3; s++) {
		const struct waiting_filter filters[] = {
			{ .state = states[s] },
			{ .state = states[s], .signer = "signer-2" },
			{ .state = states[s], .signer = "signer-1", .unit = "ubnd-1" },
			{ .state = states[s], .kind = "kind-1", .unit = "ubnd-2" },
			{ .state = states[s], .signer = "signer-3", .due_before_ms = 1003 },
			{ .state = states[s], .due_before_ms = 1001 },
			{ .state = states[s], .signer = "nobody" },
		};

		for (size_t i = 0; i < ARRAY_LEN(filters); i++)
			for (uint32_t page = 1; page <= 7; page += 3)
				list_like(r, all, ROWS, &filters[i], page);
	}
	assert_int_equal(waiting_case(r->reader, TEXT("ubnd-0"), TEXT("H29.15-6"), got, 8, &n,
				      &r->e), ST_OK);
	assert_int_equal(n, 2);		/* 24 and 27 are of ubnd-0; 25 and 26 are not */
	assert_int_equal(got[0].sequence, 24);
	assert_int_equal(got[1].sequence, 27);
	assert_int_equal(waiting_case(r->reader, TEXT("ubnd-0"), TEXT("H29"), got, 8, &n, &r->e),
			 ST_OK);
	assert_int_equal(n, 0);
	free(all);
}

static void those_whose_time_is_over(void **state)
{
	struct room *r = *state;
	struct waiting_row got[8];
	uint32_t n;

	for (uint64_t i = 1; i <= 6; i++) {
		struct waiting_row row = row_of(i);

		row.state = i == 6 ? STATE_HELD : STATE_AWAITING_APPROVAL;
		row.expires_ms = i == 3 ? 0 : (int64_t)(1000 - 10 * i);
		put(r, &row);
	}
	assert_int_equal(waiting_expired(r->reader, STATE_AWAITING_APPROVAL, 980, 0, 0, got, 8,
					 &n, &r->e), ST_OK);
	assert_int_equal(n, 3);
	assert_int_equal(got[0].sequence, 5);
	assert_int_equal(got[1].sequence, 4);
	assert_int_equal(got[2].sequence, 2);
	assert_int_equal(waiting_expired(r->reader, STATE_AWAITING_APPROVAL, 949, 0, 0, got, 8,
					 &n, &r->e), ST_OK);
	assert_int_equal(n, 0);
	/* Page by page; of two that expire together, too. */
	for (uint64_t i = 7; i <= 9; i++) {
		struct waiting_row row = row_of(i);

		row.state = STATE_AWAITING_APPROVAL;
		row.expires_ms = 960;
		put(r, &row);
	}
	for (uint64_t i = 0, want[] = { 5, 4, 7, 8, 9, 2 }, after = 0; i < 6; i++) {
		int64_t after_ms = i > 0 ? got[0].expires_ms : 0;

		assert_int_equal(waiting_expired(r->reader, STATE_AWAITING_APPROVAL, 980, after_ms,
						 after, got, 1, &n, &r->e), ST_OK);
		assert_int_equal(n, 1);
		assert_int_equal(got[0].sequence, want[i]);
		after = got[0].sequence;
	}
	assert_int_equal(waiting_expired(r->reader, STATE_AWAITING_APPROVAL, 980, 980, 2, got, 8,
					 &n, &r->e), ST_OK);
	assert_int_equal(n, 0);
}

static void counts_by_state(void **state)
{
	struct room *r = *state;
	struct waiting_row row = row_of(1);

	add(r, 2);
	row.state = STATE_AWAITING_APPROVAL;
	put(r, &row);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(waiting_count(r->w, STATE_HELD), 1);
		assert_int_equal(waiting_count(r->w, STATE_AWAITING_APPROVAL), 1);
		shut(r);
		open_room(r);
	}
	add(r, 1);
	assert_int_equal(waiting_count(r->w, STATE_HELD), 2);
	assert_int_equal(waiting_count(r->w, STATE_AWAITING_APPROVAL), 0);
	assert_int_equal(waiting_count(r->w, 0), 2);
}

/* A start tries all that is held: what fails as before costs no write. */
static void the_same_again_is_not_written(void **state)
{
	struct room *r = *state;
	struct waiting_row row = row_of(1), got;
	char path[PATH_MAX];
	struct stat before, after;

	put(r, &row);
	path_of(path, r, SEGMENT_1);
	assert_int_equal(stat(path, &before), 0);
	row.parked_ms += 5000;
	put(r, &row);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(waiting_find(r->reader, 1, &got, &r->e), ST_OK);
	assert_int_equal(got.parked_ms, row_of(1).parked_ms);
	row.reason = 12;
	put(r, &row);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_size > before.st_size);
	assert_int_equal(waiting_find(r->reader, 1, &got, &r->e), ST_OK);
	assert_int_equal(got.parked_ms, row.parked_ms);
	assert_int_equal(waiting_add(r->w, &row, TEXT("another record"), &r->e), ST_OK);
	assert_int_equal(stat(path, &before), 0);
	assert_true(before.st_size > after.st_size);
	assert_int_equal(waiting_count(r->w, 0), 1);
}

/* ---- what a record says of a row ---- */

static struct field person[] = { { .name = TEXT_OF("ho_ten"), .type = FIELD_TEXT,
				   .text = TEXT_OF("Nguyễn Thị Ánh") },
				 { .name = TEXT_OF("ngay_sinh"), .type = FIELD_DATE,
				   .date = { 1987, 3, 0 } } };

/* A case of two results, numbered; the second one is wanted, with these fields. */
static size_t numbered_with(uint8_t *out, size_t size, struct field *fields, uint8_t fields_n)
{
	static const uint8_t facts[] = { 0x0a, 0x01, 'x', 0x18, 0x02, 0x2a, 0x08, 0x08,
					 0x80, 0xa6, 0xcf, 0xd3, 0x06, 0x10, 0x05 };
	static uint8_t bytes[4096];
	struct holder holders[] = { { .id_kind = ID_CITIZEN, .role = HOLDER_OWNER,
				      .country = TEXT("VN"), .number = TEXT("001000000001"),
				      .name = TEXT("Nguyễn Thị Ánh") },
				    { .role = HOLDER_CHILD, .name = TEXT("Trẻ Một") } };
	struct case_result results[] = {
		{ .unit = TEXT("ubnd-1"), .kind = TEXT("a"), .signer = TEXT("chu-tich") },
		{ .unit = TEXT("ubnd-1"), .kind = TEXT("b"), .signer = TEXT("pho-chu-tich"),
		  .ordinal = 3, .revision = 2, .fields_n = fields_n, .fields = fields },
	};
	struct case_view c = { .code = TEXT("H29.15-7"), .holders_n = 2, .results_n = 2,
			       .holders = holders, .results = results,
			       .priority = PRIORITY_BULK,
			       .facts = slice_of(facts, sizeof(facts)) };
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_numbered rec = { .accepted_ms = 1795500000123, .issued_ms = 1795500000456,
				       .results_n = 2, .principal = TEXT("mot-cua") };

	assert_int_equal(case_encode(&c, &w), ST_OK);
	rec.case_bytes = writer_slice(&w);
	for (int i = 0; i < 2; i++)
		rec.results[i] = (struct numbered_result){
			.sequence = 100 + (uint64_t)i, .lane = 7, .number = 41 + (uint64_t)i,
			.issued_ms = 1795500000456, .year = 2026, .register_code = TEXT("GXN"),
			.number_text = i == 0 ? TEXT("41/GXN") : TEXT("42/GXN") };
	w = writer_of(out, size);
	assert_int_equal(record_numbered_encode(&rec, &w), ST_OK);
	return writer_size(&w);
}

static size_t numbered(uint8_t *out, size_t size)
{
	return numbered_with(out, size, person, ARRAY_LEN(person));
}

static void filled(const struct waiting_row *row)
{
	assert_string_equal(row->unit, "ubnd-1");
	assert_string_equal(row->kind, "b");
	assert_string_equal(row->signer, "pho-chu-tich");
	assert_string_equal(row->register_code, "GXN");
	assert_string_equal(row->case_code, "H29.15-7");
	assert_string_equal(row->number_text, "42/GXN");
	assert_string_equal(row->principal, "mot-cua");
	assert_string_equal(row->holder_name, "Nguyễn Thị Ánh");
	assert_string_equal(row->holder_number, "001000000001");
	assert_int_equal(row->holder_birth.year, 1987);
	assert_int_equal(row->holder_birth.month, 3);
	assert_int_equal(row->holder_birth.day, 0);
	assert_int_equal(row->record, RECORD_NUMBERED);
	assert_int_equal(row->priority, PRIORITY_BULK);
	assert_int_equal(row->ordinal, 3);
	assert_int_equal(row->revision, 2);
	assert_int_equal(row->year, 2026);
	assert_int_equal(row->number, 42);
	assert_int_equal(row->accepted_ms, 1795500000123);
	assert_int_equal(row->issued_ms, 1795500000456);
	assert_int_equal(row->due_ms, 1785975552000);
}

static void a_row_from_its_record(void **state)
{
	struct room *r = *state;
	static uint8_t record[8192];
	size_t n = numbered(record, sizeof(record));
	struct waiting_row row = { .sequence = 101 }, got;

	assert_int_equal(waiting_row_fill(&row, slice_of(record, n)), ST_OK);
	filled(&row);
	assert_int_equal(waiting_add(r->w, &row, slice_of(record, n), &r->e), ST_OK);
	shut(r);
	open_room(r);
	assert_int_equal(waiting_find(r->reader, 101, &got, &r->e), ST_OK);
	filled(&got);
	assert_int_equal(got.state, STATE_HELD);
	row.sequence = 99;
	assert_int_equal(waiting_row_fill(&row, slice_of(record, n)), ST_CORRUPT);
	assert_int_equal(waiting_row_fill(&row, slice_of(record, n - 1)), ST_CORRUPT);
	assert_int_equal(waiting_row_fill(&row, TEXT("")), ST_CORRUPT);
}

/* Kinds name a person's fields as they like; a row never shows another person's date. */
static void the_birth_is_the_holders(void **state)
{
	static struct field of[] = {
		{ .name = TEXT_OF("chong_ho_ten"), .type = FIELD_TEXT,
		  .text = TEXT_OF("Lê Văn Ba") },
		{ .name = TEXT_OF("chong_ngay_sinh"), .type = FIELD_DATE,
		  .date = { 1980, 1, 2 } },
		{ .name = TEXT_OF("vo_ho_ten"), .type = FIELD_TEXT,
		  .text = TEXT_OF("Nguyễn Thị Ánh") },
		{ .name = TEXT_OF("vo_ngay_sinh"), .type = FIELD_DATE, .date = { 1987, 3, 4 } },
	};
	static const struct { uint8_t from, n; uint16_t year; } rows[] = {
		{ 0, 4, 1987 },		/* by name */
		{ 1, 1, 1980 },		/* the only one */
		{ 0, 2, 1980 },		/* likewise: whose it is the kind knows */
		{ 1, 0, 0 },
	};
	uint8_t record[8192];
	struct waiting_row row;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		n = numbered_with(record, sizeof(record), of + rows[i].from, rows[i].n);
		row = (struct waiting_row){ .sequence = 101 };
		assert_int_equal(waiting_row_fill(&row, slice_of(record, n)), ST_OK);
		assert_int_equal(row.holder_birth.year, rows[i].year);
	}
	/* Of two, and neither has the holder's name: whose it is nobody knows. */
	of[2].text = of[0].text;
	n = numbered_with(record, sizeof(record), of, 4);
	row = (struct waiting_row){ .sequence = 101 };
	assert_int_equal(waiting_row_fill(&row, slice_of(record, n)), ST_OK);
	assert_int_equal(row.holder_birth.year, 0);
	of[2].text = TEXT("Nguyễn Thị Ánh");
}

static void short_text(struct writer *w, const char *text)
{
	write_u8(w, (uint8_t)strlen(text));
	write_str(w, text);
}

static enum status nothing(void *ctx, const struct frame_record *rec, struct error *e)
{
	return ST_OK;
}

/* A folder that the version before wrote: rows without what the record behind them says. */
static void an_old_folder(void **state)
{
	struct room *r = *state;
	const struct waitlog_place begin = { 0 };
	static uint8_t record[8192], head[512];
	size_t n = numbered(record, sizeof(record));
	struct slice parts[2] = { { 0 }, slice_of(record, n) };
	struct writer w = writer_of(head, sizeof(head));
	struct waiting_row got;
	struct waitlog *log;
	uint64_t pos;
	char path[PATH_MAX];

	shut(r);
	path_of(path, r, "index.db");
	assert_int_equal(unlink(path), 0);
	write_u64(&w, 101);
	write_u8(&w, 7);
	write_u8(&w, 33);
	write_u64(&w, 1795500009999);
	write_u64(&w, 42);
	write_u32(&w, 2026);
	short_text(&w, "ubnd-1");
	short_text(&w, "b");
	short_text(&w, "GXN");
	short_text(&w, "42/GXN");
	short_text(&w, "KEY_OF_UNIT");
	parts[0] = writer_slice(&w);
	assert_int_equal(waitlog_open(&log, r->dir.path, &begin, &begin, nothing, NULL, &r->e),
			 ST_OK);
	assert_int_equal(waitlog_append(log, 1, 1, parts, 2, &pos, &r->e), ST_OK);
	assert_int_equal(waitlog_flush(log, &r->e), ST_OK);
	head[0] = 102;		/* its record is of no form: it is held all the same */
	parts[1] = TEXT("?");
	assert_int_equal(waitlog_append(log, 1, 1, parts, 2, &pos, &r->e), ST_OK);
	assert_int_equal(waitlog_flush(log, &r->e), ST_OK);
	waitlog_close(log);
	open_room(r);
	assert_true(waiting_made_anew(r->w));
	assert_int_equal(waiting_count(r->w, STATE_HELD), 2);
	assert_int_equal(waiting_find(r->reader, 101, &got, &r->e), ST_OK);
	filled(&got);
	assert_int_equal(got.state, STATE_HELD);
	assert_int_equal(got.lane, 7);
	assert_int_equal(got.reason, 33);
	assert_int_equal(got.parked_ms, 1795500009999);
	assert_string_equal(got.detail, "KEY_OF_UNIT");
	assert_int_equal(waiting_read(r->reader, 101, &r->type, r->back, sizeof(r->back), &n,
				      &r->e), ST_OK);
	assert_int_equal(r->type, RECORD_NUMBERED);
	assert_true(slice_eq(slice_of(r->back, n), slice_of(record, n)));
	assert_int_equal(waiting_find(r->reader, 102, &got, &r->e), ST_OK);
	assert_string_equal(got.number_text, "42/GXN");
	assert_string_equal(got.signer, "");
	assert_int_equal(waiting_remove(r->w, 102, &r->e), ST_OK);
}

/* ---- readers beside the writer ---- */

struct watcher { struct room *r; pthread_t thread; atomic_bool *stop; uint64_t seen; };

/* Row 1 waits for months: it is replaced and moved all the time, and always there. */
static void *watch(void *arg)
{
	struct watcher *t = arg;
	struct waiting_reader *reader = NULL;
	static __thread uint8_t back[PAYLOAD_BYTES + 1000];
	uint8_t want[PAYLOAD_BYTES], type;
	struct error e = { 0 };

	if (waiting_reader_open(&reader, t->r->w, &e) != ST_OK)
		return "open";
	for (bool last = false; !last;) {
		struct waiting_row row, rows[16];
		uint32_t n_rows;
		size_t n;

		last = atomic_load(t->stop);
		if (waiting_find(reader, 1, &row, &e) != ST_OK || row.sequence != 1)
			return "find";
		if (waiting_read(reader, 1, &type, back, sizeof(back), &n, &e) != ST_OK ||
		    !slice_eq(slice_of(back, n), payload_of(1, want)))
			return "read";
		if (waiting_after(reader, 0, 0, rows, 16, &n_rows, &e) != ST_OK || n_rows == 0 ||
		    rows[0].sequence != 1)
			return "after";
		for (uint32_t i = 1; i < n_rows && rows[i].sequence < 1000; i++) {
			enum status st = waiting_read(reader, rows[i].sequence, &type, back,
						      sizeof(back), &n, &e);

			if (st != ST_NOT_FOUND &&
			    (st != ST_OK || rows[i].sequence <= rows[i - 1].sequence ||
			     !slice_eq(slice_of(back, n), payload_of(rows[i].sequence, want))))
				return "rows";
		}
		t->seen++;
	}
	waiting_reader_close(reader);
	return NULL;
}

static void readers_beside_the_writer(void **state)
{
	struct room *r = *state;
	atomic_bool stop = false;
	struct watcher readers[2] = { { .r = r, .stop = &stop }, { .r = r, .stop = &stop } };
	struct waiting_row big = row_of(5), row = row_of(1);
	uint8_t *filler = calloc(1, 1000000);

	assert_non_null(filler);
	add(r, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i].thread, NULL, watch, &readers[i]), 0);
	for (uint64_t i = 0; i < 120; i++) {
		row.reason = (uint8_t)(i % 40);
		if (i % 7 == 0)
			put(r, &row);
		add(r, 10 + i % 20);
		/* Makes segments that die at once, so that the oldest is tidied. */
		big.sequence = 1000 + i;
		assert_int_equal(waiting_add(r->w, &big, slice_of(filler, 1000000), &r->e), ST_OK);
		assert_int_equal(waiting_remove(r->w, big.sequence, &r->e), ST_OK);
		if (i % 3 == 0)
			assert_int_equal(waiting_remove(r->w, 10 + i % 20, &r->e), ST_OK);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		void *why;

		assert_int_equal(pthread_join(readers[i].thread, &why), 0);
		if (why != NULL)
			fail_msg("a reader failed: %s", (const char *)why);
		assert_true(readers[i].seen > 0);
	}
	free(filler);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(deleted_is_made_anew), CASE(behind_catches_up),
		CASE(ahead_is_refused), CASE(foreign_is_made_anew), CASE(broken_is_made_anew),
		CASE(broken_within_is_made_anew),
		CASE(a_commit_fails), CASE(killed_before_the_commit),
		CASE(the_index_is_checked), CASE(orders_and_pages),
		CASE(those_whose_time_is_over), CASE(counts_by_state),
		CASE(the_same_again_is_not_written), CASE(a_row_from_its_record),
		CASE(the_birth_is_the_holders), CASE(an_old_folder),
		CASE(readers_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
