#include "journal/waitlog_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

struct walk {
	struct waitlog *l;
	waitlog_fn each;
	void *ctx;
	struct waitlog_place from, known;
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

	if (!waitlog_read_at(w->fd, buf, FRAME_BLOCK_BYTES, offset, &got))
		return waitlog_failed(e, "read", w->path);
	if (got < FRAME_HEADER_BYTES)
		return ST_NOT_FOUND;
	length = frame_length(buf, w->segno, position);
	if (length == 0 || length > JOURNAL_BATCH_BYTES_MAX || offset + length > w->size)
		return ST_NOT_FOUND;
	if (length > got && !waitlog_read_at(w->fd, buf, frame_padded(length), offset, &got))
		return waitlog_failed(e, "read", w->path);
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

/* What the index had seen was durable before: no crash tears it. */
static enum status lost(const struct walk *w, uint64_t end, struct error *e)
{
	return error_set(e, ST_DAMAGED,
			 "%s: the segments end at %llu, the index knows rows up to %llu: held "
			 "results are missing. Restore a backup; or, to go on without them, "
			 "delete index.db",
			 w->l->dir, (unsigned long long)end, (unsigned long long)w->known.end);
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
	if (w->segno * WAITLOG_SEGMENT_BYTES + offset < w->known.end)
		return lost(w, w->segno * WAITLOG_SEGMENT_BYTES + offset, e);
	if (w->size != offset && ftruncate(w->fd, (off_t)offset) != 0)
		return waitlog_failed(e, "cut the torn tail", w->path);
	return ST_OK;
}

static enum status records_give(struct walk *w, const struct frame_view *v, struct error *e)
{
	struct frame_record rec;
	uint32_t at = 0;
	enum status st = ST_OK;

	while (st == ST_OK && frame_next(v, &at, &rec)) {
		if (rec.version == 0 || rec.version > WAITLOG_VERSION_MAX)
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
		st = waitlog_failed(e, "delete", w->path);
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

	if (!waitlog_read_at(w->fd, l->buf, FRAME_BLOCK_BYTES, 0, &got))
		return waitlog_failed(e, "read", w->path);
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

	waitlog_path(w->path, l->dir, segno);
	w->segno = segno;
	w->fd = waitlog_file(w->path, O_RDWR | O_DSYNC);
	if (w->fd < 0 && errno == ENOENT)
		return missing(w->path, e);
	if (w->fd < 0 || fstat(w->fd, &sb) != 0) {
		st = waitlog_failed(e, "open", w->path);
	} else {
		w->size = (uint64_t)sb.st_size;
		st = segment_walk(w, e);
	}
	/* What was found may be in a cache only: it is acted upon, so it must stay. */
	if (st == ST_OK && fsync(w->fd) != 0)
		st = waitlog_failed(e, "flush", w->path);
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
		return waitlog_failed(e, "list", l->dir);
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
		waitlog_path(path, l->dir, n);
		if (access(path, F_OK) != 0)
			return errno == ENOENT ? missing(path, e) :
						 waitlog_failed(e, "look at", path);
	}
	return ST_OK;
}

static enum status files_walk(struct walk *w, struct error *e)
{
	struct waitlog *l = w->l;
	uint64_t first = l->oldest;
	enum status st;

	/* None at all: all may have gone on, which a power cut took from the index. */
	if (w->from.frame == 0 && l->newest != 0 && waitlog_segment(w->known.frame) > l->newest)
		return lost(w, (l->newest + 1) * WAITLOG_SEGMENT_BYTES, e);
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
		waitlog_path(w->path, l->dir, l->newest);
		l->fd = waitlog_file(w->path, O_RDWR | O_DSYNC);
		if (l->fd < 0)
			st = waitlog_failed(e, "open", w->path);
	}
	return st;
}

enum status waitlog_open(struct waitlog **out, const char *dir, const struct waitlog_place *from,
			 const struct waitlog_place *known, waitlog_fn each, void *ctx,
			 struct error *e)
{
	struct waitlog *l = calloc(1, sizeof(*l));
	struct walk w = { .l = l, .each = each, .ctx = ctx, .from = *from, .known = *known };
	enum status st;

	if (l == NULL)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	l->fd = -1;
	l->dir = strdup(dir);
	l->buf = aligned_new(WAITLOG_BUFFER_BYTES);
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
