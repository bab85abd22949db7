/*
 * store_index.h - from a key to positions of records: SQLite, and the newest rows in memory in
 * front of it. Inside store/ only.
 *
 * The index is derived from the segments and needs no durability of its own: rows collect in
 * memory, where readers see them at once, and go to SQLite some thousands at a time, sorted, with
 * the position up to which they are complete. What a crash takes is read again from the segments.
 *
 * One writer; readers on connections of their own, which never hold it up.
 */
#ifndef TRIEN_STORE_INDEX_H
#define TRIEN_STORE_INDEX_H

#include <sqlite3.h>

#include "store/counted.h"
#include "store/layers.h"
#include "store/marks.h"

enum row_table { ROW_RESULT, ROW_HOLDING, ROW_LOCATOR, ROW_NUMBER, ROW_EVENT, ROW_READING,
		 ROW_TABLES };

#define INDEX_ROWS_MAX 32768u		/* in memory */
#define INDEX_RESULTS_MAX 4096u		/* of them; then they go to SQLite */
#define INDEX_COUNTERS_MAX 4096u
#define INDEX_COUNTERS_RECORD 3		/* that one record can add */
/* What one record can add: result, case, what it replaces, number, holders. */
#define INDEX_ROWS_RECORD (4 + CASE_HOLDERS_MAX)

static_assert(INDEX_ROWS_MAX >= 2 * BATCH_ITEMS_MAX * INDEX_ROWS_RECORD, "two full batches fit");

struct row_key { uint8_t of[16]; };
struct row_hit { uint64_t sequence, position; };

/*
 * Keys: a sequence (RESULT), a sequence and what it is about (EVENT), holder or locator
 * as they are (a READING's sequence is its stamp), register id and number.
 */
struct row_key row_key_sequence(uint64_t sequence);
/* Part of the index's form. Reads are many: what is rare is found beside them. */
enum event_about { ABOUT_READS, ABOUT_LIFE, ABOUT_HOLDERS, ABOUT_SHARES };
struct row_key row_key_event(uint64_t sequence, enum event_about about);
struct row_key row_key_bytes(const uint8_t key[16]);
struct row_key row_key_number(uint32_t register_id, uint64_t number);

/* The last frame whose rows are all in SQLite, and what follows it. */
struct index_place { uint64_t watermark, frame; uint32_t crc; };

struct store_index;
struct index_reader;

/*
 * Opens or makes DIR/index.db; one that cannot be used is made anew. Marks and layers it
 * knows are added to m and l, which the index writes back with its rows.
 */
enum status store_index_open(struct store_index **x, const char *dir, struct marks *m,
			     struct store_layers *l, struct error *e) must_use;
/* The same for fsck: changes nothing. ST_NOT_FOUND: there is none. */
enum status store_index_look(struct store_index **x, const char *dir, struct marks *m,
			     struct store_layers *l, struct error *e) must_use;
/*
 * The same for one who looks on while its writer, another process, goes on or is away: nothing is
 * written, nothing made. Rows behind the file's watermark are added as the writer adds them, from
 * the segments; store_index_again() loads what the file knows by now and forgets them, and marks
 * and layers. ST_NOT_FOUND; ST_AGAIN: not now.
 */
enum status store_index_watch(struct store_index **x, const char *dir, struct marks *m,
			      struct store_layers *l, struct error *e) must_use;
enum status store_index_again(struct store_index *x, struct error *e) must_use;
/* The file's watermark is no longer that of the last store_index_again(). */
enum status store_index_moved(struct store_index *x, bool *moved, struct error *e) must_use;
/* It has to be opened again, and its readers. */
bool store_index_replaced(const struct store_index *x);
/* Nobody writes to it; if somebody begins, what is just read is worth nothing: see db_look(). */
bool store_index_unguarded(const struct store_index *x);
void store_index_close(struct store_index *x);
/* As of the last flush. */
struct index_place store_index_place(const struct store_index *x);
/* Deletes the index file of a folder; the next open makes it anew. */
void store_index_remove(const char *dir);

/* The highest sequence in SQLite; 0: none. Writer. */
enum status store_index_newest(struct store_index *x, uint64_t *sequence, struct error *e) must_use;

/* Writer. There must be room. */
void store_index_add(struct store_index *x, enum row_table t, struct row_key key, uint64_t sequence,
		     uint64_t position);
/* Writer: more is counted. There must be room. */
void store_index_count(struct store_index *x, const struct counted *c);
/* Is there room for one more record (or, for put(), a whole batch)? */
bool store_index_room(const struct store_index *x, uint32_t records);
/* Writer: all rows to SQLite, in one transaction, and then out of memory. */
enum status store_index_flush(struct store_index *x, const struct index_place *at,
			      struct error *e) must_use;

enum status index_reader_open(struct index_reader **r, struct store_index *x,
			      struct error *e) must_use;
void index_reader_close(struct index_reader *r);
/*
 * At most max hits of a key with sequence < before (0: from the newest), newest first; within
 * a sequence the later position first. *n = 0: none. ST_CORRUPT: the index is damaged.
 */
enum status index_find(struct index_reader *r, enum row_table t, struct row_key key,
		       uint64_t before, uint32_t max, struct row_hit *hits, uint32_t *n) must_use;
/* A register's numbers behind `after`, by number, at most max. */
struct number_hit { uint64_t number, sequence, position; };
enum status index_numbers(struct index_reader *r, uint32_t register_id, uint64_t after,
			  uint32_t max, struct number_hit *hits, uint32_t *n) must_use;
/* Results with after < sequence <= upto, by sequence, at most max. */
enum status index_results(struct index_reader *r, uint64_t after, uint64_t upto, uint32_t max,
			  struct row_hit *hits, uint32_t *n) must_use;
/* Rows of a table in SQLite; for fsck. */
enum status index_rows(struct index_reader *r, enum row_table t, uint64_t *n) must_use;
/*
 * What the counters say, of all engines together, in SQLite and in memory as of one moment, in
 * place of what was in `out`. ST_TOO_LARGE: more than it takes.
 */
enum status index_counts(struct index_reader *r, const struct counts_question *q,
			 struct tally *out) must_use;

#endif
