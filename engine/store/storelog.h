/*
 * storelog.h - the store's segment files: one appender, any number of readers. Inside store/ only.
 *
 * DATA/store/<segno, 10 digits>.seg in base/frame.h's format, purpose FRAME_STORE. Space is
 * reserved when a segment is begun; frames are written directly and durably, one write at a time,
 * so a frame's `durable` is its own position. Segments are never changed or deleted.
 */
#ifndef TRIEN_STORE_STORELOG_H
#define TRIEN_STORE_STORELOG_H

#include "limits.h"

#include "base/arena.h"
#include "base/frame.h"
#include "store/framewalk.h"

#define STORE_SEGMENT_BYTES (64u * 1024 * 1024)
#define STORE_SEGMENT_BYTES_MIN (64u * 1024)
#define STORE_FRAME_BYTES (16u * 1024 * 1024)	/* the largest body or layer; most batches */
#define STORE_OPEN_FILES 16			/* of a reader */

static_assert(STORE_FRAME_BYTES >= EVIDENCE_BYTES_MAX + 64 * 1024, "a revocation list fits one");
static_assert(STORE_FRAME_BYTES >= DOC_BODY_BYTES_MAX + CASE_BYTES_MAX + 64 * 1024,
	      "the largest document fits a frame");

struct storelog {
	char dir[PATH_MAX];
	uint32_t segment_bytes;
	int fd;				/* of segment `segno`; -1: none yet */
	bool direct;
	bool failed;			/* a write failed: what the disk holds is unknown, until a
					 * restart reads it */
	uint64_t segno, end, last;	/* as framewalk_place */
	uint32_t prev, epoch;
	struct arena block;		/* the frame being built */
	struct frame frame;		/* buf == NULL: none is open */
};

/* Goes on where the walk ended; a torn tail is overwritten. segment_bytes: of a new log. */
enum status storelog_open(struct storelog *l, const char *dir, uint32_t segment_bytes,
			  const struct framewalk_place *at, struct error *e) must_use;
void storelog_close(struct storelog *l);
/*
 * Adds one record to the frame; *pos is its position once storelog_commit() returned. ST_FULL:
 * commit first, then add it again; ST_TOO_LARGE: it fits no frame.
 */
enum status storelog_add(struct storelog *l, uint8_t type, uint8_t version,
			 const struct slice *parts, size_t parts_n, uint64_t *pos,
			 struct error *e) must_use;
/*
 * Durable on return; *v is what was written, borrowed until the next add. No open frame: *v is
 * empty.
 */
enum status storelog_commit(struct storelog *l, struct frame_view *v, struct error *e) must_use;
/* Forgets the open frame. */
void storelog_drop(struct storelog *l);

/* Reads records by position; one thread. */
struct logreader {
	char dir[PATH_MAX];
	uint32_t segment_bytes;
	struct { uint64_t segno; int fd; } files[STORE_OPEN_FILES];
};

/* Where one record's bytes are kept, grown as needed. */
struct logbuffer { uint8_t *p; size_t n; };

void logreader_init(struct logreader *r, const char *dir, uint32_t segment_bytes);
void logreader_close(struct logreader *r);
/*
 * The record at position, payload borrowed from buf. hint: its likely size, 0 if unknown.
 * ST_CORRUPT: it fails its checksum or is not there; ST_IO, ST_NOMEM.
 */
enum status logreader_get(struct logreader *r, uint64_t position, uint64_t hint,
			  struct logbuffer *buf, struct frame_record *out) must_use;

#endif
