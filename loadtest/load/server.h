/*
 * server.h - an engine of the load test's own: folder, keys, registers, process.
 *
 * The engine is started as anybody starts it, with `trien serve`, and stopped or killed by its pid.
 */
#ifndef LOAD_SERVER_H
#define LOAD_SERVER_H

#include <sys/types.h>

#include "client/client.h"

enum door { DOOR_UNIX, DOOR_CLEAR, DOOR_MTLS };

#define SERVER_WORDS_MAX 64

struct server {
	const char *trien;		/* the program */
	const char *data, *schemas;
	const char *algorithm;		/* of new keys */
	enum door door;
	char **extra;			/* words for `trien serve` */
	int extra_n;
	pid_t pid;			/* 0: does not run */
	char address[64], files[3][400];	/* what client options point at */
};

/* Makes keys and principals where the folder has none, starts, and waits until it answers. */
enum status server_start(struct server *s, struct client_options *o, struct error *e) must_use;
/* The same folder, port and words again. */
enum status server_spawn(struct server *s, struct error *e) must_use;
/* Until GetStatus answers that it numbers, or the process is gone. s NULL: not ours. */
enum status server_wait(struct server *s, const struct client_options *o, uint32_t seconds,
			struct error *e) must_use;
/* A register for each agency and series of the schemas; those that are open stay. */
enum status server_registers(const struct server *s, const struct client_options *o,
			     struct error *e) must_use;
/* SIGTERM, and waits. */
void server_stop(struct server *s);
/* SIGKILL to all of it, and waits. */
void server_kill(struct server *s);

/* Runs a command line with /bin/sh; its pid, or -1. */
pid_t run_shell(const char *command);

#endif
