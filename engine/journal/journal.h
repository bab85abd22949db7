/*
 * journal.h - durable intake: group-committed, direct, recycled segments.
 *
 * DATA/journal holds `lock` (pid of the process that writes) and a pool of equally large files
 * slot-0000, slot-0001, …, allocated and zeroed before the first record: later writes move no
 * metadata and cannot run out of space. A slot holds one segment as base/frame.h draws it, purpose
 * FRAME_JOURNAL. A new segment takes the free slot with the oldest segment (first the empty ones):
 * with one pool size that is slot (segno - 1) mod slots, but which segment a slot holds is said
 * by its header block alone. A pool can grow by configuration, and never shrinks.
 *
 *	slot-0000 │ segment 5: header, frames …          │	newest, being written
 *	slot-0001 │ segment 2: released, to be taken next │
 *	slot-0002 │ segment 3: held                       │
 *	slot-0003 │ segment 4: held                       │
 *
 * Record type 0 is the journal's own: u64 position below which nothing is needed. It is the first
 * record of every segment and is written at each release; a slot is taken again only after that
 * record is durable. A frame without other records testifies a start or a clean stop. The last
 * 4 KiB of a segment are kept for a release, so that a full pool can always become free again.
 *
 * Spine thread only. Positions are byte offsets in one endless log: segment number × segment size
 * + offset; they only grow. The first failed write or flush is final: journal_failed() stays true,
 * nothing more is acknowledged, the engine stops.
 */
#ifndef TRIEN_JOURNAL_H
#define TRIEN_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"

struct frame_view;
struct io;
struct journal;

struct journal_config {
	const char *dir;		/* DATA/journal */
	uint32_t segment_bytes;		/* JOURNAL_SEGMENT_BYTES; in 4 KiB, never changed later */
	uint32_t slots;			/* JOURNAL_SLOTS_DEFAULT; at least 2 */
	uint32_t depth;			/* writes in flight, 1 … JOURNAL_DEPTH_MAX */
	bool locked;			/* the caller holds DATA's lock, longer than the journal */
	bool follow;			/* frames come from elsewhere: journal_accept() */
	bool new_term;			/* another one takes over: a new term begins */
};

/*
 * An epoch is a term (upper 16 bits) and the starts in it. A take-over begins a new term; whoever
 * goes on in an older one is fenced.
 */
#define JOURNAL_TERM_SHIFT 16
static inline uint32_t journal_term(uint32_t epoch)
{
	return epoch >> JOURNAL_TERM_SHIFT;
}
static inline uint32_t journal_next_term(uint32_t epoch)
{
	return (journal_term(epoch) + 1) << JOURNAL_TERM_SHIFT;
}

/*
 * DATA's lock, for one who changes more of DATA than the journal: a second engine gets ST_EXISTS
 * naming the holder's pid. *lock is a descriptor; closing it gives the lock back.
 */
enum status journal_lock(const char *dir, int *lock, struct error *e) must_use;

/*
 * One record at replay; payload borrowed during the call. Not ST_OK stops the replay. It is acted
 * upon (acknowledged, stored) only once journal_open() has returned: then all of it is durable.
 */
typedef enum status (*journal_replay_fn)(void *ctx, uint64_t pos, uint8_t type,
					 struct slice payload, struct error *e);

/*
 * Takes DATA's lock unless the caller has it, gives every record
 * from `from` on to replay in order up to the end (torn tail cut; damage in the middle: ST_DAMAGED
 * with segment and offset), allocates and zeroes what the pool lacks (ST_NOSPACE says how many
 * bytes are needed), flushes, and testifies the start. ST_PRECONDITION: segments had another size
 * before; ST_UNSUPPORTED: a later version wrote it.
 *
 * follow: all that is there from `from` on is given, whatever it says is released, and nothing is
 * testified.
 */
