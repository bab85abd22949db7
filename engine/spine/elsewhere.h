/*
 * elsewhere.h - results whose next signature comes from elsewhere: from a service that the remote
 * signer asks, or from an officer's own device. They leave their batch, which goes on without them.
 *
 *	batch ─▶ asked ──────────────▶ came: SIGNATURE record, durable ─▶ batch again
 *	          │ longer than ASKED_JOURNAL_MS, no room, or a device      │ drawn again, the value
 *	          ▼                                                         │ spliced and checked
 *	         waiting room (AWAITING_SIGNATURE) ─▶ asked ─▶ came ────────┘
 *
 * Until it is parked its NUMBERED record in the journal stands for it. What must not be lost is a
 * SIGNATURE record: the ticket of a transaction, and the signature. A start brings both into the
 * waiting room and goes on from there; a row is kept until its result is stored.
 *
 * When keys were reloaded, or one has ended, or the delegation that its officer signs by, whoever
 * is asked with a key that does not sign this any more is asked no more: its document is drawn
 * again, for the key of today, or held with the reason why none is.
 */
#ifndef TRIEN_SPINE_ELSEWHERE_H
#define TRIEN_SPINE_ELSEWHERE_H

#include "spine/asking.h"
#include "spine/awaitedkey.h"
#include "spine/spine.h"

/* What is acted upon once the journal and the janitor let it. */
enum came { CAME_NOTHING, CAME_TICKET, CAME_SIGNED, CAME_NO, CAME_FRESH };

/* One such result, in memory. */
struct errand {
	struct asked asked;		/* first; tag 0: it is not asked for */
	struct kept_signatures kept;	/* of the slots before the one asked for */
	int64_t sign_ms;		/* of that slot */
	char signer[CODE_BYTES_MAX + 1];	/* of the result */
	uint8_t lane, result_index, priority;
	uint8_t case_digest[SHA256_BYTES];
	uint64_t pos;			/* of its NUMBERED record */
	uint8_t *record;		/* that, malloc'd */
	uint32_t record_n;
	struct pending *pending;	/* settled once it is parked; NULL: it is */
	int64_t since_ms;
	bool in_room, parking, stale;	/* has a row; one is written; that is old already */
	enum came came;
	bool listed, noted;
	int64_t at_ms;			/* when it came */
	uint64_t durable_at, track;
	uint16_t value_n;
	uint8_t value[KEPT_VALUE_BYTES_MAX];
	enum reason why;		/* CAME_NO */
	char detail[120];
	struct errand *next_came;
	struct errand *older, *newer;	/* of those that the journal holds */
};

/* Rows that wait for a signature, read by the janitor. */
#define AWAIT_PAGE 32
struct await_row { struct waiting_row row; uint8_t *bytes; size_t n; };	/* NULL: unreadable */
struct await_page {
	uint64_t after;
	uint32_t n;
	struct await_row rows[AWAIT_PAGE];
};

struct elsewhere {
	struct asking asking;
	struct errand *came_first, **came_end;
	struct errand *oldest, *newest;	/* that the journal holds */
	struct job *parked_first;	/* whose PARKED record found the journal full */
	/* Any thread: something is asked for that cannot be given any more; a look finds it. */
	atomic_bool outdated;
	bool judging;			/* some that are asked for are to be looked at: */
	int64_t judge_due_ms;		/* then */
	int64_t ends_ms;		/* Unix: until then no key or delegation ends by itself */
	bool left_behind, scanning;	/* some are only rows; the janitor reads them, */
	bool scan_added, scan_again;	/* some were taken; the next look follows at once */
	uint64_t scan_after;		/* behind this one; 0: from the first one on */
	int64_t scan_due_ms, scan_pause_ms;
};

enum status elsewhere_new(struct elsewhere **out) must_use;
void elsewhere_free(struct spine *s);

/* ---- spine ---- */

/* A batch came back: those that go elsewhere leave it. bound: the slot just bound, or -1. */
void elsewhere_sort(struct spine *s, struct batch *b, int bound);
/* An answer of the remote signer. ST_CORRUPT: to nothing that was asked. */
enum status elsewhere_answer(struct spine *s, const struct remote_answer *a) must_use;
/* The remote signer has gone: it is asked again once there is another one. */
void elsewhere_lost(struct spine *s);
/*
 * A person's act is to end the waiting for this result's signature. One that only the journal holds
 * gets its row first: a job pushed behind this call finds it.
 */
