/*
 * work.h - a batch on its way into PostgreSQL: its rows, and the parts they are written in. Pure;
 * the driver's thread. Inside store/postgres only.
 *
 *	BEFORE	layers the server does not know yet, numbers; results that may be there already
 *	ROWS	results with their counters, holdings, locators: of items whose number is theirs.
 *		Their originals are claimed no more: they stay
 *
 * A part is a set of items, a server and, where a transaction must stay within a lane (Citus), that
 * lane: it writes those of the items' rows that lie there. So the halves of a part are parts, down
 * to one item.
 */
#ifndef TRIEN_STORE_POSTGRES_WORK_H
#define TRIEN_STORE_POSTGRES_WORK_H

#include "store/counted.h"
#include "store/postgres/params.h"
#include "store/postgres/postgres.h"

struct store_layers;		/* store/layers.h */

enum pg_write { PGW_LAYERS, PGW_NUMBERS, PGW_RESULTS, PGW_HOLDINGS, PGW_LOCATORS,
		PGW_UNCLAIM, PGW_NUMBERS_THERE, PGW_RESULTS_THERE, PGW_MONTHS, PGW_NEWEST,
		PGW_FOLD,
		/* where a transaction stays within a lane: its rows are of one */
		PGW_LANE_NUMBERS, PGW_LANE_RESULTS, PGW_LANE_COUNTERS, PGW_LANE_UNCLAIM,
		PGW_LANE_NUMBERS_THERE, PGW_LANE_RESULTS_THERE, PGW_COUNT };

struct pg_write_text { const char *name, *sql; };
const struct pg_write_text *pg_write_text(enum pg_write s);

#define PG_LOCATORS_MAX 2
#define PG_PART_WRITES_MAX 5

/* An item that is to be stored. */
struct pg_row {
	struct item *it;
	struct slice layers, record;	/* in the work's memory */
	int32_t crc;
	struct counted_says says;	/* what counts of it */
	struct slice old_unit;		/* what it replaces, where that counts, else empty */
	uint32_t old_day;
	uint8_t register_lane, holdings_n, locators_n;
	struct stored_holding holdings[CASE_HOLDERS_MAX];
	uint8_t locators[PG_LOCATORS_MAX][16];
};

struct pg_work {
	struct batch *b;		/* NULL: free */
	struct pg_part *parts;		/* scratch while they are made */
	bool before;			/* in BEFORE's parts; else in ROWS' */
	uint32_t parts_left;
	uint32_t rows_n;
	struct pg_row rows[BATCH_ITEMS_MAX];
	uint8_t *bytes;			/* records and lists of layers */
};

enum pg_part_kind { PART_BEFORE, PART_ROWS, PART_NUMBERS_THERE, PART_RESULTS_THERE, PART_MONTHS,
		    PART_NEWEST, PART_FOLD };
#define PG_LANE_ANY (-1)

struct pg_part {
	struct pg_part *next;
	struct pg_work *work;		/* NULL: MONTHS, NEWEST, FOLD */
	enum pg_part_kind kind;
	uint8_t server;
	int16_t lane;			/* PG_LANE_ANY: all of the server's */
	bool months_made;
	uint8_t broken;			/* how often it failed as when a worker of Citus goes */
	uint32_t n;
	uint8_t rows[BATCH_ITEMS_MAX];	/* of work->rows */
	uint32_t bytes;			/* about what it sends */
	int32_t month;			/* MONTHS: a day of the first, in days from 2000-01-01 */
	int32_t months;
	uint8_t engine;			/* FOLD: whose counters, of that lane */
	struct pg_part *then;		/* MONTHS: what waits for it */
	/* what was sent, and what came of it */
	uint8_t sent_n, answered;
	struct { enum pg_write what; uint32_t rows, done; } sent[PG_PART_WRITES_MAX];
	enum pg_failure failure;
	char sqlstate[6];		/* "": none failed */
	enum pg_write failed;
};

/* What a server has been told, for the choice of rows. */
struct pg_known {
	struct store_layers *layers;
	uint64_t newest;		/* of results there when we began; UINT64_MAX: unknown */
};

/* Lanes of all rows that an item has, a bit each: of one that is decoded. Any thread. */
uint64_t pg_lanes_of(const struct item *it);
/* Encodes the batch's live items into rows; an item that is too large is held. */
enum status pg_work_begin(struct pg_work *w, struct batch *b, int64_t now_ms) must_use;
/* Rows whose items are to be stored still. */
bool pg_row_live(const struct pg_row *row);

/*
 * Fills the parameters of one of a part's statements. 0: there is nothing to say; else how many
 * rows.
 */
uint32_t pg_fill(struct pg_params *out, enum pg_write what, const struct pg_part *part,
		 const struct pg_servers *servers, const struct pg_known *known);
/* Which statements a part consists of, in order; returns their number. */
uint32_t pg_writes_of(const struct pg_part *part, bool citus,
		      enum pg_write out[PG_PART_WRITES_MAX]);
/* Has any of the row's rows a place on the server (and in the lane)? bytes: about how much. */
bool pg_row_lies(const struct pg_row *row, enum pg_part_kind kind, uint8_t server, int16_t lane,
		 const struct pg_servers *servers, uint32_t *bytes);
/* Moves the second half of a part's items, at least one of two, into rest: else as the part. */
void pg_part_halve(struct pg_part *part, struct pg_part *rest);
/* Every layer that the part's items need is known from now on. False: memory. */
bool pg_layers_known(const struct pg_part *part, const struct pg_servers *servers,
		     struct store_layers *known);
/* The months of the part's items. */
void pg_months_of(const struct pg_part *part, int32_t *first, int32_t *n);
/* Days from 2000-01-01: the server takes the month that a day lies in. */
int32_t pg_day_of(int64_t unix_ms);

#endif
