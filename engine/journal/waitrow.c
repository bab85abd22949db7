#include "journal/waitrow.h"

#include <assert.h>
#include <stdio.h>

#include "facts.h"

/* Names of fields, or their ends where a kind has several persons: "chong_ngay_sinh". */
#define BIRTH_FIELD "ngay_sinh"
#define NAME_FIELD "ho_ten"

static_assert(sizeof(struct waiting_row) + 64 < WAITROW_BYTES_MAX, "an encoded row fits");

/* ---- bytes ---- */

static void text_write(struct writer *w, const char *text, size_t size)
{
	size_t n = strnlen(text, size - 1);

	write_u16(w, (uint16_t)n);
	write_bytes(w, text, n);
}

static void text_take(struct reader *r, size_t n, char *text, size_t size)
{
	struct slice s = read_bytes(r, n);

	if (s.n >= size) {
		r->bad = true;
		return;
	}
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
}

static void text_read(struct reader *r, char *text, size_t size)
{
	text_take(r, read_u16(r), text, size);
}

static void short_read(struct reader *r, char *text, size_t size)
{
	text_take(r, read_u8(r), text, size);
}

void waitrow_write(struct writer *w, const struct waiting_row *row)
{
	write_u64(w, row->sequence);
	write_u8(w, row->lane);
	write_u8(w, row->state);
	write_u8(w, row->reason);
	write_u8(w, row->record);
	write_u8(w, row->priority);
	write_u16(w, row->ordinal);
	write_u16(w, row->revision);
	write_u32(w, row->year);
	write_u64(w, row->number);
	write_u64(w, (uint64_t)row->parked_ms);
	write_u64(w, (uint64_t)row->accepted_ms);
	write_u64(w, (uint64_t)row->issued_ms);
	write_u64(w, (uint64_t)row->due_ms);
	write_u64(w, (uint64_t)row->expires_ms);
	text_write(w, row->unit, sizeof(row->unit));
	text_write(w, row->kind, sizeof(row->kind));
	text_write(w, row->signer, sizeof(row->signer));
	text_write(w, row->register_code, sizeof(row->register_code));
	text_write(w, row->case_code, sizeof(row->case_code));
	text_write(w, row->number_text, sizeof(row->number_text));
	text_write(w, row->principal, sizeof(row->principal));
	text_write(w, row->holder_name, sizeof(row->holder_name));
	text_write(w, row->holder_number, sizeof(row->holder_number));
	write_u16(w, row->holder_birth.year);
	write_u8(w, row->holder_birth.month);
	write_u8(w, row->holder_birth.day);
	text_write(w, row->detail, sizeof(row->detail));
}

static void held_read(struct reader *r, struct waiting_row *row)
{
	row->state = STATE_HELD;
	row->record = RECORD_NUMBERED;
	row->lane = read_u8(r);
	row->reason = read_u8(r);
	row->parked_ms = (int64_t)read_u64(r);
	row->number = read_u64(r);
	row->year = read_u32(r);
	short_read(r, row->unit, sizeof(row->unit));
	short_read(r, row->kind, sizeof(row->kind));
	short_read(r, row->register_code, sizeof(row->register_code));
	short_read(r, row->number_text, sizeof(row->number_text));
	short_read(r, row->detail, sizeof(row->detail));
	if (!r->bad) {
		struct waiting_row filled = *row;

		if (waiting_row_fill(&filled, slice_of(r->p, reader_left(r))) == ST_OK)
			*row = filled;
	}
}

void waitrow_read(struct reader *r, uint8_t version, struct waiting_row *row)
{
	*row = (struct waiting_row){ 0 };
	row->sequence = read_u64(r);
	if (version == 1) {
		held_read(r, row);
		return;
	}
	row->lane = read_u8(r);
	row->state = read_u8(r);
	row->reason = read_u8(r);
	row->record = read_u8(r);
	row->priority = read_u8(r);
	row->ordinal = read_u16(r);
	row->revision = read_u16(r);
	row->year = read_u32(r);
	row->number = read_u64(r);
	row->parked_ms = (int64_t)read_u64(r);
	row->accepted_ms = (int64_t)read_u64(r);
	row->issued_ms = (int64_t)read_u64(r);
	row->due_ms = (int64_t)read_u64(r);
	row->expires_ms = (int64_t)read_u64(r);
	text_read(r, row->unit, sizeof(row->unit));
	text_read(r, row->kind, sizeof(row->kind));
	text_read(r, row->signer, sizeof(row->signer));
	text_read(r, row->register_code, sizeof(row->register_code));
	text_read(r, row->case_code, sizeof(row->case_code));
	text_read(r, row->number_text, sizeof(row->number_text));
	text_read(r, row->principal, sizeof(row->principal));
	text_read(r, row->holder_name, sizeof(row->holder_name));
	text_read(r, row->holder_number, sizeof(row->holder_number));
	row->holder_birth.year = read_u16(r);
	row->holder_birth.month = read_u8(r);
	row->holder_birth.day = read_u8(r);
	text_read(r, row->detail, sizeof(row->detail));
}

