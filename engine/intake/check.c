#include "intake/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/calendar.h"

static void write_path(const struct place *p, char *out, size_t size)
{
	int n = 0;

	if (p->list == NULL) {
		snprintf(out, size, "%s", p->member);
		return;
	}
	n = snprintf(out, size, "%s[%u]", p->list, p->index);
	if (p->field == NULL) {
		snprintf(out + n, size - (size_t)n, "%s%s", p->member[0] != '\0' ? "." : "",
			 p->member);
		return;
	}
	n += snprintf(out + n, size - (size_t)n, ".fields.%s", p->field);
	if (p->row >= 0)
		n += snprintf(out + n, size - (size_t)n, ".rows[%d]", p->row);
	if (p->row >= 0 && p->cell >= 0)
		snprintf(out + n, size - (size_t)n, ".cells[%d]", p->cell);
}

enum status check_fail(struct check *x, enum reason why, const char *fmt, ...)
{
	char path[sizeof(x->why->field)], detail[sizeof(x->why->detail)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	write_path(&x->at, path, sizeof(path));
	return refuse(x->why, why, path, "%s", detail);
}

enum status check_spent(struct check *x)
{
	return check_fail(x, REASON_TOO_LARGE, "at most %d bytes", CASE_BYTES_MAX);
}

void check_name(char out[FIELD_NAME_BYTES_MAX + 1], struct slice s)
{
	bool good = s.n <= FIELD_NAME_BYTES_MAX;

	for (size_t i = 0; i < s.n && good; i++)
		good = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
		       s.p[i] == '-' || s.p[i] == '_';
	snprintf(out, FIELD_NAME_BYTES_MAX + 1, "%.*s", good ? (int)s.n : 0, (const char *)s.p);
}

/* ---- text ---- */

/* NFC, and the first character that may not be there. */
static enum status look_closer(struct check *x, struct slice *out, struct slice raw, bool lines)
{
	enum status st = utf8_nfc(raw, x->scratch, out);
	struct slice rest = *out;

	if (st == ST_INVALID)
		return check_fail(x, REASON_UTF8_INVALID, "%s", "");
	if (st != ST_OK)
		return check_spent(x);
	while (rest.n > 0) {
		uint32_t cp = (uint32_t)utf8_next(&rest);

		if (cp == '\n' && lines)
			continue;
		if (utf8_refused(cp))
			return check_fail(x, REASON_CHARACTER_REFUSED, "U+%04X", cp);
		if (!codeset_has(x->coverage, cp))
			return check_fail(x, REASON_GLYPH_MISSING, "U+%04X", cp);
	}
	return ST_OK;
}

enum status check_text(struct check *x, struct slice *out, struct slice raw, uint32_t bytes_max,
		       bool lines)
{
	enum status st = ST_OK;

	if (utf8_plain(raw, x->coverage))
		*out = raw;
	else
		st = look_closer(x, out, raw, lines);
	if (st == ST_OK && out->n > bytes_max)
		st = check_fail(x, REASON_FIELD_TOO_LONG, "%zu bytes; at most %u", out->n,
				bytes_max);
	return st;
}

bool check_blank(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\n')
			return false;
	return true;
}

/* ---- dates ---- */

enum status check_date(struct check *x, struct partial_date *out, const struct raw_date *d,
		       bool partial)
{
	if (d->year < 1 || d->year > 9999)
		return check_fail(x, REASON_DATE_INVALID, "year");
	if (d->month > 12 || d->day > 31 || (d->month == 0 && d->day != 0))
		return check_fail(x, REASON_DATE_INVALID, "%s", d->month > 12 ? "month" : "day");
	if (!partial && d->day == 0)
		return check_fail(x, REASON_DATE_INVALID, "a whole date is needed");
	if (d->day != 0 && !date_exists(d->year, (uint8_t)d->month, (uint8_t)d->day))
		return check_fail(x, REASON_DATE_INVALID, "there is no such day");
	*out = (struct partial_date){ (uint16_t)d->year, (uint8_t)d->month, (uint8_t)d->day };
	return ST_OK;
}

enum status check_day(struct check *x, uint32_t *out, const struct raw_date *d)
{
	struct partial_date whole;
	enum status st;

	*out = 0;
	if (!d->given)
		return ST_OK;
	st = check_date(x, &whole, d, false);
	if (st == ST_OK)
		*out = whole.year * 10000u + whole.month * 100u + whole.day;
	return st;
}
