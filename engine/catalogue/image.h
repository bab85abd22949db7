/*
 * image.h - seals and handwriting: black and white PBM files (netpbm P4).
 */
#ifndef TRIEN_CATALOGUE_IMAGE_H
#define TRIEN_CATALOGUE_IMAGE_H

#include "base/hash.h"
#include "catalogue/catalogue.h"
#include "catalogue/form.h"

#define IMAGE_SIDE_MAX 4000		/* pixels; 100 mm at 1000 dpi */
#define IMAGE_BYTES_MAX (2 * 1024 * 1024 + 4096)

struct picture {
	struct image image;
	struct slice file;		/* all of it; image.bits lies inside. n = 0: no image */
	uint8_t sha256[SHA256_BYTES];	/* of file */
};

/*
 * Reads obj.key, `{"image", "width_mm", "height_mm", "optional"}`, and the file that it names in
 * dir. Failures stick in f. Absent, or optional and missing: no image. Memory of f's pool.
 */
void image_read(struct form *f, const json_t *obj, const char *key, const char *dir,
		struct picture *out);

/* Finds the raster of one P4 image. NULL, or what is wrong: static text. */
const char *image_parse(struct slice file, uint32_t *width, uint32_t *height,
			const uint8_t **bits);

#endif
