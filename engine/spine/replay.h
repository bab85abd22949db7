/*
 * replay.h - what the journal's records mean for registers, key index and waiting results: applied
 * one after the other at a start, and as they come in a mirror.
 */
#ifndef TRIEN_SPINE_REPLAY_H
#define TRIEN_SPINE_REPLAY_H

#include "base/arena.h"
#include "spine/spine.h"

/*
 * One result of a live ACCEPTED or NUMBERED record, in the journal's order. One that was numbered
 * at its approval stands there twice; the later one counts, the earlier one is settled.
 */
struct open_result {
	uint64_t sequence;
	struct pending *pending;
	uint8_t lane, index;
	bool handed;			/* in a mirror: its row says more than its record */
	struct state_change change;
};

/* An act whose projection into the store may be missing. */
struct open_act {
	uint64_t pos;
	uint8_t type;
	uint8_t *bytes;
	size_t n;
};

/* A confirmation, of which some results may have no number yet. */
struct open_approval {
	uint64_t pos;
	uint8_t *bytes;			/* the record */
	size_t n;
};

/* One that left the waiting room: its row may be there although it is stored. */
struct resumed { uint64_t pos, sequence; };

/* A result's original (objects/objects.h). */
struct original_name { uint8_t sha256[SHA256_BYTES]; uint64_t sequence; uint32_t size;
		       uint8_t lane; bool claimed; };

struct replay {
	struct spine *s;
	uint64_t snapshot_pos, covered, records;
	struct open_result *open;
	size_t open_n, open_first, open_room;
	uint64_t open_base;		/* running number of open[0] */
	uint64_t *slots;		/* by sequence: running number + 1 of its last one */
	size_t slots_mask, slots_used;
	struct open_approval *approvals;
	size_t approvals_n, approvals_room;
	struct record_approved *approved;	/* one decoded; from the first one on */
	uint64_t *numbered;		/* their rows in the waiting room may still be there */
	size_t numbered_n, numbered_room;
	struct open_act *acts;
	size_t acts_n, acts_room;
	struct resumed *resumed;	/* not in a mirror */
	size_t resumed_n, resumed_room;
	struct open_act *signatures;	/* SIGNATURE records, in order; not in a mirror */
	size_t signatures_n, signatures_room;
	struct original_name *originals;	/* not in a mirror */
	size_t originals_n, originals_room;
	bool originals_whole;		/* those of rows, too; by digest */
	uint32_t originals_lost;	/* rows that could not be read: they may name some more */
	struct arena arena;		/* one decoded case */
	bool follow;			/* a mirror: there is no end, and no pipeline */
};

enum status replay_init(struct replay *r, struct spine *s) must_use;
/* Registers, clock and keys as they were last kept: where the records go on from. */
enum status replay_begin(struct replay *r, struct error *e) must_use;
/* What is still open goes with it. */
void replay_free(struct replay *r);
/* NULL: it is done with, or was never there. */
struct open_result *replay_open(const struct replay *r, uint64_t sequence);
/* A journal_replay_fn; ctx is the replay. */
enum status replay_record(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
			  struct error *e) must_use;

/* The act of a REGISTER_OPENED, REGISTER_CLOSED record. ST_EXISTS: it is open; ST_NOT_FOUND. */
enum status register_opened(struct registers *registers,
			    const struct record_register *r) must_use;
enum status register_closed(struct registers *registers,
			    const struct record_register *r) must_use;

#endif
