#include "store/postgres/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_schema.h"
#include "store/postgres/asking.h"
#include "store/postgres/postgres.h"
#include "store/postgres/recount.h"

#define ONLY_READS " -c default_transaction_read_only=on"
#define SESSION "-c client_min_messages=warning -c search_path=public"
#define REACH_MS_MAX 5000
#define LOOK_MS_MAX 5000		/* for a word; what makes tables takes its time */
#define SERVER_VERSION_MIN 150000
#define RECOUNT_VERSION 7		/* has all columns that counters of version 4 on lack */

static const char *const migrations[] = { POSTGRES_MIGRATIONS };

static_assert(ARRAY_LEN(migrations) == PG_SCHEMA_VERSION, "the statements speak to the last file");

const char *pg_schema_roles(void)
{
	return POSTGRES_ROLES;
}

/* One word from one row; "" without a row. The SQLSTATE of a refusal in state, else "". */
static void word(PGconn *c, const char *sql, char *out, size_t size, char state[6])
{
	PGresult *r = pg_exec(c, sql, LOOK_MS_MAX);
	const char *why = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	snprintf(state, 6, "%s", why != NULL ? why : "");
	snprintf(out, size, "%s", PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 ?
		 PQgetvalue(r, 0, 0) : "");
	PQclear(r);
}

static enum status refused(PGconn *c, uint8_t server, const PGresult *r, const char *act,
			   struct error *e)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	enum status st = ST_INVALID;

	if (PQstatus(c) == CONNECTION_BAD || state == NULL)
		return error_set(e, ST_UNAVAILABLE, "postgres, server %u: lost while it was to %s",
				 server + 1u, act);
	if (strcmp(state, "42501") == 0)
		st = ST_DENIED;
	return error_set(e, st, "postgres, server %u: cannot %s: %s (SQLSTATE %s)", server + 1u,
			 act, text != NULL ? text : "no reason given", state);
}

static enum status run(PGconn *c, uint8_t server, const char *sql, const char *act, struct error *e)
{
	PGresult *r = PQexec(c, sql);
	ExecStatusType what = PQresultStatus(r);
	enum status st = ST_OK;

	if (what != PGRES_COMMAND_OK && what != PGRES_TUPLES_OK)
		st = refused(c, server, r, act, e);
	PQclear(r);
	return st;
}

static enum status reach(const struct pg_servers *s, uint8_t server, bool reads, PGconn **out,
			 struct error *e)
{
	uint32_t first = 0;
	bool up;
	PGconn *c = pg_reach(s, server, reads, reads ? SESSION ONLY_READS : SESSION, &first,
			     REACH_MS_MAX, &up);
	enum status st = ST_OK;

	if (c == NULL)
		return error_set(e, ST_NOMEM, "no memory for a connection");
	if (!up) {
		st = error_set(e, ST_UNAVAILABLE, "postgres, server %u: %.300s", server + 1u,
			       PQstatus(c) == CONNECTION_BAD ? PQerrorMessage(c) :
			       "no answer in time");
		PQfinish(c);
		return st;
	}
	if (PQserverVersion(c) < SERVER_VERSION_MIN)
		st = error_set(e, ST_PRECONDITION,
			       "postgres, server %u: PostgreSQL %d is too old; it takes 15",
			       server + 1u, PQserverVersion(c) / 10000);
	*out = c;
	return st;
}

/* 0: there are no tables. */
static enum status version_of(PGconn *c, uint8_t server, uint32_t *version, struct error *e)
{
	char text[32], state[6];

	word(c, "SELECT coalesce(max(version), 0) FROM trien_schema", text, sizeof(text), state);
	*version = (uint32_t)strtoul(text, NULL, 10);
	if (strcmp(state, "42P01") == 0 || text[0] != '\0')
		return ST_OK;
	if (strcmp(state, "42501") == 0)
		return error_set(e, ST_PRECONDITION,
				 "postgres, server %u: this user may not read the store's tables; "
				 "an owner has to say: GRANT trien_writer TO <user>", server + 1u);
	return error_set(e, ST_UNAVAILABLE, "postgres, server %u: cannot tell which tables it has",
			 server + 1u);
}

static enum status version_fits(uint32_t version, uint8_t server, struct error *e)
{
	if (version == 0)
		return error_set(e, ST_PRECONDITION,
				 "postgres, server %u: the store's tables are not there; make them "
				 "with: trien store init", server + 1u);
	if (version < PG_SCHEMA_VERSION)
		return error_set(e, ST_PRECONDITION,
				 "postgres, server %u: the tables are of version %u, this program "
				 "needs %d; update them with: trien store init", server + 1u,
				 version, PG_SCHEMA_VERSION);
	if (version > PG_SCHEMA_VERSION)
		return error_set(e, ST_PRECONDITION,
				 "postgres, server %u: the tables are of version %u, newer than "
				 "this program knows (%d); start the program that made them",
				 server + 1u, version, PG_SCHEMA_VERSION);
	return ST_OK;
}

