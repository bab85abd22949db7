/*
 * runs.h - the small language of layout texts (catalogue.h, "Layout").
 */
#ifndef TRIEN_CATALOGUE_RUNS_H
#define TRIEN_CATALOGUE_RUNS_H

#include "catalogue/catalogue.h"
#include "catalogue/pool.h"

#define RUNS_MAX 256			/* of one text */

/*
 * Parses text against the kind's fields. Runs and literals live in the pool. ST_INVALID with what
 * is wrong and allowed in why (size bytes); ST_NOMEM.
 */
enum status runs_parse(struct runs *out, const char *text, const struct field_def *fields,
		       uint8_t fields_n, struct pool *pool, char *why, size_t size) must_use;

/* "_number", as it stands between braces. b is not BUILTIN_NONE. */
const char *runs_builtin(enum run_builtin b);

#endif
