#include "store/store_index.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "store_schema.h"

#define FORMAT 1
#define HEADS (2 * INDEX_ROWS_MAX)
#define BUSY_MS 5000
#define NO_SEQUENCE INT64_MAX

struct row {
	struct row_key key;
	uint64_t sequence, position;
	uint32_t next;			/* index + 1 */
	uint8_t table;
};

struct counter {
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	uint32_t day, results;
	uint8_t engine;
};

struct store_index {
	char path[PATH_MAX];
	sqlite3 *db;
	sqlite3_stmt *insert[ROW_TABLES], *insert_register, *insert_layer, *insert_counter, *set;
	struct marks *marks;
	struct store_layers *layers;
	uint32_t registers_n, layers_n;	/* of them are in SQLite */
	struct index_place place;
	pthread_mutex_t lock;		/* readers look at rows and heads under it */
	struct row *rows;
	uint32_t rows_n, results_n, counters_n;
	uint32_t *heads, *order;
	struct counter *counters;
};

struct index_reader {
	struct store_index *home;
	sqlite3 *db;
	sqlite3_stmt *find[ROW_TABLES];
};

/* ---- keys ---- */

static void put_be(uint8_t *out, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++)
		out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

static uint64_t get_be(const uint8_t *in, size_t width)
{
	uint64_t v = 0;

	for (size_t i = 0; i < width; i++)
		v = v << 8 | in[i];
	return v;
}

/* Big-endian: bytes sort as the numbers do, so a flush writes each table in its own order. */
struct row_key row_key_sequence(uint64_t sequence)
{
	struct row_key k = { { 0 } };

	put_be(k.of, sequence, 8);
	return k;
}

struct row_key row_key_bytes(const uint8_t key[16])
{
	struct row_key k;

	memcpy(k.of, key, sizeof(k.of));
	return k;
}

struct row_key row_key_number(uint32_t register_id, uint64_t number)
{
	struct row_key k = { { 0 } };

	put_be(k.of, register_id, 4);
	put_be(k.of + 4, number, 8);
	return k;
}

static uint32_t head_of(enum row_table t, const struct row_key *key)
{
	return crc32c((uint32_t)t, key->of, sizeof(key->of)) & (HEADS - 1);
}

/* ---- SQLite ---- */

static enum status status_of(int rc)
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

static enum status failed(sqlite3 *db, const char *path, const char *act, struct error *e)
{
	return error_set(e, status_of(sqlite3_extended_errcode(db)), "%s: cannot %s: %s", path, act,
			 sqlite3_errmsg(db));
}

static enum status run(sqlite3 *db, const char *path, const char *sql, struct error *e)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ST_OK :
	       failed(db, path, "set up", e);
}

static enum status connect(sqlite3 **db, const char *path, const char *pragmas, struct error *e)
{
	int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				 SQLITE_OPEN_NOMUTEX, NULL);

	if (*db == NULL)
		return ST_NOMEM;
	if (rc != SQLITE_OK)
		return failed(*db, path, "open", e);
	sqlite3_busy_timeout(*db, BUSY_MS);
	return run(*db, path, pragmas, e);
}

static enum status prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **out,
			   struct error *e)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK ?
	       ST_OK : failed(db, path, "prepare", e);
}

/* One integer; ST_NOT_FOUND without a row. */
static enum status one(sqlite3 *db, const char *path, const char *sql, int64_t *v, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = prepare(db, path, sql, &s, e);

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
		st = failed(db, path, "read", e);
	}
	sqlite3_finalize(s);
	return st;
}

/* ---- opening ---- */

static const char *const insert_sql[ROW_TABLES] = {
	[ROW_RESULT] = "INSERT OR IGNORE INTO result VALUES (?1, ?2)",
	[ROW_HOLDING] = "INSERT OR IGNORE INTO holding VALUES (?3, ?1, ?2)",
	[ROW_LOCATOR] = "INSERT OR IGNORE INTO locator VALUES (?3, ?1, ?2)",
	[ROW_NUMBER] = "INSERT OR IGNORE INTO number_register VALUES (?3, ?4, ?1, ?2)",
	[ROW_EVENT] = "INSERT OR IGNORE INTO event VALUES (?1, ?2)",
};

static enum status statements(struct store_index *x, struct error *e)
{
	enum status st = ST_OK;

