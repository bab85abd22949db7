/*
 * folding.h - when which lane's counters are folded: every lane once a night, and once after the
 * start, one at a time and not one right behind the other. Pure. Inside store/postgres only.
 *
 * What folding is: trien_fold in schemas/store/postgres/002.sql.
 */
#ifndef TRIEN_STORE_POSTGRES_FOLDING_H
#define TRIEN_STORE_POSTGRES_FOLDING_H

#include <stdbool.h>
#include <stdint.h>

struct pg_folding {
	int64_t night;			/* that the lanes below were or are folded in */
	uint8_t lane;			/* next; LANES: all are done */
	bool out;			/* one is asked for and not answered */
	uint64_t due_ns;		/* not the next one before that; CLOCK_BOOTTIME */
	uint64_t fewer;			/* rows, this night */
};

/* All zero is the begin. The lane to be asked for now, which is out then; -1: none. */
int pg_folding_next(struct pg_folding *f, int64_t wall_ms, uint64_t boot_ns);
/*
 * The lane that is out was answered: there are so many rows fewer. True: it was the night's last.
 * Wrong: it was refused, and the others are left for the next night.
 */
bool pg_folding_answered(struct pg_folding *f, uint64_t fewer, bool wrong, uint64_t boot_ns);

#endif
