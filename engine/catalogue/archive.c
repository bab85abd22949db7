#include "catalogue/archive.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

static enum status path_of(char out[PATH_MAX], const char *dir, const uint8_t *name, size_t n,
			   const char *suffix, struct error *e)
{
	char hex[2 * SHA256_BYTES + 1] = "";

	hex_lower(hex, name, n);
	if (snprintf(out, PATH_MAX, "%s/%s.%s", dir, hex, suffix) >= PATH_MAX)
		return error_set(e, ST_INVALID, "%s: path too long", dir);
	return ST_OK;
}

/* A damaged copy is healed while the original is at hand. */
static enum status keep(const char *path, struct slice bytes, struct error *e)
{
	uint8_t *old;
	size_t n;
	bool same;

	if (file_read(path, bytes.n, &old, &n, NULL) == ST_OK) {
		same = slice_eq(slice_of(old, n), bytes);
		free(old);
		if (same)
			return ST_OK;
	}
	return file_replace(path, bytes, 0640, e);
}

enum status archive_keep(const char *dir, const struct entry *e, struct error *err)
{
	char path[PATH_MAX];
	enum status st = ST_OK;

	/* The picture first: JSON in the archive never names one that is not there. */
	if (e->picture.file.n > 0) {
		st = path_of(path, dir, e->picture.sha256, SHA256_BYTES, "pbm", err);
		if (st == ST_OK)
			st = keep(path, e->picture.file, err);
	}
	if (st == ST_OK)
		st = path_of(path, dir, e->pin, PIN_BYTES, "json", err);
	return st == ST_OK ? keep(path, e->json, err) : st;
}

enum status archive_find(const char *dir, enum sort sort, const uint8_t pin[PIN_BYTES],
			 const struct catalogue *home, struct pool *pool, struct entry **out,
			 struct error *err)
{
	char path[PATH_MAX];
	struct source s = { .path = path, .sort = sort, .home = home, .pool = pool };
	enum status st = path_of(path, dir, pin, PIN_BYTES, "json", err);
	uint8_t *text;
	uint32_t n;
	size_t size;

	if (st == ST_OK)
		st = file_read(path, FORM_BYTES_MAX, &text, &size, err);
	if (st != ST_OK)
		return st;
	st = source_read(&s, slice_of(text, size), out, &n, err);
	free(text);
	/* Reading makes the canonical form anew, picture included: one comparison checks all. */
	if (st == ST_OK && (n != 1 || memcmp((*out)->pin, pin, PIN_BYTES) != 0))
		st = ST_INVALID;
	if (st == ST_INVALID)
		return error_set(err, ST_CORRUPT, "%s: is not what its name says", path);
	return st;
}
