/*
 * recovery.h - a start after the journal was replayed: what stands in it goes on. The spine's
 * thread, before any other runs; recovery.c calls the rest in this order.
 */
#ifndef TRIEN_SPINE_RECOVERY_H
#define TRIEN_SPINE_RECOVERY_H

#include "spine/replay.h"

/*
 * A store that is away tells nothing of registers, and of what is stored: nothing is numbered until
 * it is back. What it is asked may be asked again. ST_UNAVAILABLE, ST_TIMEOUT: the start was ended.
 */
enum status wait_for_store(enum status (*ask)(void *ctx, struct error *e), void *ctx,
			   struct error *e) must_use;

/* ---- afterwards.c ---- */

/*
 * Rows of results that were numbered since. Before anything may be parked anew; and whatever is in
 * the store already: their records are in the journal until the rows have gone.
 */
enum status numbered_forget(struct replay *r, struct error *e) must_use;
/* Acts that the store, or the waiting room, may not know of. */
enum status acts_project(struct replay *r, struct error *e) must_use;
/*
 * A row goes after its result is stored. The journal keeps the RESUMED record for so long: whatever
 * may be stored although it has a row has one, and nobody else is looked at. An index made anew
 * may be the first of this data folder, whose journal was written before that rule.
 */
enum status rows_check(struct replay *r, struct store_reader *reader, struct error *e) must_use;
/*
 * Tickets and signatures that came: what the journal knows of them, into the waiting room. In
 * order: the newest of a result stands there in the end.
 */
enum status signatures_go_on(struct replay *r, struct store_reader *reader,
			     struct error *e) must_use;
/* Results that are neither stored nor in the waiting room, and confirmations, into the pipeline. */
enum status pendings_go_on(struct replay *r, struct store_reader *reader, struct error *e) must_use;

#endif
