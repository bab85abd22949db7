#include <stdlib.h>

#include "base/wire.h"
#include "intake/copies.h"
#include "intake/methods.h"

/* Tags and lengths around a chunk. */
#define CHUNK_HEAD_BYTES 16

/*
 *	HEADER ─▶ ASKING ─▶ BYTES ─▶ WHOLE ─▶ (answered)
 *	   └──────────────────┘
 * HEADER and BYTES wait for a message. Of ASKING and WHOLE the spine has a submission.
 */
enum phase {
	PHASE_HEADER,
	PHASE_ASKING,			/* was this very copy issued before? */
	PHASE_BYTES,
	PHASE_WHOLE
};

struct upload_call {
	struct copying k;		/* first */
	struct brought one;
	enum phase phase;		/* the owner's */
	uint8_t *header;		/* the case's bytes */
	uint64_t begun_ms;
	pthread_mutex_t lock;		/* below */
	uint64_t moved_ms;
	bool receiving;			/* a message is awaited */
	bool over;			/* the call is answered, or its client gone */
	bool cut;			/* it ends instead of receiving more: */
	struct fault why;
};

/* ---- ends ---- */

/* The owner's, when no message is awaited: nothing is answered from elsewhere any more. */
static void end_receiving(struct upload_call *u)
{
	pthread_mutex_lock(&u->lock);
	u->over = true;
	pthread_mutex_unlock(&u->lock);
}

static void finish(struct call *c, struct upload_call *u, const struct fault *f)
{
	end_receiving(u);
	submit_refuse(c, f);
}

static void finish_refused(struct call *c, struct upload_call *u, const struct refusal *r,
			   const char *prefix)
{
	struct fault f;

	fault_refusal(&f, r, prefix);
	finish(c, u, &f);
}

/* Any thread with a reference: what waits for a message ends now, what does not before it would. */
static void cut(struct call *c, struct upload_call *u, enum fault_kind kind)
{
	bool now;

	pthread_mutex_lock(&u->lock);
	now = u->receiving && !u->over;
	if (!u->cut)
		fault_set(&u->why, kind, "", "%s", "");
	u->cut = true;
	u->over |= now;
	pthread_mutex_unlock(&u->lock);
	if (now)
		submit_refuse(c, &u->why);
}

static void receive_next(struct call *c, struct upload_call *u)
{
	bool ended;

	pthread_mutex_lock(&u->lock);
	ended = u->cut;
	u->over |= ended;
	u->receiving = !ended;
	u->moved_ms = intake_clock_ms();
	if (!ended)
		call_receive(c);
	pthread_mutex_unlock(&u->lock);
	if (ended)
		submit_refuse(c, &u->why);
}

void upload_call_free(struct call *c)
{
	struct upload_call *u = c->state;

	if (u == NULL)
		return;
	copies_close(c, &u->k);
	pthread_mutex_destroy(&u->lock);
	free(u->header);
	free(u);
}

void upload_call_stop(struct call *c)
{
	struct upload_call *u = c->state;

	if (u != NULL)
		cut(c, u, FAULT_STOPPING);
}

void upload_call_tick(struct call *c)
{
	struct upload_call *u = c->state;
	uint64_t now;
	bool slow;

	if (u == NULL)
		return;
	pthread_mutex_lock(&u->lock);
	/* Not before the lock: a message that came meanwhile would be of the future. */
	now = intake_clock_ms();
	slow = u->receiving && !u->over && (now - u->moved_ms > UPLOAD_IDLE_MS_MAX ||
					    now - u->begun_ms > UPLOAD_MS_MAX);
	pthread_mutex_unlock(&u->lock);
	if (slow)
		cut(c, u, FAULT_UPLOAD_TOO_SLOW);
}

/* ---- the header ---- */

