#include <stdlib.h>

#include "store/index_parts.h"

#define NO_SEQUENCE INT64_MAX

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
};

enum status index_reader_open(struct index_reader **out, struct store_index *x, struct error *e)
{
	struct index_reader *r = calloc(1, sizeof(*r));
	enum status st;

	if (r == NULL)
		return ST_NOMEM;
	r->home = x;
	st = db_connect(&r->db, x->path, "PRAGMA query_only = 1; PRAGMA cache_size = -2048;", e);
	for (int t = 0; t < ROW_TABLES && st == ST_OK; t++)
		st = db_prepare(r->db, x->path, find_sql[t], &r->find[t], e);
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
	if (t == ROW_HOLDING || t == ROW_LOCATOR)
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
	enum status st = db_one(r->db, "index", count_sql[t], &v, NULL);

	*n = (uint64_t)v;
	return st;
}

enum status index_counted(struct index_reader *r, uint64_t *results)
{
	int64_t v = 0;
	enum status st = db_one(r->db, "index", "SELECT coalesce(sum(results), 0) FROM counter",
				   &v,
			     NULL);

	*results = (uint64_t)v;
	return st;
}
