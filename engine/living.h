/*
 * living.h - the life of a result that is stored: acts upon it, and the events that they leave.
 *
 *	VALID ──▶ CORRECTED ──▶ REPLACED	another result stands in its place
 *	  └──────────┴────────▶ REVOKED		by decision; may be replaced still
 *	EXPIRED: by the calendar, not by an act
 *
 * A format error is cured by a công văn đính chính, a content error by a new document in its place
 * (Decree 30/2020 art. 18.3). What is revoked is at its end: the same document cannot be put right
 * any more, but the person may get another one in its place. What is replaced is at its end, too:
 * acts go to the one in its place. The signed file is never touched.
 *
 * Whether it is shown is apart from that: its holder may hide it in their own list, a decision may
 * restrict it for everybody but the registry and the auditors of its agency.
 *
 * Pure; any thread.
 */
#ifndef TRIEN_LIVING_H
#define TRIEN_LIVING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "limits.h"

/*
 * What an event of a stored result says. READ: another than its unit read it, as older versions
 * noted it; detail holds purpose, legal basis and case, a line each. HANDED: another than the
 * signer whom its case names signed it; detail holds from whom, to whom and why, a line each.
 * HIDDEN, SHOWN: of one holding, whose holder key detail holds in hex. LINKED: a holder was added;
 * link() of the store keeps it, history() tells it; detail holds why. REUSED: note_reads() of the
 * store tells it, once for each (result, reader, reader's case); detail holds the result's unit and
 * kind and the reader's case, a line each: what statistics count. SHARED, SHARE_VIEWED,
 * SHARE_ENDED: of a share, which detail holds (share.h). The others hold a decision. Part of stored
 * forms: never renumbered.
 */
enum event_kind {
	EVENT_READ = 1, EVENT_CORRECTED, EVENT_REPLACED, EVENT_REVOKED, EVENT_HANDED = 6,
	EVENT_HIDDEN, EVENT_SHOWN, EVENT_RESTRICTED, EVENT_RELEASED, EVENT_LINKED,
	EVENT_SHARED, EVENT_SHARE_VIEWED, EVENT_SHARE_ENDED, EVENT_REUSED = 16
};

static inline bool event_is_share(uint8_t kind)
{
	return kind >= EVENT_SHARED && kind <= EVENT_SHARE_ENDED;
}

/* Of those that the store's events() takes. */
static inline bool event_is_kind(uint8_t kind)
{
	return (kind >= EVENT_READ && kind <= EVENT_RELEASED && kind != 5) ||
	       event_is_share(kind) || kind == EVENT_REUSED;
}

/* Of an act upon its life or who sees it; each makes its etag another one. */
static inline bool event_is_act(uint8_t kind)
{
	return event_is_kind(kind) && kind != EVENT_READ && kind != EVENT_HANDED &&
	       kind != EVENT_REUSED && !event_is_share(kind);
}

/* The paper behind an act. */
struct decision {
	struct slice unit;		/* agency that acted: the result's, or a successor */
	struct slice number;		/* of the paper, as printed */
	uint32_t day;			/* of the paper, yyyymmdd */
	uint8_t paper[16];		/* the paper's result id, if the engine issued it; zero */
	struct slice person;		/* who decided: an account of the case system */
	struct slice ground;		/* one line */
};

#define DECISION_BYTES_MAX (CODE_BYTES_MAX + DECISION_NUMBER_BYTES_MAX + 8 + ID_TEXT_BYTES + \
			    DECISION_PERSON_BYTES_MAX + DECISION_GROUND_BYTES_MAX + 5)
#define HOLDER_DETAIL_BYTES 32			/* of HIDDEN and SHOWN */

/* A line each, in the order above. ST_TOO_LARGE: beyond its bounds, or a line break in it. */
enum status decision_write(const struct decision *d, struct writer *w) must_use;
/* Slices borrow from detail. ST_CORRUPT: none of ours. */
enum status decision_read(struct decision *d, struct slice detail) must_use;
/* SHA-256 of what an act says: the same act told again has the same. */
void act_digest(uint8_t out[SHA256_BYTES], uint8_t kind, struct slice detail);

/*
 * Where an act stands already among those upon its result, counted from 1; 0: nowhere. same: the
 * newest that says what it says; undone: the newest that takes that back.
 */
struct act_trace { uint32_t same, undone; };

/* What takes a holder's HIDDEN or SHOWN back: the other one. 0: nothing does. */
uint8_t event_undone_by(uint8_t kind);
/* The n-th act upon the result says this: what does it mean for the one that is traced? */
void act_trace_take(struct act_trace *t, uint8_t kind, struct slice detail, uint32_t n,
		    uint8_t said_kind, struct slice said);
/*
 * Is it the same act, told again? One with a paper is, for ever: no paper acts twice. A holder has
 * no paper and may hide, show and hide again: theirs is the same one as long as nothing took it
 * back, and for who had `seen` fewer acts than there are with it.
 */
bool act_is_again(const struct act_trace *t, uint8_t kind, uint32_t seen);

/*
 * May one more of that kind follow so many acts? Holders, who need no paper, stop long before the
 * agency; the last place of all is a revocation's.
 */
bool living_has_room(uint8_t kind, uint32_t acts);

/* What acts have made of one result. */
struct living {
	uint32_t acts;			/* so many; REPLACED is none */
	bool restricted;
	int64_t note_ms, shown_ms;
	/* the newest decision of those that say most: revoked before corrected */
	struct {
		uint8_t kind;		/* 0: none */
		uint32_t day;
		uint8_t paper[16];
		char number[DECISION_NUMBER_BYTES_MAX + 1];
	} note;
};

/* One more event, in any order. ST_CORRUPT: an act whose detail is none. */
enum status living_take(struct living *l, uint8_t kind, int64_t at_ms,
			struct slice detail) must_use;
/* Is it one of this holding, no older than *at_ms? Then *hidden and *at_ms are its. */
bool living_shown(uint8_t kind, int64_t when_ms, struct slice detail, const uint8_t holder_key[16],
		  bool *hidden, int64_t *at_ms);

#endif
