#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "io/io.h"
#include "store/embedded.h"

#define EVENTS_MAX 64			/* of one life, from the newest */
/* A view's strings: five of at most 255 bytes, and the subjects. */
#define TEXT_BYTES (5 * 256 + DOC_SIGNATURES_MAX * 512)

enum status reader_new(struct embedded *s, struct store_reader **out, struct error *e)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	enum status st;

	if (r == NULL)
		return ST_NOMEM;
	r->home = s;
	logreader_init(&r->log, s->dir, s->log.segment_bytes);
	r->hash = sha256_new();
	st = r->hash == NULL ? ST_NOMEM : index_reader_open(&r->index, s->index, e);
	if (st != ST_OK) {
		embedded_reader_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

enum status embedded_reader_open(struct store *store, struct store_reader **r, struct error *e)
{
	return reader_new((struct embedded *)store, r, e);
}

void embedded_reader_close(struct store_reader *r)
{
	if (r == NULL)
		return;
	opened_free(&r->files);
	index_reader_close(r->index);
	logreader_close(&r->log);
	sha256_free(r->hash);
	free(r->record.p);
	free(r->other.p);
	free(r->body.p);
	free(r->text);
	free(r->hits);
	free(r);
}

static bool hits_room(struct store_reader *r, uint32_t n)
{
	struct row_hit *bigger;

	if (n <= r->hits_n)
		return true;
	bigger = realloc(r->hits, n * sizeof(*bigger));
	if (bigger == NULL)
		return false;
	r->hits = bigger;
	r->hits_n = n;
	return true;
}

/* ---- records ---- */

/* The record at a position, if it is a RESULT or a result's VOID; in r->result. */
static enum status known_at(struct store_reader *r, uint64_t position)
{
	struct frame_record rec;
	struct void_entry gone;
	enum status st = logreader_get(&r->log, position, 0, &r->record, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type == STORED_RESULT)
		return stored_result_decode(&r->result, rec.version, rec.payload);
	if (rec.type != STORED_VOID)
		return ST_CORRUPT;
	st = stored_void_decode(&gone, rec.version, rec.payload);
	r->result = (struct stored_result){ 0 };
	stored_void_view(&gone, &r->result.view);
	return st;
}

enum status reader_known(struct store_reader *r, uint8_t lane, uint64_t sequence)
{
	struct row_hit hit;
	uint32_t n = 0;
	enum status st = index_find(r->index, ROW_RESULT, row_key_sequence(sequence), 0, 1, &hit,
				    &n);

	if (st != ST_OK)
		return st;
	if (n == 0)
		return ST_NOT_FOUND;
	st = known_at(r, hit.position);
	if (st == ST_OK && r->result.view.sequence != sequence)
		return ST_CORRUPT;
	return st == ST_OK && r->result.view.lane != lane ? ST_NOT_FOUND : st;
}

enum status reader_result(struct store_reader *r, uint8_t lane, uint64_t sequence)
{
	enum status st = reader_known(r, lane, sequence);

	return st == ST_OK && r->result.view.state != STATE_STORED ? ST_NOT_FOUND : st;
}

/* ---- life ---- */

static enum status events_read(struct store_reader *r, struct result_view *v)
{
	struct row_hit hits[EVENTS_MAX];
	uint32_t n = 0;
	enum status st = index_find(r->index, ROW_EVENT, row_key_event(v->sequence, true), 0,
				    EVENTS_MAX, hits, &n);

	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		struct frame_record rec;
		struct result_event ev;

		st = logreader_get(&r->log, hits[i].position, 0, &r->other, &rec);
		if (st != ST_OK || rec.type != STORED_EVENT)
			continue;
		st = stored_event_decode(&ev, rec.payload);
		if (st == ST_OK && ev.sequence != v->sequence)
			st = ST_CORRUPT;
		if (st == ST_OK)
			stored_live(v, ev.kind);
	}
	return st;
}

static enum status replaced_by(struct store_reader *r, struct result_view *v)
{
	struct stored_result newer;
	struct frame_record rec;
	struct row_hit hit;
	uint8_t key[16];
	uint32_t n = 0;
	enum status st;

