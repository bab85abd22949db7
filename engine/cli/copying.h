/*
 * copying.h - what `trien certify` and `trien copy` share: a case from a file, and what became of
 * the copies.
 */
#ifndef TRIEN_CLI_COPYING_H
#define TRIEN_CLI_COPYING_H

#include "cli/submit.h"

/* The options of both. */
struct copying {
	struct client_options engine;
	uint64_t retry_s, wait_s;
	bool wait, json, validate_only;
	bool many;			/* a list: a sum stands at its end */
	struct client *client;
	struct awaited awaited;
	uint64_t copies, repeated, refused;
	struct failure fatal;		/* the engine does not answer; code 0: it does */
};

#define COPYING_DEFAULTS { .engine = client_defaults(), .retry_s = 60 }
#define COPYING_OPTION_ROWS(c) \
	{ "validate-only", OPTION_FLAG, &(c).validate_only, 0, 0 }, \
	{ "wait", OPTION_FLAG, &(c).wait, 0, 0 }, \
	{ "wait-seconds", OPTION_COUNT, &(c).wait_s, 0, 86400 }, \
	{ "retry-seconds", OPTION_COUNT, &(c).retry_s, 0, 86400 }, \
	{ "json", OPTION_FLAG, &(c).json, 0, 0 }, \
	CLIENT_OPTION_ROWS((c).engine)

/* One trien.v1.Case of proto3 JSON; freed with trien__v1__case__free_unpacked(). */
enum status copying_case(Trien__V1__Case **out, const char *path, struct error *e) must_use;
/* Shall the call be made again? Waits before it says so. tries: how often it was made. */
bool copying_again(const struct copying *c, const struct failure *f, uint32_t tries,
		   int64_t start_ms);
/* What became of one. line 0: there is but one; r NULL: it was valid (validate_only). */
void copying_receipt(struct copying *c, uint64_t line, const char *of,
		     const Trien__V1__Receipt *r);
void copying_refusal(struct copying *c, const char *command, uint64_t line, const char *of,
		     const struct failure *f);
/* Waits where that was asked for, shows what became of all then, ends the client; the exit code. */
int copying_end(struct copying *c, const char *command);

#endif
