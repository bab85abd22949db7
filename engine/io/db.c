#include "io/db.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define BUSY_MS 5000

enum status db_status(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return ST_OK;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ST_CORRUPT;
	case SQLITE_FULL:
		return ST_NOSPACE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ST_AGAIN;
	case SQLITE_NOMEM:
		return ST_NOMEM;
	case SQLITE_ERROR:
		return ST_UNSUPPORTED;	/* other tables than ours */
	default:
		return ST_IO;
	}
}

enum status db_failed(sqlite3 *db, const char *path, const char *act, struct error *e)
{
	return error_set(e, db_status(sqlite3_extended_errcode(db)), "%s: cannot %s: %s", path, act,
			 sqlite3_errmsg(db));
}

enum status db_run(sqlite3 *db, const char *path, const char *sql, struct error *e)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ST_OK :
	       db_failed(db, path, "set up", e);
}

enum status db_connect(sqlite3 **db, const char *path, const char *pragmas, struct error *e)
{
	int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				 SQLITE_OPEN_NOMUTEX, NULL);

	if (*db == NULL)
		return ST_NOMEM;
	if (rc != SQLITE_OK)
		return db_failed(*db, path, "open", e);
	sqlite3_busy_timeout(*db, BUSY_MS);
	return db_run(*db, path, pragmas, e);
}

enum status db_prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **out,
		       struct error *e)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK ?
	       ST_OK : db_failed(db, path, "prepare", e);
}

void db_bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

enum status db_one(sqlite3 *db, const char *path, const char *sql, int64_t *v, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = db_prepare(db, path, sql, &s, e);

	if (st != ST_OK)
		return st;
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		*v = sqlite3_column_int64(s, 0);
		break;
	case SQLITE_DONE:
		st = ST_NOT_FOUND;
		break;
	default:
		st = db_failed(db, path, "read", e);
	}
	sqlite3_finalize(s);
	return st;
}

void db_remove(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char name[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (snprintf(name, sizeof(name), "%s%s", path, suffixes[i]) < (int)sizeof(name))
			unlink(name);
}
