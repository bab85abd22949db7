/*
 * The mirror process: one engine at a time writes its journal here. Once its folder was taken over,
 * it lets go of it and only tells older engines that they are fenced.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "io/io.h"
#include "journal/journal.h"
#include "mirror/channel.h"
#include "spine/follow.h"
#include "spine/role.h"
#include "supervisor.h"

#define TICK_MS 200		/* how soon a take-over is noticed */
#define IO_ENTRIES 16		/* of a ring of our own: two a peer, who knocks, the signals */
#define FILES_IN "identity/", "catalogue/"

/* Who is connected: the engine, or a newcomer that has not shown yet that it is one. */
struct peer {
	struct channel *channel;	/* NULL: a free place */
	uint64_t since_ns;		/* when it came, or was refused */
	bool closed;			/* free as soon as the ring is done with it */
};

_Static_assert(2 * MIRROR_PEERS_MAX + 2 <= IO_ENTRIES, "operations of the mirror's own ring");

struct mirror_process {
	const struct config *config;
	struct follow *follow;		/* NULL: taken over */
	struct io *io;			/* follow's, or our own */
	uint32_t epoch;			/* of the take-over */
	struct secure_context *secure;
	int listener, signals;
	struct io_op accept_op, signal_op;
	bool accepting;
	struct peer peers[MIRROR_PEERS_MAX];
	struct peer *engine;		/* whose HELLO was valid; NULL: none's */
	uint64_t acked;
	bool stop;
};

/* ---- the engine's messages ---- */

static void hang_up(struct mirror_process *m, struct peer *p, const char *why)
{
	if (p->channel == NULL || p->closed)
		return;
	log_info("mirror", "connection of %s ended: %s",
		 p == m->engine ? "the engine" : "a newcomer", why);
	channel_close(p->channel);
	p->closed = true;
	if (p == m->engine)
		m->engine = NULL;
}

static void say(struct mirror_process *m, struct peer *p, enum message type, struct slice payload)
{
	if (channel_put(p->channel, type, &payload, 1) != ST_OK)
		hang_up(m, p, "an answer cannot be sent");
}

/* It is to read why, so it hangs up itself; as a newcomer it has its time for that. */
static void refuse_engine(struct mirror_process *m, struct peer *p, const char *text)
{
	log_error("mirror", "an engine is refused: %s", text);
	if (p == m->engine)
		m->engine = NULL;
	p->since_ns = io_boot_ns();
	say(m, p, MESSAGE_REFUSED, slice_str(text));
}

static void say_fenced(struct mirror_process *m, struct peer *p)
{
	uint8_t bytes[4];
	struct writer w = writer_of(bytes, sizeof(bytes));

	write_u32(&w, m->epoch);
	say(m, p, MESSAGE_FENCED, writer_slice(&w));
}

/* The newest one counts: the engine that comes back may know better than we that it was gone. */
static void welcome(struct mirror_process *m, struct peer *p)
{
	struct journal_cursor tail;
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (m->engine != NULL)
		hang_up(m, m->engine, "a newer one");
	m->engine = p;
	follow_tail(m->follow, &tail);
	m->acked = tail.position;
	write_u32(&w, follow_epoch(m->follow));
	write_u64(&w, tail.position);
	write_u32(&w, tail.prev);
	say(m, p, MESSAGE_WELCOME, writer_slice(&w));
}

static void hello(struct mirror_process *m, struct peer *p, struct slice payload)
{
	const struct config *c = m->config;
	struct reader r = reader_of(payload);
	uint32_t version = read_u32(&r), engine = read_u32(&r), segment = read_u32(&r);
	uint32_t epoch = read_u32(&r);
	char text[160];

	if (m->follow == NULL) {
		log_error("mirror", "engine %u (epoch %u) comes back: it is fenced", engine, epoch);
		say_fenced(m, p);
		return;
	}
	snprintf(text, sizeof(text), "this mirror is version %u, engine %u's, segments of %u MiB",
		 CHANNEL_VERSION, c->engine, c->journal_segment_mb);
	if (r.bad || version != CHANNEL_VERSION || engine != c->engine ||
	    segment != c->journal_segment_mb * 1024 * 1024) {
		refuse_engine(m, p, text);
		return;
	}
	if (journal_term(epoch) < journal_term(follow_epoch(m->follow))) {
		m->epoch = follow_epoch(m->follow);
		say_fenced(m, p);
		return;
	}
	welcome(m, p);
	log_info("mirror", "engine %u with epoch %u goes on at %llu", engine, epoch,
		 (unsigned long long)m->acked);
}

