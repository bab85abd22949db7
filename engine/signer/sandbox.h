/*
 * sandbox.h - what the signer process gives up (P6).
 */
#ifndef TRIEN_SIGNER_SANDBOX_H
#define TRIEN_SIGNER_SANDBOX_H

#include <stdbool.h>

#include "base/status.h"

/*
 * Before keys are read: no core dump, not dumpable (so no ptrace and no /proc/PID/mem for others of
 * the same user), no new privileges, memory locked. A limit that forbids locking is logged, not
 * fatal.
 */
enum status sandbox_prepare(struct error *e) must_use;

/* What the modules of tokens need besides; all false where every key is a file. */
struct sandbox_needs {
	bool files;			/* open, lock, write: as far as landlock lets */
	bool network;			/* connect, and threads of their own */
};

/*
 * After keys are read and the threads that sign exist: from now on any thread may only read and
 * write what is open, sleep, take memory that is not executable, and end. Everything else, open,
 * socket, connect, fork, exec, ptrace, fails with EPERM, but for what is needed.
 */
enum status sandbox_enter(const struct sandbox_needs *needs, struct error *e) must_use;

#endif
