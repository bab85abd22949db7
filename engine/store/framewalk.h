/*
 * framewalk.h - reads a log of frames (base/frame.h) from the segment files of a folder, checking
 * all.
 *
 * One walker for journal, waiting room and store: for the store's start, and for fsck and backup,
 * which look from outside. Reading only; one thread; cold path.
 */
#ifndef TRIEN_STORE_FRAMEWALK_H
#define TRIEN_STORE_FRAMEWALK_H

#include "base/frame.h"

struct framewalk;

/* Where a walk stands: everything before `end` was checked. */
struct framewalk_place {
	uint64_t end;		/* the next frame's position; 0: the log is empty */
	uint64_t last;		/* the last frame's; 0: none yet */
	uint64_t segno;
	uint32_t prev, epoch;	/* the last frame's CRC; the highest epoch seen */
	uint32_t segment_bytes;
};

/*
 * Begins at the oldest segment that the purpose keeps: the store has all from 1, the journal's
 * slots hold a run that ends with the newest, the waiting room may have gaps. A folder without
 * segments is an empty log. ST_DAMAGED: a segment is missing; ST_UNSUPPORTED: a later version
 * wrote it.
 */
enum status framewalk_open(struct framewalk **w, const char *dir, enum frame_purpose purpose,
			   struct error *e) must_use;
void framewalk_close(struct framewalk *w);
/* Begins at the newest segment instead, before the first framewalk_next(). */
void framewalk_last(struct framewalk *w);
/* Goes on behind the frame at `last`, whose CRC is crc. ST_NOT_FOUND: no such frame there. */
enum status framewalk_seek(struct framewalk *w, uint64_t last, uint32_t crc) must_use;
/*
 * The next frame, borrowed until the next call. ST_NOT_FOUND: the log ends here (a torn tail
 * ends it too); asked again it looks for what has been appended since. ST_DAMAGED: it does not end
 * here, but cannot be read on; *e names file and offset.
 */
enum status framewalk_next(struct framewalk *w, struct frame_view *v, struct error *e) must_use;
/* A store's, cheaply, after framewalk_next() found its end: may there be more now? */
bool framewalk_grew(const struct framewalk *w);
/*
 * After ST_DAMAGED: goes on at the place that testified, so that fsck can report all there is.
 * false: nothing readable follows.
 */
bool framewalk_skip(struct framewalk *w);
void framewalk_at(const struct framewalk *w, struct framewalk_place *out);
/* Name of the present frame's file in the folder, and its header block; borrowed. */
const char *framewalk_file(const struct framewalk *w, const uint8_t **header);

#endif
