#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "spine/approval.h"
#include "spine/mirror.h"
#include "spine/spine.h"
#include "spine/track.h"
#include "spine/units.h"

/*
 * Every answer goes out through the janitor's list, so that it waits for what is durable before it.
 */
static struct job *job_for(struct spine *s, struct act *a, enum job_type type)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		a->status = error_set(&a->error, ST_NOMEM, "no memory for this call");
		a->done(a);
		return NULL;
	}
	j->type = type;
	j->act = a;
	j->track = NO_TRACK;
	return j;
}

static void refuse_act(struct act *a, enum status st, const char *text)
{
	a->status = error_set(&a->error, st, "%s", text);
	a->done(a);
}

static void answer_when_durable(struct spine *s, struct act *a)
{
	struct job *j = job_for(s, a, JOB_ANSWER);

	if (j == NULL)
		return;
	j->after = s->appended;
	job_push(s, j);
}

static void register_record(struct spine *s, struct act *a, enum record_type type, uint64_t number)
{
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_register r = { .unit = a->unit, .code = a->code, .year = a->year,
				     .first = number, .at_ms = io_wall_ms(), .reason = a->reason,
				     .actor = a->actor };
	uint64_t pos;

	if (record_register_encode(&r, &w) != ST_OK) {
		refuse_act(a, ST_TOO_LARGE, "the reason is too long");
		return;
	}
	if (!append_record(s, type, writer_slice(&w), &pos)) {
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
		return;
	}
	if (type == RECORD_REGISTER_OPENED)
		a->status = register_open(s->registers, a->unit, a->code, a->year, a->first);
	else
		a->status = register_close(s->registers, a->unit, a->code, a->year);
	if (a->registers != NULL)
		register_find(s->registers, a->unit, a->code, a->year, a->registers);
	log_info("register", "%.*s %.*s %u %s at %llu by %.*s", (int)a->unit.n,
		 (const char *)a->unit.p, (int)a->code.n, (const char *)a->code.p, a->year,
		 type == RECORD_REGISTER_OPENED ? "opened" : "closed",
		 (unsigned long long)number, (int)a->actor.n, (const char *)a->actor.p);
	answer_when_durable(s, a);
}

static bool refuse_elsewhere(struct spine *s, struct act *a)
{
	char owner[OWNER_TEXT_BYTES], text[OWNER_TEXT_BYTES + 64];

	if (units_mine(s->units, a->unit, owner))
		return false;
	snprintf(text, sizeof(text), "another engine issues for this agency: %s", owner);
	refuse_act(a, ST_PRECONDITION, text);
	return true;
}

static bool kind_uses(const struct catalogue *c, struct slice code)
{
	const struct kind *k;

	for (uint32_t i = 0; (k = catalogue_kind_at(c, i)) != NULL; i++)
		if (slice_eq(slice_str(k->register_code), code))
			return true;
	return false;
}

static void register_act_open(struct spine *s, struct act *a)
{
	uint32_t day = day_vietnam(io_wall_ms());
	struct register_row row;
	struct catalogue *c;
	bool unit_known, code_known;

	if (refuse_elsewhere(s, a))
		return;
	c = spine_catalogue(s);
	unit_known = catalogue_unit(c, a->unit, day) != NULL;
	code_known = kind_uses(c, a->code);
	catalogue_unref(c);
	if (a->year == 0)
		a->year = day / 10000;
	if (!unit_known)
		refuse_act(a, ST_NOT_FOUND, "the agency is not in the catalogue today");
	else if (!code_known)
		refuse_act(a, ST_NOT_FOUND, "no document kind uses this register code");
	else if (a->first == 0)
		refuse_act(a, ST_INVALID, "the next number must be at least 1");
	else if (a->reason.n == 0)
		refuse_act(a, ST_INVALID, "a reason is needed: it is kept with the register");
	else if (register_find(s->registers, a->unit, a->code, a->year, &row))
		refuse_act(a, ST_EXISTS, "the register is already open for this year");
	else
		register_record(s, a, RECORD_REGISTER_OPENED, a->first);
}

static void register_act_close(struct spine *s, struct act *a)
{
	struct register_row row;

	if (refuse_elsewhere(s, a))
		return;
	if (a->year == 0)
		a->year = civil_vietnam(io_wall_ms()).year;
	if (!register_find(s->registers, a->unit, a->code, a->year, &row))
		refuse_act(a, ST_NOT_FOUND, "the register is not open for this year");
	else if (row.closed)
		refuse_act(a, ST_EXISTS, "the register is already closed");
	else if (s->approving_first != NULL)
		refuse_act(a, ST_AGAIN, "what was confirmed gets its numbers just now; call again");
	else
		register_record(s, a, RECORD_REGISTER_CLOSED, row.next - 1);
}

