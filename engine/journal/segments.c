#include "journal/segments.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "journal/journal.h"

#define SLOTS_MAX 10000u	/* four digits */
#define HEAD_BYTES (2 * FRAME_BLOCK_BYTES)	/* header block and the place of the first frame */

static enum status failed(const struct segments *s, uint32_t index, const char *act,
			  struct error *e)
{
	int err = errno;

	return error_set(e, err == ENOSPC || err == EDQUOT ? ST_NOSPACE : ST_IO,
			 "%s/slot-%04u: cannot %s: %s", s->dir, index, act, strerrordesc_np(err));
}

static void name_of(const struct segments *s, uint32_t index, const char *suffix,
		    char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/slot-%04u%s", s->dir, index, suffix);
}

/* ---- opening ---- */

static int file_open(struct segments *s, const char *path, int flags)
{
	flags |= O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	if (s->direct) {
		int fd = open(path, flags | O_DIRECT, 0600);

		if (fd >= 0 || errno != EINVAL)
			return fd;
		log_warn("journal", "%s: the file system refuses direct writes; they go through "
			 "its cache", s->dir);
		s->direct = false;
	}
	return open(path, flags, 0600);
}

static enum status wrong_size(const char *dir, uint32_t was, uint32_t bytes, struct error *e)
{
	return error_set(e, ST_PRECONDITION, "%s was made with segments of %u bytes, not %u: set "
			 "journal_segment_mb back to %u", dir, was, bytes, was >> 20);
}

enum status journal_fits(const char *dir, uint32_t segment_bytes, struct error *e)
{
	uint8_t head[FRAME_BLOCK_BYTES];
	struct segment_header h;
	char path[PATH_MAX];
	bool there;
	int fd;

	snprintf(path, sizeof(path), "%s/slot-0000", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ST_OK :
			error_set(e, ST_IO, "%s: %s", path, strerrordesc_np(errno));
	there = pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
		segment_header_read(&h, head, FRAME_JOURNAL) == ST_OK;
	close(fd);
	return there && h.segment_bytes != segment_bytes ?
		wrong_size(dir, h.segment_bytes, segment_bytes, e) : ST_OK;
}

static enum status header_load(struct segments *s, struct slot *slot, struct error *e)
{
	struct segment_header h;
	const uint8_t *p;
	enum status st = segments_load(s, slot, 0, HEAD_BYTES, false, &p, e);

	if (st != ST_OK)
		return st;
	st = segment_header_read(&h, p, FRAME_JOURNAL);
	if (st == ST_UNSUPPORTED)
		return error_set(e, st, "%s/slot-%04u was written by a later version: start that "
				 "one", s->dir, slot->index);
	if (st == ST_OK && h.segment_bytes != s->bytes)
		return wrong_size(s->dir, h.segment_bytes, s->bytes, e);
	if (st == ST_OK) {
		slot->segno = h.segno;
		slot->prev = h.prev;
		slot->epoch = h.epoch;
		return ST_OK;
	}
	for (uint32_t i = 0; i < HEAD_BYTES && !slot->unreadable; i++)
		slot->unreadable = p[i] != 0;
	return ST_OK;
}

/* A file of another size: was it made so, or did it become so? */
static enum status size_judge(struct segments *s, struct slot *slot, off_t size, struct error *e)
{
	struct segment_header h;
	const uint8_t *p;
	bool head = size >= HEAD_BYTES &&
		    segments_load(s, slot, 0, HEAD_BYTES, false, &p, NULL) == ST_OK &&
		    segment_header_read(&h, p, FRAME_JOURNAL) == ST_OK;

	if (head && h.segment_bytes != s->bytes)
		return wrong_size(s->dir, h.segment_bytes, s->bytes, e);
	return error_set(e, ST_DAMAGED, "%s/slot-%04u is %lld bytes long instead of %u: copy the "
			 "folder away and restore a backup", s->dir, slot->index, (long long)size,
			 s->bytes);
}

static enum status slot_open(struct segments *s, struct slot *slot, struct error *e)
{
	char path[PATH_MAX];
	struct stat sb;

