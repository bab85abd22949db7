#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "foreign/foreign.h"
#include "greeting.h"
#include "limits.h"

#define QUICK_MS 3000		/* a child that lived shorter crashed at its start */
#define CRASHES_MAX 5		/* that many in a row */
#define KILL_AFTER_MS 10000	/* beyond drain_ms */

/* Started beside a child that runs, to take its place once it is ready. */
struct successor {
	pid_t pid;			/* 0: none */
	int fd;				/* the engine's end of its socket pair */
	bool ready;
};

struct child {
	const char *name;
	char letter;			/* says to the engine whose socket comes; 0: nobody's */
	pid_t pid;			/* 0: not running */
	int64_t started_ms, start_at_ms;	/* start_at_ms: 0 = not to be started */
	uint32_t crashes;
	bool was_up;			/* lived longer than QUICK_MS once */
	bool replaced;			/* we asked it to go */
	struct successor next;
};

struct supervisor {
	const struct config *config;
	int argc;
	char **argv;
	sigset_t signals;
	int signal_fd, control;		/* control: -1 without an engine */
	int program;			/* trien-foreign, as it was when we started */
	struct child engine, signer, remote, foreign;
	char *services;			/* CERTS/remote.json: with it the remote signer runs */
	int64_t ready_by_ms;		/* of successors; 0: there are none */
	bool stopping;
	int64_t kill_at_ms;
	int exit_code;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void child_exec(struct supervisor *s, const struct child *c, int fd, pid_t parent)
{
	const struct foreign_words words = { s->config->log_level, INSPECTION_CPU_S_MAX,
					     s->config->data };
	char **argv = calloc((size_t)s->argc + 1, sizeof(*argv));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argv == NULL || getppid() != parent)
		_exit(EX_OSERR);
	sigprocmask(SIG_UNBLOCK, &s->signals, NULL);
	if (c == &s->foreign) {
		/* Another program, so that a fork of it costs little. */
		foreign_program_exec(s->program, fd, &words);
		_exit(EX_OSERR);
	}
	for (int i = 1; i < s->argc; i++)
		argv[i] = s->argv[i];
	/* main() knows a child by its first word. */
	argv[0] = (char *)c->name;
	if (c == &s->signer && c->was_up)
		setenv(SIGNER_LATER, "1", 1);
	if (fd != CHILD_FD)
		dup2(fd, CHILD_FD);
	else
		fcntl(fd, F_SETFD, 0);
	execv("/proc/self/exe", argv);
	_exit(EX_OSERR);
}

/* -1: logged. */
static pid_t child_fork(struct supervisor *s, const struct child *c, int fd)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		child_exec(s, c, fd, parent);
	if (pid < 0)
		log_error("supervisor", "fork: %s", strerror(errno));
	return pid;
}

static bool child_start(struct supervisor *s, struct child *c, int fd)
{
	pid_t pid = child_fork(s, c, fd);

	c->start_at_ms = 0;
	if (pid < 0) {
		c->start_at_ms = now_ms() + 1000;
		return false;
	}
	c->pid = pid;
	c->replaced = false;
	c->started_ms = now_ms();
	return true;
}

static void descriptor_send(struct supervisor *s, const struct child *c, int fd)
{
	char letter = c->letter;
	struct iovec iov = { &letter, 1 };
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } u;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };

	memset(&u, 0, sizeof(u));
	u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
	/* An engine that is just dying gets a new one with its successor. */
	if (s->control >= 0 && sendmsg(s->control, &m, MSG_NOSIGNAL) != 1)
		log_warn("supervisor", "the engine does not take the socket of the process '%s': "
			 "%s", c->name, strerror(errno));
}

