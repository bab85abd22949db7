#include "catalogue/number.h"

#include <stdio.h>
#include <string.h>

#include "catalogue/catalogue.h"

#define LONGEST_NUMBER "99999999999"
static_assert(sizeof(LONGEST_NUMBER) - 1 == NUMBER_DIGITS_MAX, "as the header says");

enum place { PLACE_N, PLACE_YEAR, PLACE_UNIT, PLACE_VOLUME, PLACES };

static const char *const places[PLACES] = { "{n}", "{yyyy}", "{unit}", "{v}" };

/* The place that text begins with, or PLACES. */
static enum place place_at(const char *text)
{
	enum place p = PLACE_N;

	while (p < PLACES && strncmp(text, places[p], strlen(places[p])) != 0)
		p++;
	return p;
}

/* Bytes of the whole, as snprintf() counts; NUL-terminated when size > 0. */
static size_t expand(char *out, size_t size, const char *form, const char *const value[PLACES])
{
	size_t n = 0;

	while (*form != '\0') {
		enum place p = place_at(form);
		const char *piece = p < PLACES ? value[p] : form;
		size_t piece_n = p < PLACES ? strlen(value[p]) : 1;

		if (n < size)
			memcpy(out + n, piece, piece_n < size - n ? piece_n : size - n);
		n += piece_n;
		form += p < PLACES ? strlen(places[p]) : 1;
	}
	if (size > 0)
		out[n < size ? n : size - 1] = '\0';
	return n;
}

/* How often each place occurs; false: braces hold something else. */
static bool count(const char *form, uint32_t seen[PLACES + 1])
{
	while (*form != '\0') {
		enum place p = place_at(form);

		if (p == PLACES && (*form == '{' || *form == '}'))
			return false;
		seen[p]++;
		form += p < PLACES ? strlen(places[p]) : 1;
	}
	return true;
}

const char *number_form_wrong(const char *form, bool volumes)
{
	uint32_t seen[PLACES + 1] = { 0 };

	if (!count(form, seen))
		return "in braces only {n}, {yyyy}, {unit}, {v} are allowed";
	if (seen[PLACE_VOLUME] > 0 && !volumes)
		return "{v} needs \"volume_numbers\"";
	return seen[PLACE_N] != 1 ? "{n} must occur exactly once" : NULL;
}

const char *number_book_wrong(const char *form)
{
	uint32_t seen[PLACES + 1] = { 0 };

	if (!count(form, seen) || seen[PLACE_N] > 0)
		return "in braces only {v}, {yyyy} and {unit} are allowed";
	return seen[PLACE_VOLUME] != 1 ? "{v} must occur exactly once" : NULL;
}

size_t number_form_bytes(const char *form, const char *notation)
{
	const char *const value[PLACES] = { LONGEST_NUMBER, "9999", notation,
					     LONGEST_NUMBER };

	return expand(NULL, 0, form, value);
}

enum status number_format(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k,
			  const struct unit *u, uint64_t number, uint32_t year)
{
	char n[24], yyyy[12], v[24];
	const char *const value[PLACES] = { n, yyyy, u->notation, v };

	snprintf(n, sizeof(n), "%02llu", (unsigned long long)number);
	snprintf(v, sizeof(v), "%02llu", (unsigned long long)number_volume(k, number));
	snprintf(yyyy, sizeof(yyyy), "%04u", year);
	if (number == 0)
		return ST_INVALID;
	if (expand(out, NUMBER_TEXT_BYTES_MAX + 1, k->number_form, value) > NUMBER_TEXT_BYTES_MAX)
		return ST_TOO_LARGE;
	return ST_OK;
}

void number_dots(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k, const struct unit *u)
{
	/* In bytes not longer than what may stand there. */
	const char *const value[PLACES] = { "……", "…", u->notation, "…" };

	if (expand(out, NUMBER_TEXT_BYTES_MAX + 1, k->number_form, value) > NUMBER_TEXT_BYTES_MAX)
		snprintf(out, NUMBER_TEXT_BYTES_MAX + 1, "……");
}

void number_book(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k, const struct unit *u,
		 uint64_t number, uint32_t year)
{
	char v[24] = "…", yyyy[12] = "…";
	const char *const value[PLACES] = { "", yyyy, u->notation, v };

	if (number > 0) {
		snprintf(v, sizeof(v), "%02llu", (unsigned long long)number_volume(k, number));
		snprintf(yyyy, sizeof(yyyy), "%04u", year);
	}
	/* With the longest number it fits (kind_read, catalogue_load). */
	expand(out, NUMBER_TEXT_BYTES_MAX + 1, k->book_form, value);
}
