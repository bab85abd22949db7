#include <stdio.h>
#include <stdlib.h>

#include "base/wire.h"
#include "intake/noted.h"

#define HEAD_BYTES_MAX 128

struct download {
	uint8_t id[16];
	uint64_t offset, size;
	uint8_t sha256[SHA256_BYTES];
	bool begun;
};

/* False: the call is answered. */
static bool begin(struct call *c, struct read_thread *r)
{
	const Trien__V1__DownloadResultRequest *q =
		read_request(c, r, &trien__v1__download_result_request__descriptor);
	struct download *d;
	struct result_view v;
	struct sight s;
	enum status st;

	if (q == NULL || !sight_of(c, q->as_holder, &s) ||
	    !read_stored(c, r, &s, q->result_id, &v))
		return false;
	if (q->offset > v.file_size) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "offset", "beyond the end of the file");
		return false;
	}
	if (!one_noted(c, READ_DOWNLOAD, q->purpose, &s, &v))
		return false;
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return false;
	}
	c->state = d;
	memcpy(d->id, v.result_id, sizeof(d->id));
	memcpy(d->sha256, v.file_sha256, sizeof(d->sha256));
	d->offset = q->offset;
	d->size = v.file_size;
	/* The store checks the whole file where a download begins: so does one that goes on. */
	if (d->offset > 0) {
		uint8_t first;
		size_t n = 1;

		st = c->in->ops.read(r->store, d->id, 0, &first, &n);
		if (st != ST_OK) {
			read_refuse(c, st);
			return false;
		}
	}
	atomic_fetch_add_explicit(&c->in->downloads, 1, memory_order_relaxed);
	return true;
}

static void put_head(struct writer *w, struct download *d)
{
	char name[ID_TEXT_BYTES + 5];

	id_text(name, d->id);
	memcpy(name + ID_TEXT_BYTES, ".pdf", 5);
	put_number(w, 1, d->size);
	put_slice(w, 2, slice_of(d->sha256, sizeof(d->sha256)));
	put_text(w, 3, name);
	d->begun = true;
}

/* The chunk is read into the message itself: no copy of ours on the way. */
static void send_chunk(struct call *c, struct read_thread *r, struct download *d)
{
	size_t want = d->size - d->offset < DOWNLOAD_CHUNK_BYTES ? (size_t)(d->size - d->offset) :
		      DOWNLOAD_CHUNK_BYTES, n = want;
	grpc_slice message = grpc_slice_malloc(HEAD_BYTES_MAX + want);
	struct writer w = writer_of(GRPC_SLICE_START_PTR(message), HEAD_BYTES_MAX);
	enum status st = ST_OK;

	if (!d->begun)
		put_head(&w, d);
	if (want > 0) {
		put_varint(&w, 4 << 3 | WIRE_BYTES);
		put_varint(&w, want);
		st = c->in->ops.read(r->store, d->id, d->offset, w.p, &n);
	}
	if (st != ST_OK || n != want) {
		grpc_slice_unref(message);
		read_refuse(c, st != ST_OK ? st : ST_CORRUPT);
		return;
	}
	d->offset += n;
	atomic_fetch_add_explicit(&c->in->download_bytes, n, memory_order_relaxed);
	GRPC_SLICE_SET_LENGTH(message, writer_size(&w) + n);
	call_send(c, message);
}

void download_work(struct call *c, struct read_thread *r)
{
	struct download *d = c->state;

	if (atomic_load(&c->cancelled)) {
		call_drop(c);
		return;
	}
	if (d == NULL && !begin(c, r))
		return;
	d = c->state;
	if (d->begun && d->offset == d->size)
		call_finish(c, NULL);
	else
		send_chunk(c, r, d);
}