	name_of(s, slot->index, "", path);
	slot->fd = file_open(s, path, 0);
	if (slot->fd < 0)
		return errno == ENOENT ? ST_OK : failed(s, slot->index, "open", e);
	if (fstat(slot->fd, &sb) != 0)
		return failed(s, slot->index, "stat", e);
	if (sb.st_size != (off_t)s->bytes)
		return size_judge(s, slot, sb.st_size, e);
	/* Fills holes of a sparse copy; and waits for direct writes that a killed predecessor may
	 * still have under way (ext4, xfs), so that none lands after we have read. */
	if (fallocate(slot->fd, 0, 0, s->bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		return failed(s, slot->index, "allocate", e);
	return header_load(s, slot, e);
}

/* One more than the highest number of a slot file, or n. */
static uint32_t slots_found(const char *dir, uint32_t n)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		uint32_t index;
		int end = 0;

		if (sscanf(entry->d_name, "slot-%4u%n", &index, &end) == 1 &&
		    entry->d_name[end] == '\0' && index >= n)
			n = index + 1;
	}
	if (d != NULL)
		closedir(d);
	return n;
}

enum status segments_open(struct segments *s, const char *dir, uint32_t bytes, uint32_t n,
			  struct error *e)
{
	enum status st = ST_OK;

	assert(bytes % FRAME_BLOCK_BYTES == 0 && bytes >= 4 * FRAME_BLOCK_BYTES && n >= 2);
	n = slots_found(dir, n);
	if (n > SLOTS_MAX)
		return error_set(e, ST_TOO_LARGE, "%s: at most %u segments", dir, SLOTS_MAX);
	*s = (struct segments){ .dir = strdup(dir), .bytes = bytes, .n = n, .direct = true,
				.slots = calloc(n, sizeof(*s->slots)),
				.window = aligned_new(SEGMENTS_WINDOW_BYTES) };
	if (s->dir == NULL || s->slots == NULL || s->window == NULL)
		st = error_set(e, ST_NOMEM, "%s: no memory for %u segments", dir, n);
	for (uint32_t i = 0; s->slots != NULL && i < n; i++)
		s->slots[i] = (struct slot){ .fd = -1, .index = i };
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		st = slot_open(s, &s->slots[i], e);
	if (st != ST_OK)
		segments_close(s);
	return st;
}

void segments_close(struct segments *s)
{
	for (uint32_t i = 0; s->slots != NULL && i < s->n; i++)
		if (s->slots[i].fd >= 0)
			close(s->slots[i].fd);
	free(s->slots);
	free(s->window);
	free(s->dir);
	*s = (struct segments){ 0 };
}

/* ---- allocation ---- */

static uint64_t bytes_left(const struct segments *s)
{
	struct statvfs fs;

	return statvfs(s->dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

static enum status no_space(const struct segments *s, uint32_t missing, uint64_t left,
			    struct error *e)
{
	return error_set(e, ST_NOSPACE, "%s: the journal needs %llu bytes more (%u segments of "
			 "%u), %llu are free: make room, or set journal_slots or "
			 "journal_segment_mb lower before the first start", s->dir,
			 (unsigned long long)missing * s->bytes, missing, s->bytes,
			 (unsigned long long)left);
}

/* Written, not merely allocated: else every first write would also move metadata. */
static enum status zero_fill(struct segments *s, struct slot *slot, struct error *e)
{
	uint32_t at = 0;

	s->seen = NULL;
	memset(s->window, 0, SEGMENTS_WINDOW_BYTES);
	while (at < s->bytes) {
		uint32_t left = s->bytes - at;
		uint32_t n = left < SEGMENTS_WINDOW_BYTES ? left : SEGMENTS_WINDOW_BYTES;
		ssize_t rc = pwrite(slot->fd, s->window, n, at);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0 || rc % FRAME_BLOCK_BYTES != 0)
			return failed(s, slot->index, "write", e);
		at += (uint32_t)rc;
	}
	return fdatasync(slot->fd) == 0 ? ST_OK : failed(s, slot->index, "flush", e);
}

static enum status slot_reserve(struct segments *s, struct slot *slot, struct error *e)
{
	char tmp[PATH_MAX];

	name_of(s, slot->index, ".tmp", tmp);
	slot->fd = file_open(s, tmp, O_CREAT | O_TRUNC);
	if (slot->fd < 0)
		return failed(s, slot->index, "create", e);
	if (fallocate(slot->fd, 0, 0, s->bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		return failed(s, slot->index, "allocate", e);
	return ST_OK;
}

static enum status slot_finish(struct segments *s, struct slot *slot, struct error *e)
{
	char tmp[PATH_MAX], path[PATH_MAX];
	enum status st = zero_fill(s, slot, e);

	name_of(s, slot->index, ".tmp", tmp);
	name_of(s, slot->index, "", path);
	if (st == ST_OK && rename(tmp, path) != 0)
		st = failed(s, slot->index, "rename into place", e);
	return st;
}

/* All are reserved before one is filled: a disk too small is found at once. */
static enum status slots_make(struct segments *s, const bool *missing, struct error *e)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; i < s->n && st == ST_OK; i++)
		if (missing[i])
			st = slot_reserve(s, &s->slots[i], e);
	for (uint32_t i = 0; i < s->n && st == ST_OK; i++)
		if (missing[i])
			st = slot_finish(s, &s->slots[i], e);
	for (uint32_t i = 0; i < s->n && st != ST_OK; i++) {
		char tmp[PATH_MAX];

		name_of(s, i, ".tmp", tmp);
		if (missing[i])
			unlink(tmp);
	}
	return st == ST_OK ? dir_sync(s->dir, e) : st;
}

enum status segments_allocate(struct segments *s, struct error *e)
{
	uint64_t left = bytes_left(s);
	bool *missing = calloc(s->n, sizeof(*missing));
	uint32_t n = 0;
	enum status st = ST_OK;

	if (missing == NULL)
		return error_set(e, ST_NOMEM, "%s: no memory", s->dir);
	for (uint32_t i = 0; i < s->n; i++) {
		missing[i] = s->slots[i].fd < 0;
		n += missing[i];
	}
	if ((uint64_t)n * s->bytes > left)
		st = ST_NOSPACE;
	else if (n > 0)
		st = slots_make(s, missing, e);
	free(missing);
	return st == ST_NOSPACE ? no_space(s, n, left, e) : st;
}

enum status segments_flush(struct segments *s, struct error *e)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->slots[i].segno != 0 && fdatasync(s->slots[i].fd) != 0)
			return failed(s, i, "flush", e);
	return ST_OK;
}

