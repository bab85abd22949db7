#include "portal/agencies.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct unit *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The newest version of each; walks the versions. */
static size_t newest(const struct catalogue *c, const struct unit **out)
{
	const struct unit *u;
	size_t n = 0, i;

	for (uint32_t at = 0; (u = catalogue_unit_at(c, at)) != NULL; at++) {
		for (i = 0; i < n && strcmp(out[i]->code, u->code) != 0; i++)
			;
		if (i == n)
			out[n++] = u;
		else if (u->from > out[i]->from)
			out[i] = u;
	}
	return n;
}

json_t *agencies_told(const struct catalogue *c, const char *chosen)
{
	const struct unit **units;
	json_t *list = json_array();
	uint32_t most = 0;
	size_t n;

	while (catalogue_unit_at(c, most) != NULL)
		most++;
	units = calloc(most + 1, sizeof(*units));
	if (units == NULL)
		return list;
	n = newest(c, units);
	qsort(units, n, sizeof(*units), by_name);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:b}", "code", units[i]->code, "name", units[i]->name,
			"chosen", chosen != NULL && strcmp(chosen, units[i]->code) == 0));
	free(units);
	return list;
}

static bool begins(const char *case_code, const char *code)
{
	size_t n = code != NULL ? strlen(code) : 0;

	return n > 0 && strncmp(case_code, code, n) == 0 && case_code[n] == '-';
}

static bool is_of(const struct unit *u, const char *case_code)
{
	if (begins(case_code, u->org_code))
		return true;
	for (uint8_t i = 0; i < u->aliases_n; i++)
		if (begins(case_code, u->aliases[i]))
			return true;
	return false;
}

const char *agency_of_case(const struct catalogue *c, const char *case_code)
{
	const struct unit *u;
	const char *found = NULL;

	for (uint32_t at = 0; (u = catalogue_unit_at(c, at)) != NULL; at++) {
		if (!is_of(u, case_code))
			continue;
		if (found != NULL && strcmp(found, u->code) != 0)
			return NULL;
		found = u->code;
	}
	return found;
}
