/*
 * secure.h - TLS over bytes that somebody else carries: mutual, version 1.3. One thread.
 *
 * What came from the peer is put in, what is to go to it is taken out; nothing here reads or
 * writes a socket, so all of it goes through the ring.
 */
#ifndef TRIEN_MIRROR_SECURE_H
#define TRIEN_MIRROR_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"

struct secure_context;
struct secure;

/* PEM files. The CA is the pair's own: whoever has a certificate of it is believed. */
struct secure_files { const char *cert, *key, *ca; };

enum status secure_context_new(struct secure_context **out, const struct secure_files *files,
			       bool server, struct error *e) must_use;
void secure_context_free(struct secure_context *c);

/* host: client: the name or address that the peer's certificate must bear. */
enum status secure_new(struct secure **out, struct secure_context *c, const char *host) must_use;
void secure_free(struct secure *s);

/* Bytes that came from the peer. */
enum status secure_put(struct secure *s, struct slice bytes) must_use;
/* Bytes to go to the peer: how many of at most n. */
size_t secure_take(struct secure *s, uint8_t *buf, size_t n);
/* ST_OK: done; ST_AGAIN: the peer has to answer first; ST_DENIED: *e says why. */
enum status secure_handshake(struct secure *s, struct error *e) must_use;
/* After the handshake. */
enum status secure_write(struct secure *s, struct slice bytes) must_use;
/* Bytes read, 0: none yet; -1: the stream is broken or at its end. */
ssize_t secure_read(struct secure *s, uint8_t *buf, size_t n);

#endif
