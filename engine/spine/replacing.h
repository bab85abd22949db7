/*
 * replacing.h - one result stands in the place of another, never two: the key index remembers for
 * ever which result took the place, from when it was accepted on. One that ended without being
 * issued (void, refused, withdrawn, timed out) leaves the place free again.
 */
#ifndef TRIEN_SPINE_REPLACING_H
#define TRIEN_SPINE_REPLACING_H

#include "spine/spine.h"

/* Is the place that one of its results wants another's? Then c is refused. */
bool replacing_taken(struct spine *s, struct submitted_case *c);
/* Does another result stand in the place of `old`, in the store? */
bool replacing_done(struct spine *s, const uint8_t old[16]);
/* The result with this key, accepted at pos, takes the place of `old`. */
enum status replacing_remember(struct spine *s, const uint8_t old[16], const uint8_t key[16],
			       uint64_t sequence, uint8_t lane, uint64_t pos) must_use;

#endif
