#include "load/rpc.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>

/* What completes: all of a unary call, or one side of a stream. */
enum part { PART_WHOLE, PART_BEGUN, PART_READ, PART_WRITTEN, PART_CLOSED, PART_STATUS, PARTS };

struct tag { struct rpc_call *call; enum part part; };

/* Messages of a stream that wait for the one before. */
struct pending { struct pending *next; grpc_byte_buffer *bytes; };

struct rpc_call {
	struct rpc *rpc;
	enum rpc_form form;
	grpc_call *grpc;
	const struct rpc_owner *how;
	void *owner;
	struct tag tags[PARTS];
	uint32_t open;			/* batches of operations under way */
	bool writing, finish, closed, over;
	struct pending *first, **last;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *received;
	grpc_status_code code;
	grpc_slice message;
	struct rpc_call *next, **link;
};

struct rpc {
	grpc_channel *channels[RPC_CONNECTIONS_MAX];
	uint32_t channels_n, under_way;
	grpc_completion_queue *queue;
	struct rpc_call *calls;
};

enum status rpc_open(struct rpc **out, const struct client_options *o, uint32_t connections,
		     struct error *e)
{
	struct rpc *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	assert(connections >= 1 && connections <= RPC_CONNECTIONS_MAX);
	for (; r->channels_n < connections; r->channels_n++) {
		enum status st = client_channel(&r->channels[r->channels_n], o, true, e);

		if (st != ST_OK) {
			rpc_close(r);
			return st;
		}
	}
	r->queue = grpc_completion_queue_create_for_next(NULL);
	*out = r;
	return ST_OK;
}

void rpc_close(struct rpc *r)
{
	if (r == NULL)
		return;
	for (struct rpc_call *c = r->calls; c != NULL; c = c->next)
		grpc_call_cancel(c->grpc, NULL);
	while (r->under_way > 0)
		rpc_wait(r, 100000);
	for (uint32_t i = 0; i < r->channels_n; i++)
		grpc_channel_destroy(r->channels[i]);
	if (r->queue != NULL) {
		grpc_completion_queue_shutdown(r->queue);
		while (grpc_completion_queue_next(r->queue, gpr_inf_future(GPR_CLOCK_REALTIME),
						  NULL).type != GRPC_QUEUE_SHUTDOWN)
			;
		grpc_completion_queue_destroy(r->queue);
	}
	for (uint32_t i = 0; i < r->channels_n; i++)
		grpc_shutdown();
	free(r);
}

struct rpc_buffer rpc_buffer(size_t n)
{
	/* Never a short one that lies within the slice itself and moves with it. */
	grpc_slice s = grpc_slice_malloc_large(n);

	return (struct rpc_buffer){ s, GRPC_SLICE_START_PTR(s) };
}

void rpc_trim(struct rpc_buffer *b, size_t n)
{
	assert(n <= GRPC_SLICE_LENGTH(b->slice));
	GRPC_SLICE_SET_LENGTH(b->slice, n);
}

static grpc_byte_buffer *taken(struct rpc_buffer *b)
{
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&b->slice, 1);

	grpc_slice_unref(b->slice);
	b->p = NULL;
	return bytes;
}

/* ---- operations ---- */

static void begin(struct rpc_call *c, const grpc_op *ops, size_t n, enum part part)
{
	grpc_call_error rc;

	c->tags[part] = (struct tag){ c, part };
	c->open++;
	rc = grpc_call_start_batch(c->grpc, ops, n, &c->tags[part], NULL);
	assert(rc == GRPC_CALL_OK);
}

static grpc_op op_send(grpc_byte_buffer *bytes)
{
	grpc_op op = { .op = GRPC_OP_SEND_MESSAGE };

	op.data.send_message.send_message = bytes;
	return op;
}

static grpc_op op_receive(struct rpc_call *c)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	op.data.recv_message.recv_message = &c->received;
	return op;
}

static grpc_op op_headers(struct rpc_call *c)
{
	grpc_op op = { .op = GRPC_OP_RECV_INITIAL_METADATA };

	op.data.recv_initial_metadata.recv_initial_metadata = &c->initial;
	return op;
}

static grpc_op op_status(struct rpc_call *c)
{
	grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT };

	op.data.recv_status_on_client.trailing_metadata = &c->trailing;
	op.data.recv_status_on_client.status = &c->code;
	op.data.recv_status_on_client.status_details = &c->message;
	return op;
}

/* One completion for the whole call. */
static void begin_unary(struct rpc_call *c, grpc_byte_buffer *request)
{
	const grpc_op ops[] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA }, op_send(request),
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT }, op_headers(c), op_receive(c),
		op_status(c),
	};

	begin(c, ops, ARRAY_LEN(ops), PART_WHOLE);
}

/* A call with one request begins and ends in one batch of operations: messages come between. */
static void begin_server_stream(struct rpc_call *c, grpc_byte_buffer *request)
{
	const grpc_op read = op_receive(c), ops[] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA }, op_send(request),
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT }, op_headers(c), op_status(c),
	};

	c->closed = true;
	begin(c, ops, ARRAY_LEN(ops), PART_STATUS);
	begin(c, &read, 1, PART_READ);
}

