#include "portal/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define PATH_BYTES 4096

_Static_assert(LIBRARY_LOOK_S * 1000 < 2 * CLOCK_STEP_MS_MAX, "a secret is known when it serves");

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

enum status library_ready(struct library *l, struct error *e)
{
	enum status st = ST_OK;

	pthread_mutex_lock(&l->lock);
	if (l->store == NULL)
		st = store_open(l, e);
	if (st == ST_OK && l->edition->identity == NULL)
		st = error_set(e, ST_UNAVAILABLE, "the engine has made no secrets of result ids");
	pthread_mutex_unlock(&l->lock);
	return st == ST_OK ? ST_OK : ST_UNAVAILABLE;
}

/* ---- editions ---- */

void library_latest(struct library *l, struct edition **held)
{
	pthread_mutex_lock(&l->lock);
	if (*held != l->edition) {
		edition_unref(*held);
		*held = edition_ref(l->edition);
	}
	pthread_mutex_unlock(&l->lock);
}

void library_read_again(struct library *l)
{
	struct edition *now, *before = l->edition;
	struct error e = { 0 };

	/* First: what changes while it is read is read once more. */
	l->read = l->looked = edition_files(l->config);
	l->secrets = edition_secrets(l->config);
	if (edition_read(&now, l->config, before, &e) != ST_OK) {
		log_error("portal", "no memory to read schemas and certificates again");
		return;
	}
	pthread_mutex_lock(&l->lock);
	l->edition = now;
	pthread_mutex_unlock(&l->lock);
	edition_unref(before);
	if (now->whole)
		log_info("portal", "schemas, certificates and secrets were read again");
}

void library_look(struct library *l)
{
	uint64_t now = edition_files(l->config);

	/* Schemas are copied one by one; a secret is there at once. */
	if ((now != l->read && now == l->looked) || edition_secrets(l->config) != l->secrets)
		library_read_again(l);
	l->looked = now;
}

/* ---- its beginning and end ---- */

static void judge_start(struct library *l)
{
	struct error e = { 0 };
	int fd;

	if (starter_helper(l->starter, HELPER_JUDGE, &fd) != ST_OK)
		return;
	if (foreign_new(&l->judge, -1, 0, &e) == ST_OK)
		foreign_set(l->judge, fd);
	else
		close(fd);
}

struct foreign *library_judge(struct library *l)
{
	int fd;

	if (l->judge == NULL)
		return NULL;
	pthread_mutex_lock(&l->judging);
	if (foreign_gone(l->judge) && starter_helper(l->starter, HELPER_JUDGE, &fd) == ST_OK) {
		log_warn("portal", "the process that judges others' files was gone; there is "
			 "another");
		foreign_set(l->judge, fd);
	}
	pthread_mutex_unlock(&l->judging);
	return l->judge;
}

enum status library_open(struct library **out, const struct config *c, struct starter *starter,
			 struct error *e)
{
	struct library *l = calloc(1, sizeof(*l));
	struct error why = { 0 };
	enum status st;

	*out = l;
	if (l == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->judging, NULL);
	pthread_mutex_init(&l->large, NULL);
	l->config = c;
	l->starter = starter;
	l->read = l->looked = edition_files(c);
	l->secrets = edition_secrets(c);
	st = edition_read(&l->edition, c, NULL, e);
	if (st != ST_OK) {
		library_close(l);
		*out = NULL;
		return st;
	}
	judge_start(l);
	if (l->edition->identity != NULL && library_ready(l, &why) != ST_OK)
		log_warn("portal", "no result can be read yet: %s", why.text);
	return ST_OK;
}

void library_close(struct library *l)
{
	if (l == NULL)
		return;
	if (l->store != NULL)
		l->store->ops->close(l->store);
	foreign_free(l->judge);
	edition_unref(l->edition);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->judging);
	pthread_mutex_destroy(&l->large);
	free(l);
}
