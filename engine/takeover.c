/*
 * trien takeover: an engine is gone for good, and another one goes on from its journal or from the
 * mirror of it. Whatever the old one still tries is of an older epoch.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"
#include "io/file.h"
#include "io/io.h"
#include "journal/journal.h"
#include "spine/follow.h"
#include "spine/role.h"
#include "supervisor.h"

#define LOCK_TRIES 10		/* × 100 ms: what was just killed */
#define LOCK_TRIES_MIRROR 100	/* its process has to let go */

static enum status lock_wait(const char *data, const char *journal, int tries, int *lock,
			     struct error *e)
{
	enum status st = ST_EXISTS;

	for (int i = 0; i < tries && st == ST_EXISTS; i++) {
		st = journal_lock(journal, lock, e);
		if (st == ST_EXISTS)
			usleep(100 * 1000);
	}
	return st != ST_EXISTS ? st :
	       error_set(e, st, "%s is alive (%s): stop it first; only a dead engine is taken over",
			 data, e->text);
}

static enum status seen(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
			struct error *e)
{
	(*(uint64_t *)ctx)++;
	return ST_OK;
}

/* A new term begins in the journal: whatever the old engine still writes is older. */
static enum status term_begin(const struct config *c, const char *journal, uint32_t *epoch,
			      uint64_t *records, struct error *e)
{
	struct journal_config jc = { .dir = journal, .slots = c->journal_slots,
				     .segment_bytes = c->journal_segment_mb * 1024 * 1024,
				     .depth = 1, .locked = true, .new_term = true };
	struct journal *j = NULL;
	struct io *io;
	enum status st = io_new(&io, IO_POSIX, 16, e);

	if (st != ST_OK)
		return st;
	*records = 0;
	st = journal_open(&j, io, &jc, 0, seen, records, e);
	if (st == ST_OK) {
		*epoch = journal_epoch(j);
		journal_close(j);
	}
	io_free(io);
	return st;
}

static enum status mirror_settle(const struct config *c, struct error *e)
{
	struct follow *f = NULL;
	enum status st = follow_open(&f, c, true, e);

	if (st == ST_OK)
		st = follow_settle(f, e);
	follow_close(f);
	return st;
}

static enum status take_over(const struct config *c, uint32_t *epoch, uint64_t *records,
			     struct error *e)
{
	char journal[PATH_MAX];
	enum role role;
	int lock = -1;
	enum status st;

	snprintf(journal, sizeof(journal), "%s/journal", c->data);
	if (access(journal, F_OK) != 0)
		return error_set(e, ST_NOT_FOUND, "%s: no data folder (no journal in it)", c->data);
	st = role_read(c->data, &role, epoch, e);
	if (st == ST_OK && role == ROLE_FENCED)
		return role_serves(c->data, e);
	/* Its process sees that, fences, and lets go. */
	if (st == ST_OK && role == ROLE_MIRROR)
		st = role_write(c->data, ROLE_PRIMARY, ROLE_UNFINISHED, e);
	if (st == ST_OK)
		st = lock_wait(c->data, journal, role == ROLE_ENGINE ? LOCK_TRIES :
			       LOCK_TRIES_MIRROR, &lock, e);
	if (st != ST_OK)
		return st;
	if (role == ROLE_MIRROR || *epoch == ROLE_UNFINISHED)
		st = mirror_settle(c, e);
	if (st == ST_OK)
		st = term_begin(c, journal, epoch, records, e);
	if (st == ST_OK)
		st = role_write(c->data, ROLE_PRIMARY, *epoch, e);
	close(lock);
	return st;
}

int takeover_run(const struct config *c)
{
	struct error e = { 0 };
	uint64_t records = 0;
	uint32_t epoch = 0;
	enum status st;

	config_log(c, "takeover");
	st = take_over(c, &epoch, &records, &e);
	if (st != ST_OK) {
		fprintf(stderr, "trien takeover: %s\n", e.text);
		return exit_code_of(st);
	}
	printf("%s: taken over with epoch %u; %llu records of its journal are to be gone through "
	       "again.\nGo on with trien serve --data %s\n", c->data, epoch,
	       (unsigned long long)records, c->data);
	return 0;
}
