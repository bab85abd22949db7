/*
 * schema.h - the tables as files of schemas/store, which are part of the program, and bringing a
 * server up to them. For `trien store`; the check at start is in postgres.h.
 */
#ifndef TRIEN_STORE_POSTGRES_SCHEMA_H
#define TRIEN_STORE_POSTGRES_SCHEMA_H

#include "store/postgres/servers.h"

struct pg_schema_report {
	uint32_t from, upto;	/* version found (0: none) and version now */
	bool roles;		/* false: an administrator has to run pg_schema_roles() */
	char risk[PG_RISKS_BYTES];	/* PG_RISKS; "": none */
};

/*
 * Makes or updates the tables of one server, with this month and the next two, and the roles where
 * the user may. Each version in a transaction of its own; done again it changes nothing.
 * ST_UNAVAILABLE: not reached; ST_PRECONDITION: the tables are newer than this program, or the
 * server too old, or Citus has distributed them and was not to, or the other way round; ST_DENIED:
 * the user may not; ST_INVALID: the server refused; the error says what it said (no rows of ours
 * are in it).
 */
enum status pg_schema_init(const struct pg_servers *s, uint8_t server, struct pg_schema_report *out,
			   struct error *e) must_use;
/* What pg_schema_check() asks, and also the risk. */
enum status pg_schema_look(const struct pg_servers *s, uint8_t server, struct pg_schema_report *out,
			   struct error *e) must_use;
/* The text of roles.sql; static. */
const char *pg_schema_roles(void);

#endif
