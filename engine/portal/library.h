/*
 * library.h - what the portal reads: the store and the names of things, as they are; never written.
 * The engine may run, be away, or come later.
 */
#ifndef TRIEN_PORTAL_LIBRARY_H
#define TRIEN_PORTAL_LIBRARY_H

#include <pthread.h>

#include "portal/edition.h"
#include "portal/starter.h"
#include "store/store.h"

/* The engine makes a secret 2 * CLOCK_STEP_MS_MAX before the first result that it serves. */
#define LIBRARY_LOOK_S 1

struct library {
	const struct config *config;
	struct starter *starter;	/* borrowed */
	struct foreign *judge;		/* library_judge() */
	pthread_mutex_t judging;	/* whether there is its process */
	pthread_mutex_t large;		/* held by the worker with a large file in memory */
	struct store *store;		/* NULL: it was never reached yet */
	struct edition *edition;	/* the newest; library_latest() */
	pthread_mutex_t lock;		/* of the last two */
	uint64_t read, looked, secrets;	/* edition_files(), edition_secrets() by library_look() */
};

/*
 * What the engine has not made yet is looked for again by library_ready() and library_look().
 * starter is borrowed. ST_INVALID: a catalogue that cannot be used.
 */
enum status library_open(struct library **out, const struct config *c, struct starter *starter,
			 struct error *e) must_use;
void library_close(struct library *l);
/* Any thread. ST_UNAVAILABLE: the store or the secrets cannot be read now. */
enum status library_ready(struct library *l, struct error *e) must_use;
/*
 * Any thread: the link to the process that judges others' files; another one where it has died.
 * NULL: they are not judged here.
 */
struct foreign *library_judge(struct library *l);

/* Any thread: *held, which may be NULL, becomes the newest edition; the caller's reference. */
void library_latest(struct library *l, struct edition **held);
/*
 * One thread, every LIBRARY_LOOK_S: another edition where files have changed and then stood still
 * for one look, or where there is a new secret. What is broken stays as it was read before; the log
 * says why.
 */
void library_look(struct library *l);
/* The same thread: another edition in any case. */
void library_read_again(struct library *l);

#endif
