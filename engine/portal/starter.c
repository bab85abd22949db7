#include "portal/starter.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "judging.h"
#include "limits.h"
#include "portal/preview.h"

#define ANSWER_MS 5000			/* a fork takes less */

static const char letters[] = { [HELPER_PICTURES] = 'P', [HELPER_JUDGE] = 'J' };

struct starter {
	int socket;
	pid_t process;
	pthread_mutex_t lock;		/* one question at a time */
};

/* ---- the process ---- */

struct helping { int program; pid_t helpers[HELPERS]; };

/* pair: its end, and the one that is not its; starter: nor is this. */
static pid_t helper_start(const struct helping *h, enum helper which, const int pair[2],
			  int starter)
{
	const struct foreign_words words = { "error", INSPECTION_CPU_S_MAX, NULL };
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(pair[1]);
	close(starter);
	if (getppid() != parent)
		_exit(EX_OSERR);
	if (which == HELPER_PICTURES)
		previewer_run(pair[0]);
	foreign_program_exec(h->program, pair[0], &words);
	_exit(EX_OSERR);
}

static void helper_end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	*pid = 0;
}

/* fd < 0: the letter alone, there is none. */
static bool answer(int socket, char letter, int fd)
{
	struct iovec io = { &letter, 1 };
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } u;
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	if (fd >= 0) {
		memset(&u, 0, sizeof(u));
		u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
		m.msg_control = &u;
		m.msg_controllen = sizeof(u);
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL) == 1;
}

/* False: the portal is gone. */
static bool serve_one(struct helping *h, int socket)
{
	int pair[2] = { -1, -1 };
	bool heard, started = false;
	char letter;
	enum helper which;

	if (recv(socket, &letter, 1, 0) != 1)
		return false;
	which = letter == letters[HELPER_PICTURES] ? HELPER_PICTURES : HELPER_JUDGE;
	helper_end(&h->helpers[which]);
	if ((which == HELPER_PICTURES || h->program >= 0) &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		h->helpers[which] = helper_start(h, which, pair, socket);
		started = h->helpers[which] > 0;
	}
	heard = answer(socket, letter, started ? pair[1] : -1);
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	return heard;
}

static void run(int socket) __attribute__((noreturn));
static void run(int socket)
{
	struct helping h = { .program = -1 };
	struct error e = { 0 };
	sigset_t ends;

	/* It ends with the portal's end of the socket, and its helpers, which inherit this, too. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (foreign_program_open(&h.program, &e) != ST_OK)
		log_warn("portal", "files that others made cannot be verified: %s", e.text);
	while (serve_one(&h, socket))
		continue;
	for (enum helper i = 0; i < HELPERS; i++)
		helper_end(&h.helpers[i]);
	_exit(0);
}

/* ---- the portal's side ---- */

enum status starter_new(struct starter **out, struct error *e)
{
	struct starter *s = calloc(1, sizeof(*s));
	int pair[2];

	*out = NULL;
	if (s == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		free(s);
		return error_set(e, ST_NOMEM, "the process that starts helpers: %s",
				 strerror(errno));
	}
	s->process = fork();
	if (s->process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		run(pair[1]);
	}
	close(pair[1]);
	if (s->process < 0) {
		close(pair[0]);
		free(s);
		return error_set(e, ST_NOMEM, "the process that starts helpers: %s",
				 strerror(errno));
	}
	s->socket = pair[0];
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return ST_OK;
}

void starter_free(struct starter *s)
{
	if (s == NULL)
		return;
	close(s->socket);
	while (waitpid(s->process, NULL, 0) < 0 && errno == EINTR)
		continue;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* -1: none came. A letter that comes too late is not taken for another one. */
static int received(int socket, char letter)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } u;
	struct pollfd wait = { .fd = socket, .events = POLLIN };
	char said = '\0';
	int fd = -1;

	while (said != letter && poll(&wait, 1, ANSWER_MS) == 1) {
		struct iovec io = { &said, 1 };
		struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &u,
				    .msg_controllen = sizeof(u) };

		if (fd >= 0)
			close(fd);
		fd = -1;
		if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1)
			break;
		if (CMSG_FIRSTHDR(&m) != NULL)
			memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	}
	return fd;
}

enum status starter_helper(struct starter *s, enum helper which, int *fd)
{
	*fd = -1;
	pthread_mutex_lock(&s->lock);
	if (send(s->socket, &letters[which], 1, MSG_NOSIGNAL) == 1)
		*fd = received(s->socket, letters[which]);
	pthread_mutex_unlock(&s->lock);
	if (*fd >= 0)
		return ST_OK;
	log_error("portal", "%s cannot be started", which == HELPER_PICTURES ?
		  "the process that draws pictures" : "the process that judges others' files");
	return ST_UNAVAILABLE;
}

bool starter_gone(int fd)
{
	struct pollfd end = { .fd = fd };

	return fd < 0 || (poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR)) != 0);
}
