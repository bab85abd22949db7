#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "spine/approval.h"
#include "spine/elsewhere.h"
#include "spine/handing.h"
#include "spine/spine.h"
#include "spine/track.h"

/* ---- what waits ---- */

uint64_t clerk_count(const struct spine *s, enum state state)
{
	uint64_t rows = waiting_count(s->waiting, state), over = inflight_over(s->inflight, state);

	/* A row goes a moment before the entry over it. */
	return rows > over ? rows - over : 0;
}

void waiting_change(struct identity *id, struct state_change *out, const struct waiting_row *row,
		    enum state state, int64_t at_ms)
{
	*out = (struct state_change){ .state = state, .at_ms = at_ms,
				      .issued_ms = row->issued_ms, .due_ms = row->due_ms,
				      .ordinal = row->ordinal,
				      .register_year = row->year, .number = row->number };
	if (state == STATE_HELD || state == STATE_VOID)
		out->held = (enum reason)row->reason;
	identity_result_id(id, out->result_id, row->lane, row->sequence);
	snprintf(out->unit, sizeof(out->unit), "%s", row->unit);
	snprintf(out->code, sizeof(out->code), "%s", row->case_code);
	snprintf(out->kind, sizeof(out->kind), "%s", row->kind);
	snprintf(out->number_text, sizeof(out->number_text), "%s", row->number_text);
	snprintf(out->register_code, sizeof(out->register_code), "%s", row->register_code);
}

bool clerk_row(struct spine *s, uint64_t sequence, struct waiting_row *row)
{
	struct error e = { 0 };
	enum status st;

	if (waiting_count(s->waiting, 0) == 0)
		return false;
	st = waiting_find(s->spine_rows, sequence, row, &e);
	if (st != ST_OK && st != ST_NOT_FOUND)
		spine_fail(s, "waiting room: %s", e.text);
	return st == ST_OK;
}

bool clerk_waits(struct spine *s, uint64_t sequence, struct waiting_row *row)
{
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	return !inflight_get(s->inflight, sequence, &now, &lane, &accepted_ms) &&
	       clerk_row(s, sequence, row);
}

bool clerk_stored(struct spine *s, uint64_t sequence)
{
	struct waiting_row row;
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	if (inflight_get(s->inflight, sequence, &now, &lane, &accepted_ms))
		return now.state == STATE_STORED;
	return !clerk_row(s, sequence, &row);
}

/* ---- into the room ---- */

#define AWAY_NS_MIN (30 * 1000000000ull)
#define AWAY_NS_MAX (10 * AWAY_NS_MIN)

void clerk_park(struct spine *s, struct item *it)
{
	struct job *j = calloc(1, sizeof(*j));
	enum status st = j != NULL ? elsewhere_wrap(it, j) : ST_NOMEM;

	if (st != ST_OK) {
		spine_fail(s, "a result cannot be parked; it stands in the journal: %s",
			   status_name(st));
		if (j != NULL)
			free(j->bytes);
		free(j);
		return;
	}
	j->type = JOB_PARK;
	j->track = NO_TRACK;
	j->pending = it->pending;
	j->row = (struct waiting_row){ .sequence = it->sequence, .lane = it->lane,
				       .state = STATE_HELD, .reason = (uint8_t)it->held,
				       .record = j->row.record, .parked_ms = io_wall_ms() };
	memcpy(j->row.detail, it->held_detail, sizeof(j->row.detail));
	job_push(s, j);
}

/* Asked again before long, and less often the longer it lasts. */
static void away_begins(struct spine *s)
{
	if (s->away.some)
		return;
	s->away.pause_ns = s->away.pause_ns == 0 ? AWAY_NS_MIN :
			   s->away.pause_ns < AWAY_NS_MAX / 2 ? 2 * s->away.pause_ns : AWAY_NS_MAX;
	s->away.some = true;
	s->away.due_ns = io_boot_ns() + s->away.pause_ns;
}

