#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "remote/remote.h"
#include "spine/elsewhere.h"
#include "spine/spine.h"

#define OUT_BYTES (64 * 1024)			/* many requests */
#define IN_BYTES (64 * 1024)			/* many answers */

static void receive(struct spine *s);

static void lost(struct spine *s, const char *why)
{
	struct remote_link *l = &s->remote;

	if (l->fd >= 0) {
		log_warn("remote", "%s", why);
		shutdown(l->fd, SHUT_RDWR);
		/* Its number may be another's soon: nothing may look at it under that any more. */
		if (l->receiving)
			io_cancel(s->io, &l->recv_op);
		if (l->sending)
			io_cancel(s->io, &l->send_op);
		close(l->fd);
	}
	asking_lost(&s->elsewhere->asking);
	l->fd = -1;
	l->life++;
	l->ready = false;
	l->in_used = 0;
}

static void greeting_take(struct spine *s, const struct remote_answer *a)
{
	if (a->status == REMOTE_SIGNED) {
		s->remote.ready = true;
		log_info("remote", "ready");
	} else {
		log_error("remote", "refused to start: %.*s", (int)a->bytes.n,
			  (const char *)a->bytes.p);
	}
}

static enum status answers_take(struct spine *s)
{
	struct remote_link *l = &s->remote;
	size_t at = 0;
	enum status st = ST_OK;

	while (st == ST_OK && l->in_used - at >= 4) {
		struct reader r = reader_of(slice_of(l->in + at, 4));
		uint32_t n = read_u32(&r);
		struct remote_answer a;

		if (n > REMOTE_ANSWER_BYTES_MAX)
			return ST_CORRUPT;
		if (l->in_used - at - 4 < n)
			break;
		st = remote_decode_answer(&a, slice_of(l->in + at + 4, n));
		if (st == ST_OK && a.tag == 0)
			greeting_take(s, &a);
		else if (st == ST_OK)
			st = elsewhere_answer(s, &a);
		at += 4 + n;
	}
	memmove(l->in, l->in + at, l->in_used - at);
	l->in_used -= at;
	return st;
}

static void received(struct io_op *op)
{
	struct spine *s = op->owner;
	struct remote_link *l = &s->remote;

	l->receiving = false;
	if (l->recv_life != l->life) {
		receive(s);
		return;
	}
	if (op->result <= 0) {
		lost(s, "the remote signer closed its socket");
		return;
	}
	l->in_used += (size_t)op->result;
	if (answers_take(s) != ST_OK) {
		lost(s, "the remote signer answered what was not asked");
		return;
	}
	receive(s);
}

static void receive(struct spine *s)
{
	struct remote_link *l = &s->remote;

	if (l->fd < 0 || l->receiving)
		return;
	l->receiving = true;
	l->recv_life = l->life;
	l->recv_op = (struct io_op){ .done = received, .owner = s };
	io_recv(s->io, &l->recv_op, l->fd, l->in + l->in_used, IN_BYTES - l->in_used);
}

static void sent(struct io_op *op)
{
	struct spine *s = op->owner;

	s->remote.sending = false;
	if (op->result < 0 && s->remote.send_life == s->remote.life) {
		lost(s, "sending to the remote signer failed");
		return;
	}
	remote_send(s);
}

static bool request_put(struct writer *w, const struct asked *k)
{
	struct remote_request r = { .verb = REMOTE_VERB_SIGN, .tag = k->tag,
				    .deadline_ms = k->until_ms == INT64_MAX ? 0 : k->until_ms,
				    .key = slice_str(k->key), .unit = slice_str(k->unit),
				    .kind = slice_str(k->kind), .name = slice_str(k->name),
				    .ticket = slice_of(k->ticket, k->ticket_n) };
	struct writer before = *w;

	memcpy(r.digest, k->digest, sizeof(r.digest));
	if (remote_encode(w, &r) == ST_OK)
		return true;
	*w = before;
	return false;
}

void remote_send(struct spine *s)
{
	struct remote_link *l = &s->remote;
	struct asking *a = &s->elsewhere->asking;
	struct writer w = writer_of(l->out, OUT_BYTES);
	int64_t now_ms = (int64_t)(io_boot_ns() / 1000000);
	struct asked *k;

	if (!l->ready || l->sending || l->fd < 0)
		return;
	while ((k = asking_next(a, now_ms)) != NULL && request_put(&w, k))
		asking_sent(a, k);
	if (writer_size(&w) == 0)
		return;
	l->sending = true;
	l->send_life = l->life;
	l->send_op = (struct io_op){ .done = sent, .owner = s };
	io_send(s->io, &l->send_op, l->fd, l->out, writer_size(&w));
}

void remote_linked(struct spine *s, int fd)
{
	lost(s, "replaced by the supervisor");
	s->remote.fd = fd;
	s->remote.known = true;
	receive(s);
}

bool remote_is_well(const struct spine *s)
{
	return s->remote.ready || !s->remote.known;
}

enum status remote_link_start(struct spine *s)
{
	s->remote.out = malloc(OUT_BYTES);
	s->remote.in = malloc(IN_BYTES);
	return s->remote.out != NULL && s->remote.in != NULL ? ST_OK : ST_NOMEM;
}

void remote_link_stop(struct spine *s)
{
	if (s->remote.fd >= 0)
		close(s->remote.fd);
	s->remote.fd = -1;
	free(s->remote.out);
	free(s->remote.in);
}
