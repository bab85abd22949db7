/*
 * show.h - what pages show of a result, as parts of their models. Texts are Vietnamese as they were
 * issued; what has an English name says it where English is chosen. Days are dd/mm/yyyy, times in
 * Vietnam's.
 */
#ifndef TRIEN_PORTAL_SHOW_H
#define TRIEN_PORTAL_SHOW_H

#include "portal/reading.h"

#define DAY_TEXT_BYTES 16
#define MOMENT_TEXT_BYTES 24

/* "05/03/1990"; "" for 0. */
void day_text(char out[DAY_TEXT_BYTES], uint32_t yyyymmdd);
/* "29/11/2026 19:05" */
void moment_text(char out[MOMENT_TEXT_BYTES], int64_t unix_ms);
json_t *day_json(uint32_t yyyymmdd);
json_t *moment_json(int64_t unix_ms);
json_t *slice_json(struct slice s);

/* Of the day a result was issued; where the catalogue has no such version: any, or the code. */
const struct kind *show_kind(const struct catalogue *c, struct slice code, uint32_t day);
json_t *show_unit_name(const struct catalogue *c, struct slice unit, uint32_t day);

/* "valid", "corrected", "replaced", "revoked", "expired" and what colour a badge of it has. */
const char *show_life(enum life life);
const char *show_badge(enum life life);

/*
 * id, kind, number, unit, unit_code, issued, year, life, badge, copy, role, hidden, replaced_by,
 * valid_until: what a list's row and the page of one result have in common.
 */
json_t *show_row(struct reading *r, const struct holding_view *h, enum language in);
/*
 * Adds kind_name and number_text of a result to a row that names it, if who asks sees it today;
 * else the row has its id alone. r: no view of it is used any more.
 */
void show_named(json_t *row, struct reading *r, const struct request *q, const char *id);
/* [{label, value} | {label, table: {columns, rows}}]: its fields, in the order of its page. */
json_t *show_fields(struct reading *r, const struct result_view *v, enum language in);
/*
 * [{when, what, …}] oldest first: accepted, issued, signed, stored, and its events; key: whose list
 * a HIDDEN or SHOWN must be of. v is not to be used any more.
 */
json_t *show_history(struct reading *r, const struct result_view *v, const uint8_t key[16],
		     enum status *st);

#endif
