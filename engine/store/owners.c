#include <stdio.h>
#include <stdlib.h>

#include "io/file.h"
#include "store/embedded.h"

#define FILE_BYTES_MAX (4u * 1024 * 1024)

/* Both would give the same sequences, and take each other's rows away. */
static enum status same_number(const struct unit_owner *o, struct error *e)
{
	return error_set(e, ST_CONFLICT, "engine = %u: the engine at %s has this number, and "
			 "another data folder. Give this one a number of its own; if that folder "
			 "is gone for good, with all backups and mirrors, start once with "
			 "--accept-behind", o->engine, o->address);
}

enum status owners_conflict(const struct unit_owner *others, uint32_t others_n,
			    const struct unit_owner *units, uint32_t n, struct error *e)
{
	for (uint32_t i = 0; i < others_n; i++)
		for (uint32_t k = 0; k < n; k++) {
			const struct unit_owner *o = &others[i], *u = &units[k];

			if (o->engine == u->engine && o->folder[0] != '\0' &&
			    u->folder[0] != '\0' && strcmp(o->folder, u->folder) != 0)
				return same_number(o, e);
			if (o->engine == u->engine ||
			    (strcmp(o->unit, u->unit) != 0 && strcmp(o->unit, OWNER_ALL) != 0 &&
			     strcmp(u->unit, OWNER_ALL) != 0))
				continue;
			return error_set(e, ST_CONFLICT, "units: engine %u at %s has %s; take it "
					 "out of that engine's units or of this one's (engine %u: "
					 "%s)", o->engine, o->address,
					 strcmp(o->unit, OWNER_ALL) == 0 ? "all" : o->unit,
					 u->engine,
					 strcmp(u->unit, OWNER_ALL) == 0 ? "all" : u->unit);
		}
	return ST_OK;
}

static void path_make(const struct embedded *s, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/owners", PATH_MAX - 16, s->dir);
}

static bool line_read(const char *line, struct unit_owner *o)
{
	*o = (struct unit_owner){ 0 };
	return sscanf(line, "%40s %3u %80s", o->unit, &o->engine, o->address) == 3;
}

static_assert(CODE_BYTES_MAX == 40 && OWNER_ADDRESS_BYTES_MAX == 80, "the widths above");

/* ST_NOT_FOUND: nobody has published anything. */
static enum status rows_read(struct embedded *s, void (*cb)(void *, const struct unit_owner *),
			     void *ctx, struct error *e)
{
	char path[PATH_MAX], *line, *rest = NULL;
	uint8_t *bytes = NULL;
	size_t n;
	enum status st;

	path_make(s, path);
	st = file_read(path, FILE_BYTES_MAX, &bytes, &n, e);
	for (line = (char *)bytes; st == ST_OK && *line != '\0'; line = rest) {
		struct unit_owner o;

		rest = strchrnul(line, '\n');
		if (*rest == '\n')
			*rest++ = '\0';
		if (line_read(line, &o))
			cb(ctx, &o);
		else
			st = error_set(e, ST_CORRUPT, "%s: '%s' is no unit with its engine and "
				       "address; correct it or remove the file", path, line);
	}
	free(bytes);
	return st;
}

enum status embedded_owners(struct store *store, void (*cb)(void *, const struct unit_owner *),
			    void *ctx, struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	pthread_mutex_lock(&s->writer);
	st = rows_read(s, cb, ctx, e);
	pthread_mutex_unlock(&s->writer);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

struct merge {
	const struct unit_owner *units;
	uint32_t n;
	FILE *out;
	struct error *e;
	enum status status;
};

static void put(FILE *out, const struct unit_owner *o)
{
	fprintf(out, "%s %u %s\n", o->unit, o->engine, o->address);
}

/* Others' rows stay, unless they stand against ours. */
static void merge_row(void *ctx, const struct unit_owner *o)
{
	struct merge *m = ctx;

	if (m->status != ST_OK || o->engine == m->units[0].engine)
		return;
	m->status = owners_conflict(o, 1, m->units, m->n, m->e);
	if (m->status == ST_OK)
		put(m->out, o);
}

enum status embedded_own(struct store *store, const struct unit_owner *units, uint32_t n,
			 struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	struct merge m = { .units = units, .n = n, .e = e };
	char path[PATH_MAX], *text = NULL;
	size_t size = 0;
	enum status st;

	m.out = open_memstream(&text, &size);
	if (m.out == NULL)
		return ST_NOMEM;
	path_make(s, path);
	pthread_mutex_lock(&s->writer);
	st = rows_read(s, merge_row, &m, e);
	if (st == ST_OK || st == ST_NOT_FOUND)
		st = m.status;
	for (uint32_t i = 0; i < n; i++)
		put(m.out, &units[i]);
	if (fclose(m.out) != 0 && st == ST_OK)
		st = ST_NOMEM;
	if (st == ST_OK)
		st = file_replace(path, slice_of((const uint8_t *)text, size), 0600, e);
	pthread_mutex_unlock(&s->writer);
	free(text);
	return st;
}
