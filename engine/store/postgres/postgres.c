#include "store/postgres/postgres.h"

#include <stdlib.h>

#include "store/postgres/counting.h"
#include "store/postgres/driver.h"
#include "store/postgres/reader.h"
#include "store/postgres/work.h"

#define STATEMENT_MS 60000

static void postgres_take(struct store *store, struct batch *b)
{
	pg_driver_take(((struct postgres *)store)->driver, b);
}

static void postgres_health(const struct store *store, struct store_health *out)
{
	const struct postgres *p = (const struct postgres *)store;

	*out = (struct store_health){ .up = true, .servers_n = p->servers.n };
	if (p->driver != NULL)
		pg_driver_health(p->driver, out);
}

static void postgres_close(struct store *store)
{
	struct postgres *p = (struct postgres *)store;

	pg_driver_free(p->driver);
	pg_reader_close(p->noter);
	pg_acts_close(p);
	pg_originals_close(p);
	pg_layers_close(p);
	pthread_mutex_destroy(&p->checked.lock);
	free(p);
}

static const struct store_ops ops = {
	.name = "postgres",
	.take = postgres_take, .health = postgres_health, .lanes = pg_lanes_of,
	.link = pg_link, .events = pg_events, .note_reads = pg_note_reads, .void_number = pg_void,
	.marks = pg_marks,
	.own = pg_own, .owners = pg_owners,
	.original_keep = pg_original_keep, .original_fetch = pg_original_fetch,
	.original_drop = pg_original_drop, .original_settle = pg_original_settle,
	.originals_sweep = pg_originals_sweep,
	.close = postgres_close,
	.reader_open = pg_reader_open, .reader_close = pg_reader_close,
	.get = pg_get, .whole = pg_whole, .read = pg_read, .object = pg_object, .list = pg_list,
	.readings = pg_readings, .history = pg_history, .shares = pg_shares,
	.names = pg_names, .unchecked = pg_unchecked,
	.find_case = pg_find_case, .find_number = pg_find_number, .book = pg_book,
	.counts = pg_counts,
};

static const struct store_ops look_ops = {
	.name = "postgres", .close = postgres_close, .marks = pg_marks,
	.reader_open = pg_reader_open, .reader_close = pg_reader_close,
	.get = pg_get, .read = pg_read, .object = pg_object, .list = pg_list,
	.readings = pg_readings, .history = pg_history, .shares = pg_shares,
	.find_case = pg_find_case,
	.find_number = pg_find_number, .book = pg_book, .counts = pg_counts,
	.names = pg_names, .unchecked = pg_unchecked,
};

enum status store_look_postgres(struct store **out, const struct store_config *cfg, struct error *e)
{
	struct postgres *p = calloc(1, sizeof(*p));
	enum status st;

	if (p == NULL)
		return error_set(e, ST_NOMEM, "no memory for the store");
	p->store.ops = &look_ops;
	pthread_mutex_init(&p->checked.lock, NULL);
	st = pg_servers_read(&p->servers, cfg->postgres, cfg->postgres_n, cfg->citus, cfg->reader,
			     e);
	for (uint8_t i = 0; i < p->servers.n && st == ST_OK; i++)
		st = pg_schema_check(&p->servers, i, true, e);
	if (st == ST_OK)
		st = pg_layers_open(p, e);
	if (st == ST_OK)
		st = pg_acts_open(p, true, e);
	if (st != ST_OK) {
		postgres_close(&p->store);
		return st;
	}
	*out = &p->store;
	return ST_OK;
}

enum status store_look_open(struct store **s, const struct store_config *cfg, struct error *e)
{
	return cfg->postgres_n > 0 ? store_look_postgres(s, cfg, e) :
				     store_look_embedded(s, cfg, e);
}

enum status store_postgres_open(struct store **out, const struct store_config *cfg, struct error *e)
{
	struct postgres *p = calloc(1, sizeof(*p));
	struct pg_driver_config dc = { .connections = cfg->connections, .io = cfg->io,
				       .engine = cfg->engine, .sink = cfg->sink,
				       .objects = cfg->objects,
				       .statement_ms = cfg->statement_ms != 0 ?
						       cfg->statement_ms : STATEMENT_MS };
	enum status st;

	if (p == NULL)
		return error_set(e, ST_NOMEM, "no memory for the store");
	p->store.ops = &ops;
	pthread_mutex_init(&p->checked.lock, NULL);
	p->objects = cfg->objects;
	p->engine = cfg->engine;
	dc.servers = &p->servers;
	st = pg_servers_read(&p->servers, cfg->postgres, cfg->postgres_n, cfg->citus, cfg->reader,
			     e);
	p->servers.risks_refused = cfg->risks_refused;
	for (uint8_t i = 0; i < p->servers.n && st == ST_OK; i++)
		st = pg_schema_check(&p->servers, i, false, e);
	for (uint8_t i = 0; i < p->servers.n && st == ST_OK && cfg->sink.done != NULL; i++)
		st = pg_schema_note(&p->servers, i, e);
	if (st == ST_OK)
		st = pg_layers_open(p, e);
	if (st == ST_OK)
		st = pg_acts_open(p, false, e);
	if (st == ST_OK)
		st = reader_make(p, PG_NOTES, &p->noter, e);
	if (st == ST_OK)
		st = pg_originals_open(p, e);
	if (st == ST_OK && cfg->sink.done != NULL)
		st = pg_driver_new(&p->driver, &dc, e);
	if (st != ST_OK) {
		postgres_close(&p->store);
		return st;
	}
	*out = &p->store;
	return ST_OK;
}
