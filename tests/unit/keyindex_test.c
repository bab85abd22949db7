#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include "failing.h"
#include "identity.h"
#include "io/file.h"
#include "journal/keyindex.h"
#include "tmpdir.h"

struct bench {
	struct tmpdir dir;
	struct keyindex *k;
	struct error e;
};

static void reopen(struct bench *b)
{
	keyindex_close(b->k);
	b->k = NULL;
	assert_int_equal(keyindex_open(&b->k, b->dir.path, &b->e), ST_OK);
}

static void refused(struct bench *b)
{
	keyindex_close(b->k);
	b->k = NULL;
	assert_int_equal(keyindex_open(&b->k, b->dir.path, &b->e), ST_DAMAGED);
	assert_null(b->k);
}

static int setup(void **state)
{
	static struct bench b;

	b = (struct bench){ .k = NULL };
	*state = &b;
	fails_at = acts = 0;
	if (tmpdir_make(&b.dir) != 0)
		return -1;
	return keyindex_open(&b.k, b.dir.path, &b.e) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	keyindex_close(b->k);
	tmpdir_remove(&b->dir);
	return 0;
}

static struct keyentry entry(uint32_t n, uint64_t number)
{
	struct keyentry k = { .sequence = number << 20 | n, .number = number,
			      .issued_ms = (int64_t)number * 1000 + n, .lane = n % 64 };
	uint8_t hash[SHA256_BYTES];

	sha256_once(&n, sizeof(n), hash);
	memcpy(k.key, hash, 16);
	memcpy(k.digest, hash, sizeof(hash));
	snprintf(k.number_text, sizeof(k.number_text), "%llu/GXN-UBND", (unsigned long long)number);
	return k;
}

static void put(struct bench *b, uint32_t n, uint64_t number, uint64_t pos)
{
	struct keyentry k = entry(n, number);

	assert_int_equal(keyindex_put(b->k, &k, pos), ST_OK);
}

static void expect(struct bench *b, uint32_t n, uint64_t number)
{
	struct keyentry want = entry(n, number), got;

	memset(&got, 0xaa, sizeof(got));
	assert_int_equal(keyindex_get(b->k, want.key, &got), ST_OK);
	assert_memory_equal(got.key, want.key, 16);
	assert_memory_equal(got.digest, want.digest, SHA256_BYTES);
	assert_int_equal(got.sequence, want.sequence);
	assert_int_equal(got.number, want.number);
	assert_int_equal(got.issued_ms, want.issued_ms);
	assert_int_equal(got.lane, want.lane);
	assert_int_equal(got.flags, want.flags);
	assert_string_equal(got.number_text, want.number_text);
}

static enum status look(struct bench *b, uint32_t n)
{
	struct keyentry want = entry(n, 1), got;

	return keyindex_get(b->k, want.key, &got);
}

/* As the spine and its janitor do it. */
static void seal(struct bench *b, uint64_t upto)
{
	struct keyindex_job *j = keyindex_seal(b->k, upto);

	assert_non_null(j);
	assert_int_equal(keyindex_job_run(j, &b->e), ST_OK);
	assert_int_equal(keyindex_commit(b->k, j, &b->e), ST_OK);
}

static uint32_t merge(struct bench *b)
{
	struct keyindex_job *j;
	uint32_t n = 0;

	while ((j = keyindex_merge(b->k)) != NULL) {
		assert_int_equal(keyindex_job_run(j, &b->e), ST_OK);
		assert_int_equal(keyindex_commit(b->k, j, &b->e), ST_OK);
		n++;
	}
	return n;
}

/* Number of files; the first name that has this end is copied out, if wanted. */
static uint32_t files(const struct bench *b, const char *end, char *path)
{
	DIR *d = opendir(b->dir.path);
	struct dirent *ent;
	uint32_t n = 0;

	assert_non_null(d);
	while ((ent = readdir(d)) != NULL) {
		size_t len = strlen(ent->d_name);

		if (len < strlen(end) || strcmp(ent->d_name + len - strlen(end), end) != 0)
			continue;
		if (n++ == 0 && path != NULL)
			snprintf(path, PATH_MAX, "%s/%s", b->dir.path, ent->d_name);
	}
	closedir(d);
	return n;
}

