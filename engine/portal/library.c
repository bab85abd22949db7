#include "portal/library.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define PATH_BYTES 4096

static enum status store_open(struct library *l, struct error *e)
{
	const struct config *c = l->config;
	bool postgres = strcmp(c->store, "postgres") == 0;
	char dir[PATH_BYTES];
	struct store_config cfg = {
		.dir = dir, .postgres = c->postgres, .postgres_n = postgres ? c->postgres_n : 0,
		.citus = strcmp(c->postgres_distribution, "citus") == 0,
		.reader = c->postgres_reader,
	};

	snprintf(dir, sizeof(dir), "%s/store", c->data);
	return store_look_open(&l->store, &cfg, e);
}

static enum status secrets_open(struct library *l, struct error *e)
{
	char dir[PATH_BYTES];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(dir, sizeof(dir), "%s/identity", l->config->data);
	return identity_open(&l->identity, dir, (int64_t)now.tv_sec * 1000, false, e);
}

enum status library_ready(struct library *l, struct error *e)
{
	enum status st = ST_OK;

	pthread_mutex_lock(l->lock);
	if (l->store == NULL)
		st = store_open(l, e);
	if (st == ST_OK && l->identity == NULL)
		st = secrets_open(l, e);
	pthread_mutex_unlock(l->lock);
	return st == ST_OK ? ST_OK : ST_UNAVAILABLE;
}

/* Now, since the sandbox starts nothing. */
static enum status judge_start(struct library *l, struct error *e)
{
	const struct foreign_words words = { "error", INSPECTION_CPU_S_MAX, NULL };
	enum status st = foreign_new(&l->judge, -1, 0, e);

	if (st == ST_OK)
		st = foreign_start(l->judge, &words, e);
	if (st != ST_OK) {
		foreign_free(l->judge);
		l->judge = NULL;
	}
	return st;
}

enum status library_open(struct library **out, const struct config *c, struct error *e)
{
	struct catalogue_config names = { .schemas = c->schemas };
	struct library *l = calloc(1, sizeof(*l));
	struct error why = { 0 };
	enum status st;

	*out = l;
	if (l != NULL)
		l->lock = malloc(sizeof(pthread_mutex_t));
	if (l == NULL || l->lock == NULL) {
		free(l);
		*out = NULL;
		return ST_NOMEM;
	}
	pthread_mutex_init(l->lock, NULL);
	l->config = c;
	st = catalogue_load(&l->catalogue, &names, e);
	if (st != ST_OK) {
		library_close(l);
		*out = NULL;
		return st;
	}
	if (trust_load(&l->trust, c->certs, c->certs, &why) != ST_OK)
		log_warn("portal", "signatures cannot be verified: %s", why.text);
	else if (judge_start(l, &why) != ST_OK)
		log_warn("portal", "files that others made cannot be verified: %s", why.text);
	if (library_ready(l, &why) != ST_OK)
		log_warn("portal", "no result can be read yet: %s", why.text);
	return ST_OK;
}

void library_close(struct library *l)
{
	if (l == NULL)
		return;
	if (l->store != NULL)
		l->store->ops->close(l->store);
	identity_close(l->identity);
	foreign_free(l->judge);
	trust_unref(l->trust);
	catalogue_unref(l->catalogue);
	pthread_mutex_destroy(l->lock);
	free(l->lock);
	free(l);
}
