#include <stdlib.h>

#include "base/log.h"
#include "spine/bridging.h"
#include "spine/elsewhere.h"
#include "spine/mirror.h"
#include "spine/track.h"

#define SCAN_PAUSE_MS 1000
#define SCAN_PAUSE_MS_MAX 60000

/* ---- into the waiting room ---- */

static struct job *row_job(struct errand *e, enum state state)
{
	struct job *j = calloc(1, sizeof(*j));
	size_t size = e->record_n + ERRAND_BYTES_MAX;
	struct item kept = { .sequence = e->asked.sequence, .lane = e->lane, .sign_ms = e->at_ms,
			     .record = slice_of(e->record, e->record_n), .kept = &e->kept };
	struct writer w;
	enum status st = ST_OK;

	if (j == NULL)
		return NULL;
	j->row = (struct waiting_row){ .sequence = e->asked.sequence, .lane = e->lane,
				       .state = (uint8_t)state, .parked_ms = io_wall_ms(),
				       .record = RECORD_SIGNATURE };
	if (state == STATE_HELD) {
		j->row.reason = (uint8_t)e->why;
		snprintf(j->row.detail, sizeof(j->row.detail), "%s", e->detail);
		if (elsewhere_wrap(&kept, &j->bytes, &j->n))
			return j;
		j->row.record = RECORD_NUMBERED;
		size = e->record_n;
	}
	j->bytes = malloc(size);
	w = writer_of(j->bytes, j->bytes != NULL ? size : 0);
	if (state == STATE_HELD)
		write_bytes(&w, e->record, e->record_n);
	else
		st = errand_encode(e, e->noted && e->value_n > 0, true, &w);
	j->n = writer_size(&w);
	if (st == ST_OK && !w.bad)
		return j;
	free(j->bytes);
	free(j);
	return NULL;
}

void errand_park(struct spine *s, struct errand *e, enum state state)
{
	struct job *j = row_job(e, state);

	if (j == NULL) {
		spine_fail(s, "no memory to park a result; it stands in the journal");
		return;
	}
	j->type = JOB_AWAIT;
	j->track = NO_TRACK;
	j->errand = e;
	j->after = s->appended;
	errand_not_oldest(s->elsewhere, e);
	e->parking = true;
	e->stale = false;
	job_push(s, j);
}

static void held_told(struct spine *s, const struct job *j)
{
	struct state_change change;

	waiting_change(s->identity, &change, &j->row, STATE_HELD, j->row.parked_ms);
	notify_publish(s->notify, &change, 1);
	atomic_fetch_add_explicit(&s->counters.held, 1, memory_order_relaxed);
	log_warn("held", "%s %s: %s %s", j->row.unit, j->row.number_text,
		 reason_text((enum reason)j->row.reason)->name, j->row.detail);
}

/* false: the journal is full just now. */
static bool parked_told(struct spine *s, struct job *j)
{
	struct errand *e = j->errand;
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_result r = { .sequence = j->row.sequence, .lane = j->row.lane,
				   .reason = j->row.reason, .at_ms = j->row.parked_ms,
				   .state = j->row.state, .detail = slice_str(j->row.detail) };
	struct state_change change;
	uint64_t pos;

	if (record_result_encode(&r, &w) == ST_OK &&
	    !append_record(s, RECORD_PARKED, writer_slice(&w), &pos))
		return false;
	/* A mirror makes its row of the NUMBERED record, and needs the rest. */
	await_mirrored(s, j->row.record, slice_of(j->bytes, j->n));
	if (e->pending != NULL)
		pending_settled(s, e->pending);
	e->pending = NULL;
	e->in_room = true;
	e->parking = false;
	/* Its row says the truth from here on. */
	inflight_drop(s->inflight, r.sequence, (enum state)r.state, r.at_ms, &change);
	if (j->row.state == STATE_HELD)
		held_told(s, j);
	else
		atomic_fetch_add(&s->counters.unsigned_parked, 1);
	if (j->row.state == STATE_HELD || (e->asked.tag == 0 && !e->listed)) {
		if (e->track != NO_TRACK)
			track_close(s->track, e->track);
		errand_free(s, e);
	} else if (e->stale) {
		errand_park(s, e, STATE_AWAITING_SIGNATURE);
	}
	free(j->bytes);
	free(j);
	return true;
}

void elsewhere_parked(struct spine *s, struct job *j)
{
	struct elsewhere *w = s->elsewhere;

	if (j->status != ST_OK) {
		spine_fail(s, "waiting room: %s", j->error.text);
	} else if (!parked_told(s, j)) {
		j->next = w->parked_first;
		w->parked_first = j;
		s->jobs_out++;
	}
}