static void file_write(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void latest_wins_in_memory(void **state)
{
	struct bench *b = *state;

	assert_int_equal(look(b, 1), ST_NOT_FOUND);
	assert_int_equal(keyindex_covered(b->k), 0);
	assert_null(keyindex_seal(b->k, UINT64_MAX));
	put(b, 1, 10, 100);
	put(b, 2, 11, 100);
	put(b, 1, 12, 200);
	expect(b, 1, 12);
	expect(b, 2, 11);
	assert_int_equal(look(b, 3), ST_NOT_FOUND);
	assert_null(keyindex_seal(b->k, 100));
}

static void many_in_memory(void **state)
{
	struct bench *b = *state;

	for (uint32_t i = 0; i < 50000; i++)
		put(b, i, i, i);
	for (uint32_t i = 0; i < 50000; i++)
		expect(b, i, i);
	assert_int_equal(look(b, 50000), ST_NOT_FOUND);
}

static void found_all_the_way_into_a_run(void **state)
{
	struct bench *b = *state;
	struct keyindex_job *j;

	for (uint32_t i = 0; i < 1000; i++)
		put(b, i, i + 1, i);
	j = keyindex_seal(b->k, 500);
	assert_non_null(j);
	assert_null(keyindex_merge(b->k));
	for (uint32_t i = 0; i < 1000; i++)
		expect(b, i, i + 1);
	assert_int_equal(keyindex_covered(b->k), 0);
	put(b, 3, 77, 1000);
	assert_int_equal(keyindex_job_run(j, &b->e), ST_OK);
	expect(b, 4, 5);
	assert_int_equal(keyindex_commit(b->k, j, &b->e), ST_OK);
	assert_int_equal(keyindex_covered(b->k), 500);
	assert_null(keyindex_seal(b->k, 500));
	for (uint32_t i = 0; i < 1000; i++)
		expect(b, i, i == 3 ? 77 : i + 1);
	reopen(b);
	assert_int_equal(keyindex_covered(b->k), 500);
	for (uint32_t i = 0; i < 500; i++)
		expect(b, i, i + 1);
	for (uint32_t i = 500; i < 1000; i++)
		assert_int_equal(look(b, i), ST_NOT_FOUND);
}

/* A key changed later keeps its first version in the run: the change may not be durable. */
static void a_run_holds_what_stood_at_its_end(void **state)
{
	struct bench *b = *state;
	struct keyentry k = entry(1, 5), got;

	put(b, 1, 5, 10);
	k.flags = KEYENTRY_VOIDED;
	assert_int_equal(keyindex_put(b->k, &k, 100), ST_OK);
	seal(b, 50);
	assert_int_equal(keyindex_get(b->k, k.key, &got), ST_OK);
	assert_int_equal(got.flags, KEYENTRY_VOIDED);
	reopen(b);
	expect(b, 1, 5);
	/* Replay of the change, and the next run. */
	assert_int_equal(keyindex_put(b->k, &k, 100), ST_OK);
	seal(b, 200);
	reopen(b);
	assert_int_equal(keyindex_get(b->k, k.key, &got), ST_OK);
	assert_int_equal(got.flags, KEYENTRY_VOIDED);
	assert_int_equal(got.number, 5);
}

static void longest_text(void **state)
{
	struct bench *b = *state;
	struct keyentry k = entry(1, 5), got;

	memset(k.number_text, 'x', NUMBER_TEXT_BYTES_MAX);
	k.number_text[NUMBER_TEXT_BYTES_MAX] = '\0';
	assert_int_equal(keyindex_put(b->k, &k, 1), ST_OK);
	seal(b, 2);
	assert_int_equal(keyindex_get(b->k, k.key, &got), ST_OK);
	assert_string_equal(got.number_text, k.number_text);
}

/* Keys that share their first half stand in several blocks behind equal fences. */
static void keys_with_one_prefix(void **state)
{
	struct bench *b = *state;
	struct keyentry k = entry(1, 5), got;

	for (uint32_t i = 0; i < 300; i++) {
		memset(k.key, i < 50 ? 1 : i < 250 ? 2 : 3, 8);
		k.key[8] = 0;
		k.key[9] = (uint8_t)i;
		k.number = i;
		assert_int_equal(keyindex_put(b->k, &k, i), ST_OK);
	}
	seal(b, 1000);
	for (uint32_t i = 0; i < 300; i++) {
		memset(k.key, i < 50 ? 1 : i < 250 ? 2 : 3, 8);
		k.key[8] = 0;
		k.key[9] = (uint8_t)i;
		assert_int_equal(keyindex_get(b->k, k.key, &got), ST_OK);
		assert_int_equal(got.number, i);
		k.key[8] = 1;
		assert_int_equal(keyindex_get(b->k, k.key, &got), ST_NOT_FOUND);
	}
}

/* Years of segments: every key keeps its last meaning, and the files stay few. */
static void merges_keep_the_last_meaning(void **state)
{
	static uint64_t last[20000];
	struct bench *b = *state;
	unsigned int seed = 42;
	uint64_t pos = 0;
	uint32_t merges = 0;

	memset(last, 0, sizeof(last));
	for (uint32_t segment = 1; segment <= 300; segment++) {
		uint32_t n = 1 + (uint32_t)rand_r(&seed) % 200;

		for (uint32_t i = 0; i < n; i++) {
			uint32_t key = (uint32_t)rand_r(&seed) % 20000;

			pos++;
			put(b, key, pos, pos);
			last[key] = pos;
		}
		seal(b, pos + 1);
		merges += merge(b);
		assert_in_range(files(b, ".run", NULL), 1, 24);
		if (segment % 60 == 0)
			reopen(b);
	}
	assert_true(merges > 50);
	assert_int_equal(keyindex_covered(b->k), pos + 1);
	for (uint32_t key = 0; key < 20000; key++) {
		if (last[key] != 0)
			expect(b, key, last[key]);
		else
			assert_int_equal(look(b, key), ST_NOT_FOUND);
	}
	assert_int_equal(files(b, ".tmp", NULL), 0);
}

/* The next segment is sealed while a merge is under way. */
static void seal_during_merge(void **state)
{
	struct bench *b = *state;
	struct keyindex_job *m;

	for (uint32_t i = 0; i < 4; i++) {
		put(b, i, i + 1, i);
		seal(b, i + 1);
	}
	m = keyindex_merge(b->k);
	assert_non_null(m);
	assert_null(keyindex_merge(b->k));
	put(b, 9, 9, 10);
	put(b, 0, 99, 10);
	seal(b, 20);
	assert_null(keyindex_merge(b->k));
	assert_int_equal(keyindex_job_run(m, &b->e), ST_OK);
	expect(b, 1, 2);	/* the inputs' names are gone, they are not */
	assert_int_equal(keyindex_commit(b->k, m, &b->e), ST_OK);
	expect(b, 0, 99);
	expect(b, 1, 2);
	expect(b, 9, 9);
	reopen(b);
	expect(b, 0, 99);
	expect(b, 1, 2);
	expect(b, 9, 9);
	assert_int_equal(keyindex_covered(b->k), 20);
}

/* Each flush and rename of a seal fails once: it is told, and a restart replays. */
static void every_act_of_a_seal_fails(void **state)
{
	struct bench *b = *state;

	put(b, 1, 1, 1);
	seal(b, 10);
	for (int at = 1; at <= 3; at++) {
		uint64_t covered;

		reopen(b);
		put(b, 2, 2, 11);
		acts = 0;
		fails_at = at;
		assert_int_equal(keyindex_job_run(keyindex_seal(b->k, 20), &b->e), ST_IO);
		assert_true(strlen(b->e.text) > 0);
		fails_at = 0;
		expect(b, 2, 2);
		reopen(b);
		covered = keyindex_covered(b->k);
		/* Renamed but not flushed: it may stay, the journal still has it too. */
		assert_int_equal(covered, at < 3 ? 10 : 20);
		expect(b, 1, 1);
	}
}

static void every_act_of_a_merge_fails(void **state)
{
	struct bench *b = *state;

	for (uint32_t i = 0; i < 4; i++) {
		put(b, i, i + 1, i);
		seal(b, i + 1);
	}
	for (int at = 1; at <= 3; at++) {
		acts = 0;
		fails_at = at;
		assert_int_equal(keyindex_job_run(keyindex_merge(b->k), &b->e), ST_IO);
		fails_at = 0;
		/* After the rename nothing may have been unlinked before the folder's flush. */
		assert_int_equal(files(b, ".run", NULL), at < 3 ? 4 : 5);
		reopen(b);
		for (uint32_t i = 0; i < 4; i++)
			expect(b, i, i + 1);
	}
	/* The last one stood: what it merged is gone with the restart. */
	assert_int_equal(files(b, ".run", NULL), 1);
}

/* A crash while a run is written; one between a merge and the removal of what it merged. */
static void crashes_leave_no_trace(void **state)
{
	struct bench *b = *state;
	uint8_t *bytes[4];
	size_t n[4];
	char paths[4][PATH_MAX], tmp[PATH_MAX];

	for (uint32_t i = 0; i < 4; i++) {
		put(b, i, i + 1, i);
		seal(b, i + 1);
		snprintf(paths[i], PATH_MAX, "%s/keys-%016x-%016x.run", b->dir.path, i, i + 1);
		assert_int_equal(file_read(paths[i], 1 << 20, &bytes[i], &n[i], &b->e), ST_OK);
	}
	assert_int_equal(merge(b), 1);
	assert_int_equal(files(b, ".run", NULL), 1);
	for (uint32_t i = 0; i < 4; i++)
		file_write(paths[i], bytes[i], n[i]);
	snprintf(tmp, sizeof(tmp), "%s/keys-%016x-%016x.run.tmp", b->dir.path, 4, 9);
	file_write(tmp, bytes[0], n[0] / 2);
	reopen(b);
	assert_int_equal(files(b, ".run", NULL), 1);
	assert_int_equal(files(b, ".tmp", NULL), 0);
	assert_int_equal(keyindex_covered(b->k), 4);
	for (uint32_t i = 0; i < 4; i++) {
		expect(b, i, i + 1);
		free(bytes[i]);
	}
}

static void a_missing_run_is_missed(void **state)
{
	struct bench *b = *state;
	char path[3][PATH_MAX], elsewhere[PATH_MAX];

	for (uint32_t i = 0; i < 3; i++) {
		put(b, i, i + 1, i);
		seal(b, i + 1);
		snprintf(path[i], PATH_MAX, "%s/keys-%016x-%016x.run", b->dir.path, i, i + 1);
	}
	snprintf(elsewhere, sizeof(elsewhere), "%s/aside", b->dir.path);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(__real_rename(path[i], elsewhere), 0);
		refused(b);
		assert_non_null(strstr(b->e.text, "missing"));
		assert_int_equal(__real_rename(elsewhere, path[i]), 0);
	}
	/* One in another's place. */
	assert_int_equal(__real_rename(path[0], elsewhere), 0);
	assert_int_equal(__real_rename(path[1], path[0]), 0);
	refused(b);
	assert_non_null(strstr(b->e.text, "name"));
}

