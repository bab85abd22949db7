/*
 * edition.h - what the portal reads from files, and reads again when they change: the schemas, the
 * certificates with their revocation lists, the roots of time stamps, the secrets of result ids.
 * One edition is immutable and counted; whoever answers a request keeps the newest of its beginning
 * to its end. Any thread.
 */
#ifndef TRIEN_PORTAL_EDITION_H
#define TRIEN_PORTAL_EDITION_H

#include <stdatomic.h>

#include "catalogue/catalogue.h"
#include "config.h"
#include "identity.h"
#include "judging.h"

struct edition {
	atomic_uint refs;
	bool whole;			/* no part of it is as it was read before */
	struct catalogue *catalogue;	/* of names and labels */
	struct trust *trust;		/* judging.h; NULL: there are no roots to be trusted */
	struct identity *identity;	/* to be dup'ed; NULL: the engine has made none yet */
};

/*
 * One reference, the caller's. before NULL: the first one; ST_INVALID and the like: its schemas
 * cannot be used. Else what cannot be read stays as it is in `before`, and the log says why;
 * ST_NOMEM.
 */
enum status edition_read(struct edition **out, const struct config *c,
			 const struct edition *before, struct error *e) must_use;
struct edition *edition_ref(struct edition *ed);
/* NULL is allowed. */
void edition_unref(struct edition *ed);

/* Another number once one of the files was added, written or removed; none is opened. */
uint64_t edition_files(const struct config *c);
/* Of the secrets alone. */
uint64_t edition_secrets(const struct config *c);

#endif
