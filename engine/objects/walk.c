#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "objects/inside.h"

/* Names of one folder: those of `prefix` and hex digits to the digest's end. */
struct folder {
	DIR *d;
	char prefix[3];
	uint8_t sha256[SHA256_BYTES];	/* of the present entry, if it is an object */
	const char *name;
};

static bool folder_next(struct folder *f, bool *object)
{
	char text[2 * SHA256_BYTES + 256];
	struct dirent *entry;

	do {
		entry = readdir(f->d);
		if (entry == NULL)
			return false;
	} while (entry->d_name[0] == '.' && entry->d_name[1 + (entry->d_name[1] == '.')] == '\0');
	f->name = entry->d_name;
	snprintf(text, sizeof(text), "%s%s", f->prefix, f->name);
	*object = hex_read(f->sha256, SHA256_BYTES, slice_str(text));
	return true;
}

static bool is_part(const char *name)
{
	size_t n = strlen(name), suffix = strlen(PART_SUFFIX);

	return n >= suffix && strcmp(name + n - suffix, PART_SUFFIX) == 0;
}

enum status objects_sweep(struct objects *o,
			  bool (*named)(void *ctx, const uint8_t sha256[SHA256_BYTES]), void *ctx,
			  uint32_t *removed, struct error *e)
{
	int fd = openat(o->fd, OBJECTS_WAITING, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct folder f = { .d = fd >= 0 ? fdopendir(fd) : NULL };
	bool object;

	*removed = 0;
	if (f.d == NULL)
		return objects_failed(o, "read the folder", e);
	while (folder_next(&f, &object)) {
		if (object ? named(ctx, f.sha256) : !is_part(f.name))
			continue;
		unlinkat(o->waiting, f.name, 0);
		*removed += object;
	}
	closedir(f.d);
	return ST_OK;
}

/* false: enough. */
static bool walk_folder(const char *dir, const char *prefix, const char *name,
			bool (*cb)(void *ctx, const uint8_t sha256[SHA256_BYTES], uint64_t size),
			void *ctx)
{
	char path[PATH_MAX + NAME_BYTES];
	struct folder f = { .d = NULL };
	bool object, on = true;
	struct stat sb;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(f.prefix, sizeof(f.prefix), "%s", prefix);
	f.d = opendir(path);
	while (f.d != NULL && on && folder_next(&f, &object))
		if (object && fstatat(dirfd(f.d), f.name, &sb, AT_SYMLINK_NOFOLLOW) == 0)
			on = cb(ctx, f.sha256, (uint64_t)sb.st_size);
	if (f.d != NULL)
		closedir(f.d);
	return on;
}

enum status objects_walk(const char *dir, bool waiting,
			 bool (*cb)(void *ctx, const uint8_t sha256[SHA256_BYTES], uint64_t size),
			 void *ctx, struct error *e)
{
	struct stat sb;

	if (stat(dir, &sb) != 0)
		return errno == ENOENT ? ST_OK :
		       error_set(e, ST_IO, "%s: %s", dir, strerrordesc_np(errno));
	if (waiting) {
		walk_folder(dir, "", OBJECTS_WAITING, cb, ctx);
		return ST_OK;
	}
	for (unsigned int i = 0; i < SHARDS; i++) {
		char shard[3];

		snprintf(shard, sizeof(shard), "%02x", i);
		if (!walk_folder(dir, shard, shard, cb, ctx))
			break;
	}
	return ST_OK;
}
