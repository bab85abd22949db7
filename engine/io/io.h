/*
 * io.h - the only way to disk, sockets, timers and clocks for the spine.
 *
 * Two makers of one contract: io_uring, and plain calls where the kernel refuses it (poll(2) and
 * blocking pwritev2), chosen at io_new(). One thread per io. An operation is a struct embedded in
 * its owner; it belongs to io from the call until its `done` runs. Completions are collected
 * first and their callbacks run from the list, so nothing recurses.
 */
#ifndef TRIEN_IO_H
#define TRIEN_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"

struct io;

struct io_op {
	void (*done)(struct io_op *op);	/* runs on the io's thread, from io_run */
	void *owner;			/* the caller's */
	int64_t result;			/* bytes, poll mask, or -errno */
	struct io_op *next;		/* io's, while it owns the op */
	uint64_t private[4];		/* io's */
};

enum io_kind { IO_AUTO, IO_URING, IO_POSIX };

/*
 * IO_AUTO: uring, or posix with one warning where the kernel refuses. entries: operations in
 * flight.
 */
enum status io_new(struct io **io, enum io_kind kind, uint32_t entries, struct error *e) must_use;
void io_free(struct io *io);
const char *io_name(const struct io *io);	/* "io_uring" or "posix" */

/*
 * Writes all of buf at offset and makes it durable before done (RWF_DSYNC). fd opened O_DIRECT
 * where the file system allows: then buf, n and offset are multiples of 4096. A short write is
 * -EIO.
 */
void io_write_durable(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
		      uint64_t offset);
/* One-shot readiness (POLLIN/POLLOUT); re-arm after each. */
void io_poll(struct io *io, struct io_op *op, int fd, short events);
void io_recv(struct io *io, struct io_op *op, int fd, void *buf, size_t n);
/* Whole buffer or error. */
void io_send(struct io *io, struct io_op *op, int fd, const void *buf, size_t n);
/* done after at least ms milliseconds of CLOCK_BOOTTIME. */
void io_timer(struct io *io, struct io_op *op, uint32_t ms);
/* Asks to end op early; its done still runs (result -ECANCELED or its own). */
void io_cancel(struct io *io, struct io_op *op);
/*
 * Submits, waits until something completed or wait_ms passed (0: do not wait), runs the callbacks.
 */
void io_run(struct io *io, uint32_t wait_ms);

/* Wall clock, Unix ms; and a clock that never steps, ns. TRIEN_TEST_CLOCK_OFFSET_MS is no feature:
 * tests inject clocks through the owner, not here. */
int64_t io_wall_ms(void);
uint64_t io_boot_ns(void);

#endif