/* A child that the engine talks to. */
static void served_start(struct supervisor *s, struct child *c)
{
	int type = c == &s->foreign ? SOCK_SEQPACKET : SOCK_STREAM, pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error("supervisor", "socketpair: %s", strerror(errno));
		c->start_at_ms = now_ms() + 1000;
		return;
	}
	if (child_start(s, c, pair[0]))
		descriptor_send(s, c, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

static void engine_start(struct supervisor *s)
{
	int pair[2];

	if (s->control >= 0)
		close(s->control);
	s->control = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error("supervisor", "socketpair: %s", strerror(errno));
		s->engine.start_at_ms = now_ms() + 1000;
		return;
	}
	if (child_start(s, &s->engine, pair[1]))
		s->control = pair[0];
	else
		close(pair[0]);
	close(pair[1]);
}

/* ---- successors ---- */

static void successor_drop(struct child *c)
{
	if (c->next.pid == 0)
		return;
	if (c->next.pid > 0)
		kill(c->next.pid, SIGKILL);
	if (c->next.fd >= 0)
		close(c->next.fd);
	c->next = (struct successor){ .fd = -1 };
}

static void successors_drop(struct supervisor *s)
{
	successor_drop(&s->signer);
	successor_drop(&s->remote);
	s->ready_by_ms = 0;
}

static bool successor_start(struct supervisor *s, struct child *c)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error("supervisor", "socketpair: %s", strerror(errno));
		return false;
	}
	c->next = (struct successor){ child_fork(s, c, pair[0]), pair[1], false };
	close(pair[0]);
	return c->next.pid > 0;
}

static void engine_reload(struct supervisor *s, int keeps)
{
	if (s->engine.pid > 0)
		sigqueue(s->engine.pid, SIGHUP, (union sigval){ .sival_int = keeps });
}

/* Nothing of its files is in force; which of them, and what to do, stands in `why`. */
static void successor_refused(struct supervisor *s, const struct child *c, const char *why)
{
	log_error("supervisor", "SIGHUP: a new %s does not start, the one before and its files "
		  "are in force: %s; mend that and send SIGHUP again", c->name, why);
	successors_drop(s);
	engine_reload(s, RELOAD_KEEPS_CERTS);
}

static void successor_greets(struct supervisor *s, struct child *c)
{
	char why[GREETING_WHY_BYTES];
	enum status st = greeting_look(c->next.fd, c == &s->signer ? GREETER_SIGNER :
				       GREETER_REMOTE, why);

	c->next.ready = st == ST_OK;
	if (st == ST_PRECONDITION)
		successor_refused(s, c, why);
}

static void successor_enter(struct supervisor *s, struct child *c)
{
	descriptor_send(s, c, c->next.fd);
	close(c->next.fd);
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	c->pid = c->next.pid;
	c->start_at_ms = 0;
	c->crashes = 0;
	c->replaced = false;
	c->started_ms = now_ms();
	c->next = (struct successor){ .fd = -1 };
}

