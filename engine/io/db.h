/*
 * db.h - SQLite as this program uses it: files that are derived and may be made again. What every
 * such file needs; the statements are its owner's.
 */
#ifndef TRIEN_IO_DB_H
#define TRIEN_IO_DB_H

#include <sqlite3.h>

#include <stdint.h>

#include "base/status.h"

/* ST_UNSUPPORTED: other tables than ours; ST_CORRUPT, ST_NOSPACE, ST_AGAIN (locked), … */
enum status db_status(int rc);
/* The connection's last failure: "PATH: cannot ACT: why". */
enum status db_failed(sqlite3 *db, const char *path, const char *act, struct error *e);
/* Opens or creates; *db may be set on failure, too. One thread at a time. */
enum status db_connect(sqlite3 **db, const char *path, const char *pragmas,
		       struct error *e) must_use;
enum status db_run(sqlite3 *db, const char *path, const char *sql, struct error *e) must_use;
enum status db_prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **out,
		       struct error *e) must_use;
/* Borrowed until the parameter is bound again; NULL is allowed. */
void db_bind_text(sqlite3_stmt *s, int at, const char *text);
/* One integer; ST_NOT_FOUND without a row. */
enum status db_one(sqlite3 *db, const char *path, const char *sql, int64_t *v,
		   struct error *e) must_use;
/* The file and what SQLite keeps beside it; what is not there is no failure. */
void db_remove(const char *path);

#endif
