#include "client/clientcall.h"

#include <assert.h>
#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>

#define PEM_BYTES_MAX (256 * 1024)
#define ANSWER_BYTES_MAX (64 * 1024 * 1024)

struct unary {
	struct call call;
	const ProtobufCMessageDescriptor *answer;
	void *owner;
	struct unary *next, **link;	/* of the client's list, to cancel what is left */
};

/* ---- connecting ---- */

struct client_options client_defaults(void)
{
	const char *data = getenv("TRIEN_DATA");

	return (struct client_options){ .data = data != NULL ? data : "data",
					.connect = getenv("TRIEN_CONNECT"), .timeout_s = 60 };
}

static enum status read_pem(const char *path, char **out, struct error *e)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return error_set(e, ST_NOT_FOUND, "%s: %s", path, strerror(errno));
	*out = calloc(1, PEM_BYTES_MAX + 1);
	n = *out != NULL ? fread(*out, 1, PEM_BYTES_MAX + 1, f) : 0;
	fclose(f);
	if (n > 0 && n <= PEM_BYTES_MAX)
		return ST_OK;
	free(*out);
	*out = NULL;
	return error_set(e, ST_INVALID, "%s: empty or over %d bytes", path, PEM_BYTES_MAX);
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strncmp(address, "localhost:", 10) == 0 ||
	       strncmp(address, "[::1]:", 6) == 0;
}

static enum status choose_target(char target[TARGET_BYTES], const struct client_options *o,
				 struct error *e)
{
	const char *port;
	int n;

	if (o->connect == NULL)
		n = snprintf(target, TARGET_BYTES, "unix:%s/engine.sock", o->data);
	else
		n = snprintf(target, TARGET_BYTES, "%s", o->connect);
	if ((size_t)n >= TARGET_BYTES)
		return error_set(e, ST_INVALID, "the address is too long");
	if (strncmp(target, "unix:", 5) == 0) {
		if (strlen(target + 5) > SOCKET_PATH_MAX)
			return error_set(e, ST_INVALID, "%s: a socket's path has at most %zu bytes",
					 target, SOCKET_PATH_MAX);
		return ST_OK;
	}
	port = strrchr(target, ':');
	if (port == NULL || port == target || port[1] == '\0' ||
	    port[1 + strspn(port + 1, "0123456789")] != '\0' || strstr(target, "//") != NULL)
		return error_set(e, ST_INVALID, "--connect %s: unix:PATH or HOST:PORT is needed",
				 target);
	if (o->tls_ca == NULL && !is_loopback(target))
		return error_set(e, ST_INVALID, "--connect %s: clear text goes to loopback only; "
				 "give --tls-ca, --tls-cert and --tls-key", target);
	return ST_OK;
}

static enum status choose_credentials(grpc_channel_credentials **out, const char *target,
				      const struct client_options *o, struct error *e)
{
	char *ca = NULL, *cert = NULL, *key = NULL;
	enum status st = ST_OK;

	if (o->tls_ca == NULL && o->tls_cert == NULL && o->tls_key == NULL) {
		*out = grpc_insecure_credentials_create();
		return ST_OK;
	}
	if (strncmp(target, "unix:", 5) == 0)
		return error_set(e, ST_INVALID, "TLS files go with --connect HOST:PORT");
	if (o->tls_ca == NULL || o->tls_cert == NULL || o->tls_key == NULL)
		return error_set(e, ST_INVALID, "--tls-ca, --tls-cert and --tls-key go together");
	st = read_pem(o->tls_ca, &ca, e);
	if (st == ST_OK)
		st = read_pem(o->tls_cert, &cert, e);
	if (st == ST_OK)
		st = read_pem(o->tls_key, &key, e);
	if (st == ST_OK) {
		grpc_ssl_pem_key_cert_pair pair = { key, cert };

		*out = grpc_ssl_credentials_create_ex(ca, &pair, NULL, NULL);
		if (*out == NULL)
			st = error_set(e, ST_INVALID, "%s, %s: no PEM certificates", o->tls_ca,
				       o->tls_cert);
	}
	free(ca);
	free(cert);
	if (key != NULL)
		explicit_bzero(key, strlen(key));
	free(key);
	return st;
}

