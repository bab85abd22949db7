#include "spine/handing.h"

#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "intake/judge.h"
#include "spine/elsewhere.h"
#include "spine/track.h"

#define TOLD_BYTES (2 * CODE_BYTES_MAX + REASON_TEXT_BYTES_MAX + 3)

/* ---- the janitor, and recovery ---- */

static enum status row_rewrite(struct spine *s, const struct record_handed *h,
			       struct waiting_row *row, uint8_t *old, uint8_t *new,
			       struct error *e)
{
	struct writer w = writer_of(new, JOURNAL_RECORD_BYTES_MAX);
	uint8_t type;
	size_t n;
	enum status st = waiting_read(s->rows, row->sequence, &type, old, JOURNAL_RECORD_BYTES_MAX,
				      &n, e);

	if (st == ST_OK)
		st = record_hand(h, record_numbered_in(type, slice_of(old, n)), &w);
	if (st != ST_OK)
		return st == ST_EXISTS ? ST_OK : st;
	if (row->state == STATE_AWAITING_SIGNATURE)
		row->reason = REASON_SIGNATURE_NOT_GIVEN;
	row->state = STATE_HELD;
	/* Signatures of the one before go. */
	row->record = RECORD_NUMBERED;
	row->parked_ms = row->parked_ms < h->what.at_ms ? h->what.at_ms : row->parked_ms + 1;
	st = waiting_row_fill(row, writer_slice(&w));
	return st == ST_OK ? waiting_add(s->waiting, row, writer_slice(&w), e) : st;
}

enum status hand_apply(struct spine *s, struct slice handed, struct error *e)
{
	struct record_handed h;
	struct waiting_row row;
	uint8_t *old, *new;
	enum status st = record_handed_decode(&h, handed);

	if (st == ST_OK)
		st = waiting_find(s->rows, h.sequence, &row, e);
	if (st == ST_NOT_FOUND || (st == ST_OK && row.state != STATE_HELD &&
				   row.state != STATE_AWAITING_SIGNATURE))
		return ST_OK;
	if (st != ST_OK)
		return st;
	old = malloc(JOURNAL_RECORD_BYTES_MAX);
	new = malloc(JOURNAL_RECORD_BYTES_MAX);
	st = old != NULL && new != NULL ? row_rewrite(s, &h, &row, old, new, e) : ST_NOMEM;
	free(old);
	free(new);
	return st;
}

static enum status told(struct spine *s, const struct numbered_result *n,
			const struct handover *h, struct error *e)
{
	char text[TOLD_BYTES];
	int size = snprintf(text, sizeof(text), "%.*s\n%.*s\n%.*s", (int)h->from.n,
			    (const char *)h->from.p, (int)h->to.n, (const char *)h->to.p,
			    (int)h->reason.n, (const char *)h->reason.p);
	struct result_event v = { .lane = n->lane, .sequence = n->sequence, .kind = EVENT_HANDED,
				  .at_ms = h->at_ms, .actor = h->actor,
				  .detail = slice_of(text, (size_t)size) };

	return s->store->ops->events(s->store, &v, 1, e);
}

enum status hand_tell(struct spine *s, uint64_t sequence, struct slice record, struct error *e)
{
	struct record_numbered rec;
	enum status st = record_numbered_decode(&rec, record);

	for (uint8_t i = 0; st == ST_OK && i < rec.handed_n; i++) {
		const struct numbered_result *n = &rec.results[rec.handed[i].result];

		if (n->sequence == sequence)
			st = told(s, n, &rec.handed[i], e);
	}
	return st;
}

bool hand_since(struct slice record, uint64_t sequence, int64_t at_ms)
{
	struct record_numbered rec;

	if (record_numbered_decode(&rec, record) != ST_OK)
		return false;
	for (uint8_t i = 0; i < rec.handed_n; i++)
		if (rec.results[rec.handed[i].result].sequence == sequence &&
		    rec.handed[i].at_ms > at_ms)
			return true;
	return false;
}

