/*
 * register.h - official numbers: unit × register code × year, continuous, in time order
 * (ND 30/2020 art. 15: from 01 on 1 January to 31 December, one series for paper and electronic).
 *
 * Spine thread only, memory only: durability is the journal's. State is rebuilt from a snapshot
 * plus the records after it.
 */
#ifndef TRIEN_REGISTER_H
#define TRIEN_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"

struct registers;

/* Who opened or closed it, when and why. Strings live as long as the registers do. */
struct register_act {
	int64_t at_ms;			/* 0: of a time before this was kept; actor, reason "" */
	const char *actor, *reason;
};

/* What became of its numbers: added up when the book is closed for good, and true ever after. */
struct register_total { uint64_t issued, voided, outside; };

struct register_row {
	char unit[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
	uint32_t year;
	uint64_t first, next;
	uint64_t given, voided;
	bool closed, totalled;
	bool goes_on;			/* closed as its year was over: the series is not */
	struct register_act opened, last;	/* last: that closed it */
	struct register_total total;		/* totalled */
};

enum status registers_new(struct registers **r) must_use;
void registers_free(struct registers *r);

/* ST_EXISTS: already open; ST_INVALID: first is 0, or a code is no code. Year by Vietnam time. */
enum status register_open(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			  uint64_t first) must_use;
/*
 * goes_on: the book of a year that is over, closed with its total; else the series ends with it.
 * One that is closed stays what it is. ST_NOT_FOUND.
 */
enum status register_close(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			   bool goes_on) must_use;
/* Keeps who did the act with the register that it opened, or closed. ST_NOT_FOUND, ST_NOMEM. */
enum status register_note(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			  bool closed, int64_t at_ms, struct slice actor,
			  struct slice reason) must_use;
/* Of a closed one. ST_NOT_FOUND; ST_PRECONDITION: it does not add up to the numbers given. */
enum status register_total(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			   const struct register_total *total) must_use;
/*
 * Whether it would give a number. ST_NOT_FOUND: it is not open for this year, and does not go on by
 * itself from the series' newest year before; ST_PRECONDITION: it is closed.
 */
enum status register_gives(const struct registers *r, struct slice unit, struct slice code,
			   uint32_t year) must_use;
/*
 * The next number; statuses likewise. ST_NOT_FOUND with *year_turn: it goes on from a year before,
 * so that the caller journals an opening at 1 and takes again.
 */
enum status register_take(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			  uint64_t *number, bool *year_turn) must_use;
/* Gives back the newest number, only while its record is not yet appended. */
void register_untake(struct registers *r, struct slice unit, struct slice code, uint32_t year,
		     uint64_t number);
/* Replay: `number` was given; next becomes at least number + 1. ST_DAMAGED if that leaves a gap, or
 * if it is below the first one. */
enum status register_replay(struct registers *r, struct slice unit, struct slice code,
			    uint32_t year, uint64_t number) must_use;
void register_voided(struct registers *r, struct slice unit, struct slice code, uint32_t year);
/* In the order they were opened. */
bool register_at(const struct registers *r, uint32_t index, struct register_row *out);
bool register_find(const struct registers *r, struct slice unit, struct slice code, uint32_t year,
		   struct register_row *out);

/* Snapshot: bytes with version and CRC; malloc'd. Those of version 1 know no acts and totals,
 * those of version 2 not which series go on. */
enum status registers_save(const struct registers *r, uint8_t **bytes, size_t *n) must_use;
/* Replaces what there is. ST_CORRUPT, ST_UNSUPPORTED, ST_DAMAGED: then nothing has changed. */
enum status registers_load(struct registers *r, struct slice bytes, struct error *e) must_use;

/*
 * The numbering clock: time never goes back. now = max(last, wall), one more where the counter of
 * that millisecond is used up; a step back beyond CLOCK_STEP_MS_MAX gives ST_UNAVAILABLE until the
 * wall clock has caught up, and so does a time that no sequence can hold (before 2020).
 */
struct numbering_clock { int64_t last_ms; uint16_t counter; };
enum status numbering_tick(struct numbering_clock *c, int64_t wall_ms, uint8_t engine,
			   uint64_t *sequence, int64_t *issued_ms) must_use;

#endif
