#include "journal/waitrow.h"

#include <assert.h>
#include <stdio.h>

#include "base/wire.h"

/* In the schemas that ask for it, the holder's date of birth has this name. */
#define BIRTH_FIELD "ngay_sinh"
#define FACTS_DUE_TIME 5u		/* of trien.v1.Facts; a Timestamp, its seconds are 1 */

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

/* The first field with this number and type; zeros if there is none. */
static struct wire_field field_of(struct slice message, uint32_t number, enum wire_type type)
{
	struct wire w = wire_of(message);
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == number && f.type == type)
			return f;
	return (struct wire_field){ 0 };
}

static int64_t due_ms(struct slice facts)
{
	struct slice due = field_of(facts, FACTS_DUE_TIME, WIRE_BYTES).bytes;
	uint64_t seconds = field_of(due, 1, WIRE_VARINT).value;

	/* Beyond a time that a calendar has, it is none. */
	return seconds < 253402300800ull ? (int64_t)seconds * 1000 : 0;
}

static void put(char *out, size_t size, struct slice s)
{
	snprintf(out, size, "%.*s", (int)s.n, s.n > 0 ? (const char *)s.p : "");
}

static struct partial_date birth_of(const struct case_result *r)
{
	for (uint8_t i = 0; i < r->fields_n; i++)
		if (r->fields[i].type == FIELD_DATE &&
		    slice_eq(r->fields[i].name, slice_str(BIRTH_FIELD)))
			return r->fields[i].date;
	return (struct partial_date){ 0, 0, 0 };
}

static void row_take(struct waiting_row *row, const struct record_numbered *rec,
		     const struct case_view *c, uint8_t i)
{
	const struct numbered_result *n = &rec->results[i];
	const struct case_result *r = &c->results[i];

	row->priority = c->priority;
	row->ordinal = r->ordinal;
	row->revision = r->revision;
	row->year = n->year;
	row->number = n->number;
	row->accepted_ms = rec->accepted_ms;
	row->issued_ms = n->issued_ms;
	row->due_ms = due_ms(c->facts);
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
	row->holder_birth = birth_of(r);
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
	while (st == ST_OK && i < rec.results_n && rec.results[i].sequence != row->sequence)
		i++;
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
