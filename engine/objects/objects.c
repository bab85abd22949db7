#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "objects/inside.h"

/* ---- names ---- */

void waiting_name(char name[NAME_BYTES], const uint8_t sha256[SHA256_BYTES])
{
	hex_lower(name, sha256, SHA256_BYTES);
	name[2 * SHA256_BYTES] = '\0';
}

void settled_name(char name[NAME_BYTES], const uint8_t sha256[SHA256_BYTES])
{
	hex_lower(name, sha256, 1);
	name[2] = '/';
	hex_lower(name + 3, sha256 + 1, SHA256_BYTES - 1);
	name[2 * SHA256_BYTES + 1] = '\0';
}

void part_name(char name[NAME_BYTES], uint32_t number)
{
	snprintf(name, NAME_BYTES, "%u%s", number, PART_SUFFIX);
}

enum status objects_failed(const struct objects *o, const char *act, struct error *e)
{
	int err = errno;
	enum status st = err == ENOSPC || err == EDQUOT || err == EFBIG ? ST_FULL :
			 err == ENOENT ? ST_NOT_FOUND :
			 err == EMFILE || err == ENFILE ? ST_AGAIN : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", o->dir, act, strerrordesc_np(err));
}

/* ---- opening ---- */

static int folder_open(const char *dir, const char *name)
{
	char path[PATH_MAX + NAME_BYTES];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum status depot_open(struct objects **out, const char *dir, struct error *e)
{
	struct objects *o = calloc(1, sizeof(*o));
	enum status st = ST_OK;

	if (o == NULL)
		return ST_NOMEM;
	snprintf(o->dir, sizeof(o->dir), "%s", dir);
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->names_lock, NULL);
	o->fd = folder_open(dir, ".");
	o->waiting = folder_open(dir, OBJECTS_WAITING);
	if (o->fd < 0 || o->waiting < 0)
		st = objects_failed(o, "open the folder", e);
	if (st != ST_OK) {
		objects_close(o);
		return st;
	}
	*out = o;
	return ST_OK;
}

enum status objects_open(struct objects **out, const char *dir, struct error *e)
{
	char waiting[PATH_MAX + NAME_BYTES];
	enum status st;

	snprintf(waiting, sizeof(waiting), "%s/%s", dir, OBJECTS_WAITING);
	st = dir_make(waiting, 0700, e);
	return st == ST_OK ? depot_open(out, dir, e) : st;
}

enum status objects_look(struct objects **out, const char *dir, struct error *e)
{
	return depot_open(out, dir, e);
}

