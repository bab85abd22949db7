/*
 * shares.h - what holders let others see: made, used and ended through the journal, then told to
 * the store as events of their results (engine/share.h).
 *
 * The key index remembers of each result how many changes its shares had and how its codes stand;
 * of each share all that it says; and what opens it, by hash. So who may look is decided here, one
 * after the other, without the store, and is durable before it is answered. The shares of an
 * agency's results are with the engine that issues for it; what moves to another engine has none
 * there, and its holders make new ones.
 */
#ifndef TRIEN_SPINE_SHARES_H
#define TRIEN_SPINE_SHARES_H

#include "spine/spine.h"

/*
 * ACT_SHARE_MAKE, ACT_SHARE_FIND, ACT_SHARE_USE, ACT_SHARE_END: as share_order says (submission.h).
 */
void share_act(struct spine *s, struct act *a);

/* A change that stands in the journal at pos, for those that come after it. */
enum status share_remember(struct spine *s, const struct record_share *r, uint64_t pos) must_use;
/* The record of one, into the store; idempotent. Janitor, and recovery. */
enum status share_project(struct spine *s, struct slice payload, struct error *e) must_use;

#endif
