#include "intake/noted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "holding.h"
#include "intake/answer.h"

static void *arena_alloc(void *arg, size_t n)
{
	return arena_take(arg, n);
}

static void arena_forget(void *arg, void *p)
{
	(void)arg;
	(void)p;
}

void *read_request(struct call *c, struct read_thread *r, const ProtobufCMessageDescriptor *d)
{
	ProtobufCAllocator a = { arena_alloc, arena_forget, &r->scratch };
	struct slice bytes;
	void *m = NULL;

	if (call_request(c, &r->scratch, &bytes))
		m = protobuf_c_message_unpack(d, &a, bytes.n, bytes.p);
	if (m == NULL)
		call_refuse(c, FAULT_MALFORMED, "", "not a valid encoding, or too large");
	return m;
}

bool read_unit(const struct call *c, struct slice unit)
{
	struct catalogue *catalogue;
	const char *next;
	uint32_t day;
	bool mine = principal_unit(c->principal, unit);

	if (mine)
		return true;
	day = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx));
	catalogue = c->in->ops.catalogue(c->in->ops.ctx);
	for (next = catalogue_successor(catalogue, unit, day); next != NULL && !mine;
	     next = catalogue_successor(catalogue, slice_str(next), day))
		mine = principal_unit(c->principal, slice_str(next));
	catalogue_unref(catalogue);
	return mine;
}

bool read_allowed(const struct call *c, struct slice unit)
{
	return principal_may(c->principal, MAY_PORTAL) ||
	       (principal_may(c->principal, MAY_READ | MAY_REGISTRY | MAY_SUBMIT | MAY_AUDIT) &&
		read_unit(c, unit));
}

bool read_restricted(const struct call *c, const struct result_view *v)
{
	return v->living.restricted && !(principal_may(c->principal, MAY_REGISTRY | MAY_AUDIT) &&
					 read_unit(c, v->unit));
}

/* To a holder it is restricted whatever else the portal that asks for them may. */
static bool kept_from(const struct call *c, const struct sight *s, const struct result_view *v)
{
	return s != NULL && s->holder ? v->living.restricted : read_restricted(c, v);
}

/* Is it one of the holder's, as of today? */
static enum status holder_has(struct call *c, struct read_thread *r, const uint8_t key[16],
			      uint64_t sequence)
{
	uint32_t today = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx)), n = 0;
	struct holding_view h;
	enum status st = c->in->ops.list(r->store, key, sequence + 1, 1, &h, &n);

	if (st != ST_OK)
		return st;
	return n == 1 && h.result.sequence == sequence && holding_lasts(h.from, h.to, today) ?
	       ST_OK : ST_NOT_FOUND;
}

static bool reuse_allowed(const struct call *c, const struct result_view *v)
{
	return v->state == STATE_STORED && c->m->roles & MAY_REUSE &&
	       principal_may(c->principal, MAY_REUSE);
}

enum status read_result(struct call *c, struct read_thread *r, const struct sight *s,
			const char *id, struct result_view *out)
{
	uint8_t rid[16];
	enum status st;

	if (!id_read(rid, slice_str(id)))
		return ST_NOT_FOUND;
	st = c->in->ops.get(r->store, rid, out);
	/* To a holder what is not stored yet is nothing, whichever engine has it. */
	if (st == ST_AGAIN && s != NULL && s->holder)
		st = ST_NOT_FOUND;
	if (st == ST_OK && s != NULL && s->holder) {
		st = out->state == STATE_STORED ? holder_has(c, r, s->key, out->sequence) :
						  ST_NOT_FOUND;
		/* The view was borrowed until that look. */
		if (st == ST_OK)
			st = c->in->ops.get(r->store, rid, out);
	} else if (st == ST_OK && !read_allowed(c, out->unit) && !reuse_allowed(c, out)) {
		st = ST_NOT_FOUND;
	}
	if (st != ST_OK)
		return st;
	return kept_from(c, s, out) ? ST_NOT_FOUND : ST_OK;
}

static void fault_elsewhere(struct fault *f, const char *field, const char *owner)
{
	struct refusal why = { 0 };

	refuse(&why, REASON_UNIT_ELSEWHERE, field, "%s", owner);
	fault_refusal(f, &why, "");
}

