/*
 * backend.h - inside io/: what a maker of io.h provides. Nobody outside this folder includes it.
 *
 * A backend's first member is `struct io`. Operations never fail at the call: what goes wrong is
 * the op's result. A backend queues finished ops with done_add() and runs their callbacks from
 * run() by done_run(), so that callbacks may start new operations freely.
 */
#ifndef TRIEN_IO_BACKEND_H
#define TRIEN_IO_BACKEND_H

#include "io/io.h"

struct io_backend {
	const char *name;
	void (*write_durable)(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
			      uint64_t offset);
	void (*poll)(struct io *io, struct io_op *op, int fd, short events);
	void (*recv)(struct io *io, struct io_op *op, int fd, void *buf, size_t n);
	void (*send)(struct io *io, struct io_op *op, int fd, const void *buf, size_t n);
	void (*timer)(struct io *io, struct io_op *op, uint32_t ms);
	void (*cancel)(struct io *io, struct io_op *op);
	void (*run)(struct io *io, uint32_t wait_ms);
	void (*free)(struct io *io);
};

/* Ops whose result is set and whose callback is due, first in first out. */
struct done_list { struct io_op *first, **last; };

struct io {
	const struct io_backend *backend;
	uint32_t entries;	/* operations in flight at most */
	uint32_t in_flight;
	struct done_list due;
};

/* ST_UNAVAILABLE: the kernel refuses io_uring; *e says how. */
enum status io_uring_backend_new(struct io **io, uint32_t entries, struct error *e) must_use;
enum status io_posix_backend_new(struct io **io, uint32_t entries, struct error *e) must_use;

/* Common part of a new io. */
void io_begin(struct io *io, const struct io_backend *backend, uint32_t entries);
/* An operation starts; more than `entries` of them is the caller's bug. */
void op_begin(struct io *io, struct io_op *op);
void done_add(struct io *io, struct io_op *op, int64_t result);
/* Runs the callbacks of what is due now; ops that these finish at once wait for the next run. */
void done_run(struct io *io);

#endif
