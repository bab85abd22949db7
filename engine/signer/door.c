#include "signer/door.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

void door_init(struct door *d, int socket)
{
	d->socket = socket;
	pthread_mutex_init(&d->sending, NULL);
}

void door_free(struct door *d)
{
	pthread_mutex_destroy(&d->sending);
}

/* The other end may have made the pair non-blocking: the flag is the description's. */
static bool wait_for(int fd, short what)
{
	struct pollfd f = { .fd = fd, .events = what };
	int rc;

	do
		rc = poll(&f, 1, -1);
	while (rc < 0 && errno == EINTR);
	return rc > 0;
}

/* ST_NOT_FOUND: the other end closed between messages. */
static enum status receive(int fd, void *buf, size_t n, bool at_start)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = recv(fd, (uint8_t *)buf + done, n - done, 0);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			return done == 0 && at_start ? ST_NOT_FOUND : ST_CORRUPT;
		else if (errno != EINTR && !(errno == EAGAIN && wait_for(fd, POLLIN)))
			return errno == ECONNRESET && at_start ? ST_NOT_FOUND : ST_IO;
	}
	return ST_OK;
}

enum status door_receive(struct door *d, uint8_t *buf, size_t size, size_t *n)
{
	uint8_t head[4];
	struct reader length;
	enum status st = receive(d->socket, head, sizeof(head), true);

	if (st != ST_OK)
		return st;
	length = reader_of(slice_of(head, sizeof(head)));
	*n = read_u32(&length);
	return *n > size ? ST_CORRUPT : receive(d->socket, buf, *n, false);
}

static void transmit(struct door *d, const void *buf, size_t n)
{
	size_t done = 0;

	pthread_mutex_lock(&d->sending);
	while (done < n) {
		ssize_t put = send(d->socket, (const uint8_t *)buf + done, n - done, MSG_NOSIGNAL);

		if (put > 0)
			done += (size_t)put;
		else if (errno != EINTR && !(errno == EAGAIN && wait_for(d->socket, POLLOUT)))
			break;		/* the engine is gone; the reader sees it too */
	}
	pthread_mutex_unlock(&d->sending);
}

void door_reply(struct writer *w, void *buf, size_t n, uint64_t tag, uint32_t total)
{
	*w = writer_of(buf, n);
	write_u32(w, 0);
	write_u64(w, tag);
	write_u16(w, (uint16_t)total);
}

void door_send(struct door *d, struct writer *w)
{
	struct writer length = writer_of(w->start, 4);

	write_u32(&length, (uint32_t)(writer_size(w) - 4));
	transmit(d, w->start, writer_size(w));
}

void door_say(struct door *d, enum sign_answer answer, const char *text)
{
	uint8_t buf[DOOR_HEAD_BYTES + 3 + SIGNATURE_BYTES_MAX];
	struct writer w;
	size_t n = strlen(text) < SIGNATURE_BYTES_MAX ? strlen(text) : SIGNATURE_BYTES_MAX;

	door_reply(&w, buf, sizeof(buf), 0, 1);
	write_u8(&w, (uint8_t)answer);
	write_u16(&w, (uint16_t)n);
	write_bytes(&w, text, n);
	door_send(d, &w);
}