/* Another one comes in its place. */
static void child_end(struct child *c)
{
	c->replaced = true;
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* All together: what one has read must not meet what another has not. */
static void successors_run(struct supervisor *s)
{
	if (s->ready_by_ms == 0)
		return;
	if (s->signer.next.ready && (s->remote.next.pid == 0 || s->remote.next.ready)) {
		successor_enter(s, &s->signer);
		if (s->remote.next.pid != 0)
			successor_enter(s, &s->remote);
		else
			child_end(&s->remote);
		s->ready_by_ms = 0;
		engine_reload(s, 0);
	} else if (now_ms() >= s->ready_by_ms) {
		successor_refused(s, s->signer.next.ready ? &s->remote : &s->signer,
				  "it is not ready in time (signer_start_ms)");
	}
}

static void reload(struct supervisor *s)
{
	bool started;

	successors_drop(s);
	/* Later trouble with their files stops nothing. */
	s->signer.was_up = s->remote.was_up = true;
	if (s->engine.pid == 0)
		return;
	s->ready_by_ms = now_ms() + s->config->signer_start_ms;
	started = successor_start(s, &s->signer);
	if (started && access(s->services, F_OK) == 0)
		started = successor_start(s, &s->remote);
	if (!started)
		successor_refused(s, &s->signer, "no process can be started");
}

/* ---- ends ---- */

static void stop(struct supervisor *s, int code)
{
	if (s->stopping)
		return;
	s->stopping = true;
	successors_drop(s);
	s->exit_code = code;
	s->kill_at_ms = now_ms() + s->config->drain_ms + KILL_AFTER_MS;
	if (s->engine.pid > 0)
		kill(s->engine.pid, SIGTERM);
}

int64_t supervisor_pause_ms(uint32_t crashes)
{
	if (crashes == 0)
		return 0;
	return 100ll << (crashes < CRASHES_MAX ? crashes : CRASHES_MAX);
}

/* false: too many in a row. */
static bool again(struct child *c)
{
	int64_t lived = now_ms() - c->started_ms;

	c->was_up |= lived > QUICK_MS;
	c->crashes = lived > QUICK_MS ? 0 : c->crashes + 1;
	c->start_at_ms = now_ms() + supervisor_pause_ms(c->crashes);
	return c->crashes <= CRASHES_MAX;
}

static void engine_ended(struct supervisor *s, int how)
{
	int code = WIFEXITED(how) ? WEXITSTATUS(how) : 0;

	if (s->stopping) {
		if (s->exit_code == 0)
			s->exit_code = code;
		return;
	}
	if (WIFEXITED(how)) {
		/* It said why in its log: a person has to look. */
		stop(s, code);
		return;
	}
	log_error("supervisor", "the engine was ended by signal %d; starting it again",
		  WTERMSIG(how));
	if (!again(&s->engine))
		stop(s, EX_SOFTWARE);
	/* Those it talked to talk to nobody now. */
	successors_drop(s);
	child_end(&s->signer);
	child_end(&s->remote);
	child_end(&s->foreign);
}

/* true: as we wished, and it starts again. */
static bool ended_for_us(struct supervisor *s, struct child *c)
{
	if (c->replaced)
		c->start_at_ms = now_ms();
	return s->stopping || c->replaced;
}

static void start_again(struct child *c, int how)
{
	log_error("supervisor", "the %s ended (%s %d); starting it again", c->name,
		  WIFEXITED(how) ? "exit code" : "signal",
		  WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
	if (!again(c))
		c->start_at_ms = now_ms() + 5000;
}

static bool is_quick(const struct child *c)
{
	return !c->was_up && now_ms() - c->started_ms < QUICK_MS;
}

static void signer_ended(struct supervisor *s, int how)
{
	if (ended_for_us(s, &s->signer))
		return;
	if (WIFEXITED(how) && WEXITSTATUS(how) != 0 && is_quick(&s->signer)) {
		stop(s, EX_CONFIG);	/* keys are not in order: its log says which */
		return;
	}
	start_again(&s->signer, how);
}

static void remote_ended(struct supervisor *s, int how)
{
	if (ended_for_us(s, &s->remote))
		return;
	if (WIFEXITED(how) && WEXITSTATUS(how) == EX_CONFIG && is_quick(&s->remote)) {
		stop(s, EX_CONFIG);	/* remote.json or a secret: its log says which */
		return;
	}
	start_again(&s->remote, how);
}

static void foreign_ended(struct supervisor *s, int how)
{
	if (!ended_for_us(s, &s->foreign))
		start_again(&s->foreign, how);
}

static void children_reap(struct supervisor *s)
{
	int how;
	pid_t pid;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
		if (pid == s->engine.pid) {
			s->engine.pid = 0;
			engine_ended(s, how);
		} else if (pid == s->signer.pid) {
			s->signer.pid = 0;
			signer_ended(s, how);
		} else if (pid == s->remote.pid) {
			s->remote.pid = 0;
			remote_ended(s, how);
		} else if (pid == s->foreign.pid) {
			s->foreign.pid = 0;
			foreign_ended(s, how);
		}
	}
}

static void child_replace(struct child *c)
{
	c->was_up = true;	/* later trouble with its keys stops nothing */
	child_end(c);
}

static void signal_take(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			children_reap(s);
			break;
		case SIGHUP:
			reload(s);
			break;
		default:
			log_info("supervisor", "stopping");
			stop(s, 0);
		}
	}
}