/* No flipped bit gives a wrong answer or hides a key; outside of the blocks it stops the start. */
static void flipped_bits(void **state)
{
	struct bench *b = *state;
	char path[PATH_MAX];
	uint8_t *bytes;
	size_t n, blocks_end = 4096 + 3 * 4096;
	uint32_t corrupt = 0;

	for (uint32_t i = 0; i < 100; i++)
		put(b, i, i + 1, i);
	seal(b, 100);
	assert_int_equal(files(b, ".run", path), 1);
	assert_int_equal(file_read(path, 1 << 20, &bytes, &n, &b->e), ST_OK);
	for (size_t i = 0; i < n; i += i < 128 || i >= blocks_end ? 1 : 61) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		keyindex_close(b->k);
		b->k = NULL;
		bytes[i] ^= bit;
		file_write(path, bytes, n);
		if (i < 4096 || i >= blocks_end) {
			refused(b);
		} else {
			reopen(b);
			for (uint32_t k = 0; k < 100; k++) {
				struct keyentry want = entry(k, k + 1), got;
				enum status st = keyindex_get(b->k, want.key, &got);

				assert_true(st == ST_CORRUPT ||
					    (st == ST_OK && got.number == k + 1));
				corrupt += st == ST_CORRUPT;
			}
		}
		bytes[i] ^= bit;
	}
	assert_true(corrupt > 1000);
	free(bytes);
}

