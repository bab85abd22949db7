/*
 * inside.h - what the journal's files share. Inside journal/ only.
 */
#ifndef TRIEN_JOURNAL_INSIDE_H
#define TRIEN_JOURNAL_INSIDE_H

#include "base/frame.h"
#include "io/io.h"
#include "journal/journal.h"
#include "journal/segments.h"

/* Answers come in any order, buffers become free in order: more of them than writes in flight. */
#define WRITES_MAX (2 * JOURNAL_DEPTH_MAX)

enum write_state { WRITE_FREE, WRITE_FILLING, WRITE_SENT, WRITE_DONE };

/* One frame on its way. Only the newest takes records. */
struct write {
	struct io_op op;
	enum write_state state;
	uint8_t *buf;			/* JOURNAL_BATCH_BYTES_MAX of the journal's buffers */
	struct frame frame;
	uint64_t segno;
	uint32_t padded;		/* bytes sent */
	uint32_t epoch;			/* of an accepted frame */
};

struct journal {
	struct io *io;
	struct segments segments;
	int lock;
	uint32_t depth, record_bytes_max;

	/* A ring; running numbers first ≤ unsent ≤ end: sent or done, filled, free. */
	struct write writes[WRITES_MAX];
	uint32_t writes_n, first, unsent, end;
	uint32_t in_flight;		/* the header block included */

	uint64_t segno;			/* of the newest frame; 0: none yet */
	uint64_t position;		/* behind the newest frame, padded */
	uint64_t durable;
	uint64_t limit;			/* what else must hold a frame has it up to here */
	uint32_t durable_crc;		/* of the newest durable frame */
	uint64_t begun;			/* newest segment whose header is durable */
	uint32_t prev, epoch;
	struct io_op header_op;
	uint8_t *header, *buffers;

	bool follow;			/* frames come from elsewhere */
	uint64_t asked;			/* what these say is released */
	uint64_t held;			/* released below, as asked */
	uint64_t noted, noted_pos;	/* as in the newest record of a release, and where */
	uint64_t freed;			/* as durable: what lies below may be overwritten */

	struct error failure;
};

static inline struct write *write_at(struct journal *j, uint32_t number)
{
	return &j->writes[number % j->writes_n];
}

static inline uint32_t offset_of(const struct journal *j, uint64_t position)
{
	return (uint32_t)(position % j->segments.bytes);
}

#endif
