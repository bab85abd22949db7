/* VerifyDocument: the verdict on a file's bytes, beside what the store says of the result. */
#include <sys/mman.h>

#include "base/calendar.h"
#include "intake/answer.h"
#include "intake/noted.h"
#include "trien/v1/audit.pb-c.h"

#define DAY_MS (24 * 60 * 60 * 1000LL)
#define EVENTS_MAX (LIVING_ACTS_MAX + HANDOVERS_MAX + LINKS_TOLD_MAX)
/* Names, number, paper, and per signature or stamp a subject and a reason. */
#define ANSWER_BYTES_MAX (8192 + (VERIFY_SIGNATURES_MAX + VERIFY_STAMPS_MAX) * 1024)
#define SMALL_BYTES_MAX REQUEST_BYTES_MAX	/* of a stored file; larger ones go one by one */
#define LARGE_WAIT_NS (50 * 1000000L)

#define STANDING(name) TRIEN__V1__VERIFY_DOCUMENT_RESPONSE__STANDING__##name
_Static_assert(TRIEN__V1__EVIDENCE_LEVEL__B_B == LEVEL_B + 1 &&
	       TRIEN__V1__EVIDENCE_LEVEL__B_LTA == LEVEL_LTA + 1, "levels");
_Static_assert(TRIEN__V1__VERDICT__TOTAL_PASSED == VERDICT_PASSED + 1 &&
	       TRIEN__V1__VERDICT__INDETERMINATE == VERDICT_INDETERMINATE + 1, "verdicts");

/* ---- the verdict ---- */

static void put_finding(struct writer *w, const struct finding *f)
{
	put_number(w, 1, f->verdict + 1u);
	put_text(w, 2, indication_name(f->indication));
	put_text(w, 3, f->why);
}

static void put_signature(struct writer *w, const struct signature_report *s)
{
	static const uint8_t none[SHA256_BYTES];
	uint8_t *at = put_begin(w, 4);

	put_finding(w, &s->finding);
	put_text(w, 4, s->subject);
	put_text(w, 5, s->unit);
	put_text(w, 6, s->algorithm);
	if (s->signed_ms != INT64_MIN)
		put_time(w, 7, s->signed_ms);
	if (memcmp(s->cert_sha256, none, sizeof(none)) != 0)
		put_slice(w, 8, slice_of(s->cert_sha256, SHA256_BYTES));
	put_number(w, 9, s->range[2] + s->range[3]);
	put_number(w, 10, s->certifies);
	if (s->finding.verdict == VERDICT_PASSED)
		put_number(w, 11, s->level + 1u);
	put_end(w, at);
}

static void put_stamp(struct writer *w, const struct stamp_report *s)
{
	uint8_t *at = put_begin(w, 11);

	if (s->time_ms != INT64_MIN)
		put_time(w, 1, s->time_ms);
	put_text(w, 2, s->subject);
	put_number(w, 3, s->trusted);
	put_text(w, 4, s->why);
	put_number(w, 5, s->range[2] + s->range[3]);
	put_end(w, at);
}

static void put_report(struct writer *w, const struct report *r)
{
	put_finding(w, &r->finding);
	for (uint8_t i = 0; i < r->signatures_n; i++)
		put_signature(w, &r->signatures[i]);
	put_number(w, 5, r->file_bytes);
	put_slice(w, 6, slice_of(r->file_sha256, SHA256_BYTES));
	put_number(w, 10, r->file_bytes - r->issued_bytes);
	for (uint8_t i = 0; i < r->stamps_n; i++)
		put_stamp(w, &r->stamps[i]);
}

/* ---- what it was issued as, and its life ---- */

static void put_paper(struct writer *w, const struct result_event *ev)
{
	struct decision d;

	if (decision_read(&d, ev->detail) != ST_OK)
		return;
	put_slice(w, 13, d.number);
	answer_day(w, 14, d.day);
	put_slice(w, 15, d.ground);
	put_slice(w, 16, d.unit);
	answer_id(w, 17, d.paper);
}