static void register_act_list(struct spine *s, struct act *a)
{
	struct register_row row;

	for (uint32_t i = a->offset; a->n < a->max && register_at(s->registers, i, &row); i++)
		a->registers[a->n++] = row;
	a->status = ST_OK;
	a->done(a);
}

static void link_act(struct spine *s, struct act *a)
{
	uint8_t bytes[2048];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct state_change now;
	int64_t accepted_ms;
	struct job *j;
	uint64_t pos;
	uint8_t lane;

	if (inflight_get(s->inflight, a->sequence, &now, &lane, &accepted_ms)) {
		refuse_act(a, ST_AGAIN, "the result is not stored yet; call again later");
		return;
	}
	j = job_for(s, a, JOB_LINK);
	if (j == NULL)
		return;
	j->link = (struct record_link){ .sequence = a->sequence, .lane = a->lane,
					.holder = a->holder, .at_ms = io_wall_ms(),
					.actor = a->actor, .reason = a->reason };
	holder_key_of_id(j->link.key, a->holder.id_kind, a->holder.country, a->holder.number);
	if (record_link_encode(&j->link, &w) != ST_OK) {
		refuse_act(a, ST_TOO_LARGE, "the holder is too long");
		free(j);
	} else if (!append_record(s, RECORD_STATE_EVENT, writer_slice(&w), &pos)) {
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
		free(j);
	} else {
		if (track_open(s->track, pos, &j->track) != ST_OK)
			spine_fail(s, "no memory for an accepted act; it stands in the journal");
		j->after = s->appended;
		job_push(s, j);
	}
}

static void status_act(struct spine *s, struct act *a)
{
	struct status_view *v = a->view;
	uint64_t retries;

	*v = (struct status_view){ .started_ms = s->started_ms };
	snprintf(v->io, sizeof(v->io), "%s", io_name(s->io));
	snprintf(v->store, sizeof(v->store), "%s", s->store->ops->name);
	v->accepted = atomic_load(&s->counters.accepted);
	v->duplicates = atomic_load(&s->counters.duplicates);
	v->refused = atomic_load(&s->counters.refused);
	v->stored = atomic_load(&s->counters.stored);
	v->voided = atomic_load(&s->counters.voided);
	v->signatures = atomic_load(&s->counters.signatures);
	v->batches = atomic_load(&s->counters.batches);
	v->held = inflight_held(s->inflight);
	v->in_flight = inflight_count(s->inflight);
	v->backlog = s->backlog.cases;
	v->journal_slots = s->config->journal_slots;
	v->journal_slots_free = journal_slots_free(s->journal);
	v->numbering = s->numbering && !s->stopping && !mirror_refuses(s);
	snprintf(v->why, sizeof(v->why), "%s", s->stopping ? "stopping" : "");
	if (!s->stopping && mirror_why(s)[0] != '\0')
		snprintf(v->why, sizeof(v->why), "mirror %s: %s", s->config->mirror,
			 mirror_why(s));
	v->signer_up = s->signer.ready;
	v->remote = !s->remote.known ? "" : s->remote.ready ? "up" : "away";
	v->store_up = s->store->ops->up(s->store, &retries);
	a->status = ST_OK;
	a->done(a);
}

static void job_act(struct spine *s, struct act *a, enum job_type type)
{
	struct job *j = job_for(s, a, type);

	if (j == NULL)
		return;
	j->row.sequence = a->sequence;
	job_push(s, j);
}

static void approve_act(struct spine *s, struct act *a)
{
	const struct approval *p = a->approval;

	if (p->items_n == 0 || p->items_n > APPROVAL_ITEMS_MAX ||
	    p->delegation.n > DELEGATION_BYTES_MAX || a->actor.n > PRINCIPAL_BYTES_MAX)
		refuse_act(a, ST_INVALID, "a confirmation has 1 to 1000 results");
	else if (!s->numbering)
		refuse_act(a, ST_UNAVAILABLE, "the engine does not number just now");
	else
		job_act(s, a, JOB_APPROVE_FIND);
}

/* Kept with the result for ever. */
static void end_act(struct spine *s, struct act *a)
{
	if (a->reason.n == 0 || a->reason.n > REASON_TEXT_BYTES_MAX)
		refuse_act(a, ST_INVALID, "a reason is needed, of at most 400 bytes: it is kept "
			   "with the result");
	else
		job_act(s, a, JOB_END_FIND);
}

