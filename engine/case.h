/*
 * case.h - the canonical case: what a case is after intake, in the journal and for ever.
 *
 * Intake builds it from the request once; nobody reads the request again. The first section is
 * the legal content and is digested ("same content", P2); the second is evidence and statistics.
 *
 *	u8 version = 1; 2 where one of its results copies an original
 *	u32 n, legal[n]		digest = SHA-256(version byte ‖ length ‖ legal)
 *	u32 n, side[n]
 *
 *	legal: code, holders, results:	(str = u16 length + bytes, blob = u32 length + bytes)
 *	  str code
 *	  u8 count, each holder: u8 id_kind, str country, str number, str name, u8 role,
 *	                         u32 from, u32 to (yyyymmdd, 0 = open), u8 visibility
 *	  u8 count, each result: str unit, str kind, u16 ordinal, u16 revision, str replaces
 *	                         (26 or 0), str signer, u64 given_number, str given_text,
 *	                         u8 count, each field: str name, u8 type, value,
 *	                         version 2: u8 1, u32 size, sha256[32] of the original that it
 *	                         copies, or u8 0
 *	  value: TEXT blob · NUMBER u64 two's complement, u8 decimals · FLAG u8 ·
 *	         DATE u16 y, u8 m, u8 d (0 = unknown) ·
 *	         TABLE u16 rows, u8 columns, rows × columns blobs
 *	side: u8 priority, str request_id, blob facts, blob approval
 *	      (protobuf of trien.v1.Facts, Approval),
 *	      version 2: blob of each result's original in their order (original.h);
 *	      of results that replace another: its id[16], str number as printed, u32 day of its
 *	      issue, u8 whether it had been revoked, str code and name of its agency where that
 *	      is another one
 *
 * Fields stand by name (as struct kind has them), so the same content gives the same bytes,
 * whatever order a schema lists them in. What the engine found in an original is no legal content:
 * a later engine may find more, and the same copy sent again is the same one still.
 * All text is NFC UTF-8 without control or bidi characters (TAB and LF only where a schema allows).
 */
#ifndef TRIEN_CASE_H
#define TRIEN_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "limits.h"
#include "original.h"

#define CASE_VERSION 1
#define CASE_VERSION_ORIGINAL 2

enum field_type { FIELD_TEXT = 1, FIELD_NUMBER, FIELD_FLAG, FIELD_DATE, FIELD_TABLE };
enum priority { PRIORITY_INTERACTIVE, PRIORITY_NORMAL, PRIORITY_BULK, PRIORITY_COUNT };
/* Numbers as in trien.v1.Holder.IdKind. */
enum id_kind { ID_NONE, ID_CITIZEN, ID_OLD_CITIZEN, ID_PASSPORT, ID_ENTERPRISE, ID_TAX, ID_OTHER };
/* As trien.v1.Holder.Visibility; 0 is VISIBLE, too. */
enum visibility { VISIBILITY_VISIBLE = 1, VISIBILITY_HIDDEN };
enum holder_role { HOLDER_OWNER = 1, HOLDER_SPOUSE, HOLDER_CHILD, HOLDER_GUARDIAN,
		   HOLDER_REPRESENTATIVE, HOLDER_OTHER };

struct partial_date { uint16_t year; uint8_t month, day; };	/* 0 = not known */

struct field {
	struct slice name;
	enum field_type type;
	union {
		struct slice text;
		struct { int64_t value; uint8_t decimals; } number;
		bool flag;
		struct partial_date date;
		/* row by row */
		struct { uint16_t rows; uint8_t columns; struct slice *cells; } table;
	};
};

struct holder {
	uint8_t id_kind, role, visibility;
	struct slice country, number, name;	/* number empty: not numbered yet */
	uint32_t from, to;			/* yyyymmdd; 0 = open */
};

/* A result in whose place another one stands, as that one's page names it. */
struct replaced {
	struct slice number;		/* as printed; empty: not known */
	uint32_t day;			/* yyyymmdd of its issue, Vietnam time */
	bool revoked;			/* before: nobody relied on it any more */
	/* its agency's code and name; empty: the one that issues the other */
	struct slice unit, agency;
};
#define CASE_REPLACED_BYTES (16 + 2 + NUMBER_TEXT_BYTES_MAX + 4 + 1 + 2 + CODE_BYTES_MAX + \
			     2 + NAME_BYTES_MAX)

