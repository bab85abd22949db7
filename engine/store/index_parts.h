/*
 * index_parts.h - what the files of the index share. Inside store/ only.
 *
 *	index_file.c	SQLite: opening, making anew, what the file knows
 *	store_index.c	rows in memory, and their way to SQLite
 *	index_find.c	readers
 *	index_watch.c	the file of another process, and what it has written since
 */
#ifndef TRIEN_STORE_INDEX_PARTS_H
#define TRIEN_STORE_INDEX_PARTS_H

#include "io/db.h"
#include "store/store_index.h"

#define INDEX_HEADS (2 * INDEX_ROWS_MAX)

struct row {
	struct row_key key;
	uint64_t sequence, position;
	uint32_t next;			/* index + 1 */
	uint8_t table;
};

struct store_index {
	char path[PATH_MAX];
	sqlite3 *db;
	sqlite3_stmt *insert[ROW_TABLES], *insert_register, *insert_layer, *insert_counter, *set;
	struct marks *marks;
	struct store_layers *layers;
	uint32_t registers_n, layers_n;	/* of them are in SQLite */
	struct index_place place;	/* changed under the lock */
	pthread_mutex_t lock;		/* readers look at rows, heads and counters under it */
	struct row *rows;
	uint32_t rows_n, results_n;
	uint32_t *heads, *order;
	struct tally counters;		/* with room for all there may be */
	/* Another process's: nothing of ours ever goes to SQLite. */
	bool watched;
	struct db_look look;
};

enum counts_question_sql { COUNTS_OF_UNIT, COUNTS_SINCE, COUNTS_OF_ALL, COUNTS_QUESTIONS };

struct index_reader {
	struct store_index *home;
	sqlite3 *db;
	sqlite3_stmt *find[ROW_TABLES], *numbers, *results, *watermark;
	sqlite3_stmt *counts[COUNTS_QUESTIONS];
};

/* Nothing of the file is open yet. */
enum status index_new(struct store_index **out, const char *dir, struct marks *m,
		      struct store_layers *l) must_use;
/* What the file knows: place, registers, layers. */
enum status index_load(struct store_index *x, struct error *e) must_use;
/* Where a key's chain begins. */
uint32_t index_head(enum row_table t, const struct row_key *key);
/* Its keys are bytes as they are. */
bool index_is_bytes(uint8_t table);
/* Big-endian, as keys are. */
uint64_t index_be(const uint8_t *in, size_t width);

#endif
