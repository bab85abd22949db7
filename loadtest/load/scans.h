/*
 * scans.h - originals for certified copies: pages of nobody, drawn here.
 *
 * A few files are drawn ahead: JPEG scans of one page (baseline, grey), PDFs of one or two such
 * pages, and a PDF of text, which a copy has attached alone. The original of a case is a copy of
 * one of them that bears the case's code in a comment, so that no two are the same object. The same
 * seed gives the same bytes, anywhere. Read-only after scans_make(); any thread.
 */
#ifndef LOAD_SCANS_H
#define LOAD_SCANS_H

#include <stddef.h>
#include <stdint.h>

#define SCAN_CODE_BYTES 16		/* of the case's code, in its original */

#define SCANS 16

struct scans;

/* Ends the process when memory is spent. */
struct scans *scans_make(uint64_t seed);
void scans_free(struct scans *s);
/* Of the `which`-th, modulo SCANS. */
size_t scans_size(const struct scans *s, uint32_t which);
/* Writes scans_size() bytes. */
void scans_write(const struct scans *s, uint32_t which, const char code[SCAN_CODE_BYTES],
		 uint8_t *to);

#endif
