#include "base/calendar.h"

#define OFFSET_MS (7LL * 3600 * 1000)
#define DAY_MS (24LL * 3600 * 1000)

/* Days since 1970-01-01 to a date and back: Howard Hinnant's civil calendar algorithms. */
static void civil_from_days(int64_t z, uint32_t *y, uint8_t *m, uint8_t *d)
{
	int64_t era, doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = (uint8_t)(doy - (153 * mp + 2) / 5 + 1);
	*m = (uint8_t)(mp < 10 ? mp + 3 : mp - 9);
	*y = (uint32_t)(yoe + era * 400 + (*m <= 2));
}

static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

struct civil civil_vietnam(int64_t unix_ms)
{
	int64_t local = unix_ms + OFFSET_MS;
	int64_t days = local >= 0 ? local / DAY_MS : (local - DAY_MS + 1) / DAY_MS;
	uint32_t in_day = (uint32_t)((local - days * DAY_MS) / 1000);
	struct civil c;

	civil_from_days(days, &c.year, &c.month, &c.day);
	c.hour = (uint8_t)(in_day / 3600);
	c.minute = (uint8_t)(in_day / 60 % 60);
	c.second = (uint8_t)(in_day % 60);
	return c;
}

uint32_t day_vietnam(int64_t unix_ms)
{
	struct civil c = civil_vietnam(unix_ms);

	return c.year * 10000 + c.month * 100u + c.day;
}

int64_t day_start_ms(uint32_t d)
{
	return days_from_civil(d / 10000, d / 100 % 100, d % 100) * DAY_MS - OFFSET_MS;
}

bool date_exists(uint32_t year, uint8_t month, uint8_t day)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (year == 0 || month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && leap);
}
