#include <stdlib.h>

#include "base/log.h"
#include "spine/approval.h"
#include "spine/mirror.h"
#include "spine/track.h"

#define EXPIRED_EVERY_NS (5 * 1000000000ull)
#define EXPIRED_MAX 32			/* rows of one look */

/* ---- the janitor ---- */

enum status end_find(struct spine *s, struct job *j)
{
	enum status st = waiting_find(s->rows, j->act->sequence, &j->row, &j->error);

	if (st == ST_OK && j->row.state != STATE_AWAITING_APPROVAL)
		st = ST_NOT_FOUND;
	return st;
}

enum status expired_find(struct spine *s, struct job *j)
{
	j->expired = calloc(EXPIRED_MAX, sizeof(*j->expired));
	if (j->expired == NULL)
		return error_set(&j->error, ST_NOMEM, "no memory for what has expired");
	return waiting_expired(s->rows, STATE_AWAITING_APPROVAL, io_wall_ms(), j->row.expires_ms,
			       j->row.sequence, j->expired, EXPIRED_MAX, &j->expired_n, &j->error);
}

/* ---- the spine ---- */

static enum record_type end_type(enum state state)
{
	return state == STATE_REFUSED ? RECORD_REFUSED :
	       state == STATE_WITHDRAWN ? RECORD_WITHDRAWN : RECORD_TIMED_OUT;
}

void end_keys(struct spine *s, const struct record_result *r, uint64_t pos)
{
	struct keyentry k;

	if (!key_known(s, r->key, &k))
		return;
	k.flags |= r->state == STATE_REFUSED ? KEYENTRY_REFUSED :
		   r->state == STATE_WITHDRAWN ? KEYENTRY_WITHDRAWN : KEYENTRY_TIMED_OUT;
	if (keyindex_put(s->keys, &k, pos) != ST_OK)
		spine_fail(s, "no memory for the key index");
}

/* j->voided from j->row and the act; its strings borrow from both. */
static void end_record(struct spine *s, struct job *j, enum state state)
{
	const struct waiting_row *row = &j->row;
	struct record_result *r = &j->voided;

	*r = (struct record_result){ .sequence = row->sequence, .lane = row->lane,
				     .at_ms = io_wall_ms(), .unit = slice_str(row->unit),
				     .kind = slice_str(row->kind),
				     .case_code = slice_str(row->case_code),
				     .ordinal = row->ordinal, .revision = row->revision,
				     .accepted_ms = row->accepted_ms, .state = (uint8_t)state,
				     .actor = j->act != NULL ? j->act->actor : slice_str("engine"),
				     .detail = j->act != NULL ? j->act->reason :
								slice_of(NULL, 0) };
	result_key(r->key, r->unit, r->case_code, r->kind, r->ordinal, r->revision);
	identity_result_id(s->identity, r->result_id, r->lane, r->sequence);
}

/* Readers learn of it before the store does. */
static enum status end_show(struct spine *s, const struct record_result *r, int64_t due_ms)
{
	struct numbered_result n = { .sequence = r->sequence, .lane = r->lane };
	struct case_result about = { .unit = r->unit, .kind = r->kind, .ordinal = r->ordinal };
	struct state_change change;

	change_fill(s, &change, &n, &about, r->case_code, (enum state)r->state, r->at_ms);
	change.due_ms = due_ms;
	return inflight_add_over(s->inflight, r->sequence, r->lane, r->accepted_ms, &change,
				 STATE_AWAITING_APPROVAL);
}

bool may_become(struct spine *s, const uint8_t key[16], enum state to)
{
	struct keyentry k;

	return key_known(s, key, &k) && (k.flags & KEYENTRY_APPROVED) == 0 &&
	       state_follows(key_state(&k), to);
}

/* ST_OK: j is on its way to the store, and not the caller's any more. */
static enum status end_write(struct spine *s, struct job *j, enum state state)
{
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t pos;

