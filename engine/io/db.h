/*
 * db.h - SQLite as this program uses it: files that are derived and may be made again. What every
 * such file needs; the statements are its owner's.
 */
#ifndef TRIEN_IO_DB_H
#define TRIEN_IO_DB_H

#include <sqlite3.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/status.h"

/* ST_UNSUPPORTED: other tables than ours; ST_CORRUPT, ST_NOSPACE, ST_AGAIN (locked), … */
enum status db_status(int rc);
/* The connection's last failure: "PATH: cannot ACT: why". */
enum status db_failed(sqlite3 *db, const char *path, const char *act, struct error *e);
/* Opens or creates; *db may be set on failure, too. One thread at a time. */
enum status db_connect(sqlite3 **db, const char *path, const char *pragmas,
		       struct error *e) must_use;
/*
 * Opens another process's file in WAL mode, writes nothing and makes nothing beside it, whatever
 * this process may write to. With a -wal and a -shm beside it, the connection sees what is
 * committed, also behind a writer that was killed. With none it is taken for one that nobody
 * changes, until db_look_changed(): then what was read since the last time that it was not changed
 * is worth nothing, and it is to be opened again. ST_AGAIN: its writer is just coming or going;
 * ST_NOT_FOUND: there is none.
 */
struct db_look {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
	bool still;
	struct timespec folder;		/* nothing came or went beside it since */
};
enum status db_look(sqlite3 **db, const char *path, const char *pragmas, struct db_look *how,
		    struct error *e) must_use;
bool db_look_changed(const char *path, const struct db_look *how);
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
