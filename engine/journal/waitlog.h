/*
 * waitlog.h - the waiting room's files: `<segno, 16 hex digits>.seg`, in frame.h's format
 * (FRAME_WAITING). Internal to waiting.c.
 *
 * Every record is a frame of its own, written directly and durable when the call returns; so every
 * frame but the last testifies, and only the last can be torn. Segments go oldest first and
 * stand without a gap. The first failed write is final: no more is taken until a restart.
 */
#ifndef TRIEN_JOURNAL_WAITLOG_H
#define TRIEN_JOURNAL_WAITLOG_H

#include "base/frame.h"
#include "limits.h"

#define WAITLOG_SEGMENT_BYTES (8u * 1024 * 1024)

struct waitlog;

static inline uint64_t waitlog_segment(uint64_t pos)
{
	return pos / WAITLOG_SEGMENT_BYTES;
}

typedef enum status (*waitlog_fn)(void *ctx, const struct frame_record *rec, struct error *e);

/*
 * Gives every record to each, in order; cuts a torn tail. ST_DAMAGED: broken in the middle, with
 * segment and offset.
 */
enum status waitlog_open(struct waitlog **out, const char *dir, waitlog_fn each, void *ctx,
			 struct error *e) must_use;
void waitlog_close(struct waitlog *l);

enum status waitlog_append(struct waitlog *l, uint8_t type, const struct slice *parts,
			   size_t parts_n, uint64_t *pos, struct error *e) must_use;
/* The record at pos, of n payload bytes; borrowed until the next call. ST_CORRUPT. */
enum status waitlog_read(struct waitlog *l, uint64_t pos, size_t n, struct slice *payload,
			 struct error *e) must_use;

/* 0: there are no segments. */
uint64_t waitlog_oldest(const struct waitlog *l);
uint64_t waitlog_newest(const struct waitlog *l);
/* Deletes the oldest segment, durably. */
enum status waitlog_drop_oldest(struct waitlog *l, struct error *e) must_use;

#endif
