#include <stdio.h>

#include "base/calendar.h"
#include "identity.h"
#include "intake/answer.h"
#include "intake/noted.h"
#include "intake/operation.h"
#include "intake/said.h"
#include "trien/v1/issuance.pb-c.h"

#define TEXTS_BYTES 8192		/* a decision's, and the event's detail */
#define EVENTS_MAX (LIVING_ACTS_MAX + HANDOVERS_MAX + LINKS_TOLD_MAX)

/* ---- what the request says ---- */

/* One printable line, composed, into the operation's memory. False: the call is answered. */
static bool take_line(struct call *c, struct operation *o, struct slice *out, const char *text,
		      size_t bytes_max, const char *field)
{
	struct slice line;

	if (text[0] == '\0') {
		call_refuse(c, FAULT_ARGUMENT_MISSING, field, "1 to %zu bytes", bytes_max);
		return false;
	}
	*out = said_line(text, bytes_max, &o->texts, &line) ? arena_copy(&o->texts, line) :
							      slice_of(NULL, 0);
	if (out->p != NULL)
		return true;
	call_refuse(c, FAULT_ARGUMENT_INVALID, field, "one line of 1 to %zu bytes", bytes_max);
	return false;
}

static bool take_day(struct call *c, uint32_t *out, const Trien__V1__Date *d, const char *field)
{
	uint32_t today = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx));

	if (!said_day(c, d, field, out))
		return false;
	if (*out == 0)
		call_refuse(c, FAULT_ARGUMENT_MISSING, field, "a whole date");
	else if (*out > today)
		call_refuse(c, FAULT_ARGUMENT_INVALID, field, "not in the future");
	return *out != 0 && *out <= today;
}

/* in: the request's field. Its unit stays open. False: the call is answered. */
static bool take_decision(struct call *c, struct operation *o, const Trien__V1__Decision *d,
			  const char *in, struct decision *out)
{
	char field[4][32];
	static const char *const names[4] = { "number", "date", "ground", "actor" };

	if (d == NULL) {
		call_refuse(c, FAULT_ARGUMENT_MISSING, in, "%s", "");
		return false;
	}
	for (uint32_t i = 0; i < 4; i++)
		snprintf(field[i], sizeof(field[i]), "%s.%s", in, names[i]);
	*out = (struct decision){ 0 };
	return take_line(c, o, &out->number, d->number, DECISION_NUMBER_BYTES_MAX, field[0]) &&
	       take_day(c, &out->day, d->date, field[1]) &&
	       take_line(c, o, &out->ground, d->ground, DECISION_GROUND_BYTES_MAX, field[2]) &&
	       take_line(c, o, &out->person, d->actor, DECISION_PERSON_BYTES_MAX, field[3]);
}

/* ---- the result, and whether the caller may act for its agency ---- */

/* For the issuing agency as `unit`, or for itself where that is empty. */
static bool may_act(struct call *c, const char *unit, struct slice issuer)
{
	struct catalogue *catalogue;
	bool may;

	if (unit[0] == '\0')
		return principal_unit(c->principal, issuer);
	if (!principal_unit(c->principal, slice_str(unit)))
		return false;
	catalogue = c->in->ops.catalogue(c->in->ops.ctx);
	may = catalogue_succeeds(catalogue, slice_str(unit), issuer,
				 day_vietnam(c->in->ops.now_ms(c->in->ops.ctx)));
	catalogue_unref(catalogue);
	return may;
}

static bool stale(struct call *c)
{
	call_refuse(c, FAULT_ETAG_STALE, "etag", "%s", "");
	return false;
}

/* Only a stored result has one: where it is else is told first. */
static bool etag_said(struct call *c, const char *etag)
{
	if (etag[0] == '\0')
		call_refuse(c, FAULT_ARGUMENT_MISSING, "etag", "of the result as it was read");
	return etag[0] != '\0';
}

static bool note_issuer(struct operation *o, struct slice unit)
{
	if (unit.n > CODE_BYTES_MAX)
		return false;
	memcpy(o->issuer, unit.p, unit.n);
	o->issuer[unit.n] = '\0';
	o->act.unit = slice_of(o->issuer, unit.n);
	return true;
}

