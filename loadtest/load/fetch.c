#include "load/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/wire.h"
#include "load/listed.h"
#include "trien/v1/case.pb-c.h"

#define TRIES_MAX 150
#define PAUSE_US 200000
#define CALL_TIMEOUT_MS 60000
#define GET_AT_ONCE 500
#define AGAIN_AT_ONCE 50

/* ---- one call that is waited for ---- */

static void ask_message(void *owner, struct slice bytes)
{
	struct ask *a = owner;

	a->take(a->owner, bytes);
}

static void ask_ended(void *owner, const struct failure *f)
{
	struct ask *a = owner;

	a->over = true;
	a->failed = f != NULL;
	if (f != NULL)
		a->f = *f;
}

static const struct rpc_owner ask_owner = { ask_message, ask_ended };

enum status fetch_call(struct fetch *x, enum rpc_form form, const char *method,
		       struct slice request, struct ask *a, void (*restart)(void *owner),
		       struct error *e)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct rpc_buffer b = rpc_buffer(request.n);

		if (request.n > 0)
			memcpy(b.p, request.p, request.n);
		a->over = a->failed = false;
		if (restart != NULL)
			restart(a->owner);
		rpc_start(x->d->rpc, form, x->d->connection++, method, &b, CALL_TIMEOUT_MS,
			  &ask_owner, a);
		while (!a->over)
			drive_turn(x->d, 100000);
		if (!a->failed)
			return ST_OK;
		if (!failure_passing(&a->f))
			break;
		for (int64_t end = drive_now(x->d) + PAUSE_US; drive_now(x->d) < end;)
			drive_turn(x->d, 20000);
	}
	return error_set(e, ST_IO, "%s: %s %s", method, a->f.reason, a->f.en);
}

static int64_t time_ms(struct slice bytes)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;
	int64_t ms = 0;

	while (wire_next(&w, &f))
		ms += f.number == 1 ? (int64_t)f.value * 1000 : (int64_t)f.value / 1000000;
	return ms;
}

/* ---- registers ---- */

struct registers { struct fetch *x; bool after; char token[256]; };

static void take_register(struct registers *r, struct slice bytes)
{
	struct ledger *l = &r->x->d->ledger;
	struct wire w = wire_of(bytes);
	struct wire_field f;
	struct slice unit = { NULL, 0 }, code = { NULL, 0 };
	uint64_t year = 0, next = 0, first = 0;
	uint32_t at, before = l->books_n;

	while (wire_next(&w, &f)) {
		if (f.number == 1)
			unit = f.bytes;
		else if (f.number == 2)
			code = f.bytes;
		else if (f.number == 3)
			year = f.value;
		else if (f.number == 4)
			first = f.value;
		else if (f.number == 5)
			next = f.value;
	}
	at = ledger_book(l, unit, code, (uint32_t)year);
	if (at == LEDGER_REGISTERS_MAX)
		return;
	/* One that was opened during the run begins with its first number. */
	if (!r->after || at >= before || !l->books[at].listed)
		l->books[at].next_before = r->after ? first : next;
	l->books[at].listed = true;
	l->books[at].next_after = next;
}

static void take_registers(void *owner, struct slice bytes)
{
	struct registers *r = owner;
	struct wire w = wire_of(bytes);
	struct wire_field f;

	r->token[0] = '\0';
	while (wire_next(&w, &f)) {
		if (f.number == 1)
			take_register(r, f.bytes);
		else if (f.number == 2 && f.bytes.n < sizeof(r->token))
			snprintf(r->token, sizeof(r->token), "%.*s", (int)f.bytes.n,
				 (const char *)f.bytes.p);
	}
}

enum status fetch_registers(struct fetch *x, bool after, struct error *e)
{
	struct registers r = { .x = x, .after = after };
	struct ask a = { .take = take_registers, .owner = &r };
	enum status st;

	do {
		uint8_t buf[320];
		struct writer w = writer_of(buf, sizeof(buf));

		put_number(&w, 2, 200);
		put_text(&w, 3, r.token);
		st = fetch_call(x, RPC_UNARY, OPERATIONS "ListRegisters", writer_slice(&w), &a,
				NULL, e);
	} while (st == ST_OK && r.token[0] != '\0');
	return st;
}

/* ---- results ---- */

struct got { struct fetch *x; uint32_t places[GET_AT_ONCE], n, at; };	/* results, in order */

