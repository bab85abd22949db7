#include "journal/waitindex.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "journal/waitrow.h"
#include "waiting_schema.h"

/* 1 had no order over all signers, 2 none by number, 3 none to be counted by */
#define FORMAT 4
#define TEXT_OF(n) #n
#define SQL_OF(n) TEXT_OF(n)

void waitindex_path(char path[PATH_MAX], const char *dir)
{
	snprintf(path, PATH_MAX, "%s/index.db", dir);
}

void waitindex_remove(const char *dir)
{
	char path[PATH_MAX];

	waitindex_path(path, dir);
	db_remove(path);
}

/* ---- opening ---- */

static enum status statements(struct waitindex *x, struct error *e)
{
	const struct { sqlite3_stmt **out; const char *sql; } list[] = {
		{ &x->put, "INSERT INTO waiting VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
			   "?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)" },
		{ &x->drop, "DELETE FROM waiting WHERE sequence = ?1" },
		{ &x->spot, "SELECT sequence, position, size, state FROM waiting "
			    "WHERE sequence = ?1" },
		{ &x->below, "SELECT sequence, position, size, state FROM waiting "
			     "WHERE position < ?1 ORDER BY position LIMIT 1" },
		{ &x->move, "UPDATE waiting SET position = ?2 WHERE sequence = ?1" },
		{ &x->count, "INSERT OR REPLACE INTO total VALUES (?1, ?2, ?3)" },
		{ &x->place_set, "INSERT OR REPLACE INTO place VALUES (1, ?1, ?2, ?3, ?4)" },
	};
	enum status st = ST_OK;

	for (size_t i = 0; i < ARRAY_LEN(list) && st == ST_OK; i++)
		st = db_prepare(x->db, x->path, list[i].sql, list[i].out, e);
	return st;
}

static enum status place_load(struct waitindex *x, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = db_prepare(x->db, x->path, "SELECT format, frame, upto, crc FROM place",
				    &s, e);
	int rc = SQLITE_DONE;

	if (st == ST_OK)
		rc = sqlite3_step(s);
	if (st == ST_OK && rc == SQLITE_ROW && sqlite3_column_int(s, 0) != FORMAT)
		st = error_set(e, ST_UNSUPPORTED, "%s: format %d", x->path,
			       sqlite3_column_int(s, 0));
	if (st == ST_OK && rc == SQLITE_ROW)
		x->place = (struct waitlog_place){ (uint64_t)sqlite3_column_int64(s, 1),
						   (uint64_t)sqlite3_column_int64(s, 2),
						   (uint32_t)sqlite3_column_int64(s, 3) };
	else if (st == ST_OK)
		st = rc == SQLITE_DONE ? error_set(e, ST_NOT_FOUND, "%s: has no place", x->path) :
					 db_failed(x->db, x->path, "read", e);
	sqlite3_finalize(s);
	return st;
}

static enum status totals_load(struct waitindex *x, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = db_prepare(x->db, x->path, "SELECT state, rows, bytes FROM total", &s, e);
	int rc = SQLITE_DONE;

	while (st == ST_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t state = sqlite3_column_int64(s, 0);

		if (state <= 0 || state >= WAITINDEX_STATES) {
			st = error_set(e, ST_CORRUPT, "%s: a state of no name", x->path);
			break;
		}
		x->rows_now[state] = (uint64_t)sqlite3_column_int64(s, 1);
		atomic_store(&x->rows[state], x->rows_now[state]);
		x->bytes[state] = (uint64_t)sqlite3_column_int64(s, 2);
	}
	if (st == ST_OK && rc != SQLITE_DONE)
		st = db_failed(x->db, x->path, "read", e);
	sqlite3_finalize(s);
	return st;
}

/* Names of people are in it: nobody else's, before SQLite makes it everybody's. */
static void file_make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		close(fd);
}

static enum status file_open(struct waitindex *x, struct error *e)
{
	int64_t tables = 0;
	enum status st;

	file_make(x->path);
	/* Temporary files would have no place: the engine may write to its own folders alone. */
	st = db_connect(&x->db, x->path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
			"PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;", e);
	if (st == ST_OK)
		st = db_one(x->db, x->path, "SELECT count(*) FROM sqlite_master", &tables, e);
	if (st == ST_OK && tables == 0)
		st = db_run(x->db, x->path, "BEGIN;" WAITING_SCHEMA
			    "INSERT INTO place VALUES (1, " SQL_OF(FORMAT) ", 0, 0, 0); "
			    "COMMIT;", e);
	if (st == ST_OK)
		st = place_load(x, e);
	if (st == ST_OK)
		st = totals_load(x, e);
	return st == ST_OK ? statements(x, e) : st;
}

enum status waitindex_open(struct waitindex **out, const char *dir, struct error *e)
{
	struct waitindex *x = calloc(1, sizeof(*x));
	enum status st;

	if (x == NULL)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	waitindex_path(x->path, dir);
	st = file_open(x, e);
	if (st != ST_OK) {
		waitindex_close(x);
		return st;
	}
	*out = x;
	return ST_OK;
}

void waitindex_close(struct waitindex *x)
{
	if (x == NULL)
		return;
	sqlite3_finalize(x->put);
	sqlite3_finalize(x->drop);
	sqlite3_finalize(x->spot);
	sqlite3_finalize(x->below);
	sqlite3_finalize(x->move);
	sqlite3_finalize(x->count);
	sqlite3_finalize(x->place_set);
	sqlite3_close(x->db);
	free(x);
}

/* ---- one statement each ---- */

