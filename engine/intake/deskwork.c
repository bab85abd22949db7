#include "intake/deskwork.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "case.h"
#include "intake/judge.h"

/* What is found of one item. */
struct judgement {
	bool asked_for;			/* goes to the spine, with */
	enum reason against;		/* what is against it, unless it was approved before */
	enum reason refused;
	enum state state;		/* refused: where the result is */
};

/* The act and whoever waits for it. */
struct asking {
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool done;
	struct act act;
	struct approval approval;
	char delegation[DELEGATION_BYTES_MAX + 1];
};

struct confirming {
	struct desk_work *w;
	struct session *s;
	bool again;			/* approval may have been asked for before */
	struct judged judged;
	struct judgement *verdicts;	/* one an item */
	struct approval_item *items;	/* of those that are asked for, in order */
	uint32_t *index;		/* of each of these, in the session */
	uint32_t n;
};

static int64_t now_ms(const struct desk_work *w)
{
	return w->in->ops.now_ms(w->in->ops.ctx);
}

/* ---- judging ---- */

static enum state state_now(struct desk_work *w, const uint8_t id[16], enum status *st)
{
	struct result_view v;

	*st = w->in->ops.get(w->reader, id, &v);
	if (*st == ST_NOT_FOUND)
		*st = ST_OK;
	else if (*st == ST_OK)
		return v.state;
	return (enum state)0;
}

/* Has it gone on? What the spine has decided waits a while longer until it is numbered. */
static bool goes_on(enum state s, bool decided)
{
	return s == STATE_NUMBERED || s == STATE_AWAITING_SIGNATURE || s == STATE_HELD ||
	       s == STATE_STORED || s == STATE_VOID || (decided && s == STATE_AWAITING_APPROVAL);
}

/*
 * Nothing is numbered but by confirmations, one at a time: so if this one may have asked before,
 * and no other session has it, this one's first try it was. decided: the spine says so.
 */
static enum status not_waiting(struct confirming *c, uint32_t i, bool decided)
{
	const uint8_t *id = c->s->items[i].result_id;
	struct judgement *v = &c->verdicts[i];
	enum status st;

	v->state = state_now(c->w, id, &st);
	v->asked_for = false;
	if (!c->again || !goes_on(v->state, decided) || desk_approved(c->w->desk, c->s, id))
		v->refused = REASON_NOT_WAITING;
	return st;
}

static bool is_passing(enum status st)
{
	return status_class(st) == CLASS_RETRY || st == ST_IO || st == ST_NOMEM;
}

/*
 * What the copy on this paper says of the result that it copies; *any false: nothing. s->corrected
 * lies in number.
 */
static enum status source_of(struct confirming *c, const uint8_t id[16], struct original_source *s,
			     char number[DECISION_NUMBER_BYTES_MAX + 1], bool *any)
{
	const struct engine_ops *ops = &c->w->in->ops;
	const struct original_source *said = NULL;
	struct case_view of;
	struct slice bytes;
	struct arena a;
	enum status st = arena_init(&a, 4 * CASE_BYTES_MAX);

	if (st != ST_OK)
		return st;
	st = ops->case_of(c->w->reader, id, &bytes);
	if (st == ST_OK)
		st = case_decode(&of, bytes, &a);
	if (st == ST_OK && of.results_n > 0 && of.results[0].original != NULL)
		said = of.results[0].original->source;
	*any = said != NULL;
	if (said != NULL) {
		*s = *said;
		snprintf(number, DECISION_NUMBER_BYTES_MAX + 1, "%.*s", (int)s->corrected.n,
			 (const char *)s->corrected.p);
		s->corrected = slice_str(number);
	}
	arena_free(&a);
	return st;
}

/*
 * A copy from the register says what that said when the copy was drawn up, and it may wait long:
 * is it still so?
 */
