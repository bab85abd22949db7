/*
 * waiting.h - the waiting room (DATA/waiting/): results that cannot be signed now, in segments of
 * the journal's frame format, durable before "stored up to" passes them. They hold neither memory
 * (beyond one small row each) nor journal segments. One thread at a time.
 */
#ifndef TRIEN_JOURNAL_WAITING_H
#define TRIEN_JOURNAL_WAITING_H

#include "journal/record.h"

struct waiting;
struct waiting_row {
	uint64_t sequence;
	uint8_t lane, reason;
	int64_t parked_ms;
	uint64_t number;
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	char register_code[CODE_BYTES_MAX + 1];
	uint32_t year;
	char number_text[NUMBER_TEXT_BYTES_MAX + 1], detail[120];
};

/* Cuts a torn tail. ST_DAMAGED: broken in the middle, or a segment is missing; says where. */
enum status waiting_open(struct waiting **w, const char *dir, struct error *e) must_use;
void waiting_close(struct waiting *w);
/*
 * Adds durably (blocking; background thread or cold path). payload: its NUMBERED record. A row that
 * is there is replaced. The first failed write is final: every later call that writes fails too.
 */
enum status waiting_add(struct waiting *w, const struct waiting_row *row, struct slice payload,
			struct error *e) must_use;
/* Removes durably (a tombstone; segments whose rows are all gone are deleted). ST_NOT_FOUND. */
enum status waiting_remove(struct waiting *w, uint64_t sequence, struct error *e) must_use;
/* The NUMBERED record again, into buf. ST_NOT_FOUND, ST_TOO_LARGE, ST_CORRUPT. */
enum status waiting_read(struct waiting *w, uint64_t sequence, uint8_t *buf, size_t size, size_t *n,
			 struct error *e) must_use;
/* Rows by sequence, from index 0 until false. */
bool waiting_at(const struct waiting *w, uint32_t index, struct waiting_row *out);
bool waiting_find(const struct waiting *w, uint64_t sequence, struct waiting_row *out);
/* The first row behind a sequence. */
bool waiting_after(const struct waiting *w, uint64_t sequence, struct waiting_row *out);
uint32_t waiting_count(const struct waiting *w);

#endif
