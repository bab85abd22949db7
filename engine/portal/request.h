/*
 * request.h - one request as its handler sees it, and what it answers. On a worker's thread, for
 * as long as the handler runs; strings are the request's own. A handler answers once: it fills a
 * model and names a page. Nothing answered is an error of ours (500).
 */
#ifndef TRIEN_PORTAL_REQUEST_H
#define TRIEN_PORTAL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/status.h"
#include "portal/address.h"
#include "portal/form.h"
#include "portal/session.h"
#include "portal/words.h"

struct portal;				/* portal/inside.h */
struct worker;
struct route;
struct answer;

enum method { METHOD_NONE, METHOD_GET, METHOD_POST };	/* HEAD is a GET without its body */

struct request {
	const struct portal *portal;
	struct worker *worker;		/* what its thread alone has: store, engine */
	const struct route *route;
	enum method method;
	const char *path;		/* as in the URL, without the query */
	const char *asked;		/* the query as in the URL; NULL: none */
	const char *args[PORTAL_PARTS_MAX];	/* of the pattern's ":…", in their order */
	struct form query;		/* of the URL */
	struct form form;		/* of the body, where it is one */
	struct slice body;
	struct address address;		/* the client's, behind trusted proxies */
	enum language language;
	bool signed_in;
	struct session session;		/* if signed_in */
	int64_t now_ms;
	void *connection;		/* http.c's */
	struct answer *answer;
};

/* The path, if it leads to a page of ours and nowhere else; else "/". NULL is allowed. */
const char *own_path(const char *path);
/* NULL: it is not there. Names in any case. */
const char *request_header(const struct request *q, const char *name);
/* Whose measure counts: the citizen, who stays the same one by the next sign-in, or the address. */
struct slice request_asker(const struct request *q, uint8_t person[16]);
/* Is it answered in JSON, errors too? Else by pages. */
bool request_json(const struct request *q);
/* The value of a cookie, into out; false: none, or longer than size - 1. */
bool request_cookie(const struct request *q, const char *name, char *out, size_t size);

/* ---- answers; the last one counts ---- */

/*
 * pages/NAME.html with the model, which is taken. Every model has, beside its own: page, language
 * ("vi"), english or vietnamese (true), path (where it is found again, in another language),
 * signed_in, name, csrf, leader, hotline. status: 200 and the like.
 */
void answer_page(struct request *q, unsigned int status, const char *name, json_t *model);
/* The model itself; taken. */
void answer_json(struct request *q, unsigned int status, json_t *model);
/* 303: to a path of ours, or a URL that a handler made. */
void answer_redirect(struct request *q, const char *to);
/* bytes are malloc'd and taken; download: a file name, or NULL to show it. */
void answer_bytes(struct request *q, unsigned int status, const char *type, void *bytes, size_t n,
		  const char *download);
/* Bytes that outlive the process's requests: assets. May be kept by browsers. */
void answer_asset(struct request *q, const char *type, struct slice bytes);
/*
 * A stream of `size` bytes: fill(ctx, worker, offset, buf, *n) gives the next ones on a worker's
 * thread, at most *n of them; fewer only at the end. ended frees ctx on any thread.
 */
void answer_stream(struct request *q, const char *type, uint64_t size, const char *download,
		   enum status (*fill)(void *ctx, struct worker *w, uint64_t offset, uint8_t *buf,
				       size_t *n),
		   void (*ended)(void *ctx), void *ctx);
/*
 * error.html, or for routes with ROUTE_JSON {"error": {…}}: 400, 403, 404, 405, 413, 429, 500, 503.
 * A 404 is always the same.
 */
void answer_error(struct request *q, unsigned int status);
/* The same with what is wrong, for 400 and 409: a key, on a page of words/. */
void answer_wrong(struct request *q, unsigned int status, const char *key);
/* 429: too often, and when it may be again; key: as above, or NULL. */
void answer_later(struct request *q, uint32_t retry_ms, const char *key);
/* Beside the answer: "Set-Cookie" and the like. */
void answer_header(struct request *q, const char *name, const char *value);

#endif
