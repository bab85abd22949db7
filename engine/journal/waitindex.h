/*
 * waitindex.h - the index over the waiting room's segments: what the writer does with it, and where
 * readers find it. Inside journal/ only.
 *
 * A commit is not durable by itself (SQLite's WAL without a flush each); it carries the place up to
 * which the segments are applied, so that whatever a crash leaves is some earlier moment of it.
 */
#ifndef TRIEN_JOURNAL_WAITINDEX_H
#define TRIEN_JOURNAL_WAITINDEX_H

#include <stdatomic.h>

#include "io/db.h"
#include "journal/waiting.h"
#include "journal/waitlog.h"

#define WAITINDEX_STATES (STATE_VOID + 1)

struct waitindex {
	char path[PATH_MAX];
	sqlite3 *db;
	sqlite3_stmt *put, *drop, *spot, *below, *move, *count, *place_set;
	struct waitlog_place place;	/* of the last commit */
	_Atomic uint64_t rows[WAITINDEX_STATES];	/* as of the last commit: any thread's */
	uint64_t rows_now[WAITINDEX_STATES], bytes[WAITINDEX_STATES];
};

/* Where a row's record stands. */
struct waitspot { uint64_t sequence, position; uint32_t size; uint8_t state; };

/* For readers: the folder. */
const char *waiting_dir(const struct waiting *w);
/* DATA/waiting/index.db */
void waitindex_path(char path[PATH_MAX], const char *dir);
/* ST_CORRUPT, ST_UNSUPPORTED, ST_NOT_FOUND: to be removed and opened anew. */
enum status waitindex_open(struct waitindex **x, const char *dir, struct error *e) must_use;
void waitindex_close(struct waitindex *x);
void waitindex_remove(const char *dir);

enum status waitindex_begin(struct waitindex *x, struct error *e) must_use;
/* All since waitindex_begin(), with the place up to which it is true. */
enum status waitindex_commit(struct waitindex *x, struct waitlog_place place,
			     struct error *e) must_use;
/* Also where there is one of that sequence already. */
enum status waitindex_put(struct waitindex *x, const struct waiting_row *row,
			  const struct waitspot *at, struct error *e) must_use;
/* No row is no failure. */
enum status waitindex_drop(struct waitindex *x, uint64_t sequence, struct error *e) must_use;
enum status waitindex_move(struct waitindex *x, uint64_t sequence, uint64_t position,
			   struct error *e) must_use;
/* ST_NOT_FOUND. */
enum status waitindex_spot(struct waitindex *x, uint64_t sequence, struct waitspot *out,
			   struct error *e) must_use;
/* The first record that stands before a position. ST_NOT_FOUND. */
enum status waitindex_below(struct waitindex *x, uint64_t position, struct waitspot *out,
			    struct error *e) must_use;
uint64_t waitindex_bytes(const struct waitindex *x);

#endif
