#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

/* Process-wide by nature (stderr is); written once, before threads. */
static enum log_level log_least = LOG_INFO;
static char log_process[16] = "trien";

static const char *const level_names[] = { "debug", "info", "warn", "error" };

bool log_level_of(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

void log_setup(enum log_level least, const char *process)
{
	log_least = least;
	snprintf(log_process, sizeof(log_process), "%s", process);
}

void log_line(enum log_level level, const char *part, const char *fmt, ...)
{
	char line[LINE_BYTES_MAX];
	struct timeval tv;
	struct tm tm;
	va_list ap;
	int n, m;

	if (level < log_least)
		return;
	gettimeofday(&tv, NULL);
	gmtime_r(&tv.tv_sec, &tm);
	n = snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s[%d] %s: ",
		     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		     (int)(tv.tv_usec / 1000), level_names[level], log_process, (int)getpid(),
		     part);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n = n + m < LINE_BYTES_MAX - 1 ? n + m : LINE_BYTES_MAX - 2;
	/* A line break inside a message would forge a second line. */
	for (int i = 0; i < n; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;		/* nowhere left to say so */
}
