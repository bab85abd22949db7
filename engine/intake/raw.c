#include "intake/raw.h"

#include <assert.h>

#include "base/utf8.h"
#include "base/wire.h"
#include "trien/v1/case.pb-c.h"

#define FACTS_LIST_MAX 32
#define FACTS_FIELDS_MAX 16		/* of Facts, Approval and what they hold */

/* What a reader of one message needs. */
struct raw_ctx {
	struct arena *a;
	struct refusal *why;
};

static enum status malformed(struct raw_ctx *x, const char *field)
{
	return refuse(x->why, REASON_MALFORMED, field, "not a valid encoding");
}

static enum status too_many(struct raw_ctx *x, const char *field, uint32_t max)
{
	return refuse(x->why, REASON_TOO_LARGE, field, "more than %u", max);
}

static enum status spent(struct raw_ctx *x)
{
	return refuse(x->why, REASON_TOO_LARGE, "", "%d bytes encoded", RAW_CASE_BYTES_MAX);
}

/* Occurrences of one field: a table's arrays are taken in one piece. */
static uint32_t count(struct slice s, uint32_t number)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	uint32_t n = 0;

	while (wire_next(&w, &f))
		n += f.number == number;
	return n;
}

static bool read_date(struct raw_date *d, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;

	*d = (struct raw_date){ .given = true };
	while (wire_next(&w, &f)) {
		/* Beyond 32 bits no part of a date is right: keep that it was too big. */
		uint32_t v = f.value > UINT32_MAX ? UINT32_MAX : (uint32_t)f.value;

		if (f.number > 3)
			continue;
		if (f.type != WIRE_VARINT)
			return false;
		if (f.number == 1)
			d->year = v;
		else if (f.number == 2)
			d->month = v;
		else
			d->day = v;
	}
	return !w.bad;
}

static bool read_number(struct raw_field *out, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;

	out->number.value = 0;
	out->number.decimals = 0;
	while (wire_next(&w, &f)) {
		if (f.number > 2)
			continue;
		if (f.type != WIRE_VARINT)
			return false;
		if (f.number == 1)
			out->number.value = wire_zigzag(f.value);
		else
			out->number.decimals = f.value < UINT32_MAX ? (uint32_t)f.value :
								      UINT32_MAX;
	}
	return !w.bad;
}

static enum status read_row(struct raw_ctx *x, struct raw_row *row, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	uint32_t n = count(s, 1), i = 0;
	struct slice *cells;

	if (n > TABLE_COLUMNS_MAX)
		return too_many(x, "table.rows.cells", TABLE_COLUMNS_MAX);
	cells = arena_take(x->a, n * sizeof(*cells));
	if (cells == NULL)
		return spent(x);
	while (wire_next(&w, &f)) {
		if (f.number != 1)
			continue;
		if (f.type != WIRE_BYTES)
			return malformed(x, "table.rows.cells");
		cells[i++] = f.bytes;
	}
	*row = (struct raw_row){ n, cells };
	return w.bad ? malformed(x, "table.rows") : ST_OK;
}

static enum status read_table(struct raw_ctx *x, struct raw_field *out, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	uint32_t n = count(s, 1), i = 0;
	struct raw_row *rows;
	enum status st = ST_OK;

	if (n > TABLE_ROWS_MAX)
		return too_many(x, "table.rows", TABLE_ROWS_MAX);
	rows = arena_take(x->a, n * sizeof(*rows));
	if (rows == NULL)
		return spent(x);
	while (st == ST_OK && wire_next(&w, &f)) {
		if (f.number != 1)
			continue;
		if (f.type != WIRE_BYTES)
			return malformed(x, "table.rows");
		st = read_row(x, &rows[i++], f.bytes);
	}
	out->table.rows_n = n;
	out->table.rows = rows;
	return st == ST_OK && w.bad ? malformed(x, "table") : st;
}

/* Field numbers of trien.v1.Field's oneof, in the order of enum field_type. */
static const struct { uint8_t type, wire; } values[] = {
	[2] = { FIELD_TEXT, WIRE_BYTES }, [3] = { FIELD_NUMBER, WIRE_BYTES },
	[4] = { FIELD_FLAG, WIRE_VARINT }, [5] = { FIELD_DATE, WIRE_BYTES },
	[6] = { FIELD_TABLE, WIRE_BYTES },
};

