#include "catalogue/catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/archive.h"
#include "catalogue/index.h"
#include "catalogue/number.h"
#include "catalogue/read.h"
#include "io/file.h"

/* All versions of one sort, those of one code side by side, oldest first. */
struct shelf {
	uint32_t n, room;
	struct entry *entry;
	uint32_t mask;			/* of both tables: open addressing, index + 1, 0 = empty */
	uint32_t *by_code;		/* the first version of each code */
	uint32_t *by_pin;
};

/* A version that is not in force any more, from the archive. */
struct replayed {
	struct replayed *next;
	struct pool pool;
	struct entry *entry;
};

struct catalogue {
	atomic_uint refs;
	struct pool pool;
	struct shelf shelf[SORT_COUNT];
	char *archive;			/* NULL: none */
	pthread_mutex_t lock;		/* replayed */
	struct replayed *replayed;
};

/* ---- shelves ---- */

static bool shelf_add(struct shelf *s, const struct entry *entries, uint32_t n)
{
	if (s->n + n > s->room) {
		uint32_t room = 2 * (s->n + n);
		struct entry *more = realloc(s->entry, room * sizeof(*more));

		if (more == NULL)
			return false;
		s->entry = more;
		s->room = room;
	}
	memcpy(s->entry + s->n, entries, n * sizeof(*entries));
	s->n += n;
	return true;
}

static uint32_t pin_hash(const uint8_t pin[PIN_BYTES])
{
	uint32_t h;

	memcpy(&h, pin, sizeof(h));
	return h;
}

static void table_add(uint32_t *table, uint32_t mask, uint32_t hash, uint32_t index)
{
	while (table[hash & mask] != 0)
		hash++;
	table[hash & mask] = index + 1;
}

static bool shelf_index(struct shelf *s)
{
	uint32_t slots = 8;

	while (slots < 2 * s->n)
		slots *= 2;
	s->mask = slots - 1;
	s->by_code = calloc(slots, sizeof(*s->by_code));
	s->by_pin = calloc(slots, sizeof(*s->by_pin));
	if (s->by_code == NULL || s->by_pin == NULL)
		return false;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct entry *e = &s->entry[i];

		if (e->version == 0)
			table_add(s->by_code, s->mask, index_hash(slice_str(e->code)), i);
		table_add(s->by_pin, s->mask, pin_hash(e->pin), i);
	}
	return true;
}

/* The oldest version of a code, or NULL. */
static const struct entry *first_version(const struct shelf *s, struct slice code)
{
	for (uint32_t h = index_hash(code); s->by_code[h & s->mask] != 0; h++) {
		const struct entry *e = &s->entry[s->by_code[h & s->mask] - 1];

		if (slice_eq(slice_str(e->code), code))
			return e;
	}
	return NULL;
}

/* The version after e of the same code, or NULL. */
static const struct entry *next_version(const struct shelf *s, const struct entry *e)
{
	e++;
	return e < s->entry + s->n && e->version > 0 ? e : NULL;
}

static const void *in_force(const struct shelf *s, struct slice code, uint32_t day)
{
	for (const struct entry *e = first_version(s, code); e != NULL; e = next_version(s, e))
		if (day >= e->from && (e->to == 0 || day <= e->to))
			return e->object;
	return NULL;
}

static const void *by_pin(const struct shelf *s, const uint8_t pin[PIN_BYTES])
{
	for (uint32_t h = pin_hash(pin); s->by_pin[h & s->mask] != 0; h++) {
		const struct entry *e = &s->entry[s->by_pin[h & s->mask] - 1];

		if (memcmp(e->pin, pin, PIN_BYTES) == 0)
			return e->object;
	}
	return NULL;
}

/* ---- loading ---- */

static enum status read_file(struct catalogue *c, enum sort sort, const char *path,
			     const char *code, struct error *e)
{
	struct source s = { .path = path, .sort = sort, .code = code, .home = c, .pool = &c->pool };
	struct entry *entries;
	uint8_t *text;
	uint32_t n;
	size_t size;
	enum status st = file_read(path, FORM_BYTES_MAX, &text, &size, e);

	if (st != ST_OK)
		return st;
	st = source_read(&s, slice_of(text, size), &entries, &n, e);
	free(text);
	if (st == ST_OK && !shelf_add(&c->shelf[sort], entries, n))
		st = error_set(e, ST_NOMEM, "%s: memory is short", path);
	return st;
}

static int is_json(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".json") == 0;
}