/* Only plain names below the folders that an engine needs for what it has already said. */
static bool name_allowed(const char *name)
{
	static const char *const folders[] = { FILES_IN };
	const char *rest = NULL;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (strncmp(name, folders[i], strlen(folders[i])) == 0)
			rest = name + strlen(folders[i]);
	return rest != NULL && rest[0] != '\0' && rest[0] != '.' && strchr(rest, '/') == NULL;
}

static enum status file_take(struct mirror_process *m, struct slice payload, struct error *e)
{
	struct reader r = reader_of(payload);
	struct slice name = read_blob(&r), bytes;
	char text[300], path[PATH_MAX];
	uint8_t *there = NULL;
	size_t n;
	enum status st;

	if (!r.bad)
		snprintf(text, sizeof(text), "%.*s", (int)name.n, (const char *)name.p);
	if (r.bad || strlen(text) != name.n || !name_allowed(text))
		return error_set(e, ST_INVALID, "a file that is none of a mirror's");
	bytes = read_bytes(&r, reader_left(&r));
	snprintf(path, sizeof(path), "%s/%s", m->config->data, text);
	st = file_read(path, bytes.n + 1, &there, &n, e);
	if (st != ST_OK || !slice_eq(slice_of(there, n), bytes))
		st = file_replace(path, bytes, 0600, e);
	free(there);
	return st;
}

/* false: the ring has to run first. */
static bool message(struct mirror_process *m, struct peer *p, uint8_t type, struct slice payload)
{
	struct error e = { 0 };
	enum status st = ST_INVALID;

	if (type == MESSAGE_HELLO && p != m->engine) {
		hello(m, p, payload);
		return true;
	}
	/* What was still on its way when it was refused. */
	if (p != m->engine)
		return true;
	if (type == MESSAGE_FRAME)
		st = follow_accept(m->follow, payload, &e);
	else if (type == MESSAGE_FILE)
		st = file_take(m, payload, &e);
	if (st == ST_FULL)
		return false;
	if (st != ST_OK) {
		log_error("mirror", "%s", e.text);
		refuse_engine(m, p, e.text[0] != '\0' ? e.text : "what it sent");
	}
	return true;
}

static void messages_run(struct mirror_process *m)
{
	struct slice payload;
	uint8_t type;

	for (struct peer *p = m->peers; p < m->peers + MIRROR_PEERS_MAX; p++)
		while (p->channel != NULL && !p->closed &&
		       channel_first(p->channel, &type, &payload)) {
			if (!message(m, p, type, payload))
				break;
			channel_taken(p->channel);
		}
}

static void acknowledge(struct mirror_process *m)
{
	struct journal_cursor tail;
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (m->engine == NULL)
		return;
	follow_tail(m->follow, &tail);
	write_u64(&w, tail.position);
	if (tail.position > m->acked)
		say(m, m->engine, MESSAGE_ACK, writer_slice(&w));
	m->acked = tail.position;
}

/* ---- connections ---- */

static void peers_run(struct mirror_process *m)
{
	uint64_t now = io_boot_ns(), patience = m->config->mirror_timeout_ms * 1000000ull;

	for (struct peer *p = m->peers; p < m->peers + MIRROR_PEERS_MAX; p++) {
		struct error e = { 0 };
		enum status st;

		if (p->channel == NULL)
			continue;
		st = channel_state(p->channel, &e);
		if (st != ST_OK && st != ST_AGAIN)
			hang_up(m, p, e.text);
		else if (p != m->engine && now > p->since_ns && now - p->since_ns > patience)
			hang_up(m, p, "it did not say which engine it is");
		if (p->closed && channel_idle(p->channel)) {
			channel_free(p->channel);
			*p = (struct peer){ 0 };
		}
	}
}

