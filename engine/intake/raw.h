/*
 * raw.h - a case as it stands in the request, before anything of it is believed.
 *
 * Made by raw_read() straight from the wire: strings borrow from the request's bytes with their
 * true lengths (a NUL is a byte like any other), and may be anything: UTF-8, NFC, bounds and
 * meaning are validate.h's. Only counts and nesting are bounded here, by limits.h.
 */
#ifndef TRIEN_INTAKE_RAW_H
#define TRIEN_INTAKE_RAW_H

#include "case.h"
#include "reason.h"

#define RAW_CASE_BYTES_MAX (2 * CASE_BYTES_MAX)	/* encoded; NFD is longer than NFC */
#define RAW_FACTS_BYTES_MAX (16 * 1024)		/* Facts, and Approval */

struct raw_date { bool given; uint32_t year, month, day; };
struct raw_row { uint32_t cells_n; const struct slice *cells; };

struct raw_field {
	struct slice name;
	uint8_t type;			/* enum field_type; 0: no value was set */
	union {
		struct slice text;
		struct { int64_t value; uint32_t decimals; } number;
		bool flag;
		struct raw_date date;
		struct { uint32_t rows_n; const struct raw_row *rows; } table;
	};
};

struct raw_holder {
	uint32_t id_kind, role, visibility;	/* numbers of the protocol, any value */
	struct slice country, number, name;
	struct raw_date from, to;
};

struct raw_result {
	struct slice unit, kind, signer, replaces, given_text;
	uint32_t ordinal, revision;
	uint64_t given_number;
	uint32_t fields_n;		/* ≤ FIELDS_MAX */
	const struct raw_field *fields;
};

struct raw_case {
	struct slice code, request_id;
	uint32_t priority;		/* trien.v1.Priority, any value */
	uint32_t holders_n, results_n;	/* ≤ CASE_HOLDERS_MAX, ≤ CASE_RESULTS_MAX */
	const struct raw_holder *holders;
	const struct raw_result *results;
	struct slice facts, approval;	/* their encoded messages, checked against their schema */
};

/*
 * wire: one encoded trien.v1.Case. Arrays are taken from a (scratch of the thread, 8 MiB is enough
 * for any case within RAW_CASE_BYTES_MAX). On failure *why is filled: MALFORMED, TOO_LARGE or
 * UTF8_INVALID (in facts and approval), and out->code is set as far as it was read. Pure.
 */
enum status raw_read(struct raw_case *out, struct slice wire, struct arena *a,
		     struct refusal *why) must_use;
/* One encoded trien.v1.Holder by itself (LinkHolder). */
enum status raw_read_holder(struct raw_holder *out, struct slice wire,
			    struct refusal *why) must_use;

#endif
