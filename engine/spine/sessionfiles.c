#include "spine/sessionfiles.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"
#include "session/session.h"

#define SUFFIX ".session"
#define NAME_BYTES (32 + sizeof(SUFFIX) - 1)

static void path_of(char out[PATH_MAX], const char *data, const uint8_t id[16])
{
	char hex[32];

	hex_lower(hex, id, 16);
	snprintf(out, PATH_MAX, "%s/sessions/%.32s" SUFFIX, data, hex);
}

enum status session_file_keep(const char *data, const uint8_t id[16], struct slice bytes,
			      struct error *e)
{
	char path[PATH_MAX];

	path_of(path, data, id);
	return file_replace(path, bytes, 0600, e);
}

enum status session_file_forget(const char *data, const uint8_t id[16], struct error *e)
{
	char path[PATH_MAX];

	path_of(path, data, id);
	if (unlink(path) != 0 && errno != ENOENT)
		return error_set(e, ST_IO, "%s: cannot be removed: %s", path, strerror(errno));
	return ST_OK;
}

static bool is_session(const char *name)
{
	uint8_t id[16];

	return strlen(name) == NAME_BYTES && strcmp(name + 32, SUFFIX) == 0 &&
	       hex_read(id, sizeof(id), slice_of(name, 32));
}

enum status session_file_each(const char *data, void (*one)(void *owner, struct slice bytes),
			      void *owner, struct error *e)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/sessions", data);
	dir = opendir(folder);
	if (dir == NULL)
		return error_set(e, ST_IO, "%s: %s", folder, strerror(errno));
	while ((d = readdir(dir)) != NULL) {
		struct error why = { 0 };
		uint8_t *bytes;
		size_t n;

		if (snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= (int)sizeof(path))
			continue;
		/* What a crash left of a file that was being replaced. */
		if (strstr(d->d_name, SUFFIX ".tmp") != NULL)
			unlink(path);
		if (!is_session(d->d_name))
			continue;
		if (file_read(path, SESSION_FILE_BYTES_MAX, &bytes, &n, &why) != ST_OK) {
			log_error("sessions", "%s", why.text);
			continue;
		}
		one(owner, slice_of(bytes, n));
		free(bytes);
	}
	closedir(dir);
	return ST_OK;
}
