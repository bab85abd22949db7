#include "case.h"

#include <assert.h>
#include <stdio.h>

static void write_short(struct writer *w, struct slice s)
{
	if (s.n > UINT16_MAX) {
		w->bad = true;
		return;
	}
	write_u16(w, (uint16_t)s.n);
	write_bytes(w, s.p, s.n);
}

static struct slice read_short(struct reader *r)
{
	return read_bytes(r, read_u16(r));
}

static void write_field(struct writer *w, const struct field *f)
{
	write_short(w, f->name);
	write_u8(w, (uint8_t)f->type);
	switch (f->type) {
	case FIELD_TEXT:
		write_blob(w, f->text);
		break;
	case FIELD_NUMBER:
		write_u64(w, (uint64_t)f->number.value);
		write_u8(w, f->number.decimals);
		break;
	case FIELD_FLAG:
		write_u8(w, f->flag);
		break;
	case FIELD_DATE:
		write_u16(w, f->date.year);
		write_u8(w, f->date.month);
		write_u8(w, f->date.day);
		break;
	case FIELD_TABLE:
		write_u16(w, f->table.rows);
		write_u8(w, f->table.columns);
		for (uint32_t i = 0; i < (uint32_t)f->table.rows * f->table.columns; i++)
			write_blob(w, f->table.cells[i]);
		break;
	}
}

static void write_holder(struct writer *w, const struct holder *h)
{
	write_u8(w, h->id_kind);
	write_short(w, h->country);
	write_short(w, h->number);
	write_short(w, h->name);
	write_u8(w, h->role);
	write_u32(w, h->from);
	write_u32(w, h->to);
	write_u8(w, h->visibility);
}

static void write_result(struct writer *w, const struct case_result *r, uint8_t version)
{
	write_short(w, r->unit);
	write_short(w, r->kind);
	write_u16(w, r->ordinal);
	write_u16(w, r->revision);
	write_short(w, r->replaces);
	write_short(w, r->signer);
	write_u64(w, r->given_number);
	write_short(w, r->given_text);
	write_u8(w, r->fields_n);
	for (uint8_t i = 0; i < r->fields_n; i++)
		write_field(w, &r->fields[i]);
	if (version == CASE_VERSION_ORIGINAL)
		write_u8(w, r->original != NULL);
	if (r->original != NULL) {
		write_u32(w, r->original->size);
		write_bytes(w, r->original->sha256, SHA256_BYTES);
	}
}

/* Leaves room for a u32 length; section_end() fills it. */
static uint8_t *section_begin(struct writer *w)
{
	uint8_t *at = w->p;

	write_u32(w, 0);
	return at;
}

static void section_end(struct writer *w, uint8_t *at)
{
	struct writer length;

	if (w->bad)
		return;
	length = writer_of(at, 4);
	write_u32(&length, (uint32_t)(w->p - at - 4));
}

/* Cases without originals keep their bytes, and so their digests. */
static uint8_t version_of(const struct case_view *c)
{
	for (uint8_t i = 0; i < c->results_n; i++)
		if (c->results[i].original != NULL)
			return CASE_VERSION_ORIGINAL;
	return CASE_VERSION;
}

static void write_replaced(struct writer *w, const uint8_t id[16], const struct replaced *r)
{
	write_bytes(w, id, 16);
	write_short(w, r->number);
	write_u32(w, r->day);
	write_u8(w, r->revoked);
	write_short(w, r->unit);
	write_short(w, r->agency);
}

static void write_originals(struct writer *w, const struct case_view *c)
{
	uint8_t *at = section_begin(w);

	for (uint8_t i = 0; i < c->results_n; i++)
		if (c->results[i].original != NULL)
			original_write(c->results[i].original, w);
	section_end(w, at);
}

enum status case_encode(const struct case_view *c, struct writer *w)
{
	uint8_t *at, version = version_of(c);

