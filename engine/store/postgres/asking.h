/*
 * asking.h - one server asked by one thread that waits for the answer. Inside store/postgres only.
 *
 * The connection is made when it is first needed and again when it was lost; its statements are
 * prepared then. Every wait has an end: a server that hangs is one that is away. A server that was
 * not reached is not tried again for a moment, so that it holds up few readers.
 */
#ifndef TRIEN_STORE_POSTGRES_ASKING_H
#define TRIEN_STORE_POSTGRES_ASKING_H

#include "store/postgres/question.h"
#include "store/postgres/servers.h"

struct pg_asking {
	const struct pg_servers *servers;
	uint8_t server;
	enum pg_use use;		/* but for PG_ACTS: read-only, as the readers' user */
	PGconn *conn;			/* NULL: none */
	bool away;			/* it was told */
	uint64_t again_ns;		/* not tried before; CLOCK_BOOTTIME */
	uint32_t first;			/* of its hosts, to be tried first */
	uint32_t pause_ms;
};

/*
 * Connects, and waits for each host at most ms_max, beginning with *first; *first is then the one
 * to begin with. NULL: memory; else the caller's, to be ended with PQfinish(): whether it stands
 * says *up.
 */
PGconn *pg_reach(const struct pg_servers *s, uint8_t server, bool reads, const char *options,
		 uint32_t *first, uint32_t ms_max, bool *up);
/* PQexec() with an end: NULL if the time is over, as for a connection that is lost. */
PGresult *pg_exec(PGconn *c, const char *sql, uint32_t ms_max) must_use;

/* servers: as long as it is used. */
void pg_asking_init(struct pg_asking *a, const struct pg_servers *servers, uint8_t server,
		    enum pg_use use);
void pg_asking_close(struct pg_asking *a);
/*
 * Sends n statements at once, in one transaction, and waits for all answers; on ST_OK out[0 … n)
 * are the caller's, to be cleared; else there are none, and nothing was changed or, with
 * ST_UNAVAILABLE, it is not known. The same statements may be sent again.
 *
 * ST_UNAVAILABLE: away, or it cannot now. ST_TIMEOUT. ST_PRECONDITION: not our schema.
 * ST_NOT_FOUND: rows have no month to go to (PG_MONTHS makes it). ST_INTERNAL: it refused.
 */
enum status pg_ask(struct pg_asking *a, const struct pg_question *q, uint32_t n,
		   PGresult **out) must_use;

#endif
