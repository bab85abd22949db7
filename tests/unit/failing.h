/*
 * failing.h - flushes and renames that fail when told to; linked with --wrap=fsync,--wrap=rename.
 */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

#include <errno.h>

/* The act with this number fails, from 1 on; 0: none. */
static int fails_at, acts;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_fsync(int fd)
{
	if (++acts != fails_at)
		return __real_fsync(fd);
	errno = EIO;
	return -1;
}

int __wrap_rename(const char *from, const char *to)
{
	if (++acts != fails_at)
		return __real_rename(from, to);
	errno = EIO;
	return -1;
}

#endif
