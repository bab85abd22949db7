#include "store/storelog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"

#define READ_BYTES 4096u		/* holds most records, so that one read suffices */

static void path_of(char path[PATH_MAX + 16], const char *dir, uint64_t segno)
{
	snprintf(path, PATH_MAX + 16, "%s/%010llu.seg", dir, (unsigned long long)segno);
}

/* ---- appending ---- */

static enum status failed(const char *path, const char *act, struct error *e)
{
	enum status st = errno == ENOSPC || errno == EDQUOT ? ST_NOSPACE : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", path, act, strerrordesc_np(errno));
}

static int open_durable(struct storelog *l, const char *path, int flags)
{
	int fd;

	flags |= O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_DSYNC;
	fd = open(path, flags | O_DIRECT, 0600);
	l->direct = fd >= 0;
	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags, 0600);
	return fd;
}

static enum status write_block(struct storelog *l, const uint8_t *buf, uint32_t n, uint64_t offset,
			       struct error *e)
{
	char path[PATH_MAX + 16];
	enum status st;
	ssize_t rc;

	do
		rc = pwrite(l->fd, buf, n, (off_t)offset);
	while (rc < 0 && errno == EINTR);
	if (rc == (ssize_t)n)
		return ST_OK;
	if (rc >= 0)
		errno = ENOSPC;
	path_of(path, l->dir, l->segno);
	st = failed(path, "write", e);
	/*
	 * Past the page cache nothing half-written is remembered: the same place can be tried
	 * again.
	 */
	l->failed = st != ST_NOSPACE || !l->direct;
	return st;
}

static enum status segment_begin(struct storelog *l, struct error *e)
{
	struct segment_header h = { .purpose = FRAME_STORE, .segment_bytes = l->segment_bytes,
				    .segno = l->segno + 1, .epoch = l->epoch, .prev = l->prev,
				    .first = (l->segno + 1) * l->segment_bytes };
	char path[PATH_MAX + 16];
	enum status st = ST_OK;
	int old = l->fd, fd;

	path_of(path, l->dir, h.segno);
	fd = open_durable(l, path, O_CREAT | O_TRUNC);
	if (fd < 0)
		return failed(path, "create", e);
	/* Reserved now, so that no frame finds the disk full; some file systems cannot. */
	if (fallocate(fd, 0, 0, l->segment_bytes) != 0 && errno != EOPNOTSUPP)
		st = failed(path, "reserve space", e);
	segment_header_write(l->block.base, &h);
	if (st == ST_OK) {
		l->fd = fd;
		st = write_block(l, l->block.base, FRAME_BLOCK_BYTES, 0, e);
		l->fd = old;
	}
	if (st == ST_OK && fsync(fd) != 0)
		st = failed(path, "flush", e);
	if (st == ST_OK)
		st = dir_sync(l->dir, e);
	if (st != ST_OK) {
		close(fd);
		unlink(path);
		return st;
	}
	if (old >= 0)
		close(old);
	l->fd = fd;
	l->segno = h.segno;
	l->end = h.first + FRAME_BLOCK_BYTES;
	return ST_OK;
}

enum status storelog_open(struct storelog *l, const char *dir, uint32_t segment_bytes,
			  const struct framewalk_place *at, struct error *e)
{
	char path[PATH_MAX + 16];
	enum status st;

	*l = (struct storelog){ .fd = -1, .segno = at->segno, .end = at->end, .last = at->last,
				.prev = at->prev, .epoch = at->epoch + 1 };
	l->segment_bytes = at->segment_bytes != 0 ? at->segment_bytes :
			   segment_bytes != 0 ? segment_bytes : STORE_SEGMENT_BYTES;
	if (l->segment_bytes % FRAME_BLOCK_BYTES != 0 || l->segment_bytes < STORE_SEGMENT_BYTES_MIN)
		return error_set(e, ST_INVALID, "%s: segments of %u bytes", dir, l->segment_bytes);
	snprintf(l->dir, sizeof(l->dir), "%s", dir);
	st = arena_init(&l->block, l->segment_bytes - FRAME_BLOCK_BYTES < STORE_FRAME_BYTES ?
			l->segment_bytes - FRAME_BLOCK_BYTES : STORE_FRAME_BYTES);
	if (st != ST_OK || l->segno == 0)
		return st;
	path_of(path, dir, l->segno);
	l->fd = open_durable(l, path, 0);
	return l->fd >= 0 ? ST_OK : failed(path, "open", e);
}

void storelog_close(struct storelog *l)
{
	if (l->fd >= 0)
		close(l->fd);
	arena_free(&l->block);
	l->fd = -1;
}

