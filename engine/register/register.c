#include "register/register.h"

#include <assert.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/hash.h"

#define MAGIC 0x47455254u		/* "TREG" */
#define FORMAT_VERSION 3u		/* 1 and 2 are read, too */
#define SLOTS_MIN 64u
/* A row as saved: two blobs, year, four numbers, how it is closed. */
#define ROW_BYTES_MIN (4u + 4 + 4 + 4 * 8 + 1)
#define ACT_BYTES_MIN (8u + 4 + 4)	/* when, two blobs */
#define TOTAL_BYTES (1u + 3 * 8)
#define NO_ACT ((struct register_act){ 0, "", "" })
#define FIXED_BYTES (4u + 4 + 4 + 4)

struct registers {
	struct register_row *rows;	/* in the order they were opened */
	uint32_t rows_n, rows_room;
	uint32_t year_min;		/* of all rows; 0: none yet */
	uint32_t *slots;		/* open addressing: index + 1, 0 = empty */
	uint32_t mask;
	struct text *texts;
};

/* Who did an act, or why. None is ever dropped: rows that were handed out borrow from them. */
struct text {
	struct text *next;
	char s[];
};

static uint32_t hash_of(struct slice unit, struct slice code, uint32_t year)
{
	return crc32c(crc32c(crc32c(year, unit.p, unit.n), "", 1), code.p, code.n);
}

static uint32_t row_hash(const struct register_row *row)
{
	return hash_of(slice_str(row->unit), slice_str(row->code), row->year);
}

static enum status slots_size(struct registers *r, uint32_t size)
{
	uint32_t *slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < r->rows_n; i++) {
		uint32_t at = row_hash(&r->rows[i]) & (size - 1);

		while (slots[at] != 0)
			at = (at + 1) & (size - 1);
		slots[at] = i + 1;
	}
	free(r->slots);
	r->slots = slots;
	r->mask = size - 1;
	return ST_OK;
}

enum status registers_new(struct registers **out)
{
	struct registers *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ST_NOMEM;
	if (slots_size(r, SLOTS_MIN) != ST_OK) {
		free(r);
		return ST_NOMEM;
	}
	*out = r;
	return ST_OK;
}

void registers_free(struct registers *r)
{
	if (r == NULL)
		return;
	while (r->texts != NULL) {
		struct text *next = r->texts->next;

		free(r->texts);
		r->texts = next;
	}
	free(r->rows);
	free(r->slots);
	free(r);
}

static struct register_row *row_find(const struct registers *r, struct slice unit,
				     struct slice code, uint32_t year)
{
	uint32_t at = hash_of(unit, code, year) & r->mask;

	for (; r->slots[at] != 0; at = (at + 1) & r->mask) {
		struct register_row *row = &r->rows[r->slots[at] - 1];

		if (row->year == year && slice_eq(slice_str(row->unit), unit) &&
		    slice_eq(slice_str(row->code), code))
			return row;
	}
	return NULL;
}

static enum status row_add(struct registers *r, const struct register_row *row)
{
	if (r->rows_n == r->rows_room) {
		uint32_t room = r->rows_room == 0 ? 64 : 2 * r->rows_room;
		struct register_row *bigger = realloc(r->rows, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		r->rows = bigger;
		r->rows_room = room;
	}
	if (r->year_min == 0 || row->year < r->year_min)
		r->year_min = row->year;
	r->rows[r->rows_n++] = *row;
	/* At most half full. */
	if (2 * r->rows_n > r->mask) {
		enum status st = slots_size(r, 2 * (r->mask + 1));

		r->rows_n -= st != ST_OK;
		return st;
	}
	for (uint32_t at = row_hash(row) & r->mask;; at = (at + 1) & r->mask) {
		if (r->slots[at] == 0) {
			r->slots[at] = r->rows_n;
			return ST_OK;
		}
	}
}

static bool code_fits(struct slice s)
{
	return s.n > 0 && s.n <= CODE_BYTES_MAX && memchr(s.p, 0, s.n) == NULL;
}

/* ---- giving numbers ---- */

enum status register_open(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			  uint64_t first)
{
	struct register_row row = { .year = year, .first = first, .next = first,
				    .opened = NO_ACT, .last = NO_ACT };

