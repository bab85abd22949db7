/*
 * landlock.h - the process may reach only the folders given (landlock(7)).
 *
 * Landlock cannot forbid one folder, it forbids all but some: so the engine names what it needs,
 * and the key folder is not among it (P6). Rights also cover what is mounted or created later below
 * those folders. Already open descriptors stay usable.
 */
#ifndef TRIEN_BASE_LANDLOCK_H
#define TRIEN_BASE_LANDLOCK_H

#include "base/status.h"

struct landlock_paths {
	const char *const *rw;		/* read, write, create, remove, rename; folders or files */
	size_t rw_n;
	const char *const *ro;		/* read and execute */
	size_t ro_n;
};

/*
 * For the calling thread and all it will start: call before any other thread exists. Cannot be
 * undone; sets no_new_privs. A path that does not exist: ST_NOT_FOUND and nothing is restricted.
 * ST_UNSUPPORTED: the kernel lacks landlock or it is switched off; a warning was logged and the
 * process goes on unrestricted (the caller decides).
 */
enum status landlock_exclude_others(const struct landlock_paths *paths, struct error *e) must_use;

#endif
