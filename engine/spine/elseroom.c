#include <stdlib.h>

#include "base/log.h"
#include "spine/elsewhere.h"
#include "spine/track.h"

#define SCAN_PAUSE_MS 1000
#define SCAN_PAUSE_MS_MAX 60000
#define JUDGE_PAUSE_MS 100

/* ---- into the waiting room ---- */

static struct job *row_job(struct errand *e, enum state state)
{
	struct job *j = calloc(1, sizeof(*j));
	size_t size = e->record_n + ERRAND_BYTES_MAX;
	struct item held = { .sequence = e->asked.sequence, .lane = e->lane, .sign_ms = e->at_ms,
			     .record = slice_of(e->record, e->record_n), .kept = &e->kept };
	struct writer w;
	enum status st;

	if (j == NULL)
		return NULL;
	j->row = (struct waiting_row){ .sequence = e->asked.sequence, .lane = e->lane,
				       .state = (uint8_t)state, .parked_ms = io_wall_ms(),
				       .record = RECORD_SIGNATURE };
	if (state == STATE_HELD) {
		j->row.reason = (uint8_t)e->why;
		snprintf(j->row.detail, sizeof(j->row.detail), "%s", e->detail);
		st = elsewhere_wrap(&held, j);
	} else {
		j->bytes = malloc(size);
		w = writer_of(j->bytes, j->bytes != NULL ? size : 0);
		st = errand_encode(e, e->noted && e->value_n > 0, true, &w);
		j->n = writer_size(&w);
	}
	if (st == ST_OK)
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
	struct elsewhere *w = s->elsewhere;
	struct errand *e = j->errand;
	struct state_change change;

