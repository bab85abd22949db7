#include "journal_rig.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct rig_disk rig_disk;

void __real_io_write_durable(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
			     uint64_t offset);
void __wrap_io_write_durable(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
			     uint64_t offset);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_fallocate(int fd, int mode, off_t offset, off_t n);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t n);

void __wrap_io_write_durable(struct io *io, struct io_op *op, int fd, const void *buf, size_t n,
			     uint64_t offset)
{
	if (!rig_disk.hold) {
		__real_io_write_durable(io, op, fd, buf, n, offset);
		return;
	}
	assert(rig_disk.held_n < RIG_HELD_MAX);
	rig_disk.held[rig_disk.held_n++] = (struct held){ op, fd, buf, n, offset };
}

int __wrap_open(const char *path, int flags, ...)
{
	if (rig_disk.no_direct && (flags & O_DIRECT)) {
		errno = EINVAL;
		return -1;
	}
	return __real_open(path, flags, 0600);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t n)
{
	if (rig_disk.no_space) {
		errno = ENOSPC;
		return -1;
	}
	return __real_fallocate(fd, mode, offset, n);
}

void rig_answer(uint32_t index, int64_t result)
{
	struct held h = rig_disk.held[index];

	assert_true(index < rig_disk.held_n);
	if (result > 0)
		assert_int_equal(pwrite(h.fd, h.buf, h.n, (off_t)h.offset), h.n);
	rig_disk.held_n--;
	memmove(&rig_disk.held[index], &rig_disk.held[index + 1],
		(rig_disk.held_n - index) * sizeof(h));
	h.op->result = result > 0 ? (int64_t)h.n : result;
	h.op->done(h.op);
}

int rig_new(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (r == NULL || tmpdir_make(&r->dir) != 0)
		return -1;
	rig_disk = (struct rig_disk){ 0 };
	r->kind = *(enum io_kind *)*state;
	r->cfg = (struct journal_config){ .dir = r->dir.path, .segment_bytes = RIG_SEGMENT_BYTES,
					  .slots = RIG_SLOTS, .depth = JOURNAL_DEPTH_MAX };
	*state = r;
	if (io_new(&r->io, r->kind, 16, &r->e) == ST_UNAVAILABLE)
		r->io = NULL;	/* the test is skipped by rig_open_ok */
	return 0;
}

int rig_free(void **state)
{
	struct rig *r = *state;

	while (rig_disk.held_n > 0)
		rig_answer(0, -ECANCELED);
	rig_disk.hold = false;
	journal_close(r->j);
	io_free(r->io);
	tmpdir_remove(&r->dir);
	free(r);
	return 0;
}

static uint8_t byte_of(uint32_t number, size_t i)
{
	return i < 4 ? (uint8_t)(number >> 8 * i) : (uint8_t)(number * 31 + i * 7);
}

enum status rig_seen(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
		     struct error *e)
{
	struct rig *r = ctx;
	struct reader in = reader_of(payload);
	uint32_t number = read_u32(&in);
	bool follows = type == 1 + number % 5 && r->seen_n < RIG_SEEN_MAX;

	if (r->replay_says != ST_OK)
		return r->replay_says;
	for (size_t i = 0; i < payload.n; i++)
		follows = follows && payload.p[i] == byte_of(number, i);
	if (r->seen_n == 0)
		r->seen_first = number;
	else
		follows = follows && pos > r->seen[r->seen_n - 1] &&
			  number == r->seen_first + r->seen_n;
	r->disorder += !follows;
	r->seen[r->seen_n++] = pos;
	return ST_OK;
}

enum status rig_open(struct rig *r)
{
	if (r->io == NULL)
		skip();
	r->seen_n = r->seen_first = r->disorder = 0;
	return journal_open(&r->j, r->io, &r->cfg, 0, rig_seen, r, &r->e);
}

void rig_open_ok(struct rig *r)
{
	if (rig_open(r) != ST_OK)
		fail_msg("%s", r->e.text);
	assert_int_equal(r->disorder, 0);
}

void rig_close(struct rig *r)
{
	journal_close(r->j);
	r->j = NULL;
}

enum status rig_add(struct rig *r, size_t n)
{
	static uint8_t bytes[JOURNAL_RECORD_BYTES_MAX];
	enum status st;

	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_of(r->added, i);
	st = journal_append(r->j, (uint8_t)(1 + r->added % 5), slice_of(bytes, n), &r->last_pos);
	r->added += st == ST_OK;
	return st;
}

void rig_settle(struct rig *r)
{
	journal_pump(r->j);
	for (int i = 0; r->last_pos >= journal_durable(r->j) && i < 1000; i++) {
		io_run(r->io, 100);
		journal_pump(r->j);
	}
	assert_true(r->last_pos < journal_durable(r->j));
}

void rig_add_durable(struct rig *r, size_t n)
{
	enum status st;

	for (int i = 0; (st = rig_add(r, n)) == ST_FULL && i < 1000; i++) {
		journal_pump(r->j);
		io_run(r->io, 100);
	}
	assert_int_equal(st, ST_OK);
	rig_settle(r);
}

int rig_slot(struct rig *r, uint32_t i)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/slot-%04u", r->dir.path, i);
	fd = __real_open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

uint8_t *rig_image(struct rig *r)
{
	uint8_t *image = malloc((size_t)r->cfg.slots * r->cfg.segment_bytes);

	assert_non_null(image);
	for (uint32_t i = 0; i < r->cfg.slots; i++) {
		int fd = rig_slot(r, i);

		assert_int_equal(pread(fd, image + (size_t)i * r->cfg.segment_bytes,
				       r->cfg.segment_bytes, 0), r->cfg.segment_bytes);
		close(fd);
	}
	return image;
}

void rig_put(struct rig *r, const uint8_t *image)
{
	assert_null(r->j);
	for (uint32_t i = 0; i < r->cfg.slots; i++) {
		int fd = rig_slot(r, i);

		assert_int_equal(pwrite(fd, image + (size_t)i * r->cfg.segment_bytes,
					r->cfg.segment_bytes, 0), r->cfg.segment_bytes);
		close(fd);
	}
}

enum status rig_try(struct rig *r, const uint8_t *image)
{
	uint8_t *before;
	enum status st;

	rig_put(r, image);
	st = rig_open(r);
	if (st == ST_OK) {
		assert_int_equal(r->disorder, 0);
		rig_close(r);
		return st;
	}
	/* A refused journal is as it was found. */
	before = rig_image(r);
	assert_memory_equal(before, image, (size_t)r->cfg.slots * r->cfg.segment_bytes);
	free(before);
	return st;
}
