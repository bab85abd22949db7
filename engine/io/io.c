#include "io/io.h"

#include <assert.h>
#include <time.h>

#include "base/log.h"
#include "io/backend.h"

enum status io_new(struct io **io, enum io_kind kind, uint32_t entries, struct error *e)
{
	struct error refused = { .status = ST_OK };
	enum status st;

	assert(entries > 0);
	if (kind != IO_POSIX) {
		st = io_uring_backend_new(io, entries, kind == IO_AUTO ? &refused : e);
		if (kind == IO_URING || st != ST_UNAVAILABLE)
			return st;
		log_warn("io", "%s; using plain system calls instead", refused.text);
	}
	return io_posix_backend_new(io, entries, e);
}

void io_free(struct io *io)
{
	if (io != NULL)
		io->backend->free(io);
}

const char *io_name(const struct io *io)
{
	return io->backend->name;
}

void io_begin(struct io *io, const struct io_backend *backend, uint32_t entries)
{
	io->backend = backend;
	io->entries = entries;
	io->in_flight = 0;
	io->due = (struct done_list){ NULL, &io->due.first };
}

void op_begin(struct io *io, struct io_op *op)
{
	assert(op->done != NULL);
	assert(io->in_flight < io->entries);
	io->in_flight++;
	op->result = 0;
	op->next = NULL;
}

void done_add(struct io *io, struct io_op *op, int64_t result)
{
	op->result = result;
	op->next = NULL;
	*io->due.last = op;
	io->due.last = &op->next;
}

void done_run(struct io *io)
{
	struct io_op *op = io->due.first;

	io->due = (struct done_list){ NULL, &io->due.first };
	while (op != NULL) {
		struct io_op *next = op->next;

		assert(io->in_flight > 0);
		io->in_flight--;
		op->next = NULL;
		op->done(op);	/* may free op or start it again */
		op = next;
	}
}

void io_write_durable(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
		      uint64_t offset)
{
	assert(n > 0 && n <= INT32_MAX);
	op_begin(io, op);
	io->backend->write_durable(io, op, fd, buf, n, offset);
}

void io_poll(struct io *io, struct io_op *op, int fd, short events)
{
	op_begin(io, op);
	io->backend->poll(io, op, fd, events);
}

void io_recv(struct io *io, struct io_op *op, int fd, void *buf, size_t n)
{
	assert(n > 0 && n <= INT32_MAX);
	op_begin(io, op);
	io->backend->recv(io, op, fd, buf, n);
}

void io_send(struct io *io, struct io_op *op, int fd, const void *buf, size_t n)
{
	assert(n > 0 && n <= INT32_MAX);
	op_begin(io, op);
	io->backend->send(io, op, fd, buf, n);
}

void io_timer(struct io *io, struct io_op *op, uint32_t ms)
{
	op_begin(io, op);
	io->backend->timer(io, op, ms);
}

void io_cancel(struct io *io, struct io_op *op)
{
	io->backend->cancel(io, op);
}

void io_run(struct io *io, uint32_t wait_ms)
{
	io->backend->run(io, wait_ms);
}

int64_t io_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t io_boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