	if (!clerk_note(s, j))
		return false;
	if (e->pending != NULL)
		pending_settled(s, e->pending);
	e->pending = NULL;
	e->in_room = true;
	e->parking = false;
	/* Its row says the truth from here on. */
	inflight_drop(s->inflight, j->row.sequence, (enum state)j->row.state, j->row.parked_ms,
		      &change);
	if (j->row.state == STATE_HELD)
		held_told(s, j);
	else
		atomic_fetch_add(&s->counters.unsigned_parked, 1);
	if (j->row.state == STATE_HELD || (e->asked.tag == 0 && !e->listed)) {
		/* Now its row is all that is known of it. */
		w->left_behind |= j->row.state != STATE_HELD && e->asked.service[0] != '\0';
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

/* ---- keys change while they are asked ---- */

struct question errand_question(const struct errand *e)
{
	return (struct question){ .unit = e->asked.unit, .signer = e->signer,
				  .kind = e->asked.kind, .service = e->asked.service,
				  .key = slice_str(e->asked.key), .sign_ms = e->sign_ms,
				  .until_ms = e->asked.until_ms };
}

/* true: until it ends by itself, which a look finds then. */
static bool holds(struct elsewhere *w, const struct keyring *k, const struct errand *e)
{
	struct question q = errand_question(e);

	if (key_asked(k, &q, io_wall_ms()) == NULL)
		return false;
	errand_ends(w, e);
	return true;
}

/* Without the pause that follows a look, also one that is under way. */
static void look_again(struct elsewhere *w)
{
	w->left_behind = w->scan_again = true;
	w->scan_due_ms = 0;
}

/* true: nobody is asked for it any more; its row is looked at as one that nobody has in hand. */
static bool errand_judge(struct spine *s, const struct keyring *k, struct errand *e)
{
	struct elsewhere *w = s->elsewhere;

	if (holds(w, k, e))
		return false;
	/* What came for it goes first; what has no row gets one. */
	w->judging |= e->parking || e->listed || !e->in_room;
	if (e->parking || e->listed)
		return false;
	if (!e->in_room) {
		if (s->jobs_out < JOBS_MAX / 2)
			errand_park(s, e, STATE_AWAITING_SIGNATURE);
		return false;
	}
	look_again(w);
	if (asking_give_up(&w->asking, &e->asked))
		errand_free(s, e);
	return true;
}

/* A certificate that expires tells nobody: when does the next key end? */
static int64_t next_end_ms(const struct keyring *k)
{
	int64_t now_ms = io_wall_ms(), next_ms = INT64_MAX;
	struct key_row row;

	for (uint32_t i = 0; keyring_row(k, i, &row); i++) {
		int64_t end_ms = row.not_after_ms < row.to_ms ? row.not_after_ms : row.to_ms;

		if (end_ms >= now_ms && end_ms < next_ms)
			next_ms = end_ms;
	}
	return next_ms;
}

static void judge_run(struct spine *s)
{
	static const enum asked_state of[] = { ASKED_LATER, ASKED_TO_SEND, ASKED_SENT };
	struct elsewhere *w = s->elsewhere;
	struct keyring *k;
	int64_t end_ms;
	uint32_t n = 0;

	if (io_wall_ms() > w->ends_ms) {
		w->ends_ms = INT64_MAX;		/* the look says until when */
		atomic_store(&w->outdated, true);
	}
	if (atomic_exchange(&w->outdated, false)) {
		w->judging = true;
		look_again(w);
	}
	if (!w->judging || steady_ms() < w->judge_due_ms)
		return;
	w->judging = false;
	w->judge_due_ms = steady_ms() + JUDGE_PAUSE_MS;
	k = spine_keyring(s);
	end_ms = next_end_ms(k);
	w->ends_ms = end_ms < w->ends_ms ? end_ms : w->ends_ms;
	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		for (struct asked *a = w->asking.lists[of[i]].first, *next; a != NULL; a = next) {
			next = a->next;
			n += errand_judge(s, k, (struct errand *)a);
		}
	keyring_unref(k);
	if (n > 0)
		log_warn("remote", "%u results are not asked for any more: the key is another one, "
			 "or may not sign", n);
}

/* ---- those that only the waiting room knows ---- */

static void scan_begin(struct spine *s)
{
	struct elsewhere *w = s->elsewhere;
	struct job *j;

	if ((!w->left_behind && w->scan_after == 0) || w->scanning || s->stopping ||
	    w->asking.n >= ASKED_MAX / 4 * 3 || steady_ms() < w->scan_due_ms ||
	    resumed_full(s))
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
	/* Whoever is left behind from here on is for the next look. */
	if (w->scan_after == 0)
		w->left_behind = w->scan_added = w->scan_again = false;
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

static void row_take(struct spine *s, const struct keyring *k, const struct waiting_row *row,
		     struct slice payload)
{
	struct elsewhere *w = s->elsewhere;
	struct errand *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		w->left_behind = true;
		return;
	}
	if (!errand_decode(e, row, payload)) {
		row_unreadable(row, "its record is not of a result that waits");
		free(e->record);
		free(e);
		return;
	}
	if (e->came == CAME_NOTHING && !holds(w, k, e))
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
	struct keyring *k = spine_keyring(s);

	w->scanning = false;
	if (j->status != ST_OK)
		spine_fail(s, "waiting room: %s", j->error.text);
	for (uint32_t i = 0; i < p->n; i++) {
		w->scan_after = p->rows[i].row.sequence;
		if (j->status == ST_OK && p->rows[i].bytes != NULL && waits(s, w->scan_after))
			row_take(s, k, &p->rows[i].row, slice_of(p->rows[i].bytes, p->rows[i].n));
		free(p->rows[i].bytes);
	}
	keyring_unref(k);
	if (p->n < AWAIT_PAGE) {
		w->scan_after = 0;
		w->scan_pause_ms = w->scan_added || w->scan_pause_ms == 0 ? SCAN_PAUSE_MS :
			w->scan_pause_ms < SCAN_PAUSE_MS_MAX / 2 ? 2 * w->scan_pause_ms :
			SCAN_PAUSE_MS_MAX;
		w->scan_due_ms = w->scan_again ? 0 : steady_ms() + w->scan_pause_ms;
	}
	free(p);
	free(j);
}

/* ---- a person ends the waiting ---- */

void elsewhere_row_wanted(struct spine *s, uint64_t sequence)
{
	struct errand *e = (struct errand *)asking_by_sequence(&s->elsewhere->asking, sequence);

	if (e != NULL && !e->in_room && !e->parking && !e->listed)
		errand_park(s, e, STATE_AWAITING_SIGNATURE);
}

enum status elsewhere_may_end(struct spine *s, const struct waiting_row *row, struct slice payload)
{
	const struct asked *k = asking_by_sequence(&s->elsewhere->asking, row->sequence);
	const struct errand *e = (const struct errand *)k;
	struct record_signature r;

	if (e != NULL && (e->parking || e->listed))
		return ST_AGAIN;
	/* A signature that came before the last start goes on in a moment. */
	return row->record == RECORD_SIGNATURE && record_signature_decode(&r, payload) == ST_OK &&
	       r.slots[r.slots_n - 1].value.n > 0 ? ST_AGAIN : ST_OK;
}

void elsewhere_end(struct spine *s, uint64_t sequence)
{
	struct asking *a = &s->elsewhere->asking;
	struct errand *e = (struct errand *)asking_by_sequence(a, sequence);

	if (e != NULL && asking_give_up(a, &e->asked))
		errand_free(s, e);
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
	while (s->failure.status == ST_OK && w->oldest != NULL && !w->oldest->listed &&
	       s->jobs_out < JOBS_MAX / 2 &&
	       (low || now - w->oldest->since_ms > ASKED_JOURNAL_MS))
		errand_park(s, w->oldest, STATE_AWAITING_SIGNATURE);
}

void elsewhere_room_run(struct spine *s)
{
	parked_run(s);
	age_run(s);
	judge_run(s);
	scan_begin(s);
}
