/*
 * inflight.h - every accepted result of which neither the waiting room nor the store tells the
 * truth yet.
 *
 * The spine writes, readers on any thread look: one mutex, two hash chains (by sequence, by case).
 *
 * A reader asks here, then the waiting room, then the store, and takes the first answer. It misses
 * no move, and need not look twice:
 *
 *	accepted		the entry stands before the receipt goes out
 *	stored			the store has it before the entry leaves
 *	parked			its row stands, and its PARKED record, before the entry leaves
 *	resumed, numbered	the row stays where it is, and the entry goes before it: what comes
 *				from the room has an entry as long as its row says otherwise
 *	 … parked again		the row is right again before the entry leaves
 *	 … stored, void, ended	the store has it, then the row goes, then the entry leaves
 *
 * So whoever finds no entry, and then no row, asks the store after it has got the result: rows go
 * nowhere else. A row that is found although its result was resumed meanwhile was true when the
 * reader began. An entry of STATE_STORED says: the row is still to go, ask the store.
 */
#ifndef TRIEN_SPINE_INFLIGHT_H
#define TRIEN_SPINE_INFLIGHT_H

#include "result.h"

struct inflight;

enum status inflight_new(struct inflight **f) must_use;
void inflight_free(struct inflight *f);

/* Spine. Strings are copied; one of this sequence is replaced. ST_NOMEM. */
enum status inflight_add(struct inflight *f, uint64_t sequence, uint8_t lane, int64_t accepted_ms,
			 const struct state_change *about) must_use;
/* Spine. As inflight_add(), of one that has a row in the waiting room, in the state `room`;
 * 0: it has none. */
enum status inflight_add_over(struct inflight *f, uint64_t sequence, uint8_t lane,
			      int64_t accepted_ms, const struct state_change *about,
			      enum state room) must_use;
/* Spine: *changed gets the whole row, for watchers; false if it is not there. */
bool inflight_set(struct inflight *f, uint64_t sequence, enum state state, enum reason held,
		  int64_t at_ms, struct state_change *changed);
/*
 * Spine: another one tells the truth about it (the list above). HELD and VOID keep the reason that
 * it had.
 */
bool inflight_drop(struct inflight *f, uint64_t sequence, enum state state, int64_t at_ms,
		   struct state_change *changed);

/* Any thread. */
bool inflight_get(struct inflight *f, uint64_t sequence, struct state_change *out, uint8_t *lane,
		  int64_t *accepted_ms);
uint32_t inflight_case(struct inflight *f, struct slice unit, struct slice code,
		       struct state_change *out, uint32_t max);
/*
 * The numbers of a register that are on their way, by number: malloc'd, NULL for none. Walks over
 * all entries under the lock, some milliseconds for 100,000: once a call.
 */
struct flying { uint64_t number, sequence; };
enum status inflight_register(struct inflight *f, struct slice unit, struct slice code,
			      uint32_t year, struct flying **out, uint32_t *n) must_use;
/*
 * All entries, one by one, under the lock: one() is quick and calls nothing of these. As slow as
 * inflight_register().
 */
struct flight {
	struct slice unit, kind;
	int64_t accepted_ms, due_ms;	/* due_ms 0: no deadline */
	enum state state, room;		/* room 0: it has no row in the waiting room */
};
void inflight_each(struct inflight *f, void (*one)(void *ctx, const struct flight *flight),
		   void *ctx);
uint32_t inflight_count(struct inflight *f);
/* Spine: its row in the waiting room has gone. */
void inflight_bare(struct inflight *f, uint64_t sequence);
/* Entries over rows of the waiting room in this state. */
uint32_t inflight_over(struct inflight *f, enum state room);

#endif
