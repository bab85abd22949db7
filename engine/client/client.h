/*
 * client.h - a small gRPC client of the engine on gRPC core, for commands and portal.
 *
 * Unary calls may be several at a time and end in any order; a server stream is read message by
 * message, an upload sent so. One thread. Messages handed out are the caller's:
 * protobuf_c_message_free_unpacked().
 */
#ifndef TRIEN_CLIENT_CLIENT_H
#define TRIEN_CLIENT_CLIENT_H

#include <protobuf-c/protobuf-c.h>

#include "base/status.h"
#include "client/failure.h"

#define ISSUANCE "/trien.v1.Issuance/"
#define REPOSITORY "/trien.v1.Repository/"
#define OPERATIONS "/trien.v1.Operations/"
#define AUDIT "/trien.v1.Audit/"

struct client;

struct client_options {
	const char *data;		/* the socket is DATA/engine.sock */
	const char *connect;		/* "unix:PATH" or "HOST:PORT"; NULL: the socket */
	/* PEM files; NULL: clear text, to loopback only */
	const char *tls_ca, *tls_cert, *tls_key;
	uint64_t timeout_s;		/* of one call */
};

/* From TRIEN_DATA and TRIEN_CONNECT where they are set. */
struct client_options client_defaults(void);

struct grpc_channel;

/*
 * A channel of the caller's own, for those who make calls by themselves; grpc_init() is done.
 * apart: on connections that no other channel of this process shares. Errors as client_open().
 */
enum status client_channel(struct grpc_channel **out, const struct client_options *o, bool apart,
			   struct error *e) must_use;

/*
 * Connects with the first call. ST_INVALID: an address or a combination that cannot be;
 * ST_NOT_FOUND: a PEM file that cannot be read.
 */
enum status client_open(struct client **out, const struct client_options *o,
			struct error *e) must_use;
/* Cancels and frees what is left. NULL is allowed. */
void client_close(struct client *c);

/* Waits. NULL: *f says why. */
ProtobufCMessage *client_call(struct client *c, const char *method, const ProtobufCMessage *request,
			      const ProtobufCMessageDescriptor *answer, struct failure *f);

/* Starts a call; the request is packed at once. owner comes back with its end. */
void client_start(struct client *c, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *answer, void *owner);
/*
 * The owner of a call that ended, with its answer or *f; NULL: none within wait_ms, or none is
 * under way.
 */
void *client_next(struct client *c, uint32_t wait_ms, ProtobufCMessage **answer, struct failure *f);

struct client_stream;

/* timeout_s 0: no end. */
struct client_stream *client_stream_open(struct client *c, const char *method,
					 const ProtobufCMessage *request, uint64_t timeout_s);
/* The next message; NULL: the end, with f->code 0 when it is the good one. Waits. */
ProtobufCMessage *client_stream_read(struct client_stream *s,
				     const ProtobufCMessageDescriptor *type, struct failure *f);
/* A call to which messages are sent one by one, and which has one answer. */
struct client_stream *client_upload_open(struct client *c, const char *method, uint64_t timeout_s);
/* Waits until it may leave. False: the call is over; client_upload_end() says how. */
bool client_upload_send(struct client_stream *s, const ProtobufCMessage *m);
/* That was all: its answer. NULL: *f says why. Waits. */
ProtobufCMessage *client_upload_end(struct client_stream *s,
				    const ProtobufCMessageDescriptor *type, struct failure *f);
/* Cancels what is left. NULL is allowed. */
void client_stream_close(struct client_stream *s);

#endif