static void parked_run(struct spine *s)
{
	struct elsewhere *w = s->elsewhere;

	while (w->parked_first != NULL) {
		struct job *j = w->parked_first, *next = j->next;

		if (!parked_told(s, j))
			return;
		w->parked_first = next;
		s->jobs_out--;
	}
}

/* ---- those that only the waiting room knows ---- */

static void scan_begin(struct spine *s)
{
	struct elsewhere *w = s->elsewhere;
	struct job *j;

	if (w->scan_after == 0 && !w->scanning && atomic_exchange(&w->outdated, false)) {
		w->left_behind = true;
		w->scan_due_ms = 0;
	}
	if (!w->left_behind || w->scanning || s->stopping || w->asking.n >= ASKED_MAX / 4 * 3 ||
	    steady_ms() < w->scan_due_ms || s->resumed >= RESUMED_MAX)
		return;
	j = calloc(1, sizeof(*j));
	if (j != NULL)
		j->page = calloc(1, sizeof(*j->page));
	if (j == NULL || j->page == NULL) {
		free(j);
		return;
	}
	j->type = JOB_AWAIT_READ;
	j->track = NO_TRACK;
	j->page->after = w->scan_after;
	w->scanning = true;
	job_push(s, j);
}

/* Waits, and nobody has it in hand. */
static bool waits(struct spine *s, uint64_t sequence)
{
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	return asking_by_sequence(&s->elsewhere->asking, sequence) == NULL &&
	       !inflight_get(s->inflight, sequence, &now, &lane, &accepted_ms);
}

static void row_take(struct spine *s, const struct waiting_row *row, struct slice payload)
{
	struct elsewhere *w = s->elsewhere;
	struct errand *e = calloc(1, sizeof(*e));

	if (e == NULL || !errand_decode(e, row, payload)) {
		log_error("waiting", "%s %s cannot be signed: its row is not readable", row->unit,
			  row->number_text);
		if (e != NULL)
			free(e->record);
		free(e);
		return;
	}
	if (e->came == CAME_NOTHING && e->asked.service[0] == '\0' && !bridging_holds(s, e, row))
		e->came = CAME_FRESH;
	if (e->came != CAME_NOTHING && errand_over_row(s, e)) {
		e->at_ms = io_wall_ms() > row->issued_ms ? io_wall_ms() : row->issued_ms;
		w->scan_added = true;
		errand_came(w, e, e->came);
	} else if (e->came != CAME_NOTHING || e->asked.service[0] == '\0') {
		errand_free(s, e);	/* it has gone; or its bridge comes for it */
	} else if (asking_has_room(&w->asking, e->asked.service, e->asked.bytes)) {
		w->scan_added = true;
		asking_put(&w->asking, &e->asked);
	} else {
		w->left_behind = true;
		errand_free(s, e);
	}
}

void elsewhere_scanned(struct spine *s, struct job *j)
{
	struct elsewhere *w = s->elsewhere;
	struct await_page *p = j->page;

	w->scanning = false;
	if (j->status != ST_OK)
		spine_fail(s, "waiting room: %s", j->error.text);
	if (w->scan_after == 0)
		w->left_behind = w->scan_added = false;
	for (uint32_t i = 0; i < p->n; i++) {
		w->scan_after = p->rows[i].row.sequence;
		if (j->status == ST_OK && waits(s, w->scan_after))
			row_take(s, &p->rows[i].row, slice_of(p->rows[i].bytes, p->rows[i].n));
		free(p->rows[i].bytes);
	}
	if (p->n < AWAIT_PAGE) {
		w->scan_after = 0;
		w->scan_pause_ms = w->scan_added || w->scan_pause_ms == 0 ? SCAN_PAUSE_MS :
			w->scan_pause_ms < SCAN_PAUSE_MS_MAX / 2 ? 2 * w->scan_pause_ms :
			SCAN_PAUSE_MS_MAX;
		w->scan_due_ms = steady_ms() + w->scan_pause_ms;
	} else {
		w->left_behind = true;
	}
	free(p);
	free(j);
}

/* ---- out of the journal in time ---- */

/* The janitor is not flooded: what is held must find room beside it. */
static void age_run(struct spine *s)
{
	struct elsewhere *w = s->elsewhere;
	int64_t now = steady_ms();
	bool low = journal_slots_free(s->journal) <
		   JOURNAL_SLOTS_FREE_LOW(s->config->journal_slots);

	/* One for which something came goes on in a moment. */
	while (w->oldest != NULL && !w->oldest->listed && s->jobs_out < JOBS_MAX / 2 &&
	       (low || now - w->oldest->since_ms > ASKED_JOURNAL_MS))
		errand_park(s, w->oldest, STATE_AWAITING_SIGNATURE);
}

void elsewhere_room_run(struct spine *s)
{
	parked_run(s);
	age_run(s);
	scan_begin(s);
}
