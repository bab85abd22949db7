/*
 * track.h - which NUMBERED records are still open, in the journal's order: gives "stored up to".
 */
#ifndef TRIEN_SPINE_TRACK_H
#define TRIEN_SPINE_TRACK_H

#include <stdint.h>

#include "base/status.h"

struct track;

enum status track_new(struct track **t) must_use;
void track_free(struct track *t);
/* Positions rise from call to call. *place names it later. */
enum status track_open(struct track *t, uint64_t pos, uint64_t *place) must_use;
void track_close(struct track *t, uint64_t place);
/* The oldest open position, or `end` when none is open. */
uint64_t track_oldest(const struct track *t, uint64_t end);

#endif
