/*
 * leftopen.h - what the records so far have left open, in the lists of struct replay: results that
 * may not be stored, acts whose projection may be missing, confirmations, signatures, and rows that
 * left the waiting room. Each goes once "stored up to" passes its record.
 *
 * The spine's thread. After ST_NOMEM the replay is at its end: only leftopen_free() is left.
 */
#ifndef TRIEN_SPINE_LEFTOPEN_H
#define TRIEN_SPINE_LEFTOPEN_H

#include "spine/replay.h"

/* The result is copied; its pending goes with the last of its results. */
enum status leftopen_result(struct replay *r, const struct open_result *o) must_use;
/* The last one of this sequence; NULL: it is not open any more, or never was. */
struct open_result *leftopen_find(const struct replay *r, uint64_t sequence);
/* Nothing is left to do for the last one of this sequence, if it is open. */
void leftopen_settle(struct replay *r, uint64_t sequence);

/* These copy the payload. */
enum status leftopen_act(struct replay *r, uint64_t pos, uint8_t type,
			 struct slice payload) must_use;
enum status leftopen_signature(struct replay *r, uint64_t pos, struct slice payload) must_use;
enum status leftopen_approval(struct replay *r, uint64_t pos, struct slice payload) must_use;

/* Numbered later than it was accepted: it has a row in the waiting room, or had. */
enum status leftopen_numbered(struct replay *r, uint64_t sequence) must_use;
enum status leftopen_resumed(struct replay *r, uint64_t pos, uint64_t sequence) must_use;

/* What stands in front of `upto` is not open any more. */
void leftopen_stored(struct replay *r, uint64_t upto);
/* All of it. */
void leftopen_free(struct replay *r);

#endif