void objects_close(struct objects *o)
{
	if (o == NULL)
		return;
	if (o->fd >= 0)
		close(o->fd);
	if (o->waiting >= 0)
		close(o->waiting);
	names_free(o);
	pthread_mutex_destroy(&o->names_lock);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- reading ---- */

/* What waits first: it moves from there to where the settled are, never back. */
static int find(const struct objects *o, const uint8_t sha256[SHA256_BYTES])
{
	char name[NAME_BYTES];
	int fd;

	waiting_name(name, sha256);
	fd = openat(o->waiting, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	settled_name(name, sha256);
	return openat(o->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

enum status object_open(const struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t size,
			struct object_file *out)
{
	struct stat sb;

	*out = (struct object_file){ .fd = find(o, sha256) };
	if (out->fd < 0)
		return objects_failed(o, "open an object", NULL);
	if (fstat(out->fd, &sb) != 0 || !S_ISREG(sb.st_mode) ||
	    (size != 0 && (uint64_t)sb.st_size != size)) {
		object_close(out);
		return ST_CORRUPT;
	}
	out->size = (uint64_t)sb.st_size;
	return ST_OK;
}

void object_close(struct object_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

enum status object_read(const struct object_file *f, uint64_t offset, void *buf, size_t n)
{
	ssize_t got;

	if (offset > f->size || n > f->size - offset)
		return ST_CORRUPT;
	got = file_read_at(f->fd, buf, n, offset);
	return got == (ssize_t)n ? ST_OK : got < 0 && errno != EIO ? ST_IO : ST_CORRUPT;
}

enum status object_check(const struct object_file *f, const uint8_t sha256[SHA256_BYTES],
			 struct sha256 *h, uint8_t *room)
{
	uint8_t digest[SHA256_BYTES];
	enum status st = ST_OK;

	sha256_start(h);
	for (uint64_t at = 0; at < f->size && st == ST_OK; at += OBJECT_PIECE_BYTES) {
		size_t n = f->size - at < OBJECT_PIECE_BYTES ? (size_t)(f->size - at) :
			   OBJECT_PIECE_BYTES;

		st = object_read(f, at, room, n);
		if (st == ST_OK)
			sha256_add(h, room, n);
	}
	sha256_end(h, digest);
	return st == ST_OK && memcmp(digest, sha256, SHA256_BYTES) != 0 ? ST_CORRUPT : st;
}

bool objects_have(const struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t size)
{
	struct object_file f;

	if (object_open(o, sha256, size, &f) != ST_OK)
		return false;
	object_close(&f);
	return true;
}

/* ---- what becomes of them ---- */

static bool shard_sync(struct objects *o, const char *name)
{
	int rc, fd = openat(o->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	rc = fsync(fd);
	close(fd);
	return rc == 0;
}

/*
 * Kernels whose landlock knows no right to move between folders refuse it: then by a copy, durable
 * before the other goes.
 */
static int copy_over(struct objects *o, const char *from, const char *shard, const char *to)
{
	char part[NAME_BYTES];
	struct stat sb;
	int in = openat(o->waiting, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out, rc = -1;

	snprintf(part, sizeof(part), "%.2s/%s", shard, PART_SUFFIX);
	out = openat(o->fd, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in >= 0 && out >= 0 && fstat(in, &sb) == 0) {
		off_t left = sb.st_size;

		while (left > 0 && (rc = (int)copy_file_range(in, NULL, out, NULL,
							      1u << 30, 0)) > 0)
			left -= rc;
		rc = left == 0 && fdatasync(out) == 0 ? renameat(o->fd, part, o->fd, to) : -1;
		/* Its name, too, and that of a folder just made: after a power cut one is there. */
		if (rc == 0 && (!shard_sync(o, shard) || (o->shards_made && fsync(o->fd) != 0)))
			rc = -1;
		if (rc == 0)
			rc = unlinkat(o->waiting, from, 0);
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}

static int move_over(struct objects *o, const char *from, const char *to)
{
	char shard[3] = { to[0], to[1], '\0' };
	int rc = renameat(o->waiting, from, o->fd, to);

	if (rc == 0 || (errno != ENOENT && errno != EXDEV) ||
	    faccessat(o->waiting, from, F_OK, 0) != 0)
		return rc;
	if (mkdirat(o->fd, shard, 0700) == 0)
		o->shards_made = true;
	else if (errno != EEXIST)
		return -1;
	rc = renameat(o->waiting, from, o->fd, to);
	return rc != 0 && errno == EXDEV ? copy_over(o, from, shard, to) : rc;
}

enum status objects_settle(struct objects *o, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
	char from[NAME_BYTES], to[NAME_BYTES];
	uint8_t shard = sha256[0];

	waiting_name(from, sha256);
	settled_name(to, sha256);
	if (move_over(o, from, to) == 0) {
		o->dirty[shard / 64] |= 1ull << shard % 64;
		return ST_OK;
	}
	/* Told again, or of the same original as another result. */
	if (errno == ENOENT && faccessat(o->fd, to, F_OK, 0) == 0)
		return ST_OK;
	return objects_failed(o, "settle an object", e);
}

enum status objects_sync(struct objects *o, struct error *e)
{
	for (unsigned int i = 0; i < SHARDS; i++) {
		char name[3];

		if ((o->dirty[i / 64] >> i % 64 & 1) == 0)
			continue;
		snprintf(name, sizeof(name), "%02x", i);
		if (!shard_sync(o, name))
			return objects_failed(o, "flush a folder", e);
		o->dirty[i / 64] &= ~(1ull << i % 64);
	}
	if (o->shards_made && fsync(o->fd) != 0)
		return objects_failed(o, "flush the folder", e);
	o->shards_made = false;
	return ST_OK;
}

void objects_remove(struct objects *o, const uint8_t sha256[SHA256_BYTES])
{
	char name[NAME_BYTES];
	bool kept = false;

	waiting_name(name, sha256);
	pthread_mutex_lock(&o->lock);
	for (size_t i = 0; i < ARRAY_LEN(o->keepings); i++)
		kept |= o->keepings[i].n > 0 &&
			memcmp(o->keepings[i].sha256, sha256, SHA256_BYTES) == 0;
	if (!kept)
		unlinkat(o->waiting, name, 0);
	pthread_mutex_unlock(&o->lock);
}
