#include "cli/datacopy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "io/file.h"

#define CHUNK_BYTES (1024 * 1024)
#define MANIFEST_BYTES_MAX (256u * 1024 * 1024)
#define TITLE "trien-backup 1\n"
#define OPEN_FOLDERS 16

static enum status failed(const char *act, const char *path, struct error *e)
{
	enum status st = errno == ENOENT ? ST_NOT_FOUND : errno == ENOSPC || errno == EDQUOT ?
			 ST_NOSPACE : errno == EACCES || errno == EPERM ? ST_DENIED : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", path, act, strerrordesc_np(errno));
}

/* ---- paths ---- */

enum status path_join(char out[PATH_MAX], const char *a, const char *b, struct error *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", a, b);

	return n > 0 && n < PATH_MAX ? ST_OK : error_set(e, ST_INVALID, "%s: path too long", a);
}

bool path_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool dir_is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	bool empty = true;

	if (d == NULL)
		return errno == ENOENT;
	while (empty && (entry = readdir(d)) != NULL)
		empty = is_dots(entry->d_name);
	closedir(d);
	return empty;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

enum status tree_remove(const char *path, struct error *e)
{
	if (!path_exists(path) || nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0)
		return ST_OK;
	return failed("remove", path, e);
}

/* ---- files ---- */

static bool write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t rc = write(fd, p, n);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return false;
		p += rc;
		n -= (size_t)rc;
	}
	return true;
}

static enum status bytes_copy(int in, int out, const char *from, const char *to, struct error *e)
{
	uint8_t *buf = malloc(CHUNK_BYTES);
	enum status st = buf != NULL ? ST_OK : ST_NOMEM;
	ssize_t n = 1;

	while (st == ST_OK && n > 0) {
		n = read(in, buf, CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			st = failed("read", from, e);
		else if (n > 0 && !write_all(out, buf, (size_t)n))
			st = failed("write", to, e);
	}
	free(buf);
	return st;
}

static enum status file_copy(const char *from, const char *to, mode_t mode, struct error *e)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	enum status st;

	if (in < 0)
		return failed("open", from, e);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0777);
	if (out < 0) {
		st = failed("create", to, e);
	} else {
		st = bytes_copy(in, out, from, to, e);
		if (close(out) != 0 && st == ST_OK)
			st = failed("close", to, e);
	}
	close(in);
	return st;
}

/* A start makes it again, and no copy while it is written would be whole. */
static bool is_derived(const char *name)
{
	return strncmp(name, "index.db", strlen("index.db")) == 0;
}

static bool left_out(const char *name)
{
	const char *dot = strrchr(name, '.');

	return is_dots(name) || is_derived(name) || strcmp(name, "lock") == 0 ||
	       (dot != NULL && (strcmp(dot, ".tmp") == 0 || strcmp(dot, ".part") == 0));
}

static enum status folder_copy(const char *from, const char *to, mode_t mode, struct error *e)
{
	DIR *d = opendir(from);
	struct dirent *entry;
	enum status st;

	if (d == NULL)
		return failed("open", from, e);
	st = dir_make(to, mode & 0777, e);
	while (st == ST_OK && (entry = readdir(d)) != NULL) {
		char a[PATH_MAX], b[PATH_MAX];

		if (left_out(entry->d_name))
			continue;
		st = path_join(a, from, entry->d_name, e);
		if (st == ST_OK)
			st = path_join(b, to, entry->d_name, e);
		if (st == ST_OK)
			st = tree_copy(a, b, e);
	}
	closedir(d);
	return st;
}

enum status tree_copy(const char *from, const char *to, struct error *e)
{
	struct stat sb;
	enum status st;

	if (stat(from, &sb) != 0)
		return errno == ENOENT ? ST_OK : failed("look at", from, e);
	if (S_ISDIR(sb.st_mode))
		return folder_copy(from, to, sb.st_mode, e);
	if (!S_ISREG(sb.st_mode))
		return ST_OK;
	st = file_copy(from, to, sb.st_mode, e);
	/* It went while we looked. */
	return st == ST_NOT_FOUND && !path_exists(from) ? ST_OK : st;
}

/* Of the whole file system: cheaper than a flush a file, and it misses no folder. */
enum status tree_sync(const char *path, struct error *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum status st = ST_OK;

	if (fd < 0)
		return failed("open", path, e);
	if (syncfs(fd) != 0)
		st = failed("flush", path, e);
	close(fd);
	return st;
}

