#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "intake/intake.h"
#include "spine/mirror.h"
#include "spine/replacing.h"
#include "spine/replay.h"
#include "spine/spine.h"
#include "spine/track.h"
#include "spine/units.h"

void number_push(struct spine *s, struct submission *sub)
{
	sub->next = NULL;
	if (s->number_last != NULL)
		s->number_last->next = sub;
	else
		s->number_first = sub;
	s->number_last = sub;
}

bool append_record(struct spine *s, enum record_type type, struct slice payload, uint64_t *pos)
{
	enum status st = journal_append(s->journal, (uint8_t)type, payload, pos);

	if (st == ST_OK) {
		s->appended = *pos + 1;
		return true;
	}
	if (st != ST_FULL)
		spine_fail(s, "journal: a record of %zu bytes was not taken: %s", payload.n,
			   status_name(st));
	return false;
}

void given_key(uint8_t key[16], struct slice unit, struct slice code, uint32_t year,
	       uint64_t number)
{
	uint8_t text[2 * CODE_BYTES_MAX + 32], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, "number");
	write_blob(&w, unit);
	write_blob(&w, code);
	write_u32(&w, year);
	write_u64(&w, number);
	sha256_once(text, writer_size(&w), hash);
	memcpy(key, hash, 16);
}

static void copy_text(char *out, size_t size, struct slice s)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (n > 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

void change_fill(struct spine *s, struct state_change *out, const struct numbered_result *n,
		 const struct case_result *r, struct slice case_code, enum state state,
		 int64_t at_ms)
{
	*out = (struct state_change){ .state = state, .at_ms = at_ms, .ordinal = r->ordinal,
				      .issued_ms = n->issued_ms, .register_year = n->year,
				      .number = n->number };
	identity_result_id(s->identity, out->result_id, n->lane, n->sequence);
	copy_text(out->unit, sizeof(out->unit), r->unit);
	copy_text(out->code, sizeof(out->code), case_code);
	copy_text(out->kind, sizeof(out->kind), r->kind);
	copy_text(out->number_text, sizeof(out->number_text), n->number_text);
	copy_text(out->register_code, sizeof(out->register_code), n->register_code);
}

void change_case(struct state_change *out, const struct numbered_result *results, uint8_t n,
		 uint8_t at)
{
	out->case_n = n;
	out->case_at = at;
	for (uint8_t i = 0; i < n; i++)
		out->case_lanes[i] = results[i].lane;
}

bool key_known(struct spine *s, const uint8_t key[16], struct keyentry *out)
{
	enum status st = keyindex_get(s->keys, key, out);

	/* Not knowing whether something was issued is no licence to issue it. */
	if (st != ST_OK && st != ST_NOT_FOUND)
		spine_fail(s,
			   "key index: %s; restore DATA/keys-index from a backup, or check it with "
			   "trien fsck",
			   status_name(st));
	return st == ST_OK;
}

enum state key_state(const struct keyentry *k)
{
	if (k->flags & KEYENTRY_VOIDED)
		return STATE_VOID;
	if (k->flags & KEYENTRY_REFUSED)
		return STATE_REFUSED;
	if (k->flags & KEYENTRY_WITHDRAWN)
		return STATE_WITHDRAWN;
	if (k->flags & KEYENTRY_TIMED_OUT)
		return STATE_TIMED_OUT;
	return k->number == 0 ? STATE_AWAITING_APPROVAL : STATE_STORED;
}

/* What was answered before: its receipt once more, with the state of today. */
static void receipt_again(struct spine *s, struct receipt *out, const struct keyentry *k)
{
	struct waiting_row row;
	struct state_change now;
	uint8_t lane;

	*out = (struct receipt){ .state = key_state(k), .sequence = k->sequence,
				 .number = k->number,
				 .issued_ms = k->issued_ms, .accepted_ms = sequence_ms(k->sequence),
				 .duplicate = true };
	identity_result_id(s->identity, out->result_id, k->lane, k->sequence);
	memcpy(out->number_text, k->number_text, sizeof(out->number_text));
	if (inflight_get(s->inflight, k->sequence, &now, &lane, &out->accepted_ms)) {
		out->state = now.state;
		out->held = now.state == STATE_HELD ? now.held : REASON_NONE;
	} else if (clerk_row(s, k->sequence, &row)) {
		out->state = (enum state)row.state;
		out->held = (enum reason)row.reason;
		out->accepted_ms = row.accepted_ms;
	}
}

/* true: all is decided by what the key index remembers. */
static bool decided_before(struct spine *s, struct submitted_case *c)
{
	struct keyentry found[CASE_RESULTS_MAX];
	uint32_t n = 0;

	for (uint8_t i = 0; i < c->results_n; i++) {
		if (!key_known(s, c->results[i].key, &found[n]))
			continue;
		if (memcmp(found[n].digest, c->digest, SHA256_BYTES) != 0 || n < i) {
			char field[40];

			snprintf(field, sizeof(field), "results[%u]", i);
			refuse(&c->refusal, REASON_CASE_CONTENT_CONFLICT, field, "%s",
			       found[n].number_text);
			memcpy(c->refusal.digest_stored, found[n].digest, SHA256_BYTES);
			memcpy(c->refusal.digest_given, c->digest, SHA256_BYTES);
			return true;
		}
		n++;
	}
	if (n == 0)
		return false;
	if (n < c->results_n) {
		refuse(&c->refusal, REASON_CASE_CONTENT_CONFLICT, "results", "%s",
		       found[0].number_text);
		memcpy(c->refusal.digest_stored, found[0].digest, SHA256_BYTES);
		memcpy(c->refusal.digest_given, c->digest, SHA256_BYTES);
		return true;
	}
	for (uint8_t i = 0; i < c->results_n; i++)
		receipt_again(s, &c->results[i].receipt, &found[i]);
	atomic_fetch_add_explicit(&s->counters.duplicates, 1, memory_order_relaxed);
	return true;
}

/* Reasons that stand against any new case just now. */
static bool refused_now(struct spine *s, struct submitted_case *c)
{
	enum reason why = REASON_NONE;

	if (s->stopping || s->failure.status != ST_OK)
		why = REASON_STOPPING;
	else if (!s->numbering)
		why = REASON_STORE_BEHIND;
	else if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN)
		why = REASON_JOURNAL_FULL;
	else if (mirror_refuses(s))
		why = REASON_MIRROR_AWAY;
	if (why != REASON_NONE)
		refuse(&c->refusal, why, "", "%s", "");
	return why != REASON_NONE;
}