/* The store is away: its etag says whose it is, and what it was when it was read. */
static bool target_sealed(struct call *c, struct operation *o, struct read_thread *r,
			  const char *unit, const char *etag)
{
	struct catalogue *catalogue = c->in->ops.catalogue(c->in->ops.ctx);
	const struct unit *u;
	bool found = false;

	for (uint32_t i = 0; !found && (u = catalogue_unit_at(catalogue, i)) != NULL; i++)
		found = c->in->ops.etag_read(r->store, o->result_id, slice_str(u->code), etag,
					     &o->etag) && note_issuer(o, slice_str(u->code));
	catalogue_unref(catalogue);
	if (!found)
		return stale(c);
	o->act.lane = o->etag.lane;
	o->act.sequence = o->etag.sequence;
	if (may_act(c, unit, slice_str(o->issuer)))
		return true;
	access_unit(c, "decision.unit", slice_str(unit[0] != '\0' ? unit : o->issuer));
	return false;
}

/*
 * The result that an act is about, as it stands: *v, or with v->state 0 by its etag alone. portal:
 * the caller acts for its holder. False: the call is answered.
 */
static bool target(struct call *c, struct operation *o, struct read_thread *r, const char *id,
		   const char *etag, const char *unit, bool portal, struct result_view *v)
{
	enum status st = id_read(o->result_id, slice_str(id)) ?
			 c->in->ops.get(r->store, o->result_id, v) : ST_NOT_FOUND;
	struct fault f;
	/* ST_AGAIN is no store that is away: another engine's, which has no etag yet. */
	bool away = st != ST_OK && st != ST_AGAIN &&
		    (status_class(st) == CLASS_RETRY || st == ST_IO);

	if (away && !portal) {
		*v = (struct result_view){ .state = 0 };
		return etag_said(c, etag) && target_sealed(c, o, r, unit, etag);
	}
	/* To a holder what is not stored yet is nothing, whichever engine has it. */
	if ((st == ST_OK && portal && v->living.restricted) || (st == ST_AGAIN && portal))
		st = ST_NOT_FOUND;
	if (st == ST_OK && !portal && !may_act(c, unit, v->unit)) {
		if (!read_allowed(c, v->unit) || read_restricted(c, v)) {
			st = ST_NOT_FOUND;
		} else {
			access_unit(c, "decision.unit",
				    unit[0] != '\0' ? slice_str(unit) : v->unit);
			return false;
		}
	}
	if (st != ST_OK || !note_issuer(o, v->unit)) {
		read_result_fault(c, r, &f, id, st);
		submit_refuse(c, &f);
		return false;
	}
	if (v->state != STATE_STORED) {
		read_not_stored(&f, v->state);
		submit_refuse(c, &f);
		return false;
	}
	o->act.lane = v->lane;
	o->act.sequence = v->sequence;
	return etag_said(c, etag);
}

/* ---- judging, and asking ---- */

static void reply_act(struct call *c, struct read_thread *r, const struct operation *o)
{
	struct etag e = { .acts = o->act.acts, .replaced = o->etag.replaced };
	char id[ID_TEXT_BYTES], etag[ETAG_BYTES + 1];
	uint8_t buf[128];
	struct writer w = writer_of(buf, sizeof(buf));

	c->in->ops.etag_after(r->store, o->result_id, slice_str(o->issuer), &e, etag);
	id_text(id, o->result_id);
	put_slice(&w, 1, slice_of(id, sizeof(id)));
	put_number(&w, 2, o->act.pending);
	put_text(&w, 3, etag);
	call_reply(c, slice_copied(&w));
}

static bool ends(const struct operation *o)
{
	return o->act.event == EVENT_REVOKED || o->act.event == EVENT_CORRECTED;
}

