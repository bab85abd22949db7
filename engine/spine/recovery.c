#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "spine/approval.h"
#include "spine/elsewhere.h"
#include "spine/handing.h"
#include "spine/mirror.h"
#include "spine/replay.h"
#include "spine/role.h"
#include "spine/spine.h"
#include "spine/track.h"
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
				       .check_one_in = c->check_one_in };
}

/* ---- a store that is away ---- */

/* Signals are blocked until the engine runs; the one that ends it is not waited through. */
static bool ending(void)
{
	sigset_t set;

	return sigpending(&set) == 0 && (sigismember(&set, SIGTERM) || sigismember(&set, SIGINT));
}

/*
 * It tells nothing of registers, and of what is stored: nothing is numbered until it is back. What
 * it is asked may be asked again.
 */
static enum status wait_for_store(enum status (*ask)(void *ctx, struct error *e), void *ctx,
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

/* ---- afterwards: what is done already, what goes on ---- */

struct projected { struct spine *s; const struct open_act *act; };

static enum status act_project(void *ctx, struct error *e)
{
	struct projected *p = ctx;
	struct slice payload = slice_of(p->act->bytes, p->act->n);
	struct record_result v;
	struct record_link link;
	enum status st;

	if (p->act->type == RECORD_HANDED)
		return hand_apply(p->s, payload, e);
	if (p->act->type != RECORD_STATE_EVENT) {
		st = record_result_decode(&v, payload);
		return st == ST_OK ? void_project(p->s, &v, e) : st;
	}
	st = record_link_decode(&link, payload);
	return st == ST_OK ? link_project(p->s, &link, e) : st;
}

static enum status acts_project(struct replay *r, struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; i < r->acts_n && st == ST_OK; i++) {
		struct projected p = { r->s, &r->acts[i] };

		st = wait_for_store(act_project, &p, e);
		if (status_class(st) == CLASS_REJECT)
			st = ST_OK;
	}
	return st;
}

struct sought { struct spine *s; struct store_reader *reader; uint8_t lane; uint64_t sequence;
		const uint8_t *digest; bool stored; };

/* In the store, with this content: the place of one that is in dispute is another's. */
static enum status seek(void *ctx, struct error *e)
{
	struct sought *k = ctx;
	struct result_view view;
	enum status st = k->s->store->ops->get(k->reader, k->lane, k->sequence, &view);

	k->stored = st == ST_OK && (view.state != STATE_STORED ||
				    memcmp(view.case_digest, k->digest, SHA256_BYTES) == 0);
	return st == ST_UNAVAILABLE || st == ST_TIMEOUT ?
	       error_set(e, st, "the store is away") : ST_OK;
}

static enum status is_stored(struct spine *s, struct store_reader *reader, uint8_t lane,
			     uint64_t sequence, const uint8_t digest[SHA256_BYTES], bool *stored,
			     struct error *e)
{
	struct sought k = { .s = s, .reader = reader, .lane = lane, .sequence = sequence,
			    .digest = digest };
	enum status st = wait_for_store(seek, &k, e);

	*stored = k.stored;
	return st;
}

/* ---- rows of the waiting room that a crash kept from going ---- */

/*
 * Rows of results that were numbered since. Before anything may be parked anew; and whatever is in
 * the store already: their records are in the journal until the rows have gone.
 */
static enum status numbered_forget(struct replay *r, struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; i < r->numbered_n && st == ST_OK; i++) {
		struct waiting_row row;

		st = waiting_find(r->s->rows, r->numbered[i], &row, e);
		if (st == ST_OK && row.state == STATE_AWAITING_APPROVAL)
			st = waiting_remove(r->s->waiting, row.sequence, e);
		st = st == ST_NOT_FOUND ? ST_OK : st;
	}
	return st;
}

struct leftover { struct spine *s; struct store_reader *reader; uint8_t *record; };
struct untold { struct spine *s; uint64_t sequence; struct slice record; };

static enum status handovers_tell(void *ctx, struct error *e)
{
	struct untold *u = ctx;

	return hand_tell(u->s, u->sequence, u->record, e);
}

/* It is in the store: the row goes. Else it waits on. */
static enum status row_check(struct leftover *l, const struct waiting_row *row, struct error *e)
{
	struct record_numbered rec;
	uint8_t digest[SHA256_BYTES], type;
	bool stored = false;
	size_t n;
	enum status st = waiting_read(l->s->rows, row->sequence, &type, l->record,
				      JOURNAL_RECORD_BYTES_MAX, &n, e);

