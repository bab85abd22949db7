/*
 * frame.h - the batch frame: one format for journal, waiting room and the embedded store's
 * segments. Pure: bytes in, bytes out. Little-endian.
 *
 * A log is endless and cut into segments of equal size; a segment is one file (or slot). A
 * position is a byte offset in the log: segno × segment bytes + offset in the segment; it only
 * grows. A segment is one header block, then frames, each at a 4 KiB boundary:
 *
 *	┌ header block ┬ frame ────────────┬ frame ────┬ …           ┬ unused (zeros or stale) ┐
 *	0            4096
 *
 * Segment header block (4096 bytes)
 *	0	u64	magic "TRIENSEG"
 *	8	u32	format version = 1
 *	12	u32	purpose (enum frame_purpose): a file in the wrong folder is no log
 *	16	u64	segno, from 1
 *	24	u64	first: position of this block = segno × segment bytes
 *	32	u32	epoch of the writer, bumped at each start
 *	36	u32	prev: CRC of the last frame of segment segno - 1 (0: there is none)
 *	40	u32	segment bytes
 *	44		zeros
 *	4092	u32	CRC-32C of bytes 0–4091
 *
 * Frame = header (64 bytes) + records + padding to 4 KiB (zeros, not checked: they say nothing)
 *	0	u32	magic "TFRM"
 *	4	u32	length: header and records, without padding
 *	8	u32	records n; 0 in a frame that only testifies (a start, a clean stop)
 *	12	u32	epoch
 *	16	u64	segno
 *	24	u64	position of this header
 *	32	u64	durable: all before this position was on the medium when the frame was built
 *	40	u32	prev: CRC of the frame before (of the segment header's prev for the first)
 *	44		zeros
 *	60	u32	CRC-32C of bytes 0–59, then of every record's header in order
 *
 * Record = header (12 bytes) + payload
 *	0	u32	payload length
 *	4	u8	type
 *	5	u8	version
 *	6	u16	0
 *	8	u32	CRC-32C of its position (u64), bytes 0–7 and the payload
 *
 * So each payload is summed once, a record can be read and checked alone, and a record or frame at
 * a wrong place (misdirected or stale write) never checks.
 *
 * Rules of a writer: a block once acknowledged is never written again; a segment's header is
 * durable before its first frame, and all of segment s is durable before the header of s + 1.
 *
 * Rules of a reader: walk while frame_check() holds with the place and the CRC of the frame before.
 * Where it does not, the log ends (torn tail) unless something testifies that this place had
 * been durable: a valid frame further on with `durable` beyond it, or a valid header of a later
 * segment. Then the log is damaged in the middle. The chain of CRCs keeps stale frames of recycled
 * or re-written places from being revived.
 */
#ifndef TRIEN_BASE_FRAME_H
#define TRIEN_BASE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FRAME_BLOCK_BYTES 4096u
#define FRAME_HEADER_BYTES 64u
#define FRAME_RECORD_BYTES 12u

enum frame_purpose { FRAME_JOURNAL = 1, FRAME_WAITING, FRAME_STORE };

static inline uint64_t frame_padded(uint64_t n)
{
	return (n + FRAME_BLOCK_BYTES - 1) & ~(uint64_t)(FRAME_BLOCK_BYTES - 1);
}

/* ---- segments ---- */

struct segment_header {
	uint32_t purpose;
	uint32_t segment_bytes;
	uint64_t segno, first;
	uint32_t epoch, prev;
};

void segment_header_write(uint8_t block[FRAME_BLOCK_BYTES], const struct segment_header *h);
/* ST_CORRUPT: no valid header of this purpose; ST_UNSUPPORTED: a later format version. */
enum status segment_header_read(struct segment_header *h, const uint8_t block[FRAME_BLOCK_BYTES],
				enum frame_purpose purpose) must_use;

/* ---- writing ---- */

/* A frame being built in the caller's buffer. */
struct frame {
	uint8_t *buf;		/* caller's; room for `size` bytes, size a multiple of 4 KiB */
	uint32_t size;
	uint32_t used;		/* header and records so far */
	uint32_t records;
	uint32_t crc;		/* after frame_finish(): the next frame's prev */
	uint64_t position;
};

/* position: where the frame will lie; size: what fits there and in buf. */
void frame_begin(struct frame *f, void *buf, uint32_t size, uint64_t position);
/*
 * Copies one record, given in parts, and says its position (of its header; pos may be NULL).
 * ST_FULL: does not fit any more, nothing was written.
 */
enum status frame_addv(struct frame *f, uint8_t type, uint8_t version, const struct slice *parts,
		       size_t parts_n, uint64_t *pos) must_use;
enum status frame_add(struct frame *f, uint8_t type, uint8_t version, struct slice payload,
		      uint64_t *pos) must_use;
/* Fills the header, zeroes the padding, sets f->crc. Returns the bytes to write, padded. */
uint32_t frame_finish(struct frame *f, uint64_t segno, uint32_t epoch, uint32_t prev,
		      uint64_t durable);

/* ---- reading ---- */

struct frame_view {
	struct slice bytes;	/* header and records; borrowed */
	uint32_t records, epoch, prev, crc;
	uint64_t segno, position, durable;
};

struct frame_record {
	uint8_t type, version;
	uint64_t position;
	struct slice payload;	/* borrowed */
};

/*
 * Length (unpadded) that 64 bytes at `position` of segment `segno` claim, or 0: no frame of this
 * place begins here. Unchecked beyond that: read so many bytes, if they fit, then frame_check().
 */
uint32_t frame_length(const uint8_t header[FRAME_HEADER_BYTES], uint64_t segno, uint64_t position);
/* Checks everything but the chain: place, lengths, all CRCs. ST_CORRUPT if any is wrong. */
enum status frame_check(struct frame_view *v, struct slice bytes, uint64_t segno,
			uint64_t position) must_use;
/* Walks the records of a checked frame: *offset 0 to begin; false at the end. */
bool frame_next(const struct frame_view *v, uint32_t *offset, struct frame_record *out);

/* Header and payload bytes that 12 bytes claim for a record; unchecked. */
uint64_t frame_record_size(const uint8_t header[FRAME_RECORD_BYTES]);
/* One record alone; bytes begin at its header. ST_CORRUPT if bytes are short or the CRC fails. */
enum status frame_record_read(struct frame_record *out, struct slice bytes,
			      uint64_t position) must_use;

#endif
