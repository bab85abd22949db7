#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/backend.h"

#define REAP_MAX 64u	/* completions taken at once, before any callback runs */

struct uring {
	struct io io;
	struct io_uring ring;
	bool enabled;
};

enum op_kind { OP_WRITE, OP_POLL, OP_RECV, OP_SEND, OP_TIMER };

/* struct io_op.private: [0] buffer, or the timer's timespec with [1]; [1] bytes wanted;
 * [2] bytes done; [3] kind, waiting flag, fd. */
#define WAITS_READY (1u << 8)	/* a non-blocking socket said EAGAIN; a poll is armed for it */

static void op_note(struct io_op *op, enum op_kind kind, int fd, const void *buf, size_t n)
{
	op->private[0] = (uint64_t)(uintptr_t)buf;
	op->private[1] = n;
	op->private[2] = 0;
	op->private[3] = (uint64_t)(uint32_t)fd << 32 | (uint64_t)kind;
}

static enum op_kind op_kind(const struct io_op *op)
{
	return (enum op_kind)(op->private[3] & 0xff);
}

static int op_fd(const struct io_op *op)
{
	return (int)(op->private[3] >> 32);
}

/*
 * The ring belongs to the thread that enables it: the one that runs it, not the one that made it.
 */
static void enable(struct uring *u)
{
	int rc;

	if (u->enabled)
		return;
	/* liburing 2.3 forgets to export io_uring_enable_rings(). */
	rc = io_uring_register((unsigned int)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
			       0);
	assert(rc == 0);
	u->enabled = true;
}

