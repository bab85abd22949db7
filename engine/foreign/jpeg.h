/*
 * jpeg.h - what a PDF page has to know of a JPEG that it shows as it is (ITU-T T.81, T.83; JFIF
 * 1.02; Adobe TN 5116).
 *
 * The markers are read and the coded scans are passed over to the end of the image; no sample is
 * decoded. Checked is that the end is there, that each component of the frame begins in a scan,
 * that restarts are in order and as many as its rows need, and that each scan has the bytes that
 * its blocks take at the very least. What is lost within a scan beyond that is not seen: bits that
 * were changed, or blocks that are missing behind the last restart and before an end that somebody
 * put there.
 */
#ifndef TRIEN_FOREIGN_JPEG_H
#define TRIEN_FOREIGN_JPEG_H

#include "foreign/look.h"

struct jpeg {
	uint32_t width, height;
	uint8_t components;
	uint8_t orientation;		/* 1 … 8; what EXIF says, else 1 */
	uint8_t wrapped;		/* enum original_wrapped: REBUILT, COLOUR, TAIL */
	bool other_colours;		/* its own profile is none that sRGB stands for (icc.h); a
					 * PDF's page does not look at it */
	struct density density;		/* of the samples as coded */
};

/*
 * ORIGINAL_FORMAT: 12 bits, lossless, hierarchical, arithmetic, number of rows in a DNL segment:
 * hardly any program shows them. ORIGINAL_DAMAGED: cut off, scans as above, segments that do not
 * belong together. What stands behind the end of the image is no damage: telephones put more
 * pictures there (CIPA DC-007), scanners notes of their own (TAIL).
 */
enum reason jpeg_look(struct slice file, struct jpeg *out, struct detail *d);

#endif