void upload_call_begin(struct call *c)
{
	struct upload_call *u;
	struct fault f;

	if (!copies_made(c))
		return;
	u = calloc(1, sizeof(*u));
	if (u == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	pthread_mutex_init(&u->lock, NULL);
	u->k.n = 1;
	u->k.of = &u->one;
	u->k.unary.single = true;
	u->k.path = "header.case";
	u->begun_ms = intake_clock_ms();
	c->state = u;
	if (!copies_admit(c, &u->k, &c->in->uploads, UPLOADS_MAX, &f)) {
		finish(c, u, &f);
		return;
	}
	receive_next(c, u);
	/* The engine's stop may have come before there was anything to tell it to. */
	if (atomic_load(&c->in->stopping))
		upload_call_stop(c);
}

/* Of trien.v1.CopyHeader, into u->one. */
static bool header_read(struct upload_call *u, struct slice header, struct fault *f)
{
	struct brought *b = &u->one;
	struct wire w = wire_of(header);
	struct wire_field field;
	struct slice digest = slice_of(NULL, 0);
	bool ok = true;

	while (wire_next(&w, &field)) {
		if (field.number > 4)
			continue;
		ok = ok && field.type == (field.number % 2 == 1 ? WIRE_BYTES : WIRE_VARINT);
		if (field.number == 1)
			b->wire = field.bytes;
		else if (field.number == 2)
			b->size = field.value;
		else if (field.number == 3)
			digest = field.bytes;
		else
			u->k.validate_only = field.value != 0;
	}
	if (!ok || w.bad || b->wire.n == 0) {
		fault_set(f, FAULT_MALFORMED, ok && !w.bad ? "header.case" : "header", "%s", "");
		return false;
	}
	if (digest.n != 0 && digest.n != SHA256_BYTES) {
		fault_set(f, FAULT_ARGUMENT_INVALID, "header.sha256", "32 bytes or none");
		return false;
	}
	b->hashed = digest.n == SHA256_BYTES;
	if (b->hashed)
		memcpy(b->sha256, digest.p, SHA256_BYTES);
	u->header = malloc(b->wire.n);
	if (u->header == NULL) {
		fault_set(f, FAULT_BUSY, "", "no memory");
		return false;
	}
	memcpy(u->header, b->wire.p, b->wire.n);
	b->wire.p = u->header;
	return true;
}

/* One message's only field; false: it is not of this protocol. */
static bool part_read(struct call *c, struct arena *gather, struct wire_field *out)
{
	struct slice request;
	struct wire w;

	if (!call_request(c, gather, &request))
		return false;
	w = wire_of(request);
	return wire_next(&w, out) && out->type == WIRE_BYTES && w.p == w.end;
}

static bool header_take(struct call *c, struct upload_call *u, struct fault *f)
{
	struct wire_field part;
	bool ok;

	arena_reset(&c->worker->gather);
	ok = part_read(c, &c->worker->gather, &part) && part.number == 1;
	if (!ok)
		fault_set(f, FAULT_MALFORMED, "header", "the first message carries it");
	ok = ok && header_read(u, part.bytes, f);
	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	return ok && submit_quota(c, 1, f);
}

/*
 * The case as it would be, of an original of that length and SHA-256: what is wrong with it is told
 * before the original comes, and what was issued before is answered without it.
 */
static bool ask(struct call *c, struct upload_call *u, uint32_t *left, struct fault *f)
{
	const struct original *original = &u->one.original;
	struct case_list list = { 1, &u->one.wire, &original };
	struct submission *s;

	brought_name(&u->one, u->one.sha256, false);
	if (!call_slot(c, false, &u->k.unary.slot, f))
		return false;
	s = &u->k.unary.slot->submission;
	s->call = c;
	return submit_fill(c, s, &list, &c->worker->scratch, true, left, f);
}

static void go_on(struct call *c, struct upload_call *u)
{
	call_return(c, u->k.unary.slot);
	u->k.unary.slot = NULL;
	u->phase = PHASE_BYTES;
	receive_next(c, u);
}

static void header(struct call *c, struct upload_call *u)
{
	uint32_t left;
	struct fault f;

	if (!header_take(c, u, &f)) {
		finish(c, u, &f);
		return;
	}
	atomic_fetch_add_explicit(&c->in->copies, 1, memory_order_relaxed);
	if (!brought_fits(c, &u->one)) {
		finish_refused(c, u, &u->one.refusal, "");
		return;
	}
	if (!ask(c, u, &left, &f)) {
		finish(c, u, &f);
		return;
	}
	if (left == 0) {
		finish_refused(c, u, &u->k.unary.slot->submission.cases[0].refusal, u->k.path);
		return;
	}
	if (!u->one.hashed) {
		go_on(c, u);
		return;
	}
	u->phase = PHASE_ASKING;
	if (submit_for_readers(&u->k.unary.slot->submission))
		call_queue(c);
	else if (!submit_push(c, &u->k.unary.slot->submission, &f))
		finish(c, u, &f);
}

/* ---- the bytes ---- */

/* gRPC thread: the client has said that this is all. */
static void ended(struct call *c, struct upload_call *u)
{
	struct fault f;

	if (u->phase == PHASE_HEADER) {
		fault_set(&f, FAULT_ARGUMENT_MISSING, "header", "%s", "");
		finish(c, u, &f);
		return;
	}
	u->phase = PHASE_WHOLE;
	c->slow = true;
	call_queue(c);
}

void upload_call_message(struct call *c, bool ok)
{
	struct upload_call *u = c->state;
	bool over;
	struct fault f;

	pthread_mutex_lock(&u->lock);
	u->receiving = false;
	over = u->over;
	u->over |= !ok;
	pthread_mutex_unlock(&u->lock);
	/* What comes after the end is freed with the call. */
	if (over)
		return;
	if (!ok) {
		call_drop(c);
	} else if (c->request == NULL) {
		ended(c, u);
	} else if (grpc_byte_buffer_length(c->request) >
		   UPLOAD_CHUNK_BYTES_MAX + CHUNK_HEAD_BYTES) {
		fault_set(&f, FAULT_ARGUMENT_INVALID, u->phase == PHASE_HEADER ? "header" : "chunk",
			  "at most %d bytes", UPLOAD_CHUNK_BYTES_MAX);
		finish(c, u, &f);
	} else if (u->phase == PHASE_HEADER) {
		header(c, u);
	} else {
		call_queue(c);
	}
}

static bool chunk_write(struct call *c, struct read_thread *r, struct upload_call *u,
			struct fault *f)
{
	struct brought *b = &u->one;
	struct error e = { 0 };
	struct wire_field part;
	enum status st = ST_OK;

	if (!part_read(c, &r->scratch, &part) || part.number != 2 || part.bytes.n == 0) {
		fault_set(f, FAULT_MALFORMED, "chunk", "each message but the first carries one");
		return false;
	}
	if (b->upload.home == NULL)
		st = upload_begin(c->in->ops.objects, &b->upload, b->size, &e);
	if (st == ST_OK)
		st = upload_add(&b->upload, part.bytes, &e);
	atomic_fetch_add_explicit(&c->in->copy_bytes, part.bytes.n, memory_order_relaxed);
	if (st == ST_OK)
		return true;
	brought_failed(b, st);
	fault_refusal(f, &b->refusal, "");
	return false;
}

/* Reader thread. */
static void chunk(struct call *c, struct read_thread *r, struct upload_call *u)
{
	struct fault f;
	bool ok = chunk_write(c, r, u, &f);

	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	if (ok)
		receive_next(c, u);
	else
		finish(c, u, &f);
}

/* Copier. */
static void whole(struct call *c, struct read_thread *r, struct upload_call *u)
{
	struct fault f;
	bool taken = call_slot(c, false, &u->k.unary.slot, &f);

	end_receiving(u);
	if (!taken) {
		submit_refuse(c, &f);
		return;
	}
	brought_look(c, &u->one, u->k.validate_only, false, &u->k.unary.slot->submission.arena);
	copies_submit(c, r, &u->k);
}

static void look_first(struct call *c, struct read_thread *r, struct upload_call *u)
{
	struct submission *s = &u->k.unary.slot->submission;
	struct fault f;

	if (submit_look(c, r, s) == 0)
		finish_refused(c, u, &s->cases[0].refusal, u->k.path);
	else if (!submit_push(c, s, &f))
		finish(c, u, &f);
}

void upload_call_work(struct call *c, struct read_thread *r)
{
	struct upload_call *u = c->state;

	if (u->k.answered) {
		copies_end(c, r, &u->k);
	} else if (atomic_load(&c->cancelled)) {
		end_receiving(u);
		call_drop(c);
	} else if (u->phase == PHASE_ASKING) {
		look_first(c, r, u);
	} else if (u->phase == PHASE_BYTES) {
		chunk(c, r, u);
	} else {
		whole(c, r, u);
	}
}

/* ---- the spine's answers ---- */

void upload_call_answer(struct submission *s)
{
	struct call *c = s->call;
	struct upload_call *u = c->state;
	struct submitted_case *sc = &s->cases[0];

	if (u->phase == PHASE_WHOLE) {
		copies_decided(c, &u->k);
	} else if (sc->refusal.reason != REASON_NONE) {
		finish_refused(c, u, &sc->refusal, u->k.path);
	} else if (sc->results[0].receipt.duplicate) {
		end_receiving(u);
		s->validate_only = u->k.validate_only;
		u->k.unary.path = u->k.path;
		submit_reply(c, s);
	} else {
		go_on(c, u);
	}
}
