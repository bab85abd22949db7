#include "intake/answer.h"

#include "facts.h"
#include "trien/v1/case.pb-c.h"
#include "trien/v1/repository.pb-c.h"

_Static_assert((int)TRIEN__V1__STATE__STORED == (int)STATE_STORED, "states have one numbering");
_Static_assert((int)TRIEN__V1__STATE__VOID == (int)STATE_VOID, "states have one numbering");
_Static_assert((int)TRIEN__V1__LIFE__EXPIRED == (int)LIFE_EXPIRED, "lives have one numbering");
_Static_assert((int)TRIEN__V1__HOLDER__ID_KIND__OTHER_ID == (int)ID_OTHER, "id kinds");
_Static_assert((int)TRIEN__V1__HOLDER__ROLE__OTHER_ROLE == (int)HOLDER_OTHER, "roles");

void answer_id(struct writer *w, uint32_t number, const uint8_t id[16])
{
	char text[ID_TEXT_BYTES];

	if (id_is_zero(id))
		return;
	id_text(text, id);
	put_slice(w, number, slice_of(text, sizeof(text)));
}

static void put_held(struct writer *w, uint32_t number, enum state state, enum reason held)
{
	if (state == STATE_HELD || (state == STATE_VOID && held != REASON_NONE))
		put_text(w, number, reason_text(held)->name);
}

void answer_receipts(struct writer *w, uint32_t number, const struct submitted_case *c)
{
	for (uint8_t i = 0; i < c->results_n; i++) {
		const struct submitted_result *r = &c->results[i];
		uint8_t *at = put_begin(w, number);

		put_slice(w, 1, c->code);
		put_slice(w, 2, r->unit_code);
		put_slice(w, 3, r->kind_code);
		put_number(w, 4, r->ordinal);
		answer_id(w, 5, r->receipt.result_id);
		put_number(w, 6, r->receipt.state);
		put_held(w, 7, r->receipt.state, r->receipt.held);
		put_text(w, 8, r->receipt.number_text);
		put_number(w, 9, r->receipt.number);
		put_time(w, 10, r->receipt.accepted_ms);
		put_time(w, 11, r->receipt.issued_ms);
		put_number(w, 12, r->receipt.duplicate);
		put_number(w, 13, r->receipt.sequence);
		put_end(w, at);
	}
}