bool hand_keep(struct spine *s, struct job *j, struct slice record)
{
	struct record_numbered rec;

	if (record_numbered_decode(&rec, record) != ST_OK || rec.handed_n == 0)
		return false;
	j->bytes = malloc(record.n);
	if (j->bytes == NULL) {
		spine_fail(s, "no memory to tell a handover; it stands in the waiting room");
		return false;
	}
	memcpy(j->bytes, record.p, record.n);
	j->n = record.n;
	return true;
}

/* ---- the spine ---- */

/* What is to be handed over, and to whom. */
struct hand {
	struct record_numbered rec;
	uint8_t index;
	struct waiting_paper paper;
	struct arena arena;
	struct record_handed record;
};

static enum status refuse_signer(struct act *a, enum reason why)
{
	const struct reason_text *t = reason_text(why);

	a->refused = why;
	return error_set(&a->error, t->status, "%s: %s", t->name, t->en);
}

static bool person_signs(const struct kind *k)
{
	for (uint8_t i = 0; i < k->signs_n; i++)
		if (k->signs[i] == ROLE_PERSON)
			return true;
	return false;
}

/* The result, as it was pinned. */
static enum status paper_read(struct hand *h, struct catalogue *c, const struct job *j,
			      struct error *e)
{
	struct case_view view;

	if (record_numbered_decode(&h->rec, record_numbered_in(j->row.record,
							       slice_of(j->bytes, j->n))) !=
		    ST_OK ||
	    case_decode(&view, h->rec.case_bytes, &h->arena) != ST_OK)
		return error_set(e, ST_CORRUPT, "the record of a held result cannot be read");
	h->index = record_result_index(&h->rec, j->row.sequence);
	if (h->index == h->rec.results_n)
		return error_set(e, ST_CORRUPT, "the record of a held result cannot be read");
	h->paper.row = j->row;
	h->paper.approval = view.approval;
	return catalogue_pinned(c, &h->rec.results[h->index].pins, &h->paper.kind, &h->paper.unit,
				&h->paper.signer, e);
}

/*
 * When it is handed on: behind what came for the signer before, and behind the handover before,
 * whatever the clock says.
 */
static int64_t handed_ms(const struct hand *h, const struct job *j, int64_t now_ms)
{
	struct record_signature r;

	if (j->row.record == RECORD_SIGNATURE &&
	    record_signature_decode(&r, slice_of(j->bytes, j->n)) == ST_OK && now_ms <= r.at_ms)
		now_ms = r.at_ms + 1;
	for (uint8_t i = 0; i < h->rec.handed_n; i++)
		if (now_ms <= h->rec.handed[i].at_ms)
			now_ms = h->rec.handed[i].at_ms + 1;
	return now_ms;
}

/* As a session would judge it, and with a key that can sign now. */
static enum status successor_judge(struct spine *s, struct hand *h, struct catalogue *c,
				   const struct job *j)
{
	int64_t now_ms = io_wall_ms();
	struct act *a = j->act;
	const struct judged judged = { .catalogue = c, .day = day_vietnam(now_ms),
				       .signer = a->code };
	const struct signer *g;
	struct keyring *keyring;
	enum reason why;
	enum status st = paper_read(h, c, j, &a->error);

	if (st != ST_OK)
		return st;
	if (!person_signs(h->paper.kind))
		return error_set(&a->error, ST_PRECONDITION, "no person signs this kind");
	if (slice_eq(slice_str(j->row.signer), a->code))
		return error_set(&a->error, ST_PRECONDITION, "it is this signer's already%s",
				 j->row.state == STATE_HELD ? "; retry it without one" : "");
	if (h->rec.handed_n == HANDOVERS_MAX)
		return error_set(&a->error, ST_PRECONDITION, "it was handed on %d times already",
				 HANDOVERS_MAX);
	why = judge_successor(&judged, &h->paper);
	if (why != REASON_NONE)
		return refuse_signer(a, why);
	g = catalogue_signer(c, a->code, judged.day);
	keyring = spine_keyring(s);
	why = sign_person(keyring, h->paper.unit, h->paper.kind, a->code, now_ms);
	keyring_unref(keyring);
	if (why != REASON_NONE)
		return refuse_signer(a, why);
	h->record = (struct record_handed){
		.sequence = j->row.sequence, .lane = j->row.lane,
		.what = { .at_ms = handed_ms(h, j, now_ms), .from = slice_str(j->row.signer),
			  .to = a->code, .actor = a->actor, .reason = a->reason } };
	memcpy(h->record.pin, g->pin, PIN_BYTES);
	return ST_OK;
}

