/*
 * verified.h - a file looked into, and what is said of it: one way for a holder's own file and for
 * one that anybody brings.
 */
#ifndef TRIEN_PORTAL_VERIFIED_H
#define TRIEN_PORTAL_VERIFIED_H

#include "portal/reading.h"
#include "verify/report.h"

/*
 * Fills *out for any bytes: our own form here, any other in the limited child, for JUDGEMENT_MS_MAX
 * at most. A worker of a ROUTE_SLOW. ST_NOMEM.
 */
enum status verified_file(struct request *q, struct slice file, struct report *out) must_use;
/* What the store says of the file that was issued as v. */
void verified_asked(struct asked *a, struct reading *r, const struct result_view *v);
/* m: sentences, verdict, passed, failed, report (verification-report.json). */
void verified_told(json_t *m, const struct request *q, const struct report *report,
		   const struct asked *a);

#endif
