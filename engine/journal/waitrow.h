/*
 * waitrow.h - a row of the waiting room as bytes: in front of its record in a segment, and in the
 * index. Pure. Inside journal/ only.
 *
 * The version is the frame record's: 1 says what is held and why, and the rest stands in the record
 * behind it; 2 says all.
 */
#ifndef TRIEN_JOURNAL_WAITROW_H
#define TRIEN_JOURNAL_WAITROW_H

#include "base/bytes.h"
#include "journal/waiting.h"

#define WAITROW_VERSION 2u
#define WAITROW_BYTES_MAX 2048u

/* Version 2, within WAITROW_BYTES_MAX; texts end at their first NUL or where their array does. */
void waitrow_write(struct writer *w, const struct waiting_row *row);
/*
 * r->bad: no row. What follows it is left in r. Of version 1 the rest is taken from there, as far
 * as it is a record of that sequence.
 */
void waitrow_read(struct reader *r, uint8_t version, struct waiting_row *row);

#endif
