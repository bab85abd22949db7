#include "journal/waitlog.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

#define RECORD_VERSION_MAX 2u
/* The largest frame, and what a record may reach into the blocks around it. */
#define BUFFER_BYTES (JOURNAL_BATCH_BYTES_MAX + FRAME_BLOCK_BYTES)

static_assert(JOURNAL_BATCH_BYTES_MAX % FRAME_BLOCK_BYTES == 0, "a frame is whole blocks");
static_assert(WAITLOG_SEGMENT_BYTES > JOURNAL_BATCH_BYTES_MAX + FRAME_BLOCK_BYTES,
	      "the largest frame fits a segment");

struct waitlog {
	char *dir;
	uint64_t oldest, newest;	/* 0: none */
	int fd;				/* of the newest; -1: none */
	uint32_t end;			/* where its next frame goes */
	uint32_t epoch, prev;
	struct waitlog_place place;
	uint8_t *buf;
	struct frame frame;		/* in buf, not written yet, if filling */
	bool filling;
	struct error failure;
};

static enum status failed(struct error *e, const char *act, const char *path)
{
	enum status st = errno == ENOSPC || errno == EDQUOT ? ST_NOSPACE : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", path, act, strerrordesc_np(errno));
}

static void path_of(char path[PATH_MAX], const char *dir, uint64_t segno)
{
	snprintf(path, PATH_MAX, "%s/%016llx.seg", dir, (unsigned long long)segno);
}

static void path_make(const struct waitlog *l, char path[PATH_MAX], uint64_t segno)
{
	path_of(path, l->dir, segno);
}

/* Past the page cache, so that what is read is what the disk has; -1 with errno. */
static int direct_open(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd;
}

/* Whole blocks at a block; *got less than n only at the end of the file. */
static bool read_at(int fd, uint8_t *buf, size_t n, uint64_t offset, size_t *got)
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

/* ---- opening ---- */

struct walk {
	struct waitlog *l;
	waitlog_fn each;
	void *ctx;
	struct waitlog_place from;
	char path[PATH_MAX];
	uint64_t segno;
	uint64_t size;			/* of the file */
	int fd;
	bool chained;			/* prev is known */
};

/* The frame at offset, in l->buf. ST_NOT_FOUND: no whole frame begins there. */
static enum status frame_load(struct walk *w, uint64_t offset, struct frame_view *v,
			      struct error *e)
{
	uint64_t position = w->segno * WAITLOG_SEGMENT_BYTES + offset;
	uint8_t *buf = w->l->buf;
	uint64_t length;
	size_t got;

	if (!read_at(w->fd, buf, FRAME_BLOCK_BYTES, offset, &got))
		return failed(e, "read", w->path);
	if (got < FRAME_HEADER_BYTES)
		return ST_NOT_FOUND;
	length = frame_length(buf, w->segno, position);
	if (length == 0 || length > JOURNAL_BATCH_BYTES_MAX || offset + length > w->size)
		return ST_NOT_FOUND;
	if (length > got && !read_at(w->fd, buf, frame_padded(length), offset, &got))
		return failed(e, "read", w->path);
	if (frame_check(v, slice_of(buf, got), w->segno, position) != ST_OK)
		return ST_NOT_FOUND;
	return ST_OK;
}

static enum status damaged(const struct walk *w, uint64_t offset, struct error *e)
{
	return error_set(e, ST_DAMAGED,
			 "%s: broken at offset %llu, with records behind it; restore it "
			 "from a backup: held results stand only there",
			 w->path, (unsigned long long)offset);
}

/* Nothing valid may lie behind a torn tail: that would have been durable after it. */
static enum status tail_cut(struct walk *w, uint64_t offset, struct error *e)
{
	struct frame_view v;

	for (uint64_t at = offset + FRAME_BLOCK_BYTES; at < w->size; at += FRAME_BLOCK_BYTES) {
		enum status st = frame_load(w, at, &v, e);

		if (st == ST_OK)
			return damaged(w, offset, e);
		if (st != ST_NOT_FOUND)
			return st;
	}
	if (w->size != offset && ftruncate(w->fd, (off_t)offset) != 0)
		return failed(e, "cut the torn tail", w->path);
	return ST_OK;
}

static enum status records_give(struct walk *w, const struct frame_view *v, struct error *e)
{
	struct frame_record rec;
	uint32_t at = 0;
	enum status st = ST_OK;

	while (st == ST_OK && frame_next(v, &at, &rec)) {
		if (rec.version == 0 || rec.version > RECORD_VERSION_MAX)
			return error_set(e, ST_UNSUPPORTED,
					 "%s: record version %u is unknown to this "
					 "version; start the version that wrote it",
					 w->path, rec.version);
		st = w->each(w->ctx, &rec, e);
	}
	return st;
}

