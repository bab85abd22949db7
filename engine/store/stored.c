#include "store/stored.h"

#define WHOLE_LAYER 0x80000000u
#define SECTION_PART 0x40000000u
#define OBJECT_RUN 0x80000000u
#define RUN_BYTES 8

static void put_str(struct writer *w, struct slice s)
{
	w->bad |= s.n > UINT8_MAX;
	write_u8(w, (uint8_t)s.n);
	write_bytes(w, s.p, s.n);
}

static struct slice get_str(struct reader *r)
{
	return read_bytes(r, read_u8(r));
}

static void put_long(struct writer *w, struct slice s)
{
	w->bad |= s.n > UINT16_MAX;
	write_u16(w, (uint16_t)s.n);
	write_bytes(w, s.p, s.n);
}

static struct slice get_long(struct reader *r)
{
	return read_bytes(r, read_u16(r));
}

static void get_copy(struct reader *r, uint8_t *out, size_t n)
{
	struct slice s = read_bytes(r, n);

	if (s.p != NULL)
		memcpy(out, s.p, n);
}

static enum status end(const struct reader *r)
{
	return r->bad || reader_left(r) != 0 ? ST_CORRUPT : ST_OK;
}

/* ---- results ---- */

static void put_view(struct writer *w, const struct result_view *v)
{
	write_u64(w, v->sequence);
	write_u8(w, v->lane);
	write_bytes(w, v->result_id, sizeof(v->result_id));
	write_bytes(w, v->replaces, sizeof(v->replaces));
	put_str(w, v->unit);
	put_str(w, v->kind);
	put_str(w, v->case_code);
	put_str(w, v->register_code);
	put_str(w, v->number_text);
	write_u16(w, v->ordinal);
	write_u16(w, v->revision);
	write_u32(w, v->register_year);
	write_u64(w, v->number);
	write_u64(w, (uint64_t)v->accepted_ms);
	write_u64(w, (uint64_t)v->issued_ms);
	write_u64(w, (uint64_t)v->stored_ms);
	write_u32(w, v->valid_until);
	write_u64(w, v->file_size);
	write_bytes(w, v->file_sha256, SHA256_BYTES);
	write_bytes(w, v->case_digest, SHA256_BYTES);
	write_bytes(w, v->template_version, SHA256_BYTES);
	write_bytes(w, v->pins.kind, PIN_BYTES);
	write_bytes(w, v->pins.unit, PIN_BYTES);
	write_bytes(w, v->pins.signer, PIN_BYTES);
	write_u8(w, v->signatures_n);
	for (uint8_t i = 0; i < v->signatures_n; i++) {
		write_u8(w, v->signatures[i].role);
		write_u64(w, (uint64_t)v->signatures[i].signed_ms);
		write_bytes(w, v->signatures[i].cert_sha256, SHA256_BYTES);
		put_long(w, v->signatures[i].subject);
		write_bytes(w, v->signatures[i].evidence_sha256, SHA256_BYTES);
	}
}

