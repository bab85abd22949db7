/*
 * segments.h - the journal's pool of slot files. Inside journal/ only; spine thread.
 *
 * Opening changes nothing on disk, so that a damaged pool is found as it was.
 */
#ifndef TRIEN_JOURNAL_SEGMENTS_H
#define TRIEN_JOURNAL_SEGMENTS_H

#include "base/frame.h"
#include "limits.h"

/* The largest frame or record, wherever in a block it begins. */
#define SEGMENTS_WINDOW_BYTES (JOURNAL_BATCH_BYTES_MAX + 2 * FRAME_BLOCK_BYTES)

struct slot {
	int fd;			/* -1: no such file yet */
	uint32_t index;		/* slot-<index> */
	uint64_t segno;		/* 0: holds none */
	uint32_t prev, epoch;	/* of its header */
	bool unreadable;	/* there are bytes, but no valid header */
};

struct segments {
	char *dir;
	uint32_t bytes;		/* of a segment */
	uint32_t n;
	bool direct;
	struct slot *slots;
	/* What was last read, for the walk. */
	uint8_t *window;
	const struct slot *seen;
	uint32_t seen_at, seen_n;
};

/* Opens the slots there are and reads their headers; n grows to what is found. */
enum status segments_open(struct segments *s, const char *dir, uint32_t bytes, uint32_t n,
			  struct error *e) must_use;
void segments_close(struct segments *s);
/* Creates what is missing, zeroed and durable. ST_NOSPACE leaves nothing behind. */
enum status segments_allocate(struct segments *s, struct error *e) must_use;
/* Everything that was found so far becomes durable. */
enum status segments_flush(struct segments *s, struct error *e) must_use;

/* NULL: no slot holds it. */
struct slot *segments_find(struct segments *s, uint64_t segno);
/* The slot to be taken next, with an older segment than `below` or none; NULL: all are held. */
struct slot *segments_free(struct segments *s, uint64_t below);
/* 0: none is written. */
uint64_t segments_newest(const struct segments *s);

/*
 * *p: n bytes at offset of the slot, borrowed until the next load. ahead: they may be answered from
 * what was read before, and more is read than asked for; else exactly they are read now.
 */
enum status segments_load(struct segments *s, const struct slot *slot, uint32_t offset, uint32_t n,
			  bool ahead, const uint8_t **p, struct error *e) must_use;

#endif
