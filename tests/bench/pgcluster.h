/*
 * pgcluster.h - a private PostgreSQL for a bench: a cluster in a temporary folder, on a unix socket
 * only, as durable as a production server. As root it runs as an unprivileged user.
 */
#ifndef TESTS_PGCLUSTER_H
#define TESTS_PGCLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pgcluster {
	char bin[200], folder[64], data[80];
	uid_t uid;
	gid_t gid;
	pid_t postmaster;
};

/* NULL: it runs; else why it cannot, static. */
const char *pgcluster_start(struct pgcluster *c);
/* Stops it and removes its folder. */
void pgcluster_stop(struct pgcluster *c);
void pgcluster_conninfo(const struct pgcluster *c, const char *database, char *out, size_t room);
/* Processor time of all its present processes, ns. */
uint64_t pgcluster_cpu_ns(const struct pgcluster *c);

#endif