static enum status read_field(struct raw_ctx *x, struct raw_field *out, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	enum status st = ST_OK;

	out->name = slice_of(NULL, 0);
	out->type = 0;
	while (st == ST_OK && wire_next(&w, &f)) {
		if (f.number == 1 && f.type == WIRE_BYTES) {
			out->name = f.bytes;
			continue;
		}
		if (f.number == 1)
			return malformed(x, "fields.name");
		if (f.number >= ARRAY_LEN(values))
			continue;
		/* Protobuf takes the last of two values; in a legal paper two are an error. */
		if (f.type != values[f.number].wire || out->type != 0)
			return malformed(x, "fields");
		out->type = values[f.number].type;
		if (out->type == FIELD_TEXT)
			out->text = f.bytes;
		else if (out->type == FIELD_FLAG)
			out->flag = f.value != 0;
		else if (out->type == FIELD_NUMBER)
			st = read_number(out, f.bytes) ? ST_OK : malformed(x, "fields.number");
		else if (out->type == FIELD_DATE)
			st = read_date(&out->date, f.bytes) ? ST_OK : malformed(x, "fields.date");
		else
			st = read_table(x, out, f.bytes);
	}
	return st == ST_OK && w.bad ? malformed(x, "fields") : st;
}

static uint32_t narrow(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static enum status read_result(struct raw_ctx *x, struct raw_result *r, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	struct slice *const texts[] = { [1] = &r->unit, [2] = &r->kind, [5] = &r->replaces,
					[6] = &r->signer, [8] = &r->given_text };
	struct raw_field *fields = arena_take(x->a, FIELDS_MAX * sizeof(*fields));
	enum status st = ST_OK;

	if (fields == NULL)
		return spent(x);
	*r = (struct raw_result){ .fields = fields };
	while (st == ST_OK && wire_next(&w, &f)) {
		bool number = f.number == 3 || f.number == 4 || f.number == 7;

		if (f.number > 9)
			continue;
		if (f.type != (number ? WIRE_VARINT : WIRE_BYTES))
			return malformed(x, "results");
		if (f.number == 3)
			r->ordinal = narrow(f.value);
		else if (f.number == 4)
			r->revision = narrow(f.value);
		else if (f.number == 7)
			r->given_number = f.value;
		else if (f.number == 9)
			st = r->fields_n < FIELDS_MAX ?
			     read_field(x, &fields[r->fields_n++], f.bytes) :
			     too_many(x, "results.fields", FIELDS_MAX);
		else
			*texts[f.number] = f.bytes;
	}
	return st == ST_OK && w.bad ? malformed(x, "results") : st;
}

static enum status read_holder(struct raw_ctx *x, struct raw_holder *h, struct slice s)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	uint32_t *const numbers[] = { [1] = &h->id_kind, [5] = &h->role, [8] = &h->visibility };
	struct slice *const texts[] = { [2] = &h->country, [3] = &h->number, [4] = &h->name };

	*h = (struct raw_holder){ 0 };
	while (wire_next(&w, &f)) {
		bool number = f.number == 1 || f.number == 5 || f.number == 8;

		if (f.number > 8)
			continue;
		if (f.type != (number ? WIRE_VARINT : WIRE_BYTES))
			return malformed(x, "holders");
		if (number)
			*numbers[f.number] = narrow(f.value);
		else if (f.number <= 4)
			*texts[f.number] = f.bytes;
		else if (!read_date(f.number == 6 ? &h->from : &h->to, f.bytes))
			return malformed(x, "holders");
	}
	return w.bad ? malformed(x, "holders") : ST_OK;
}

enum status raw_read_holder(struct raw_holder *out, struct slice wire, struct refusal *why)
{
	struct raw_ctx x = { NULL, why };

	return read_holder(&x, out, wire);
}

/* Our messages number their fields without gaps, so the look-up is an index. */
static inline const ProtobufCFieldDescriptor *described(const ProtobufCMessageDescriptor *d,
							uint32_t number)
{
	if (d->n_field_ranges != 1)
		return protobuf_c_message_descriptor_get_field(d, number);
	number -= (uint32_t)d->field_ranges[0].start_value;
	return number < d->n_fields ? &d->fields[number] : NULL;
}

/* The bounds that the protocol names beside each text of Facts and Approval, by field number. */
static uint32_t text_bytes_max(const ProtobufCMessageDescriptor *d, uint32_t number)
{
	static const uint16_t facts[] = { [1] = 40, [2] = 40, [9] = 64, [12] = 40,
					  [13] = 40 };
	static const uint16_t source[] = { [1] = 40, [3] = 64 };
	static const uint16_t approval[] = { [1] = 64, [2] = 64, [3] = 400, [4] = 200,
					     [6] = SHA256_BYTES };

	if (d == &trien__v1__facts__descriptor)
		return number < ARRAY_LEN(facts) ? facts[number] : 0;
	if (d == &trien__v1__data_source__descriptor)
		return number < ARRAY_LEN(source) ? source[number] : 0;
	return number < ARRAY_LEN(approval) ? approval[number] : 0;
}

static enum status check_side_text(struct raw_ctx *x, const ProtobufCMessageDescriptor *d,
				   const ProtobufCFieldDescriptor *fd, struct slice s,
				   const char *name)
{
	uint32_t max = text_bytes_max(d, fd->id);

	if (s.n > max)
		return refuse(x->why, REASON_FIELD_TOO_LONG, name, "%s: at most %u bytes", fd->name,
			      max);
	if (fd->type == PROTOBUF_C_TYPE_BYTES && s.n != 0 && s.n != SHA256_BYTES)
		return refuse(x->why, REASON_FIELD_VALUE, name, "%s: 32 bytes or none", fd->name);
	if (fd->type == PROTOBUF_C_TYPE_STRING && !utf8_string(s))
		return refuse(x->why, REASON_UTF8_INVALID, name, "%s", fd->name);
	return ST_OK;
}