	locator_replaced(key, v->result_id);
	st = index_find(r->index, ROW_LOCATOR, row_key_bytes(key), 0, 1, &hit, &n);
	if (st != ST_OK || n == 0)
		return st;
	st = logreader_get(&r->log, hit.position, 0, &r->other, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type != STORED_RESULT ||
	    stored_result_decode(&newer, rec.version, rec.payload) != ST_OK ||
	    memcmp(newer.view.replaces, v->result_id, sizeof(v->result_id)) != 0)
		return ST_CORRUPT;
	memcpy(v->replaced_by, newer.view.result_id, sizeof(v->replaced_by));
	stored_live(v, LIFE_REPLACED);
	return ST_OK;
}

static enum status life_read(struct store_reader *r, struct result_view *v)
{
	enum status st;

	if (v->valid_until != 0 && day_vietnam(io_wall_ms()) > v->valid_until)
		stored_live(v, LIFE_EXPIRED);
	st = replaced_by(r, v);
	return st == ST_OK ? events_read(r, v) : st;
}

enum status embedded_get(struct store_reader *r, uint8_t lane, uint64_t sequence,
			 struct result_view *out)
{
	enum status st = reader_known(r, lane, sequence);

	if (st == ST_OK && r->result.view.state == STATE_STORED)
		st = life_read(r, &r->result.view);
	if (st == ST_OK)
		*out = r->result.view;
	return st;
}

/* ---- the file ---- */

static enum status layer_append(struct store_reader *r, const struct stored_part *p, uint8_t *to,
				size_t room, size_t *n)
{
	struct layer_entry known;
	struct stored_layer l;
	struct frame_record rec;
	enum status st;

	if (!layers_get(&r->home->layers, p->layer, &known))
		return ST_CORRUPT;
	st = logreader_get(&r->log, known.position, known.size + FRAME_RECORD_BYTES + 36ull,
			   &r->other, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type != STORED_LAYER || stored_layer_decode(&l, rec.payload) != ST_OK ||
	    l.id != p->layer)
		return ST_CORRUPT;
	*n = p->size != 0 ? p->size : l.bytes.n;
	if (p->offset > l.bytes.n || *n > l.bytes.n - p->offset || *n > room)
		return ST_CORRUPT;
	memcpy(to, l.bytes.p + p->offset, *n);
	return ST_OK;
}

enum status embedded_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			    struct slice *out)
{
	struct layer_entry known;
	struct stored_layer l;
	struct frame_record rec;
	uint8_t digest[SHA256_BYTES];
	enum status st;

	if (!layers_get(&r->home->layers, layers_find(&r->home->layers, sha256), &known))
		return ST_NOT_FOUND;
	st = logreader_get(&r->log, known.position, known.size + FRAME_RECORD_BYTES + 36ull,
			   &r->other, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type != STORED_LAYER || stored_layer_decode(&l, rec.payload) != ST_OK)
		return ST_CORRUPT;
	sha256_once(l.bytes.p, l.bytes.n, digest);
	*out = l.bytes;
	return memcmp(digest, sha256, sizeof(digest)) == 0 ? ST_OK : ST_CORRUPT;
}

static enum status body_read(struct store_reader *r, struct slice *body)
{
	const struct stored_result *s = &r->result;
	struct frame_record rec;
	uint64_t sequence;
	enum status st = logreader_get(&r->log, s->body_position,
				       s->body_size + FRAME_RECORD_BYTES + 8ull, &r->body, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type != STORED_BODY || stored_body_decode(&sequence, body, rec.payload) != ST_OK ||
	    sequence != s->view.sequence || body->n != s->body_size)
		return ST_CORRUPT;
	return ST_OK;
}

static enum status assemble(struct store_reader *r, uint8_t *to, size_t size)
{
	const struct stored_result *s = &r->result;
	struct slice body;
	size_t at = 0;
	enum status st = body_read(r, &body);

