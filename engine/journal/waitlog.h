/*
 * waitlog.h - the waiting room's files: `<segno, 16 hex digits>.seg`, in frame.h's format
 * (FRAME_WAITING). Internal to the waiting room.
 *
 * Records collect in a frame, which is written directly and durable once it is flushed; the next
 * frame begins after that. So every frame but the last testifies, and only the last can be torn.
 * Segments go oldest first and stand without a gap. The first failed write is final: no more is
 * taken until a restart.
 */
#ifndef TRIEN_JOURNAL_WAITLOG_H
#define TRIEN_JOURNAL_WAITLOG_H

#include "base/frame.h"
#include "limits.h"

#define WAITLOG_SEGMENT_BYTES (8u * 1024 * 1024)

/* Payloads: PUT a row (waitrow.h), then its record; GONE a sequence (u64). */
enum waitlog_record { WAITLOG_PUT = 1, WAITLOG_GONE };

struct waitlog;

/* Behind which frame something stands: its position, its CRC, and where the next one goes. */
struct waitlog_place {
	uint64_t frame, end;		/* 0: before the first one */
	uint32_t crc;
};

static inline uint64_t waitlog_segment(uint64_t pos)
{
	return pos / WAITLOG_SEGMENT_BYTES;
}

typedef enum status (*waitlog_fn)(void *ctx, const struct frame_record *rec, struct error *e);

/*
 * Gives every record behind `from` to each, in order; cuts a torn tail. known: what an index had
 * seen, which no crash takes away. ST_CONFLICT: there is no frame `from`; ST_DAMAGED: broken in the
 * middle or before the end of `known`, or a segment is missing, with segment and offset;
 * ST_UNSUPPORTED: a later version wrote it. ST_CORRUPT is each's alone.
 */
enum status waitlog_open(struct waitlog **out, const char *dir, const struct waitlog_place *from,
			 const struct waitlog_place *known, waitlog_fn each, void *ctx,
			 struct error *e) must_use;
void waitlog_close(struct waitlog *l);

/*
 * Takes a record into the frame; pos: of the record. Durable after waitlog_flush(), or earlier:
 * where the frame has no room for it, that one is flushed first.
 */
enum status waitlog_append(struct waitlog *l, uint8_t type, uint8_t version,
			   const struct slice *parts, size_t parts_n, uint64_t *pos,
			   struct error *e) must_use;
/* Nothing to write is no failure. */
enum status waitlog_flush(struct waitlog *l, struct error *e) must_use;
/* Behind the last frame that was flushed; zeros without segments. */
struct waitlog_place waitlog_place(const struct waitlog *l);

/* A record's bytes and the blocks around it; grows with what is read. Zeroed to begin. */
struct waitlog_buffer { uint8_t *p; size_t n; };
/*
 * The record at pos, of n payload bytes, borrowed from b until its next use. Any thread with a
 * buffer of its own. ST_NOT_FOUND: its segment is gone; ST_CORRUPT.
 */
enum status waitlog_read(const char *dir, uint64_t pos, size_t n, struct waitlog_buffer *b,
			 struct frame_record *rec, struct error *e) must_use;

/* 0: there are no segments. */
uint64_t waitlog_oldest(const struct waitlog *l);
uint64_t waitlog_newest(const struct waitlog *l);
/* Deletes the oldest segment, durably. */
enum status waitlog_drop_oldest(struct waitlog *l, struct error *e) must_use;

#endif
