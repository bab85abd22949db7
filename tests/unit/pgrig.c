#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "pgrig.h"
#include "store/postgres/schema.h"

#define CITUS PGRIG_SERVERS		/* the database behind theirs */

void pgrig_connection(char *out, size_t size, uint32_t server)
{
	const char *first = getenv("TRIEN_POSTGRES"), *name = strstr(first, "dbname=t1");

	snprintf(out, size, "%.*sdbname=t%u%s", (int)(name - first), first, server + 1,
		 name + strlen("dbname=t1"));
}

int pgrig_sql(uint32_t server, const char *text)
{
	char conninfo[300];
	PGconn *c;
	PGresult *r;
	int n;

	pgrig_connection(conninfo, sizeof(conninfo), server);
	c = PQconnectdb(conninfo);
	PQclear(PQexec(c, "SET client_min_messages = warning"));
	r = PQexec(c, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", text, PQerrorMessage(c));
	n = PQresultStatus(r) == PGRES_TUPLES_OK ? PQntuples(r) : atoi(PQcmdTuples(r));
	PQclear(r);
	PQfinish(c);
	return n;
}

int pgrig_all(const struct pgrig *f, const char *text)
{
	int n = 0;

	for (uint32_t i = 0; i < f->servers; i++)
		n += pgrig_sql(f->first + i, text);
	return n;
}

void pgrig_open(struct pgrig *f)
{
	struct store_config cfg = { .sink = storewait_sink(&f->same.wait, SAME_NOW_MS),
				    .postgres_n = f->servers, .citus = f->citus,
				    .reader = f->reader, .connections = 2,
				    .engine = STORECASE_ENGINE, .objects = f->same.objects };
	const char *texts[PGRIG_SERVERS];
	struct error e = { 0 };

	for (uint32_t i = 0; i < f->servers; i++)
		texts[i] = f->texts[i];
	cfg.postgres = texts;
	if (store_postgres_open(&f->same.store, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	same_opened(&f->same);
}

static void reopen(struct storesame *same)
{
	same_close(same);
	pgrig_open((struct pgrig *)same);
}

static int event_rows(struct storesame *same)
{
	return pgrig_all((struct pgrig *)same, "SELECT lane FROM event");
}

static const char *const tables[] = {
	"result", "holding", "locator", "voided", "event", "number_register", "counter", "layer",
	"unit_owner", "reading", "object", "claim", "server_lane",
};

static void tables_empty(uint32_t server)
{
	char text[800] = "";

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "DELETE FROM %s;",
			 tables[i]);
	pgrig_sql(server, text);
}

static void tables_drop(uint32_t server)
{
	char text[800] = "DROP TABLE IF EXISTS trien_schema";

	/* Not the schema with all in it: that would take the extension's notes along, too. */
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ", %s", tables[i]);
	pgrig_sql(server, text);
	pgrig_sql(server, "DROP FUNCTION IF EXISTS trien_months, trien_fold, trien_claim, "
		  "trien_release");
}

/* Made once in each database of this process's: that takes longer than what most tests do there. */
static void tables_make(struct pgrig *f)
{
	static bool made[PGRIG_SERVERS + 1];
	struct pg_servers servers;
	struct pg_schema_report report;
	const char *texts[PGRIG_SERVERS];
	struct error e = { 0 };

	for (uint32_t i = 0; i < f->servers; i++)
		texts[i] = f->texts[i];
	assert_int_equal(pg_servers_read(&servers, texts, f->servers, f->citus, "", &e), ST_OK);
	for (uint8_t i = 0; i < servers.n; i++) {
		if (made[f->first + i]) {
			tables_empty(f->first + i);
			continue;
		}
		tables_drop(f->first + i);
		if (pg_schema_init(&servers, i, &report, &e) != ST_OK)
			fail_msg("%s", e.text);
		made[f->first + i] = true;
	}
}

static void spoil(struct storesame *same)
{
	pgrig_all((struct pgrig *)same,
		  "UPDATE object SET bytes = set_byte(bytes, 9, 255 - get_byte(bytes, 9))"
		  " WHERE n = 1");
}

static int setup(void **state, uint32_t servers, bool citus)
{
	struct pgrig *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || storecase_open(&f->same.sc, 3, 20, 3000, 900) != 0)
		return -1;
	f->first = citus ? CITUS : 0;
	f->servers = servers;
	f->citus = citus;
	f->reader = "";
	f->same.reopen = reopen;
	f->same.event_rows = event_rows;
	f->same.spoil = spoil;
	f->same.keeps = true;
	if (tmpdir_make(&f->tmp) != 0 ||
	    objects_open(&f->same.objects, f->tmp.path, NULL) != ST_OK)
		return -1;
	for (uint32_t i = 0; i < servers; i++) {
		uint32_t lanes = LANES / servers;
		int n = snprintf(f->texts[i], sizeof(f->texts[i]), "lanes=%u-%u ", i * lanes,
				 i * lanes + lanes - 1);

		pgrig_connection(f->texts[i] + n, sizeof(f->texts[i]) - (size_t)n, f->first + i);
	}
	tables_make(f);
	pgrig_open(f);
	return 0;
}

int pgrig_one(void **state) { return setup(state, 1, false); }
int pgrig_four(void **state) { return setup(state, PGRIG_SERVERS, false); }
int pgrig_citus(void **state) { return setup(state, 1, true); }

int pgrig_teardown(void **state)
{
	struct pgrig *f = *state;

	same_close(&f->same);
	objects_close(f->same.objects);
	tmpdir_remove(&f->tmp);
	storecase_close(&f->same.sc);
	free(f);
	return 0;
}
