/*
 * icc.h - does sRGB, or the grey of its curve, stand for what an ICC profile says (ICC.1:2010)?
 *
 * A copy's images are shown through the sRGB of its output intent (ISO 19005-3, 6.2.4.3), and no
 * profile of others is embedded. Without its own an image must look as it did with it: the profile
 * is of its samples' colour space, a matrix with curves or one curve of grey, with primaries and
 * middle grey near those of sRGB. Display P3, which telephones write, is near: its most vivid
 * colours are shown a little paler. Tables (A2B0 …) are preferred by readers and not looked into;
 * larger gamuts, Lab and CMYK are other colours. Whatever is no profile is none.
 */
#ifndef TRIEN_FOREIGN_ICC_H
#define TRIEN_FOREIGN_ICC_H

#include <stdbool.h>

#include "base/bytes.h"

#define ICC_BYTES_MAX (64 * 1024)	/* one of a matrix has a few thousand */

/*
 * Is it of samples with so many components at all (1 or 3)? One within a JPEG or a PNG that is not
 * is passed by, as readers do.
 */
bool icc_is_of(struct slice profile, uint8_t components);
bool icc_is_srgb(struct slice profile, uint8_t components);

#endif