static void control_take(struct supervisor *s)
{
	char what = 0;

	if (recv(s->control, &what, 1, MSG_DONTWAIT) != 1)
		return;
	if (what == 'R')
		child_replace(&s->signer);
	if (what == 'F')
		child_replace(&s->foreign);
}

static bool child_due(const struct child *c, int64_t now)
{
	return c->pid == 0 && c->start_at_ms != 0 && now >= c->start_at_ms;
}

static void children_start(struct supervisor *s)
{
	int64_t now = now_ms();

	if (s->stopping) {
		if (now >= s->kill_at_ms && s->engine.pid > 0)
			kill(s->engine.pid, SIGKILL);
		/* The signer signs until the engine has drained. */
		if (s->engine.pid == 0) {
			child_end(&s->signer);
			child_end(&s->remote);
			child_end(&s->foreign);
		}
		return;
	}
	if (child_due(&s->engine, now))
		engine_start(s);
	if (s->engine.pid == 0)
		return;
	if (child_due(&s->signer, now))
		served_start(s, &s->signer);
	if (child_due(&s->foreign, now))
		served_start(s, &s->foreign);
	if (child_due(&s->remote, now)) {
		s->remote.start_at_ms = 0;
		if (access(s->services, F_OK) == 0)
			served_start(s, &s->remote);
	}
}

/* -1: for nobody. */
static int waits_for(const struct child *c)
{
	return c->next.ready ? -1 : c->next.fd;
}

int supervisor_run(const struct config *c, int argc, char **argv)
{
	struct supervisor s = { .config = c, .argc = argc, .argv = argv, .control = -1,
				.engine = { .name = "engine", .start_at_ms = 1 },
				.signer = { .name = "signer", .letter = 'S',
					    .start_at_ms = 1, .next.fd = -1 },
				.remote = { .name = "remote", .letter = 'E',
					    .start_at_ms = 1, .next.fd = -1 },
				.foreign = { .name = "foreign", .letter = 'F',
					     .start_at_ms = 1, .next.fd = -1 } };
	struct error e = { 0 };

	if (foreign_program_open(&s.program, &e) != ST_OK) {
		log_error("supervisor", "%s", e.text);
		return EX_CONFIG;
	}
	sigemptyset(&s.signals);
	sigaddset(&s.signals, SIGCHLD);
	sigaddset(&s.signals, SIGTERM);
	sigaddset(&s.signals, SIGINT);
	sigaddset(&s.signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &s.signals, NULL);
	s.signal_fd = signalfd(-1, &s.signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s.signal_fd < 0 || asprintf(&s.services, "%s/remote.json", c->certs) < 0) {
		log_error("supervisor", "signalfd: %s", strerror(errno));
		return EX_OSERR;
	}
	while (!s.stopping || s.engine.pid > 0 || s.signer.pid > 0 || s.remote.pid > 0 ||
	       s.foreign.pid > 0) {
		struct pollfd fds[] = { { s.signal_fd, POLLIN, 0 },
					{ s.engine.pid > 0 ? s.control : -1, POLLIN, 0 },
					{ waits_for(&s.signer), POLLIN, 0 },
					{ waits_for(&s.remote), POLLIN, 0 } };

		children_start(&s);
		poll(fds, ARRAY_LEN(fds), 100);
		if (fds[2].revents != 0)
			successor_greets(&s, &s.signer);
		if (fds[3].revents != 0 && s.remote.next.fd == fds[3].fd)
			successor_greets(&s, &s.remote);
		signal_take(&s);
		successors_run(&s);
		if (fds[1].revents & POLLIN)
			control_take(&s);
	}
	if (s.control >= 0)
		close(s.control);
	close(s.signal_fd);
	close(s.program);
	free(s.services);
	return s.exit_code;
}
