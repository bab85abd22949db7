/*
 * events.h - rows of `event`, for all that write them. acts.c. Inside store/postgres only.
 */
#ifndef TRIEN_STORE_POSTGRES_EVENTS_H
#define TRIEN_STORE_POSTGRES_EVENTS_H

#include "store/postgres/question.h"

struct event_row { uint64_t sequence; int64_t n, at_ms; uint8_t kind; struct slice record; };

/* Part of an event's key: the same for the same words. -1: no memory. */
int64_t pg_event_n(uint8_t kind, int64_t at_ms, struct slice what);
/* PG_EVENTS_ADD; its arrays are written into w, which has pg_events_room() for them. */
void pg_events_question(struct pg_question *q, struct writer *w, uint8_t lane,
			const struct event_row *rows, uint32_t n);
size_t pg_events_room(uint32_t n, size_t record_bytes);
/* A date as PG_MONTHS takes it. */
int32_t pg_day(int64_t unix_ms);

#endif
