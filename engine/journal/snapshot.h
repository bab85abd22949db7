/*
 * snapshot.h - counters as of one journal position (DATA/counters/snapshot), so that the segments
 * before it may go. Only durable state: the caller saves once everything before `position` is
 * durable.
 *
 *	0	u64	magic "TRIENSNP"
 *	8	u32	format version = 2
 *	12	u64	position
 *	20	i64	last issue time, Unix ms
 *	28	u16	last counter in that millisecond
 *	30	u8	engine
 *	31	u64	keys below are in runs of the key index (version 1: not said)
 *	39	blob	registers (registers_save)
 *		u32	CRC-32C of all before
 */
#ifndef TRIEN_JOURNAL_SNAPSHOT_H
#define TRIEN_JOURNAL_SNAPSHOT_H

#include "base/bytes.h"
#include "base/status.h"

struct snapshot {
	uint64_t position;		/* records from here on are not in it */
	int64_t clock_last_ms;
	uint16_t clock_counter;
	uint8_t engine;
	uint64_t covered;		/* keyindex_covered() at least; 0: not known */
	struct slice registers;		/* borrowed */
};

/* dir: DATA/counters, made if missing. Durable when it returns; a crash leaves the old one or the
 * new one. */
enum status snapshot_save(const char *dir, const struct snapshot *s, struct error *e) must_use;
/*
 * *buffer is what s->registers borrows from: free() it in every case (NULL on failure).
 * ST_NOT_FOUND: there is none; ST_DAMAGED: it fails its checksum; ST_UNSUPPORTED: a later
 * version wrote it.
 */
enum status snapshot_load(const char *dir, struct snapshot *s, uint8_t **buffer,
			  struct error *e) must_use;

#endif
