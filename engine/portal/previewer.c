#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/landlock.h"
#include "base/log.h"
#include "limits.h"
#include "portal/preview.h"

static bool filtered(const int *calls, size_t n)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc = f == NULL ? -ENOMEM : 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
	if (rc == 0)
		rc = seccomp_load(f);
	if (f != NULL)
		seccomp_release(f);
	return rc == 0;
}

/* Of the process and of all that it starts. */
static const int no_others[] = {
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind),
	SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(bpf), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(keyctl),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount), SCMP_SYS(umount2),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(chroot), SCMP_SYS(pivot_root),
	SCMP_SYS(io_uring_setup), SCMP_SYS(shmget), SCMP_SYS(msgget), SCMP_SYS(semget),
};

/* Of the program alone. */
static const int no_children[] = { SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone),
				   SCMP_SYS(clone3), SCMP_SYS(kill), SCMP_SYS(tkill),
				   SCMP_SYS(sendmsg), SCMP_SYS(sendto) };

static bool shut_in(void)
{
	static const char *const system[] = { "/usr", "/lib", "/lib64", "/etc/ld.so.cache",
		"/etc/fonts", "/var/cache/fontconfig", "/dev/urandom" };
	const char *there[ARRAY_LEN(system)];
	struct landlock_paths paths = { .ro = there };
	struct rlimit none = { 0, 0 };
	struct error e = { 0 };
	enum status st;

	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		if (access(system[i], R_OK) == 0)
			there[paths.ro_n++] = system[i];
	st = landlock_exclude_others(&paths, &e);
	return (st == ST_OK || st == ST_UNSUPPORTED) && setrlimit(RLIMIT_CORE, &none) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       filtered(no_others, ARRAY_LEN(no_others));
}

/* ---- one picture ---- */

static void program(int pdf, int png)
{
	static char *const words[] = { "pdftoppm", "-png", "-f", "1", "-l", "1", "-singlefile",
				       "-scale-to-x", "826", "-scale-to-y", "-1", "-", NULL };
	static char *const environment[] = { "PATH=/usr/bin", "LC_ALL=C", NULL };
	struct rlimit time = { PREVIEW_CPU_S, PREVIEW_CPU_S },
		      memory = { PREVIEW_MEMORY_BYTES, PREVIEW_MEMORY_BYTES },
		      size = { PREVIEW_BYTES_MAX, PREVIEW_BYTES_MAX }, files = { 32, 32 };
	sigset_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* Its own words are of no use to anybody. */
	if (dup2(pdf, STDIN_FILENO) < 0 || dup2(png, STDOUT_FILENO) < 0 ||
	    close(STDERR_FILENO) != 0 || close_range(3, ~0u, 0) != 0 ||
	    setrlimit(RLIMIT_CPU, &time) != 0 || setrlimit(RLIMIT_AS, &memory) != 0 ||
	    setrlimit(RLIMIT_FSIZE, &size) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    !filtered(no_children, ARRAY_LEN(no_children)))
		_exit(EX_OSERR);
	execve(PREVIEW_PROGRAM, words, environment);
	_exit(EX_UNAVAILABLE);
}

/* Its end, or ours for it when its time is over. */
static bool ended_well(pid_t child)
{
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0), how = -1;
	struct pollfd wait = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0 || poll(&wait, 1, PREVIEW_MS) != 1)
		kill(child, SIGKILL);
	if (pidfd >= 0)
		close(pidfd);
	while (waitpid(child, &how, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static bool draw(int pdf, int png)
{
	pid_t child = fork();

	if (child == 0)
		program(pdf, png);
	return child > 0 && ended_well(child);
}

/* False: the portal is gone. */
static bool serve_one(int socket)
{
	char word, control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec io = { &word, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int both[2];

	if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1)
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c == NULL || c->cmsg_len != CMSG_LEN(sizeof(both)))
		return false;
	memcpy(both, CMSG_DATA(c), sizeof(both));
	word = draw(both[0], both[1]) ? 'Y' : 'N';
	close(both[0]);
	close(both[1]);
	return send(socket, &word, 1, MSG_NOSIGNAL) == 1;
}

void previewer_run(int socket)
{
	if (!shut_in()) {
		log_error("preview", "the process for previews cannot be shut in: no pictures");
		_exit(EX_OSERR);
	}
	while (serve_one(socket))
		continue;
	_exit(0);
}