	for (uint8_t i = 0; i < s->parts_n && st == ST_OK; i++) {
		const struct stored_part *p = &s->parts[i];
		size_t n = p->size;

		if (p->layer != 0)
			st = layer_append(r, p, to + at, size - at, &n);
		else
			st = stored_part_copy(p, body, to + at, size - at);
		at += n;
	}
	return st == ST_OK && at != size ? ST_CORRUPT : st;
}

enum status reader_file(struct store_reader *r, uint8_t **bytes, size_t *room)
{
	const struct result_view *v = &r->result.view;
	enum status st;

	if (v->file_size > SIZE_MAX / 2)
		return ST_CORRUPT;
	if (!opened_room(bytes, room, v->file_size))
		return ST_NOMEM;
	st = assemble(r, *bytes, v->file_size);
	if (st != ST_OK)
		return st;
	return file_is(v, *bytes, r->hash) ? ST_OK : ST_CORRUPT;
}

enum status embedded_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
			  uint8_t *buf, size_t *n)
{
	struct opened *f = opened_find(&r->files, sequence);
	enum status st = ST_OK;

	if (f == NULL || offset == 0) {
		st = reader_result(r, lane, sequence);
		if (st != ST_OK)
			return st;
		f = opened_place(&r->files, sequence);
		st = reader_file(r, &f->bytes, &f->room);
		if (st == ST_OK)
			opened_keep(f, &r->result.view);
	}
	if (st == ST_OK)
		opened_read(&r->files, f, offset, buf, n);
	return st;
}

/* ---- lists ---- */

static struct slice text_keep(struct writer *w, struct slice s)
{
	struct slice kept = { w->p, s.n };

	write_bytes(w, s.p, s.n);
	return kept;
}

/* The record's buffer is used again for the next row: strings move to this row's room. */
static void view_keep(struct store_reader *r, uint32_t row, struct result_view *out)
{
	struct writer w = writer_of(r->text + (size_t)row * TEXT_BYTES, TEXT_BYTES);

	*out = r->result.view;
	out->unit = text_keep(&w, out->unit);
	out->kind = text_keep(&w, out->kind);
	out->case_code = text_keep(&w, out->case_code);
	out->register_code = text_keep(&w, out->register_code);
	out->number_text = text_keep(&w, out->number_text);
	for (uint8_t i = 0; i < out->signatures_n; i++)
		out->signatures[i].subject = text_keep(&w, out->signatures[i].subject);
	out->case_bytes = (struct slice){ NULL, 0 };
	assert(!w.bad);
}

static enum status link_holding(struct store_reader *r, const struct frame_record *rec,
				const uint8_t key[16], struct holding_view *out)
{
	struct holding_link l;
	enum status st = stored_link_decode(&l, rec->payload);

	if (st != ST_OK || memcmp(l.key, key, sizeof(l.key)) != 0)
		return ST_CORRUPT;
	out->role = l.holder.role;
	out->from = l.holder.from;
	out->to = l.holder.to;
	out->visibility = l.holder.visibility;
	st = reader_result(r, l.lane, l.sequence);
	return st == ST_NOT_FOUND ? ST_CORRUPT : st;
}

static enum status own_holding(struct store_reader *r, const struct frame_record *rec,
			       const uint8_t key[16], struct holding_view *out)
{
	enum status st = stored_result_decode(&r->result, rec->version, rec->payload);

	for (uint8_t i = 0; st == ST_OK && i < r->result.holdings_n; i++) {
		const struct stored_holding *h = &r->result.holdings[i];

		if (memcmp(h->key, key, sizeof(h->key)) != 0)
			continue;
		out->role = h->role;
		out->from = h->from;
		out->to = h->to;
		out->visibility = h->visibility;
		return ST_OK;
	}
	return ST_CORRUPT;
}

/* One row of a list: the index says where, the record must say the same. */
static enum status holding_at(struct store_reader *r, const struct row_hit *hit,
			      const uint8_t key[16], uint32_t row, struct holding_view *out)
{
	struct frame_record rec;
	enum status st = logreader_get(&r->log, hit->position, 0, &r->record, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type == STORED_LINK)
		st = link_holding(r, &rec, key, out);
	else
		st = rec.type == STORED_RESULT ? own_holding(r, &rec, key, out) : ST_CORRUPT;
	if (st == ST_OK && r->result.view.sequence != hit->sequence)
		st = ST_CORRUPT;
	if (st == ST_OK)
		st = life_read(r, &r->result.view);
	if (st == ST_OK)
		view_keep(r, row, &out->result);
	return st;
}