/* Are the tables over workers, as the setting says? Statements for the one are not the other's. */
static enum status distribution_fits(PGconn *c, const struct pg_servers *s, uint8_t server,
				     struct error *e)
{
	char text[64], state[6];

	word(c, "SELECT to_regclass('pg_catalog.pg_dist_partition')", text, sizeof(text), state);
	if (text[0] != '\0')
		word(c, "SELECT 'yes' FROM pg_catalog.pg_dist_partition"
		     " WHERE logicalrelid = to_regclass('public.result')", text, sizeof(text),
		     state);
	if (state[0] != '\0')
		return error_set(e, ST_UNAVAILABLE, "postgres, server %u: cannot tell whether its "
				 "tables are distributed (SQLSTATE %s)", server + 1u, state);
	if (s->citus == (text[0] != '\0'))
		return ST_OK;
	return error_set(e, ST_PRECONDITION, s->citus ?
			 "postgres, server %u: the tables are there, but not distributed: they "
			 "were made without postgres_distribution = citus" :
			 "postgres, server %u: the tables are distributed by Citus: it wants "
			 "postgres_distribution = citus", server + 1u);
}

/* Those that it says it keeps; 0: it does not know. */
static enum status lanes_kept(PGconn *c, uint8_t server, uint64_t *lanes, struct error *e)
{
	char text[32], state[6];

	word(c, "SELECT coalesce(bit_or(1::int8 << lane), 0) FROM server_lane", text, sizeof(text),
	     state);
	*lanes = (uint64_t)strtoll(text, NULL, 10);
	if (state[0] == '\0' && text[0] != '\0')
		return ST_OK;
	if (strcmp(state, "42501") == 0)
		return error_set(e, ST_PRECONDITION, "postgres, server %u: this user may not read "
				 "the table server_lane: run the SQL of the roles again, which "
				 "trien store init does or prints", server + 1u);
	return error_set(e, ST_UNAVAILABLE, "postgres, server %u: cannot tell which lanes it keeps "
			 "(SQLSTATE %s)", server + 1u, state);
}

static enum status lanes_fit(PGconn *c, const struct pg_servers *s, uint8_t server,
			     struct error *e)
{
	uint64_t kept, given = pg_server_lanes(s, server);
	char kept_text[PG_LANES_BYTES], given_text[PG_LANES_BYTES];
	enum status st = s->citus ? ST_OK : lanes_kept(c, server, &kept, e);

	if (st != ST_OK || s->citus || kept == 0 || kept == given)
		return st;
	pg_lanes_text(kept, kept_text);
	pg_lanes_text(given, given_text);
	return error_set(e, ST_PRECONDITION,
			 "postgres, server %u: it keeps lanes %s, the list gives it lanes %s. Put "
			 "the list right; where lanes were moved, their rows of the table "
			 "server_lane move, too (schemas/store/README.md)", server + 1u, kept_text,
			 given_text);
}

static void risk_of(PGconn *c, struct pg_schema_report *out)
{
	char state[6];

	word(c, PG_RISKS, out->risk, sizeof(out->risk), state);
}

static enum status look(const struct pg_servers *s, uint8_t server, bool reads,
			struct pg_schema_report *out, struct error *e)
{
	PGconn *c = NULL;
	enum status st = reach(s, server, reads, &c, e);

	*out = (struct pg_schema_report){ .roles = true };
	if (st == ST_OK)
		st = version_of(c, server, &out->from, e);
	if (st == ST_OK)
		st = version_fits(out->from, server, e);
	if (st == ST_OK)
		st = distribution_fits(c, s, server, e);
	if (st == ST_OK)
		st = lanes_fit(c, s, server, e);
	out->upto = out->from;
	if (st == ST_OK)
		risk_of(c, out);
	PQfinish(c);
	return st;
}

enum status pg_schema_look(const struct pg_servers *s, uint8_t server, struct pg_schema_report *out,
			   struct error *e)
{
	return look(s, server, false, out, e);
}

enum status pg_schema_check(const struct pg_servers *s, uint8_t server, bool reads, struct error *e)
{
	struct pg_schema_report r;
	enum status st = look(s, server, reads, &r, e);

