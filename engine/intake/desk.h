/*
 * desk.h - the signing sessions of this engine: who keeps them, and who confirms.
 *
 * Readers open, show, cancel and follow sessions, each call under the desk's lock; a session is
 * durable before anybody is told of it. One thread confirms, one session at a time, so that nothing
 * is claimed twice:
 *
 *	ConfirmSession ─▶ queue ─▶ desk thread: judge each ─▶ CONFIRMING on disk ─▶ ACT_APPROVE
 *	               ◀─ answer ◀────────────────────── CONFIRMED on disk ◀──────── durable
 *
 * A crash after "CONFIRMING on disk" is gone on with at the next start, without being asked: what
 * is approved by then, is; what still waits is judged and asked for again.
 *
 * A document is drawn again as it is judged: the case and the pinned kind of its record, with
 * agency and signer of today. It is another one (DOCUMENT_CHANGED) if one of these has another
 * version in force since the session was opened, or the engine was started again in between and
 * draws another way: an upgrade, other fonts. What is confirmed is printed as of then, whenever it
 * gets its number.
 */
#ifndef TRIEN_INTAKE_DESK_H
#define TRIEN_INTAKE_DESK_H

#include "intake/server.h"
#include "session/table.h"

struct desk;

/* Reads what was kept and starts the thread. */
enum status desk_open(struct desk **out, struct intake *in, struct error *e) must_use;
/*
 * No confirmation is begun any more; one that the spine has is waited for, at most ms: it may wait
 * for a mirror that is away, and is gone on with at the next start. Those that wait are answered
 * ST_UNAVAILABLE. NULL is allowed.
 */
void desk_quiet(struct desk *d, uint32_t ms);
/* The spine has answered all it held. NULL is allowed. */
void desk_close(struct desk *d);

/*
 * The session of this id, if it is the principal's; expired by now if it is. Borrowed until
 * desk_unlock(), which follows in any case but NULL.
 */
struct session *desk_lock(struct desk *d, const uint8_t id[16], const char *principal);
/* Anybody's, locked in any case; NULL: unknown. */
struct session *desk_find(struct desk *d, const uint8_t id[16]);
void desk_unlock(struct desk *d);
/*
 * Locked: the session's file, durable when it returns. ST_IO and the like: told in the log, once,
 * and the session is unkept; the desk's thread writes it again, too.
 */
enum status desk_keep(struct desk *d, struct session *s) must_use;
/* Locked, before anybody is told of a session: likewise, if it is unkept. */
enum status desk_kept(struct desk *d, struct session *s) must_use;
/*
 * A new one, OPEN: gets its id, its seal, is kept, and is the desk's. ST_AGAIN: its principal has
 * its share (sessions_share_left); ST_FULL as sessions_add(). On failure it stays the caller's.
 */
enum status desk_add(struct desk *d, struct session *s, uint8_t id[16]) must_use;
/* Where approved results are now; what is news is durable when it returns. Not locked. */
struct followed { uint8_t result_id[16]; enum state state; enum reason reason; int64_t at_ms;
		  char number_text[NUMBER_TEXT_BYTES_MAX + 1]; };
enum status desk_follow(struct desk *d, const uint8_t id[16], const struct followed *f,
			uint32_t n) must_use;

/*
 * A confirmation on its way; the caller's until done() was called: on the desk's thread, or from
 * within desk_confirm() when no confirmation is begun any more.
 */
struct confirmation {
	uint8_t session[16];
	uint8_t manifest[SHA256_BYTES];
	/*
	 * out. ST_OK: the session has its outcomes. ST_NOT_FOUND, ST_CONFLICT, ST_PRECONDITION as
	 * session_begin(); else it was begun and could not be ended now: the desk goes on with it.
	 */
	enum status status;
	void (*done)(struct confirmation *c);
	void *owner;
	struct confirmation *next;
};
void desk_confirm(struct desk *d, struct confirmation *c);

#endif
