/*
 * shell.h - a line for /bin/sh, where a test moves files about as a person would.
 */
#ifndef TESTS_SHELL_H
#define TESTS_SHELL_H

#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The exit code; -1: it could not be run, or was killed. */
static inline int __attribute__((format(printf, 1, 2))) shell(const char *fmt, ...)
{
	char command[2048];
	int status = -1;
	va_list ap;
	pid_t child;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	child = fork();
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#endif