/* issued_ms: when the result was, or not after that. */
static void ask_by_etag(struct operation *o, int64_t issued_ms)
{
	o->act.acts = o->etag.acts;
	o->act.replaced = o->etag.replaced;
	o->act.first_day = ends(o) ? day_vietnam(issued_ms) : 0;
}

/* Among the acts that stand in the store. False: the call is answered. */
static bool trace(struct call *c, struct operation *o, struct read_thread *r,
		  struct act_trace *t)
{
	struct result_event *rows = arena_take(&r->scratch, EVENTS_MAX * sizeof(*rows));
	uint32_t n = 0, acts = 0;
	enum status st = rows == NULL ? ST_NOMEM :
			 c->in->ops.history(r->store, o->act.lane, o->act.sequence, EVENTS_MAX,
					    rows, &n);

	if (st != ST_OK) {
		read_refuse(c, st);
		return false;
	}
	*t = (struct act_trace){ 0 };
	for (uint32_t i = 0; i < n; i++)
		if (event_is_act(rows[i].kind))
			act_trace_take(t, o->act.event, o->act.reason, ++acts, rows[i].kind,
				       rows[i].detail);
	o->act.undone = t->undone;
	return true;
}

/*
 * The same act told again, by the store. One that may be taken back is left to the spine if its
 * etag knows of acts that the store does not.
 */
static bool again(const struct operation *o, const struct result_view *v,
		  const struct act_trace *t, bool etag_known)
{
	uint32_t seen = etag_known ? o->etag.acts : UINT32_MAX;
	bool pending = etag_known && seen > v->living.acts;

	return act_is_again(t, o->act.event, seen) &&
	       !(pending && event_undone_by(o->act.event) != 0);
}

/* By the store; what is pending, and without the store, the spine knows. False: answered. */
static bool judge(struct call *c, struct operation *o, struct read_thread *r,
		  const struct result_view *v, const char *etag)
{
	bool replaced = !id_is_zero(v->replaced_by);
	struct act_trace t;
	bool etag_known;

	if (v->state == 0) {
		ask_by_etag(o, sequence_ms(o->act.sequence));
		return true;
	}
	/* From here on what *v borrows is gone. */
	if (!trace(c, o, r, &t))
		return false;
	etag_known = c->in->ops.etag_read(r->store, o->result_id, slice_str(o->issuer), etag,
					  &o->etag);
	if (again(o, v, &t, etag_known)) {
		o->act.acts = v->living.acts;
		if (etag_known && o->etag.acts > v->living.acts)
			o->act.acts = o->etag.acts;
		o->etag.replaced = replaced;
		reply_act(c, r, o);
		return false;
	}
	/* One that counts more was told of an act that is pending. */
	if (!etag_known || o->etag.acts < v->living.acts || o->etag.replaced != replaced)
		return stale(c);
	if (ends(o) && (v->life == LIFE_REVOKED || replaced)) {
		call_refuse(c, FAULT_RESULT_ENDED, "result_id", "%s",
			    v->life == LIFE_REVOKED ? "revoked" : "replaced");
		return false;
	}
	ask_by_etag(o, v->issued_ms);
	return true;
}

/* Writes the event's detail; unit: the acting agency, empty: the issuer. */
static bool decided(struct call *c, struct operation *o, struct decision *d, const char *unit)
{
	uint8_t *text = arena_take(&o->texts, DECISION_BYTES_MAX);
	struct writer w = writer_of(text, text != NULL ? DECISION_BYTES_MAX : 0);

	d->unit = slice_str(unit[0] != '\0' ? unit : o->issuer);
	if (decision_write(d, &w) != ST_OK) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "decision", "too long");
		return false;
	}
	o->act.reason = writer_slice(&w);
	return true;
}

static bool begun(struct call *c, struct operation *o, enum event_kind kind)
{
	o->act.event = (uint8_t)kind;
	if (arena_init(&o->texts, TEXTS_BYTES) == ST_OK)
		return true;
	call_refuse(c, FAULT_BUSY, "", "no memory");
	return false;
}

