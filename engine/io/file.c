#include "io/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGN_BYTES 4096u

static enum status failed(struct error *e, const char *act, const char *path)
{
	int err = errno;
	enum status st = err == ENOENT ? ST_NOT_FOUND :
			 err == ENOSPC || err == EDQUOT ? ST_NOSPACE :
			 err == EACCES || err == EPERM ? ST_DENIED : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", path, act, strerrordesc_np(err));
}

static bool write_all(int fd, struct slice bytes)
{
	while (bytes.n > 0) {
		ssize_t rc = write(fd, bytes.p, bytes.n);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return false;
		bytes.p += rc;
		bytes.n -= (size_t)rc;
	}
	return true;
}

/* The folder that path lies in; "." when it names none. */
static void parent_of(char out[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		snprintf(out, PATH_MAX, ".");
	else
		snprintf(out, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

enum status file_replace(const char *path, struct slice bytes, mode_t mode, struct error *e)
{
	char tmp[PATH_MAX], parent[PATH_MAX];
	enum status st = ST_OK;
	int fd;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return error_set(e, ST_INVALID, "%s: path too long", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return failed(e, "create", tmp);
	if (!write_all(fd, bytes))
		st = failed(e, "write", tmp);
	else if (fsync(fd) != 0)
		st = failed(e, "flush", tmp);
	if (close(fd) != 0 && st == ST_OK)
		st = failed(e, "close", tmp);
	if (st == ST_OK && rename(tmp, path) != 0)
		st = failed(e, "rename into place", path);
	if (st != ST_OK) {
		unlink(tmp);
		return st;
	}
	parent_of(parent, path);
	return dir_sync(parent, e);
}

enum status file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, struct error *e)
{
	enum status st = ST_OK;
	uint8_t *buf = NULL;
	size_t got = 0;
	struct stat sb;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return failed(e, "open", path);
	if (fstat(fd, &sb) != 0) {
		st = failed(e, "stat", path);
	} else if (!S_ISREG(sb.st_mode)) {
		st = error_set(e, ST_INVALID, "%s: not a regular file", path);
	} else if ((uint64_t)sb.st_size > max) {
		st = error_set(e, ST_TOO_LARGE, "%s: %lld bytes, at most %zu allowed", path,
			       (long long)sb.st_size, max);
	} else if ((buf = malloc((size_t)sb.st_size + 1)) == NULL) {
		st = error_set(e, ST_NOMEM, "%s: no memory to read it", path);
	}
	while (st == ST_OK && got < (size_t)sb.st_size) {
		ssize_t rc = read(fd, buf + got, (size_t)sb.st_size - got);

		if (rc < 0 && errno != EINTR)
			st = failed(e, "read", path);
		else if (rc == 0)
			break;		/* it shrank under us: what is there is what it is */
		else if (rc > 0)
			got += (size_t)rc;
	}
	close(fd);
	if (st != ST_OK) {
		free(buf);
		return st;
	}
	buf[got] = 0;
	*bytes = buf;
	*n = got;
	return ST_OK;
}

ssize_t file_read_at(int fd, void *buf, size_t n, uint64_t offset)
{
	size_t got = 0;

	while (got < n) {
		ssize_t rc = pread(fd, (uint8_t *)buf + got, n - got, (off_t)(offset + got));

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
		got += (size_t)rc;
	}
	return (ssize_t)got;
}

enum status dir_make(const char *path, mode_t mode, struct error *e)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	struct stat sb;

	if (n == 0 || n >= sizeof(part))
		return error_set(e, ST_INVALID, "%s: empty or too long a path", path);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) == 0) {
			char parent[PATH_MAX];
			enum status st;

			parent_of(parent, part);
			st = dir_sync(parent, e);
			if (st != ST_OK)
				return st;
		} else if (errno != EEXIST) {
			return failed(e, "create the folder", part);
		}
		part[i] = path[i];
	}
	if (stat(path, &sb) != 0 || !S_ISDIR(sb.st_mode))
		return error_set(e, ST_INVALID, "%s: exists and is not a folder", path);
	return ST_OK;
}

enum status dir_sync(const char *path, struct error *e)
{
	enum status st = ST_OK;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return failed(e, "open the folder", path);
	if (fsync(fd) != 0)
		st = failed(e, "flush the folder", path);
	close(fd);
	return st;
}

enum status dir_lock(const char *path, int *fd, struct error *e)
{
	char text[32];
	ssize_t n;
	int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (f < 0)
		return failed(e, "open the lock", path);
	if (flock(f, LOCK_EX | LOCK_NB) != 0) {
		enum status st;

		if (errno != EWOULDBLOCK) {
			st = failed(e, "lock", path);
		} else {
			n = pread(f, text, sizeof(text) - 1, 0);
			text[n > 0 ? n : 0] = '\0';
			text[strspn(text, "0123456789")] = '\0';
			st = error_set(e, ST_EXISTS, "%s: in use by process %s; stop it first",
				       path, text[0] != '\0' ? text : "(unknown)");
		}
		close(f);
		return st;
	}
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(f, 0) != 0 || pwrite(f, text, (size_t)n, 0) != n) {
		enum status st = failed(e, "write the lock", path);

		close(f);
		return st;
	}
	*fd = f;
	return ST_OK;
}

void *aligned_new(size_t n)
{
	size_t padded = (n + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
	void *p = aligned_alloc(ALIGN_BYTES, padded);

	if (p != NULL)
		memset(p, 0, padded);
	return p;
}
