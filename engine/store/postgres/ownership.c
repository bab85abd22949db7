/*
 * Which engine issues for which units: the table unit_owner of the first server. Asked at start and
 * now and then, over the acts' connection.
 */
#include <stdlib.h>

#include "store/postgres/asking.h"
#include "store/postgres/postgres.h"

static enum status failed(enum status st, struct error *e)
{
	return error_set(e, st, "the units' owners: %s",
			 st == ST_UNAVAILABLE || st == ST_TIMEOUT ? "the store is away" :
			 status_name(st));
}

static void copy(char *out, size_t room, struct slice s)
{
	size_t n = s.n < room ? s.n : room - 1;

	if (n > 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

static enum status rows_read(struct pg_asking *a, void (*cb)(void *, const struct unit_owner *),
			     void *ctx)
{
	struct pg_question q;
	PGresult *out = NULL;
	enum status st;

	pg_question(&q, PG_OWNERS);
	st = pg_ask(a, &q, 1, &out);
	for (int i = 0; st == ST_OK && i < PQntuples(out); i++) {
		struct unit_owner o = { .engine = (uint32_t)pg_number(out, i, 1) };

		copy(o.unit, sizeof(o.unit), pg_column(out, i, 0));
		copy(o.address, sizeof(o.address), pg_column(out, i, 2));
		copy(o.folder, sizeof(o.folder), pg_column(out, i, 3));
		cb(ctx, &o);
	}
	PQclear(out);
	return st;
}

enum status pg_owners(struct store *store, void (*cb)(void *ctx, const struct unit_owner *o),
		      void *ctx, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	enum status st = rows_read(pg_acts_lend(p, 0), cb, ctx);

	pg_acts_give_back(p);
	return st == ST_OK ? ST_OK : failed(st, e);
}

struct claim { const struct unit_owner *units; uint32_t n; struct error *e; enum status status; };

static void compare(void *ctx, const struct unit_owner *o)
{
	struct claim *c = ctx;

	if (c->status == ST_OK)
		c->status = owners_conflict(o, 1, c->units, c->n, c->e);
}

static void drop_ask(struct pg_question *q, const struct unit_owner *units)
{
	pg_question(q, PG_OWNERS_DROP);
	pg_int2(q, (int16_t)units[0].engine);
	pg_bytes(q, slice_str(units[0].folder));
}

/* An engine's rows in place of what it published before; a unit that another one has fails it. */
static enum status publish(struct pg_asking *a, const struct unit_owner *units, uint32_t n)
{
	size_t room = 2 * PG_ARRAY_BYTES + n * (sizeof(*units) + 8);
	uint8_t *buf = malloc(room);
	struct writer w = writer_of(buf, room);
	struct pg_array unit, address;
	struct pg_question q[2];
	PGresult *out[2] = { NULL, NULL };
	enum status st;

	if (buf == NULL)
		return ST_NOMEM;
	drop_ask(&q[0], units);
	pg_question(&q[1], PG_OWNERS_ADD);
	unit = pg_array(&w, PG_TEXT);
	for (uint32_t i = 0; i < n; i++)
		pg_array_bytes(&unit, slice_str(units[i].unit));
	pg_bytes(&q[1], pg_array_end(&unit));
	pg_int2(&q[1], (int16_t)units[0].engine);
	address = pg_array(&w, PG_TEXT);
	for (uint32_t i = 0; i < n; i++)
		pg_array_bytes(&address, slice_str(units[i].address));
	pg_bytes(&q[1], pg_array_end(&address));
	pg_bytes(&q[1], slice_str(units[0].folder));
	st = w.bad ? ST_NOMEM : pg_ask(a, q, ARRAY_LEN(q), out);
	PQclear(out[0]);
	PQclear(out[1]);
	free(buf);
	return st;
}

/*
 * Compared before, and behind: who came between has seen our rows, or we see theirs; then the later
 * one gives way, if need be both.
 */
enum status pg_own(struct store *store, const struct unit_owner *units, uint32_t n, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	struct claim c = { .units = units, .n = n, .e = e };
	struct pg_question q;
	PGresult *out = NULL;
	struct pg_asking *a = pg_acts_lend(p, 0);
	enum status st = rows_read(a, compare, &c);

	if (st == ST_OK && c.status == ST_OK)
		st = publish(a, units, n);
	if (st == ST_OK && c.status == ST_OK)
		st = rows_read(a, compare, &c);
	if (st == ST_OK && c.status != ST_OK) {
		drop_ask(&q, units);
		st = pg_ask(a, &q, 1, &out);
		PQclear(out);
	}
	pg_acts_give_back(p);
	return st == ST_OK ? c.status : failed(st, e);
}
