/*
 * driver.h - the thread that writes batches into PostgreSQL over several connections at once.
 * Inside store/postgres only.
 *
 *	inbox ─▶ work ─▶ parts ─▶ queue of their server ─▶ connections, first in first out
 *
 * A part is what stands between two Syncs of libpq's pipeline mode: one implicit transaction. A
 * connection has parts of at most 2 MB on their way. Where one is lost, or the server says that it
 * cannot now (SQLSTATE 08, 40, 53, 57 …), its parts go back to the head of the queue and are sent
 * again, after 20 ms, 40 ms … 1 s, to the next of the server's hosts first: statements leave what
 * is there, so a part that had been committed changes nothing. What the server refuses of a part
 * for ever is found by halving it: that item is held (REASON_STORE_REFUSED), the others go on (P8).
 * What took a server too long is sent again in halves, and parts after it are as small for a while.
 *
 * Of several servers one that is away keeps nothing for itself: after its first second away all of
 * its parts are given up, and their items go back as `later` (store.h), so that batches with rows
 * of its lanes do not take the place of the others. With nothing left to try it with it counts as
 * back once it can be reached, but not before a pause, 1 s, 2 s … 10 s, where it has stored nothing
 * since the last time: a full disk is seen with results only.
 *
 * Parts of no batch: months ahead, once a day, and counters to be folded, at night (folding.h).
 */
#ifndef TRIEN_STORE_POSTGRES_DRIVER_H
#define TRIEN_STORE_POSTGRES_DRIVER_H

#include "io/io.h"
#include "store/postgres/postgres.h"

struct pg_clock;		/* conn.h */

struct pg_driver_config {
	const struct pg_servers *servers;	/* outlives the driver */
	uint32_t connections;			/* a server, 1 … PG_CONNECTIONS_MAX */
	uint8_t engine;				/* whose counters are folded */
	uint32_t statement_ms;			/* longest that a server may take for one; what
						 * takes half as long again is lost */
	enum io_kind io;
	const struct pg_clock *clock;		/* copied; NULL: the system's */
	struct store_sink sink;
	struct objects *objects;		/* NULL: there are none */
};

#define PG_CONNECTIONS_MAX 16

enum status pg_driver_new(struct pg_driver **out, const struct pg_driver_config *cfg,
			  struct error *e) must_use;
/* Stops and joins; batches that are out stay out. NULL is allowed. */
void pg_driver_free(struct pg_driver *d);
/* Any one thread. */
void pg_driver_take(struct pg_driver *d, struct batch *b);
/* Any thread. But for servers_n. */
void pg_driver_health(const struct pg_driver *d, struct store_health *out);

#endif
