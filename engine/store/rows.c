#include "store/rows.h"

#include <assert.h>

#include "share.h"

void locator_case(uint8_t key[16], struct slice unit, struct slice code)
{
	uint8_t buf[CODE_BYTES_MAX + CASE_CODE_BYTES_MAX + 8], digest[SHA256_BYTES];
	struct writer w = writer_of(buf, sizeof(buf));
	struct slice s;

	write_u8(&w, 'C');
	write_blob(&w, unit);
	write_bytes(&w, code.p, code.n);
	assert(!w.bad);
	s = writer_slice(&w);
	sha256_once(s.p, s.n, digest);
	memcpy(key, digest, 16);
}

void locator_replaced(uint8_t key[16], const uint8_t result_id[16])
{
	uint8_t buf[17] = { 'P' }, digest[SHA256_BYTES];

	memcpy(buf + 1, result_id, 16);
	sha256_once(buf, sizeof(buf), digest);
	memcpy(key, digest, 16);
}

bool locator_reused(uint8_t key[16], const struct result_event *v)
{
	uint8_t buf[PRINCIPAL_BYTES_MAX + CASE_CODE_BYTES_MAX + 16], digest[SHA256_BYTES];
	const uint8_t *line = memrchr(v->detail.p, '\n', v->detail.n);
	struct writer w = writer_of(buf, sizeof(buf));
	struct slice s;

	if (line == NULL)
		return false;
	write_u8(&w, 'U');
	write_u64(&w, v->sequence);
	write_blob(&w, v->actor);
	write_bytes(&w, line, (size_t)(v->detail.p + v->detail.n - line));
	s = writer_slice(&w);
	sha256_once(s.p, s.n, digest);
	memcpy(key, digest, 16);
	return !w.bad;
}

/* Once, even where two holders of a case are the same person. */
static void row(struct record_rows *out, enum row_table t, struct row_key key)
{
	for (uint32_t i = 0; i < out->n; i++)
		if (out->of[i].table == t && memcmp(&out->of[i].key, &key, sizeof(key)) == 0)
			return;
	assert(out->n < INDEX_ROWS_RECORD);
	out->of[out->n].table = t;
	out->of[out->n++].key = key;
}

static enum status number_row(struct record_rows *out, struct marks *m, struct slice unit,
			      struct slice code, uint32_t year, uint64_t number)
{
	uint32_t id;

	if (unit.n > CODE_BYTES_MAX || code.n > CODE_BYTES_MAX)
		return ST_CORRUPT;
	id = marks_raise(m, unit, code, year, number);
	if (id == 0)
		return ST_NOMEM;
	row(out, ROW_NUMBER, row_key_number(id, number));
	return ST_OK;
}

static enum status result_rows(struct record_rows *out, const struct frame_record *rec,
			       struct marks *m)
{
	struct stored_result r;
	const struct result_view *v = &r.view;
	enum status st = stored_result_decode(&r, rec->version, rec->payload);
	uint8_t key[16];

	if (st != ST_OK || v->unit.n > CODE_BYTES_MAX || v->kind.n > CODE_BYTES_MAX ||
	    v->case_code.n > CASE_CODE_BYTES_MAX)
		return ST_CORRUPT;
	out->sequence = v->sequence;
	counted_says(&out->says, v);
	out->counted_n = counted_result(out->counted, v, &out->says);
	row(out, ROW_RESULT, row_key_sequence(v->sequence));
	for (uint8_t i = 0; i < r.holdings_n; i++)
		row(out, ROW_HOLDING, row_key_bytes(r.holdings[i].key));
	locator_case(key, v->unit, v->case_code);
	row(out, ROW_LOCATOR, row_key_bytes(key));
	if (!id_is_zero(v->replaces)) {
		locator_replaced(key, v->replaces);
		row(out, ROW_LOCATOR, row_key_bytes(key));
	}
	return v->number == 0 ? ST_OK : number_row(out, m, v->unit, v->register_code,
						   v->register_year, v->number);
}

static enum status event_rows(struct record_rows *out, const struct frame_record *rec)
{
	struct result_event *ev = &out->event;
	enum status st = stored_event_decode(ev, rec->payload);
	bool reused = st == ST_OK && ev->kind == EVENT_REUSED;
	struct share share;
	uint8_t key[16];

	if (st == ST_OK && event_is_share(ev->kind))
		st = share_read(&share, NULL, ev->detail);
	if (st != ST_OK)
		return st;
	out->sequence = ev->sequence;
	row(out, ROW_EVENT, row_key_event(ev->sequence, event_is_share(ev->kind) ? ABOUT_SHARES :
					  ev->kind != EVENT_READ && !reused ? ABOUT_LIFE :
					  ABOUT_READS));
	if (!reused)
		return ST_OK;
	if (!locator_reused(key, ev))
		return ST_CORRUPT;
	row(out, ROW_LOCATOR, row_key_bytes(key));
	return ST_OK;
}

static enum status void_rows(struct record_rows *out, const struct frame_record *rec,
			     struct marks *m)
{
	struct void_entry v;
	enum status st = stored_void_decode(&v, rec->version, rec->payload);
	uint8_t key[16];

	if (st != ST_OK || v.unit.n > CODE_BYTES_MAX || v.kind.n > CODE_BYTES_MAX ||
	    v.case_code.n > CASE_CODE_BYTES_MAX)
		return ST_CORRUPT;
	out->sequence = v.sequence;
	out->counted_n = counted_void(out->counted, &v);
	/* Version 1 does not say enough of the result to be shown for it. */
	if (v.sequence != 0 && rec->version > 1)
		row(out, ROW_RESULT, row_key_sequence(v.sequence));
	if (v.sequence != 0 && v.case_code.n > 0) {
		locator_case(key, v.unit, v.case_code);
		row(out, ROW_LOCATOR, row_key_bytes(key));
	}
	return v.number == 0 ? ST_OK : number_row(out, m, v.unit, v.register_code, v.year,
						  v.number);
}

enum status rows_of(struct record_rows *out, const struct frame_record *rec, struct marks *m)
{
	struct holding_link l;
	struct reading_view seen;
	enum status st;

	*out = (struct record_rows){ 0 };
	switch (rec->type) {
	case STORED_RESULT:
		return result_rows(out, rec, m);
	case STORED_LINK:
		st = stored_link_decode(&l, rec->payload);
		if (st != ST_OK)
			return st;
		out->sequence = l.sequence;
		row(out, ROW_HOLDING, row_key_bytes(l.key));
		row(out, ROW_EVENT, row_key_event(l.sequence, ABOUT_HOLDERS));
		return ST_OK;
	case STORED_EVENT:
		return event_rows(out, rec);
	case STORED_READ:
		st = stored_reading_decode(&seen, rec->payload);
		if (st != ST_OK)
			return st;
		out->sequence = seen.stamp;
		row(out, ROW_READING, row_key_bytes(seen.holder));
		return ST_OK;
	case STORED_VOID:
		return void_rows(out, rec, m);
	default:
		return ST_CORRUPT;
	}
}