struct case_result {
	struct slice unit, kind, signer, replaces;
	uint16_t ordinal, revision;
	uint64_t given_number;		/* 0: the engine numbers */
	struct slice given_text;	/* as printed, when given */
	uint8_t fields_n;
	struct field *fields;
	const struct original *original;	/* certified copies; NULL: none */
	struct replaced replaced;	/* side; what `replaces` names, as the engine found it */
};

struct case_view {
	struct slice code;
	uint8_t holders_n, results_n;
	struct holder *holders;
	struct case_result *results;
	/* side */
	uint8_t priority;
	struct slice request_id, facts, approval;
};

/* Encodes into w. ST_TOO_LARGE if it does not fit. Slices must be within limits.h. */
enum status case_encode(const struct case_view *c, struct writer *w) must_use;
/* Arrays are taken from a; slices borrow from bytes. ST_CORRUPT / ST_TOO_LARGE (arena spent). */
enum status case_decode(struct case_view *out, struct slice bytes, struct arena *a) must_use;
/* Without an arena: the facts, and what its first result is. ST_CORRUPT if bytes is not a case. */
struct case_lead { struct slice facts, unit, kind; uint16_t ordinal; };
enum status case_skim(struct case_lead *out, struct slice bytes) must_use;
/* The same for who signs one of its results. ST_NOT_FOUND: the case has none such. */
enum status case_skim_signer(struct slice *out, struct slice bytes, struct slice unit,
			     struct slice kind, uint16_t ordinal) must_use;
/* The same for what one of its results replaces. ST_NOT_FOUND: the case does not say. */
enum status case_skim_replaced(struct replaced *out, struct slice bytes,
			       const uint8_t id[16]) must_use;
/*
 * Appends what one of its results replaces to the side of an encoded case, which has room bytes and
 * at least CASE_REPLACED_BYTES are left of them. Its digest stays what it is.
 */
void case_add_replaced(struct slice *bytes, size_t room, const uint8_t id[16],
		       const struct replaced *r);
/* Only the digest of the legal section; ST_CORRUPT if bytes is not a case. */
enum status case_digest(struct slice bytes, uint8_t digest[SHA256_BYTES]) must_use;

/* How the number of each holder ends: its last four digits, and 1 more; 0: it has none. */
#define HOLDER_END_DIGITS 4
struct holder_ends { uint16_t of[CASE_HOLDERS_MAX]; };
void case_ends(struct holder_ends *out, const struct case_view *c);
/* Does one of them end so? Whatever is found, all of them are looked at. */
bool holder_ends_have(const struct holder_ends *e, const char digits[HOLDER_END_DIGITS]);

/* Idempotency: SHA-256(unit, code, kind, ordinal, revision), first 16 bytes (DESIGN 5). */
void result_key(uint8_t key[16], struct slice unit, struct slice code, struct slice kind,
		uint16_t ordinal, uint16_t revision);
/* Holder's store key: SHA-256 of (id kind, country, number), or of (unit, case code, ordinal of
 * the holder) for one who has no number yet; first 16 bytes. Never the number itself (P9). */
void holder_key(uint8_t key[16], const struct holder *h, struct slice unit, struct slice code,
		uint8_t ordinal);
/* Two capital letters (ISO 3166-1 alpha-2). */
bool country_fits(struct slice country);
/* Has the number the one spelling that its kind has? (CCCD 12 digits, CMND 9, tax codes, …) */
bool holder_number_fits(uint32_t id_kind, struct slice number);
/* Does this country give numbers of this kind? Only passports and ID_OTHER have others than VN. */
bool holder_country_fits(uint32_t id_kind, struct slice country);
/* A key from its parts, for look-ups by id (ListResults). */
void holder_key_of_id(uint8_t key[16], uint8_t id_kind, struct slice country, struct slice number);
/* key[…] mod 64: the unit of sharding. */
static inline uint8_t lane_of_key(const uint8_t key[16]) { return key[0] & (LANES - 1); }

#endif
