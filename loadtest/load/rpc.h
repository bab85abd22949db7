/*
 * rpc.h - calls of ready bytes over several connections: what a load generator needs of gRPC core.
 *
 * All calls complete in rpc_wait(), on the one thread that made them. A call's owner is told of
 * each message and once of its end; messages are borrowed for that moment.
 */
#ifndef LOAD_RPC_H
#define LOAD_RPC_H

#include <grpc/slice.h>

#include "base/bytes.h"
#include "client/client.h"

#define RPC_CONNECTIONS_MAX 64

struct rpc;
struct rpc_call;

struct rpc_owner {
	void (*message)(void *owner, struct slice bytes);
	/* f NULL: it ended well. The call is gone after it. */
	void (*ended)(void *owner, const struct failure *f);
};

enum rpc_form { RPC_UNARY, RPC_SERVER_STREAM, RPC_BIDI };

enum status rpc_open(struct rpc **out, const struct client_options *o, uint32_t connections,
		     struct error *e) must_use;
/* Cancels what is under way; owners are told. NULL is allowed. */
void rpc_close(struct rpc *r);

/* Room for a message, to be filled at once and given to rpc_start() or rpc_send(). */
struct rpc_buffer { grpc_slice slice; uint8_t *p; };
struct rpc_buffer rpc_buffer(size_t n);
/* Less was needed. */
void rpc_trim(struct rpc_buffer *b, size_t n);

/*
 * Takes the buffer (BIDI: NULL). connection: any number, taken modulo. timeout_ms 0: no end.
 * Returns the call, which is needed for RPC_BIDI alone.
 */
struct rpc_call *rpc_start(struct rpc *r, enum rpc_form form, uint32_t connection,
			   const char *method, struct rpc_buffer *b, uint32_t timeout_ms,
			   const struct rpc_owner *how, void *owner);
/* BIDI: one more message; any number may wait to be written. Takes the buffer. */
void rpc_send(struct rpc_call *c, struct rpc_buffer *b);
/* BIDI: no more messages; it ends when the other side ends. */
void rpc_finish(struct rpc_call *c);
void rpc_cancel(struct rpc_call *c);

/* Waits at most so long for one completion and takes it. */
void rpc_wait(struct rpc *r, uint32_t wait_us);
uint32_t rpc_under_way(const struct rpc *r);

#endif