static enum reason judge_source(struct confirming *c, const uint8_t id[16])
{
	char number[DECISION_NUMBER_BYTES_MAX + 1];
	struct original_source source;
	struct result_view v;
	bool any = false, corrected;
	enum status st = source_of(c, id, &source, number, &any);

	if (st == ST_OK && any)
		st = c->w->in->ops.get(c->w->reader, source.id, &v);
	if (st != ST_OK)
		return REASON_STORE_AWAY;
	if (!any)
		return REASON_NONE;
	if (v.life == LIFE_REVOKED || v.life == LIFE_REPLACED)
		return REASON_COPY_OF_INVALID;
	corrected = v.living.note.kind == EVENT_CORRECTED;
	return slice_eq(source.corrected, slice_str(corrected ? v.living.note.number : "")) &&
	       (!corrected || source.corrected_day == v.living.note.day) ?
	       REASON_NONE : REASON_COPY_OUTDATED;
}

/* Other than ST_OK: cannot be told now. */
static enum status judge_item(struct confirming *c, uint32_t i)
{
	const struct session_item *item = &c->s->items[i];
	const struct engine_ops *ops = &c->w->in->ops;
	struct judgement *v = &c->verdicts[i];
	struct waiting_paper paper;
	struct error e = { 0 };
	enum status st;

	*v = (struct judgement){ .state = STATE_AWAITING_APPROVAL };
	st = ops->waiting_paper(c->w->reader, (struct catalogue *)c->judged.catalogue,
				item->result_id, false, &paper, &e);
	if (st == ST_NOT_FOUND)
		return not_waiting(c, i, false);
	if (is_passing(st))
		return st;
	if (st != ST_OK) {
		log_warn("sessions", "a document cannot be drawn again: %s", e.text);
		v->refused = REASON_RENDER_FAILED;
	} else if (memcmp(paper.case_sha256, item->case_sha256, SHA256_BYTES) != 0 ||
		   memcmp(paper.preview_sha256, item->preview_sha256, SHA256_BYTES) != 0) {
		v->refused = REASON_DOCUMENT_CHANGED;
	} else if (desk_claimed(c->w->desk, c->s, item->result_id)) {
		v->refused = REASON_BUSY;
	} else {
		v->refused = judge(&c->judged, &paper);
		/* The paper is gone after it. */
		if (v->refused == REASON_NONE && paper.kind->copies == COPIES_RESULT)
			v->refused = judge_source(c, item->result_id);
	}
	/* What may have been approved before is refused for nothing that came since. */
	if (c->again) {
		v->against = v->refused;
		v->refused = REASON_NONE;
	}
	v->asked_for = v->refused == REASON_NONE;
	return ST_OK;
}

static enum status judge_all(struct confirming *c)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; i < c->s->items_n && st == ST_OK; i++) {
		if (!c->s->items[i].claimed)
			continue;
		st = judge_item(c, i);
		if (st != ST_OK || !c->verdicts[i].asked_for)
			continue;
		c->items[c->n] = (struct approval_item){ .sequence = c->s->items[i].sequence,
							 .against = c->verdicts[i].against };
		c->index[c->n++] = i;
	}
	return st;
}

/* ---- asking ---- */

static void act_done(struct act *a)
{
	struct asking *q = a->owner;

	pthread_mutex_lock(&q->lock);
	q->done = true;
	pthread_cond_signal(&q->end);
	pthread_mutex_unlock(&q->lock);
}

static enum status ask_spine(struct confirming *c)
{
	const struct engine_ops *ops = &c->w->in->ops;
	struct asking q = { .lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER };
	enum status st;

