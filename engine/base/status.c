#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name;
	enum status_class class;
} table[ST_COUNT] = {
	[ST_OK] = { "OK", CLASS_OK },
	[ST_AGAIN] = { "AGAIN", CLASS_RETRY },
	[ST_FULL] = { "FULL", CLASS_RETRY },
	[ST_UNAVAILABLE] = { "UNAVAILABLE", CLASS_RETRY },
	[ST_TIMEOUT] = { "TIMEOUT", CLASS_RETRY },
	[ST_INVALID] = { "INVALID", CLASS_REJECT },
	[ST_NOT_FOUND] = { "NOT_FOUND", CLASS_REJECT },
	[ST_EXISTS] = { "EXISTS", CLASS_REJECT },
	[ST_CONFLICT] = { "CONFLICT", CLASS_REJECT },
	[ST_DENIED] = { "DENIED", CLASS_REJECT },
	[ST_UNAUTHENTICATED] = { "UNAUTHENTICATED", CLASS_REJECT },
	[ST_PRECONDITION] = { "PRECONDITION", CLASS_REJECT },
	[ST_TOO_LARGE] = { "TOO_LARGE", CLASS_REJECT },
	[ST_UNSUPPORTED] = { "UNSUPPORTED", CLASS_REJECT },
	[ST_CORRUPT] = { "CORRUPT", CLASS_REJECT },
	[ST_IO] = { "IO", CLASS_FATAL },
	[ST_NOSPACE] = { "NOSPACE", CLASS_FATAL },
	[ST_NOMEM] = { "NOMEM", CLASS_FATAL },
	[ST_DAMAGED] = { "DAMAGED", CLASS_FATAL },
	[ST_INTERNAL] = { "INTERNAL", CLASS_FATAL },
};

enum status_class status_class(enum status st)
{
	return st < ST_COUNT ? table[st].class : CLASS_FATAL;
}

const char *status_name(enum status st)
{
	return st < ST_COUNT ? table[st].name : "UNKNOWN";
}

enum status error_set(struct error *e, enum status st, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return st;
	e->status = st;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return st;
}