	if (st == ST_OK)
		st = record_numbered_decode(&rec, record_numbered_in(type,
							       slice_of(l->record, n)));
	if (st == ST_OK)
		st = case_digest(rec.case_bytes, digest);
	if (st == ST_OK)
		st = is_stored(l->s, l->reader, row->lane, row->sequence, digest, &stored, e);
	if (st == ST_OK && stored && rec.handed_n > 0) {
		struct untold u = { l->s, row->sequence,
				    record_numbered_in(type, slice_of(l->record, n)) };

		st = wait_for_store(handovers_tell, &u, e);
	}
	return st == ST_OK && stored ? waiting_remove(l->s->waiting, row->sequence, e) : st;
}

static enum status rows_check_all(struct leftover *l, struct error *e)
{
	struct waiting_row row = { 0 };
	uint32_t n = 1;
	enum status st = ST_OK;

	while (st == ST_OK && n > 0) {
		st = waiting_after(l->s->rows, 0, row.sequence, &row, 1, &n, e);
		if (st == ST_OK && n > 0)
			st = row_check(l, &row, e);
	}
	return st;
}

/*
 * A row goes after its result is stored. The journal keeps the RESUMED record for so long: whatever
 * may be stored although it has a row has one, and nobody else is looked at. An index made anew
 * may be the first of this data folder, whose journal was written before that rule.
 */
static enum status rows_check(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct leftover l = { r->s, reader, malloc(JOURNAL_RECORD_BYTES_MAX) };
	bool all = waiting_made_anew(r->s->waiting);
	enum status st = l.record != NULL ? ST_OK : ST_NOMEM;

	if (st == ST_OK && all)
		st = rows_check_all(&l, e);
	for (size_t i = 0; i < r->resumed_n && st == ST_OK && !all; i++) {
		struct waiting_row row;

		st = waiting_find(r->s->rows, r->resumed[i].sequence, &row, e);
		st = st == ST_OK ? row_check(&l, &row, e) : st == ST_NOT_FOUND ? ST_OK : st;
	}
	for (size_t i = 0; i < r->signatures_n && st == ST_OK && !all; i++) {
		struct record_signature sig;
		struct waiting_row row;

		st = record_signature_decode(&sig, slice_of(r->signatures[i].bytes,
							    r->signatures[i].n));
		if (st == ST_OK)
			st = waiting_find(r->s->rows, sig.sequence, &row, e);
		st = st == ST_OK ? row_check(&l, &row, e) : st == ST_NOT_FOUND ? ST_OK : st;
	}
	free(l.record);
	return st;
}

/* ---- signatures from elsewhere ---- */

/* The record that o's result stands in, malloc'd. */
static uint8_t *record_of(struct spine *s, const struct open_result *o)
{
	const struct pending *p = o->pending;
	uint8_t *bytes = malloc(p->size), type;
	struct error e = { 0 };
	size_t n;

	if (bytes != NULL && p->payload != NULL) {
		memcpy(bytes, p->payload, p->size);
	} else if (bytes != NULL &&
		   journal_read(s->journal, p->pos, &type, bytes, p->size, &n, &e) != ST_OK) {
		log_error("recovery", "%s", e.text);
		free(bytes);
		return NULL;
	}
	return bytes;
}

/* One that was asked for without a row gets one; there it goes on from. */
static enum status signature_row(struct spine *s, struct store_reader *reader,
				 const struct open_result *o, struct slice signature,
				 struct error *e)
{
	bool stored = false;
	uint8_t *record;
	enum status st = is_stored(s, reader, o->lane, o->sequence, o->pending->digest, &stored, e);

	if (st != ST_OK || stored)
		return st;
	record = record_of(s, o);
	if (record == NULL)
		return error_set(e, ST_DAMAGED, "journal: the record at %llu cannot be read again",
				 (unsigned long long)o->pending->pos);
	st = await_add(s, slice_of(record, o->pending->size), signature, e);
	free(record);
	return st;
}

/*
 * Tickets and signatures that came: what the journal knows of them, into the waiting room. In
 * order: the newest of a result stands there in the end.
 */
static enum status signatures_go_on(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct spine *s = r->s;
	enum status st = ST_OK;

	for (size_t i = 0; i < r->signatures_n && st == ST_OK; i++) {
		struct slice bytes = slice_of(r->signatures[i].bytes, r->signatures[i].n);
		const struct open_result *o;
		struct record_signature sig;
		struct waiting_row row;

		st = record_signature_decode(&sig, bytes);
		if (st == ST_OK)
			st = waiting_find(s->rows, sig.sequence, &row, e);
		if (st == ST_OK) {
			st = await_apply(s, bytes, false, e);
			continue;
		}
		if (st != ST_NOT_FOUND)
			break;
		o = replay_open(r, sig.sequence);
		st = o != NULL && (o->pending->settled >> o->index & 1) == 0 ?
			signature_row(s, reader, o, bytes, e) : ST_OK;
	}
	return st;
}

