#include "intake/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "intake/answer.h"

/* One reply; a BatchGet of the largest kind stays below. */
#define REPLY_BYTES_MAX (3 * 1024 * 1024 + 512 * 1024)

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

bool read_allowed(const struct call *c, struct slice unit)
{
	return principal_may(c->principal, MAY_PORTAL) ||
	       (principal_may(c->principal, MAY_READ | MAY_REGISTRY | MAY_SUBMIT) &&
		principal_unit(c->principal, unit));
}

enum status read_result(struct call *c, struct read_thread *r, const char *id,
			struct result_view *out)
{
	uint8_t rid[16];
	enum status st;

	if (!id_read(rid, slice_str(id)))
		return ST_NOT_FOUND;
	st = c->in->ops.get(r->store, rid, out);
	if (st == ST_OK && !read_allowed(c, out->unit) &&
	    (c->noting == NULL || out->state != STATE_STORED))
		return ST_NOT_FOUND;
	return st;
}

void read_refuse(struct call *c, enum status st)
{
	if (st == ST_NOT_FOUND)
		call_refuse(c, FAULT_RESULT_NOT_FOUND, "result_id", "%s", "");
	else if (st == ST_CORRUPT)
		call_refuse(c, FAULT_FILE_DAMAGED, "", "%s", "");
	else if (status_class(st) == CLASS_RETRY || st == ST_IO)
		call_refuse(c, FAULT_STORE_AWAY, "", "%s", status_name(st));
	else
		call_refuse(c, FAULT_INTERNAL, "", "%s", status_name(st));
}

bool read_stored(struct call *c, struct read_thread *r, const char *id, struct result_view *out)
{
	enum status st = read_result(c, r, id, out);

	if (st != ST_OK)
		read_refuse(c, st);
	else if (out->state != STATE_STORED)
		call_refuse(c, FAULT_RESULT_NOT_STORED, "result_id", "%s", "");
	return st == ST_OK && out->state == STATE_STORED;
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
	       (principal_may(c->principal, MAY_READ | MAY_REGISTRY) &&
		principal_unit(c->principal, v->unit));
}

/* The large buffer of a reply: from the heap, so that no thread keeps one. */
struct reply { uint8_t *buf; struct writer w; };

static bool reply_open(struct call *c, struct reply *p, size_t size)
{
	p->buf = malloc(size);
	if (p->buf == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory for the reply");
		return false;
	}
	p->w = writer_of(p->buf, size);
	return true;
}

static void reply_close(struct call *c, struct reply *p)
{
	if (p->w.bad)
		call_refuse(c, FAULT_TOO_MANY, "", "the reply is too large; ask for less");
	else
		call_reply(c, slice_copied(&p->w));
	free(p->buf);
}

void get_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__GetResultRequest *q =
		read_request(c, r, &trien__v1__get_result_request__descriptor);
	struct result_view v;
	struct reply p;
	enum status st;

	if (q == NULL || !reuse_noted(c, r, q->purpose, &q->result_id, 1))
		return;
	st = read_result(c, r, q->result_id, &v);
	if (st != ST_OK) {
		read_refuse(c, st);
		return;
	}
	if (!reply_open(c, &p, RESULT_BYTES_MAX(&v)))
		return;
	st = answer_result(&p.w, &v, whole_allowed(c, &v), &r->scratch);
	if (st == ST_OK) {
		reply_close(c, &p);
		return;
	}
	free(p.buf);
	read_refuse(c, st);
}

void batch_get_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__BatchGetResultsRequest *q =
		read_request(c, r, &trien__v1__batch_get_results_request__descriptor);
	struct reply p;
	enum status st = ST_OK;

	if (q == NULL)
		return;
	if (q->n_result_ids == 0 || q->n_result_ids > BATCH_GET_MAX) {
		call_refuse(c, FAULT_TOO_MANY, "result_ids", "1 to %d", BATCH_GET_MAX);
		return;
	}
	if (!reuse_noted(c, r, q->purpose, q->result_ids, q->n_result_ids))
		return;
	if (!reply_open(c, &p, REPLY_BYTES_MAX))
		return;
	for (size_t i = 0; st == ST_OK && i < q->n_result_ids; i++) {
		struct result_view v;
		size_t mark = r->scratch.used;
		uint8_t *at;

		st = read_result(c, r, q->result_ids[i], &v);
		if (st == ST_NOT_FOUND) {
			put_text(&p.w, 2, strlen(q->result_ids[i]) == ID_TEXT_BYTES ?
				 q->result_ids[i] : "?");
			st = ST_OK;
			continue;
		}
		if (st != ST_OK)
			break;
		at = put_begin(&p.w, 1);
		st = answer_result(&p.w, &v, false, &r->scratch);
		put_end(&p.w, at);
		r->scratch.used = mark;
	}
	if (st == ST_OK) {
		reply_close(c, &p);
		return;
	}
	free(p.buf);
	read_refuse(c, st);
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

static void put_holding(struct writer *w, const struct holding_view *h, struct arena *scratch,
			enum status *st)
{
	uint8_t *at = put_begin(w, 1), *inner = put_begin(w, 1);

	*st = answer_result(w, &h->result, false, scratch);
	put_end(w, inner);
	put_number(w, 2, h->role);
	answer_day(w, 3, h->from);
	answer_day(w, 4, h->to);
	put_number(w, 5, h->visibility);
	put_end(w, at);
}

static void list_page(struct call *c, struct read_thread *r, const uint8_t key[16], uint64_t before,
		      const Trien__V1__ListResultsRequest *q)
{
	uint32_t max = page_size(q->page_size), n = 0;
	struct holding_view *rows = arena_take(&r->scratch, max * sizeof(*rows));
	char token[PAGE_TOKEN_BYTES + 1];
	struct reply p;
	enum status st;

	if (rows == NULL || !reply_open(c, &p, REPLY_BYTES_MAX))
		return;
	st = c->in->ops.list(r->store, key, before, max, rows, &n);
	for (uint32_t i = 0; st == ST_OK && i < n; i++)
		if (read_allowed(c, rows[i].result.unit) &&
		    (rows[i].visibility != TRIEN__V1__HOLDER__VISIBILITY__HIDDEN || q->show_hidden))
			put_holding(&p.w, &rows[i], &r->scratch, &st);
	if (st != ST_OK) {
		free(p.buf);
		read_refuse(c, st);
		return;
	}
	if (n == max) {
		page_write(token, list_mark(key, q->show_hidden), rows[n - 1].result.sequence);
		put_text(&p.w, 2, token);
	}
	reply_close(c, &p);
}

void list_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListResultsRequest *q =
		read_request(c, r, &trien__v1__list_results_request__descriptor);
	const char *country;
	uint8_t key[16];
	uint64_t before;

	if (q == NULL)
		return;
	if (q->number[0] == '\0' || strlen(q->number) > CODE_BYTES_MAX) {
		call_refuse(c, FAULT_ARGUMENT_MISSING, "number", "1 to 40 bytes");
		return;
	}
	country = q->country[0] == '\0' ? "VN" : q->country;
	if ((int)q->id_kind < ID_CITIZEN || (int)q->id_kind > ID_OTHER || strlen(country) != 2) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "id_kind", "id kind or country");
		return;
	}
	holder_key_of_id(key, (uint8_t)q->id_kind, slice_str(country), slice_str(q->number));
	if (!page_read(q->page_token, list_mark(key, q->show_hidden), &before)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	list_page(c, r, key, before, q);
}