void elsewhere_row_wanted(struct spine *s, uint64_t sequence);
/*
 * May the waiting end? payload: of its row, which nobody has in hand. ST_AGAIN: something came for
 * it just now.
 */
enum status elsewhere_may_end(struct spine *s, const struct waiting_row *row,
			      struct slice payload) must_use;
/* It ends, if there is any: nobody is asked any more, and what still comes does not count. */
void elsewhere_end(struct spine *s, uint64_t sequence);
/*
 * The signature of an officer's device, for what e's row asks for. ST_OK: it stands in the journal,
 * and is durable with what is appended now; e is taken over. ST_EXISTS: one came before; ST_FULL,
 * ST_AGAIN: not now.
 */
enum status elsewhere_given(struct spine *s, struct errand *e, struct slice value) must_use;
void elsewhere_run(struct spine *s);
/* AWAIT, AWAIT_READ: the janitor is through with it. */
void elsewhere_parked(struct spine *s, struct job *j);
void elsewhere_scanned(struct spine *s, struct job *j);
/*
 * The payload of a held result's row, malloc'd, and its type: a SIGNATURE record with what is kept
 * of it, or its NUMBERED record. Not ST_OK: its signatures must not be taken for lost; j has it.
 */
enum status elsewhere_wrap(const struct item *it, struct job *j) must_use;
/* The other way: what is kept in a row's payload, malloc'd; NULL: nothing. */
enum status elsewhere_kept(uint8_t type, struct slice payload,
			   struct kept_signatures **out) must_use;

/* ---- between elsewhere.c and elseroom.c ---- */

static inline int64_t steady_ms(void)
{
	return (int64_t)(io_boot_ns() / 1000000);
}
void errand_free(struct spine *s, struct errand *e);
struct question errand_question(const struct errand *e);
/* Then it is looked at. */
static inline void errand_ends(struct elsewhere *w, const struct errand *e)
{
	if (e->asked.until_ms != 0 && e->asked.until_ms < w->ends_ms)
		w->ends_ms = e->asked.until_ms;
}
/* It is acted upon in its turn. */
void errand_came(struct elsewhere *w, struct errand *e, enum came what);
/* Its row, as the errand is now: AWAITING_SIGNATURE, or HELD, which ends it. */
void errand_park(struct spine *s, struct errand *e, enum state state);
/* The journal does not hold it for long any more. */
void errand_not_oldest(struct elsewhere *w, struct errand *e);
/* From here on its row is not what counts. false: it has none. */
bool errand_over_row(struct spine *s, const struct errand *e);
void elsewhere_room_run(struct spine *s);

/* ---- janitor, and recovery ---- */

enum status await_read(struct spine *s, struct job *j);
/* Any thread: says that a row is passed over, which and why. */
void row_unreadable(const struct waiting_row *row, const char *why);
/*
 * A SIGNATURE record of the journal on its row in the waiting room, where it says more than that
 * does. No row, or one that does not wait for this: nothing. held: a mirror's, whose held row gets
 * what is kept of it, once.
 */
enum status await_apply(struct spine *s, struct slice record, bool held,
			struct error *e) must_use;

/* A mirror's row, if it is there: state, reason and time as in `now`. */
enum status await_restate(struct spine *s, const struct waiting_row *now, struct error *e) must_use;
/*
 * What a mirror's row of such a payload needs: it makes its row of the NUMBERED record. false: the
 * journal is full just now.
 */
bool await_mirrored(struct spine *s, uint8_t type, struct slice payload) must_use;
/* A new row: its NUMBERED record, and a SIGNATURE record of the journal. */
enum status await_add(struct spine *s, struct slice numbered, struct slice record,
		      struct error *e) must_use;

/* ---- elserow.c: an errand as bytes ---- */

/* Slots before the one asked for, that one, and with `value` what came for it. */
enum status errand_encode(const struct errand *e, bool value, bool record,
			  struct writer *w) must_use;
/* false: it is no such payload. record is a copy. */
bool errand_decode(struct errand *e, const struct waiting_row *row, struct slice payload);
#define ERRAND_BYTES_MAX 4096			/* without the record */

#endif