	judge_delegation(&c->judged, q.delegation);
	memcpy(q.approval.session, c->s->id, sizeof(q.approval.session));
	memcpy(q.approval.manifest, c->s->manifest, SHA256_BYTES);
	q.approval.signer = c->judged.signer;
	q.approval.delegation = slice_str(q.delegation);
	q.approval.items_n = c->n;
	q.approval.items = c->items;
	q.act = (struct act){ .type = ACT_APPROVE, .actor = c->judged.principal,
			      .approval = &q.approval, .done = act_done, .owner = &q };
	st = ops->act(ops->ctx, &q.act);
	if (st != ST_OK)
		return st;
	pthread_mutex_lock(&q.lock);
	while (!q.done)
		pthread_cond_wait(&q.end, &q.lock);
	pthread_mutex_unlock(&q.lock);
	if (q.act.status != ST_OK)
		log_warn("sessions", "a confirmation waits: %s", q.act.error.text);
	return q.act.status;
}

/* What the spine has refused: between our look and its, somebody was faster. */
static enum status take_refused(struct confirming *c)
{
	enum status st = ST_OK;

	for (uint32_t k = 0; k < c->n && st == ST_OK; k++) {
		struct judgement *v = &c->verdicts[c->index[k]];

		if (c->items[k].refused == REASON_NONE)
			continue;
		if (c->items[k].timed_out)
			*v = (struct judgement){ .refused = REASON_NOT_WAITING,
						 .state = STATE_TIMED_OUT };
		else if (c->items[k].refused == REASON_NOT_WAITING)
			st = not_waiting(c, c->index[k], true);
		else
			v->refused = c->items[k].refused;
	}
	return st;
}

/* ---- one session ---- */

/* Verdicts into the session; the claims that are left are on disk when it returns. */
static enum status write_down(struct confirming *c, bool end)
{
	struct session *s = desk_find(c->w->desk, c->s->id);
	int64_t now = now_ms(c->w);
	enum status st;

	for (uint32_t i = 0; i < s->items_n; i++)
		if (s->items[i].claimed && c->verdicts[i].refused != REASON_NONE)
			session_refuse(s, i, c->verdicts[i].state, c->verdicts[i].refused, now);
	if (end) {
		session_confirmed(s, now);
		log_info("sessions", "confirmed: %u of %u documents", session_count(s).approved,
			 s->items_n);
	}
	st = desk_keep(c->w->desk, s);
	if (st == ST_OK)
		s->asked = true;
	desk_unlock(c->w->desk);
	return st;
}

static enum status run(struct confirming *c)
{
	enum status st = judge_all(c);

	if (st == ST_OK)
		st = write_down(c, false);
	if (st == ST_OK && c->n > 0) {
		st = ask_spine(c);
		if (st == ST_OK)
			st = take_refused(c);
	}
	return st == ST_OK ? write_down(c, true) : st;
}

enum status desk_work(struct desk_work *w, const uint8_t session[16],
		      const uint8_t manifest[SHA256_BYTES])
{
	const struct engine_ops *ops = &w->in->ops;
	struct confirming c = { .w = w, .s = desk_find(w->desk, session) };
	enum status st = c.s == NULL ? ST_NOT_FOUND : session_begin(c.s, manifest, now_ms(w));
	struct catalogue *catalogue;
	bool through = st == ST_EXISTS && c.s->state != SESSION_CONFIRMING;

	if (through)
		st = desk_kept(w->desk, c.s);
	desk_unlock(w->desk);
	if (through)
		return st;
	if (st != ST_OK && st != ST_EXISTS)
		return st;
	c.again = c.s->asked;
	c.verdicts = calloc(c.s->items_n, sizeof(*c.verdicts));
	c.items = calloc(c.s->items_n, sizeof(*c.items));
	c.index = calloc(c.s->items_n, sizeof(*c.index));
	catalogue = ops->catalogue(ops->ctx);
	c.judged = (struct judged){ .catalogue = catalogue, .day = day_vietnam(now_ms(w)),
				    .signer = slice_str(c.s->signer),
				    .principal = slice_str(c.s->principal) };
	st = c.verdicts != NULL && c.items != NULL && c.index != NULL ? run(&c) : ST_NOMEM;
	catalogue_unref(catalogue);
	free(c.verdicts);
	free(c.items);
	free(c.index);
	return st;
}