/* The first turn asks, the second one answers. */
static void living_turn(struct call *c, struct read_thread *r,
			void (*begin)(struct call *c, struct operation *o, struct read_thread *r))
{
	struct operation *o = operation_of(c, ACT_LIVE);

	if (o == NULL)
		return;
	if (!atomic_load(&o->decided))
		begin(c, o, r);
	else if (o->act.refused != REASON_NONE)
		(void)operation_succeeded(c, o);
	else if (o->act.status == ST_CONFLICT)
		stale(c);
	else if (o->act.status == ST_PRECONDITION)
		call_refuse(c, FAULT_RESULT_ENDED, "result_id", "%s", o->act.error.text);
	else if (o->act.status == ST_INVALID)
		call_refuse(c, FAULT_ARGUMENT_INVALID,
			    o->act.event == EVENT_CORRECTED ? "paper.date" : "decision.date", "%s",
			    o->act.error.text);
	else if (operation_succeeded(c, o))
		reply_act(c, r, o);
}

/* ---- the acts ---- */

static void revoke_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__RevokeResultRequest *q =
		read_request(c, r, &trien__v1__revoke_result_request__descriptor);
	struct decision d;
	struct result_view v;

	if (q != NULL && begun(c, o, EVENT_REVOKED) &&
	    take_decision(c, o, q->decision, "decision", &d) &&
	    target(c, o, r, q->result_id, q->etag, q->decision->unit, false, &v) &&
	    decided(c, o, &d, q->decision->unit) && judge(c, o, r, &v, q->etag))
		operation_ask(c, o);
}

void revoke_work(struct call *c, struct read_thread *r)
{
	living_turn(c, r, revoke_begin);
}

/*
 * The corrigendum's own id; it stands in the store, and is of the agency that acts. One of another
 * agency is answered like none: whether it is there is not told.
 */
static bool take_paper(struct call *c, struct read_thread *r, const char *id, const char *result_id,
		       struct decision *d, char unit[CODE_BYTES_MAX + 1])
{
	struct result_view v;
	uint8_t other[16];
	enum status st;

	if (id[0] == '\0')
		return true;
	st = id_read(d->paper, slice_str(id)) ? c->in->ops.get(r->store, d->paper, &v) :
						ST_NOT_FOUND;
	if (st != ST_OK && st != ST_NOT_FOUND) {
		read_refuse(c, st);
		return false;
	}
	if (st == ST_OK && v.state == STATE_STORED && v.unit.n <= CODE_BYTES_MAX &&
	    principal_unit(c->principal, v.unit) && !read_restricted(c, &v) &&
	    !(id_read(other, slice_str(result_id)) && memcmp(other, d->paper, 16) == 0)) {
		memcpy(unit, v.unit.p, v.unit.n);
		unit[v.unit.n] = '\0';
		return true;
	}
	call_refuse(c, FAULT_ARGUMENT_INVALID, "paper_result_id",
		    "a stored result of the same agency");
	return false;
}

static bool paper_agrees(struct call *c, const struct operation *o, const char *unit,
			 const char *paper_unit)
{
	if (paper_unit[0] == '\0' ||
	    strcmp(paper_unit, unit[0] != '\0' ? unit : o->issuer) == 0)
		return true;
	call_refuse(c, FAULT_ARGUMENT_INVALID, "paper_result_id",
		    "a stored result of the same agency");
	return false;
}

static void correct_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__CorrectResultRequest *q =
		read_request(c, r, &trien__v1__correct_result_request__descriptor);
	char paper_unit[CODE_BYTES_MAX + 1] = "";
	struct decision d;
	struct result_view v;

	if (q != NULL && begun(c, o, EVENT_CORRECTED) &&
	    take_decision(c, o, q->paper, "paper", &d) &&
	    take_paper(c, r, q->paper_result_id, q->result_id, &d, paper_unit) &&
	    target(c, o, r, q->result_id, q->etag, q->paper->unit, false, &v) &&
	    paper_agrees(c, o, q->paper->unit, paper_unit) &&
	    decided(c, o, &d, q->paper->unit) && judge(c, o, r, &v, q->etag))
		operation_ask(c, o);
}

