/*
 * workload.h - a workload file: what an authority sends, how, and when.
 *
 * JSON, every member explained in loadtest/README.md; an unknown one is refused, so that a slip of
 * the pen is no silent default.
 */
#ifndef LOAD_WORKLOAD_H
#define LOAD_WORKLOAD_H

#include "load/schedule.h"

#define WORKLOAD_MIXES_MAX 8
#define WORKLOAD_TEXT_MAX 200

/* CALL_COPY: of certified copies with their originals, always and nothing else. */
enum call_kind { CALL_BATCH, CALL_STREAM, CALL_CASE, CALL_COPY, CALL_KINDS };

struct workload_mix {
	char name[48];			/* as trien-cases has it: "one-stop", a kind's code */
	double weight;
};

struct workload {
	char name[64], title[WORKLOAD_TEXT_MAX], source[WORKLOAD_TEXT_MAX];
	struct schedule_options schedule;	/* cases: all that are submitted */
	uint64_t dossiers;
	uint64_t cases_of_file;		/* 0: RAMP; schedule.cases may be fewer */
	struct workload_mix mixes[WORKLOAD_MIXES_MAX];
	uint32_t mixes_n;
	double calls[CALL_COPY];	/* shares of the other cases, together 1 */
	double lists, downloads;	/* of these, so many a case */
	uint32_t connections, batch_cases, batch_wait_ms;
	uint32_t window;		/* requests on the way, a connection */
	double verify;			/* share of the files that the proof downloads */
	double fail_ms;			/* RAMP: ends where receipts or results wait longer */
	bool reissue;			/* every case comes again, replacing the first */
	/* What a run of it as it stands must keep; 0: any. */
	double must_p99_flushes;	/* p99 of receipts where not all are due at once */
	double must_generator_share;	/* the generator's CPU of the engine's */
	double half_peak_s;		/* then half the rate just reached, for so long; 0: not */
};

/* ST_NOT_FOUND: no such file; ST_INVALID: what is wrong, and where. */
enum status workload_read(struct workload *w, const char *path, struct error *e) must_use;

#endif
