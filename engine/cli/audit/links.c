#include <stdlib.h>
#include <string.h>

#include "cli/audit/audit.h"

/* By the one that was replaced, then by the one in its place. */
static const uint8_t *older(const struct audit_link *l)
{
	return l->forward ? l->other : l->of;
}

static const uint8_t *newer(const struct audit_link *l)
{
	return l->forward ? l->of : l->other;
}

static int by_pair(const void *a, const void *b)
{
	int order = memcmp(older(a), older(b), 16);

	if (order == 0)
		order = memcmp(newer(a), newer(b), 16);
	return order != 0 ? order : (int)((const struct audit_link *)a)->forward -
				    (int)((const struct audit_link *)b)->forward;
}

static void found(struct audit *a, const struct audit_link *l)
{
	char other[ID_TEXT_BYTES + 1] = "";
	json_t *list = json_array();

	id_text(other, l->other);
	json_array_append_new(list, audit_finding(
		AUDIT_LINK, l->of, 0, l->forward ? "says that it replaces %s, which does not say "
		"so or is missing" : "says that %s replaces it, which does not say so or is "
		"missing", other));
	audit_found(a, list);
	json_decref(list);
}

void audit_links(struct audit *a)
{
	qsort(a->links, a->links_n, sizeof(*a->links), by_pair);
	for (size_t i = 0; i < a->links_n;) {
		const struct audit_link *l = &a->links[i];
		bool both = i + 1 < a->links_n &&
			    memcmp(older(l), older(l + 1), 16) == 0 &&
			    memcmp(newer(l), newer(l + 1), 16) == 0 && l->forward != l[1].forward;

		/* Of one that came while we looked the next audit sees both sides. */
		if (!both && !l->fresh)
			found(a, l);
		i += both ? 2 : 1;
	}
}
