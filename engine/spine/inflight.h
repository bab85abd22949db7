/*
 * inflight.h - where every accepted, not yet stored result is; held ones too.
 *
 * The spine writes, readers on any thread look: one mutex, two hash chains (by sequence, by case).
 * A result that is not here is in the store or does not exist, so a reader asks here first, then
 * the store, then here again is not needed: entries leave only after the store has them.
 */
#ifndef TRIEN_SPINE_INFLIGHT_H
#define TRIEN_SPINE_INFLIGHT_H

#include "result.h"

struct inflight;

enum status inflight_new(struct inflight **f) must_use;
void inflight_free(struct inflight *f);

/* Spine. Strings are copied; one of this sequence is replaced. ST_NOMEM. */
enum status inflight_add(struct inflight *f, uint64_t sequence, uint8_t lane, int64_t accepted_ms,
			 const struct state_change *about) must_use;
/* Spine: *changed gets the whole row, for watchers; false if it is not there. */
bool inflight_set(struct inflight *f, uint64_t sequence, enum state state, enum reason held,
		  int64_t at_ms, struct state_change *changed);
/* Spine: the store has it, or it is void (it keeps the reason why it had been held). */
bool inflight_drop(struct inflight *f, uint64_t sequence, enum state state, int64_t at_ms,
		   struct state_change *changed);

/* Any thread. */
bool inflight_get(struct inflight *f, uint64_t sequence, struct state_change *out, uint8_t *lane,
		  int64_t *accepted_ms);
uint32_t inflight_case(struct inflight *f, struct slice unit, struct slice code,
		       struct state_change *out, uint32_t max);
uint32_t inflight_count(struct inflight *f);
uint32_t inflight_held(struct inflight *f);

#endif
