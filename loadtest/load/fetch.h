/*
 * fetch.h - reads back what the proof looks at, through the same doors as everybody.
 *
 * Each function waits for the engine where it is away for a while, and gives up with *e.
 */
#ifndef LOAD_FETCH_H
#define LOAD_FETCH_H

#include "load/drive.h"
#include "load/prove.h"
#include "verify/verify.h"

struct fetch {
	struct drive *d;
	struct proof *proof;
	const struct roots *roots;	/* NULL: files are compared, their signatures not checked */
	uint64_t check_us;		/* CPU of hashing and verifying files */
	struct histogram *stage[4];	/* enum stage; from sent on by the engine's clock */
	uint32_t *stored_per_mark;	/* results stored in each mark_s; the caller's */
	uint32_t marks_n;
	double mark_s;
};

/* due to sent; to durable in the journal; to numbered; to signed and stored */
enum stage { STAGE_SENT, STAGE_ACCEPTED, STAGE_NUMBERED, STAGE_STORED, STAGES };

/* after false: next_before of each register; true: next_after. */
enum status fetch_registers(struct fetch *x, bool after, struct error *e) must_use;
/* Every accepted result by its id. */
enum status fetch_results(struct fetch *x, struct error *e) must_use;
/* What citizens see: at most so many, evenly over the run. */
enum status fetch_lists(struct fetch *x, uint32_t citizens_max, struct error *e) must_use;
/* That share of the files, evenly over the run; each byte, each signature, a copy's original. */
enum status fetch_files(struct fetch *x, double share, struct error *e) must_use;
/* So many cases once more: the answer has to be the first one's. */
enum status fetch_again(struct fetch *x, uint32_t cases_max, struct error *e) must_use;

/* ---- of fetch.c, for files.c ---- */

/* A call that is waited for: what it brings goes to take(). */
struct ask {
	void (*take)(void *owner, struct slice bytes);
	void *owner;
	bool over, failed;
	struct failure f;
};

/* restart (may be NULL) is called before each try: what a broken one brought does not count. */
enum status fetch_call(struct fetch *x, enum rpc_form form, const char *method,
		       struct slice request, struct ask *a, void (*restart)(void *owner),
		       struct error *e) must_use;

#endif
