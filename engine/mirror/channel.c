#include "mirror/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/io.h"

#define OUT_BYTES (4u * 1024 * 1024)
#define RAW_BYTES (64u * 1024)
#define SLACK_BYTES (16u * 1024)	/* what TLS adds to the largest message, and a handshake */
#define IN_BYTES (CHANNEL_MESSAGE_BYTES_MAX + 4 + 2 * RAW_BYTES)
#define HEAD_BYTES 5u

struct channel {
	struct io *io;
	int fd;				/* -1: closed */
	struct secure *secure;
	bool ready, sending, receiving;
	struct io_op send_op, recv_op;
	uint8_t *out, *flight;		/* being filled; being sent */
	size_t out_n, flight_n;
	uint8_t *raw, *in;		/* as received; in the clear: [in_at … in_n) is unread */
	size_t in_at, in_n;
	struct error failure;
};

static void receive(struct channel *c);
static void send_next(struct channel *c);

static void fail(struct channel *c, const char *what, int err)
{
	if (c->failure.status == ST_OK)
		error_set(&c->failure, ST_UNAVAILABLE, "%s: %s", what,
			  err != 0 ? strerrordesc_np(err) : "the peer closed the connection");
}

/* What TLS has to say goes out. */
static void encrypted_take(struct channel *c)
{
	if (c->secure != NULL)
		c->out_n += secure_take(c->secure, c->out + c->out_n, OUT_BYTES - c->out_n);
}

static void send_done(struct io_op *op)
{
	struct channel *c = op->owner;

	c->sending = false;
	if (op->result != (int64_t)c->flight_n)
		fail(c, "send", op->result < 0 ? (int)-op->result : 0);
	else
		send_next(c);
}

static void send_next(struct channel *c)
{
	uint8_t *full = c->out;

	encrypted_take(c);
	if (c->sending || c->out_n == 0 || c->fd < 0 || c->failure.status != ST_OK)
		return;
	c->out = c->flight;
	c->flight = full;
	c->flight_n = c->out_n;
	c->out_n = 0;
	c->sending = true;
	c->send_op = (struct io_op){ .done = send_done, .owner = c };
	io_send(c->io, &c->send_op, c->fd, c->flight, c->flight_n);
}

static enum status clear_take(struct channel *c, size_t n)
{
	ssize_t got;

	if (c->secure == NULL) {
		memcpy(c->in + c->in_n, c->raw, n);
		c->in_n += n;
		return ST_OK;
	}
	if (secure_put(c->secure, slice_of(c->raw, n)) != ST_OK)
		return ST_NOMEM;
	if (!c->ready) {
		enum status st = secure_handshake(c->secure, &c->failure);

		send_next(c);
		if (st != ST_OK)
			return st == ST_AGAIN ? ST_OK : st;
		c->ready = true;
	}
	while ((got = secure_read(c->secure, c->in + c->in_n, IN_BYTES - c->in_n)) > 0)
		c->in_n += (size_t)got;
	send_next(c);
	return got == 0 ? ST_OK : ST_IO;
}

static void recv_done(struct io_op *op)
{
	struct channel *c = op->owner;

	c->receiving = false;
	if (op->result <= 0)
		fail(c, "receive", (int)-op->result);
	else if (clear_take(c, (size_t)op->result) != ST_OK)
		fail(c, "TLS", EPROTO);
	receive(c);
}

/* As far as there is room for what it may bring. */
static void receive(struct channel *c)
{
	if (c->in_at > 0 && IN_BYTES - c->in_n < RAW_BYTES + SLACK_BYTES) {
		memmove(c->in, c->in + c->in_at, c->in_n - c->in_at);
		c->in_n -= c->in_at;
		c->in_at = 0;
	}
	if (c->receiving || c->fd < 0 || c->failure.status != ST_OK ||
	    IN_BYTES - c->in_n < RAW_BYTES + SLACK_BYTES)
		return;
	c->receiving = true;
	c->recv_op = (struct io_op){ .done = recv_done, .owner = c };
	io_recv(c->io, &c->recv_op, c->fd, c->raw, RAW_BYTES);
}

enum status channel_new(struct channel **out, struct io *io, int fd, struct secure *secure)
{
	struct channel *c = calloc(1, sizeof(*c));
	const int on = 1;