static enum status read_folder(struct catalogue *c, enum sort sort, const char *schemas,
			       struct error *e)
{
	const char *instead = c->shelf[sort].n > 0 ? c->shelf[sort].entry[0].code : "";
	char path[PATH_MAX], code[NAME_MAX + 1];
	struct dirent **names;
	enum status st = ST_OK;
	int n;

	snprintf(path, sizeof(path), "%s/%s", schemas, sort_folders[sort]);
	n = scandir(path, &names, is_json, alphasort);
	if (n < 0)
		return error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
				 "%s: cannot read the folder: %s", path, strerrordesc_np(errno));
	for (int i = 0; i < n; i++) {
		if (snprintf(path, sizeof(path), "%s/%s/%s", schemas, sort_folders[sort],
			     names[i]->d_name) >= (int)sizeof(path) && st == ST_OK)
			st = error_set(e, ST_INVALID, "%s: the path is too long", schemas);
		snprintf(code, sizeof(code), "%.*s", (int)strlen(names[i]->d_name) - 5,
			 names[i]->d_name);
		if (st == ST_OK && strcmp(code, instead) != 0)
			st = read_file(c, sort, path, code, e);
		free(names[i]);
	}
	free(names);
	return st;
}

/* ---- what only shows beside other files ---- */

static enum status check_unit(const struct catalogue *c, const struct entry *at, struct error *e)
{
	const struct shelf *units = &c->shelf[SORT_UNIT];
	const struct unit *u = at->object;
	const struct entry *step = at;

	if (u->successor != NULL && next_version(units, at) != NULL)
		return source_fail(at, "successor", 0, e,
				   "only the last version may name a successor");
	/* Every chain is at most as long as there are agencies, or it is a ring. */
	for (uint32_t n = 0; step != NULL; n++) {
		const char *successor = ((const struct unit *)step->object)->successor;

		if (successor == NULL)
			return ST_OK;
		if (n > units->n)
			return source_fail(at, "successor", 0, e,
					   "the agency would succeed itself");
		step = first_version(units, slice_str(successor));
		for (const struct entry *v = step; v != NULL; v = next_version(units, v))
			step = v;
		if (step == NULL && n == 0)
			return source_fail(at, "successor", 0, e, "there is no agency \"%s\"",
					   successor);
	}
	return ST_OK;
}

static enum status check_signer(const struct catalogue *c, const struct entry *at, struct error *e)
{
	const struct signer *s = at->object;

	if (first_version(&c->shelf[SORT_UNIT], slice_str(s->unit)) == NULL)
		return source_fail(at, "unit", 0, e, "there is no agency \"%s\"", s->unit);
	for (uint8_t i = 0; i < s->kinds_n; i++)
		if (first_version(&c->shelf[SORT_KIND], slice_str(s->kinds[i])) == NULL)
			return source_fail(at, "kinds", i, e, "there is no kind \"%s\"",
					   s->kinds[i]);
	return signer_limited(at, e);
}

static enum status check_kind(const struct shelf *kinds, const struct entry *at,
			      const struct unit *longest, struct error *e)
{
	const struct kind *k = at->object;
	const struct entry *next = next_version(kinds, at);
	size_t n = number_form_bytes(k->number_form, longest->notation), book = 0;

	/* Statistics tell by the code alone which kinds are copies. */
	if (next != NULL && ((const struct kind *)next->object)->copies != k->copies)
		return source_fail(next, "copy", 0, e, "another than in the version before; "
				   "another kind of copy is another kind");

	if (k->book_form != NULL)
		book = number_form_bytes(k->book_form, longest->notation);
	if (book > n)
		n = book;
	if (n <= NUMBER_TEXT_BYTES_MAX)
		return ST_OK;
	return source_fail(at, "number", 0, e, "a number of %d digits of agency \"%s\" would have "
			   "%zu bytes; %d are allowed", NUMBER_DIGITS_MAX, longest->code, n,
			   NUMBER_TEXT_BYTES_MAX);
}

static enum status check_references(const struct catalogue *c, struct error *e)
{
	static const struct unit none = { .code = "", .notation = "" };
	const struct shelf *units = &c->shelf[SORT_UNIT], *signers = &c->shelf[SORT_SIGNER];
	const struct shelf *kinds = &c->shelf[SORT_KIND];
	const struct unit *longest = &none;
	enum status st = ST_OK;

