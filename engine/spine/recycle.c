#include <stdlib.h>

#include "base/log.h"
#include "spine/approval.h"
#include "spine/bridging.h"
#include "spine/elsewhere.h"
#include "spine/handing.h"
#include "spine/living.h"
#include "spine/originals.h"
#include "spine/mirror.h"
#include "spine/numbers.h"
#include "spine/spine.h"
#include "spine/track.h"
#include "spine/units.h"

#define STORE_AWAY_MS 200		/* until an act is told to it again */
#define ROWS_TOGETHER_MAX 128		/* rows of the waiting room in one write */
#define STORED_STEP_BYTES (256 * 1024)	/* how often "stored up to" rides along */

/* ---- the janitor: blocking acts, one at a time ---- */

static enum status park_run(struct spine *s, struct job *j)
{
	enum status st = waiting_row_fill(&j->row, slice_of(j->bytes, j->n));

	return st == ST_OK ? waiting_add(s->waiting, &j->row, slice_of(j->bytes, j->n), &j->error) :
			     st;
}

/* The wanted row, or the next one behind it where all are wanted; with its record. */
static enum status find_run(struct spine *s, struct job *j)
{
	uint64_t wanted = j->row.sequence;
	bool all = j->act == NULL || j->act->sequence == 0;
	uint8_t *fitting, type;
	uint32_t n = 1;
	bool fits;
	enum status st = all ? waiting_after(s->rows, STATE_HELD, wanted, &j->row, 1, &n,
					     &j->error) :
			       waiting_find(s->rows, wanted, &j->row, &j->error);

	j->more = st == ST_OK && n > 0 && all;
	fits = j->row.state == STATE_HELD ||
	       (j->type != JOB_UNPARK && j->row.state == STATE_AWAITING_SIGNATURE);
	if (st == ST_NOT_FOUND || (st == ST_OK && n > 0 && !fits))
		st = error_set(&j->error, ST_NOT_FOUND, "no such result is held");
	if (st != ST_OK || n == 0 || (j->away_only && j->row.reason != REASON_SIGNER_AWAY))
		return st;
	j->bytes = malloc(JOURNAL_RECORD_BYTES_MAX);
	if (j->bytes == NULL)
		return error_set(&j->error, ST_NOMEM, "no memory to read a held result");
	st = waiting_read(s->rows, j->row.sequence, &type, j->bytes,
			  JOURNAL_RECORD_BYTES_MAX, &j->n, &j->error);
	if (st == ST_OK)
		j->row.record = type;
	if (st == ST_OK && (fitting = realloc(j->bytes, j->n)) != NULL)
		j->bytes = fitting;
	return st;
}

enum status void_project(struct spine *s, const struct record_result *v, struct error *e)
{
	struct void_entry entry = { .unit = v->unit, .register_code = v->register_code,
				    .year = v->year, .number = v->number,
				    .sequence = v->sequence, .at_ms = v->at_ms,
				    .reason = v->detail, .actor = v->actor, .lane = v->lane,
				    .held = v->reason, .kind = v->kind,
				    .case_code = v->case_code, .number_text = v->number_text,
				    .ordinal = v->ordinal, .revision = v->revision,
				    .accepted_ms = v->accepted_ms, .issued_ms = v->issued_ms,
				    .state = v->state >= STATE_REFUSED ? v->state : STATE_VOID };
	enum status st;

	memcpy(entry.result_id, v->result_id, sizeof(entry.result_id));
	st = s->store->ops->void_number(s->store, &entry, e);
	if (st != ST_OK)
		return st;
	originals_end(s, v->lane, v->sequence);
	st = waiting_remove(s->waiting, v->sequence, e);
	return st == ST_NOT_FOUND ? ST_OK : st;		/* told before */
}

