/*
 * waitlog_parts.h - what the files of the log share. Inside journal/ only.
 *
 *	waitopen.c	opening: what is there is walked, a torn tail is cut
 *	waitlog.c	writing, reading one record, deleting
 */
#ifndef TRIEN_JOURNAL_WAITLOG_PARTS_H
#define TRIEN_JOURNAL_WAITLOG_PARTS_H

#include "journal/waitlog.h"

#define WAITLOG_VERSION_MAX 2u	/* of a record */
/* The largest frame, and what a record may reach into the blocks around it. */
#define WAITLOG_BUFFER_BYTES (JOURNAL_BATCH_BYTES_MAX + FRAME_BLOCK_BYTES)

struct waitlog {
	char *dir;
	uint64_t oldest, newest;	/* 0: none */
	int fd;				/* of the newest; -1: none */
	uint32_t end;			/* where its next frame goes */
	uint32_t epoch, prev;
	struct waitlog_place place;
	uint8_t *buf;
	struct frame frame;		/* in buf, not written yet, if filling */
	bool filling;
	struct error failure;
};

/* With errno: "PATH: cannot ACT: why". */
enum status waitlog_failed(struct error *e, const char *act, const char *path);
void waitlog_path(char path[PATH_MAX], const char *dir, uint64_t segno);
/* Past the page cache, so that what is read is what the disk has; -1 with errno. */
int waitlog_file(const char *path, int flags);
/* Whole blocks at a block; *got less than n only at the end of the file. */
bool waitlog_read_at(int fd, uint8_t *buf, size_t n, uint64_t offset, size_t *got);

#endif
