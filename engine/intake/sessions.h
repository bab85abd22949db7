/*
 * sessions.h - what the calls about signing sessions share. Reader threads.
 */
#ifndef TRIEN_INTAKE_SESSIONS_H
#define TRIEN_INTAKE_SESSIONS_H

#include "intake/desk.h"
#include "intake/waiting.h"

/*
 * The caller's session of this name, locked (desk_unlock()). NULL: the call is answered, nothing is
 * locked; another's session is SESSION_NOT_FOUND, like one that does not exist, and one's own for a
 * signer as whom one may not act any more is SIGNER_DENIED.
 */
struct session *session_mine(struct call *c, const char *session_id);

/* outcomes.c: looks where the results of a confirmed session are; ST_OK where there is nothing to
 * be looked at. Not locked. */
enum status outcomes_refresh(struct intake *in, struct read_thread *r, const uint8_t id[16])
	must_use;

#endif
