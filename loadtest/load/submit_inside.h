/*
 * submit_inside.h - requests on their way: what submit.c sends and answers.c settles.
 */
#ifndef LOAD_SUBMIT_INSIDE_H
#define LOAD_SUBMIT_INSIDE_H

#include "load/drive.h"

#define PAUSE_MS_MIN 20

enum verdict_of { TAKEN, REFUSED, LATER };

/* Cases that travel together. */
struct request {
	struct request *next;
	struct drive *d;
	struct stream *stream;		/* the one it is on */
	uint64_t seq;
	int64_t due_us;			/* again: not before */
	uint32_t n, tries;
	uint8_t kind;			/* enum call_kind */
	bool answered;
	uint8_t verdicts[DRIVE_CASES_MAX], receipts[DRIVE_CASES_MAX];
	uint32_t places[DRIVE_CASES_MAX];
};

/* Messages that wait for their acknowledgement, in order. */
struct stream {
	struct drive *d;
	struct rpc_call *call;		/* NULL: not open */
	struct request *first, **last;
	uint32_t n, connection;
	uint64_t seq;
	int64_t open_us;		/* not again before */
};

/* What comes back: of a call's struct request, of a struct stream. */
extern const struct rpc_owner request_owner, stream_owner;

#endif
