/*
 * settings.h - the command line of trien-load, and what it puts in place of the workload's file.
 */
#ifndef LOAD_SETTINGS_H
#define LOAD_SETTINGS_H

#include "client/client.h"
#include "load/server.h"
#include "load/workload.h"

#define COMMAND_BYTES 2048

struct settings {
	struct client_options engine;
	const char *workload;		/* a file, or a name of loadtest/workloads/ */
	const char *json, *html, *hgrm, *svg;	/* files to be written; NULL: not */
	const char *trust, *door, *trien, *schemas, *algorithm;
	const char *cases, *compress, *seconds, *share;	/* NULL: as the workload says */
	const char *process;		/* "NAME=PID" or "NAME=FILE"; NULL: none */
	char process_name[32];
	const char *process_at;		/* what stands behind it */
	const char *stop, *start_again;	/* of the database */
	uint64_t connections, seed, run, engine_pid, kills, drain_s, away_s, memory_mb;
	bool start, chaos, quiet;
	bool as_written;		/* nothing changes what the workload must keep */
	enum door door_of;
	char **extra;			/* behind `--`: for `trien serve` */
	int extra_n;
	char command[COMMAND_BYTES];	/* the words as given */
};

/* -1 to go on, else the exit code. Takes words out of argv. */
int settings_read(struct settings *s, int argc, char **argv);
/* Reads the workload and changes it as the command line says. */
enum status settings_apply(const struct settings *s, struct workload *w, struct error *e) must_use;

#endif
