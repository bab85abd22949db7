/* CreateShare, ListShares, RevokeShare: what a holder does with the own shares. */
#include <stdlib.h>
#include <sys/random.h>

#include "base/calendar.h"
#include "holding.h"
#include "identity.h"
#include "intake/answer.h"
#include "intake/sharing.h"

_Static_assert((int)TRIEN__V1__SHARE__KIND__CODE == (int)SHARE_CODE &&
	       (int)TRIEN__V1__SHARE__SCOPE__FILE == (int)SHARE_FILE &&
	       (int)TRIEN__V1__SHARE__STATE__OPEN == (int)SHARE_OPEN &&
	       (int)TRIEN__V1__SHARE__STATE__TRIED_OUT == (int)SHARE_TRIED_OUT,
	       "shares have one numbering");

void put_share(struct writer *w, const uint8_t result_id[16], const struct share *s,
	       enum share_state state)
{
	char id[SHARE_ID_BYTES];

	share_id_text(id, result_id, s->stamp);
	put_slice(w, 1, slice_of(id, sizeof(id)));
	answer_id(w, 2, result_id);
	put_number(w, 3, s->kind);
	put_number(w, 4, s->scope);
	put_time(w, 5, sequence_ms(s->stamp));
	put_time(w, 6, s->expire_ms);
	put_number(w, 7, s->views_max);
	put_number(w, 8, s->views);
	put_time(w, 9, s->view_ms);
	put_number(w, 10, state);
}

static enum fault_kind fault_of(enum share_state state)
{
	switch (state) {
	case SHARE_EXPIRED:
		return FAULT_SHARE_EXPIRED;
	case SHARE_USED_UP:
		return FAULT_SHARE_USED_UP;
	case SHARE_TRIED_OUT:
		return FAULT_SHARE_TRIED_OUT;
	default:
		return FAULT_SHARE_REVOKED;
	}
}

bool share_refused(struct call *c, const struct operation *o)
{
	if (o->act.status == ST_OK && !o->share.wrong)
		return false;
	if (o->act.status == ST_OK || o->act.status == ST_NOT_FOUND)
		call_refuse(c, FAULT_SHARE_NOT_FOUND, "", "%s", "");
	else if (o->act.refused != REASON_NONE || o->act.status != ST_PRECONDITION)
		(void)operation_succeeded(c, o);
	else if (o->act.type == ACT_SHARE_MAKE)
		call_refuse(c, FAULT_SHARES_TOO_MANY, "result_id", "%s", o->act.error.text);
	else
		call_refuse(c, fault_of(o->share.state), "", "%s", "");
	return true;
}

enum status share_stands(struct call *c, struct read_thread *r, const uint8_t holder[16],
			 uint64_t sequence, bool *has)
{
	uint32_t today = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx)), n = 0;
	struct holding_view *h = arena_take(&r->scratch, sizeof(*h));
	enum status st = h == NULL ? ST_NOMEM :
			 c->in->ops.list(r->store, holder, sequence + 1, 1, h, &n);

	*has = st == ST_OK && n == 1 && h->result.sequence == sequence &&
	       holding_lasts(h->from, h->to, today) && !h->result.living.restricted &&
	       holding_listed(h->visibility, false);
	return st;
}

/* Who shares. False: the call is answered. */
static bool holder_of(struct call *c, const Trien__V1__Person *p, struct sight *out)
{
	if (p == NULL)
		call_refuse(c, FAULT_ARGUMENT_MISSING, "as_holder", "%s", "");
	return p != NULL && sight_of(c, p, out);
}

/* ---- making one ---- */

static bool argument(struct call *c, bool good, const char *field, const char *text)
{
	if (!good)
		call_refuse(c, FAULT_ARGUMENT_INVALID, field, "%s", text);
	return good;
}

/* What is to be shared, and how. False: the call is answered. */
static bool order_of(struct call *c, const Trien__V1__CreateShareRequest *q,
		     struct share_order *out)
{
	if (!argument(c, q->kind == TRIEN__V1__SHARE__KIND__LINK ||
			 q->kind == TRIEN__V1__SHARE__KIND__CODE, "kind", "LINK or CODE") ||
	    !argument(c, q->scope >= TRIEN__V1__SHARE__SCOPE__STATE &&
			 q->scope <= TRIEN__V1__SHARE__SCOPE__FILE, "scope",
		      "STATE, DATA or FILE") ||
	    !argument(c, q->ttl_seconds <= SHARE_SECONDS_MAX, "ttl_seconds", "at most 30 days") ||
	    !argument(c, q->views_max <= SHARE_VIEWS_MAX, "views_max", "at most 1000"))
		return false;
	out->share.kind = (uint8_t)q->kind;
	out->share.scope = (uint8_t)q->scope;
	out->share.views_max = q->views_max == 0 ? 1 : (uint16_t)q->views_max;
	out->lasts_ms = 1000ll * (q->ttl_seconds == 0 ? SHARE_SECONDS_DEFAULT : q->ttl_seconds);
	return true;
}

