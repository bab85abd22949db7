#include <stdlib.h>

#include "base/wire.h"
#include "intake/answer.h"
#include "intake/operation.h"
#include "intake/validate.h"
#include "intake/waiting.h"
#include "trien/v1/issuance.pb-c.h"
#include "trien/v1/operations.pb-c.h"
#include "trien/v1/signing.pb-c.h"

#define LINK_TEXT_BYTES 8192		/* a holder's texts */
#define REPLY_BYTES (PAGE_SIZE_MAX * REGISTER_BYTES_MAX)

/* ---- registers ---- */

static void register_open_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__OpenRegisterRequest *q =
		read_request(c, r, &trien__v1__open_register_request__descriptor);

	if (q == NULL)
		return;
	o->act.first = q->first;
	register_ask(c, o, q->unit, q->code, q->year, q->reason);
}

void register_open_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_REGISTER_OPEN, register_open_begin, register_reply);
}

/* ---- lists ---- */

/* A page of rows: more than the caller may see, less is shown. */
struct page { uint32_t list, max, n; uint64_t position, next; };

/* False: the call is answered. */
static bool page_ask(struct call *c, struct operation *o, struct page *p, const char *unit,
		     const char *token, uint32_t size)
{
	if (!operation_keep(c, &o->act.unit, o->unit, CODE_BYTES_MAX, unit, "unit", false))
		return false;
	if (o->act.unit.n > 0 && (!operation_unit(c, o->act.unit) ||
				  !access_known(c, "unit", o->act.unit, false)))
		return false;
	p->list = crc32c((uint32_t)o->act.type, o->unit, o->act.unit.n);
	if (!page_read(token, p->list, &p->position)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return false;
	}
	p->max = page_size(size);
	return true;
}

static bool shown(const struct call *c, const struct operation *o, const char *unit)
{
	return o->act.unit.n > 0 ? slice_eq(o->act.unit, slice_str(unit)) :
				   principal_unit(c->principal, slice_str(unit));
}

static void page_reply(struct call *c, struct reply *reply, const struct page *p)
{
	char token[PAGE_TOKEN_BYTES + 1];

	if (p->n == p->max) {
		page_write(token, p->list, p->next);
		put_text(&reply->w, 2, token);
	}
	reply_end(c, reply, ST_OK);
}

static void reply_registers(struct call *c, const struct operation *o)
{
	struct page p = { o->list, o->act.max, o->act.n, 0, (uint64_t)o->act.offset + o->act.n };
	struct reply reply;

	if (!reply_open(c, &reply, REPLY_BYTES))
		return;
	for (uint32_t i = 0; i < o->act.n; i++) {
		if (shown(c, o, o->act.registers[i].unit))
			answer_register(&reply.w, 1, &o->act.registers[i]);
	}
	page_reply(c, &reply, &p);
}

static void register_list_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__ListRegistersRequest *q =
		read_request(c, r, &trien__v1__list_registers_request__descriptor);
	struct page p;

	if (q == NULL || !page_ask(c, o, &p, q->unit, q->page_token, q->page_size))
		return;
	if (p.position > UINT32_MAX) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	o->list = p.list;
	o->act.offset = (uint32_t)p.position;
	o->act.max = p.max;
	o->rows = calloc(p.max, sizeof(struct register_row));
	o->act.registers = o->rows;
	if (o->rows != NULL)
		operation_ask(c, o);
	else
		call_refuse(c, FAULT_BUSY, "", "no memory");
}

void register_list_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_REGISTER_LIST, register_list_begin, reply_registers);
}

static void put_held_row(struct call *c, struct read_thread *r, struct writer *w,
			 const struct waiting_row *h)
{
	const struct reason_text *why = reason_text((enum reason)h->reason);
	uint8_t id[16];
	char text[ID_TEXT_BYTES];

	put_number(w, 1, h->sequence);
	if (h->state == STATE_HELD)
		put_text(w, 2, why->name);
	put_text(w, 3, h->detail);
	put_text(w, 4, why->vi);
	put_text(w, 5, why->en);
	put_time(w, 6, h->parked_ms);
	put_text(w, 7, h->unit);
	put_text(w, 8, h->kind);
	put_text(w, 9, h->register_code);
	put_number(w, 10, h->year);
	put_number(w, 11, h->number);
	put_text(w, 12, h->number_text);
	put_text(w, 13, h->signer);
	put_number(w, 14, h->state);
	c->in->ops.result_id(r->store, h->lane, h->sequence, id);
	id_text(text, id);
	put_slice(w, 15, slice_of(text, ID_TEXT_BYTES));
}

static void reply_held(struct call *c, struct read_thread *r, const struct operation *o,
		       struct page *p, const struct waiting_row *rows)
{
	struct reply reply;

