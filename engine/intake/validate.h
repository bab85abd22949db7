/*
 * validate.h - raw case → canonical case: all that can be wrong with a case and needs no durable
 * state is found here, before it takes a number (DESIGN 2).
 *
 * Pure: no clock, no I/O, any thread. Text comes out as NFC; controls, bidi characters and glyphs
 * that the font lacks are refused by name; fields are put in the order of the kind's schema.
 */
#ifndef TRIEN_INTAKE_VALIDATE_H
#define TRIEN_INTAKE_VALIDATE_H

#include "intake/raw.h"
#include "submission.h"

struct validate_env {
	const struct catalogue *catalogue;	/* what is in force */
	const struct codeset *coverage;		/* what the fonts can show */
	uint32_t day;				/* of issue, yyyymmdd in Vietnam time */
	const struct original *original;	/* that the case copies; NULL: none */
	struct arena *scratch;			/* room to check one case; the caller resets */
	bool draft;				/* only looked at: a copy may do without one */
};

/*
 * Fills out->code, bytes (canonical case, taken from a), digest, priority, results_n and of each
 * result key, lane, kind, unit, signer, given number and text, unit and kind code. out is zeroed,
 * but for its results, and has its index. On failure out->refusal says why and where; nothing else
 * in out is to be used, and the arena is as it was.
 */
enum status validate_case(struct submitted_case *out, const struct raw_case *raw,
			  const struct validate_env *env, struct arena *a) must_use;

/* Bytes of room behind the encoded case, for what its results replace (case_add_replaced). */
size_t validate_more(const struct case_view *c);

/* A holder by itself (LinkHolder): into *out, texts taken from a. It must have a number. */
enum status validate_holder(struct holder *out, const struct raw_holder *raw,
			    const struct codeset *coverage, struct arena *a,
			    struct refusal *why) must_use;

#endif