	if (first == 0 || first == UINT64_MAX || !code_fits(unit) || !code_fits(code))
		return ST_INVALID;
	if (row_find(r, unit, code, year) != NULL)
		return ST_EXISTS;
	memcpy(row.unit, unit.p, unit.n);
	memcpy(row.code, code.p, code.n);
	return row_add(r, &row);
}

enum status register_close(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			   bool goes_on)
{
	struct register_row *row = row_find(r, unit, code, year);

	if (row == NULL)
		return ST_NOT_FOUND;
	/* What somebody ended does not go on because it gets its total later. */
	if (!row->closed)
		row->goes_on = goes_on;
	row->closed = true;
	return ST_OK;
}

static const char *text_keep(struct registers *r, struct slice s)
{
	struct text *t = malloc(sizeof(*t) + s.n + 1);

	if (t == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(t->s, s.p, s.n);
	t->s[s.n] = '\0';
	t->next = r->texts;
	r->texts = t;
	return t->s;
}

enum status register_note(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			  bool closed, int64_t at_ms, struct slice actor, struct slice reason)
{
	struct register_row *row = row_find(r, unit, code, year);
	struct register_act act = { .at_ms = at_ms };

	if (row == NULL)
		return ST_NOT_FOUND;
	act.actor = text_keep(r, actor);
	act.reason = text_keep(r, reason);
	if (act.actor == NULL || act.reason == NULL)
		return ST_NOMEM;
	*(closed ? &row->last : &row->opened) = act;
	return ST_OK;
}

static bool adds_up(const struct register_row *row, const struct register_total *t)
{
	return t->voided == row->voided && t->issued <= row->given && t->outside <= row->given &&
	       t->issued + t->voided + t->outside == row->given;
}

enum status register_total(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			   const struct register_total *total)
{
	struct register_row *row = row_find(r, unit, code, year);

	if (row == NULL)
		return ST_NOT_FOUND;
	if (!row->closed || !adds_up(row, total))
		return ST_PRECONDITION;
	row->total = *total;
	row->totalled = true;
	return ST_OK;
}

/*
 * Does the series go on into that year by itself? Its newest year before may be long ago: an office
 * may issue nothing of a kind for a whole year, and its book may be closed by then.
 */
static bool turns(const struct registers *r, struct slice unit, struct slice code, uint32_t year)
{
	const struct register_row *row = NULL;

	for (uint32_t y = year; row == NULL && y > r->year_min; y--)
		row = row_find(r, unit, code, y - 1);
	return row != NULL && (!row->closed || row->goes_on);
}

enum status register_gives(const struct registers *r, struct slice unit, struct slice code,
			   uint32_t year)
{
	const struct register_row *row = row_find(r, unit, code, year);

	if (row == NULL)
		return turns(r, unit, code, year) ? ST_OK : ST_NOT_FOUND;
	return row->closed || row->next == UINT64_MAX ? ST_PRECONDITION : ST_OK;
}

enum status register_take(struct registers *r, struct slice unit, struct slice code, uint32_t year,
			  uint64_t *number, bool *year_turn)
{
	struct register_row *row = row_find(r, unit, code, year);
	enum status st = register_gives(r, unit, code, year);

	*year_turn = row == NULL && st == ST_OK;
	if (row == NULL || st != ST_OK)
		return row == NULL ? ST_NOT_FOUND : st;
	*number = row->next++;
	row->given++;
	return ST_OK;
}

void register_untake(struct registers *r, struct slice unit, struct slice code, uint32_t year,
		     uint64_t number)
{
	struct register_row *row = row_find(r, unit, code, year);

	/* Any other one would leave a gap. */
	assert(row != NULL && row->given > 0 && row->next == number + 1);
	row->next--;
	row->given--;
}

enum status register_replay(struct registers *r, struct slice unit, struct slice code,
			    uint32_t year, uint64_t number)
{
	struct register_row *row = row_find(r, unit, code, year);

	if (row == NULL || number < row->first || number > row->next)
		return ST_DAMAGED;
	if (number == row->next) {
		row->next++;
		row->given++;
	}
	return ST_OK;
}

void register_voided(struct registers *r, struct slice unit, struct slice code, uint32_t year)
{
	struct register_row *row = row_find(r, unit, code, year);

	/* A number that the case gave may belong to a register that is not counted here. */
	if (row != NULL)
		row->voided++;
}

bool register_at(const struct registers *r, uint32_t index, struct register_row *out)
{
	if (index >= r->rows_n)
		return false;
	*out = r->rows[index];
	return true;
}

bool register_find(const struct registers *r, struct slice unit, struct slice code, uint32_t year,
		   struct register_row *out)
{
	const struct register_row *row = row_find(r, unit, code, year);

	if (row != NULL)
		*out = *row;
	return row != NULL;
}

/* Version 2 says only whether. */
enum { SAVED_OPEN, SAVED_CLOSED, SAVED_GOES_ON };

/* ---- snapshot: magic u32, version u32, rows u32, rows, CRC-32C of all before u32 ---- */

static size_t act_bytes(const struct register_act *a)
{
	return ACT_BYTES_MIN + strlen(a->actor) + strlen(a->reason);
}

static void act_write(struct writer *w, const struct register_act *a)
{
	write_u64(w, (uint64_t)a->at_ms);
	write_blob(w, slice_str(a->actor));
	write_blob(w, slice_str(a->reason));
}

static size_t row_bytes(const struct register_row *row)
{
	return ROW_BYTES_MIN + strlen(row->unit) + strlen(row->code) + act_bytes(&row->opened) +
	       act_bytes(&row->last) + TOTAL_BYTES;
}

static void row_write(struct writer *w, const struct register_row *row)
{
	write_blob(w, slice_str(row->unit));
	write_blob(w, slice_str(row->code));
	write_u32(w, row->year);
	write_u64(w, row->first);
	write_u64(w, row->next);
	write_u64(w, row->given);
	write_u64(w, row->voided);
	write_u8(w, row->goes_on ? SAVED_GOES_ON : row->closed ? SAVED_CLOSED : SAVED_OPEN);
	act_write(w, &row->opened);
	act_write(w, &row->last);
	write_u8(w, row->totalled);
	write_u64(w, row->total.issued);
	write_u64(w, row->total.voided);
	write_u64(w, row->total.outside);
}

enum status registers_save(const struct registers *r, uint8_t **bytes, size_t *n)
{
	size_t size = FIXED_BYTES;
	struct writer w;
	uint8_t *buf;

	for (uint32_t i = 0; i < r->rows_n; i++)
		size += row_bytes(&r->rows[i]);
	buf = malloc(size);
	if (buf == NULL)
		return ST_NOMEM;
	w = writer_of(buf, size);
	write_u32(&w, MAGIC);
	write_u32(&w, FORMAT_VERSION);
	write_u32(&w, r->rows_n);
	for (uint32_t i = 0; i < r->rows_n; i++)
		row_write(&w, &r->rows[i]);
	write_u32(&w, crc32c(0, buf, writer_size(&w)));
	assert(!w.bad);
	*bytes = buf;
	*n = writer_size(&w);
	return ST_OK;
}

struct act_read { int64_t at_ms; struct slice actor, reason; };

static struct act_read act_read(struct reader *in)
{
	struct act_read a = { .at_ms = (int64_t)read_u64(in) };

	a.actor = read_blob(in);
	a.reason = read_blob(in);
	return a;
}

static bool flag_read(struct reader *in)
{
	uint8_t v = read_u8(in);

	in->bad |= v > 1;
	return v == 1;
}

static void closed_read(struct reader *in, uint32_t version, struct register_row *row)
{
	uint8_t v = read_u8(in);

	in->bad |= v > (version > 2 ? SAVED_GOES_ON : SAVED_CLOSED);
	row->closed = v != SAVED_OPEN;
	row->goes_on = v == SAVED_GOES_ON;
}

/* What version 2 has behind the row. */
static void later_read(struct reader *in, struct register_row *row, struct act_read acts[2])
{
	acts[0] = act_read(in);
	acts[1] = act_read(in);
	row->totalled = flag_read(in);
	row->total.issued = read_u64(in);
	row->total.voided = read_u64(in);
	row->total.outside = read_u64(in);
}

static enum status row_read(struct registers *r, struct reader *in, uint32_t version)
{
	struct slice unit = read_blob(in), code = read_blob(in);
	struct register_row row = { .year = read_u32(in), .opened = NO_ACT, .last = NO_ACT };
	struct act_read acts[2] = { 0 };
	enum status st;

	row.first = read_u64(in);
	row.next = read_u64(in);
	row.given = read_u64(in);
	row.voided = read_u64(in);
	closed_read(in, version, &row);
	if (version > 1)
		later_read(in, &row, acts);
	if (version == 2)
		row.goes_on = row.totalled && civil_vietnam(acts[1].at_ms).year > row.year;
	if (in->bad || !code_fits(unit) || !code_fits(code) || row.first == 0 ||
	    row.next < row.first || row.given != row.next - row.first ||
	    (row.totalled && (!row.closed || !adds_up(&row, &row.total))) ||
	    row_find(r, unit, code, row.year) != NULL)
		return ST_DAMAGED;
	memcpy(row.unit, unit.p, unit.n);
	memcpy(row.code, code.p, code.n);
	st = row_add(r, &row);
	for (int i = 0; i < 2 && st == ST_OK; i++)
		if (acts[i].at_ms != 0)
			st = register_note(r, unit, code, row.year, i == 1, acts[i].at_ms,
					   acts[i].actor, acts[i].reason);
	return st;
}

static enum status rows_read(struct registers *r, struct reader *in, uint32_t version,
			     uint32_t rows_n)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; i < rows_n && st == ST_OK; i++)
		st = row_read(r, in, version);
	return st == ST_OK && reader_left(in) != 0 ? ST_DAMAGED : st;
}

