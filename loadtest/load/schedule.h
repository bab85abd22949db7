/*
 * schedule.h - when each case is due, whatever the engine answers (an open model).
 *
 * A shape is an intensity over time; the k-th case is due where its integral reaches k (even), or
 * at the k-th of so many points thrown on it by chance (Poisson arrivals, given their number). The
 * same options give the same times. Times are microseconds of the run, never falling.
 */
#ifndef LOAD_SCHEDULE_H
#define LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define OFFICE_DAY_S (8 * 3600u)	/* 07:30 to 11:30, 13:30 to 17:30; nights are left out */
#define OFFICE_SESSION_S (7 * 3600u)	/* 16:30, when the leader signs what waited */
#define OFFICE_SESSION_LONG_S 900u
#define OFFICE_MONTH_DAYS 21u
#define OFFICE_MONTH_END_DAYS 2u
#define SCHEDULE_DAYS_MAX 400u

enum shape {
	SHAPE_CONSTANT,			/* cases over seconds */
	SHAPE_RAMP,			/* from rate_from to rate_to over seconds */
	SHAPE_DAYS,			/* cases over days of a one-stop office */
	SHAPE_AT_ONCE,			/* all are due at the start */
};

struct schedule_options {
	enum shape shape;
	bool poisson;
	uint64_t seed;
	uint64_t cases;			/* RAMP: not read */
	double seconds;			/* CONSTANT, RAMP: real seconds, before compress */
	double rate_from, rate_to;	/* RAMP: cases a second of the run */
	uint32_t days;
	double session;			/* DAYS: share of a day's cases in the 16:30 session */
	double month_end;		/* DAYS: how many ordinary days one at month's end is */
	double compress;		/* real seconds that become one of the run; 0 is 1 */
};

/* A stretch of time with a rate that rises or falls in a straight line. */
struct stretch { double begin_s, long_s, from, to, before; };

struct schedule {
	struct stretch *stretches;
	uint32_t n, at;
	double area;			/* cases by the stretches' rates */
	uint64_t cases, given;
	bool poisson, at_once;
	double done;			/* of the whole, 0 to 1 */
	uint64_t random;
	double long_s;			/* of the run */
};

/* ST_INVALID says what is wrong with the options. */
enum status schedule_init(struct schedule *s, const struct schedule_options *o,
			  struct error *e) must_use;
void schedule_free(struct schedule *s);
/* The next case's time; false when all were given. */
bool schedule_next(struct schedule *s, int64_t *due_us);
/* Cases a second that are due at this moment of the run. */
double schedule_rate(const struct schedule *s, double at_s);

#endif
