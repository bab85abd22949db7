/*
 * bookcheck.h - is an official book whole? Entry by entry, as ListRegister tells them (ND 30/2020
 * art. 15: continuous from 01, one year, in the order of time). Pure: what is found goes to a
 * callback; a message is read and not kept.
 *
 * A number may be issued, pending, void with a reason, or used outside of the engine. Numbers below
 * the register's first one were brought by their cases: they need not be complete nor in order.
 */
#ifndef TRIEN_CLI_BOOKCHECK_H
#define TRIEN_CLI_BOOKCHECK_H

#include "base/status.h"
#include "trien/v1/audit.pb-c.h"

enum book_fault {
	BOOK_MISSING,		/* `number` to `last` stand nowhere */
	BOOK_TWICE,		/* the number is claimed by two results */
	BOOK_DISORDER,		/* it was told behind a higher one */
	BOOK_TIME,		/* it was given before the number below it */
	BOOK_YEAR,		/* its date is in another year */
	BOOK_NO_TIME,		/* it has no date */
	BOOK_NO_REASON,		/* void, or used outside, without a word why */
	BOOK_NO_RESULT,		/* issued or pending, and no result is named */
	BOOK_DAMAGED,		/* what it leads to is missing or another's */
	BOOK_RESULT_TWICE,	/* one result has two numbers: `other` is the lower one */
	BOOK_BEYOND,		/* it is behind the last one that was given */
	BOOK_TOTALS,		/* the register counts otherwise */
	BOOK_FAULTS
};

struct book_finding {
	enum book_fault fault;
	uint64_t number, last, other;	/* last: of a run; 0 where it has no meaning */
	char what[200];			/* what and where, without personal data */
	const char *todo;		/* what to do about it */
};

struct book_sums {
	uint64_t issued, pending, voided, outside;	/* from the register's first number on */
	uint64_t brought;		/* below it */
	uint64_t first, last;		/* told, from the first on; 0: none */
	uint64_t pending_first;		/* 0: none */
	uint64_t findings;
};

/* One more entry; first: the register's first number, 0: none is below it. */
void book_sums_add(struct book_sums *s, uint64_t first, const Trien__V1__RegisterEntry *e);

struct bookcheck;

/* found may be NULL. */
enum status bookcheck_new(struct bookcheck **b,
			  void (*found)(void *ctx, const struct book_finding *f), void *ctx)
	must_use;
void bookcheck_free(struct bookcheck *b);
/* The book's head: before any entry, or never (a register that only cases number). */
void bookcheck_head(struct bookcheck *b, const Trien__V1__Register *r);
void bookcheck_entry(struct bookcheck *b, const Trien__V1__RegisterEntry *e);
/* The end of the book. ST_NOMEM: not all was compared, whatever was found. */
enum status bookcheck_end(struct bookcheck *b, struct book_sums *sums) must_use;
/* MISSING and so on; for machines. */
const char *book_fault_name(enum book_fault f);

#endif