/*
 * Facts and Approval are kept as they came, so they are checked against their descriptor without
 * being unpacked: wire types, UTF-8, the lengths of texts and lists.
 */
static enum status check_message(struct raw_ctx *x, const ProtobufCMessageDescriptor *d,
				 struct slice s, const char *name, int depth)
{
	struct wire w = wire_of(s);
	struct wire_field f;
	uint32_t entries[FACTS_FIELDS_MAX] = { 0 };

	assert(d->n_fields <= FACTS_FIELDS_MAX);
	while (wire_next(&w, &f)) {
		const ProtobufCFieldDescriptor *fd = described(d, f.number);
		enum status st = ST_OK;
		bool bytes;

		if (fd == NULL)
			continue;
		bytes = fd->type == PROTOBUF_C_TYPE_STRING || fd->type == PROTOBUF_C_TYPE_BYTES ||
			fd->type == PROTOBUF_C_TYPE_MESSAGE;
		if (f.type != (bytes ? WIRE_BYTES : WIRE_VARINT))
			return malformed(x, name);
		if (fd->label == PROTOBUF_C_LABEL_REPEATED &&
		    ++entries[fd - d->fields] > FACTS_LIST_MAX)
			return too_many(x, name, FACTS_LIST_MAX);
		if (fd->type == PROTOBUF_C_TYPE_MESSAGE && depth == 0)
			return malformed(x, name);
		if (fd->type == PROTOBUF_C_TYPE_MESSAGE)
			st = check_message(x, fd->descriptor, f.bytes, name, depth - 1);
		else if (bytes)
			st = check_side_text(x, d, fd, f.bytes, name);
		if (st != ST_OK)
			return st;
	}
	return w.bad ? malformed(x, name) : ST_OK;
}

static enum status read_side(struct raw_ctx *x, struct slice *out, struct slice bytes,
			     const ProtobufCMessageDescriptor *d, const char *name)
{
	if (out->p != NULL)
		return malformed(x, name);
	if (bytes.n > RAW_FACTS_BYTES_MAX)
		return refuse(x->why, REASON_TOO_LARGE, name, "at most %d bytes",
			      RAW_FACTS_BYTES_MAX);
	*out = bytes;
	return check_message(x, d, bytes, name, 2);
}

static enum status read_member(struct raw_ctx *x, struct raw_case *c, const struct wire_field *f,
			       struct raw_holder *holders, struct raw_result *results)
{
	if (f->number > 7)
		return ST_OK;
	if (f->type != (f->number == 4 ? WIRE_VARINT : WIRE_BYTES))
		return malformed(x, "");
	switch (f->number) {
	case 1:
		c->code = f->bytes;
		return ST_OK;
	case 2:
		if (c->holders_n == CASE_HOLDERS_MAX)
			return too_many(x, "holders", CASE_HOLDERS_MAX);
		return read_holder(x, &holders[c->holders_n++], f->bytes);
	case 3:
		if (c->results_n == CASE_RESULTS_MAX)
			return too_many(x, "results", CASE_RESULTS_MAX);
		return read_result(x, &results[c->results_n++], f->bytes);
	case 4:
		c->priority = narrow(f->value);
		return ST_OK;
	case 5:
		c->request_id = f->bytes;
		return ST_OK;
	case 6:
		return read_side(x, &c->facts, f->bytes, &trien__v1__facts__descriptor, "facts");
	default:
		return read_side(x, &c->approval, f->bytes, &trien__v1__approval__descriptor,
				 "approval");
	}
}

enum status raw_read(struct raw_case *out, struct slice wire, struct arena *a, struct refusal *why)
{
	struct raw_ctx x = { a, why };
	struct wire w = wire_of(wire);
	struct wire_field f;
	struct raw_holder *holders = arena_take(a, CASE_HOLDERS_MAX * sizeof(*holders));
	struct raw_result *results = arena_take(a, CASE_RESULTS_MAX * sizeof(*results));
	enum status st = ST_OK;

	*out = (struct raw_case){ .holders = holders, .results = results };
	if (wire.n > RAW_CASE_BYTES_MAX || holders == NULL || results == NULL)
		return spent(&x);
	while (st == ST_OK && wire_next(&w, &f))
		st = read_member(&x, out, &f, holders, results);
	if (st == ST_OK && w.bad)
		st = malformed(&x, "");
	/* A reject names its case, whatever stands before the code. */
	for (w = wire_of(wire); st != ST_OK && out->code.n == 0 && wire_next(&w, &f);)
		if (f.number == 1 && f.type == WIRE_BYTES)
			out->code = f.bytes;
	return st;
}