	write_u8(w, version);
	at = section_begin(w);
	write_short(w, c->code);
	write_u8(w, c->holders_n);
	for (uint8_t i = 0; i < c->holders_n; i++)
		write_holder(w, &c->holders[i]);
	write_u8(w, c->results_n);
	for (uint8_t i = 0; i < c->results_n; i++)
		write_result(w, &c->results[i], version);
	section_end(w, at);
	at = section_begin(w);
	write_u8(w, c->priority);
	write_short(w, c->request_id);
	write_blob(w, c->facts);
	write_blob(w, c->approval);
	if (version == CASE_VERSION_ORIGINAL)
		write_originals(w, c);
	for (uint8_t i = 0; i < c->results_n; i++) {
		const struct case_result *r = &c->results[i];
		uint8_t id[16];

		if (r->replaced.number.n > 0 && id_read(id, r->replaces))
			write_replaced(w, id, &r->replaced);
	}
	section_end(w, at);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

void case_add_replaced(struct slice *bytes, size_t room, const uint8_t id[16],
		       const struct replaced *r)
{
	uint8_t *start = (uint8_t *)bytes->p;
	struct reader legal = reader_of(slice_of(bytes->p + 1, bytes->n - 1));
	struct writer w = writer_of(start + bytes->n, room - bytes->n);
	struct writer length;
	uint32_t side;

	read_blob(&legal);
	length = writer_of((uint8_t *)legal.p, 4);
	side = read_u32(&legal);
	write_replaced(&w, id, r);
	assert(!w.bad && !legal.bad && side == reader_left(&legal));
	write_u32(&length, side + (uint32_t)writer_size(&w));
	bytes->n += writer_size(&w);
}

static enum status read_table(struct reader *r, struct field *f, struct arena *a)
{
	uint32_t cells;

	f->table.rows = read_u16(r);
	f->table.columns = read_u8(r);
	cells = (uint32_t)f->table.rows * f->table.columns;
	/* A cell takes at least its length: bounds the allocation by the input. */
	if (r->bad || cells > reader_left(r) / 4)
		return ST_CORRUPT;
	f->table.cells = arena_take(a, cells * sizeof(struct slice));
	if (f->table.cells == NULL)
		return ST_TOO_LARGE;
	for (uint32_t i = 0; i < cells; i++)
		f->table.cells[i] = read_blob(r);
	return ST_OK;
}

static enum status read_field(struct reader *r, struct field *f, struct arena *a)
{
	f->name = read_short(r);
	f->type = read_u8(r);
	switch (f->type) {
	case FIELD_TEXT:
		f->text = read_blob(r);
		return ST_OK;
	case FIELD_NUMBER:
		f->number.value = (int64_t)read_u64(r);
		f->number.decimals = read_u8(r);
		return ST_OK;
	case FIELD_FLAG:
		f->flag = read_u8(r) != 0;
		return ST_OK;
	case FIELD_DATE:
		f->date.year = read_u16(r);
		f->date.month = read_u8(r);
		f->date.day = read_u8(r);
		return ST_OK;
	case FIELD_TABLE:
		return read_table(r, f, a);
	}
	return ST_CORRUPT;
}

static void read_holder(struct reader *r, struct holder *h)
{
	h->id_kind = read_u8(r);
	h->country = read_short(r);
	h->number = read_short(r);
	h->name = read_short(r);
	h->role = read_u8(r);
	h->from = read_u32(r);
	h->to = read_u32(r);
	h->visibility = read_u8(r);
}

/* What the legal section says of it; the rest stands in the side section. */
static enum status read_copied(struct reader *r, struct case_result *out, struct arena *a)
{
	uint8_t given = read_u8(r);
	struct original *o;
	struct slice digest;

	if (r->bad || given > 1)
		return ST_CORRUPT;
	if (given == 0)
		return ST_OK;
	o = arena_zero(a, sizeof(*o));
	if (o == NULL)
		return ST_TOO_LARGE;
	o->size = read_u32(r);
	digest = read_bytes(r, SHA256_BYTES);
	if (r->bad)
		return ST_CORRUPT;
	memcpy(o->sha256, digest.p, SHA256_BYTES);
	out->original = o;
	return ST_OK;
}

static enum status read_originals(struct case_view *c, struct reader *side, struct arena *a)
{
	struct reader all = reader_of(read_blob(side)), *r = &all;

