/*
 * intake.h - the gRPC services: receive, authorise, validate, hand over, answer.
 *
 * Threads: `threads` gRPC threads receive and decode; `readers` threads answer what reads the
 * store, and write what is uploaded; a few copiers wait for the disk and for the process that reads
 * originals; one thread accepts on the unix socket. None touches disk, database or keys by itself:
 * everything goes through engine_ops. "Accepted" promises nothing before intake_answer().
 *
 *	gRPC thread ─ submission ─▶ engine_ops.submit ─▶ spine ─▶ intake_answer ─▶ gRPC thread
 *
 * Bounds (P7): REQUESTS_IN_FLIGHT_MAX submissions, message, stream and connection limits, a memory
 * quota for gRPC; beyond them RESOURCE_EXHAUSTED with RetryInfo, nothing is lost.
 *
 * Who calls: a client certificate's SAN URI trien://principal/NAME on TLS ports; the peer's uid on
 * unix sockets; `insecure_loopback` on clear-text ports, which open on loopback only.
 * principals.json (schemas/README.md) says what a principal may do.
 */
#ifndef TRIEN_INTAKE_H
#define TRIEN_INTAKE_H

#include "submission.h"

struct intake;

/* Strings are copied where they are needed later. "" or NULL: not set. */
struct intake_config {
	const char *const *listen;	/* "unix:PATH", or "HOST:PORT" (port 0: any free one) */
	uint32_t listen_n;
	const int *sockets;		/* intake_bind()'s, taken over; NULL: bound at the start */
	const char *principals;		/* file; missing: the engine's own uid may do all */
	const char *insecure_loopback;	/* principal of clear-text loopback callers */
	const char *tls_cert, *tls_key, *tls_client_ca;	/* PEM; with them every HOST:PORT is mTLS */
	uint32_t threads, readers;	/* 0: 1 and 2 */
	uint32_t quota_mb;		/* gRPC's memory, MiB; 0: 128 */
};

/*
 * Binds the unix sockets among listen, for a process that later may make no files where they stand;
 * sockets[i] is -1 for another address. Who connects waits for intake_start(). Errors as there.
 */
enum status intake_bind(int *sockets, const char *const *listen, uint32_t n,
			struct error *e) must_use;

/*
 * Before any other thread forks: gRPC has threads of its own. Serves at once, health says
 * NOT_SERVING until intake_set_serving(). The ops and what stands behind them outlive the intake.
 * ST_INVALID: a clear-text port on a non-loopback address, a broken principals file, bad
 * certificates; ST_UNAVAILABLE: an address is in use. Main thread.
 */
enum status intake_start(struct intake **out, const struct intake_config *cfg,
			 const struct engine_ops *ops, struct error *e) must_use;

/* The port of listen[i] (of use with port 0); 0 for unix sockets. */
uint16_t intake_port(const struct intake *in, uint32_t i);

/*
 * The submission is decided: every case has its refusal or its receipts, and all is durable. Takes
 * it back; the gRPC thread that received it replies. Any one thread at a time (the spine).
 */
void intake_answer(struct submission *s);

/* Health of all services. Any thread. */
void intake_set_serving(struct intake *in, bool serving);

/*
 * Reads certificate, key and client CA again; new connections get them. On failure the old ones
 * stay. ST_PRECONDITION: started without TLS. Any thread.
 */
enum status intake_reload_tls(struct intake *in, struct error *e) must_use;
/* Reads principals again; on failure the old ones stay. Any thread. */
enum status intake_reload_principals(struct intake *in, struct error *e) must_use;

/*
 * Health NOT_SERVING, no new connections and calls; then waits until every call has its answer, at
 * most grace_ms; watches end with UNAVAILABLE at once. Submissions still out are answered by the
 * spine meanwhile, so the spine must run. True: nothing is left. Not from the spine.
 */
bool intake_drain(struct intake *in, uint32_t grace_ms);

/*
 * Cancels what is left and frees all. Every submission, act and watch must be back: stop the spine
 * after intake_drain() and before this only if it has answered all it held. NULL is allowed.
 */
void intake_stop(struct intake *in);

/* Counters since the start, for metrics. Any thread. */
struct intake_counters {
	uint64_t calls, calls_refused;		/* refused: denied, quota, full, malformed */
	uint64_t cases, cases_rejected;
	uint64_t bytes_in, downloads, download_bytes;
	uint64_t signatures_wrong;		/* given by bridges */
	uint64_t copies, copy_bytes;		/* asked for, and bytes of their originals */
	uint32_t in_flight;			/* submissions */
	uint32_t calls_live, watches, uploads;
};
void intake_counters(const struct intake *in, struct intake_counters *out);

#endif
