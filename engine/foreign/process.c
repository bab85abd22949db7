#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "foreign/foreign.h"
#include "foreign/look.h"
#include "foreign/sandbox.h"
#include "limits.h"

static_assert(FOREIGN_DETAIL_BYTES == LOOK_DETAIL_BYTES, "a detail is handed on as it is");

#define ARENA_BYTES (32 * 1024 * 1024)	/* address space: pages come as they are touched */

/* A child, and whom it answers. */
struct work { pid_t pid; int answer; int64_t until_ms; bool ended; };

struct process {
	struct foreign_config c;
	struct foreign_sandbox *sandbox;
	int signals;
	sigset_t before;		/* the mask that children have */
	struct work works[INSPECTIONS_MAX];
	uint64_t files, refused, failed;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* flags: of send(). */
static bool answer(int fd, const struct original *o, const struct foreign_verdict *v, int flags)
{
	static uint8_t bytes[FOREIGN_ANSWER_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct foreign_verdict large = { REASON_ORIGINAL_TOO_LARGE, "runs" };

	foreign_write(&w, o, v);
	if (w.bad) {
		w = writer_of(bytes, sizeof(bytes));
		foreign_write(&w, o, &large);
	}
	return send(fd, bytes, writer_size(&w), MSG_NOSIGNAL | flags) == (ssize_t)writer_size(&w);
}

/* ---- a child ---- */

static enum reason look(struct slice file, bool own, struct arena *a, struct original *out,
			char detail[FOREIGN_DETAIL_BYTES])
{
	struct detail d;
	enum reason why = look_at(file, own, a, out, &d);

	memcpy(detail, d.text, FOREIGN_DETAIL_BYTES);
	return why;
}

#ifdef __SANITIZE_ADDRESS__
#define CLOSED_FROM 3			/* it has something to say */
#else
#define CLOSED_FROM 0
#endif

/* Descriptors of the process and of other files are none of its business. */
static bool close_others(unsigned int a, unsigned int b)
{
	unsigned int low = a < b ? a : b, high = a < b ? b : a;

	return (low <= CLOSED_FROM || close_range(CLOSED_FROM, low - 1, 0) == 0) &&
	       (high == low + 1 || close_range(low + 1, high - 1, 0) == 0) &&
	       close_range(high + 1, ~0u, 0) == 0;
}

static void child(struct process *p, pid_t parent, int file, int to, uint32_t size, bool own)
{
	uint64_t work = p->c.work_bytes != 0 ? p->c.work_bytes : INSPECTION_WORK_BYTES_MAX;
	foreign_look *how = p->c.look != NULL ? p->c.look : look;
	struct foreign_verdict v = { REASON_NONE, "" };
	struct original o = { .size = size };
	struct arena a;
	void *bytes;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !close_others((unsigned int)file, (unsigned int)to))
		_exit(EX_OSERR);
	sigprocmask(SIG_SETMASK, &p->before, NULL);
	if (foreign_sandbox_child(p->sandbox, p->c.cpu_s != 0 ? p->c.cpu_s : INSPECTION_CPU_S_MAX,
				  size + work) != ST_OK || arena_init(&a, ARENA_BYTES) != ST_OK)
		_exit(EX_OSERR);
	bytes = size == 0 ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
	if (bytes == MAP_FAILED)
		_exit(EX_OSERR);
	v.why = how(slice_of(bytes, size), own, &a, &o, v.detail);
	/* Who asked may be gone. */
	if (!answer(to, &o, &v, 0))
		_exit(EX_IOERR);
	_exit(v.why == REASON_NONE ? EX_OK : EX_DATAERR);
}

/* ---- the process ---- */

static struct work *work_free(struct process *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->works); i++)
		if (p->works[i].pid == 0)
			return &p->works[i];
	return NULL;
}

static void begin(struct process *p, struct work *w, int file, int to, uint32_t size, bool own)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		child(p, parent, file, to, size, own);
	close(file);
	if (pid < 0) {
		log_error("foreign", "fork: %s", strerror(errno));
		close(to);	/* an end without an answer: to be tried again */
		return;
	}
	p->files++;
	*w = (struct work){ pid, to, now_ms() + (p->c.wall_ms != 0 ? p->c.wall_ms :
						  INSPECTION_MS_MAX), false };
}

