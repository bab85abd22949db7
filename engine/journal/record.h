/*
 * record.h - the typed journal records. Versioned by type; an unknown type stops the start. Pure
 * encode/decode, fuzzed. Strings and blobs as in bytes.h; times Unix milliseconds, UTC.
 */
#ifndef TRIEN_JOURNAL_RECORD_H
#define TRIEN_JOURNAL_RECORD_H

#include "case.h"
#include "catalogue/catalogue.h"

enum record_type {
	RECORD_ACCEPTED = 1,		/* reserved for at_approval kinds: a case without number */
	RECORD_NUMBERED,		/* case, numbers, times, pins: stands alone */
	RECORD_APPROVED,		/* reserved (signing sessions) */
	RECORD_REFUSED,			/* reserved (signing sessions) */
	RECORD_SIGNATURE,		/* reserved: a person's signature received */
	RECORD_PARKED,			/* a result went to the waiting room, with reason */
	RECORD_RESUMED,			/* it left the waiting room, or got a new signing time */
	RECORD_VOID,			/* its number will never be issued */
	RECORD_REGISTER_OPENED,
	RECORD_REGISTER_CLOSED,
	RECORD_STATE_EVENT,		/* LinkHolder and later acts, to be brought to the store */
	RECORD_STORED_UP_TO,		/* everything before this position is stored or parked */
	RECORD_TYPE_COUNT
};

struct numbered_result {
	uint64_t sequence;
	uint8_t lane;
	uint64_t number;
	uint32_t year;
	struct slice register_code, number_text;
	struct pins pins;
};

struct record_numbered {
	int64_t accepted_ms, issued_ms;
	uint8_t results_n;
	struct numbered_result results[CASE_RESULTS_MAX];
	struct slice principal;		/* who submitted */
	struct slice case_bytes;
};
enum status record_numbered_encode(const struct record_numbered *r, struct writer *w) must_use;
enum status record_numbered_decode(struct record_numbered *r, struct slice payload) must_use;

/*
 * PARKED, RESUMED, VOID: one result. What only VOID has is what can be shown of it for ever; a
 * record of version 1 ends with `number`.
 */
struct record_result {
	uint64_t sequence;
	uint8_t lane;
	uint8_t key[16];		/* its result_key(), or zeros */
	uint8_t reason;			/* enum reason */
	int64_t at_ms;			/* RESUMED: the new signing time */
	struct slice actor, detail;	/* VOID: who and why */
	struct slice unit, register_code; uint32_t year; uint64_t number;	/* VOID */
	uint8_t result_id[16];		/* VOID */
	struct slice kind, case_code, number_text;	/* VOID */
	uint16_t ordinal, revision;	/* VOID */
	int64_t accepted_ms;		/* VOID */
};
enum status record_result_encode(const struct record_result *r, struct writer *w) must_use;
enum status record_result_decode(struct record_result *r, struct slice payload) must_use;

struct record_register {
	struct slice unit, code, reason, actor;
	uint32_t year;
	uint64_t first;			/* OPENED: first number to give; CLOSED: last given */
	int64_t at_ms;
};
enum status record_register_encode(const struct record_register *r, struct writer *w) must_use;
enum status record_register_decode(struct record_register *r, struct slice payload) must_use;

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

#endif
