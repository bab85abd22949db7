#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "foreign/foreign.h"

#define NAME "trien-foreign"

/* The folder of the program that runs, with its slash; NAME still finds room behind it. */
static bool here(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(NAME));
	char *slash;

	if (n <= 0 || n >= (ssize_t)(PATH_MAX - sizeof(NAME)))
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return false;
	slash[1] = '\0';
	return true;
}

enum status foreign_program_open(int *program, struct error *e)
{
	char path[PATH_MAX];
	int fd;

	*program = -1;
	if (!here(path))
		return error_set(e, ST_IO, "/proc/self/exe cannot be read: where %s lies is not "
				 "known", NAME);
	memcpy(path + strlen(path), NAME, sizeof(NAME));
	fd = access(path, X_OK) == 0 ? open(path, O_PATH | O_CLOEXEC) : -1;
	if (fd < 0)
		return error_set(e, ST_PRECONDITION, "%.380s: %s; the program that looks into "
				 "originals has to lie beside trien", path, strerror(errno));
	/* Where the socket will be is no place for it. */
	*program = fcntl(fd, F_DUPFD_CLOEXEC, FOREIGN_SOCKET + 1);
	close(fd);
	return *program >= 0 ? ST_OK : error_set(e, ST_IO, "%s: %s", path, strerror(errno));
}

void foreign_program_exec(int program, int socket, const struct foreign_words *w)
{
	char seconds[16];
	char *argv[] = { "foreign", FOREIGN_FORM, (char *)w->log_level, seconds,
			 (char *)w->whose, NULL };

	snprintf(seconds, sizeof(seconds), "%u", w->cpu_s);
	if (socket != FOREIGN_SOCKET)
		dup2(socket, FOREIGN_SOCKET);	/* without FD_CLOEXEC */
	else
		fcntl(socket, F_SETFD, 0);
	fexecve(program, argv, environ);
}

enum status foreign_start(struct foreign *f, const struct foreign_words *w, struct error *e)
{
	pid_t parent = getpid(), pid;
	int pair[2], program;
	enum status st = foreign_program_open(&program, e);

	if (st != ST_OK)
		return st;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		close(program);
		return error_set(e, ST_IO, "socketpair: %s", strerror(errno));
	}
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			foreign_program_exec(program, pair[1], w);
		_exit(EX_OSERR);
	}
	close(program);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return error_set(e, ST_IO, "fork: %s", strerror(errno));
	}
	foreign_set(f, pair[0]);
	return ST_OK;
}
