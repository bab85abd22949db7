#include <stdlib.h>

#include "intake/sessions.h"
#include "trien/v1/signing.pb-c.h"

#define TAKE_MAX 64
#define OUTCOME_BYTES_MAX 1024

/*
 * Subscribed first, then the present states are read, then changes are taken: so none is missed.
 * What is news goes through the session, and is sent from there: a cursor is told only when it is
 * durable. One message is on its way at a time; while some are left, no change is taken, so that
 * many changes make one write.
 */
struct watching {
	struct watch *watch;
	uint8_t session[16];
	uint64_t cursor;
	enum { WATCH_NEW, WATCH_ON, WATCH_ENDED } phase;
	atomic_bool sending;
};

/* ---- where the results are ---- */

struct pending_ids { uint32_t n; uint8_t (*ids)[16]; };

/* Of the session's approved results those that are not at their end; free(ids). */
static enum status pending_of(struct intake *in, const uint8_t session[16], struct pending_ids *p)
{
	struct session *s = desk_find(in->desk, session);
	enum status st = s != NULL ? ST_OK : ST_NOT_FOUND;

	*p = (struct pending_ids){ 0 };
	if (s != NULL) {
		p->ids = calloc(s->items_n, 16);
		st = p->ids != NULL ? ST_OK : ST_NOMEM;
	}
	for (uint32_t i = 0; st == ST_OK && i < s->items_n; i++)
		if (session_pending(s, i))
			memcpy(p->ids[p->n++], s->items[i].result_id, 16);
	desk_unlock(in->desk);
	return st;
}

static void set_number(struct followed *f, struct slice text)
{
	size_t n = text.n < NUMBER_TEXT_BYTES_MAX ? text.n : NUMBER_TEXT_BYTES_MAX;

	memcpy(f->number_text, text.p, n);
}

static enum status look(struct intake *in, struct read_thread *r, const struct pending_ids *p,
			struct followed *f, uint32_t *n)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; i < p->n && st == ST_OK; i++) {
		struct result_view v;

		st = in->ops.get(r->store, p->ids[i], &v);
		if (st == ST_NOT_FOUND) {
			st = ST_OK;
			continue;
		}
		if (st != ST_OK)
			break;
		f[*n] = (struct followed){ .state = v.state, .reason = v.held,
					   .at_ms = v.stored_ms != 0 ? v.stored_ms :
						    in->ops.now_ms(in->ops.ctx) };
		memcpy(f[*n].result_id, p->ids[i], 16);
		if (v.number_text.n > 0)
			set_number(&f[*n], v.number_text);
		(*n)++;
	}
	return st;
}

enum status outcomes_refresh(struct intake *in, struct read_thread *r, const uint8_t id[16])
{
	struct pending_ids p;
	enum status st = pending_of(in, id, &p);
	struct followed *f;
	uint32_t n = 0;

	if (st != ST_OK || p.n == 0) {
		free(p.ids);
		return st;
	}
	f = calloc(p.n, sizeof(*f));
	st = f != NULL ? look(in, r, &p, f, &n) : ST_NOMEM;
	if (st == ST_OK)
		st = desk_follow(in->desk, id, f, n);
	free(f);
	free(p.ids);
	return st;
}

/* ---- WatchSession ---- */

/* On the publishing thread: only hands the call on. */
static void wake(void *owner)
{
	call_queue(owner);
}

static void unwatch(struct call *c, struct watching *w)
{
	if (w->watch == NULL)
		return;
	c->in->ops.unwatch(w->watch);
	w->watch = NULL;
	atomic_fetch_sub_explicit(&c->in->watches, 1, memory_order_relaxed);
}

/* Nothing to watch is no failure. */
static enum status watch(struct call *c, struct watching *w)
{
	struct watch_filter f = { 0 };
	struct pending_ids p;
	enum status st = pending_of(c->in, w->session, &p);

	f.ids = (const uint8_t (*)[16])p.ids;
	f.ids_n = p.n;
	if (st == ST_OK && p.n > 0) {
		st = c->in->ops.watch(c->in->ops.ctx, &f, wake, c, &w->watch);
		if (st == ST_OK)
			atomic_fetch_add_explicit(&c->in->watches, 1, memory_order_relaxed);
		else
			w->watch = NULL;
	}
	free(p.ids);
	return st;
}

void session_watch_free(struct call *c)
{
	free(c->state);
}

static void end(struct call *c, struct watching *w, const struct fault *f)
{
	unwatch(c, w);
	w->phase = WATCH_ENDED;		/* a turn that was asked for before may still come */
	if (atomic_load(&c->cancelled))
		call_drop(c);
	else
		call_finish(c, f);
}

static void end_with(struct call *c, struct watching *w, enum fault_kind kind, const char *detail)
{
	struct fault f;

	fault_set(&f, kind, "", "%s", detail);
	end(c, w, &f);
}

static enum fault_kind fault_of(enum status st)
{
	switch (st) {
	case ST_NOT_FOUND:		/* forgotten meanwhile */
		return FAULT_SESSION_NOT_FOUND;
	case ST_UNAVAILABLE:
		return FAULT_STOPPING;
	case ST_FULL:
	case ST_NOMEM:
		return FAULT_BUSY;
	default:
		return FAULT_STORE_AWAY;
	}
}