/* Through the journal. */
static bool writes(enum act_type type)
{
	return type == ACT_REGISTER_OPEN || type == ACT_REGISTER_CLOSE ||
	       type == ACT_LINK_HOLDER || type == ACT_HELD_RETRY || type == ACT_HELD_VOID ||
	       type == ACT_APPROVE || type == ACT_SEND_BACK || type == ACT_WITHDRAW;
}

void act_run(struct spine *s, struct act *a)
{
	a->n = 0;
	if (s->stopping && a->type != ACT_STATUS && a->type != ACT_REGISTER_LIST) {
		refuse_act(a, ST_UNAVAILABLE, "the engine is stopping; call again later");
		return;
	}
	if (mirror_refuses(s) && writes(a->type)) {
		refuse_act(a, ST_UNAVAILABLE, "the journal's mirror does not answer; call again "
			   "later");
		return;
	}
	switch (a->type) {
	case ACT_REGISTER_OPEN:
		register_act_open(s, a);
		break;
	case ACT_REGISTER_CLOSE:
		register_act_close(s, a);
		break;
	case ACT_REGISTER_LIST:
		register_act_list(s, a);
		break;
	case ACT_LINK_HOLDER:
		link_act(s, a);
		break;
	case ACT_STATUS:
		status_act(s, a);
		break;
	case ACT_HELD_LIST:
		job_act(s, a, JOB_HELD_LIST);
		break;
	case ACT_HELD_RETRY:
		job_act(s, a, JOB_UNPARK);
		break;
	case ACT_HELD_VOID:
		job_act(s, a, JOB_HELD_FIND);
		break;
	case ACT_NOTE_READS:
		job_act(s, a, JOB_NOTE_READS);
		break;
	case ACT_APPROVE:
		approve_act(s, a);
		break;
	case ACT_SEND_BACK:
	case ACT_WITHDRAW:
		end_act(s, a);
		break;
	}
}

static bool unit_denied(const struct job *j)
{
	return j->act != NULL && j->act->unit_allowed != NULL &&
	       !j->act->unit_allowed(j->act, slice_str(j->row.unit));
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
	struct pending *p;
	struct state_change change;
	uint8_t bytes[512], lane, index = 0;
	int64_t accepted_ms;
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint64_t pos;

	if (unit_denied(j) ||
	    !inflight_get(s->inflight, r.sequence, &change, &lane, &accepted_ms) ||
	    change.state != STATE_HELD)
		return true;		/* another's, or already on its way again */
	if (record_numbered_decode(&rec, slice_of(j->bytes, j->n)) != ST_OK)
		return true;
	while (index < rec.results_n && rec.results[index].sequence != r.sequence)
		index++;
	/* Whatever the clock says now: nothing is signed before it is issued. */
	if (index < rec.results_n && r.at_ms < rec.results[index].issued_ms)
		r.at_ms = rec.results[index].issued_ms;
	p = calloc(1, sizeof(*p));
	if (p == NULL || index == rec.results_n || record_result_encode(&r, &w) != ST_OK) {
		free(p);
		return true;
	}
	if (!append_record(s, RECORD_RESUMED, writer_slice(&w), &pos)) {
		free(p);
		return false;
	}
	p->track = NO_TRACK;
	p->sign_ms = r.at_ms;
	p->priority = PRIORITY_NORMAL;
	p->payload = j->bytes;
	p->size = (uint32_t)j->n;
	j->bytes = NULL;
	p->next_result = index;
	p->end = (uint8_t)(index + 1);
	p->left = 1;
	p->waiting = true;
	if (case_digest(rec.case_bytes, p->digest) != ST_OK)
		log_error("spine", "a held case has no digest");
	backlog_add(s, p);
	s->resumed++;
	if (inflight_set(s->inflight, r.sequence, STATE_NUMBERED, REASON_NONE, r.at_ms, &change))
		notify_publish(s->notify, &change, 1);
	if (j->act != NULL)
		j->act->n++;
	return true;
}

