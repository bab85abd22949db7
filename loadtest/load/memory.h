/*
 * memory.h - how much memory the engine took over a stretch of a run, and whether that grew.
 *
 * Memory is the PSS of all of the engine's processes together: supervisor, engine, signer, and
 * those that ask services and look into originals. Others that are watched, such as a database, are
 * not in it.
 */
#ifndef LOAD_MEMORY_H
#define LOAD_MEMORY_H

#include "load/process.h"

struct memory {
	double peak_mb;			/* NAN: the engine was not watched then */
	/*
	 * Mean of the later half of the time ÷ mean of the earlier half. The first fifth is left
	 * out: caches fill. 1 is flat; NAN where the stretch is too short to say.
	 */
	double growth;
};

/* Is that row one of the engine's processes? */
bool memory_is_engine(const char *row);
/* Seconds of the run. */
struct memory memory_of(const struct process_watch *w, double from_s, double to_s);

#endif
