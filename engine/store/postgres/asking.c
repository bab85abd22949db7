#include "store/postgres/asking.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "io/io.h"
#include "store/postgres/postgres.h"

#define CONNECT_MS_MAX 2000
#define PAUSE_MS_MIN 20
#define PAUSE_MS_MAX 1000

#define ONLY_READS " -c default_transaction_read_only=on -c jit=off"

/* The server gives up before we do. Somebody waits for what is read. */
struct way { uint32_t ms_max, statement_ms; bool reads; const char *session; };

static const struct way *way_of(enum pg_use use)
{
	static const struct way reads = { 4000, 3000, true, ONLY_READS },
				acts = { 12000, 10000, false, "" },
	/* What a reader waits for, too. */
				notes = { 4000, 3000, false, "" },
	/* What belongs together is seen as of one moment. */
	checks = { 70000, 60000, true,
		   ONLY_READS " -c default_transaction_isolation=repeatable\\ read" };

	return use == PG_READS ? &reads : use == PG_ACTS ? &acts :
	       use == PG_NOTES ? &notes : &checks;
}

void pg_asking_init(struct pg_asking *a, const struct pg_servers *servers, uint8_t server,
		    enum pg_use use)
{
	*a = (struct pg_asking){ .servers = servers, .server = server, .use = use };
}

void pg_asking_close(struct pg_asking *a)
{
	PQfinish(a->conn);
	a->conn = NULL;
}

/* ---- waiting ---- */

static uint64_t deadline_ns(uint32_t ms)
{
	return io_boot_ns() + (uint64_t)ms * 1000000;
}

/* false: the time is over. */
static bool wait_socket(PGconn *c, short events, uint64_t end_ns)
{
	for (;;) {
		struct pollfd p = { .fd = PQsocket(c), .events = events };
		uint64_t now = io_boot_ns();
		int rc;

		if (now >= end_ns || p.fd < 0)
			return false;
		rc = poll(&p, 1, (int)((end_ns - now) / 1000000) + 1);
		if (rc > 0)
			return true;
	}
}

/* All that was queued goes out; what comes meanwhile is taken, or both sides would wait. */
static bool flush(PGconn *c, uint64_t end_ns)
{
	int rc;

	while ((rc = PQflush(c)) == 1)
		if (!wait_socket(c, POLLIN | POLLOUT, end_ns) || PQconsumeInput(c) != 1)
			return false;
	return rc == 0;
}

static bool next_result(PGconn *c, uint64_t end_ns, PGresult **out)
{
	while (PQisBusy(c))
		if (!wait_socket(c, POLLIN, end_ns) || PQconsumeInput(c) != 1)
			return false;
	*out = PQgetResult(c);
	return true;
}

/* ---- connecting ---- */

static enum status lost(struct pg_asking *a, const char *why)
{
	if (!a->away)
		log_warn("store", "server %u is away: %.200s", a->server + 1u, why);
	a->away = true;
	a->pause_ms = a->pause_ms == 0 ? PAUSE_MS_MIN : a->pause_ms * 2;
	if (a->pause_ms > PAUSE_MS_MAX)
		a->pause_ms = PAUSE_MS_MAX;
	a->again_ns = deadline_ns(a->pause_ms);
	a->first++;
	pg_asking_close(a);
	return ST_UNAVAILABLE;
}

static bool reached(PGconn *c, uint32_t ms_max)
{
	uint64_t end_ns = deadline_ns(ms_max);
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	if (PQstatus(c) == CONNECTION_BAD)
		return false;
	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED ||
		    !wait_socket(c, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, end_ns))
			return false;
		state = PQconnectPoll(c);
	}
	return true;
}

PGconn *pg_reach(const struct pg_servers *s, uint8_t server, bool reads, const char *options,
		 uint32_t *first, uint32_t ms_max, bool *up)
{
	for (uint32_t i = 1;; i++) {
		PGconn *c = pg_server_start(s, server, reads, options, *first);

		*up = c != NULL && reached(c, ms_max);
		/* libpq asks no host behind one that hangs or has no such database, say. */
		if (*up || c == NULL || i >= s->hosts[server])
			return c;
		PQfinish(c);
		++*first;
	}
}

PGresult *pg_exec(PGconn *c, const char *sql, uint32_t ms_max)
{
	uint64_t end_ns = deadline_ns(ms_max);
	PGresult *last = NULL, *r = NULL;

	if (PQsendQuery(c, sql) != 1)
		return NULL;
	while (next_result(c, end_ns, &r)) {
		if (r == NULL)
			return last;
		PQclear(last);
		last = r;
	}
	PQclear(last);
	return NULL;
}

static bool prepare(struct pg_asking *a, uint64_t end_ns)
{
	PGconn *c = a->conn;
	bool good = true, synced = false;
	uint32_t left = 0;

	for (int i = 0; i < PG_STATEMENTS && good; i++) {
		const struct pg_statement_row *s = &pg_statements[i];

		if ((s->uses & a->use) == 0)
			continue;
		good = PQsendPrepare(c, s->name, s->sql, 0, NULL) == 1;
		left++;
	}
	good = good && PQpipelineSync(c) == 1 && flush(c, end_ns);
	while (good && !synced) {
		PGresult *r = NULL;

		good = next_result(c, end_ns, &r);
		synced = r != NULL && PQresultStatus(r) == PGRES_PIPELINE_SYNC;
		left -= r != NULL && PQresultStatus(r) == PGRES_COMMAND_OK;
		PQclear(r);
	}
	return good && left == 0;
}

