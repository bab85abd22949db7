#include <stdlib.h>

#include "intake/answer.h"
#include "intake/read.h"
#include "trien/v1/issuance.pb-c.h"

#define TAKE_MAX 32
#define CHANGE_BYTES_MAX 512

struct watched {
	char unit[CODE_BYTES_MAX + 1], code[CASE_CODE_BYTES_MAX + 1];	/* of a case, or */
	uint8_t id[16];							/* of a result */
	bool is_case, ended;
	/* Of a case: which results' ends the client has got, by the first bytes of their ids. */
	uint8_t ends_n;
	uint32_t ends[CASE_RESULTS_MAX];
};

/*
 * Subscribed first, then the present states are read, then changes are taken: one that is seen
 * twice says the same, none is missed. One message is on its way at a time.
 */
struct watching {
	struct watch *watch;
	struct watched *entries;
	uint32_t entries_n, left;	/* left: entries not at their end */
	uint32_t next_present;		/* entries whose present state was not sent yet */
	struct state_change changes[TAKE_MAX];
	uint32_t changes_n, next_change;
	bool begun, cut;
	atomic_bool sending;
};

/* On the publishing thread: only hands the call on. */
static void wake(void *owner)
{
	call_queue(owner);
}

void watch_free(struct call *c)
{
	struct watching *w = c->state;

	if (w == NULL)
		return;
	free(w->entries);
	free(w);
}

/* No wake comes any more; then the call may end. */
static void end(struct call *c, const struct fault *f)
{
	struct watching *w = c->state;

	if (w->watch != NULL) {
		c->in->ops.unwatch(w->watch);
		w->watch = NULL;
		atomic_fetch_sub_explicit(&c->in->watches, 1, memory_order_relaxed);
	}
	if (atomic_load(&c->cancelled))
		call_drop(c);
	else
		call_finish(c, f);
}

static void end_with(struct call *c, enum fault_kind kind)
{
	struct fault f;

	fault_set(&f, kind, "", "%s", "");
	end(c, &f);
}

/* Here no change of what another engine has ever comes. True: the call is answered. */
static bool never_comes(struct call *c, struct read_thread *r, const struct watched *e)
{
	struct slice unit = slice_str(e->unit);
	struct state_change found[WHOLE_CASE_MAX];
	struct error owner;
	uint32_t n = 0;
	enum status st;

	if (!c->in->ops.unit_elsewhere(r->store, unit, &owner))
		return false;
	st = c->in->ops.whole_case(r->store, unit, slice_str(e->code), WHOLE_CASE_MAX, found, &n);
	if (st == ST_OK || st == ST_NOT_FOUND)
		return case_elsewhere(c, r, unit, found, n);
	read_refuse(c, st);
	return true;
}

/* Copies what is asked for; false: the call is answered. */
static bool collect(struct call *c, struct read_thread *r, struct watching *w,
		    const Trien__V1__WatchResultsRequest *q)
{
	for (size_t i = 0; i < q->n_cases; i++) {
		struct watched *e = &w->entries[w->entries_n++];
		size_t unit = strlen(q->cases[i]->unit), code = strlen(q->cases[i]->code);

		if (unit == 0 || unit > CODE_BYTES_MAX || code == 0 || code > CASE_CODE_BYTES_MAX) {
			call_refuse(c, FAULT_ARGUMENT_INVALID, "cases", "entry %zu", i);
			return false;
		}
		if (!read_allowed(c, slice_str(q->cases[i]->unit))) {
			access_unit(c, "cases", slice_str(q->cases[i]->unit));
			return false;
		}
		e->is_case = true;
		memcpy(e->unit, q->cases[i]->unit, unit);
		memcpy(e->code, q->cases[i]->code, code);
		if (never_comes(c, r, e))
			return false;
	}
	for (size_t i = 0; i < q->n_result_ids; i++) {
		struct watched *e = &w->entries[w->entries_n++];
		struct result_view v;
		struct fault f;
		enum status st = read_result(c, r, NULL, q->result_ids[i], &v);

		if (st != ST_OK) {
			read_result_fault(c, r, &f, q->result_ids[i], st);
			submit_refuse(c, &f);
			return false;
		}
		memcpy(e->id, v.result_id, sizeof(e->id));
	}
	w->left = w->entries_n;
	return true;
}

static enum status subscribe(struct call *c, struct read_thread *r, struct watching *w)
{
	struct watch_case *cases = arena_take(&r->scratch, w->entries_n * sizeof(*cases));
	uint8_t (*ids)[16] = arena_take(&r->scratch, w->entries_n * 16);
	struct watch_filter f = { .cases = cases, .ids = (const uint8_t (*)[16])ids };
	enum status st;

