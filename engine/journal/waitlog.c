#include "journal/waitlog_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"

static_assert(JOURNAL_BATCH_BYTES_MAX % FRAME_BLOCK_BYTES == 0, "a frame is whole blocks");
static_assert(WAITLOG_SEGMENT_BYTES > JOURNAL_BATCH_BYTES_MAX + FRAME_BLOCK_BYTES,
	      "the largest frame fits a segment");

enum status waitlog_failed(struct error *e, const char *act, const char *path)
{
	enum status st = errno == ENOSPC || errno == EDQUOT ? ST_NOSPACE : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", path, act, strerrordesc_np(errno));
}

void waitlog_path(char path[PATH_MAX], const char *dir, uint64_t segno)
{
	snprintf(path, PATH_MAX, "%s/%016llx.seg", dir, (unsigned long long)segno);
}

int waitlog_file(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd;
}

bool waitlog_read_at(int fd, uint8_t *buf, size_t n, uint64_t offset, size_t *got)
{
	*got = 0;
	while (*got < n) {
		ssize_t rc = pread(fd, buf + *got, n - *got, (off_t)(offset + *got));

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return false;
		*got += (size_t)rc;
		if (rc == 0 || *got % FRAME_BLOCK_BYTES != 0)
			break;
	}
	return true;
}

static bool write_at(int fd, const uint8_t *buf, size_t n, uint64_t offset)
{
	ssize_t rc;

	do
		rc = pwrite(fd, buf, n, (off_t)offset);
	while (rc < 0 && errno == EINTR);
	if (rc >= 0 && (size_t)rc != n)
		errno = ENOSPC;
	return rc >= 0 && (size_t)rc == n;
}

void waitlog_close(struct waitlog *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l->buf);
	free(l->dir);
	free(l);
}

/* ---- writing ---- */

static enum status segment_new(struct waitlog *l, struct error *e)
{
	struct segment_header h = { .purpose = FRAME_WAITING,
				    .segment_bytes = WAITLOG_SEGMENT_BYTES,
				    .segno = l->newest + 1,
				    .first = (l->newest + 1) * WAITLOG_SEGMENT_BYTES,
				    .epoch = l->epoch,
				    .prev = l->prev };
	char path[PATH_MAX];
	int fd;

	segment_header_write(l->buf, &h);
	waitlog_path(path, l->dir, h.segno);
	fd = waitlog_file(path, O_RDWR | O_CREAT | O_EXCL | O_DSYNC);
	if (fd < 0)
		return waitlog_failed(e, "create", path);
	if (!write_at(fd, l->buf, FRAME_BLOCK_BYTES, 0)) {
		enum status st = waitlog_failed(e, "write", path);

		close(fd);
		return st;
	}
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
	l->end = FRAME_BLOCK_BYTES;
	l->newest = h.segno;
	if (l->oldest == 0)
		l->oldest = h.segno;
	return dir_sync(l->dir, e);
}

static enum status flush(struct waitlog *l, struct error *e)
{
	char path[PATH_MAX];
	uint32_t n;

	if (!l->filling)
		return ST_OK;
	l->filling = false;
	n = frame_finish(&l->frame, l->newest, l->epoch, l->prev, l->frame.position);
	if (!write_at(l->fd, l->buf, n, l->end)) {
		waitlog_path(path, l->dir, l->newest);
		return waitlog_failed(e, "write", path);
	}
	l->end += n;
	l->prev = l->frame.crc;
	l->place = (struct waitlog_place){ l->frame.position,
					   l->newest * WAITLOG_SEGMENT_BYTES + l->end,
					   l->frame.crc };
	return ST_OK;
}

/* Would the frame, with so many bytes more, still stand in its segment? */
static bool has_room(const struct waitlog *l, uint64_t bytes)
{
	uint64_t used = l->filling ? l->frame.used : FRAME_HEADER_BYTES;

	return l->fd >= 0 && used + bytes <= JOURNAL_BATCH_BYTES_MAX &&
	       l->end + frame_padded(used + bytes) <= WAITLOG_SEGMENT_BYTES;
}

