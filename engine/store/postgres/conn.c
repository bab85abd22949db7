#include "store/postgres/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/*
 * For the session. A wait for a lock ends and is told, and begins again; plans do not depend on
 * how many values an array has; a session whose engine went ends by itself.
 */
static const char session[] =
	"-c work_mem=64MB -c jit=off -c lock_timeout=%u -c statement_timeout=%u "
	"-c client_connection_check_interval=1s%s";

#define SEND_BUFFER_BYTES (4 * 1024 * 1024)
#define CONNECT_MS_MAX 10000
#define LOCK_MS_MAX 10000
#define PAUSE_MS_MIN 20
#define PAUSE_MS_MAX 1000
#define NS_PER_MS 1000000ull

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void pg_conn_rig_init(struct pg_conn_rig *rig)
{
	snprintf(rig->options, sizeof(rig->options), session,
		 least(rig->statement_ms / 2, LOCK_MS_MAX), rig->statement_ms,
		 pg_plan_once(rig->servers));
}

static void due_in(struct pg_conn *c, uint32_t ms)
{
	c->due_ns = c->rig->clock.now_ns(c->rig->clock.ctx) + ms * NS_PER_MS;
}

/* Longer than the server itself takes at most, so that it can say so. */
static void answer_due(struct pg_conn *c)
{
	due_in(c, c->rig->statement_ms + c->rig->statement_ms / 2);
}

/* ---- ending ---- */

static void closed(struct pg_conn *c)
{
	if (c->state != CONN_CLOSING || c->in_armed || c->out_armed)
		return;
	PQfinish(c->pg);
	c->pg = NULL;
	c->state = CONN_DOWN;
	due_in(c, c->pause_ms);
}

void pg_conn_lose(struct pg_conn *c, const char *why)
{
	if (c->state == CONN_CLOSING || c->state == CONN_DOWN)
		return;
	c->state = CONN_CLOSING;
	c->host++;
	c->pause_ms = c->pause_ms == 0 ? PAUSE_MS_MIN : c->pause_ms * 2;
	if (c->pause_ms > PAUSE_MS_MAX)
		c->pause_ms = PAUSE_MS_MAX;
	c->rig->events->lost(c->rig->ctx, c, why);
	c->first = c->last = NULL;
	c->bytes = 0;
	if (c->in_armed)
		io_cancel(c->rig->io, &c->in);
	if (c->out_armed)
		io_cancel(c->rig->io, &c->out);
	closed(c);
}

/* ---- polls ---- */

static void in_ready(struct io_op *op);
static void out_ready(struct io_op *op);

static void arm_in(struct pg_conn *c)
{
	if (c->in_armed)
		return;
	c->in = (struct io_op){ .done = in_ready, .owner = c };
	c->in_armed = true;
	io_poll(c->rig->io, &c->in, PQsocket(c->pg), POLLIN);
}

static void arm_out(struct pg_conn *c)
{
	if (c->out_armed)
		return;
	c->out = (struct io_op){ .done = out_ready, .owner = c };
	c->out_armed = true;
	io_poll(c->rig->io, &c->out, PQsocket(c->pg), POLLOUT);
}

/* As much as the socket takes. */
static void flush(struct pg_conn *c)
{
	int rc = PQflush(c->pg);

	if (rc < 0)
		pg_conn_lose(c, "connection lost");
	else if (rc > 0)
		arm_out(c);
}

/* ---- connecting ---- */

static void prepare(struct pg_conn *c)
{
	int fd = PQsocket(c->pg), bytes = SEND_BUFFER_BYTES;
	bool ok = PQsetnonblocking(c->pg, 1) == 0 && PQenterPipelineMode(c->pg) == 1 &&
		  PQsendQueryParams(c->pg, PG_RISKS, 0, NULL, NULL, NULL, NULL, 0) == 1;

	/* libpq moves what a full socket leaves behind, again and again; refused: only slower. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	for (int i = 0; ok && i < PGW_COUNT; i++) {
		const struct pg_write_text *t = pg_write_text((enum pg_write)i);

		ok = PQsendPrepare(c->pg, t->name, t->sql, 0, NULL) == 1;
	}
	if (!ok || PQpipelineSync(c->pg) != 1) {
		pg_conn_lose(c, "connection lost");
		return;
	}
	c->state = CONN_PREPARING;
	c->unprepared = PGW_COUNT;
	arm_in(c);
	flush(c);
}

static void connect_on(struct pg_conn *c, PostgresPollingStatusType next)
{
	switch (next) {
	case PGRES_POLLING_READING:
		arm_in(c);
		break;
	case PGRES_POLLING_WRITING:
		arm_out(c);
		break;
	case PGRES_POLLING_OK:
		prepare(c);
		break;
	default:
		pg_conn_lose(c, "no connection");
	}
}

static void connect_begin(struct pg_conn *c)
{
	c->pg = pg_server_start(c->rig->servers, c->server, false, c->rig->options, c->host);
	c->state = CONN_CONNECTING;
	due_in(c, least(c->rig->statement_ms, CONNECT_MS_MAX));
	if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD)
		pg_conn_lose(c, "no connection");
	else
		connect_on(c, PGRES_POLLING_WRITING);
}

/* ---- answers ---- */

static void part_failed(struct pg_part *part, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	if (part->sqlstate[0] != '\0')
		return;
	/* The Sync itself may fail: behind the last statement. */
	part->failed = part->sent[part->answered < part->sent_n ? part->answered :
				  part->sent_n - 1].what;
	part->failure = pg_failure_of(state);
	if (part->failure == PG_PARTITION &&
	    PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME) != NULL)
		part->failure = PG_ROW;
	memcpy(part->sqlstate, state != NULL && strlen(state) == 5 ? state : "-----", 6);
}