/* NULL: none, and the newcomer that has been here longest makes room. */
static struct peer *peer_place(struct mirror_process *m)
{
	struct peer *oldest = NULL;

	for (struct peer *p = m->peers; p < m->peers + MIRROR_PEERS_MAX; p++)
		if (p->channel == NULL)
			return p;
	for (struct peer *p = m->peers; p < m->peers + MIRROR_PEERS_MAX; p++) {
		if (p->closed)
			return NULL;
		if (p != m->engine && (oldest == NULL || p->since_ns < oldest->since_ns))
			oldest = p;
	}
	hang_up(m, oldest, "another one knocks");
	return NULL;
}

static void acceptable(struct io_op *op)
{
	((struct mirror_process *)op->owner)->accepting = false;
}

/*
 * Whoever connects is a newcomer: a port scan and a health check end nothing. The engine's place is
 * taken by a valid HELLO alone.
 */
static void accept_run(struct mirror_process *m)
{
	struct peer *p = m->accepting ? NULL : peer_place(m);
	struct secure *secure = NULL;
	int fd;

	if (p == NULL)
		return;
	fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	p->since_ns = io_boot_ns();
	if (fd >= 0 && ((m->secure != NULL && secure_new(&secure, m->secure, "") != ST_OK) ||
			channel_new(&p->channel, m->io, fd, secure) != ST_OK)) {
		log_error("mirror", "no memory for a connection");
		secure_free(secure);
		close(fd);
	}
	m->accepting = true;
	m->accept_op = (struct io_op){ .done = acceptable, .owner = m };
	io_poll(m->io, &m->accept_op, m->listener, POLLIN);
}

static void signalled(struct io_op *op)
{
	((struct mirror_process *)op->owner)->stop = true;
}

static void signal_wait(struct mirror_process *m)
{
	m->signal_op = (struct io_op){ .done = signalled, .owner = m };
	io_poll(m->io, &m->signal_op, m->signals, POLLIN);
}

static bool peers_left(const struct mirror_process *m)
{
	for (size_t i = 0; i < MIRROR_PEERS_MAX; i++)
		if (m->peers[i].channel != NULL)
			return true;
	return false;
}

/* Every operation of ours on the ring ends; `stop` is as it was. */
static void io_leave(struct mirror_process *m)
{
	bool stop = m->stop;

	for (struct peer *p = m->peers; p < m->peers + MIRROR_PEERS_MAX; p++)
		hang_up(m, p, "letting go");
	if (!m->stop)
		io_cancel(m->io, &m->signal_op);
	if (m->accepting)
		io_cancel(m->io, &m->accept_op);
	while (m->accepting || !m->stop || peers_left(m)) {
		io_run(m->io, 100);
		peers_run(m);
	}
	m->stop = stop;
}

/* ---- the folder ---- */

/* Was it taken over since? Then it is somebody else's from here on. */
static enum status taken_over(struct mirror_process *m, struct error *e)
{
	enum role role;
	uint32_t epoch;
	enum status st = role_read(m->config->data, &role, &epoch, e);

	/* Until the take-over is done it has no epoch: the next one it will be. */
	if (st == ST_OK && epoch != ROLE_UNFINISHED)
		m->epoch = epoch;
	else if (st == ST_OK && m->follow != NULL)
		m->epoch = journal_next_term(follow_epoch(m->follow));
	if (st != ST_OK || m->follow == NULL || role == ROLE_MIRROR)
		return st;
	log_warn("mirror", "%s is taken over; engines of older epochs are fenced", m->config->data);
	if (m->engine != NULL)
		say_fenced(m, m->engine);
	/* What was just said goes out. */
	for (int i = 0; i < 5 && m->engine != NULL; i++)
		io_run(m->io, 20);
	io_leave(m);
	follow_close(m->follow);
	m->follow = NULL;
	st = io_new(&m->io, IO_AUTO, IO_ENTRIES, e);
	if (st == ST_OK)
		signal_wait(m);
	return st;
}

