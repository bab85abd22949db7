/*
 * numbers.h - numbers of a register that never had a result: used outside of the engine, or given
 * and found nowhere. Inside spine/ only. The spine's thread, but where it is said.
 */
#ifndef TRIEN_SPINE_NUMBERS_H
#define TRIEN_SPINE_NUMBERS_H

#include "spine/replay.h"

/* ACT_NUMBER_FIND: its names. false: the act is answered. */
bool numbers_find(struct spine *s, struct act *a);
/* As engine_ops.number_stored. A reading thread. */
enum status numbers_stored(void *reader, struct slice unit, struct slice code, uint32_t year,
			   uint64_t number, const struct result_name *names, uint32_t names_n,
			   bool *stored);
/* ACT_NUMBERS_USE, ACT_NUMBER_VOID, of an agency of ours. Told again it is the same act. */
void numbers_act(struct spine *s, struct act *a);
/* A NUMBERS record of the journal. ST_DAMAGED: its numbers do not follow what was replayed. */
enum status numbers_replay(struct replay *r, uint64_t pos, struct slice payload) must_use;
/* Into the book, in the store: each once, however often it is told. Any thread. */
enum status numbers_project(struct spine *s, struct slice payload, struct error *e) must_use;

#endif