enum status journal_open(struct journal **j, struct io *io, const struct journal_config *cfg,
			 uint64_t from, journal_replay_fn replay, void *ctx,
			 struct error *e) must_use;
/*
 * Before a start, and beside a running engine: would journal_open() find another size of segments?
 * ST_PRECONDITION, with what to set. Nothing there: ST_OK. Any thread.
 */
enum status journal_fits(const char *dir, uint32_t segment_bytes, struct error *e) must_use;
/*
 * Writes what was appended, testifies a clean stop, frees. Runs io until its writes are back, and
 * with it the callbacks of other operations: closed before what those touch.
 */
void journal_close(struct journal *j);

/*
 * Copies one record into the open batch; *pos is its position, durable when *pos <
 * journal_durable(). ST_FULL: all buffers are in flight, nothing was written, try after
 * journal_pump(); or no slot is free. ST_TOO_LARGE: beyond JOURNAL_RECORD_BYTES_MAX (or what a
 * small segment takes). ST_IO: failed before. type: not 0.
 */
enum status journal_append(struct journal *j, uint8_t type, struct slice payload,
			   uint64_t *pos) must_use;
/* Starts writes for what has accumulated, as depth allows. Call after appends and completions. */
void journal_pump(struct journal *j);
/* Everything before this position is durable, in prefix order; and so it is where else it must. */
uint64_t journal_durable(const struct journal *j);
/* A mirror has everything before pos; UINT64_MAX (at the start): none is asked for. */
void journal_limit(struct journal *j, uint64_t pos);
uint32_t journal_epoch(const struct journal *j);
/* Position the next record will get at the earliest. */
uint64_t journal_end(const struct journal *j);
/* Nothing before pos is needed any more: whole segments below become free. The caller has
 * made counters and key index durable before. */
void journal_release(struct journal *j, uint64_t pos);
uint32_t journal_slots_free(const struct journal *j);
/* The segment of a position. */
uint64_t journal_segment_of(const struct journal *j, uint64_t pos);
/*
 * Reads a live record again into buf, from the disk (O_DIRECT, blocking, cold path) or from the
 * batch it still stands in. ST_NOT_FOUND: released; ST_TOO_LARGE: buf is too small; ST_CORRUPT: it
 * fails its CRC, or no record begins at pos.
 */
enum status journal_read(struct journal *j, uint64_t pos, uint8_t *type, uint8_t *buf, size_t size,
			 size_t *n, struct error *e) must_use;
/* *e (may be NULL) gets the story of the first failure. */
bool journal_failed(const struct journal *j, struct error *e);

/* ---- the same frames elsewhere (mirrored.c) ---- */

/* Between two frames; position 0: before the very first one of the log. */
struct journal_cursor {
	uint64_t position;		/* where the frame before ended, with its padding */
	uint32_t prev;			/* its CRC */
};
/* Behind the newest frame that is durable here, whatever the limit is. */
void journal_tail(const struct journal *j, struct journal_cursor *at);
/*
 * The next durable frame behind *at, exactly as written, without its padding; *at moves behind it.
 * Borrowed until the next call to the journal. ST_AGAIN: none yet; ST_NOT_FOUND: released;
 * ST_CONFLICT: this is another log, or *at lies beyond its end.
 */
enum status journal_frame(struct journal *j, struct journal_cursor *at, struct slice *frame,
			  struct error *e) must_use;
/*
 * Follower: takes the next frame, to be written by journal_pump(). The first one of an empty
 * journal may be that of any segment. ST_FULL: no buffer or no free slot yet, nothing was taken;
 * ST_CONFLICT: it does not follow; ST_PRECONDITION: its epoch is older; ST_CORRUPT.
 */
enum status journal_accept(struct journal *j, struct slice bytes, struct frame_view *v,
			   struct error *e) must_use;
/* Follower: what the frames say is released. journal_release() frees it here. */
uint64_t journal_asked(const struct journal *j);

#endif
