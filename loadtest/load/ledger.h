/*
 * ledger.h - what was sent, what was promised, and what was found afterwards.
 *
 * A case is known by its place, 0 and up, in the order in which cases became due; its results stand
 * side by side. Times are microseconds of the run; those of the engine are Unix milliseconds.
 */
#ifndef LOAD_LEDGER_H
#define LOAD_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "load/stencil.h"

#define LEDGER_REGISTERS_MAX 256
#define LEDGER_CODE_BYTES 41		/* unit, register: 40 and a NUL */

enum case_state { CASE_OPEN, CASE_ACCEPTED, CASE_REJECTED };

struct load_case {
	int64_t due_us, sent_us, answered_us;	/* sent: for the first time; 0: not yet */
	uint32_t first;			/* of its results */
	uint8_t results, state, call;	/* enum case_state, enum call_kind */
};

/* What the engine says of one result. */
struct found {
	char id[STENCIL_ID_BYTES];
	uint8_t state;			/* trien.v1.State */
	uint16_t book;			/* in ledger.books */
	uint64_t number;
	int64_t accepted_ms, issued_ms, stored_ms;
	uint8_t sha256[32];
};

struct load_result {
	char id[STENCIL_ID_BYTES];	/* of the first receipt */
	uint8_t receipts;		/* 0: none yet; counts to 255 */
	bool is_found;			/* by its id */
	uint64_t number;		/* of the first receipt */
	struct found found;
};

/* One register: its numbers before the run and after it, as the engine lists them. */
struct book {
	char unit[LEDGER_CODE_BYTES], code[LEDGER_CODE_BYTES];
	uint32_t year;
	bool listed;			/* counts here; others take the numbers that cases bring */
	uint64_t next_before, next_after;
};

struct ledger {
	struct load_case *cases;
	struct load_result *results;
	uint64_t cases_n, cases_max, results_n, results_max;
	struct book books[LEDGER_REGISTERS_MAX];
	uint32_t books_n;
	uint64_t accepted, rejected;	/* cases */
	uint64_t contradictions;	/* a receipt that is not the one given before */
	uint64_t strangers;		/* a receipt for a case that was not in the request */
};

/* Grows as needed. */
enum status ledger_init(struct ledger *l) must_use;
void ledger_free(struct ledger *l);
/* Its place. Ends the process when memory is spent. */
uint32_t ledger_add(struct ledger *l, int64_t due_us, uint8_t results, uint8_t call);
/* The place of the case whose result that is. */
uint32_t ledger_case_of(const struct ledger *l, uint32_t result);
/* The k-th receipt of a case; a second one has to say the same. */
void ledger_receipt(struct ledger *l, uint32_t place, uint8_t k, struct slice id, uint64_t number);
/* The register's place; LEDGER_REGISTERS_MAX where there is no room. */
uint32_t ledger_book(struct ledger *l, struct slice unit, struct slice code, uint32_t year);

#endif
