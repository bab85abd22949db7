/*
 * journal.h - durable intake: group-committed, direct, recycled segments.
 *
 * (format drawn here by its builder; see facts/store.md 1)
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

struct io;
struct journal;

struct journal_config {
	const char *dir;		/* DATA/journal */
	uint32_t segment_bytes, slots;	/* JOURNAL_SEGMENT_BYTES, JOURNAL_SLOTS_DEFAULT */
	uint32_t depth;			/* writes in flight, 1 … JOURNAL_DEPTH_MAX */
};

/* One durable record at replay; payload borrowed during the call. Not ST_OK stops the replay. */
typedef enum status (*journal_replay_fn)(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
					 struct error *e);

/*
 * Takes DATA's lock (a second engine gets ST_EXISTS naming the holder's pid), allocates and zeroes
 * the whole pool, finds the end (torn tail cut; damage in the middle: ST_DAMAGED with segment and
 * offset), flushes, and gives every record from `from` on to replay in order.
 */
enum status journal_open(struct journal **j, struct io *io, const struct journal_config *cfg, uint64_t from,
			 journal_replay_fn replay, void *ctx, struct error *e) must_use;
void journal_close(struct journal *j);

/*
 * Copies one record into the open batch; *pos is its position, durable when *pos <
 * journal_durable(). ST_FULL: all buffers are in flight, nothing was written, try after
 * journal_pump(). ST_TOO_LARGE: beyond JOURNAL_RECORD_BYTES_MAX.
 */
enum status journal_append(struct journal *j, uint8_t type, struct slice payload, uint64_t *pos) must_use;
/* Starts writes for what has accumulated, as depth allows. Call after appends and completions. */
void journal_pump(struct journal *j);
/* Everything before this position is durable, in prefix order. */
uint64_t journal_durable(const struct journal *j);
/* Position the next record will get at the earliest. */
uint64_t journal_end(const struct journal *j);
/* Nothing before pos is needed any more: whole segments below become free. The caller has
 * made counters and key index durable before. */
void journal_release(struct journal *j, uint64_t pos);
uint32_t journal_slots_free(const struct journal *j);
/* Oldest segment still held, and the segment of a position. */
uint64_t journal_segment_of(const struct journal *j, uint64_t pos);
/* Reads a live record again (O_DIRECT, blocking, cold path) into buf. ST_CORRUPT if it fails its CRC. */
enum status journal_read(struct journal *j, uint64_t pos, uint8_t *type, uint8_t *buf, size_t size,
			 size_t *n, struct error *e) must_use;
bool journal_failed(const struct journal *j, struct error *e);

#endif
