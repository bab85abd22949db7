/*
 * keyrun.h - one immutable sorted run of the key index: a file, written once, mapped read-only.
 * Internal to keyindex.c. Little-endian.
 *
 *	header (4096) | blocks (4096 each) | fences | Bloom filter | CRC
 *
 * Header
 *	0	u64	magic "TRIENKEY"
 *	8	u32	format version = 2; 1 is read
 *	12	u32	entry bytes = 120 (version 1: 112)
 *	16	u64	entries
 *	24	u64	from: journal position of the first record covered
 *	32	u64	upto: the first one not covered
 *	40	u64	Bloom lines
 *	48		zeros
 *	4092	u32	CRC-32C of bytes 0–4091
 *
 * Block: 34 entries (version 1: 36) in rising order of their keys (the last block: what is left,
 * then zeros)
 *	4092	u32	CRC-32C of the block's index (u64) and bytes 0–4091
 *
 * Entry
 *	0	key (16), sequence u64, number u64, digest (32), lane u8, flags u8
 *	66	length of the number's text u8, the text (44), 0
 *	112	issue time u64, Unix milliseconds (version 1: the time in the sequence)
 *
 * Fences: the first 8 bytes of each block's first key, as a big-endian number in a u64, so that
 * a lookup reads one block. Bloom filter: lines of 64 bytes, 10 bits a key, all bits of a key in
 * one line. CRC: u32, CRC-32C over fences and filter, read at open; blocks are checked whenever one
 * is looked at, so that a start does not read decades of keys.
 */
#ifndef TRIEN_JOURNAL_KEYRUN_H
#define TRIEN_JOURNAL_KEYRUN_H

#include <stdbool.h>

#include "journal/keyindex.h"

struct keyrun {
	int fd;
	const uint8_t *map, *fences, *bloom;
	size_t size;			/* bytes mapped */
	uint64_t count, blocks, lines;
	uint32_t entry_bytes, block_entries;
	uint64_t from, upto;		/* journal positions covered: [from, upto) */
	char path[];
};

/* ST_CORRUPT: header, size, fences or filter do not hold. */
enum status keyrun_open(struct keyrun **out, const char *path, struct error *e) must_use;
void keyrun_close(struct keyrun *r);

/* The filter's line of a key, to be fetched ahead when several runs are asked. */
const uint8_t *keyrun_line(const struct keyrun *r, const uint8_t key[16]);
/* false: the key is not in the run of this line. */
bool keyrun_may_have(const uint8_t *line, const uint8_t key[16]);
/* ST_NOT_FOUND, ST_CORRUPT. */
enum status keyrun_get(const struct keyrun *r, const uint8_t key[16],
		       struct keyentry *out) must_use;

/* Reads a run in order, by plain reads: a merge must not fill our memory with mapped pages. */
struct keyrun_cursor {
	const struct keyrun *run;
	uint64_t next, loaded;		/* entry to read; first block in buf */
	uint8_t *buf;
	struct keyentry entry;
	bool more;			/* entry is valid */
};
/* Stands on the first entry. */
enum status keyrun_cursor_start(struct keyrun_cursor *c, const struct keyrun *r,
				struct error *e) must_use;
enum status keyrun_cursor_next(struct keyrun_cursor *c, struct error *e) must_use;
void keyrun_cursor_end(struct keyrun_cursor *c);

/* Writes a run of at most count_max entries. */
struct keyrun_writer;
enum status keyrun_create(struct keyrun_writer **out, const char *dir, uint64_t from, uint64_t upto,
			  uint64_t count_max, struct error *e) must_use;
/* In strictly rising order of keys. */
enum status keyrun_add(struct keyrun_writer *w, const struct keyentry *entry,
		       struct error *e) must_use;
/* Makes it durable under its name and opens it; *out NULL on failure. Frees w either way. */
enum status keyrun_finish(struct keyrun_writer *w, struct keyrun **out, struct error *e) must_use;
/* Throws it away. */
void keyrun_abandon(struct keyrun_writer *w);

/* `keys-<from>-<upto>.run`, both as 16 hex digits. false: no name of a run. */
bool keyrun_name_read(const char *name, uint64_t *from, uint64_t *upto);

#endif