static void parked_count(struct spine *s, const struct job *j)
{
	enum reason why = (enum reason)j->row.reason;

	atomic_fetch_add_explicit(&s->counters.held, 1, memory_order_relaxed);
	/* The store is up and goes on: without these nobody would be woken. */
	if (why == REASON_STORE_REFUSED)
		atomic_fetch_add_explicit(&s->counters.store_refused, 1, memory_order_relaxed);
	if (why == REASON_SIGNER_AWAY)
		away_begins(s);
	if (why == REASON_STORE_CONFLICT)
		atomic_fetch_add_explicit(&s->counters.store_conflicts, 1, memory_order_relaxed);
	/* A start tries them all: what it finds as it was is no news. */
	if (j->pending->held != why)
		log_warn("held", "%s %s: %s %s", j->row.unit, j->row.number_text,
			 reason_text(why)->name, j->row.detail);
}

/* Its row says the truth from here on. */
static void parked_show(struct spine *s, const struct job *j)
{
	enum state state = (enum state)j->row.state;
	struct state_change change;
	int64_t accepted_ms;
	uint8_t lane;

	if (state == STATE_HELD)
		parked_count(s, j);
	/* Who was quicker to decide one that awaits approval has shown it already. */
	else if (!inflight_get(s->inflight, j->row.sequence, &change, &lane, &accepted_ms) ||
		 change.state != state)
		return;
	inflight_set(s->inflight, j->row.sequence, state, (enum reason)j->row.reason,
		     j->row.parked_ms, &change);
	if (inflight_drop(s->inflight, j->row.sequence, state, j->row.parked_ms, &change))
		notify_publish(s->notify, &change, 1);
}

bool clerk_note(struct spine *s, struct job *j)
{
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_result r = { .sequence = j->row.sequence, .lane = j->row.lane,
				   .reason = j->row.reason, .at_ms = j->row.parked_ms,
				   .state = j->row.state, .detail = slice_str(j->row.detail),
				   .expires_ms = j->row.expires_ms };
	uint64_t pos;

	if (!j->noted && record_result_encode(&r, &w) == ST_OK)
		j->noted = append_record(s, RECORD_PARKED, writer_slice(&w), &pos);
	/* Only a mirror needs it: without one a full journal does not wait for itself. */
	return s->mirror == NULL ||
	       (j->noted && await_mirrored(s, j->row.record, slice_of(j->bytes, j->n)));
}

/* It stands in the waiting room: the journal may forget it, and so may we. */
static bool parked_note(struct spine *s, struct job *j)
{
	if (!clerk_note(s, j))
		return false;
	parked_show(s, j);
	pending_settled(s, j->pending);
	free(j->bytes);
	free(j);
	return true;
}

void clerk_parked(struct spine *s, struct job *j)
{
	if (j->status != ST_OK) {
		spine_fail(s, "waiting room: %s", j->error.text);
		return;
	}
	if (j->pending == NULL) {
		free(j->bytes);
		free(j);
		return;
	}
	/* Thousands in a row: with a frame each they would fill what they are to make free. */
	if (j->row.state == STATE_HELD && parked_note(s, j))
		return;
	if (s->parked_n++ == 0)
		s->parked_ns = io_boot_ns();
	j->next = s->parked_first;
	s->parked_first = j;
	s->jobs_out++;
}

void clerk_run(struct spine *s)
{
	if (s->parked_n < PARKED_TOGETHER && !s->stopping &&
	    io_boot_ns() - s->parked_ns < PARKED_MS_MAX * 1000000ull)
		return;
	while (s->parked_first != NULL) {
		struct job *j = s->parked_first, *next = j->next;

		if (!parked_note(s, j))
			break;
		s->parked_first = next;
		s->parked_n--;
		s->jobs_out--;
	}
}

/* ---- out of the room: it is stored ---- */

