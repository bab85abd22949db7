/*
 * replay.h - what the journal's records mean for registers, key index and waiting results: applied
 * one after the other at a start, and as they come in a mirror.
 */
#ifndef TRIEN_SPINE_REPLAY_H
#define TRIEN_SPINE_REPLAY_H

#include "base/arena.h"
#include "spine/spine.h"

/* One result of a live NUMBERED record; sequences rise in the journal's order. */
struct open_result {
	uint64_t sequence;
	struct pending *pending;
	uint8_t lane, index;
	struct state_change change;
};

/* An act whose projection into the store may be missing. */
struct open_act {
	uint64_t pos;
	uint8_t type;
	uint8_t *bytes;
	size_t n;
};

struct replay {
	struct spine *s;
	uint64_t snapshot_pos, covered, records;
	struct open_result *open;
	size_t open_n, open_first, open_room;
	struct open_act *acts;
	size_t acts_n, acts_room;
	struct arena arena;		/* one decoded case */
	bool follow;			/* a mirror: there is no end, and no pipeline */
};

enum status replay_init(struct replay *r, struct spine *s) must_use;
/* Registers, clock and keys as they were last kept: where the records go on from. */
enum status replay_begin(struct replay *r, struct error *e) must_use;
/* What is still open goes with it. */
void replay_free(struct replay *r);
/* A journal_replay_fn; ctx is the replay. */
enum status replay_record(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
			  struct error *e) must_use;

#endif
