#include "portal/route.h"

#include <string.h>

/* Does the piece at *pattern stand for the one at piece? Moves *pattern behind it. */
static bool piece_fits(const char **pattern, const char *piece, bool *open)
{
	size_t n = strcspn(*pattern, "/");
	bool fits;

	*open = **pattern == ':';
	fits = *open ? *piece != '\0' : strlen(piece) == n && memcmp(piece, *pattern, n) == 0;
	*pattern += n;
	*pattern += **pattern == '/';
	return fits;
}

static bool pattern_fits(const char *pattern, char *const *pieces, uint32_t n,
			 const char *args[PORTAL_PARTS_MAX])
{
	uint32_t args_n = 0, i = 0;
	bool open;

	pattern++;
	do {
		if (i == n || !piece_fits(&pattern, pieces[i], &open))
			return false;
		if (open)
			args[args_n++] = pieces[i];
		i++;
	} while (*pattern != '\0');
	return i == n;
}

/* "/a/b" → "a", "b"; "/" → "". 0: no path of ours. */
static uint32_t cut(char *path, char *pieces[PORTAL_PARTS_MAX])
{
	uint32_t n = 0;

	if (path[0] != '/')
		return 0;
	for (char *p = path; p != NULL; p = strchr(p, '/')) {
		if (n == PORTAL_PARTS_MAX)
			return 0;
		*p++ = '\0';
		pieces[n++] = p;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!percent_decode(pieces[i], strlen(pieces[i]), false))
			return 0;
	return n;
}

const struct route *route_find(const struct route *const *groups, enum method method, char *path,
			       const char *args[PORTAL_PARTS_MAX], unsigned int *allowed)
{
	char *pieces[PORTAL_PARTS_MAX];
	uint32_t n = cut(path, pieces);

	*allowed = 0;
	for (; n > 0 && *groups != NULL; groups++)
		for (const struct route *r = *groups; r->pattern != NULL; r++) {
			if (!pattern_fits(r->pattern, pieces, n, args))
				continue;
			if (r->method == method)
				return r;
			*allowed |= 1u << r->method;
		}
	return NULL;
}
