/* UseShare, and RecordRead: what those see who are not the holder, and what the holder sees. */
#include "intake/answer.h"
#include "intake/said.h"
#include "intake/sharing.h"

_Static_assert((int)TRIEN__V1__READ__CALL__USE_SHARE == (int)READ_SHARE &&
	       (int)TRIEN__V1__READ__CALL__LOOK_UP == (int)READ_LOOK_UP &&
	       (int)TRIEN__V1__READ__CALL__LOOK_UP_FILE == (int)READ_LOOK_UP_FILE,
	       "calls have one numbering");

static bool not_found(struct call *c)
{
	call_refuse(c, FAULT_SHARE_NOT_FOUND, "", "%s", "");
	return false;
}

/* One line, into memory of the operation. False: the call is answered. */
static bool viewer_take(struct call *c, const char *text, struct arena *a, struct slice *out)
{
	struct slice line;

	if (said_line(text, SHARE_VIEWER_BYTES_MAX, a, &line)) {
		*out = arena_copy(a, line);
		if (out->p != NULL || line.n == 0)
			return true;
	}
	call_refuse(c, FAULT_ARGUMENT_INVALID, "viewer", "one line of text, at most %d bytes",
		    SHARE_VIEWER_BYTES_MAX);
	return false;
}

/* What is to open: which result, and the secret's hash or the share's name. */
static bool key_read(struct operation *o, const Trien__V1__UseShareRequest *q)
{
	if (o->share.named)
		return share_id_read(o->result_id, &o->share.share.stamp, slice_str(q->share_id));
	if (o->share.typed)
		return id_read(o->result_id, slice_str(q->result_id)) &&
		       share_code_read(o->share.secret, slice_str(q->code));
	return share_token_read(o->result_id, o->share.secret, slice_str(q->token));
}

/* False: the call is answered. */
static bool key_take(struct call *c, struct operation *o, const Trien__V1__UseShareRequest *q)
{
	o->share.typed = q->code[0] != '\0';
	o->share.named = q->share_id[0] != '\0';
	if ((q->token[0] != '\0') + o->share.typed + o->share.named != 1 ||
	    o->share.typed != (q->result_id[0] != '\0')) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "token",
			    "a token, or a result_id and its code, or a share_id");
		return false;
	}
	if (o->share.named && !q->validate_only) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "share_id", "only with validate_only");
		return false;
	}
	return key_read(o, q) || not_found(c);
}

static void use_begin(struct call *c, struct operation *o, struct read_thread *r,
		      const Trien__V1__UseShareRequest *q)
{
	struct result_view v;
	enum status st;

	if (arena_init(&o->texts, 8 * SHARE_VIEWER_BYTES_MAX) != ST_OK) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	if (!viewer_take(c, q->viewer, &o->texts, &o->share.viewer) || !key_take(c, o, q))
		return;
	st = c->in->ops.get(r->store, o->result_id, &v);
	if (st == ST_NOT_FOUND || (st == ST_OK && v.state != STATE_STORED)) {
		not_found(c);
	} else if (st != ST_OK) {
		read_refuse(c, st);
	} else {
		operation_about(o, &v);
		operation_ask(c, o);
	}
}

/* It is open; may it be used now? Then it is. */
static void use_found(struct call *c, struct operation *o, struct read_thread *r,
		      const Trien__V1__UseShareRequest *q)
{
	uint8_t buf[SHARE_REPLY_BYTES + 8];
	struct writer w = writer_of(buf, sizeof(buf));
	uint8_t *at;
	bool has;
	enum status st = share_stands(c, r, o->share.share.holder, o->act.sequence, &has);

	if (st != ST_OK) {
		read_refuse(c, st);
	} else if (!has) {
		call_refuse(c, FAULT_SHARE_RESTS, "", "%s", "");
	} else if (q->file && o->share.share.scope < SHARE_FILE) {
		call_refuse(c, FAULT_SHARE_SCOPE, "file", "%s", "");
	} else if (q->validate_only) {
		at = put_begin(&w, 2);
		put_share(&w, o->result_id, &o->share.share, o->share.state);
		put_end(&w, at);
		call_reply(c, slice_copied(&w));
	} else {
		o->act.type = ACT_SHARE_USE;
		atomic_store(&o->decided, false);
		operation_ask(c, o);
	}
}

