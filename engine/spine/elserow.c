#include <stdlib.h>

#include "base/log.h"
#include "spine/elsewhere.h"
#include "spine/handing.h"

static_assert(ERRAND_BYTES_MAX > DOC_SIGNATURES_MAX * (sizeof(struct kept_signature) + 16) +
	      TICKET_BYTES_MAX + SERVICE_NAME_BYTES_MAX + 128, "an errand fits");

/* ---- bytes ---- */

static void slots_put(struct record_signature *r, const struct kept_signatures *k)
{
	r->tries = k->tries;
	for (uint8_t i = 0; i < k->n; i++) {
		r->slots[i].key = slice_str(k->slots[i].key);
		r->slots[i].sign_ms = k->slots[i].sign_ms;
		memcpy(r->slots[i].digest, k->slots[i].digest, SHA256_BYTES);
		r->slots[i].value = slice_of(k->slots[i].value, k->slots[i].value_size);
	}
	r->slots_n = k->n;
}

enum status errand_encode(const struct errand *e, bool value, bool record, struct writer *w)
{
	struct record_signature r = { .sequence = e->asked.sequence, .lane = e->lane,
				      .at_ms = e->at_ms, .until_ms = e->asked.until_ms,
				      .service = slice_str(e->asked.service),
				      .ticket = slice_of(e->asked.ticket, e->asked.ticket_n) };
	uint8_t i = e->kept.n;

	slots_put(&r, &e->kept);
	r.slots[i].key = slice_str(e->asked.key);
	r.slots[i].sign_ms = e->sign_ms;
	memcpy(r.slots[i].digest, e->asked.digest, SHA256_BYTES);
	if (value)
		r.slots[i].value = slice_of(e->value, e->value_n);
	r.slots_n++;
	if (record)
		r.numbered = slice_of(e->record, e->record_n);
	return record_signature_encode(&r, w);
}