/* A statement that gives no rows. */
static enum status done(struct waitindex *x, sqlite3_stmt *s, struct error *e)
{
	int rc = sqlite3_step(s);
	enum status st = rc == SQLITE_DONE ? ST_OK : db_failed(x->db, x->path, "write", e);

	sqlite3_reset(s);
	return st;
}

enum status waitindex_begin(struct waitindex *x, struct error *e)
{
	return db_run(x->db, x->path, "BEGIN IMMEDIATE", e);
}

enum status waitindex_commit(struct waitindex *x, struct waitlog_place place, struct error *e)
{
	enum status st;

	sqlite3_bind_int(x->place_set, 1, FORMAT);
	sqlite3_bind_int64(x->place_set, 2, (int64_t)place.frame);
	sqlite3_bind_int64(x->place_set, 3, (int64_t)place.end);
	sqlite3_bind_int64(x->place_set, 4, place.crc);
	st = done(x, x->place_set, e);
	if (st == ST_OK)
		st = db_run(x->db, x->path, "COMMIT", e);
	if (st != ST_OK)
		return st;
	x->place = place;
	for (int i = 0; i < WAITINDEX_STATES; i++)
		atomic_store(&x->rows[i], x->rows_now[i]);
	return ST_OK;
}

static enum status count(struct waitindex *x, uint8_t state, int64_t rows, int64_t bytes,
			 struct error *e)
{
	assert(state > 0 && state < WAITINDEX_STATES);
	x->rows_now[state] += (uint64_t)rows;
	x->bytes[state] += (uint64_t)bytes;
	sqlite3_bind_int(x->count, 1, state);
	sqlite3_bind_int64(x->count, 2, (int64_t)x->rows_now[state]);
	sqlite3_bind_int64(x->count, 3, (int64_t)x->bytes[state]);
	return done(x, x->count, e);
}

enum status waitindex_put(struct waitindex *x, const struct waiting_row *row,
			  const struct waitspot *at, struct error *e)
{
	uint8_t bytes[WAITROW_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	sqlite3_stmt *s = x->put;
	enum status st = waitindex_drop(x, row->sequence, e);

	if (st != ST_OK)
		return st;
	waitrow_write(&w, row);
	assert(!w.bad);
	sqlite3_bind_int64(s, 1, (int64_t)row->sequence);
	sqlite3_bind_int64(s, 2, (int64_t)at->position);
	sqlite3_bind_int64(s, 3, at->size);
	sqlite3_bind_int(s, 4, row->state);
	db_bind_text(s, 5, row->signer);
	sqlite3_bind_int(s, 6, row->priority);
	sqlite3_bind_int64(s, 7, row->due_ms != 0 ? row->due_ms : INT64_MAX);
	if (row->expires_ms != 0)
		sqlite3_bind_int64(s, 8, row->expires_ms);
	else
		sqlite3_bind_null(s, 8);
	db_bind_text(s, 9, row->unit);
	db_bind_text(s, 10, row->kind);
	db_bind_text(s, 11, row->case_code);
	db_bind_text(s, 12, row->register_code);
	sqlite3_bind_int64(s, 13, row->year);
	sqlite3_bind_int64(s, 14, (int64_t)row->number);
	sqlite3_bind_blob(s, 15, bytes, (int)writer_size(&w), SQLITE_STATIC);
	sqlite3_bind_int64(s, 16, row->accepted_ms);
	st = done(x, s, e);
	return st == ST_OK ? count(x, row->state, 1, at->size, e) : st;
}

enum status waitindex_drop(struct waitindex *x, uint64_t sequence, struct error *e)
{
	struct waitspot old;
	enum status st = waitindex_spot(x, sequence, &old, e);

	if (st != ST_OK)
		return st == ST_NOT_FOUND ? ST_OK : st;
	sqlite3_bind_int64(x->drop, 1, (int64_t)sequence);
	st = done(x, x->drop, e);
	return st == ST_OK ? count(x, old.state, -1, -(int64_t)old.size, e) : st;
}

enum status waitindex_move(struct waitindex *x, uint64_t sequence, uint64_t position,
			   struct error *e)
{
	sqlite3_bind_int64(x->move, 1, (int64_t)sequence);
	sqlite3_bind_int64(x->move, 2, (int64_t)position);
	return done(x, x->move, e);
}

static enum status spot(struct waitindex *x, sqlite3_stmt *s, uint64_t key, struct waitspot *out,
			struct error *e)
{
	enum status st = ST_OK;

	sqlite3_bind_int64(s, 1, (int64_t)key);
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		*out = (struct waitspot){ (uint64_t)sqlite3_column_int64(s, 0),
					  (uint64_t)sqlite3_column_int64(s, 1),
					  (uint32_t)sqlite3_column_int64(s, 2),
					  (uint8_t)sqlite3_column_int(s, 3) };
		if (out->state == 0 || out->state >= WAITINDEX_STATES)
			st = error_set(e, ST_CORRUPT, "%s: a state of no name", x->path);
		break;
	case SQLITE_DONE:
		st = error_set(e, ST_NOT_FOUND, "waiting room: no such result is held");
		break;
	default:
		st = db_failed(x->db, x->path, "read", e);
	}
	sqlite3_reset(s);
	return st;
}

enum status waitindex_spot(struct waitindex *x, uint64_t sequence, struct waitspot *out,
			   struct error *e)
{
	return spot(x, x->spot, sequence, out, e);
}

enum status waitindex_below(struct waitindex *x, uint64_t position, struct waitspot *out,
			    struct error *e)
{
	return spot(x, x->below, position, out, e);
}

uint64_t waitindex_bytes(const struct waitindex *x)
{
	uint64_t n = 0;

	for (int i = 0; i < WAITINDEX_STATES; i++)
		n += x->bytes[i];
	return n;
}