static enum status job_run(struct spine *s, struct job *j)
{
	switch (j->type) {
	case JOB_KEYINDEX:
		return keyindex_job_run(j->keys, &j->error);
	case JOB_SNAPSHOT:
		return snapshot_save(s->counters_dir, &j->snapshot, &j->error);
	case JOB_PARK:
		return park_run(s, j);
	case JOB_UNPARK:
	case JOB_HELD_FIND:
	case JOB_HAND_FIND:
		return find_run(s, j);
	case JOB_HAND:
		return hand_apply(s, slice_of(j->bytes, j->n), &j->error);
	case JOB_HAND_TELL:
		return hand_tell(s, j->row.sequence, slice_of(j->bytes, j->n), &j->error);
	case JOB_FORGET:
		return waiting_remove(s->waiting, j->row.sequence, &j->error);
	case JOB_VOID:
		return void_project(s, &j->voided, &j->error);
	case JOB_STATE_EVENT:
		return state_event_project(s, slice_of(j->bytes, j->n), &j->error);
	case JOB_NUMBERS:
		return numbers_project(s, slice_of(j->bytes, j->n), &j->error);
	case JOB_OWNERS:
		return owners_load(&j->owners, s->store, &j->error);
	case JOB_ANSWER:
		return ST_OK;
	case JOB_APPROVE_FIND:
		return approve_find(s, j);
	case JOB_NUMBER_READ:
		return chunk_read(s, j);
	case JOB_END_FIND:
		return end_find(s, j);
	case JOB_EXPIRED_FIND:
		return expired_find(s, j);
	case JOB_AWAIT:
		return park_run(s, j);
	case JOB_AWAIT_READ:
		return await_read(s, j);
	case JOB_AWAIT_APPLY:
		return j->bytes == NULL ? await_restate(s, &j->row, &j->error) :
			await_apply(s, slice_of(j->bytes, j->n), true, &j->error);
	case JOB_GIVEN_FIND:
		return given_find(s, j);
	}
	return ST_INTERNAL;
}

static void job_post(struct spine *s, struct job *j)
{
	if (spine_post(s, NOTE_JOB, j) != ST_OK)
		log_error("janitor", "the spine's inbox is closed");
}

/*
 * Acts that are durable and go to the store once it is back, in their order. Nothing else waits
 * for them: registers are opened and results are parked meanwhile.
 */
struct put_off { struct job *first, **end; uint64_t due_ns; };

static bool is_told(const struct job *j)
{
	return j->type == JOB_VOID || j->type == JOB_STATE_EVENT || j->type == JOB_NUMBERS ||
	       j->type == JOB_HAND_TELL;
}

static bool is_put_off(struct spine *s, const struct job *j)
{
	return j->status != ST_OK && is_told(j) &&
	       status_class(j->status) != CLASS_REJECT && !atomic_load(&s->stop);
}

static void put_off(struct spine *s, struct put_off *p, struct job *j)
{
	living_pending(j);
	/* Told again: the one before it is on the list, or stands in the store. */
	if ((j->type == JOB_STATE_EVENT || j->type == JOB_NUMBERS) && j->track == NO_TRACK) {
		job_post(s, j);
		return;
	}
	j->next = NULL;
	*p->end = j;
	p->end = &j->next;
}

static void put_off_run(struct spine *s, struct put_off *p)
{
	while (p->first != NULL) {
		struct job *j = p->first;

		j->status = job_run(s, j);
		if (is_put_off(s, j)) {
			p->due_ns = io_boot_ns() + STORE_AWAY_MS * 1000000ull;
			return;
		}
		p->first = j->next;
		if (p->first == NULL)
			p->end = &p->first;
		job_post(s, j);
	}
}

static void job_do(struct spine *s, struct put_off *later, struct job *j)
{
	if (later->first != NULL && is_told(j)) {
		put_off(s, later, j);
		return;
	}
	j->status = job_run(s, j);
	if (is_put_off(s, j)) {
		put_off(s, later, j);
		later->due_ns = io_boot_ns() + STORE_AWAY_MS * 1000000ull;
	} else {
		job_post(s, j);
	}
}

static bool is_row_job(const struct job *j)
{
	return j->type == JOB_PARK || j->type == JOB_AWAIT || j->type == JOB_FORGET;
}

/*
 * Rows that come and go, as many as are there: one write for all. What follows them, or NULL.
 *
 * If it fails, each has failed, whatever it found in what is not durable now. A beginning of them
 * may be durable all the same, as if the process had ended between two writes of one row each: the
 * journal keeps what each of them was about until it is told that it is done.
 */
