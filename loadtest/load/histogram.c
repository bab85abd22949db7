#include "load/histogram.h"

#include <math.h>

#define LINES_A_HALF 5

static uint32_t index_of(uint64_t us)
{
	uint32_t octave = 63u - (uint32_t)__builtin_clzll(us | (HISTOGRAM_STEPS - 1)) - 10;

	return octave * (HISTOGRAM_STEPS / 2) + (uint32_t)(us >> octave);
}

/* The largest value that counts at this place. */
static uint64_t value_of(uint32_t index)
{
	uint32_t octave = index < HISTOGRAM_STEPS ? 0 : index / (HISTOGRAM_STEPS / 2) - 1;
	uint64_t step = index - octave * (HISTOGRAM_STEPS / 2);

	return ((step + 1) << octave) - 1;
}

void histogram_record(struct histogram *h, int64_t us)
{
	uint64_t v = us > 0 ? (uint64_t)us : 0;

	if (v >= 1ull << HISTOGRAM_BITS_MAX)
		v = (1ull << HISTOGRAM_BITS_MAX) - 1;
	h->counts[index_of(v)]++;
	h->n++;
	h->sum_us += (double)v;
	h->squares += (double)v * (double)v;
	if (v > h->max_us)
		h->max_us = v;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_COUNTS; i++)
		into->counts[i] += from->counts[i];
	into->n += from->n;
	into->sum_us += from->sum_us;
	into->squares += from->squares;
	if (from->max_us > into->max_us)
		into->max_us = from->max_us;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)h->n), seen = 0;

	if (h->n == 0)
		return 0;
	if (wanted < 1)
		wanted = 1;
	for (uint32_t i = 0; i < HISTOGRAM_COUNTS; i++) {
		seen += h->counts[i];
		if (seen >= wanted)
			return value_of(i) < h->max_us ? value_of(i) : h->max_us;
	}
	return h->max_us;
}

bool histogram_carries(const struct histogram *h, double share)
{
	return ceil(share * (double)h->n) < (double)h->n;
}

double histogram_mean(const struct histogram *h)
{
	return h->n > 0 ? h->sum_us / (double)h->n : 0;
}

static uint64_t count_upto(const struct histogram *h, uint64_t us)
{
	uint32_t last = index_of(us);
	uint64_t n = 0;

	for (uint32_t i = 0; i <= last; i++)
		n += h->counts[i];
	return n;
}

void histogram_write(const struct histogram *h, FILE *f)
{
	double mean = histogram_mean(h), share = 0;
	double deviation = h->n > 0 ? sqrt(fmax(0, h->squares / (double)h->n - mean * mean)) : 0;

	fprintf(f, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	while (h->n > 0) {
		uint64_t us = histogram_at(h, share), n = count_upto(h, us);

		if (n == h->n)
			break;
		fprintf(f, "%12.3f %2.12f %10llu %14.2f\n", (double)us / 1e3, share,
			(unsigned long long)n, 1 / (1 - share));
		share += 1 / (LINES_A_HALF * exp2(floor(log2(1 / (1 - share))) + 1));
	}
	fprintf(f, "%12.3f %2.12f %10llu\n", (double)h->max_us / 1e3, 1.0,
		(unsigned long long)h->n);
	fprintf(f, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / 1e3, deviation / 1e3);
	fprintf(f, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)h->max_us / 1e3,
		(unsigned long long)h->n);
	fprintf(f, "#[Buckets = %12u, SubBuckets     = %12u]\n", HISTOGRAM_BITS_MAX - 10,
		HISTOGRAM_STEPS);
}
