#include "intake/sessions.h"

#include <stdlib.h>

#include "trien/v1/signing.pb-c.h"

#define DRAWN_A_TURN 64			/* then other calls have theirs */
#define SESSION_BYTES_MAX 512
#define WARNING_BYTES_MAX 1024

_Static_assert((int)TRIEN__V1__SESSION_STATE__SESSION_OPEN == (int)SESSION_OPEN, "one numbering");
_Static_assert((int)TRIEN__V1__SESSION_STATE__SESSION_EXPIRED == (int)SESSION_EXPIRED,
	       "one numbering");

struct session *session_mine(struct call *c, const char *session_id)
{
	struct session *s = NULL;
	uint8_t id[16];

	if (id_read(id, slice_str(session_id)))
		s = desk_lock(c->in->desk, id, principal_name(c->principal));
	if (s == NULL) {
		call_refuse(c, FAULT_SESSION_NOT_FOUND, "session_id", "%s", "");
	} else if (!principal_signer(c->principal, slice_str(s->signer))) {
		desk_unlock(c->in->desk);
		call_refuse(c, FAULT_SIGNER_DENIED, "", "%s", "");
		s = NULL;
	}
	return s;
}

static void put_session(struct writer *w, const struct session *s)
{
	struct session_counts counts = session_count(s);
	char text[ID_TEXT_BYTES];

	id_text(text, s->id);
	put_slice(w, 1, slice_of(text, sizeof(text)));
	put_text(w, 2, s->signer);
	put_number(w, 3, s->state);
	put_slice(w, 4, slice_of(s->manifest, SHA256_BYTES));
	put_number(w, 5, s->items_n);
	put_number(w, 6, counts.approved);
	put_number(w, 7, counts.settled);
	put_time(w, 8, s->opened_ms);
	put_time(w, 9, s->expires_ms);
	put_time(w, 10, s->confirmed_ms);
	put_time(w, 11, session_forget_ms(s));
}

/* What cannot be signed now, and what not any more when the session ends. */
enum { NOW, LATER, TIMES };
struct warning { enum reason why; uint32_t items; };

static void put_warnings(struct writer *w, const struct warning *warnings)
{
	for (int i = NOW; i < TIMES; i++) {
		const struct reason_text *text = reason_text(warnings[i].why);
		uint8_t *at;

		if (warnings[i].items == 0)
			continue;
		at = put_begin(w, 12);
		put_text(w, 1, text->name);
		put_text(w, 2, text->vi);
		put_text(w, 3, text->en);
		put_number(w, 4, warnings[i].items);
		put_number(w, 5, i == LATER);
		put_end(w, at);
	}
}

