/*
 * session.h - signing sessions: a list of waiting results, confirmed once by the hash of its
 * manifest.
 *
 *	          open              begin              confirmed           last outcome
 *	(nothing) ───▶ OPEN ────────────▶ CONFIRMING ──────────▶ CONFIRMED ──────────▶ DONE
 *	                │ cancel                                  (or nothing was approved)
 *	                ├──────▶ CANCELLED
 *	                │ time
 *	                └──────▶ EXPIRED
 *
 * CONFIRMING is written down before anything is approved: whoever confirmed gets the same answer
 * after a crash, and what was approved in between is found by it. Items that are approved are
 * `claimed` then; one that is refused at confirmation has its outcome at once.
 *
 * Outcomes: `cursor` numbers the changes of a session's items, 1 for the first. An item keeps its
 * last change only, so whoever has seen up to some cursor asks for what is above it, and a client
 * that is slow costs nothing.
 *
 * Pure: no clock, no file, no thread of its own. The owner locks.
 */
#ifndef TRIEN_SESSION_H
#define TRIEN_SESSION_H

#include "batch.h"

/* Numbers of trien.v1.SessionState. */
enum session_state { SESSION_OPEN = 1, SESSION_CONFIRMING, SESSION_CONFIRMED, SESSION_DONE,
		     SESSION_CANCELLED, SESSION_EXPIRED };

struct session_item {
	uint8_t result_id[16];
	uint64_t sequence;
	uint8_t lane;
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	uint8_t case_sha256[SHA256_BYTES];	/* of the canonical case */
	uint8_t preview_sha256[SHA256_BYTES];	/* of the draft that was shown */
	/* The outcome. cursor 0: none yet, nothing below is set but `claimed`. */
	bool claimed;			/* CONFIRMING: to be approved */
	bool approved;
	uint8_t state;			/* enum state */
	uint16_t reason;		/* enum reason: not approved, HELD or VOID: why */
	int64_t changed_ms;
	uint64_t cursor;
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];
};

struct session {
	uint8_t id[16];
	enum session_state state;
	char signer[CODE_BYTES_MAX + 1], principal[PRINCIPAL_BYTES_MAX + 1];
	int64_t opened_ms, expires_ms;
	int64_t confirmed_ms;		/* 0: not yet */
	int64_t ended_ms;		/* confirmed, cancelled or expired; 0: open */
	uint8_t manifest[SHA256_BYTES];
	uint64_t cursor;		/* of the last change */
	/* CONFIRMING stands in its file, so approval may have been asked for. Not in the file. */
	bool asked;
	/* What stands here is not in its file: writing it failed. Not in the file. */
	bool unkept;
	uint64_t tried;			/* the desk's last try, by its count; not in the file */
	uint32_t items_n;		/* 1 to SESSION_ITEMS_MAX */
	struct session_item *items;
	struct session *next;		/* the table's */
};

/* Zeroed, with room for items_n. NULL: memory, or items_n out of bounds. */
struct session *session_new(uint32_t items_n);
void session_free(struct session *s);

/* ---- manifest.c ---- */

/*
 * The canonical bytes (signing.proto, Manifest.canonical): integers big-endian, str = u16 + bytes:
 *	str "trien manifest 1", session id, str signer, u32 items,
 *	each: result id, case_sha256, preview_sha256, str unit, str kind
 */
#define MANIFEST_BYTES_MAX(items_n) (18u + 16 + 2 + CODE_BYTES_MAX + 4 + \
	(items_n) * (16u + 2 * SHA256_BYTES + 2 * (2 + CODE_BYTES_MAX)))
/* Goes bad when w is too small. */
void session_manifest(const struct session *s, struct writer *w);
/* s->manifest from the rest; an item that occurs twice gives ST_CONFLICT. ST_NOMEM. */
enum status session_seal(struct session *s) must_use;

/* ---- transitions ---- */

/* OPEN and its time is over: EXPIRED. True: it is so since this call. */
bool session_expire(struct session *s, int64_t now_ms);
/*
 * OPEN → CONFIRMING, every item claimed. ST_EXISTS: was confirmed with this hash before, nothing
 * changes (CONFIRMING: a crash broke it off, go on with it); ST_CONFLICT: another hash;
 * ST_PRECONDITION: cancelled or expired.
 */
enum status session_begin(struct session *s, const uint8_t manifest[SHA256_BYTES],
			  int64_t now_ms) must_use;
/* CONFIRMING: the item is not approved, and why; state: where its result is. */
void session_refuse(struct session *s, uint32_t i, enum state state, enum reason why,
		    int64_t now_ms);
/* CONFIRMING → CONFIRMED, or DONE where nothing is claimed: what is still claimed is approved. */
void session_confirmed(struct session *s, int64_t now_ms);
/* OPEN → CANCELLED; ST_EXISTS: was so before; ST_PRECONDITION: confirmed or expired. */
enum status session_cancel(struct session *s, int64_t now_ms) must_use;
/*
 * Where an approved item's result is now. True: that is news. The last one at its end makes a
 * CONFIRMED session DONE.
 */
bool session_follow(struct session *s, uint32_t i, enum state state, enum reason reason,
		    const char *number_text, int64_t at_ms);

/* ---- asking ---- */

/* Approved, and not at its end. */
bool session_pending(const struct session *s, uint32_t i);
/* The item with the next change above the cursor; items_n: there is none yet. */
uint32_t session_next(const struct session *s, uint64_t cursor);
/* Index of a result; items_n: not on it. */
uint32_t session_index(const struct session *s, const uint8_t result_id[16]);
struct session_counts { uint32_t approved, settled; };
struct session_counts session_count(const struct session *s);
/* Until when it is remembered; 0: still open or being confirmed. */
int64_t session_forget_ms(const struct session *s);

/* ---- file.c: one session as bytes ---- */

/*
 *	0	u64	magic "TRIENSES"
 *	8	u32	format version = 1
 *		id[16], u8 state, str8 signer, str8 principal,
 *		i64 opened_ms, expires_ms, confirmed_ms, ended_ms, u64 cursor, u32 items_n
 *	each:	result_id[16], u64 sequence, u8 lane, str8 unit, str8 kind, case_sha256[32],
 *		preview_sha256[32], u8 flags (1 claimed, 2 approved), u8 state, u16 reason,
 *		i64 changed_ms, u64 cursor, str8 number_text
 *		manifest[32]
 *		u32	CRC-32C of all before
 * str8 = u8 length and bytes. The manifest is made again when it is read, and must be the same.
 */
#define SESSION_FILE_BYTES_MAX (512u + SESSION_ITEMS_MAX * 256u)
/* ST_TOO_LARGE: w. */
enum status session_encode(const struct session *s, struct writer *w) must_use;
/*
 * *out is the caller's. ST_CORRUPT: not whole, or contradicting itself; ST_UNSUPPORTED: a later
 * version wrote it; ST_NOMEM.
 */
enum status session_decode(struct session **out, struct slice bytes) must_use;

#endif
