/*
 * handing.h - a result that is held, or waits for a signature from elsewhere, goes to another
 * signer, under its number.
 *
 *	HAND ─▶ the janitor finds its row ─▶ judged, HANDED record ─▶ the janitor rewrites the row
 *	     ─▶ as a retry: RESUMED record, batch, store ─▶ the store is told ─▶ the row goes
 *
 * The row's payload knows its handovers until the store does; the HANDED record holds the journal
 * until the row does. A start and a mirror apply the record to the row as the janitor does.
 */
#ifndef TRIEN_SPINE_HANDING_H
#define TRIEN_SPINE_HANDING_H

#include "spine/spine.h"

/* Spine: the janitor is through with HAND_FIND, HAND. */
void hand_found(struct spine *s, struct job *j);
void hand_done(struct spine *s, struct job *j);
/* Spine: false: this NUMBERED record has no handovers; else j takes it along for hand_tell(). */
bool hand_keep(struct spine *s, struct job *j, struct slice record);

/*
 * Janitor, recovery: the row as a HANDED record's payload says. ST_OK too where it says so already,
 * or is not there any more.
 */
enum status hand_apply(struct spine *s, struct slice handed, struct error *e) must_use;
/* Janitor, recovery: the handovers of a result that is stored, from its NUMBERED record; again is
 * as well. */
enum status hand_tell(struct spine *s, uint64_t sequence, struct slice record,
		      struct error *e) must_use;
/* Was it handed on after that time, as its NUMBERED record says? Pure. */
bool hand_since(struct slice record, uint64_t sequence, int64_t at_ms);

#endif
