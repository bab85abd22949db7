#include <stdlib.h>

#include "base/wire.h"
#include "intake/read.h"
#include "intake/validate.h"
#include "intake/waiting.h"
#include "trien/v1/issuance.pb-c.h"
#include "trien/v1/operations.pb-c.h"
#include "trien/v1/signing.pb-c.h"

#define REASON_BYTES_MAX 400
#define LINK_TEXT_BYTES 8192		/* a holder's texts */
#define REPLY_BYTES (256 * 1024)

/*
 * A call that asks the spine for an act: work() runs once to ask, and once more when the act is
 * done. Everything the act borrows lives in here.
 */
struct operation {
	struct act act;
	atomic_bool decided;
	const struct principal *principal;
	char unit[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
	char reason[REASON_BYTES_MAX + 1];
	uint32_t list;			/* lists: what a page token belongs to */
	uint8_t result_id[16];		/* of acts on one result */
	struct arena texts;		/* LinkHolder */
	struct status_view view;
	struct register_row row;	/* a register as the act left it */
	void *rows;			/* lists */
};

static void decided(struct act *a)
{
	struct call *c = a->owner;
	struct operation *o = c->state;

	atomic_store(&o->decided, true);
	call_queue(c);
	call_unref(c);
}

void operate_free(struct call *c)
{
	struct operation *o = c->state;

	if (o == NULL)
		return;
	arena_free(&o->texts);
	free(o->rows);
	free(o);
}

/* The operation of this call, made at its first turn. NULL: the call is answered. */
static struct operation *operation_of(struct call *c, enum act_type type)
{
	struct operation *o = c->state;

	if (o != NULL)
		return o;
	o = calloc(1, sizeof(*o));
	if (o == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return NULL;
	}
	o->principal = c->principal;
	o->act = (struct act){ .type = type, .actor = slice_str(principal_name(c->principal)),
			       .done = decided, .owner = c };
	c->state = o;
	return o;
}

static void ask(struct call *c, struct operation *o)
{
	enum status st;

	call_ref(c);
	st = c->in->ops.act(c->in->ops.ctx, &o->act);
	if (st == ST_OK)
		return;
	call_refuse(c, st == ST_FULL ? FAULT_BUSY : FAULT_STOPPING, "", "%s", "");
	call_unref(c);
}

/* True: the act was done and succeeded. False, when decided: the call is answered. */
static bool succeeded(struct call *c, const struct operation *o)
{
	struct refusal why = { 0 };
	struct fault f;

	if (o->act.status == ST_OK)
		return true;
	fault_status(&f, o->act.status, o->act.error.text);
	if (o->act.refused != REASON_NONE) {
		refuse(&why, o->act.refused, "", "%s", o->code);
		fault_refusal(&f, &why, "signer");
	}
	call_finish(c, &f);
	return false;
}

/* A turn of a call: the first one asks, the second one answers. */
static void turn(struct call *c, struct read_thread *r, enum act_type type,
		 void (*begin)(struct call *c, struct operation *o, struct read_thread *r),
		 void (*reply)(struct call *c, const struct operation *o))
{
	struct operation *o = operation_of(c, type);

	if (o == NULL)
		return;
	if (!atomic_load(&o->decided))
		begin(c, o, r);
	else if (succeeded(c, o))
		reply(c, o);
}

/* A text of the request into a place of ours. False: the call is answered. */
static bool keep(struct call *c, struct slice *out, char *place, size_t bytes_max, const char *text,
		 const char *field, bool required)
{
	size_t n = strlen(text);

	if (n > bytes_max || (required && n == 0)) {
		call_refuse(c, n == 0 ? FAULT_ARGUMENT_MISSING : FAULT_ARGUMENT_INVALID, field,
			    "1 to %zu bytes", bytes_max);
		return false;
	}
	memcpy(place, text, n + 1);
	*out = slice_of(place, n);
	return true;
}

static bool unit_mine(struct call *c, struct slice unit)
{
	if (principal_unit(c->principal, unit))
		return true;
	call_refuse(c, FAULT_UNIT_DENIED, "unit", "%s", "");
	return false;
}

/* ---- registers ---- */

static void put_register(struct writer *w, const struct register_row *r)
{
	put_text(w, 1, r->unit);
	put_text(w, 2, r->code);
	put_number(w, 3, r->year);
	put_number(w, 4, r->first);
	put_number(w, 5, r->next);
	put_number(w, 6, r->given);
	put_number(w, 7, r->voided);
	put_number(w, 8, r->closed);
}

static void reply_register(struct call *c, const struct operation *o)
{
	uint8_t buf[512];
	struct writer w = writer_of(buf, sizeof(buf));

	put_register(&w, &o->row);
	call_reply(c, slice_copied(&w));
}

static void register_act(struct call *c, struct operation *o, const char *unit, const char *code,
			 uint32_t year, const char *reason)
{
	if (!keep(c, &o->act.unit, o->unit, CODE_BYTES_MAX, unit, "unit", true) ||
	    !keep(c, &o->act.code, o->code, CODE_BYTES_MAX, code, "code", true) ||
	    !keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, reason, "reason", true) ||
	    !unit_mine(c, o->act.unit))
		return;
	o->act.year = year;
	o->act.registers = &o->row;
	ask(c, o);
}