	if (st != ST_OK || reads || r.risk[0] == '\0' || !s->risks_refused)
		return st;
	return error_set(e, ST_PRECONDITION,
			 "postgres, server %u: %s: when it crashes, results are lost that the "
			 "engine no longer has. Set it to on there; only an engine with "
			 "development = true stores under it", server + 1u, r.risk);
}

enum status pg_schema_note(const struct pg_servers *s, uint8_t server, struct error *e)
{
	char sql[200];
	uint64_t kept = 0;
	PGconn *c = NULL;
	enum status st;

	if (s->citus)
		return ST_OK;
	snprintf(sql, sizeof(sql), "INSERT INTO server_lane SELECT l FROM generate_series(0, 63) l"
		 " WHERE (%lld)::int8 >> l & 1 = 1 ON CONFLICT DO NOTHING",
		 (long long)pg_server_lanes(s, server));
	st = reach(s, server, false, &c, e);
	if (st == ST_OK)
		st = lanes_kept(c, server, &kept, e);
	if (st == ST_OK && kept == 0)
		st = run(c, server, sql, "note its lanes", e);
	/* Another engine may have been first, with another list. */
	if (st == ST_OK)
		st = lanes_fit(c, s, server, e);
	PQfinish(c);
	/* It is a standby yet, or its disk is full. */
	return st == ST_INVALID ? ST_UNAVAILABLE : st == ST_DENIED ? ST_PRECONDITION : st;
}

/* ---- making them ---- */

/* Those that were stored before it. */
static enum status recount(PGconn *c, uint8_t server, struct error *e)
{
	PGresult *why;
	enum status st = ST_OK;

	if (!pg_recount(c, &why))
		st = why == NULL ? error_set(e, ST_NOMEM, "no memory to count what is stored") :
		     refused(c, server, why, "count what is stored", e);
	PQclear(why);
	return st;
}

/* from: the version of what is stored there; 0: nothing is. */
static enum status migrate(PGconn *c, const struct pg_servers *s, uint8_t server, uint32_t from,
			   uint32_t version, struct error *e)
{
	char told[100];
	enum status st = run(c, server, "BEGIN", "begin", e);

	snprintf(told, sizeof(told), "INSERT INTO trien_schema VALUES (%u, now())", version);
	/* It refuses rows of one lane behind a change of all shards' tables otherwise. */
	if (st == ST_OK && s->citus)
		st = run(c, server, "SET LOCAL citus.multi_shard_modify_mode = 'sequential'",
			 "set the mode", e);
	if (st == ST_OK)
		st = run(c, server, migrations[version - 1], "make the tables", e);
	if (st == ST_OK && version == 1 && s->citus)
		st = run(c, server, POSTGRES_CITUS, "distribute the tables", e);
	if (st == ST_OK && version == RECOUNT_VERSION && from > 0)
		st = recount(c, server, e);
	if (st == ST_OK)
		st = run(c, server, told, "note the version", e);
	if (st == ST_OK)
		return run(c, server, "COMMIT", "commit", e);
	PQclear(PQexec(c, "ROLLBACK"));
	return st;
}

/* In one transaction; false: it takes another user. */
static enum status roles(PGconn *c, uint8_t server, bool *done, struct error *e)
{
	enum status st = run(c, server, "BEGIN", "begin", e);

	if (st == ST_OK)
		st = run(c, server, POSTGRES_ROLES, "make the roles", e);
	*done = st == ST_OK;
	if (st == ST_OK)
		return run(c, server, "COMMIT", "commit", e);
	PQclear(PQexec(c, "ROLLBACK"));
	return st == ST_DENIED ? ST_OK : st;
}

enum status pg_schema_init(const struct pg_servers *s, uint8_t server, struct pg_schema_report *out,
			   struct error *e)
{
	PGconn *c = NULL;
	enum status st = reach(s, server, false, &c, e);

	*out = (struct pg_schema_report){ 0 };
	if (st == ST_OK)
		st = version_of(c, server, &out->from, e);
	out->upto = out->from;
	while (st == ST_OK && out->upto < PG_SCHEMA_VERSION) {
		st = migrate(c, s, server, out->from, out->upto + 1, e);
		out->upto += st == ST_OK;
	}
	if (st == ST_OK)
		st = version_fits(out->upto, server, e);
	if (st == ST_OK)
		st = distribution_fits(c, s, server, e);
	if (st == ST_OK)
		st = run(c, server, "SELECT trien_months(current_date, 3)", "make the months", e);
	if (st == ST_OK)
		st = roles(c, server, &out->roles, e);
	if (st == ST_OK)
		risk_of(c, out);
	PQfinish(c);
	return st;
}