	for (uint8_t i = 0; i < c->results_n; i++) {
		struct original *o = (struct original *)c->results[i].original;
		struct original copied;
		enum status st;

		if (o == NULL)
			continue;
		copied = *o;
		st = original_read(o, r, a);
		if (st != ST_OK)
			return st;
		if (o->size != copied.size ||
		    memcmp(o->sha256, copied.sha256, SHA256_BYTES) != 0)
			return ST_CORRUPT;
	}
	return side->bad || r->bad || reader_left(r) != 0 ? ST_CORRUPT : ST_OK;
}

/* false: it is cut short. */
static bool next_replaced(struct reader *r, struct slice *id, struct replaced *out)
{
	*id = read_bytes(r, 16);
	out->number = read_short(r);
	out->day = read_u32(r);
	out->revoked = read_u8(r) != 0;
	out->unit = read_short(r);
	out->agency = read_short(r);
	return !r->bad;
}

static enum status read_replaced(struct case_view *c, struct reader *r)
{
	while (!r->bad && reader_left(r) > 0) {
		struct slice of;
		struct replaced old;
		uint8_t id[16], i = 0;

		if (!next_replaced(r, &of, &old))
			return ST_CORRUPT;
		while (i < c->results_n && (!id_read(id, c->results[i].replaces) ||
					    memcmp(of.p, id, sizeof(id)) != 0))
			i++;
		if (i == c->results_n)
			return ST_CORRUPT;
		c->results[i].replaced = old;
	}
	return ST_OK;
}

static enum status read_result(struct reader *r, struct case_result *out, struct arena *a,
			       uint8_t version)
{
	enum status st = ST_OK;

	out->unit = read_short(r);
	out->kind = read_short(r);
	out->ordinal = read_u16(r);
	out->revision = read_u16(r);
	out->replaces = read_short(r);
	out->signer = read_short(r);
	out->given_number = read_u64(r);
	out->given_text = read_short(r);
	out->fields_n = read_u8(r);
	if (r->bad || out->fields_n > FIELDS_MAX)
		return ST_CORRUPT;
	out->fields = arena_zero(a, out->fields_n * sizeof(struct field));
	if (out->fields == NULL)
		return ST_TOO_LARGE;
	for (uint8_t i = 0; i < out->fields_n && st == ST_OK; i++)
		st = read_field(r, &out->fields[i], a);
	if (st == ST_OK && version == CASE_VERSION_ORIGINAL)
		st = read_copied(r, out, a);
	return st;
}

static enum status read_legal(struct case_view *c, struct reader *r, struct arena *a,
			      uint8_t version)
{
	enum status st = ST_OK;

	c->code = read_short(r);
	c->holders_n = read_u8(r);
	if (r->bad || c->holders_n > CASE_HOLDERS_MAX)
		return ST_CORRUPT;
	c->holders = arena_zero(a, c->holders_n * sizeof(struct holder));
	if (c->holders == NULL)
		return ST_TOO_LARGE;
	for (uint8_t i = 0; i < c->holders_n; i++)
		read_holder(r, &c->holders[i]);
	c->results_n = read_u8(r);
	if (r->bad || c->results_n > CASE_RESULTS_MAX)
		return ST_CORRUPT;
	c->results = arena_zero(a, c->results_n * sizeof(struct case_result));
	if (c->results == NULL)
		return ST_TOO_LARGE;
	for (uint8_t i = 0; i < c->results_n && st == ST_OK; i++)
		st = read_result(r, &c->results[i], a, version);
	if (st == ST_OK && (r->bad || reader_left(r) != 0))
		return ST_CORRUPT;
	return st;
}

static enum status split(struct slice bytes, struct slice *legal, struct slice *side)
{
	struct reader r = reader_of(bytes);
	uint8_t version = read_u8(&r);
	bool known = version == CASE_VERSION || version == CASE_VERSION_ORIGINAL;

	*legal = read_blob(&r);
	*side = read_blob(&r);
	return r.bad || !known || reader_left(&r) != 0 ? ST_CORRUPT : ST_OK;
}

enum status case_decode(struct case_view *out, struct slice bytes, struct arena *a)
{
	struct slice legal, side;
	struct reader r;
	enum status st = split(bytes, &legal, &side);