/* Refused for good, though not for what is in it: another engine's case. */
static bool elsewhere(struct spine *s, struct submitted_case *c)
{
	for (uint8_t i = 0; i < c->results_n; i++) {
		char owner[OWNER_TEXT_BYTES], field[40];

		if (units_mine(s->units, c->results[i].unit_code, owner))
			continue;
		snprintf(field, sizeof(field), "results[%u].unit", i);
		refuse(&c->refusal, REASON_UNIT_ELSEWHERE, field, "%s", owner);
		return true;
	}
	return false;
}

/* The numbers taken for one case, to be given back if it is not journaled. */
struct taking {
	int64_t accepted_ms, issued_ms;
	struct numbered_result results[CASE_RESULTS_MAX];
	char texts[CASE_RESULTS_MAX][NUMBER_TEXT_BYTES_MAX + 1];
	uint8_t n;
	uint8_t awaiting;		/* bit per result: it gets its number at its approval */
	bool full;			/* the journal had no room: later */
};

static void take_back(struct spine *s, const struct submitted_case *c, const struct taking *t)
{
	for (uint8_t i = t->n; i-- > 0;)
		if (c->results[i].given_number == 0 && t->results[i].number != 0)
			register_untake(s->registers, c->results[i].unit_code,
					t->results[i].register_code, t->results[i].year,
					t->results[i].number);
}

/* By an earlier result of the same case, which no index knows yet. */
static bool given_before(const struct submitted_case *c, uint8_t i, const struct taking *t)
{
	const struct numbered_result *n = &t->results[i];

	for (uint8_t k = 0; k < i; k++)
		if (c->results[k].given_number == c->results[i].given_number &&
		    slice_eq(c->results[k].unit_code, c->results[i].unit_code) &&
		    slice_eq(t->results[k].register_code, n->register_code) &&
		    t->results[k].year == n->year)
			return true;
	return false;
}

