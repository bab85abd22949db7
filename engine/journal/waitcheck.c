#include "journal/waitcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "journal/waitindex.h"
#include "journal/waitrow.h"

#define LINE_BYTES 256

/* Where a record puts a row, or takes it (position 0); by its place in the segments. */
struct told { uint64_t sequence, position, at; };

struct waitcheck {
	char path[PATH_MAX];
	sqlite3 *db;			/* NULL: there is no index to compare with */
	struct waitlog_place place;	/* up to where it goes */
	bool reached;			/* the frame that it names was seen */
	struct told *list;
	size_t n, room;
};

/* One that cannot be read is made anew by the next start: nothing to compare with. */
static void index_look(struct waitcheck *c)
{
	sqlite3_stmt *s = NULL;

	if (access(c->path, F_OK) != 0 ||
	    db_connect(&c->db, c->path, "PRAGMA query_only = 1", NULL) != ST_OK ||
	    db_prepare(c->db, c->path, "SELECT frame, upto, crc FROM place", &s, NULL) != ST_OK ||
	    sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		sqlite3_close(c->db);
		c->db = NULL;
		return;
	}
	c->place = (struct waitlog_place){ (uint64_t)sqlite3_column_int64(s, 0),
					   (uint64_t)sqlite3_column_int64(s, 1),
					   (uint32_t)sqlite3_column_int64(s, 2) };
	sqlite3_finalize(s);
}

enum status waitcheck_new(struct waitcheck **out, const char *dir)
{
	struct waitcheck *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ST_NOMEM;
	waitindex_path(c->path, dir);
	index_look(c);
	*out = c;
	return ST_OK;
}

void waitcheck_free(struct waitcheck *c)
{
	if (c == NULL)
		return;
	sqlite3_close(c->db);
	free(c->list);
	free(c);
}

static enum status tell(struct waitcheck *c, uint64_t sequence, uint64_t position, uint64_t at)
{
	if (c->n == c->room) {
		size_t room = c->room == 0 ? 1024 : 2 * c->room;
		struct told *bigger = realloc(c->list, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		c->list = bigger;
		c->room = room;
	}
	c->list[c->n++] = (struct told){ sequence, position, at };
	return ST_OK;
}

enum status waitcheck_frame(struct waitcheck *c, const struct frame_view *v)
{
	struct frame_record rec;
	uint32_t offset = 0;
	enum status st = ST_OK;

	c->reached |= v->position == c->place.frame && v->crc == c->place.crc;
	while (st == ST_OK && v->records > 0 && frame_next(v, &offset, &rec)) {
		struct reader r = reader_of(rec.payload);
		uint64_t sequence = read_u64(&r);

		if (!r.bad)
			st = tell(c, sequence, rec.type == WAITLOG_PUT ? rec.position : 0,
				  rec.position);
	}
	return st;
}

static int by_sequence(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* What stands at the end: the last word on each sequence; upto: of those before it. */
static size_t stand(struct told *list, size_t n, uint64_t upto)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (list[i].at >= upto)
			continue;
		if (kept > 0 && list[kept - 1].sequence == list[i].sequence)
			kept--;
		list[kept++] = list[i];
	}
	n = kept;
	kept = 0;
	for (size_t i = 0; i < n; i++)
		if (list[i].position != 0)
			list[kept++] = list[i];
	return kept;
}

static enum status compare(struct waitcheck *c, size_t n,
			   void (*report)(void *ctx, const char *line), void *ctx, struct error *e)
{
	sqlite3_stmt *s = NULL;
	char line[LINE_BYTES];
	size_t i = 0, wrong = 0;
	int rc = SQLITE_DONE;
	enum status st = db_prepare(c->db, c->path, "SELECT sequence, position FROM waiting "
				    "ORDER BY sequence", &s, e);

	while (st == ST_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t sequence = (uint64_t)sqlite3_column_int64(s, 0);

		for (; i < n && c->list[i].sequence < sequence; i++)
			wrong++;
		if (i < n && c->list[i].sequence == sequence)
			wrong += c->list[i++].position != (uint64_t)sqlite3_column_int64(s, 1);
		else
			wrong++;
	}
	sqlite3_finalize(s);
	if (st == ST_OK && rc == SQLITE_DONE && wrong + n - i == 0)
		return ST_OK;
	snprintf(line, sizeof(line), "waiting: the index differs from the segments in %zu rows; "
		 "delete waiting/index.db, a start makes it again", wrong + n - i);
	report(ctx, line);
	return ST_OK;
}

enum status waitcheck_end(struct waitcheck *c, void (*report)(void *ctx, const char *line),
			  void *ctx, uint64_t *rows, struct error *e)
{
	enum status st = ST_OK;

	if (c->n > 0)
		qsort(c->list, c->n, sizeof(*c->list), by_sequence);
	if (c->db != NULL && c->reached && c->n > 0) {
		struct told *all = c->list;
		struct told *copy = malloc(c->n * sizeof(*copy));

		if (copy == NULL)
			return error_set(e, ST_NOMEM, "waiting room: no memory");
		memcpy(copy, all, c->n * sizeof(*copy));
		c->list = copy;
		st = compare(c, stand(copy, c->n, c->place.end), report, ctx, e);
		c->list = all;
		free(copy);
	}
	*rows = stand(c->list, c->n, UINT64_MAX);
	return st;
}
