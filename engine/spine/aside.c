/* Cases whose rows lie where a server is away: apart from the others, in the journal's order. */
#include "spine/spine.h"

uint64_t lanes_away(const struct spine *s)
{
	struct store_health now;

	s->store->ops->health(s->store, &now);
	return now.lanes_away;
}

void aside_add(struct spine *s, struct pending *p, uint64_t away)
{
	struct aside *a = &s->backlog.aside;
	struct pending **at = &a->first[p->priority], *last = a->last[p->priority];

	if (last != NULL && last->pos <= p->pos)
		at = &last->next;
	while (*at != NULL && (*at)->pos <= p->pos)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	if (p->next == NULL)
		a->last[p->priority] = p;
	if (p->payload != NULL)
		s->backlog.bytes += p->size;
	a->n++;
	a->resumed += p->waiting;
	a->away = away;
}

/* Those that wait for none of these lanes, in their order. */
static struct pending *aside_take(struct spine *s, uint8_t priority, uint64_t away)
{
	struct aside *a = &s->backlog.aside;
	struct pending *taken = NULL, **end = &taken, **at = &a->first[priority], *p;

	a->last[priority] = NULL;
	while ((p = *at) != NULL) {
		if ((p->lanes & away) != 0) {
			a->last[priority] = p;
			at = &p->next;
			continue;
		}
		*at = p->next;
		p->next = NULL;
		*end = p;
		end = &p->next;
		if (p->payload != NULL)
			s->backlog.bytes -= p->size;
		a->n--;
		a->resumed -= p->waiting;
	}
	return taken;
}

void aside_run(struct spine *s)
{
	struct aside *a = &s->backlog.aside;
	uint64_t away;

	if (a->n == 0 || (away = lanes_away(s)) == a->away)
		return;
	a->away = away;
	for (uint8_t i = 0; i < PRIORITY_COUNT; i++)
		backlog_merge(&s->backlog, aside_take(s, i, away), io_boot_ns());
}

uint32_t backlog_count(const struct spine *s)
{
	return s->backlog.cases + s->backlog.later_n + s->backlog.aside.n;
}

bool resumed_full(const struct spine *s)
{
	uint32_t aside = s->backlog.aside.resumed;

	return s->resumed - aside >= RESUMED_MAX || aside >= RESUMED_ASIDE_MAX;
}
