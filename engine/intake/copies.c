#include "intake/copies.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/wire.h"
#include "intake/methods.h"

#define ORIGINAL_FIELD "original"

/* ---- one original ---- */

bool brought_fits(const struct call *c, struct brought *b)
{
	uint64_t max = c->in->ops.original_bytes_max;

	if (b->size == 0)
		refuse(&b->refusal, REASON_ORIGINAL_EMPTY, ORIGINAL_FIELD, "%s", "");
	else if (b->size > max)
		refuse(&b->refusal, REASON_ORIGINAL_TOO_LARGE, ORIGINAL_FIELD, "at most %llu bytes",
		       (unsigned long long)max);
	return b->refusal.reason == REASON_NONE;
}

void brought_failed(struct brought *b, enum status st)
{
	refuse(&b->refusal, st == ST_TOO_LARGE ? REASON_ORIGINAL_DIFFERS :
	       REASON_ORIGINAL_NOT_KEPT, ORIGINAL_FIELD, "%s", status_name(st));
}

static bool as_declared(struct brought *b)
{
	const struct upload *u = &b->upload;

	if (u->size != b->size)
		refuse(&b->refusal, REASON_ORIGINAL_DIFFERS, ORIGINAL_FIELD,
		       "%llu of %llu bytes", (unsigned long long)u->size,
		       (unsigned long long)b->size);
	else if (b->hashed && memcmp(u->sha256, b->sha256, SHA256_BYTES) != 0)
		refuse(&b->refusal, REASON_ORIGINAL_DIFFERS, ORIGINAL_FIELD, "SHA-256");
	return b->refusal.reason == REASON_NONE;
}

void brought_name(struct brought *b, const uint8_t sha256[SHA256_BYTES], bool own)
{
	b->original = (struct original){
		.format = ORIGINAL_PDF, .wrapped = own ? ORIGINAL_OWN : ORIGINAL_NOT_IMAGES,
		.size = (uint32_t)b->size };
	memcpy(b->original.sha256, sha256, SHA256_BYTES);
}

static void inspect(struct call *c, struct brought *b, int fd, bool own, struct arena *a)
{
	const struct engine_ops *ops = &c->in->ops;
	enum reason why = REASON_NONE;
	char detail[INSPECT_DETAIL_BYTES] = "";
	enum status st = ops->inspect(ops->ctx, fd, (uint32_t)b->size, b->upload.sha256, own, a,
				      &b->original, &why, detail);

	/* Whatever it says: the case names these bytes. */
	if (st != ST_OK) {
		brought_name(b, b->upload.sha256, own);
		refuse(&b->refusal, why, ORIGINAL_FIELD, "%s", detail);
	}
	b->known = true;
}

void brought_look(struct call *c, struct brought *b, bool validate_only, bool own,
		  struct arena *a)
{
	struct error e = { 0 };
	enum status st;
	int fd = -1;

	if (b->refusal.reason != REASON_NONE)
		return;
	if (b->upload.home == NULL) {
		refuse(&b->refusal, REASON_ORIGINAL_DIFFERS, ORIGINAL_FIELD, "0 of %llu bytes",
		       (unsigned long long)b->size);
		return;
	}
	st = upload_end(&b->upload, &fd, &e);
	if (st != ST_OK) {
		brought_failed(b, st);
		return;
	}
	if (as_declared(b))
		inspect(c, b, fd, own, a);
	close(fd);
	if (b->refusal.reason != REASON_NONE || validate_only) {
		upload_drop(&b->upload);
		return;
	}
	st = objects_keep(c->in->ops.objects, &b->upload, &e);
	b->kept = st == ST_OK;
	if (st != ST_OK)
		brought_failed(b, st);
}

struct going { const struct engine_ops *ops; void *reader; uint8_t lane; };

static void gone(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	const struct going *g = ctx;

	g->ops->object_drop(g->reader, g->lane, sha256);
}

/* r NULL: what was brought to the store stays there. */
static void let_go(struct call *c, struct read_thread *r, struct brought *b, bool named)
{
	struct going g = { .ops = &c->in->ops, .reader = r != NULL ? r->store : NULL,
			   .lane = b->lane };

	if (b->kept)
		objects_let_go(c->in->ops.objects, b->original.sha256, named,
			       r != NULL && b->there ? gone : NULL, &g);
	b->kept = false;
}

/* ---- the submission ---- */

static bool fill(struct call *c, struct read_thread *r, struct copying *k, uint32_t *left,
		 struct fault *f)
{
	struct submission *s = &k->unary.slot->submission;
	struct slice *wires = arena_take(&s->arena, k->n * sizeof(*wires));
	const struct original **originals = arena_take(&s->arena, k->n * sizeof(*originals));
	struct case_list list = { k->n, wires, originals };

	if (wires == NULL || originals == NULL) {
		fault_set(f, FAULT_INTERNAL, "", "no room for %u copies", k->n);
		return false;
	}
	for (uint32_t i = 0; i < k->n; i++) {
		wires[i] = k->of[i].wire;
		originals[i] = &k->of[i].original;
	}
	s->call = c;
	return submit_fill(c, s, &list, &r->scratch, k->validate_only, left, f);
}