/* Locked before, unlocked after. What is not durable is not told. warnings: TIMES, or NULL. */
static void reply_with(struct call *c, struct session *s, const struct warning *warnings)
{
	uint8_t buf[SESSION_BYTES_MAX + TIMES * WARNING_BYTES_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	enum status st = desk_kept(c->in->desk, s);

	if (st == ST_OK)
		put_session(&w, s);
	if (st == ST_OK && warnings != NULL)
		put_warnings(&w, warnings);
	desk_unlock(c->in->desk);
	if (st == ST_OK)
		call_reply(c, slice_copied(&w));
	else
		call_refuse(c, FAULT_STORE_AWAY, "", "%s", status_name(st));
}

static void reply_session(struct call *c, struct session *s)
{
	reply_with(c, s, NULL);
}

/* ---- OpenSession ---- */

struct opening {
	struct session *s;
	struct warning warnings[TIMES];
	uint32_t next;			/* to be drawn */
	int64_t ttl_ms;
};

void session_open_free(struct call *c)
{
	struct opening *o = c->state;

	if (o != NULL)
		session_free(o->s);
	free(o);
}

static bool read_ids(struct call *c, struct session *s, char *const *ids)
{
	for (uint32_t i = 0; i < s->items_n; i++) {
		if (!id_read(s->items[i].result_id, slice_str(ids[i]))) {
			call_refuse(c, FAULT_RESULT_NOT_FOUND, "result_ids", "entry %u", i);
			return false;
		}
		if (session_index(s, s->items[i].result_id) != i) {
			call_refuse(c, FAULT_ARGUMENT_INVALID, "result_ids",
				    "entry %u stands twice", i);
			return false;
		}
	}
	return true;
}

/* False: the call is answered. */
static bool open_begin(struct call *c, struct read_thread *r)
{
	const Trien__V1__OpenSessionRequest *q =
		read_request(c, r, &trien__v1__open_session_request__descriptor);
	const char *signer = q != NULL ? waiting_signer(c, q->signer) : NULL;
	struct opening *o;

	if (signer == NULL)
		return false;
	if (q->n_result_ids == 0 || q->n_result_ids > SESSION_ITEMS_MAX) {
		call_refuse(c, q->n_result_ids == 0 ? FAULT_ARGUMENT_MISSING : FAULT_TOO_MANY,
			    "result_ids", "1 to %d", SESSION_ITEMS_MAX);
		return false;
	}
	if (q->ttl_seconds != 0 &&
	    (q->ttl_seconds < SESSION_TTL_S_MIN || q->ttl_seconds > SESSION_TTL_S_MAX)) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "ttl_seconds", "%d to %d",
			    SESSION_TTL_S_MIN, SESSION_TTL_S_MAX);
		return false;
	}
	o = calloc(1, sizeof(*o));
	if (o != NULL)
		o->s = session_new((uint32_t)q->n_result_ids);
	if (o == NULL || o->s == NULL) {
		free(o);
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return false;
	}
	c->state = o;
	o->ttl_ms = (q->ttl_seconds != 0 ? q->ttl_seconds : SESSION_TTL_S_DEFAULT) * 1000LL;
	memcpy(o->s->signer, signer, strlen(signer) + 1);
	memcpy(o->s->principal, principal_name(c->principal),
	       strlen(principal_name(c->principal)) + 1);
	return read_ids(c, o->s, q->result_ids);
}

static void warn(struct warning *w, enum reason why)
{
	if (w->items++ == 0)
		w->why = why;
}

/* Lists of what is revoked are renewed meanwhile, certificates are not. */
static void look_ahead(const struct engine_ops *ops, struct opening *o,
		       const struct waiting_paper *paper)
{
	int64_t now_ms = ops->now_ms(ops->ctx);
	enum reason now = ops->may_sign(ops->ctx, paper, now_ms);

	if (now != REASON_NONE)
		warn(&o->warnings[NOW], now);
	else if (ops->may_sign(ops->ctx, paper, now_ms + o->ttl_ms) == REASON_CERT_EXPIRED)
		warn(&o->warnings[LATER], REASON_CERT_EXPIRED);
}

/* False: the call is answered. */
static bool draw(struct call *c, struct read_thread *r, struct catalogue *catalogue,
		 struct opening *o, uint32_t i)
{
	struct session *s = o->s;
	struct session_item *item = &s->items[i];
	struct waiting_paper paper;
	struct error e = { 0 };
	enum status st = c->in->ops.waiting_paper(r->store, catalogue, item->result_id, false,
						  &paper, &e);

	if (st == ST_NOT_FOUND || (st == ST_OK && strcmp(paper.row.signer, s->signer) != 0)) {
		call_refuse(c, FAULT_RESULT_NOT_WAITING, "result_ids", "entry %u", i);
		return false;
	}
	if (st != ST_OK) {
		call_refuse(c, status_class(st) == CLASS_RETRY ? FAULT_BUSY : FAULT_INTERNAL,
			    "result_ids", "entry %u: %s", i, e.text);
		return false;
	}
	item->sequence = paper.row.sequence;
	item->lane = paper.row.lane;
	memcpy(item->unit, paper.row.unit, sizeof(item->unit));
	memcpy(item->kind, paper.row.kind, sizeof(item->kind));
	memcpy(item->case_sha256, paper.case_sha256, SHA256_BYTES);
	memcpy(item->preview_sha256, paper.preview_sha256, SHA256_BYTES);
	look_ahead(&c->in->ops, o, &paper);
	return true;
}

