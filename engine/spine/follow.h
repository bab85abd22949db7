/*
 * follow.h - a mirror's data folder: the engine's frames are written to its journal as they come,
 * and their records applied to its own registers, key index and waiting room, by the code that a
 * start runs. It frees segments by what it has kept itself, whatever the engine has released.
 *
 * A struct spine without pipeline, store and intake; one thread and its janitor.
 */
#ifndef TRIEN_SPINE_FOLLOW_H
#define TRIEN_SPINE_FOLLOW_H

#include "base/bytes.h"
#include "base/status.h"
#include "config.h"

struct follow;
struct io;
struct journal_cursor;

/*
 * Takes the folder's lock and applies what is there; it becomes a mirror's if it was nobody's.
 * ST_EXISTS: somebody else has it, named. ST_PRECONDITION: it was taken over, or fenced. locked:
 * the caller has the lock and takes over: whose it is does not matter.
 */
enum status follow_open(struct follow **out, const struct config *c, bool locked,
			struct error *e) must_use;
/* What is accepted is written first. */
void follow_close(struct follow *f);
struct io *follow_io(struct follow *f);
uint32_t follow_epoch(const struct follow *f);

/* Durable up to here; that is where the engine goes on, and what it is told. */
void follow_tail(const struct follow *f, struct journal_cursor *at);
/*
 * The next frame. ST_FULL: after the next turn; else as journal_accept(). What cannot be applied
 * fails the next turn.
 */
enum status follow_accept(struct follow *f, struct slice frame, struct error *e) must_use;
/* Writes, keeps, frees. Not ST_OK: something durable failed; nothing more is acknowledged. */
enum status follow_turn(struct follow *f, struct error *e) must_use;
/*
 * Before an engine starts here: all is kept that its journal calls released. Runs io until then.
 */
enum status follow_settle(struct follow *f, struct error *e) must_use;

#endif
