/*
 * deep_inside.h - what the files of deep.h share.
 *
 *	deep.c		the order of it all, pages, what is told
 *	deep_results.c	results and what belongs to them
 *	deep_rows.c	the other tables with lanes: that what they lead to says the same
 *	deep_readings.c	who read what
 *	deep_originals.c	what copies rest on
 *	deep_shared.c	layers and counters, a server at a time
 */
#ifndef TRIEN_STORE_POSTGRES_DEEP_INSIDE_H
#define TRIEN_STORE_POSTGRES_DEEP_INSIDE_H

#include "base/arena.h"
#include "store/postgres/deep.h"
#include "store/postgres/lanes.h"

#define DEEP_PAGE 128
#define DEEP_LINES 256			/* of one page; more are only counted */
#define DEEP_LINE_BYTES 240
#define DEEP_DOUBTS 64

/* The last row of the page before, by the columns of its table's key; zero: none yet. */
struct deep_cursor {
	uint64_t sequence, number;
	int64_t n;
	uint32_t year;
	uint8_t key_n, unit_n, code_n;
	uint8_t key[SHA256_BYTES];
	char unit[CODE_BYTES_MAX], code[CODE_BYTES_MAX];
	bool given;			/* the register's last gap was one between given numbers */
};

struct deep;

/* Of the lane, claimed by no engine. */
struct deep_original { uint8_t sha256[SHA256_BYTES]; bool named; };

struct deep_lines {
	uint32_t n;
	uint64_t more;			/* faults that no line was left for */
	struct { uint64_t open; char text[DEEP_LINE_BYTES]; } of[DEEP_LINES];
};

/* A number that is wanted in the book, and what stands there. */
struct deep_number {
	uint8_t lane, unit_n, code_n;
	char unit[CODE_BYTES_MAX], code[CODE_BYTES_MAX];
	uint32_t year;
	uint64_t number, sequence;	/* sequence: of the result that wants it */
	bool there;
	uint64_t there_sequence;
	int64_t there_lane, there_state;
};

/* What the results of a page want to be there. */
struct deep_wants {
	uint32_t holdings_n, locators_n, numbers_n, hashes_n;
	struct place holdings[DEEP_PAGE * CASE_HOLDERS_MAX], locators[DEEP_PAGE * 2];
	struct stored_holding holders[DEEP_PAGE * CASE_HOLDERS_MAX];
	struct deep_number numbers[DEEP_PAGE];
	uint8_t hashes[DEEP_PAGE * 2 * DOC_SIGNATURES_MAX][SHA256_BYTES];
	uint64_t hash_of[DEEP_PAGE * 2 * DOC_SIGNATURES_MAX];	/* sequence of one that wants it */
};

/* One page from behind *at on; *more: there is another one. Answers stay until the next page. */
typedef enum status (*deep_page)(struct deep *d, struct deep_cursor *at, bool *more);

/* A page with something amiss, to be looked at again. */
struct deep_doubt {
	deep_page page;
	uint8_t server, lane;
	struct deep_cursor at;
	struct deep_lines *lines;	/* as many as there are */
};

struct deep {
	const struct pg_deep_config *cfg;
	struct pg_deep_report *report;
	struct store_reader *reader;
	uint8_t server, lane;		/* being walked */
	bool files;			/* the user may read all but counters */
	uint32_t tries_left, doubts_n;
	struct deep_lines *lines;	/* of the page */
	struct deep_lines first, again;
	struct pg_deep_report ignored;	/* counts of a page that is looked at again */
	struct deep_doubt doubts[DEEP_DOUBTS];
	struct deep_wants wants;
	struct place places[DEEP_PAGE];
	struct arena scratch;		/* of one case */
	struct deep_original *originals;	/* in order */
	size_t originals_n, originals_room;
};

enum status deep_results(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_holdings(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_locators(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_numbers(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_voided(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_events(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_readings(struct deep *d, struct deep_cursor *at, bool *more) must_use;
/* Before the lane's results, of which each is told to deep_original_named(). */
enum status deep_originals(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_layers(struct deep *d, struct deep_cursor *at, bool *more) must_use;
enum status deep_counters(struct deep *d, struct deep_cursor *at, bool *more) must_use;

/* NULL: a result that cannot be read; it may rest on any of them. */
void deep_original_named(struct deep *d, const struct stored_result *r);
/* At the end of a lane: those that none was told of. */
void deep_originals_tell(struct deep *d);

/* For what is told. */
static inline unsigned long long number_of(uint64_t v) { return (unsigned long long)v; }

void deep_fault(struct deep *d, const char *fmt, ...) printf_like(2, 3);
/* n numbers that are not there. */
void deep_open(struct deep *d, uint64_t n, const char *fmt, ...) printf_like(3, 4);

/* Asks for the page with that question, which has all parameters but the last, and counts it. */
enum status deep_ask(struct deep *d, struct pg_question *q, uint32_t max, enum pg_deep_table t,
		     PGresult **page, bool *more) must_use;
/* False: longer than a code can be. */
bool deep_number_set(struct deep_number *n, struct slice unit, struct slice code, uint32_t year,
		     uint64_t number, uint64_t sequence);
/* Looks n numbers up, each in its lane. */
enum status deep_numbers_ask(struct deep *d, struct deep_number *of, uint32_t n) must_use;
/* Which of n hashes are layers of the present server: there[i]. */
enum status deep_hashes_ask(struct deep *d, uint8_t (*of)[SHA256_BYTES], uint32_t n,
			    bool *there) must_use;
#endif
