/*
 * boundary_server.h - the real intake in a process of its own, before an engine that accepts all.
 */
#ifndef BENCH_BOUNDARY_SERVER_H
#define BENCH_BOUNDARY_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

#define BOUNDARY_PRINCIPAL "bench"

struct boundary_server {
	pid_t pid;
	int control;			/* closing it ends the process */
	uint16_t port;			/* mTLS on 127.0.0.1 */
	clockid_t cpu;			/* of the whole process */
};

/* Before gRPC is used here. data: a folder with a devca's tls/. */
enum status boundary_start(struct boundary_server *s, const char *data, const char *schemas,
			   struct error *e) must_use;
void boundary_stop(struct boundary_server *s);
/* Microseconds of CPU so far. */
double boundary_cpu_us(const struct boundary_server *s);

#endif
