#include "spine/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "limits.h"

static const char *const words[] = { "engine", "mirror", "primary", "fenced" };

static void path_make(const char *data, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/journal/role", data);
}

enum status role_read(const char *data, enum role *role, uint32_t *epoch, struct error *e)
{
	char path[PATH_MAX], word[16];
	uint8_t *bytes = NULL;
	size_t n;
	enum status st;

	*role = ROLE_ENGINE;
	*epoch = 0;
	path_make(data, path);
	st = file_read(path, 64, &bytes, &n, e);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st == ST_OK && sscanf((const char *)bytes, "%15s %u", word, epoch) == 2)
		while (*role <= ROLE_FENCED && strcmp(words[*role], word) != 0)
			(*role)++;
	else
		*role = ROLE_FENCED + 1;
	if (st == ST_OK && *role > ROLE_FENCED)
		st = error_set(e, ST_CORRUPT, "%s: neither mirror, primary nor fenced with an "
			       "epoch", path);
	free(bytes);
	return st;
}

enum status role_write(const char *data, enum role role, uint32_t epoch, struct error *e)
{
	char path[PATH_MAX], text[64];
	int n = snprintf(text, sizeof(text), "%s %u\n", words[role], epoch);

	path_make(data, path);
	return file_replace(path, slice_of((const uint8_t *)text, (size_t)n), 0600, e);
}

enum status role_serves(const char *data, struct error *e)
{
	enum role role;
	uint32_t epoch;
	enum status st = role_read(data, &role, &epoch, e);

	if (st == ST_OK && role == ROLE_MIRROR)
		st = error_set(e, ST_PRECONDITION, "%s is a mirror: an engine goes on elsewhere. "
			       "If it is gone for good, trien takeover --data %s first", data,
			       data);
	else if (st == ST_OK && role == ROLE_PRIMARY && epoch == ROLE_UNFINISHED)
		st = error_set(e, ST_PRECONDITION, "%s: its take-over was broken off; run trien "
			       "takeover --data %s again", data, data);
	else if (st == ST_OK && role == ROLE_FENCED)
		st = error_set(e, ST_PRECONDITION, "%s is fenced: another engine took over with "
			       "epoch %u. Nothing is numbered or stored here any more; go on "
			       "there, and make this folder anew to mirror it", data, epoch);
	return st;
}
