/*
 * counting.h - counters: what acts add to them, and what they say. Inside store/postgres only.
 */
#ifndef TRIEN_STORE_POSTGRES_COUNTING_H
#define TRIEN_STORE_POSTGRES_COUNTING_H

#include "store/counted.h"
#include "store/postgres/postgres.h"
#include "store/postgres/question.h"

/*
 * One count that an act adds. watermark: its row's, of what the act says, so that an act that is
 * told again meets its own; below 0 it is never folded, above it may be.
 */
struct pg_count { struct counted of; int64_t watermark; };

/* Room for the question's arrays. */
#define PG_COUNT_BYTES(n) (7 * PG_ARRAY_BYTES + (size_t)(n) * (2 * CODE_BYTES_MAX + 80))

/* PG_COUNT_ADD of n > 0 counts, of each only what counts. The arrays lie in w. */
void pg_count_question(struct pg_question *q, struct writer *w, uint8_t lane,
		       const struct pg_count *counts, uint32_t n);
/*
 * Of an event, from its key: results that one act meets have events of one n. 004.sql makes the
 * same marks.
 */
int64_t pg_count_mark(int64_t n, uint64_t sequence);
/*
 * A reuse that was not there yet: one more in the row of its agency, kind and day. Strings are
 * borrowed. *n: of counts, which have room for it.
 */
struct event_row;		/* events.h */
void pg_count_reuse(struct pg_count *counts, uint32_t *n, const struct event_row *reuse,
		    const char *unit, const char *kind);
/* Those of an end (STORED_VOID) that belong to its result's lane, or to its number's. */
uint32_t pg_counts_of_void(struct pg_count out[2], const struct void_entry *v);

/* store.h: counts */
enum status pg_counts(struct store_reader *r, const struct counts_question *q, struct tally *out);

#endif
