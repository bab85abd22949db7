/*
 * sign.h - what the files of `trien sign` share.
 */
#ifndef TRIEN_CLI_SIGN_H
#define TRIEN_CLI_SIGN_H

#include <jansson.h>

#include "client/client.h"
#include "session/session.h"
#include "trien/v1/signing.pb-c.h"

#define SIGNING "/trien.v1.Signing/"

struct sign {
	struct client_options engine;
	const char *signer, *unit, *kind, *due_before, *output, *reason, *session, *sha256;
	uint64_t limit, ttl_s, cursor;
	bool all, yes, json;
	struct client *client;
};

extern const char sign_usage[];

/* Says why, gives the exit code. */
int sign_failed(const struct failure *f);
/* A line of a table: what to tell documents apart by. waiting NULL: it waits no more. */
void sign_print(const char *id, const char *kind, const Trien__V1__Waiting *waiting);
/* Pages of what waits, each row to one(); at most s->limit. */
int sign_each(struct sign *s, void (*one)(void *owner, const Trien__V1__Waiting *w), void *owner);

/* signsession.c: ids, or all that the filter shows; the exit code */
int sign_open(struct sign *s, char **ids, int n);
int sign_confirm(struct sign *s, char **ids, int n);
int sign_watch(struct sign *s, const char *session);
int sign_cancel(struct sign *s, const char *session);

#endif
