/*
 * counted.h - what records count, said once for both stores, for fsck and for the deep check.
 * Inside store/ and store/postgres/ only.
 *
 * A result counts by what its record says: its signatures' times and its case's facts, packed into
 * one word. From the lowest bit: 1 first result of its case · 1 replaces another · 2 timeliness ·
 * 3 channel · 2 delivery · 3 fee · 6 reused results · 6 data sources · 1 time of receipt known ·
 * 24 minutes from then to the last signature · 12 days from acceptance to issue · 1 what it
 * replaces counts as replaced. What replaces another has neither timeliness nor minutes: its matter
 * was settled when the first was issued. The other one counts as replaced, on its own day and with
 * its own agency, by the word of the record that replaces it: one delta, not two that could part.
 */
#ifndef TRIEN_STORE_COUNTED_H
#define TRIEN_STORE_COUNTED_H

#include "counts.h"
#include "store/store.h"

/* What a record adds to one agency, kind and day. kind empty: a number used outside has none. */
struct counted {
	struct slice unit, kind;	/* borrowed from what it was made of */
	uint32_t day;			/* yyyymmdd in Vietnam */
	uint8_t engine;
	struct counts by;
};

/* The packed word of a stored result, whose signatures and case_bytes are set; never negative. */
int64_t counted_word(const struct result_view *v);
/* What it adds; returns how many of out. */
#define COUNTED_RESULT_MAX 3
uint32_t counted_result(struct counted out[COUNTED_RESULT_MAX], const struct result_view *v,
			int64_t word);
/* What it replaces, as far as that counts: false, it does not. */
bool counted_replaced(struct counted *out, const struct result_view *v, int64_t word);
/* The same for a number, or a case without one, that came to nothing: none, one or two. */
uint32_t counted_void(struct counted out[2], const struct void_entry *v);
/* What an event adds to its result's; false: nothing. */
bool counted_event(struct counted *out, const struct result_event *ev,
		   const struct result_view *of);
/* Into the row of its key; false: tally_at() has none. */
bool counted_add(struct tally *t, const struct counted *c);

#endif
