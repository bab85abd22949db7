/*
 * conn.h - one connection to a server, driven without blocking. Inside store/postgres, the driver's
 * thread only.
 *
 * One-shot polls: POLLIN as long as it lives, POLLOUT only while libpq has bytes it could not send.
 * It is closed once its polls have come back, as a ring holds a polled socket open.
 */
#ifndef TRIEN_STORE_POSTGRES_CONN_H
#define TRIEN_STORE_POSTGRES_CONN_H

#include "io/io.h"
#include "store/postgres/work.h"

enum pg_conn_state {
	CONN_DOWN,		/* until due_ns */
	CONN_CONNECTING, CONN_PREPARING,
	CONN_UP,
	CONN_CLOSING		/* until its polls are back */
};

struct pg_conn;

/* What a connection tells, from within io_run() or a call below. */
struct pg_conn_events {
	/* The part's Sync came: it was committed, or part->sqlstate says why not. */
	void (*answered)(void *ctx, struct pg_conn *c, struct pg_part *part);
	/* A row of an answer. */
	void (*row)(void *ctx, struct pg_part *part, enum pg_write what, const PGresult *r,
		    int row);
	/* It is closing; its parts are still in c->first. why: a SQLSTATE or a word, no data. */
	void (*lost)(void *ctx, struct pg_conn *c, const char *why);
	/* Before it is up, or lost because of it: its server's PG_RISKS. */
	void (*risks)(void *ctx, struct pg_conn *c, const char *risks);
};

/* Time as connections see it, so that a test can let an hour pass. */
struct pg_clock {
	void *ctx;
	uint64_t (*now_ns)(void *ctx);		/* never steps back */
	/* Before a wait of so many milliseconds: how many of them to wait in truth. */
	uint32_t (*wait_ms)(void *ctx, uint32_t ms);
};

/* What all connections of a driver share. */
struct pg_conn_rig {
	struct io *io;
	struct pg_clock clock;
	uint32_t statement_ms;			/* longest that the server may take for one */
	const struct pg_servers *servers;
	const struct pg_conn_events *events;
	void *ctx;
	struct pg_params params;	/* scratch of what is being sent */
	char options[300];		/* of a session; pg_conn_rig_init() makes them */
};

struct pg_conn {
	struct pg_conn_rig *rig;
	uint8_t server;
	enum pg_conn_state state;
	PGconn *pg;
	struct io_op in, out;
	bool in_armed, out_armed;
	uint64_t due_ns;		/* DOWN: when to try; else when it is given up */
	uint32_t pause_ms;		/* before the next try; 0: none failed */
	uint32_t host;			/* of the server's, to be tried first */
	uint32_t unprepared;		/* statements whose answer has not come */
	struct pg_part *first, *last;	/* on their way, in order */
	uint32_t bytes;			/* of them */
};

/* Fields that say how sessions are, from statement_ms. */
void pg_conn_rig_init(struct pg_conn_rig *rig);
/* DOWN and due: begins to connect. Past its time: given up. Returns when to look again, ns. */
uint64_t pg_conn_tick(struct pg_conn *c, uint64_t now_ns);
/* UP: sends a part and puts it behind the others. */
void pg_conn_send(struct pg_conn *c, struct pg_part *part, const struct pg_known *known);
/* Gives it up; it comes back by itself, after its pause. */
void pg_conn_lose(struct pg_conn *c, const char *why);

#endif
