/*
 * stalls.h - how long the machine itself stood still: a host that gives its cores to other guests.
 *
 * No engine answers meanwhile, so a late receipt says nothing without it; and the guest's clock of
 * stolen time need not show it. On each core a thread of real-time priority, behind which our own
 * load cannot push, sleeps two milliseconds at a time: by what it wakes late the core was away.
 * Short absences mostly fall between two wakes, so the share is the least that was taken.
 */
#ifndef LOAD_STALLS_H
#define LOAD_STALLS_H

#include <stdint.h>

#include "base/status.h"

#define STALL_US 3000			/* less may be the guest's own kernel */

/* A core was away from then, of CLOCK_MONOTONIC, for so long. */
struct stall { int64_t at_us, long_us; };

struct stall_sum {
	double share;			/* of the cores' time; NAN: it was not watched */
	double longest_ms;
};

struct stalls;

/* ST_UNAVAILABLE: no right to real-time priority (root, or RLIMIT_RTPRIO); *s is NULL then. */
enum status stalls_start(struct stalls **s, struct error *e) must_use;
/* While it runs, too; from any thread. Microseconds of CLOCK_MONOTONIC. */
struct stall_sum stalls_between(const struct stalls *s, int64_t from_us, int64_t to_us);
/* What watching itself took of the CPU so far, seconds. */
double stalls_cpu_s(const struct stalls *s);
void stalls_stop(struct stalls *s);

/* The part of one core's stalls, n of them, that lies in between: for stalls_between(). */
void stalls_add(struct stall_sum *sum, const struct stall *of, uint32_t n, int64_t from_us,
		int64_t to_us);

#endif
