#include "journal/keyindex.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"
#include "journal/keyrun.h"
#include "journal/livekeys.h"

#define MERGE_RUNS_MIN 4u
#define MERGE_RUNS_MAX 16u
/*
 * No merge makes more of it (~940 MB): the thread that merges has other things to do. Two centuries
 * of a province fit a dozen such runs.
 */
#define RUN_ENTRIES_MAX (1u << 23)

struct keyindex_job {
	bool taken;			/* given out, not yet committed */
	bool merge;
	enum status status;		/* known before it ran */
	const char *dir;
	uint64_t from, upto;
	struct live_span span;		/* seal: versions in the index */
	size_t entries_n;
	uint32_t first_run, runs_n;	/* merge: which of the index's */
	struct keyrun *inputs[MERGE_RUNS_MAX];
	struct keyrun **retired;	/* to be closed on the way */
	uint32_t retired_n;
	struct keyrun *result;
};

struct keyindex {
	char *dir;
	struct keyrun **runs;		/* oldest first; the newest that knows a key is right */
	uint32_t runs_n, runs_room;

	struct livekeys *live;
	uint64_t last_pos;

	struct keyindex_job seal, merging;
	struct keyrun **retired;	/* replaced; to unmap a large one takes too long here */
	uint32_t retired_n;
};

/* ---- the folder ---- */

static int by_place(const void *a, const void *b)
{
	const struct keyrun *x = *(struct keyrun *const *)a, *y = *(struct keyrun *const *)b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->upto > y->upto ? -1 : x->upto < y->upto;
}

static enum status runs_add(struct keyindex *k, struct keyrun *r)
{
	if (k->runs_n == k->runs_room) {
		uint32_t room = k->runs_room == 0 ? 64 : 2 * k->runs_room;
		struct keyrun **bigger = realloc(k->runs, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		k->runs = bigger;
		k->runs_room = room;
	}
	k->runs[k->runs_n++] = r;
	return ST_OK;
}

static enum status run_found(struct keyindex *k, const char *name, struct error *e)
{
	char path[PATH_MAX];
	size_t n = strlen(name);
	uint64_t from, upto;
	struct keyrun *r;
	enum status st;

	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	if (n > 4 && strcmp(name + n - 4, ".tmp") == 0) {
		unlink(path);	/* a crash while it was written: nothing counts on it */
		return ST_OK;
	}
	if (!keyrun_name_read(name, &from, &upto))
		return ST_OK;
	st = keyrun_open(&r, path, e);
	if (st == ST_CORRUPT)
		return error_set(e, ST_DAMAGED,
				 "%.300s; restore this file from a backup: without it results "
				 "could be issued twice",
				 e != NULL ? e->text : path);
	if (st != ST_OK)
		return st;
	if (r->from != from || r->upto != upto) {
		keyrun_close(r);
		return error_set(e, ST_DAMAGED, "%s: its name is not that of its content", path);
	}
	st = runs_add(k, r);
	if (st != ST_OK)
		keyrun_close(r);
	return st;
}

/* A crash between a merge and the removal of what it merged leaves both. */
static void contained_drop(struct keyindex *k)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < k->runs_n; i++) {
		struct keyrun *r = k->runs[i];

		if (kept > 0 && r->upto <= k->runs[kept - 1]->upto) {
			unlink(r->path);
			keyrun_close(r);
		} else {
			k->runs[kept++] = r;
		}
	}
	k->runs_n = kept;
}

static enum status runs_open(struct keyindex *k, struct error *e)
{
	enum status st = dir_make(k->dir, 0700, e);
	DIR *d = st == ST_OK ? opendir(k->dir) : NULL;
	struct dirent *ent;
	uint64_t expected = 0;

	if (st == ST_OK && d == NULL)
		st = error_set(e, ST_IO, "%s: cannot list: %s", k->dir, strerrordesc_np(errno));
	while (st == ST_OK && (ent = readdir(d)) != NULL)
		st = run_found(k, ent->d_name, e);
	if (d != NULL)
		closedir(d);
	if (st != ST_OK || k->runs_n == 0)
		return st;
	qsort(k->runs, k->runs_n, sizeof(k->runs[0]), by_place);
	contained_drop(k);
	for (uint32_t i = 0; i < k->runs_n; i++) {
		if (k->runs[i]->from != expected)
			return error_set(e, ST_DAMAGED,
					 "%s: a run is missing before it (from position %llu); "
					 "restore it from a backup: without it results could be "
					 "issued twice",
					 k->runs[i]->path, (unsigned long long)expected);
		expected = k->runs[i]->upto;
	}
	return ST_OK;
}

enum status keyindex_open(struct keyindex **out, const char *dir, struct error *e)
{
	struct keyindex *k = calloc(1, sizeof(*k));
	enum status st;

