/*
 * handed.h - what record.c asks of handed.c: the handovers at the end of a NUMBERED record.
 */
#ifndef TRIEN_JOURNAL_HANDED_H
#define TRIEN_JOURNAL_HANDED_H

#include "journal/record.h"

/* ST_TOO_LARGE. */
enum status handovers_write(const struct record_numbered *r, struct writer *w) must_use;
/* false: there are none, too many, or of no result of r. */
bool handovers_read(struct record_numbered *r, struct reader *in);

#endif
