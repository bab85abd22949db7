/*
 * devprovider.h - a built-in OpenID provider for demo and tests: it asks nobody for a password and
 * lets everybody be anybody of a list of invented people. On a loopback address only, and its page
 * says what it is. Its key is made at start and dies with the process.
 *
 * The list is JSON: {"people": [{"name": …, "about": …, "claims": {…}}]}; the claims go into the ID
 * token as they are, beside what every token has. `login_hint` with a person's place in the list
 * (0 is the first) chooses without asking.
 */
#ifndef TRIEN_PORTAL_DEVPROVIDER_H
#define TRIEN_PORTAL_DEVPROVIDER_H

#include "base/status.h"
#include "portal/page.h"

#define DEV_PEOPLE_MAX 64

struct devprovider;

/* ST_INVALID: not HOST:PORT, or not a loopback address. */
enum status dev_listen_check(const char *listen, struct error *e) must_use;
/* ST_INVALID, ST_NOT_FOUND: no file of people. */
enum status dev_people_check(const char *people, struct error *e) must_use;
/*
 * Reads the people and takes the port (0: any). client, redirect: of the only client that it knows;
 * redirect is borrowed. ST_INVALID, ST_NOT_FOUND, ST_UNAVAILABLE.
 */
enum status dev_new(struct devprovider **out, const char *listen, const char *people,
		    const char *client, const char *redirect, struct error *e) must_use;
/* "http://127.0.0.1:PORT"; lent. */
const char *dev_issuer(const struct devprovider *d);
/* A thread of its own answers; pages are borrowed. */
enum status dev_start(struct devprovider *d, const struct pages *pages, struct error *e) must_use;
/* NULL is allowed. */
void dev_free(struct devprovider *d);

#endif
