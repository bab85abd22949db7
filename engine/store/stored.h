/*
 * stored.h - the records of the embedded store's segments. Pure encode and decode. Inside store/
 * only.
 *
 * A record says all that the index needs, so that it can be made again without catalogue or keys.
 * Strings: u8 length + bytes; long ones (lstr) u16 length. Record version 1, RESULT 3, VOID 2: what
 * stands behind a bar came with version 2 and is missing in records of version 1. RESULTs of
 * version 2 have no section, and else the same bytes: PostgreSQL tells no versions.
 *
 *	LAYER	u32 id (rising from 1), sha256[32], bytes: shared bytes, stored once; evidence, too
 *	BODY	u64 sequence, bytes that only this document has
 *	RESULT	u64 sequence, u8 lane, result id[16], replaces[16],
 *		str unit, kind, case code, register, number text, u16 ordinal, revision,
 *		u32 year, u64 number, i64 accepted, issued, stored, u32 valid until,
 *		u64 file size, sha256[32] of file, case, template version, pins[48],
 *		u8 n, each signature: u8 role, i64 signed, certificate sha256[32], lstr subject,
 *			│ sha256[32] of its evidence set (a LAYER) or zero,
 *		u8 n, each holding: key[16], u8 role, u32 from, to, u8 visibility,
 *		u64 position of its BODY, u32 body size,
 *		u8 n, each part: u32 layer id (0: body; top bit: the whole layer), else also
 *		u32 offset, size; or, once, the section (document.h): u32 1 << 30, sha256[32] and
 *		u32 size of its object, u32 its own size, u32 n, each run: u32 offset (top bit: in
 *		the object, else in the body), u32 size,
 *		the canonical case up to the end
 *	LINK	u64 sequence, u8 lane, key[16], u8 role, u32 from, to, u8 visibility, i64 at,
 *		lstr actor, reason, u8 id kind, lstr country, number, name
 *	EVENT	u64 sequence, u8 lane, u8 kind, i64 at, lstr actor, detail
 *	READ	key[16], u64 stamp, u8 call, u8 reuse, lstr actor, purpose, legal basis,
 *		requester, case, u16 n, each result: u64 sequence, u8 lane
 *	VOID	str unit, register, u32 year, u64 number, u64 sequence, i64 at, u8 used outside,
 *		lstr reason, actor │ u8 lane, held, result id[16], str kind, case code, number text,
 *		u16 ordinal, revision, i64 accepted, issued; of a result that ended without a
 *		number also u8 state
 */
#ifndef TRIEN_STORE_STORED_H
#define TRIEN_STORE_STORED_H

#include "store/store.h"

enum stored_type { STORED_LAYER = 1, STORED_BODY, STORED_RESULT, STORED_LINK, STORED_EVENT,
		   STORED_VOID, STORED_READ, STORED_TYPES };

/* The version in which records of a type are written; those below it are read, too. */
static inline uint8_t stored_version(uint8_t type)
{
	return type == STORED_RESULT ? 3 : type == STORED_VOID ? 2 : 1;
}

#define STORED_RESULT_BYTES_MAX (CASE_BYTES_MAX + 8192 + SECTION_RUNS_MAX * 8)

struct stored_holding { uint8_t key[16]; uint8_t role, visibility; uint32_t from, to; };
struct stored_part { uint32_t layer, offset, size; };	/* size 0 with a layer: the whole of it */

/* The section of a certified copy: it stands before parts[part]. */
struct stored_section {
	uint8_t sha256[SHA256_BYTES];
	uint32_t object_size, size;
	uint32_t runs_n;		/* 0: there is none */
	uint8_t part;
	const struct section_run *given;	/* to be encoded: the document's */
	struct slice runs;		/* decoded; stored_run() reads it */
};

struct stored_result {
	struct result_view view;	/* slices borrow from the record */
	uint8_t holdings_n, parts_n;
	struct stored_holding holdings[CASE_HOLDERS_MAX];
	uint64_t body_position;
	uint32_t body_size;
	struct stored_part parts[DOC_PARTS_MAX];
	struct stored_section section;
};

struct stored_layer { uint32_t id; const uint8_t *sha256; struct slice bytes; };

/*
 * Encode: ST_TOO_LARGE, a full writer or a string beyond its length field.
 */
enum status stored_result_encode(const struct stored_result *r, struct writer *w) must_use;
/* Decode: ST_CORRUPT. */
enum status stored_result_decode(struct stored_result *r, uint8_t version,
				 struct slice payload) must_use;
enum status stored_link_encode(const struct holding_link *l, struct writer *w) must_use;
enum status stored_link_decode(struct holding_link *l, struct slice payload) must_use;
/* The act that it was, as an event. */
enum status stored_link_event(struct result_event *v, struct slice payload) must_use;
enum status stored_event_encode(const struct result_event *v, struct writer *w) must_use;
enum status stored_event_decode(struct result_event *v, struct slice payload) must_use;
/* Of note->names, those that `which` names, n of them. */
enum status stored_reading_encode(const uint8_t holder[16], const struct read_note *note,
				  const uint32_t *which, uint32_t n, struct writer *w) must_use;
enum status stored_reading_decode(struct reading_view *v, struct slice payload) must_use;
enum status stored_void_encode(const struct void_entry *v, struct writer *w) must_use;
enum status stored_void_decode(struct void_entry *v, uint8_t version,
			       struct slice payload) must_use;
/* Of a decoded section: every run lies in the object or in the body; together they are its size. */
struct section_run stored_run(const struct stored_section *s, uint32_t i);
/* A part that lies in the body, copied to `to`, which has room bytes. ST_CORRUPT: out of either. */
enum status stored_part_copy(const struct stored_part *p, struct slice body, uint8_t *to,
			     size_t room) must_use;
/* As readers see it; slices as those of v. */
void stored_void_view(const struct void_entry *v, struct result_view *out);
/*
 * One more event of its life, in any order. ST_CORRUPT: not of this result, or none of ours.
 */
enum status stored_event_live(struct result_view *v, const struct result_event *ev) must_use;
/* A life that says more hides one that says less: revoked, replaced, expired, corrected. */
void stored_live(struct result_view *v, uint8_t life);
enum status stored_layer_decode(struct stored_layer *l, struct slice payload) must_use;
enum status stored_body_decode(uint64_t *sequence, struct slice *bytes,
			       struct slice payload) must_use;

#endif
