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
	double flush_before_ms, flush_after_ms;	/* the load; 0: unknown */
};

/* folder: where the engine's journal lies; NULL: not on this machine. */
void host_look(struct host *h, const char *folder);
/*
 * A direct, durable write of 16 KiB there, over blocks that are there already, as the journal does:
 * median milliseconds; 0: it cannot be written.
 */
double host_flush_ms(const char *folder);

#endif
