#include "spine/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "mirror/channel.h"
#include "spine/role.h"
#include "spine/spine.h"

#define RETRY_NS (500 * 1000000ull)
#define START_WAIT_MS 30000		/* of `wait`, until the start is given up */
#define FILE_BYTES_MAX (1024 * 1024)
#define FILE_NAME_BYTES 288

enum link { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_UP };

struct mirror {
	struct sockaddr_storage address;
	socklen_t address_n;
	char host[64];
	struct secure_context *secure;
	bool wait;			/* the policy */
	bool alone;			/* degraded: nothing waits for it */
	_Atomic bool files_changed;
	enum link link;
	int fd;				/* while connecting */
	struct io_op connect_op;
	bool connecting;		/* the op is the ring's */
	struct channel *channel, *closing;	/* not another one before that one is free */
	char (*files)[FILE_NAME_BYTES];	/* still to be sent, before any frame */
	uint32_t files_n, files_room;
	struct journal_cursor sent;
	uint64_t acked;			/* durable there before it */
	uint64_t moved_ns;		/* when it last got on, or had nothing to do */
	uint64_t retry_ns;
	_Atomic uint64_t behind;
	struct error failure;		/* it will never do: fenced, another log */
	char why[160];			/* why it is down */
};

/* ---- up and down ---- */

static void limit_set(struct spine *s)
{
	struct mirror *m = s->mirror;

	journal_limit(s->journal, m->alone ? UINT64_MAX : m->acked);
}

static void lost(struct spine *s, const char *why)
{
	struct mirror *m = s->mirror;

	if (m->link == LINK_UP)
		log_error("mirror", "%s: %s; %s", s->config->mirror, why, m->wait ?
			  "nothing is numbered until it is back" : "going on alone");
	snprintf(m->why, sizeof(m->why), "%s", why);
	channel_close(m->channel);
	if (m->channel != NULL)
		m->closing = m->channel;
	m->channel = NULL;
	if (m->fd >= 0) {
		if (m->connecting)
			io_cancel(s->io, &m->connect_op);
		close(m->fd);
	}
	m->fd = -1;
	m->link = LINK_DOWN;
	m->retry_ns = io_boot_ns() + RETRY_NS;
	if (!m->wait && s->numbering && !m->alone) {
		m->alone = true;
		limit_set(s);
	}
}

static void never(struct spine *s, enum status st, const char *text)
{
	struct mirror *m = s->mirror;

	error_set(&m->failure, st, "%s", text);
	if (s->failure.status == ST_OK)
		s->failure = m->failure;
	lost(s, text);
}

static void fenced(struct spine *s, uint32_t epoch)
{
	struct error e = { 0 };

	/* If it cannot be written down, the mirror tells it again at the next start. */
	if (role_write(s->config->data, ROLE_FENCED, epoch, &e) != ST_OK)
		log_error("mirror", "%s", e.text);
	error_set(&e, ST_PRECONDITION, "fenced: another engine took over with epoch %u, this one "
		  "has %u. Nothing more is numbered or stored here", epoch,
		  journal_epoch(s->journal));
	never(s, ST_PRECONDITION, e.text);
}

static void connected(struct io_op *op)
{
	struct mirror *m = op->owner;

	m->connecting = false;
}

static void connect_begin(struct spine *s)
{
	struct mirror *m = s->mirror;

	m->fd = socket(m->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->fd < 0 || (connect(m->fd, (struct sockaddr *)&m->address, m->address_n) != 0 &&
			  errno != EINPROGRESS)) {
		lost(s, strerror(errno));
		return;
	}
	m->link = LINK_CONNECTING;
	m->moved_ns = io_boot_ns();
	m->connecting = true;
	m->connect_op = (struct io_op){ .done = connected, .owner = m };
	io_poll(s->io, &m->connect_op, m->fd, POLLOUT);
}

static void connect_end(struct spine *s)
{
	struct mirror *m = s->mirror;
	struct secure *secure = NULL;
	int why = 0;
	socklen_t n = sizeof(why);
	enum status st = ST_OK;

	if (getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0 || why != 0) {
		lost(s, strerrordesc_np(why));
		return;
	}
	if (m->secure != NULL)
		st = secure_new(&secure, m->secure, m->host);
	if (st == ST_OK)
		st = channel_new(&m->channel, s->io, m->fd, secure);
	if (st != ST_OK) {
		secure_free(secure);
		lost(s, "no memory for a connection");
		return;
	}
	m->fd = -1;
	m->link = LINK_GREETING;
}

