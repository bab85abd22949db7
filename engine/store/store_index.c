#include <assert.h>
#include <stdlib.h>

#include "store/index_parts.h"

/* ---- keys ---- */

static void put_be(uint8_t *out, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++)
		out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

uint64_t index_be(const uint8_t *in, size_t width)
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

struct row_key row_key_event(uint64_t sequence, enum event_about about)
{
	struct row_key k = row_key_sequence(sequence);

	k.of[8] = (uint8_t)about;
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

uint32_t index_head(enum row_table t, const struct row_key *key)
{
	return crc32c((uint32_t)t, key->of, sizeof(key->of)) & (INDEX_HEADS - 1);
}

bool index_is_bytes(uint8_t table)
{
	return table == ROW_HOLDING || table == ROW_LOCATOR || table == ROW_READING;
}

/* ---- rows in memory ---- */

bool store_index_room(const struct store_index *x, uint32_t records)
{
	return x->rows_n + records * INDEX_ROWS_RECORD <= INDEX_ROWS_MAX &&
	       x->counters.n + records * INDEX_COUNTERS_RECORD <= INDEX_COUNTERS_MAX &&
	       x->results_n + records <= INDEX_RESULTS_MAX;
}

void store_index_add(struct store_index *x, enum row_table t, struct row_key key, uint64_t sequence,
		     uint64_t position)
{
	uint32_t *head = &x->heads[index_head(t, &key)];
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

void store_index_count(struct store_index *x, const struct counted *c)
{
	bool there;

	pthread_mutex_lock(&x->lock);
	there = counted_add(&x->counters, c);
	pthread_mutex_unlock(&x->lock);
	assert(there);
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
	if (index_is_bytes(r->table)) {
		sqlite3_bind_blob(s, 3, r->key.of, sizeof(r->key.of), SQLITE_STATIC);
	} else if (r->table == ROW_NUMBER) {
		sqlite3_bind_int64(s, 3, (int64_t)index_be(r->key.of, 4));
		sqlite3_bind_int64(s, 4, (int64_t)index_be(r->key.of + 4, 8));
	} else if (r->table == ROW_EVENT) {
		sqlite3_bind_int(s, 3, r->key.of[8]);
	}
	return step(s);
}

static int insert_registers(struct store_index *x)
{
	int rc = SQLITE_OK;

	for (uint32_t i = x->registers_n; i < x->marks->n && rc == SQLITE_OK; i++) {
		const struct register_mark *a = &x->marks->of[i].about;

		sqlite3_bind_int64(x->insert_register, 1, i + 1);
		db_bind_text(x->insert_register, 2, a->unit);
		db_bind_text(x->insert_register, 3, a->code);
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

	for (uint32_t i = 0; i < x->counters.n && rc == SQLITE_OK; i++) {
		const struct tally_row *c = &x->counters.rows[i];

		db_bind_text(x->insert_counter, 1, c->unit);
		db_bind_text(x->insert_counter, 2, c->kind);
		sqlite3_bind_int64(x->insert_counter, 3, c->day);
		sqlite3_bind_int64(x->insert_counter, 4, c->engine);
		sqlite3_bind_int64(x->insert_counter, 5, (int64_t)watermark);
		db_bind_text(x->insert_counter, 6, c->parts);
		for (int k = 0; k < COUNTS; k++)
			sqlite3_bind_int64(x->insert_counter, 7 + k, (int64_t)c->by.of[k]);
		rc = step(x->insert_counter);
	}
	return rc;
}

static int set(struct store_index *x, const char *name, uint64_t v)
{
	db_bind_text(x->set, 1, name);
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
		enum status st = db_failed(x->db, x->path, "write", e);

		sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
		return st;
	}
	x->registers_n = x->marks->n;
	x->layers_n = x->layers->n;
	pthread_mutex_lock(&x->lock);
	x->place = *at;
	memset(x->heads, 0, INDEX_HEADS * sizeof(*x->heads));
	x->rows_n = 0;
	tally_clear(&x->counters);
	pthread_mutex_unlock(&x->lock);
	x->results_n = 0;
	return ST_OK;
}