static void open_end(struct call *c, struct opening *o)
{
	struct session *s = o->s;
	uint8_t id[16];
	enum status st;

	s->state = SESSION_OPEN;
	s->opened_ms = c->in->ops.now_ms(c->in->ops.ctx);
	s->expires_ms = s->opened_ms + o->ttl_ms;
	st = desk_add(c->in->desk, s, id);
	if (st == ST_FULL) {
		call_refuse(c, FAULT_BUSY, "", "all sessions of the engine are open; wait until "
			    "others are confirmed, or expire");
		return;
	}
	if (st == ST_AGAIN) {
		call_refuse(c, FAULT_SESSIONS_SHARE, "result_ids",
			    "at most %d sessions, %d documents in them; %u are asked for",
			    SESSIONS_OPEN_MAX, SESSIONS_OPEN_ITEMS_MAX, s->items_n);
		return;
	}
	if (st != ST_OK) {
		call_refuse(c, FAULT_STORE_AWAY, "", "%s", status_name(st));
		return;
	}
	o->s = NULL;			/* the desk's; it may be gone by now */
	s = desk_lock(c->in->desk, id, principal_name(c->principal));
	if (s != NULL)
		reply_with(c, s, o->warnings);
	else
		call_refuse(c, FAULT_SESSION_NOT_FOUND, "", "%s", "");
}

void session_open_work(struct call *c, struct read_thread *r)
{
	struct opening *o = c->state;
	struct catalogue *catalogue;
	bool more = true;

	if (atomic_load(&c->cancelled)) {
		call_drop(c);
		return;
	}
	if (o == NULL && !open_begin(c, r))
		return;
	o = c->state;
	catalogue = c->in->ops.catalogue(c->in->ops.ctx);
	for (uint32_t n = 0; more && n < DRAWN_A_TURN && o->next < o->s->items_n; n++)
		more = draw(c, r, catalogue, o, o->next++);
	catalogue_unref(catalogue);
	if (!more)
		return;
	if (o->next < o->s->items_n)
		call_queue(c);
	else
		open_end(c, o);
}

/* ---- GetSession, GetManifest, CancelSession ---- */

void session_get_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__GetSessionRequest *q =
		read_request(c, r, &trien__v1__get_session_request__descriptor);
	struct session *s = q != NULL ? session_mine(c, q->session_id) : NULL;
	uint8_t id[16];
	enum status st;

	if (s == NULL)
		return;
	memcpy(id, s->id, sizeof(id));
	desk_unlock(c->in->desk);
	st = outcomes_refresh(c->in, r, id);
	if (st != ST_OK && st != ST_NOT_FOUND) {
		call_refuse(c, FAULT_STORE_AWAY, "", "%s", status_name(st));
		return;
	}
	s = session_mine(c, q->session_id);
	if (s != NULL)
		reply_session(c, s);
}

void session_cancel_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__CancelSessionRequest *q =
		read_request(c, r, &trien__v1__cancel_session_request__descriptor);
	struct session *s = q != NULL ? session_mine(c, q->session_id) : NULL;
	enum status st;

	if (s == NULL)
		return;
	st = session_cancel(s, c->in->ops.now_ms(c->in->ops.ctx));
	if (st == ST_OK)
		st = desk_keep(c->in->desk, s);
	if (st == ST_OK || st == ST_EXISTS) {
		reply_session(c, s);
		return;
	}
	desk_unlock(c->in->desk);
	call_refuse(c, st == ST_PRECONDITION ? FAULT_SESSION_NOT_OPEN : FAULT_STORE_AWAY, "", "%s",
		    "");
}

static void put_item(struct call *c, struct read_thread *r, struct writer *w,
		     const struct session_item *item)
{
	uint8_t *at = put_begin(w, 2);
	char text[ID_TEXT_BYTES];
	struct waiting_row row;

	id_text(text, item->result_id);
	put_slice(w, 1, slice_of(text, sizeof(text)));
	put_text(w, 2, item->unit);
	put_text(w, 3, item->kind);
	put_slice(w, 4, slice_of(item->case_sha256, SHA256_BYTES));
	put_slice(w, 5, slice_of(item->preview_sha256, SHA256_BYTES));
	if (c->in->ops.waiting_find(r->store, item->result_id, &row) == ST_OK &&
	    row.state == STATE_AWAITING_APPROVAL)
		put_waiting(w, 6, &row, item->result_id);
	put_end(w, at);
}

/* A copy of what does not change, so that nobody waits for the rows. */
static struct session *manifest_copy(struct call *c, const char *session_id)
{
	struct session *s = session_mine(c, session_id), *copy;