	for (uint32_t i = 0; st == ST_OK && i < units->n; i++) {
		const struct unit *u = units->entry[i].object;

		if (strlen(u->notation) > strlen(longest->notation))
			longest = u;
		st = check_unit(c, &units->entry[i], e);
	}
	for (uint32_t i = 0; st == ST_OK && i < signers->n; i++)
		st = check_signer(c, &signers->entry[i], e);
	for (uint32_t i = 0; st == ST_OK && i < kinds->n; i++)
		st = check_kind(kinds, &kinds->entry[i], longest, e);
	return st;
}

static enum status keep_all(struct catalogue *c, const char *archive, struct error *e)
{
	enum status st = dir_make(archive, 0750, e);

	c->archive = strdup(archive);
	if (st == ST_OK && c->archive == NULL)
		st = error_set(e, ST_NOMEM, "catalogue: memory is short");
	for (int sort = 0; sort < SORT_COUNT; sort++)
		for (uint32_t i = 0; st == ST_OK && i < c->shelf[sort].n; i++)
			st = archive_keep(archive, &c->shelf[sort].entry[i], e);
	return st;
}

enum status catalogue_load(struct catalogue **out, const struct catalogue_config *cfg,
			   struct error *e)
{
	struct catalogue *c = calloc(1, sizeof(*c));
	enum status st = ST_OK;

	if (c == NULL)
		return error_set(e, ST_NOMEM, "catalogue: memory is short");
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	if (cfg->kind_file != NULL)
		st = read_file(c, SORT_KIND, cfg->kind_file, NULL, e);
	for (int sort = 0; st == ST_OK && sort < SORT_COUNT; sort++) {
		st = read_folder(c, (enum sort)sort, cfg->schemas, e);
		if (st == ST_OK && !shelf_index(&c->shelf[sort]))
			st = error_set(e, ST_NOMEM, "catalogue: memory is short");
	}
	if (st == ST_OK)
		st = check_references(c, e);
	if (st == ST_OK && cfg->archive != NULL)
		st = keep_all(c, cfg->archive, e);
	if (st == ST_OK)
		*out = c;
	else
		catalogue_unref(c);
	return st;
}