uint64_t tree_mark(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	uint64_t sum = 0;

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		uint64_t about[3] = { 0 };
		struct stat sb;

		if (is_dots(entry->d_name) || is_derived(entry->d_name) ||
		    fstatat(dirfd(d), entry->d_name, &sb, 0) != 0)
			continue;
		about[0] = (uint64_t)sb.st_size;
		about[1] = (uint64_t)sb.st_mtim.tv_sec;
		about[2] = (uint64_t)sb.st_mtim.tv_nsec;
		/* A sum: the folder's order says nothing. */
		sum += (uint64_t)crc32c(crc32c(0, about, sizeof(about)), entry->d_name,
					strlen(entry->d_name)) << 16 | 1;
	}
	closedir(d);
	return sum;
}

/* ---- the manifest ---- */

struct listing { char **paths; size_t n, room; };

static enum status list_add(struct listing *l, const char *path)
{
	if (l->n == l->room) {
		size_t room = l->room == 0 ? 256 : 2 * l->room;
		char **bigger = realloc(l->paths, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		l->paths = bigger;
		l->room = room;
	}
	l->paths[l->n] = strdup(path);
	return l->paths[l->n++] != NULL ? ST_OK : ST_NOMEM;
}

/* Files below dir/below, paths relative to dir; "" begins. */
static enum status list_tree(struct listing *l, const char *dir, const char *below, struct error *e)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	enum status st = path_join(folder, dir, below, e);
	DIR *d = st == ST_OK ? opendir(folder) : NULL;

