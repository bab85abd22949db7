/*
 * signin.h - GET /sign-in, GET /sign-in/return, POST /sign-out, and bearer tokens: what joins the
 * settings, the provider (oidc.h) and the sessions (session.h).
 *
 *	cookie			what it is						for
 *	trien			the session (session.h)					8 hours
 *	trien-sign-in		state, nonce and verifier of a sign-in, sealed		10 minutes
 *
 * Both are HttpOnly and SameSite=Lax, and where citizens see https also Secure and named
 * `__Host-…`. A sign-in always begins a new session and ends the one that was. With the built-in
 * provider, /sign-in?as=0 signs in the first of its people, without its page: links of the demo.
 */
#ifndef TRIEN_PORTAL_SIGNIN_H
#define TRIEN_PORTAL_SIGNIN_H

#include "config.h"
#include "portal/request.h"

struct signin;

/*
 * ST_INVALID, ST_NOT_FOUND, ST_IO: settings that do not go together, files that are not there; a
 * built-in provider that others could reach.
 */
enum status signin_check(const struct config *c, struct error *e) must_use;
/*
 * While files can be read and ports opened: secrets, people and the built-in provider's port.
 * p->config and url are there and outlive it. *out NULL: nobody signs in here.
 */
enum status signin_new(struct signin **out, const struct portal *p, struct error *e) must_use;
/* In the sandbox: threads. NULL is allowed. */
enum status signin_start(struct signin *s, const struct portal *p, struct error *e) must_use;
/* No handler runs any more. NULL is allowed. */
void signin_free(struct signin *s);

/*
 * Whom the header "Authorization: Bearer TOKEN" names. ST_NOT_FOUND: there is none;
 * ST_UNAUTHENTICATED: one that is not good; ST_UNAVAILABLE: the provider's keys cannot be had now.
 */
enum status signin_bearer(const struct request *q, struct session *who) must_use;

#endif