static void take_result(struct found *out, struct ledger *l, struct slice bytes)
{
	struct slice unit = { NULL, 0 }, code = { NULL, 0 };
	struct wire w = wire_of(bytes);
	struct wire_field f;
	uint32_t year = 0;

	*out = (struct found){ 0 };
	while (wire_next(&w, &f)) {
		if (f.number == 1 && f.bytes.n == STENCIL_ID_BYTES)
			memcpy(out->id, f.bytes.p, STENCIL_ID_BYTES);
		else if (f.number == 2)
			out->state = (uint8_t)f.value;
		else if (f.number == 4)
			unit = f.bytes;
		else if (f.number == 9)
			code = f.bytes;
		else if (f.number == 10)
			year = (uint32_t)f.value;
		else if (f.number == 11)
			out->number = f.value;
		else if (f.number == 14)
			out->accepted_ms = time_ms(f.bytes);
		else if (f.number == 15)
			out->issued_ms = time_ms(f.bytes);
		else if (f.number == 16)
			out->stored_ms = time_ms(f.bytes);
		else if (f.number == 22 && f.bytes.n == sizeof(out->sha256))
			memcpy(out->sha256, f.bytes.p, sizeof(out->sha256));
	}
	out->book = (uint16_t)ledger_book(l, unit, code, year);
}

static void take_results(void *owner, struct slice bytes)
{
	struct got *g = owner;
	struct ledger *l = &g->x->d->ledger;
	struct wire w = wire_of(bytes);
	struct wire_field f;
	struct found found;

	/* In the request's order; the missing ones are left out. */
	while (wire_next(&w, &f)) {
		if (f.number != 1)
			continue;
		take_result(&found, l, f.bytes);
		while (g->at < g->n && memcmp(l->results[g->places[g->at]].id, found.id,
					      STENCIL_ID_BYTES) != 0)
			g->at++;
		if (g->at == g->n) {
			l->strangers++;
			return;
		}
		l->results[g->places[g->at]].found = found;
		l->results[g->places[g->at]].is_found = true;
		g->at++;
	}
}

static void restart_results(void *owner)
{
	struct got *g = owner;
	struct ledger *l = &g->x->d->ledger;

	g->at = 0;
	for (uint32_t i = 0; i < g->n; i++)
		l->results[g->places[i]].is_found = false;
}

static struct phase *phase_of(struct drive *d, uint64_t place)
{
	uint32_t i = d->phases_n - 1;

	while (i > 0 && d->phases[i].first > place)
		i--;
	return &d->phases[i];
}

static void note_stages(struct fetch *x, uint64_t place, const struct found *f)
{
	const struct load_case *c = &x->d->ledger.cases[place];
	int64_t sent_ms = x->d->wall_ms + c->sent_us / 1000;
	double at_s = (double)(f->stored_ms - x->d->wall_ms) / 1e3;

	if (f->state != TRIEN__V1__STATE__STORED)
		return;
	histogram_record(phase_of(x->d, place)->stored,
			 (f->stored_ms - x->d->wall_ms) * 1000 - c->due_us);
	histogram_record(x->stage[STAGE_SENT], c->sent_us - c->due_us);
	histogram_record(x->stage[STAGE_ACCEPTED], (f->accepted_ms - sent_ms) * 1000);
	histogram_record(x->stage[STAGE_NUMBERED], (f->issued_ms - f->accepted_ms) * 1000);
	histogram_record(x->stage[STAGE_STORED], (f->stored_ms - f->issued_ms) * 1000);
	if (at_s >= 0 && at_s / x->mark_s < x->marks_n)
		x->stored_per_mark[(uint32_t)(at_s / x->mark_s)]++;
}

static enum status get_some(struct fetch *x, struct got *g, struct error *e)
{
	uint8_t buf[GET_AT_ONCE * (STENCIL_ID_BYTES + 2)];
	struct writer w = writer_of(buf, sizeof(buf));
	struct ask a = { .take = take_results, .owner = g };
	enum status st;

	for (uint32_t i = 0; i < g->n; i++)
		put_slice(&w, 1, slice_of(x->d->ledger.results[g->places[i]].id,
					  STENCIL_ID_BYTES));
	st = fetch_call(x, RPC_UNARY, REPOSITORY "BatchGetResults", writer_slice(&w), &a,
		  restart_results, e);
	g->n = 0;
	return st;
}

enum status fetch_results(struct fetch *x, struct error *e)
{
	struct got *g = calloc(1, sizeof(*g));
	struct ledger *l = &x->d->ledger;
	enum status st = ST_OK;

	if (g == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	g->x = x;
	for (uint64_t i = 0; i < l->results_n && st == ST_OK; i++) {
		if (l->results[i].receipts > 0)
			g->places[g->n++] = (uint32_t)i;
		if (g->n == GET_AT_ONCE)
			st = get_some(x, g, e);
	}
	if (st == ST_OK && g->n > 0)
		st = get_some(x, g, e);
	free(g);
	for (uint64_t i = 0; i < l->cases_n && st == ST_OK; i++)
		for (uint8_t k = 0; k < l->cases[i].results; k++)
			note_stages(x, i, &l->results[l->cases[i].first + k].found);
	return st;
}

/* ---- what citizens see ---- */

static void take_page(void *owner, struct slice bytes)
{
	listed_page(owner, bytes);
}

static enum status list_one(struct fetch *x, uint32_t place, const char *citizen, struct error *e)
{
	struct listed g = { .l = &x->d->ledger, .stencils = x->d->stencils,
			    .reissue_from = x->d->reissue_from,
			    .c = &x->d->ledger.cases[place] };
	struct ask a = { .take = take_page, .owner = &g };
	enum status st;