	if (d == NULL)
		return st != ST_OK ? st : failed("open", folder, e);
	while (st == ST_OK && (entry = readdir(d)) != NULL) {
		char path[PATH_MAX];
		struct stat sb;

		if (is_dots(entry->d_name) ||
		    (below[0] == '\0' && strcmp(entry->d_name, MANIFEST) == 0))
			continue;
		if (below[0] == '\0')
			st = snprintf(path, sizeof(path), "%s", entry->d_name) > 0 ? ST_OK :
				ST_INVALID;
		else
			st = path_join(path, below, entry->d_name, e);
		if (st == ST_OK && fstatat(dirfd(d), entry->d_name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
			st = failed("look at", path, e);
		if (st == ST_OK)
			st = S_ISDIR(sb.st_mode) ? list_tree(l, dir, path, e) : list_add(l, path);
	}
	closedir(d);
	return st;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->paths[i]);
	free(l->paths);
}

static enum status file_sum(const char *path, uint32_t *crc, uint64_t *bytes, struct error *e)
{
	uint8_t *buf = malloc(CHUNK_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum status st = buf == NULL ? ST_NOMEM : fd < 0 ? failed("open", path, e) : ST_OK;
	ssize_t n = 1;

	*crc = 0;
	*bytes = 0;
	while (st == ST_OK && n > 0) {
		n = read(fd, buf, CHUNK_BYTES);
		if (n < 0)
			st = failed("read", path, e);
		else
			*crc = crc32c(*crc, buf, (size_t)n);
		*bytes += n > 0 ? (uint64_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	free(buf);
	return st;
}

/* The manifest as it must be for what lies in dir. */
static enum status manifest_make(const char *dir, char **text, size_t *n, struct datacopy_total *t,
				 struct error *e)
{
	struct listing l = { 0 };
	FILE *out = open_memstream(text, n);
	enum status st = out != NULL ? list_tree(&l, dir, "", e) : ST_NOMEM;

	*t = (struct datacopy_total){ 0 };
	if (st == ST_OK) {
		qsort(l.paths, l.n, sizeof(*l.paths), by_path);
		fputs(TITLE, out);
	}
	for (size_t i = 0; i < l.n && st == ST_OK; i++) {
		char path[PATH_MAX];
		uint64_t bytes;
		uint32_t crc;

		st = path_join(path, dir, l.paths[i], e);
		if (st == ST_OK)
			st = file_sum(path, &crc, &bytes, e);
		if (st != ST_OK)
			break;
		fprintf(out, "%08" PRIx32 " %" PRIu64 " %s\n", crc, bytes, l.paths[i]);
		t->files++;
		t->bytes += bytes;
	}
	list_free(&l);
	if (out != NULL) {
		fflush(out);
		fprintf(out, "end %" PRIu64 " %08" PRIx32 "\n", t->files, crc32c(0, *text, *n));
		fclose(out);
	}
	return st;
}

enum status manifest_write(const char *dir, struct datacopy_total *t, struct error *e)
{
	char path[PATH_MAX], *text = NULL;
	size_t n = 0;
	enum status st = manifest_make(dir, &text, &n, t, e);

	if (st == ST_OK)
		st = path_join(path, dir, MANIFEST, e);
	if (st == ST_OK)
		st = file_replace(path, slice_of(text, n), 0600, e);
	free(text);
	return st == ST_OK ? tree_sync(dir, e) : st;
}

/* Names the first line that differs. */
static enum status differs(const char *dir, const char *said, const char *is, struct error *e)
{
	size_t at = 0, line = 0;

	while (said[at] != '\0' && said[at] == is[at]) {
		at++;
		if (said[at - 1] == '\n')
			line = at;
	}
	return error_set(e, ST_CORRUPT, "%s: the manifest says `%.*s`, the folder has `%.*s`", dir,
			 (int)strcspn(said + line, "\n"), said + line, (int)strcspn(is + line,
										    "\n"),
			 is + line);
}

enum status manifest_check(const char *dir, struct datacopy_total *t, struct error *e)
{
	char path[PATH_MAX], *text = NULL;
	uint8_t *said = NULL;
	size_t n = 0, said_n = 0;
	enum status st = path_join(path, dir, MANIFEST, e);

	if (st == ST_OK && !path_exists(path))
		return error_set(e, ST_NOT_FOUND, "%s: no backup, or an unfinished one (no %s)",
				 dir, MANIFEST);
	if (st == ST_OK)
		st = file_read(path, MANIFEST_BYTES_MAX, &said, &said_n, e);
	if (st == ST_OK)
		st = manifest_make(dir, &text, &n, t, e);
	if (st == ST_OK && (n != said_n || memcmp(text, said, n) != 0))
		st = differs(dir, (const char *)said, text, e);
	free(text);
	free(said);
	return st;
}

/* ---- logs ---- */

enum status logcopy_open(struct logcopy *c, const char *from, const char *to,
			 enum frame_purpose purpose, struct error *e)
{
	enum status st;

	*c = (struct logcopy){ .fd = -1, .full_size = purpose == FRAME_JOURNAL };
	snprintf(c->to, sizeof(c->to), "%s", to);
	st = dir_make(to, 0700, e);
	return st == ST_OK ? framewalk_open(&c->walk, from, purpose, e) : st;
}

static enum status segment_start(struct logcopy *c, const char *name, const uint8_t *header,
				 struct error *e)
{
	struct framewalk_place at;
	char path[PATH_MAX];
	enum status st = path_join(path, c->to, name, e);

	if (st != ST_OK)
		return st;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* A slot of the journal that came round while the ones behind it were copied. */
	if (c->fd < 0 && errno == EEXIST)
		return error_set(e, ST_AGAIN, "%s: changed while it was read", path);
	if (c->fd < 0)
		return failed("create", path, e);
	snprintf(c->name, sizeof(c->name), "%s", name);
	framewalk_at(c->walk, &at);
	if (c->full_size && ftruncate(c->fd, at.segment_bytes) != 0)
		return failed("size", path, e);
	return pwrite(c->fd, header, FRAME_BLOCK_BYTES, 0) == FRAME_BLOCK_BYTES ? ST_OK :
	       failed("write", path, e);
}

static enum status frame_copy(struct logcopy *c, const struct frame_view *v, struct error *e)
{
	static const uint8_t zeros[FRAME_BLOCK_BYTES];
	const uint8_t *header;
	const char *name = framewalk_file(c->walk, &header);
	size_t n = v->bytes.n, rest = frame_padded(n) - n;
	struct framewalk_place at;
	struct frame_record rec;
	uint32_t walked = 0;
	off_t offset;
	enum status st = ST_OK;

	while (c->watched != 0 && v->records > 0 && frame_next(v, &walked, &rec))
		c->seen |= rec.type == c->watched;
	if (strcmp(name, c->name) != 0)
		st = segment_start(c, name, header, e);
	if (st != ST_OK)
		return st;
	framewalk_at(c->walk, &at);
	offset = (off_t)(v->position - v->segno * at.segment_bytes);
	if (pwrite(c->fd, v->bytes.p, n, offset) != (ssize_t)n ||
	    pwrite(c->fd, zeros, rest, offset + (off_t)n) != (ssize_t)rest)
		return failed("write", c->name, e);
	return ST_OK;
}

enum status logcopy_run(struct logcopy *c, uint64_t end, struct error *e)
{
	struct framewalk_place at;
	struct frame_view v;
	enum status st;

	framewalk_at(c->walk, &at);
	while (at.end < end) {
		st = framewalk_next(c->walk, &v, e);
		if (st == ST_NOT_FOUND)
			return ST_OK;
		if (st == ST_OK)
			st = frame_copy(c, &v, e);
		if (st != ST_OK)
			return st;
		framewalk_at(c->walk, &at);
	}
	return ST_OK;
}

void logcopy_close(struct logcopy *c)
{
	if (c->fd >= 0)
		close(c->fd);
	framewalk_close(c->walk);
	*c = (struct logcopy){ .fd = -1 };
}
