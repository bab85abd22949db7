#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/read.h"
#include "io/file.h"

/* Is path FOLDER/… directly? */
static bool lies_in(const char *path, const char *folder)
{
	const char *slash = strrchr(path, '/'), *start = slash;

	while (start != NULL && start > path && start[-1] != '/')
		start--;
	return start != NULL && (size_t)(slash - start) == strlen(folder) &&
		memcmp(start, folder, strlen(folder)) == 0;
}

/* Keys that only one sort has. */
static enum sort sort_by_keys(struct slice text)
{
	static const struct { const char *key; enum sort sort; } signs[] = {
		{ "layout", SORT_KIND }, { "fields", SORT_KIND }, { "signs", SORT_KIND },
		{ "notation", SORT_UNIT }, { "place", SORT_UNIT }, { "seal", SORT_UNIT },
		{ "title", SORT_SIGNER }, { "unit", SORT_SIGNER }, { "hand", SORT_SIGNER },
	};
	json_t *root = json_loadb((const char *)text.p, text.n, 0, NULL);
	const json_t *first = json_array_get(json_object_get(root, "versions"), 0);
	enum sort sort = SORT_COUNT;

	for (size_t i = 0; i < ARRAY_LEN(signs) && sort == SORT_COUNT; i++)
		if (json_object_get(first, signs[i].key) != NULL)
			sort = signs[i].sort;
	json_decref(root);
	return sort;
}

static enum status check(const char *path, struct slice text, struct pool *pool, struct error *e)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	const char *dot = strrchr(name, '.');
	struct source s = { .path = path, .pool = pool };
	struct entry *entries;
	struct form f;
	uint32_t n;
	enum status st;

	/* Broken JSON is told as such, before one wonders what it is. */
	if (form_open(&f, path, text, pool, e) != ST_OK)
		return ST_INVALID;
	form_close(&f);
	while (s.sort < SORT_COUNT && !lies_in(path, sort_folders[s.sort]))
		s.sort++;
	if (s.sort < SORT_COUNT)
		s.code = pool_text(pool, name, dot != NULL ? (size_t)(dot - name) : strlen(name));
	else
		s.sort = sort_by_keys(text);
	if (s.sort == SORT_COUNT)
		return error_set(e, ST_INVALID, "%s:1: neither a kind nor an agency nor a signer "
				 "can be made out; such files lie in results/, agencies/ or "
				 "signers/", path);
	st = source_read(&s, text, &entries, &n, e);
	for (uint32_t i = 0; st == ST_OK && s.sort == SORT_SIGNER && i < n; i++)
		st = signer_limited(&entries[i], e);
	return st;
}

enum status catalogue_check_file(const char *path, struct error *e)
{
	struct pool pool = { 0 };
	uint8_t *text;
	size_t n;
	enum status st = file_read(path, FORM_BYTES_MAX, &text, &n, e);

	if (st != ST_OK)
		return st;
	st = check(path, slice_of(text, n), &pool, e);
	free(text);
	pool_free(&pool);
	return st;
}
