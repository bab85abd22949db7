/*
 * opened.h - the files that one reader has open: checked whole when a download began, and kept, so
 * that its later bytes are those that were checked. Both stores' readers. Inside store/ only.
 */
#ifndef TRIEN_STORE_OPENED_H
#define TRIEN_STORE_OPENED_H

#include "store/store.h"

#define OPENED_FILES 4			/* downloads at once on one thread without checking again */

struct opened { uint64_t sequence, used; uint8_t *bytes; size_t n, room; };
struct opened_files { struct opened of[OPENED_FILES]; uint64_t uses; };

void opened_free(struct opened_files *files);
/* NULL: not open. */
struct opened *opened_find(struct opened_files *files, uint64_t sequence);
/* The file's own place, or the one that was idle longest; empty until opened_keep(). */
struct opened *opened_place(struct opened_files *files, uint64_t sequence);
/* Its bytes stand in `bytes` and were checked. */
void opened_keep(struct opened *f, const struct result_view *v);
/* As store_ops.read. */
void opened_read(struct opened_files *files, struct opened *f, uint64_t offset, uint8_t *buf,
		 size_t *n);

/* *bytes takes at least n; false: no memory, it is as it was. */
bool opened_room(uint8_t **bytes, size_t *room, uint64_t n);
/* Are these the file_size bytes that v says? */
bool file_is(const struct result_view *v, const uint8_t *bytes, struct sha256 *h);

#endif