/* j->voided from row, act and the case that the row repeats. */
static void void_record(struct job *j, const struct state_change *now, int64_t accepted_ms)
{
	struct record_numbered rec;
	struct case_view c;
	struct arena arena;
	uint8_t index = 0;

	j->voided = (struct record_result){ .sequence = j->row.sequence, .lane = j->row.lane,
					    .reason = j->row.reason, .at_ms = io_wall_ms(),
					    .actor = j->act->actor, .detail = j->act->reason,
					    .unit = slice_str(j->row.unit),
					    .register_code = slice_str(j->row.register_code),
					    .year = j->row.year, .number = j->row.number,
					    .kind = slice_str(j->row.kind),
					    .number_text = slice_str(j->row.number_text),
					    .ordinal = now->ordinal, .accepted_ms = accepted_ms,
					    .state = STATE_VOID,
					    .issued_ms = sequence_ms(j->row.sequence) };
	memcpy(j->voided.result_id, now->result_id, sizeof(j->voided.result_id));
	if (arena_init(&arena, 4 * CASE_BYTES_MAX) != ST_OK)
		return;
	if (record_numbered_decode(&rec, slice_of(j->bytes, j->n)) == ST_OK &&
	    case_decode(&c, rec.case_bytes, &arena) == ST_OK) {
		while (index < rec.results_n && rec.results[index].sequence != j->row.sequence)
			index++;
		j->voided.case_code = c.code;
		if (index < c.results_n) {
			const struct case_result *r = &c.results[index];

			j->voided.issued_ms = rec.results[index].issued_ms;
			j->voided.revision = r->revision;
			result_key(j->voided.key, r->unit, c.code, r->kind, r->ordinal,
				   r->revision);
		}
	}
	arena_free(&arena);
}

/* The row to be voided is known: its number's end goes through the journal. */
static void void_found(struct spine *s, struct job *j)
{
	struct act *a = j->act;
	struct state_change now;
	uint8_t lane;
	int64_t accepted_ms;
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t pos;

	if (unit_denied(j)) {
		refuse_act(a, ST_NOT_FOUND, "no such result is held");
		free(j->bytes);
		free(j);
		return;
	}
	if (!inflight_get(s->inflight, j->row.sequence, &now, &lane, &accepted_ms) ||
	    now.state != STATE_HELD || a->reason.n == 0) {
		refuse_act(a, a->reason.n == 0 ? ST_INVALID : ST_PRECONDITION, a->reason.n == 0 ?
			   "a reason is needed: it stands in the register for ever" :
			   "only a held result can be voided; this one is on its way");
		free(j->bytes);
		free(j);
		return;
	}
	void_record(j, &now, accepted_ms);
	if (record_result_encode(&j->voided, &w) != ST_OK ||
	    !append_record(s, RECORD_VOID, writer_slice(&w), &pos)) {
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
		free(j->bytes);
		free(j);
		return;
	}
	register_void(s, &j->voided);
	void_keys(s, &j->voided, pos);
	/* From here on nobody retries it or voids it once more. */
	inflight_set(s->inflight, j->row.sequence, STATE_VOID, (enum reason)j->row.reason,
		     j->voided.at_ms, &now);
	if (track_open(s->track, pos, &j->track) != ST_OK)
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

static void void_done(struct spine *s, struct job *j)
{
	struct state_change change;

	if (status_class(j->status) == CLASS_REJECT) {
		/* The register's book has another entry for this number. */
		inflight_set(s->inflight, j->voided.sequence, STATE_HELD,
			     (enum reason)j->row.reason, j->row.parked_ms, &change);
	} else if (j->status == ST_OK) {
		if (inflight_drop(s->inflight, j->voided.sequence, (enum state)j->voided.state,
				  j->voided.at_ms, &change))
			notify_publish(s->notify, &change, 1);
		if (j->voided.state == STATE_VOID)
			atomic_fetch_add(&s->counters.voided, 1);
	}
}

/* Done, or refused for ever; what a stop broke off is done at the next start. */
static bool is_final(enum status st)
{
	return st == ST_OK || status_class(st) == CLASS_REJECT;
}

static void job_end(struct spine *s, struct job *j)
{
	struct act *a = j->act;

	if (j->type == JOB_VOID)
		void_done(s, j);
	if (j->track != NO_TRACK && is_final(j->status))
		track_close(s->track, j->track);
	if (a != NULL) {
		if (j->type != JOB_ANSWER) {
			a->status = j->status;
			a->error = j->error;
		}
		a->done(a);
	}
	free(j->bytes);
	free(j);
}

void act_finished(struct spine *s, struct job *j)
{
	if (j->type == JOB_UNPARK) {
		j->next = s->retry_first;
		s->retry_first = j;
		s->jobs_out++;
	} else if (j->type == JOB_HELD_FIND && j->status == ST_OK) {
		void_found(s, j);
	} else {
		job_end(s, j);
	}
}

void retry_run(struct spine *s)
{
	while (s->retry_first != NULL && (s->resumed < RESUMED_MAX || s->stopping)) {
		struct job *j = s->retry_first;

		if (j->status != ST_OK && j->more)
			log_error("waiting", "%s", j->error.text);
		else if (j->status == ST_OK && j->bytes != NULL && !s->stopping && !resume(s, j))
			return;
		s->retry_first = j->next;
		s->jobs_out--;
		free(j->bytes);
		j->bytes = NULL;
		if (j->more && !s->stopping)
			job_push(s, j);
		else
			job_end(s, j);
	}
}
