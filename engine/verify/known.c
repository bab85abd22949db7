#include "verify/known.h"

#include <pthread.h>
#include <stdlib.h>

/* The end of a beginning tells most of them apart. */
#define SAMPLE_BYTES 64
/* Beginnings are compared to find what templates share: only with the newest few. */
#define RELATIVES_MAX 8

struct entry {
	struct prefix prefix;		/* first: known_release() */
	struct entry *newer, *older;
	uint32_t refs;			/* of users, and one while it is in the list */
};

struct known {
	pthread_mutex_t lock;
	struct entry *newest, *oldest;
	uint32_t n;
	size_t bytes;
};

enum status known_new(struct known **out)
{
	struct known *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&k->lock, NULL);
	*out = k;
	return ST_OK;
}

/* ---- the list: under the lock ---- */

static void unref(struct entry *e)
{
	if (--e->refs > 0)
		return;
	sha256_free((struct sha256 *)e->prefix.state);
	free((void *)e->prefix.objects);
	free((void *)e->prefix.bytes);
	free(e);
}

static void take_out(struct known *k, struct entry *e)
{
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		k->newest = e->older;
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		k->oldest = e->newer;
	k->n--;
	k->bytes -= e->prefix.n;
}

static void put_first(struct known *k, struct entry *e)
{
	e->newer = NULL;
	e->older = k->newest;
	if (k->newest != NULL)
		k->newest->newer = e;
	else
		k->oldest = e;
	k->newest = e;
	k->n++;
	k->bytes += e->prefix.n;
}

void known_free(struct known *k)
{
	if (k == NULL)
		return;
	while (k->newest != NULL) {
		struct entry *e = k->newest;

		take_out(k, e);
		unref(e);
	}
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* ---- finding ---- */

static bool may_begin_with(struct slice file, const struct prefix *p)
{
	return p->n <= file.n && memcmp(file.p + p->n - SAMPLE_BYTES,
					p->bytes + p->n - SAMPLE_BYTES, SAMPLE_BYTES) == 0;
}

/* The longest below `limit` that looks like it, with a reference. */
static struct entry *candidate(struct known *k, struct slice file, size_t limit)
{
	struct entry *best = NULL;

	pthread_mutex_lock(&k->lock);
	for (struct entry *e = k->newest; e != NULL; e = e->older)
		if (e->prefix.n < limit && (best == NULL || e->prefix.n > best->prefix.n) &&
		    may_begin_with(file, &e->prefix))
			best = e;
	if (best != NULL) {
		best->refs++;
		if (best != k->newest) {
			take_out(k, best);
			put_first(k, best);
		}
	}
	pthread_mutex_unlock(&k->lock);
	return best;
}

const struct prefix *known_find(struct known *k, struct slice file)
{
	size_t limit = SIZE_MAX;
	struct entry *e;

	while ((e = candidate(k, file, limit)) != NULL) {
		if (memcmp(file.p, e->prefix.bytes, e->prefix.n) == 0)
			return &e->prefix;
		limit = e->prefix.n;
		known_release(k, &e->prefix);
	}
	return NULL;
}

void known_release(struct known *k, const struct prefix *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	unref((struct entry *)p);
	pthread_mutex_unlock(&k->lock);
}

/* ---- learning ---- */

static struct entry *entry_make(struct slice bytes)
{
	struct entry *e = calloc(1, sizeof(*e));
	uint8_t *copy = malloc(bytes.n);
	struct sha256 *state = sha256_new();
	struct object *objects = NULL;

	if (e != NULL && copy != NULL && state != NULL) {
		memcpy(copy, bytes.p, bytes.n);
		e->refs = 1;
		e->prefix = (struct prefix){ .bytes = copy, .n = bytes.n, .state = state };
		if (prefix_read(&objects, &e->prefix.objects_n, slice_of(copy, bytes.n)) == ST_OK) {
			e->prefix.objects = objects;
			sha256_start(state);
			sha256_add(state, copy, bytes.n);
			return e;
		}
	}
	sha256_free(state);
	free(copy);
	free(e);
	return NULL;
}

static bool is_there(const struct known *k, struct slice bytes)
{
	for (const struct entry *e = k->newest; e != NULL; e = e->older)
		if (e->prefix.n == bytes.n && memcmp(e->prefix.bytes, bytes.p, bytes.n) == 0)
			return true;
	return false;
}

static void learn(struct known *k, struct slice bytes)
{
	struct entry *e;

	if (bytes.n < KNOWN_PREFIX_BYTES_MIN || bytes.n > KNOWN_PREFIX_BYTES_MAX)
		return;
	e = entry_make(bytes);
	if (e == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	if (is_there(k, bytes)) {
		unref(e);
	} else {
		put_first(k, e);
		while (k->n > KNOWN_PREFIXES_MAX || k->bytes > KNOWN_BYTES_MAX) {
			struct entry *last = k->oldest;

			take_out(k, last);
			unref(last);
		}
	}
	pthread_mutex_unlock(&k->lock);
}

enum status known_learn(struct known *k, const struct slice *layers, size_t n)
{
	size_t size = 0, at = 0;
	uint8_t *bytes;

	for (size_t i = 0; i < n; i++)
		size += layers[i].n;
	bytes = malloc(size + 1);
	if (bytes == NULL)
		return ST_NOMEM;
	for (size_t i = 0; i < n; i++) {
		memcpy(bytes + at, layers[i].p, layers[i].n);
		at += layers[i].n;
	}
	learn(k, slice_of(bytes, size));
	free(bytes);
	return ST_OK;
}

static size_t common(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n, at = 0;

	while (at + 4096 <= n && memcmp(a.p + at, b.p + at, 4096) == 0)
		at += 4096;
	while (at < n && a.p[at] == b.p[at])
		at++;
	return at;
}

/* The longest run of whole objects that bytes share with a newer beginning, but not all of it. */
static size_t shared_with_others(struct known *k, struct slice bytes)
{
	size_t best = 0;
	int left = RELATIVES_MAX;

	pthread_mutex_lock(&k->lock);
	for (const struct entry *e = k->newest; e != NULL && left > 0; e = e->older, left--) {
		const struct prefix *p = &e->prefix;
		size_t same = common(bytes, slice_of(p->bytes, p->n));

		for (uint32_t i = 0; i < p->objects_n && same < bytes.n && same < p->n; i++)
			if (p->objects[i].offset <= same && p->objects[i].offset > best)
				best = p->objects[i].offset;
	}
	pthread_mutex_unlock(&k->lock);
	return best;
}

void known_learn_file(struct known *k, const struct pdf *pdf)
{
	const struct revision *first = &pdf->revisions[0];
	const struct object *catalog = pdf_object(pdf, pdf->root, 0);
	uint32_t pages = catalog == NULL ? 0 : value_ref(dict_get(catalog->value, "/Pages"));
	uint64_t end = first->xref;
	size_t shared;

	/* The page tree's number is the first of those that each document writes anew. */
	for (uint32_t i = 0; i < first->objects_n; i++)
		if (first->objects[i].number >= pages && first->objects[i].offset < end)
			end = first->objects[i].offset;
	if (pages == 0 || (pdf->prefix != NULL && pdf->prefix->n >= end))
		return;
	shared = shared_with_others(k, slice_of(pdf->file.p, end));
	if (shared > (pdf->prefix != NULL ? pdf->prefix->n : 0))
		learn(k, slice_of(pdf->file.p, shared));
	learn(k, slice_of(pdf->file.p, end));
}
