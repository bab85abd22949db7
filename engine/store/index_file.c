#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "store/index_parts.h"
#include "store_schema.h"

#define FORMAT 7
#define NUMBER_TEXT_(n) #n
#define NUMBER_TEXT(n) NUMBER_TEXT_(n)

/* ---- opening ---- */

static const char *const insert_sql[ROW_TABLES] = {
	[ROW_RESULT] = "INSERT OR IGNORE INTO result VALUES (?1, ?2)",
	[ROW_HOLDING] = "INSERT OR IGNORE INTO holding VALUES (?3, ?1, ?2)",
	[ROW_LOCATOR] = "INSERT OR IGNORE INTO locator VALUES (?3, ?1, ?2)",
	[ROW_NUMBER] = "INSERT OR IGNORE INTO number_register VALUES (?3, ?4, ?1, ?2)",
	[ROW_EVENT] = "INSERT OR IGNORE INTO event VALUES (?1, ?3, ?2)",
	[ROW_READING] = "INSERT OR IGNORE INTO reading VALUES (?3, ?1, ?2)",
};

#define PARAM3(name, column, sql) ", ?"
#define PARAM2(name, column) ", ?"
#define SUM3(name, column, sql) ", sum(" #column ")"
#define SUM2(name, column) ", sum(" #column ")"

static enum status statements(struct store_index *x, struct error *e)
{
	enum status st = ST_OK;

	for (int t = 0; t < ROW_TABLES && st == ST_OK; t++)
		st = db_prepare(x->db, x->path, insert_sql[t], &x->insert[t], e);
	if (st == ST_OK)
		st = db_prepare(x->db, x->path, "INSERT INTO register VALUES (?1, ?2, ?3, ?4)",
			     &x->insert_register, e);
	if (st == ST_OK)
		st = db_prepare(x->db, x->path, "INSERT INTO layer VALUES (?1, ?2, ?3, ?4)",
			     &x->insert_layer, e);
	if (st == ST_OK)
		st = db_prepare(x->db, x->path,
				"INSERT INTO counter VALUES (?1, ?2, ?3, ?4, ?5, ?6"
				COUNTS_OF_RESULTS(PARAM3) COUNTS_OF_ACTS(PARAM2) ")",
			     &x->insert_counter, e);
	if (st == ST_OK)
		st = db_prepare(x->db, x->path, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
			     &x->set, e);
	return st;
}

/* Registers in the order of their ids, with the highest number each. */
static enum status registers_load(struct store_index *x, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = db_prepare(x->db, x->path,
				       "SELECT id, unit, code, year, coalesce((SELECT "
		"max(number) FROM number_register WHERE register = id), 0) FROM register "
		"ORDER BY id",
		&s, e);
	int rc = SQLITE_DONE;

	while (st == ST_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct slice unit = { sqlite3_column_text(s, 1), 0 };
		struct slice code = { sqlite3_column_text(s, 2), 0 };
		uint32_t id;

		unit.n = (size_t)sqlite3_column_bytes(s, 1);
		code.n = (size_t)sqlite3_column_bytes(s, 2);
		id = marks_raise(x->marks, unit, code, (uint32_t)sqlite3_column_int64(s, 3),
				 (uint64_t)sqlite3_column_int64(s, 4));
		if (id != (uint32_t)sqlite3_column_int64(s, 0))
			st = error_set(e, ST_CORRUPT, "%s: registers out of order", x->path);
		x->registers_n = id;
	}
	if (st == ST_OK && rc != SQLITE_DONE)
		st = db_failed(x->db, x->path, "read registers", e);
	sqlite3_finalize(s);
	return st;
}

static enum status layers_load(struct store_index *x, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = db_prepare(x->db, x->path,
				       "SELECT id, sha256, position, size FROM layer "
				 "ORDER BY id", &s, e);
	int rc = SQLITE_DONE;

	while (st == ST_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint32_t id = 0;

		if (sqlite3_column_bytes(s, 1) == SHA256_BYTES)
			id = layers_add(x->layers, sqlite3_column_blob(s, 1),
					(uint32_t)sqlite3_column_int64(s, 3),
					(uint64_t)sqlite3_column_int64(s, 2));
		if (id != (uint32_t)sqlite3_column_int64(s, 0))
			st = error_set(e, ST_CORRUPT, "%s: layers out of order", x->path);
		x->layers_n = id;
	}
	if (st == ST_OK && rc != SQLITE_DONE)
		st = db_failed(x->db, x->path, "read layers", e);
	sqlite3_finalize(s);
	return st;
}

/* One act: a crash between taking out and putting in would lose what was counted. */
static const char fold_sql[] =
	"BEGIN IMMEDIATE;"
	"CREATE TEMP TABLE folded AS SELECT unit, kind, day, engine, max(watermark),"
	" parts"
	COUNTS_OF_RESULTS(SUM3) COUNTS_OF_ACTS(SUM2)
	" FROM counter GROUP BY unit, kind, day, engine, parts HAVING count(*) > 1;"
	"DELETE FROM counter WHERE (unit, kind, day, engine, parts) IN "
	"(SELECT unit, kind, day, engine, parts FROM folded);"
	"INSERT INTO counter SELECT * FROM folded;"
	"DROP TABLE folded;"
	"COMMIT;";

static enum status place_load(struct store_index *x, struct error *e)
{
	int64_t format = 0, watermark = 0, frame = 0, crc = 0;
	enum status st = db_one(x->db, x->path, "SELECT value FROM meta WHERE name = 'format'",
			     &format, e);

