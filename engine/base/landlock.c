#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* ABI 3, younger than the oldest headers we build with. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define ABI_1 (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)	/* its highest right and all below */
#define READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
	      LANDLOCK_ACCESS_FS_READ_DIR)
#define OF_A_FILE (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
		   LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

static uint64_t rights_of_abi(long abi)
{
	uint64_t all = ABI_1;

	if (abi >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		all |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return all;
}

static enum status allow(int ruleset, const char *path, uint64_t rights, struct error *e)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights };
	struct stat st;
	long rc;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
				 "%s: cannot be allowed to the engine: %s", path, strerror(errno));
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_A_FILE;
	rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	if (rc != 0)
		return error_set(e, ST_IO, "%s: landlock rule: %s", path, strerror(errno));
	return ST_OK;
}

static enum status allow_all(int ruleset, const struct landlock_paths *paths, uint64_t handled,
			     struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; st == ST_OK && i < paths->rw_n; i++)
		st = allow(ruleset, paths->rw[i], handled, e);
	for (size_t i = 0; st == ST_OK && i < paths->ro_n; i++)
		st = allow(ruleset, paths->ro[i], READ, e);
	return st;
}

enum status landlock_exclude_others(const struct landlock_paths *paths, struct error *e)
{
	struct landlock_ruleset_attr attr = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	enum status st;
	int ruleset;

	if (abi < 1) {
		log_warn("landlock",
			 "%s: this kernel has no landlock; folders are kept apart by file "
			 "permissions only",
			 strerror(errno));
		return error_set(e, ST_UNSUPPORTED, "landlock: %s", strerror(errno));
	}
	attr.handled_access_fs = rights_of_abi(abi);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return error_set(e, ST_IO, "landlock ruleset: %s", strerror(errno));
	st = allow_all(ruleset, paths, attr.handled_access_fs, e);
	if (st == ST_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		st = error_set(e, ST_IO, "no_new_privs: %s", strerror(errno));
	if (st == ST_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		st = error_set(e, ST_IO, "landlock: %s", strerror(errno));
	close(ruleset);
	return st;
}
