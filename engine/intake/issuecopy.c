#include "base/calendar.h"
#include "base/wire.h"
#include "intake/copies.h"
#include "intake/noted.h"
#include "intake/said.h"

/* Of trien.v1.IssueCopyRequest. */
enum { COPY_CASE = 1, COPY_RESULT_ID, COPY_VALIDATE_ONLY };

struct issue { struct slice wire, id; bool validate_only; };

static bool request_read(struct call *c, struct read_thread *r, struct issue *q, struct fault *f)
{
	struct slice request;
	struct wire w;
	struct wire_field field;
	bool ok;

	*q = (struct issue){ .wire = slice_of(NULL, 0), .id = slice_of(NULL, 0) };
	arena_reset(&r->gather);
	ok = call_request(c, &r->gather, &request);
	for (w = wire_of(ok ? request : q->id); ok && wire_next(&w, &field);) {
		if (field.number > COPY_VALIDATE_ONLY)
			continue;
		ok = field.type == (field.number == COPY_VALIDATE_ONLY ? WIRE_VARINT : WIRE_BYTES);
		if (field.number == COPY_CASE)
			q->wire = field.bytes;
		else if (field.number == COPY_RESULT_ID)
			q->id = field.bytes;
		else
			q->validate_only = field.value != 0;
	}
	if (ok && !w.bad && q->wire.n > 0)
		return true;
	fault_set(f, ok && !w.bad ? FAULT_ARGUMENT_MISSING : FAULT_MALFORMED, ok ? "case" : "",
		  "%s", "");
	return false;
}

/*
 * named: the case names an agency of the caller's as the copy's; one that does not is refused as a
 * case, later. keeps: that agency keeps the register in which `unit` entered the result. code: the
 * case's.
 */
struct claim { bool named, keeps; struct slice code; };

static struct claim claim_read(struct call *c, struct read_thread *r, struct slice wire,
			       struct slice unit)
{
	const struct engine_ops *ops = &c->in->ops;
	struct catalogue *catalogue = ops->catalogue(ops->ctx);
	struct claim claim = { .code = slice_of(NULL, 0) };
	struct raw_case raw;
	struct refusal ignored;

	if (raw_read(&raw, wire, &r->scratch, &ignored) == ST_OK && raw.results_n > 0) {
		claim.named = principal_unit(c->principal, raw.results[0].unit);
		claim.keeps = claim.named &&
			      catalogue_succeeds(catalogue, raw.results[0].unit, unit,
						 day_vietnam(ops->now_ms(ops->ctx)));
	}
	catalogue_unref(catalogue);
	claim.code = raw.code;
	return claim;
}

static bool is_copy(struct read_thread *r, const struct result_view *v)
{
	struct case_view found;

	return case_decode(&found, v->case_bytes, &r->scratch) != ST_OK ||
	       (found.results_n > 0 && found.results[0].original != NULL);
}

/* The names of kind and agency as they were on its day. */
static void told_names(struct call *c, const struct result_view *v, struct original_told *t,
		       struct arena *a)
{
	const struct engine_ops *ops = &c->in->ops;
	struct catalogue *catalogue = ops->catalogue(ops->ctx);
	const struct kind *kind = NULL;
	const struct unit *unit = NULL;
	const struct signer *signer = NULL;
	struct error e = { 0 };

	/* Another engine issued it: its versions are not in this one's archive. */
	if (catalogue_pinned(catalogue, &v->pins, &kind, &unit, &signer, &e) != ST_OK) {
		kind = catalogue_kind(catalogue, v->kind, t->day);
		unit = catalogue_unit(catalogue, v->unit, t->day);
	}
	if (kind != NULL && unit != NULL) {
		t->name = arena_copy(a, slice_str(kind->name_vi));
		t->issuer = arena_copy(a, slice_str(unit->name));
	}
	catalogue_unref(catalogue);
}

/* What the register says of v, into a; NULL: it cannot be said. */
static const struct original_told *told(struct call *c, struct read_thread *r,
					const struct result_view *v, struct arena *a)
{
	struct original_told *t = arena_zero(a, sizeof(*t));
	struct case_view of;
	struct slice *names;

	if (t == NULL || case_decode(&of, v->case_bytes, &r->scratch) != ST_OK)
		return NULL;
	t->day = day_vietnam(v->issued_ms);
	told_names(c, v, t, a);
	t->number = arena_copy(a, v->number_text);
	names = arena_take(a, of.holders_n * sizeof(*names));
	for (uint8_t i = 0; names != NULL && i < of.holders_n; i++)
		names[t->holders_n++] = arena_copy(a, of.holders[i].name);
	t->holders = names;
	return t->name.n > 0 && t->issuer.n > 0 && t->number.n > 0 && names != NULL ? t : NULL;
}

/* What of v the copy names, into a. NULL: the arena is spent. */
static const struct original_source *source_of(const struct result_view *v, struct arena *a)
{
	struct original_source *s = arena_zero(a, sizeof(*s));

	if (s == NULL)
		return NULL;
	memcpy(s->id, v->result_id, sizeof(s->id));
	if (v->living.note.kind != EVENT_CORRECTED)
		return s;
	s->corrected = arena_copy(a, slice_str(v->living.note.number));
	s->corrected_day = v->living.note.day;
	return s->corrected.n > 0 ? s : NULL;
}