/* False: the call is answered. */
static bool begin(struct call *c, struct read_thread *r, struct watching *w)
{
	const Trien__V1__WatchSessionRequest *q =
		read_request(c, r, &trien__v1__watch_session_request__descriptor);
	struct session *s = q != NULL ? session_mine(c, q->session_id) : NULL;
	enum session_state state;
	enum status st;

	if (s == NULL)
		return false;
	state = s->state;
	memcpy(w->session, s->id, sizeof(w->session));
	w->cursor = q->cursor;
	desk_unlock(c->in->desk);
	if (state != SESSION_CONFIRMED && state != SESSION_DONE) {
		call_refuse(c, state == SESSION_CONFIRMING ? FAULT_SESSION_CONFIRMING :
			    FAULT_SESSION_NOT_CONFIRMED, "session_id", "%s", "");
		return false;
	}
	st = watch(c, w);
	if (st == ST_OK)
		st = outcomes_refresh(c->in, r, w->session);
	if (st == ST_OK) {
		w->phase = WATCH_ON;
		return true;
	}
	unwatch(c, w);
	call_refuse(c, fault_of(st), "", "%s", status_name(st));
	return false;
}

static grpc_slice outcome_of(const struct session_item *item, uint32_t index)
{
	const struct reason_text *why = reason_text((enum reason)item->reason);
	uint8_t bytes[OUTCOME_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char id[ID_TEXT_BYTES];

	id_text(id, item->result_id);
	put_number(&w, 1, item->cursor);
	put_slice(&w, 2, slice_of(id, sizeof(id)));
	put_number(&w, 3, index);
	put_number(&w, 4, item->approved);
	put_number(&w, 5, item->state);
	if (item->reason != REASON_NONE) {
		put_text(&w, 6, why->name);
		put_text(&w, 7, why->vi);
		put_text(&w, 8, why->en);
	}
	put_text(&w, 9, item->number_text);
	put_time(&w, 10, item->changed_ms);
	return slice_copied(&w);
}

/* Sends the next outcome, if there is *any; *done: there will be no other. */
static enum status send_next(struct call *c, struct watching *w, bool *any, bool *done)
{
	struct session *s = desk_find(c->in->desk, w->session);
	enum status st = s != NULL ? desk_kept(c->in->desk, s) : ST_NOT_FOUND;
	uint32_t i = st == ST_OK ? session_next(s, w->cursor) : 0;
	grpc_slice message;

	*any = st == ST_OK && i < s->items_n;
	*done = st == ST_OK && s->state == SESSION_DONE;
	if (*any) {
		w->cursor = s->items[i].cursor;
		message = outcome_of(&s->items[i], i);
	}
	desk_unlock(c->in->desk);
	if (*any) {
		atomic_store(&w->sending, true);
		call_send(c, message);
	}
	return st;
}

/* Whatever has changed, into the session. *any: something had. */
static enum status take(struct call *c, struct read_thread *r, struct watching *w, bool *any)
{
	struct state_change changes[TAKE_MAX];
	struct followed f[TAKE_MAX];
	bool cut = false;
	uint32_t n = w->watch == NULL ? 0 :
		c->in->ops.watch_take(w->watch, changes, TAKE_MAX, &cut);
	enum status st;

	*any = n > 0 || cut;
	for (uint32_t i = 0; i < n; i++) {
		f[i] = (struct followed){ .state = changes[i].state, .reason = changes[i].held,
					  .at_ms = changes[i].at_ms };
		memcpy(f[i].result_id, changes[i].result_id, 16);
		memcpy(f[i].number_text, changes[i].number_text, sizeof(f[i].number_text));
	}
	st = n > 0 ? desk_follow(c->in->desk, w->session, f, n) : ST_OK;
	if (st != ST_OK || !cut)
		return st;
	/* Too much at once for the queue: look again at all that is left. */
	unwatch(c, w);
	st = watch(c, w);
	return st == ST_OK ? outcomes_refresh(c->in, r, w->session) : st;
}

void session_watch_run(struct call *c)
{
	struct watching *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	c->state = w;
	call_queue(c);
}

void session_watch_work(struct call *c, struct read_thread *r)
{
	struct watching *w = c->state;
	bool done, sent, any = true;
	enum status st = ST_OK;

	if (w->phase == WATCH_NEW) {
		w->phase = WATCH_ENDED;
		if (!begin(c, r, w))
			return;
	}
	if (w->phase == WATCH_ENDED || atomic_load(&w->sending))
		return;
	if (atomic_load(&c->cancelled)) {
		end(c, w, NULL);
		return;
	}
	if (atomic_load(&c->in->stopping)) {
		end_with(c, w, FAULT_STOPPING, "");
		return;
	}
	while (any && st == ST_OK) {
		st = send_next(c, w, &sent, &done);
		if (sent)
			return;
		if (done) {
			end(c, w, NULL);
			return;
		}
		if (st == ST_OK)
			st = take(c, r, w, &any);
	}
	if (st != ST_OK)
		end_with(c, w, fault_of(st), status_name(st));
}

void session_watch_sent(struct call *c, bool ok)
{
	struct watching *w = c->state;

	if (!ok)
		atomic_store(&c->cancelled, true);
	atomic_store(&w->sending, false);
	call_queue(c);
}