/* Only what a code may be is repeated to the sender: anything else might not even be text. */
static bool printable(struct slice s)
{
	if (s.n > CASE_CODE_BYTES_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

void answer_reject(struct writer *w, uint32_t number, const struct submitted_case *c)
{
	const struct refusal *r = &c->refusal;
	const struct reason_text *t = reason_text(r->reason);
	uint8_t *at = put_begin(w, number);

	put_number(w, 1, c->index);
	if (printable(c->code))
		put_slice(w, 2, c->code);
	put_text(w, 3, r->field);
	put_text(w, 4, t->name);
	put_text(w, 5, r->detail);
	put_text(w, 6, t->vi);
	put_text(w, 7, t->en);
	put_number(w, 8, status_class(t->status) == CLASS_RETRY);
	if (r->reason == REASON_CASE_CONTENT_CONFLICT) {
		put_slice(w, 9, slice_of(r->digest_stored, SHA256_BYTES));
		put_slice(w, 10, slice_of(r->digest_given, SHA256_BYTES));
	}
	put_end(w, at);
}

void answer_day(struct writer *w, uint32_t number, uint32_t yyyymmdd)
{
	uint8_t *at;

	if (yyyymmdd == 0)
		return;
	at = put_begin(w, number);
	put_number(w, 1, yyyymmdd / 10000);
	put_number(w, 2, yyyymmdd / 100 % 100);
	put_number(w, 3, yyyymmdd % 100);
	put_end(w, at);
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

/* Members of a oneof stand even when they are zero. */
static void put_oneof_text(struct writer *w, uint32_t number, struct slice s)
{
	put_varint(w, number << 3 | WIRE_BYTES);
	put_varint(w, s.n);
	write_bytes(w, s.p, s.n);
}

static void put_table(struct writer *w, const struct field *f)
{
	uint8_t *table = put_begin(w, 6);

	for (uint32_t r = 0; r < f->table.rows; r++) {
		uint8_t *row = put_begin(w, 1);

		for (uint32_t c = 0; c < f->table.columns; c++)
			put_oneof_text(w, 1, f->table.cells[r * f->table.columns + c]);
		put_end(w, row);
	}
	put_end(w, table);
}

static void put_field(struct writer *w, uint32_t number, const struct field *f)
{
	uint8_t *at = put_begin(w, number), *inner;

	put_slice(w, 1, f->name);
	switch (f->type) {
	case FIELD_TEXT:
		put_oneof_text(w, 2, f->text);
		break;
	case FIELD_NUMBER:
		inner = put_begin(w, 3);
		put_number(w, 1, zigzag(f->number.value));
		put_number(w, 2, f->number.decimals);
		put_end(w, inner);
		break;
	case FIELD_FLAG:
		put_varint(w, 4 << 3 | WIRE_VARINT);
		put_varint(w, f->flag);
		break;
	case FIELD_DATE:
		inner = put_begin(w, 5);
		put_number(w, 1, f->date.year);
		put_number(w, 2, f->date.month);
		put_number(w, 3, f->date.day);
		put_end(w, inner);
		break;
	case FIELD_TABLE:
		put_table(w, f);
		break;
	}
	put_end(w, at);
}

void answer_signatures(struct writer *w, uint32_t number, const struct result_view *v)
{
	static const uint8_t none[SHA256_BYTES];

	for (uint8_t i = 0; i < v->signatures_n; i++) {
		const struct signature_view *s = &v->signatures[i];
		uint8_t *at = put_begin(w, number);

		put_number(w, 1, s->role == ROLE_PERSON ? 1 : 2);
		put_time(w, 2, s->signed_ms);
		put_slice(w, 3, slice_of(s->cert_sha256, sizeof(s->cert_sha256)));
		put_slice(w, 4, s->subject);
		if (memcmp(s->evidence_sha256, none, sizeof(none)) != 0)
			put_slice(w, 5, slice_of(s->evidence_sha256, sizeof(none)));
		put_end(w, at);
	}
}

static enum timeliness timeliness(const struct result_view *v, struct slice bytes)
{
	struct facts f;

	facts_read(&f, bytes);
	return facts_timeliness(&f, result_signed_ms(v));
}

static void put_original(struct writer *w, const struct original *o)
{
	uint8_t *at = put_begin(w, 60);

	put_number(w, 1, o->format);
	put_number(w, 2, o->size);
	put_slice(w, 3, slice_of(o->sha256, SHA256_BYTES));
	put_number(w, 4, o->pages);
	put_number(w, 5, o->wrapped == ORIGINAL_REBUILT);
	put_end(w, at);
}

/* What the result itself says, of all that its case has. */
static void put_fields(struct writer *w, const struct result_view *v, const struct case_view *c)
{
	for (uint8_t i = 0; i < c->results_n; i++) {
		const struct case_result *r = &c->results[i];

		if (!slice_eq(r->unit, v->unit) || !slice_eq(r->kind, v->kind) ||
		    r->ordinal != v->ordinal)
			continue;
		for (uint8_t k = 0; k < r->fields_n; k++)
			put_field(w, 31, &r->fields[k]);
		if (r->original != NULL)
			put_original(w, r->original);
	}
}

static enum status put_case(struct writer *w, const struct result_view *v, struct arena *scratch)
{
	struct case_view c;
	enum status st = case_decode(&c, v->case_bytes, scratch);

	if (st != ST_OK)
		return st;
	put_slice(w, 29, c.facts);
	put_slice(w, 30, c.approval);
	put_number(w, 50, timeliness(v, c.facts));
	put_fields(w, v, &c);
	return ST_OK;
}

static void put_note(struct writer *w, const struct result_view *v)
{
	if (v->living.note.kind == 0)
		return;
	put_text(w, 41, v->living.note.number);
	answer_day(w, 42, v->living.note.day);
	answer_id(w, 43, v->living.note.paper);
}

static void put_stored(struct writer *w, const struct result_view *v)
{
	put_time(w, 16, v->stored_ms);
	put_number(w, 17, v->life);
	answer_id(w, 18, v->replaced_by);
	answer_id(w, 19, v->replaces);
	answer_day(w, 20, v->valid_until);
	put_number(w, 21, v->file_size);
	put_slice(w, 22, slice_of(v->file_sha256, SHA256_BYTES));
	put_slice(w, 23, slice_of(v->case_digest, SHA256_BYTES));
	put_slice(w, 24, slice_of(v->template_version, SHA256_BYTES));
	put_slice(w, 25, slice_of(v->pins.kind, PIN_BYTES));
	put_slice(w, 26, slice_of(v->pins.unit, PIN_BYTES));
	put_slice(w, 27, slice_of(v->pins.signer, PIN_BYTES));
	answer_signatures(w, 28, v);
	put_text(w, 40, v->etag);
	put_note(w, v);
	put_number(w, 44, v->living.restricted);
}

enum status answer_result(struct writer *w, const struct result_view *v, bool whole,
			  struct arena *scratch)
{
	answer_id(w, 1, v->result_id);
	put_number(w, 2, v->state);
	put_held(w, 3, v->state, v->held);
	put_slice(w, 4, v->unit);
	put_slice(w, 5, v->case_code);
	put_slice(w, 6, v->kind);
	put_number(w, 7, v->ordinal);
	put_number(w, 8, v->revision);
	put_slice(w, 9, v->register_code);
	put_number(w, 10, v->register_year);
	put_number(w, 11, v->number);
	put_slice(w, 12, v->number_text);
	put_number(w, 13, v->sequence);
	put_time(w, 14, v->accepted_ms);
	put_time(w, 15, v->issued_ms);
	if (v->state >= STATE_REFUSED) {
		put_time(w, 32, v->stored_ms);
		put_slice(w, 33, v->void_reason);
	}
	if (v->state != STATE_STORED)
		return ST_OK;
	put_stored(w, v);
	return whole && v->case_bytes.n > 0 ? put_case(w, v, scratch) : ST_OK;
}

enum status answer_shared(struct writer *w, const struct result_view *v, uint8_t scope,
			  struct arena *scratch)
{
	struct case_view c;
	enum status st = ST_OK;

	answer_id(w, 1, v->result_id);
	put_number(w, 2, v->state);
	put_slice(w, 4, v->unit);
	put_slice(w, 6, v->kind);
	put_slice(w, 12, v->number_text);
	put_time(w, 15, v->issued_ms);
	put_number(w, 17, v->life);
	answer_id(w, 18, v->replaced_by);
	answer_day(w, 20, v->valid_until);
	put_note(w, v);
	if (scope >= SHARE_FILE) {
		put_number(w, 21, v->file_size);
		put_slice(w, 22, slice_of(v->file_sha256, SHA256_BYTES));
	}
	if (scope < SHARE_DATA)
		return ST_OK;
	st = case_decode(&c, v->case_bytes, scratch);
	if (st == ST_OK)
		put_fields(w, v, &c);
	return st;
}

static void put_total(struct writer *w, const struct register_row *r)
{
	uint8_t *at = put_begin(w, 15);

	put_number(w, 1, r->given);
	put_number(w, 2, r->given > 0 ? r->first : 0);
	put_number(w, 3, r->given > 0 ? r->next - 1 : 0);
	put_number(w, 4, r->total.issued);
	put_number(w, 5, r->total.voided);
	put_number(w, 6, r->total.outside);
	put_end(w, at);
}

void answer_register_fields(struct writer *w, const struct register_row *r)
{
	put_text(w, 1, r->unit);
	put_text(w, 2, r->code);
	put_number(w, 3, r->year);
	put_number(w, 4, r->first);
	put_number(w, 5, r->next);
	put_number(w, 6, r->given);
	put_number(w, 7, r->voided);
	put_number(w, 8, r->closed);
	put_time(w, 9, r->opened.at_ms);
	put_text(w, 10, r->opened.actor);
	put_text(w, 11, r->opened.reason);
	put_time(w, 12, r->last.at_ms);
	put_text(w, 13, r->last.actor);
	put_text(w, 14, r->last.reason);
	if (r->totalled)
		put_total(w, r);
	put_number(w, 16, r->goes_on);
}

void answer_register(struct writer *w, uint32_t number, const struct register_row *r)
{
	uint8_t *at = put_begin(w, number);

	answer_register_fields(w, r);
	put_end(w, at);
}
