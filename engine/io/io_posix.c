#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/backend.h"

#define MS_NS 1000000u

enum wait_kind { WAIT_POLL, WAIT_RECV, WAIT_SEND, WAIT_TIMER };

struct waiter {
	struct io_op *op;
	enum wait_kind kind;
	int fd;
	short events;
	uint8_t *buf;
	size_t n, done;
	uint64_t due_ns;	/* timers, CLOCK_BOOTTIME */
};

struct posix {
	struct io io;
	uint32_t waiters_n;
	struct waiter *waiters;		/* io.entries each */
	struct pollfd *fds;
};

static struct waiter *waiter_add(struct posix *p, struct io_op *op, enum wait_kind kind, int fd,
				 short events)
{
	struct waiter *w = &p->waiters[p->waiters_n++];

	assert(p->waiters_n <= p->io.entries);
	*w = (struct waiter){ .op = op, .kind = kind, .fd = fd, .events = events };
	return w;
}

static void waiter_end(struct posix *p, uint32_t i, int64_t result)
{
	done_add(&p->io, p->waiters[i].op, result);
	p->waiters[i] = p->waiters[--p->waiters_n];
}

static ssize_t write_once(int fd, const void *buf, size_t n, uint64_t offset)
{
	struct iovec iov = { (void *)buf, n };
	ssize_t rc;

	do
		rc = pwritev2(fd, &iov, 1, (off_t)offset, RWF_DSYNC);
	while (rc < 0 && errno == EINTR);
	if (rc >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
		return rc < 0 ? -errno : rc;
	do
		rc = pwrite(fd, buf, n, (off_t)offset);
	while (rc < 0 && errno == EINTR);
	if (rc < 0 || fdatasync(fd) != 0)
		return -errno;
	return rc;
}

static void posix_write(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
			uint64_t offset)
{
	ssize_t rc = write_once(fd, buf, n, offset);

	done_add(io, op, rc >= 0 && (size_t)rc != n ? -EIO : rc);
}

static void posix_poll(struct io *io, struct io_op *op, int fd, short events)
{
	waiter_add((struct posix *)io, op, WAIT_POLL, fd, events);
}

static void posix_recv(struct io *io, struct io_op *op, int fd, void *buf, size_t n)
{
	struct waiter *w = waiter_add((struct posix *)io, op, WAIT_RECV, fd, POLLIN);

	w->buf = buf;
	w->n = n;
}

static void posix_send(struct io *io, struct io_op *op, int fd, const void *buf, size_t n)
{
	struct waiter *w = waiter_add((struct posix *)io, op, WAIT_SEND, fd, POLLOUT);

	w->buf = (uint8_t *)buf;
	w->n = n;
}

static void posix_timer(struct io *io, struct io_op *op, uint32_t ms)
{
	struct waiter *w = waiter_add((struct posix *)io, op, WAIT_TIMER, -1, 0);

	w->due_ns = io_boot_ns() + (uint64_t)ms * MS_NS;
}

static void posix_cancel(struct io *io, struct io_op *op)
{
	struct posix *p = (struct posix *)io;

	for (uint32_t i = 0; i < p->waiters_n; i++) {
		if (p->waiters[i].op == op) {
			waiter_end(p, i, -ECANCELED);
			return;
		}
	}
}

/* true: the transfer ended, *result says how. */
static bool transfer(struct waiter *w, int64_t *result)
{
	ssize_t rc;

	if (w->kind == WAIT_RECV)
		rc = recv(w->fd, w->buf, w->n, MSG_DONTWAIT);
	else
		rc = send(w->fd, w->buf + w->done, w->n - w->done, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (rc < 0) {
		*result = -errno;
		return errno != EAGAIN && errno != EINTR;
	}
	w->done += (size_t)rc;
	*result = (int64_t)w->done;
	return w->kind == WAIT_RECV || w->done == w->n;
}

/* Milliseconds to sleep: until the next timer, wait_ms, or not at all when something is due. */
static int sleep_ms(const struct posix *p, uint32_t wait_ms)
{
	uint64_t now = io_boot_ns(), ms = wait_ms;

	if (p->io.due.first != NULL)
		return 0;
	for (uint32_t i = 0; i < p->waiters_n; i++) {
		const struct waiter *w = &p->waiters[i];
		uint64_t left;

		if (w->kind != WAIT_TIMER)
			continue;
		left = w->due_ns > now ? (w->due_ns - now + MS_NS - 1) / MS_NS : 0;
		if (left < ms)
			ms = left;
	}
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void posix_run(struct io *io, uint32_t wait_ms)
{
	struct posix *p = (struct posix *)io;
	uint64_t now;
	int rc;

	for (uint32_t i = 0; i < p->waiters_n; i++)	/* a timer's fd -1 is skipped by poll */
		p->fds[i] = (struct pollfd){ p->waiters[i].fd, p->waiters[i].events, 0 };
	rc = poll(p->fds, p->waiters_n, sleep_ms(p, wait_ms));
	assert(rc >= 0 || errno == EINTR || errno == ENOMEM || errno == EAGAIN);
	now = io_boot_ns();
	/* Backwards: an ended waiter's place is taken by the last, already looked at. */
	for (uint32_t i = p->waiters_n; i-- > 0;) {
		struct waiter *w = &p->waiters[i];
		int64_t result = p->fds[i].revents;

		if (w->kind == WAIT_TIMER) {
			if (w->due_ns <= now)
				waiter_end(p, i, 0);
		} else if (rc > 0 && result != 0) {
			if (w->kind == WAIT_POLL || transfer(w, &result))
				waiter_end(p, i, result);
		}
	}
	done_run(io);
}

static void posix_free(struct io *io)
{
	struct posix *p = (struct posix *)io;

	free(p->waiters);
	free(p->fds);
	free(p);
}

static const struct io_backend posix_backend = {
	.name = "posix", .write_durable = posix_write, .poll = posix_poll, .recv = posix_recv,
	.send = posix_send, .timer = posix_timer, .cancel = posix_cancel, .run = posix_run,
	.free = posix_free,
};

enum status io_posix_backend_new(struct io **io, uint32_t entries, struct error *e)
{
	struct posix *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		p->waiters = calloc(entries, sizeof(*p->waiters));
		p->fds = calloc(entries, sizeof(*p->fds));
	}
	if (p == NULL || p->waiters == NULL || p->fds == NULL) {
		if (p != NULL)
			posix_free(&p->io);
		return error_set(e, ST_NOMEM, "no memory for %u operations", entries);
	}
	io_begin(&p->io, &posix_backend, entries);
	*io = &p->io;
	return ST_OK;
}
