#include <stdio.h>

#include "store/derive.h"
#include "store/embedded.h"

/* ---- one result ---- */

static enum status layer_add(struct embedded *s, const struct layer *l, uint32_t *id,
			     struct error *e)
{
	uint8_t head[4];
	struct writer w = writer_of(head, sizeof(head));
	struct slice parts[3];
	enum status st;

	*id = layers_find(&s->layers, l->sha256);
	if (*id != 0)
		return ST_OK;
	write_u32(&w, s->layers.n + 1);
	parts[0] = writer_slice(&w);
	parts[1] = slice_of(l->sha256, SHA256_BYTES);
	parts[2] = slice_of(l->bytes, l->size);
	st = embedded_add(s, STORED_LAYER, parts, ARRAY_LEN(parts), NULL, e);
	if (st != ST_OK)
		return st;
	*id = layers_add(&s->layers, l->sha256, l->size, 0);
	return *id != 0 ? ST_OK : ST_NOMEM;
}

static enum status parts_add(struct embedded *s, struct stored_result *r, const struct document *d,
			     struct error *e)
{
	enum status st = ST_OK;

	r->parts_n = d->parts_n;
	for (uint8_t i = 0; i < d->parts_n && st == ST_OK; i++) {
		const struct part *p = &d->parts[i];

		r->parts[i] = (struct stored_part){ .offset = p->offset, .size = p->size };
		if (p->layer == NULL)
			continue;
		st = layer_add(s, p->layer, &r->parts[i].layer, e);
		if (p->offset == 0 && p->size == p->layer->size)
			r->parts[i].size = 0;
	}
	return st;
}

/* The set last: where it is known, all that it names is there. */
static enum status evidence_add(struct embedded *s, const struct evidence *v, struct error *e)
{
	enum status st;
	uint32_t id;

	if (v == NULL)
		return ST_OK;
	st = layer_add(s, &v->certificate, &id, e);
	if (st != ST_OK || layers_find(&s->layers, v->set.sha256) != 0)
		return st;
	for (uint8_t i = 0; i < v->members_n && st == ST_OK; i++)
		st = layer_add(s, v->members[i], &id, e);
	return st == ST_OK ? layer_add(s, &v->set, &id, e) : st;
}

static enum status body_add(struct embedded *s, struct stored_result *r, const struct item *it,
			    struct error *e)
{
	uint8_t head[8];
	struct writer w = writer_of(head, sizeof(head));
	struct slice parts[2];

	write_u64(&w, it->sequence);
	parts[0] = writer_slice(&w);
	parts[1] = slice_of(it->doc.body, it->doc.body_size);
	r->body_size = it->doc.body_size;
	return embedded_add(s, STORED_BODY, parts, ARRAY_LEN(parts), &r->body_position, e);
}

static enum status result_add(struct embedded *s, const struct item *it, int64_t now_ms,
			      struct error *e)
{
	struct writer w = writer_of(s->record, STORED_RESULT_BYTES_MAX);
	struct stored_result r;
	struct slice payload;
	enum status st;

	stored_result_of(&r, it, now_ms);
	st = parts_add(s, &r, &it->doc, e);
	for (uint8_t i = 0; i < it->slots_n && st == ST_OK; i++)
		st = evidence_add(s, it->slots[i].plan.evidence, e);
	if (st == ST_OK)
		st = body_add(s, &r, it, e);
	if (st == ST_OK)
		st = stored_result_encode(&r, &w);
	payload = writer_slice(&w);
	return st == ST_OK ? embedded_add(s, STORED_RESULT, &payload, 1, NULL, e) : st;
}

/* ---- what is there already ---- */

/* ST_NOT_FOUND: new. ST_EXISTS, ST_CONFLICT: its sequence is taken. */
static enum status sequence_taken(struct embedded *s, const struct item *it)
{
	enum status st;

	/* Most come in order: nothing has to be looked up. */
	if (it->sequence > s->newest)
		return ST_NOT_FOUND;
	st = reader_known(s->self, it->lane, it->sequence);
	if (st == ST_NOT_FOUND || status_class(st) == CLASS_FATAL)
		return st;
	return st == ST_OK && memcmp(s->self->result.view.case_digest, it->case_digest,
				     SHA256_BYTES) == 0 ? ST_EXISTS : ST_CONFLICT;
}

/* Its number was given to another result, or voided: a register that went back. */
static enum status number_taken(struct embedded *s, const struct item *it)
{
	uint32_t id, n;
	struct row_hit hit;
	enum status st;

	if (it->number == 0)
		return ST_NOT_FOUND;
	id = marks_find(&s->marks, it->result->unit, slice_str(it->kind->register_code),
			it->register_year);
	if (id == 0 || it->number > s->marks.of[id - 1].about.highest)
		return ST_NOT_FOUND;
	st = index_find(s->self->index, ROW_NUMBER, row_key_number(id, it->number), 0, 1, &hit, &n);
	if (st != ST_OK)
		return st;
	return n > 0 ? ST_CONFLICT : ST_NOT_FOUND;
}

static enum status item_put(struct embedded *s, struct item *it, int64_t now_ms, struct error *e)
{
	enum status st = sequence_taken(s, it);

	if (st == ST_NOT_FOUND)
		st = number_taken(s, it);
	if (st == ST_EXISTS || st == ST_CONFLICT) {
		it->stored = st;
		return ST_OK;
	}
	if (st != ST_NOT_FOUND)
		return error_set(e, st, "%s: cannot look for what is stored", s->dir);
	st = result_add(s, it, now_ms, e);
	if (st == ST_TOO_LARGE) {
		it->held = REASON_RENDER_FAILED;
		snprintf(it->held_detail, sizeof(it->held_detail), "larger than the store takes");
		return ST_OK;
	}
	if (st == ST_OK && it->number != 0 &&
	    marks_raise(&s->marks, it->result->unit, slice_str(it->kind->register_code),
			it->register_year, it->number) == 0)
		return error_set(e, ST_NOMEM, "%s: no memory for a register", s->dir);
	it->stored = ST_OK;
	return st;
}

enum status embedded_put(struct store *store, struct batch *b, int64_t now_ms, struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st, waited;

	pthread_mutex_lock(&s->writer);
	st = embedded_room(s, b->items_n, e);
	for (uint32_t i = 0; i < b->items_n && st == ST_OK; i++)
		if (b->items[i].held == REASON_NONE)
			st = item_put(s, &b->items[i], now_ms, e);
	if (st == ST_OK)
		st = marks_write(&s->marks, e);
	if (st == ST_OK)
		st = embedded_commit(s, e);
	if (st != ST_OK)
		embedded_drop(s);
	/* Before anybody hears that they are stored: until then the journal names them. */
	if (st == ST_OK)
		st = embedded_settle_all(s, b, e);
	waited = marks_wait(&s->marks, st == ST_OK ? e : NULL);
	pthread_mutex_unlock(&s->writer);
	return st == ST_OK ? waited : st;
}
