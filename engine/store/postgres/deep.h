/*
 * deep.h - is the whole that lies on PostgreSQL whole? Reads every row of every lane and every
 * file, read-only, a page at a time, while engines go on. For `trien store check --deep`.
 *
 *	result		checksum, columns, digest of the case and of the file put together from its
 *			layers; its holders, locators, number and evidence stand where they belong
 *	holding		what its result's record says of the holder, or the event that added it
 *	locator		leads to a result, or a voided one, of that key
 *	number_register	in its lane, no gap between its first and its last; leads to its result
 *	voided, event	checksum; its number and locators; its result
 *	reading		checksum, in its holder's lane; the results that it names
 *	layer		its bytes have its name; what an evidence set names is there
 *	object, claim	of each original: does a result rest on it, or may an engine need it?
 *	counter		counts the results that are there, no more and no less
 *
 * What is seen amiss is looked at again after a moment, and told if it is amiss still: on several
 * servers a result's rows come one after the other.
 */
#ifndef TRIEN_STORE_POSTGRES_DEEP_H
#define TRIEN_STORE_POSTGRES_DEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum pg_deep_table { DEEP_RESULTS, DEEP_HOLDINGS, DEEP_LOCATORS, DEEP_NUMBERS, DEEP_VOIDED,
		     DEEP_EVENTS, DEEP_READINGS, DEEP_LAYERS, DEEP_ORIGINALS, DEEP_TABLES };

/* SPARE: no fault; an original that nobody needs. */
enum pg_deep_line { DEEP_FAULT, DEEP_OPEN, DEEP_SPARE };

struct pg_deep_report {
	uint64_t rows[DEEP_TABLES];	/* looked at */
	uint64_t file_bytes;
	uint64_t faults;
	uint64_t open;			/* numbers that are not there, between others that are */
	uint64_t claimed;		/* originals of what is on its way, in some engine */
	uint64_t spare;			/* and of nothing at all */
	uint32_t lanes;			/* done, of LANES */
	bool files;			/* false: the user may not read them, nor holders */
	bool counters;			/* false: nor these */
};

struct pg_deep_config {
	const char *const *postgres;	/* as in store_config */
	uint32_t postgres_n;
	bool citus;
	const char *reader;		/* as there: the user who reads; "": the connection's */
	uint32_t settle_ms;		/* before what is amiss is looked at again */
	/*
	 * A line each, borrowed: lane, sequence, unit and number, no personal data. OPEN: not a
	 * fault, but numbers that are pending in an engine or lost.
	 */
	void (*told)(void *ctx, const char *line, enum pg_deep_line kind);
	void (*progress)(void *ctx, const struct pg_deep_report *r);	/* after each page */
	void *ctx;
};

/*
 * ST_OK: all was looked at that the user may; what came of it says *out. ST_UNAVAILABLE,
 * ST_TIMEOUT: a server is away, or went and did not come back within some tries; ST_PRECONDITION:
 * not our schema; ST_DENIED: the user may not even read the books. Blocks; any one thread.
 */
enum status pg_deep_check(const struct pg_deep_config *cfg, struct pg_deep_report *out,
			  struct error *e) must_use;

#endif
