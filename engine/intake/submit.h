/*
 * submit.h - from request bytes to a submission: count, decode, authorise, validate.
 */
#ifndef TRIEN_INTAKE_SUBMIT_H
#define TRIEN_INTAKE_SUBMIT_H

#include "intake/raw.h"
#include "intake/server.h"

/* A request's cases before they are read: slices of the request, in the worker's gather arena. */
struct case_list {
	uint32_t n;
	const struct slice *wire;
	const struct original *const *originals;	/* what each copies; NULL: no copies */
};

/* The rest of a call that is answered once. */
struct unary {
	struct slot *slot;
	bool single;			/* one case: refused, the call fails, */
	const char *path;		/* and where it stands in the request */
};

/* Takes so many cases from the principal's rate. False: *f. */
bool submit_quota(struct call *c, uint32_t cases, struct fault *f);
/*
 * Fills s: every case is there with its bytes or its refusal. False: *f says why nothing was taken.
 * *left: how many cases are for the spine to decide. scratch: the thread's.
 */
bool submit_fill(struct call *c, struct submission *s, const struct case_list *list,
		 struct arena *scratch, bool validate_only, uint32_t *left, struct fault *f);
/* Replies with what became of s: receipts, rejects and their number, as SubmitBatch does. The
 * call's state begins with a struct unary. */
void submit_reply(struct call *c, struct submission *s);
/* Ends a call that is refused, and counts it. */
void submit_refuse(struct call *c, const struct fault *f);
/* Gives s to the spine; false: it did not take it, *f says why. */
bool submit_push(struct call *c, struct submission *s, struct fault *f);
/*
 * Collects the occurrences of field `number` in the request. False: malformed, more than max, or
 * none: *f says so of `name`.
 */
bool submit_list(struct slice request, uint32_t number, uint32_t max, const char *name,
		 struct arena *a, struct case_list *out, struct fault *f);
/* The last value of bool field `number`. */
bool submit_flag(struct slice request, uint32_t number);

/*
 * Must the readers look at it first? At cases that replace results, and at those refused as of
 * today that may have been issued when they were right: agencies go, kinds change.
 */
bool submit_for_readers(const struct submission *s);
/* Reader thread: earlier_check(), then replaced_check(). */
uint32_t submit_look(struct call *c, struct read_thread *r, struct submission *s);
/*
 * earlier.c, reader thread: judges refused cases by the day on which their first result was issued.
 * The refusal of today holds for one that the spine does not know by its keys.
 */
void earlier_check(struct call *c, struct read_thread *r, struct submission *s);
bool earlier_possible(const struct raw_case *raw, enum reason why);
/*
 * replaced.c, reader thread: refuses the cases whose `replaces` names no result that this one may
 * replace. Returns how many cases are left for the spine.
 */
uint32_t replaced_check(struct call *c, struct read_thread *r, struct submission *s);

/* Functions of the method table. */
void submit_work(struct call *c, struct read_thread *r);
void submit_case_run(struct call *c);
void submit_batch_run(struct call *c);
void submit_batch_free(struct call *c);
/* The spine's answer to one of them. */
void submit_answer(struct submission *s);
/* Stream methods (stream.c). */
void stream_begin(struct call *c);
void stream_message(struct call *c, bool ok);
void stream_sent(struct call *c, bool ok);
void stream_closed(struct call *c);
void stream_stop(struct call *c);
void stream_free(struct call *c);
void stream_work(struct call *c, struct read_thread *r);
/* The spine's answer to a message of a stream. */
void stream_answer(struct submission *s);

#endif
