/*
 * readings.h - from calls and the holders of what they got to what each holder sees: a row a call
 * and person. Pure. Inside store/ only.
 */
#ifndef TRIEN_STORE_READINGS_H
#define TRIEN_STORE_READINGS_H

#include "store/stored.h"

/* A person whom names[name] of notes[note] is about. */
struct reading_pair { uint32_t note, name; uint8_t key[16]; };
#define READING_NO_NAME UINT32_MAX	/* whose list was looked through */

struct readings {
	struct reading_pair *of;
	uint32_t n, room;
	uint32_t *which;		/* of the row last given */
	uint32_t which_room;
};

/* One row: of that call, what that person sees. Borrowed until the next. */
struct reading_row { uint32_t note; const uint8_t *key; const uint32_t *which; uint32_t n; };

/* From zeros. ST_NOMEM. */
enum status readings_add(struct readings *r, uint32_t note, uint32_t name,
			 const uint8_t key[16]) must_use;
/* A result's holders as its own record names them. */
enum status readings_result(struct readings *r, uint32_t note, uint32_t name,
			    const struct stored_result *s) must_use;
/* All are added: by call and person, each result once. */
void readings_sort(struct readings *r);
/* *at from 0. ST_NOT_FOUND: that was the last; ST_NOMEM. */
enum status readings_next(struct readings *r, uint32_t *at, struct reading_row *out) must_use;
void readings_free(struct readings *r);

static inline bool note_own(const struct read_note *n, uint32_t name)
{
	return n->own != NULL && n->own[name];
}

/* What was got is used elsewhere, and counts; a look whether there is something does not. */
static inline bool note_reuses(const struct read_note *n, uint32_t name)
{
	return n->reuse && !note_own(n, name) && n->call >= READ_GET && n->call <= READ_DOWNLOAD;
}

#define REUSE_DETAIL_BYTES (2 * CODE_BYTES_MAX + CASE_CODE_BYTES_MAX + 2)
/* The EVENT_REUSED of a note's result v, its detail in `detail`. */
struct result_event reading_event(const struct read_note *n, const struct result_view *v,
				  uint8_t detail[REUSE_DETAIL_BYTES]);

#endif