enum status registers_load(struct registers *r, struct slice bytes, struct error *e)
{
	size_t n = bytes.n >= FIXED_BYTES ? bytes.n - 4 : 0;
	struct reader in = reader_of(slice_of(bytes.p, n));
	struct reader tail = reader_of(slice_of(bytes.p + n, bytes.n - n));
	uint32_t magic = read_u32(&in), version = read_u32(&in), rows_n = read_u32(&in);
	struct registers *loaded, old;
	enum status st;

	if (in.bad || magic != MAGIC || read_u32(&tail) != crc32c(0, bytes.p, n))
		return error_set(e, ST_CORRUPT, "registers: the snapshot fails its checksum");
	if (version == 0 || version > FORMAT_VERSION)
		return error_set(e, ST_UNSUPPORTED,
				 "registers: snapshot version %u is unknown to this "
				 "version; start the version that wrote it",
				 version);
	st = registers_new(&loaded);
	if (st == ST_OK) {
		st = rows_read(loaded, &in, version, rows_n);
		if (st == ST_OK) {
			old = *r;
			*r = *loaded;
			*loaded = old;
		}
		registers_free(loaded);
	}
	if (st == ST_OK)
		return ST_OK;
	return error_set(e, st, st == ST_NOMEM ? "registers: no memory for the snapshot" :
					      "registers: the snapshot contradicts itself");
}