/* ---- results of the journal ---- */

/*
 * It stands in the waiting room, as the journal says it should: rows that the journal knows better
 * of are gone.
 */
static enum status is_parked(struct spine *s, uint64_t sequence, bool *parked, struct error *e)
{
	struct waiting_row row;
	enum status st;

	*parked = false;
	if (waiting_count(s->waiting, 0) == 0)
		return ST_OK;
	st = waiting_find(s->rows, sequence, &row, e);
	*parked = st == ST_OK;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* A later one may repeat what is left of an earlier one: each result is numbered once. */
static enum status approval_goes_on(struct replay *r, const struct open_approval *a)
{
	struct record_approved *rec = r->approved;
	enum status st = record_approved_decode(rec, slice_of(a->bytes, a->n));
	uint32_t all = rec->results_n, left = 0;
	struct keyentry k;

	for (uint32_t i = 0; i < all && st == ST_OK; i++)
		if (!key_known(r->s, rec->results[i].key, &k) || k.number == 0)
			rec->results[left++] = rec->results[i];
	rec->results_n = left;
	if (left == 0 || st != ST_OK)
		return st;
	log_info("recovery", "%u of %u results that were confirmed get their numbers now", left,
		 all);
	return approving_add(r->s, a->pos, rec);
}

/* Confirmations that stand before pos in the journal and are not all numbered. */
static enum status approvals_go_on(struct replay *r, size_t *next, uint64_t pos)
{
	enum status st = ST_OK;

	for (; st == ST_OK && *next < r->approvals_n && r->approvals[*next].pos < pos; ++*next)
		st = approval_goes_on(r, &r->approvals[*next]);
	return st;
}

static enum status pendings_go_on(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct spine *s = r->s;
	struct pending *last = NULL;
	uint32_t done = 0, left = 0;
	enum status st = ST_OK;
	size_t approvals = 0;

	for (size_t i = r->open_first; i < r->open_n && st == ST_OK; i++) {
		struct open_result *o = &r->open[i];
		bool finished = (o->pending->settled >> o->index & 1) != 0;

		/* Places in the journal's order. */
		st = approvals_go_on(r, &approvals, o->pending->pos);
		if (st == ST_OK && o->pending != last)
			st = track_open(s->track, o->pending->pos, &o->pending->track);
		last = o->pending;
		if (st == ST_OK && !finished)
			st = is_stored(s, reader, o->lane, o->sequence, o->pending->digest,
				       &finished, e);
		if (st == ST_OK && !finished)
			st = is_parked(s, o->sequence, &finished, e);
		if (st != ST_OK)
			break;
		if (finished) {
			o->pending->settled |= (uint8_t)(1u << o->index);
			done++;
		} else {
			st = inflight_add(s->inflight, o->sequence, o->lane, o->change.at_ms,
					  &o->change);
			left++;
		}
	}
	if (st == ST_OK)
		st = approvals_go_on(r, &approvals, UINT64_MAX);
	/* Only now: settling the last result of a case frees it. */
	for (size_t i = r->open_first; i < r->open_n && st == ST_OK;) {
		struct pending *p = r->open[i].pending;
		uint8_t settled = p->settled, first = p->next_result, end = p->end;

		i += (size_t)(end - first);
		if (p->payload != NULL)
			s->backlog.bytes -= p->size;
		p->awaiting &= (uint8_t)~settled;
		if (p->awaiting != 0 || pending_batched(p))
			pending_start(s, p);
		for (uint8_t k = first; k < end; k++)
			if (settled >> k & 1)
				pending_settled(s, p);
	}
	log_info("recovery", "%llu records replayed; %u results were finished, %u go on",
		 (unsigned long long)r->records, done, left);
	r->open_n = 0;
	return st;
}

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
					"with --accept-behind to go on after %llu",
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
		cmp->status = register_open(s->registers, unit, code, m->year, reg.first);
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
				   .reader = c->postgres_reader };

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
	if (st == ST_OK)
		st = numbered_forget(&r, e);
	if (st == ST_OK)
		st = acts_project(&r, e);
	if (st == ST_OK)
		st = s->store->ops->reader_open(s->store, &reader, e);
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
		st = wait_for_store(publish, s, e);
	replay_free(&r);
	s->numbering = st == ST_OK;
	return st;
}