/* A frame that was seen: the next one follows it. */
static void frame_passed(struct walk *w, const struct frame_view *v, uint64_t *offset)
{
	struct waitlog *l = w->l;

	l->prev = v->crc;
	if (v->epoch > l->epoch)
		l->epoch = v->epoch;
	*offset += frame_padded(v->bytes.n);
	l->place = (struct waitlog_place){ v->position, w->segno * WAITLOG_SEGMENT_BYTES + *offset,
					   v->crc };
}

/* Over what was applied before: the frame that `from` names testifies for all in front of it. */
static enum status place_skip(struct walk *w, uint64_t *offset, struct error *e)
{
	struct frame_view v;
	enum status st;

	if (w->from.frame == 0 || waitlog_segment(w->from.frame) != w->segno)
		return ST_OK;
	*offset = w->from.frame % WAITLOG_SEGMENT_BYTES;
	st = frame_load(w, *offset, &v, e);
	if (st == ST_NOT_FOUND || (st == ST_OK && v.crc != w->from.crc))
		return error_set(e, ST_CONFLICT, "%s: no such frame at offset %llu", w->path,
				 (unsigned long long)*offset);
	if (st == ST_OK)
		frame_passed(w, &v, offset);
	return st;
}

static enum status frames_walk(struct walk *w, struct error *e)
{
	struct waitlog *l = w->l;
	uint64_t offset = FRAME_BLOCK_BYTES;
	struct frame_view v;
	enum status st = place_skip(w, &offset, e);

	if (st != ST_OK)
		return st;
	while ((st = frame_load(w, offset, &v, e)) == ST_OK && v.prev == l->prev) {
		st = records_give(w, &v, e);
		if (st != ST_OK)
			return st;
		frame_passed(w, &v, &offset);
	}
	if (st == ST_OK)	/* whole, but not what follows the one before */
		return damaged(w, offset, e);
	if (st != ST_NOT_FOUND)
		return st;
	l->end = (uint32_t)offset;
	if (w->segno == l->newest)
		return tail_cut(w, offset, e);
	return offset >= w->size ? ST_OK : damaged(w, offset, e);
}

/* A crash while the newest was created left it without a header: then nothing was in it. */
static enum status unborn_drop(struct walk *w, struct error *e)
{
	struct waitlog *l = w->l;
	enum status st = w->segno == l->newest ? ST_OK : damaged(w, 0, e);

	if (st == ST_OK)
		st = tail_cut(w, 0, e);
	if (st == ST_OK && unlink(w->path) != 0)
		st = failed(e, "delete", w->path);
	if (st == ST_OK)
		st = dir_sync(l->dir, e);
	if (st == ST_OK)
		l->newest--;
	return st;
}

static enum status segment_walk(struct walk *w, struct error *e)
{
	struct waitlog *l = w->l;
	struct segment_header h;
	size_t got;
	enum status st;

	if (!read_at(w->fd, l->buf, FRAME_BLOCK_BYTES, 0, &got))
		return failed(e, "read", w->path);
	st = got < FRAME_BLOCK_BYTES ? ST_CORRUPT : segment_header_read(&h, l->buf, FRAME_WAITING);
	if (st == ST_CORRUPT)
		return unborn_drop(w, e);
	if (st != ST_OK || h.segment_bytes != WAITLOG_SEGMENT_BYTES)
		return error_set(e, ST_UNSUPPORTED,
				 "%s: its format is unknown to this version; start the version "
				 "that wrote it",
				 w->path);
	if (h.segno != w->segno || (w->chained && h.prev != l->prev))
		return damaged(w, 0, e);
	l->prev = h.prev;
	if (h.epoch > l->epoch)
		l->epoch = h.epoch;
	w->chained = true;
	return frames_walk(w, e);
}

static enum status missing(const char *path, struct error *e)
{
	return error_set(e, ST_DAMAGED,
			 "%s: is missing; restore it from a backup: held results stand only there",
			 path);
}

static enum status segment_open(struct walk *w, uint64_t segno, struct error *e)
{
	struct waitlog *l = w->l;
	struct stat sb;
	enum status st;

	path_make(l, w->path, segno);
	w->segno = segno;
	w->fd = direct_open(w->path, O_RDWR | O_DSYNC);
	if (w->fd < 0 && errno == ENOENT)
		return missing(w->path, e);
	if (w->fd < 0 || fstat(w->fd, &sb) != 0) {
		st = failed(e, "open", w->path);
	} else {
		w->size = (uint64_t)sb.st_size;
		st = segment_walk(w, e);
	}
	/* What was found may be in a cache only: it is acted upon, so it must stay. */
	if (st == ST_OK && fsync(w->fd) != 0)
		st = failed(e, "flush", w->path);
	if (st == ST_OK && l->newest == segno)
		l->fd = w->fd;
	else if (w->fd >= 0)
		close(w->fd);
	return st;
}

