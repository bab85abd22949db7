#include "spine/childlink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

#define CLOSE_TURNS 50
#define CLOSE_TURN_MS 20

enum status child_link_open(struct child_link *l, struct io *io, const struct child_calls *calls,
			    void *owner, size_t out_bytes, size_t in_bytes, size_t message_max)
{
	l->fd = -1;
	l->io = io;
	l->calls = calls;
	l->owner = owner;
	l->out = malloc(out_bytes);
	l->in = malloc(in_bytes);
	l->in_bytes = in_bytes;
	l->message_max = message_max;
	return l->out != NULL && l->in != NULL ? ST_OK : ST_NOMEM;
}

static void lost(struct child_link *l, const char *why)
{
	l->calls->lost(l->owner, l->fd >= 0 ? why : NULL);
	if (l->fd >= 0) {
		shutdown(l->fd, SHUT_RDWR);
		/* Its number may be another's soon: nothing may look at it under that any more. */
		if (l->receiving)
			io_cancel(l->io, &l->recv_op);
		if (l->sending)
			io_cancel(l->io, &l->send_op);
		close(l->fd);
	}
	l->fd = -1;
	l->life++;
	l->ready = false;
	l->in_used = 0;
}

void child_link_close(struct child_link *l)
{
	if (l->io == NULL)
		return;
	lost(l, NULL);
	/* The kernel may still write into the buffers. */
	for (int i = 0; i < CLOSE_TURNS && (l->receiving || l->sending); i++)
		io_run(l->io, CLOSE_TURN_MS);
	if (l->receiving || l->sending)
		return;
	free(l->out);
	free(l->in);
}

static void lost_by(struct child_link *l, const char *what)
{
	char why[96];

	snprintf(why, sizeof(why), "%s %s", l->calls->name, what);
	lost(l, why);
}

void child_link_set(struct child_link *l, int fd)
{
	lost(l, "replaced by the supervisor");
	l->fd = fd;
	child_link_receive(l);
}

static enum status messages_take(struct child_link *l)
{
	size_t at = 0;
	enum status st = ST_OK;

	while (st == ST_OK && l->in_used - at >= 4) {
		struct reader r = reader_of(slice_of(l->in + at, 4));
		uint32_t n = read_u32(&r);

		if (n > l->message_max)
			return ST_CORRUPT;
		if (l->in_used - at - 4 < n)
			break;
		st = l->calls->message(l->owner, slice_of(l->in + at + 4, n));
		at += 4 + n;
	}
	memmove(l->in, l->in + at, l->in_used - at);
	l->in_used -= at;
	return st;
}

static void received(struct io_op *op)
{
	struct child_link *l = op->owner;

	l->receiving = false;
	if (l->recv_life != l->life) {
		child_link_receive(l);
		return;
	}
	if (op->result <= 0) {
		lost_by(l, "closed its socket");
		return;
	}
	l->in_used += (size_t)op->result;
	if (messages_take(l) != ST_OK) {
		lost_by(l, "answered what was not asked");
		return;
	}
	child_link_receive(l);
}

void child_link_receive(struct child_link *l)
{
	if (l->fd < 0 || l->receiving)
		return;
	l->receiving = true;
	l->recv_life = l->life;
	l->recv_op = (struct io_op){ .done = received, .owner = l };
	io_recv(l->io, &l->recv_op, l->fd, l->in + l->in_used, l->in_bytes - l->in_used);
}

bool child_link_can_send(const struct child_link *l)
{
	return l->ready && !l->sending && l->fd >= 0;
}

static void sent(struct io_op *op)
{
	struct child_link *l = op->owner;

	l->sending = false;
	if (op->result < 0 && l->send_life == l->life) {
		lost_by(l, "cannot be sent to");
		return;
	}
	l->calls->sent(l->owner);
}

void child_link_send(struct child_link *l, size_t n)
{
	l->sending = true;
	l->send_life = l->life;
	l->send_op = (struct io_op){ .done = sent, .owner = l };
	io_send(l->io, &l->send_op, l->fd, l->out, n);
}
