#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "intake/answer.h"
#include "intake/operation.h"
#include "trien/v1/operations.pb-c.h"

#define TOTAL_PAGE 500			/* numbers a turn of a reader */

/* A closing with the year's total: the book is read through first, a page a turn. */
struct closing {
	struct book *book;
	struct register_total total;
	uint64_t expected;		/* the next number of the book */
	char wrong[120];		/* why it cannot be added up: the first one */
	bool ended, asked;
};

void register_close_free(struct call *c)
{
	struct operation *o = c->state;
	struct closing *l = o != NULL ? o->rows : NULL;

	if (l != NULL)
		c->in->ops.book_close(l->book);
	operate_free(c);
}

void register_reply(struct call *c, const struct operation *o)
{
	uint8_t buf[REGISTER_BYTES_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	answer_register_fields(&w, &o->row);
	call_reply(c, slice_copied(&w));
}

void register_ask(struct call *c, struct operation *o, const char *unit, const char *code,
		  uint32_t year, const char *reason)
{
	if (!operation_keep(c, &o->act.unit, o->unit, CODE_BYTES_MAX, unit, "unit", true) ||
	    !operation_keep(c, &o->act.code, o->code, CODE_BYTES_MAX, code, "code", true) ||
	    !operation_reason(c, o, reason) ||
	    !operation_unit(c, o->act.unit))
		return;
	o->act.year = year;
	o->act.registers = &o->row;
	operation_ask(c, o);
}

/* ---- closing ---- */

static void begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__CloseRegisterRequest *q =
		read_request(c, r, &trien__v1__close_register_request__descriptor);

	if (q == NULL)
		return;
	if (q->with_total) {
		o->rows = calloc(1, sizeof(struct closing));
		o->act.type = ACT_REGISTER_FIND;
		if (o->rows == NULL) {
			call_refuse(c, FAULT_BUSY, "", "no memory");
			return;
		}
	}
	register_ask(c, o, q->unit, q->code, q->year, q->reason);
}

static void wrong(struct closing *l, uint64_t number, const char *what)
{
	if (l->wrong[0] == '\0')
		snprintf(l->wrong, sizeof(l->wrong), "number %" PRIu64 " %s", number, what);
}

static void add(void *ctx, const struct book_entry *b)
{
	struct closing *l = ctx;

	if (b->number < l->expected)
		wrong(l, b->number, "stands there twice");
	else if (b->number > l->expected)
		wrong(l, l->expected, "stands nowhere");
	else if (b->damaged)
		wrong(l, b->number, "leads to nothing that can be read");
	else if (b->state == BOOK_PENDING)
		wrong(l, b->number, "is pending");
	l->expected = b->number + 1;
	l->total.issued += b->state == BOOK_ISSUED;
	l->total.voided += b->state == BOOK_VOID;
	l->total.outside += b->state == BOOK_OUTSIDE;
}

/* False: the call is answered. */
static bool open_book(struct call *c, struct read_thread *r, struct operation *o, struct closing *l)
{
	struct fault f;
	enum status st;

	if (o->act.n == 0) {
		fault_status(&f, ST_NOT_FOUND, "Sổ chưa được mở cho năm này",
			     "the register is not open for this year");
		call_finish(c, &f);
		return false;
	}
	l->expected = o->row.first;
	st = c->in->ops.book_open(r->store, o->act.unit, o->act.code, o->act.year,
				  o->row.first - 1, o->row.next, &l->book);
	if (st != ST_OK)
		read_refuse(c, st);
	return st == ST_OK;
}

/* It is read through: now the act, if it adds up. */
static void close_now(struct call *c, struct operation *o, struct closing *l)
{
	if (l->expected < o->row.next)
		wrong(l, l->expected, "stands nowhere");
	if (l->wrong[0] != '\0') {
		call_refuse(c, FAULT_REGISTER_INCOMPLETE, "code", "%s", l->wrong);
		return;
	}
	l->asked = true;
	o->act.type = ACT_REGISTER_CLOSE;
	o->act.first = o->row.next;
	o->act.total = &l->total;
	atomic_store(&o->decided, false);
	operation_ask(c, o);
}

static void read_on(struct call *c, struct read_thread *r, struct operation *o, struct closing *l)
{
	enum status st;

	if (l->book == NULL && !open_book(c, r, o, l))
		return;
	st = c->in->ops.book_next(r->store, l->book, TOTAL_PAGE, add, l, &l->ended);
	if (st != ST_OK)
		read_refuse(c, st);
	else if (l->ended)
		close_now(c, o, l);
	else
		call_queue(c);
}

void register_close_work(struct call *c, struct read_thread *r)
{
	struct operation *o = operation_of(c, ACT_REGISTER_CLOSE);
	struct closing *l;

	if (o == NULL)
		return;
	l = o->rows;
	if (!atomic_load(&o->decided)) {
		if (l == NULL)
			begin(c, o, r);
	} else if (operation_succeeded(c, o)) {
		if (l == NULL || l->asked)
			register_reply(c, o);
		else
			read_on(c, r, o, l);
	}
}