	do {
		struct rpc_buffer b = reads_list_request(citizen, g.token);

		st = fetch_call(x, RPC_UNARY, REPOSITORY "ListResults",
			  slice_of(b.p, GRPC_SLICE_LENGTH(b.slice)), &a, NULL, e);
		grpc_slice_unref(b.slice);
	} while (st == ST_OK && g.token[0] != '\0');
	if (st == ST_OK)
		listed_end(&g, x->proof);
	return st;
}

enum status fetch_lists(struct fetch *x, uint32_t citizens_max, struct error *e)
{
	struct ledger *l = &x->d->ledger;
	uint64_t step = l->cases_n / citizens_max + 1;
	enum status st = ST_OK;

	for (uint64_t i = step / 2; i < l->cases_n && st == ST_OK; i += step) {
		char citizen[STENCIL_CITIZEN_BYTES + 1];
		uint32_t serial = submit_serial(x->d, (uint32_t)i);

		if (l->cases[i].state == CASE_ACCEPTED &&
		    stencil_citizen(x->d->stencils, serial, citizen))
			st = list_one(x, (uint32_t)i, citizen, e);
	}
	return st;
}

/* ---- the same once more ---- */

struct resent {
	struct fetch *x;
	enum call_kind kind;		/* CALL_BATCH, CALL_COPY */
	size_t bytes;
	uint32_t places[AGAIN_AT_ONCE], n, at;
	uint8_t k;
};

static void take_again(void *owner, struct slice bytes)
{
	struct resent *g = owner;
	struct ledger *l = &g->x->d->ledger;
	struct wire w = wire_of(bytes), r;
	struct wire_field f, in;

	while (wire_next(&w, &f)) {
		struct slice id = { NULL, 0 };
		uint64_t number = 0, repeated = 0, was = l->contradictions;

		if (f.number != 1 || g->at == g->n)
			continue;
		r = wire_of(f.bytes);
		while (wire_next(&r, &in)) {
			if (in.number == 5)
				id = in.bytes;
			else if (in.number == 9)
				number = in.value;
			else if (in.number == 12)
				repeated = in.value;
		}
		ledger_receipt(l, g->places[g->at], g->k, id, number);
		g->x->proof->resent++;
		g->x->proof->resent_differ += !repeated || l->contradictions != was;
		if (++g->k == l->cases[g->places[g->at]].results) {
			g->at++;
			g->k = 0;
		}
	}
}

static void restart_again(void *owner)
{
	struct resent *g = owner;

	g->at = 0;
	g->k = 0;
}

static enum status send_again(struct resent *g, struct error *e)
{
	struct fetch *x = g->x;
	struct ask a = { .take = take_again, .owner = g };
	struct writer w;
	enum status st;
	void *buf;

	if (g->n == 0)
		return ST_OK;
	buf = malloc(g->bytes);
	if (buf == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	w = writer_of(buf, g->bytes);
	for (uint32_t i = 0; i < g->n; i++) {
		size_t n = submit_size(x->d, g->places[i]);

		put_varint(&w, 1 << 3 | WIRE_BYTES);
		put_varint(&w, n);
		submit_write(x->d, g->places[i], w.p);
		w.p += n;
	}
	st = fetch_call(x, RPC_UNARY, g->kind == CALL_COPY ? ISSUANCE "CertifyCopies" :
			ISSUANCE "SubmitBatch", writer_slice(&w), &a, restart_again, e);
	/* One that was refused has no receipt: the engine knows it no longer. */
	x->proof->resent_differ += g->n - g->at;
	g->n = 0;
	g->bytes = 0;
	free(buf);
	return st;
}

static enum status add_again(struct resent *g, uint32_t place, struct error *e)
{
	size_t n = submit_size(g->x->d, place) + 5;
	enum status st = ST_OK;

	if (g->n == AGAIN_AT_ONCE || g->n == submit_cases_max(g->kind) ||
	    g->bytes + n > submit_room(g->kind))
		st = send_again(g, e);
	g->places[g->n++] = place;
	g->bytes += n;
	return st;
}

enum status fetch_again(struct fetch *x, uint32_t cases_max, struct error *e)
{
	struct ledger *l = &x->d->ledger;
	uint64_t step = l->cases_n / cases_max + 1;
	struct resent cases = { .x = x, .kind = CALL_BATCH };
	struct resent copies = { .x = x, .kind = CALL_COPY };
	enum status st = ST_OK;

	for (uint64_t i = 0; i < l->cases_n && st == ST_OK; i += step)
		if (l->cases[i].state == CASE_ACCEPTED)
			st = add_again(l->cases[i].call == CALL_COPY ? &copies : &cases,
				       (uint32_t)i, e);
	if (st == ST_OK)
		st = send_again(&cases, e);
	return st == ST_OK ? send_again(&copies, e) : st;
}
