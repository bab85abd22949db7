/*
 * noted.h - how a call reads, and what is noted of it where the holder sees it. Reader threads,
 * and copiers.
 *
 * The holder, for whom a portal reads, leaves no trace. Everybody else's call is answered once it
 * stands in the store who has read what:
 *
 *	work()	sight_of() ─▶ read_result()… ─▶ noting_new() ─▶ noting_add()… ─▶ noting_send()
 *	work()	again, once it is noted: noting_done() sends the answer that was kept, so that
 *		nothing else is shown than what was noted
 */
#ifndef TRIEN_INTAKE_NOTED_H
#define TRIEN_INTAKE_NOTED_H

#include "intake/read.h"

struct noting;

/* Whose eyes they are. */
struct sight { bool holder; uint8_t key[16]; };

/* The holder's key of a person. False: the call is answered; field: where it stands, "holder." */
bool person_key(struct call *c, const Trien__V1__Person *p, const char *field, uint8_t key[16]);
/* as_holder NULL: the caller's own. False: the call is answered. */
bool sight_of(struct call *c, const Trien__V1__Person *as_holder, struct sight *out);

/*
 * One note for the call, with room for so many results. purpose may be NULL; its texts are copied.
 * NULL: the call is answered.
 */
struct noting *noting_new(struct call *c, enum read_call call, const Trien__V1__Purpose *purpose,
			  uint32_t names_max);
/* A holder's list was looked through. */
void noting_holder(struct noting *n, const uint8_t key[16]);
/* What the caller gets of a stored result; one that is none is passed over. */
void noting_add(struct noting *n, const struct sight *s, const struct result_view *v);
/* Takes n and the reply. What needs no note is answered at once. */
void noting_send(struct call *c, struct noting *n, grpc_slice reply);
/* Likewise of a reply that was written, or failed: st. */
void noting_end(struct call *c, struct noting *n, struct reply *p, enum status st);
/* Of noting_send(): true, the call came back and is answered. */
bool noting_done(struct call *c);
/*
 * For what begins when it comes back, streams and copies: v, the one result that is read, is noted,
 * or need not be. Not looked at where the call comes back. False: work() runs again once it is, or
 * the call is answered.
 */
bool one_noted(struct call *c, enum read_call call, const Trien__V1__Purpose *purpose,
	       const struct sight *s, const struct result_view *v);

#endif
