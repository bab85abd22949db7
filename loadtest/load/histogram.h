/*
 * histogram.h - latencies with three significant digits, from 1 us to 19 h, in fixed memory.
 *
 * Log-linear counts as in HdrHistogram: 2,048 steps an octave, so that a value read back is never
 * below the one recorded and at most 1/1024 above. Written as the percentile table (.hgrm) that
 * HdrHistogram's plotters read. One thread a histogram; merge what several recorded.
 */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_STEPS 2048u
#define HISTOGRAM_BITS_MAX 36u			/* larger values count as the largest */
#define HISTOGRAM_COUNTS ((HISTOGRAM_BITS_MAX - 11 + 2) * (HISTOGRAM_STEPS / 2))

struct histogram {
	uint64_t n, max_us;
	double sum_us, squares;
	uint64_t counts[HISTOGRAM_COUNTS];
};

/* Below zero counts as zero. */
void histogram_record(struct histogram *h, int64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* share 0 to 1: the least value that so many are not above; 0 where nothing was recorded. */
uint64_t histogram_at(const struct histogram *h, double share);
/* Does any value lie above that share's? Else they are too few to say it: it is their most. */
bool histogram_carries(const struct histogram *h, double share);
double histogram_mean(const struct histogram *h);
/* In milliseconds, five lines each half of the distance to 100 %. */
void histogram_write(const struct histogram *h, FILE *f);

#endif
