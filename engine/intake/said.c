#include "intake/said.h"

#include "base/calendar.h"
#include "base/utf8.h"

bool said_day(struct call *c, const Trien__V1__Date *d, const char *field, uint32_t *day)
{
	*day = 0;
	if (d == NULL)
		return true;
	if (d->year == 0 || d->year > 9999 || d->month > 12 || d->day > 31 ||
	    !date_exists(d->year, (uint8_t)d->month, (uint8_t)d->day)) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, field, "a whole date that exists");
		return false;
	}
	*day = d->year * 10000 + d->month * 100 + d->day;
	return true;
}

bool said_line(const char *text, size_t bytes_max, struct arena *a, struct slice *out)
{
	struct slice left;

	/* Far beyond, it would be too long composed, too. */
	if (strlen(text) > 4 * bytes_max || utf8_nfc(slice_str(text), a, out) != ST_OK ||
	    out->n > bytes_max)
		return false;
	for (left = *out; left.n > 0;) {
		int32_t cp = utf8_next(&left);

		if (cp < ' ' || utf8_refused((uint32_t)cp))
			return false;
	}
	return true;
}
