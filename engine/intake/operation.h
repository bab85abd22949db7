/*
 * operation.h - a call that asks the spine for an act: work() runs once to ask, and once more when
 * the act is done. Reader threads.
 */
#ifndef TRIEN_INTAKE_OPERATION_H
#define TRIEN_INTAKE_OPERATION_H

#include "intake/read.h"

#define REASON_BYTES_MAX 400

/* Everything the act borrows lives in here; it is the call's state. */
struct operation {
	struct act act;
	atomic_bool decided;
	const struct principal *principal;
	char unit[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
	char reason[REASON_BYTES_MAX + 1];
	uint32_t list;			/* lists: what a page token belongs to */
	uint8_t result_id[16];		/* of acts on one result */
	struct arena texts;		/* of LinkHolder, of acts on a result's life */
	struct etag etag;		/* of the latter: what it was, */
	char issuer[CODE_BYTES_MAX + 1];	/* and whose */
	struct share_order share;	/* of acts on shares, */
	uint8_t secret[SHARE_SECRET_BYTES];	/* and what opens a new one */
	struct status_view view;
	struct register_row row;	/* a register as the act left it */
	void *rows;			/* lists */
};

/* The operation of this call, made at its first turn. NULL: the call is answered. */
struct operation *operation_of(struct call *c, enum act_type type);
/* Hands the act to the spine; the next turn of the call comes when it is done. */
void operation_ask(struct call *c, struct operation *o);
/* Of an act that is done. False: it failed; the call is answered. */
bool operation_succeeded(struct call *c, const struct operation *o);
/* A turn of a call: the first one asks, the second one answers. */
void operation_turn(struct call *c, struct read_thread *r, enum act_type type,
		    void (*begin)(struct call *c, struct operation *o, struct read_thread *r),
		    void (*reply)(struct call *c, const struct operation *o));
/* A text of the request into a place of ours. False: the call is answered. */
bool operation_keep(struct call *c, struct slice *out, char *place, size_t bytes_max,
		    const char *text, const char *field, bool required);
/* The act is about this stored result: which it is, and whose. */
void operation_about(struct operation *o, const struct result_view *v);
/* Is the unit one of the caller's? False: the call is answered. */
bool operation_unit(struct call *c, struct slice unit);
/* A reason that is kept. */
bool operation_reason(struct call *c, struct operation *o, const char *text);

/* total.c: an act on a register: asks for it, answers with what it left. */
void register_ask(struct call *c, struct operation *o, const char *unit, const char *code,
		  uint32_t year, const char *reason);
void register_reply(struct call *c, const struct operation *o);

#endif
