/*
 * failure.h - why a call failed, as the engine says it (google.rpc.Status with ErrorInfo,
 * BadRequest, LocalizedMessage and RetryInfo), and what a command makes of it.
 */
#ifndef TRIEN_CLIENT_FAILURE_H
#define TRIEN_CLIENT_FAILURE_H

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct failure {
	int code;			/* grpc_status_code; 0: no failure */
	char reason[64];		/* UPPER_SNAKE_CASE; "": the engine did not say it itself */
	char field[160];		/* path in the request; "": none */
	char en[512], vi[256];		/* vi "": none */
	uint32_t retry_ms;		/* when it may be tried again; 0: not said */
};

/* details: an encoded google.rpc.Status; empty or broken ones leave code and message alone. */
void failure_decode(struct failure *f, int code, const char *message, struct slice details);
/* The same from what a call ended with; borrowed. */
void failure_read(struct failure *f, int code, grpc_slice message,
		  const grpc_metadata_array *trailing);

/* May the same call succeed later? */
bool failure_passing(const struct failure *f);
/* The exit code of a command: see cli/cli.h. */
int failure_exit(const struct failure *f);
/* Both languages, reason and field, to stderr. command: "submit". */
void failure_print(const char *command, const struct failure *f);

/* Of our own side: prints it, gives the exit code (2: the call was wrong). */
int error_exit(const char *command, const struct error *e);

#endif
