#include "remote/remote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "remote/desk.h"
#include "remote/sandbox.h"
#include "remote/services.h"
#include "remote/web.h"

#define IN_BYTES (256 * 1024)
#define OUT_BYTES (64 * 1024)			/* answers that leave together */
#define WAIT_MS_MAX 1000

struct process {
	int socket;
	struct services *services;
	struct desk *desk;
	struct web *web;
	bool gone;				/* the engine does not take answers any more */
	size_t in_n, out_n;
	uint64_t counts[REMOTE_STATUS_COUNT];
	uint8_t in[IN_BYTES], out[OUT_BYTES];
};

static struct moment moment_now(void)
{
	struct timespec a, b;

	clock_gettime(CLOCK_BOOTTIME, &a);
	clock_gettime(CLOCK_REALTIME, &b);
	return (struct moment){ (int64_t)a.tv_sec * 1000 + a.tv_nsec / 1000000,
				(int64_t)b.tv_sec * 1000 + b.tv_nsec / 1000000 };
}

/* ---- the socket ---- */

static bool wait_to_send(int fd)
{
	struct pollfd f = { .fd = fd, .events = POLLOUT };
	int rc;

	do
		rc = poll(&f, 1, -1);
	while (rc < 0 && errno == EINTR);
	return rc > 0;
}

static void flush(struct process *p)
{
	for (size_t done = 0; done < p->out_n && !p->gone;) {
		ssize_t put = send(p->socket, p->out + done, p->out_n - done,
				   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put > 0)
			done += (size_t)put;
		else if (errno != EINTR && !(errno == EAGAIN && wait_to_send(p->socket)))
			p->gone = true;
	}
	p->out_n = 0;
}

static void answer(void *ctx, const struct remote_answer *a)
{
	struct process *p = ctx;
	struct writer w;

	if (p->out_n + REMOTE_ANSWER_BYTES_MAX > sizeof(p->out))
		flush(p);
	w = writer_of(p->out + p->out_n, sizeof(p->out) - p->out_n);
	if (remote_encode_answer(&w, a) == ST_OK)
		p->out_n += writer_size(&w);
	p->counts[a->status]++;
}

static void greet(struct process *p, enum remote_status s, const char *text)
{
	struct remote_answer a = { 0, s, slice_str(text) };

	if (a.bytes.n > REMOTE_TEXT_BYTES_MAX)
		a.bytes.n = REMOTE_TEXT_BYTES_MAX;
	answer(p, &a);
	p->counts[s]--;
	flush(p);
}

static enum status request(struct process *p, struct slice message)
{
	struct remote_request r;
	enum status st = remote_decode(&r, message);

	if (st != ST_OK)
		return st;
	if (r.verb == REMOTE_VERB_SIGN)
		return desk_submit(p->desk, &r, moment_now());
	desk_cancel(p->desk, r.tag);
	return ST_OK;
}

/* All whole messages that have come; what is left waits for its rest. */
static enum status requests(struct process *p)
{
	struct reader in = reader_of(slice_of(p->in, p->in_n));
	enum status st = ST_OK;

	while (st == ST_OK && reader_left(&in) >= 4) {
		struct reader ahead = in;
		uint32_t n = read_u32(&ahead);

		if (n > REMOTE_MESSAGE_BYTES_MAX)
			return ST_CORRUPT;
		if (reader_left(&ahead) < n)
			break;
		st = request(p, read_bytes(&ahead, n));
		in = ahead;
	}
	p->in_n = reader_left(&in);
	memmove(p->in, in.p, p->in_n);
	return st;
}

/* ST_NOT_FOUND: the engine closed its end. */
static enum status receive(struct process *p)
{
	for (;;) {
		ssize_t n = recv(p->socket, p->in + p->in_n, sizeof(p->in) - p->in_n,
				 MSG_DONTWAIT);
		enum status st;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? ST_OK :
				errno == ECONNRESET ? ST_NOT_FOUND : ST_IO;
		if (n == 0)
			return ST_NOT_FOUND;
		p->in_n += (size_t)n;
		st = requests(p);
		if (st != ST_OK)
			return st;
	}
}

/* ---- calls ---- */

static void done(void *ctx, void *call, const struct web_result *r)
{
	struct process *p = ctx;

	desk_take(p->desk, call, r, moment_now());
}

static enum status send_call(void *ctx, void *call, const struct service *s,
			     const struct api_request *r, const char *bearer)
{
	struct process *p = ctx;

	return web_send(p->web, call, s, r, bearer);
}

static int serve(struct process *p)
{
	enum status st = ST_OK;

	while (st == ST_OK && !p->gone) {
		struct moment now = moment_now();
		int64_t wake = desk_run(p->desk, now) - now.mono_ms;

		flush(p);
		st = web_wait(p->web, p->socket, wake < 1 ? 1 : wake > WAIT_MS_MAX ? WAIT_MS_MAX :
			      (int)wake);
		if (st == ST_OK)
			st = receive(p);
	}
	if (st == ST_OK || st == ST_NOT_FOUND)
		return EX_OK;
	log_error("remote", "%s (%s); stopping", st == ST_CORRUPT ?
		  "the engine's request is malformed" : "the process cannot go on",
		  status_name(st));
	return st == ST_CORRUPT ? EX_PROTOCOL : EX_SOFTWARE;
}

/* ---- start and end ---- */

static enum status prepare(struct process *p, const struct remote_config *cfg, struct error *e)
{
	struct desk_outlets outlets = { p, send_call, answer };
	uint32_t seed;
	enum status st = remote_sandbox_prepare(e);

	if (st == ST_OK && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		st = error_set(e, ST_IO, "getrandom: %s", strerror(errno));
	if (st == ST_OK)
		st = services_load(&p->services, cfg->certs_dir, cfg->secrets_dir, e);
	if (st == ST_OK)
		st = desk_new(&p->desk, p->services, cfg->certs_dir, &outlets, seed, e);
	if (st == ST_OK)
		st = web_new(&p->web, done, p, e);
	return st == ST_OK ? remote_sandbox_enter(e) : st;
}

static void report(const struct process *p)
{
	char text[512] = "";
	size_t n = 0;

	for (int i = 0; i < REMOTE_STATUS_COUNT; i++)
		if (p->counts[i] > 0 && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%llu",
					      remote_status_name((enum remote_status)i),
					      (unsigned long long)p->counts[i]);
	log_info("remote", "ends; answers:%s waiting=%u", n > 0 ? text : " none",
		 p->desk != NULL ? desk_items(p->desk) : 0);
}

int remote_run(const struct remote_config *cfg)
{
	struct process *p = calloc(1, sizeof(*p));
	struct error e = { 0 };
	int code;

	/* A terminal's ^C or a stopped service reaches us too, while the engine still drains. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (p == NULL)
		return EX_OSERR;
	p->socket = cfg->socket;
	if (prepare(p, cfg, &e) == ST_OK) {
		log_info("remote", "services=%u keys=%u ready", services_count(p->services),
			 desk_keys(p->desk));
		greet(p, REMOTE_SIGNED, "ready");
		code = serve(p);
		report(p);
	} else {
		log_error("remote", "%s", e.text);
		greet(p, REMOTE_UNAVAILABLE, e.text);
		code = EX_CONFIG;
	}
	web_free(p->web);
	desk_free(p->desk);
	services_free(p->services);
	free(p);
	return code;
}
