/*
 * states.h - the states of a result, from its case's acceptance to its end (DESIGN 2).
 *
 *	(a case is accepted)
 *	   │        └─ of a kind numbered at_acceptance ───▶ NUMBERED
 *	   │ of a kind numbered at_approval
 *	   ▼                 ┌─▶ REFUSED	its signer sends it back
 *	AWAITING_APPROVAL ───┼─▶ WITHDRAWN	the case system takes it back
 *	   │                 └─▶ TIMED_OUT	nobody confirms it in time
 *	   │ confirmed: number and date are bound
 *	   ▼
 *	NUMBERED ◀──────────────▶ AWAITING_SIGNATURE	a person or a service signs elsewhere
 *	   │ ▲ │                     │             │
 *	   │ │ │                     │ refused there, too late, another one is to sign
 *	   │ │ └ cannot be signed ─▶ │             │
 *	   │ └─ resumed ─────────── HELD           │
 *	   │ signed and checked      │             │ a person gives it up, with a reason
 *	   ▼                         ▼             │
 *	STORED                      VOID ◀─────────┘
 *
 * ACCEPTED is what a submission with validate_only would become. Whatever has a number keeps it:
 * from NUMBERED on there are two ends only. A result that was stored has a life of its own
 * (enum life).
 *
 * Each state that waits stands in the journal or in the waiting room, and is reached again by a
 * start:
 *	AWAITING_APPROVAL	ACCEPTED record, then a row of the waiting room; once it is on an
 *				APPROVED record it will be NUMBERED, whatever crashes
 *	NUMBERED		NUMBERED record
 *	AWAITING_SIGNATURE, HELD	NUMBERED record, then a row of the waiting room
 *	REFUSED, WITHDRAWN, TIMED_OUT, VOID	a record of that name, then the store
 */
#ifndef TRIEN_STATES_H
#define TRIEN_STATES_H

#include <stdbool.h>

/* One open list; numbers are those of trien.v1.State. From REFUSED on: never issued. */
enum state {
	STATE_ACCEPTED = 1, STATE_AWAITING_APPROVAL, STATE_NUMBERED, STATE_AWAITING_SIGNATURE,
	STATE_HELD, STATE_STORED, STATE_REFUSED, STATE_WITHDRAWN, STATE_TIMED_OUT, STATE_VOID
};

static inline bool state_is_end(enum state s)
{
	return s >= STATE_STORED && s <= STATE_VOID;
}

/* Is there an arrow from one to the other? */
static inline bool state_follows(enum state from, enum state to)
{
	switch (from) {
	case STATE_AWAITING_APPROVAL:
		return to == STATE_NUMBERED || to == STATE_REFUSED || to == STATE_WITHDRAWN ||
		       to == STATE_TIMED_OUT;
	case STATE_NUMBERED:
		return to == STATE_AWAITING_SIGNATURE || to == STATE_HELD || to == STATE_STORED;
	case STATE_AWAITING_SIGNATURE:
		return to == STATE_NUMBERED || to == STATE_HELD || to == STATE_VOID;
	case STATE_HELD:
		return to == STATE_NUMBERED || to == STATE_VOID;
	default:
		return false;
	}
}

#endif