/* What is wrong with an original holds for a case that was not issued before. */
static void join_refusals(struct copying *k)
{
	struct submission *s = &k->unary.slot->submission;

	for (uint32_t i = 0; i < k->n; i++) {
		struct submitted_case *sc = &s->cases[i];
		const struct brought *b = &k->of[i];

		if (b->refusal.reason == REASON_NONE || sc->refusal.reason != REASON_NONE)
			continue;
		if (b->known)
			sc->unless_before = &b->refusal;
		else
			sc->refusal = b->refusal;
	}
}

/* The store's own copy, where it needs one before the journal names it. */
static void keep_all(struct call *c, struct read_thread *r, struct copying *k)
{
	const struct engine_ops *ops = &c->in->ops;
	struct submission *s = &k->unary.slot->submission;

	for (uint32_t i = 0; i < k->n; i++) {
		struct submitted_case *sc = &s->cases[i];
		struct brought *b = &k->of[i];
		struct error e = { 0 };
		enum status st;

		if (!b->kept || sc->refusal.reason != REASON_NONE ||
		    sc->unless_before == &b->refusal)
			continue;
		b->lane = sc->results[0].lane;
		b->there = true;
		st = ops->object_keep(r->store, b->lane, b->original.sha256, b->original.size, &e);
		if (st == ST_OK)
			continue;
		brought_failed(b, st);
		sc->unless_before = &b->refusal;
	}
}

static uint32_t undecided(const struct submission *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->cases_n; i++)
		n += s->cases[i].refusal.reason == REASON_NONE;
	return n;
}

void copies_submit(struct call *c, struct read_thread *r, struct copying *k)
{
	struct submission *s = &k->unary.slot->submission;
	uint32_t left;
	struct fault f;

	if (!fill(c, r, k, &left, &f)) {
		submit_refuse(c, &f);
		return;
	}
	join_refusals(k);
	if (submit_for_readers(s))
		(void)submit_look(c, r, s);
	keep_all(c, r, k);
	if (undecided(s) == 0)
		copies_end(c, r, k);
	else if (!submit_push(c, s, &f))
		submit_refuse(c, &f);
}

/* ---- the answer ---- */

static bool named(const struct copying *k, uint32_t i)
{
	const struct submitted_case *sc = &k->unary.slot->submission.cases[i];

	return sc->refusal.reason == REASON_NONE && !sc->results[0].receipt.duplicate;
}

static void reply(struct call *c, struct copying *k)
{
	struct submission *s = &k->unary.slot->submission;
	/* Of what was brought, not of the case. */
	bool brought = k->of[0].refusal.reason != REASON_NONE &&
		       strcmp(s->cases[0].refusal.field, k->of[0].refusal.field) == 0;

	k->unary.path = brought ? "" : k->path;
	submit_reply(c, s);
}

void copies_end(struct call *c, struct read_thread *r, struct copying *k)
{
	for (uint32_t i = 0; i < k->n; i++)
		let_go(c, r, &k->of[i], named(k, i));
	reply(c, k);
}

void copies_decided(struct call *c, struct copying *k)
{
	bool all = true;

	k->answered = true;
	for (uint32_t i = 0; i < k->n; i++)
		all = all && (!k->of[i].kept || named(k, i));
	/* What goes from the disk does so on a copier. */
	if (all) {
		copies_end(c, NULL, k);
		return;
	}
	c->slow = true;
	call_queue(c);
}

/* ---- a call ---- */

bool copies_made(struct call *c)
{
	if (c->in->ops.objects != NULL)
		return true;
	call_refuse(c, FAULT_COPIES_NOT_MADE, "", "an original would be on this machine only, "
		    "and lost with it; its operator sets store = postgres, which has both, or "
		    "gives up the mirror");
	return false;
}

bool copies_admit(struct call *c, struct copying *k, atomic_uint *calls, uint32_t max,
		  struct fault *f)
{
	k->counted = calls;
	if (atomic_fetch_add(calls, 1) >= max) {
		fault_set(f, FAULT_BUSY, "", "%u such calls at the same time", max);
		return false;
	}
	return call_enter(c, f);
}

bool copies_on_disk(const struct call *c)
{
	const struct copying *k = c->state;
	bool any = false;

	for (uint32_t i = 0; k != NULL && i < k->n && !any; i++)
		any = k->of[i].upload.home != NULL || k->of[i].kept;
	return any;
}

void copies_close(struct call *c, struct copying *k)
{
	for (uint32_t i = 0; i < k->n; i++) {
		upload_drop(&k->of[i].upload);
		let_go(c, NULL, &k->of[i], false);
	}
	if (k->unary.slot != NULL)
		call_return(c, k->unary.slot);
	if (k->counted != NULL)
		atomic_fetch_sub(k->counted, 1);
}

void copies_free(struct call *c)
{
	struct copying *k = c->state;

	if (k == NULL)
		return;
	copies_close(c, k);
	free(k->of);
	free(k);
}

