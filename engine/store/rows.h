/*
 * rows.h - what the index holds of a record: said once, for frames just written, for frames read
 * at start, and for fsck. Inside store/ only.
 */
#ifndef TRIEN_STORE_ROWS_H
#define TRIEN_STORE_ROWS_H

#include "base/frame.h"
#include "store/counted.h"
#include "store/store_index.h"
#include "store/stored.h"

struct record_rows {
	uint64_t sequence;		/* of every row; a READ's is its stamp */
	uint32_t n;
	struct { enum row_table table; struct row_key key; } of[INDEX_ROWS_RECORD];
	/* What a RESULT or a VOID counts; borrowed from the record, and from `says`. */
	struct counted_says says;
	uint32_t counted_n;
	struct counted counted[COUNTED_RESULT_MAX];
	/* Of an EVENT: what it adds to, counted_event() says with its result. kind 0: another */
	struct result_event event;
};

/* Raises m by the record's number. RESULT, LINK, EVENT, VOID, READ. ST_CORRUPT: malformed;
 * ST_NOMEM. */
enum status rows_of(struct record_rows *out, const struct frame_record *rec,
		    struct marks *m) must_use;

/* Locator keys: of a case, and of a result that another one replaces. */
void locator_case(uint8_t key[16], struct slice unit, struct slice code);
void locator_replaced(uint8_t key[16], const uint8_t result_id[16]);
/* Of an EVENT_REUSED: result, reader, reader's case. false: it names no case, or too long ones. */
bool locator_reused(uint8_t key[16], const struct result_event *v);

#endif
