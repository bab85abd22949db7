#include "store/postgres/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define NOBODY UINT8_MAX
#define HOSTS_MAX 8

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

/* What is given for a word; NULL: nothing. */
static const char *value_of(const PQconninfoOption *all, const char *word)
{
	for (const PQconninfoOption *o = all; o->keyword != NULL; o++)
		if (strcmp(o->keyword, word) == 0)
			return given(o) ? o->val : NULL;
	return NULL;
}

static uint32_t entries(const char *list)
{
	uint32_t n = 1;

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* Entry i of a list; the last one for all that would come behind it. */
static struct slice entry(const char *list, uint32_t i)
{
	for (;;) {
		size_t n = strcspn(list, ",");

		if (i-- == 0 || list[n] == '\0')
			return slice_of(list, n);
		list += n + 1;
	}
}

static bool looked_up(const char *hosts, const char *addresses, uint32_t n)
{
	for (uint32_t i = 0; hosts != NULL && i < n; i++) {
		struct slice host = entry(hosts, i);

		if ((addresses == NULL || entry(addresses, i).n == 0) &&
		    host.n > 0 && host.p[0] != '/' && host.p[0] != '@')
			return true;
	}
	return false;
}

static enum status hosts_check(struct pg_servers *s, uint8_t server, const PQconninfoOption *all,
			       struct error *e)
{
	const char *hosts = value_of(all, "host"), *addresses = value_of(all, "hostaddr");
	const char *ports = value_of(all, "port"), *kind = value_of(all, "target_session_attrs");
	uint32_t n = hosts != NULL ? entries(hosts) : addresses != NULL ? entries(addresses) : 1;

	if (n > HOSTS_MAX)
		return wrong(server, "at most eight hosts", e);
	if ((addresses != NULL && entries(addresses) != n) ||
	    (ports != NULL && entries(ports) != 1 && entries(ports) != n))
		return wrong(server, "as many hostaddr and port as host", e);
	if (looked_up(hosts, addresses, n))
		return wrong(server, "host is a name, and looking names up would hold the store "
			     "up: give hostaddr=ADDRESS too, or host=/FOLDER of a unix socket", e);
	if (kind != NULL && strcmp(kind, "read-write") != 0 && strcmp(kind, "primary") != 0 &&
	    (strcmp(kind, "any") != 0 || n > 1))
		return wrong(server, "target_session_attrs: read-write or primary; a standby takes "
			     "no results and may not have them yet", e);
	s->hosts[server] = (uint8_t)n;
	s->chosen[server] = n > 1 || (kind != NULL && strcmp(kind, "any") != 0);
	return ST_OK;
}

static enum status conninfo_check(struct pg_servers *s, uint8_t server, const char *conninfo,
				  struct error *e)
{
	char *why = NULL;
	PQconninfoOption *all = PQconninfoParse(conninfo, &why);
	enum status st;

	/* The reason repeats the text, password and all. */
	PQfreemem(why);
	if (all == NULL)
		return wrong(server, "not a connection string of libpq", e);
	st = hosts_check(s, server, all, e);
	if (st == ST_OK && value_of(all, "options") != NULL)
		st = wrong(server, "options are the store's own", e);
	PQconninfoFree(all);
	return st;
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
			st = conninfo_check(s, i, text, e);
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

uint64_t pg_server_lanes(const struct pg_servers *s, uint8_t server)
{
	uint64_t lanes = 0;

	for (uint8_t lane = 0; lane < LANES; lane++)
		lanes |= (uint64_t)(s->of_lane[lane] == server) << lane;
	return lanes;
}

void pg_lanes_text(uint64_t lanes, char out[PG_LANES_BYTES])
{
	size_t n = 0;

	out[0] = '\0';
	for (uint32_t lane = 0, to; lane < LANES; lane = to + 1) {
		to = lane;
		if ((lanes >> lane & 1) == 0)
			continue;
		while (to + 1 < LANES && (lanes >> (to + 1) & 1) != 0)
			to++;
		n += (size_t)snprintf(out + n, PG_LANES_BYTES - n, to > lane ? "%s%u-%u" : "%s%u",
				      n > 0 ? "," : "", lane, to);
	}
}

void pg_server_place(const struct pg_servers *s, uint8_t server, char *out, size_t size)
{
	static const char *const words[] = { "host", "hostaddr", "port", "dbname" };
	PQconninfoOption *all = PQconninfoParse(s->conninfo[server], NULL);
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; all != NULL && i < ARRAY_LEN(words) && n < size; i++) {
		const char *value = value_of(all, words[i]);

		if (value != NULL)
			n += (size_t)snprintf(out + n, size - n, "%s=%s ", words[i], value);
	}
	PQconninfoFree(all);
}

const char *pg_plan_once(const struct pg_servers *s)
{
	return s->citus ? "" : " -c plan_cache_mode=force_generic_plan";
}

/* ---- connecting ---- */

/* The same list, from another entry on. A list of one speaks for all hosts. */
static void turned(char out[PG_CONNINFO_BYTES_MAX], const char *list, uint32_t by)
{
	uint32_t n = list != NULL ? entries(list) : 0;
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < n; i++) {
		struct slice one = entry(list, (i + by) % n);

		at += (size_t)snprintf(out + at, PG_CONNINFO_BYTES_MAX - at, "%s%.*s",
				       i > 0 ? "," : "", (int)one.n, (const char *)one.p);
	}
}

struct hosts { char host[PG_CONNINFO_BYTES_MAX], hostaddr[PG_CONNINFO_BYTES_MAX],
	       port[PG_CONNINFO_BYTES_MAX]; };

static bool hosts_from(struct hosts *out, const struct pg_servers *s, uint8_t server,
		       uint32_t first)
{
	PQconninfoOption *all = PQconninfoParse(s->conninfo[server], NULL);

	if (all == NULL)
		return false;
	turned(out->host, value_of(all, "host"), first % s->hosts[server]);
	turned(out->hostaddr, value_of(all, "hostaddr"), first % s->hosts[server]);
	turned(out->port, value_of(all, "port"), first % s->hosts[server]);
	PQconninfoFree(all);
	return true;
}

struct words { int n; const char *word[20], *value[20]; };

static void say(struct words *w, const char *word, const char *value)
{
	w->word[w->n] = word;
	w->value[w->n++] = value;
	w->word[w->n] = NULL;
}

PGconn *pg_server_start(const struct pg_servers *s, uint8_t server, bool reads, const char *options,
			uint32_t first)
{
	struct words w = { 0 };
	struct hosts hosts;

	/* Later words count more: what the connection string says stands in the middle. */
	say(&w, "fallback_application_name", "trien");
	say(&w, "keepalives_idle", "10");
	say(&w, "keepalives_interval", "5");
	say(&w, "keepalives_count", "2");
	say(&w, "tcp_user_timeout", "20000");
	if (s->chosen[server])
		say(&w, "target_session_attrs", "read-write");
	say(&w, "dbname", s->conninfo[server]);
	say(&w, "client_encoding", "UTF8");
	say(&w, "options", options);
	/* What only reads says so itself: no sign of a standby. */
	if (reads && s->chosen[server])
		say(&w, "target_session_attrs", "primary");
	if (reads && s->reader[0] != '\0')
		say(&w, "user", s->reader);
	if (s->hosts[server] > 1) {
		if (!hosts_from(&hosts, s, server, first))
			return NULL;
		say(&w, "host", hosts.host);
		say(&w, "hostaddr", hosts.hostaddr);
		say(&w, "port", hosts.port);
	}
	return PQconnectStartParams(w.word, w.value, 1);
}
