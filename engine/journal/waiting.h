/*
 * waiting.h - the waiting room (DATA/waiting/): results that cannot go on now, because a key is
 * missing, or because a person has to approve or to sign. Some wait for months.
 *
 * The truth are segments of the journal's frame format: a row with the record that it needs to go
 * on, durable before "stored up to" passes it. Over them lies an index (index.db, SQLite): derived,
 * not durable by itself. It knows up to where it has applied the segments and catches up from there
 * at the next open; one that is missing, damaged or of other segments is made anew from all of
 * them, but where it knows rows that they do not have any more: then nothing is opened. So a row
 * holds neither memory nor journal segments, and costs a start nothing.
 *
 * One writer, one thread at a time. Any number of readers, each with a connection of its own, each
 * used by one thread at a time: what a call of the writer did is seen by every reader's call that
 * begins after it returned. Readers take no lock that a writer waits for, nor the other way round.
 *
 * Whoever logs: holder_name, holder_birth and holder_number are personal data (P9).
 */
#ifndef TRIEN_JOURNAL_WAITING_H
#define TRIEN_JOURNAL_WAITING_H

#include "batch.h"
#include "journal/record.h"

struct waiting;
struct waiting_reader;

struct waiting_row {
	uint64_t sequence;		/* at most INT64_MAX */
	uint8_t lane;
	uint8_t state;			/* HELD, AWAITING_APPROVAL or AWAITING_SIGNATURE */
	uint8_t reason;			/* enum reason, of HELD */
	uint8_t record;			/* payload's type: RECORD_NUMBERED, _ACCEPTED, _SIGNATURE */
	uint8_t priority;		/* enum priority */
	uint16_t ordinal, revision;
	uint32_t year;			/* of the register; 0: no number yet */
	uint64_t number;		/* 0: none yet */
	int64_t parked_ms;		/* since when it waits for this */
	int64_t accepted_ms;
	int64_t issued_ms;		/* 0: not yet */
	int64_t due_ms;			/* when the case is due; 0: no deadline */
	int64_t expires_ms;		/* when waiting ends with TIMED_OUT; 0: never */
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1], signer[CODE_BYTES_MAX + 1];
	char register_code[CODE_BYTES_MAX + 1];
	char case_code[CASE_CODE_BYTES_MAX + 1];
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];	/* empty: none yet */
	char principal[PRINCIPAL_BYTES_MAX + 1];	/* who submitted it */
	/* Of the first holder, to tell two people of one name apart. Never logged. */
	char holder_name[NAME_BYTES_MAX + 1], holder_number[HOLDER_NUMBER_BYTES_MAX + 1];
	struct partial_date holder_birth;	/* from its field `…ngay_sinh`; 0: unknown */
	char detail[120];		/* of the reason */
};

/*
 * Fills what the payload says of row->sequence (the record's type in row->record, 0: NUMBERED): all
 * but sequence, lane, state, reason, parked_ms, expires_ms and detail. ST_CORRUPT: no such record,
 * or the sequence is not in it.
 */
enum status waiting_row_fill(struct waiting_row *row, struct slice payload) must_use;

/* ---- the writer ---- */

/*
 * Cuts a torn tail. ST_DAMAGED: broken in the middle of what is read, or a segment is missing; says
 * where. ST_UNSUPPORTED: a later version wrote them; all stays as it is. What lies before the
 * index's place is not read: trien fsck does that.
 */
enum status waiting_open(struct waiting **w, const char *dir, struct error *e) must_use;
/* Readers are closed before. NULL is allowed. */
void waiting_close(struct waiting *w);
/* This open made the index anew: what else is derived from the rows may be, too. */
bool waiting_made_anew(const struct waiting *w);
/*
 * Adds durably (blocking). payload: its record, of type row->record (0: NUMBERED). state 0: HELD. A
 * row that is there is replaced; one that says the same (all but parked_ms) stays, nothing is
 * written. The first failed write is final: every later call that writes fails too.
 */
enum status waiting_add(struct waiting *w, const struct waiting_row *row, struct slice payload,
			struct error *e) must_use;