static void greet(struct spine *s)
{
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct slice hello;

	write_u32(&w, CHANNEL_VERSION);
	write_u32(&w, s->config->engine);
	write_u32(&w, s->config->journal_segment_mb * 1024 * 1024);
	write_u32(&w, journal_epoch(s->journal));
	write_u8(&w, s->mirror->wait);
	hello = writer_slice(&w);
	if (channel_put(s->mirror->channel, MESSAGE_HELLO, &hello, 1) == ST_OK)
		s->mirror->link = LINK_UP;
}

/* ---- what goes there ---- */

/* All files of one folder are to be sent. */
static enum status files_list(struct spine *s, const char *folder)
{
	struct mirror *m = s->mirror;
	char path[PATH_MAX];
	DIR *d;
	struct dirent *entry;
	enum status st = ST_OK;

	snprintf(path, sizeof(path), "%s/%s", s->config->data, folder);
	d = opendir(path);
	while (st == ST_OK && d != NULL && (entry = readdir(d)) != NULL) {
		if (entry->d_type != DT_REG || strstr(entry->d_name, ".tmp") != NULL)
			continue;
		if (m->files_n == m->files_room) {
			uint32_t room = m->files_room == 0 ? 64 : 2 * m->files_room;
			void *bigger = realloc(m->files, room * sizeof(*m->files));

			st = bigger != NULL ? ST_OK : ST_NOMEM;
			if (bigger == NULL)
				break;
			m->files = bigger;
			m->files_room = room;
		}
		snprintf(m->files[m->files_n++], FILE_NAME_BYTES, "%s/%s", folder, entry->d_name);
	}
	if (d != NULL)
		closedir(d);
	return st;
}

static enum status file_send(struct spine *s, const char *name)
{
	uint8_t head[FILE_NAME_BYTES + 4], *bytes = NULL;
	struct writer w = writer_of(head, sizeof(head));
	struct slice parts[2];
	char path[PATH_MAX];
	struct error e = { 0 };
	size_t n = 0;
	enum status st;

	snprintf(path, sizeof(path), "%s/%s", s->config->data, name);
	st = file_read(path, FILE_BYTES_MAX, &bytes, &n, &e);
	write_blob(&w, slice_str(name));
	parts[0] = writer_slice(&w);
	parts[1] = slice_of(bytes, n);
	if (st == ST_OK)
		st = channel_put(s->mirror->channel, MESSAGE_FILE, parts, 2);
	free(bytes);
	return st;
}

/* true: none is left, frames may follow. */
static bool files_send(struct spine *s)
{
	struct mirror *m = s->mirror;
	enum status st = ST_OK;

	while (m->files_n > 0 && st == ST_OK) {
		st = file_send(s, m->files[m->files_n - 1]);
		m->files_n -= st == ST_OK;
	}
	if (st != ST_OK && st != ST_FULL)
		lost(s, "identity and catalogue cannot be sent");
	return st == ST_OK;
}

static void frames_send(struct spine *s)
{
	struct mirror *m = s->mirror;

	for (;;) {
		struct journal_cursor at = m->sent;
		struct slice frame;
		struct error e = { 0 };
		enum status st = journal_frame(s->journal, &at, &frame, &e);

		if (st == ST_OK)
			st = channel_put(m->channel, MESSAGE_FRAME, &frame, 1);
		if (st == ST_OK) {
			if (m->acked == m->sent.position)
				m->moved_ns = io_boot_ns();
			m->sent = at;
			continue;
		}
		if (st == ST_NOT_FOUND)
			lost(s, "it lacks what is released here; make it anew: trien backup "
			     "--without-store");
		else if (st == ST_CONFLICT)
			never(s, ST_PRECONDITION, "the mirror has records that this data folder "
			      "lacks: this one is older. Take the mirror over, or make it anew");
		else if (st != ST_AGAIN && st != ST_FULL)
			lost(s, e.text);
		return;
	}
}

