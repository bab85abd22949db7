/*
 * pdfrows.h - the rows of a cross-reference stream, decoded (ISO 32000-1, 7.5.8.3; its filters).
 */
#ifndef TRIEN_FOREIGN_PDFROWS_H
#define TRIEN_FOREIGN_PDFROWS_H

#include "base/arena.h"

struct pdf_rows {
	struct slice bytes;	/* one row after the other */
	uint32_t widths[3];	/* of /W; the fields are the last bytes of a row */
	uint32_t width;		/* of a row, with the byte of its filter where there is one */
};

/* What the stream's dictionary says of /W. false: nothing that can be. */
bool pdf_rows_form(struct slice dict, struct pdf_rows *rows);
/*
 * Just n rows: none, or FlateDecode with or without a PNG predictor. ST_CORRUPT; ST_TOO_LARGE: the
 * arena is spent.
 */
enum status pdf_rows_read(struct slice dict, struct slice data, uint64_t n, struct arena *a,
			  struct pdf_rows *rows) must_use;

#endif
