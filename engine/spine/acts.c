#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "spine/approval.h"
#include "spine/handing.h"
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

void refuse_act(struct act *a, enum status st, const char *text)
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
	struct job *j;
	uint64_t pos;

	if (!clerk_stored(s, a->sequence)) {
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
	v->held = clerk_count(s, STATE_HELD);
	v->in_flight = inflight_count(s->inflight);
	v->backlog = s->backlog.cases;
	v->journal_slots = s->config->journal_slots;
	v->journal_slots_free = journal_slots_free(s->journal);
	v->numbering = s->numbering && !s->stopping && !mirror_refuses(s);
	snprintf(v->why, sizeof(v->why), "%s", s->stopping ? "stopping" : "");
	if (!s->stopping && mirror_why(s)[0] != '\0')
		snprintf(v->why, sizeof(v->why), "mirror %s: %s", s->config->mirror,
			 mirror_why(s));
	v->signer_up = s->signer.link.ready;
	v->awaiting_approval = clerk_count(s, STATE_AWAITING_APPROVAL);
	v->awaiting_signature = clerk_count(s, STATE_AWAITING_SIGNATURE);
	v->remote = !s->remote.known ? "" : s->remote.link.ready ? "up" : "away";
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
	else if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN)
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
	else
		job_act(s, a, JOB_APPROVE_FIND);
}

/* Kept with the result for ever. */
static void end_act(struct spine *s, struct act *a)
{
	if (a->reason.n == 0 || a->reason.n > REASON_TEXT_BYTES_MAX)
		refuse_act(a, ST_INVALID, "a reason is needed, of at most 400 bytes: it is kept "
			   "with the result");
	else if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN)
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
	else
		job_act(s, a, JOB_END_FIND);
}

/* Through the journal. */
static bool writes(enum act_type type)
{
	return type == ACT_REGISTER_OPEN || type == ACT_REGISTER_CLOSE ||
	       type == ACT_LINK_HOLDER || type == ACT_HELD_RETRY || type == ACT_HELD_VOID ||
	       type == ACT_HAND || type == ACT_APPROVE || type == ACT_SEND_BACK ||
	       type == ACT_WITHDRAW || type == ACT_SIGNATURES_GIVE;
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
	case ACT_HELD_RETRY:
		job_act(s, a, JOB_UNPARK);
		break;
	case ACT_HELD_VOID:
		job_act(s, a, JOB_HELD_FIND);
		break;
	case ACT_HAND:
		job_act(s, a, JOB_HAND_FIND);
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
	case ACT_SIGNATURES_GIVE:
		job_act(s, a, JOB_GIVEN_FIND);
		break;
	}
}

/* Done, or refused for ever; what a stop broke off is done at the next start. */
static bool is_final(enum status st)
{
	return st == ST_OK || status_class(st) == CLASS_REJECT;
}

void act_end(struct spine *s, struct job *j)
{
	struct act *a = j->act;

	if (j->type == JOB_VOID)
		clerk_voided(s, j);
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
		clerk_void(s, j);
	} else if (j->type == JOB_HAND_FIND) {
		hand_found(s, j);
	} else if (j->type == JOB_HAND) {
		hand_done(s, j);
	} else if (j->type == JOB_HAND_TELL) {
		clerk_told(s, j);
	} else {
		act_end(s, j);
	}
}