/* ---- what comes from there ---- */

static void welcome(struct spine *s, struct slice payload)
{
	struct mirror *m = s->mirror;
	struct reader r = reader_of(payload);
	uint32_t epoch = read_u32(&r);

	m->sent.position = read_u64(&r);
	m->sent.prev = read_u32(&r);
	if (r.bad || journal_term(epoch) > journal_term(journal_epoch(s->journal))) {
		fenced(s, epoch);
		return;
	}
	m->acked = m->sent.position;
	m->why[0] = '\0';
	log_info("mirror", "%s has everything before %llu", s->config->mirror,
		 (unsigned long long)m->acked);
	m->files_n = 0;
	if (files_list(s, "identity") != ST_OK || files_list(s, "catalogue") != ST_OK)
		lost(s, "no memory for the names of files");
	else
		limit_set(s);
}

static bool greeted(const struct mirror *m)
{
	return m->link == LINK_UP && m->why[0] == '\0';
}

static void take(struct spine *s, uint8_t type, struct slice payload)
{
	struct mirror *m = s->mirror;
	struct reader r = reader_of(payload);
	uint64_t position;
	char text[160];

	switch (type) {
	case MESSAGE_WELCOME:
		welcome(s, payload);
		return;
	case MESSAGE_FENCED:
		fenced(s, read_u32(&r));
		return;
	case MESSAGE_REFUSED:
		snprintf(text, sizeof(text), "it refuses: %.*s", (int)payload.n,
			 (const char *)payload.p);
		lost(s, text);
		return;
	case MESSAGE_ACK:
		position = read_u64(&r);
		if (!greeted(m) || r.bad || position < m->acked || position > m->sent.position) {
			lost(s, "it acknowledged what it was not sent");
			return;
		}
		m->acked = position;
		m->moved_ns = io_boot_ns();
		limit_set(s);
		return;
	default:
		lost(s, "a message of no kind");
	}
}

/* ---- each turn ---- */

static void link_run(struct spine *s)
{
	struct mirror *m = s->mirror;
	struct error e = { 0 };
	struct slice payload;
	uint8_t type;
	enum status st;

	if (m->link == LINK_CONNECTING && !m->connecting)
		connect_end(s);
	if (m->link < LINK_GREETING)
		return;
	while (m->channel != NULL && channel_first(m->channel, &type, &payload)) {
		struct channel *c = m->channel;

		take(s, type, payload);
		if (m->channel == c)
			channel_taken(c);
	}
	if (m->channel == NULL)
		return;
	st = channel_state(m->channel, &e);
	if (st == ST_OK && m->link == LINK_GREETING)
		greet(s);
	else if (st != ST_OK && st != ST_AGAIN)
		lost(s, e.text);
}

static void caught_up(struct spine *s)
{
	struct mirror *m = s->mirror;
	struct journal_cursor tail;

	journal_tail(s->journal, &tail);
	atomic_store_explicit(&m->behind, tail.position > m->acked ? tail.position - m->acked : 0,
			      memory_order_relaxed);
	if (m->acked == tail.position || m->acked == m->sent.position)
		m->moved_ns = io_boot_ns();
	if (!m->alone || !greeted(m) || m->acked != tail.position)
		return;
	log_info("mirror", "%s has caught up", s->config->mirror);
	m->alone = false;
	limit_set(s);
}

void mirror_run(struct spine *s)
{
	struct mirror *m = s->mirror;
	uint64_t now = io_boot_ns();

	if (m == NULL || m->failure.status != ST_OK)
		return;
	if (m->closing != NULL && channel_idle(m->closing)) {
		channel_free(m->closing);
		m->closing = NULL;
	}
	if (m->link == LINK_DOWN && now >= m->retry_ns && m->closing == NULL && !m->connecting)
		connect_begin(s);
	link_run(s);
	if (greeted(m) && atomic_exchange(&m->files_changed, false) &&
	    files_list(s, "catalogue") != ST_OK)
		lost(s, "no memory for the names of files");
	if (greeted(m) && files_send(s))
		frames_send(s);
	if (greeted(m))
		caught_up(s);
	if (m->link != LINK_DOWN && now > m->moved_ns &&
	    now - m->moved_ns > s->config->mirror_timeout_ms * 1000000ull)
		lost(s, "it does not answer");
}

