/*
 * record.h - the typed journal records. Versioned by type; an unknown type stops the start. Pure
 * encode/decode, fuzzed. Strings and blobs as in bytes.h; times Unix milliseconds, UTC.
 */
#ifndef TRIEN_JOURNAL_RECORD_H
#define TRIEN_JOURNAL_RECORD_H

#include "case.h"
#include "living.h"
#include "share.h"
#include "catalogue/catalogue.h"

enum record_type {
	RECORD_ACCEPTED = 1,		/* a case of which at least one result awaits approval */
	RECORD_NUMBERED,		/* case, numbers, times, pins: stands alone */
	RECORD_APPROVED,		/* a confirmation: its results get their numbers */
	RECORD_REFUSED,			/* the signer sent one back: it never gets a number */
	RECORD_SIGNATURE,		/* of a key elsewhere: what is asked for, or has come */
	RECORD_PARKED,			/* a result went to the waiting room, with reason */
	RECORD_RESUMED,			/* it left the waiting room, or got a new signing time */
	RECORD_VOID,			/* its number will never be issued */
	RECORD_REGISTER_OPENED,
	RECORD_REGISTER_CLOSED,
	RECORD_STATE_EVENT,		/* LinkHolder and later acts, to be brought to the store */
	RECORD_STORED_UP_TO,		/* everything before this position is stored or parked */
	RECORD_WITHDRAWN,		/* the case system took one back before its approval */
	RECORD_TIMED_OUT,		/* nobody approved it in time */
	RECORD_HANDED,			/* a held result got another signer */
	RECORD_NUMBERS,			/* numbers that never had a result: how they ended */
	RECORD_TYPE_COUNT
};

/*
 * ACCEPTED: results that await approval have no number, text, year and issue time yet; the others
 * are numbered. NUMBERED at approval: one result is bound, the others have number 0: the record
 * says nothing of them.
 */
struct numbered_result {
	uint64_t sequence;
	uint8_t lane;
	uint64_t number;		/* 0: not bound by this record */
	int64_t issued_ms;		/* of this result; 0: not bound */
	uint32_t year;
	struct slice register_code, number_text;
	struct pins pins;
};

/* From this signer to that one, by whom, why. */
struct handover {
	uint8_t result;			/* which of the case's */
	int64_t at_ms;
	struct slice from, to, actor, reason;
};

/*
 * ACCEPTED, NUMBERED. In version 1 each result was issued at the time in its sequence; version 3
 * ends with handovers: in the waiting room only, the journal has a HANDED record for each.
 */
struct record_numbered {
	int64_t accepted_ms, issued_ms;	/* issued_ms: of the last one bound */
	uint8_t results_n;
	struct numbered_result results[CASE_RESULTS_MAX];
	struct slice principal;		/* who submitted */
	struct slice case_bytes;
	uint8_t handed_n;
	struct handover handed[HANDOVERS_MAX];	/* in order of time */
};
enum status record_numbered_encode(const struct record_numbered *r, struct writer *w) must_use;
enum status record_numbered_decode(struct record_numbered *r, struct slice payload) must_use;
/* Which of the case's results it is; results_n: none. */
uint8_t record_result_index(const struct record_numbered *r, uint64_t sequence);
/* Who signs results[i], whom the case names as `named`. */
struct slice record_signer(const struct record_numbered *r, uint8_t i, struct slice named);

/* One result on a confirmation. */
struct approved_result {
	uint64_t sequence;
	uint8_t lane;
	uint8_t key[16];		/* its result_key() */
};

/*
 * APPROVED: from here on each result on it will be numbered, in this order, by NUMBERED records
 * that follow.
 */
struct record_approved {
	uint8_t session[16];
	uint8_t manifest[SHA256_BYTES];	/* what the signer confirmed */
	int64_t at_ms;
	struct slice signer, principal, delegation;
	uint32_t results_n;
	struct approved_result results[APPROVAL_ITEMS_MAX];
};
enum status record_approved_encode(const struct record_approved *r, struct writer *w) must_use;
enum status record_approved_decode(struct record_approved *r, struct slice payload) must_use;

/*
 * PARKED, RESUMED, VOID, REFUSED, WITHDRAWN, TIMED_OUT: one result. What only its ends have is
 * what can be shown of it for ever. A record of version 1 ends with `number`, one of version 2
 * before `state`.
 */
struct record_result {
	uint64_t sequence;
	uint8_t lane;
	uint8_t key[16];		/* its result_key(), or zeros */
	uint8_t reason;			/* enum reason */
	int64_t at_ms;			/* RESUMED: the new signing time */
	struct slice actor, detail;	/* ends: who and why */
	struct slice unit, register_code; uint32_t year; uint64_t number;	/* ends */
	uint8_t result_id[16];		/* ends */
	struct slice kind, case_code, number_text;	/* ends; without number it has no text */
	uint16_t ordinal, revision;	/* ends */
	int64_t accepted_ms;		/* ends */
	uint8_t state;			/* enum state. PARKED: why it waits (older ones: HELD) */
	int64_t issued_ms;		/* VOID (older ones: the time in its sequence) */
	int64_t expires_ms;		/* PARKED: it waits until then; 0: for ever */
};
enum status record_result_encode(const struct record_result *r, struct writer *w) must_use;
enum status record_result_decode(struct record_result *r, struct slice payload) must_use;

