/*
 * status.h - the one error dialect.
 *
 * Every function that can fail returns `enum status`; 0 is success and nothing else is. The class
 * of a status says what the caller may do: try again, refuse this item, or stop the process.
 * errno, OpenSSL, SQLite and gRPC codes are translated once, where they arise.
 */
#ifndef TRIEN_BASE_STATUS_H
#define TRIEN_BASE_STATUS_H

#include <stddef.h>

#define must_use __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum status {
	ST_OK = 0,
	/* retry: nothing happened, the same call may succeed later */
	ST_AGAIN,		/* not now (peer busy, dependency not ready) */
	ST_FULL,		/* a bound of limits.h is reached */
	ST_UNAVAILABLE,		/* a part of the engine is away */
	ST_TIMEOUT,
	/* reject: this item will never succeed as it is */
	ST_INVALID,		/* malformed or against its schema */
	ST_NOT_FOUND,
	ST_EXISTS,		/* already there with the same content */
	ST_CONFLICT,		/* already there with other content */
	ST_DENIED,		/* the principal may not */
	ST_UNAUTHENTICATED,
	ST_PRECONDITION,	/* state forbids it (register not open, key expired) */
	ST_TOO_LARGE,
	ST_UNSUPPORTED,
	ST_CORRUPT,		/* bytes read do not match their checksum; never served */
	/* fatal: stop, report, recover by restart */
	ST_IO,
	ST_NOSPACE,
	ST_NOMEM,
	ST_DAMAGED,		/* durable state contradicts itself; a person decides */
	ST_INTERNAL,
	ST_COUNT
};

enum status_class { CLASS_OK, CLASS_RETRY, CLASS_REJECT, CLASS_FATAL };

enum status_class status_class(enum status st);
/* "NOT_FOUND"; static storage. */
const char *status_name(enum status st);

/*
 * A failure with its story: what failed, where, and what to do. `text` never holds personal data
 * (P9). Filled once, at the place that knows most; passed up unchanged.
 */
struct error {
	enum status status;
	char text[512];
};

/* Fills *e (may be NULL) and returns st, so that `return error_set(e, ST_IO, "…")` reads well. */
enum status error_set(struct error *e, enum status st, const char *fmt, ...) printf_like(3, 4);

#endif
