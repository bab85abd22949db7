#include "portal/chart.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SEEN_WIDTH 4u			/* the least that is seen on a phone */

void chart_number(char out[CHART_NUMBER_BYTES], uint64_t n, enum language in)
{
	char digits[CHART_NUMBER_BYTES];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = in == LANGUAGE_EN ? ',' : '.';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

void chart_percent(char out[CHART_NUMBER_BYTES], uint32_t per_10000, enum language in)
{
	const char *form = in == LANGUAGE_EN ? "%u.%02u%%" : "%u,%02u %%";

	if (per_10000 % 100 == 0)
		form = in == LANGUAGE_EN ? "%u%%" : "%u %%";
	snprintf(out, CHART_NUMBER_BYTES, form, per_10000 / 100, per_10000 % 100);
}

uint32_t chart_rate(uint64_t part, uint64_t whole)
{
	return (uint32_t)((part * 20000 + whole) / (whole * 2));
}

json_t *chart_bar(const struct chart_part *parts, size_t n, uint64_t whole)
{
	uint32_t width[CHART_PARTS_MAX] = { 0 }, sum = 0, x = 0;
	json_t *bar = json_array();
	size_t widest = 0;

	for (size_t i = 0; i < n && i < CHART_PARTS_MAX; i++) {
		if (parts[i].n == 0)
			continue;
		width[i] = (uint32_t)(parts[i].n * CHART_WIDTH / whole);
		width[i] = width[i] < SEEN_WIDTH ? SEEN_WIDTH : width[i];
		sum += width[i];
		widest = width[i] > width[widest] ? i : widest;
	}
	if (sum > CHART_WIDTH)
		width[widest] -= sum - CHART_WIDTH;
	for (size_t i = 0; i < n && i < CHART_PARTS_MAX; i++) {
		if (width[i] == 0)
			continue;
		json_array_append_new(bar, json_pack("{s:s, s:i, s:i}", "kind", parts[i].kind, "x",
						     (int)x, "width", (int)width[i]));
		x += width[i];
	}
	return bar;
}
