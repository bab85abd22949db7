/*
 * counted.h - what records count, said once for both stores, for fsck and for the deep check.
 * Inside store/ and store/postgres/ only.
 *
 * A result counts by what its record says: its signatures' times and its case's facts, packed into
 * two words, and its parts (counts.h). The first word, from the lowest bit: 1 first result of its
 * case · 1 replaces another · 2 timeliness · 3 channel · 2 delivery · 3 fee · 6 reused results ·
 * 6 data sources · 1 time of receipt known · 24 minutes from then to the last signature · 12 days
 * from acceptance to issue · 1 what it replaces counts as replaced. What replaces another has
 * neither timeliness nor minutes: its matter was settled when the first was issued. The other one
 * counts as replaced, on its own day and with its own agency, by the word of the record that
 * replaces it: one delta, not two that could part.
 *
 * The second word says of the first result of a case, where it replaces none, what the dossier is:
 * 8 how many papers · 8 how many of them as data, both cut to 255, equal only if it has them all ·
 * 1 citizens' data was taken from the national database · 1 earlier results were used.
 */
#ifndef TRIEN_STORE_COUNTED_H
#define TRIEN_STORE_COUNTED_H

#include "counts.h"
#include "store/store.h"

/* What a record adds to one agency, kind, day and parts. No kind: a number used outside. */
struct counted {
	struct slice unit, kind, parts;	/* borrowed from what it was made of */
	uint32_t day;			/* yyyymmdd in Vietnam */
	uint8_t engine;
	struct counts by;
};

/* Of a stored result: the words, never negative, and the parts. */
struct counted_says {
	int64_t facts;
	int32_t papers;
	uint8_t parts_n;
	char parts[PARTS_BYTES_MAX];
};
/* v: signatures and case_bytes are set. */
void counted_says(struct counted_says *out, const struct result_view *v);
/* What it adds, borrowed from v and says; returns how many of out. */
#define COUNTED_RESULT_MAX 3
uint32_t counted_result(struct counted out[COUNTED_RESULT_MAX], const struct result_view *v,
			const struct counted_says *says);
/* What it replaces, as far as that counts: false, it does not. */
bool counted_replaced(struct counted *out, const struct result_view *v, int64_t facts);
/* The same for a number, or a case without one, that came to nothing: none, one or two. */
uint32_t counted_void(struct counted out[2], const struct void_entry *v);
/* What an event adds to its result's; false: nothing. */
bool counted_event(struct counted *out, const struct result_event *ev,
		   const struct result_view *of);
/* Into the row of its key; false: tally_at() has none. */
bool counted_add(struct tally *t, const struct counted *c);

#endif