static void register_open_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__OpenRegisterRequest *q =
		read_request(c, r, &trien__v1__open_register_request__descriptor);

	if (q == NULL)
		return;
	o->act.first = q->first;
	register_act(c, o, q->unit, q->code, q->year, q->reason);
}

void register_open_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_REGISTER_OPEN, register_open_begin, reply_register);
}

static void register_close_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__CloseRegisterRequest *q =
		read_request(c, r, &trien__v1__close_register_request__descriptor);

	if (q != NULL)
		register_act(c, o, q->unit, q->code, q->year, q->reason);
}

void register_close_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_REGISTER_CLOSE, register_close_begin, reply_register);
}

/* ---- lists ---- */

/* A page of rows: more than the caller may see, less is shown. */
struct page { uint32_t list, max, n; uint64_t position, next; };

/* False: the call is answered. */
static bool page_ask(struct call *c, struct operation *o, struct page *p, const char *unit,
		     const char *token, uint32_t size)
{
	if (!keep(c, &o->act.unit, o->unit, CODE_BYTES_MAX, unit, "unit", false))
		return false;
	if (o->act.unit.n > 0 && !unit_mine(c, o->act.unit))
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

static void page_reply(struct call *c, struct writer *w, const struct page *p)
{
	char token[PAGE_TOKEN_BYTES + 1];

	if (p->n == p->max) {
		page_write(token, p->list, p->next);
		put_text(w, 2, token);
	}
	if (w->bad)
		call_refuse(c, FAULT_TOO_MANY, "page_size", "the reply is too large; ask for less");
	else
		call_reply(c, slice_copied(w));
}

static void reply_registers(struct call *c, const struct operation *o)
{
	struct page p = { o->list, o->act.max, o->act.n, 0, (uint64_t)o->act.offset + o->act.n };
	uint8_t *buf = malloc(REPLY_BYTES);
	struct writer w = writer_of(buf, buf != NULL ? REPLY_BYTES : 0);

	for (uint32_t i = 0; i < o->act.n; i++) {
		uint8_t *at;

		if (!shown(c, o, o->act.registers[i].unit))
			continue;
		at = put_begin(&w, 1);
		put_register(&w, &o->act.registers[i]);
		put_end(&w, at);
	}
	page_reply(c, &w, &p);
	free(buf);
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
		ask(c, o);
	else
		call_refuse(c, FAULT_BUSY, "", "no memory");
}

void register_list_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_REGISTER_LIST, register_list_begin, reply_registers);
}

static void put_held_row(struct writer *w, const struct waiting_row *h)
{
	const struct reason_text *why = reason_text((enum reason)h->reason);

	put_number(w, 1, h->sequence);
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
}

static void reply_held(struct call *c, const struct operation *o, struct page *p,
		       const struct waiting_row *rows)
{
	uint8_t *buf = malloc(REPLY_BYTES);
	struct writer w = writer_of(buf, buf != NULL ? REPLY_BYTES : 0);

	for (uint32_t i = 0; i < p->n; i++) {
		uint8_t *at;

		p->next = rows[i].sequence;
		if (!shown(c, o, rows[i].unit))
			continue;
		at = put_begin(&w, 1);
		put_held_row(&w, &rows[i]);
		put_end(&w, at);
	}
	page_reply(c, &w, p);
	free(buf);
}

