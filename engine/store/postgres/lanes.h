/*
 * lanes.h - look-ups over rows of many lanes: one statement a lane, about all that is wanted there.
 * Inside store/postgres only.
 */
#ifndef TRIEN_STORE_POSTGRES_LANES_H
#define TRIEN_STORE_POSTGRES_LANES_H

#include "store/postgres/reader.h"

/* Where a row is: what a look-up leads to. key: of holdings and locators. */
struct place { uint8_t lane; uint64_t sequence; uint8_t key[16]; };

/* Of a row that a key leads to. */
void lanes_key(struct place *p, const uint8_t key[16], uint64_t sequence);
/* false: there is no such lane. */
bool lanes_place(struct place *p, int64_t lane, int64_t sequence);
/*
 * One statement a lane that is named, over all its places; answers[lane], NULL for the others, kept
 * as reader_ask() does. On Citus a lane has a transaction of its own. PG_REPLACED: keys are those
 * of results that may be replaced, by none that is older than they are.
 */
enum status lanes_ask(struct store_reader *r, enum pg_statement which, const struct place *of,
		      uint32_t n, PGresult *answers[LANES]) must_use;
/* The row of an answer, which may be NULL, whose first column is that number; -1: none. */
int lanes_row(const PGresult *answer, uint64_t first);
/* Likewise with that sequence in the first column and that key in another one. */
int lanes_row_of(const PGresult *answer, const struct place *at, int column);

#endif
