/* Numbers that never had a result: UseNumbers, VoidNumber. */
#include <inttypes.h>
#include <stdlib.h>

#include "intake/operation.h"
#include "trien/v1/operations.pb-c.h"

#define FOUND_PAGE 8			/* entries of one number, and some */

/* ---- used outside ---- */

static void use_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__UseNumbersRequest *q =
		read_request(c, r, &trien__v1__use_numbers_request__descriptor);

	if (q == NULL)
		return;
	if (q->first == 0 || q->count == 0 || q->count > NUMBERS_TOGETHER_MAX) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, q->first == 0 ? "first" : "count",
			    "1 to %d numbers, from the register's next one on",
			    NUMBERS_TOGETHER_MAX);
		return;
	}
	o->act.first = q->first;
	o->act.count = q->count;
	register_ask(c, o, q->unit, q->code, q->year, q->reason);
}

void numbers_use_work(struct call *c, struct read_thread *r)
{
	operation_turn(c, r, ACT_NUMBERS_USE, use_begin, register_reply);
}

/* ---- void, as it stands nowhere ---- */

/*
 * Once all numbers given so far are durable (ACT_NUMBER_FIND), the book is looked through in the
 * order in which a number moves: on its way, waiting, stored. One that is found nowhere then never
 * comes from anywhere. But a store may have lost its book's row and still have the result: that is
 * to be repaired, not to be voided, and so it is looked for by its key, too.
 */
struct looking {
	struct book *book;
	uint64_t number;
	bool stands, told, asked;	/* told: it is void already, and never had a result */
};

void number_void_free(struct call *c)
{
	struct operation *o = c->state;
	struct looking *l = o != NULL ? o->rows : NULL;

	if (l != NULL)
		c->in->ops.book_close(l->book);
	if (o != NULL)
		free(o->act.names);
	operate_free(c);
}

static void void_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__VoidNumberRequest *q =
		read_request(c, r, &trien__v1__void_number_request__descriptor);
	struct looking *l;

	if (q == NULL)
		return;
	if (q->number == 0 || q->number >= INT64_MAX) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "number", "of the register");
		return;
	}
	l = o->rows = calloc(1, sizeof(*l));
	if (l == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	l->number = o->act.first = q->number;
	c->slow = true;
	register_ask(c, o, q->unit, q->code, q->year, q->reason);
}

/* The same act told again finds what it did. */
static void found(void *ctx, const struct book_entry *b)
{
	struct looking *l = ctx;

	if (b->number != l->number)
		return;
	l->told = !b->damaged && b->state == BOOK_VOID && b->sequence == 0;
	l->stands |= !l->told;
}

/* False: the call is answered. */
static bool looked(struct call *c, struct read_thread *r, struct operation *o, struct looking *l)
{
	bool ended = false;
	enum status st = c->in->ops.book_open(r->store, o->act.unit, o->act.code, o->act.year,
					      l->number - 1, l->number + 1, &l->book);

	while (st == ST_OK && !ended)
		st = c->in->ops.book_next(r->store, l->book, FOUND_PAGE, found, l, &ended);
	if (st == ST_OK && !l->told && !l->stands)
		st = c->in->ops.number_stored(r->store, o->act.unit, o->act.code, o->act.year,
					      l->number, o->act.names, o->act.names_n, &l->stands);
	if (st != ST_OK)
		read_refuse(c, st);
	else if (l->stands)
		call_refuse(c, FAULT_NUMBER_STANDS, "number", "%" PRIu64, l->number);
	return st == ST_OK && !l->stands;
}

static void void_ask(struct call *c, struct operation *o, struct looking *l)
{
	l->asked = true;
	o->act.type = ACT_NUMBER_VOID;
	o->act.first = l->number;
	atomic_store(&o->decided, false);
	operation_ask(c, o);
}

void number_void_work(struct call *c, struct read_thread *r)
{
	struct operation *o = operation_of(c, ACT_NUMBER_FIND);
	struct looking *l;

	if (o == NULL)
		return;
	l = o->rows;
	if (!atomic_load(&o->decided)) {
		if (l == NULL)
			void_begin(c, o, r);
	} else if (operation_succeeded(c, o)) {
		if (l->asked)
			register_reply(c, o);
		else if (looked(c, r, o, l))
			void_ask(c, o, l);
	}
}
