#include <stdlib.h>

#include "store/index_parts.h"

#define NO_SEQUENCE INT64_MAX
#define READS "PRAGMA query_only = 1; PRAGMA cache_size = -2048;"

static const char *const find_sql[ROW_TABLES] = {
	[ROW_RESULT] = "SELECT sequence, position FROM result WHERE sequence = ?1 "
		       "AND sequence < ?2 LIMIT ?3",
	[ROW_HOLDING] = "SELECT sequence, position FROM holding WHERE holder = ?1 "
			"AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3",
	[ROW_LOCATOR] = "SELECT sequence, position FROM locator WHERE key = ?1 AND sequence < ?2 "
			"ORDER BY sequence DESC LIMIT ?3",
	[ROW_NUMBER] = "SELECT sequence, position FROM number_register WHERE register = ?1 "
		       "AND number = ?4 AND sequence < ?2 LIMIT ?3",
	[ROW_EVENT] = "SELECT sequence, position FROM event WHERE sequence = ?1 AND life = ?4 "
		      "AND sequence < ?2 ORDER BY position DESC LIMIT ?3",
	[ROW_READING] = "SELECT stamp, position FROM reading WHERE holder = ?1 AND stamp < ?2 "
			"ORDER BY stamp DESC LIMIT ?3",
};

static const char numbers_sql[] = "SELECT number, sequence, position FROM number_register "
				  "WHERE register = ?1 AND number > ?2 ORDER BY number LIMIT ?3";

enum status index_reader_open(struct index_reader **out, struct store_index *x, struct error *e)
{
	struct index_reader *r = calloc(1, sizeof(*r));
	struct db_look how;
	enum status st;

	if (r == NULL)
		return ST_NOMEM;
	r->home = x;
	st = x->watched ? db_look(&r->db, x->path, READS, &how, e) :
	     db_connect(&r->db, x->path, READS, e);
	for (int t = 0; t < ROW_TABLES && st == ST_OK; t++)
		st = db_prepare(r->db, x->path, find_sql[t], &r->find[t], e);
	if (st == ST_OK)
		st = db_prepare(r->db, x->path, numbers_sql, &r->numbers, e);
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
	sqlite3_finalize(r->numbers);
	sqlite3_finalize(r->results);
	sqlite3_finalize(r->watermark);
	for (int i = 0; i < COUNTS_QUESTIONS; i++)
		sqlite3_finalize(r->counts[i]);
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
	for (uint32_t i = x->heads[index_head(t, key)]; i != 0; i = x->rows[i - 1].next) {
		const struct row *r = &x->rows[i - 1];

		if (r->table == t && r->sequence < before &&
		    memcmp(r->key.of, key->of, sizeof(key->of)) == 0)
			keep(hits, n, max, (struct row_hit){ r->sequence, r->position });
	}
	pthread_mutex_unlock(&x->lock);
}

enum status index_find(struct index_reader *r, enum row_table t, struct row_key key,
		       uint64_t before, uint32_t max, struct row_hit *hits, uint32_t *n)
{
	sqlite3_stmt *s = r->find[t];
	int rc;

	if (before == 0 || before > NO_SEQUENCE)
		before = NO_SEQUENCE;
	*n = 0;
	/* Memory first: rows leave it only once SQLite has them. */
	find_recent(r->home, t, &key, before, max, hits, n);
	if (index_is_bytes(t))
		sqlite3_bind_blob(s, 1, key.of, sizeof(key.of), SQLITE_STATIC);
	else
		sqlite3_bind_int64(s, 1, (int64_t)index_be(key.of, t == ROW_NUMBER ? 4 : 8));
	if (t == ROW_NUMBER)
		sqlite3_bind_int64(s, 4, (int64_t)index_be(key.of + 4, 8));
	else if (t == ROW_EVENT)
		sqlite3_bind_int(s, 4, key.of[8]);
	sqlite3_bind_int64(s, 2, (int64_t)before);
	sqlite3_bind_int64(s, 3, max);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		keep(hits, n, max, (struct row_hit){ (uint64_t)sqlite3_column_int64(s, 0),
						     (uint64_t)sqlite3_column_int64(s, 1) });
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? ST_OK : db_status(rc);
}

/* ---- a register's numbers ---- */

/* Into a list sorted by number, of at most max, each once; the highest falls off. */
static void number_keep(struct number_hit *hits, uint32_t *n, uint32_t max, struct number_hit h)
{
	uint32_t at = *n;

	while (at > 0 && hits[at - 1].number > h.number)
		at--;
	if (at == max || (at > 0 && hits[at - 1].number == h.number))
		return;
	if (*n < max)
		(*n)++;
	memmove(&hits[at + 1], &hits[at], (*n - at - 1) * sizeof(*hits));
	hits[at] = h;
}

