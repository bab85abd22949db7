/*
 * reads.h - what a reading thread looks with. Inside spine/ only.
 */
#ifndef TRIEN_SPINE_READS_H
#define TRIEN_SPINE_READS_H

#include "spine/spine.h"

/* One a reading thread: its own cipher contexts and its own connection. */
struct reads {
	struct spine *spine;
	struct identity *identity;
	struct store_reader *store;
	struct waiting_reader *rows;
	/* what a view of a result in flight or waiting borrows from */
	struct state_change now;
	struct waiting_row row;
	uint8_t *record;		/* of a result that waits; made when needed */
};

/* r->record has room for any. ST_NOMEM. */
enum status reads_record_room(struct reads *r);
/* Is there any row in the waiting room? */
bool reads_anything_waits(const struct reads *r);
/* Of r->now: an entry of those in flight. Borrows from it. */
void reads_in_flight(struct reads *r, struct result_view *out, uint8_t lane, uint64_t sequence,
		     int64_t accepted_ms);
/*
 * Of r->row: where it waits. Not for one that is on its way: what is in flight was asked before.
 * Borrows from r->now.
 */
void reads_waiting(struct reads *r, struct result_view *out);

/* As engine_ops.find_case, and (whole.c) whole_case. */
enum status reads_case(void *reader, struct slice unit, struct slice code, uint32_t max,
		       struct state_change *out, uint32_t *n);
enum status reads_whole_case(void *reader, struct slice unit, struct slice code, uint32_t max,
			     struct state_change *out, uint32_t *n);
enum status reads_case_of(void *reader, const uint8_t result_id[16], struct slice *out);

/* unfinished.c: as engine_ops.pending. */
enum status reads_pending(void *reader, int64_t before_ms, struct tally *out);

/* book.c: as engine_ops has them. */
enum status book_open(void *reader, struct slice unit, struct slice code, uint32_t year,
		      uint64_t after, uint64_t upto, struct book **out);
enum status book_next(void *reader, struct book *b, uint32_t max,
		      void (*cb)(void *ctx, const struct book_entry *row), void *ctx, bool *ended);
void book_close(struct book *b);

#endif
