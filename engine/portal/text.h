/*
 * text.h - bytes that grow, up to a bound. The first that does not fit sets `bad`; later calls do
 * nothing, so a writer checks once, at its end.
 */
#ifndef TRIEN_PORTAL_TEXT_H
#define TRIEN_PORTAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"

struct text {
	char *p;			/* malloc'd; NULL: nothing yet */
	size_t n, room, max;
	bool bad;			/* too long, or no memory */
};

static inline struct text text_of(size_t max)
{
	return (struct text){ .max = max };
}

void text_add(struct text *t, const void *p, size_t n);
void text_str(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) printf_like(2, 3);
/* As text or attribute of HTML: & < > " ' are written as references. */
void text_html(struct text *t, struct slice s);
/* As one piece of a path or one value of a query (RFC 3986): all but unreserved is %XX. */
void text_url(struct text *t, struct slice s);
void text_free(struct text *t);

#endif
