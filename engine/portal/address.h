/*
 * address.h - addresses of peers and clients: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
 */
#ifndef TRIEN_PORTAL_ADDRESS_H
#define TRIEN_PORTAL_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/status.h"

#define PROXIES_MAX 16
#define ADDRESS_TEXT_BYTES 46

struct address { uint8_t b[16]; };

struct proxies {
	struct address of[PROXIES_MAX];
	uint32_t n;
};

/* A number, not a name. */
bool address_read(struct address *a, const char *text, size_t n);
struct address address_of(const struct sockaddr *s);
void address_text(const struct address *a, char out[ADDRESS_TEXT_BYTES]);
static inline bool address_eq(const struct address *a, const struct address *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
bool address_is_loopback(const struct address *a);
/* What one asker has at least: an IPv4 address, an IPv6 network of 64 bits. */
struct slice address_asker(const struct address *a);

/* "127.0.0.1,::1". ST_INVALID. */
enum status proxies_read(struct proxies *p, const char *list, struct error *e) must_use;
bool proxies_have(const struct proxies *p, const struct address *a);
/*
 * Who it was behind the proxies, by the X-Forwarded-For headers joined with ",": the last address
 * that is no proxy of ours. Without one, or where it cannot be read, the peer itself.
 */
struct address proxies_client(const struct proxies *p, const struct address *peer,
			      const char *forwarded);

/* "HOST:PORT", the host a number, IPv6 in []: a socket's address. ST_INVALID. */
enum status listen_read(const char *text, struct sockaddr_storage *out, socklen_t *n,
			struct error *e) must_use;

#endif
