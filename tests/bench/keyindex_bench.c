/*
 * keyindex_bench.c - the key index as a province leaves it: a million keys in memory and in runs
 * of all sizes; what a new key (the usual case), a repeated one and a merge cost.
 *
 * keyindex_bench [--json FILE]   (its folder goes into TMPDIR)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "io/io.h"
#include "journal/keyindex.h"
#include "../unit/tmpdir.h"

#define SEGMENT_KEYS 40000u		/* what 64 MiB of journal leave */
#define SEGMENTS 27u
#define LIVE_KEYS 40000u
#define LOOKUPS 400000u
#define TURNS 5u

struct bench {
	struct keyindex *k;
	struct error e;
	uint64_t merge_ns, seal_ns, put_ns;
};

static void check(struct bench *b, enum status st, const char *what)
{
	if (st == ST_OK)
		return;
	fprintf(stderr, "keyindex.bench: %s: %s %s\n", what, status_name(st), b->e.text);
	exit(1);
}

/* Spread like the hashes that keys are (splitmix64). */
static uint64_t spread(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void key_make(uint8_t key[16], uint64_t n)
{
	uint64_t halves[2] = { spread(2 * n), spread(2 * n + 1) };

	memcpy(key, halves, 16);
}

static void put(struct bench *b, uint64_t first, uint32_t n)
{
	uint64_t from = io_boot_ns();

	for (uint64_t i = first; i < first + n; i++) {
		struct keyentry entry = { .sequence = i, .number = i };

		key_make(entry.key, i);
		check(b, keyindex_put(b->k, &entry, i), "put");
	}
	b->put_ns += io_boot_ns() - from;
}

static void job(struct bench *b, struct keyindex_job *j)
{
	check(b, keyindex_job_run(j, &b->e), "job");
	check(b, keyindex_commit(b->k, j, &b->e), "commit");
}

/* As the spine and its janitor do it, segment after segment. */
static void fill(struct bench *b)
{
	struct keyindex_job *j;

	for (uint64_t s = 0; s < SEGMENTS; s++) {
		uint64_t from;

		put(b, s * SEGMENT_KEYS, SEGMENT_KEYS);
		from = io_boot_ns();
		job(b, keyindex_seal(b->k, (s + 1) * SEGMENT_KEYS));
		b->seal_ns += io_boot_ns() - from;
		from = io_boot_ns();
		while ((j = keyindex_merge(b->k)) != NULL)
			job(b, j);
		b->merge_ns += io_boot_ns() - from;
	}
	put(b, (uint64_t)SEGMENTS * SEGMENT_KEYS, LIVE_KEYS);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median ns of a lookup of keys from `first` on, n different ones, in no order. */
static double look(struct bench *b, uint64_t first, uint64_t n, enum status want)
{
	static uint8_t keys[LOOKUPS][16];
	double turns[TURNS];

	for (uint32_t t = 0; t < TURNS; t++) {
		struct keyentry out;
		uint64_t from;

		for (uint32_t i = 0; i < LOOKUPS; i++)
			key_make(keys[i], first + spread(t * (uint64_t)LOOKUPS + i) % n);
		from = io_boot_ns();
		for (uint32_t i = 0; i < LOOKUPS; i++)
			if (keyindex_get(b->k, keys[i], &out) != want)
				check(b, ST_INTERNAL, "a lookup gave the wrong answer");
		turns[t] = (double)(io_boot_ns() - from) / LOOKUPS;
	}
	qsort(turns, TURNS, sizeof(turns[0]), ascending);
	return turns[TURNS / 2];
}

static void report(const struct bench *b, double miss, double live, double hit, const char *json)
{
	uint64_t keys = (uint64_t)SEGMENTS * SEGMENT_KEYS;
	double put_one = (double)b->put_ns / (double)(keys + LIVE_KEYS);
	double seal_ms = (double)b->seal_ns / 1e6 / SEGMENTS;
	double merge_key = (double)b->merge_ns / (double)keys;
	json_t *o;

	printf("%-44s %12s\n", "key index, 1.12 million keys", "");
	printf("%-44s %9.0f ns\n", "put", put_one);
	printf("%-44s %9.0f ns\n", "get, new key", miss);
	printf("%-44s %9.0f ns\n", "get, key of a live segment", live);
	printf("%-44s %9.0f ns\n", "get, key in a run", hit);
	printf("%-44s %9.1f ms\n", "seal of a segment (background)", seal_ms);
	printf("%-44s %9.0f ns\n", "all merges, per key (background)", merge_key);
	if (json == NULL)
		return;
	o = json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "keyindex.put_ns", put_one,
		      "keyindex.get_new_ns", miss, "keyindex.get_live_ns", live,
		      "keyindex.get_run_ns", hit, "keyindex.seal_ms", seal_ms,
		      "keyindex.merge_key_ns", merge_key);
	if (o == NULL || json_dump_file(o, json, JSON_INDENT(2)) != 0)
		fprintf(stderr, "keyindex.bench: cannot write %s\n", json);
	json_decref(o);
}

int main(int argc, char **argv)
{
	const char *json = NULL;
	uint64_t keys = (uint64_t)SEGMENTS * SEGMENT_KEYS;
	struct bench b = { 0 };
	struct tmpdir dir;
	double miss, live, hit;

	if (argc == 3 && strcmp(argv[1], "--json") == 0)
		json = argv[2];
	if (tmpdir_make(&dir) != 0) {
		fprintf(stderr, "keyindex.bench: cannot create a temporary folder\n");
		return 1;
	}
	check(&b, keyindex_open(&b.k, dir.path, &b.e), "open");
	fill(&b);
	miss = look(&b, 1ull << 40, 1ull << 40, ST_NOT_FOUND);
	live = look(&b, keys, LIVE_KEYS, ST_OK);
	hit = look(&b, 0, keys, ST_OK);
	report(&b, miss, live, hit, json);
	keyindex_close(b.k);
	tmpdir_remove(&dir);
	return 0;
}
