#include <stdlib.h>

#include "spine/elsewhere.h"
#include "spine/spine.h"
#include "spine/track.h"

/* ---- may a person end the waiting? ---- */

void row_missing(struct spine *s, struct job *j)
{
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	/* Of those that wait for a signature some have no row yet. */
	if (j->status == ST_NOT_FOUND &&
	    inflight_get(s->inflight, j->act->sequence, &now, &lane, &accepted_ms) &&
	    now.state == STATE_AWAITING_SIGNATURE &&
	    (j->act->unit_allowed == NULL ||
	     j->act->unit_allowed(j->act, slice_str(now.unit))))
		j->status = error_set(&j->error, ST_AGAIN, "the result is on its way there; call "
				      "again");
}

bool row_find_again(struct spine *s, struct job *j)
{
	if (j->again++ == FIND_AGAIN_MAX || s->stopping || s->failure.status != ST_OK)
		return false;
	free(j->bytes);
	j->bytes = NULL;
	j->row = (struct waiting_row){ .sequence = j->act->sequence };
	j->status = ST_OK;
	j->error = j->act->error = (struct error){ 0 };
	elsewhere_row_wanted(s, j->act->sequence);
	j->after = s->appended;
	job_push(s, j);
	return true;
}

enum status row_may_end(struct spine *s, struct job *j)
{
	struct error *e = &j->act->error;
	int64_t parked_ms = j->row.parked_ms;
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	if (clerk_denied(j))
		return error_set(e, ST_NOT_FOUND, "no such result is held");
	if (inflight_get(s->inflight, j->row.sequence, &now, &lane, &accepted_ms) &&
	    now.state == STATE_AWAITING_SIGNATURE)
		return error_set(e, ST_AGAIN, "its signature is being kept; call again");
	if (!clerk_waits(s, j->row.sequence, &j->row) ||
	    (j->row.state != STATE_HELD && j->row.state != STATE_AWAITING_SIGNATURE))
		return error_set(e, ST_PRECONDITION, "only a result that is held or awaits a "
				 "signature can be voided or handed on; this one is on its way");
	if (j->row.parked_ms != parked_ms)
		return error_set(e, ST_AGAIN, "the result was on its way; call again");
	if (j->row.state == STATE_HELD)
		return ST_OK;
	if (elsewhere_may_end(s, &j->row, slice_of(j->bytes, j->n)) != ST_OK)
		return error_set(e, ST_AGAIN, "something came for its signature just now; call "
				 "again");
	j->row.reason = REASON_SIGNATURE_NOT_GIVEN;
	return ST_OK;
}

/* ---- its number is void ---- */

/* j->voided from row and act. */
static void void_record(struct job *j, const struct state_change *now)
{
	const struct waiting_row *row = &j->row;

	j->voided = (struct record_result){ .sequence = row->sequence, .lane = row->lane,
					    .reason = row->reason, .at_ms = now->at_ms,
					    .actor = j->act->actor, .detail = j->act->reason,
					    .unit = slice_str(row->unit),
					    .register_code = slice_str(row->register_code),
					    .year = row->year, .number = row->number,
					    .kind = slice_str(row->kind),
					    .case_code = slice_str(row->case_code),
					    .number_text = slice_str(row->number_text),
					    .ordinal = row->ordinal, .revision = row->revision,
					    .accepted_ms = row->accepted_ms,
					    .issued_ms = row->issued_ms, .state = STATE_VOID };
	memcpy(j->voided.result_id, now->result_id, sizeof(j->voided.result_id));
	result_key(j->voided.key, j->voided.unit, j->voided.case_code, j->voided.kind,
		   row->ordinal, row->revision);
}

static void refuse_void(struct job *j, enum status st)
{
	j->act->status = st;
	j->act->done(j->act);
	free(j->bytes);
	free(j);
}

/* The row to be voided is known: its number's end goes through the journal. */
void void_found(struct spine *s, struct job *j)
{
	struct error *e = &j->act->error;
	struct state_change now;
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	enum status st = row_may_end(s, j);
	uint64_t pos;

	if (st == ST_OK && j->act->reason.n == 0)
		st = error_set(e, ST_INVALID, "a reason is needed: it stands in the register for "
			       "ever");
	if (st == ST_AGAIN && row_find_again(s, j))
		return;
	if (st != ST_OK) {
		refuse_void(j, st);
		return;
	}
	waiting_change(s->identity, &now, &j->row, STATE_VOID, io_wall_ms());
	void_record(j, &now);
	if (record_result_encode(&j->voided, &w) != ST_OK ||
	    !append_record(s, RECORD_VOID, writer_slice(&w), &pos)) {
		refuse_void(j, error_set(e, ST_FULL, "the journal is full just now; call again"));
		return;
	}
	elsewhere_end(s, j->row.sequence);
	register_void(s, &j->voided);
	void_keys(s, &j->voided, pos);
	/* From here on nobody retries it or voids it once more. */
	if (inflight_add_over(s->inflight, j->row.sequence, j->row.lane, j->row.accepted_ms, &now,
			      (enum state)j->row.state) != ST_OK ||
	    track_open(s->track, pos, &j->track) != ST_OK)
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
	j->type = JOB_VOID;
	j->after = s->appended;
	job_push(s, j);
}

void register_void(struct spine *s, const struct record_result *r)
{
	/* In the register the number stays what another's entry says. */
	if (r->reason != REASON_STORE_CONFLICT)
		register_voided(s->registers, r->unit, r->register_code, r->year);
}

void void_keys(struct spine *s, const struct record_result *r, uint64_t pos)
{
	struct keyentry k;

	if (!key_known(s, r->key, &k))
		return;
	k.flags |= KEYENTRY_VOIDED;
	if (keyindex_put(s->keys, &k, pos) != ST_OK)
		spine_fail(s, "no memory for the key index");
}

void void_done(struct spine *s, struct job *j)
{
	struct state_change change;

	if (status_class(j->status) == CLASS_REJECT) {
		/* The register's book has another entry for this number: it waits as before. */
		inflight_drop(s->inflight, j->voided.sequence, (enum state)j->row.state,
			      j->row.parked_ms, &change);
		atomic_store(&s->elsewhere->outdated, true);
	} else if (j->status == ST_OK) {
		if (inflight_drop(s->inflight, j->voided.sequence, (enum state)j->voided.state,
				  j->voided.at_ms, &change))
			notify_publish(s->notify, &change, 1);
		if (j->voided.state == STATE_VOID)
			atomic_fetch_add(&s->counters.voided, 1);
	}
}