/* What opens it; only its hash leaves this call's memory, but for the answer. */
static bool secret_made(struct call *c, struct operation *o)
{
	char text[SHARE_CODE_BYTES];

	if (getrandom(o->secret, sizeof(o->secret), 0) != sizeof(o->secret)) {
		call_refuse(c, FAULT_INTERNAL, "", "%s", "no random bytes");
		return false;
	}
	if (o->share.share.kind == SHARE_LINK) {
		sha256_once(o->secret, sizeof(o->secret), o->share.secret);
		return true;
	}
	share_code_text(text, o->secret);
	return share_code_read(o->share.secret, slice_of(text, sizeof(text)));
}

static void create_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__CreateShareRequest *q =
		read_request(c, r, &trien__v1__create_share_request__descriptor);
	struct result_view v;
	struct sight s;
	enum status st;
	bool has;

	if (q == NULL || !holder_of(c, q->as_holder, &s) || !order_of(c, q, &o->share) ||
	    !read_stored(c, r, &s, q->result_id, &v))
		return;
	operation_about(o, &v);
	memcpy(o->share.share.holder, s.key, sizeof(s.key));
	st = share_stands(c, r, s.key, o->act.sequence, &has);
	if (st != ST_OK)
		read_refuse(c, st);
	else if (!has)
		call_refuse(c, FAULT_SHARE_RESTS, "result_id", "%s", "");
	else if (secret_made(c, o))
		operation_ask(c, o);
}

static void create_reply(struct call *c, struct operation *o)
{
	const struct share *s = &o->share.share;
	uint8_t buf[SHARE_REPLY_BYTES + 96], *at;
	char token[SHARE_TOKEN_BYTES], code[SHARE_CODE_BYTES];
	struct writer w = writer_of(buf, sizeof(buf));

	at = put_begin(&w, 1);
	put_share(&w, o->result_id, s, SHARE_OPEN);
	put_end(&w, at);
	share_token_text(token, o->result_id, o->secret);
	share_code_text(code, o->secret);
	if (s->kind == SHARE_LINK)
		put_slice(&w, 2, slice_of(token, sizeof(token)));
	else
		put_slice(&w, 3, slice_of(code, sizeof(code)));
	put_number(&w, 4, o->act.pending);
	call_reply(c, slice_copied(&w));
	explicit_bzero(o->secret, sizeof(o->secret));
	explicit_bzero(token, sizeof(token));
	explicit_bzero(code, sizeof(code));
	explicit_bzero(buf, sizeof(buf));
}

/* The operation of an act on shares. NULL: the call is answered. */
static struct operation *share_operation(struct call *c, enum act_type type)
{
	struct operation *o = operation_of(c, type);

	if (o != NULL)
		o->act.share = &o->share;
	return o;
}

void create_share_work(struct call *c, struct read_thread *r)
{
	struct operation *o = share_operation(c, ACT_SHARE_MAKE);

	if (o == NULL)
		return;
	if (!atomic_load(&o->decided))
		create_begin(c, o, r);
	else if (!share_refused(c, o))
		create_reply(c, o);
}

/* ---- ending one ---- */

/* The store only says whose it is, and may be away. */
static void revoke_begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__RevokeShareRequest *q =
		read_request(c, r, &trien__v1__revoke_share_request__descriptor);
	struct result_view v;
	struct sight s;
	uint8_t lane;

	if (q == NULL || !holder_of(c, q->as_holder, &s))
		return;
	if (!share_id_read(o->result_id, &o->share.share.stamp, slice_str(q->share_id)) ||
	    !c->in->ops.id_read(r->store, o->result_id, &lane, &o->act.sequence)) {
		call_refuse(c, FAULT_SHARE_NOT_FOUND, "share_id", "%s", "");
		return;
	}
	if (c->in->ops.get(r->store, o->result_id, &v) == ST_OK)
		operation_about(o, &v);
	o->act.lane = lane;
	memcpy(o->share.share.holder, s.key, sizeof(s.key));
	operation_ask(c, o);
}

