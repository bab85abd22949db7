/*
 * pdfxref.h - our own reading of a PDF's cross-reference sections (ISO 32000-1, 7.5.4, 7.5.8).
 *
 * A PDF library takes a wrong offset for a missing object and shows the rest (facts: 668 KB became
 * 760 bytes, with a warning). Here each offset that a section says is in use must stand before
 * `n g obj`, in every section; a file that is only readable by repair is damaged.
 *
 * It also says where an object's stream lies in the file, which the library does not.
 */
#ifndef TRIEN_FOREIGN_PDFXREF_H
#define TRIEN_FOREIGN_PDFXREF_H

#include "foreign/look.h"

enum xref_kind { XREF_UNKNOWN, XREF_FREE, XREF_AT, XREF_WITHIN };

struct xref_entry {
	uint32_t at;		/* XREF_AT: offset; XREF_WITHIN: number of the object stream */
	uint16_t generation;
	uint8_t kind;
};

struct xref {
	struct slice file;
	struct xref_entry *entries;
	uint32_t n;		/* highest number + 1: /Size of the newest section */
};

/*
 * ORIGINAL_DAMAGED, ORIGINAL_HYBRID (a section has /XRefStm), ORIGINAL_ENCRYPTED,
 * ORIGINAL_TOO_LARGE. Memory of a.
 */
enum reason xref_read(struct slice file, struct arena *a, struct xref *out, struct detail *d);

/*
 * The stream of an object: its dictionary, and its data as they stand, `length` bytes of them.
 * false: it is none, lies elsewhere, or does not end where it should.
 */
bool xref_stream(const struct xref *x, int number, int generation, uint64_t length,
		 struct slice *dict, struct slice *data);

#endif
