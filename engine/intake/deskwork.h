/*
 * deskwork.h - confirming one session: what the desk's thread does.
 */
#ifndef TRIEN_INTAKE_DESKWORK_H
#define TRIEN_INTAKE_DESKWORK_H

#include "intake/desk.h"

struct desk_work {
	struct intake *in;
	struct desk *desk;
	void *reader;			/* of engine_ops */
};

/*
 * Begins or goes on, judges, asks for approval and waits until that is durable. Status as that of
 * struct confirmation. Only on the desk's thread: nobody else changes what a session that is
 * CONFIRMING says, so it may be read without the lock.
 */
enum status desk_work(struct desk_work *w, const uint8_t session[16],
		      const uint8_t manifest[SHA256_BYTES]) must_use;

/* ---- desk.c ---- */

/* Is the result claimed by another session whose confirmation is not through yet? Not locked. */
bool desk_claimed(struct desk *d, const struct session *s, const uint8_t result_id[16]);
/* Was it approved by another session? Not locked. */
bool desk_approved(struct desk *d, const struct session *s, const uint8_t result_id[16]);

#endif