/* By which share, as ListReads tells it. */
static struct noting *use_noting(struct call *c, const struct operation *o)
{
	char id[SHARE_ID_BYTES + 1], scope[2] = { (char)('0' + o->share.share.scope), '\0' };
	char viewer[SHARE_VIEWER_BYTES_MAX + 1];
	Trien__V1__Purpose why = TRIEN__V1__PURPOSE__INIT;

	share_id_text(id, o->result_id, o->share.share.stamp);
	id[SHARE_ID_BYTES] = '\0';
	memcpy(viewer, o->share.viewer.p, o->share.viewer.n);
	viewer[o->share.viewer.n] = '\0';
	why.purpose = scope;
	why.case_code = id;
	why.requester = viewer;
	return noting_new(c, READ_SHARE, &why, 1);
}

static enum status use_put(struct call *c, struct read_thread *r, const struct operation *o,
			   const struct result_view *v, struct writer *w)
{
	const struct share *s = &o->share.share;
	uint8_t *at = put_begin(w, 1);
	enum status st = answer_shared(w, v, s->scope, &r->scratch);

	put_end(w, at);
	at = put_begin(w, 2);
	put_share(w, o->result_id, s, share_state(s, c->in->ops.now_ms(c->in->ops.ctx)));
	put_end(w, at);
	return st;
}

/* It is counted, and that is durable. */
static void use_reply(struct call *c, struct operation *o, struct read_thread *r)
{
	struct sight nobody = { .holder = false };
	struct result_view v;
	struct noting *n;
	struct reply p;
	enum status st = c->in->ops.get(r->store, o->result_id, &v);

	if (st != ST_OK) {
		read_refuse(c, st);
		return;
	}
	n = use_noting(c, o);
	if (n == NULL)
		return;
	noting_add(n, &nobody, &v);
	if (!reply_open(c, &p, RESULT_BYTES_MAX(&v) + SHARE_REPLY_BYTES)) {
		noting_free(n);
		return;
	}
	noting_end(c, n, &p, use_put(c, r, o, &v, &p.w));
}

/* Found first: what its holder has is looked at before it is counted. */
void use_share_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__UseShareRequest *q;
	struct operation *o;

	if (noting_done(c))
		return;
	o = operation_of(c, ACT_SHARE_FIND);
	if (o == NULL)
		return;
	o->act.share = &o->share;
	q = read_request(c, r, &trien__v1__use_share_request__descriptor);
	if (q == NULL)
		return;
	if (!atomic_load(&o->decided))
		use_begin(c, o, r, q);
	else if (share_refused(c, o))
		return;
	else if (o->act.type == ACT_SHARE_FIND)
		use_found(c, o, r, q);
	else
		use_reply(c, o, r);
}

/* ---- what the public looked at ---- */

void record_read_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__RecordReadRequest *q;
	Trien__V1__Purpose from = TRIEN__V1__PURPOSE__INIT;
	struct sight nobody = { .holder = false };
	struct result_view v;
	struct noting *n;

	if (noting_done(c))
		return;
	q = read_request(c, r, &trien__v1__record_read_request__descriptor);
	if (q == NULL)
		return;
	if (q->call < TRIEN__V1__READ__CALL__LOOK_UP ||
	    q->call > TRIEN__V1__READ__CALL__LOOK_UP_FILE) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "call", "%s", "a public look-up");
		return;
	}
	if (!read_stored(c, r, NULL, q->result_id, &v))
		return;
	from.requester = q->viewer;
	n = noting_new(c, (enum read_call)q->call, &from, 1);
	if (n == NULL)
		return;
	noting_add(n, &nobody, &v);
	noting_send(c, n, grpc_empty_slice());
}
