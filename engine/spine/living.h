/*
 * living.h - acts upon results that are stored: through the journal, then into the store as events
 * (engine/living.h); and one more holder, likewise.
 *
 * The key index remembers for ever how many acts there were on a result, and each of them by what
 * it says: whether one that is told again is the same, and whether the etag that it came with is
 * that of today, is known without the store. What it does not know of is what an earlier version
 * took, which remembered the newest act alone: the store tells those. What another engine took it
 * does not know either; so one engine alone acts upon an agency's results, that which issues for
 * it, and whoever succeeds the agency goes there, too.
 */
#ifndef TRIEN_SPINE_LIVING_H
#define TRIEN_SPINE_LIVING_H

#include "spine/spine.h"

/*
 * Both: act.refused UNIT_ELSEWHERE: act.unit, whose result it is, is another engine's.
 *
 * ACT_LIVE. ST_CONFLICT: its etag is not that of today; ST_PRECONDITION: it is revoked or replaced,
 * or had too many acts (living_has_room()); ST_INVALID: its paper is older than the result.
 */
void living_act(struct spine *s, struct act *a);
/* ACT_LINK_HOLDER. */
void link_act(struct spine *s, struct act *a);

/* Which result a copy is of, and a digest of what it says corrected that. */
struct copied { uint8_t id[16], correction[SHA256_BYTES]; };

void copied_of(struct copied *out, const struct original_source *source);
/*
 * May a copy of it be issued still, as far as this engine knows? The store may not know of it yet.
 * COPY_OF_INVALID: it was revoked, or another is in its place; COPY_OUTDATED: it was corrected by
 * something that the copy does not name. What an earlier version took for corrections is not known.
 * REASON_NONE also of an id that is none.
 */
enum reason living_copied(struct spine *s, const struct copied *c);

/* An act that stands in the journal at pos, for those that come after it. */
enum status living_remember(struct spine *s, const struct record_living *r,
			    uint64_t pos) must_use;
/* A STATE_EVENT record, into the store; idempotent. Janitor, and recovery. */
enum status state_event_project(struct spine *s, struct slice payload, struct error *e) must_use;
/*
 * The store is away for j, which is an act of these or one on numbers: its caller learns now that
 * it is durable and pending. Janitor.
 */
void living_pending(struct job *j);

#endif
