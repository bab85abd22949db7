/*
 * check.h - what the files of validation share: one case under examination, and its first fault.
 *
 * Every function returns ST_OK, or the status of the refusal that it has filled: reason, path of
 * the place and a detail without personal data (P9). What is taken borrows from the request or from
 * scratch.
 */
#ifndef TRIEN_INTAKE_CHECK_H
#define TRIEN_INTAKE_CHECK_H

#include "catalogue/catalogue.h"
#include "intake/raw.h"

/* What is being looked at; made into a path only when it is wrong. */
struct place {
	const char *list;		/* "holders", "results"; NULL: of the case itself */
	uint32_t index;
	const char *member;
	const char *field;		/* by its schema's name; NULL: member */
	int32_t row, cell;		/* -1: not in a table */
};

struct check {
	const struct catalogue *catalogue;
	const struct codeset *coverage;
	uint32_t day;
	struct arena *scratch;
	struct refusal *why;
	struct place at;
	const struct original *original;	/* that the case copies; NULL: none */
	bool draft;				/* only looked at: none is needed */
};

enum status check_fail(struct check *x, enum reason why, const char *fmt, ...) printf_like(3, 4);
/* The case is too large, or an arena is spent. */
enum status check_spent(struct check *x);
/* What the sender calls something, if it looks like a name; else "": it may be anything. */
void check_name(char out[FIELD_NAME_BYTES_MAX + 1], struct slice s);

/* ---- values (check.c) ---- */

/* As NFC, of characters that may be shown, at most bytes_max; LF only with lines. May be empty. */
enum status check_text(struct check *x, struct slice *out, struct slice raw, uint32_t bytes_max,
		       bool lines) must_use;
/* Nothing but spaces and line breaks, or nothing at all. */
bool check_blank(struct slice s);
enum status check_date(struct check *x, struct partial_date *out, const struct raw_date *d,
		       bool partial) must_use;
/* A whole date as yyyymmdd; 0 where none is given. */
enum status check_day(struct check *x, uint32_t *out, const struct raw_date *d) must_use;

/* ---- fields.c ---- */

/* out->fields in the order of the kind's schema; an empty text or table counts as left out. */
enum status check_fields(struct check *x, struct case_result *out, const struct raw_result *raw,
			 const struct kind *k) must_use;

/* ---- holders.c ---- */

/* x->at says where it stands; its member is set here. */
enum status check_holder(struct check *x, struct holder *out,
			 const struct raw_holder *raw) must_use;
enum status check_holders(struct check *x, struct case_view *c,
			  const struct raw_case *raw) must_use;

#endif
