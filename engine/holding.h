/*
 * holding.h - what a holding gives to see, today: one rule for the engine's calls by a portal and
 * for the portal's own reading. A guardian's holding ends with the child's 18th birthday; what was
 * theirs to see until then is not from the next day on. Role and name do not matter: who is named
 * holder, holds. Pure.
 */
#ifndef TRIEN_HOLDING_H
#define TRIEN_HOLDING_H

#include <stdbool.h>
#include <stdint.h>

#include "case.h"

/* from, to: yyyymmdd, both included; 0: open. day: today in Vietnam time. */
static inline bool holding_lasts(uint32_t from, uint32_t to, uint32_t day)
{
	return (from == 0 || from <= day) && (to == 0 || day <= to);
}

/* Does it stand in its holder's list? One who hid it finds it when they ask for what is hidden. */
static inline bool holding_listed(uint8_t visibility, bool hidden_too)
{
	return visibility != VISIBILITY_HIDDEN || hidden_too;
}

#endif
