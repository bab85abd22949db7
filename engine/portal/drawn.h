/*
 * drawn.h - a QR code in a page's model, for its template to draw: no picture is asked for.
 */
#ifndef TRIEN_PORTAL_DRAWN_H
#define TRIEN_PORTAL_DRAWN_H

#include <jansson.h>

#include "render/qr.h"

/*
 * m[name] = {side, path}: path is `d` of an SVG path that draws the dark ones in squares of 1, with
 * the quiet zone of 4 around (ISO/IEC 18004 6.3.8); side counts that zone, too. A text that has
 * characters which a code in capitals has not gives none. Any thread.
 */
void drawn_qr(const struct qr_tables *t, const char *text, json_t *m, const char *name);

#endif