	if (cases == NULL || ids == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < w->entries_n; i++) {
		const struct watched *e = &w->entries[i];

		if (e->is_case)
			cases[f.cases_n++] = (struct watch_case){ slice_str(e->unit),
								  slice_str(e->code) };
		else
			memcpy(ids[f.ids_n++], e->id, 16);
	}
	st = c->in->ops.watch(c->in->ops.ctx, &f, wake, c, &w->watch);
	if (st == ST_OK)
		atomic_fetch_add_explicit(&c->in->watches, 1, memory_order_relaxed);
	else
		w->watch = NULL;
	return st;
}

static bool begin(struct call *c, struct read_thread *r)
{
	const Trien__V1__WatchResultsRequest *q =
		read_request(c, r, &trien__v1__watch_results_request__descriptor);
	size_t n = q == NULL ? 0 : q->n_cases + q->n_result_ids;
	struct watching *w = c->state;
	enum status st;

	if (q == NULL)
		return false;
	if (n == 0 || n > WATCH_ENTRIES_MAX) {
		call_refuse(c, n == 0 ? FAULT_ARGUMENT_MISSING : FAULT_TOO_MANY, "cases",
			    "1 to %d entries", WATCH_ENTRIES_MAX);
		return false;
	}
	w->entries = calloc(n, sizeof(*w->entries));
	if (w->entries == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return false;
	}
	if (!collect(c, r, w, q))
		return false;
	st = subscribe(c, r, w);
	if (st == ST_OK)
		return true;
	call_refuse(c, st == ST_UNAVAILABLE ? FAULT_STOPPING : FAULT_BUSY, "", "%s",
		    "too many watches");
	return false;
}

static void send(struct call *c, struct watching *w, const struct state_change *s)
{
	uint8_t bytes[CHANGE_BYTES_MAX];
	struct writer out = writer_of(bytes, sizeof(bytes));
	char id[ID_TEXT_BYTES];

	id_text(id, s->result_id);
	put_slice(&out, 1, slice_of(id, sizeof(id)));
	put_number(&out, 2, s->state);
	if (s->state == STATE_HELD || (s->state == STATE_VOID && s->held != REASON_NONE))
		put_text(&out, 3, reason_text(s->held)->name);
	put_time(&out, 4, s->at_ms);
	put_text(&out, 5, s->unit);
	put_text(&out, 6, s->code);
	put_text(&out, 7, s->kind);
	put_number(&out, 8, s->ordinal);
	put_text(&out, 9, s->number_text);
	atomic_store(&w->sending, true);
	call_send(c, slice_copied(&out));
}

static bool end_told(const struct watched *e, const uint8_t id[16])
{
	for (uint8_t i = 0; i < e->ends_n; i++)
		if (memcmp(&e->ends[i], id, sizeof(e->ends[i])) == 0)
			return true;
	return false;
}

static void end_tell(struct watched *e, const struct state_change *s)
{
	if (state_is_end(s->state) && !end_told(e, s->result_id) && e->ends_n < CASE_RESULTS_MAX)
		memcpy(&e->ends[e->ends_n++], s->result_id, sizeof(e->ends[0]));
}

/* The states of an entry as they stand; whether all of them are ends. */
static enum status present(struct call *c, struct read_thread *r, const struct watched *e,
			   struct state_change out[CASE_RESULTS_MAX], uint32_t *n, bool *ended)
{
	enum status st;

	if (e->is_case) {
		st = c->in->ops.find_case(r->store, slice_str(e->unit), slice_str(e->code),
					  CASE_RESULTS_MAX, out, n);
	} else {
		struct result_view v;

		st = c->in->ops.get(r->store, e->id, &v);
		*n = st == ST_OK;
		out[0] = (struct state_change){ .state = v.state, .held = v.held,
						.at_ms = v.stored_ms != 0 ? v.stored_ms :
							 v.accepted_ms, .ordinal = v.ordinal };
		if (st == ST_OK) {
			const struct { char *to; size_t max; struct slice from; } texts[] = {
				{ out->unit, sizeof(out->unit) - 1, v.unit },
				{ out->code, sizeof(out->code) - 1, v.case_code },
				{ out->kind, sizeof(out->kind) - 1, v.kind },
				{ out->number_text, sizeof(out->number_text) - 1, v.number_text },
			};

			memcpy(out->result_id, e->id, 16);
			for (size_t i = 0; i < ARRAY_LEN(texts); i++)
				if (texts[i].from.n <= texts[i].max)
					memcpy(texts[i].to, texts[i].from.p, texts[i].from.n);
		}
	}
	/* A case that is not there yet may still come. */
	if (st == ST_NOT_FOUND) {
		*n = 0;
		st = ST_OK;
	}
	*ended = st == ST_OK && *n > 0;
	for (uint32_t i = 0; i < *n && st == ST_OK; i++)
		*ended &= state_is_end(out[i].state);
	return st;
}

