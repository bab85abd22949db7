/*
 * exif.h - orientation and resolution of an image from its EXIF block (EXIF 2.3, TIFF 6.0).
 */
#ifndef TRIEN_FOREIGN_EXIF_H
#define TRIEN_FOREIGN_EXIF_H

#include "foreign/look.h"

struct exif {
	uint8_t orientation;	/* 1 … 8; 0: not said */
	struct density density;
};

/* tiff: from its byte order mark. What is malformed is as not said: it changes no sample. */
void exif_read(struct slice tiff, struct exif *out);

#endif
