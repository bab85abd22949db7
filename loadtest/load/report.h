/*
 * report.h - what a run was: for people, for scripts, for the browser, for plotters.
 *
 * All forms are made from the same measures. The HTML file has all within itself: no script, no
 * font and no picture from elsewhere.
 */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include <stdio.h>

#include "load/chaos.h"
#include "load/fetch.h"
#include "load/host.h"
#include "load/memory.h"
#include "load/stalls.h"

#define MEASURES_MAX 256

/* What is reported; borrowed. CPU in seconds. */
struct run_report {
	const struct workload *w;
	const struct drive *d;
	const struct proof *proof;
	const struct process_watch *watch;
	const struct chaos *chaos;
	const struct fetch *fetch;
	const struct stalls *stalls;	/* NULL: the cores were not watched */
	struct host host;
	const char *command;
	const char *door;
	uint64_t seed;
	uint32_t run;
	double load_s;			/* from the first due case to the last stored result */
	double generator_s, check_s, proof_s;	/* the generator; checking files; reading back */
	double engine_s;		/* all of its processes while the load lasted */
	struct memory memory;		/* of the whole load */
	bool as_written;		/* what the workload must keep is asked for */
	uint64_t memory_max_mb;		/* more fails the run; 0: any */
	uint64_t written;		/* bytes, meanwhile, by all that was watched */
	double written_files_mb;
	bool complete;			/* all was decided and stored in time */
	bool good;			/* and the proof holds */
};

/* The workload's title, and of how many cases so many were played where the caller chose. */
void report_title(const struct run_report *r, char *out, size_t room);
/* Did the engine take more memory than it may? What was not watched did not. */
bool report_too_big(const struct run_report *r);

/* One thing that the workload must keep. */
struct must {
	const char *what;
	double value, most;		/* value NAN: was not measured */
	bool kept;			/* or not asked for, or not measured */
};

#define MUSTS_MAX (DRIVE_PHASES_MAX + 1)

/* Of the workload, in so many rows. */
uint32_t report_musts(const struct run_report *r, struct must out[MUSTS_MAX]);
bool report_musts_kept(const struct run_report *r);
/* The share of its receipts' latencies, in flushes of the journal; NAN: not known. */
double report_flushes(const struct run_report *r, const struct histogram *h, double share);

struct measure { char key[64]; double value; };
struct measures { struct measure of[MEASURES_MAX]; uint32_t n; };

void measures_take(struct measures *m, const struct run_report *r);
/* NAN where there is none. */
double measure_of(const struct measures *m, const char *key);

void report_text(const struct run_report *r, const struct measures *m, FILE *f);
/* One flat object. */
enum status report_json(const struct run_report *r, const struct measures *m, const char *path,
			struct error *e) must_use;
enum status report_html(const struct run_report *r, const struct measures *m, const char *path,
			struct error *e) must_use;
/* FILE.corrected.hgrm and FILE.raw.hgrm of the receipts. */
enum status report_hgrm(const struct run_report *r, const char *path, struct error *e) must_use;
/* The plot of throughput and backlog alone, as a file of its own. */
enum status report_svg(const struct run_report *r, const char *path, struct error *e) must_use;

#endif
