#include "store/index_parts.h"

enum status store_index_watch(struct store_index **out, const char *dir, struct marks *m,
			      struct store_layers *l, struct error *e)
{
	struct store_index *x = NULL;
	enum status st = index_new(&x, dir, m, l);

	if (st == ST_OK) {
		x->watched = true;
		st = db_look(&x->db, x->path, "PRAGMA query_only = 1", &x->look, e);
	}
	if (st != ST_OK) {
		store_index_close(x);
		return st;
	}
	*out = x;
	return ST_OK;
}

bool store_index_replaced(const struct store_index *x)
{
	return db_look_changed(x->path, &x->look);
}

bool store_index_unguarded(const struct store_index *x)
{
	return x->look.still;
}

enum status store_index_moved(struct store_index *x, bool *moved, struct error *e)
{
	int64_t watermark = 0;
	enum status st = db_one(x->db, x->path, "SELECT value FROM meta WHERE name = 'watermark'",
				&watermark, e);

	*moved = st == ST_OK && (uint64_t)watermark != x->place.watermark;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static void forget(struct store_index *x)
{
	pthread_mutex_lock(&x->lock);
	memset(x->heads, 0, INDEX_HEADS * sizeof(*x->heads));
	x->rows_n = x->results_n = x->registers_n = x->layers_n = 0;
	x->place = (struct index_place){ 0 };
	tally_clear(&x->counters);
	pthread_mutex_unlock(&x->lock);
	marks_clear(x->marks);
	layers_cut(x->layers, 0);
}

enum status store_index_again(struct store_index *x, struct error *e)
{
	enum status st;

	forget(x);
	st = db_run(x->db, x->path, "BEGIN", e);
	if (st == ST_OK)
		st = index_load(x, e);
	sqlite3_exec(x->db, "COMMIT", NULL, NULL, NULL);
	return st;
}