/* Since when, and by which paper. v's slices are gone after it. */
static enum status put_life(struct call *c, struct read_thread *r, struct writer *w,
			    const struct result_view *v)
{
	struct result_event *rows = arena_take(&r->scratch, EVENTS_MAX * sizeof(*rows));
	const struct result_event *paper = NULL;
	int64_t since_ms = v->life == LIFE_REPLACED ? v->replaced_ms :
			   v->life == LIFE_EXPIRED ? day_start_ms(v->valid_until) + DAY_MS : 0;
	uint8_t kind = v->living.note.kind;
	uint32_t n = 0;
	enum status st = ST_OK;

	if (kind != 0)
		st = rows == NULL ? ST_NOMEM :
		     c->in->ops.history(r->store, v->lane, v->sequence, EVENTS_MAX, rows, &n);
	if (st != ST_OK)
		return st;
	for (uint32_t i = 0; i < n; i++)
		if (rows[i].kind == kind)
			paper = &rows[i];
	if (paper != NULL)
		put_paper(w, paper);
	if (since_ms == 0 && paper != NULL)
		since_ms = paper->at_ms;
	if (since_ms != 0)
		put_time(w, 10, since_ms);
	return ST_OK;
}

/* Names as they were printed. */
static void put_names(struct call *c, struct writer *w, const struct result_view *v)
{
	struct catalogue *catalogue = c->in->ops.catalogue(c->in->ops.ctx);
	const struct kind *k;
	const struct unit *u;
	const struct signer *s;
	struct error e = { 0 };

	put_slice(w, 2, v->unit);
	put_slice(w, 4, v->kind);
	if (catalogue_pinned(catalogue, &v->pins, &k, &u, &s, &e) == ST_OK) {
		put_text(w, 3, u->name);
		put_text(w, 5, k->name_vi);
	}
	catalogue_unref(catalogue);
}

/* v's slices are gone after it. */
static enum status put_issued(struct call *c, struct read_thread *r, struct writer *w,
			      const struct result_view *v)
{
	uint8_t *at = put_begin(w, 8);
	enum status st;

	answer_id(w, 1, v->result_id);
	put_names(c, w, v);
	put_slice(w, 6, v->number_text);
	put_time(w, 7, v->issued_ms);
	answer_signatures(w, 8, v);
	put_number(w, 9, v->life);
	answer_id(w, 11, v->replaced_by);
	answer_id(w, 12, v->replaces);
	answer_day(w, 18, v->valid_until);
	st = put_life(c, r, w, v);
	put_end(w, at);
	return st;
}

/* ---- a file in hand ---- */

/*
 * Bit for bit the stored one, but for evidence behind it: then whoever has it may know what became
 * of it.
 */
static enum status put_standing(struct call *c, struct read_thread *r, struct writer *w,
				const uint8_t id[16], const uint8_t sha256[SHA256_BYTES])
{
	struct result_view v;
	enum status st = c->in->ops.get(r->store, id, &v);

	if (st == ST_IO || (st != ST_OK && status_class(st) == CLASS_RETRY)) {
		put_number(w, 7, STANDING(PENDING));
		return ST_OK;
	}
	if (st == ST_NOT_FOUND ||
	    (st == ST_OK && (v.state != STATE_STORED || read_restricted(c, &v)))) {
		put_number(w, 7, STANDING(UNKNOWN));
		return ST_OK;
	}
	if (st != ST_OK)
		return st;
	if (memcmp(v.file_sha256, sha256, SHA256_BYTES) == 0) {
		put_number(w, 7, STANDING(ISSUED));
		return put_issued(c, r, w, &v);
	}
	put_number(w, 7, STANDING(DIFFERENT));
	answer_id(w, 9, id);
	return ST_OK;
}

static void by_bytes(struct call *c, struct read_thread *r,
		     const Trien__V1__VerifyDocumentRequest *q)
{
	struct report report;
	struct reply p;
	enum status st;

	if (!reply_open(c, &p, ANSWER_BYTES_MAX))
		return;
	st = c->in->ops.verify(c->in->ops.ctx, slice_of(q->document.data, q->document.len),
			       &report);
	if (st == ST_OK) {
		put_report(&p.w, &report);
		if (report.named)
			st = put_standing(c, r, &p.w, report.id, report.issued_sha256);
		else
			put_number(&p.w, 7, STANDING(UNKNOWN));
	}
	reply_end(c, &p, st);
}

static void by_digest(struct call *c, struct read_thread *r,
		      const Trien__V1__VerifyDocumentRequest *q)
{
	enum status st = ST_OK;
	struct reply p;
	uint8_t id[16];

	if (!reply_open(c, &p, ANSWER_BYTES_MAX))
		return;
	put_slice(&p.w, 6, slice_of(q->file_sha256.data, SHA256_BYTES));
	if (id_read(id, slice_str(q->result_id)))
		st = put_standing(c, r, &p.w, id, q->file_sha256.data);
	else
		put_number(&p.w, 7, STANDING(UNKNOWN));
	reply_end(c, &p, st);
}