void correct_work(struct call *c, struct read_thread *r)
{
	living_turn(c, r, correct_begin);
}

/* ---- who is shown it ---- */

/* The holder has that result; the event's detail is the holder's key. */
static bool take_holder(struct call *c, struct operation *o, struct read_thread *r,
			const Trien__V1__Holder *h)
{
	Trien__V1__Person who = TRIEN__V1__PERSON__INIT;
	char *detail = arena_take(&o->texts, HOLDER_DETAIL_BYTES);
	struct holding_view *row = arena_take(&r->scratch, sizeof(*row));
	uint32_t n = 0;
	uint8_t key[16];
	enum status st;

	who.id_kind = h->id_kind;
	who.country = h->country;
	who.number = h->number;
	if (!person_key(c, &who, "holder.", key))
		return false;
	st = detail == NULL || row == NULL ? ST_NOMEM :
	     c->in->ops.list(r->store, key, o->act.sequence + 1, 1, row, &n);
	if (st == ST_OK && (n == 0 || row->result.sequence != o->act.sequence)) {
		call_refuse(c, FAULT_HOLDER_NOT_FOUND, "holder", "%s", "");
		return false;
	}
	if (st != ST_OK) {
		read_refuse(c, st);
		return false;
	}
	hex_lower(detail, key, sizeof(key));
	o->act.reason = slice_of(detail, HOLDER_DETAIL_BYTES);
	return true;
}

static void holding_begin(struct call *c, struct operation *o, struct read_thread *r,
			  const Trien__V1__SetVisibilityRequest *q)
{
	struct result_view v, again;

	if (!principal_may(c->principal, MAY_PORTAL))
		access_role(c, MAY_PORTAL, "holder");
	else if (target(c, o, r, q->result_id, q->etag, "", true, &v) &&
		 take_holder(c, o, r, q->holder) &&
		 target(c, o, r, q->result_id, q->etag, "", true, &again) &&
		 judge(c, o, r, &again, q->etag))
		operation_ask(c, o);
}

static void restriction_begin(struct call *c, struct operation *o, struct read_thread *r,
			      const Trien__V1__SetVisibilityRequest *q)
{
	struct decision d;
	struct result_view v;

	if (!principal_may(c->principal, MAY_REGISTRY))
		access_role(c, MAY_REGISTRY, "");
	else if (take_decision(c, o, q->decision, "decision", &d) &&
		 target(c, o, r, q->result_id, q->etag, q->decision->unit, false, &v) &&
		 decided(c, o, &d, q->decision->unit) && judge(c, o, r, &v, q->etag))
		operation_ask(c, o);
}

static void visibility_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	enum { SHOWN = TRIEN__V1__SET_VISIBILITY_REQUEST__VISIBILITY__SHOWN,
	       HIDDEN = TRIEN__V1__SET_VISIBILITY_REQUEST__VISIBILITY__HIDDEN,
	       RESTRICTED = TRIEN__V1__SET_VISIBILITY_REQUEST__VISIBILITY__RESTRICTED };
	const Trien__V1__SetVisibilityRequest *q =
		read_request(c, r, &trien__v1__set_visibility_request__descriptor);
	bool holder = q != NULL && q->holder != NULL;

	if (q == NULL)
		return;
	if ((int)q->visibility != SHOWN && (int)q->visibility != (holder ? HIDDEN : RESTRICTED)) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "visibility",
			    "SHOWN, HIDDEN with a holder, RESTRICTED without one");
		return;
	}
	if (holder && q->decision != NULL) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "decision", "not with a holder");
		return;
	}
	if (holder && begun(c, o, (int)q->visibility == SHOWN ? EVENT_SHOWN : EVENT_HIDDEN))
		holding_begin(c, o, r, q);
	else if (!holder &&
		 begun(c, o, (int)q->visibility == SHOWN ? EVENT_RELEASED : EVENT_RESTRICTED))
		restriction_begin(c, o, r, q);
}

void visibility_work(struct call *c, struct read_thread *r)
{
	living_turn(c, r, visibility_begin);
}
