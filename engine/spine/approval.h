/*
 * approval.h - cases of kinds that are numbered at their approval (DESIGN 2).
 *
 *	accepted ─▶ awaiting.c: into the waiting room
 *	APPROVE ─▶ approving.c: APPROVED record, answer
 *		─▶ approved.c: a NUMBERED record for each result, in order; one that cannot be
 *		   printed (its version or its row is damaged) is passed over, and tried again
 *	SEND_BACK, WITHDRAW, expiry ─▶ ending.c: its end in the journal, then in the store
 *
 * Which results wait is nowhere in memory: rows are in the waiting room, and whether one was
 * decided already says its entry in the key index. So each is decided once, whatever is asked at
 * the same time, before its row has gone, or after a crash.
 */
#ifndef TRIEN_SPINE_APPROVAL_H
#define TRIEN_SPINE_APPROVAL_H

#include "spine/living.h"

/* What the janitor finds of an item of a confirmation. */
struct approval_row {
	uint64_t sequence;
	uint8_t lane;
	uint8_t key[16];
	int64_t expires_ms;		/* 0: never */
	char unit[CODE_BYTES_MAX + 1], register_code[CODE_BYTES_MAX + 1];
	struct copied source;		/* zero: it is no copy of a result of ours */
};

/* Records of results that are numbered next, read by the janitor. */
#define CHUNK_RESULTS BATCH_ITEMS_MAX
struct number_chunk {
	struct approving *of;		/* the confirmation that they are on */
	uint64_t sequences[CHUNK_RESULTS];
	struct { uint8_t *bytes; size_t n; enum status status; } records[CHUNK_RESULTS];
	uint32_t n;
};

/* ---- awaiting.c ---- */

/* Spine: p's results in `awaiting` go to the waiting room once their record is durable. */
void awaiting_add(struct spine *s, struct pending *p);
void awaiting_run(struct spine *s);

/* ---- approving.c ---- */

/* Spine: the janitor is through with APPROVE_FIND. */
void approve_found(struct spine *s, struct job *j);
/* On an APPROVED record at pos: nobody else decides it any more. */
void approved_flag(struct spine *s, const struct approved_result *r, uint64_t pos);
/* Janitor. */
enum status approve_find(struct spine *s, struct job *j);
/*
 * What a result is printed with that is confirmed at at_ms: agency and signer of that day; of one
 * that left the catalogue since, the version in *pins stays. Drafts are drawn with it, too.
 */
void approval_versions(const struct catalogue *c, struct pins *pins, const struct case_result *r,
		       int64_t at_ms);
/*
 * That, and `number` in its form of that year in text. Not ST_OK, with the reason in *why: the
 * archive misses a version, or its number has no room.
 */
enum status approval_pin(struct catalogue *c, struct pins *pins, const struct case_result *r,
			 int64_t at_ms, uint32_t year, uint64_t number,
			 char text[NUMBER_TEXT_BYTES_MAX + 1], enum reason *why,
			 struct error *e) must_use;

/* ---- approved.c ---- */

/*
 * Spine: what was confirmed by the record at pos gets its numbers; results that have one are passed
 * over. Positions rise from call to call; *r is copied.
 */
enum status approving_add(struct spine *s, uint64_t pos, const struct record_approved *r) must_use;
void approving_run(struct spine *s);
/*
 * Some confirmed result will still take its number from this register: those before their turn may
 * be of any, those that were passed over are known.
 */
bool approving_needs(struct spine *s, struct slice unit, struct slice register_code);
void approving_free(struct spine *s);
/* Spine: the janitor is through with NUMBER_READ. Frees j. */
void number_read(struct spine *s, struct job *j);
/* Spine: a number that is durable now, and whose row has gone, is told to who watches. */
void number_told(struct spine *s, const struct job *j);
/* Janitor. */
enum status chunk_read(struct spine *s, struct job *j);

/* ---- ending.c ---- */

/* Spine: looks now and then for what has expired. */
void expire_run(struct spine *s);
/* Spine: the janitor is through with END_FIND, EXPIRED_FIND. Frees j, or sends it on. */
void end_found(struct spine *s, struct job *j);
void expired_found(struct spine *s, struct job *j);
/* From waiting to this state: by its key nothing is decided yet, not by a confirmation either. */
bool may_become(struct spine *s, const uint8_t key[16], enum state to);
/* An end without a number in the journal, at pos: what a repeated submission is answered. */
void end_keys(struct spine *s, const struct record_result *r, uint64_t pos);
/* Janitor. */
enum status end_find(struct spine *s, struct job *j);
enum status expired_find(struct spine *s, struct job *j);

#endif
