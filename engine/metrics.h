/*
 * metrics.h - /metrics for Prometheus (text format 0.0.4), on loopback only. Counts and gauges, no
 * personal data (P9).
 */
#ifndef TRIEN_METRICS_H
#define TRIEN_METRICS_H

#include "base/status.h"

struct metrics;
struct spine;

/* address: loopback HOST:PORT, port 0 for any. ST_INVALID: not loopback; ST_UNAVAILABLE: in use.
 * The spine outlives it. Main thread. */
enum status metrics_start(struct metrics **out, const char *address, struct spine *s,
			  struct error *e) must_use;
/* NULL is allowed. */
void metrics_stop(struct metrics *m);

#endif
