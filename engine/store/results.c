#include <stdio.h>

#include "base/calendar.h"
#include "store/embedded.h"

#define ADULT_YEARS 18

/* ---- dates that follow from the case ---- */

static uint32_t month_days(uint32_t year, uint32_t month)
{
	uint32_t day = 31;

	while (!date_exists(year, (uint8_t)month, (uint8_t)day))
		day--;
	return day;
}

static uint32_t day_of(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t last = month_days(year, month);

	return year * 10000 + month * 100 + (day < last ? day : last);
}

/* The last day that a partial date can mean; 0: no date. */
static uint32_t latest_day(struct partial_date d)
{
	uint32_t month = d.month != 0 ? d.month : 12;

	if (d.year == 0 || month > 12)
		return 0;
	return day_of(d.year, month, d.month != 0 && d.day != 0 ? d.day : 31);
}

static uint32_t months_later(uint32_t yyyymmdd, uint32_t months)
{
	uint32_t at = yyyymmdd / 10000 * 12 + yyyymmdd / 100 % 100 - 1 + months;

	return day_of(at / 12, at % 12 + 1, yyyymmdd % 100);
}

static uint32_t date_field(const struct item *it, int16_t index)
{
	struct slice name;

	if (index < 0)
		return 0;
	name = slice_str(it->kind->fields[index].name);
	for (uint8_t i = 0; i < it->result->fields_n; i++) {
		const struct field *f = &it->result->fields[i];

		if (f->type == FIELD_DATE && slice_eq(f->name, name))
			return latest_day(f->date);
	}
	return 0;
}

static uint32_t valid_until(const struct item *it)
{
	uint32_t day = date_field(it, it->kind->validity_field);

	if (day == 0 && it->kind->validity_months != 0)
		day = months_later(day_vietnam(it->issued_ms), it->kind->validity_months);
	return day;
}

static void holdings(struct stored_result *r, const struct item *it)
{
	uint32_t birth = date_field(it, it->kind->child_birth_field);

	r->holdings_n = it->c.holders_n;
	for (uint8_t i = 0; i < it->c.holders_n; i++) {
		const struct holder *h = &it->c.holders[i];
		struct stored_holding *out = &r->holdings[i];

		*out = (struct stored_holding){ .role = h->role, .visibility = h->visibility,
						.from = h->from, .to = h->to };
		holder_key(out->key, h, it->result->unit, it->c.code, i);
		/* A guardian sees it until the child is of age. */
		if (h->role == HOLDER_GUARDIAN && h->to == 0 && birth != 0)
			out->to = months_later(birth, ADULT_YEARS * 12);
	}
}

/* ---- one result ---- */

static void view_of(struct result_view *v, const struct item *it, int64_t now_ms)
{
	*v = (struct result_view){
		.sequence = it->sequence, .lane = it->lane,
		.unit = it->result->unit, .kind = it->result->kind, .case_code = it->c.code,
		.register_code = slice_str(it->kind->register_code),
		.number_text = slice_str(it->number_text),
		.ordinal = it->result->ordinal, .revision = it->result->revision,
		.register_year = it->register_year, .number = it->number,
		.accepted_ms = it->accepted_ms, .issued_ms = it->issued_ms, .stored_ms = now_ms,
		.valid_until = valid_until(it), .file_size = it->doc.file_size,
		.pins = it->pins, .signatures_n = it->slots_n, .case_bytes = it->case_bytes,
	};
	memcpy(v->result_id, it->result_id, sizeof(v->result_id));
	if (it->result->replaces.n > 0 && !id_read(v->replaces, it->result->replaces))
		memset(v->replaces, 0, sizeof(v->replaces));
	memcpy(v->file_sha256, it->file_sha256, SHA256_BYTES);
	memcpy(v->case_digest, it->case_digest, SHA256_BYTES);
	memcpy(v->template_version, it->template_version, SHA256_BYTES);
	for (uint8_t i = 0; i < it->slots_n; i++) {
		const struct signature_slot *plan = &it->slots[i].plan;

		v->signatures[i] = (struct signature_view){ .role = (uint8_t)plan->role,
							    .signed_ms = plan->signed_ms,
							    .subject = slice_str(plan->name) };
		memcpy(v->signatures[i].cert_sha256, plan->cert_sha256, SHA256_BYTES);
		if (plan->evidence != NULL)
			memcpy(v->signatures[i].evidence_sha256, plan->evidence->set.sha256,
			       SHA256_BYTES);
	}
}

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

	view_of(&r.view, it, now_ms);
	holdings(&r, it);
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
	waited = marks_wait(&s->marks, st == ST_OK ? e : NULL);
	pthread_mutex_unlock(&s->writer);
	return st == ST_OK ? waited : st;
}
