/*
 * pgrig.h - a store on PostgreSQL for tests, in databases of the server that with_postgres.py
 * started: on one server, on four with the lanes spread, on Citus.
 */
#ifndef TESTS_PGRIG_H
#define TESTS_PGRIG_H

#include "storesame.h"
#include "tmpdir.h"

#define PGRIG_SERVERS 4

struct pgrig {
	struct storesame same;		/* first */
	uint32_t first, servers;
	bool citus;
	const char *reader;
	struct tmpdir tmp;
	char texts[PGRIG_SERVERS][300];
};

/* Database t1 is the one named in TRIEN_POSTGRES; t2 to t5 stand beside it. */
void pgrig_connection(char *out, size_t size, uint32_t server);
/* Runs it at once; the number of rows, or of rows changed. */
int pgrig_sql(uint32_t server, const char *text);
/* On all servers of the store. */
int pgrig_all(const struct pgrig *f, const char *text);
/* Once more, after same_close(). */
void pgrig_open(struct pgrig *f);

/* Fixtures; their state is a struct pgrig, with empty tables. */
int pgrig_one(void **state);
int pgrig_four(void **state);
int pgrig_citus(void **state);
int pgrig_teardown(void **state);

#endif
