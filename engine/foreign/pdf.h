/*
 * pdf.h - is a PDF that we did not make whole and harmless, and is each page one image?
 *
 * qpdf reads it, without repair: any warning of its is damage. Before that pdfxref.h has checked
 * every offset; beside it every object of the file is looked through for what acts by itself.
 * A bomb within the file's structure meets the limits of the process (process.c).
 */
#ifndef TRIEN_FOREIGN_PDF_H
#define TRIEN_FOREIGN_PDF_H

#include "foreign/look.h"

/*
 * Fills pages, wrapped, images of *out. The header stands at the first byte. ORIGINAL_DAMAGED,
 * ORIGINAL_ENCRYPTED, ORIGINAL_HYBRID, ORIGINAL_ACTIVE, ORIGINAL_TOO_LARGE.
 */
enum reason pdf_look(struct slice file, struct arena *a, struct original *out, struct detail *d);

#endif