static void truncated(void **state)
{
	struct bench *b = *state;
	char path[PATH_MAX];
	uint8_t *bytes;
	size_t n;

	for (uint32_t i = 0; i < 100; i++)
		put(b, i, i + 1, i);
	seal(b, 100);
	assert_int_equal(files(b, ".run", path), 1);
	assert_int_equal(file_read(path, 1 << 20, &bytes, &n, &b->e), ST_OK);
	for (size_t cut = 0; cut < n; cut += cut < 4096 ? 512 : 97) {
		file_write(path, bytes, cut);
		refused(b);
	}
	file_write(path, bytes, n);
	reopen(b);
	expect(b, 99, 100);
	free(bytes);
}

/* A merge does not copy damage. */
static void merge_stops_at_damage(void **state)
{
	struct bench *b = *state;
	char path[PATH_MAX];
	FILE *f;

	for (uint32_t i = 0; i < 400; i++) {
		put(b, i, i + 1, i);
		if (i % 100 == 99)
			seal(b, i + 1);
	}
	snprintf(path, sizeof(path), "%s/keys-%016x-%016x.run", b->dir.path, 100, 200);
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 4096 + 5000, SEEK_SET);
	fputc(0x5a, f);
	fclose(f);
	assert_int_equal(keyindex_job_run(keyindex_merge(b->k), &b->e), ST_DAMAGED);
	assert_int_equal(files(b, ".run", NULL), 4);
	assert_int_equal(files(b, ".tmp", NULL), 0);
}

