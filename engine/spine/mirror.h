/*
 * mirror.h - the engine's side of its mirror: every frame, once it is durable here, goes to a
 * `trien mirror` elsewhere, and a receipt waits until it is durable there too.
 *
 * Frames are given to the mirror only when they are durable here. So it never has what this journal
 * could lose, and whatever it lacks is sent again from the journal, in the same way.
 *
 * Without its mirror an engine of policy `wait` numbers nothing: new cases are refused, and what
 * was numbered waits. One of `degrade` goes on alone with an alarm, holds back segments for the
 * mirror as far as it can spare them, and catches up when it is there again.
 *
 * A mirror that was taken over answers FENCED: the engine writes that down and ends at once.
 */
#ifndef TRIEN_SPINE_MIRROR_H
#define TRIEN_SPINE_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct spine;

/*
 * After the journal has opened: no effect of its records goes anywhere before the mirror has
 * answered. ST_OK at once without a mirror. ST_PRECONDITION: fenced, or the mirror has more than
 * we; ST_UNAVAILABLE: `wait`, and it does not answer.
 */
enum status mirror_meet(struct spine *s, struct error *e) must_use;
void mirror_free(struct spine *s);

/* Each turn: what is to be sent is sent, what came is taken. */
void mirror_run(struct spine *s);
/* A reload: new files of the catalogue go first. */
void mirror_files_changed(struct spine *s);
/* Nothing new may be written just now (policy `wait`). */
bool mirror_refuses(const struct spine *s);
/* "" when all is well. */
const char *mirror_why(const struct spine *s);
/* Bytes of the journal that it does not have yet; 0 without one. */
uint64_t mirror_behind(const struct spine *s);
/* What may be released at most, so that it can catch up. */
uint64_t mirror_needs(const struct spine *s, uint64_t upto);

#endif
