/*
 * workers.h - a small pool of threads that may block, with a bounded queue before it. Slow jobs
 * (those that ask others) are run by at most half of the threads, so that reading goes on while
 * whoever is asked hangs. Of those, one is left by jobs that look into anybody's file: signing in
 * and what a QR code shows do not wait for them. (Where only one may be slow, they share it.)
 */
#ifndef TRIEN_PORTAL_WORKERS_H
#define TRIEN_PORTAL_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "config.h"

struct portal;
struct reading;
struct client;
struct edition;

/* What a thread has for itself. */
struct worker {
	const struct portal *portal;
	struct edition *edition;	/* edition.h; of the request that it answers */
	struct reading *reading;	/* reading.h; NULL: not opened yet */
	/* engineside.h: connections, NULL: not opened yet; who answered last, from 1, 0: nobody */
	struct client *engines[CONFIG_LIST_MAX];
	uint8_t answered[256];
};

struct job {
	struct job *next;		/* workers' */
	bool slow;
	bool file;			/* a slow one that looks into a file */
	void (*run)(struct job *j, struct worker *w);
};

struct workers;

/* close: what a worker opened, at its end. */
enum status workers_start(struct workers **out, const struct portal *p, uint32_t threads,
			  void (*close)(struct worker *w), struct error *e) must_use;
/* Any thread. ST_FULL: not taken; ST_UNAVAILABLE: they are being stopped. */
enum status workers_push(struct workers *w, struct job *j) must_use;
/* Runs what was taken, then ends the threads and frees all. NULL is allowed. */
void workers_stop(struct workers *w);

#endif
