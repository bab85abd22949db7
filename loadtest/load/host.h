/*
 * host.h - what a reader of the report has to know of the machine.
 */
#ifndef LOAD_HOST_H
#define LOAD_HOST_H

#include <stdint.h>

struct host {
	char cpu[128], kernel[128];
	char time[32];			/* UTC, when the run began */
	uint32_t cores;
	uint64_t memory_mb;
	double flush_ms;		/* a direct, durable write of 16 KiB, median; 0: unknown */
};

/* folder: where the engine's journal lies; NULL: not on this machine. */
void host_look(struct host *h, const char *folder);

#endif
