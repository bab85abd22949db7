#include <assert.h>
#include <stdlib.h>

#include "client/clientcall.h"

struct client_stream {
	struct client *client;
	grpc_completion_queue *queue;
	struct call call;
	bool ended, has_status;	/* no message comes any more; code and message are there */
};

/* Waits for the batch; its own address is its tag. */
static bool batch_run(struct client_stream *s, const grpc_op *ops, size_t n)
{
	grpc_call_error rc = grpc_call_start_batch(s->call.grpc, ops, n, (void *)ops, NULL);

	assert(rc == GRPC_CALL_OK);
	return grpc_completion_queue_pluck(s->queue, (void *)ops,
					   gpr_inf_future(GPR_CLOCK_REALTIME), NULL).success != 0;
}

static struct client_stream *stream_new(struct client *c, const char *method, uint64_t timeout_s)
{
	struct client_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->client = c;
	s->queue = grpc_completion_queue_create_for_pluck(NULL);
	client_call_init(&s->call, c, s->queue, method, timeout_s);
	return s;
}

struct client_stream *client_stream_open(struct client *c, const char *method,
					 const ProtobufCMessage *request, uint64_t timeout_s)
{
	struct client_stream *s = stream_new(c, method, timeout_s);
	grpc_byte_buffer *out = client_packed(request);
	grpc_op ops[4] = { { 0 } };

	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = out;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &s->call.initial;
	s->ended = !batch_run(s, ops, ARRAY_LEN(ops));
	grpc_byte_buffer_destroy(out);
	return s;
}

static void stream_status(struct client_stream *s, struct failure *f)
{
	grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT };

	if (!s->has_status) {
		op.data.recv_status_on_client.trailing_metadata = &s->call.trailing;
		op.data.recv_status_on_client.status = &s->call.code;
		op.data.recv_status_on_client.status_details = &s->call.message;
		(void)batch_run(s, &op, 1);
		s->has_status = true;
	}
	if (f != NULL)
		client_failure(s->client, &s->call, f);
}

ProtobufCMessage *client_stream_read(struct client_stream *s,
				     const ProtobufCMessageDescriptor *type, struct failure *f)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };
	ProtobufCMessage *m;

	op.data.recv_message.recv_message = &s->call.received;
	if (!s->ended && (!batch_run(s, &op, 1) || s->call.received == NULL))
		s->ended = true;
	if (s->ended) {
		stream_status(s, f);
		return NULL;
	}
	m = client_unpacked(s->call.received, type);
	grpc_byte_buffer_destroy(s->call.received);
	s->call.received = NULL;
	if (m == NULL)
		client_unreadable(f);
	return m;
}

struct client_stream *client_upload_open(struct client *c, const char *method, uint64_t timeout_s)
{
	struct client_stream *s = stream_new(c, method, timeout_s);
	grpc_op op = { .op = GRPC_OP_SEND_INITIAL_METADATA };

	s->ended = !batch_run(s, &op, 1);
	return s;
}

bool client_upload_send(struct client_stream *s, const ProtobufCMessage *m)
{
	grpc_op op = { .op = GRPC_OP_SEND_MESSAGE };
	grpc_byte_buffer *out;

	if (s->ended)
		return false;
	out = client_packed(m);
	op.data.send_message.send_message = out;
	s->ended = !batch_run(s, &op, 1);
	grpc_byte_buffer_destroy(out);
	return !s->ended;
}

ProtobufCMessage *client_upload_end(struct client_stream *s,
				    const ProtobufCMessageDescriptor *type, struct failure *f)
{
	grpc_op close = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
	grpc_op ops[3] = { { 0 } };
	ProtobufCMessage *m = NULL;

	/* Who ended the call before all was sent may have answered all the same. */
	if (!s->ended)
		(void)batch_run(s, &close, 1);
	s->ended = s->has_status = true;
	ops[0].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[0].data.recv_initial_metadata.recv_initial_metadata = &s->call.initial;
	ops[1].op = GRPC_OP_RECV_MESSAGE;
	ops[1].data.recv_message.recv_message = &s->call.received;
	ops[2].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[2].data.recv_status_on_client.trailing_metadata = &s->call.trailing;
	ops[2].data.recv_status_on_client.status = &s->call.code;
	ops[2].data.recv_status_on_client.status_details = &s->call.message;
	(void)batch_run(s, ops, ARRAY_LEN(ops));
	client_failure(s->client, &s->call, f);
	if (f->code == GRPC_STATUS_OK && s->call.received != NULL)
		m = client_unpacked(s->call.received, type);
	if (f->code == GRPC_STATUS_OK && m == NULL)
		client_unreadable(f);
	return m;
}

void client_stream_close(struct client_stream *s)
{
	if (s == NULL)
		return;
	grpc_call_cancel(s->call.grpc, NULL);
	stream_status(s, NULL);
	client_call_free(&s->call);
	grpc_completion_queue_shutdown(s->queue);
	while (grpc_completion_queue_pluck(s->queue, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
	       .type != GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(s->queue);
	free(s);
}
