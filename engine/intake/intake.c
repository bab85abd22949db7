#include "intake/intake.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "intake/bell.h"
#include "intake/desk.h"
#include "intake/server.h"

#define QUOTA_MB_DEFAULT 128
#define SCRATCH_BYTES (8 * 1024 * 1024)
#define GATHER_BYTES (REQUEST_BYTES_MAX + 64 * 1024)
#define READER_SCRATCH_BYTES (2 * REQUEST_BYTES_MAX + 256 * 1024)

/* ---- threads ---- */

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);

	for (;;) {
		grpc_event ev = grpc_completion_queue_next(w->cq, never, NULL);

		if (ev.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (ev.type == GRPC_OP_COMPLETE) {
			struct tag *t = ev.tag;

			t->done(t, ev.success != 0);
		}
	}
}

static void *read_main(void *arg)
{
	struct read_thread *r = arg;
	struct call *c;

	while ((c = queue_wait(r->jobs, -1)) != NULL)
		read_turn(r, c);
	return NULL;
}

static void on_shutdown(struct tag *t, bool ok)
{
	struct intake *in = (struct intake *)((char *)t - offsetof(struct intake, on_shutdown));

	(void)ok;
	pthread_mutex_lock(&in->lock);
	in->shut = true;
	pthread_cond_broadcast(&in->idle);
	pthread_mutex_unlock(&in->lock);
}

/* ---- start ---- */

/*
 * The holes of a default server, closed: unlimited streams, decompression bombs, unbounded buffers,
 * a second process on the same port, pings (measured in the design's notes on gRPC). Windows stay
 * gRPC's: it sizes them by the path and by what is left of the quota. Fixed ones cost each batch
 * another write, an eighth of the CPU per case, for a flow of 30 MB less in a flood.
 */
static grpc_server *server_new(uint32_t quota_mb)
{
	grpc_resource_quota *quota = grpc_resource_quota_create("intake");
	grpc_arg args[16];
	grpc_channel_args list = { 0, args };
	grpc_server *server;
	const struct { const char *key; int value; } numbers[] = {
		{ GRPC_ARG_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
		{ GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, REQUEST_BYTES_MAX },
		{ GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 },
		{ GRPC_ARG_ALLOW_REUSEPORT, 0 },
		{ GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10 * 1000 },
		{ GRPC_ARG_KEEPALIVE_TIME_MS, 60 * 1000 },
		{ GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * 1000 },
		{ GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1 },
		{ GRPC_ARG_MAX_METADATA_SIZE, 16 * 1024 },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		args[list.num_args++] = (grpc_arg){ .type = GRPC_ARG_INTEGER,
						    .key = (char *)numbers[i].key,
						    .value.integer = numbers[i].value };
	grpc_resource_quota_resize(quota, (size_t)quota_mb << 20);
	args[list.num_args++] = (grpc_arg){
		.type = GRPC_ARG_POINTER, .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
		.value.pointer = { quota, grpc_resource_quota_arg_vtable() }
	};
	server = grpc_server_create(&list, NULL);
	grpc_resource_quota_unref(quota);
	return server;
}

static bool given(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* Only literal addresses: what a name means may change. */
static bool loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 ||
	       strncmp(address, "localhost:", 10) == 0;
}

static enum status listen_port(struct intake *in, uint32_t i, const char *address, struct error *e)
{
	grpc_server_credentials *creds;
	int port;

	if (in->tls == NULL && !loopback(address))
		return error_set(e, ST_INVALID, "listen %s: a clear-text port opens on loopback "
				 "only; set tls_cert, tls_key and tls_client_ca", address);
	if (in->tls == NULL && in->insecure_loopback[0] == '\0')
		return error_set(e, ST_INVALID, "listen %s: nobody could call a clear-text port; "
				 "set insecure_loopback to a principal, or the three tls_ settings",
				 address);
	creds = in->tls != NULL ? tls_credentials(in->tls) :
				  grpc_insecure_server_credentials_create();
	port = grpc_server_add_http2_port(in->server, address, creds);
	grpc_server_credentials_release(creds);
	if (port == 0)
		return error_set(e, ST_UNAVAILABLE, "listen %s: the address cannot be bound (in "
				 "use, or not of this machine)", address);
	in->ports[i] = (uint16_t)port;
	return ST_OK;
}

static enum status listen_all(struct intake *in, const struct intake_config *cfg, struct error *e)
{
	enum status st = ST_OK;

	if (cfg->listen_n == 0 || cfg->listen_n > LISTEN_MAX)
		return error_set(e, ST_INVALID, "listen: 1 to %d addresses", LISTEN_MAX);
	for (uint32_t i = 0; i < cfg->listen_n && st == ST_OK; i++) {
		const char *address = cfg->listen[i];
		int fd = cfg->sockets != NULL ? cfg->sockets[i] : -1;

		if (strncmp(address, "unix:", 5) != 0) {
			st = listen_port(in, i, address, e);
			continue;
		}
		if (in->door == NULL)
			st = door_open(&in->door, in, e);
		if (st == ST_OK && fd < 0)
			st = door_bind(&fd, address + 5, e);
		if (st == ST_OK)
			door_listen(in->door, address + 5, fd);
	}
	return st;
}

enum status intake_bind(int *sockets, const char *const *listen, uint32_t n, struct error *e)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		sockets[i] = -1;
		if (strncmp(listen[i], "unix:", 5) == 0)
			st = door_bind(&sockets[i], listen[i] + 5, e);
	}
	return st;
}

