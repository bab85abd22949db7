#include "spine/recovery.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "spine/mirror.h"
#include "spine/originals.h"
#include "spine/role.h"
#include "spine/trusted.h"
#include "spine/units.h"

#define PATH_BYTES 4096
#define STORE_WAIT_MS 500

static const char *below(const struct spine *s, const char *name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%s", s->config->data, name);
	return path;
}

void spine_sources(const struct spine *s, struct catalogue_config *cc, struct keyring_config *kc)
{
	const struct config *c = s->config;

	*cc = (struct catalogue_config){ .schemas = c->schemas, .archive = s->archive };
	*kc = (struct keyring_config){ .certs_dir = c->certs, .crl_age_hours_max = c->crl_hours_max,
				       .check_one_in = c->check_one_in,
				       .development = c->development };
}

/* ---- a store that is away ---- */

/* Signals are blocked until the engine runs; the one that ends it is not waited through. */
static bool ending(void)
{
	sigset_t set;

	return sigpending(&set) == 0 && (sigismember(&set, SIGTERM) || sigismember(&set, SIGINT));
}

enum status wait_for_store(enum status (*ask)(void *ctx, struct error *e), void *ctx,
			   struct error *e)
{
	for (bool told = false;; told = true) {
		enum status st = ask(ctx, e);

		if ((st != ST_UNAVAILABLE && st != ST_TIMEOUT) || ending())
			return st;
		if (!told)
			log_error("store", "%s; the engine waits for it", e->text);
		usleep(STORE_WAIT_MS * 1000);
	}
}

/* ---- what the store remembers of registers ---- */

struct comparison { struct spine *s; struct error *e; enum status status; };

/* Numbers that cases bring follow no series of ours: there is nothing to be behind of. */
static bool is_brought(const struct catalogue *c, const char *register_code)
{
	const struct kind *k;
	bool any = false;

	for (uint32_t i = 0; (k = catalogue_kind_at(c, i)) != NULL; i++) {
		if (strcmp(k->register_code, register_code) != 0)
			continue;
		if (!k->number_given)
			return false;
		any = true;
	}
	return any;
}

/*
 * What the store remembers of a register must not be beyond ours: that would be a restored
 * snapshot.
 */
static void mark_compare(void *ctx, const struct register_mark *m)
{
	struct comparison *cmp = ctx;
	struct spine *s = cmp->s;
	struct slice unit = slice_str(m->unit), code = slice_str(m->code);
	struct register_row row = { .next = 1 };
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_register reg = { .unit = unit, .code = code, .year = m->year,
				       .first = m->highest + 1, .at_ms = io_wall_ms(),
				       .reason = slice_str("accept_behind"),
				       .actor = slice_str("operator") };
	uint64_t pos;
	bool known = register_find(s->registers, unit, code, m->year, &row);

	if (cmp->status != ST_OK || (known && row.next > m->highest) ||
	    !units_mine(s->units, unit, NULL))
		return;
	if (!known && is_brought(s->catalogue, m->code))
		return;
	if (!s->config->accept_behind) {
		cmp->status = error_set(cmp->e, ST_PRECONDITION,
					"register %s %s %u: the store remembers number %llu, this "
					"data folder goes on at %llu (%llu behind): it is older "
					"than the store. Restore the newest backup, or start once "
					"with --accept-behind to go on after %llu: cases that "
					"only another folder knows are then taken as new ones, and "
					"numbers that only it has are given again",
					m->unit, m->code, m->year, (unsigned long long)m->highest,
					(unsigned long long)row.next,
					(unsigned long long)(m->highest - row.next + 1),
					(unsigned long long)m->highest);
		return;
	}
	log_warn("register", "%s %s %u: goes on at %llu instead of %llu, as a person decided",
		 m->unit, m->code, m->year, (unsigned long long)reg.first,
		 (unsigned long long)row.next);
	cmp->status = record_register_encode(&reg, &w);
	if (cmp->status == ST_OK &&
	    !append_record(s, RECORD_REGISTER_OPENED, writer_slice(&w), &pos))
		cmp->status = ST_FULL;
	if (cmp->status != ST_OK)
		return;
	if (!known)
		cmp->status = register_opened(s->registers, &reg);
	for (uint64_t n = row.next; known && n <= m->highest && cmp->status == ST_OK; n++)
		cmp->status = register_replay(s->registers, unit, code, m->year, n);
}

/* ---- the folders ---- */

static enum status sources_open(struct spine *s, struct error *e)
{
	const struct config *c = s->config;
	struct render_config rc = { .font_regular = c->font_regular, .font_bold = c->font_bold,
				    .font_italic = c->font_italic,
				    .font_bold_italic = c->font_bold_italic,
				    .verify_host = c->verify_host, .development = c->development,
				    .templates_max = 256 };
	struct catalogue_config cc;
	struct keyring_config kc;
	enum status st;

	spine_sources(s, &cc, &kc);
	st = catalogue_load(&s->catalogue, &cc, e);
	if (st == ST_OK)
		st = keyring_load(&s->keyring, &kc, e);
	if (st == ST_OK)
		trusted_read(s);
	return st == ST_OK ? render_open(&s->render, &rc, e) : st;
}

struct opening { struct store **store; const struct store_config *config; };