/* ---- looking ---- */

struct slot *segments_find(struct segments *s, uint64_t segno)
{
	for (uint32_t i = 0; i < s->n && segno != 0; i++)
		if (s->slots[i].segno == segno)
			return &s->slots[i];
	return NULL;
}

struct slot *segments_free(struct segments *s, uint64_t below)
{
	struct slot *oldest = NULL;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->slots[i].segno < below &&
		    (oldest == NULL || s->slots[i].segno < oldest->segno))
			oldest = &s->slots[i];
	return oldest;
}

uint64_t segments_newest(const struct segments *s)
{
	uint64_t newest = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->slots[i].segno > newest)
			newest = s->slots[i].segno;
	return newest;
}

static enum status read_all(const struct segments *s, const struct slot *slot, uint32_t at,
			    uint32_t n, struct error *e)
{
	ssize_t got = file_read_at(slot->fd, s->window, n, at);

	if (got == (ssize_t)n)
		return ST_OK;
	if (got >= 0)
		errno = EIO;
	return failed(s, slot->index, "read", e);
}

enum status segments_load(struct segments *s, const struct slot *slot, uint32_t offset, uint32_t n,
			  bool ahead, const uint8_t **p, struct error *e)
{
	uint32_t at = offset & ~(FRAME_BLOCK_BYTES - 1);
	uint32_t want = ahead ? SEGMENTS_WINDOW_BYTES : (uint32_t)frame_padded(offset + n) - at;
	enum status st;

	assert(offset + n <= s->bytes && offset - at + n <= SEGMENTS_WINDOW_BYTES);
	if (want > s->bytes - at)
		want = s->bytes - at;
	if (!ahead || s->seen != slot || at < s->seen_at || offset + n > s->seen_at + s->seen_n) {
		s->seen = NULL;
		st = read_all(s, slot, at, want, e);
		if (st != ST_OK)
			return st;
		s->seen = slot;
		s->seen_at = at;
		s->seen_n = want;
	}
	*p = s->window + (offset - s->seen_at);
	return ST_OK;
}