/* A mirror does not see when a row of its waiting room is done with; a start would find it. */
static void forget_told(struct spine *s, const struct waiting_row *row)
{
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_result r = { .sequence = row->sequence, .lane = row->lane };
	uint64_t pos;

	if (s->mirror != NULL && record_result_encode(&r, &w) == ST_OK)
		(void)append_record(s, RECORD_RESUMED, writer_slice(&w), &pos);
}

void clerk_forget(struct spine *s, const struct item *it)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		spine_fail(s, "no memory to take a stored result out of the waiting room");
		return;
	}
	assert(it->pending->left == 1);
	j->type = JOB_FORGET;
	j->row.sequence = it->sequence;
	j->row.lane = it->lane;
	/* Until then the journal keeps what tells a start that it may be stored already. */
	j->track = it->pending->track;
	it->pending->track = NO_TRACK;
	if (hand_keep(s, j, it->record))
		j->type = JOB_HAND_TELL;
	if (s->failure.status != ST_OK) {
		free(j->bytes);
		free(j);
		return;
	}
	if (j->type == JOB_FORGET)
		forget_told(s, &j->row);
	job_push(s, j);
}

void clerk_told(struct spine *s, struct job *j)
{
	if (status_class(j->status) == CLASS_REJECT)
		log_error("store", "a handover cannot be told: %s", j->error.text);
	free(j->bytes);
	j->bytes = NULL;
	/* What a stop broke off is told at the next start: its row knows of it. */
	if (j->status != ST_OK && status_class(j->status) != CLASS_REJECT) {
		free(j);
		return;
	}
	forget_told(s, &j->row);
	j->type = JOB_FORGET;
	job_push(s, j);
}

void clerk_forgotten(struct spine *s, struct job *j)
{
	struct state_change change;

	/* The journal may forget what it knows of it, the room would go on to say that it waits. */
	if (j->status != ST_OK && j->status != ST_NOT_FOUND)
		spine_fail(s, "waiting room: %s", j->error.text);
	else if (j->numbered)
		number_told(s, j);
	else
		inflight_drop(s->inflight, j->row.sequence, STATE_STORED, 0, &change);
	if (j->track != NO_TRACK && s->failure.status == ST_OK)
		track_close(s->track, j->track);
	free(j);
}

/* ---- out of the room: once more through the pipeline ---- */

bool clerk_denied(const struct job *j)
{
	return j->act != NULL && j->act->unit_allowed != NULL &&
	       !j->act->unit_allowed(j->act, slice_str(j->row.unit));
}

/* Record and signatures move from the row to p. */
static void pending_take(struct pending *p, struct job *j, struct slice record)
{
	memmove(j->bytes, record.p, record.n);
	p->payload = j->bytes;
	p->size = (uint32_t)record.n;
	j->bytes = NULL;
	p->priority = PRIORITY_NORMAL;
	p->held = j->row.reason;
	p->left = 1;
	p->waiting = true;
}

/* What a person gave stays, unless another one finds that it is of no use. NULL: no memory. */
static struct pending *pending_of(const struct job *j, uint8_t index)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->next_result = index;
	p->end = (uint8_t)(index + 1);
	if ((j->act != NULL && j->row.reason == REASON_SIGNATURE_OUTDATED) ||
	    elsewhere_kept(j->row.record, slice_of(j->bytes, j->n), &p->kept) == ST_OK)
		return p;
	free(p);
	return NULL;
}

/* Whoever refused once is asked again by name only: not at every start, nor with all others. */
static bool is_to_retry(const struct job *j)
{
	enum reason why = (enum reason)j->row.reason;

	if (j->act != NULL && j->act->sequence != 0)
		return true;
	if (j->act != NULL && j->act->held_for != REASON_NONE)
		return why == j->act->held_for;
	return j->away_only ? why == REASON_SIGNER_AWAY : !asking_needs_a_person(why);
}

