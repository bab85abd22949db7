#include "spine/numbers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "spine/leftopen.h"
#include "spine/reads.h"
#include "spine/track.h"

#define RECORD_BYTES (3 * CODE_BYTES_MAX + REASON_TEXT_BYTES_MAX + PRINCIPAL_BYTES_MAX + 64)

/* ---- what is known of them without the store ---- */

static void number_key(uint8_t key[16], const struct record_numbers *r, uint64_t number)
{
	uint8_t text[2 * CODE_BYTES_MAX + 32], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, "ended");
	write_blob(&w, r->unit);
	write_blob(&w, r->code);
	write_u32(&w, r->year);
	write_u64(&w, number);
	sha256_once(text, writer_size(&w), hash);
	memcpy(key, hash, 16);
}

/* What the act says, whoever tells it and when. */
static void act_digest_of(uint8_t out[SHA256_BYTES], const struct record_numbers *r)
{
	uint8_t text[RECORD_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_u64(&w, r->first);
	write_u32(&w, r->count);
	write_u8(&w, r->outside);
	write_bytes(&w, r->reason.p, r->reason.n);
	sha256_once(text, writer_size(&w), out);
}

static enum status remember(struct spine *s, const struct record_numbers *r, uint64_t pos)
{
	struct keyentry k = { .issued_ms = r->at_ms };
	enum status st = ST_OK;

	act_digest_of(k.digest, r);
	for (uint32_t i = 0; i < r->count && st == ST_OK; i++) {
		k.number = r->first + i;
		number_key(k.key, r, k.number);
		st = keyindex_put(s->keys, &k, pos);
	}
	return st;
}

static enum status count(struct spine *s, const struct record_numbers *r)
{
	enum status st = ST_OK;

	if (!r->outside)
		register_voided(s->registers, r->unit, r->code, r->year);
	for (uint32_t i = 0; i < r->count && r->outside && st == ST_OK; i++)
		st = register_replay(s->registers, r->unit, r->code, r->year, r->first + i);
	return st;
}

/* ---- is it anybody's? ---- */

struct named { struct act *a; uint32_t room; bool full; };

/* Of that year by its own time; who has it is said by the result alone. */
static bool may_be(const struct keyentry *k, uint32_t year)
{
	return k->sequence != 0 && civil_vietnam(k->issued_ms).year == year;
}

static void name_keep(void *ctx, const struct keyentry *k)
{
	struct named *n = ctx;
	struct act *a = n->a;
	struct result_name *bigger = a->names;

	if (!may_be(k, a->year))
		return;
	if (a->names_n == n->room) {
		n->room = n->room == 0 ? 64 : 2 * n->room;
		bigger = realloc(a->names, n->room * sizeof(*bigger));
	}
	n->full |= bigger == NULL;
	if (n->full)
		return;
	a->names = bigger;
	a->names[a->names_n++] = (struct result_name){ k->lane, k->sequence };
}

bool numbers_find(struct spine *s, struct act *a)
{
	struct named n = { .a = a };

	a->names = NULL;
	a->names_n = 0;
	if (keyindex_numbered(s->keys, a->first, name_keep, &n) == ST_OK && !n.full)
		return true;
	free(a->names);
	a->names = NULL;
	refuse_act(a, ST_NOMEM, "no memory for this call");
	return false;
}

struct seeking {
	struct reads *r;
	struct slice unit, code;
	uint32_t year;
	uint64_t number;
	bool stored;
	enum status status;
};

static void seek_one(struct seeking *k, uint8_t lane, uint64_t sequence)
{
	struct result_view v;
	enum status st;

	if (k->stored || k->status != ST_OK)
		return;
	st = k->r->spine->store->ops->get(k->r->store, lane, sequence, &v);
	if (st == ST_OK)
		k->stored = v.number == k->number && v.register_year == k->year &&
			    slice_eq(v.unit, k->unit) && slice_eq(v.register_code, k->code);
	else if (st != ST_NOT_FOUND)
		k->status = st;
}

static void seek_entry(void *ctx, const struct keyentry *e)
{
	struct seeking *k = ctx;

	if (may_be(e, k->year))
		seek_one(k, e->lane, e->sequence);
}

enum status numbers_stored(void *reader, struct slice unit, struct slice code, uint32_t year,
			   uint64_t number, const struct result_name *names, uint32_t names_n,
			   bool *stored)
{
	struct reads *r = reader;
	struct seeking k = { .r = r, .unit = unit, .code = code, .year = year, .number = number };
	struct error e = { 0 };
	char dir[4096];
	enum status st;

	for (uint32_t i = 0; i < names_n; i++)
		seek_one(&k, names[i].lane, names[i].sequence);
	snprintf(dir, sizeof(dir), "%s/keys-index", r->spine->config->data);
	st = keyruns_numbered(dir, number, seek_entry, &k, &e);
	if (st != ST_OK)
		log_error("register", "who has number %llu? %s", (unsigned long long)number,
			  e.text);
	*stored = k.stored;
	return st == ST_OK ? k.status : st;
}

/* ---- the acts ---- */

static void refuse_at(struct act *a, enum status st, const char *vi, const char *what,
		      uint64_t number)
{
	char both[2][ACT_VI_BYTES];

	snprintf(both[0], sizeof(both[0]), "%s %llu", vi, (unsigned long long)number);
	snprintf(both[1], sizeof(both[1]), "%s %llu", what, (unsigned long long)number);
	refuse_both(a, st, both[0], both[1]);
}

/* The paper's numbers are the next ones: no other order is one of time. */
static bool may_use(struct act *a, const struct register_row *row, uint32_t year_now)
{
	if (row->closed)
		refuse_both(a, ST_PRECONDITION, "Sổ của năm này đã khóa",
			    "the register is closed for this year");
	else if (a->count == 0 || a->count > NUMBERS_TOGETHER_MAX)
		refuse_both(a, ST_INVALID, "Mỗi lần từ 1 đến 200 số", "1 to 200 numbers at once");
	else if (a->first < row->next)
		refuse_at(a, ST_EXISTS, "Số này đã cấp; số tiếp theo của sổ là",
			  "it was given before; the register's next number is", row->next);
	else if (a->first > row->next || row->next >= (uint64_t)INT64_MAX - a->count)
		refuse_at(a, ST_PRECONDITION, "Số tiếp theo của sổ là",
			  "the register's next number is", row->next);
	else if (a->year > year_now || a->year + 1 < year_now)
		refuse_both(a, ST_PRECONDITION, "Chỉ với sổ năm nay hoặc năm trước",
			    "only of this year's book, or of last year's");
	else
		return true;
	return false;
}

static bool may_void(struct act *a, const struct register_row *row)
{
	a->count = 1;
	if (a->first < row->first || a->first >= row->next)
		refuse_at(a, ST_PRECONDITION, "Sổ chưa cấp số này; số tiếp theo của sổ là",
			  "the register did not give it; its next number is", row->next);
	else if (row->totalled)
		refuse_both(a, ST_PRECONDITION, "Sổ đã khóa và cộng tổng",
			    "the register is closed with its total");
	else
		return true;
	return false;
}

/* Once more, as it was. false: the numbers have another end, or none. */
static bool told_before(struct spine *s, struct act *a, struct record_numbers *r)
{
	uint8_t key[16], digest[SHA256_BYTES], bytes[RECORD_BYTES];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct keyentry k;

	number_key(key, r, r->first);
	if (!key_known(s, key, &k))
		return false;
	act_digest_of(digest, r);
	if (memcmp(k.digest, digest, sizeof(digest)) != 0) {
		refuse_at(a, ST_EXISTS, "Trước đây đã khai khác về số",
			  "its end was told before, otherwise: number", r->first);
		return true;
	}
	r->at_ms = k.issued_ms;
	if (record_numbers_encode(r, &w) != ST_OK)
		refuse_both(a, ST_INVALID, "Mỗi lần từ 1 đến 200 số", "1 to 200 numbers at once");
	else
		act_tell(s, a, JOB_NUMBERS, writer_slice(&w), NO_TRACK);
	return true;
}

static void take(struct spine *s, struct act *a, const struct record_numbers *r)
{
	uint8_t bytes[RECORD_BYTES];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint64_t pos, track = NO_TRACK;

	if (record_numbers_encode(r, &w) != ST_OK) {
		refuse_both(a, ST_TOO_LARGE, "Lý do quá dài", "the reason is too long");
		return;
	}
	if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN ||
	    !append_record(s, RECORD_NUMBERS, writer_slice(&w), &pos)) {
		refuse_both(a, ST_FULL, "Nhật ký đang đầy; hãy gọi lại",
			    "the journal is full just now; call again");
		return;
	}
	if (count(s, r) != ST_OK || remember(s, r, pos) != ST_OK ||
	    track_open(s->track, pos, &track) != ST_OK)
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
	register_find(s->registers, r->unit, r->code, r->year, a->registers);
	log_info("register", "%.*s %.*s %u: %llu to %llu %s by %.*s", (int)r->unit.n,
		 (const char *)r->unit.p, (int)r->code.n, (const char *)r->code.p, r->year,
		 (unsigned long long)r->first, (unsigned long long)(r->first + r->count - 1),
		 r->outside ? "used outside" : "void", (int)r->actor.n, (const char *)r->actor.p);
	act_tell(s, a, JOB_NUMBERS, writer_slice(&w), track);
}

