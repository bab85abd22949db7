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

#define ROOTS_READ_FACTOR 24
#define ARENA_BYTES (32 * 1024 * 1024)	/* address space: pages come as they are touched */

/* What is asked: two descriptors, or three. */
struct task { int file, to, roots; uint32_t size, roots_size; uint8_t job; };

/* A child, and whom it answers. */
struct work { pid_t pid; int answer; int64_t until_ms; bool ended; };

struct process {
	struct foreign_config c;
	struct foreign_sandbox *sandbox;
	int signals;
	sigset_t before;		/* the mask that children have */
	struct work works[INSPECTIONS_MAX + JUDGEMENTS_MAX];
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

/* Descriptors of the process and of other files are none of its business. keep: ascending. */
static bool close_others(const int *keep, size_t n)
{
	unsigned int from = CLOSED_FROM;

	for (size_t i = 0; i < n; i++) {
		unsigned int fd = (unsigned int)keep[i];

		if (fd > from && close_range(from, fd - 1, 0) != 0)
			return false;
		if (fd >= from)
			from = fd + 1;
	}
	return close_range(from, ~0u, 0) == 0;
}

static int ascending(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct slice mapped(int fd, uint32_t size)
{
	void *p = size == 0 ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		_exit(EX_OSERR);
	return slice_of(p, size);
}

/* Returns its exit code. */
static int look_child(struct process *p, const struct task *t)
{
	foreign_look *how = p->c.look != NULL ? p->c.look : look;
	struct foreign_verdict v = { REASON_NONE, "" };
	struct original o = { .size = t->size };
	struct arena a;

	if (arena_init(&a, ARENA_BYTES) != ST_OK)
		return EX_OSERR;
	v.why = how(mapped(t->file, t->size), t->job == FOREIGN_LOOK_OWN, &a, &o, v.detail);
	/* Who asked may be gone. */
	if (!answer(t->to, &o, &v, 0))
		return EX_IOERR;
	return v.why == REASON_NONE ? EX_OK : EX_DATAERR;
}

static int judge_child(struct process *p, const struct task *t)
{
	static uint8_t bytes[FOREIGN_JUDGEMENT_BYTES_MAX], message[sizeof(bytes) + 1];
	struct writer w = writer_of(message, sizeof(message));
	size_t n = p->c.judge(mapped(t->file, t->size), mapped(t->roots, t->roots_size), bytes,
			      sizeof(bytes));

	/* No memory: the process answers that there was no judgement. */
	if (n == 0)
		return EX_UNAVAILABLE;
	foreign_judgement_write(&w, slice_of(bytes, n));
	return send(t->to, message, writer_size(&w), MSG_NOSIGNAL) == (ssize_t)writer_size(&w) ?
		EX_OK : EX_IOERR;
}

static void child(struct process *p, pid_t parent, const struct task *t)
{
	uint64_t work = p->c.work_bytes != 0 ? p->c.work_bytes : INSPECTION_WORK_BYTES_MAX;
	bool judges = t->job == FOREIGN_JUDGE;
	uint32_t cpu_s = judges ? JUDGEMENT_CPU_S_MAX :
			 p->c.cpu_s != 0 ? p->c.cpu_s : INSPECTION_CPU_S_MAX;
	int keep[] = { t->file, t->to, judges ? t->roots : t->to };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	qsort(keep, ARRAY_LEN(keep), sizeof(keep[0]), ascending);
	if (getppid() != parent || !close_others(keep, ARRAY_LEN(keep)))
		_exit(EX_OSERR);
	sigprocmask(SIG_SETMASK, &p->before, NULL);
	/* Lists of revoked certificates take more room read than packed. */
	if (foreign_sandbox_child(p->sandbox, cpu_s, t->size + work +
				  ROOTS_READ_FACTOR * (uint64_t)t->roots_size) != ST_OK)
		_exit(EX_OSERR);
	_exit(judges ? judge_child(p, t) : look_child(p, t));
}

/* ---- the process ---- */

static struct work *work_free(struct process *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->works); i++)
		if (p->works[i].pid == 0)
			return &p->works[i];
	return NULL;
}

static void task_close(const struct task *t)
{
	close(t->file);
	if (t->roots >= 0)
		close(t->roots);
}

static void begin(struct process *p, struct work *w, const struct task *t)
{
	uint32_t wall_ms = t->job == FOREIGN_JUDGE ? JUDGEMENT_MS_MAX :
			   p->c.wall_ms != 0 ? p->c.wall_ms : INSPECTION_MS_MAX;
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		child(p, parent, t);
	task_close(t);
	if (pid < 0) {
		log_error("foreign", "fork: %s", strerror(errno));
		close(t->to);	/* an end without an answer: to be tried again */
		return;
	}
	p->files++;
	*w = (struct work){ pid, t->to, now_ms() + wall_ms, false };
}

static bool task_read(const struct process *p, struct task *t, struct slice bytes,
		      const struct cmsghdr *h)
{
	struct reader r = reader_of(bytes);
	int fds[3] = { -1, -1, -1 };
	size_t n;

	*t = (struct task){ .size = read_u32(&r) };
	t->job = read_u8(&r);
	t->roots_size = read_u32(&r);
	n = (t->job == FOREIGN_JUDGE ? 3 : 2) * sizeof(int);
	if (r.bad || t->job >= FOREIGN_JOBS || (t->job == FOREIGN_JUDGE && p->c.judge == NULL) ||
	    h == NULL || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(n))
		return false;
	memcpy(fds, CMSG_DATA(h), n);
	t->file = fds[0];
	t->to = fds[1];
	t->roots = fds[2];
	return true;
}

/* EX_OK: there was a request; -1: nothing more now; else the process ends so. */
static int request(struct process *p)
{
	uint8_t bytes[FOREIGN_REQUEST_BYTES];
	struct iovec iov = { bytes, sizeof(bytes) };
	union { struct cmsghdr h; char space[CMSG_SPACE(3 * sizeof(int))]; } u;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };
	struct work *w = work_free(p);
	ssize_t n = w == NULL ? 0 : recvmsg(p->c.socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct task t;

	if (w == NULL || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return -1;
	if (n <= 0 && (n == 0 || errno == ECONNRESET))
		return EX_NOHOST;
	if (n != FOREIGN_REQUEST_BYTES || (m.msg_flags & MSG_CTRUNC) != 0 ||
	    !task_read(p, &t, slice_of(bytes, sizeof(bytes)), CMSG_FIRSTHDR(&m)))
		return EX_PROTOCOL;
	begin(p, w, &t);
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
	if (c->prepare != NULL)
		c->prepare();
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