/* The reading thread looks itself: the spine need not know who lists. */
void held_list_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListHeldRequest *q =
		read_request(c, r, &trien__v1__list_held_request__descriptor);
	struct operation *o = q != NULL ? operation_of(c, ACT_HELD_RETRY) : NULL;
	struct waiting_row *rows;
	struct page p = { 0 };
	struct error e = { 0 };
	struct fault f;
	enum status st;

	if (o == NULL || !page_ask(c, o, &p, q->unit, q->page_token, q->page_size))
		return;
	rows = o->rows = calloc(p.max, sizeof(*rows));
	st = rows != NULL ? c->in->ops.waiting_after(r->store, STATE_HELD, p.position, rows, p.max,
						     &p.n, &e) : ST_NOMEM;
	if (st == ST_OK) {
		reply_held(c, o, &p, rows);
		return;
	}
	fault_status(&f, st, e.text);
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
	if (q->signer[0] != '\0') {
		if (q->sequence == 0) {
			call_refuse(c, FAULT_ARGUMENT_MISSING, "sequence", "of a held result");
			return;
		}
		if (!keep(c, &o->act.code, o->code, CODE_BYTES_MAX, q->signer, "signer", true) ||
		    !keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, q->reason, "reason",
			  true))
			return;
		o->act.type = ACT_HAND;
	}
	ask(c, o);
}

void held_retry_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_HELD_RETRY, held_retry_begin, reply_retried);
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
	if (!keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, q->reason, "reason", true))
		return;
	o->act.sequence = q->sequence;
	o->act.unit_allowed = row_allowed;
	ask(c, o);
}

void held_void_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_HELD_VOID, held_void_begin, reply_voided);
}

/* ---- what waits for approval ---- */

static void reply_result(struct call *c, const struct operation *o)
{
	uint8_t buf[64];
	char text[ID_TEXT_BYTES];
	struct writer w = writer_of(buf, sizeof(buf));

	id_text(text, o->result_id);
	put_slice(&w, 1, slice_of(text, sizeof(text)));
	call_reply(c, slice_copied(&w));
}

static void waiting_refuse_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__RefuseWaitingRequest *q =
		read_request(c, r, &trien__v1__refuse_waiting_request__descriptor);
	struct waiting_row row;

	if (q == NULL ||
	    !keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, q->reason, "reason", true) ||
	    !waiting_mine(c, r, q->result_id, o->result_id, &row))
		return;
	o->act.sequence = row.sequence;
	ask(c, o);
}

void waiting_refuse_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_SEND_BACK, waiting_refuse_begin, reply_result);
}

/* A result that the caller may act for. False: the call is answered. */
static bool result_mine(struct call *c, struct read_thread *r, const char *id,
			struct result_view *out)
{
	enum status st = read_result(c, r, id, out);

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
	    !keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, q->reason, "reason", true) ||
	    !result_mine(c, r, q->result_id, &v))
		return;
	if (v.state != STATE_AWAITING_APPROVAL) {
		call_refuse(c, FAULT_RESULT_NOT_WAITING, "result_id", "%s", "");
		return;
	}
	memcpy(o->result_id, v.result_id, sizeof(o->result_id));
	o->act.sequence = v.sequence;
	o->act.unit_allowed = row_allowed;
	ask(c, o);
}

void withdraw_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_WITHDRAW, withdraw_begin, reply_result);
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
	    !keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, q->reason, "reason", true) ||
	    !result_mine(c, r, q->result_id, &v))
		return;
	memcpy(o->result_id, v.result_id, sizeof(o->result_id));
	o->act.sequence = v.sequence;
	o->act.lane = v.lane;
	if (link_fill(c, r, o))
		ask(c, o);
}

void link_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_LINK_HOLDER, link_begin, reply_result);
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
	call_reply(c, slice_copied(&w));
}

static void status_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	o->act.view = &o->view;
	ask(c, o);
}

void status_work(struct call *c, struct read_thread *r)
{
	turn(c, r, ACT_STATUS, status_begin, reply_status);
}