void numbers_act(struct spine *s, struct act *a)
{
	uint32_t year_now = civil_vietnam(io_wall_ms()).year;
	struct register_row *row = a->registers;
	bool outside = a->type == ACT_NUMBERS_USE;
	struct record_numbers r = { .unit = a->unit, .code = a->code, .reason = a->reason,
				    .actor = a->actor, .first = a->first, .outside = outside,
				    .at_ms = io_wall_ms() };

	if (a->year == 0)
		a->year = year_now;
	r.year = a->year;
	r.count = outside ? a->count : 1;
	if (!register_find(s->registers, a->unit, a->code, a->year, row))
		refuse_both(a, ST_NOT_FOUND, "Sổ chưa được mở cho năm này",
			    "the register is not open for this year");
	else if (told_before(s, a, &r))
		return;
	else if (!s->numbering)
		refuse_both(a, ST_UNAVAILABLE, "Máy chủ đang tạm dừng cấp số",
			    "the engine does not number just now");
	else if (outside ? may_use(a, row, year_now) : may_void(a, row))
		take(s, a, &r);
}

/* ---- the janitor, and recovery ---- */

enum status numbers_project(struct spine *s, struct slice payload, struct error *e)
{
	struct record_numbers r;
	enum status st = record_numbers_decode(&r, payload);

	if (st != ST_OK)
		return error_set(e, st, "the record of numbers without a result cannot be read");
	for (uint32_t i = 0; i < r.count && st == ST_OK; i++) {
		const struct void_entry v = { .unit = r.unit, .register_code = r.code,
					      .year = r.year, .number = r.first + i,
					      .at_ms = r.at_ms, .reason = r.reason,
					      .actor = r.actor, .used_outside = r.outside };

		st = s->store->ops->void_number(s->store, &v, e);
	}
	return st;
}

enum status numbers_replay(struct replay *r, uint64_t pos, struct slice payload)
{
	struct record_numbers rec;
	enum status st = record_numbers_decode(&rec, payload);

	if (st == ST_OK && pos >= r->snapshot_pos)
		st = count(r->s, &rec);
	if (st == ST_OK && pos >= r->covered)
		st = remember(r->s, &rec, pos);
	return st == ST_OK ? leftopen_act(r, pos, RECORD_NUMBERS, payload) : st;
}