/* Acts are not told again once they are done: what they are stored in must keep them. */
static bool keeps(const struct pg_asking *a, const struct way *way)
{
	PGresult *r;
	bool good;

	if (way->reads || !a->servers->risks_refused)
		return true;
	r = pg_exec(a->conn, PG_RISKS, CONNECT_MS_MAX);
	good = PQntuples(r) == 1 && PQgetvalue(r, 0, 0)[0] == '\0';
	PQclear(r);
	return good;
}

static enum status connect_now(struct pg_asking *a)
{
	const struct way *way = way_of(a->use);
	char options[300];
	bool up;

	if (io_boot_ns() < a->again_ns)
		return ST_UNAVAILABLE;
	/* With years of months, planning costs more than the answer: once, where it may be. */
	snprintf(options, sizeof(options), "-c statement_timeout=%u%s%s", way->statement_ms,
		 way->session, way->reads ? pg_plan_once(a->servers) : "");
	a->conn = pg_reach(a->servers, a->server, way->reads, options, &a->first, CONNECT_MS_MAX,
			   &up);
	if (a->conn == NULL)
		return ST_NOMEM;
	if (!up)
		return lost(a, PQstatus(a->conn) == CONNECTION_BAD ? PQerrorMessage(a->conn) :
			       "no answer in time");
	if (!keeps(a, way))
		return lost(a, "its settings lose what it confirms, or it hangs");
	/* Tables that are missing show here; what to do about them is said at start. */
	if (PQsetnonblocking(a->conn, 1) != 0 || PQenterPipelineMode(a->conn) != 1 ||
	    !prepare(a, deadline_ns(CONNECT_MS_MAX)))
		return lost(a, "its tables are not those of this version, or it hangs");
	if (a->away)
		log_info("store", "server %u is back", a->server + 1u);
	a->away = false;
	a->pause_ms = 0;
	return ST_OK;
}

/* ---- asking ---- */

static bool send_all(struct pg_asking *a, const struct pg_question *q, uint32_t n, uint64_t end_ns)
{
	static const int binary[PG_PARAMS_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	bool good = true;

	for (uint32_t i = 0; i < n && good; i++) {
		assert((pg_statements[q[i].which].uses & a->use) != 0);
		good = PQsendQueryPrepared(a->conn, pg_statements[q[i].which].name, q[i].n,
					   q[i].values, q[i].lengths, binary, 1) == 1;
	}
	return good && PQpipelineSync(a->conn) == 1 && flush(a->conn, end_ns);
}

/* What a refusal means; its text may hold what a row says (P9). */
static enum status refused(const struct pg_asking *a, const char *name, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	if (state == NULL)
		return ST_UNAVAILABLE;
	if (strcmp(state, "57014") == 0)
		return ST_TIMEOUT;
	switch (pg_failure_of(state)) {
	case PG_RETRY:
		return ST_UNAVAILABLE;
	case PG_PARTITION:
		return ST_NOT_FOUND;
	case PG_ROW:
		break;
	}
	log_error("store", "server %u refused the statement %s: SQLSTATE %s", a->server + 1u, name,
		  state);
	return ST_INTERNAL;
}

/* Results stand each between two NULLs; a Sync ends them. */
static enum status receive_all(struct pg_asking *a, const struct pg_question *q, uint32_t n,
			       PGresult **out, uint64_t end_ns)
{
	enum status st = ST_OK;
	uint32_t got = 0, nothing = 0;

	for (;;) {
		PGresult *r = NULL;
		ExecStatusType what;

		if (!next_result(a->conn, end_ns, &r))
			return ST_UNAVAILABLE;
		if (r == NULL) {
			if (++nothing > n + 1)
				return ST_UNAVAILABLE;
			continue;
		}
		what = PQresultStatus(r);
		if (what == PGRES_PIPELINE_SYNC) {
			PQclear(r);
			return st == ST_OK && got != n ? ST_UNAVAILABLE : st;
		}
		if ((what == PGRES_TUPLES_OK || what == PGRES_COMMAND_OK) && got < n) {
			out[got++] = r;
			continue;
		}
		if (st == ST_OK && what != PGRES_PIPELINE_ABORTED)
			st = refused(a, pg_statements[q[got < n ? got : n - 1].which].name, r);
		PQclear(r);
	}
}

static enum status ask_once(struct pg_asking *a, const struct pg_question *q, uint32_t n,
			    PGresult **out)
{
	uint64_t end_ns = deadline_ns(way_of(a->use)->ms_max);
	enum status st = ST_UNAVAILABLE;

	memset(out, 0, n * sizeof(*out));
	if (send_all(a, q, n, end_ns))
		st = receive_all(a, q, n, out, end_ns);
	if (st == ST_OK)
		return ST_OK;
	for (uint32_t i = 0; i < n; i++) {
		PQclear(out[i]);
		out[i] = NULL;
	}
	/* Between two answers: nobody can say which one comes next. */
	if (PQstatus(a->conn) == CONNECTION_BAD)
		return lost(a, "the connection is lost");
	if (PQtransactionStatus(a->conn) != PQTRANS_IDLE)
		return lost(a, "no answer in time");
	return st;
}

enum status pg_ask(struct pg_asking *a, const struct pg_question *q, uint32_t n, PGresult **out)
{
	bool kept = a->conn != NULL;
	enum status st = kept ? ST_OK : connect_now(a);

	if (st != ST_OK)
		return st;
	st = ask_once(a, q, n, out);
	/* It had gone while nobody asked: a server that was restarted shows only now. */
	if (st != ST_UNAVAILABLE || !kept || a->conn != NULL)
		return st;
	a->again_ns = 0;
	st = connect_now(a);
	return st == ST_OK ? ask_once(a, q, n, out) : st;
}