static void crc_put(uint8_t *at, uint32_t crc)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(crc >> 8 * i);
}

/* One block of version 2 becomes one of version 1: entries without their last 8 bytes. */
static void to_version_1(uint8_t *bytes, uint32_t entries, size_t n)
{
	uint8_t *block = bytes + 4096, old[4096] = { 0 };
	uint64_t place = 0;

	bytes[8] = 1;
	bytes[12] = 112;
	crc_put(bytes + 4092, crc32c(0, bytes, 4092));
	for (uint32_t i = 0; i < entries; i++)
		memcpy(old + 112 * i, block + 120 * i, 112);
	crc_put(old + 4092, crc32c(crc32c(0, &place, sizeof(place)), old, 4092));
	memcpy(block, old, sizeof(old));
	assert_int_equal(n % 64, 8 + 4);
}

/* The issue time was the sequence's then; a merge writes what it reads as version 2. */
static void version_1_is_read(void **state)
{
	struct bench *b = *state;
	struct keyentry want = entry(3, 4), got;
	char path[PATH_MAX];
	uint8_t *bytes;
	size_t n;

	for (uint32_t i = 0; i < 30; i++)
		put(b, i, i + 1, i);
	seal(b, 30);
	assert_int_equal(files(b, ".run", path), 1);
	assert_int_equal(file_read(path, 1 << 20, &bytes, &n, &b->e), ST_OK);
	to_version_1(bytes, 30, n);
	file_write(path, bytes, n);
	free(bytes);
	reopen(b);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 30; i++)
			assert_int_equal(look(b, i), ST_OK);
		assert_int_equal(keyindex_get(b->k, want.key, &got), ST_OK);
		assert_int_equal(got.number, 4);
		assert_string_equal(got.number_text, want.number_text);
		assert_int_equal(got.issued_ms, sequence_ms(want.sequence));
		if (round == 1)
			break;
		for (uint32_t i = 30; i < 120; i++) {
			put(b, i, i + 1, i);
			if (i % 30 == 29)
				seal(b, i + 1);
		}
		assert_int_equal(merge(b), 1);
		assert_int_equal(files(b, ".run", path), 1);
	}
	expect(b, 100, 101);
}