static void revoke_reply(struct call *c, const struct operation *o)
{
	uint8_t buf[96];
	struct writer w = writer_of(buf, sizeof(buf));
	char id[SHARE_ID_BYTES];

	share_id_text(id, o->result_id, o->share.share.stamp);
	put_slice(&w, 1, slice_of(id, sizeof(id)));
	put_number(&w, 2, o->act.pending);
	call_reply(c, slice_copied(&w));
}

void revoke_share_work(struct call *c, struct read_thread *r)
{
	struct operation *o = share_operation(c, ACT_SHARE_END);

	if (o == NULL)
		return;
	if (!atomic_load(&o->decided))
		revoke_begin(c, o, r);
	else if (!share_refused(c, o))
		revoke_reply(c, o);
}

/* ---- the list ---- */

struct taking { struct shares all; enum status st; };

static void take(void *ctx, const struct result_event *v)
{
	struct taking *t = ctx;
	enum status st = shares_take(&t->all, v->kind, v->at_ms, v->detail);

	if (t->st == ST_OK)
		t->st = st;
}

/* One result's, into the page. */
static enum status result_list(struct call *c, struct read_thread *r, const uint8_t holder[16],
			       uint8_t lane, uint64_t sequence, struct writer *w)
{
	int64_t now = c->in->ops.now_ms(c->in->ops.ctx);
	struct taking t = { .st = ST_OK };
	uint8_t id[16], *at;
	enum status st = c->in->ops.shares(r->store, lane, sequence, take, &t);

	if (st == ST_OK)
		st = t.st;
	shares_of(&t.all, holder);
	c->in->ops.result_id(r->store, lane, sequence, id);
	for (uint32_t i = 0; i < t.all.n && st == ST_OK; i++) {
		at = put_begin(w, 1);
		put_share(w, id, &t.all.of[i], share_state(&t.all.of[i], now));
		put_end(w, at);
	}
	shares_free(&t.all);
	return st;
}

static uint32_t list_mark(const uint8_t key[16])
{
	return crc32c(SHARE_ID_BYTES, key, 16);
}

/* Of a page of the holder's results, whether they are theirs still or not. */
static enum status holder_list(struct call *c, struct read_thread *r, const uint8_t key[16],
			       uint64_t before, uint32_t max, struct writer *w)
{
	struct holding_view *rows = arena_take(&r->scratch, max * sizeof(*rows));
	struct result_name *names = arena_take(&r->scratch, max * sizeof(*names));
	char token[PAGE_TOKEN_BYTES + 1];
	uint32_t n = 0;
	enum status st = rows == NULL || names == NULL ? ST_NOMEM :
			 c->in->ops.list(r->store, key, before, max, rows, &n);

	for (uint32_t i = 0; i < n; i++)
		names[i] = (struct result_name){ rows[i].result.lane, rows[i].result.sequence };
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		st = result_list(c, r, key, names[i].lane, names[i].sequence, w);
	if (st == ST_OK && n == max) {
		page_write(token, list_mark(key), names[n - 1].sequence);
		put_text(w, 2, token);
	}
	return st;
}

static enum status one_list(struct call *c, struct read_thread *r, const struct sight *s,
			    const char *id, struct writer *w)
{
	struct result_view v;
	uint8_t rid[16];
	enum status st = id_read(rid, slice_str(id)) ? c->in->ops.get(r->store, rid, &v) :
						       ST_NOT_FOUND;

	if (st == ST_OK && v.state != STATE_STORED)
		st = ST_NOT_FOUND;
	return st == ST_OK ? result_list(c, r, s->key, v.lane, v.sequence, w) : st;
}

void list_shares_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListSharesRequest *q =
		read_request(c, r, &trien__v1__list_shares_request__descriptor);
	struct reply p;
	struct sight s;
	uint64_t before;

	if (q == NULL || !holder_of(c, q->as_holder, &s))
		return;
	if (!page_read(q->page_token, list_mark(s.key), &before)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	if (!reply_open(c, &p, REPLY_BYTES_MAX))
		return;
	reply_end(c, &p, q->result_id[0] != '\0' ?
		  one_list(c, r, &s, q->result_id, &p.w) :
		  holder_list(c, r, s.key, before, page_size(q->page_size), &p.w));
}
