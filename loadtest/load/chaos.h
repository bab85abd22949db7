/*
 * chaos.h - harm on purpose: the engine killed at random times, the database stopped for a while.
 *
 * Called some tens of times a second. An engine of our own is killed as a power cut would, or one
 * of its processes alone, and comes again; a foreign one loses its engine process, which its
 * supervisor starts again.
 */
#ifndef LOAD_CHAOS_H
#define LOAD_CHAOS_H

#include "load/process.h"
#include "load/server.h"

struct chaos {
	struct server *server;		/* pid 0: not ours */
	struct process_watch *watch;
	uint64_t random;
	double every_s;			/* mean time between two kills; 0: none */
	uint32_t kills_max;		/* 0: any number */
	const char *stop, *start;	/* of the database; NULL: left alone */
	double away_s;			/* how long it stays away */

	int64_t next_kill_us, next_stop_us, next_start_us;
	pid_t shell;			/* a command that runs */
	uint32_t kills, kills_whole, kills_engine, kills_signer, outages, failed;
};

void chaos_begin(struct chaos *c, int64_t now_us, double run_s);
void chaos_some(struct chaos *c, int64_t now_us);
/* Everything is back: the proof begins. */
void chaos_end(struct chaos *c);

#endif
