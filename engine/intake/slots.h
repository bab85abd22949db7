/*
 * slots.h - the fixed set of submissions: a request is received only into a slot, so memory is
 * bounded before any of it is used (P7).
 *
 * SLOTS_LARGE hold a batch, the others one case. Their address space is taken at the start; pages
 * come with use and go back to the system when a large request leaves.
 */
#ifndef TRIEN_INTAKE_SLOTS_H
#define TRIEN_INTAKE_SLOTS_H

#include "submission.h"

#define SLOTS_LARGE 64
#define SLOTS_SMALL (REQUESTS_IN_FLIGHT_MAX - SLOTS_LARGE)
#define SLOT_LARGE_BYTES (8 * 1024 * 1024)
#define SLOT_SMALL_BYTES (1024 * 1024)

/* What a completion queue gives back. */
struct tag {
	void (*done)(struct tag *t, bool ok);
	struct call *call;
};

struct slots;
struct slot {
	struct submission submission;	/* arena ready and empty, everything else zero */
	struct tag on_answer;		/* of the call that has it */
	uint16_t index;
	bool large;
};

enum status slots_new(struct slots **s) must_use;
/* All slots must be back. NULL is allowed. */
void slots_free(struct slots *s);
/* Any thread; NULL: all are taken. */
struct slot *slot_take(struct slots *s, bool large);
void slot_give(struct slots *s, struct slot *slot);
uint32_t slots_taken(const struct slots *s);

#endif