/* Numbers have no chain of their own by register: all rows in memory are looked at. */
static void numbers_recent(struct store_index *x, uint32_t register_id, uint64_t after,
			   uint32_t max, struct number_hit *hits, uint32_t *n)
{
	pthread_mutex_lock(&x->lock);
	for (uint32_t i = 0; i < x->rows_n; i++) {
		const struct row *r = &x->rows[i];
		uint64_t number;

		if (r->table != ROW_NUMBER || index_be(r->key.of, 4) != register_id)
			continue;
		number = index_be(r->key.of + 4, 8);
		if (number > after)
			number_keep(hits, n, max,
				    (struct number_hit){ number, r->sequence, r->position });
	}
	pthread_mutex_unlock(&x->lock);
}

enum status index_numbers(struct index_reader *r, uint32_t register_id, uint64_t after,
			  uint32_t max, struct number_hit *hits, uint32_t *n)
{
	sqlite3_stmt *s = r->numbers;
	int rc;

	*n = 0;
	numbers_recent(r->home, register_id, after, max, hits, n);
	sqlite3_bind_int64(s, 1, register_id);
	sqlite3_bind_int64(s, 2, after > INT64_MAX ? INT64_MAX : (int64_t)after);
	sqlite3_bind_int64(s, 3, max);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		number_keep(hits, n, max,
			    (struct number_hit){ (uint64_t)sqlite3_column_int64(s, 0),
						 (uint64_t)sqlite3_column_int64(s, 1),
						 (uint64_t)sqlite3_column_int64(s, 2) });
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? ST_OK : db_status(rc);
}

/* ---- all results ---- */

static const char results_sql[] = "SELECT sequence, position FROM result WHERE sequence > ?1 "
				  "AND sequence <= ?2 ORDER BY sequence LIMIT ?3";

/* Into a list sorted by sequence, of at most max, each once; the highest falls off. */
static void result_keep(struct row_hit *hits, uint32_t *n, uint32_t max, struct row_hit h)
{
	uint32_t at = *n;

	while (at > 0 && hits[at - 1].sequence > h.sequence)
		at--;
	if (at == max || (at > 0 && hits[at - 1].sequence == h.sequence))
		return;
	if (*n < max)
		(*n)++;
	memmove(&hits[at + 1], &hits[at], (*n - at - 1) * sizeof(*hits));
	hits[at] = h;
}

enum status index_results(struct index_reader *r, uint64_t after, uint64_t upto, uint32_t max,
			  struct row_hit *hits, uint32_t *n)
{
	struct store_index *x = r->home;
	enum status st = r->results == NULL ?
			 db_prepare(r->db, x->path, results_sql, &r->results, NULL) : ST_OK;
	int rc;

	*n = 0;
	if (st != ST_OK)
		return st;
	pthread_mutex_lock(&x->lock);
	for (uint32_t i = 0; i < x->rows_n; i++)
		if (x->rows[i].table == ROW_RESULT && x->rows[i].sequence > after &&
		    x->rows[i].sequence <= upto)
			result_keep(hits, n, max, (struct row_hit){ x->rows[i].sequence,
								    x->rows[i].position });
	pthread_mutex_unlock(&x->lock);
	sqlite3_bind_int64(r->results, 1, (int64_t)(after > INT64_MAX ? INT64_MAX : after));
	sqlite3_bind_int64(r->results, 2, (int64_t)(upto > INT64_MAX ? INT64_MAX : upto));
	sqlite3_bind_int64(r->results, 3, max);
	while ((rc = sqlite3_step(r->results)) == SQLITE_ROW)
		result_keep(hits, n, max,
			    (struct row_hit){ (uint64_t)sqlite3_column_int64(r->results, 0),
					      (uint64_t)sqlite3_column_int64(r->results, 1) });
	sqlite3_reset(r->results);
	return rc == SQLITE_DONE ? ST_OK : db_status(rc);
}

enum status index_rows(struct index_reader *r, enum row_table t, uint64_t *n)
{
	static const char *const count_sql[ROW_TABLES] = {
		[ROW_RESULT] = "SELECT count(*) FROM result",
		[ROW_HOLDING] = "SELECT count(*) FROM holding",
		[ROW_LOCATOR] = "SELECT count(*) FROM locator",
		[ROW_NUMBER] = "SELECT count(*) FROM number_register",
		[ROW_EVENT] = "SELECT count(*) FROM event",
		[ROW_READING] = "SELECT count(*) FROM reading",
	};
	int64_t v = 0;
	enum status st = db_one(r->db, "index", count_sql[t], &v, NULL);

	*n = (uint64_t)v;
	return st;
}

/* ---- counters ---- */

#define COLUMN3(name, column, sql) ", " #column
#define COLUMN2(name, column) ", " #column
#define COUNTS_SQL "SELECT unit, kind, day, parts" \
	COUNTS_OF_RESULTS(COLUMN3) COUNTS_OF_ACTS(COLUMN2) " FROM counter"

/* Of one agency through the key; of all since a day through that; else one after the other. */
static const char *const counts_sql[COUNTS_QUESTIONS] = {
	[COUNTS_OF_UNIT] = COUNTS_SQL " WHERE unit = ?3 AND +day BETWEEN ?1 AND ?2",
	[COUNTS_SINCE] = COUNTS_SQL " INDEXED BY counter_day WHERE day BETWEEN ?1 AND ?2",
	[COUNTS_OF_ALL] = COUNTS_SQL " WHERE +day BETWEEN ?1 AND ?2",
};