/*
 * SIGNATURE: one result whose next signature comes from elsewhere. All slots but the last have
 * their signature; the last has it once it came, and is asked for until then. Also the payload of
 * such a result's row in the waiting room, with the record that it goes on with. The newest of a
 * result is what counts.
 */
struct record_signature {
	uint64_t sequence;
	uint8_t lane;
	int64_t at_ms;			/* since when: the signing time of slots behind these */
	uint8_t tries;			/* wrong ones that came for the last slot before */
	uint8_t slots_n;		/* 1 … DOC_SIGNATURES_MAX */
	struct {
		struct slice key;	/* its id in keys.json */
		int64_t sign_ms;
		uint8_t digest[SHA256_BYTES];
		struct slice value;	/* empty: it is asked for */
	} slots[DOC_SIGNATURES_MAX];
	struct slice service, ticket;	/* of the last slot: whom, and under which transaction */
	int64_t until_ms;		/* its key or signer may not sign later; 0: no limit */
	struct slice numbered;		/* payload of the NUMBERED record; empty in the journal */
};
enum status record_signature_encode(const struct record_signature *r, struct writer *w) must_use;
enum status record_signature_decode(struct record_signature *r, struct slice payload) must_use;
/*
 * What a row of the waiting room goes on with: the payload itself, or the NUMBERED record in a
 * SIGNATURE record. p NULL: no such record.
 */
struct slice record_numbered_in(uint8_t type, struct slice payload);

/*
 * HANDED: from here on another signer signs the held result, under its number. What its case says
 * stays; what is printed of the signer is the version in `pin`.
 */
struct record_handed {
	uint64_t sequence;
	uint8_t lane;
	uint8_t pin[PIN_BYTES];
	struct handover what;		/* without what.result: the sequence says it */
};
enum status record_handed_encode(const struct record_handed *r, struct writer *w) must_use;
enum status record_handed_decode(struct record_handed *r, struct slice payload) must_use;
/*
 * A NUMBERED record's payload after the act, into w. ST_EXISTS: it says so already; ST_NOT_FOUND:
 * not of this case; ST_PRECONDITION: HANDOVERS_MAX times already; ST_CORRUPT: not such a record.
 */
enum status record_hand(const struct record_handed *h, struct slice payload,
			struct writer *w) must_use;

/* Version 2: CLOSED with the year's total. One that has none is written in version 1. */
struct record_register {
	struct slice unit, code, reason, actor;
	uint32_t year;
	uint64_t first;			/* OPENED: first number to give; CLOSED: last given */
	int64_t at_ms;
	bool totalled;
	uint64_t issued, voided, outside;
};
enum status record_register_encode(const struct record_register *r, struct writer *w) must_use;
enum status record_register_decode(struct record_register *r, struct slice payload) must_use;

/*
 * NUMBERS: of a register, from `first` on. outside: they were the next ones, and are given by this
 * record, to papers that were made without the engine. Else they had been given, and stood nowhere:
 * they are void.
 */
struct record_numbers {
	struct slice unit, code, reason, actor;
	uint32_t year;
	uint64_t first;
	uint32_t count;			/* 1 … NUMBERS_TOGETHER_MAX */
	bool outside;
	int64_t at_ms;
};
enum status record_numbers_encode(const struct record_numbers *r, struct writer *w) must_use;
enum status record_numbers_decode(struct record_numbers *r, struct slice payload) must_use;

/* LinkHolder: one more holding of a result. */
struct record_link {
	uint64_t sequence;
	uint8_t lane;
	struct holder holder;
	uint8_t key[16];
	int64_t at_ms;
	struct slice actor, reason;
};
enum status record_link_encode(const struct record_link *r, struct writer *w) must_use;
enum status record_link_decode(struct record_link *r, struct slice payload) must_use;

/*
 * An act upon a stored result (living.h): STATE_EVENT, too, told apart by its version, 2.
 * acts: so many there are with this one, as far as the engine knows.
 */
struct record_living {
	uint64_t sequence;
	uint8_t lane, kind;
	uint32_t acts;
	int64_t at_ms;
	struct slice actor, detail;
};
bool record_is_living(struct slice payload);
enum status record_living_encode(const struct record_living *r, struct writer *w) must_use;
enum status record_living_decode(struct record_living *r, struct slice payload) must_use;

/*
 * A change of a share (share.h): STATE_EVENT, too, of version 3. It says all that the engine has to
 * know of that share and of its result's codes. kind 0: a wrong code, which changes no share and is
 * no event.
 */
struct record_share {
	uint64_t sequence;
	uint8_t lane, kind;
	int64_t at_ms;
	uint32_t changes;		/* so many of this result's shares, with this one */
	uint8_t tries;			/* wrong codes since the newest one was made */
	uint16_t codes;			/* how often the result's codes were tried out before */
	int64_t codes_until_ms;		/* the last of them is over; 0: there is none */
	uint8_t secret[SHA256_BYTES];	/* SHARED: of what opens it */
	struct slice actor, detail;	/* detail empty: kind 0 */
};
bool record_is_share(struct slice payload);
enum status record_share_encode(const struct record_share *r, struct writer *w) must_use;
enum status record_share_decode(struct record_share *r, struct slice payload) must_use;

#endif
