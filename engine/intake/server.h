/*
 * server.h - what the files of intake share: the server, its threads, and one gRPC call.
 *
 * A call is owned by one thread at a time: the gRPC thread that received it, a reader thread it was
 * queued to, or the spine, which gives it back to its gRPC thread to be answered. Beside the owner
 * only two things hold a reference: "closed" (how core tells that the call is over) and a message
 * being sent. Streams, where receiving and sending overlap, lock their own state.
 */
#ifndef TRIEN_INTAKE_SERVER_H
#define TRIEN_INTAKE_SERVER_H

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "intake/fault.h"
#include "intake/intake.h"
#include "intake/principals.h"
#include "intake/slots.h"
#include "intake/turn.h"

#define CALLS_LIVE_MAX 4096		/* beyond: refused at once */
#define INTAKE_THREADS_MAX 8
#define INTAKE_READERS_MAX 32
#define INTAKE_COPIERS 4
#define LISTEN_MAX 8
#define STREAMS_MAX 128			/* of one connection */
#define DOOR_FDS_MAX 4096		/* connections of unix sockets */

struct call;
struct noting;
struct read_thread;

/* A gRPC thread. */
struct worker {
	struct intake *in;
	pthread_t thread;
	bool started;
	grpc_completion_queue *cq;
	struct arena scratch;		/* one case while it is decoded and checked */
	struct arena gather;		/* a request that came in pieces */
};

/* One service method. */
struct method {
	const char *path;
	uint32_t roles;			/* any of these; MAY_ANY: no role needed */
	uint8_t armed;			/* requests outstanding per gRPC thread */
	bool anonymous;			/* no principal needed */
	/* Client streams: how the call begins, and each message (ok, and c->request NULL: the
	 * client has ended; !ok: it is gone). NULL: receive the one message, then run or work. */
	void (*begin)(struct call *c);
	void (*message)(struct call *c, bool ok);
	/* gRPC thread: the request is in c->request. NULL: work. */
	void (*run)(struct call *c);
	/* Reader thread: after the request, and after each call_queue(). */
	void (*work)(struct call *c, struct read_thread *r);
	/* gRPC thread: the spine has decided a submission of the call. */
	void (*answer)(struct submission *s);
	/* gRPC thread: the message of call_send() is out (or never will be). */
	void (*sent)(struct call *c, bool ok);
	/* gRPC thread: the call is over for the client; c->cancelled: before its end. */
	void (*closed)(struct call *c);
	/* Any thread: the engine stops; end by yourself soon. */
	void (*stop)(struct call *c);
	/* A copier, every second. */
	void (*tick)(struct call *c);
	/* Has free() work on the disk? Then a copier calls it. NULL: it never has. */
	bool (*on_disk)(const struct call *c);
	/* Last reference gone. */
	void (*free)(struct call *c);
};

struct call {
	struct intake *in;
	struct worker *worker;
	const struct method *m;
	void *registered;
	grpc_call *grpc;
	gpr_timespec deadline;
	grpc_metadata_array metadata;
	grpc_call_details details;	/* of calls to unknown methods */
	grpc_byte_buffer *request;
	struct tag on_request, on_message, on_sent, on_finished, on_closed;
	int cancelled_out;
	atomic_bool cancelled;
	struct turn turn;		/* of the readers */
	bool slow;			/* its next turn is the copiers'; its owner's */
	atomic_uint refs;
	bool headers_sent;
	bool entered;			/* in the principal's share; its owner's */
	struct principals *principals;
	struct principal *principal;
	bool listed;
	/* The method's. Where it has closed() or stop(), its gRPC thread sets it, once; they may
	 * come earlier and find NULL. */
	void *_Atomic state;
	struct noting *noting;		/* noted.c: what this read tells its holder; else NULL */
	uint64_t number;		/* of live calls, rising; under intake.lock, as the list */
	struct call *prev, *next;
};

/*
 * A reader thread, with its reader of the store. Copiers are such threads, too: theirs are the
 * turns that may wait long, for the disk or for the process that reads originals.
 */
struct read_thread {
	struct intake *in;
	struct queue *jobs;
	pthread_t thread;
	bool started;
	void *store;			/* for engine_ops */
	struct arena scratch;
	struct arena gather;		/* copiers: a request that came in pieces */
};

struct bell;
struct desk;
struct door;
struct tls;
struct reflection;

struct intake {
	struct engine_ops ops;
	grpc_server *server;
	struct worker workers[INTAKE_THREADS_MAX];
	struct read_thread readers[INTAKE_READERS_MAX];
	struct read_thread copiers[INTAKE_COPIERS];
	uint32_t workers_n, readers_n;
	struct queue *jobs;		/* calls for the readers */
	struct queue *slow_jobs;	/* and for the copiers */
	struct slots *slots;
	void **registered;		/* one per method */
	struct door *door;		/* unix sockets */
	struct tls *tls;
	struct reflection *reflection;
	struct desk *desk;		/* signing sessions; NULL: no such ops are offered */
	struct bell *bell;		/* calls that wait for digests; likewise */
	uint16_t ports[LISTEN_MAX];
	char insecure_loopback[PRINCIPAL_NAME_BYTES_MAX + 1];
	char principals_path[4096];

