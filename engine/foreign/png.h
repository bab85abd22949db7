/*
 * png.h - what a PDF page has to know of a PNG whose compressed rows it takes over (ISO/IEC 15948;
 * ISO 32000-1, 7.4.4.4: the same filters).
 *
 * Every chunk's CRC is checked, and the compressed rows are inflated and counted: an image that is
 * not whole is refused here, not found out by who opens the copy.
 */
#ifndef TRIEN_FOREIGN_PNG_H
#define TRIEN_FOREIGN_PNG_H

#include "foreign/look.h"

struct png {
	uint32_t width, height;
	uint8_t bits, components;	/* components: 1 or 3; of alpha's kinds without it */
	uint8_t orientation;		/* 1 … 8 */
	uint8_t wrapped;		/* enum original_wrapped, of REBUILT, COLOUR … TAIL */
	struct slice palette;		/* borrowed from the file; empty: none */
	struct density density;
	uint16_t runs_n;		/* 0 where it is wrapped */
	struct original_run *runs;	/* of the arena: the data of IDAT */
};

/*
 * ORIGINAL_FORMAT: no PNG. ORIGINAL_DAMAGED: a wrong CRC, cut off, chunks out of order or unknown
 * and critical, rows missing or too many. What stands behind IEND is no damage (TAIL).
 */
enum reason png_look(struct slice file, struct arena *a, struct png *out, struct detail *d);

#endif