struct catalogue *catalogue_ref(struct catalogue *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void catalogue_unref(struct catalogue *c)
{
	if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	while (c->replayed != NULL) {
		struct replayed *r = c->replayed;

		c->replayed = r->next;
		pool_free(&r->pool);
		free(r);
	}
	for (int sort = 0; sort < SORT_COUNT; sort++) {
		free(c->shelf[sort].entry);
		free(c->shelf[sort].by_code);
		free(c->shelf[sort].by_pin);
	}
	pool_free(&c->pool);
	pthread_mutex_destroy(&c->lock);
	free(c->archive);
	free(c);
}

/* ---- look-ups ---- */

const struct kind *catalogue_kind(const struct catalogue *c, struct slice code, uint32_t day)
{
	return in_force(&c->shelf[SORT_KIND], code, day);
}

const struct kind *catalogue_kind_within(const struct catalogue *c, struct slice code,
					 uint32_t first, uint32_t last)
{
	const struct shelf *kinds = &c->shelf[SORT_KIND];
	const struct kind *k = NULL;

	for (const struct entry *e = first_version(kinds, code); e != NULL;
	     e = next_version(kinds, e))
		if (e->from <= last && (e->to == 0 || e->to >= first))
			k = e->object;
	return k;
}

const struct unit *catalogue_unit(const struct catalogue *c, struct slice code, uint32_t day)
{
	return in_force(&c->shelf[SORT_UNIT], code, day);
}

const struct signer *catalogue_signer(const struct catalogue *c, struct slice code, uint32_t day)
{
	return in_force(&c->shelf[SORT_SIGNER], code, day);
}

bool catalogue_kind_exists(const struct catalogue *c, struct slice code)
{
	return first_version(&c->shelf[SORT_KIND], code) != NULL;
}

bool catalogue_unit_exists(const struct catalogue *c, struct slice code)
{
	return first_version(&c->shelf[SORT_UNIT], code) != NULL;
}

const char *catalogue_successor(const struct catalogue *c, struct slice unit, uint32_t day)
{
	const struct shelf *units = &c->shelf[SORT_UNIT];
	const struct entry *last = NULL;

	for (const struct entry *e = first_version(units, unit); e != NULL;
	     e = next_version(units, e))
		last = e;
	/* The file is written before the day comes: until then the old agency alone acts. */
	if (last == NULL || (last->to != 0 ? day <= last->to : day < last->from))
		return NULL;
	return ((const struct unit *)last->object)->successor;
}

bool catalogue_succeeds(const struct catalogue *c, struct slice unit, struct slice other,
			uint32_t day)
{
	/* Ends: loading refuses rings. */
	while (!slice_eq(unit, other)) {
		const char *successor = catalogue_successor(c, other, day);

		if (successor == NULL)
			return false;
		other = slice_str(successor);
	}
	return true;
}

static const void *at(const struct shelf *s, uint32_t i)
{
	return i < s->n ? s->entry[i].object : NULL;
}

const struct kind *catalogue_kind_at(const struct catalogue *c, uint32_t i)
{
	return at(&c->shelf[SORT_KIND], i);
}

const struct unit *catalogue_unit_at(const struct catalogue *c, uint32_t i)
{
	return at(&c->shelf[SORT_UNIT], i);
}

const struct signer *catalogue_signer_at(const struct catalogue *c, uint32_t i)
{
	return at(&c->shelf[SORT_SIGNER], i);
}

/* ---- two snapshots ---- */

static const struct entry *version_from(const struct shelf *s, const struct entry *as)
{
	const struct entry *e = first_version(s, slice_str(as->code));

	while (e != NULL && e->from != as->from)
		e = next_version(s, e);
	return e;
}

void catalogue_changed(const struct catalogue *before, const struct catalogue *now,
		       void (*cb)(void *ctx, const char *line), void *ctx)
{
	const struct shelf *was = &before->shelf[SORT_KIND], *is = &now->shelf[SORT_KIND];
	char line[200];

	for (uint32_t i = 0; i < was->n; i++) {
		const struct entry *old = &was->entry[i], *e = version_from(is, old);

		/* One that got its last day is changed as it should be. */
		if (by_pin(is, old->pin) != NULL || (e != NULL && e->to != old->to))
			continue;
		snprintf(line, sizeof(line), "kind %s, the version from %04u-%02u-%02u: %s",
			 old->code, old->from / 10000, old->from / 100 % 100, old->from % 100,
			 e == NULL ? "is gone" : "was edited");
		cb(ctx, line);
	}
}

/* ---- pinned versions ---- */

/* c->lock is held: a version is read once, however many workers ask. */
static enum status replay(struct catalogue *c, enum sort sort, const uint8_t pin[PIN_BYTES],
			  const void **out, struct error *e)
{
	struct replayed *r;
	enum status st;

	for (r = c->replayed; r != NULL; r = r->next) {
		if (r->entry->sort == sort && memcmp(r->entry->pin, pin, PIN_BYTES) == 0) {
			*out = r->entry->object;
			return ST_OK;
		}
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return error_set(e, ST_NOMEM, "catalogue: memory is short");
	st = archive_find(c->archive, sort, pin, c, &r->pool, &r->entry, e);
	if (st != ST_OK) {
		pool_free(&r->pool);
		free(r);
		return st;
	}
	r->next = c->replayed;
	c->replayed = r;
	*out = r->entry->object;
	return ST_OK;
}

static enum status pinned(struct catalogue *c, enum sort sort, const uint8_t pin[PIN_BYTES],
			  const void **out, struct error *e)
{
	char hex[2 * PIN_BYTES + 1] = "";
	enum status st;

	*out = by_pin(&c->shelf[sort], pin);
	if (*out != NULL)
		return ST_OK;
	hex_lower(hex, pin, PIN_BYTES);
	if (c->archive == NULL)
		return error_set(e, ST_NOT_FOUND, "no version %s in %s, and no archive", hex,
				 sort_folders[sort]);
	pthread_mutex_lock(&c->lock);
	st = replay(c, sort, pin, out, e);
	pthread_mutex_unlock(&c->lock);
	return st;
}

enum status catalogue_pinned(struct catalogue *c, const struct pins *p, const struct kind **k,
			     const struct unit **u, const struct signer **s, struct error *e)
{
	const void *kind, *unit, *signer;
	enum status st = pinned(c, SORT_KIND, p->kind, &kind, e);

	if (st == ST_OK)
		st = pinned(c, SORT_UNIT, p->unit, &unit, e);
	if (st == ST_OK)
		st = pinned(c, SORT_SIGNER, p->signer, &signer, e);
	if (st != ST_OK)
		return st;
	*k = kind;
	*u = unit;
	*s = signer;
	return ST_OK;
}
