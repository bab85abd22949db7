/*
 * exchange.h - one request under way, between http.c (which receives) and send.c (which answers).
 */
#ifndef TRIEN_PORTAL_EXCHANGE_H
#define TRIEN_PORTAL_EXCHANGE_H

#include <microhttpd.h>

#include "portal/answer.h"
#include "portal/conns.h"
#include "portal/inside.h"

struct http {
	struct portal *portal;
	struct MHD_Daemon *daemon;
	struct conns *conns;
	uint64_t bodies_bytes;		/* of all exchanges */
};

struct exchange {
	struct job job;
	struct request q;
	struct answer a;
	struct http *http;
	struct MHD_Connection *connection;
	struct conn *conn;
	char *target;			/* as it came; cut at the query */
	char *pieces;			/* the path again, for route_find() */
	uint8_t *body;
	size_t body_n, body_room, body_max;
	unsigned int refused;		/* while the body came: the status */
	bool begun, answered;
};

/* Queues the answer with libmicrohttpd; its own thread. */
enum MHD_Result exchange_send(struct exchange *x);

#endif
