#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <limits.h>
#include <unistd.h>

#include "base/hash.h"
#include "failing.h"
#include "io/file.h"
#include "journal/snapshot.h"
#include "tmpdir.h"

static int setup(void **state)
{
	static struct tmpdir dir;

	*state = &dir;
	fails_at = acts = 0;
	return tmpdir_make(&dir);
}

static int teardown(void **state)
{
	tmpdir_remove(*state);
	return 0;
}

static struct snapshot sample(uint64_t position)
{
	return (struct snapshot){ .position = position, .clock_last_ms = 1795500000123,
				  .clock_counter = 0x3fff, .engine = 255, .covered = 1ull << 40,
				  .registers = slice_str("registers as bytes") };
}

static void check(const char *dir, uint64_t position)
{
	struct snapshot s = { 0 };
	uint8_t *buffer;
	struct error e;

	assert_int_equal(snapshot_load(dir, &s, &buffer, &e), ST_OK);
	assert_int_equal(s.position, position);
	assert_int_equal(s.clock_last_ms, 1795500000123);
	assert_int_equal(s.clock_counter, 0x3fff);
	assert_int_equal(s.engine, 255);
	assert_int_equal(s.covered, 1ull << 40);
	assert_true(slice_eq(s.registers, slice_str("registers as bytes")));
	free(buffer);
}

static void round_trip(void **state)
{
	struct tmpdir *dir = *state;
	struct snapshot s = sample(UINT64_MAX), got;
	uint8_t *buffer = (uint8_t *)&got;
	char path[PATH_MAX];
	struct error e;

	assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_NOT_FOUND);
	assert_null(buffer);
	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	check(dir->path, UINT64_MAX);
	s.registers = slice_of(NULL, 0);
	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_OK);
	assert_int_equal(got.registers.n, 0);
	free(buffer);
	/* The folder is made. */
	s = sample(3);
	snprintf(path, sizeof(path), "%s/counters", dir->path);
	assert_int_equal(snapshot_load(path, &got, &buffer, &e), ST_NOT_FOUND);
	assert_int_equal(snapshot_save(path, &s, &e), ST_OK);
	check(path, 3);
}

static void path_of(char path[PATH_MAX], const struct tmpdir *dir, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", dir->path, name);
}

static void file_write(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void every_bit_and_every_length(void **state)
{
	struct tmpdir *dir = *state;
	struct snapshot s = sample(77), got;
	char path[PATH_MAX];
	uint8_t *bytes, *buffer;
	size_t n;
	struct error e;

	path_of(path, dir, "snapshot");
	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	assert_int_equal(file_read(path, 4096, &bytes, &n, &e), ST_OK);
	for (size_t i = 0; i < 8 * n; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		file_write(path, bytes, n);
		assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_DAMAGED);
		assert_null(buffer);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t cut = 0; cut < n; cut++) {
		file_write(path, bytes, cut);
		assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_DAMAGED);
	}
	/* Longer than it says. */
	bytes = realloc(bytes, n + 8);
	assert_non_null(bytes);
	memset(bytes + n, 0, 8);
	file_write(path, bytes, n + 8);
	assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_DAMAGED);
	/* A later version's, well summed. */
	bytes[8] = 3;
	uint32_t crc = crc32c(0, bytes, n - 4);
	for (int k = 0; k < 4; k++)
		bytes[n - 4 + (size_t)k] = (uint8_t)(crc >> 8 * k);
	file_write(path, bytes, n);
	assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_UNSUPPORTED);
	free(bytes);
}

/* As the version before wrote it. */
static void version_1_is_read(void **state)
{
	struct tmpdir *dir = *state;
	struct snapshot got;
	uint8_t bytes[64], *buffer;
	struct writer w = writer_of(bytes, sizeof(bytes));
	char path[PATH_MAX];
	struct error e;

	write_bytes(&w, "TRIENSNP", 8);
	write_u32(&w, 1);
	write_u64(&w, 77);
	write_u64(&w, 1795500000123);
	write_u16(&w, 5);
	write_u8(&w, 6);
	write_blob(&w, slice_str("registers"));
	write_u32(&w, crc32c(0, bytes, writer_size(&w)));
	path_of(path, dir, "snapshot");
	file_write(path, bytes, writer_size(&w));
	assert_int_equal(snapshot_load(dir->path, &got, &buffer, &e), ST_OK);
	assert_int_equal(got.position, 77);
	assert_int_equal(got.engine, 6);
	assert_int_equal(got.covered, 0);
	assert_true(slice_eq(got.registers, slice_str("registers")));
	free(buffer);
}

/* A crash before the rename leaves a half-written file beside the old one. */
static void crash_before_rename(void **state)
{
	struct tmpdir *dir = *state;
	struct snapshot s = sample(1);
	char path[PATH_MAX];
	struct error e;

	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	path_of(path, dir, "snapshot.tmp");
	file_write(path, "half a snapsh", 13);
	check(dir->path, 1);
	s.position = 2;
	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	check(dir->path, 2);
}

/* Flush of the file, rename, flush of the folder: each fails once; then old or new, and told. */
static void every_act_fails(void **state)
{
	struct tmpdir *dir = *state;
	struct snapshot s = sample(1);
	struct error e;

	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	s.position = 2;
	for (int at = 1; at <= 3; at++) {
		acts = 0;
		fails_at = at;
		assert_int_equal(snapshot_save(dir->path, &s, &e), ST_IO);
		fails_at = 0;
		check(dir->path, at < 3 ? 1 : 2);
	}
	acts = 0;
	assert_int_equal(snapshot_save(dir->path, &s, &e), ST_OK);
	assert_int_equal(acts, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(every_bit_and_every_length, setup, teardown),
		cmocka_unit_test_setup_teardown(version_1_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(crash_before_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(every_act_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