bool read_elsewhere(struct call *c, struct read_thread *r, struct slice unit)
{
	struct error owner = { 0 };
	struct fault f;

	if (!c->in->ops.unit_elsewhere(r->store, unit, &owner))
		return false;
	fault_elsewhere(&f, "unit", owner.text);
	submit_refuse(c, &f);
	return true;
}

void read_fault(struct fault *f, enum status st)
{
	if (st == ST_AGAIN)
		fault_elsewhere(f, "result_id", "another engine, and it is not stored yet");
	else if (st == ST_NOT_FOUND)
		fault_set(f, FAULT_RESULT_NOT_FOUND, "result_id", "%s", "");
	else if (st == ST_CORRUPT || st == ST_DAMAGED)
		fault_set(f, FAULT_FILE_DAMAGED, "", "%s", "");
	else if (status_class(st) == CLASS_RETRY || st == ST_IO)
		fault_set(f, FAULT_STORE_AWAY, "", "%s", status_name(st));
	else
		fault_set(f, FAULT_INTERNAL, "", "%s", status_name(st));
}

void read_refuse(struct call *c, enum status st)
{
	struct fault f;

	read_fault(&f, st);
	submit_refuse(c, &f);
}

void read_result_fault(struct call *c, struct read_thread *r, struct fault *f, const char *id,
		       enum status st)
{
	struct error owner = { 0 };
	uint8_t rid[16];

	if (st == ST_AGAIN && id_read(rid, slice_str(id)) &&
	    c->in->ops.id_elsewhere(r->store, rid, &owner))
		fault_elsewhere(f, "result_id", owner.text);
	else
		read_fault(f, st);
}

void read_not_stored(struct fault *f, enum state state)
{
	static const char *const where[] = {
		[STATE_AWAITING_APPROVAL] = "it waits for its signer (trien sign list)",
		[STATE_AWAITING_SIGNATURE] = "it waits for a signature",
		[STATE_HELD] = "it is held (trien held list)",
		[STATE_REFUSED] = "its signer refused it, it never will be",
		[STATE_WITHDRAWN] = "it was withdrawn, it never will be",
		[STATE_TIMED_OUT] = "nobody confirmed it in time, it never will be",
		[STATE_VOID] = "it is void, it never will be",
	};
	const char *text = (size_t)state < ARRAY_LEN(where) ? where[state] : NULL;

	fault_set(f, FAULT_RESULT_NOT_STORED, "result_id", "%s",
		  text != NULL ? text : "it is on its way there");
}

bool read_stored(struct call *c, struct read_thread *r, const struct sight *s, const char *id,
		 struct result_view *out)
{
	enum status st = read_result(c, r, s, id, out);
	struct fault f;

	if (st == ST_OK && out->state == STATE_STORED)
		return true;
	if (st != ST_OK)
		read_result_fault(c, r, &f, id, st);
	else
		read_not_stored(&f, out->state);
	submit_refuse(c, &f);
	return false;
}

void chunk_sent(struct call *c, bool ok)
{
	if (!ok)
		atomic_store(&c->cancelled, true);
	call_queue(c);
}

void chunk_free(struct call *c)
{
	free(c->state);
}

/* Facts, approval and fields are for the agency's own readers, and for the holder's portal. */
static bool whole_allowed(const struct call *c, const struct result_view *v)
{
	return principal_may(c->principal, MAY_PORTAL) ||
	       (principal_may(c->principal, MAY_READ | MAY_REGISTRY) && read_unit(c, v->unit));
}

bool reply_open(struct call *c, struct reply *p, size_t size)
{
	p->buf = malloc(size);
	if (p->buf == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory for the reply");
		return false;
	}
	p->w = writer_of(p->buf, size);
	return true;
}

bool reply_close(struct call *c, struct reply *p, grpc_slice *out)
{
	bool good = !p->w.bad;

	if (good)
		*out = slice_copied(&p->w);
	else
		call_refuse(c, FAULT_TOO_MANY, "", "the reply is too large; ask for less");
	free(p->buf);
	return good;
}

