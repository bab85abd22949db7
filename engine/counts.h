/*
 * counts.h - what statistics count: the list, and sums of it. What a store gives, and intake sends.
 *
 * By agency, kind and day in Vietnam. A stored result counts on its day of issue. What happens to
 * it later (replaced, corrected, revoked) is added to that day, whenever it is told: the event, or
 * the result in its place, stands in the store and says when, why and by whom. Being used in
 * another agency's case counts on the day of that, an end without a result on the day when it
 * ended, being accepted on its own day, once the result is stored or has ended. Cases and their
 * papers are counted by what is stored of a case's first result, of one that ended nothing is. How
 * many of what is what: rates are formed of them by intake/statistics.c.
 *
 * What results count is told apart further by its parts: procedure, field, signer and, of what is
 * late, the cause. What else is counted has none.
 */
#ifndef TRIEN_COUNTS_H
#define TRIEN_COUNTS_H

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"

/*
 * For each its name, as the tables call it; and what it is over rows of SQL with packed words f and
 * g (store/counted.h).
 */
#define COUNTS_FLAG(what) "count(*) FILTER (WHERE f " what ")"
#define COUNTS_SUM(what) "sum((f " what ")::int4)"
#define COUNTS_PAPERS_FLAG(what) "count(*) FILTER (WHERE g " what ")"
#define COUNTS_PAPERS_SUM(what) "sum((g " what ")::int4)"

/* name, what it is of the packed words over rows of SQL. */
#define COUNTS_OF_RESULTS(X) \
	X(RESULTS, results, "count(*)") \
	X(CASES, cases, COUNTS_FLAG("& 1 = 1")) \
	X(REPLACEMENTS, replacements, COUNTS_FLAG(">> 1 & 1 = 1")) \
	X(EARLY, early, COUNTS_FLAG(">> 2 & 3 = 1")) \
	X(ON_TIME, on_time, COUNTS_FLAG(">> 2 & 3 = 2")) \
	X(LATE, late, COUNTS_FLAG(">> 2 & 3 = 3")) \
	X(CASES_EARLY, cases_early, COUNTS_FLAG("& 13 = 5")) \
	X(CASES_ON_TIME, cases_on_time, COUNTS_FLAG("& 13 = 9")) \
	X(CASES_LATE, cases_late, COUNTS_FLAG("& 13 = 13")) \
	X(ONLINE, online, COUNTS_FLAG(">> 4 & 7 = 1")) \
	X(COUNTER, at_counter, COUNTS_FLAG(">> 4 & 7 = 2")) \
	X(POST, by_post, COUNTS_FLAG(">> 4 & 7 = 3")) \
	X(PROACTIVE, proactive, COUNTS_FLAG(">> 4 & 7 = 4")) \
	X(ELECTRONIC, electronic, COUNTS_FLAG(">> 7 & 3 = 1")) \
	X(HANDED_OVER, handed_over, COUNTS_FLAG(">> 7 & 3 = 2")) \
	X(POSTED, posted, COUNTS_FLAG(">> 7 & 3 = 3")) \
	X(FREE, fee_free, COUNTS_FLAG(">> 9 & 7 = 1")) \
	X(PAID_ONLINE, paid_online, COUNTS_FLAG(">> 9 & 7 = 2")) \
	X(PAID_CASH, paid_cash, COUNTS_FLAG(">> 9 & 7 = 3")) \
	X(EXEMPT, fee_exempt, COUNTS_FLAG(">> 9 & 7 = 4")) \
	X(DUE, fee_due, COUNTS_FLAG(">> 9 & 7 = 5")) \
	X(REUSING, reusing, COUNTS_FLAG(">> 12 & 63 > 0")) \
	X(REUSED, reused, COUNTS_SUM(">> 12 & 63")) \
	X(SOURCED, sourced, COUNTS_FLAG(">> 18 & 63 > 0")) \
	X(SOURCES, sources, COUNTS_SUM(">> 18 & 63")) \
	X(TIMED, timed, COUNTS_FLAG(">> 24 & 1 = 1")) \
	X(MINUTES, minutes, COUNTS_SUM(">> 25 & 16777215")) \
	X(CASES_REUSING, cases_reusing, COUNTS_PAPERS_FLAG(">> 17 & 1 = 1")) \
	X(CASES_CITIZEN_DATA, cases_citizen_data, COUNTS_PAPERS_FLAG(">> 16 & 1 = 1")) \
	X(CASES_WITH_PAPERS, cases_with_papers, COUNTS_PAPERS_FLAG("& 255 > 0")) \
	X(CASES_DIGITISED, cases_digitised, \
	  COUNTS_PAPERS_FLAG("& 255 > 0 AND g & 255 = g >> 8 & 255")) \
	X(PAPERS, papers, COUNTS_PAPERS_SUM("& 255")) \
	X(PAPERS_DIGITISED, papers_digitised, COUNTS_PAPERS_SUM(">> 8 & 255"))