static enum status channel_new(grpc_channel **out, char target[TARGET_BYTES],
			       const struct client_options *o, bool apart, struct error *e)
{
	grpc_arg args[] = {
		/* http_proxy is for the web. */
		{ GRPC_ARG_INTEGER, GRPC_ARG_ENABLE_HTTP_PROXY, { .integer = 0 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
		  { .integer = ANSWER_BYTES_MAX } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, { .integer = 100 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, { .integer = 500 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, { .integer = 2000 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, { .integer = apart } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_HTTP2_BDP_PROBE, { .integer = 0 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, { .integer = 1 << 20 } },
		/* Those who call again do it themselves. */
		{ GRPC_ARG_INTEGER, GRPC_ARG_ENABLE_RETRIES, { .integer = 0 } },
	};
	grpc_channel_args list = { ARRAY_LEN(args), args };
	grpc_channel_credentials *creds = NULL;
	enum status st;

	/* Errors are told by us; names are looked up as everywhere else on this system. */
	setenv("GRPC_VERBOSITY", "NONE", 0);
	setenv("GRPC_DNS_RESOLVER", "native", 0);
	grpc_init();
	st = choose_target(target, o, e);
	if (st == ST_OK)
		st = choose_credentials(&creds, target, o, e);
	if (st != ST_OK) {
		grpc_shutdown();
		return st;
	}
	*out = grpc_channel_create(target, creds, &list);
	grpc_channel_credentials_release(creds);
	return ST_OK;
}

enum status client_channel(struct grpc_channel **out, const struct client_options *o, bool apart,
			   struct error *e)
{
	char target[TARGET_BYTES];

	return channel_new(out, target, o, apart, e);
}

enum status client_open(struct client **out, const struct client_options *o, struct error *e)
{
	struct client *c = calloc(1, sizeof(*c));
	enum status st;

	if (c == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	c->timeout_s = o->timeout_s;
	st = channel_new(&c->channel, c->target, o, false, e);
	if (st != ST_OK) {
		free(c);
		return st;
	}
	c->clear_port = o->tls_ca == NULL && strncmp(c->target, "unix:", 5) != 0;
	c->queue = grpc_completion_queue_create_for_next(NULL);
	*out = c;
	return ST_OK;
}

/* ---- messages ---- */

grpc_byte_buffer *client_packed(const ProtobufCMessage *m)
{
	grpc_slice s = grpc_slice_malloc(protobuf_c_message_get_packed_size(m));
	grpc_byte_buffer *b;

	protobuf_c_message_pack(m, GRPC_SLICE_START_PTR(s));
	b = grpc_raw_byte_buffer_create(&s, 1);
	grpc_slice_unref(s);
	return b;
}

ProtobufCMessage *client_unpacked(grpc_byte_buffer *b, const ProtobufCMessageDescriptor *type)
{
	grpc_byte_buffer_reader r;
	ProtobufCMessage *m;
	grpc_slice s;

	if (!grpc_byte_buffer_reader_init(&r, b))
		return NULL;
	s = grpc_byte_buffer_reader_readall(&r);
	m = protobuf_c_message_unpack(type, NULL, GRPC_SLICE_LENGTH(s), GRPC_SLICE_START_PTR(s));
	grpc_slice_unref(s);
	grpc_byte_buffer_reader_destroy(&r);
	return m;
}

void client_call_init(struct call *call, struct client *c, grpc_completion_queue *queue,
		      const char *method, uint64_t timeout_s)
{
	grpc_slice name = grpc_slice_from_copied_string(method);
	gpr_timespec end = timeout_s == 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC) :
		gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
			     gpr_time_from_seconds((int64_t)timeout_s, GPR_TIMESPAN));

	*call = (struct call){ .message = grpc_empty_slice() };
	grpc_metadata_array_init(&call->initial);
	grpc_metadata_array_init(&call->trailing);
	call->grpc = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
					      name, NULL, end, NULL);
	grpc_slice_unref(name);
}

void client_call_free(struct call *call)
{
	grpc_metadata_array_destroy(&call->initial);
	grpc_metadata_array_destroy(&call->trailing);
	grpc_byte_buffer_destroy(call->received);
	grpc_slice_unref(call->message);
	grpc_call_unref(call->grpc);
}

void client_failure(const struct client *c, const struct call *call, struct failure *f)
{
	failure_read(f, call->code, call->message, &call->trailing);
	if (f->code == GRPC_STATUS_UNAVAILABLE && f->reason[0] == '\0') {
		snprintf(f->en, sizeof(f->en), "no answer from %s; is the engine running, and may "
			 "this user or certificate call it?%s", c->target, c->clear_port ?
			 " This was clear text: a port with TLS wants --tls-ca, --tls-cert and "
			 "--tls-key" : "");
		snprintf(f->vi, sizeof(f->vi), "Không kết nối được với máy chủ");
	}
}

void client_unreadable(struct failure *f)
{
	*f = (struct failure){ .code = GRPC_STATUS_INTERNAL };
	snprintf(f->en, sizeof(f->en), "the answer is not one of this protocol; is it another "
		 "version?");
}

/* ---- unary calls ---- */

void client_start(struct client *c, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *answer, void *owner)
{
	struct unary *u = calloc(1, sizeof(*u));
	grpc_op ops[6] = { { 0 } };
	grpc_byte_buffer *out = client_packed(request);
	grpc_call_error rc;

	if (u == NULL)
		abort();
	u->answer = answer;
	u->owner = owner;
	u->next = c->under_way;
	u->link = &c->under_way;
	if (u->next != NULL)
		u->next->link = &u->next;
	c->under_way = u;
	client_call_init(&u->call, c, c->queue, method, c->timeout_s);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = out;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &u->call.initial;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &u->call.received;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &u->call.trailing;
	ops[5].data.recv_status_on_client.status = &u->call.code;
	ops[5].data.recv_status_on_client.status_details = &u->call.message;
	rc = grpc_call_start_batch(u->call.grpc, ops, ARRAY_LEN(ops), u, NULL);
	assert(rc == GRPC_CALL_OK);
	grpc_byte_buffer_destroy(out);
}

static void unary_free(struct unary *u)
{
	*u->link = u->next;
	if (u->next != NULL)
		u->next->link = u->link;
	client_call_free(&u->call);
	free(u);
}

void *client_next(struct client *c, uint32_t wait_ms, ProtobufCMessage **answer, struct failure *f)
{
	gpr_timespec end = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
					gpr_time_from_millis(wait_ms, GPR_TIMESPAN));
	struct unary *u;
	grpc_event ev;
	void *owner;

	*answer = NULL;
	if (c->under_way == NULL)
		return NULL;
	ev = grpc_completion_queue_next(c->queue, end, NULL);
	if (ev.type != GRPC_OP_COMPLETE)
		return NULL;
	u = ev.tag;
	owner = u->owner;
	client_failure(c, &u->call, f);
	if (f->code == GRPC_STATUS_OK) {
		if (u->call.received != NULL)
			*answer = client_unpacked(u->call.received, u->answer);
		if (*answer == NULL)
			client_unreadable(f);
	}
	unary_free(u);
	return owner;
}

ProtobufCMessage *client_call(struct client *c, const char *method, const ProtobufCMessage *request,
			      const ProtobufCMessageDescriptor *answer, struct failure *f)
{
	ProtobufCMessage *m;

	assert(c->under_way == NULL);
	client_start(c, method, request, answer, c);
	while (client_next(c, 60000, &m, f) == NULL)
		;
	return m;
}

/* ---- the end ---- */

void client_close(struct client *c)
{
	grpc_event ev;

	if (c == NULL)
		return;
	for (struct unary *u = c->under_way; u != NULL; u = u->next)
		grpc_call_cancel(u->call.grpc, NULL);
	grpc_completion_queue_shutdown(c->queue);
	while ((ev = grpc_completion_queue_next(c->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL))
	       .type != GRPC_QUEUE_SHUTDOWN)
		unary_free(ev.tag);
	grpc_completion_queue_destroy(c->queue);
	grpc_channel_destroy(c->channel);
	grpc_shutdown();
	free(c);
}