static void text_take(char *out, size_t size, struct slice s)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (n > 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

static void kept_take(struct kept_signatures *k, const struct record_signature *r, uint8_t n)
{
	k->n = n;
	k->tries = r->tries;
	for (uint8_t i = 0; i < n; i++) {
		struct kept_signature *to = &k->slots[i];

		text_take(to->key, sizeof(to->key), r->slots[i].key);
		to->sign_ms = r->slots[i].sign_ms;
		memcpy(to->digest, r->slots[i].digest, SHA256_BYTES);
		to->value_size = (uint16_t)r->slots[i].value.n;
		memcpy(to->value, r->slots[i].value.p, r->slots[i].value.n);
	}
}

/* What the case says of it, and a copy of the record. */
static bool record_take(struct errand *e, struct slice record)
{
	struct record_numbered rec;
	uint8_t i;

	if (record_numbered_decode(&rec, record) != ST_OK ||
	    case_digest(rec.case_bytes, e->case_digest) != ST_OK)
		return false;
	i = record_result_index(&rec, e->asked.sequence);
	e->result_index = i;
	e->record = malloc(record.n);
	if (i == rec.results_n || e->record == NULL)
		return false;
	memcpy(e->record, record.p, record.n);
	e->record_n = (uint32_t)record.n;
	return true;
}

bool errand_decode(struct errand *e, const struct waiting_row *row, struct slice payload)
{
	struct record_signature r;
	uint8_t last;

	e->asked.sequence = row->sequence;
	e->lane = row->lane;
	e->priority = row->priority < PRIORITY_COUNT ? row->priority : PRIORITY_NORMAL;
	e->in_room = true;
	e->track = NO_TRACK;
	text_take(e->signer, sizeof(e->signer), slice_str(row->signer));
	text_take(e->asked.unit, sizeof(e->asked.unit), slice_str(row->unit));
	text_take(e->asked.kind, sizeof(e->asked.kind), slice_str(row->kind));
	text_take(e->asked.name, sizeof(e->asked.name), slice_str(row->number_text));
	/* Of a mirror's row nothing is known but that it waited. */
	e->came = row->record != RECORD_SIGNATURE ? CAME_FRESH : CAME_NOTHING;
	if (e->came == CAME_FRESH)
		return record_take(e, payload);
	if (record_signature_decode(&r, payload) != ST_OK || !record_take(e, r.numbered))
		return false;
	last = (uint8_t)(r.slots_n - 1);
	kept_take(&e->kept, &r, last);
	e->at_ms = r.at_ms;
	e->sign_ms = r.slots[last].sign_ms;
	memcpy(e->asked.digest, r.slots[last].digest, SHA256_BYTES);
	text_take(e->asked.key, sizeof(e->asked.key), r.slots[last].key);
	text_take(e->asked.service, sizeof(e->asked.service), r.service);
	e->asked.until_ms = r.until_ms;
	e->asked.ticket_n = (uint16_t)r.ticket.n;
	if (r.ticket.n > 0)
		memcpy(e->asked.ticket, r.ticket.p, r.ticket.n);
	e->asked.bytes = sizeof(*e) + e->record_n;
	e->value_n = (uint16_t)r.slots[last].value.n;
	if (e->value_n > 0) {
		memcpy(e->value, r.slots[last].value.p, e->value_n);
		e->came = CAME_SIGNED;
	}
	return true;
}

/* ---- held results ---- */

enum status elsewhere_wrap(const struct item *it, struct job *j)
{
	struct record_signature r = { .sequence = it->sequence, .lane = it->lane,
				      .at_ms = it->sign_ms, .numbered = it->record };
	bool kept = it->kept != NULL && it->kept->n > 0;
	size_t size = it->record.n + (kept ? ERRAND_BYTES_MAX : 0);
	struct writer w;
	enum status st = ST_OK;

	j->bytes = malloc(size);
	if (j->bytes == NULL)
		return ST_NOMEM;
	w = writer_of(j->bytes, size);
	if (kept) {
		slots_put(&r, it->kept);
		st = record_signature_encode(&r, &w);
	} else {
		write_bytes(&w, it->record.p, it->record.n);
	}
	j->n = writer_size(&w);
	j->row.record = kept ? RECORD_SIGNATURE : RECORD_NUMBERED;
	return st;
}

enum status elsewhere_kept(uint8_t type, struct slice payload, struct kept_signatures **out)
{
	struct record_signature r;
	uint8_t n;

	*out = NULL;
	if (type != RECORD_SIGNATURE)
		return ST_OK;
	if (record_signature_decode(&r, payload) != ST_OK)
		return ST_CORRUPT;
	n = r.slots_n;
	if (r.slots[n - 1].value.n == 0)
		n--;
	if (n == 0)
		return ST_OK;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ST_NOMEM;
	kept_take(*out, &r, n);
	return ST_OK;
}

/* ---- rows ---- */

void row_unreadable(const struct waiting_row *row, const char *why)
{
	log_error("waiting", "ALARM: %s %s cannot be signed, its row cannot be read: %s; trien "
		  "fsck says what is damaged, bring it back from a copy and start again", row->unit,
		  row->number_text, why);
}

/* Not ST_OK: no memory. One that cannot be read has no bytes, and harms no other. */
static enum status await_row(struct spine *s, struct await_row *to, uint8_t *buf)
{
	struct error why = { 0 };
	enum status st = waiting_read(s->rows, to->row.sequence, &to->row.record, buf,
				      JOURNAL_RECORD_BYTES_MAX, &to->n, &why);

	if (st != ST_OK && st != ST_NOMEM) {
		row_unreadable(&to->row, why.text);
		return ST_OK;
	}
	if (st == ST_OK)
		to->bytes = malloc(to->n);
	if (to->bytes == NULL)
		return ST_NOMEM;
	memcpy(to->bytes, buf, to->n);
	return ST_OK;
}

enum status await_read(struct spine *s, struct job *j)
{
	struct await_page *p = j->page;
	struct waiting_row *rows = calloc(AWAIT_PAGE, sizeof(*rows));
	uint8_t *buf = malloc(JOURNAL_RECORD_BYTES_MAX);
	enum status st = rows != NULL && buf != NULL ? ST_OK : ST_NOMEM;
	uint32_t n = 0;

	if (st == ST_OK)
		st = waiting_after(s->rows, STATE_AWAITING_SIGNATURE, p->after, rows, AWAIT_PAGE,
				   &n, &j->error);
	while (st == ST_OK && p->n < n) {
		p->rows[p->n].row = rows[p->n];
		st = await_row(s, &p->rows[p->n++], buf);
	}
	free(rows);
	free(buf);
	return st == ST_NOMEM ? error_set(&j->error, st, "no memory for what waits") : st;
}

bool await_mirrored(struct spine *s, uint8_t type, struct slice payload)
{
	uint8_t bytes[ERRAND_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_signature r;
	uint64_t pos;

	if (type != RECORD_SIGNATURE || record_signature_decode(&r, payload) != ST_OK)
		return true;
	r.numbered.n = 0;
	return record_signature_encode(&r, &w) != ST_OK ||
	       append_record(s, RECORD_SIGNATURE, writer_slice(&w), &pos);
}

/* Both are of one question, and the record knows more: a ticket, or the answer. */
static bool goes_before(const struct record_signature *r, const struct record_signature *row)
{
	uint8_t last = (uint8_t)(row->slots_n - 1);

	return r->slots_n == row->slots_n && r->tries == row->tries &&
	       row->slots[last].value.n == 0 &&
	       r->slots[last].sign_ms == row->slots[last].sign_ms &&
	       memcmp(r->slots[last].digest, row->slots[last].digest, SHA256_BYTES) == 0 &&
	       (r->slots[last].value.n > 0 || !slice_eq(r->ticket, row->ticket));
}

enum status await_apply(struct spine *s, struct slice record, bool held, struct error *e)
{
	size_t size = JOURNAL_RECORD_BYTES_MAX + ERRAND_BYTES_MAX, n;
	struct record_signature r, there;
	struct waiting_row row;
	uint8_t *buf, *out, type;
	struct writer w;
	enum status st = record_signature_decode(&r, record);

	if (st == ST_OK)
		st = waiting_find(s->rows, r.sequence, &row, e);
	if (st != ST_OK || (row.state != STATE_AWAITING_SIGNATURE &&
			    (!held || row.state != STATE_HELD || row.record != RECORD_NUMBERED ||
			     r.slots[r.slots_n - 1].value.n == 0)))
		return st == ST_NOT_FOUND ? ST_OK : st;
	buf = malloc(JOURNAL_RECORD_BYTES_MAX);
	out = malloc(size);
	w = writer_of(out, out != NULL ? size : 0);
	st = buf == NULL || out == NULL ? ST_NOMEM :
		waiting_read(s->rows, r.sequence, &type, buf, JOURNAL_RECORD_BYTES_MAX, &n, e);
	if (st == ST_OK && type == RECORD_SIGNATURE)
		st = record_signature_decode(&there, slice_of(buf, n));
	r.numbered = st == ST_OK ? record_numbered_in(type, slice_of(buf, n)) : record;
	/* One of the signer before is of no use to the next. */
	if (st == ST_OK && !hand_since(r.numbered, r.sequence, r.at_ms) &&
	    (type != RECORD_SIGNATURE || goes_before(&r, &there))) {
		st = record_signature_encode(&r, &w);
		row.record = RECORD_SIGNATURE;
		if (st == ST_OK)
			st = waiting_add(s->waiting, &row, writer_slice(&w), e);
	}
	free(buf);
	free(out);
	return st;
}

enum status await_add(struct spine *s, struct slice numbered, struct slice record, struct error *e)
{
	size_t size = numbered.n + ERRAND_BYTES_MAX;
	uint8_t *out = malloc(size);
	struct writer w = writer_of(out, out != NULL ? size : 0);
	struct waiting_row row = { .state = STATE_AWAITING_SIGNATURE, .record = RECORD_SIGNATURE,
				   .parked_ms = io_wall_ms() };
	struct record_signature r;
	enum status st = out != NULL ? record_signature_decode(&r, record) : ST_NOMEM;

	r.numbered = numbered;
	if (st == ST_OK)
		st = record_signature_encode(&r, &w);
	if (st == ST_OK) {
		row.sequence = r.sequence;
		row.lane = r.lane;
		st = waiting_row_fill(&row, writer_slice(&w));
	}
	if (st == ST_OK)
		st = waiting_add(s->waiting, &row, writer_slice(&w), e);
	free(out);
	return st;
}

enum status await_restate(struct spine *s, const struct waiting_row *now, struct error *e)
{
	uint8_t *buf = malloc(JOURNAL_RECORD_BYTES_MAX), type;
	struct waiting_row row;
	size_t n;
	enum status st = buf == NULL ? ST_NOMEM : waiting_find(s->rows, now->sequence, &row, e);

	if (st == ST_OK)
		st = waiting_read(s->rows, now->sequence, &type, buf, JOURNAL_RECORD_BYTES_MAX, &n,
				  e);
	if (st == ST_OK) {
		row.state = now->state;
		row.reason = now->reason;
		row.parked_ms = now->parked_ms;
		row.record = type;
		memcpy(row.detail, now->detail, sizeof(row.detail));
		st = waiting_add(s->waiting, &row, slice_of(buf, n), e);
	}
	free(buf);
	return st == ST_NOT_FOUND ? ST_OK : st;
}