static bool take_given(struct spine *s, struct submitted_case *c, uint8_t i,
		       struct numbered_result *n, const struct taking *t, const char *field)
{
	const struct submitted_result *r = &c->results[i];
	struct register_row row;
	struct keyentry other;
	uint8_t key[16];

	/* A register that counts here gives its numbers itself from its first one on. */
	if (register_find(s->registers, r->unit_code, n->register_code, n->year, &row) &&
	    r->given_number >= row.first) {
		refuse(&c->refusal, REASON_NUMBER_GIVEN_REFUSED, field, "%s", row.code);
		return false;
	}
	given_key(key, r->unit_code, n->register_code, n->year, r->given_number);
	if (given_before(c, i, t) || key_known(s, key, &other)) {
		refuse(&c->refusal, REASON_NUMBER_TAKEN, field, "%llu",
		       (unsigned long long)r->given_number);
		return false;
	}
	n->number = r->given_number;
	return true;
}

/* On 1 January a continuing register begins again at 1, by a record of its own. */
static enum status register_turn(struct spine *s, struct slice unit,
				 const struct numbered_result *n)
{
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_register r = { .unit = unit,
				     .code = n->register_code,
				     .year = n->year,
				     .first = 1,
				     .at_ms = n->issued_ms,
				     .reason = slice_str("new year"),
				     .actor = slice_str("engine") };
	uint64_t pos;

	if (record_register_encode(&r, &w) != ST_OK)
		return ST_INVALID;
	if (!append_record(s, RECORD_REGISTER_OPENED, writer_slice(&w), &pos))
		return ST_FULL;
	return register_opened(s->registers, &r);
}

enum status number_take(struct spine *s, struct slice unit, struct numbered_result *n)
{
	bool turn = false;
	enum status st = register_take(s->registers, unit, n->register_code, n->year, &n->number,
				       &turn);

	if (st != ST_NOT_FOUND || !turn)
		return st;
	st = register_turn(s, unit, n);
	return st != ST_OK ? st : register_take(s->registers, unit, n->register_code, n->year,
						&n->number, &turn);
}

static bool take_number(struct spine *s, struct submitted_case *c, uint8_t i,
			struct numbered_result *n, struct taking *t, const char *field)
{
	enum status st = number_take(s, c->results[i].unit_code, n);

	t->full = st == ST_FULL;
	if (st != ST_OK && !t->full)
		refuse(&c->refusal, REASON_REGISTER_NOT_OPEN, field, "%.*s %u%s",
		       (int)n->register_code.n, (const char *)n->register_code.p, n->year,
		       st == ST_PRECONDITION ? ": closed" : "");
	return st == ST_OK;
}

/* Whatever number it gets later. */
static bool number_fits(struct submitted_case *c, const struct submitted_result *r,
			const struct numbered_result *n, const char *field)
{
	char text[NUMBER_TEXT_BYTES_MAX + 1];
	uint32_t year = civil_vietnam(sequence_ms(n->sequence)).year;

	if (number_format(text, r->kind, r->unit, NUMBER_LATER_MAX, year) == ST_OK)
		return true;
	refuse(&c->refusal, REASON_FIELD_TOO_LONG, field, "number form");
	return false;
}

/* Binds sequence, time and number of result i. false: refused, or t->full. */
static bool bind_result(struct spine *s, struct submitted_case *c, uint8_t i, struct taking *t)
{
	struct submitted_result *r = &c->results[i];
	struct numbered_result *n = &t->results[i];
	char field[40];

	snprintf(field, sizeof(field), "results[%u]", i);
	*n = (struct numbered_result){ .lane = r->lane,
				       .register_code = slice_str(r->kind->register_code) };
	memcpy(n->pins.kind, r->kind->pin, PIN_BYTES);
	memcpy(n->pins.unit, r->unit->pin, PIN_BYTES);
	memcpy(n->pins.signer, r->signer->pin, PIN_BYTES);
	if (numbering_tick(&s->clock, t->accepted_ms, (uint8_t)s->config->engine, &n->sequence,
			   &n->issued_ms) != ST_OK) {
		refuse(&c->refusal, REASON_CLOCK_STEP, field, "%lld ms",
		       (long long)(s->clock.last_ms - t->accepted_ms));
		return false;
	}
	t->n = i;
	if (r->kind->numbered == NUMBERED_AT_APPROVAL) {
		n->issued_ms = 0;
		t->n = (uint8_t)(i + 1);
		t->awaiting |= (uint8_t)(1u << i);
		return number_fits(c, r, n, field);
	}
	t->issued_ms = n->issued_ms;
	n->year = civil_vietnam(n->issued_ms).year;
	if (r->given_number != 0 ? !take_given(s, c, i, n, t, field) :
				   !take_number(s, c, i, n, t, field))
		return false;
	t->n = (uint8_t)(i + 1);
	if (r->given_number != 0 && r->given_text.n > 0) {
		copy_text(t->texts[i], sizeof(t->texts[i]), r->given_text);
	} else if (number_format(t->texts[i], r->kind, r->unit, n->number, n->year) != ST_OK) {
		refuse(&c->refusal, REASON_FIELD_TOO_LONG, field, "number form");
		return false;
	}
	n->number_text = slice_str(t->texts[i]);
	return true;
}