static enum status register_methods(struct intake *in, struct error *e)
{
	in->registered = calloc(methods_n, sizeof(*in->registered));
	if (in->registered == NULL)
		return error_set(e, ST_NOMEM, "intake: no memory");
	for (uint32_t i = 0; i < methods_n; i++)
		in->registered[i] = grpc_server_register_method(in->server, methods[i].path, NULL,
								GRPC_SRM_PAYLOAD_NONE, 0);
	return ST_OK;
}

static enum status prepare(struct intake *in, const struct intake_config *cfg, struct error *e)
{
	enum status st;

	in->workers_n = cfg->threads == 0 ? 1 : cfg->threads;
	in->readers_n = cfg->readers == 0 ? 2 : cfg->readers;
	if (in->workers_n > INTAKE_THREADS_MAX || in->readers_n > INTAKE_READERS_MAX)
		return error_set(e, ST_INVALID, "intake: at most %d gRPC threads and %d readers",
				 INTAKE_THREADS_MAX, INTAKE_READERS_MAX);
	if (given(cfg->insecure_loopback))
		snprintf(in->insecure_loopback, sizeof(in->insecure_loopback), "%s",
			 cfg->insecure_loopback);
	if (given(cfg->principals))
		snprintf(in->principals_path, sizeof(in->principals_path), "%s", cfg->principals);
	st = principals_load(&in->principals, given(cfg->principals) ? in->principals_path : NULL,
			     NULL, e);
	if (st != ST_OK)
		return st;
	if (given(cfg->tls_cert) || given(cfg->tls_key) || given(cfg->tls_client_ca)) {
		if (!given(cfg->tls_cert) || !given(cfg->tls_key) || !given(cfg->tls_client_ca))
			return error_set(e, ST_INVALID, "tls_cert, tls_key and tls_client_ca "
					 "belong together; one of them is missing");
		st = tls_open(&in->tls, cfg, e);
	}
	if (st == ST_OK && (slots_new(&in->slots) != ST_OK ||
			    queue_new(&in->jobs, CALLS_LIVE_MAX) != ST_OK ||
			    queue_new(&in->slow_jobs, CALLS_LIVE_MAX) != ST_OK ||
			    reflection_open(&in->reflection) != ST_OK))
		st = error_set(e, ST_NOMEM, "intake: no memory");
	return st;
}

static enum status open_workers(struct intake *in, struct error *e)
{
	for (uint32_t i = 0; i < in->workers_n; i++) {
		struct worker *w = &in->workers[i];

		w->in = in;
		w->cq = grpc_completion_queue_create_for_next(NULL);
		grpc_server_register_completion_queue(in->server, w->cq, NULL);
		if (arena_init(&w->scratch, SCRATCH_BYTES) != ST_OK ||
		    arena_init(&w->gather, GATHER_BYTES) != ST_OK)
			return error_set(e, ST_NOMEM, "intake: no memory");
	}
	return ST_OK;
}

static enum status start_readers(struct intake *in, struct error *e)
{
	for (uint32_t i = 0; i < in->readers_n; i++) {
		struct read_thread *r = &in->readers[i];
		enum status st = in->ops.reader_open(in->ops.ctx, &r->store, e);

		if (st != ST_OK)
			return st;
		r->in = in;
		r->jobs = in->jobs;
		if (arena_init(&r->scratch, READER_SCRATCH_BYTES) != ST_OK ||
		    pthread_create(&r->thread, NULL, read_main, r) != 0)
			return error_set(e, ST_NOMEM, "intake: no memory for a reader");
		r->started = true;
	}
	return ST_OK;
}

