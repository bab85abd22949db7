/*
 * journal_rig.h - a small journal in a folder of its own, whose disk the test has in its hands:
 * writes can be held back, answered in any order, refused; the files kept and put back (a crash).
 *
 * Linked with --wrap=io_write_durable,--wrap=open,--wrap=fallocate.
 */
#ifndef TESTS_JOURNAL_RIG_H
#define TESTS_JOURNAL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "io/io.h"
#include "journal/journal.h"
#include "tmpdir.h"

#define RIG_SEGMENT_BYTES (64u * 1024)
#define RIG_SLOTS 4u
#define RIG_HELD_MAX 8
#define RIG_SEEN_MAX 4096

/* A write that has not reached the disk. */
struct held { struct io_op *op; int fd; const void *buf; size_t n; uint64_t offset; };

struct rig {
	struct tmpdir dir;
	enum io_kind kind;
	struct io *io;
	struct journal *j;
	struct journal_config cfg;
	struct error e;
	uint32_t added;			/* records appended so far */
	uint64_t last_pos;
	uint32_t seen_n, seen_first;	/* replayed by the last open: how many, and the first */
	uint64_t seen[RIG_SEEN_MAX];	/* their positions */
	uint32_t disorder;		/* replayed records that do not follow the one before */
	enum status replay_says;
};

struct rig_disk {
	bool hold;			/* writes wait in held[] */
	bool no_direct;			/* the file system refuses O_DIRECT */
	bool no_space;			/* and has no room */
	struct held held[RIG_HELD_MAX];
	uint32_t held_n;
};
extern struct rig_disk rig_disk;

/* cmocka set-up of one test: *state is the io_kind in, the rig out. */
int rig_new(void **state);
int rig_free(void **state);

enum status rig_open(struct rig *r);
void rig_open_ok(struct rig *r);
void rig_close(struct rig *r);
/* The rig's replay: counts what is not exactly the next record that was added. */
enum status rig_seen(void *ctx, uint64_t pos, uint8_t type, struct slice payload, struct error *e);
/* Record number `added`, n ≥ 4 bytes made from its number. */
enum status rig_add(struct rig *r, size_t n);
/* The same, waiting for room; then everything is durable. */
void rig_add_durable(struct rig *r, size_t n);
void rig_settle(struct rig *r);
/* The next held write (index) reaches the disk, if result says so, and answers. */
void rig_answer(uint32_t index, int64_t result);

/* A slot's file, opened behind the journal's back; the caller closes it. */
int rig_slot(struct rig *r, uint32_t index);
/* All slots, one behind the other. */
uint8_t *rig_image(struct rig *r);
void rig_put(struct rig *r, const uint8_t *image);
/* What one open of that image says, and sees; without a trace in the rig's folder. */
enum status rig_try(struct rig *r, const uint8_t *image);

#endif