	if (!reply_open(c, &reply, REPLY_BYTES))
		return;
	for (uint32_t i = 0; i < p->n; i++) {
		uint8_t *at;

		p->next = rows[i].sequence;
		if (!shown(c, o, rows[i].unit))
			continue;
		at = put_begin(&reply.w, 1);
		put_held_row(c, r, &reply.w, &rows[i]);
		put_end(&reply.w, at);
	}
	page_reply(c, &reply, p);
}

/* The reading thread looks itself: the spine need not know who lists. */
void held_list_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListHeldRequest *q =
		read_request(c, r, &trien__v1__list_held_request__descriptor);
	/* Two lists, of which a page's token of one is none of the other. */
	struct operation *o = q == NULL ? NULL :
			      operation_of(c, q->awaiting_signature ? ACT_HAND : ACT_HELD_RETRY);
	struct waiting_row *rows;
	struct page p = { 0 };
	struct error e = { 0 };
	struct fault f;
	enum status st;

	if (o == NULL || !page_ask(c, o, &p, q->unit, q->page_token, q->page_size))
		return;
	rows = o->rows = calloc(p.max, sizeof(*rows));
	st = rows == NULL ? ST_NOMEM :
	     c->in->ops.waiting_after(r->store, q->awaiting_signature ? STATE_AWAITING_SIGNATURE :
									STATE_HELD,
				      p.position, rows, p.max, &p.n, &e);
	if (st == ST_OK) {
		reply_held(c, r, o, &p, rows);
		return;
	}
	fault_status(&f, st, "", e.text);
	call_finish(c, &f);
}

/* ---- held results ---- */

static bool row_allowed(const struct act *a, struct slice unit)
{
	const struct call *c = a->owner;
	const struct operation *o = c->state;

	return principal_unit(o->principal, unit);
}

static void reply_number(struct call *c, uint64_t number)
{
	uint8_t buf[16];
	struct writer w = writer_of(buf, sizeof(buf));

	put_number(&w, 1, number);
	call_reply(c, slice_copied(&w));
}

static void reply_retried(struct call *c, const struct operation *o)
{
	reply_number(c, o->act.n);
}

static void held_retry_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__RetryHeldRequest *q =
		read_request(c, r, &trien__v1__retry_held_request__descriptor);

	if (q == NULL)
		return;
	o->act.sequence = q->sequence;
	o->act.unit_allowed = row_allowed;
	o->act.held_for = reason_named(q->held_reason);
	if (q->held_reason[0] != '\0' && (o->act.held_for == REASON_NONE || q->sequence != 0)) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "held_reason", "%s", q->sequence != 0 ?
			    "only where all are retried" : "no such reason");
		return;
	}
	if (q->signer[0] != '\0') {
		if (q->sequence == 0) {
			call_refuse(c, FAULT_ARGUMENT_MISSING, "sequence", "of a held result");
			return;
		}
		if (!operation_keep(c, &o->act.code, o->code, CODE_BYTES_MAX, q->signer, "signer",
				    true) ||
		    !operation_reason(c, o, q->reason))
			return;
		o->act.type = ACT_HAND;
	}
	operation_ask(c, o);
}

void held_retry_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_HELD_RETRY, held_retry_begin, reply_retried);
}

static void reply_voided(struct call *c, const struct operation *o)
{
	reply_number(c, o->act.sequence);
}

static void held_void_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__VoidHeldRequest *q =
		read_request(c, r, &trien__v1__void_held_request__descriptor);

	if (q == NULL)
		return;
	if (q->sequence == 0) {
		call_refuse(c, FAULT_ARGUMENT_MISSING, "sequence", "of a held result");
		return;
	}
	if (!operation_reason(c, o, q->reason))
		return;
	o->act.sequence = q->sequence;
	o->act.unit_allowed = row_allowed;
	operation_ask(c, o);
}

void held_void_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_HELD_VOID, held_void_begin, reply_voided);
}

/* ---- what waits for approval ---- */

/* Which result; pending, where an act can be so. */
static void reply_result(struct call *c, const struct operation *o)
{
	uint8_t buf[64];
	char text[ID_TEXT_BYTES];
	struct writer w = writer_of(buf, sizeof(buf));

	id_text(text, o->result_id);
	put_slice(&w, 1, slice_of(text, sizeof(text)));
	put_number(&w, 2, o->act.pending);
	call_reply(c, slice_copied(&w));
}

static void waiting_refuse_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__RefuseWaitingRequest *q =
		read_request(c, r, &trien__v1__refuse_waiting_request__descriptor);
	struct waiting_row row;

	if (q == NULL ||
	    !operation_reason(c, o, q->reason) ||
	    !waiting_mine(c, r, q->result_id, o->result_id, &row))
		return;
	o->act.sequence = row.sequence;
	operation_ask(c, o);
}