static struct job *rows_do(struct spine *s, struct job *j)
{
	struct job *done[ROWS_TOGETHER_MAX];
	struct error e = { 0 };
	enum status st;
	uint32_t n = 0;

	waiting_begin(s->waiting);
	while (j != NULL && is_row_job(j)) {
		j->status = job_run(s, j);
		done[n++] = j;
		j = n < ROWS_TOGETHER_MAX ? queue_pop(s->jobs) : NULL;
	}
	st = waiting_commit(s->waiting, &e);
	for (uint32_t i = 0; i < n; i++) {
		if (st != ST_OK) {
			done[i]->status = st;
			done[i]->error = e;
		}
		job_post(s, done[i]);
	}
	return j;
}

static void *janitor_main(void *arg)
{
	struct spine *s = arg;
	struct put_off later = { .end = &later.first };
	struct job *j;

	while ((j = queue_wait(s->jobs, later.first != NULL ? STORE_AWAY_MS : -1)) != NULL ||
	       later.first != NULL) {
		if (j != NULL && is_row_job(j))
			j = rows_do(s, j);
		if (j != NULL)
			job_do(s, &later, j);
		if (io_boot_ns() >= later.due_ns || atomic_load(&s->stop))
			put_off_run(s, &later);
	}
	return NULL;
}

enum status janitor_start(struct spine *s, struct error *e)
{
	enum status st = queue_new(&s->jobs, JOBS_MAX);

	if (st == ST_OK && pthread_create(&s->janitor, NULL, janitor_main, s) != 0)
		st = ST_NOMEM;
	return st == ST_OK ? ST_OK : error_set(e, st, "the janitor's thread cannot start");
}

void janitor_stop(struct spine *s)
{
	if (s->jobs == NULL)
		return;
	/* However it came to that: what waits for the store does not hold up the end. */
	atomic_store(&s->stop, true);
	queue_close(s->jobs);
	if (s->janitor != 0)
		pthread_join(s->janitor, NULL);
	queue_free(s->jobs);
	s->jobs = NULL;
}

/* ---- the spine's side ---- */

void job_push(struct spine *s, struct job *j)
{
	j->next = NULL;
	if (s->job_last != NULL)
		s->job_last->next = j;
	else
		s->job_first = j;
	s->job_last = j;
	s->jobs_out++;
}

/* It writes nothing: it stands in no order with others. */
static bool may_overtake(const struct job *j)
{
	return j->type == JOB_OWNERS;
}

void jobs_flush(struct spine *s)
{
	uint64_t durable = journal_durable(s->journal);
	struct job **link = &s->job_first, *last = NULL, *j;
	bool waits = false;

	while ((j = *link) != NULL) {
		struct job *next = j->next;

		waits |= j->after > durable;
		if (waits && !may_overtake(j)) {
			last = j;
			link = &j->next;
			continue;
		}
		if (queue_push(s->jobs, j) != ST_OK)
			return;
		*link = next;
		if (next == NULL)
			s->job_last = last;
	}
}

static void keys_done(struct spine *s, struct job *j)
{
	struct keyindex_job *merge;
	enum status st = j->status;

	if (st == ST_OK)
		st = keyindex_commit(s->keys, j->keys, &j->error);
	if (st != ST_OK) {
		spine_fail(s, "key index: %s", j->error.text);
		return;
	}
	if (j->then != NULL)
		job_push(s, j->then);
	j->then = NULL;
	merge = keyindex_merge(s->keys);
	if (merge == NULL) {
		free(j);
		return;
	}
	j->keys = merge;
	j->after = 0;
	job_push(s, j);
}

static void snapshot_done(struct spine *s, struct job *j)
{
	if (j->status != ST_OK) {
		spine_fail(s, "snapshot: %s", j->error.text);
		return;
	}
	/* One before it failed: it leans on what the journal knows, and a start applies that. */
	if (s->failure.status != ST_OK) {
		free(j->bytes);
		free(j);
		return;
	}
	s->snapshot_pos = j->snapshot.position;
	s->released = j->upto;
	s->recycling = false;
	journal_release(s->journal, j->upto);
	log_info("journal", "released up to %llu, %u of %u segments free",
		 (unsigned long long)j->upto, journal_slots_free(s->journal),
		 s->config->journal_slots);
	free(j->bytes);
	free(j);
}

