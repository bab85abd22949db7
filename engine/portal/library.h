/*
 * library.h - what the portal reads: the store and the names of things, as they are; never written.
 * The engine may run, be away, or come later.
 */
#ifndef TRIEN_PORTAL_LIBRARY_H
#define TRIEN_PORTAL_LIBRARY_H

#include "catalogue/catalogue.h"
#include "config.h"
#include "identity.h"
#include "judging.h"
#include "store/store.h"

struct library {
	const struct config *config;
	struct catalogue *catalogue;	/* of names and labels */
	struct trust *trust;		/* judging.h; NULL: there are no roots to be trusted */
	struct foreign *judge;		/* others' files; NULL: they are not judged here */
	struct store *store;		/* NULL: it was never reached yet */
	struct identity *identity;	/* the secrets of result ids; NULL: not made yet */
	void *lock;			/* of the last two */
};

/*
 * Before the sandbox, which would not let the process start that judges others' files. What the
 * engine has not made yet is looked for again by library_ready().
 * ST_INVALID: a catalogue that cannot be used.
 */
enum status library_open(struct library **out, const struct config *c,
			 struct error *e) must_use;
void library_close(struct library *l);
/* Any thread. ST_UNAVAILABLE: the store or the secrets cannot be read now. */
enum status library_ready(struct library *l, struct error *e) must_use;

#endif