	if (k == NULL)
		return error_set(e, ST_NOMEM, "key index: no memory");
	k->dir = strdup(dir);
	k->live = livekeys_new();
	st = k->dir == NULL || k->live == NULL ? ST_NOMEM : ST_OK;
	if (st == ST_OK)
		st = runs_open(k, e);
	else
		error_set(e, st, "key index: no memory");
	if (st != ST_OK) {
		keyindex_close(k);
		return st;
	}
	k->last_pos = keyindex_covered(k);
	*out = k;
	return ST_OK;
}

static void retired_close(struct keyrun **retired, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		keyrun_close(retired[i]);
	free(retired);
}

static void job_end(struct keyindex_job *j)
{
	retired_close(j->retired, j->retired_n);
	live_span_end(&j->span);
	*j = (struct keyindex_job){ 0 };
}

void keyindex_close(struct keyindex *k)
{
	if (k == NULL)
		return;
	keyrun_close(k->seal.result);
	keyrun_close(k->merging.result);
	job_end(&k->seal);
	job_end(&k->merging);
	retired_close(k->retired, k->retired_n);
	for (uint32_t i = 0; i < k->runs_n; i++)
		keyrun_close(k->runs[i]);
	free(k->runs);
	livekeys_free(k->live);
	free(k->dir);
	free(k);
}

uint64_t keyindex_covered(const struct keyindex *k)
{
	return k->runs_n > 0 ? k->runs[k->runs_n - 1]->upto : 0;
}

/* ---- looking up ---- */

enum status keyindex_get(struct keyindex *k, const uint8_t key[16], struct keyentry *out)
{
	if (livekeys_get(k->live, key, out))
		return ST_OK;
	/* The misses of all filters at once instead of one after the other. */
	for (uint32_t i = 0; i < k->runs_n; i++)
		__builtin_prefetch(keyrun_line(k->runs[i], key));
	for (uint32_t i = k->runs_n; i-- > 0;) {
		enum status st;

		if (!keyrun_may_have(keyrun_line(k->runs[i], key), key))
			continue;
		st = keyrun_get(k->runs[i], key, out);
		if (st != ST_NOT_FOUND)
			return st;
	}
	return ST_NOT_FOUND;
}

enum status keyindex_put(struct keyindex *k, const struct keyentry *entry, uint64_t pos)
{
	enum status st;

	assert(pos >= k->last_pos);
	st = livekeys_put(k->live, entry, pos);
	if (st == ST_OK)
		k->last_pos = pos;
	return st;
}

enum status keyindex_numbered(const struct keyindex *k, uint64_t number,
			      void (*one)(void *ctx, const struct keyentry *e), void *ctx)
{
	struct live_span all;
	enum status st = livekeys_span(k->live, UINT64_MAX, &all);

	for (size_t i = 0; st == ST_OK && i < all.n; i++) {
		const struct keyentry *e = live_span_at(&all, i);

		if (e->number == number)
			one(ctx, e);
	}
	if (st == ST_OK)
		live_span_end(&all);
	return st;
}

/* ---- jobs: begun and ended on the spine ---- */

static struct keyindex_job *job_take(struct keyindex *k, struct keyindex_job *j)
{
	j->taken = true;
	j->dir = k->dir;
	j->retired = k->retired;
	j->retired_n = k->retired_n;
	k->retired = NULL;
	k->retired_n = 0;
	return j;
}

struct keyindex_job *keyindex_seal(struct keyindex *k, uint64_t upto)
{
	struct keyindex_job *j = &k->seal;

	assert(!j->taken);
	/* A span of none would say that nothing has to be kept: without memory the job fails. */
	j->status = livekeys_span(k->live, upto, &j->span);
	if (j->span.n == 0)
		return NULL;
	j->from = keyindex_covered(k);
	j->upto = upto;
	j->entries_n = j->span.n;
	return job_take(k, j);
}

/*
 * Neighbours only, so that newer still wins over older. From the newest of them on, each older run
 * is taken that is not larger than all before it together: every entry is copied a
 * logarithmic number of times, and a logarithmic number of runs is left.
 */
static uint32_t merge_reach(const struct keyindex *k, uint32_t newest, uint64_t *entries)
{
	uint32_t i = newest;

	*entries = k->runs[i]->count;
	while (i > 0 && newest - i + 1 < MERGE_RUNS_MAX && k->runs[i - 1]->count <= *entries &&
	       *entries + k->runs[i - 1]->count <= RUN_ENTRIES_MAX) {
		i--;
		*entries += k->runs[i]->count;
	}
	return newest - i + 1;
}

struct keyindex_job *keyindex_merge(struct keyindex *k)
{
	struct keyindex_job *j = &k->merging;
	uint64_t entries;

	if (j->taken)
		return NULL;
	for (uint32_t i = k->runs_n; i-- > 0;) {
		uint32_t n = merge_reach(k, i, &entries);

		if (n < MERGE_RUNS_MIN)
			continue;
		j->merge = true;
		j->first_run = i - n + 1;
		j->runs_n = n;
		memcpy(j->inputs, k->runs + j->first_run, n * sizeof(j->inputs[0]));
		j->from = j->inputs[0]->from;
		j->upto = j->inputs[n - 1]->upto;
		j->entries_n = entries;
		return job_take(k, j);
	}
	return NULL;
}

