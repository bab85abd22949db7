#include "session/table.h"

#include <stdlib.h>

struct sessions {
	struct session *first;
	uint32_t n, items_n;
};

enum status sessions_new(struct sessions **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? ST_OK : ST_NOMEM;
}

void sessions_free(struct sessions *t)
{
	if (t == NULL)
		return;
	while (t->first != NULL) {
		struct session *next = t->first->next;

		session_free(t->first);
		t->first = next;
	}
	free(t);
}

struct session *sessions_find(struct sessions *t, const uint8_t id[16])
{
	struct session *s = t->first;

	while (s != NULL && memcmp(s->id, id, sizeof(s->id)) != 0)
		s = s->next;
	return s;
}

void sessions_release(struct sessions *t, struct session *s)
{
	struct session **link = &t->first;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	t->n--;
	t->items_n -= s->items_n;
}

void sessions_forget(struct sessions *t, const uint8_t id[16])
{
	struct session *s = sessions_find(t, id);

	if (s == NULL)
		return;
	sessions_release(t, s);
	session_free(s);
}

bool sessions_claimed(struct sessions *t, const struct session *s, const uint8_t result_id[16])
{
	for (const struct session *x = t->first; x != NULL; x = x->next) {
		uint32_t i;

		if (x == s || x->state != SESSION_CONFIRMING)
			continue;
		i = session_index(x, result_id);
		if (i < x->items_n && x->items[i].claimed)
			return true;
	}
	return false;
}

/* What is lost with an ended one: nothing was signed; outcomes, all of them told by their results
 * as well; outcomes that are still to come. */
static int loss(const struct session *s)
{
	return s->state == SESSION_CONFIRMED ? 2 : s->state == SESSION_DONE;
}

static bool goes_before(const struct session *a, const struct session *b)
{
	return loss(a) != loss(b) ? loss(a) < loss(b) : a->ended_ms < b->ended_ms;
}

/* One that is confirmed and still on its way may go as well: the results go on without it. */
static struct session *first_to_go(struct sessions *t)
{
	struct session *found = NULL;

	for (struct session *s = t->first; s != NULL; s = s->next)
		if (s->ended_ms != 0 && (found == NULL || goes_before(s, found)))
			found = s;
	return found;
}

bool sessions_share_left(const struct sessions *t, const struct session *s)
{
	uint32_t n = 1, items_n = s->items_n;

	for (const struct session *x = t->first; x != NULL; x = x->next) {
		if (x->ended_ms != 0 || strcmp(x->principal, s->principal) != 0)
			continue;
		n++;
		items_n += x->items_n;
	}
	return n <= SESSIONS_OPEN_MAX && items_n <= SESSIONS_OPEN_ITEMS_MAX;
}

enum status sessions_add(struct sessions *t, struct session *s,
			 void (*forgotten)(void *owner, const uint8_t id[16]), void *owner)
{
	if (sessions_find(t, s->id) != NULL)
		return ST_EXISTS;
	while (t->n >= SESSIONS_KNOWN_MAX || t->items_n + s->items_n > SESSIONS_ITEMS_MAX) {
		struct session *old = first_to_go(t);
		uint8_t id[16];

		if (old == NULL)
			return ST_FULL;
		memcpy(id, old->id, sizeof(id));
		sessions_forget(t, id);
		forgotten(owner, id);
	}
	s->next = t->first;
	t->first = s;
	t->n++;
	t->items_n += s->items_n;
	return ST_OK;
}

bool sessions_approved(struct sessions *t, const struct session *s, const uint8_t result_id[16])
{
	for (const struct session *x = t->first; x != NULL; x = x->next) {
		uint32_t i;

		if (x == s || (x->state != SESSION_CONFIRMED && x->state != SESSION_DONE))
			continue;
		i = session_index(x, result_id);
		if (i < x->items_n && x->items[i].approved)
			return true;
	}
	return false;
}

struct session *sessions_next(struct sessions *t, struct session *s)
{
	return s == NULL ? t->first : s->next;
}

uint32_t sessions_count(const struct sessions *t)
{
	return t->n;
}