static void get_view(struct reader *r, uint8_t version, struct result_view *v)
{
	*v = (struct result_view){ .state = STATE_STORED, .life = LIFE_VALID };
	v->sequence = read_u64(r);
	v->lane = read_u8(r);
	get_copy(r, v->result_id, sizeof(v->result_id));
	get_copy(r, v->replaces, sizeof(v->replaces));
	v->unit = get_str(r);
	v->kind = get_str(r);
	v->case_code = get_str(r);
	v->register_code = get_str(r);
	v->number_text = get_str(r);
	v->ordinal = read_u16(r);
	v->revision = read_u16(r);
	v->register_year = read_u32(r);
	v->number = read_u64(r);
	v->accepted_ms = (int64_t)read_u64(r);
	v->issued_ms = (int64_t)read_u64(r);
	v->stored_ms = (int64_t)read_u64(r);
	v->valid_until = read_u32(r);
	v->file_size = read_u64(r);
	get_copy(r, v->file_sha256, SHA256_BYTES);
	get_copy(r, v->case_digest, SHA256_BYTES);
	get_copy(r, v->template_version, SHA256_BYTES);
	get_copy(r, v->pins.kind, PIN_BYTES);
	get_copy(r, v->pins.unit, PIN_BYTES);
	get_copy(r, v->pins.signer, PIN_BYTES);
	v->signatures_n = read_u8(r);
	if (v->signatures_n > DOC_SIGNATURES_MAX) {
		v->signatures_n = 0;
		r->bad = true;
	}
	for (uint8_t i = 0; i < v->signatures_n; i++) {
		v->signatures[i].role = read_u8(r);
		v->signatures[i].signed_ms = (int64_t)read_u64(r);
		get_copy(r, v->signatures[i].cert_sha256, SHA256_BYTES);
		v->signatures[i].subject = get_long(r);
		if (version > 1)
			get_copy(r, v->signatures[i].evidence_sha256, SHA256_BYTES);
	}
}

static void put_holding(struct writer *w, const struct stored_holding *h)
{
	write_bytes(w, h->key, sizeof(h->key));
	write_u8(w, h->role);
	write_u32(w, h->from);
	write_u32(w, h->to);
	write_u8(w, h->visibility);
}

static void get_holding(struct reader *r, struct stored_holding *h)
{
	get_copy(r, h->key, sizeof(h->key));
	h->role = read_u8(r);
	h->from = read_u32(r);
	h->to = read_u32(r);
	h->visibility = read_u8(r);
}

static void put_part(struct writer *w, const struct stored_part *p)
{
	bool whole = p->layer != 0 && p->size == 0;

	write_u32(w, p->layer | (whole ? WHOLE_LAYER : 0));
	if (whole)
		return;
	write_u32(w, p->offset);
	write_u32(w, p->size);
}

static void put_section(struct writer *w, const struct stored_section *s)
{
	write_u32(w, SECTION_PART);
	write_bytes(w, s->sha256, SHA256_BYTES);
	write_u32(w, s->object_size);
	write_u32(w, s->size);
	write_u32(w, s->runs_n);
	w->bad |= s->runs_n > SECTION_RUNS_MAX;
	for (uint32_t i = 0; i < s->runs_n && !w->bad; i++) {
		write_u32(w, s->given[i].offset | (s->given[i].original ? OBJECT_RUN : 0));
		write_u32(w, s->given[i].size);
	}
}

struct section_run stored_run(const struct stored_section *s, uint32_t i)
{
	struct reader r = reader_of(slice_of(s->runs.p + (size_t)i * RUN_BYTES, RUN_BYTES));
	uint32_t offset = read_u32(&r);

	return (struct section_run){ (offset & OBJECT_RUN) != 0, offset & ~OBJECT_RUN,
				     read_u32(&r) };
}

static bool runs_fit(const struct stored_section *s, uint32_t body_size)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->runs_n; i++) {
		struct section_run run = stored_run(s, i);
		uint32_t within = run.original ? s->object_size : body_size;

		if (run.offset > within || run.size > within - run.offset)
			return false;
		sum += run.size;
	}
	return sum == s->size;
}

static void get_section(struct reader *r, struct stored_section *s, uint32_t body_size)
{
	r->bad |= s->runs_n != 0;
	get_copy(r, s->sha256, SHA256_BYTES);
	s->object_size = read_u32(r);
	s->size = read_u32(r);
	s->runs_n = read_u32(r);
	r->bad |= s->runs_n == 0 || s->runs_n > SECTION_RUNS_MAX;
	if (!r->bad)
		s->runs = read_bytes(r, (size_t)s->runs_n * RUN_BYTES);
	r->bad |= r->bad || !runs_fit(s, body_size);
}

