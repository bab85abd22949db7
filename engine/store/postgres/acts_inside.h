/*
 * acts_inside.h - what links and events (acts.c), voided numbers and marks (numbers.c) share: they
 * ask in turn, under one lock, on connections of their own.
 */
#ifndef TRIEN_STORE_POSTGRES_ACTS_INSIDE_H
#define TRIEN_STORE_POSTGRES_ACTS_INSIDE_H

#include <pthread.h>

#include "store/postgres/asking.h"
#include "store/postgres/postgres.h"

#define ACT_BYTES_MAX (4 * UINT16_MAX + 4096)	/* longer than any record of an act */

struct pg_acts {
	pthread_mutex_t lock;
	struct pg_asking servers[PG_SERVERS_MAX];
	struct pg_question questions[2];	/* the second, where there is one, counts */
	uint8_t record[ACT_BYTES_MAX];
};

/* What a count of an event needs to know of its result. */
struct about { char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1]; int64_t issued_ms; };

/* Says in *e what st means to who asked; returns st. */
enum status acts_failed(enum status st, struct error *e);

/* With the lock, all of them. */

enum status acts_ask(struct postgres *p, uint8_t lane, const struct pg_question *q, uint32_t n,
		     PGresult **out) must_use;
/* One statement whose rows do not matter; *rows: how many it changed. */
enum status acts_tell(struct postgres *p, uint8_t lane, const struct pg_question *q,
		      uint32_t *rows) must_use;
/*
 * The first question and, where it counts, the second one, in one transaction: of a row of a
 * sequence, whose month is made where it is missing.
 */
enum status acts_tell_month(struct postgres *p, uint8_t lane, uint64_t sequence,
			    bool counts) must_use;
/*
 * Which of the results are stored: all of them or ST_NOT_FOUND. about: one for each of v, NULL
 * where nobody wants to know.
 */
enum status acts_all_stored(struct postgres *p, const struct result_event *v, uint32_t n,
			    uint8_t lane, struct writer *w, struct about *about) must_use;

#endif