static void part_answer(struct pg_conn *c, struct pg_part *part, const PGresult *r)
{
	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
		part->sent[part->answered].done = (uint32_t)strtoul(PQcmdTuples((PGresult *)r),
								    NULL, 10);
		break;
	case PGRES_TUPLES_OK:
		for (int i = 0; i < PQntuples(r); i++)
			c->rig->events->row(c->rig->ctx, part, part->sent[part->answered].what, r,
					    i);
		break;
	case PGRES_PIPELINE_ABORTED:
		break;
	default:
		/* A Sync alone: none of its rows is at fault, as none was sent. */
		if (part->sent_n == 0)
			pg_conn_lose(c, "refused a Sync");
		else
			part_failed(part, r);
	}
}

static void part_ended(struct pg_conn *c)
{
	struct pg_part *part = c->first;

	c->first = part->next;
	if (c->first == NULL)
		c->last = NULL;
	c->bytes -= part->bytes;
	part->next = NULL;
	answer_due(c);
	if (part->sqlstate[0] == '\0')
		c->pause_ms = 0;
	c->rig->events->answered(c->rig->ctx, c, part);
}

/* One result of the session's beginning. */
static void prepared(struct pg_conn *c, const PGresult *r)
{
	const char *state, *risks;

	switch (PQresultStatus(r)) {
	case PGRES_TUPLES_OK:
		risks = PQgetvalue(r, 0, 0);
		c->rig->events->risks(c->rig->ctx, c, risks);
		if (risks[0] != '\0' && c->rig->servers->risks_refused)
			pg_conn_lose(c, "its settings");
		break;
	case PGRES_COMMAND_OK:
		c->unprepared--;
		break;
	case PGRES_PIPELINE_SYNC:
		c->state = CONN_UP;
		break;
	default:
		state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
		pg_conn_lose(c, state != NULL ? state : "connection lost");
	}
}

static void answers(struct pg_conn *c)
{
	while ((c->state == CONN_PREPARING || (c->state == CONN_UP && c->first != NULL)) &&
	       !PQisBusy(c->pg)) {
		PGresult *r = PQgetResult(c->pg);

		if (PQstatus(c->pg) == CONNECTION_BAD)
			pg_conn_lose(c, "connection lost");
		else if (c->state == CONN_PREPARING && r != NULL)
			prepared(c, r);
		else if (r != NULL && PQresultStatus(r) == PGRES_PIPELINE_SYNC)
			part_ended(c);
		else if (r != NULL)
			part_answer(c, c->first, r);
		else if (c->state == CONN_UP && ++c->first->answered > c->first->sent_n + 1)
			pg_conn_lose(c, "answers to what was not asked");
		PQclear(r);
	}
}

static void read_on(struct pg_conn *c)
{
	if (PQconsumeInput(c->pg) != 1) {
		pg_conn_lose(c, "connection lost");
		return;
	}
	answers(c);
	if (c->state == CONN_PREPARING || c->state == CONN_UP) {
		arm_in(c);
		flush(c);
	}
}

static void ready(struct pg_conn *c, int64_t result)
{
	if (c->state == CONN_CLOSING)
		closed(c);
	else if (result < 0 && result != -EINTR)
		pg_conn_lose(c, "connection lost");
	else if (c->state == CONN_CONNECTING)
		connect_on(c, PQconnectPoll(c->pg));
	else
		read_on(c);
}

static void in_ready(struct io_op *op)
{
	struct pg_conn *c = op->owner;

	c->in_armed = false;
	ready(c, op->result);
}

static void out_ready(struct io_op *op)
{
	struct pg_conn *c = op->owner;

	c->out_armed = false;
	/* It may be that the server only reads once we have. */
	ready(c, op->result);
}

/* ---- what the driver does ---- */

uint64_t pg_conn_tick(struct pg_conn *c, uint64_t now_ns)
{
	if (c->state == CONN_DOWN && now_ns >= c->due_ns)
		connect_begin(c);
	else if (now_ns >= c->due_ns && (c->state != CONN_UP || c->first != NULL))
		pg_conn_lose(c, "no answer in time");
	if (c->state == CONN_CLOSING || (c->state == CONN_UP && c->first == NULL))
		return UINT64_MAX;
	return c->due_ns;
}

void pg_conn_send(struct pg_conn *c, struct pg_part *part, const struct pg_known *known)
{
	struct pg_params *p = &c->rig->params;
	enum pg_write all[PG_PART_WRITES_MAX];
	uint32_t n = pg_writes_of(part, c->rig->servers->citus, all);

	if (c->first == NULL)
		answer_due(c);
	part->next = NULL;
	part->sent_n = part->answered = 0;
	part->sqlstate[0] = '\0';
	if (c->last != NULL)
		c->last->next = part;
	else
		c->first = part;
	c->last = part;
	c->bytes += part->bytes;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rows = pg_fill(p, all[i], part, c->rig->servers, known);

		if (rows == 0)
			continue;
		part->sent[part->sent_n].what = all[i];
		part->sent[part->sent_n].rows = rows;
		part->sent[part->sent_n++].done = 0;
		if (!pg_params_end(p) ||
		    PQsendQueryPrepared(c->pg, pg_write_text(all[i])->name, p->n, p->values,
					p->sizes, p->formats, 1) != 1) {
			pg_conn_lose(c, p->bad ? "no memory" : "connection lost");
			return;
		}
	}
	if (PQpipelineSync(c->pg) != 1)
		pg_conn_lose(c, "connection lost");
	else
		flush(c);
}