void waiting_refuse_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_SEND_BACK, waiting_refuse_begin, reply_result);
}

/* A result that the caller may act for. False: the call is answered. */
static bool result_mine(struct call *c, struct read_thread *r, const char *id,
			struct result_view *out)
{
	enum status st = read_result(c, r, NULL, id, out);

	if (st == ST_OK && !principal_unit(c->principal, out->unit))
		st = ST_NOT_FOUND;
	if (st != ST_OK)
		read_refuse(c, st);
	return st == ST_OK;
}

static void withdraw_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__WithdrawResultRequest *q =
		read_request(c, r, &trien__v1__withdraw_result_request__descriptor);
	struct result_view v;

	if (q == NULL ||
	    !operation_reason(c, o, q->reason) ||
	    !result_mine(c, r, q->result_id, &v))
		return;
	if (v.state != STATE_AWAITING_APPROVAL) {
		call_refuse(c, FAULT_RESULT_NOT_WAITING, "result_id", "%s", "");
		return;
	}
	memcpy(o->result_id, v.result_id, sizeof(o->result_id));
	o->act.sequence = v.sequence;
	o->act.unit_allowed = row_allowed;
	operation_ask(c, o);
}

void withdraw_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_WITHDRAW, withdraw_begin, reply_result);
}

/* ---- one more holder ---- */

/* The encoded holder inside the request: read by its true lengths, as in a case. */
static struct slice holder_bytes(struct call *c, struct read_thread *r)
{
	struct slice request, found = { NULL, 0 };
	struct wire_field f;
	struct wire w;

	if (!call_request(c, &r->scratch, &request))
		return found;
	for (w = wire_of(request); wire_next(&w, &f);)
		if (f.number == 2 && f.type == WIRE_BYTES)
			found = f.bytes;
	return found;
}

static bool link_fill(struct call *c, struct read_thread *r, struct operation *o)
{
	struct raw_holder raw;
	struct refusal why = { 0 };
	struct fault f;
	enum status st = arena_init(&o->texts, LINK_TEXT_BYTES);

	if (st == ST_OK)
		st = raw_read_holder(&raw, holder_bytes(c, r), &why);
	if (st == ST_OK)
		st = validate_holder(&o->act.holder, &raw, c->in->ops.coverage(c->in->ops.ctx),
				     &o->texts, &why);
	if (st == ST_OK)
		return true;
	if (why.reason == REASON_NONE)
		refuse(&why, REASON_MALFORMED, "", "%s", status_name(st));
	fault_refusal(&f, &why, "holder");
	call_finish(c, &f);
	return false;
}

static void link_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__LinkHolderRequest *q =
		read_request(c, r, &trien__v1__link_holder_request__descriptor);
	struct result_view v;

	if (q == NULL ||
	    !operation_reason(c, o, q->reason) ||
	    !result_mine(c, r, q->result_id, &v))
		return;
	operation_about(o, &v);
	if (link_fill(c, r, o))
		operation_ask(c, o);
}

void link_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_LINK_HOLDER, link_begin, reply_result);
}

/* ---- status ---- */

static void reply_status(struct call *c, const struct operation *o)
{
	const struct status_view *v = &o->view;
	uint8_t buf[1024];
	struct writer w = writer_of(buf, sizeof(buf));
	const uint64_t numbers[] = { v->signer_up, v->store_up, v->accepted, v->duplicates,
				     v->refused, v->stored, v->held, v->voided, v->in_flight,
				     v->backlog, v->signatures, v->batches, v->journal_slots,
				     v->journal_slots_free };

	put_time(&w, 1, v->started_ms);
	put_text(&w, 2, v->io);
	put_text(&w, 3, v->store);
	put_number(&w, 4, v->numbering);
	put_text(&w, 5, v->why);
	for (uint32_t i = 0; i < ARRAY_LEN(numbers); i++)
		put_number(&w, 6 + i, numbers[i]);
	put_text(&w, 20, principal_name(c->principal));
	put_text(&w, 21, v->remote);
	put_number(&w, 22, v->awaiting_approval);
	put_number(&w, 23, v->awaiting_signature);
	for (uint32_t i = 0; i < 32; i++)
		if ((v->servers_away >> i & 1) != 0)
			put_number(&w, 24, i + 1);
	put_number(&w, 25, v->aside);
	call_reply(c, slice_copied(&w));
}

static void status_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	o->act.view = &o->view;
	operation_ask(c, o);
}

void status_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_STATUS, status_begin, reply_status);
}
