#include "client/wellknown.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/calendar.h"

#define EXACT_MAX 9007199254740992.0		/* 2^53: beyond, a double skips whole numbers */
#define TIMESTAMP_MIN (-62135596800)		/* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX 253402300799		/* 9999-12-31T23:59:59Z */
#define DURATION_MAX 315576000000

bool whole_read(const json_t *j, bool *negative, uint64_t *magnitude)
{
	const char *text;
	char *end;

	if (json_is_integer(j)) {
		json_int_t v = json_integer_value(j);

		*negative = v < 0;
		*magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
		return true;
	}
	if (json_is_real(j)) {
		double v = json_real_value(j);

		*negative = v < 0;
		*magnitude = (uint64_t)fmin(fabs(v), EXACT_MAX);
		return fabs(v) <= EXACT_MAX && v == floor(v);
	}
	if (!json_is_string(j))
		return false;
	text = json_string_value(j);
	*negative = *text == '-';
	text += *negative;
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*magnitude = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

/* ---- base64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_of(char c)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c == '-' ? '+' : c == '_' ? '/' : c);

	return at != NULL ? (int)(at - alphabet) : -1;
}

bool base64_read(uint8_t *out, size_t *out_n, const char *text, size_t n)
{
	uint32_t bits = 0, bits_n = 0;
	size_t padded = n;

	while (n > 0 && text[n - 1] == '=')
		n--;
	if (padded - n > 2 || (padded != n && padded % 4 != 0) || n % 4 == 1)
		return false;
	*out_n = 0;
	for (size_t i = 0; i < n; i++) {
		int digit = digit_of(text[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		bits_n += 6;
		if (bits_n >= 8) {
			bits_n -= 8;
			out[(*out_n)++] = (uint8_t)(bits >> bits_n);
		}
	}
	return true;
}

void base64_write(char *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t left = n - i < 3 ? (uint32_t)(n - i) : 3;
		uint32_t bits = (uint32_t)p[i] << 16;

		bits |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		bits |= left > 2 ? p[i + 2] : 0;
		for (uint32_t k = 0; k < 4; k++)
			*out++ = k <= left ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
	}
	*out = '\0';
}

/* ---- times ---- */

/* Exactly n digits. */
static bool digits(const char **text, uint32_t n, uint32_t *out)
{
	*out = 0;
	for (uint32_t i = 0; i < n; i++, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		*out = *out * 10 + (uint32_t)(**text - '0');
	}
	return true;
}

static bool literal(const char **text, const char *any_of)
{
	return **text != '\0' && strchr(any_of, *(*text)++) != NULL;
}

/* `.` and 1 to 9 digits, or nothing. */
static bool fraction(const char **text, int32_t *nanos)
{
	uint32_t n = 0;

	*nanos = 0;
	if (**text != '.')
		return true;
	for ((*text)++; isdigit((unsigned char)**text) && n < 9; (*text)++, n++)
		*nanos = *nanos * 10 + (**text - '0');
	for (uint32_t i = n; i < 9; i++)
		*nanos *= 10;
	return n > 0;
}

static bool offset(const char **text, int64_t *seconds)
{
	bool behind = **text == '-';
	uint32_t hours, minutes;

	*seconds = 0;
	if (**text == 'Z' || **text == 'z') {
		(*text)++;
		return true;
	}
	if (!literal(text, "+-") || !digits(text, 2, &hours) || !literal(text, ":") ||
	    !digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = (int64_t)(hours * 60 + minutes) * (behind ? 60 : -60);
	return true;
}

bool timestamp_read(int64_t *seconds, int32_t *nanos, const char *text)
{
	uint32_t year, month, day, hour, minute, second;
	int64_t shift;
	struct tm tm;

	if (!digits(&text, 4, &year) || !literal(&text, "-") || !digits(&text, 2, &month) ||
	    !literal(&text, "-") || !digits(&text, 2, &day) || !literal(&text, "Tt") ||
	    !digits(&text, 2, &hour) || !literal(&text, ":") || !digits(&text, 2, &minute) ||
	    !literal(&text, ":") || !digits(&text, 2, &second) || !fraction(&text, nanos) ||
	    !offset(&text, &shift) || *text != '\0')
		return false;
	if (!date_exists(year, (uint8_t)month, (uint8_t)day) || hour > 23 || minute > 59 ||
	    second > 59)
		return false;
	tm = (struct tm){ .tm_year = (int)year - 1900, .tm_mon = (int)month - 1,
			  .tm_mday = (int)day, .tm_hour = (int)hour, .tm_min = (int)minute,
			  .tm_sec = (int)second };
	*seconds = (int64_t)timegm(&tm) + shift;
	return *seconds >= TIMESTAMP_MIN && *seconds <= TIMESTAMP_MAX;
}

/* ".250", ".000250", as many groups of three as are needed. */
static void fraction_write(char out[12], int32_t nanos)
{
	int n = snprintf(out, 12, ".%09" PRId32, nanos);

	while (n > 1 && strcmp(out + n - 3, "000") == 0) {
		n -= 3;
		out[n] = '\0';
	}
	if (n == 1)
		out[0] = '\0';
}

void timestamp_write(char out[TIMESTAMP_TEXT_BYTES], int64_t seconds, int32_t nanos)
{
	time_t t = (time_t)seconds;
	char part[12];
	struct tm tm;

	out[0] = '\0';
	if (seconds < TIMESTAMP_MIN || seconds > TIMESTAMP_MAX || nanos < 0 || nanos > 999999999 ||
	    gmtime_r(&t, &tm) == NULL)
		return;
	fraction_write(part, nanos);
	snprintf(out, TIMESTAMP_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, part);
}

bool duration_read(int64_t *seconds, int32_t *nanos, const char *text)
{
	bool negative = *text == '-';
	uint64_t whole = 0;

	text += negative;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text) && whole <= DURATION_MAX; text++)
		whole = whole * 10 + (uint64_t)(*text - '0');
	if (whole > DURATION_MAX || !fraction(&text, nanos) || strcmp(text, "s") != 0)
		return false;
	*seconds = negative ? -(int64_t)whole : (int64_t)whole;
	*nanos = negative ? -*nanos : *nanos;
	return true;
}

void duration_write(char out[TIMESTAMP_TEXT_BYTES], int64_t seconds, int32_t nanos)
{
	bool negative = seconds < 0 || nanos < 0;
	char part[12] = "";

	if (nanos > -1000000000 && nanos < 1000000000)
		fraction_write(part, nanos < 0 ? -nanos : nanos);
	snprintf(out, TIMESTAMP_TEXT_BYTES, "%s%" PRIu64 "%ss", negative ? "-" : "",
		 seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds, part);
}
