#include "load/memory.h"

#include <math.h>
#include <string.h>

#include "base/status.h"

#define WARM_UP 0.2
#define LONG_ENOUGH_S 8			/* memory is looked at every few seconds only */

bool memory_is_engine(const char *row)
{
	static const char *const names[] = { "trien", "engine", "signer", "foreign", "remote" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(row, names[i]) == 0)
			return true;
	return false;
}

static double engine_mb(const struct process_watch *w, const struct process_mark *m)
{
	uint64_t kb = 0;

	for (uint32_t i = 0; i < w->rows_n; i++)
		if (memory_is_engine(w->rows[i].name))
			kb += m->pss_kb[i];
	return (double)kb / 1024;
}

/* NAN: none between them. */
static double mean_mb(const struct process_watch *w, double from_s, double to_s)
{
	double sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->marks_n; i++) {
		if (w->marks[i].at_s < from_s || w->marks[i].at_s >= to_s)
			continue;
		sum += engine_mb(w, &w->marks[i]);
		n++;
	}
	return n > 0 ? sum / n : NAN;
}

struct memory memory_of(const struct process_watch *w, double from_s, double to_s)
{
	struct memory m = { .peak_mb = NAN, .growth = NAN };
	double warm_s = from_s + WARM_UP * (to_s - from_s), middle_s = (warm_s + to_s) / 2;

	for (uint32_t i = 0; i < w->marks_n; i++) {
		double mb = engine_mb(w, &w->marks[i]);

		if (w->marks[i].at_s >= from_s && w->marks[i].at_s < to_s && mb > 0)
			m.peak_mb = fmax(isnan(m.peak_mb) ? 0 : m.peak_mb, mb);
	}
	if (to_s - warm_s >= LONG_ENOUGH_S && m.peak_mb > 0)
		m.growth = mean_mb(w, middle_s, to_s) / mean_mb(w, warm_s, middle_s);
	return m;
}