	if (st == ST_OK && format != FORMAT)
		st = error_set(e, ST_UNSUPPORTED, "%s: format %lld", x->path, (long long)format);
	if (st != ST_OK)
		return st;
	st = db_one(x->db, x->path, "SELECT value FROM meta WHERE name = 'watermark'",
		       &watermark, e);
	if (st == ST_NOT_FOUND)
		return ST_OK;		/* nothing was indexed yet */
	if (st == ST_OK)
		st = db_one(x->db, x->path, "SELECT value FROM meta WHERE name = 'frame'",
			       &frame, e);
	if (st == ST_OK)
		st = db_one(x->db, x->path, "SELECT value FROM meta WHERE name = 'crc'", &crc,
			       e);
	x->place = (struct index_place){ (uint64_t)watermark, (uint64_t)frame, (uint32_t)crc };
	return st;
}

enum status index_load(struct store_index *x, struct error *e)
{
	enum status st = place_load(x, e);

	if (st == ST_OK)
		st = registers_load(x, e);
	return st == ST_OK ? layers_load(x, e) : st;
}

static enum status open_file(struct store_index *x, struct error *e)
{
	int64_t tables = 0;
	enum status st = db_connect(&x->db, x->path, "PRAGMA journal_mode = WAL; "
				 "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; "
				 "PRAGMA wal_autocheckpoint = 4000;",
				 e);

	if (st == ST_OK)
		st = db_one(x->db, x->path, "SELECT count(*) FROM sqlite_master", &tables, e);
	if (st == ST_OK && tables == 0)
		st = db_run(x->db, x->path, "BEGIN;" STORE_SCHEMA
			 "INSERT INTO meta VALUES ('format', " NUMBER_TEXT(FORMAT) "); COMMIT;", e);
	if (st == ST_OK)
		st = place_load(x, e);
	if (st == ST_OK)
		st = statements(x, e);
	if (st == ST_OK)
		st = registers_load(x, e);
	if (st == ST_OK)
		st = layers_load(x, e);
	if (st == ST_OK)
		st = db_run(x->db, x->path, fold_sql, e);
	return st;
}

static void close_file(struct store_index *x)
{
	for (int t = 0; t < ROW_TABLES; t++) {
		sqlite3_finalize(x->insert[t]);
		x->insert[t] = NULL;
	}
	sqlite3_finalize(x->insert_register);
	sqlite3_finalize(x->insert_layer);
	sqlite3_finalize(x->insert_counter);
	sqlite3_finalize(x->set);
	x->insert_register = x->insert_layer = x->insert_counter = x->set = NULL;
	sqlite3_close(x->db);
	x->db = NULL;
	x->place = (struct index_place){ 0 };
}

static void path_of(char path[PATH_MAX], const char *dir)
{
	snprintf(path, PATH_MAX, "%s/index.db", dir);
}

void store_index_remove(const char *dir)
{
	char path[PATH_MAX];

	path_of(path, dir);
	db_remove(path);
}

enum status index_new(struct store_index **out, const char *dir, struct marks *m,
		      struct store_layers *l)
{
	struct store_index *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&x->lock, NULL);
	path_of(x->path, dir);
	x->marks = m;
	x->layers = l;
	x->rows = calloc(INDEX_ROWS_MAX, sizeof(*x->rows));
	x->order = calloc(INDEX_ROWS_MAX, sizeof(*x->order));
	x->heads = calloc(INDEX_HEADS, sizeof(*x->heads));
	if (x->rows == NULL || x->order == NULL || x->heads == NULL ||
	    tally_init(&x->counters, INDEX_COUNTERS_MAX, INDEX_COUNTERS_MAX) != ST_OK) {
		store_index_close(x);
		return ST_NOMEM;
	}
	*out = x;
	return ST_OK;
}

enum status store_index_open(struct store_index **out, const char *dir, struct marks *m,
			     struct store_layers *l, struct error *e)
{
	struct store_index *x = NULL;
	enum status st = index_new(&x, dir, m, l);

	if (st == ST_OK)
		st = open_file(x, e);
	if (st == ST_CORRUPT || st == ST_UNSUPPORTED || st == ST_NOT_FOUND) {
		log_warn("store",
			 "the index cannot be used and is made again from the segments: %s",
			 e != NULL ? e->text : status_name(st));
		close_file(x);
		store_index_remove(dir);
		layers_cut(l, 0);
		marks_clear(m);
		x->registers_n = x->layers_n = 0;
		st = open_file(x, e);
	}
	if (st != ST_OK) {
		store_index_close(x);
		return st;
	}
	*out = x;
	return ST_OK;
}

enum status store_index_look(struct store_index **out, const char *dir, struct marks *m,
			     struct store_layers *l, struct error *e)
{
	struct store_index *x = NULL;
	enum status st = index_new(&x, dir, m, l);

	if (st == ST_OK && access(x->path, F_OK) != 0)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		st = db_connect(&x->db, x->path, "PRAGMA query_only = 1", e);
	if (st == ST_OK)
		st = index_load(x, e);
	if (st != ST_OK) {
		store_index_close(x);
		return st;
	}
	*out = x;
	return ST_OK;
}

void store_index_close(struct store_index *x)
{
	if (x == NULL)
		return;
	close_file(x);
	free(x->rows);
	free(x->order);
	free(x->heads);
	tally_free(&x->counters);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

struct index_place store_index_place(const struct store_index *x)
{
	return x->place;
}

enum status store_index_newest(struct store_index *x, uint64_t *sequence, struct error *e)
{
	int64_t v = 0;
	enum status st = db_one(x->db, x->path, "SELECT coalesce(max(sequence), 0) FROM result",
				   &v,
			     e);

	*sequence = (uint64_t)v;
	return st;
}
