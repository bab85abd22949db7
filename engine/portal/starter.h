/*
 * starter.h - starts the portal's helpers, and starts them again. The portal itself can start
 * nothing once it is shut in; this process, forked from it first of all, holds no secret, opens no
 * file that anybody sends and hears one byte at a time: which helper is wanted.
 *
 *	portal  ── its letter ─────────────────▶  starter ── fork ─▶ helper
 *	portal  ◀── the letter, and its socket ──  starter
 *
 * A helper that is asked for while there is one takes its place; each has one socket, by which it
 * ends.
 */
#ifndef TRIEN_PORTAL_STARTER_H
#define TRIEN_PORTAL_STARTER_H

#include <stdbool.h>

#include "base/status.h"

enum helper {
	HELPER_PICTURES,		/* preview.h */
	HELPER_JUDGE,			/* others' files; foreign/foreign.h */
	HELPERS
};

struct starter;

/* Before any thread and any secret. */
enum status starter_new(struct starter **out, struct error *e) must_use;
/* It ends, and the helpers with it. NULL is allowed. */
void starter_free(struct starter *s);
/*
 * A new one; *fd is the caller's end of its SOCK_SEQPACKET. Any thread. ST_UNAVAILABLE: it cannot
 * be started; the log says why.
 */
enum status starter_helper(struct starter *s, enum helper which, int *fd) must_use;
/* Has the process at the other end of fd ended? fd < 0: it has. */
bool starter_gone(int fd);

#endif
