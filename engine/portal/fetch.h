/*
 * fetch.h - one request to an OpenID provider (libcurl): https, or http to this machine itself.
 *
 * HTTP/1.1, TLS 1.2 or later, the certificate checked; no redirect is followed, no proxy of the
 * environment used; bounded in bytes and time. Blocks: a worker's thread. A provider that did not
 * answer FETCH_FAILURES_MAX times in a row is left alone for a while, with one try now and then:
 * while it hangs it holds a worker each FETCH_PAUSE_MS, not one a citizen.
 */
#ifndef TRIEN_PORTAL_FETCH_H
#define TRIEN_PORTAL_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FETCH_FAILURES_MAX 3
#define FETCH_PAUSE_MS 10000

struct fetch_request {
	const char *url;
	const char *form;		/* NULL: GET; else the body of a POST */
	const char *authorization;	/* value of the header, or NULL */
	size_t bytes_max;		/* of the answer */
};

struct fetched {
	long status;			/* of HTTP */
	uint8_t *bytes;			/* malloc'd, NUL-terminated beyond n; the caller's */
	size_t n;
};

struct fetcher;

/* Before threads start. ca: PEM, "" = the host's; copied. */
enum status fetcher_new(struct fetcher **out, const char *ca, struct error *e) must_use;
/* No call is under way. NULL is allowed. */
void fetcher_free(struct fetcher *f);
/*
 * Any thread. ST_OK: there was an answer, whatever it says. ST_UNAVAILABLE, ST_TIMEOUT: none, or
 * the provider is left alone; ST_TOO_LARGE; ST_INVALID: the URL is not one of those above. *e names
 * no more of the URL than its host.
 */
enum status fetch(struct fetcher *f, const struct fetch_request *r, struct fetched *out,
		  struct error *e) must_use;

/* https://…, or http:// to 127.0.0.1, [::1] or localhost; no user, no fragment, no blanks. */
bool fetch_url_fits(const char *url);

#endif
