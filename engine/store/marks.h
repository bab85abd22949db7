/*
 * marks.h - the registers that the store has seen, each with its highest number, and the witness
 * file that remembers them outside the data folder. Inside store/ only.
 *
 * A witness is slots of 128 bytes, one a register, overwritten in place:
 *	0	u32	magic "TWIT"
 *	4	u32	year
 *	8	u64	highest number
 *	16	char	unit[41], 57 char register code[41], zero-padded
 *	124	u32	CRC-32C of bytes 0–123
 * A slot lies in one sector, so a power loss leaves the old one or the new one.
 *
 * The store's writer changes them; readers look under the lock.
 */
#ifndef TRIEN_STORE_MARKS_H
#define TRIEN_STORE_MARKS_H

#include <pthread.h>

#include "store/store.h"

struct mark {
	struct register_mark about;
	uint32_t slot;			/* in the witness; 0-based */
	uint32_t next;			/* of its hash chain; index + 1 */
	bool dirty;			/* the witness is behind */
};

struct marks {
	pthread_mutex_t lock;
	struct mark *of;		/* a register's id is its index + 1 */
	uint32_t n, room;
	uint32_t *heads, heads_n;	/* index + 1; a power of two */
	int fd;				/* -1: no witness */
	uint32_t slots_n;
	char path[PATH_MAX];
	/* The flusher: a flush of its own, beside that of the segment. */
	pthread_t thread;
	pthread_cond_t turn;
	bool started, stop, wanted;	/* under `lock` */
	int failure;			/* errno of a failed flush: final */
};

enum status marks_init(struct marks *m) must_use;
void marks_free(struct marks *m);
/* Forgets all; before the witness is read. */
void marks_clear(struct marks *m);
/* Reads the witness and raises the marks by it; made if it is missing, with its folder. */
enum status marks_witness(struct marks *m, const char *path, struct error *e) must_use;
/*
 * Writes what has changed; marks_wait() returns once it is durable. Between the two the segment is
 * flushed: both take as long as one. The numbers stand in the journal already, so a witness ahead
 * of the store says nothing wrong. The writer.
 */
enum status marks_write(struct marks *m, struct error *e) must_use;
enum status marks_wait(struct marks *m, struct error *e) must_use;

/* 0: unknown. Any thread. */
uint32_t marks_find(struct marks *m, struct slice unit, struct slice code, uint32_t year);
/* Finds or adds a register and raises its highest number. 0: no memory, or a code is too long. */
uint32_t marks_raise(struct marks *m, struct slice unit, struct slice code, uint32_t year,
		     uint64_t number);

#endif
