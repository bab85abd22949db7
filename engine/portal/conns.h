/*
 * conns.h - connections by whose they are (address_asker()), and the watch that ends those which
 * are too slow. libmicrohttpd's own timeout begins anew with each byte; here a whole step has its
 * time. All calls but conns_new() and conns_free() are of libmicrohttpd's thread.
 */
#ifndef TRIEN_PORTAL_CONNS_H
#define TRIEN_PORTAL_CONNS_H

#include "portal/address.h"

struct conns;
struct conn;

/* most: of one asker that is no proxy. Starts the watch. */
enum status conns_new(struct conns **out, uint32_t most, const struct proxies *proxies,
		      struct error *e) must_use;
void conns_free(struct conns *c);

/* May one more come from this address? */
bool conns_room(struct conns *c, const struct address *a);
/* NULL: memory is spent. The descriptor stays the caller's, open until conn_ended(). */
struct conn *conn_begun(struct conns *c, const struct address *a, int fd);
void conn_ended(struct conns *c, struct conn *one);
const struct address *conn_address(const struct conn *one);

/* The next step must be done in so long, else the connection is ended. 0: it may take any time. */
void conn_within(struct conns *c, struct conn *one, int64_t ms);

#endif
