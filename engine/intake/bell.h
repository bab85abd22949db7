/*
 * bell.h - calls that wait for news, or for their time to be over, without holding a thread.
 *
 * A call that found nothing is listed here and gets one more turn (call_queue) as soon as there is
 * news or its time is over. What it does then, it decides by looking again.
 */
#ifndef TRIEN_INTAKE_BELL_H
#define TRIEN_INTAKE_BELL_H

#include "intake/server.h"

#define BELL_CALLS_MAX 1024
#define BELL_LOOK_MS 100		/* so late the news may be heard */

struct bell;

/* A listed call; in the call's state, all zero before. The bell's own. */
struct ringing {
	struct ringing *prev, *next;
	struct call *call;
	uint64_t seen, until_ms;
	bool listed;
};

/* news: a number that rises when there is something; any thread. */
enum status bell_open(struct bell **out, uint64_t (*news)(void *ctx), void *ctx,
		      struct error *e) must_use;
/* No call is listed any more. NULL is allowed. */
void bell_close(struct bell *b);
/*
 * Rings once: when the news is another number than `seen` (taken before the caller looked), or at
 * until_ms of intake_clock_ms(). A turn of the call. False: too many wait.
 */
bool bell_wait(struct bell *b, struct ringing *r, struct call *c, uint64_t seen,
	       uint64_t until_ms) must_use;
/* Afterwards it does not ring. A turn of the call; one that is not listed is left alone. */
void bell_leave(struct bell *b, struct ringing *r);

#endif
