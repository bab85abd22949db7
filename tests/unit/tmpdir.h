/*
 * tmpdir.h - a temporary folder of a test, removed with all that is in it.
 */
#ifndef TESTS_TMPDIR_H
#define TESTS_TMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

struct tmpdir { char path[256]; };

static inline int tmpdir_make(struct tmpdir *t)
{
	const char *base = getenv("TMPDIR");

	snprintf(t->path, sizeof(t->path), "%s/trien-XXXXXX", base != NULL ? base : "/tmp");
	return mkdtemp(t->path) == NULL ? -1 : 0;
}

static inline int tmpdir_drop(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static inline void tmpdir_remove(struct tmpdir *t)
{
	nftw(t->path, tmpdir_drop, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
