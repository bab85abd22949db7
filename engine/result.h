/*
 * result.h - a stored result as readers see it: what store gives, and intake sends.
 */
#ifndef TRIEN_RESULT_H
#define TRIEN_RESULT_H

#include "batch.h"
#include "living.h"

/* The life of a stored result (DESIGN 2). Those that acts make have the acts' numbers. */
enum life { LIFE_VALID = 1, LIFE_CORRECTED, LIFE_REPLACED, LIFE_REVOKED, LIFE_EXPIRED };
static_assert((int)EVENT_CORRECTED == LIFE_CORRECTED && (int)EVENT_REPLACED == LIFE_REPLACED &&
	      (int)EVENT_REVOKED == LIFE_REVOKED, "acts and lives have one numbering");

#define ETAG_BYTES 24

struct signature_view {
	uint8_t role;
	int64_t signed_ms;
	uint8_t cert_sha256[32];
	uint8_t evidence_sha256[32];	/* of its evidence set (document.h); zero: none */
	struct slice subject;
};

/* Slices borrow from the reader's buffer until its next call. */
struct result_view {
	enum state state;		/* STORED, an end, or where it is on its way */
	enum reason held;		/* HELD, VOID: why it is or was */
	uint8_t result_id[16];
	uint8_t lane;
	uint64_t sequence;
	struct slice unit, kind, case_code, register_code, number_text;
	uint16_t ordinal, revision;
	uint32_t register_year;
	uint64_t number;
	/* 0: not issued yet; of one that ended otherwise, stored_ms is when it did */
	int64_t accepted_ms, issued_ms, stored_ms;
	struct slice void_reason;	/* ends: what the person who did it wrote */
	enum life life;
	uint8_t replaced_by[16], replaces[16];	/* zero: none */
	int64_t replaced_ms;		/* when that came into the store */
	struct living living;		/* what acts have made of it */
	char etag[ETAG_BYTES + 1];	/* of its life; "": not told (submission.h, get) */
	uint32_t valid_until;		/* yyyymmdd, 0: for ever */
	uint64_t file_size;
	uint8_t file_sha256[SHA256_BYTES];
	uint8_t case_digest[SHA256_BYTES];
	uint8_t template_version[SHA256_BYTES];
	struct pins pins;
	uint8_t signatures_n;
	struct signature_view signatures[DOC_SIGNATURES_MAX];
	struct slice case_bytes;	/* canonical case, with facts and approval */
};

/* When it was there for its holder: with the last signature, not when somebody closed the case. */
static inline int64_t result_signed_ms(const struct result_view *v)
{
	int64_t last = v->issued_ms;

	for (uint8_t i = 0; i < v->signatures_n; i++)
		if (v->signatures[i].signed_ms > last)
			last = v->signatures[i].signed_ms;
	return last;
}

/* A state change, for watchers. */
struct state_change {
	uint8_t result_id[16];
	enum state state;
	enum reason held;
	int64_t at_ms;
	int64_t issued_ms;		/* 0: not bound yet */
	int64_t due_ms;			/* in flight: when its case is; 0: no deadline */
	char unit[CODE_BYTES_MAX + 1], code[CASE_CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	uint16_t ordinal;
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];
	/* Its number's place in the official book; number 0: none yet. */
	char register_code[CODE_BYTES_MAX + 1];
	uint32_t register_year;
	uint64_t number;
	/* In flight: which of how many results of its case it is, and the lanes of them all. Their
	 * sequences follow each other. 0: another place says it. */
	uint8_t case_at, case_n, case_lanes[CASE_RESULTS_MAX];
	struct holder_ends ends;	/* in flight: of its case; zeros: another place says it */
};

#endif