static enum status start_workers(struct intake *in, struct error *e)
{
	grpc_server_start(in->server);
	for (uint32_t i = 0; i < in->workers_n; i++) {
		struct worker *w = &in->workers[i];
		enum status st = calls_arm(in, w);

		if (st == ST_OK && pthread_create(&w->thread, NULL, worker_main, w) != 0)
			st = ST_NOMEM;
		if (st != ST_OK)
			return error_set(e, st, "intake: a gRPC thread cannot start");
		w->started = true;
	}
	if (in->door != NULL && door_start(in->door) != ST_OK)
		return error_set(e, ST_NOMEM, "intake: no thread for unix sockets");
	return ST_OK;
}

enum status intake_start(struct intake **out, const struct intake_config *cfg,
			 const struct engine_ops *ops, struct error *e)
{
	struct intake *in = calloc(1, sizeof(*in));
	enum status st;

	*out = NULL;
	if (in == NULL)
		return error_set(e, ST_NOMEM, "intake: no memory");
	/* Requests of a few hundred kilobytes come and go all the time: without this glibc gives
	 * their pages back and faults them in again at each (a fifth of the CPU per case). */
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	in->ops = *ops;
	in->on_shutdown.done = on_shutdown;
	pthread_mutex_init(&in->lock, NULL);
	pthread_mutex_init(&in->large, NULL);
	pthread_cond_init(&in->idle, NULL);
	grpc_init();
	st = prepare(in, cfg, e);
	if (st == ST_OK) {
		in->server = server_new(cfg->quota_mb == 0 ? QUOTA_MB_DEFAULT : cfg->quota_mb);
		st = register_methods(in, e);
	}
	if (st == ST_OK)
		st = open_workers(in, e);
	if (st == ST_OK)
		st = listen_all(in, cfg, e);
	if (st == ST_OK)
		st = start_readers(in, e);
	if (st == ST_OK && in->ops.objects != NULL)
		st = copiers_start(in, e);
	if (st == ST_OK && in->ops.session_each != NULL)
		st = desk_open(&in->desk, in, e);
	if (st == ST_OK && in->ops.awaited_news != NULL)
		st = bell_open(&in->bell, in->ops.awaited_news, in->ops.ctx, e);
	if (st == ST_OK)
		st = start_workers(in, e);
	if (st != ST_OK) {
		intake_stop(in);
		return st;
	}
	*out = in;
	return ST_OK;
}

uint16_t intake_port(const struct intake *in, uint32_t i)
{
	return i < LISTEN_MAX ? in->ports[i] : 0;
}

/* ---- reload ---- */

enum status intake_reload_tls(struct intake *in, struct error *e)
{
	if (in->tls == NULL)
		return error_set(e, ST_PRECONDITION, "TLS is not configured");
	return tls_reload(in->tls, e);
}

enum status intake_reload_principals(struct intake *in, struct error *e)
{
	struct principals *fresh, *old;
	enum status st;

	/* One reload at a time is the caller's; the old snapshot stays until its calls are over. */
	st = principals_load(&fresh, in->principals_path[0] != '\0' ? in->principals_path : NULL,
			     in->principals, e);
	if (st != ST_OK)
		return st;
	pthread_mutex_lock(&in->lock);
	old = in->principals;
	in->principals = fresh;
	pthread_mutex_unlock(&in->lock);
	principals_unref(old);
	return ST_OK;
}

void intake_set_serving(struct intake *in, bool serving)
{
	if (atomic_exchange(&in->serving, serving) != serving)
		health_changed(in);
}

/* ---- stop ---- */

static bool ends_itself(const struct call *c)
{
	return c->m != NULL && c->m->stop != NULL;
}

static void tell(struct call *c)
{
	c->m->stop(c);
}

/* Calls that would live on by themselves are told to end. */
static void tell_all(struct intake *in)
{
	calls_each(in, ends_itself, tell);
}

static bool wait_idle(struct intake *in, uint32_t ms, bool shut)
{
	struct timespec until;
	bool idle;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&in->lock);
	while ((in->live_n > 0 || (shut && !in->shut)) &&
	       pthread_cond_timedwait(&in->idle, &in->lock, &until) == 0)
		;
	idle = in->live_n == 0 && (!shut || in->shut);
	pthread_mutex_unlock(&in->lock);
	return idle;
}