/* name */
#define COUNTS_OF_ACTS(X) \
	X(ACCEPTED, accepted) X(VOIDED, voided) X(REFUSED, refused) X(WITHDRAWN, withdrawn) \
	X(TIMED_OUT, timed_out) X(OUTSIDE, outside) X(REUSES, reuses) X(REPLACED, replaced) \
	X(CORRECTED, corrected) X(REVOKED, revoked)

#define COUNTS_ENUM3(name, column, sql) COUNT_##name,
#define COUNTS_ENUM2(name, column) COUNT_##name,
enum count { COUNTS_OF_RESULTS(COUNTS_ENUM3) COUNTS_OF_ACTS(COUNTS_ENUM2) COUNTS };
#undef COUNTS_ENUM3
#undef COUNTS_ENUM2

struct counts { uint64_t of[COUNTS]; };

extern const char *const counts_names[COUNTS];

/* What results are told apart by; joined in this order, each behind COUNTS_BEHIND but the first. */
enum counts_part { COUNTS_PROCEDURE, COUNTS_FIELD, COUNTS_SIGNER, COUNTS_CAUSE, COUNTS_PARTS };
#define COUNTS_BEHIND '\x1f'
#define COUNTS_BY_ALL ((1u << COUNTS_PARTS) - 1)
#define PARTS_BYTES_MAX (COUNTS_PARTS * (CODE_BYTES_MAX + 1))

/*
 * Joined into out, with a NUL behind it; returns how many bytes. Those that are empty at the end
 * are left out; one that is no code (too long, no UTF-8) is empty, a control character is a `?`.
 */
uint8_t counts_join(char out[PARTS_BYTES_MAX], const struct slice of[COUNTS_PARTS]);
/* One of them, borrowed; empty: there is none. */
struct slice counts_part(struct slice joined, enum counts_part which);

/*
 * Sums by agency, kind, day (or the period that holds it), parts and engine. Grows up to `most`
 * rows; a table that was made with room for all of them does not allocate again. One thread at a
 * time.
 */
struct tally_row {
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	char parts[PARTS_BYTES_MAX];	/* joined */
	uint32_t day;
	uint8_t engine;
	struct counts by;
};

struct tally { struct tally_row *rows; uint32_t *slots; uint32_t n, room, most; };

enum status tally_init(struct tally *t, uint32_t room, uint32_t most) must_use;
void tally_free(struct tally *t);
void tally_clear(struct tally *t);
/* The row of that key, made where it is missing. NULL: no memory, too many, or codes too long. */
struct tally_row *tally_at(struct tally *t, struct slice unit, struct slice kind, uint32_t day,
			   struct slice parts, uint8_t engine);
/* Less than, equal to or greater than 0, as agencies, kinds, days, parts and engines are. */
int tally_order(const struct tally_row *a, const struct tally_row *b);
/* In that order. Nothing may be added afterwards. */
void tally_sort(struct tally *t);

/* Days that are told together, and the number that stands for them. */
enum counts_period { COUNTS_DAY, COUNTS_MONTH, COUNTS_QUARTER, COUNTS_YEAR };
/* yyyymmdd, yyyymm, yyyyq, yyyy of a day. */
uint32_t counts_period_of(enum counts_period p, uint32_t yyyymmdd);

/* What is asked of a store's counters. */
struct counts_question {
	const struct slice *units, *kinds;	/* each once; n 0: all */
	uint32_t units_n, kinds_n;
	uint32_t from, to;		/* yyyymmdd, both included; 0: open */
	enum counts_period period;
	uint8_t by;			/* bit per enum counts_part: told apart by it */
};

/* What the question tells apart of them, borrowed or in buf. */
struct slice counts_parts_asked(const struct counts_question *q, struct slice joined,
				char buf[PARTS_BYTES_MAX]);
bool counts_asked(const struct counts_question *q, struct slice unit, struct slice kind,
		  uint32_t yyyymmdd);

#endif
