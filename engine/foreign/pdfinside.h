/*
 * pdfinside.h - what the files of pdf.h share; nobody else includes it.
 */
#ifndef TRIEN_FOREIGN_PDFINSIDE_H
#define TRIEN_FOREIGN_PDFINSIDE_H

#include <qpdf/qpdf-c.h>

#include "foreign/pdfxref.h"

struct pdf {
	qpdf_data q;
	struct xref xref;
	struct slice file;
	struct arena *arena;
	struct detail *d;
	uint64_t decoded_left, images_left;	/* bytes that streams, page images may still give */
	uint64_t runs_left;	/* bytes that runs of images may still take */
};

/* ---- pdf.c: values; handles live until qpdf_oh_release_all() ---- */

/* true: qpdf complained since; the file is damaged. */
bool pdf_complains(struct pdf *p, enum reason *why);
bool pdf_integer(struct pdf *p, qpdf_oh oh, int64_t min, int64_t max, int64_t *out);
/* n finite numbers in an array of just n. */
bool pdf_numbers(struct pdf *p, qpdf_oh array, uint32_t n, double *out);
/* Of the page or, if it has none, of the nodes above it; maybe null. */
qpdf_oh pdf_inherited(struct pdf *p, qpdf_oh page, const char *key);
/* The value, or the only member of an array that stands in its place. */
qpdf_oh pdf_only(struct pdf *p, qpdf_oh oh);

/* ---- pdfstream.c ---- */

/* As it stands in the file. */
bool pdf_stream(struct pdf *p, qpdf_oh stream, struct slice *data);
/*
 * ORIGINAL_TOO_LARGE: a bomb, which decodes into far more than what it says or was worth its bytes.
 * ORIGINAL_DAMAGED: it cannot be inflated. Only counted: nothing is kept.
 */
enum reason pdf_decoded(struct pdf *p, qpdf_oh stream);

/* ---- pdfcontent.c ---- */

/* From left and bottom to right and top. */
struct area { double left, bottom, right, top; };

/*
 * What a page shows, in its own space: the unit square of one image through this matrix, as far as
 * it lies within `clip`.
 */
struct placed { char name[64]; double matrix[6]; struct area clip; };	/* matrix: finite */

/* false: it shows other than just one image. The name is that of /Resources /XObject. */
bool pdf_content(struct pdf *p, qpdf_oh page, struct placed *out);

/* ---- pdfpage.c ---- */

/*
 * The one image of a page, without coding and data. *wrapped: REBUILT, or why it cannot be taken
 * apart. *image: its stream.
 */
void pdf_page(struct pdf *p, qpdf_oh page, struct original_image *m, qpdf_oh *image,
	      uint8_t *wrapped);

/* ---- pdfimage.c ---- */

/* Coding, samples and run. REASON_NONE with *wrapped, or ORIGINAL_DAMAGED, ORIGINAL_TOO_LARGE. */
enum reason pdf_image(struct pdf *p, qpdf_oh image, struct original_image *m, uint8_t *wrapped);

#endif
