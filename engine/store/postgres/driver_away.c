/* Servers that are away: what they have goes back, and when they are tried again. */
#include <stdio.h>

#include "base/log.h"
#include "store/postgres/driver_inside.h"

#define GRACE_MS 1000			/* a server that is away so long gives up what it has */
#define TRIAL_MS_MIN 1000
#define TRIAL_MS_MAX 10000
#define NS_PER_MS 1000000ull

void server_away(struct pg_driver *d, uint8_t server, const char *why, const char *where)
{
	struct server *s = &d->servers[server];
	/* One that is cut off and then refuses says more than one that is cut off again. */
	bool told = s->away && (where[0] == '\0' || strcmp(s->why, why) == 0);

	if (!told && !atomic_load(&d->stopping)) {
		log_error("store", "server %u: %s%s%s; trying again", server + 1u, why,
			  where[0] != '\0' ? " at " : "", where);
		snprintf(s->why, sizeof(s->why), "%s", why);
	}
	if (s->away)
		return;
	s->away = true;
	s->away_ns = now_of(d);
	s->trial_ms = s->trial_ms < TRIAL_MS_MAX / 2 ? 2 * s->trial_ms : TRIAL_MS_MAX;
	s->trial_ns = s->away_ns + s->trial_ms * NS_PER_MS;
	atomic_fetch_or(&d->servers_away, 1u << server);
}

static void back(struct pg_driver *d, uint8_t server)
{
	if (d->servers[server].away)
		log_info("store", "server %u takes results again", server + 1u);
	d->servers[server].away = false;
	atomic_fetch_and(&d->servers_away, ~(1u << server));
}

void server_stored(struct pg_driver *d, uint8_t server)
{
	d->servers[server].trial_ms = 0;
	back(d, server);
}

/* The first part of a batch that waits for a server, taken out; NULL: there is none. */
static struct pg_part *part_given_up(struct server *s)
{
	struct pg_part *before = NULL, *part = s->first;

	for (; part != NULL && part->work == NULL; before = part, part = part->next) {
		struct pg_part *then = part->then;

		part->then = NULL;
		if (then != NULL)
			return then;
	}
	if (part == NULL)
		return NULL;
	if (before != NULL)
		before->next = part->next;
	else
		s->first = part->next;
	if (s->last == part)
		s->last = before;
	return part;
}

static void give_up(struct pg_driver *d, uint8_t server)
{
	struct server *s = &d->servers[server];
	struct pg_part *part;

	while ((part = part_given_up(s)) != NULL) {
		for (uint32_t i = 0; i < part->n; i++) {
			const struct pg_row *row = &part->work->rows[part->rows[i]];

			if (!pg_row_live(row))
				continue;
			row->it->later = true;
			row->it->lanes = pg_lanes_of(row->it);
			row->it->held = REASON_BUSY;
		}
		if (s->trial_ms == 0) {
			s->trial_ms = TRIAL_MS_MIN;
			s->trial_ns = now_of(d) + TRIAL_MS_MIN * NS_PER_MS;
		}
		part_gone(d, part);
	}
}

static bool reached(const struct pg_driver *d, uint8_t server)
{
	for (uint32_t i = 0; i < d->conns_n; i++)
		if (d->conns[i].server == server && d->conns[i].state == CONN_UP)
			return true;
	return false;
}

static bool gives_up(const struct pg_driver *d, const struct server *s, uint64_t now_ns)
{
	return s->away && d->cfg.servers->n > 1 &&
	       (s->trial_ms > 0 || now_ns - s->away_ns >= GRACE_MS * NS_PER_MS);
}

void servers_look(struct pg_driver *d, uint64_t now_ns)
{
	const struct pg_servers *servers = d->cfg.servers;
	uint64_t lanes = 0;

	for (uint8_t i = 0; i < servers->n; i++)
		if (gives_up(d, &d->servers[i], now_ns))
			lanes |= pg_server_lanes(servers, i);
	/* Before anything comes back because of it. */
	atomic_store(&d->lanes_away, lanes);
	for (uint8_t i = 0; i < servers->n; i++) {
		struct server *s = &d->servers[i];

		if ((lanes & pg_server_lanes(servers, i)) != 0)
			give_up(d, i);
		/* There is nothing to try it with. */
		if (s->away && s->first == NULL && s->out == 0 && reached(d, i) &&
		    now_ns >= s->trial_ns) {
			back(d, i);
			lanes &= ~pg_server_lanes(servers, i);
		}
	}
	atomic_store(&d->lanes_away, lanes);
}