void reply_end(struct call *c, struct reply *p, enum status st)
{
	grpc_slice message;

	if (st != ST_OK) {
		free(p->buf);
		read_refuse(c, st);
	} else if (reply_close(c, p, &message)) {
		call_reply(c, message);
	}
}

void get_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__GetResultRequest *q;
	struct result_view v;
	struct noting *n;
	struct reply p;
	struct sight s;
	struct fault f;
	enum status st;

	if (noting_done(c))
		return;
	q = read_request(c, r, &trien__v1__get_result_request__descriptor);
	if (q == NULL || !sight_of(c, q->as_holder, &s))
		return;
	st = read_result(c, r, &s, q->result_id, &v);
	if (st != ST_OK) {
		read_result_fault(c, r, &f, q->result_id, st);
		submit_refuse(c, &f);
		return;
	}
	n = noting_new(c, READ_GET, q->purpose, 1);
	if (n == NULL)
		return;
	noting_add(n, &s, &v);
	if (!reply_open(c, &p, RESULT_BYTES_MAX(&v))) {
		noting_free(n);
		return;
	}
	st = answer_result(&p.w, &v, whole_allowed(c, &v), &r->scratch);
	noting_end(c, n, &p, st);
}

/* Whatever is there of q; the rest is named. */
static enum status batch_put(struct call *c, struct read_thread *r, const struct sight *s,
			     const Trien__V1__BatchGetResultsRequest *q, struct noting *n,
			     struct writer *w)
{
	enum status st = ST_OK;

	for (size_t i = 0; st == ST_OK && i < q->n_result_ids; i++) {
		struct result_view v;
		size_t mark = r->scratch.used;
		uint8_t *at;

		st = read_result(c, r, s, q->result_ids[i], &v);
		if (st == ST_NOT_FOUND || st == ST_AGAIN) {
			put_text(w, st == ST_NOT_FOUND ? 2 : 3,
				 strlen(q->result_ids[i]) == ID_TEXT_BYTES ? q->result_ids[i] :
				 "?");
			st = ST_OK;
			continue;
		}
		if (st != ST_OK)
			break;
		at = put_begin(w, 1);
		st = answer_result(w, &v, false, &r->scratch);
		put_end(w, at);
		noting_add(n, s, &v);
		r->scratch.used = mark;
	}
	return st;
}

void batch_get_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__BatchGetResultsRequest *q;
	struct noting *n;
	struct reply p;
	struct sight s;

	if (noting_done(c))
		return;
	q = read_request(c, r, &trien__v1__batch_get_results_request__descriptor);
	if (q == NULL || !sight_of(c, q->as_holder, &s))
		return;
	if (q->n_result_ids == 0 || q->n_result_ids > BATCH_GET_MAX) {
		call_refuse(c, FAULT_TOO_MANY, "result_ids", "1 to %d", BATCH_GET_MAX);
		return;
	}
	n = noting_new(c, READ_BATCH_GET, q->purpose, (uint32_t)q->n_result_ids);
	if (n == NULL)
		return;
	if (!reply_open(c, &p, REPLY_BYTES_MAX)) {
		noting_free(n);
		return;
	}
	noting_end(c, n, &p, batch_put(c, r, &s, q, n, &p.w));
}

/* ---- pages ---- */

uint32_t page_size(uint32_t wanted)
{
	return wanted == 0 ? PAGE_SIZE_DEFAULT : wanted > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : wanted;
}

bool page_read(const char *token, uint32_t list, uint64_t *position)
{
	uint8_t b[PAGE_TOKEN_BYTES / 2] = { 0 };
	struct reader r = reader_of(slice_of(b, sizeof(b)));

	*position = 0;
	if (token[0] == '\0')
		return true;
	if (!hex_read(b, sizeof(b), slice_str(token)))
		return false;
	*position = read_u64(&r);
	return read_u32(&r) == list;
}

void page_write(char out[PAGE_TOKEN_BYTES + 1], uint32_t list, uint64_t position)
{
	uint8_t b[PAGE_TOKEN_BYTES / 2];
	struct writer w = writer_of(b, sizeof(b));

	write_u64(&w, position);
	write_u32(&w, list);
	hex_lower(out, b, sizeof(b));
	out[PAGE_TOKEN_BYTES] = '\0';
}

