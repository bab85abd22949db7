/*
 * datacopy.h - copies of files, folders and logs for backup and restore, and the list that
 * vouches for them.
 *
 * MANIFEST is text: `trien-backup 1`, then one line a file, `<CRC-32C, 8 hex digits> <bytes>
 * <path>`, sorted by path, then `end <files> <CRC-32C of all lines before>`. Nothing else may lie
 * in the folder.
 */
#ifndef TRIEN_CLI_DATACOPY_H
#define TRIEN_CLI_DATACOPY_H

#include <limits.h>

#include "store/framewalk.h"

#define MANIFEST "MANIFEST"

struct datacopy_total { uint64_t files, bytes; };

/* out = a/b. ST_INVALID: too long. */
enum status path_join(char out[PATH_MAX], const char *a, const char *b, struct error *e) must_use;
bool path_exists(const char *path);
/* A folder that is missing or has nothing in it. */
bool dir_is_empty(const char *path);
/* Removes a folder and all that is in it. */
enum status tree_remove(const char *path, struct error *e) must_use;

/*
 * Regular files and folders below from, modes kept; sockets, locks and unfinished files (*.tmp,
 * *.part) are left out, and so is an index that a start makes again (index.db and what lies beside
 * it). A file that is missing is none; a path may be a single file.
 */
enum status tree_copy(const char *from, const char *to, struct error *e) must_use;
/* All that was written there becomes durable. */
enum status tree_sync(const char *path, struct error *e) must_use;
/* Names, sizes and times of what tree_copy() takes of a folder, as one number; of none, too. */
uint64_t tree_mark(const char *path);

/* The list of all files in dir; and everything in it, and the list, durable. */
enum status manifest_write(const char *dir, struct datacopy_total *t, struct error *e) must_use;
/* ST_CORRUPT: a file is missing, too many, or not what the list says; *e names it. */
enum status manifest_check(const char *dir, struct datacopy_total *t, struct error *e) must_use;

/* Copies a log of frames as far as it is whole, and goes on from there when asked again. */
struct logcopy {
	struct framewalk *walk;
	char to[PATH_MAX];
	char name[256];			/* the file being written; "": none yet */
	int fd;
	bool full_size;			/* files get a segment's size, whatever is in them */
	uint8_t watched;		/* a record type; 0: none */
	bool seen;			/* one of it was copied; the caller clears it */
};
enum status logcopy_open(struct logcopy *c, const char *from, const char *to,
			 enum frame_purpose purpose, struct error *e) must_use;
/*
 * Up to position `end` (UINT64_MAX: all there is now). ST_DAMAGED and ST_AGAIN as
 * framewalk_next().
 */
enum status logcopy_run(struct logcopy *c, uint64_t end, struct error *e) must_use;
void logcopy_close(struct logcopy *c);

#endif