static bool source_fits(struct call *c, struct read_thread *r, const struct issue *q,
			struct result_view *v, uint8_t id[16], struct slice *code, struct fault *f)
{
	enum status st = id_read(id, q->id) ? c->in->ops.get(r->store, id, v) : ST_NOT_FOUND;
	struct claim claim = { .code = slice_of(NULL, 0) };

	if (st == ST_OK)
		claim = claim_read(c, r, q->wire, v->unit);
	*code = claim.code;
	/* Whoever may not see it does not learn that it is there, whatever their case says. */
	if (st == ST_OK && ((!claim.keeps && !read_allowed(c, v->unit)) || read_restricted(c, v)))
		st = ST_NOT_FOUND;
	if (st != ST_OK)
		read_fault(f, st);
	else if (claim.named && !claim.keeps)
		fault_set(f, FAULT_COPY_NOT_OURS, "result_id", "%s", "");
	else if (v->state != STATE_STORED)
		read_not_stored(f, v->state);
	else if (is_copy(r, v))
		fault_set(f, FAULT_COPY_OF_COPY, "result_id", "%s", "");
	else
		return true;
	return false;
}

/*
 * Who takes a result's bytes for a copy is seen by its holder, with the copy's case. False: the
 * call comes back once that is noted, or is answered. What will be refused is left to take().
 */
static bool source_noted(struct call *c, struct read_thread *r)
{
	const struct sight agency = { .holder = false };
	Trien__V1__Purpose why = TRIEN__V1__PURPOSE__INIT;
	char text[4 * CASE_CODE_BYTES_MAX + 1] = "";	/* not composed yet */
	struct result_view v = { 0 };
	struct slice code, line;
	struct issue q;
	struct fault f;
	uint8_t id[16];

	if (c->noting == NULL) {
		if (call_late(c) || atomic_load(&c->cancelled) || !request_read(c, r, &q, &f) ||
		    q.validate_only || !source_fits(c, r, &q, &v, id, &code, &f))
			return true;
		if (code.n > 0 && code.n < sizeof(text))
			memcpy(text, code.p, code.n);
		if (said_line(text, CASE_CODE_BYTES_MAX, &r->scratch, &line))
			why.case_code = text;
	}
	return one_noted(c, READ_COPY, &why, &agency, &v);
}

/* The result's bytes, as anyone downloads them. False: the store does not give them now. */
static bool source_read(struct call *c, struct read_thread *r, struct brought *b,
			const uint8_t id[16], struct fault *f)
{
	uint8_t *piece = arena_take(&r->scratch, OBJECT_PIECE_BYTES);
	struct error e = { 0 };
	enum status read = ST_OK, st;

	if (piece == NULL) {
		fault_set(f, FAULT_INTERNAL, "", "no room to read");
		return false;
	}
	st = upload_begin(c->in->ops.objects, &b->upload, b->size, &e);
	for (uint64_t at = 0; at < b->size && st == ST_OK && read == ST_OK;) {
		size_t n = b->size - at < OBJECT_PIECE_BYTES ? (size_t)(b->size - at) :
			   OBJECT_PIECE_BYTES, want = n;

		read = c->in->ops.read(r->store, id, at, piece, &n);
		if (read == ST_OK && n != want)
			read = ST_CORRUPT;
		if (read == ST_OK)
			st = upload_add(&b->upload, slice_of(piece, n), &e);
		at += n;
	}
	if (st != ST_OK)
		brought_failed(b, st);
	if (read != ST_OK)
		read_fault(f, read);
	return read == ST_OK;
}

static bool take(struct call *c, struct read_thread *r, struct copying *k, struct fault *f)
{
	struct arena *a = &k->unary.slot->submission.arena;
	const struct original_source *source;
	const struct original_told *register_says;
	struct brought *b = &k->of[0];
	struct result_view v;
	struct slice code;
	struct issue q;
	uint8_t id[16];
	bool gone;

	if (!request_read(c, r, &q, f) || !source_fits(c, r, &q, &v, id, &code, f))
		return false;
	gone = v.life == LIFE_REPLACED || v.life == LIFE_REVOKED;
	register_says = told(c, r, &v, a);
	source = source_of(&v, a);
	if (register_says == NULL || source == NULL) {
		fault_set(f, FAULT_INTERNAL, "", "what the register says of it cannot be read");
		return false;
	}
	k->validate_only = q.validate_only;
	b->wire = q.wire;
	b->size = v.file_size;
	b->hashed = true;
	memcpy(b->sha256, v.file_sha256, SHA256_BYTES);
	if (brought_fits(c, b) && !source_read(c, r, b, id, f))
		return false;
	brought_look(c, b, k->validate_only, true, a);
	/* A copy from before that is the same one, told again. */
	if (gone && b->refusal.reason == REASON_NONE)
		refuse(&b->refusal, REASON_COPY_OF_INVALID, "result_id", "%s", "");
	b->original.told = register_says;
	b->original.source = source;
	atomic_fetch_add_explicit(&c->in->copies, 1, memory_order_relaxed);
	return true;
}

void issuecopy_run(struct call *c)
{
	if (copies_made(c))
		copies_begin(c, 1, true);
}

void issuecopy_work(struct call *c, struct read_thread *r)
{
	const struct copying *k = c->state;

	if (k->answered || source_noted(c, r))
		copies_turn(c, r, take);
}
