#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/read.h"
#include "io/file.h"

#define VERSIONS_MAX 200

const char *const sort_folders[SORT_COUNT] = { "results", "agencies", "signers" };

/* The key that names the picture of a version of this sort; NULL: it has none. */
static const char *const picture_keys[SORT_COUNT] = { NULL, "seal", "hand" };

static void read_kind(struct form *f, const struct source *s, const json_t *v, struct entry *e)
{
	struct kind *k = form_take(f, sizeof(*k));

	if (k == NULL)
		return;
	k->code = e->code;
	k->effective_from = e->from;
	k->effective_to = e->to;
	k->home = s->home;
	kind_read(f, v, k);
	e->object = k;
	e->pin = k->pin;
}

static void read_unit(struct form *f, const char *dir, const json_t *v, struct entry *e)
{
	struct unit *u = form_take(f, sizeof(*u));

	if (u == NULL)
		return;
	u->code = e->code;
	u->from = e->from;
	u->to = e->to;
	unit_read(f, v, dir, u, &e->picture);
	e->object = u;
	e->pin = u->pin;
}

static void read_signer(struct form *f, const char *dir, const json_t *v, struct entry *e)
{
	struct signer *s = form_take(f, sizeof(*s));

	if (s == NULL)
		return;
	s->code = e->code;
	s->from = e->from;
	s->to = e->to;
	signer_read(f, v, dir, s, &e->picture);
	e->object = s;
	e->pin = s->pin;
}

static const char *keep(struct form *f, const char *text, size_t n)
{
	char *copy = form_take(f, n + 1);

	return copy != NULL ? memcpy(copy, text, n) : NULL;
}

/* The picture goes by its content: another seal under the same name is another version. */
static void name_picture(json_t *version, const struct entry *e)
{
	const char *key = picture_keys[e->sort];
	char name[2 * SHA256_BYTES + sizeof(".pbm")] = "";
	json_t *picture;

	if (key == NULL)
		return;
	if (e->picture.file.n == 0) {
		json_object_del(version, key);
		return;
	}
	hex_lower(name, e->picture.sha256, SHA256_BYTES);
	memcpy(name + 2 * SHA256_BYTES, ".pbm", sizeof(".pbm"));
	picture = json_object_get(version, key);
	json_object_set_new(picture, "image", json_string(name));
	json_object_del(picture, "optional");
}

/* A file of this one version in the same form, so that the archive needs no other reader. */
static void make_canonical(struct form *f, const json_t *v, struct entry *e)
{
	json_t *version = json_deep_copy(v), *root;
	uint8_t digest[SHA256_BYTES];
	char *text = NULL;

	name_picture(version, e);
	root = json_pack("{s:s, s:[o]}", "code", e->code, "versions", version);
	if (root != NULL)
		text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(root);
	if (text == NULL) {
		f->status = error_set(f->error, ST_NOMEM, "%s: memory is short", f->path);
		return;
	}
	e->json = slice_of(keep(f, text, strlen(text)), strlen(text));
	sha256_once(text, strlen(text), digest);
	memcpy(e->pin, digest, PIN_BYTES);
	free(text);
}

static void read_days(struct form *f, const json_t *v, const struct entry *before, struct entry *e)
{
	if (!json_is_object(v)) {
		form_fail(f, NULL, "must be an object { }");
		return;
	}
	e->from = form_day(f, v, "from", FORM_REQUIRED);
	e->to = form_day(f, v, "to", 0);
	if (e->to != 0 && e->to < e->from)
		form_fail(f, "to", "is before \"from\"");
	if (before != NULL && before->to == 0)
		form_fail(f, "from", "versions overlap: versions[%u] has no \"to\"; it must end "
			  "before this one begins", before->version);
	else if (before != NULL && e->from <= before->to)
		form_fail(f, "from", "versions overlap: versions[%u] ends %04u-%02u-%02u; oldest "
			  "first, each begins after the one before", before->version,
			  before->to / 10000, before->to / 100 % 100, before->to % 100);
}

static void read_version(struct form *f, const struct source *s, const char *dir, const json_t *v,
			 struct entry *e)
{
	if (f->status != ST_OK)
		return;
	if (s->sort == SORT_KIND)
		read_kind(f, s, v, e);
	else if (s->sort == SORT_UNIT)
		read_unit(f, dir, v, e);
	else
		read_signer(f, dir, v, e);
	if (f->status == ST_OK)
		make_canonical(f, v, e);
}

static struct entry *read_versions(struct form *f, const struct source *s, const char *code,
				   uint32_t *n)
{
	const json_t *list = form_list(f, f->root, "versions", FORM_REQUIRED, VERSIONS_MAX);
	uint32_t count = (uint32_t)json_array_size(list);
	struct entry *entries = form_take(f, (count + 1) * sizeof(*entries));
	const char *slash = strrchr(s->path, '/');
	const char *path = keep(f, s->path, strlen(s->path));
	const char *dir = slash == NULL ? "." :
		keep(f, s->path, slash == s->path ? 1 : (size_t)(slash - s->path));

	form_enter(f, "versions");
	for (uint32_t i = 0; i < count && f->status == ST_OK; i++) {
		struct entry *e = &entries[i];
		const json_t *v = json_array_get(list, i);

		*e = (struct entry){ .sort = s->sort, .code = code, .path = path, .version = i };
		form_enter_at(f, i);
		read_days(f, v, i > 0 ? &entries[i - 1] : NULL, e);
		read_version(f, s, dir, v, e);
		form_leave(f);
	}
	form_leave(f);
	*n = count;
	return entries;
}

enum status source_read(const struct source *s, struct slice text, struct entry **entries,
			uint32_t *n, struct error *e)
{
	static const char *const keys[] = { "code", "versions", NULL };
	struct form f;
	const char *code;
	enum status st = form_open(&f, s->path, text, s->pool, e);

	if (st != ST_OK)
		return st;
	if (form_keys(&f, f.root, keys)) {
		code = form_text(&f, f.root, "code", FORM_REQUIRED | FORM_CODE, CODE_BYTES_MAX);
		if (code != NULL && s->code != NULL && strcmp(code, s->code) != 0)
			form_fail(&f, "code", "is \"%s\"; it must be the file's name, \"%s\"", code,
				  s->code);
		*entries = read_versions(&f, s, code, n);
	}
	form_close(&f);
	return f.status;
}

enum status source_fail(const struct entry *at, const char *key, uint32_t index, struct error *e,
			const char *fmt, ...)
{
	struct pool pool = { 0 };
	struct form f;
	char what[300];
	uint8_t *text;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (file_read(at->path, FORM_BYTES_MAX, &text, &n, e) != ST_OK)
		return ST_INVALID;
	if (form_open(&f, at->path, slice_of(text, n), &pool, e) == ST_OK) {
		const json_t *v = json_array_get(json_object_get(f.root, "versions"), at->version);

		form_enter(&f, "versions");
		form_enter_at(&f, at->version);
		if (json_is_array(json_object_get(v, key))) {
			form_enter(&f, key);
			form_enter_at(&f, index);
			key = NULL;
		}
		form_fail(&f, key, "%s", what);
		form_close(&f);
	}
	pool_free(&pool);
	free(text);
	return ST_INVALID;
}

enum status signer_limited(const struct entry *at, struct error *e)
{
	const struct signer *s = at->object;

	if (strcmp(s->authority, "TUQ") != 0 || s->to != 0)
		return ST_OK;
	return source_fail(at, "authority", 0, e, "\"TUQ\" is limited in time: \"to\", its last "
			   "day, is missing");
}