/* Opens a frame over what is left of the segment; false: nothing is. */
static bool frame_open(struct storelog *l)
{
	uint64_t left = l->segno == 0 ? 0 : (l->segno + 1) * l->segment_bytes - l->end;

	if (left < FRAME_BLOCK_BYTES)
		return false;
	frame_begin(&l->frame, l->block.base, (uint32_t)(left < l->block.size ? left :
							 l->block.size),
		    l->end);
	return true;
}

enum status storelog_add(struct storelog *l, uint8_t type, uint8_t version,
			 const struct slice *parts, size_t parts_n, uint64_t *pos, struct error *e)
{
	bool rolled = false;

	if (l->failed)
		return error_set(e, ST_IO, "%s: a write failed before; restart the engine", l->dir);
	for (;;) {
		enum status st;

		if (l->frame.buf != NULL || frame_open(l)) {
			st = frame_addv(&l->frame, type, version, parts, parts_n, pos);
			if (st == ST_OK || l->frame.records > 0)
				return st;
			l->frame.buf = NULL;
		}
		if (rolled)
			return error_set(e, ST_TOO_LARGE, "%s: a record fits no frame", l->dir);
		st = segment_begin(l, e);
		if (st != ST_OK)
			return st;
		rolled = true;
	}
}

enum status storelog_commit(struct storelog *l, struct frame_view *v, struct error *e)
{
	uint32_t padded;
	enum status st;

	*v = (struct frame_view){ 0 };
	if (l->frame.buf == NULL)
		return ST_OK;
	padded = frame_finish(&l->frame, l->segno, l->epoch, l->prev, l->end);
	st = write_block(l, l->frame.buf, padded, l->end - l->segno * l->segment_bytes, e);
	if (st != ST_OK)
		return st;
	*v = (struct frame_view){ .bytes = slice_of(l->frame.buf, l->frame.used),
				  .records = l->frame.records, .epoch = l->epoch, .prev = l->prev,
				  .crc = l->frame.crc, .segno = l->segno, .position = l->end,
				  .durable = l->end };
	l->last = l->end;
	l->prev = l->frame.crc;
	l->end += padded;
	l->frame.buf = NULL;
	return ST_OK;
}

void storelog_drop(struct storelog *l)
{
	l->frame.buf = NULL;
}

/* ---- reading ---- */

void logreader_init(struct logreader *r, const char *dir, uint32_t segment_bytes)
{
	*r = (struct logreader){ .segment_bytes = segment_bytes };
	snprintf(r->dir, sizeof(r->dir), "%s", dir);
}

void logreader_close(struct logreader *r)
{
	for (size_t i = 0; i < ARRAY_LEN(r->files); i++)
		if (r->files[i].segno != 0)
			close(r->files[i].fd);
}

static int file_of(struct logreader *r, uint64_t segno)
{
	size_t i = segno % ARRAY_LEN(r->files);
	char path[PATH_MAX + 16];
	int fd;

	if (r->files[i].segno == segno)
		return r->files[i].fd;
	path_of(path, r->dir, segno);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	if (r->files[i].segno != 0)
		close(r->files[i].fd);
	r->files[i].segno = segno;
	r->files[i].fd = fd;
	return fd;
}

static bool room(struct logbuffer *b, uint64_t n)
{
	uint8_t *bigger;

	if (n <= b->n)
		return true;
	bigger = realloc(b->p, n);
	if (bigger == NULL)
		return false;
	b->p = bigger;
	b->n = n;
	return true;
}

enum status logreader_get(struct logreader *r, uint64_t position, uint64_t hint,
			  struct logbuffer *buf, struct frame_record *out)
{
	uint64_t segno = position / r->segment_bytes, offset = position % r->segment_bytes, size;
	uint64_t left = r->segment_bytes - offset, first = hint > READ_BYTES ? hint : READ_BYTES;
	int fd = file_of(r, segno);
	ssize_t got;

	if (fd < 0)
		return errno == ENOENT ? ST_CORRUPT : ST_IO;
	if (first > left)
		first = left;
	if (!room(buf, first))
		return ST_NOMEM;
	got = file_read_at(fd, buf->p, first, offset);
	if (got < (ssize_t)FRAME_RECORD_BYTES)
		return got < 0 ? ST_IO : ST_CORRUPT;
	size = frame_record_size(buf->p);
	if (size > left)
		return ST_CORRUPT;
	if (size > (uint64_t)got) {
		ssize_t rest;

		if ((uint64_t)got < first)
			return ST_CORRUPT;
		if (!room(buf, size))
			return ST_NOMEM;
		rest = file_read_at(fd, buf->p + got, size - (uint64_t)got, offset + (uint64_t)got);
		if (rest < 0)
			return ST_IO;
		if ((uint64_t)(got + rest) < size)
			return ST_CORRUPT;
	}
	return frame_record_read(out, slice_of(buf->p, size), position);
}