static void get_part(struct reader *r, struct stored_result *out)
{
	struct stored_part *p = &out->parts[out->parts_n];
	uint32_t layer = read_u32(r);

	if (layer == SECTION_PART) {
		out->section.part = out->parts_n;
		get_section(r, &out->section, out->body_size);
		return;
	}
	if (out->parts_n == DOC_PARTS_MAX) {
		r->bad = true;
		return;
	}
	*p = (struct stored_part){ .layer = layer & ~WHOLE_LAYER };
	out->parts_n++;
	if ((layer & WHOLE_LAYER) != 0)
		return;
	p->offset = read_u32(r);
	p->size = read_u32(r);
}

enum status stored_result_encode(const struct stored_result *r, struct writer *w)
{
	put_view(w, &r->view);
	write_u8(w, r->holdings_n);
	for (uint8_t i = 0; i < r->holdings_n; i++)
		put_holding(w, &r->holdings[i]);
	write_u64(w, r->body_position);
	write_u32(w, r->body_size);
	write_u8(w, (uint8_t)(r->parts_n + (r->section.runs_n > 0)));
	for (uint8_t i = 0; i <= r->parts_n; i++) {
		if (r->section.runs_n > 0 && i == r->section.part)
			put_section(w, &r->section);
		if (i < r->parts_n)
			put_part(w, &r->parts[i]);
	}
	write_bytes(w, r->view.case_bytes.p, r->view.case_bytes.n);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

enum status stored_result_decode(struct stored_result *r, uint8_t version, struct slice payload)
{
	struct reader in = reader_of(payload);

	get_view(&in, version, &r->view);
	r->holdings_n = read_u8(&in);
	if (in.bad || r->holdings_n > CASE_HOLDERS_MAX)
		return ST_CORRUPT;
	for (uint8_t i = 0; i < r->holdings_n; i++)
		get_holding(&in, &r->holdings[i]);
	r->body_position = read_u64(&in);
	r->body_size = read_u32(&in);
	r->parts_n = 0;
	r->section = (struct stored_section){ 0 };
	for (uint8_t n = read_u8(&in); n > 0 && !in.bad; n--)
		get_part(&in, r);
	r->view.case_bytes = read_bytes(&in, reader_left(&in));
	return end(&in);
}

enum status stored_part_copy(const struct stored_part *p, struct slice body, uint8_t *to,
			     size_t room)
{
	if (p->offset > body.n || p->size > body.n - p->offset || p->size > room)
		return ST_CORRUPT;
	memcpy(to, body.p + p->offset, p->size);
	return ST_OK;
}

/* ---- acts ---- */

enum status stored_link_encode(const struct holding_link *l, struct writer *w)
{
	write_u64(w, l->sequence);
	write_u8(w, l->lane);
	write_bytes(w, l->key, sizeof(l->key));
	write_u8(w, l->holder.role);
	write_u32(w, l->holder.from);
	write_u32(w, l->holder.to);
	write_u8(w, l->holder.visibility);
	write_u64(w, (uint64_t)l->at_ms);
	put_long(w, l->actor);
	put_long(w, l->reason);
	write_u8(w, l->holder.id_kind);
	put_long(w, l->holder.country);
	put_long(w, l->holder.number);
	put_long(w, l->holder.name);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

enum status stored_link_decode(struct holding_link *l, struct slice payload)
{
	struct reader in = reader_of(payload);

	l->sequence = read_u64(&in);
	l->lane = read_u8(&in);
	get_copy(&in, l->key, sizeof(l->key));
	l->holder.role = read_u8(&in);
	l->holder.from = read_u32(&in);
	l->holder.to = read_u32(&in);
	l->holder.visibility = read_u8(&in);
	l->at_ms = (int64_t)read_u64(&in);
	l->actor = get_long(&in);
	l->reason = get_long(&in);
	l->holder.id_kind = read_u8(&in);
	l->holder.country = get_long(&in);
	l->holder.number = get_long(&in);
	l->holder.name = get_long(&in);
	return end(&in);
}

enum status stored_link_event(struct result_event *v, struct slice payload)
{
	struct holding_link l;
	enum status st = stored_link_decode(&l, payload);