static enum status postgres_open(void *ctx, struct error *e)
{
	struct opening *o = ctx;

	return store_postgres_open(o->store, o->config, e);
}

static enum status store_open(struct spine *s, struct error *e)
{
	const struct config *c = s->config;
	char path[PATH_BYTES];
	struct store_config sc = { .sink = spine_sink(s), .dir = path, .witness = c->witness,
				   .postgres = c->postgres, .postgres_n = c->postgres_n,
				   .connections = c->postgres_connections,
				   .statement_ms = c->postgres_timeout_ms,
				   .engine = (uint8_t)c->engine, .io = io_kind_of(c->io),
				   .citus = strcmp(c->postgres_distribution, "citus") == 0,
				   .risks_refused = !c->development,
				   .reader = c->postgres_reader, .objects = s->objects };

	struct opening o = { &s->store, &sc };

	below(s, "store", path);
	return strcmp(c->store, "postgres") == 0 ? wait_for_store(postgres_open, &o, e) :
						   store_embedded_open(&s->store, &sc, e);
}

static enum status folders_open(struct spine *s, struct replay *r, struct error *e)
{
	const struct config *c = s->config;
	char path[PATH_BYTES];
	struct journal_config jc = { .dir = path,
				     .segment_bytes = c->journal_segment_mb * 1024 * 1024,
				     .slots = c->journal_slots, .depth = JOURNAL_DEPTH_MAX,
				     .locked = true };
	/* A mirror's process has the lock: that it is one says more. */
	enum status st = role_serves(c->data, e);

	/* First: opening the other folders already tidies them. */
	if (st == ST_OK)
		st = journal_lock(below(s, "journal", path), &s->data_lock, e);
	if (st == ST_OK)
		st = role_serves(c->data, e);
	if (st == ST_OK)
		st = identity_open(&s->identity, below(s, "identity", path), io_wall_ms(),
				   true, e);
	if (st == ST_OK)
		st = units_folder(s->units, c, e);
	if (st == ST_OK)
		st = sources_open(s, e);
	if (st == ST_OK)
		st = keyindex_open(&s->keys, below(s, "keys-index", path), e);
	if (st == ST_OK)
		st = waiting_open(&s->waiting, below(s, "waiting", path), e);
	if (st == ST_OK)
		st = waiting_reader_open(&s->rows, s->waiting, e);
	if (st == ST_OK)
		st = waiting_reader_open(&s->spine_rows, s->waiting, e);
	if (st == ST_OK)
		st = objects_open(&s->objects, below(s, "store/" OBJECTS_FOLDER, path), e);
	if (st == ST_OK)
		st = store_open(s, e);
	if (st == ST_OK)
		st = replay_begin(r, e);
	below(s, "journal", path);
	return st == ST_OK ? journal_open(&s->journal, s->io, &jc, 0, replay_record, r, e) : st;
}

/* Counters and key runs are of what was durable: a journal that ends before is not theirs. */
static enum status ends_meet(const struct spine *s, const struct replay *r, struct error *e)
{
	uint64_t known = r->covered > r->snapshot_pos ? r->covered : r->snapshot_pos;

	if (known <= s->appended)
		return ST_OK;
	return error_set(e, ST_DAMAGED,
			 "journal: it ends at %llu, counters and key index know it up to %llu: it "
			 "is missing or older than they. Numbers could be given twice: restore all "
			 "of one backup", (unsigned long long)s->appended,
			 (unsigned long long)known);
}

static enum status marks_ask(void *ctx, struct error *e)
{
	struct comparison *cmp = ctx;
	enum status st = cmp->s->store->ops->marks(cmp->s->store, mark_compare, cmp, e);

	return st == ST_OK ? cmp->status : st;
}

static enum status publish(void *ctx, struct error *e)
{
	return units_publish(ctx, e);
}

enum status spine_recover(struct spine *s, struct error *e)
{
	struct replay r;
	struct comparison cmp = { .s = s, .e = e };
	struct store_reader *reader = NULL;
	enum status st = replay_init(&r, s);

	if (st == ST_OK)
		st = folders_open(s, &r, e);
	/* Before anything that stands in the journal has an effect elsewhere. */
	if (st == ST_OK)
		st = mirror_meet(s, e);
	if (st == ST_OK)
		st = ends_meet(s, &r, e);
	/* Of our number there may be another: what it claims in the store is not ours to sweep. */
	if (st == ST_OK)
		st = wait_for_store(publish, s, e);
	if (st == ST_OK)
		st = numbered_forget(&r, e);
	if (st == ST_OK)
		st = acts_project(&r, e);
	if (st == ST_OK)
		st = s->store->ops->reader_open(s->store, &reader, e);
	if (st == ST_OK)
		st = originals_sweep(&r, reader, e);
	if (st == ST_OK)
		st = rows_check(&r, reader, e);
	if (st == ST_OK)
		st = signatures_go_on(&r, reader, e);
	if (st == ST_OK)
		st = pendings_go_on(&r, reader, e);
	if (reader != NULL)
		s->store->ops->reader_close(reader);
	if (st == ST_OK)
		st = wait_for_store(marks_ask, &cmp, e);
	if (st == ST_OK)
		st = originals_meet(&r, e);
	replay_free(&r);
	s->numbering = st == ST_OK;
	return st;
}