	*out = (struct case_view){ 0 };
	if (st != ST_OK)
		return st;
	r = reader_of(legal);
	st = read_legal(out, &r, a, bytes.p[0]);
	if (st != ST_OK)
		return st;
	r = reader_of(side);
	out->priority = read_u8(&r);
	out->request_id = read_short(&r);
	out->facts = read_blob(&r);
	out->approval = read_blob(&r);
	if (bytes.p[0] == CASE_VERSION_ORIGINAL)
		st = read_originals(out, &r, a);
	if (st == ST_OK)
		st = read_replaced(out, &r);
	if (st != ST_OK)
		return st;
	return r.bad || reader_left(&r) != 0 || out->priority >= PRIORITY_COUNT ? ST_CORRUPT :
										  ST_OK;
}

/* To its results, of which it returns how many. */
static uint8_t skip_holders(struct reader *legal)
{
	struct holder ignored;
	uint8_t holders;

	read_short(legal);
	holders = read_u8(legal);
	for (uint8_t i = 0; i < holders && !legal->bad; i++)
		read_holder(legal, &ignored);
	return read_u8(legal);
}

enum status case_skim(struct case_lead *out, struct slice bytes)
{
	struct slice legal, side;
	struct reader r;

	*out = (struct case_lead){ 0 };
	if (split(bytes, &legal, &side) != ST_OK)
		return ST_CORRUPT;
	r = reader_of(legal);
	if (skip_holders(&r) == 0)
		return ST_CORRUPT;
	out->unit = read_short(&r);
	out->kind = read_short(&r);
	out->ordinal = read_u16(&r);
	if (r.bad)
		return ST_CORRUPT;
	r = reader_of(side);
	read_u8(&r);
	read_short(&r);
	out->facts = read_blob(&r);
	return r.bad ? ST_CORRUPT : ST_OK;
}

static void skip_field(struct reader *r)
{
	uint32_t cells;

	read_short(r);
	switch (read_u8(r)) {
	case FIELD_TEXT:
		read_blob(r);
		return;
	case FIELD_NUMBER:
		read_bytes(r, 9);
		return;
	case FIELD_FLAG:
		read_u8(r);
		return;
	case FIELD_DATE:
		read_u32(r);
		return;
	case FIELD_TABLE:
		cells = read_u16(r);
		cells *= read_u8(r);
		for (uint32_t i = 0; i < cells && !r->bad; i++)
			read_blob(r);
		return;
	}
	r->bad = true;
}

/* From behind its signer to the next one. */
static void skip_result(struct reader *r, uint8_t version)
{
	uint8_t fields;

	read_u64(r);
	read_short(r);
	fields = read_u8(r);
	for (uint8_t i = 0; i < fields && !r->bad; i++)
		skip_field(r);
	if (version == CASE_VERSION_ORIGINAL && read_u8(r) != 0)
		read_bytes(r, 4 + SHA256_BYTES);
}

enum status case_skim_signer(struct slice *out, struct slice bytes, struct slice unit,
			     struct slice kind, uint16_t ordinal)
{
	struct slice legal, side;
	struct reader r;
	uint8_t results;

	*out = (struct slice){ NULL, 0 };
	if (split(bytes, &legal, &side) != ST_OK)
		return ST_CORRUPT;
	r = reader_of(legal);
	results = skip_holders(&r);
	for (uint8_t i = 0; i < results && !r.bad; i++) {
		bool this_one = slice_eq(read_short(&r), unit);
		struct slice signer;

		this_one &= slice_eq(read_short(&r), kind);
		this_one &= read_u16(&r) == ordinal;
		read_u16(&r);
		read_short(&r);
		signer = read_short(&r);
		if (this_one && !r.bad) {
			*out = signer;
			return ST_OK;
		}
		skip_result(&r, bytes.p[0]);
	}
	return r.bad ? ST_CORRUPT : ST_NOT_FOUND;
}

enum status case_skim_replaced(struct replaced *out, struct slice bytes, const uint8_t id[16])
{
	struct slice legal, side, of;
	struct reader r;

	*out = (struct replaced){ .day = 0 };
	if (split(bytes, &legal, &side) != ST_OK)
		return ST_CORRUPT;
	r = reader_of(side);
	read_u8(&r);
	read_short(&r);
	read_blob(&r);
	read_blob(&r);
	if (bytes.p[0] == CASE_VERSION_ORIGINAL)
		read_blob(&r);
	while (!r.bad && reader_left(&r) > 0)
		if (next_replaced(&r, &of, out) && memcmp(of.p, id, 16) == 0)
			return ST_OK;
	*out = (struct replaced){ .day = 0 };
	return r.bad ? ST_CORRUPT : ST_NOT_FOUND;
}

enum status case_digest(struct slice bytes, uint8_t digest[SHA256_BYTES])
{
	struct slice legal, side;
	enum status st = split(bytes, &legal, &side);

