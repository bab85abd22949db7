/*
 * file.h - whole-file acts for cold paths: durable create-rename, aligned buffers, folder locks.
 */
#ifndef TRIEN_IO_FILE_H
#define TRIEN_IO_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"

/* tmp + write + fsync + rename + fsync of the folder: afterwards path is old or new, never half. */
enum status file_replace(const char *path, struct slice bytes, mode_t mode,
			 struct error *e) must_use;
/* malloc'd, NUL-terminated beyond n. ST_NOT_FOUND, ST_TOO_LARGE beyond max. */
enum status file_read(const char *path, size_t max, uint8_t **bytes, size_t *n,
		      struct error *e) must_use;
/* Bytes read: fewer than n only at the end of the file; -1 with errno. */
ssize_t file_read_at(int fd, void *buf, size_t n, uint64_t offset);
/* With parents; existing is fine. */
enum status dir_make(const char *path, mode_t mode, struct error *e) must_use;
enum status dir_sync(const char *path, struct error *e) must_use;
/* Exclusive lock on path (created), our pid inside. ST_EXISTS names the holder. *fd keeps it. */
enum status dir_lock(const char *path, int *fd, struct error *e) must_use;
void *aligned_new(size_t n);	/* 4096-aligned, zeroed; free() */

#endif