/* Remembers a journaled case: keys, states, its place in the order, its way into a batch. */
static void keep_case(struct spine *s, struct submission *sub, struct submitted_case *c,
		      const struct taking *t, uint64_t pos, struct slice record)
{
	struct pending *p = calloc(1, sizeof(*p));
	enum status st = p != NULL ? track_open(s->track, pos, &p->track) : ST_NOMEM;

	for (uint8_t i = 0; i < c->results_n && st == ST_OK; i++) {
		const struct numbered_result *n = &t->results[i];
		struct submitted_result *r = &c->results[i];
		struct case_result about = { .unit = r->unit_code, .kind = r->kind_code,
					     .ordinal = r->ordinal };
		struct keyentry k = { .sequence = n->sequence, .number = n->number,
				      .issued_ms = n->issued_ms, .lane = n->lane };
		struct state_change change;

		memcpy(k.key, r->key, 16);
		memcpy(k.digest, c->digest, SHA256_BYTES);
		copy_text(k.number_text, sizeof(k.number_text), n->number_text);
		st = keyindex_put(s->keys, &k, pos);
		if (st == ST_OK && r->given_number != 0) {
			given_key(k.key, r->unit_code, n->register_code, n->year, n->number);
			st = keyindex_put(s->keys, &k, pos);
		}
		if (st == ST_OK)
			st = replacing_remember(s, r->replaces, r->key, n->sequence, n->lane, pos);
		if (c->original != NULL)
			objects_name(s->objects, c->original->sha256, n->sequence);
		change_fill(s, &change, n, &about, c->code,
			    t->awaiting >> i & 1 ? STATE_AWAITING_APPROVAL : STATE_NUMBERED,
			    t->accepted_ms);
		change_case(&change, t->results, c->results_n, i);
		change.due_ms = c->due_ms;
		change.ends = c->ends;
		if (st == ST_OK)
			st = inflight_add(s->inflight, n->sequence, n->lane, t->accepted_ms,
					  &change);
		r->receipt = (struct receipt){ .state = change.state, .sequence = n->sequence,
					       .number = n->number,
					       .accepted_ms = t->accepted_ms,
					       .issued_ms = n->issued_ms };
		memcpy(r->receipt.result_id, change.result_id, 16);
		memcpy(r->receipt.number_text, k.number_text, sizeof(k.number_text));
	}
	if (st != ST_OK) {
		spine_fail(s, "no memory for an accepted case; it stands in the journal");
		free(p);
		return;
	}
	p->pos = pos;
	p->priority = c->priority;
	p->end = p->left = c->results_n;
	p->size = (uint32_t)record.n;
	memcpy(p->digest, c->digest, SHA256_BYTES);
	if (s->backlog.bytes + record.n <= BACKLOG_CASE_BYTES_MAX)
		p->payload = malloc(record.n);
	if (p->payload != NULL)
		memcpy(p->payload, record.p, record.n);
	p->awaiting = t->awaiting;
	pending_start(s, p);
	atomic_fetch_add_explicit(&s->counters.accepted, 1, memory_order_relaxed);
}

