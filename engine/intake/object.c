#include <stdlib.h>

#include "base/wire.h"
#include "intake/noted.h"

#define HEAD_BYTES_MAX 32

struct object {
	uint8_t sha256[SHA256_BYTES];
	uint64_t offset;
	bool begun, ended;
};

/* A line of the set that ends in this digest. */
static bool names(struct slice set, const uint8_t sha256[SHA256_BYTES])
{
	char line[2 * SHA256_BYTES + 3] = " ";

	hex_lower(line + 1, sha256, SHA256_BYTES);
	line[2 * SHA256_BYTES + 1] = '\n';
	return memmem(set.p, set.n, line, 2 * SHA256_BYTES + 2) != NULL;
}

/* ST_NOT_FOUND: none of the result's signatures rests on it. */
static enum status rests_on(struct call *c, struct read_thread *r, const struct result_view *v,
			    const uint8_t sha256[SHA256_BYTES])
{
	struct signature_view kept[DOC_SIGNATURES_MAX];
	uint8_t n = v->signatures_n;
	enum status st = ST_NOT_FOUND;

	/* The view is borrowed until the next object is read. */
	memcpy(kept, v->signatures, sizeof(kept));
	for (uint8_t i = 0; i < n; i++)
		if (memcmp(kept[i].cert_sha256, sha256, SHA256_BYTES) == 0 ||
		    memcmp(kept[i].evidence_sha256, sha256, SHA256_BYTES) == 0)
			return ST_OK;
	for (uint8_t i = 0; i < n && st == ST_NOT_FOUND; i++) {
		struct slice set;

		st = c->in->ops.object(r->store, kept[i].evidence_sha256, &set);
		if (st == ST_OK && !names(set, sha256))
			st = ST_NOT_FOUND;
	}
	return st;
}

static void refuse_object(struct call *c, enum status st)
{
	if (st == ST_NOT_FOUND)
		call_refuse(c, FAULT_OBJECT_NOT_FOUND, "sha256", "%s", "");
	else
		read_refuse(c, st);
}

/* False: the call is answered. */
static bool begin(struct call *c, struct read_thread *r)
{
	const Trien__V1__DownloadObjectRequest *q =
		read_request(c, r, &trien__v1__download_object_request__descriptor);
	struct object *o;
	struct result_view v;
	struct sight s;
	enum status st;

	if (q == NULL || !sight_of(c, q->as_holder, &s))
		return false;
	if (q->sha256.len != SHA256_BYTES) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "sha256", "32 bytes");
		return false;
	}
	if (!read_stored(c, r, &s, q->result_id, &v))
		return false;
	st = rests_on(c, r, &v, q->sha256.data);
	if (st != ST_OK) {
		refuse_object(c, st);
		return false;
	}
	if (!one_noted(c, READ_OBJECT, q->purpose, &s, &v))
		return false;
	o = calloc(1, sizeof(*o));
	if (o == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return false;
	}
	memcpy(o->sha256, q->sha256.data, SHA256_BYTES);
	c->state = o;
	return true;
}

static void send_chunk(struct call *c, struct read_thread *r, struct object *o)
{
	uint8_t head[HEAD_BYTES_MAX];
	struct writer w = writer_of(head, sizeof(head));
	struct slice all;
	grpc_slice message;
	size_t n;
	enum status st = c->in->ops.object(r->store, o->sha256, &all);

	if (st != ST_OK || all.n < o->offset) {
		refuse_object(c, st != ST_OK ? st : ST_CORRUPT);
		return;
	}
	n = all.n - o->offset < OBJECT_CHUNK_BYTES ? all.n - o->offset : OBJECT_CHUNK_BYTES;
	if (!o->begun)
		put_number(&w, 1, all.n);
	put_varint(&w, 2 << 3 | WIRE_BYTES);
	put_varint(&w, n);
	message = grpc_slice_malloc(writer_size(&w) + n);
	memcpy(GRPC_SLICE_START_PTR(message), head, writer_size(&w));
	memcpy(GRPC_SLICE_START_PTR(message) + writer_size(&w), all.p + o->offset, n);
	o->begun = true;
	o->offset += n;
	o->ended = o->offset == all.n;
	call_send(c, message);
}

void object_work(struct call *c, struct read_thread *r)
{
	struct object *o = c->state;

	if (atomic_load(&c->cancelled)) {
		call_drop(c);
		return;
	}
	if (o == NULL && !begin(c, r))
		return;
	o = c->state;
	if (o->ended)
		call_finish(c, NULL);
	else
		send_chunk(c, r, o);
}