static struct watched *entry_of(struct watching *w, const struct state_change *s, uint32_t from)
{
	for (uint32_t i = from; i < w->entries_n; i++) {
		struct watched *e = &w->entries[i];

		if (e->is_case ? strcmp(e->unit, s->unit) == 0 && strcmp(e->code, s->code) == 0 :
		    memcmp(e->id, s->result_id, 16) == 0)
			return e;
	}
	return NULL;
}

/*
 * An end of one result is the entry's end when its other results are at theirs, and the client
 * knows: a result may be stored already whose change is still to be taken.
 */
static enum status note_end(struct call *c, struct read_thread *r, struct watching *w,
			    const struct state_change *s)
{
	struct state_change now[CASE_RESULTS_MAX];
	enum status st = ST_OK;
	struct watched *e;
	uint32_t from = 0, n;

	while (st == ST_OK && state_is_end(s->state) && (e = entry_of(w, s, from)) != NULL) {
		bool ended = !e->is_case;

		from = (uint32_t)(e - w->entries) + 1;
		if (e->ended)
			continue;
		if (e->is_case) {
			end_tell(e, s);
			st = present(c, r, e, now, &n, &ended);
			for (uint32_t i = 0; ended && i < n; i++)
				ended = end_told(e, now[i].result_id);
		}
		e->ended = ended;
		w->left -= ended;
	}
	return st;
}

/* The next thing to send, from the present states first. False: nothing now. */
static enum status next(struct call *c, struct read_thread *r, struct watching *w, bool *any)
{
	enum status st = ST_OK;

	*any = true;
	while (st == ST_OK && w->next_change == w->changes_n && w->next_present < w->entries_n) {
		struct watched *e = &w->entries[w->next_present++];
		bool ended;

		w->next_change = 0;
		st = present(c, r, e, w->changes, &w->changes_n, &ended);
		for (uint32_t i = 0; i < w->changes_n && e->is_case; i++)
			end_tell(e, &w->changes[i]);
		if (ended && !e->ended) {
			e->ended = true;
			w->left--;
		}
	}
	if (st == ST_OK && w->next_change == w->changes_n) {
		w->next_change = 0;
		w->changes_n = c->in->ops.watch_take(w->watch, w->changes, TAKE_MAX, &w->cut);
		for (uint32_t i = 0; i < w->changes_n && st == ST_OK; i++)
			st = note_end(c, r, w, &w->changes[i]);
	}
	*any = w->next_change < w->changes_n;
	return st;
}

void watch_run(struct call *c)
{
	struct watching *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	c->state = w;
	call_queue(c);
}

void watch_work(struct call *c, struct read_thread *r)
{
	struct watching *w = c->state;
	enum status st;
	bool any;

	if (!w->begun) {
		w->begun = true;
		if (!begin(c, r))
			return;
	}
	/* After the end, or a refusal, there may be one more turn that was queued before it. */
	if (w->watch == NULL || atomic_load(&w->sending))
		return;
	if (atomic_load(&c->cancelled)) {
		end(c, NULL);
		return;
	}
	if (atomic_load(&c->in->stopping)) {
		end_with(c, FAULT_STOPPING);
		return;
	}
	st = next(c, r, w, &any);
	if (st != ST_OK)
		end_with(c, FAULT_STORE_AWAY);
	else if (any)
		send(c, w, &w->changes[w->next_change++]);
	else if (w->cut)
		end_with(c, FAULT_WATCH_TOO_SLOW);
	else if (w->left == 0)
		end(c, NULL);
}

void watch_sent(struct call *c, bool ok)
{
	struct watching *w = c->state;

	if (!ok)
		atomic_store(&c->cancelled, true);
	atomic_store(&w->sending, false);
	call_queue(c);
}

/* One whose request has not come yet is no watch: its call ends with what comes instead. */
void watch_closed(struct call *c)
{
	if (c->state != NULL)
		call_queue(c);
}

void watch_stop(struct call *c)
{
	if (c->state != NULL)
		call_queue(c);
}
