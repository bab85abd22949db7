#include "store/framewalk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"

struct segfile {
	char name[256];
	uint64_t segno;			/* 0: no valid header */
	struct segment_header header;
};

struct framewalk {
	char dir[PATH_MAX];
	enum frame_purpose purpose;
	uint32_t segment_bytes;
	struct segfile *files;		/* by segno; those without a header first */
	size_t files_n, room;
	uint64_t first, last;		/* segnos of the run; 0: none */
	int fd;				/* of segment `segno`; -1: none open */
	char name[256];
	uint8_t header[FRAME_BLOCK_BYTES];
	struct framewalk_place at;
	uint64_t resume;		/* position of what testified to damage; 0: nothing did */
	uint8_t *buf;
	size_t buf_n;
};

static enum status failed(const struct framewalk *w, const char *name, struct error *e)
{
	return error_set(e, ST_IO, "%s/%s: %s", w->dir, name, strerrordesc_np(errno));
}

/* ---- which files there are ---- */

static int file_open(const struct framewalk *w, const char *name)
{
	char path[PATH_MAX + 256];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static enum status file_add(struct framewalk *w, const char *name, struct error *e)
{
	uint8_t block[FRAME_BLOCK_BYTES];
	struct segfile *f;
	int fd = file_open(w, name);
	ssize_t got;
	enum status st;

	if (fd < 0)
		return errno == ELOOP || errno == ENOENT ? ST_OK : failed(w, name, e);
	got = file_read_at(fd, block, sizeof(block), 0);
	close(fd);
	if (got < 0)
		return errno == EISDIR ? ST_OK : failed(w, name, e);
	if (w->files_n == w->room) {
		size_t room = w->room == 0 ? 64 : 2 * w->room;
		void *bigger = realloc(w->files, room * sizeof(*w->files));

		if (bigger == NULL)
			return ST_NOMEM;
		w->files = bigger;
		w->room = room;
	}
	f = &w->files[w->files_n];
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->segno = 0;
	st = got < (ssize_t)sizeof(block) ? ST_CORRUPT :
	     segment_header_read(&f->header, block, w->purpose);
	if (st == ST_UNSUPPORTED)
		return error_set(e, st, "%s/%s was written by a later version", w->dir, name);
	if (st == ST_OK)
		f->segno = f->header.segno;
	w->files_n++;
	return ST_OK;
}

/*
 * Where no header can be read, the first frame of a file still says the size of segments: its
 * position is segno × size + one block.
 */
static void guess_bytes(struct framewalk *w, const char *name)
{
	uint8_t head[FRAME_HEADER_BYTES];
	struct reader r = reader_of(slice_of(head + 16, 16));
	int fd = file_open(w, name);
	uint64_t segno, position;

	if (fd < 0)
		return;
	if (file_read_at(fd, head, sizeof(head), FRAME_BLOCK_BYTES) == sizeof(head)) {
		segno = read_u64(&r);
		position = read_u64(&r);
		if (segno != 0 && frame_length(head, segno, position) != 0)
			w->segment_bytes = (uint32_t)((position - FRAME_BLOCK_BYTES) / segno);
	}
	close(fd);
}

static int by_segno(const void *a, const void *b)
{
	const struct segfile *x = a, *y = b;

	return x->segno < y->segno ? -1 : x->segno > y->segno;
}

static struct segfile *file_find(const struct framewalk *w, uint64_t segno)
{
	struct segfile key = { .segno = segno };

	return w->files_n == 0 ? NULL :
	       bsearch(&key, w->files, w->files_n, sizeof(key), by_segno);
}

/* Files that are no segments by their name are not ours: locks, the index. */
static bool is_segment(enum frame_purpose purpose, const char *name)
{
	const char *dot = strrchr(name, '.');

	if (purpose == FRAME_JOURNAL)
		return strncmp(name, "slot-", 5) == 0 && dot == NULL;
	return dot != NULL && dot != name && strcmp(dot, ".seg") == 0;
}

static enum status list(struct framewalk *w, struct error *e)
{
	DIR *d = opendir(w->dir);
	struct dirent *entry;
	enum status st = ST_OK;

	w->files_n = 0;
	w->first = w->last = 0;
	if (d == NULL)
		return errno == ENOENT ? ST_OK : failed(w, "", e);
	while (st == ST_OK && (entry = readdir(d)) != NULL)
		if (is_segment(w->purpose, entry->d_name))
			st = file_add(w, entry->d_name, e);
	closedir(d);
	if (st != ST_OK || w->files_n == 0)
		return st;
	qsort(w->files, w->files_n, sizeof(*w->files), by_segno);
	w->last = w->files[w->files_n - 1].segno;
	if (w->last != 0)
		w->segment_bytes = w->files[w->files_n - 1].header.segment_bytes;
	else
		guess_bytes(w, w->files[0].name);
	for (w->first = w->last; w->first > 1 && file_find(w, w->first - 1) != NULL;)
		w->first--;
	return ST_OK;
}

static enum status gap(const struct framewalk *w, struct error *e)
{
	return error_set(e, ST_DAMAGED,
			 "%s: segment %llu is missing or its header is damaged, later "
			 "ones are there", w->dir, (unsigned long long)(w->first - 1));
}

/*
 * Recycled slots of the journal may hold older segments that nobody needs; elsewhere a gap is a
 * loss.
 */
static bool has_gap(const struct framewalk *w)
{
	if (w->last == 0)
		return false;
	if (w->purpose == FRAME_STORE)
		return w->first != 1;
	return w->purpose == FRAME_WAITING && w->files[0].segno != 0 &&
	       w->files[0].segno != w->first;
}

/* ---- one segment after the other ---- */

static enum status enter(struct framewalk *w, uint64_t segno, struct error *e)
{
	const struct segfile *f = file_find(w, segno);
	struct segment_header h;

	if (w->fd >= 0)
		close(w->fd);
	w->fd = f != NULL ? file_open(w, f->name) : -1;
	if (w->fd < 0)
		return failed(w, f != NULL ? f->name : "(segment)", e);
	/* Read again: a journal's slot may have been recycled since the listing. */
	if (file_read_at(w->fd, w->header, sizeof(w->header), 0) != sizeof(w->header) ||
	    segment_header_read(&h, w->header, w->purpose) != ST_OK || h.segno != segno)
		return error_set(e, ST_AGAIN, "%s/%s: changed while it was read", w->dir, f->name);
	memcpy(w->name, f->name, sizeof(w->name));
	w->at.segno = segno;
	w->at.segment_bytes = h.segment_bytes;
	w->at.end = h.first + FRAME_BLOCK_BYTES;
	if (h.epoch > w->at.epoch)
		w->at.epoch = h.epoch;
	return ST_OK;
}

/* The frame at this position of an open file, in w->buf. ST_NOT_FOUND: none begins there. */
static enum status load(struct framewalk *w, int fd, uint64_t segno, uint64_t position,
			struct frame_view *v)
{
	uint64_t offset = position - segno * w->segment_bytes;
	uint8_t head[FRAME_HEADER_BYTES];
	uint32_t length;

	if (offset + FRAME_HEADER_BYTES > w->segment_bytes ||
	    file_read_at(fd, head, sizeof(head), offset) != sizeof(head))
		return ST_NOT_FOUND;
	length = frame_length(head, segno, position);
	if (length == 0 || length > w->segment_bytes - offset)
		return ST_NOT_FOUND;
	if (length > w->buf_n) {
		uint8_t *bigger = realloc(w->buf, length);

		if (bigger == NULL)
			return ST_NOMEM;
		w->buf = bigger;
		w->buf_n = length;
	}
	if (file_read_at(fd, w->buf, length, offset) != (ssize_t)length ||
	    frame_check(v, slice_of(w->buf, length), segno, position) != ST_OK)
		return ST_NOT_FOUND;
	return ST_OK;
}

static enum status take(struct framewalk *w, const struct frame_view *v)
{
	w->at.last = v->position;
	w->at.prev = v->crc;
	if (v->epoch > w->at.epoch)
		w->at.epoch = v->epoch;
	w->at.end = v->position + frame_padded(v->bytes.n);
	return ST_OK;
}

/* A later frame in this file that knew our place to be durable. */
static bool testified(struct framewalk *w, int fd, uint64_t segno, uint64_t from)
{
	uint64_t end = (segno + 1) * w->segment_bytes;
	struct frame_view v;

	for (uint64_t at = from; at < end; at += FRAME_BLOCK_BYTES) {
		if (load(w, fd, segno, at, &v) != ST_OK || v.durable <= w->at.end)
			continue;
		w->resume = at;
		return true;
	}
	return false;
}

/* Frames of the next segment although its header cannot be read. */
static bool next_testified(struct framewalk *w)
{
	uint64_t segno = w->at.segno + 1;
	bool found = false;

	if (w->segment_bytes == 0)
		return false;
	for (size_t i = 0; i < w->files_n && w->files[i].segno == 0 && !found; i++) {
		int fd = file_open(w, w->files[i].name);

		if (fd < 0)
			continue;
		found = testified(w, fd, segno, segno * w->segment_bytes + FRAME_BLOCK_BYTES);
		close(fd);
		if (found)
			memcpy(w->name, w->files[i].name, sizeof(w->name));
	}
	return found;
}

static enum status damaged(const struct framewalk *w, struct error *e)
{
	return error_set(e, ST_DAMAGED, "%s/%s: damaged at offset %llu, with valid data behind it",
			 w->dir, w->name,
			 (unsigned long long)(w->at.end - w->at.segno * w->segment_bytes));
}

static enum status headless(const struct framewalk *w, struct error *e)
{
	return error_set(e, ST_DAMAGED, "%s/%s: the header is damaged, with valid data behind it",
			 w->dir, w->name);
}

/* No frame stands at the end of what was read: the log's end, the segment's, or damage? */
static enum status judge(struct framewalk *w, struct error *e)
{
	const struct segfile *next = file_find(w, w->at.segno + 1);

	w->resume = 0;
	if (testified(w, w->fd, w->at.segno, w->at.end + FRAME_BLOCK_BYTES))
		return damaged(w, e);
	if (next == NULL)
		return next_testified(w) ? headless(w, e) : ST_NOT_FOUND;
	if (next->header.prev != w->at.prev) {
		w->resume = next->header.first + FRAME_BLOCK_BYTES;
		return damaged(w, e);
	}
	return enter(w, next->segno, e);
}

/* The store's next segment has a name of its own: without it there is nothing new to be listed. */
static bool may_grow(const struct framewalk *w)
{
	char path[PATH_MAX + 32];

	if (w->purpose != FRAME_STORE)
		return true;
	snprintf(path, sizeof(path), "%s/%010llu.seg", w->dir, (unsigned long long)w->at.segno + 1);
	return access(path, F_OK) == 0;
}

enum status framewalk_next(struct framewalk *w, struct frame_view *v, struct error *e)
{
	bool fresh = false;

	for (;;) {
		enum status st = ST_NOT_FOUND;

		if (w->fd < 0 && w->first != 0) {
			st = enter(w, w->first, e);
			if (st != ST_OK)
				return st;
			/*
			 * What stood before the oldest segment is gone; its header vouches for
			 * it.
			 */
			w->at.prev = file_find(w, w->first)->header.prev;
		}
		if (w->fd >= 0) {
			st = load(w, w->fd, w->at.segno, w->at.end, v);
			if (st == ST_OK && v->prev == w->at.prev)
				return take(w, v);
			if (st == ST_OK || st == ST_NOT_FOUND)
				st = judge(w, e);
		} else if (next_testified(w)) {
			st = headless(w, e);
		}
		if (st == ST_OK)
			continue;
		if (st != ST_NOT_FOUND || fresh || !may_grow(w))
			return st;
		st = list(w, e);
		if (st != ST_OK)
			return st;
		fresh = true;
	}
}

bool framewalk_grew(const struct framewalk *w)
{
	uint64_t offset = w->at.end - w->at.segno * w->segment_bytes;
	uint8_t head[FRAME_HEADER_BYTES];

	/* Space that was reserved is zero. */
	if (w->fd >= 0 && offset + sizeof(head) <= w->segment_bytes &&
	    file_read_at(w->fd, head, sizeof(head), offset) == sizeof(head) &&
	    frame_length(head, w->at.segno, w->at.end) != 0)
		return true;
	return may_grow(w);
}

bool framewalk_skip(struct framewalk *w)
{
	uint64_t segno;
	struct frame_view v;
	struct error e;

	if (w->resume == 0)
		return false;
	segno = w->resume / w->segment_bytes;
	if (segno != w->at.segno && enter(w, segno, &e) != ST_OK)
		return false;
	w->at.end = w->resume;
	w->resume = 0;
	if (load(w, w->fd, segno, w->at.end, &v) == ST_OK)
		w->at.prev = v.prev;
	return true;
}

enum status framewalk_seek(struct framewalk *w, uint64_t last, uint32_t crc)
{
	struct frame_view v;
	struct error e;
	uint64_t segno;

	if (w->first == 0 || last == 0)
		return ST_NOT_FOUND;
	segno = last / w->segment_bytes;
	if (segno < w->first || segno > w->last || enter(w, segno, &e) != ST_OK ||
	    load(w, w->fd, segno, last, &v) != ST_OK || v.crc != crc) {
		if (w->fd >= 0)
			close(w->fd);
		w->fd = -1;
		w->at.last = 0;
		return ST_NOT_FOUND;
	}
	return take(w, &v);
}

enum status framewalk_open(struct framewalk **out, const char *dir, enum frame_purpose purpose,
			   struct error *e)
{
	struct framewalk *w = calloc(1, sizeof(*w));
	enum status st;

	if (w == NULL)
		return ST_NOMEM;
	w->fd = -1;
	w->purpose = purpose;
	snprintf(w->dir, sizeof(w->dir), "%s", dir);
	st = list(w, e);
	if (st == ST_OK && has_gap(w))
		st = gap(w, e);
	if (st != ST_OK) {
		framewalk_close(w);
		return st;
	}
	*out = w;
	return ST_OK;
}

void framewalk_last(struct framewalk *w)
{
	w->first = w->last;
}

void framewalk_close(struct framewalk *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		close(w->fd);
	free(w->files);
	free(w->buf);
	free(w);
}

void framewalk_at(const struct framewalk *w, struct framewalk_place *out)
{
	*out = w->at;
	out->segment_bytes = w->segment_bytes;
}

const char *framewalk_file(const struct framewalk *w, const uint8_t **header)
{
	*header = w->header;
	return w->name;
}