	if (st != ST_OK)
		return st;
	/* The legal section with its length and the version byte stand in front, contiguously. */
	sha256_once(bytes.p, 1 + 4 + legal.n, digest);
	return ST_OK;
}

/* Lengths stand before each part, so that no two lists of parts share their bytes. */
static void key_of(uint8_t key[16], struct writer *w)
{
	uint8_t digest[SHA256_BYTES];
	struct slice s = writer_slice(w);

	sha256_once(s.p, s.n, digest);
	memcpy(key, digest, 16);
}

/* 0: these are no four digits. */
static uint16_t end_of(const char *digits)
{
	uint32_t v = 0;

	for (size_t i = 0; i < HOLDER_END_DIGITS; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return 0;
		v = v * 10 + (uint32_t)(digits[i] - '0');
	}
	return (uint16_t)(v + 1);
}

void case_ends(struct holder_ends *out, const struct case_view *c)
{
	*out = (struct holder_ends){ { 0 } };
	for (uint8_t i = 0; i < c->holders_n && i < CASE_HOLDERS_MAX; i++) {
		struct slice number = c->holders[i].number;

		if (number.n >= HOLDER_END_DIGITS)
			out->of[i] = end_of((const char *)number.p + number.n - HOLDER_END_DIGITS);
	}
}

bool holder_ends_have(const struct holder_ends *e, const char digits[HOLDER_END_DIGITS])
{
	uint16_t wanted = end_of(digits);
	bool have = false;

	for (size_t i = 0; i < CASE_HOLDERS_MAX; i++)
		have |= wanted != 0 && e->of[i] == wanted;
	return have;
}

void result_key(uint8_t key[16], struct slice unit, struct slice code, struct slice kind,
		uint16_t ordinal, uint16_t revision)
{
	uint8_t buf[CODE_BYTES_MAX * 2 + CASE_CODE_BYTES_MAX + 32];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 'R');
	write_short(&w, unit);
	write_short(&w, code);
	write_short(&w, kind);
	write_u16(&w, ordinal);
	write_u16(&w, revision);
	key_of(key, &w);
}

void holder_key_of_id(uint8_t key[16], uint8_t id_kind, struct slice country, struct slice number)
{
	uint8_t buf[256];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 'H');
	write_u8(&w, id_kind);
	write_short(&w, country);
	write_short(&w, number);
	key_of(key, &w);
}

void holder_key(uint8_t key[16], const struct holder *h, struct slice unit, struct slice code,
		uint8_t ordinal)
{
	uint8_t buf[256];
	struct writer w = writer_of(buf, sizeof(buf));

	if (h->number.n > 0) {
		holder_key_of_id(key, h->id_kind, h->country, h->number);
		return;
	}
	write_u8(&w, 'N');
	write_short(&w, unit);
	write_short(&w, code);
	write_u8(&w, ordinal);
	key_of(key, &w);
}

static bool digits(struct slice s, size_t from, size_t n)
{
	if (s.n < from + n)
		return false;
	for (size_t i = from; i < from + n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* The forms of numbers that Vietnam gives; of others only the characters are known. Capitals, so
 * that a number has one spelling and one key. */
bool holder_number_fits(uint32_t id_kind, struct slice s)
{
	switch (id_kind) {
	case ID_CITIZEN:
		return s.n == 12 && digits(s, 0, 12);
	case ID_OLD_CITIZEN:
		return s.n == 9 && digits(s, 0, 9);
	case ID_ENTERPRISE:
	case ID_TAX:
		/* Since 2025 a household's or person's tax code is the personal number. */
		return (s.n == 10 && digits(s, 0, 10)) || (s.n == 12 && digits(s, 0, 12)) ||
		       (s.n == 14 && digits(s, 0, 10) && s.p[10] == '-' && digits(s, 11, 3));
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z'))
			return false;
	}
	return s.n > 0 && s.n <= HOLDER_NUMBER_BYTES_MAX;
}

bool country_fits(struct slice c)
{
	return c.n == 2 && c.p[0] >= 'A' && c.p[0] <= 'Z' && c.p[1] >= 'A' && c.p[1] <= 'Z';
}

bool holder_country_fits(uint32_t id_kind, struct slice country)
{
	return country_fits(country) && (id_kind == ID_PASSPORT || id_kind == ID_OTHER ||
					 memcmp(country.p, "VN", 2) == 0);
}
