/*
 * units.h - several engines: each unit belongs to one, and a case for another engine's unit is
 * refused before numbering, naming the owner.
 *
 * Which units are ours says the configuration alone, and it never changes while we run. Who owns
 * the others is only told to callers: the store publishes it, and is asked again now and then.
 */
#ifndef TRIEN_SPINE_UNITS_H
#define TRIEN_SPINE_UNITS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "store/store.h"

struct act;
struct config;
struct job;
struct spine;
struct units;
struct owners;			/* all units of all engines, as of one look */

/* "engine 255 at ADDRESS" */
#define OWNER_TEXT_BYTES (OWNER_ADDRESS_BYTES_MAX + 24)

/* ST_INVALID: a unit's code or the address is none. */
enum status units_new(struct units **u, const struct config *c, struct error *e) must_use;
void units_free(struct units *u);
/*
 * The word by which the store knows this data folder from others, made with its first start. It
 * lies with the catalogue, so that a mirror and a backup have it; identity is copied from engine to
 * engine. With accept_behind none is told: a person decided that this folder goes on.
 */
enum status units_folder(struct units *u, const struct config *c, struct error *e) must_use;
/* Any thread. False: owner (may be NULL) says whose it is, as far as we know. */
bool units_mine(struct units *u, struct slice unit, char owner[OWNER_TEXT_BYTES]);
/* Any thread. Likewise; true only where another engine has published it. */
bool units_elsewhere(struct units *u, struct slice unit, char owner[OWNER_TEXT_BYTES]);
/* Any thread. Which engine that is, and its address, as far as we know. */
void units_engine(struct units *u, uint8_t engine, char owner[OWNER_TEXT_BYTES]);
/* Is the act's unit another engine's? Then it is refused, naming that one (UNIT_ELSEWHERE). */
bool units_refuse(struct spine *s, struct act *a);
/* At start: ours to the store, and the first look at the others'. ST_CONFLICT: not ours. */
enum status units_publish(struct spine *s, struct error *e) must_use;

/* Asks the store again when it is time. */
void units_tick(struct spine *s);
/* Janitor. */
enum status owners_load(struct owners **out, struct store *store, struct error *e) must_use;
/* Spine: a look is done. Frees j. */
void units_seen(struct spine *s, struct job *j);

#endif