	if (c == NULL)
		return ST_NOMEM;
	*c = (struct channel){ .io = io, .fd = fd, .secure = secure, .ready = secure == NULL,
			       .out = malloc(OUT_BYTES), .flight = malloc(OUT_BYTES),
			       .raw = malloc(RAW_BYTES), .in = malloc(IN_BYTES) };
	if (c->out == NULL || c->flight == NULL || c->raw == NULL || c->in == NULL) {
		c->fd = -1;
		c->secure = NULL;
		channel_free(c);
		return ST_NOMEM;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (secure != NULL && secure_handshake(secure, &c->failure) == ST_OK)
		c->ready = true;
	send_next(c);
	receive(c);
	*out = c;
	return ST_OK;
}

void channel_close(struct channel *c)
{
	if (c == NULL || c->fd < 0)
		return;
	fail(c, "closed", ECONNABORTED);
	shutdown(c->fd, SHUT_RDWR);
	/* Its number may be another's soon: nothing may look at it under that any more. */
	if (c->receiving)
		io_cancel(c->io, &c->recv_op);
	if (c->sending)
		io_cancel(c->io, &c->send_op);
	close(c->fd);
	c->fd = -1;
}

bool channel_idle(const struct channel *c)
{
	return !c->sending && !c->receiving;
}

void channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	secure_free(c->secure);
	free(c->out);
	free(c->flight);
	free(c->raw);
	free(c->in);
	free(c);
}

enum status channel_state(struct channel *c, struct error *e)
{
	if (c->failure.status != ST_OK) {
		*e = c->failure;
		return c->failure.status;
	}
	return c->ready ? ST_OK : ST_AGAIN;
}

enum status channel_put(struct channel *c, enum message type, const struct slice *parts,
			size_t parts_n)
{
	uint8_t head[HEAD_BYTES];
	struct writer w = writer_of(head, sizeof(head));
	size_t n = 1;
	enum status st = ST_OK;

	for (size_t i = 0; i < parts_n; i++)
		n += parts[i].n;
	if (c->failure.status != ST_OK || !c->ready)
		return ST_UNAVAILABLE;
	if (n > CHANNEL_MESSAGE_BYTES_MAX)
		return ST_TOO_LARGE;
	if (c->out_n + n + HEAD_BYTES + SLACK_BYTES > OUT_BYTES)
		return ST_FULL;
	write_u32(&w, (uint32_t)n);
	write_u8(&w, (uint8_t)type);
	if (c->secure == NULL) {
		memcpy(c->out + c->out_n, head, sizeof(head));
		c->out_n += sizeof(head);
	} else {
		st = secure_write(c->secure, slice_of(head, sizeof(head)));
	}
	for (size_t i = 0; i < parts_n && st == ST_OK; i++) {
		if (parts[i].n > 0 && c->secure != NULL)
			st = secure_write(c->secure, parts[i]);
		else if (parts[i].n > 0)
			memcpy(c->out + c->out_n, parts[i].p, parts[i].n);
		c->out_n += c->secure == NULL ? parts[i].n : 0;
	}
	if (st != ST_OK)
		fail(c, "TLS", EPROTO);
	send_next(c);
	return st;
}

bool channel_first(struct channel *c, uint8_t *type, struct slice *payload)
{
	struct reader r = reader_of(slice_of(c->in + c->in_at, c->in_n - c->in_at));
	uint32_t n = read_u32(&r);

	if (!r.bad && (n < 1 || n > CHANNEL_MESSAGE_BYTES_MAX))
		fail(c, "message", EBADMSG);
	if (r.bad || reader_left(&r) < n || c->failure.status != ST_OK) {
		receive(c);
		return false;
	}
	*type = read_u8(&r);
	*payload = read_bytes(&r, n - 1);
	return true;
}

void channel_taken(struct channel *c)
{
	struct reader r = reader_of(slice_of(c->in + c->in_at, c->in_n - c->in_at));

	c->in_at += 4 + read_u32(&r);
}

enum status channel_address(const char *text, struct sockaddr_storage *out, socklen_t *n,
			    char host[64], bool *loopback, struct error *e)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	char *end = NULL;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 65536;
	size_t host_n = colon != NULL ? (size_t)(colon - text) : 0;

	*out = (struct sockaddr_storage){ 0 };
	if (colon == NULL || end == colon + 1 || *end != '\0' || port > 65535 || host_n > 63)
		return error_set(e, ST_INVALID, "%s: HOST:PORT is needed", text);
	if (host_n > 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		host_n -= 2;
	}
	snprintf(host, 64, "%.*s", (int)host_n, text);
	if (strcmp(host, "localhost") == 0)
		snprintf(host, 64, "127.0.0.1");
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*n = sizeof(*v4);
		*loopback = ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
		return ST_OK;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*n = sizeof(*v6);
		*loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
		return ST_OK;
	}
	return error_set(e, ST_INVALID, "%s: a numeric address is needed; looking up names would "
			 "stop the engine's one thread", host);
}