/* EX_OK: there was a request; -1: nothing more now; else the process ends so. */
static int request(struct process *p)
{
	uint8_t bytes[FOREIGN_REQUEST_BYTES];
	struct iovec iov = { bytes, sizeof(bytes) };
	union { struct cmsghdr h; char space[CMSG_SPACE(2 * sizeof(int))]; } u;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };
	struct work *w = work_free(p);
	ssize_t n = w == NULL ? 0 : recvmsg(p->c.socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	struct reader r = reader_of(slice_of(bytes, sizeof(bytes)));
	uint32_t size;
	int fds[2];

	if (w == NULL || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return -1;
	if (n <= 0 && (n == 0 || errno == ECONNRESET))
		return EX_NOHOST;
	if (n != FOREIGN_REQUEST_BYTES || h == NULL || h->cmsg_type != SCM_RIGHTS ||
	    h->cmsg_len != CMSG_LEN(sizeof(fds)) || (m.msg_flags & MSG_CTRUNC) != 0)
		return EX_PROTOCOL;
	memcpy(fds, CMSG_DATA(h), sizeof(fds));
	size = read_u32(&r);
	begin(p, w, fds[0], fds[1], size, read_u8(&r) != 0);
	return EX_OK;
}

/* What a child that did not answer died of; if it did, nobody reads this. */
static void judge(struct process *p, const struct work *w, int how)
{
	struct foreign_verdict v = { REASON_ORIGINAL_TIMEOUT, "" };
	int signo = WIFSIGNALED(how) ? WTERMSIG(how) : 0;

	if (w->ended)
		snprintf(v.detail, sizeof(v.detail), "time");
	else if (signo == SIGXCPU)
		snprintf(v.detail, sizeof(v.detail), "processor time");
	else if (signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE || signo == SIGILL)
		/* abort() too: its own signal is not let through, what it falls back to is. */
		v.why = REASON_ORIGINAL_DAMAGED;
	if (v.detail[0] == '\0')
		snprintf(v.detail, sizeof(v.detail), "ended, %s %d",
			 signo != 0 ? "signal" : "code", signo != 0 ? signo : WEXITSTATUS(how));
	if (!WIFEXITED(how) || (WEXITSTATUS(how) != EX_OK && WEXITSTATUS(how) != EX_DATAERR)) {
		p->failed++;
		log_warn("foreign", "a file could not be read: %s, %s", reason_text(v.why)->name,
			 v.detail);
	}
	/* One that could not even begin says nothing of its file. */
	if (!WIFEXITED(how) || WEXITSTATUS(how) != EX_OSERR)
		/* No room: what fills it is an answer. Others must not wait for who reads it. */
		answer(w->answer, NULL, &v, MSG_DONTWAIT);
}

static void reap(struct process *p)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int how;

	while (read(p->signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
		for (size_t i = 0; i < ARRAY_LEN(p->works); i++) {
			struct work *w = &p->works[i];

			if (w->pid != pid)
				continue;
			p->refused += WIFEXITED(how) && WEXITSTATUS(how) == EX_DATAERR;
			judge(p, w, how);
			close(w->answer);
			w->pid = 0;
		}
}

/* Ends who is late; returns the ms to the next end of a time. */
static int late_end(struct process *p)
{
	int64_t now = now_ms(), next = -1;

	for (size_t i = 0; i < ARRAY_LEN(p->works); i++) {
		struct work *w = &p->works[i];

		if (w->pid == 0 || w->ended)
			continue;
		if (now >= w->until_ms) {
			w->ended = true;
			kill(w->pid, SIGKILL);
		} else if (next < 0 || w->until_ms - now < next) {
			next = w->until_ms - now;
		}
	}
	return (int)next;
}

static int serve(struct process *p)
{
	int code = -1;

	while (code <= EX_OK) {
		int wait = late_end(p);
		/* Without room for another child its request stays where it is. */
		struct pollfd fds[] = {
			{ work_free(p) != NULL ? p->c.socket : -1, POLLIN, 0 },
			{ p->signals, POLLIN, 0 },
		};

		if (poll(fds, ARRAY_LEN(fds), wait) < 0 && errno != EINTR)
			return EX_OSERR;
		reap(p);
		do
			code = request(p);
		while (code == EX_OK);
	}
	if (code == EX_PROTOCOL)
		log_error("foreign", "the engine's request is malformed; stopping");
	return code == EX_NOHOST ? EX_OK : code;
}

int foreign_run(const struct foreign_config *c)
{
	static struct process p;	/* its children have it too */
	struct error e = { 0 };
	sigset_t child_ends;
	int code;

	/* A terminal's ^C or a stopped service reaches us too, while the engine still drains. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	p = (struct process){ .c = *c };
	sigemptyset(&child_ends);
	sigaddset(&child_ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ends, &p.before);
	p.signals = signalfd(-1, &child_ends, SFD_NONBLOCK | SFD_CLOEXEC);
	if (p.signals < 0 || foreign_sandbox_enter(&p.sandbox, &e) != ST_OK) {
		log_error("foreign", "%s", p.signals < 0 ? strerror(errno) : e.text);
		return EX_OSERR;
	}
	log_info("foreign", "ready");
	code = serve(&p);
	log_info("foreign", "ends; files=%llu refused=%llu failed=%llu",
		 (unsigned long long)p.files, (unsigned long long)p.refused,
		 (unsigned long long)p.failed);
	foreign_sandbox_free(p.sandbox);
	return code;
}
