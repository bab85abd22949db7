#include "cli/audit/open.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/postgres/servers.h"

#define CALL_S 60			/* longest that an engine may take for an answer */
#define NAME_BYTES (PG_SERVERS_MAX * PG_CONNINFO_BYTES_MAX)

/* ---- what is trusted ---- */

static void digest_text(char out[AUDIT_DIGEST_TEXT], const uint8_t sha256[SHA256_BYTES])
{
	hex_lower(out, sha256, (AUDIT_DIGEST_TEXT - 1) / 2);
	out[AUDIT_DIGEST_TEXT - 1] = '\0';
}

static enum status trust_open(struct audit *a, const struct audit_options *o, struct error *e)
{
	const char *trust = o->trust != NULL ? o->trust : a->certs;
	struct stat s;
	bool folder = stat(trust, &s) == 0 && S_ISDIR(s.st_mode);
	uint8_t digest[SHA256_BYTES];
	char path[PATH_MAX];
	enum status st = roots_load(&a->roots, trust, o->crl != NULL ? o->crl :
				    folder ? trust : NULL, e);

	if (st == ST_OK) {
		roots_digest(a->roots, digest);
		digest_text(a->scope.roots, digest);
	}
	if (st == ST_OK && o->config.tsa[0] != '\0')
		st = roots_add_tsa(a->roots, o->config.tsa, e);
	if (st == ST_OK && known_new(&a->known) != ST_OK)
		st = error_set(e, ST_NOMEM, "no memory for what documents share");
	if (st != ST_OK || snprintf(path, sizeof(path), "%s/keys.json", a->certs) >=
			   (int)sizeof(path) || access(path, R_OK) != 0)
		return st;
	return policy_load(&a->policy, a->certs, e);
}

/* ---- the store ---- */

bool audit_is_postgres(const struct audit_options *o)
{
	return o->connections_n > 0 || strcmp(o->config.store, "postgres") == 0;
}

static enum status store_name(struct audit *a, const struct store_config *sc, struct error *e)
{
	struct pg_servers *servers = calloc(1, sizeof(*servers));
	char *name = calloc(1, NAME_BYTES), *real = NULL;
	uint8_t digest[SHA256_BYTES];
	enum status st = servers == NULL || name == NULL ?
			 error_set(e, ST_NOMEM, "no memory for the servers' names") : ST_OK;

	if (st == ST_OK && sc->postgres_n > 0)
		st = pg_servers_read(servers, sc->postgres, sc->postgres_n, sc->citus, sc->reader,
				     e);
	for (uint8_t i = 0; st == ST_OK && i < servers->n; i++)
		pg_server_place(servers, i, name + strlen(name), NAME_BYTES - strlen(name));
	if (st == ST_OK && sc->postgres_n == 0) {
		real = realpath(sc->dir, NULL);
		snprintf(name, NAME_BYTES, "%s", real != NULL ? real : sc->dir);
	}
	if (st == ST_OK) {
		sha256_once(name, strlen(name), digest);
		digest_text(a->scope.store, digest);
	}
	free(real);
	free(name);
	free(servers);
	return st;
}

static enum status store_open(struct audit *a, const struct audit_options *o, struct error *e)
{
	const struct config *c = &o->config;
	char dir[PATH_MAX];
	struct store_config sc = { .dir = dir, .reader = c->postgres_reader,
				   .citus = strcmp(c->postgres_distribution, "citus") == 0 };
	enum status st;

	if (snprintf(dir, sizeof(dir), "%s/store", c->data) >= (int)sizeof(dir))
		return error_set(e, ST_INVALID, "%s: too long a path", c->data);
	if (audit_is_postgres(o)) {
		sc.postgres = o->connections_n > 0 ? o->connections : c->postgres;
		sc.postgres_n = o->connections_n > 0 ? o->connections_n : c->postgres_n;
	}
	st = store_look_open(&a->store, &sc, e);
	if (st == ST_OK)
		st = store_name(a, &sc, e);
	return st == ST_OK ? a->store->ops->reader_open(a->store, &a->walker, e) : st;
}

/* ---- the engine ---- */

/*
 * The one that was named, or the data folder's own if its socket is there: not what TRIEN_CONNECT
 * says, since a copy of a data folder is not what a running engine issues into.
 */
static void engine_find(struct audit *a, struct audit_options *o)
{
	const struct config *c = &o->config;

	for (uint32_t i = 0; i < c->listen_n && o->engine.connect == NULL; i++)
		if (strncmp(c->listen[i], "unix:", 5) == 0 && access(c->listen[i] + 5, F_OK) == 0)
			o->engine.connect = c->listen[i];
	if (o->engine.connect == NULL)
		return;
	o->engine.timeout_s = CALL_S;
	a->engine = &o->engine;
}

/* ---- all of it ---- */

enum status audit_open(struct audit *a, struct audit_options *o, struct error *e)
{
	enum status st;

	a->certs = o->config.certs;
	engine_find(a, o);
	st = trust_open(a, o, e);
	return st == ST_OK ? store_open(a, o, e) : st;
}

void audit_close(struct audit *a)
{
	if (a->walker != NULL)
		a->store->ops->reader_close(a->walker);
	if (a->store != NULL)
		a->store->ops->close(a->store);
	policy_free(a->policy);
	known_free(a->known);
	roots_free(a->roots);
}