/* ---- what a record says of a row ---- */

static void put(char *out, size_t size, struct slice s)
{
	snprintf(out, size, "%.*s", (int)s.n, s.n > 0 ? (const char *)s.p : "");
}

/* What stands before the end of a field's name. */
static bool prefix_of(const struct field *f, enum field_type type, const char *end,
		      struct slice *prefix)
{
	size_t n = strlen(end);

	if (f->type != type || f->name.n < n ||
	    memcmp(f->name.p + f->name.n - n, end, n) != 0)
		return false;
	*prefix = slice_of(f->name.p, f->name.n - n);
	return true;
}

static bool is_named(const struct case_result *r, struct slice prefix, struct slice name)
{
	struct slice p;

	for (uint8_t i = 0; i < r->fields_n; i++)
		if (prefix_of(&r->fields[i], FIELD_TEXT, NAME_FIELD, &p) && slice_eq(p, prefix) &&
		    slice_eq(r->fields[i].text, name))
			return true;
	return false;
}

/* Of several persons with a date of birth the one of that name; another's is worse than none. */
static struct partial_date birth_of(const struct case_result *r, struct slice name)
{
	struct partial_date found = { 0, 0, 0 };
	struct slice prefix;
	uint32_t n = 0;

	for (uint8_t i = 0; i < r->fields_n; i++) {
		if (!prefix_of(&r->fields[i], FIELD_DATE, BIRTH_FIELD, &prefix))
			continue;
		if (is_named(r, prefix, name))
			return r->fields[i].date;
		found = r->fields[i].date;
		n++;
	}
	return n == 1 ? found : (struct partial_date){ 0, 0, 0 };
}

static void row_take(struct waiting_row *row, const struct record_numbered *rec,
		     const struct case_view *c, uint8_t i)
{
	const struct numbered_result *n = &rec->results[i];
	const struct case_result *r = &c->results[i];
	struct facts facts;

	row->priority = c->priority;
	row->ordinal = r->ordinal;
	row->revision = r->revision;
	row->year = n->year;
	row->number = n->number;
	row->accepted_ms = rec->accepted_ms;
	row->issued_ms = n->issued_ms;
	facts_read(&facts, c->facts);
	row->due_ms = facts.due_ms;
	put(row->unit, sizeof(row->unit), r->unit);
	put(row->kind, sizeof(row->kind), r->kind);
	put(row->signer, sizeof(row->signer), record_signer(rec, i, r->signer));
	put(row->register_code, sizeof(row->register_code), n->register_code);
	put(row->case_code, sizeof(row->case_code), c->code);
	put(row->number_text, sizeof(row->number_text), n->number_text);
	put(row->principal, sizeof(row->principal), rec->principal);
	if (c->holders_n > 0) {
		put(row->holder_name, sizeof(row->holder_name), c->holders[0].name);
		put(row->holder_number, sizeof(row->holder_number), c->holders[0].number);
	}
	row->holder_birth = birth_of(r, c->holders_n > 0 ? c->holders[0].name : slice_str(""));
}

enum status waiting_row_fill(struct waiting_row *row, struct slice payload)
{
	struct record_numbered rec;
	struct case_view c;
	struct arena arena;
	uint8_t i = 0;
	enum status st = record_numbered_decode(&rec, record_numbered_in(row->record, payload));

	if (st == ST_OK)
		st = arena_init(&arena, 4 * CASE_BYTES_MAX);
	if (st != ST_OK)
		return st;
	st = case_decode(&c, rec.case_bytes, &arena);
	if (st == ST_OK)
		i = record_result_index(&rec, row->sequence);
	if (st == ST_OK && (i == rec.results_n || i >= c.results_n))
		st = ST_CORRUPT;
	if (st == ST_OK) {
		row_take(row, &rec, &c, i);
		if (row->record == 0)
			row->record = RECORD_NUMBERED;
	}
	arena_free(&arena);
	return st;
}
