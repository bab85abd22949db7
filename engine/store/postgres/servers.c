#include "store/postgres/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY UINT8_MAX

static enum status wrong(uint32_t server, const char *why, struct error *e)
{
	return error_set(e, ST_INVALID, "postgres, server %u: %s", server + 1, why);
}

/* "0-15,32": claims them for the server; *end is what follows. */
static enum status lanes_claim(struct pg_servers *s, uint8_t server, const char *text,
			       const char **end, struct error *e)
{
	for (;;) {
		char *rest;
		unsigned long from = strtoul(text, &rest, 10), to = from;

		if (rest != text && *rest == '-') {
			text = rest + 1;
			to = strtoul(text, &rest, 10);
		}
		if (rest == text || from > to || to >= LANES)
			return wrong(server, "lanes=: 0 to 63, as in lanes=0-15,32-47", e);
		for (unsigned long lane = from; lane <= to; lane++) {
			if (s->of_lane[lane] != NOBODY)
				return error_set(e, ST_INVALID, "postgres: lane %lu is at servers "
						 "%u and %u", lane, s->of_lane[lane] + 1u,
						 server + 1u);
			s->of_lane[lane] = server;
		}
		text = rest + 1;
		*end = rest;
		if (*rest != ',')
			return *rest == ' ' ? ST_OK : wrong(server, "lanes=: then a blank, then "
							    "how to connect", e);
	}
}

static bool given(const PQconninfoOption *o)
{
	return o->val != NULL && o->val[0] != '\0';
}

static enum status conninfo_check(const char *conninfo, uint8_t server, struct error *e)
{
	char *why = NULL;
	PQconninfoOption *all = PQconninfoParse(conninfo, &why);
	const char *host = NULL;
	bool address = false, options = false;

	/* The reason repeats the text, password and all. */
	PQfreemem(why);
	if (all == NULL)
		return wrong(server, "not a connection string of libpq", e);
	for (const PQconninfoOption *o = all; o->keyword != NULL; o++) {
		if (strcmp(o->keyword, "host") == 0 && given(o))
			host = o->val;
		address |= strcmp(o->keyword, "hostaddr") == 0 && given(o);
		options |= strcmp(o->keyword, "options") == 0 && given(o);
	}
	address |= host == NULL || host[0] == '/' || host[0] == '@';
	PQconninfoFree(all);
	if (!address)
		return wrong(server, "host is a name, and looking names up would hold the store "
			     "up: give hostaddr=ADDRESS too, or host=/FOLDER of a unix socket", e);
	return options ? wrong(server, "options are the store's own", e) : ST_OK;
}

enum status pg_servers_read(struct pg_servers *s, const char *const *texts, uint32_t n, bool citus,
			    const char *reader, struct error *e)
{
	*s = (struct pg_servers){ .n = (uint8_t)n, .citus = citus };
	memset(s->of_lane, NOBODY, sizeof(s->of_lane));
	snprintf(s->reader, sizeof(s->reader), "%s", reader);
	if (n == 0 || n > PG_SERVERS_MAX)
		return error_set(e, ST_INVALID, "postgres: 1 to %d servers", PG_SERVERS_MAX);
	for (uint8_t i = 0; i < n; i++) {
		const char *text = texts[i] + strspn(texts[i], " ");
		enum status st = ST_OK;

		if (strncmp(text, "lanes=", 6) == 0)
			st = lanes_claim(s, i, text + 6, &text, e);
		else if (n > 1)
			st = wrong(i, "of several, each says which lanes it holds: lanes=0-31 …",
				   e);
		else
			memset(s->of_lane, 0, sizeof(s->of_lane));
		text += strspn(text, " ");
		if (st == ST_OK && strlen(text) >= sizeof(s->conninfo[i]))
			st = wrong(i, "the connection string is too long", e);
		if (st == ST_OK)
			st = conninfo_check(text, i, e);
		if (st != ST_OK)
			return st;
		snprintf(s->conninfo[i], sizeof(s->conninfo[i]), "%s", text);
	}
	for (uint32_t lane = 0; lane < LANES; lane++)
		if (s->of_lane[lane] == NOBODY)
			return error_set(e, ST_INVALID, "postgres: no server holds lane %u", lane);
	return ST_OK;
}

static void files_named(const char *conninfo, void (*cb)(void *ctx, const char *path), void *ctx)
{
	static const char *const words[] = { "passfile", "sslcert", "sslkey", "sslrootcert",
					     "sslcrl" };
	PQconninfoOption *all = PQconninfoParse(conninfo, NULL);

	for (const PQconninfoOption *o = all; o != NULL && o->keyword != NULL; o++)
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (strcmp(o->keyword, words[i]) == 0 && given(o))
				cb(ctx, o->val);
	PQconninfoFree(all);
}

void pg_server_files(const struct pg_servers *s, void (*cb)(void *ctx, const char *path), void *ctx)
{
	const char *home = getenv("HOME"), *passwords = getenv("PGPASSFILE");
	char path[PATH_MAX];

	for (uint8_t i = 0; i < s->n; i++)
		files_named(s->conninfo[i], cb, ctx);
	if (passwords != NULL)
		cb(ctx, passwords);
	if (home == NULL)
		return;
	snprintf(path, sizeof(path), "%s/.pgpass", home);
	cb(ctx, path);
	snprintf(path, sizeof(path), "%s/.postgresql", home);
	cb(ctx, path);
}

const char *pg_plan_once(const struct pg_servers *s)
{
	return s->citus ? "" : " -c plan_cache_mode=force_generic_plan";
}

PGconn *pg_server_start(const struct pg_servers *s, uint8_t server, bool reads, const char *options)
{
	/* Later words count more than what the connection string says. */
	const char *words[] = { "fallback_application_name", "dbname", "client_encoding",
				"options", NULL, NULL };
	const char *values[] = { "trien", s->conninfo[server], "UTF8", options, NULL, NULL };

	if (reads && s->reader[0] != '\0') {
		words[4] = "user";
		values[4] = s->reader;
	}
	return PQconnectStartParams(words, values, 1);
}