/* ---- the stored file ---- */

static enum status stored_judge(struct call *c, struct read_thread *r, const uint8_t id[16],
				size_t size, struct report *out)
{
	/* Given back at once, whatever its size. */
	uint8_t *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	size_t n = size;
	enum status st = file == MAP_FAILED ? ST_NOMEM :
			 c->in->ops.read(r->store, id, 0, file, &n);

	if (st == ST_OK)
		st = n == size ? c->in->ops.verify(c->in->ops.ctx, slice_of(file, n), out) :
				 ST_CORRUPT;
	if (file != MAP_FAILED)
		munmap(file, size);
	return st;
}

/* v's slices are gone after it. */
static enum status put_stored(struct call *c, struct read_thread *r, struct writer *w,
			      const struct result_view *v)
{
	uint8_t id[sizeof(v->result_id)];
	size_t size = v->file_size;
	struct report report;
	enum status st;

	memcpy(id, v->result_id, sizeof(id));
	put_number(w, 7, STANDING(ISSUED));
	st = put_issued(c, r, w, v);
	if (st == ST_OK)
		st = stored_judge(c, r, id, size, &report);
	if (st == ST_OK)
		put_report(w, &report);
	return st;
}

static void stored_answer(struct call *c, struct read_thread *r,
			  const Trien__V1__VerifyDocumentRequest *q, const struct sight *s,
			  const struct result_view *v)
{
	struct noting *n = noting_new(c, READ_VERIFY, q->purpose, 1);
	struct reply p;

	if (n == NULL)
		return;
	noting_add(n, s, v);
	if (!reply_open(c, &p, ANSWER_BYTES_MAX)) {
		noting_free(n);
		return;
	}
	noting_end(c, n, &p, put_stored(c, r, &p.w, v));
}

/*
 * Of a large original's copy there may be VERIFY_FILE_BYTES_MAX: in memory one at a time, and a
 * copier does not wait long, since others' uploads wait for it. False: the call comes again, behind
 * those, or is answered.
 */
static bool large_begin(struct call *c)
{
	struct timespec until;

	if (c->slow) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LARGE_WAIT_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_mutex_clocklock(&c->in->large, CLOCK_MONOTONIC, &until) == 0)
			return true;
	}
	c->slow = true;
	if (call_late(c) || atomic_load(&c->cancelled))
		call_refuse(c, FAULT_BUSY, "", "other large files are being verified");
	else
		call_queue(c);
	return false;
}

static void by_id(struct call *c, struct read_thread *r,
		  const Trien__V1__VerifyDocumentRequest *q)
{
	struct intake *in = c->in;
	struct result_view v;
	struct sight s;
	bool large;

	if (!sight_of(c, q->as_holder, &s) || !read_stored(c, r, &s, q->result_id, &v))
		return;
	large = v.file_size > SMALL_BYTES_MAX;
	if (large && !large_begin(c))
		return;
	stored_answer(c, r, q, &s, &v);
	if (large)
		pthread_mutex_unlock(&in->large);
}

void verification_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__VerifyDocumentRequest *q;

	if (noting_done(c))
		return;
	q = read_request(c, r, &trien__v1__verify_document_request__descriptor);
	if (q == NULL)
		return;
	if ((q->document.len > 0) == (q->result_id[0] != '\0'))
		call_refuse(c, FAULT_ARGUMENT_INVALID, "document", "a document or a result_id");
	else if (q->file_sha256.len > 0 &&
		 (q->document.len > 0 || q->file_sha256.len != SHA256_BYTES))
		call_refuse(c, FAULT_ARGUMENT_INVALID, "file_sha256",
			    "%d bytes, with result_id", SHA256_BYTES);
	else if (q->as_holder != NULL && (q->document.len > 0 || q->file_sha256.len > 0))
		call_refuse(c, FAULT_ARGUMENT_INVALID, "as_holder", "with result_id alone");
	else if (q->document.len > 0)
		by_bytes(c, r, q);
	else if (q->file_sha256.len > 0)
		by_digest(c, r, q);
	else
		by_id(c, r, q);
}
