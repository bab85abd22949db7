/*
 * chart.h - numbers as pictures: a model of rectangles and arcs that a page's SVG draws, and the
 * same numbers as text. Pure; any thread. Models are the caller's.
 */
#ifndef TRIEN_PORTAL_CHART_H
#define TRIEN_PORTAL_CHART_H

#include <jansson.h>
#include <stdint.h>

#include "portal/words.h"

#define CHART_WIDTH 1000u		/* of a bar, and once round a ring */
#define CHART_PARTS_MAX 8
#define CHART_NUMBER_BYTES 32

struct chart_part { const char *kind; uint64_t n; };

/* "27.804", in English "27,804". */
void chart_number(char out[CHART_NUMBER_BYTES], uint64_t n, enum language in);
/* "99,86 %", in English "99.86%". */
void chart_percent(char out[CHART_NUMBER_BYTES], uint32_t per_10000, enum language in);
/* part ÷ whole in hundredths of a percent, a half up, as trien.v1.Rate; whole is not 0. */
uint32_t chart_rate(uint64_t part, uint64_t whole);

/*
 * [{kind, x, width}] of CHART_WIDTH for `whole`, without what is 0. What is there is seen: it is at
 * least 4 wide, and the widths together are never more than CHART_WIDTH. whole: at least the sum.
 */
json_t *chart_bar(const struct chart_part *parts, size_t n, uint64_t whole);

#endif