static bool text_room(struct store_reader *r, uint32_t rows)
{
	uint8_t *bigger;

	if (rows <= r->text_rows)
		return true;
	bigger = realloc(r->text, (size_t)rows * TEXT_BYTES);
	if (bigger == NULL)
		return false;
	r->text = bigger;
	r->text_rows = rows;
	return true;
}

enum status embedded_list(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
			  uint32_t max, struct holding_view *out, uint32_t *n)
{
	uint32_t got;

	*n = 0;
	if (!text_room(r, max) || !hits_room(r, max))
		return ST_NOMEM;
	while (*n < max) {
		enum status st = index_find(r->index, ROW_HOLDING, row_key_bytes(holder_key),
					    before, max - *n, r->hits, &got);

		if (st != ST_OK || got == 0)
			return st;
		for (uint32_t i = 0; i < got; i++) {
			st = holding_at(r, &r->hits[i], holder_key, *n, &out[*n]);
			if (st == ST_OK)
				(*n)++;
			else if (status_class(st) != CLASS_REJECT)
				return st;
			else	/* One damaged record does not hide a person's other papers. */
				log_error("store",
					  "damaged: record at %llu of a holder's list; run fsck",
					  (unsigned long long)r->hits[i].position);
		}
		before = r->hits[got - 1].sequence;
		if (before == 0)
			break;
	}
	return ST_OK;
}

/* ---- locators ---- */

enum status embedded_find_case(struct store_reader *r, struct slice unit, struct slice code,
			       uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n)
{
	uint8_t key[16];
	uint32_t got = 0;
	enum status st;

	*n = 0;
	if (unit.n > CODE_BYTES_MAX || code.n > CASE_CODE_BYTES_MAX)
		return ST_NOT_FOUND;
	if (!hits_room(r, max))
		return ST_NOMEM;
	locator_case(key, unit, code);
	st = index_find(r->index, ROW_LOCATOR, row_key_bytes(key), 0, max, r->hits, &got);
	for (uint32_t i = 0; i < got && st == ST_OK; i++) {
		st = known_at(r, r->hits[i].position);
		if (st == ST_OK && (!slice_eq(r->result.view.unit, unit) ||
				    !slice_eq(r->result.view.case_code, code)))
			st = ST_CORRUPT;
		if (st != ST_OK)
			break;
		lanes[*n] = r->result.view.lane;
		sequences[(*n)++] = r->result.view.sequence;
	}
	return st == ST_OK && *n == 0 ? ST_NOT_FOUND : st;
}

enum status embedded_find_number(struct store_reader *r, struct slice unit,
				 struct slice register_code, uint32_t year, uint64_t number,
				 uint8_t *lane, uint64_t *sequence)
{
	uint32_t id = marks_find(&r->home->marks, unit, register_code, year), n = 0;
	const struct result_view *v = &r->result.view;
	struct frame_record rec;
	struct row_hit hit;
	enum status st;

	if (id == 0)
		return ST_NOT_FOUND;
	st = index_find(r->index, ROW_NUMBER, row_key_number(id, number), 0, 1, &hit, &n);
	if (st != ST_OK || n == 0)
		return st == ST_OK ? ST_NOT_FOUND : st;
	st = logreader_get(&r->log, hit.position, 0, &r->record, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type == STORED_VOID)
		return ST_NOT_FOUND;
	if (rec.type != STORED_RESULT ||
	    stored_result_decode(&r->result, rec.version, rec.payload) != ST_OK ||
	    v->number != number || v->register_year != year || !slice_eq(v->unit, unit) ||
	    !slice_eq(v->register_code, register_code))
		return ST_CORRUPT;
	*lane = v->lane;
	*sequence = v->sequence;
	return ST_OK;
}
