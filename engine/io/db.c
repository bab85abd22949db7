#include "io/db.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 5000

enum status db_status(int rc)
{
	/* Of one who only looks: its writer has to put the log in order, or is doing so. */
	if (rc == SQLITE_READONLY_RECOVERY || rc == SQLITE_READONLY_CANTINIT ||
	    rc == SQLITE_READONLY_CANTLOCK)
		return ST_AGAIN;
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

/* ---- from outside ---- */

/* Beside the file: does it stand there, and of what size? */
static bool beside(const char *path, const char *suffix, off_t *size)
{
	char name[PATH_MAX];
	struct stat s;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= (int)sizeof(name) ||
	    stat(name, &s) != 0)
		return false;
	*size = s.st_size;
	return true;
}

/* Who comes makes files beside it, and takes them away when going. */
static struct timespec folder_changed(const char *path)
{
	char name[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL && slash != path ? (size_t)(slash - path) : 0;
	struct stat s;

	if (n >= sizeof(name))
		return (struct timespec){ 0 };
	memcpy(name, path, n);
	name[n] = '\0';
	if (stat(n > 0 ? name : slash != NULL ? "/" : ".", &s) != 0)
		return (struct timespec){ 0 };
	return s.st_mtim;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Said as of now. ST_AGAIN: a log without the index that its writers share is no sight. */
static enum status look_how(const char *path, struct db_look *how)
{
	struct timespec folder = folder_changed(path);
	off_t wal = 0, shm = 0;
	bool logged = beside(path, "-wal", &wal), shared = beside(path, "-shm", &shm);
	struct stat s;

	if (stat(path, &s) != 0)
		return ST_NOT_FOUND;
	*how = (struct db_look){ .device = s.st_dev, .inode = s.st_ino,
				 .still = !logged || !shared, .folder = folder };
	if (!how->still)
		return ST_OK;
	how->size = s.st_size;
	how->changed = s.st_mtim;
	return wal == 0 ? ST_OK : ST_AGAIN;
}

static bool uri_of(char *out, size_t room, const char *path, const char *how)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = (size_t)snprintf(out, room, "file:");

	for (const char *c = path; *c != '\0' && n + 4 < room; c++) {
		bool plain = strchr("?#%", *c) == NULL;

		if (plain) {
			out[n++] = *c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[(unsigned char)*c >> 4];
		out[n++] = hex[*c & 15];
	}
	return (size_t)snprintf(out + n, room - n, "?mode=ro&%s=1", how) < room - n;
}

enum status db_look(sqlite3 **db, const char *path, const char *pragmas, struct db_look *how,
		    struct error *e)
{
	char uri[3 * PATH_MAX + 64];
	enum status st = look_how(path, how);
	int rc;

	if (st != ST_OK)
		return error_set(e, st, "%s: %s", path, st == ST_NOT_FOUND ? "there is none" :
				 "its log is there without the index that belongs to it");
	if (!uri_of(uri, sizeof(uri), path, how->still ? "immutable" : "readonly_shm"))
		return error_set(e, ST_INVALID, "%s: too long a path", path);
	rc = sqlite3_open_v2(uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			     NULL);
	if (*db == NULL)
		return ST_NOMEM;
	if (rc != SQLITE_OK)
		return db_failed(*db, path, "open", e);
	sqlite3_busy_timeout(*db, BUSY_MS);
	sqlite3_extended_result_codes(*db, 1);
	st = db_run(*db, path, pragmas, e);
	/* Between the look and the opening its writer may have come or gone. */
	return db_look_changed(path, how) ? error_set(e, ST_AGAIN, "%s: it is changing", path) : st;
}

bool db_look_changed(const char *path, const struct db_look *how)
{
	struct db_look now;

	if (how->folder.tv_sec != 0 && same_time(folder_changed(path), how->folder))
		return false;
	/* A file that is gone is read on: its positions stay true until there is a new one. */
	if (look_how(path, &now) == ST_NOT_FOUND)
		return false;
	return now.device != how->device || now.inode != how->inode || now.still != how->still ||
	       (now.still && (now.size != how->size ||
			      !same_time(now.changed, how->changed)));
}

/* ---- statements ---- */

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