static enum status run(struct mirror_process *m, struct error *e)
{
	enum status st = ST_OK;
	uint64_t looked = io_boot_ns();

	signal_wait(m);
	while (!m->stop && st == ST_OK) {
		if (m->follow == NULL || io_boot_ns() - looked > TICK_MS * 1000000ull) {
			st = taken_over(m, e);
			looked = io_boot_ns();
		}
		if (st != ST_OK)
			break;
		accept_run(m);
		messages_run(m);
		if (m->follow != NULL)
			st = follow_turn(m->follow, e);
		if (st == ST_OK) {
			acknowledge(m);
			peers_run(m);
			io_run(m->io, TICK_MS);
		}
	}
	return st;
}

/* ---- start ---- */

static enum status listen_up(struct mirror_process *m, struct error *e)
{
	const struct config *c = m->config;
	const struct secure_files files = { c->mirror_cert, c->mirror_key, c->mirror_ca };
	struct sockaddr_storage at;
	socklen_t n;
	const int on = 1;
	char host[64];
	bool loopback;
	enum status st = channel_address(c->listen[0], &at, &n, host, &loopback, e);

	if (st == ST_OK && c->mirror_cert[0] != '\0')
		st = secure_context_new(&m->secure, &files, true, e);
	else if (st == ST_OK && !loopback)
		st = error_set(e, ST_INVALID, "listen = %s: beyond loopback a mirror needs "
			       "mirror_cert, mirror_key and mirror_ca", c->listen[0]);
	if (st != ST_OK)
		return st;
	m->listener = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->listener < 0 ||
	    setsockopt(m->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(m->listener, (struct sockaddr *)&at, n) != 0 || listen(m->listener, 8) != 0 ||
	    getsockname(m->listener, (struct sockaddr *)&at, &n) != 0)
		return error_set(e, ST_UNAVAILABLE, "%s: %s", c->listen[0], strerror(errno));
	/* Both families have it at the same place. */
	log_info("mirror", "listening on %s (port %u)", c->listen[0],
		 (uint32_t)((uint8_t *)&at)[2] << 8 | ((uint8_t *)&at)[3]);
	return ST_OK;
}

static enum status folder_open(struct mirror_process *m, struct error *e)
{
	enum role role;
	enum status st = engine_sandbox(m->config, e);

	if (st == ST_OK)
		st = role_read(m->config->data, &role, &m->epoch, e);
	if (st == ST_OK && role == ROLE_PRIMARY) {
		log_warn("mirror", "%s was taken over (epoch %u): older engines are fenced here",
			 m->config->data, m->epoch);
		return io_new(&m->io, IO_AUTO, IO_ENTRIES, e);
	}
	if (st == ST_OK)
		st = follow_open(&m->follow, m->config, false, e);
	if (st == ST_OK)
		m->io = follow_io(m->follow);
	return st;
}

int mirror_serve(const struct config *c)
{
	struct mirror_process m = { .config = c, .listener = -1 };
	struct error e = { 0 };
	sigset_t set;
	enum status st;

	config_log(c, "mirror");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a file at its limit is a failed write, told as such */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	st = dir_make(c->data, 0700, &e);
	if (st == ST_OK)
		st = listen_up(&m, &e);
	if (st == ST_OK)
		st = folder_open(&m, &e);
	if (st == ST_OK) {
		log_info("mirror", "ready");
		st = run(&m, &e);
	}
	if (st != ST_OK) {
		/* Nothing more was acknowledged; what was stands in the journal. */
		log_error("mirror", "%s: %s", status_name(st), e.text);
		_exit(exit_code_of(st));
	}
	io_leave(&m);
	if (m.follow != NULL)
		follow_close(m.follow);
	else
		io_free(m.io);
	secure_context_free(m.secure);
	close(m.listener);
	close(m.signals);
	log_info("mirror", "stopped");
	return 0;
}
