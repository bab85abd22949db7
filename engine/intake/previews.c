#include <stdlib.h>

#include "base/wire.h"
#include "intake/waiting.h"
#include "trien/v1/signing.pb-c.h"

#define PREVIEWS_MAX 32			/* files held for slow readers */
#define HEAD_BYTES_MAX 128

struct preview {
	struct held_file *file;
	uint64_t size, offset;
	uint8_t file_sha256[SHA256_BYTES], case_sha256[SHA256_BYTES];
	bool begun;
};

void waiting_preview_free(struct call *c)
{
	struct preview *p = c->state;

	if (p == NULL)
		return;
	atomic_fetch_sub(&c->in->previews, 1);
	held_file_free(p->file);
	free(p);
}

/* A place among the files held. NULL: the call is answered. */
static struct preview *place_take(struct call *c)
{
	struct preview *p = NULL;

	if (atomic_fetch_add(&c->in->previews, 1) < PREVIEWS_MAX)
		p = calloc(1, sizeof(*p));
	if (p == NULL) {
		atomic_fetch_sub(&c->in->previews, 1);
		call_refuse(c, FAULT_BUSY, "", "too many drafts at the same time");
		return NULL;
	}
	c->state = p;
	return p;
}

/* False: the call is answered. */
static bool begin(struct call *c, struct read_thread *r)
{
	const Trien__V1__PreviewWaitingRequest *q =
		read_request(c, r, &trien__v1__preview_waiting_request__descriptor);
	const struct engine_ops *ops = &c->in->ops;
	struct waiting_paper paper;
	struct catalogue *catalogue;
	struct error e = { 0 };
	struct preview *p;
	uint8_t id[16];
	enum status st;

	if (q == NULL || !waiting_mine(c, r, q->result_id, id, &paper.row))
		return false;
	p = place_take(c);
	if (p == NULL)
		return false;
	catalogue = ops->catalogue(ops->ctx);
	st = ops->waiting_paper(r->store, catalogue, id, true, &paper, &e);
	catalogue_unref(catalogue);
	if (st == ST_NOT_FOUND)
		call_refuse(c, FAULT_RESULT_NOT_WAITING, "result_id", "%s", "");
	else if (st != ST_OK)
		call_refuse(c, status_class(st) == CLASS_RETRY ? FAULT_BUSY : FAULT_INTERNAL, "",
			    "%s", e.text);
	if (st != ST_OK)
		return false;
	p->file = paper.file;
	p->size = paper.file_n;
	memcpy(p->file_sha256, paper.preview_sha256, SHA256_BYTES);
	memcpy(p->case_sha256, paper.case_sha256, SHA256_BYTES);
	return true;
}

static void send_chunk(struct call *c, struct preview *p)
{
	size_t n = p->size - p->offset < DOWNLOAD_CHUNK_BYTES ? (size_t)(p->size - p->offset) :
		   DOWNLOAD_CHUNK_BYTES;
	grpc_slice message = grpc_slice_malloc(HEAD_BYTES_MAX + n);
	struct writer w = writer_of(GRPC_SLICE_START_PTR(message), HEAD_BYTES_MAX + n);

	if (!p->begun) {
		put_number(&w, 1, p->size);
		put_slice(&w, 2, slice_of(p->file_sha256, SHA256_BYTES));
		put_slice(&w, 3, slice_of(p->case_sha256, SHA256_BYTES));
		p->begun = true;
	}
	put_varint(&w, 4 << 3 | WIRE_BYTES);
	put_varint(&w, n);
	if (held_file_read(p->file, p->offset, w.p, n) != ST_OK) {
		grpc_slice_unref(message);
		call_refuse(c, FAULT_INTERNAL, "", "the original that is copied cannot be read");
		return;
	}
	p->offset += n;
	GRPC_SLICE_SET_LENGTH(message, writer_size(&w) + n);
	call_send(c, message);
}

void waiting_preview_work(struct call *c, struct read_thread *r)
{
	struct preview *p = c->state;

	if (atomic_load(&c->cancelled)) {
		call_drop(c);
		return;
	}
	if (p == NULL && !begin(c, r))
		return;
	p = c->state;
	if (p->begun && p->offset == p->size)
		call_finish(c, NULL);
	else
		send_chunk(c, p);
}
