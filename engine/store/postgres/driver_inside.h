/*
 * driver_inside.h - what the driver's thread (driver.c) and what becomes of its parts
 * (driver_parts.c, driver_away.c) share. Private to them; all of it is that thread's, but what is
 * atomic.
 */
#ifndef TRIEN_STORE_POSTGRES_DRIVER_INSIDE_H
#define TRIEN_STORE_POSTGRES_DRIVER_INSIDE_H

#include <pthread.h>

#include "base/queue.h"
#include "store/layers.h"
#include "store/postgres/conn.h"
#include "store/postgres/driver.h"
#include "store/postgres/folding.h"

#define PART_BYTES (1024 * 1024)	/* two of them on a connection */

struct server {
	struct pg_part *first, *last;	/* waiting, oldest first */
	uint32_t out;			/* with connections */
	struct store_layers layers;
	struct pg_known known;
	uint8_t rows_max;		/* of a part: fewer after one that took too long */
	bool folding;			/* one of those that are out is a FOLD */
	bool away;			/* it failed, and has taken nothing since */
	uint64_t away_ns;		/* since when */
	uint32_t trial_ms;		/* pause before it is tried again; 0: nothing was given up
					 * since it stored something */
	uint64_t trial_ns;		/* its end */
	char why[24];			/* what was told of it */
	char risks[PG_RISKS_BYTES];	/* the same: its settings, "" while they are good */
};

struct pg_driver {
	struct pg_driver_config cfg;
	struct pg_conn_rig rig;
	struct queue *inbox;
	struct io_op inbox_op;
	bool inbox_polled, thread_started;
	pthread_t thread;
	atomic_bool stopping;
	_Atomic uint32_t servers_away;	/* a bit each */
	_Atomic uint64_t retries, lanes_away;
	struct server servers[PG_SERVERS_MAX];
	struct pg_conn conns[PG_SERVERS_MAX * PG_CONNECTIONS_MAX];
	uint32_t conns_n;
	struct pg_work works[BATCHES_IN_FLIGHT_MAX];
	struct pg_part *free_parts;
	int32_t day;			/* whose months were asked for */
	struct pg_folding folding;
	uint64_t fewer;			/* the last FOLD's answer */
};

static inline uint64_t now_of(const struct pg_driver *d)
{
	return d->rig.clock.now_ns(d->rig.clock.ctx);
}

/* NULL: no memory, which the sink was told. w: may be NULL. */
struct pg_part *part_new(struct pg_driver *d, enum pg_part_kind kind, uint8_t server,
			 struct pg_work *w);
/* In its server's queue. */
void part_to_front(struct pg_driver *d, struct pg_part *part);
void part_to_back(struct pg_driver *d, struct pg_part *part);
/* A batch begins its way: its parts are queued. */
void work_take(struct pg_driver *d, struct batch *b);
/* One of a batch is done with; so is the batch when it was the last. */
void part_gone(struct pg_driver *d, struct pg_part *part);

/* driver_away.c: it cannot take anything now: why, and at what, "": it is not reached. */
void server_away(struct pg_driver *d, uint8_t server, const char *why, const char *where);
/* It has taken rows. */
void server_stored(struct pg_driver *d, uint8_t server);
/* Of several servers those that are away give their parts up, or count as back. */
void servers_look(struct pg_driver *d, uint64_t now_ns);

/* What connections tell of their parts; ctx is the driver. */
extern const struct pg_conn_events driver_events;

#endif