void mirror_files_changed(struct spine *s)
{
	if (s->mirror != NULL)
		atomic_store(&s->mirror->files_changed, true);
}

bool mirror_refuses(const struct spine *s)
{
	return s->mirror != NULL && !s->mirror->alone && !greeted(s->mirror);
}

const char *mirror_why(const struct spine *s)
{
	const struct mirror *m = s->mirror;

	return m == NULL || (greeted(m) && !m->alone) ? "" : m->why[0] != '\0' ? m->why :
	       "catching up";
}

uint64_t mirror_behind(const struct spine *s)
{
	return s->mirror == NULL ? 0 :
	       atomic_load_explicit(&s->mirror->behind, memory_order_relaxed);
}

uint64_t mirror_needs(const struct spine *s, uint64_t upto)
{
	const struct mirror *m = s->mirror;

	if (m == NULL || m->acked >= upto ||
	    journal_slots_free(s->journal) <= JOURNAL_SLOTS_FREE_MIN)
		return upto;
	return m->acked;
}

/* ---- begin and end ---- */

static enum status open_mirror(struct spine *s, struct error *e)
{
	const struct config *c = s->config;
	const struct secure_files files = { c->mirror_cert, c->mirror_key, c->mirror_ca };
	struct mirror *m = calloc(1, sizeof(*m));
	bool loopback;
	enum status st;

	if (m == NULL)
		return ST_NOMEM;
	s->mirror = m;
	m->fd = -1;
	m->wait = strcmp(c->mirror_policy, "wait") == 0;
	snprintf(m->why, sizeof(m->why), "it was not reached yet");
	st = channel_address(c->mirror, &m->address, &m->address_n, m->host, &loopback, e);
	if (st == ST_OK && c->mirror_cert[0] != '\0')
		st = secure_context_new(&m->secure, &files, false, e);
	else if (st == ST_OK && !loopback)
		st = error_set(e, ST_INVALID, "mirror = %s: beyond loopback it needs mirror_cert, "
			       "mirror_key and mirror_ca", c->mirror);
	return st;
}

enum status mirror_meet(struct spine *s, struct error *e)
{
	uint64_t patience = s->config->mirror_timeout_ms, begun = io_boot_ns(), acked = 0;
	enum status st;

	if (s->config->mirror[0] == '\0')
		return ST_OK;
	st = open_mirror(s, e);
	if (st != ST_OK)
		return st;
	limit_set(s);
	if (s->mirror->wait && patience < START_WAIT_MS)
		patience = START_WAIT_MS;
	/* Sent and acknowledged: what is acted upon from here on is there as well. */
	while (s->mirror->failure.status == ST_OK &&
	       (!greeted(s->mirror) || mirror_behind(s) > 0) &&
	       io_boot_ns() - begun < patience * 1000000) {
		mirror_run(s);
		io_run(s->io, 20);
		/* As long as it gets on it is waited for. */
		if (s->mirror->acked != acked)
			begun = io_boot_ns();
		acked = s->mirror->acked;
	}
	if (s->mirror->failure.status != ST_OK) {
		*e = s->mirror->failure;
		return e->status;
	}
	if (greeted(s->mirror) && mirror_behind(s) == 0)
		return ST_OK;
	if (s->mirror->wait)
		return error_set(e, ST_UNAVAILABLE, "mirror %s: %s. With mirror_policy = wait "
				 "nothing is numbered without it", s->config->mirror,
				 mirror_why(s));
	log_error("mirror", "%s: %s; going on alone", s->config->mirror, mirror_why(s));
	s->mirror->alone = true;
	limit_set(s);
	return ST_OK;
}

void mirror_free(struct spine *s)
{
	struct mirror *m = s->mirror;

	if (m == NULL)
		return;
	if (m->link != LINK_DOWN)
		lost(s, "stopping");
	while (m->connecting || (m->closing != NULL && !channel_idle(m->closing)))
		io_run(s->io, 100);
	channel_free(m->closing);
	secure_context_free(m->secure);
	free(m->files);
	free(m);
	s->mirror = NULL;
}
