/*
 * clientcall.h - what client.c and clientstream.c share: one call on gRPC core.
 */
#ifndef TRIEN_CLIENT_CLIENTCALL_H
#define TRIEN_CLIENT_CLIENTCALL_H

#include <grpc/grpc.h>
#include <sys/un.h>

#include "client/client.h"

/* What every call has, unary or stream. */
struct call {
	grpc_call *grpc;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *received;
	grpc_status_code code;
	grpc_slice message;
};

struct unary;

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define TARGET_BYTES (SOCKET_PATH_MAX + 64)

struct client {
	grpc_channel *channel;
	grpc_completion_queue *queue;
	struct unary *under_way;
	uint64_t timeout_s;
	char target[TARGET_BYTES];
	bool clear_port;		/* a TCP port, without TLS */
};

grpc_byte_buffer *client_packed(const ProtobufCMessage *m);
/* NULL: not of this type. */
ProtobufCMessage *client_unpacked(grpc_byte_buffer *b, const ProtobufCMessageDescriptor *type);
/* timeout_s 0: no end. */
void client_call_init(struct call *call, struct client *c, grpc_completion_queue *queue,
		      const char *method, uint64_t timeout_s);
void client_call_free(struct call *call);
/* What the call's status says. */
void client_failure(const struct client *c, const struct call *call, struct failure *f);
void client_unreadable(struct failure *f);

#endif
