/*
 * childlink.h - the engine's end of a socket to a child process: messages both ways, each behind
 * its length (u32).
 *
 * A link outlives its sockets: the supervisor hands over another one for each new child, and an
 * operation on the one before comes back as of an earlier life. Spine thread.
 */
#ifndef TRIEN_SPINE_CHILDLINK_H
#define TRIEN_SPINE_CHILDLINK_H

#include "io/io.h"

struct child_calls {
	const char *name;		/* in error texts: "the signer" */
	/* One message, borrowed for this call. Not ST_OK: it cannot be trusted any more. */
	enum status (*message)(void *owner, struct slice bytes);
	/* The child is away, before its socket goes. why NULL: it was, or we stop. */
	void (*lost)(void *owner, const char *why);
	/* `out` is free again. */
	void (*sent)(void *owner);
};

struct child_link {
	int fd;				/* -1: away */
	bool ready;			/* the owner's: it has greeted */
	bool sending, receiving;
	uint32_t life, send_life, recv_life;	/* which child an operation belongs to */
	struct io_op send_op, recv_op;
	uint8_t *out, *in;		/* what is sent; messages as they come */
	size_t in_used, in_bytes, message_max;
	struct io *io;
	const struct child_calls *calls;
	void *owner;
};

/* in_bytes: at least 4 + message_max. */
enum status child_link_open(struct child_link *l, struct io *io, const struct child_calls *calls,
			    void *owner, size_t out_bytes, size_t in_bytes,
			    size_t message_max) must_use;
/* Runs its io until nothing of it is in flight. Also where it was never opened. */
void child_link_close(struct child_link *l);
/* A new child; begins to listen. */
void child_link_set(struct child_link *l, int fd);
/* Listens, where nothing listens yet. */
void child_link_receive(struct child_link *l);
/* It has greeted, and `out` is free. */
bool child_link_can_send(const struct child_link *l);
/* n bytes of `out`. */
void child_link_send(struct child_link *l, size_t n);

#endif
