/*
 * opened.h - the files that one reader has open: checked whole when a download began, and kept, so
 * that its later bytes are those that were checked. Of a certified copy's original only its name
 * is kept, or its open file: its bytes are read anew. Both stores' readers. Inside store/ only.
 */
#ifndef TRIEN_STORE_OPENED_H
#define TRIEN_STORE_OPENED_H

#include <pthread.h>

#include "section.h"
#include "store/stored.h"

#define OPENED_FILES 4			/* downloads at once on one thread without opening again */
#define CHECKED_FILES 64

struct opened {
	uint64_t sequence, used;	/* file.size 0: not open */
	struct spliced file;
	/* its original, if it is a copy */
	uint8_t lane, sha256[SHA256_BYTES];
	uint32_t object_size;
	struct object_file object;	/* embedded */
	uint8_t *chunk;			/* PostgreSQL: one of its chunks, and */
	uint32_t chunk_n;		/* which: its number + 1 */
};
struct opened_files { struct opened of[OPENED_FILES]; uint64_t uses; };

/*
 * Copies that were checked whole not long ago, by any reader: one that comes round again in the
 * middle of a download, which more than OPENED_FILES others drove out, is not read twice.
 */
struct opened_checked { pthread_mutex_t lock; uint64_t of[CHECKED_FILES]; uint32_t next; };

void opened_init(struct opened_files *files);
void opened_free(struct opened_files *files);
/* NULL: not open. */
struct opened *opened_find(struct opened_files *files, uint64_t sequence);
/* The file's own place, or the one that was idle longest; empty until opened_keep(). */
struct opened *opened_place(struct opened_files *files, uint64_t sequence);
/* Takes its room, for the result that is opened. ST_NOMEM; ST_CORRUPT: sizes that cannot be. */
enum status opened_begin(struct opened *f, const struct stored_result *s) must_use;
/* Behind the parts, which have all their bytes: those of the section that lie in the body. */
enum status opened_section(struct opened *f, const struct stored_result *s,
			   struct slice body) must_use;
/* Is it what the result's digest says? piece: OBJECT_PIECE_BYTES. ST_CORRUPT, or as read. */
enum status opened_check(const struct opened *f, const struct result_view *v,
			 spliced_object *read, void *ctx, struct sha256 *h,
			 uint8_t *piece) must_use;
/* It is open now. */
void opened_keep(struct opened *f, const struct result_view *v);
/* As store_ops.read. */
enum status opened_read(struct opened_files *files, struct opened *f, spliced_object *read,
			void *ctx, uint64_t offset, uint8_t *buf, size_t *n) must_use;

/* A copy is checked where a download begins, and not each time that it has to be opened again. */
bool opened_must_check(struct opened_checked *c, const struct stored_result *s, uint64_t offset);
/* It was. */
void opened_note_checked(struct opened_checked *c, const struct stored_result *s);

#endif
