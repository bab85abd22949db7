/*
 * limit.h - how often an address, a person or a token may ask: token buckets, one per class and
 * asker. Memory is fixed: where a bucket has no place, the fullest one beside it, which says least,
 * is forgotten. Any thread.
 */
#ifndef TRIEN_PORTAL_LIMIT_H
#define TRIEN_PORTAL_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

/* What one asks for: how many at once, how many a minute; the table is in limit.c. */
enum limit_class {
	LIMIT_PAGE,		/* pages and pictures */
	LIMIT_LOOKUP,		/* what trying could find: numbers and codes are serial */
	LIMIT_SCAN,		/* what no trying finds: ids of results, tokens of shares */
	LIMIT_CASE_ASKER,	/* wrong digits for one case, of one asker; */
	LIMIT_CASE,		/* and from wherever: who would lock it needs many of them */
	LIMIT_FILE,		/* a file that is looked into */
	LIMIT_SIGN_IN,
	LIMIT_API,
	LIMIT_CLASSES
};

struct limits;

/* What all of them are measured by: it never goes back. */
int64_t limit_clock_ms(void);

/* secret: 16 random bytes, so that nobody can choose what shares a place. */
enum status limits_new(struct limits **out, const uint8_t secret[16]) must_use;
void limits_free(struct limits *l);

/*
 * One more of this class by this asker (the bytes of an address, a person's key …) at now_ms.
 * True: it may. Else *retry_ms is when it may again.
 */
bool limit_take(struct limits *l, enum limit_class of, struct slice asker, int64_t now_ms,
		uint32_t *retry_ms);
/* Likewise, but nothing is taken: where only what goes wrong counts. */
bool limit_may(struct limits *l, enum limit_class of, struct slice asker, int64_t now_ms,
	       uint32_t *retry_ms);

#endif
