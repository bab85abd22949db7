#include "cli/lists.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/calendar.h"

void list_head(const char *fmt, ...)
{
	va_list ap;

	if (!isatty(STDOUT_FILENO))
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

const char *when_text(char out[WHEN_BYTES], const Google__Protobuf__Timestamp *t)
{
	struct civil c = civil_vietnam(t != NULL ? t->seconds * 1000 : 0);

	if (t == NULL)
		snprintf(out, WHEN_BYTES, "-");
	else
		snprintf(out, WHEN_BYTES, "%04u-%02u-%02u %02u:%02u:%02u +07", c.year, c.month,
			 c.day, c.hour, c.minute, c.second);
	return out;
}
