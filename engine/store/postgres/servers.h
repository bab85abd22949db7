/*
 * servers.h - which PostgreSQL server holds which lanes, and how one connects to it. Inside
 * store/postgres only, and for `trien store`.
 *
 * A server is one text of the setting `postgres`: libpq's connection string, and in front of it the
 * lanes that lie there:
 *
 *	lanes=0-15,32-47 host=/run/postgresql dbname=trien user=trien
 *
 * Without `lanes` it is the only server and holds all. A server is a unix socket's folder or has a
 * hostaddr: libpq resolves names while the caller waits. A primary and its standbys are one server
 * with several hosts:
 *
 *	host=/run/a,/run/b dbname=trien user=trien
 *
 * Of them the primary is looked for, to read too: a standby may not have yet what was stored.
 */
#ifndef TRIEN_STORE_POSTGRES_SERVERS_H
#define TRIEN_STORE_POSTGRES_SERVERS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "limits.h"

#define PG_SERVERS_MAX 8
#define PG_CONNINFO_BYTES_MAX 512

struct pg_servers {
	uint8_t n;
	uint8_t of_lane[LANES];		/* server that holds it */
	bool citus;			/* a transaction stays within a lane */
	uint8_t hosts[PG_SERVERS_MAX];	/* a primary and its standbys; 1: it alone */
	bool chosen[PG_SERVERS_MAX];	/* only a primary will do */
	bool risks_refused;		/* the caller's: PG_RISKS are no way to store anything */
	/* Holds passwords: never in a log or an error. */
	char conninfo[PG_SERVERS_MAX][PG_CONNINFO_BYTES_MAX];
	/* User of connections that only read; "": the same one. */
	char reader[CODE_BYTES_MAX + 1];
};

/*
 * ST_INVALID: a text is malformed, a lane has no server or two, a server is given by a name, or a
 * standby would do (target_session_attrs). The error names the server by its place in the list,
 * from 1.
 */
enum status pg_servers_read(struct pg_servers *s, const char *const *texts, uint32_t n, bool citus,
			    const char *reader, struct error *e) must_use;

/*
 * One text: the settings of the session's server under which its crash loses what it confirmed, or
 * "". The journal has let go of that by then. On Citus it is about the coordinator.
 */
#define PG_RISKS "SELECT coalesce(string_agg(name || ' = off', ', ' ORDER BY name), '')" \
	" FROM pg_catalog.pg_settings WHERE setting = 'off'" \
	" AND name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
#define PG_RISKS_BYTES 80

/*
 * Files that connecting may read: passwords, certificates, keys and lists that a connection string
 * names, and the ones that libpq looks for in the user's home. Some may not exist.
 */
void pg_server_files(const struct pg_servers *s, void (*cb)(void *ctx, const char *path),
		     void *ctx);

/* Lanes that the list gives it, a bit each; and as text, as in `lanes=`. */
uint64_t pg_server_lanes(const struct pg_servers *s, uint8_t server);
#define PG_LANES_BYTES 192
void pg_lanes_text(uint64_t lanes, char out[PG_LANES_BYTES]);

/* Where it is, as hosts, ports and database: neither who asks nor a password. */
void pg_server_place(const struct pg_servers *s, uint8_t server, char *out, size_t size);

/*
 * For the options of a session whose statements are planned once, whatever their values. Not on
 * Citus: with the values it sees which shard they are of, without them it refuses.
 */
const char *pg_plan_once(const struct pg_servers *s);

/*
 * Begins to connect, as PQconnectStart(); NULL: memory. options: "-c name=value …" for the
 * session. The caller drives it with PQconnectPoll() and ends it with PQfinish().
 *
 * Hosts are tried in turn, beginning with number `first` modulo their number: libpq itself goes on
 * to the next one only from a host that is down or no primary, not from one that hangs or refuses
 * for another reason. So after a failure the caller begins with another one.
 * A peer that is gone without a word is noticed within 20 s (TCP), unless the text says otherwise.
 */
PGconn *pg_server_start(const struct pg_servers *s, uint8_t server, bool reads, const char *options,
			uint32_t first);

#endif