	if (st == ST_OK)
		*v = (struct result_event){ .lane = l.lane, .sequence = l.sequence,
					    .kind = EVENT_LINKED, .at_ms = l.at_ms,
					    .actor = l.actor, .detail = l.reason };
	return st;
}

enum status stored_event_encode(const struct result_event *v, struct writer *w)
{
	write_u64(w, v->sequence);
	write_u8(w, v->lane);
	write_u8(w, v->kind);
	write_u64(w, (uint64_t)v->at_ms);
	put_long(w, v->actor);
	put_long(w, v->detail);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

enum status stored_event_decode(struct result_event *v, struct slice payload)
{
	struct reader in = reader_of(payload);

	v->sequence = read_u64(&in);
	v->lane = read_u8(&in);
	v->kind = read_u8(&in);
	v->at_ms = (int64_t)read_u64(&in);
	v->actor = get_long(&in);
	v->detail = get_long(&in);
	return end(&in);
}

/* Of what this holder sees of it. */
static bool is_reuse(const struct read_note *note, const uint32_t *which, uint32_t n)
{
	bool any = n == 0;

	for (uint32_t i = 0; i < n; i++)
		any |= note->own == NULL || !note->own[which[i]];
	return note->reuse && any;
}

enum status stored_reading_encode(const uint8_t holder[16], const struct read_note *note,
				  const uint32_t *which, uint32_t n, struct writer *w)
{
	write_bytes(w, holder, 16);
	write_u64(w, note->stamp);
	write_u8(w, note->call);
	write_u8(w, is_reuse(note, which, n));
	put_long(w, note->actor);
	put_long(w, note->purpose);
	put_long(w, note->legal_basis);
	put_long(w, note->requester);
	put_long(w, note->case_code);
	w->bad |= n > UINT16_MAX;
	write_u16(w, (uint16_t)n);
	for (uint32_t i = 0; i < n; i++) {
		write_u64(w, note->names[which[i]].sequence);
		write_u8(w, note->names[which[i]].lane);
	}
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

enum status stored_reading_decode(struct reading_view *v, struct slice payload)
{
	struct reader in = reader_of(payload);

	*v = (struct reading_view){ 0 };
	get_copy(&in, v->holder, sizeof(v->holder));
	v->stamp = read_u64(&in);
	v->call = read_u8(&in);
	v->reuse = read_u8(&in) != 0;
	v->actor = get_long(&in);
	v->purpose = get_long(&in);
	v->legal_basis = get_long(&in);
	v->requester = get_long(&in);
	v->case_code = get_long(&in);
	v->names_n = read_u16(&in);
	v->names = read_bytes(&in, (size_t)v->names_n * READING_NAME_BYTES);
	return v->call >= READ_GET && v->call < READ_CALLS ? end(&in) : ST_CORRUPT;
}

enum status stored_void_encode(const struct void_entry *v, struct writer *w)
{
	put_str(w, v->unit);
	put_str(w, v->register_code);
	write_u32(w, v->year);
	write_u64(w, v->number);
	write_u64(w, v->sequence);
	write_u64(w, (uint64_t)v->at_ms);
	write_u8(w, v->used_outside);
	put_long(w, v->reason);
	put_long(w, v->actor);
	write_u8(w, v->lane);
	write_u8(w, v->held);
	write_bytes(w, v->result_id, sizeof(v->result_id));
	put_str(w, v->kind);
	put_str(w, v->case_code);
	put_str(w, v->number_text);
	write_u16(w, v->ordinal);
	write_u16(w, v->revision);
	write_u64(w, (uint64_t)v->accepted_ms);
	write_u64(w, (uint64_t)v->issued_ms);
	/* A voided number's bytes are what they always were. */
	if (v->state != 0 && v->state != STATE_VOID)
		write_u8(w, v->state);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

static bool is_unnumbered_end(uint8_t state)
{
	return state == STATE_REFUSED || state == STATE_WITHDRAWN || state == STATE_TIMED_OUT;
}

enum status stored_void_decode(struct void_entry *v, uint8_t version, struct slice payload)
{
	struct reader in = reader_of(payload);

	*v = (struct void_entry){ .state = STATE_VOID };
	v->unit = get_str(&in);
	v->register_code = get_str(&in);
	v->year = read_u32(&in);
	v->number = read_u64(&in);
	v->sequence = read_u64(&in);
	v->at_ms = (int64_t)read_u64(&in);
	v->used_outside = read_u8(&in) != 0;
	v->reason = get_long(&in);
	v->actor = get_long(&in);
	if (version == 1)
		return end(&in);
	v->lane = read_u8(&in);
	v->held = read_u8(&in);
	get_copy(&in, v->result_id, sizeof(v->result_id));
	v->kind = get_str(&in);
	v->case_code = get_str(&in);
	v->number_text = get_str(&in);
	v->ordinal = read_u16(&in);
	v->revision = read_u16(&in);
	v->accepted_ms = (int64_t)read_u64(&in);
	v->issued_ms = (int64_t)read_u64(&in);
	if (!in.bad && reader_left(&in) > 0)
		v->state = read_u8(&in);
	return v->held < REASON_COUNT && (v->state == STATE_VOID || is_unnumbered_end(v->state)) ?
	       end(&in) : ST_CORRUPT;
}

void stored_void_view(const struct void_entry *v, struct result_view *out)
{
	*out = (struct result_view){
		.state = (enum state)v->state, .held = (enum reason)v->held, .lane = v->lane,
		.sequence = v->sequence, .unit = v->unit, .kind = v->kind,
		.case_code = v->case_code, .register_code = v->register_code,
		.number_text = v->number_text, .ordinal = v->ordinal, .revision = v->revision,
		.register_year = v->year, .number = v->number, .accepted_ms = v->accepted_ms,
		.issued_ms = v->issued_ms, .stored_ms = v->at_ms,
		.void_reason = v->reason,
	};
	memcpy(out->result_id, v->result_id, sizeof(out->result_id));
}

/* ---- life ---- */

/* How much a life says: a higher one hides the lower. */
static int weight(uint8_t life)
{
	static const uint8_t order[] = { LIFE_VALID, LIFE_CORRECTED, LIFE_EXPIRED, LIFE_REPLACED,
					 LIFE_REVOKED };

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (order[i] == life)
			return (int)i;
	return -1;
}

void stored_live(struct result_view *v, uint8_t life)
{
	if (weight(life) > weight((uint8_t)v->life))
		v->life = (enum life)life;
}

enum status stored_event_live(struct result_view *v, const struct result_event *ev)
{
	if (ev->sequence != v->sequence)
		return ST_CORRUPT;
	stored_live(v, ev->kind);
	return living_take(&v->living, ev->kind, ev->at_ms, ev->detail);
}

/* ---- bytes ---- */

enum status stored_layer_decode(struct stored_layer *l, struct slice payload)
{
	struct reader in = reader_of(payload);

	l->id = read_u32(&in);
	l->sha256 = read_bytes(&in, SHA256_BYTES).p;
	l->bytes = read_bytes(&in, reader_left(&in));
	return in.bad || l->id == 0 ? ST_CORRUPT : ST_OK;
}

enum status stored_body_decode(uint64_t *sequence, struct slice *bytes, struct slice payload)
{
	struct reader in = reader_of(payload);

	*sequence = read_u64(&in);
	*bytes = read_bytes(&in, reader_left(&in));
	return in.bad ? ST_CORRUPT : ST_OK;
}