static enum status merge_commit(struct keyindex *k, struct keyindex_job *j, struct error *e)
{
	uint32_t end = j->first_run + j->runs_n;
	struct keyrun **retired =
		realloc(k->retired, (k->retired_n + j->runs_n) * sizeof(*retired));

	if (retired == NULL)
		return error_set(e, ST_NOMEM, "key index: no memory to take a run into use");
	k->retired = retired;
	memcpy(k->retired + k->retired_n, j->inputs, j->runs_n * sizeof(*retired));
	k->retired_n += j->runs_n;
	k->runs[j->first_run] = j->result;
	memmove(k->runs + j->first_run + 1, k->runs + end, (k->runs_n - end) * sizeof(*k->runs));
	k->runs_n -= j->runs_n - 1;
	return ST_OK;
}

enum status keyindex_commit(struct keyindex *k, struct keyindex_job *j, struct error *e)
{
	enum status st;

	assert(j->taken && j->result != NULL);
	if (j->merge) {
		st = merge_commit(k, j, e);
	} else {
		assert(j->from == keyindex_covered(k));
		st = runs_add(k, j->result);
		if (st == ST_OK)
			livekeys_drop(k->live, &j->span);
		else
			error_set(e, st, "key index: no memory to take a run into use");
	}
	if (st != ST_OK)
		return st;
	job_end(j);
	return ST_OK;
}

/* ---- jobs: run in the background, on nothing but what they carry ---- */

struct version { const struct keyentry *entry; size_t age; };

/* The newest version of a key first. */
static int by_key(const void *a, const void *b)
{
	const struct version *x = a, *y = b;
	int order = memcmp(x->entry->key, y->entry->key, 16);

	return order != 0 ? order : x->age > y->age ? -1 : x->age < y->age;
}

static enum status seal_write(struct keyindex_job *j, struct keyrun_writer *w, struct error *e)
{
	struct version *v = malloc(j->span.n * sizeof(*v));
	enum status st = ST_OK;

	if (v == NULL)
		return error_set(e, ST_NOMEM, "key index: no memory to write a run");
	for (size_t i = 0; i < j->span.n; i++)
		v[i] = (struct version){ live_span_at(&j->span, i), i };
	qsort(v, j->span.n, sizeof(*v), by_key);
	for (size_t i = 0; i < j->span.n && st == ST_OK; i++)
		if (i == 0 || memcmp(v[i - 1].entry->key, v[i].entry->key, 16) != 0)
			st = keyrun_add(w, v[i].entry, e);
	free(v);
	return st;
}

/* The smallest key; of several the newest run's. NULL: all are at their end. */
static struct keyrun_cursor *cursor_least(struct keyrun_cursor *cursors, uint32_t n)
{
	struct keyrun_cursor *least = NULL;

	for (uint32_t i = n; i-- > 0;) {
		struct keyrun_cursor *c = &cursors[i];

		if (c->more && (least == NULL ||
				memcmp(c->entry.key, least->entry.key, sizeof(c->entry.key)) < 0))
			least = c;
	}
	return least;
}

static enum status merge_write(struct keyindex_job *j, struct keyrun_writer *w, struct error *e)
{
	struct keyrun_cursor cursors[MERGE_RUNS_MAX] = { { 0 } }, *c;
	uint8_t key[16];
	enum status st = ST_OK;

	for (uint32_t i = 0; i < j->runs_n && st == ST_OK; i++)
		st = keyrun_cursor_start(&cursors[i], j->inputs[i], e);
	while (st == ST_OK && (c = cursor_least(cursors, j->runs_n)) != NULL) {
		memcpy(key, c->entry.key, sizeof(key));
		st = keyrun_add(w, &c->entry, e);
		for (uint32_t i = 0; i < j->runs_n && st == ST_OK; i++)
			if (cursors[i].more && memcmp(cursors[i].entry.key, key, sizeof(key)) == 0)
				st = keyrun_cursor_next(&cursors[i], e);
	}
	for (uint32_t i = 0; i < j->runs_n; i++)
		keyrun_cursor_end(&cursors[i]);
	return st;
}

enum status keyindex_job_run(struct keyindex_job *j, struct error *e)
{
	struct keyrun_writer *w;
	enum status st = j->status;

	if (st != ST_OK)
		return error_set(e, st, "key index: no memory to write a run");
	retired_close(j->retired, j->retired_n);
	j->retired = NULL;
	j->retired_n = 0;
	st = keyrun_create(&w, j->dir, j->from, j->upto, j->entries_n, e);
	if (st != ST_OK)
		return st;
	st = j->merge ? merge_write(j, w, e) : seal_write(j, w, e);
	if (st != ST_OK) {
		keyrun_abandon(w);
		return st;
	}
	st = keyrun_finish(w, &j->result, e);
	/* Still mapped, so still readable until the commit; the next start would do it as well. */
	for (uint32_t i = 0; i < j->runs_n && st == ST_OK; i++)
		unlink(j->inputs[i]->path);
	return st;
}
