/*
 * portal.h - `trien portal`: web pages for citizens and for whoever verifies a result. A process of
 * its own, same program; it reads the stores and never writes them: shares, their use and recorded
 * reads go to the engine (DESIGN 3).
 *
 *	libmicrohttpd's thread	receives a request whole, in bounds of bytes and time; sends answers
 *	workers			one request each: read the store, ask the engine, make a page
 *	the watch		ends connections that are too slow
 *	the first thread	reads files again that have changed (edition.h); signals
 *
 * A slow client holds a connection, never a worker.
 */
#ifndef TRIEN_PORTAL_H
#define TRIEN_PORTAL_H

#include "config.h"

/* What only the portal can tell of its settings and files. ST_INVALID, ST_NOT_FOUND, ST_IO. */
enum status portal_check(const struct config *c, struct error *e) must_use;
/* Until SIGTERM or SIGINT: the process's exit code. */
int portal_run(const struct config *c);

#endif
