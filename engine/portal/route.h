/*
 * route.h - which handler answers what.
 *
 * A group of pages is a file of its own with a table, and a line in routes.c:
 *
 *	const struct route mine_routes[] = {
 *		{ METHOD_GET, "/results", results_show, WHO_CITIZEN, LIMIT_PAGE, 0 },
 *		{ METHOD_GET, "/results/:id", result_show, WHO_CITIZEN, LIMIT_PAGE, 0 },
 *		{ 0 }
 *	};
 *
 * Its page is pages/NAME.html, its texts are keys of words/vi.json and words/en.json; both are
 * built in by being there. A handler runs on a worker's thread and may block: on the store and for
 * PORTAL_ENGINE_S_MAX on others; what asks others has ROUTE_SLOW, so that some workers are left for
 * reading while they are away.
 *
 * Before a handler runs it is seen to: limits of bytes, time and rate; who may (a citizen's page
 * sends everybody else to sign in); that a POST comes from our own page (Sec-Fetch-Site, Origin,
 * and the session's token in the field `csrf`, where one is signed in).
 */
#ifndef TRIEN_PORTAL_ROUTE_H
#define TRIEN_PORTAL_ROUTE_H

#include "portal/limit.h"
#include "portal/request.h"

enum who { WHO_ANYBODY, WHO_CITIZEN, WHO_LEADER };

#define ROUTE_SLOW 1u		/* asks the engine, a provider, or takes long */
#define ROUTE_FILE 2u		/* its form has a file: up to portal_upload_mb_max */
#define ROUTE_JSON 4u		/* errors are JSON; who may is the handler's own affair, and the
				 * token in the form is not asked for: a bearer token may stand
				 * instead of the cookie. What a POST says is no form, so that
				 * pages of others cannot send it (api.c) */

struct route {
	enum method method;
	const char *pattern;	/* ":x" stands for one piece, which is not empty */
	void (*handle)(struct request *q);
	enum who who;
	enum limit_class limit;
	unsigned int flags;
};

/* routes.c: all tables, each to its row without pattern; the list ends with NULL. */
extern const struct route *const route_groups[];

/*
 * path: as in the URL; it is cut into pieces, decoded one by one, which args borrow. Returns the
 * route; NULL: none, and *allowed tells for which methods the path is there (bits 1 << method).
 */
const struct route *route_find(const struct route *const *groups, enum method method, char *path,
			       const char *args[PORTAL_PARTS_MAX], unsigned int *allowed);

#endif