static void begin_bidi(struct rpc_call *c)
{
	const grpc_op status = op_status(c), read = op_receive(c);
	const grpc_op ops[] = { { .op = GRPC_OP_SEND_INITIAL_METADATA }, op_headers(c) };

	begin(c, &status, 1, PART_STATUS);
	begin(c, ops, ARRAY_LEN(ops), PART_BEGUN);
	begin(c, &read, 1, PART_READ);
}

struct rpc_call *rpc_start(struct rpc *r, enum rpc_form form, uint32_t connection,
			   const char *method, struct rpc_buffer *b, uint32_t timeout_ms,
			   const struct rpc_owner *how, void *owner)
{
	struct rpc_call *c = calloc(1, sizeof(*c));
	grpc_slice name = grpc_slice_from_copied_string(method);
	gpr_timespec end = timeout_ms == 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC) :
		gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
			     gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
	grpc_byte_buffer *request = b != NULL ? taken(b) : NULL;

	if (c == NULL)
		abort();
	*c = (struct rpc_call){ .rpc = r, .form = form, .how = how, .owner = owner,
				.message = grpc_empty_slice(), .next = r->calls,
				.link = &r->calls };
	c->last = &c->first;
	if (c->next != NULL)
		c->next->link = &c->next;
	r->calls = c;
	r->under_way++;
	grpc_metadata_array_init(&c->initial);
	grpc_metadata_array_init(&c->trailing);
	c->grpc = grpc_channel_create_call(r->channels[connection % r->channels_n], NULL,
					   GRPC_PROPAGATE_DEFAULTS, r->queue, name, NULL, end,
					   NULL);
	grpc_slice_unref(name);
	if (form == RPC_UNARY)
		begin_unary(c, request);
	else if (form == RPC_SERVER_STREAM)
		begin_server_stream(c, request);
	else
		begin_bidi(c);
	grpc_byte_buffer_destroy(request);
	return c;
}

/* The next message that waits, or the end of the client's side. */
static void write_on(struct rpc_call *c)
{
	struct pending *p = c->first;

	if (c->writing || c->over)
		return;
	if (p != NULL) {
		const grpc_op op = op_send(p->bytes);

		c->first = p->next;
		if (c->first == NULL)
			c->last = &c->first;
		c->writing = true;
		begin(c, &op, 1, PART_WRITTEN);
		grpc_byte_buffer_destroy(p->bytes);
		free(p);
	} else if (c->finish && !c->closed) {
		const grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };

		c->closed = true;
		begin(c, &op, 1, PART_CLOSED);
	}
}

void rpc_send(struct rpc_call *c, struct rpc_buffer *b)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->bytes = taken(b);
	*c->last = p;
	c->last = &p->next;
	write_on(c);
}

void rpc_finish(struct rpc_call *c)
{
	c->finish = true;
	write_on(c);
}

void rpc_cancel(struct rpc_call *c)
{
	grpc_call_cancel(c->grpc, NULL);
}

/* ---- completions ---- */

static void give_message(struct rpc_call *c)
{
	grpc_byte_buffer_reader reader;
	grpc_slice s;

	if (grpc_byte_buffer_reader_init(&reader, c->received)) {
		s = grpc_byte_buffer_reader_readall(&reader);
		c->how->message(c->owner, slice_of(GRPC_SLICE_START_PTR(s), GRPC_SLICE_LENGTH(s)));
		grpc_slice_unref(s);
		grpc_byte_buffer_reader_destroy(&reader);
	}
	grpc_byte_buffer_destroy(c->received);
	c->received = NULL;
}

static void call_free(struct rpc_call *c)
{
	while (c->first != NULL) {
		struct pending *p = c->first;

		c->first = p->next;
		grpc_byte_buffer_destroy(p->bytes);
		free(p);
	}
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	c->rpc->under_way--;
	grpc_metadata_array_destroy(&c->initial);
	grpc_metadata_array_destroy(&c->trailing);
	grpc_byte_buffer_destroy(c->received);
	grpc_slice_unref(c->message);
	grpc_call_unref(c->grpc);
	free(c);
}

static void complete(struct rpc_call *c, enum part part)
{
	struct failure f = { 0 };

	c->open--;
	if (part == PART_WRITTEN)
		c->writing = false;
	if (part == PART_STATUS || part == PART_WHOLE)
		c->over = true;
	if (part == PART_WHOLE && c->received != NULL && c->code == GRPC_STATUS_OK)
		give_message(c);
	if (part == PART_READ && c->received != NULL) {
		const grpc_op read = op_receive(c);

		give_message(c);
		begin(c, &read, 1, PART_READ);
	}
	write_on(c);
	if (!c->over || c->open > 0)
		return;
	if (c->code != GRPC_STATUS_OK)
		failure_read(&f, c->code, c->message, &c->trailing);
	c->how->ended(c->owner, c->code != GRPC_STATUS_OK ? &f : NULL);
	call_free(c);
}

void rpc_wait(struct rpc *r, uint32_t wait_us)
{
	gpr_timespec end = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
					gpr_time_from_micros(wait_us, GPR_TIMESPAN));
	/* One that is there is taken without a look at the sockets: that look has a price. */
	grpc_event ev = grpc_completion_queue_next(r->queue, end, NULL);
	struct tag *t = ev.tag;

	if (ev.type == GRPC_OP_COMPLETE)
		complete(t->call, t->part);
}

uint32_t rpc_under_way(const struct rpc *r)
{
	return r->under_way;
}
