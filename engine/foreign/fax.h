/*
 * fax.h - does a Group 4 stream (ITU-T T.6; runs of T.4, tables 2 and 3) hold just its rows?
 *
 * Rows are followed as the places where the colour changes; no sample is kept.
 */
#ifndef TRIEN_FOREIGN_FAX_H
#define TRIEN_FOREIGN_FAX_H

#include "foreign/look.h"

enum fax_end {
	FAX_WHOLE,
	FAX_BROKEN,		/* a code that is none, or the uncompressed mode; a row too long */
	FAX_SHORT,		/* fewer rows */
	FAX_LONG,		/* other data behind them than the end of the block */
};

/* Not byte aligned, no ends of line. ST_NOMEM: the arena is spent; it is given back as it was. */
enum status fax_check(struct slice in, uint32_t width, uint32_t height, struct arena *a,
		      enum fax_end *end) must_use;

#endif
