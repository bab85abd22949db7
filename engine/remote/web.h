/*
 * web.h - HTTPS calls, many at once, on one thread (libcurl's multi interface).
 *
 * HTTP/1.1, TLS 1.2 or later, the service's certificate checked against its CA; no redirect is
 * followed, no proxy of the environment used. Nothing of a request or an answer is logged.
 */
#ifndef TRIEN_REMOTE_WEB_H
#define TRIEN_REMOTE_WEB_H

#include <stdint.h>

#include "remote/desk.h"

struct web;

/* done() runs from within web_wait(); it may start further calls. */
enum status web_new(struct web **out, void (*done)(void *ctx, void *call,
						   const struct web_result *r),
		    void *ctx, struct error *e) must_use;
/* Calls that still run are dropped without done(). */
void web_free(struct web *w);
/* Everything is copied, except the service, which must outlive the call. */
enum status web_send(struct web *w, void *call, const struct service *s,
		     const struct api_request *r, const char *bearer) must_use;
/* Works on the calls until fd can be read, one of them moved, or the time is over. */
enum status web_wait(struct web *w, int fd, int timeout_ms) must_use;

#endif