static enum status files_list(struct waitlog *l, struct error *e)
{
	DIR *d = opendir(l->dir);
	struct dirent *ent;

	if (d == NULL)
		return failed(e, "list", l->dir);
	while ((ent = readdir(d)) != NULL) {
		unsigned long long segno;
		int end = 0;

		if (sscanf(ent->d_name, "%16llx.seg%n", &segno, &end) != 1 || end != 20 ||
		    ent->d_name[end] != '\0' || segno == 0)
			continue;
		if (l->oldest == 0 || segno < l->oldest)
			l->oldest = segno;
		if (segno > l->newest)
			l->newest = segno;
	}
	closedir(d);
	return ST_OK;
}

/* Those that are not read must be there, too. */
static enum status files_stand(const struct waitlog *l, uint64_t before, struct error *e)
{
	char path[PATH_MAX];

	for (uint64_t n = l->oldest; n != 0 && n < before; n++) {
		path_make(l, path, n);
		if (access(path, F_OK) != 0)
			return errno == ENOENT ? missing(path, e) : failed(e, "look at", path);
	}
	return ST_OK;
}

static enum status files_walk(struct walk *w, struct error *e)
{
	struct waitlog *l = w->l;
	uint64_t first = l->oldest;
	enum status st;

	if (w->from.frame != 0) {
		first = waitlog_segment(w->from.frame);
		if (l->oldest == 0 || first < l->oldest || first > l->newest)
			return error_set(e, ST_CONFLICT, "%s: no segment %016llx", l->dir,
					 (unsigned long long)first);
	}
	st = files_stand(l, first, e);
	for (uint64_t n = first; st == ST_OK && n != 0 && n <= l->newest; n++)
		st = segment_open(w, n, e);
	if (st == ST_OK && l->newest < l->oldest)	/* the only one was unborn */
		l->oldest = l->newest = 0;
	if (st == ST_OK && l->newest != 0 && l->fd < 0) {	/* the one behind it was unborn */
		path_make(l, w->path, l->newest);
		l->fd = direct_open(w->path, O_RDWR | O_DSYNC);
		if (l->fd < 0)
			st = failed(e, "open", w->path);
	}
	return st;
}

enum status waitlog_open(struct waitlog **out, const char *dir, const struct waitlog_place *from,
			 waitlog_fn each, void *ctx, struct error *e)
{
	struct waitlog *l = calloc(1, sizeof(*l));
	struct walk w = { .l = l, .each = each, .ctx = ctx, .from = *from };
	enum status st;

	if (l == NULL)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	l->fd = -1;
	l->dir = strdup(dir);
	l->buf = aligned_new(BUFFER_BYTES);
	st = l->dir == NULL || l->buf == NULL ? error_set(e, ST_NOMEM, "waiting room: no memory") :
						files_list(l, e);
	if (st == ST_OK)
		st = files_walk(&w, e);
	if (st == ST_OK)
		st = dir_sync(dir, e);
	if (st != ST_OK) {
		waitlog_close(l);
		return st;
	}
	l->epoch++;
	*out = l;
	return ST_OK;
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
	path_make(l, path, h.segno);
	fd = direct_open(path, O_RDWR | O_CREAT | O_EXCL | O_DSYNC);
	if (fd < 0)
		return failed(e, "create", path);
	if (!write_at(fd, l->buf, FRAME_BLOCK_BYTES, 0)) {
		enum status st = failed(e, "write", path);

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
		path_make(l, path, l->newest);
		return failed(e, "write", path);
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
	path_make(l, path, l->oldest);
	if (unlink(path) != 0)
		return failed(e, "delete", path);
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

	path_of(path, dir, waitlog_segment(pos));
	if (want > BUFFER_BYTES)
		return error_set(e, ST_CORRUPT, "%s: a record of %zu bytes", path, n);
	if (buffer_grow(b, want) != ST_OK)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	fd = direct_open(path, O_RDONLY);
	if (fd < 0)
		return errno == ENOENT ? error_set(e, ST_NOT_FOUND, "%s: is gone", path) :
					 failed(e, "open", path);
	if (!read_at(fd, b->p, want, block, &got))
		st = failed(e, "read", path);
	else if (got < offset - block ||
		 frame_record_read(rec, slice_of(b->p + (offset - block), got - (offset - block)),
				   pos) != ST_OK ||
		 rec->payload.n != n)
		st = error_set(e, ST_CORRUPT, "%s: the record at offset %llu fails its checksum",
			       path, (unsigned long long)offset);
	close(fd);
	return st;
}
