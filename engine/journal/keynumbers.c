/* The key index from the other side: who has this number? */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "journal/keyrun.h"

#define LISTINGS_MAX 16			/* a run may be merged away while it is looked for */

struct listed { struct keyrun **runs; uint32_t n, room; };

static void listed_end(struct listed *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		keyrun_close(l->runs[i]);
	free(l->runs);
	*l = (struct listed){ 0 };
}

/* One that is open stays readable, whatever becomes of its name. */
static enum status listed_add(struct listed *l, const char *path, struct error *e)
{
	if (l->n == l->room) {
		uint32_t room = l->room == 0 ? 64 : 2 * l->room;
		struct keyrun **bigger = realloc(l->runs, room * sizeof(*bigger));

		if (bigger == NULL)
			return error_set(e, ST_NOMEM, "%s: no memory to open it", path);
		l->runs = bigger;
		l->room = room;
	}
	return keyrun_open(&l->runs[l->n], path, e);
}

/* ST_AGAIN: one of them went meanwhile. */
static enum status list(struct listed *l, const char *dir, struct error *e)
{
	DIR *d = opendir(dir);
	enum status st = d != NULL ? ST_OK : error_set(e, ST_IO, "%s: %s", dir,
						       strerrordesc_np(errno));
	struct dirent *ent;
	uint64_t from, upto;
	char path[4096];

	while (st == ST_OK && (ent = readdir(d)) != NULL) {
		if (!keyrun_name_read(ent->d_name, &from, &upto))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, ent->d_name);
		st = listed_add(l, path, e);
		if (st == ST_OK)
			l->n++;
		else if (access(path, F_OK) != 0)
			st = ST_AGAIN;
	}
	if (d != NULL)
		closedir(d);
	return st;
}

static enum status walk(const struct keyrun *r, uint64_t number,
			void (*one)(void *ctx, const struct keyentry *e), void *ctx,
			struct error *e)
{
	struct keyrun_cursor c = { 0 };
	enum status st = keyrun_cursor_start(&c, r, e);

	while (st == ST_OK && c.more) {
		if (c.entry.number == number)
			one(ctx, &c.entry);
		st = keyrun_cursor_next(&c, e);
	}
	keyrun_cursor_end(&c);
	return st;
}

enum status keyruns_numbered(const char *dir, uint64_t number,
			     void (*one)(void *ctx, const struct keyentry *e), void *ctx,
			     struct error *e)
{
	struct listed l = { 0 };
	enum status st = list(&l, dir, e);

	for (int i = 0; st == ST_AGAIN && i < LISTINGS_MAX; i++) {
		listed_end(&l);
		st = list(&l, dir, e);
	}
	for (uint32_t i = 0; i < l.n && st == ST_OK; i++)
		st = walk(l.runs[i], number, one, ctx, e);
	listed_end(&l);
	return st;
}