static enum status append(struct waitlog *l, uint8_t type, uint8_t version,
			  const struct slice *parts, size_t parts_n, uint64_t *pos, struct error *e)
{
	uint64_t bytes = FRAME_RECORD_BYTES;
	enum status st = ST_OK;

	for (size_t i = 0; i < parts_n; i++)
		bytes += parts[i].n;
	if (!has_room(l, bytes))
		st = flush(l, e);
	if (st == ST_OK && !has_room(l, bytes))
		st = segment_new(l, e);
	if (st != ST_OK)
		return st;
	if (!l->filling)
		frame_begin(&l->frame, l->buf, JOURNAL_BATCH_BYTES_MAX,
			    l->newest * WAITLOG_SEGMENT_BYTES + l->end);
	l->filling = true;
	st = frame_addv(&l->frame, type, version, parts, parts_n, pos);
	assert(st == ST_OK);
	return ST_OK;
}

enum status waitlog_append(struct waitlog *l, uint8_t type, uint8_t version,
			   const struct slice *parts, size_t parts_n, uint64_t *pos,
			   struct error *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < parts_n; i++)
		n += parts[i].n;
	if (n > JOURNAL_BATCH_BYTES_MAX - FRAME_HEADER_BYTES - FRAME_RECORD_BYTES)
		return error_set(e, ST_TOO_LARGE, "waiting room: a record of %llu bytes",
				 (unsigned long long)n);
	if (l->failure.status == ST_OK)
		l->failure.status = append(l, type, version, parts, parts_n, pos,
					   &l->failure);
	if (l->failure.status != ST_OK && e != NULL)
		*e = l->failure;
	return l->failure.status;
}

enum status waitlog_flush(struct waitlog *l, struct error *e)
{
	if (l->failure.status == ST_OK)
		l->failure.status = flush(l, &l->failure);
	if (l->failure.status != ST_OK && e != NULL)
		*e = l->failure;
	return l->failure.status;
}

struct waitlog_place waitlog_place(const struct waitlog *l)
{
	return l->place;
}

enum status waitlog_drop_oldest(struct waitlog *l, struct error *e)
{
	char path[PATH_MAX];

	assert(l->oldest != 0);
	waitlog_path(path, l->dir, l->oldest);
	if (unlink(path) != 0)
		return waitlog_failed(e, "delete", path);
	if (l->oldest == l->newest) {
		close(l->fd);
		l->fd = -1;
		l->oldest = 0;
		l->place = (struct waitlog_place){ 0 };
	} else {
		l->oldest++;
	}
	/* One after the other, or a crash could leave a gap. */
	return dir_sync(l->dir, e);
}

uint64_t waitlog_oldest(const struct waitlog *l)
{
	return l->oldest;
}

uint64_t waitlog_newest(const struct waitlog *l)
{
	return l->newest;
}

/* ---- reading ---- */

static enum status buffer_grow(struct waitlog_buffer *b, size_t n)
{
	if (n <= b->n)
		return ST_OK;
	free(b->p);
	b->p = aligned_new(n);
	b->n = b->p != NULL ? n : 0;
	return b->p != NULL ? ST_OK : ST_NOMEM;
}

enum status waitlog_read(const char *dir, uint64_t pos, size_t n, struct waitlog_buffer *b,
			 struct frame_record *rec, struct error *e)
{
	uint64_t offset = pos % WAITLOG_SEGMENT_BYTES;
	uint64_t block = offset / FRAME_BLOCK_BYTES * FRAME_BLOCK_BYTES;
	size_t want = frame_padded(offset - block + FRAME_RECORD_BYTES + n), got;
	char path[PATH_MAX];
	enum status st = ST_OK;
	int fd;

	waitlog_path(path, dir, waitlog_segment(pos));
	if (want > WAITLOG_BUFFER_BYTES)
		return error_set(e, ST_CORRUPT, "%s: a record of %zu bytes", path, n);
	if (buffer_grow(b, want) != ST_OK)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	fd = waitlog_file(path, O_RDONLY);
	if (fd < 0)
		return errno == ENOENT ? error_set(e, ST_NOT_FOUND, "%s: is gone", path) :
					 waitlog_failed(e, "open", path);
	if (!waitlog_read_at(fd, b->p, want, block, &got))
		st = waitlog_failed(e, "read", path);
	else if (got < offset - block ||
		 frame_record_read(rec, slice_of(b->p + (offset - block), got - (offset - block)),
				   pos) != ST_OK ||
		 rec->payload.n != n)
		st = error_set(e, ST_CORRUPT, "%s: the record at offset %llu fails its checksum",
			       path, (unsigned long long)offset);
	close(fd);
	return st;
}
