/* GetCase: all results of a case, and which are done. */
#include "intake/answer.h"
#include "intake/read.h"

#define BYTES_MAX (WHOLE_CASE_MAX * 512 + 256)

/* States of another agency's results belong to the case, their ids and numbers do not. */
static void put_result(struct writer *w, const struct state_change *s, bool own, uint8_t life)
{
	uint8_t *at = put_begin(w, 1);
	char id[ID_TEXT_BYTES];

	put_text(w, 1, s->unit);
	put_text(w, 2, s->kind);
	put_number(w, 3, s->ordinal);
	put_number(w, 4, s->state);
	if (s->state == STATE_HELD || (s->state == STATE_VOID && s->held != REASON_NONE))
		put_text(w, 5, reason_text(s->held)->name);
	put_time(w, 6, s->at_ms);
	if (own) {
		id_text(id, s->result_id);
		put_slice(w, 7, slice_of(id, sizeof(id)));
		put_text(w, 8, s->number_text);
		put_number(w, 9, life);
	}
	put_end(w, at);
}

/*
 * Its id and number, and its life; of one that is restricted by decision, as of another agency's,
 * its state.
 */
static bool is_shown(struct call *c, struct read_thread *r, const struct state_change *s,
		     uint8_t *life)
{
	struct result_view v;

	*life = 0;
	if (!read_allowed(c, slice_str(s->unit)))
		return false;
	if (s->state != STATE_STORED)
		return true;
	if (c->in->ops.get(r->store, s->result_id, &v) != ST_OK || read_restricted(c, &v))
		return false;
	*life = (uint8_t)v.life;
	return true;
}

/*
 * All of its results, as the first one that says what the case is tells; or some wait here, so that
 * it is ours. ST_NOT_FOUND: neither.
 */
static enum status all_found(struct call *c, struct read_thread *r,
			     const struct state_change *found, uint32_t n)
{
	size_t mark = r->scratch.used;
	enum status st = ST_NOT_FOUND;
	struct case_view about;
	struct slice bytes;

	for (uint32_t i = 0; i < n; i++)
		if (!state_is_end(found[i].state))
			return ST_OK;
	for (uint32_t i = 0; i < n && st == ST_NOT_FOUND; i++)
		st = c->in->ops.case_of(r->store, found[i].result_id, &bytes);
	if (st == ST_OK)
		st = case_decode(&about, bytes, &r->scratch);
	if (st == ST_OK && !case_all_told(&about, found, n))
		st = ST_NOT_FOUND;
	r->scratch.used = mark;
	return st;
}

bool case_elsewhere(struct call *c, struct read_thread *r, struct slice unit,
		    const struct state_change *found, uint32_t n)
{
	struct error owner;
	enum status st;

	if (!c->in->ops.unit_elsewhere(r->store, unit, &owner))
		return false;
	st = all_found(c, r, found, n);
	if (st == ST_NOT_FOUND)
		return read_elsewhere(c, r, unit);
	if (st != ST_OK)
		read_refuse(c, st);
	return st != ST_OK;
}

void get_case_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__GetCaseRequest *q =
		read_request(c, r, &trien__v1__get_case_request__descriptor);
	struct state_change of[WHOLE_CASE_MAX];
	uint8_t bytes[BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint32_t n = 0, stored = 0, ended = 0;
	enum status st;

	if (q == NULL)
		return;
	if (q->unit[0] == '\0' || strlen(q->unit) > CODE_BYTES_MAX || q->code[0] == '\0' ||
	    strlen(q->code) > CASE_CODE_BYTES_MAX) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, q->unit[0] == '\0' ||
			    strlen(q->unit) > CODE_BYTES_MAX ? "unit" : "code", "%s", "");
		return;
	}
	if (!read_allowed(c, slice_str(q->unit))) {
		access_unit(c, "unit", slice_str(q->unit));
		return;
	}
	st = c->in->ops.whole_case(r->store, slice_str(q->unit), slice_str(q->code), WHOLE_CASE_MAX,
				   of, &n);
	if ((st == ST_OK || st == ST_NOT_FOUND) &&
	    case_elsewhere(c, r, slice_str(q->unit), of, n))
		return;
	if (st == ST_NOT_FOUND) {
		call_refuse(c, FAULT_CASE_NOT_FOUND, "code", "%s", "");
		return;
	}
	if (st != ST_OK) {
		read_refuse(c, st);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint8_t life;
		bool shown = is_shown(c, r, &of[i], &life);

		put_result(&w, &of[i], shown, life);
		stored += of[i].state == STATE_STORED;
		ended += of[i].state >= STATE_REFUSED;
	}
	put_number(&w, 2, n);
	put_number(&w, 3, stored);
	put_number(&w, 4, ended);
	call_reply(c, slice_copied(&w));
}