static enum status counts_prepare(struct index_reader *r, struct error *e)
{
	enum status st = ST_OK;

	if (r->watermark == NULL)
		st = db_prepare(r->db, r->home->path,
				"SELECT value FROM meta WHERE name = 'watermark'", &r->watermark,
				e);
	for (int i = 0; i < COUNTS_QUESTIONS && st == ST_OK; i++)
		if (r->counts[i] == NULL)
			st = db_prepare(r->db, r->home->path, counts_sql[i], &r->counts[i], e);
	return st;
}

static bool counts_add(struct tally *out, const struct counts_question *q, struct slice unit,
		       struct slice kind, uint32_t day, struct slice parts,
		       const struct counts *by)
{
	char asked[PARTS_BYTES_MAX];
	struct tally_row *row;

	if (!counts_asked(q, unit, kind, day))
		return true;
	row = tally_at(out, unit, kind, counts_period_of(q->period, day),
		       counts_parts_asked(q, parts, asked), 0);
	for (int i = 0; row != NULL && i < COUNTS; i++)
		row->by.of[i] += by->of[i];
	return row != NULL;
}

/* What is in memory only, and behind which watermark it comes. */
static bool counts_recent(struct store_index *x, const struct counts_question *q,
			  struct tally *out, uint64_t *watermark)
{
	bool fits = true;

	pthread_mutex_lock(&x->lock);
	*watermark = x->place.watermark;
	for (uint32_t i = 0; i < x->counters.n && fits; i++) {
		const struct tally_row *c = &x->counters.rows[i];

		fits = counts_add(out, q, slice_str(c->unit), slice_str(c->kind), c->day,
				  slice_str(c->parts), &c->by);
	}
	pthread_mutex_unlock(&x->lock);
	return fits;
}

static struct slice text_of(sqlite3_stmt *s, int column)
{
	struct slice text = { sqlite3_column_text(s, column), 0 };

	text.n = (size_t)sqlite3_column_bytes(s, column);
	return text;
}

static enum status counts_of_unit(struct index_reader *r, const struct counts_question *q,
				  const struct slice *unit, struct tally *out)
{
	sqlite3_stmt *s = r->counts[unit != NULL ? COUNTS_OF_UNIT :
				    q->from != 0 ? COUNTS_SINCE : COUNTS_OF_ALL];
	bool fits = true;
	int rc = SQLITE_DONE;

	sqlite3_bind_int64(s, 1, q->from);
	sqlite3_bind_int64(s, 2, q->to != 0 ? q->to : UINT32_MAX);
	if (unit != NULL)
		sqlite3_bind_text(s, 3, (const char *)unit->p, (int)unit->n, SQLITE_STATIC);
	while (fits && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct counts by;

		for (int i = 0; i < COUNTS; i++)
			by.of[i] = (uint64_t)sqlite3_column_int64(s, 4 + i);
		fits = counts_add(out, q, text_of(s, 0), text_of(s, 1),
				  (uint32_t)sqlite3_column_int64(s, 2), text_of(s, 3), &by);
	}
	sqlite3_reset(s);
	return !fits ? ST_TOO_LARGE : rc == SQLITE_DONE ? ST_OK : db_status(rc);
}

/* ST_CONFLICT: rows went from memory to SQLite in between. */
static enum status counts_try(struct index_reader *r, const struct counts_question *q,
			      struct tally *out)
{
	uint64_t watermark;
	enum status st;
	int rc;

	tally_clear(out);
	if (!counts_recent(r->home, q, out, &watermark))
		return ST_TOO_LARGE;
	rc = sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_status(rc);
	rc = sqlite3_step(r->watermark);
	st = rc == SQLITE_ROW ?
	     (uint64_t)sqlite3_column_int64(r->watermark, 0) == watermark ? ST_OK : ST_CONFLICT :
	     rc == SQLITE_DONE ? watermark == 0 ? ST_OK : ST_CONFLICT : db_status(rc);
	sqlite3_reset(r->watermark);
	for (uint32_t i = 0; st == ST_OK && i < (q->units_n > 0 ? q->units_n : 1); i++)
		st = counts_of_unit(r, q, q->units_n > 0 ? &q->units[i] : NULL, out);
	sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
	return st;
}

enum status index_counts(struct index_reader *r, const struct counts_question *q,
			 struct tally *out)
{
	enum status st = counts_prepare(r, NULL);

	/*
	 * Rows go to SQLite some thousands at a time: seldom twice in a row. Those of another
	 * process go from memory only when it is asked.
	 */
	for (int i = 0; st == ST_OK && i < (r->home->watched ? 1 : 100); i++) {
		st = counts_try(r, q, out);
		if (st != ST_CONFLICT)
			return st;
		st = ST_OK;
	}
	return st == ST_OK ? ST_UNAVAILABLE : st;
}