	if (s == NULL)
		return NULL;
	copy = session_new(s->items_n);
	if (copy != NULL) {
		memcpy(copy->id, s->id, sizeof(copy->id));
		memcpy(copy->signer, s->signer, sizeof(copy->signer));
		memcpy(copy->manifest, s->manifest, SHA256_BYTES);
		memcpy(copy->items, s->items, s->items_n * sizeof(*s->items));
	}
	desk_unlock(c->in->desk);
	if (copy == NULL)
		call_refuse(c, FAULT_BUSY, "", "no memory for the reply");
	return copy;
}

void session_manifest_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__GetManifestRequest *q =
		read_request(c, r, &trien__v1__get_manifest_request__descriptor);
	struct session *s = q != NULL ? manifest_copy(c, q->session_id) : NULL;
	char text[ID_TEXT_BYTES];
	struct reply p;
	uint8_t *at;

	if (s == NULL)
		return;
	if (!reply_open(c, &p, 256 + MANIFEST_BYTES_MAX(s->items_n) +
			s->items_n * (WAITING_BYTES_MAX + 256u))) {
		session_free(s);
		return;
	}
	id_text(text, s->id);
	put_slice(&p.w, 1, slice_of(text, sizeof(text)));
	for (uint32_t i = 0; i < s->items_n; i++)
		put_item(c, r, &p.w, &s->items[i]);
	at = put_begin(&p.w, 3);
	session_manifest(s, &p.w);
	put_end(&p.w, at);
	put_slice(&p.w, 4, slice_of(s->manifest, SHA256_BYTES));
	session_free(s);
	reply_end(c, &p, ST_OK);
}

/* ---- ConfirmSession ---- */

struct confirm_call {
	struct confirmation confirmation;
	atomic_bool decided;
};

void session_confirm_free(struct call *c)
{
	free(c->state);
}

/* On the desk's thread, or from within desk_confirm(). */
static void decided(struct confirmation *n)
{
	struct call *c = n->owner;
	struct confirm_call *k = c->state;

	atomic_store(&k->decided, true);
	call_queue(c);
	call_unref(c);
}

static void confirm_begin(struct call *c, struct read_thread *r)
{
	const Trien__V1__ConfirmSessionRequest *q =
		read_request(c, r, &trien__v1__confirm_session_request__descriptor);
	struct session *s = q != NULL ? session_mine(c, q->session_id) : NULL;
	struct confirm_call *k;

	if (s == NULL)
		return;
	k = calloc(1, sizeof(*k));
	if (k != NULL)
		memcpy(k->confirmation.session, s->id, sizeof(s->id));
	desk_unlock(c->in->desk);
	c->state = k;
	if (k == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
	} else if (q->manifest_sha256.len != SHA256_BYTES) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "manifest_sha256", "%d bytes",
			    SHA256_BYTES);
	} else {
		memcpy(k->confirmation.manifest, q->manifest_sha256.data, SHA256_BYTES);
		k->confirmation.done = decided;
		k->confirmation.owner = c;
		call_ref(c);
		desk_confirm(c->in->desk, &k->confirmation);
	}
}

static void confirm_reply(struct call *c, const struct confirmation *n)
{
	struct session *s;

	switch (n->status) {
	case ST_OK:
		s = desk_lock(c->in->desk, n->session, principal_name(c->principal));
		if (s != NULL)
			reply_session(c, s);
		else
			call_refuse(c, FAULT_SESSION_NOT_FOUND, "", "%s", "");
		break;
	case ST_NOT_FOUND:
		call_refuse(c, FAULT_SESSION_NOT_FOUND, "session_id", "%s", "");
		break;
	case ST_CONFLICT:
		call_refuse(c, FAULT_MANIFEST_DIFFERS, "manifest_sha256", "%s", "");
		break;
	case ST_PRECONDITION:
		call_refuse(c, FAULT_SESSION_NOT_OPEN, "session_id", "%s", "");
		break;
	default:
		call_refuse(c, FAULT_SESSION_CONFIRMING, "", "%s", status_name(n->status));
	}
}

void session_confirm_work(struct call *c, struct read_thread *r)
{
	struct confirm_call *k = c->state;

	if (k == NULL)
		confirm_begin(c, r);
	else if (atomic_load(&k->decided))
		confirm_reply(c, &k->confirmation);
}
