/*
 * sharing.h - what the calls on shares have in common. Reader threads.
 */
#ifndef TRIEN_INTAKE_SHARING_H
#define TRIEN_INTAKE_SHARING_H

#include "intake/noted.h"
#include "intake/operation.h"

/* The fields of trien.v1.Share. */
#define SHARE_REPLY_BYTES 192
void put_share(struct writer *w, const uint8_t result_id[16], const struct share *s,
	       enum share_state state);

/* The act failed: said why. False: it did not. */
bool share_refused(struct call *c, const struct operation *o);

/*
 * Whether the holder has the result today, shown and unrestricted; *has says so. A status of the
 * store otherwise.
 */
enum status share_stands(struct call *c, struct read_thread *r, const uint8_t holder[16],
			 uint64_t sequence, bool *has) must_use;

#endif