static void later_version_is_refused_by_name(void **state)
{
	struct bench *b = *state;
	char path[PATH_MAX];
	uint8_t *bytes;
	size_t n;

	put(b, 1, 1, 1);
	seal(b, 10);
	assert_int_equal(files(b, ".run", path), 1);
	assert_int_equal(file_read(path, 1 << 20, &bytes, &n, &b->e), ST_OK);
	bytes[8] = 3;
	crc_put(bytes + 4092, crc32c(0, bytes, 4092));
	file_write(path, bytes, n);
	free(bytes);
	keyindex_close(b->k);
	b->k = NULL;
	assert_int_equal(keyindex_open(&b->k, b->dir.path, &b->e), ST_UNSUPPORTED);
}

/* Closing with a job given out, as a stop does. */
static void closed_on_the_way(void **state)
{
	struct bench *b = *state;
	struct keyindex_job *j;

	for (uint32_t i = 0; i < 4; i++) {
		put(b, i, i + 1, i);
		seal(b, i + 1);
	}
	assert_int_equal(keyindex_job_run(keyindex_merge(b->k), &b->e), ST_OK);
	put(b, 7, 7, 7);
	j = keyindex_seal(b->k, 10);
	assert_int_equal(keyindex_job_run(j, &b->e), ST_OK);
	reopen(b);
	expect(b, 7, 7);
	expect(b, 0, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Who has a number: those in memory and those on disk are told, each by its own side. */
struct told { uint64_t sequences[8]; uint32_t n; };

static void tell(void *ctx, const struct keyentry *e)
{
	struct told *t = ctx;

	assert_true(t->n < 8);
	t->sequences[t->n++] = e->sequence;
}

static void who_has_a_number(void **state)
{
	struct bench *b = *state;
	struct told t = { .n = 0 };

	for (uint32_t i = 1; i <= 300; i++) {
		struct keyentry k = { .sequence = 1000 + i, .number = i % 100, .issued_ms = 5 };

		memcpy(k.key, &i, sizeof(i));
		assert_int_equal(keyindex_put(b->k, &k, i), ST_OK);
		if (i == 100 || i == 200)
			seal(b, i + 1);
	}
	assert_int_equal(keyindex_numbered(b->k, 7, tell, &t), ST_OK);
	assert_true(t.n == 1 && t.sequences[0] == 1207);
	assert_int_equal(keyruns_numbered(b->dir.path, 7, tell, &t, &b->e), ST_OK);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.sequences[1] + t.sequences[2], 1007 + 1107);
	t.n = 0;
	assert_int_equal(keyruns_numbered(b->dir.path, 4711, tell, &t, &b->e), ST_OK);
	assert_int_equal(keyindex_numbered(b->k, 4711, tell, &t), ST_OK);
	assert_int_equal(t.n, 0);
	assert_int_equal(keyruns_numbered("/nowhere", 7, tell, &t, &b->e), ST_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(latest_wins_in_memory), CASE(many_in_memory),
		CASE(found_all_the_way_into_a_run), CASE(a_run_holds_what_stood_at_its_end),
		CASE(longest_text), CASE(keys_with_one_prefix), CASE(merges_keep_the_last_meaning),
		CASE(seal_during_merge), CASE(every_act_of_a_seal_fails),
		CASE(every_act_of_a_merge_fails), CASE(crashes_leave_no_trace),
		CASE(a_missing_run_is_missed), CASE(flipped_bits), CASE(truncated),
		CASE(merge_stops_at_damage), CASE(version_1_is_read),
		CASE(later_version_is_refused_by_name),
		CASE(who_has_a_number),
		CASE(closed_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
