#include "journal/snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "io/file.h"
#include "limits.h"

#define MAGIC 0x504e534e45495254ull	/* "TRIENSNP" */
#define FORMAT_VERSION 2u
#define FIXED_BYTES (39u + 4 + 4)	/* all but the registers */
#define FILE_BYTES_MAX (256u * 1024 * 1024)

static void path_make(char path[PATH_MAX], const char *dir)
{
	snprintf(path, PATH_MAX, "%s/snapshot", dir);
}

enum status snapshot_save(const char *dir, const struct snapshot *s, struct error *e)
{
	size_t size = FIXED_BYTES + s->registers.n;
	uint8_t *bytes = size <= FILE_BYTES_MAX ? malloc(size) : NULL;
	struct writer w = writer_of(bytes, size);
	char path[PATH_MAX];
	enum status st;

	path_make(path, dir);
	if (size > FILE_BYTES_MAX)
		return error_set(e, ST_TOO_LARGE, "%s: %zu bytes of registers, at most %u allowed",
				 path, s->registers.n, FILE_BYTES_MAX);
	if (bytes == NULL)
		return error_set(e, ST_NOMEM, "%s: no memory to write it", path);
	write_u64(&w, MAGIC);
	write_u32(&w, FORMAT_VERSION);
	write_u64(&w, s->position);
	write_u64(&w, (uint64_t)s->clock_last_ms);
	write_u16(&w, s->clock_counter);
	write_u8(&w, s->engine);
	write_u64(&w, s->covered);
	write_blob(&w, s->registers);
	write_u32(&w, crc32c(0, bytes, writer_size(&w)));
	assert(!w.bad && writer_size(&w) == size);
	st = dir_make(dir, 0700, e);
	if (st == ST_OK)
		st = file_replace(path, writer_slice(&w), 0600, e);
	free(bytes);
	return st;
}

enum status snapshot_load(const char *dir, struct snapshot *s, uint8_t **buffer, struct error *e)
{
	char path[PATH_MAX];
	struct reader r, tail;
	uint64_t magic;
	uint32_t version, crc;
	size_t n;
	enum status st;

	*buffer = NULL;
	path_make(path, dir);
	st = file_read(path, FILE_BYTES_MAX, buffer, &n, e);
	if (st != ST_OK)
		return st;
	r = reader_of(slice_of(*buffer, n));
	magic = read_u64(&r);
	version = read_u32(&r);
	s->position = read_u64(&r);
	s->clock_last_ms = (int64_t)read_u64(&r);
	s->clock_counter = read_u16(&r);
	s->engine = read_u8(&r);
	s->covered = version == 1 ? 0 : read_u64(&r);
	s->registers = read_blob(&r);
	tail = reader_of(slice_of(*buffer + (n >= 4 ? n - 4 : 0), n >= 4 ? 4 : 0));
	crc = read_u32(&tail);
	if (tail.bad || magic != MAGIC || crc != crc32c(0, *buffer, n - 4))
		st = error_set(e, ST_DAMAGED,
			       "%s: it fails its checksum; restore it from a backup: it says "
			       "which numbers were given",
			       path);
	else if (version < 1 || version > FORMAT_VERSION)
		st = error_set(e, ST_UNSUPPORTED,
			       "%s: format version %u is unknown to this version; "
			       "start the version that wrote it",
			       path, version);
	else if (r.bad || reader_left(&r) != 4)
		st = error_set(e, ST_DAMAGED, "%s: %zu bytes do not fit its content", path, n);
	if (st != ST_OK) {
		free(*buffer);
		*buffer = NULL;
		*s = (struct snapshot){ 0 };
	}
	return st;
}
