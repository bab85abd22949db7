#include "spine/follow.h"

#include <stdlib.h>

#include "base/frame.h"
#include "base/log.h"
#include "io/file.h"
#include "spine/replay.h"
#include "spine/role.h"

struct follow {
	struct spine *spine;
	struct replay replay;
};

static enum status journal_follow(struct follow *f, const char *dir, struct error *e)
{
	struct spine *s = f->spine;
	struct journal_config jc = { .dir = dir, .slots = s->config->journal_slots,
				     .segment_bytes = s->config->journal_segment_mb * 1024 * 1024,
				     .depth = JOURNAL_DEPTH_MAX, .locked = true, .follow = true };
	uint64_t from = f->replay.snapshot_pos < f->replay.covered ? f->replay.snapshot_pos :
									  f->replay.covered;
	enum status st = journal_open(&s->journal, s->io, &jc, from, replay_record, &f->replay, e);

	s->released = from;
	return st;
}

static enum status role_take(const struct config *c, struct error *e)
{
	enum role role;
	uint32_t epoch;
	enum status st = role_read(c->data, &role, &epoch, e);

	if (st == ST_OK && role == ROLE_PRIMARY)
		return error_set(e, ST_PRECONDITION, "%s was taken over (epoch %u): it is an "
				 "engine's now", c->data, epoch);
	if (st == ST_OK && role == ROLE_FENCED)
		return error_set(e, ST_PRECONDITION, "%s was an engine's until another one took "
				 "over (epoch %u). Make the mirror anew, in a new folder", c->data,
				 epoch);
	return st == ST_OK && role == ROLE_ENGINE ? role_write(c->data, ROLE_MIRROR, 0, e) : st;
}

enum status follow_open(struct follow **out, const struct config *c, bool locked, struct error *e)
{
	struct follow *f = calloc(1, sizeof(*f));
	char journal[PATH_MAX], keys[PATH_MAX], waiting[PATH_MAX];
	enum status st = f != NULL ? spine_new(&f->spine, c, -1, e) : ST_NOMEM;

	if (st != ST_OK) {
		free(f);
		return st;
	}
	snprintf(journal, sizeof(journal), "%s/journal", c->data);
	snprintf(keys, sizeof(keys), "%s/keys-index", c->data);
	snprintf(waiting, sizeof(waiting), "%s/waiting", c->data);
	st = replay_init(&f->replay, f->spine);
	f->replay.follow = true;
	if (st == ST_OK && !locked)
		st = journal_lock(journal, &f->spine->data_lock, e);
	if (st == ST_OK && !locked)
		st = role_take(c, e);
	if (st == ST_OK)
		st = keyindex_open(&f->spine->keys, keys, e);
	if (st == ST_OK)
		st = waiting_open(&f->spine->waiting, waiting, e);
	if (st == ST_OK)
		st = waiting_reader_open(&f->spine->rows, f->spine->waiting, e);
	if (st == ST_OK)
		st = replay_begin(&f->replay, e);
	if (st == ST_OK)
		st = journal_follow(f, journal, e);
	if (st == ST_OK)
		st = janitor_start(f->spine, e);
	if (st != ST_OK) {
		follow_close(f);
		return st;
	}
	*out = f;
	return ST_OK;
}

void follow_close(struct follow *f)
{
	if (f == NULL)
		return;
	replay_free(&f->replay);
	spine_free(f->spine);
	free(f);
}

struct io *follow_io(struct follow *f)
{
	return f->spine->io;
}

uint32_t follow_epoch(const struct follow *f)
{
	return journal_epoch(f->spine->journal);
}

void follow_tail(const struct follow *f, struct journal_cursor *at)
{
	journal_tail(f->spine->journal, at);
}

enum status follow_accept(struct follow *f, struct slice frame, struct error *e)
{
	struct frame_view v;
	struct frame_record r;
	uint32_t at = 0;
	enum status st = journal_accept(f->spine->journal, frame, &v, e);

	if (st != ST_OK)
		return st;
	while (st == ST_OK && frame_next(&v, &at, &r))
		if (r.type != 0)
			st = replay_record(&f->replay, r.position, r.type, r.payload, e);
	/* It is in the journal already, and must not be acknowledged without being applied. */
	if (st != ST_OK)
		spine_fail(f->spine, "the frame at %llu cannot be applied: %s",
			   (unsigned long long)v.position,
			   e->text[0] != '\0' ? e->text : status_name(st));
	return ST_OK;
}

/* What was too much for memory is read again before the janitor gets it. */
static void records_load(struct spine *s)
{
	for (struct job *j = s->job_first; j != NULL; j = j->next) {
		uint8_t type;
		struct error e = { 0 };

		if (j->type != JOB_PARK || j->bytes != NULL)
			continue;
		j->bytes = malloc(j->n);
		if (j->bytes == NULL || journal_read(s->journal, j->record_pos, &type, j->bytes,
						     j->n, &j->n, &e) != ST_OK)
			spine_fail(s, "a case to be parked cannot be read again: %s", e.text);
	}
}

enum status follow_turn(struct follow *f, struct error *e)
{
	struct spine *s = f->spine;
	uint64_t asked = journal_asked(s->journal);
	void *note;

	while ((note = queue_pop(s->inbox)) != NULL)
		job_finished(s, (void *)((uintptr_t)note & ~(uintptr_t)NOTE_MASK));
	if (!s->recycling && asked > s->released)
		recycle_start(s, asked);
	journal_pump(s->journal);
	records_load(s);
	jobs_flush(s);
	if (!journal_failed(s->journal, &s->failure) && s->failure.status == ST_OK)
		return ST_OK;
	*e = s->failure;
	return s->failure.status;
}

enum status follow_settle(struct follow *f, struct error *e)
{
	struct spine *s = f->spine;
	enum status st;

	while ((st = follow_turn(f, e)) == ST_OK &&
	       (s->jobs_out > 0 || journal_asked(s->journal) > s->released))
		io_run(s->io, 10);
	return st;
}