	for (int t = 0; t < ROW_TABLES && st == ST_OK; t++)
		st = prepare(x->db, x->path, insert_sql[t], &x->insert[t], e);
	if (st == ST_OK)
		st = prepare(x->db, x->path, "INSERT INTO register VALUES (?1, ?2, ?3, ?4)",
			     &x->insert_register, e);
	if (st == ST_OK)
		st = prepare(x->db, x->path, "INSERT INTO layer VALUES (?1, ?2, ?3, ?4)",
			     &x->insert_layer, e);
	if (st == ST_OK)
		st = prepare(x->db, x->path, "INSERT INTO counter VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			     &x->insert_counter, e);
	if (st == ST_OK)
		st = prepare(x->db, x->path, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
			     &x->set, e);
	return st;
}

/* Registers in the order of their ids, with the highest number each. */
static enum status registers_load(struct store_index *x, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = prepare(x->db, x->path, "SELECT id, unit, code, year, coalesce((SELECT "
		"max(number) FROM number_register WHERE register = id), 0) FROM register ORDER BY id",
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
		st = failed(x->db, x->path, "read registers", e);
	sqlite3_finalize(s);
	return st;
}

static enum status layers_load(struct store_index *x, struct error *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = prepare(x->db, x->path, "SELECT id, sha256, position, size FROM layer "
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
		st = failed(x->db, x->path, "read layers", e);
	sqlite3_finalize(s);
	return st;
}

static const char fold_sql[] =
	"CREATE TEMP TABLE folded AS SELECT unit, kind, day, engine, max(watermark), sum(results) "
	"FROM counter GROUP BY unit, kind, day, engine HAVING count(*) > 1;"
	"DELETE FROM counter WHERE (unit, kind, day, engine) IN "
	"(SELECT unit, kind, day, engine FROM folded);"
	"INSERT INTO counter SELECT * FROM folded;"
	"DROP TABLE folded;";

static enum status place_load(struct store_index *x, struct error *e)
{
	int64_t format = 0, watermark = 0, frame = 0, crc = 0;
	enum status st = one(x->db, x->path, "SELECT value FROM meta WHERE name = 'format'", &format, e);

	if (st == ST_OK && format != FORMAT)
		st = error_set(e, ST_UNSUPPORTED, "%s: format %lld", x->path, (long long)format);
	if (st != ST_OK)
		return st;
	st = one(x->db, x->path, "SELECT value FROM meta WHERE name = 'watermark'", &watermark, e);
	if (st == ST_NOT_FOUND)
		return ST_OK;		/* nothing was indexed yet */
	if (st == ST_OK)
		st = one(x->db, x->path, "SELECT value FROM meta WHERE name = 'frame'", &frame, e);
	if (st == ST_OK)
		st = one(x->db, x->path, "SELECT value FROM meta WHERE name = 'crc'", &crc, e);
	x->place = (struct index_place){ (uint64_t)watermark, (uint64_t)frame, (uint32_t)crc };
	return st;
}

static enum status open_file(struct store_index *x, struct error *e)
{
	int64_t tables = 0;
	enum status st = connect(&x->db, x->path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = "
				 "NORMAL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000;",
				 e);

	if (st == ST_OK)
		st = one(x->db, x->path, "SELECT count(*) FROM sqlite_master", &tables, e);
	if (st == ST_OK && tables == 0)
		st = run(x->db, x->path, "BEGIN;" STORE_SCHEMA
			 "INSERT INTO meta VALUES ('format', 1); COMMIT;", e);
	if (st == ST_OK)
		st = place_load(x, e);
	if (st == ST_OK)
		st = statements(x, e);
	if (st == ST_OK)
		st = registers_load(x, e);
	if (st == ST_OK)
		st = layers_load(x, e);
	if (st == ST_OK)
		st = run(x->db, x->path, fold_sql, e);
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

static void path_of(char path[PATH_MAX], const char *dir, const char *suffix)
{
	snprintf(path, PATH_MAX, "%s/index.db%s", dir, suffix);
}

void store_index_remove(const char *dir)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		path_of(path, dir, suffixes[i]);
		unlink(path);
	}
}

static enum status new_index(struct store_index **out, const char *dir, struct marks *m,
			     struct store_layers *l)
{
	struct store_index *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&x->lock, NULL);
	path_of(x->path, dir, "");
	x->marks = m;
	x->layers = l;
	x->rows = calloc(INDEX_ROWS_MAX, sizeof(*x->rows));
	x->order = calloc(INDEX_ROWS_MAX, sizeof(*x->order));
	x->heads = calloc(HEADS, sizeof(*x->heads));
	x->counters = calloc(INDEX_COUNTERS_MAX, sizeof(*x->counters));
	if (x->rows == NULL || x->order == NULL || x->heads == NULL || x->counters == NULL) {
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
	enum status st = new_index(&x, dir, m, l);

	if (st == ST_OK)
		st = open_file(x, e);
	if (st == ST_CORRUPT || st == ST_UNSUPPORTED || st == ST_NOT_FOUND) {
		log_warn("store", "the index cannot be used and is made again from the segments: %s",
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
	enum status st = new_index(&x, dir, m, l);

	if (st == ST_OK && access(x->path, F_OK) != 0)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		st = connect(&x->db, x->path, "PRAGMA query_only = 1", e);
	if (st == ST_OK)
		st = place_load(x, e);
	if (st == ST_OK)
		st = registers_load(x, e);
	if (st == ST_OK)
		st = layers_load(x, e);
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
	free(x->counters);
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
	enum status st = one(x->db, x->path, "SELECT coalesce(max(sequence), 0) FROM result", &v, e);

	*sequence = (uint64_t)v;
	return st;
}

/* ---- rows in memory ---- */

bool store_index_room(const struct store_index *x, uint32_t records)
{
	return x->rows_n + records * INDEX_ROWS_RECORD <= INDEX_ROWS_MAX &&
	       x->counters_n + records <= INDEX_COUNTERS_MAX &&
	       x->results_n + records <= INDEX_RESULTS_MAX;
}

void store_index_add(struct store_index *x, enum row_table t, struct row_key key, uint64_t sequence,
		     uint64_t position)
{
	uint32_t *head = &x->heads[head_of(t, &key)];
	struct row *r = &x->rows[x->rows_n];

	assert(x->rows_n < INDEX_ROWS_MAX);
	*r = (struct row){ .key = key, .sequence = sequence, .position = position,
			   .table = (uint8_t)t };
	pthread_mutex_lock(&x->lock);
	r->next = *head;
	*head = ++x->rows_n;
	pthread_mutex_unlock(&x->lock);
	x->results_n += t == ROW_RESULT;
}

void store_index_count(struct store_index *x, struct slice unit, struct slice kind, uint32_t day,
		       uint8_t engine)
{
	struct counter *c = x->counters, *end = c + x->counters_n;

	while (c < end && !(c->day == day && c->engine == engine &&
			    slice_eq(slice_str(c->unit), unit) && slice_eq(slice_str(c->kind), kind)))
		c++;
	if (c == end) {
		assert(x->counters_n < INDEX_COUNTERS_MAX && unit.n <= CODE_BYTES_MAX &&
		       kind.n <= CODE_BYTES_MAX);
		x->counters_n++;
		*c = (struct counter){ .day = day, .engine = engine };
		memcpy(c->unit, unit.p, unit.n);
		memcpy(c->kind, kind.p, kind.n);
	}
	c->results++;
}

/* ---- to SQLite ---- */

static int by_key(const void *a, const void *b, void *rows)
{
	const struct row *x = (const struct row *)rows + *(const uint32_t *)a;
	const struct row *y = (const struct row *)rows + *(const uint32_t *)b;
	int order = (x->table > y->table) - (x->table < y->table);

	if (order == 0)
		order = memcmp(x->key.of, y->key.of, sizeof(x->key.of));
	if (order == 0)
		order = (x->sequence > y->sequence) - (x->sequence < y->sequence);
	return order != 0 ? order : (x->position > y->position) - (x->position < y->position);
}

static int step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_row(struct store_index *x, const struct row *r)
{
	sqlite3_stmt *s = x->insert[r->table];

	sqlite3_bind_int64(s, 1, (int64_t)r->sequence);
	sqlite3_bind_int64(s, 2, (int64_t)r->position);
	if (r->table == ROW_HOLDING || r->table == ROW_LOCATOR) {
		sqlite3_bind_blob(s, 3, r->key.of, sizeof(r->key.of), SQLITE_STATIC);
	} else if (r->table == ROW_NUMBER) {
		sqlite3_bind_int64(s, 3, (int64_t)get_be(r->key.of, 4));
		sqlite3_bind_int64(s, 4, (int64_t)get_be(r->key.of + 4, 8));
	}
	return step(s);
}

static int insert_registers(struct store_index *x)
{
	int rc = SQLITE_OK;

	for (uint32_t i = x->registers_n; i < x->marks->n && rc == SQLITE_OK; i++) {
		const struct register_mark *a = &x->marks->of[i].about;

		sqlite3_bind_int64(x->insert_register, 1, i + 1);
		sqlite3_bind_text(x->insert_register, 2, a->unit, -1, SQLITE_STATIC);
		sqlite3_bind_text(x->insert_register, 3, a->code, -1, SQLITE_STATIC);
		sqlite3_bind_int64(x->insert_register, 4, a->year);
		rc = step(x->insert_register);
	}
	return rc;
}

static int insert_layers(struct store_index *x)
{
	int rc = SQLITE_OK;

	for (uint32_t i = x->layers_n; i < x->layers->n && rc == SQLITE_OK; i++) {
		const struct layer_entry *l = &x->layers->of[i];

		sqlite3_bind_int64(x->insert_layer, 1, i + 1);
		sqlite3_bind_blob(x->insert_layer, 2, l->sha256, SHA256_BYTES, SQLITE_STATIC);
		sqlite3_bind_int64(x->insert_layer, 3, (int64_t)l->position);
		sqlite3_bind_int64(x->insert_layer, 4, l->size);
		rc = step(x->insert_layer);
	}
	return rc;
}

static int insert_counters(struct store_index *x, uint64_t watermark)
{
	int rc = SQLITE_OK;

	for (uint32_t i = 0; i < x->counters_n && rc == SQLITE_OK; i++) {
		const struct counter *c = &x->counters[i];

		sqlite3_bind_text(x->insert_counter, 1, c->unit, -1, SQLITE_STATIC);
		sqlite3_bind_text(x->insert_counter, 2, c->kind, -1, SQLITE_STATIC);
		sqlite3_bind_int64(x->insert_counter, 3, c->day);
		sqlite3_bind_int64(x->insert_counter, 4, c->engine);
		sqlite3_bind_int64(x->insert_counter, 5, (int64_t)watermark);
		sqlite3_bind_int64(x->insert_counter, 6, c->results);
		rc = step(x->insert_counter);
	}
	return rc;
}

static int set(struct store_index *x, const char *name, uint64_t v)
{
	sqlite3_bind_text(x->set, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(x->set, 2, (int64_t)v);
	return step(x->set);
}

static int write_all(struct store_index *x, const struct index_place *at)
{
	int rc = sqlite3_exec(x->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	for (uint32_t i = 0; i < x->rows_n; i++)
		x->order[i] = i;
	qsort_r(x->order, x->rows_n, sizeof(*x->order), by_key, x->rows);
	for (uint32_t i = 0; i < x->rows_n && rc == SQLITE_OK; i++)
		rc = insert_row(x, &x->rows[x->order[i]]);
	if (rc == SQLITE_OK)
		rc = insert_registers(x);
	if (rc == SQLITE_OK)
		rc = insert_layers(x);
	if (rc == SQLITE_OK)
		rc = insert_counters(x, at->watermark);
	if (rc == SQLITE_OK)
		rc = set(x, "watermark", at->watermark);
	if (rc == SQLITE_OK)
		rc = set(x, "frame", at->frame);
	if (rc == SQLITE_OK)
		rc = set(x, "crc", at->crc);
	return rc == SQLITE_OK ? sqlite3_exec(x->db, "COMMIT", NULL, NULL, NULL) : rc;
}

enum status store_index_flush(struct store_index *x, const struct index_place *at, struct error *e)
{
	if (x->place.watermark == at->watermark && x->rows_n == 0)
		return ST_OK;
	if (write_all(x, at) != SQLITE_OK) {
		enum status st = failed(x->db, x->path, "write", e);

		sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
		return st;
	}
	x->place = *at;
	x->registers_n = x->marks->n;
	x->layers_n = x->layers->n;
	pthread_mutex_lock(&x->lock);
	memset(x->heads, 0, HEADS * sizeof(*x->heads));
	x->rows_n = 0;
	pthread_mutex_unlock(&x->lock);
	x->results_n = x->counters_n = 0;
	return ST_OK;
}

/* ---- readers ---- */

static const char *const find_sql[ROW_TABLES] = {
	[ROW_RESULT] = "SELECT sequence, position FROM result WHERE sequence = ?1 AND sequence < ?2 "
		       "LIMIT ?3",
	[ROW_HOLDING] = "SELECT sequence, position FROM holding WHERE holder = ?1 AND sequence < ?2 "
			"ORDER BY sequence DESC LIMIT ?3",
	[ROW_LOCATOR] = "SELECT sequence, position FROM locator WHERE key = ?1 AND sequence < ?2 "
			"ORDER BY sequence DESC LIMIT ?3",
	[ROW_NUMBER] = "SELECT sequence, position FROM number_register WHERE register = ?1 AND number "
		       "= ?4 AND sequence < ?2 LIMIT ?3",
	[ROW_EVENT] = "SELECT sequence, position FROM event WHERE sequence = ?1 AND sequence < ?2 "
		      "ORDER BY position DESC LIMIT ?3",
};

enum status index_reader_open(struct index_reader **out, struct store_index *x, struct error *e)
{
	struct index_reader *r = calloc(1, sizeof(*r));
	enum status st;

	if (r == NULL)
		return ST_NOMEM;
	r->home = x;
	st = connect(&r->db, x->path, "PRAGMA query_only = 1; PRAGMA cache_size = -2048;", e);
	for (int t = 0; t < ROW_TABLES && st == ST_OK; t++)
		st = prepare(r->db, x->path, find_sql[t], &r->find[t], e);
	if (st != ST_OK) {
		index_reader_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

void index_reader_close(struct index_reader *r)
{
	if (r == NULL)
		return;
	for (int t = 0; t < ROW_TABLES; t++)
		sqlite3_finalize(r->find[t]);
	sqlite3_close(r->db);
	free(r);
}

/* Newer first. */
static bool ahead(const struct row_hit *a, const struct row_hit *b)
{
	return a->sequence != b->sequence ? a->sequence > b->sequence : a->position > b->position;
}

/* Into a sorted list of at most max, without doubles; the oldest falls off. */
static void keep(struct row_hit *hits, uint32_t *n, uint32_t max, struct row_hit h)
{
	uint32_t at = *n;

	while (at > 0 && ahead(&h, &hits[at - 1]))
		at--;
	if (at == max || (at > 0 && hits[at - 1].sequence == h.sequence &&
			  hits[at - 1].position == h.position))
		return;
	if (*n < max)
		(*n)++;
	memmove(&hits[at + 1], &hits[at], (*n - at - 1) * sizeof(*hits));
	hits[at] = h;
}

static void find_recent(struct store_index *x, enum row_table t, const struct row_key *key,
			uint64_t before, uint32_t max, struct row_hit *hits, uint32_t *n)
{
	pthread_mutex_lock(&x->lock);
	for (uint32_t i = x->heads[head_of(t, key)]; i != 0; i = x->rows[i - 1].next) {
		const struct row *r = &x->rows[i - 1];

		if (r->table == t && r->sequence < before &&
		    memcmp(r->key.of, key->of, sizeof(key->of)) == 0)
			keep(hits, n, max, (struct row_hit){ r->sequence, r->position });
	}
	pthread_mutex_unlock(&x->lock);
}

enum status index_find(struct index_reader *r, enum row_table t, struct row_key key, uint64_t before,
		       uint32_t max, struct row_hit *hits, uint32_t *n)
{
	sqlite3_stmt *s = r->find[t];
	int rc;

	if (before == 0 || before > NO_SEQUENCE)
		before = NO_SEQUENCE;
	*n = 0;
	/* Memory first: rows leave it only once SQLite has them. */
	find_recent(r->home, t, &key, before, max, hits, n);
	if (t == ROW_HOLDING || t == ROW_LOCATOR)
		sqlite3_bind_blob(s, 1, key.of, sizeof(key.of), SQLITE_STATIC);
	else
		sqlite3_bind_int64(s, 1, (int64_t)get_be(key.of, t == ROW_NUMBER ? 4 : 8));
	if (t == ROW_NUMBER)
		sqlite3_bind_int64(s, 4, (int64_t)get_be(key.of + 4, 8));
	sqlite3_bind_int64(s, 2, (int64_t)before);
	sqlite3_bind_int64(s, 3, max);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		keep(hits, n, max, (struct row_hit){ (uint64_t)sqlite3_column_int64(s, 0),
						     (uint64_t)sqlite3_column_int64(s, 1) });
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? ST_OK : status_of(rc);
}

enum status index_rows(struct index_reader *r, enum row_table t, uint64_t *n)
{
	static const char *const count_sql[ROW_TABLES] = {
		[ROW_RESULT] = "SELECT count(*) FROM result",
		[ROW_HOLDING] = "SELECT count(*) FROM holding",
		[ROW_LOCATOR] = "SELECT count(*) FROM locator",
		[ROW_NUMBER] = "SELECT count(*) FROM number_register",
		[ROW_EVENT] = "SELECT count(*) FROM event",
	};
	int64_t v = 0;
	enum status st = one(r->db, "index", count_sql[t], &v, NULL);

	*n = (uint64_t)v;
	return st;
}

enum status index_counted(struct index_reader *r, uint64_t *results)
{
	int64_t v = 0;
	enum status st = one(r->db, "index", "SELECT coalesce(sum(results), 0) FROM counter", &v, NULL);

	*results = (uint64_t)v;
	return st;
}
