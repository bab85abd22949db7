/*
 * embedded.h - files of pages/, words/ and assets/, built into the program. Names are paths below
 * engine/portal/: "pages/home.html". Any thread.
 */
#ifndef TRIEN_PORTAL_EMBEDDED_H
#define TRIEN_PORTAL_EMBEDDED_H

#include "base/bytes.h"

struct embedded {
	const char *name;
	const uint8_t *start, *end;
};

/* The i-th, by name; NULL: there are no more. */
const struct embedded *embedded_at(uint32_t i);
/* NULL: none is called so. */
const struct embedded *embedded_find(const char *name);

static inline struct slice embedded_bytes(const struct embedded *f)
{
	return slice_of(f->start, (size_t)(f->end - f->start));
}

#endif
