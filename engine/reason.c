#include "reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct reason_text texts[REASON_COUNT] = {
#define REASON_TEXT(name, status, vi, en) { #name, status, vi, en },
	REASONS(REASON_TEXT)
#undef REASON_TEXT
};

const struct reason_text *reason_text(enum reason r)
{
	return &texts[(unsigned int)r < REASON_COUNT ? r : REASON_NONE];
}

enum reason reason_named(const char *name)
{
	for (unsigned int r = REASON_NONE + 1; r < REASON_COUNT; r++)
		if (strcmp(texts[r].name, name) == 0)
			return (enum reason)r;
	return REASON_NONE;
}

enum status refuse(struct refusal *r, enum reason why, const char *field, const char *fmt, ...)
{
	va_list ap;

	r->reason = why;
	snprintf(r->field, sizeof(r->field), "%s", field);
	va_start(ap, fmt);
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
	return texts[why].status;
}