/*
 * A retried result's record is here: back into the pipeline, under a new signing time. false: the
 * journal is full just now.
 */
static bool resume(struct spine *s, struct job *j)
{
	struct record_numbered rec;
	struct record_result r = { .sequence = j->row.sequence, .lane = j->row.lane,
				   .at_ms = io_wall_ms() };
	int64_t parked_ms = j->row.parked_ms;
	struct pending *p;
	struct state_change change;
	uint8_t bytes[512], index;
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct slice record;
	uint64_t pos;

	/* Another's, or on its way again since the janitor looked, or already through. */
	if (clerk_denied(j) || !clerk_waits(s, r.sequence, &j->row) || j->row.state != STATE_HELD)
		return true;
	/* Its row is another one by now: it was tried meanwhile, or handed to another signer. */
	if (j->row.parked_ms != parked_ms)
		return true;
	if (!is_to_retry(j))
		return true;
	record = record_numbered_in(j->row.record, slice_of(j->bytes, j->n));
	if (record_numbered_decode(&rec, record) != ST_OK)
		return true;
	index = record_result_index(&rec, r.sequence);
	/* Whatever the clock says now: nothing is signed before it is issued, or handed on. */
	if (r.at_ms < j->row.issued_ms)
		r.at_ms = j->row.issued_ms;
	for (uint8_t i = 0; i < rec.handed_n; i++)
		if (rec.handed[i].result == index && r.at_ms < rec.handed[i].at_ms)
			r.at_ms = rec.handed[i].at_ms;
	if (index == rec.results_n || record_result_encode(&r, &w) != ST_OK)
		return true;
	p = pending_of(j, index);
	if (p == NULL)
		return true;
	if (!append_record(s, RECORD_RESUMED, writer_slice(&w), &pos)) {
		pending_free(s, p);
		return false;
	}
	waiting_change(s->identity, &change, &j->row, STATE_NUMBERED, r.at_ms);
	if (track_open(s->track, pos, &p->track) != ST_OK ||
	    inflight_add_over(s->inflight, r.sequence, r.lane, j->row.accepted_ms, &change,
			      STATE_HELD) != ST_OK) {
		spine_fail(s, "no memory for a held result; it stands in the waiting room");
		pending_free(s, p);
		return true;
	}
	p->sign_ms = r.at_ms;
	if (case_digest(rec.case_bytes, p->digest) != ST_OK)
		log_error("spine", "a held case has no digest");
	pending_take(p, j, record);
	backlog_add(&s->backlog, p, io_boot_ns());
	s->resumed++;
	notify_publish(s->notify, &change, 1);
	if (j->act != NULL)
		j->act->n++;
	return true;
}

/* A token that was away signs what it has held up without being told. */
static void away_run(struct spine *s)
{
	struct job *j;

	if (!s->away.some || s->away.looking || s->stopping || !s->signer.link.ready ||
	    io_boot_ns() < s->away.due_ns || s->jobs_out >= JOBS_MAX / 2)
		return;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return;
	s->away.some = false;
	s->away.looking = j->away_only = true;
	j->type = JOB_UNPARK;
	j->track = NO_TRACK;
	job_push(s, j);
}

void away_ends(struct spine *s)
{
	s->away.due_ns = s->away.pause_ns = 0;
}

void retry_run(struct spine *s)
{
	away_run(s);
	while (s->retry_first != NULL && (!resumed_full(s) || s->stopping)) {
		struct job *j = s->retry_first;

		if (j->status != ST_OK && j->more)
			log_error("waiting", "%s", j->error.text);
		else if (j->status == ST_OK && j->bytes != NULL && !s->stopping && !resume(s, j))
			return;
		s->retry_first = j->next;
		s->jobs_out--;
		free(j->bytes);
		j->bytes = NULL;
		if (j->more && !s->stopping) {
			job_push(s, j);
			continue;
		}
		s->away.looking &= !j->away_only;
		act_end(s, j);
	}
}
