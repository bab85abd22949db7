/*
 * table.h - the sessions that an engine knows, bounded (P7). The owner locks.
 *
 * When it is full a session is forgotten before its time: a cancelled or expired one, else a DONE
 * one, else one that is CONFIRMED; of these the one that ended first. Others never are.
 */
#ifndef TRIEN_SESSION_TABLE_H
#define TRIEN_SESSION_TABLE_H

#include "session/session.h"

struct sessions;

enum status sessions_new(struct sessions **out) must_use;
void sessions_free(struct sessions *t);
/*
 * May s, a new one, be opened? false: its principal has its share: SESSIONS_OPEN_MAX that are open
 * or being confirmed, or SESSIONS_OPEN_ITEMS_MAX documents in them and s.
 */
bool sessions_share_left(const struct sessions *t, const struct session *s);
/*
 * Takes s over. ST_FULL: all of SESSIONS_KNOWN_MAX or of SESSIONS_ITEMS_MAX are open or on their
 * way; ST_EXISTS: the id. Then s stays the caller's. forgotten(owner, id): had to go for it.
 */
enum status sessions_add(struct sessions *t, struct session *s,
			 void (*forgotten)(void *owner, const uint8_t id[16]),
			 void *owner) must_use;
/* Borrowed until it is forgotten; NULL: unknown. */
struct session *sessions_find(struct sessions *t, const uint8_t id[16]);
void sessions_forget(struct sessions *t, const uint8_t id[16]);
/* Out of the table, and the caller's again. It must be there. */
void sessions_release(struct sessions *t, struct session *s);
/* Is the result claimed by a session other than s that is CONFIRMING? */
bool sessions_claimed(struct sessions *t, const struct session *s, const uint8_t result_id[16]);
/* Was the result approved by a session other than s? */
bool sessions_approved(struct sessions *t, const struct session *s, const uint8_t result_id[16]);
/* Walk: the first with NULL; NULL at the end. s may not have been forgotten meanwhile. */
struct session *sessions_next(struct sessions *t, struct session *s);
uint32_t sessions_count(const struct sessions *t);

#endif
