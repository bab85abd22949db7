/*
 * calendar.h - the samples' day and the times around it. Fixed, so that a seed gives the same bytes
 * on any day.
 */
#ifndef SAMPLE_CALENDAR_H
#define SAMPLE_CALENDAR_H

#include "base/calendar.h"

#define SAMPLE_DAY 20261124u		/* a Tuesday; every case is decided on it */
#define SAMPLE_YEAR 2026u
#define SAMPLE_DAY_MS 86400000ll

static inline uint32_t days_in_month(uint32_t year, uint8_t month)
{
	uint8_t day = 31;

	while (!date_exists(year, month, day))
		day--;
	return day;
}

/* Midnight, Vietnam time, n working days (Monday to Friday) before or after the samples' day. */
static inline int64_t working_day_ms(int32_t n)
{
	int64_t ms = day_start_ms(SAMPLE_DAY);
	int32_t step = n < 0 ? -1 : 1, weekday = 2;	/* Tuesday; 0 = Sunday */

	while (n != 0) {
		ms += step * SAMPLE_DAY_MS;
		weekday = (weekday + 7 + step) % 7;
		if (weekday != 0 && weekday != 6)
			n -= step;
	}
	return ms;
}

#endif
