/*
 * figures.h - today's numbers of every agency, as the engine has counted them: asked of it once in
 * FIGURES_MS for all leaders together. Of several engines each one says what is pending there.
 * Where one is away, the last ones stay, with their time.
 */
#ifndef TRIEN_PORTAL_FIGURES_H
#define TRIEN_PORTAL_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "limits.h"

struct worker;				/* workers.h */

#define FIGURES_MS 5000			/* so old they may be */
#define FIGURES_AGAIN_MS 3000		/* one that did not answer is asked again */

/* Counts of trien.v1.Counts and Pending of the same names. */
enum figure {
	FIGURE_RESULTS,
	FIGURE_CASES,			/* a matter that was ended by a result */
	FIGURE_E_RESULTS, FIGURE_SOLVED,	/* the rate of electronic results */
	FIGURE_EARLY, FIGURE_ON_TIME, FIGURE_LATE,
	FIGURE_ONLINE,
	FIGURE_CERTIFIED_COPIES, FIGURE_REGISTER_COPIES,
	FIGURE_REUSES,
	FIGURE_REVOKED,
	FIGURE_PENDING, FIGURE_PENDING_IN_TIME, FIGURE_PENDING_LATE,
	FIGURES
};

struct figure_row { char unit[CODE_BYTES_MAX + 1]; uint64_t of[FIGURES]; };

/* Of one moment; does not change. */
struct figures {
	uint32_t day;			/* yyyymmdd in Vietnam */
	int64_t asked_ms;		/* Unix time */
	uint32_t n;
	struct figure_row *rows;	/* by unit; none of agencies with nothing to count */
	uint32_t held;			/* figure_desk's */
};

struct figure_desk;

enum status figures_open(struct figure_desk **out) must_use;
/* NULL is allowed. */
void figures_close(struct figure_desk *d);
/*
 * A worker's thread; may ask the engine, or wait for the one that does. *fresh false: the engine
 * does not answer, and these are from before. ST_UNAVAILABLE: it never did. To be given back.
 */
enum status figures_take(struct figure_desk *d, struct worker *w, int64_t now_ms,
			 struct figures **out, bool *fresh) must_use;
void figures_give(struct figure_desk *d, struct figures *f);

/* NULL: no such agency is in it. */
const struct figure_row *figures_of(const struct figures *f, const char *unit);

#endif