/* Whose list a token continues: a checksum of the holder's key, not the number (P9). */
static uint32_t list_mark(const uint8_t key[16], bool hidden)
{
	return crc32c(hidden, key, 16);
}

enum status put_holding(struct writer *w, const struct holding_view *h, struct arena *scratch)
{
	uint8_t *at = put_begin(w, 1), *inner = put_begin(w, 1);
	enum status st = answer_result(w, &h->result, false, scratch);

	put_end(w, inner);
	put_number(w, 2, h->role);
	answer_day(w, 3, h->from);
	answer_day(w, 4, h->to);
	put_number(w, 5, h->visibility);
	put_end(w, at);
	return st;
}

/* Newest first is by issue; stores list by sequence, which is by acceptance. */
static int by_issue(const void *a, const void *b)
{
	const struct result_view *x = &((const struct holding_view *)a)->result;
	const struct result_view *y = &((const struct holding_view *)b)->result;

	if (x->issued_ms != y->issued_ms)
		return x->issued_ms < y->issued_ms ? 1 : -1;
	return x->sequence < y->sequence ? 1 : x->sequence > y->sequence ? -1 : 0;
}

/* What the caller may see of the page. */
static enum status list_put(struct call *c, struct read_thread *r, const struct sight *s,
			    const struct holding_view *rows, uint32_t rows_n, bool hidden,
			    struct noting *n, struct writer *w)
{
	uint32_t today = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx));
	enum status st = ST_OK;

	for (uint32_t i = 0; st == ST_OK && i < rows_n; i++) {
		if (!read_allowed(c, rows[i].result.unit) ||
		    kept_from(c, s, &rows[i].result) ||
		    (s->holder && !holding_lasts(rows[i].from, rows[i].to, today)) ||
		    !holding_listed(rows[i].visibility, hidden))
			continue;
		noting_add(n, s, &rows[i].result);
		st = put_holding(w, &rows[i], &r->scratch);
	}
	return st;
}

static void list_page(struct call *c, struct read_thread *r, const struct sight *s,
		      const uint8_t key[16], uint64_t before,
		      const Trien__V1__ListResultsRequest *q)
{
	uint32_t max = page_size(q->page_size), rows_n = 0;
	struct holding_view *rows = arena_take(&r->scratch, max * sizeof(*rows));
	struct noting *n = noting_new(c, READ_LIST, q->purpose, max);
	char token[PAGE_TOKEN_BYTES + 1];
	struct reply p;
	enum status st;

	if (n == NULL)
		return;
	if (!reply_open(c, &p, REPLY_BYTES_MAX)) {
		noting_free(n);
		return;
	}
	if (!s->holder)
		noting_holder(n, key);
	st = rows == NULL ? ST_NOMEM : c->in->ops.list(r->store, key, before, max, rows, &rows_n);
	if (st == ST_OK && rows_n == max)
		page_write(token, list_mark(key, q->show_hidden),
			   rows[rows_n - 1].result.sequence);
	if (st == ST_OK) {
		qsort(rows, rows_n, sizeof(*rows), by_issue);
		st = list_put(c, r, s, rows, rows_n, q->show_hidden, n, &p.w);
	}
	if (st == ST_OK && rows_n == max)
		put_text(&p.w, 2, token);
	noting_end(c, n, &p, st);
}

void list_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListResultsRequest *q;
	Trien__V1__Person who = TRIEN__V1__PERSON__INIT;
	struct sight s;
	uint8_t key[16];
	uint64_t before;

	if (noting_done(c))
		return;
	q = read_request(c, r, &trien__v1__list_results_request__descriptor);
	if (q == NULL)
		return;
	who.id_kind = q->id_kind;
	who.country = q->country;
	who.number = q->number;
	if (!person_key(c, &who, "", key) ||
	    !sight_of(c, q->as_holder ? &who : NULL, &s))
		return;
	if (!page_read(q->page_token, list_mark(key, q->show_hidden), &before)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	list_page(c, r, &s, key, before, q);
}