static struct io_uring_sqe *sqe_take(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	while (sqe == NULL) {
		int rc;

		enable(u);
		rc = io_uring_submit(&u->ring);
		/* Anything else would mean that the kernel no longer knows our ring. */
		assert(rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY || rc == -ENOMEM);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

static void uring_write(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
			uint64_t offset)
{
	struct io_uring_sqe *sqe = sqe_take((struct uring *)io);

	op_note(op, OP_WRITE, fd, buf, n);
	io_uring_prep_write(sqe, fd, buf, (unsigned int)n, offset);
	sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data(sqe, op);
}

static void uring_poll(struct io *io, struct io_op *op, int fd, short events)
{
	struct io_uring_sqe *sqe = sqe_take((struct uring *)io);

	op_note(op, OP_POLL, fd, NULL, 0);
	io_uring_prep_poll_add(sqe, fd, (unsigned int)events);
	io_uring_sqe_set_data(sqe, op);
}

static void transfer(struct uring *u, struct io_op *op)
{
	struct io_uring_sqe *sqe = sqe_take(u);
	uint8_t *p = (uint8_t *)(uintptr_t)op->private[0] + op->private[2];
	size_t left = op->private[1] - op->private[2];

	if (op_kind(op) == OP_RECV)
		io_uring_prep_recv(sqe, op_fd(op), p, left, 0);
	else
		io_uring_prep_send(sqe, op_fd(op), p, left, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, op);
}

static void uring_recv(struct io *io, struct io_op *op, int fd, void *buf, size_t n)
{
	op_note(op, OP_RECV, fd, buf, n);
	transfer((struct uring *)io, op);
}

static void uring_send(struct io *io, struct io_op *op, int fd, const void *buf, size_t n)
{
	op_note(op, OP_SEND, fd, buf, n);
	transfer((struct uring *)io, op);
}

static void uring_timer(struct io *io, struct io_op *op, uint32_t ms)
{
	struct io_uring_sqe *sqe = sqe_take((struct uring *)io);
	struct __kernel_timespec *ts = (struct __kernel_timespec *)&op->private[0];

	static_assert(sizeof(*ts) <= 2 * sizeof(op->private[0]), "a timespec fits the op");
	op_note(op, OP_TIMER, -1, NULL, 0);
	ts->tv_sec = ms / 1000;
	ts->tv_nsec = (long long)(ms % 1000) * 1000000;
	io_uring_prep_timeout(sqe, ts, 0, IORING_TIMEOUT_BOOTTIME);
	io_uring_sqe_set_data(sqe, op);
}

static void uring_cancel(struct io *io, struct io_op *op)
{
	struct io_uring_sqe *sqe = sqe_take((struct uring *)io);

	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static void wait_ready(struct uring *u, struct io_op *op)
{
	struct io_uring_sqe *sqe = sqe_take(u);

	op->private[3] |= WAITS_READY;
	io_uring_prep_poll_add(sqe, op_fd(op), op_kind(op) == OP_RECV ? POLLIN : POLLOUT);
	io_uring_sqe_set_data(sqe, op);
}

/* One step of a recv or send; it may take several. */
static void transferred(struct uring *u, struct io_op *op, int res)
{
	if (op->private[3] & WAITS_READY) {
		op->private[3] &= ~(uint64_t)WAITS_READY;
		if (res >= 0)
			transfer(u, op);
		else
			done_add(&u->io, op, res);
		return;
	}
	if (res == -EINTR) {
		transfer(u, op);
	} else if (res == -EAGAIN) {
		wait_ready(u, op);
	} else if (res < 0 || op_kind(op) == OP_RECV) {
		done_add(&u->io, op, res);
	} else {
		op->private[2] += (uint64_t)res;
		if (op->private[2] < op->private[1])
			transfer(u, op);
		else
			done_add(&u->io, op, (int64_t)op->private[1]);
	}
}

static void completed(struct uring *u, struct io_op *op, int res)
{
	switch (op_kind(op)) {
	case OP_WRITE:
		if (res >= 0 && (uint64_t)res != op->private[1])
			res = -EIO;
		done_add(&u->io, op, res);
		break;
	case OP_POLL:
		done_add(&u->io, op, res);
		break;
	case OP_TIMER:
		done_add(&u->io, op, res == -ETIME ? 0 : res);
		break;
	case OP_RECV:
	case OP_SEND:
		transferred(u, op, res);
		break;
	}
}

static void reap(struct uring *u)
{
	struct io_uring_cqe *cqes[REAP_MAX];
	unsigned int n;

	do {
		n = io_uring_peek_batch_cqe(&u->ring, cqes, REAP_MAX);
		for (unsigned int i = 0; i < n; i++) {
			struct io_op *op = io_uring_cqe_get_data(cqes[i]);

			if (op != NULL)		/* NULL: the answer to a cancel */
				completed(u, op, cqes[i]->res);
		}
		io_uring_cq_advance(&u->ring, n);
	} while (n == REAP_MAX);
}

static void uring_run(struct io *io, uint32_t wait_ms)
{
	struct uring *u = (struct uring *)io;
	struct io_uring_cqe *cqe;
	int rc;

	enable(u);
	if (wait_ms == 0) {
		/* With DEFER_TASKRUN completions appear only while we are in the kernel. */
		rc = io_uring_submit_and_get_events(&u->ring);
	} else {
		struct __kernel_timespec ts = { .tv_sec = wait_ms / 1000,
						.tv_nsec = (long long)(wait_ms % 1000) * 1000000 };

		rc = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
	}
	/* Busy, short of memory: the entries stay queued for the next run. */
	assert(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY ||
	       rc == -ENOMEM);
	reap(u);
	done_run(io);
}

static void uring_free(struct io *io)
{
	struct uring *u = (struct uring *)io;

	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct io_backend uring_backend = {
	.name = "io_uring", .write_durable = uring_write, .poll = uring_poll, .recv = uring_recv,
	.send = uring_send, .timer = uring_timer, .cancel = uring_cancel, .run = uring_run,
	.free = uring_free,
};

static bool can_all(struct io_uring *ring)
{
	static const int needed[] = { IORING_OP_WRITE, IORING_OP_POLL_ADD, IORING_OP_RECV,
				      IORING_OP_SEND, IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL };
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool all = probe != NULL && (ring->features & IORING_FEAT_EXT_ARG) != 0;

	for (size_t i = 0; all && i < ARRAY_LEN(needed); i++)
		all = io_uring_opcode_supported(probe, needed[i]) != 0;
	io_uring_free_probe(probe);
	return all;
}

enum status io_uring_backend_new(struct io **io, uint32_t entries, struct error *e)
{
	static const unsigned int flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_R_DISABLED,
	};
	struct uring *u = calloc(1, sizeof(*u));
	int rc = -EINVAL;

	if (u == NULL)
		return error_set(e, ST_NOMEM, "no memory for the ring");
	for (size_t i = 0; i < ARRAY_LEN(flags) && rc == -EINVAL; i++)
		rc = io_uring_queue_init(entries, &u->ring, flags[i]);
	if (rc == 0 && !can_all(&u->ring)) {
		io_uring_queue_exit(&u->ring);
		rc = -EOPNOTSUPP;
	}
	if (rc != 0) {
		free(u);
		return error_set(e, ST_UNAVAILABLE, "the kernel refuses io_uring (%s)",
				 strerrorname_np(-rc));
	}
	io_begin(&u->io, &uring_backend, entries);
	*io = &u->io;
	return ST_OK;
}