void copies_begin(struct call *c, uint32_t n, bool single)
{
	struct copying *k = calloc(1, sizeof(*k));
	struct fault f;

	if (k != NULL)
		k->of = calloc(n, sizeof(*k->of));
	if (k == NULL || k->of == NULL) {
		free(k);
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	c->state = k;
	k->n = n;
	k->path = "case";
	k->unary.single = single;
	if (!copies_admit(c, k, &c->in->copy_calls, COPY_CALLS_MAX, &f) ||
	    !submit_quota(c, n, &f)) {
		submit_refuse(c, &f);
		return;
	}
	c->slow = true;
	call_queue(c);
}

/* What waits for its turn holds no slot: those of whole batches are few. */
static bool turn_comes(struct call *c, struct copying *k, struct fault *f)
{
	if (call_late(c)) {
		fault_set(f, FAULT_DEADLINE_PASSED, "", "%s", "");
		return false;
	}
	return call_slot(c, !k->unary.single, &k->unary.slot, f);
}

void copies_turn(struct call *c, struct read_thread *r,
		 bool (*take)(struct call *c, struct read_thread *r, struct copying *k,
			      struct fault *f))
{
	struct copying *k = c->state;
	bool taken = false;
	struct fault f;

	if (k->answered) {
		copies_end(c, r, k);
		return;
	}
	if (!atomic_load(&c->cancelled))
		taken = turn_comes(c, k, &f) && take(c, r, k, &f);
	if (atomic_load(&c->cancelled))
		call_drop(c);
	else if (taken)
		copies_submit(c, r, k);
	else
		submit_refuse(c, &f);
}

/* ---- CertifyCopies ---- */

static bool list_read(struct call *c, struct arena *a, struct slice *request,
		      struct case_list *list, struct fault *f)
{
	arena_reset(a);
	if (call_request(c, a, request))
		return submit_list(*request, 1, COPIES_MAX, "copies", a, list, f);
	fault_set(f, FAULT_INTERNAL, "", "no memory");
	return false;
}

void copies_run(struct call *c)
{
	struct slice request;
	struct case_list list;
	struct fault f;

	if (!copies_made(c))
		return;
	if (list_read(c, &c->worker->gather, &request, &list, &f))
		copies_begin(c, list.n, false);
	else
		submit_refuse(c, &f);
}

/* Bytes that are all here already. */
static void bring(struct call *c, struct brought *b, struct slice bytes)
{
	struct error e = { 0 };
	enum status st;

	b->size = bytes.n;
	if (!brought_fits(c, b))
		return;
	st = upload_begin(c->in->ops.objects, &b->upload, bytes.n, &e);
	if (st == ST_OK)
		st = upload_add(&b->upload, bytes, &e);
	if (st != ST_OK)
		brought_failed(b, st);
	atomic_fetch_add_explicit(&c->in->copy_bytes, bytes.n, memory_order_relaxed);
}

static void item_read(struct call *c, struct brought *b, struct slice item)
{
	struct wire w = wire_of(item);
	struct wire_field f;
	struct slice bytes = slice_of(NULL, 0), digest = slice_of(NULL, 0);
	bool ok = true;

	while (wire_next(&w, &f)) {
		if (f.number > 3)
			continue;
		ok = ok && f.type == WIRE_BYTES;
		if (f.number == 1)
			b->wire = f.bytes;
		else if (f.number == 2)
			bytes = f.bytes;
		else
			digest = f.bytes;
	}
	if (!ok || w.bad) {
		refuse(&b->refusal, REASON_MALFORMED, "", "not a valid encoding");
		return;
	}
	if (digest.n != 0 && digest.n != SHA256_BYTES) {
		refuse(&b->refusal, REASON_FIELD_VALUE, "sha256", "32 bytes or none");
		return;
	}
	b->hashed = digest.n == SHA256_BYTES;
	if (b->hashed)
		memcpy(b->sha256, digest.p, SHA256_BYTES);
	bring(c, b, bytes);
}

/* One original may take many seconds: nobody's whole batch is waited for. */
static bool goes_on(struct call *c, struct fault *f)
{
	fault_set(f, FAULT_STOPPING, "", "%s", "");
	return !atomic_load(&c->cancelled) && !atomic_load(&c->in->stopping);
}

static bool take_all(struct call *c, struct read_thread *r, struct copying *k, struct fault *f)
{
	struct slice request;
	struct case_list list;

	if (!list_read(c, &r->gather, &request, &list, f))
		return false;
	k->validate_only = submit_flag(request, 2);
	for (uint32_t i = 0; i < k->n; i++) {
		if (!goes_on(c, f))
			return false;
		item_read(c, &k->of[i], list.wire[i]);
		brought_look(c, &k->of[i], k->validate_only, false,
			     &k->unary.slot->submission.arena);
	}
	atomic_fetch_add_explicit(&c->in->copies, k->n, memory_order_relaxed);
	return true;
}

void copies_work(struct call *c, struct read_thread *r)
{
	copies_turn(c, r, take_all);
}

void copies_answer(struct submission *s)
{
	struct call *c = s->call;

	copies_decided(c, c->state);
}