void job_finished(struct spine *s, struct job *j)
{
	s->jobs_out--;
	switch (j->type) {
	case JOB_KEYINDEX:
		keys_done(s, j);
		break;
	case JOB_SNAPSHOT:
		snapshot_done(s, j);
		break;
	case JOB_PARK:
		clerk_parked(s, j);
		break;
	case JOB_OWNERS:
		units_seen(s, j);
		break;
	case JOB_APPROVE_FIND:
		approve_found(s, j);
		break;
	case JOB_NUMBER_READ:
		number_read(s, j);
		break;
	case JOB_END_FIND:
		end_found(s, j);
		break;
	case JOB_EXPIRED_FIND:
		expired_found(s, j);
		break;
	case JOB_AWAIT:
		elsewhere_parked(s, j);
		break;
	case JOB_AWAIT_READ:
		elsewhere_scanned(s, j);
		break;
	case JOB_AWAIT_APPLY:
		if (j->status != ST_OK)
			spine_fail(s, "waiting room: %s", j->error.text);
		free(j->bytes);
		free(j);
		break;
	case JOB_GIVEN_FIND:
		given_found(s, j);
		break;
	case JOB_FORGET:
		clerk_forgotten(s, j);
		break;
	default:
		act_finished(s, j);
	}
}

/*
 * Key run first, snapshot second; only then may the segments below go. The second waits for the
 * first to have succeeded: without the keys those segments are all that knows what was issued.
 */
void recycle_start(struct spine *s, uint64_t upto)
{
	struct keyindex_job *keys = keyindex_seal(s->keys, upto);
	struct job *run = keys != NULL ? calloc(1, sizeof(*run)) : NULL;
	struct job *snap = calloc(1, sizeof(*snap));

	if (snap == NULL || (keys != NULL && run == NULL) ||
	    registers_save(s->registers, &snap->bytes, &snap->n) != ST_OK) {
		spine_fail(s, "no memory for a snapshot");
		return;
	}
	snap->type = JOB_SNAPSHOT;
	snap->upto = upto;
	/* Registers as of here; what they count must be durable before the snapshot is. */
	snap->after = s->appended;
	snap->snapshot = (struct snapshot){ .position = s->appended,
					    .clock_last_ms = s->clock.last_ms,
					    .clock_counter = s->clock.counter,
					    .engine = (uint8_t)s->config->engine,
					    .covered = keys != NULL ? upto :
						       keyindex_covered(s->keys),
					    .registers = slice_of(snap->bytes, snap->n) };
	if (keys != NULL) {
		run->type = JOB_KEYINDEX;
		run->keys = keys;
		run->then = snap;
		run->after = upto;
	}
	job_push(s, keys != NULL ? run : snap);
	s->recycling = true;
}

static void stored_note(struct spine *s, uint64_t stored)
{
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint64_t pos;

	write_u64(&w, stored);
	if (append_record(s, RECORD_STORED_UP_TO, writer_slice(&w), &pos)) {
		s->stored_up_to = stored;
		s->noted = s->appended;
	}
}

void recycle_run(struct spine *s)
{
	uint64_t stored = track_oldest(s->track, s->appended);
	bool idle = s->backlog.cases == 0 && batch_in_flight(s->batches) == 0;
	uint64_t segment = (uint64_t)s->config->journal_segment_mb * 1024 * 1024;
	uint64_t upto;

	/* Written when it has moved far enough, or once at the end of a burst. */
	if (stored > s->stored_up_to + STORED_STEP_BYTES ||
	    (idle && stored == s->appended && s->noted != s->appended))
		stored_note(s, stored);
	upto = mirror_needs(s, journal_segment_of(s->journal, stored) * segment);
	upto = journal_segment_of(s->journal, upto) * segment;
	if (!s->recycling && upto > s->released && upto > 0)
		recycle_start(s, upto);
}
