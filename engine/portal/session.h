/*
 * session.h - who is signed in: a bounded table in memory, by the browser's cookie. Only the
 * cookie's SHA-256 is kept. A session ends by sign-out, after SESSION_IDLE_MS_MAX without a request
 * or SESSION_MS_MAX after sign-in; where the table is full, the one idle for longest ends.
 */
#ifndef TRIEN_PORTAL_SESSION_H
#define TRIEN_PORTAL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "limits.h"

#define SESSION_COOKIE_BYTES 43		/* 256 random bits as base64url */
#define SESSION_COOKIE "trien"		/* "__Host-trien" where citizens see https */

/* As holders are named in a case (case.h). */
struct person {
	uint8_t id_kind;		/* enum id_kind */
	char country[3];
	char number[HOLDER_NUMBER_BYTES_MAX + 1];
};

enum portal_role { ROLE_CITIZEN = 1, ROLE_LEADER = 2 };	/* bits */

struct session {
	struct person holder;		/* number "": no citizen */
	char name[NAME_BYTES_MAX + 1];	/* as the provider calls them */
	uint32_t roles;			/* enum portal_role */
	char units[256];		/* a leader's: "a,b"; "*": all; "": none */
	char csrf[SESSION_COOKIE_BYTES + 1];	/* in each form; session_start() makes it */
	uint8_t key[SHA256_BYTES];	/* of the cookie; session_start() makes it */
};

struct sessions;

/* most: at once. */
enum status session_table_new(struct sessions **out, uint32_t most) must_use;
void session_table_free(struct sessions *t);

/* Any thread. *s is completed and copied; cookie is for the browser. */
enum status session_start(struct sessions *t, struct session *s, int64_t now_ms,
			char cookie[SESSION_COOKIE_BYTES + 1], struct error *e) must_use;
/* A copy of the cookie's session; false: there is none. NULL is no cookie. */
bool session_find(struct sessions *t, const char *cookie, int64_t now_ms, struct session *out);
/* Sign-out. */
void session_end(struct sessions *t, const uint8_t key[SHA256_BYTES]);

#endif