/* Removes durably (a tombstone; segments whose rows are all gone are deleted). ST_NOT_FOUND. */
enum status waiting_remove(struct waiting *w, uint64_t sequence, struct error *e) must_use;
/*
 * What is added and removed between the two is seen by readers together, and becomes durable with a
 * write for each frame that it fills (one, mostly) instead of one for each row. The writer sees it
 * at once: ST_NOT_FOUND may be of a row that is still there if the commit fails. After a failed
 * commit, and after a crash before it, the next open finds all of it, none, or a beginning of it;
 * never an end without what came before.
 */
void waiting_begin(struct waiting *w);
enum status waiting_commit(struct waiting *w, struct error *e) must_use;
/* Rows in this state, of all for 0, as readers see them. Any thread, at no cost. */
uint64_t waiting_count(const struct waiting *w, enum state state);

/* ---- readers ---- */

/* Any thread, while w is open. */
enum status waiting_reader_open(struct waiting_reader **r, const struct waiting *w,
				struct error *e) must_use;
/* NULL is allowed. */
void waiting_reader_close(struct waiting_reader *r);
/* One indexed look-up. ST_NOT_FOUND. */
enum status waiting_find(struct waiting_reader *r, uint64_t sequence, struct waiting_row *out,
			 struct error *e) must_use;
/* The first rows behind a sequence, in this state (0: any), by sequence. */
enum status waiting_after(struct waiting_reader *r, enum state state, uint64_t sequence,
			  struct waiting_row *rows, uint32_t max, uint32_t *n,
			  struct error *e) must_use;

struct waiting_filter {
	enum state state;
	const char *signer;		/* NULL: any */
	/* NULL: any. Rows of others are passed over one by one. */
	const char *unit, *kind;
	int64_t due_before_ms;		/* 0: any; else those with a deadline before it */
};
/* Where a page ended. */
struct waiting_place { uint8_t priority; int64_t due_ms; uint64_t sequence; };
/*
 * The most urgent first: by priority, then by deadline (those without one last), then by sequence.
 * after NULL: from the first.
 */
enum status waiting_list(struct waiting_reader *r, const struct waiting_filter *f,
			 const struct waiting_place *after, struct waiting_row *rows, uint32_t max,
			 uint32_t *n, struct error *e) must_use;
/* What waits of a case, by sequence. */
enum status waiting_case(struct waiting_reader *r, struct slice unit, struct slice case_code,
			 struct waiting_row *rows, uint32_t max, uint32_t *n,
			 struct error *e) must_use;
/*
 * Rows in this state whose expires_ms is not behind upto_ms, the first to expire first; those
 * behind the row of after_ms and `after` (0, 0: from the first).
 */
enum status waiting_expired(struct waiting_reader *r, enum state state, int64_t upto_ms,
			    int64_t after_ms, uint64_t after, struct waiting_row *rows,
			    uint32_t max, uint32_t *n, struct error *e) must_use;
/* What waits with a number of this register behind `after`, by number. */
enum status waiting_numbers(struct waiting_reader *r, struct slice unit, struct slice code,
			    uint32_t year, uint64_t after, struct waiting_row *rows, uint32_t max,
			    uint32_t *n, struct error *e) must_use;
/*
 * How many rows there are, by agency and kind: of them those due before now_ms, those that no
 * deadline has, and those accepted before before_ms. As of one moment; read from an index alone,
 * some 20 ms for 100,000.
 */
struct waiting_sum { struct slice unit, kind; uint64_t rows, late, undated, earlier; };
enum status waiting_sums(struct waiting_reader *r, int64_t now_ms, int64_t before_ms,
			 void (*one)(void *ctx, const struct waiting_sum *sum), void *ctx,
			 struct error *e) must_use;
/*
 * The record again, into buf, and its type. JOURNAL_RECORD_BYTES_MAX are always enough.
 * ST_NOT_FOUND, ST_TOO_LARGE, ST_CORRUPT.
 */
enum status waiting_read(struct waiting_reader *r, uint64_t sequence, uint8_t *type, uint8_t *buf,
			 size_t size, size_t *n, struct error *e) must_use;

#endif