	end_record(s, j, state);
	if (!may_become(s, j->voided.key, state))
		return ST_PRECONDITION;
	if (record_result_encode(&j->voided, &w) != ST_OK)
		return ST_TOO_LARGE;
	if (!append_record(s, end_type(state), writer_slice(&w), &pos))
		return ST_FULL;
	end_keys(s, &j->voided, pos);
	if (end_show(s, &j->voided, j->row.due_ms) != ST_OK ||
	    track_open(s->track, pos, &j->track) != ST_OK)
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
	j->type = JOB_VOID;
	j->after = s->appended;
	job_push(s, j);
	return ST_OK;
}

static void refuse_end(struct job *j, enum status st, const char *text)
{
	refuse_act(j->act, st, text);
	free(j);
}

/* Not in the waiting room: not yet, or not any more. */
static void end_missing(struct spine *s, struct job *j)
{
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	if (j->status != ST_NOT_FOUND)
		refuse_end(j, j->status, j->error.text);
	else if (!inflight_get(s->inflight, j->act->sequence, &now, &lane, &accepted_ms))
		refuse_end(j, ST_NOT_FOUND, "no such result waits for approval");
	else if (now.state == STATE_AWAITING_APPROVAL)
		refuse_end(j, ST_AGAIN, "the result is on its way there; call again");
	else
		refuse_end(j, ST_PRECONDITION, "the result does not wait for approval any more");
}

void end_found(struct spine *s, struct job *j)
{
	struct act *a = j->act;
	enum status st;

	if (j->status != ST_OK) {
		end_missing(s, j);
		return;
	}
	if (a->unit_allowed != NULL && !a->unit_allowed(a, slice_str(j->row.unit))) {
		refuse_end(j, ST_NOT_FOUND, "no such result waits for approval");
		return;
	}
	st = end_write(s, j, a->type == ACT_SEND_BACK ? STATE_REFUSED : STATE_WITHDRAWN);
	if (st == ST_PRECONDITION)
		refuse_end(j, st, "the result does not wait for approval any more");
	else if (st == ST_FULL)
		refuse_end(j, st, "the journal is full just now; call again");
	else if (st != ST_OK)
		refuse_end(j, st, "the reason is too long");
}

/* ---- time ---- */

void expired_found(struct spine *s, struct job *j)
{
	bool more = j->status == ST_OK && j->expired_n == EXPIRED_MAX;

	s->expiring = false;
	if (j->status != ST_OK)
		log_error("waiting", "%s", j->error.text);
	for (uint32_t i = 0; i < j->expired_n && j->status == ST_OK && !s->stopping; i++) {
		struct job *end = calloc(1, sizeof(*end));
		enum status st = ST_NOMEM;

		if (end != NULL) {
			end->row = j->expired[i];
			end->track = NO_TRACK;
			st = end_write(s, end, STATE_TIMED_OUT);
		}
		/* One that was decided meanwhile goes its own way, and hides none behind it. */
		if (st != ST_OK)
			free(end);
		more &= st == ST_OK || st == ST_PRECONDITION;
	}
	/* From the first one on again, after a while. */
	s->expired_ms = more ? j->expired[EXPIRED_MAX - 1].expires_ms : 0;
	s->expired = more ? j->expired[EXPIRED_MAX - 1].sequence : 0;
	if (more)
		s->expired_ns = 0;
	free(j->expired);
	free(j);
}

void expire_run(struct spine *s)
{
	struct job *j;

	if (s->expiring || s->stopping || !s->numbering || mirror_refuses(s) ||
	    s->jobs_out >= JOBS_MAX || io_boot_ns() - s->expired_ns < EXPIRED_EVERY_NS ||
	    journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN ||
	    waiting_count(s->waiting, STATE_AWAITING_APPROVAL) == 0)
		return;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return;
	j->type = JOB_EXPIRED_FIND;
	j->track = NO_TRACK;
	j->row.expires_ms = s->expired_ms;
	j->row.sequence = s->expired;
	job_push(s, j);
	s->expiring = true;
	s->expired_ns = io_boot_ns();
}
