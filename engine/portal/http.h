/*
 * http.h - libmicrohttpd: receives requests whole and bounded, hands them to the workers, sends the
 * answers with the headers that every page of ours has.
 */
#ifndef TRIEN_PORTAL_HTTP_H
#define TRIEN_PORTAL_HTTP_H

#include "portal/inside.h"

/*
 * A bound socket as a setting says ("portal_listen", "127.0.0.1:0"), its address as text
 * ("127.0.0.1:8480") and whether that is loopback. ST_INVALID, ST_UNAVAILABLE: the port cannot be
 * had.
 */
enum status http_listen(const char *setting, const char *where, int *fd, char at[64],
			bool *loopback, struct error *e) must_use;
/* Takes fd. Everything else of *p is there, workers too. */
enum status http_start(struct http **out, struct portal *p, int fd, struct error *e) must_use;
/* No new request; those under way get their answers, for as long as workers run. */
void http_quiesce(struct http *h);
/* The workers have ended. NULL is allowed. */
void http_stop(struct http *h);

#endif