static void shut_server(struct intake *in)
{
	if (!atomic_exchange(&in->stopping, true))
		grpc_server_shutdown_and_notify(in->server, in->workers[0].cq, &in->on_shutdown);
}

bool intake_drain(struct intake *in, uint32_t grace_ms)
{
	bool idle;

	intake_set_serving(in, false);
	shut_server(in);
	tell_all(in);
	idle = wait_idle(in, grace_ms, false);
	desk_quiet(in->desk, grace_ms);
	return idle;
}

static void stop_workers(struct intake *in)
{
	for (uint32_t i = 0; i < in->workers_n; i++)
		if (in->workers[i].cq != NULL)
			grpc_completion_queue_shutdown(in->workers[i].cq);
	for (uint32_t i = 0; i < in->workers_n; i++) {
		struct worker *w = &in->workers[i];

		if (w->started)
			pthread_join(w->thread, NULL);
		else if (w->cq != NULL)
			worker_main(w);		/* drains what was armed */
		if (w->cq != NULL)
			grpc_completion_queue_destroy(w->cq);
		arena_free(&w->scratch);
		arena_free(&w->gather);
	}
}

static void stop_readers(struct intake *in)
{
	if (in->jobs != NULL)
		queue_close(in->jobs);
	for (uint32_t i = 0; i < in->readers_n; i++) {
		struct read_thread *r = &in->readers[i];

		if (r->started)
			pthread_join(r->thread, NULL);
		if (r->store != NULL)
			in->ops.reader_close(r->store);
		arena_free(&r->scratch);
	}
}

/* Who still answers a call does so into its gRPC thread's queue: that one goes last. */
static void stop_threads(struct intake *in)
{
	copiers_stop(in);
	stop_readers(in);
	stop_workers(in);
}

/* Everything that could still use the server has ended when its shutdown tag is here. */
static void stop_server(struct intake *in)
{
	if (in->workers[0].started) {
		shut_server(in);
		tell_all(in);
		for (int i = 0; i < 100 && !wait_idle(in, i == 0 ? 0 : 50, true); i++)
			grpc_server_cancel_all_calls(in->server);
		if (!wait_idle(in, 0, true))
			log_error("intake", "calls left at the stop n=%u", in->live_n);
	} else if (in->workers[0].cq != NULL) {
		atomic_store(&in->stopping, true);
		grpc_server_shutdown_and_notify(in->server, in->workers[0].cq, &in->on_shutdown);
		grpc_server_cancel_all_calls(in->server);
		while (!in->shut) {
			grpc_event ev = grpc_completion_queue_next(
				in->workers[0].cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);

			((struct tag *)ev.tag)->done(ev.tag, ev.success != 0);
		}
	}
	grpc_server_destroy(in->server);
}

void intake_stop(struct intake *in)
{
	if (in == NULL)
		return;
	if (in->server != NULL) {
		door_close(in->door);
		in->door = NULL;
		stop_server(in);
	}
	stop_threads(in);
	bell_close(in->bell);
	desk_close(in->desk);
	door_close(in->door);
	tls_close(in->tls);
	reflection_close(in->reflection);
	slots_free(in->slots);
	queue_free(in->jobs);
	queue_free(in->slow_jobs);
	free(in->registered);
	principals_unref(in->principals);
	pthread_cond_destroy(&in->idle);
	pthread_mutex_destroy(&in->lock);
	pthread_mutex_destroy(&in->large);
	grpc_shutdown();
	free(in);
}

void intake_counters(const struct intake *in, struct intake_counters *out)
{
	struct intake *i = (struct intake *)in;

	*out = (struct intake_counters){
		.calls = atomic_load(&i->calls), .calls_refused = atomic_load(&i->calls_refused),
		.cases = atomic_load(&i->cases), .cases_rejected = atomic_load(&i->cases_rejected),
		.bytes_in = atomic_load(&i->bytes_in), .downloads = atomic_load(&i->downloads),
		.download_bytes = atomic_load(&i->download_bytes),
		.signatures_wrong = atomic_load(&i->signatures_wrong),
		.copies = atomic_load(&i->copies), .copy_bytes = atomic_load(&i->copy_bytes),
		.in_flight = slots_taken(i->slots), .watches = atomic_load(&i->watches),
		.uploads = atomic_load(&i->uploads),
	};
	pthread_mutex_lock(&i->lock);
	out->calls_live = i->live_n;
	pthread_mutex_unlock(&i->lock);
}