	pthread_mutex_t large;		/* held by the copier with a large file in memory */
	pthread_mutex_t lock;		/* below */
	pthread_cond_t idle;		/* no call is left */
	struct principals *principals;
	struct call *live;		/* the newest first */
	uint64_t numbered;		/* calls that stood there so far */
	uint32_t live_n;
	bool shut;			/* the server's shutdown tag came */
	atomic_bool serving, stopping, closing;	/* closing: no call is left to work for */
	struct tag on_shutdown;

	atomic_uint_fast64_t calls, calls_refused, cases, cases_rejected, bytes_in, downloads,
		download_bytes;
	atomic_uint_fast64_t copies, copy_bytes;	/* asked for, and their originals */
	atomic_uint watches, uploads, copy_calls;
	atomic_uint_fast64_t ticked_ms;
	atomic_uint_fast64_t signatures_wrong;	/* given by bridges */
	atomic_uint previews;		/* drafts held for their readers */
};

/* methods.c: the table of all methods. */
extern const struct method methods[];
extern const uint32_t methods_n;

/* ---- call.c ---- */

/* Arms every method; gRPC's answer to methods that do not exist, too. */
enum status calls_arm(struct intake *in, struct worker *w) must_use;
/* Starts receiving one message into c->request; m->message, run or work follows. */
void call_receive(struct call *c);
/* t->done on the call's gRPC thread, soon. Any thread that holds a reference. */
void call_post(struct call *c, struct tag *t);
/* The request as one slice: borrowed from the call, or gathered in a. False: larger than a. */
bool call_request(struct call *c, struct arena *a, struct slice *out);
/* Answers a unary call. Takes the reply. Any thread, once. */
void call_reply(struct call *c, grpc_slice reply);
/* Sends one message of a stream; m->sent follows. At most one at a time. */
void call_send(struct call *c, grpc_slice message);
/* Ends the call with a status: OK without f. Once, instead of call_reply. */
void call_finish(struct call *c, const struct fault *f);
/* Ends the owner's reference without an answer: the client is gone. */
void call_drop(struct call *c);
void call_ref(struct call *c);
/* For calls found on the live list: false, it is being freed. Under intake.lock. */
bool call_try_ref(struct call *c);
void call_unref(struct call *c);
/* Frees a call without references, which stands in the copiers' queue for its end. A copier. */
void call_end(struct call *c);
/* Gives the call to the readers, or (c->slow) to the copiers; m->work follows. Many times, runs at
 * least once after the last, never on two of them at the same time. */
void call_queue(struct call *c);
/* Has the client's deadline passed? */
bool call_late(const struct call *c);
/* One more of the principal's share, until the call is answered. False: *f says why. */
bool call_enter(struct call *c, struct fault *f);
/* As its answer goes out, before it: so who waits for each answer is in only once. */
void call_leave(struct call *c);
/* What a submission needs, until call_return(). False: *f says why. */
bool call_slot(struct call *c, bool large, struct slot **slot, struct fault *f);
/* The slot and what hangs on it. */
void call_return(struct call *c, struct slot *slot);
/* Streams, a message: a slot, and one of the principal's share, until call_dismiss(). */
bool call_admit(struct call *c, bool large, struct slot **slot, struct fault *f);
void call_dismiss(struct call *c, struct slot *slot);
/* Ends a call that is refused (counted as such). */
void call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt, ...)
	printf_like(4, 5);
uint64_t intake_clock_ms(void);

/* ---- copier.c: threads for the turns that may wait long ---- */
enum status copiers_start(struct intake *in, struct error *e) must_use;
void copiers_stop(struct intake *in);
/* In reader and copier threads: one turn of a call. */
void read_turn(struct read_thread *r, struct call *c);
/* Of each call that is live now and wanted, once, one after another, with a reference to it. */
void calls_each(struct intake *in, bool (*wanted)(const struct call *c),
		void (*one)(struct call *c));

/* ---- noted.c ---- */
void noting_free(struct noting *n);

/* ---- access.c ---- */

/* Finds the principal and checks the method's roles. False: the call is answered. */
bool access_check(struct call *c);
/* The call is refused: the caller has none of these roles (enum may), or not this agency. */
void access_role(struct call *c, uint32_t any_of, const char *field);
void access_unit(struct call *c, const char *field, struct slice unit);
/* Is there any version of this agency, or kind? False: the call is refused. */
bool access_known(struct call *c, const char *field, struct slice code, bool kind);

/* ---- door.c: unix sockets ---- */
enum status door_open(struct door **out, struct intake *in, struct error *e) must_use;
/* A listening socket at path. */
enum status door_bind(int *out, const char *path, struct error *e) must_use;
/* Takes it over. */
void door_listen(struct door *d, const char *path, int fd);
enum status door_start(struct door *d) must_use;
void door_close(struct door *d);
/* The uid behind gRPC's name of a peer ("fd:17"); false: not one of ours. */
bool door_uid(const struct door *d, const char *peer, uid_t *uid);

/* ---- tls.c ---- */
enum status tls_open(struct tls **out, const struct intake_config *cfg, struct error *e) must_use;
enum status tls_reload(struct tls *t, struct error *e) must_use;
grpc_server_credentials *tls_credentials(struct tls *t);
void tls_close(struct tls *t);

/* ---- reflection.c ---- */
enum status reflection_open(struct reflection **out) must_use;
void reflection_close(struct reflection *r);

/* ---- health.c ---- */
void health_changed(struct intake *in);

/* A reply that stands in a buffer. */
static inline grpc_slice slice_copied(struct writer *w)
{
	struct slice s = writer_slice(w);

	return grpc_slice_from_copied_buffer((const char *)s.p, s.n);
}

#endif