/* validate_only: what would be refused, binding nothing. */
static void check_only(struct spine *s, struct submitted_case *c)
{
	uint32_t year = civil_vietnam(io_wall_ms()).year;

	for (uint8_t i = 0; i < c->results_n; i++) {
		struct submitted_result *r = &c->results[i];
		struct slice code = slice_str(r->kind->register_code);
		uint8_t key[16];
		struct keyentry other;
		enum status st;

		r->receipt = (struct receipt){ .state = STATE_ACCEPTED };
		if (r->kind->numbered == NUMBERED_AT_APPROVAL)
			continue;
		given_key(key, r->unit_code, code, year, r->given_number);
		if (r->given_number != 0) {
			if (key_known(s, key, &other))
				refuse(&c->refusal, REASON_NUMBER_TAKEN, "results", "%llu",
				       (unsigned long long)r->given_number);
		} else if ((st = register_gives(s->registers, r->unit_code, code, year)) != ST_OK) {
			refuse(&c->refusal, REASON_REGISTER_NOT_OPEN, "results", "%s %u%s",
			       r->kind->register_code, year,
			       st == ST_PRECONDITION ? ": closed" : "");
		}
	}
}

/* false: the journal is full just now, ask again. */
static bool number_case(struct spine *s, struct submission *sub, struct submitted_case *c)
{
	struct taking t = { .accepted_ms = io_wall_ms() };
	struct record_numbered rec;
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t pos;
	bool bound = true;

	if (c->refusal.reason != REASON_NONE || decided_before(s, c))
		return true;
	if (c->unless_before != NULL) {
		c->refusal = *c->unless_before;
		return true;
	}
	if (elsewhere(s, c) || refused_now(s, c) || replacing_taken(s, c))
		return true;
	if (sub->validate_only) {
		check_only(s, c);
		return true;
	}
	for (uint8_t i = 0; i < c->results_n && bound; i++)
		bound = bind_result(s, c, i, &t);
	if (!bound) {
		take_back(s, c, &t);
		return !t.full;
	}
	rec = (struct record_numbered){ .accepted_ms = t.accepted_ms, .issued_ms = t.issued_ms,
					.results_n = c->results_n, .principal = sub->principal,
					.case_bytes = c->bytes };
	memcpy(rec.results, t.results, c->results_n * sizeof(t.results[0]));
	if (record_numbered_encode(&rec, &w) != ST_OK) {
		take_back(s, c, &t);
		refuse(&c->refusal, REASON_TOO_LARGE, "", "%d bytes", JOURNAL_RECORD_BYTES_MAX);
		return true;
	}
	if (!append_record(s, t.awaiting != 0 ? RECORD_ACCEPTED : RECORD_NUMBERED,
			   writer_slice(&w), &pos)) {
		take_back(s, c, &t);
		return false;
	}
	keep_case(s, sub, c, &t, pos, writer_slice(&w));
	return true;
}

static void answer_later(struct spine *s, struct submission *sub)
{
	uint32_t refused = 0;

	for (uint32_t i = 0; i < sub->cases_n; i++)
		refused += sub->cases[i].refusal.reason != REASON_NONE;
	atomic_fetch_add_explicit(&s->counters.refused, refused, memory_order_relaxed);
	/* Nothing of it waits for the mirror, and the others may wait long. */
	if (refused == sub->cases_n && mirror_refuses(s)) {
		intake_answer(sub);
		return;
	}
	/* A duplicate's first receipt may still be on its way to the disk: it waits as well. */
	sub->durable_at = s->appended;
	sub->next = NULL;
	if (s->answer_last != NULL)
		s->answer_last->next = sub;
	else
		s->answer_first = sub;
	s->answer_last = sub;
}

void number_run(struct spine *s)
{
	while (s->number_first != NULL && s->failure.status == ST_OK) {
		struct submission *sub = s->number_first;

		while (s->number_case < sub->cases_n) {
			if (!number_case(s, sub, &sub->cases[s->number_case]))
				return;
			s->number_case++;
		}
		s->number_first = sub->next;
		if (s->number_first == NULL)
			s->number_last = NULL;
		s->number_case = 0;
		answer_later(s, sub);
	}
}

void answer_run(struct spine *s)
{
	uint64_t durable = journal_durable(s->journal);

	while (s->answer_first != NULL && s->answer_first->durable_at <= durable) {
		struct submission *sub = s->answer_first;

		s->answer_first = sub->next;
		if (s->answer_first == NULL)
			s->answer_last = NULL;
		intake_answer(sub);
	}
}
