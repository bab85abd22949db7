/*
 * replay.h - finding the end of a journal, and what is damaged. Inside journal/ only.
 */
#ifndef TRIEN_JOURNAL_REPLAY_H
#define TRIEN_JOURNAL_REPLAY_H

#include "journal/journal.h"
#include "journal/segments.h"

#define RECORD_VERSION 1	/* of the frame's records; payloads have their own */
#define RECORD_RELEASED 0	/* u64: below this position nothing is needed */

struct journal_end {
	uint64_t position;	/* where the next frame belongs; 0: nothing was ever written */
	uint64_t segno;
	uint64_t held;		/* positions below are released */
	uint64_t asked;		/* as the newest record of a release says */
	uint32_t prev, epoch;
};

/*
 * Reads the held segments in order; replay is not called for the journal's own records. follow:
 * held are all from the one of `from` on, as far as they are there without a gap.
 */
enum status journal_replay(struct segments *s, uint64_t from, bool follow,
			   journal_replay_fn replay, void *ctx, struct journal_end *end,
			   struct error *e) must_use;
/* The frame at this place, checked, borrowed until the next load. ST_CORRUPT: none. */
enum status journal_frame_load(struct segments *s, const struct slot *slot, uint64_t segno,
			       uint32_t offset, struct frame_view *v, struct error *e) must_use;

#endif