/* Appends the record; j takes it to the janitor. */
static enum status hand_write(struct spine *s, struct job *j, const struct record_handed *r)
{
	uint8_t bytes[2048];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct error *e = &j->act->error;
	enum state room = (enum state)j->row.state;
	struct state_change change;
	uint64_t pos;

	if (record_handed_encode(r, &w) != ST_OK)
		return error_set(e, ST_TOO_LARGE, "the reason is too long");
	free(j->bytes);
	j->n = writer_size(&w);
	j->bytes = malloc(j->n);
	if (j->bytes == NULL)
		return error_set(e, ST_NOMEM, "no memory for this act");
	memcpy(j->bytes, bytes, j->n);
	if (!append_record(s, RECORD_HANDED, writer_slice(&w), &pos))
		return error_set(e, ST_FULL, "the journal is full just now; call again");
	elsewhere_end(s, j->row.sequence);
	/* Until its row is another one nobody else takes it in hand. */
	waiting_change(s->identity, &change, &j->row, STATE_HELD, j->row.parked_ms);
	if (inflight_add_over(s->inflight, j->row.sequence, j->row.lane, j->row.accepted_ms,
			      &change, room) != ST_OK ||
	    track_open(s->track, pos, &j->track) != ST_OK)
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
	log_info("held", "%s %s: from %s to %.*s, by %.*s", j->row.unit, j->row.number_text,
		 j->row.signer, (int)j->act->code.n, (const char *)j->act->code.p,
		 (int)j->act->actor.n, (const char *)j->act->actor.p);
	return ST_OK;
}

static enum status hand(struct spine *s, struct job *j)
{
	struct act *a = j->act;
	struct catalogue *c;
	struct hand *h;
	enum status st = row_may_end(s, j);

	if (st != ST_OK)
		return st;
	h = calloc(1, sizeof(*h));
	if (h == NULL || arena_init(&h->arena, 4 * CASE_BYTES_MAX) != ST_OK) {
		free(h);
		return error_set(&a->error, ST_NOMEM, "no memory for this act");
	}
	c = spine_catalogue(s);
	st = successor_judge(s, h, c, j);
	if (st == ST_OK)
		st = hand_write(s, j, &h->record);
	catalogue_unref(c);
	arena_free(&h->arena);
	free(h);
	return st;
}

void hand_found(struct spine *s, struct job *j)
{
	j->status = hand(s, j);
	if (j->status == ST_AGAIN && row_find_again(s, j))
		return;
	if (j->status != ST_OK) {
		j->error = j->act->error;
		act_end(s, j);
		return;
	}
	j->type = JOB_HAND;
	j->after = s->appended;
	job_push(s, j);
}

void hand_done(struct spine *s, struct job *j)
{
	struct state_change change;
	uint64_t track = j->track;

	free(j->bytes);
	j->bytes = NULL;
	if (j->status != ST_OK) {
		spine_fail(s, "waiting room: %s",
			   j->error.text[0] != '\0' ? j->error.text : status_name(j->status));
		if (j->act != NULL)
			act_end(s, j);
		else
			free(j);
		return;
	}
	/* A mirror's. */
	if (j->act == NULL) {
		free(j);
		return;
	}
	j->track = NO_TRACK;
	track_close(s->track, track);
	inflight_drop(s->inflight, j->row.sequence, STATE_HELD, j->row.parked_ms, &change);
	/* From here on it is one that is retried. */
	j->type = JOB_UNPARK;
	j->after = 0;
	job_push(s, j);
}
