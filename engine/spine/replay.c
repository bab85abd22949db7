#include "spine/replay.h"

#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "facts.h"
#include "spine/approval.h"
#include "spine/followrow.h"
#include "spine/leftopen.h"
#include "spine/living.h"
#include "spine/numbers.h"
#include "spine/originals.h"
#include "spine/replacing.h"
#include "spine/shares.h"

/* ---- one record after the other ---- */

/* Bound by this record, or by none yet (ACCEPTED); else it says nothing of this result. */
static bool speaks_of(uint8_t type, const struct numbered_result *n)
{
	return type == RECORD_ACCEPTED || n->number != 0;
}

static enum status keys_put(struct spine *s, uint8_t type, const struct record_numbered *rec,
			    const struct case_view *c, const uint8_t digest[SHA256_BYTES],
			    uint64_t pos)
{
	enum status st = ST_OK;

	for (uint8_t i = 0; i < rec->results_n && st == ST_OK; i++) {
		const struct numbered_result *n = &rec->results[i];
		const struct case_result *r = &c->results[i];
		struct keyentry k = { .sequence = n->sequence, .number = n->number,
				      .issued_ms = n->issued_ms, .lane = n->lane };

		uint8_t old[16];

		if (!speaks_of(type, n))
			continue;
		memcpy(k.digest, digest, SHA256_BYTES);
		memcpy(k.number_text, n->number_text.p, n->number_text.n);
		result_key(k.key, r->unit, c->code, r->kind, r->ordinal, r->revision);
		st = keyindex_put(s->keys, &k, pos);
		if (st == ST_OK && id_read(old, r->replaces))
			st = replacing_remember(s, old, k.key, n->sequence, n->lane, pos);
		if (st == ST_OK && r->given_number != 0) {
			given_key(k.key, r->unit, n->register_code, n->year, n->number);
			st = keyindex_put(s->keys, &k, pos);
		}
	}
	return st;
}

static enum status registers_put(struct spine *s, const struct record_numbered *rec,
				 const struct case_view *c, struct error *e)
{
	for (uint8_t i = 0; i < rec->results_n; i++) {
		const struct numbered_result *n = &rec->results[i];
		enum status st;

		if (c->results[i].given_number != 0 || n->number == 0)
			continue;
		st = register_replay(s->registers, c->results[i].unit, n->register_code, n->year,
				     n->number);
		if (st != ST_OK)
			return error_set(e, st,
					 "register %.*s %.*s %u: number %llu does not follow what "
					 "was replayed before; restore a backup or call for help",
					 (int)c->results[i].unit.n,
					 (const char *)c->results[i].unit.p,
					 (int)n->register_code.n, (const char *)n->register_code.p,
					 n->year, (unsigned long long)n->number);
	}
	return ST_OK;
}

static bool is_numbered_later(uint8_t type, const struct numbered_result *n)
{
	return type == RECORD_NUMBERED && n->number != 0 &&
	       n->issued_ms != sequence_ms(n->sequence);
}

/* Its row in the waiting room goes: now, or once all is replayed. */
static enum status row_numbered(struct replay *r, const struct numbered_result *n)
{
	struct record_result gone = { .sequence = n->sequence, .lane = n->lane };

	leftopen_settle(r, n->sequence);
	if (r->follow)
		return followrow_result(r, JOB_FORGET, &gone);
	return leftopen_numbered(r, n->sequence);
}

/* Those of its results that the record speaks of. */
static enum status results_open(struct replay *r, uint8_t type, const struct record_numbered *rec,
				const struct case_view *c, struct pending *p)
{
	enum status st = ST_OK;
	struct facts facts;

	facts_read(&facts, c->facts);
	for (uint8_t i = p->next_result; i < p->end && st == ST_OK; i++) {
		const struct numbered_result *n = &rec->results[i];
		struct open_result o = { .sequence = n->sequence, .pending = p, .lane = n->lane,
					 .index = i };
		bool waits = n->number == 0;

		if (is_numbered_later(type, n))
			st = row_numbered(r, n);
		p->awaiting |= (uint8_t)(waits << i);
		if (!r->follow) {
			change_fill(r->s, &o.change, n, &c->results[i], c->code,
				    waits ? STATE_AWAITING_APPROVAL : STATE_NUMBERED,
				    rec->accepted_ms);
			change_case(&o.change, rec->results, rec->results_n, i);
			o.change.due_ms = facts.due_ms;
			case_ends(&o.change.ends, c);
		}
		if (st == ST_OK)
			st = leftopen_result(r, &o);
	}
	return st;
}

static enum status pending_open(struct replay *r, uint8_t type, const struct record_numbered *rec,
				const struct case_view *c, const uint8_t digest[SHA256_BYTES],
				uint64_t pos, struct slice payload)
{
	struct spine *s = r->s;
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ST_NOMEM;
	p->pos = pos;
	p->priority = c->priority < PRIORITY_COUNT ? c->priority : PRIORITY_NORMAL;
	p->end = rec->results_n;
	while (!speaks_of(type, &rec->results[p->next_result]))
		p->next_result++;
	while (!speaks_of(type, &rec->results[p->end - 1]))
		p->end--;
	p->left = (uint8_t)(p->end - p->next_result);
	p->size = (uint32_t)payload.n;
	memcpy(p->digest, digest, SHA256_BYTES);
	if (s->backlog.bytes + payload.n <= BACKLOG_CASE_BYTES_MAX)
		p->payload = malloc(payload.n);
	if (p->payload != NULL) {
		memcpy(p->payload, payload.p, payload.n);
		s->backlog.bytes += payload.n;
	}
	return results_open(r, type, rec, c, p);
}

/* As numbering_tick() left it. */
static void clock_replay(struct numbering_clock *c, uint8_t type,
			 const struct record_numbered *rec)
{
	const struct numbered_result *n = &rec->results[rec->results_n - 1];

	for (uint8_t i = 0; i < rec->results_n; i++)
		if (is_numbered_later(type, &rec->results[i]))
			n = &rec->results[i];
	if (!is_numbered_later(type, n)) {
		c->last_ms = sequence_ms(n->sequence);
		c->counter = (uint16_t)(n->sequence & 0x3fff);
	} else if (n->issued_ms > c->last_ms) {
		c->last_ms = n->issued_ms;
		c->counter = 0;
	} else {
		c->counter++;
	}
}

/* One case, and of it what the record speaks of: at its approval one result. */
static bool numbered_whole(uint8_t type, const struct record_numbered *rec,
			   const struct case_view *c)
{
	uint8_t bound = 0, later = 0;

	for (uint8_t i = 0; i < rec->results_n; i++) {
		bound += rec->results[i].number != 0;
		later += is_numbered_later(type, &rec->results[i]);
	}
	return c->results_n == rec->results_n &&
	       (type == RECORD_ACCEPTED || bound == rec->results_n || (bound == 1 && later == 1));
}

static enum status replay_numbered(struct replay *r, uint64_t pos, uint8_t type,
				   struct slice payload, struct error *e)
{
	struct spine *s = r->s;
	struct record_numbered rec;
	struct case_view c;
	uint8_t digest[SHA256_BYTES];
	enum status st = record_numbered_decode(&rec, payload);

	arena_reset(&r->arena);
	if (st == ST_OK)
		st = case_decode(&c, rec.case_bytes, &r->arena);
	if (st == ST_OK)
		st = case_digest(rec.case_bytes, digest);
	if (st != ST_OK || !numbered_whole(type, &rec, &c))
		return error_set(e, ST_DAMAGED, "journal: record at %llu is not a numbered case",
				 (unsigned long long)pos);
	if (pos >= r->snapshot_pos) {
		clock_replay(&s->clock, type, &rec);
		st = registers_put(s, &rec, &c, e);
	}
	if (st == ST_OK && pos >= r->covered)
		st = keys_put(s, type, &rec, &c, digest, pos);
	if (st == ST_OK && !r->follow)
		st = originals_note(r, &rec, &c);
	return st == ST_OK ? pending_open(r, type, &rec, &c, digest, pos, payload) : st;
}

static enum status replay_approved(struct replay *r, uint64_t pos, struct slice payload)
{
	enum status st;

	if (r->approved == NULL)
		r->approved = malloc(sizeof(*r->approved));
	if (r->approved == NULL)
		return ST_NOMEM;
	st = record_approved_decode(r->approved, payload);
	if (st != ST_OK)
		return st;
	for (uint32_t i = 0; i < r->approved->results_n && pos >= r->covered; i++)
		approved_flag(r->s, &r->approved->results[i], pos);
	return leftopen_approval(r, pos, payload);
}

enum status register_opened(struct registers *registers, const struct record_register *r)
{
	enum status st = register_open(registers, r->unit, r->code, r->year, r->first);

	return st != ST_OK ? st : register_note(registers, r->unit, r->code, r->year, false,
						r->at_ms, r->actor, r->reason);
}

enum status register_closed(struct registers *registers, const struct record_register *r)
{
	const struct register_total total = { r->issued, r->voided, r->outside };
	bool year_over = r->totalled && civil_vietnam(r->at_ms).year > r->year;
	enum status st = register_close(registers, r->unit, r->code, r->year, year_over);

	if (st == ST_OK)
		st = register_note(registers, r->unit, r->code, r->year, true, r->at_ms, r->actor,
				   r->reason);
	if (st != ST_OK || !r->totalled)
		return st;
	st = register_total(registers, r->unit, r->code, r->year, &total);
	if (st == ST_PRECONDITION)
		log_warn("register", "%.*s %.*s %u: its total does not add up to its numbers",
			 (int)r->unit.n, (const char *)r->unit.p, (int)r->code.n,
			 (const char *)r->code.p, r->year);
	return st == ST_PRECONDITION ? ST_OK : st;
}

static enum status replay_register(struct replay *r, uint64_t pos, uint8_t type,
				   struct slice payload, struct error *e)
{
	struct registers *registers = r->s->registers;
	struct record_register reg;
	struct register_row row;
	enum status st = record_register_decode(&reg, payload);

	if (st != ST_OK || pos < r->snapshot_pos)
		return st;
	if (type == RECORD_REGISTER_CLOSED)
		return register_closed(registers, &reg);
	st = register_opened(registers, &reg);
	if (st != ST_EXISTS)
		return st;
	/* A person let it go on behind what the store remembers. */
	while (register_find(registers, reg.unit, reg.code, reg.year, &row) && row.next < reg.first)
		if (register_replay(registers, reg.unit, reg.code, reg.year, row.next) != ST_OK)
			return error_set(e, ST_DAMAGED, "register %s %s %u cannot continue at %llu",
					 row.unit, row.code, row.year,
					 (unsigned long long)reg.first);
	return ST_OK;
}

/* A mirror's row gets it at once; a start brings it into the waiting room once all is replayed. */
static enum status replay_signature(struct replay *r, uint64_t pos, struct slice payload)
{
	return r->follow ? followrow_signature(r, payload) : leftopen_signature(r, pos, payload);
}

static void replay_stored(struct replay *r, uint64_t upto)
{
	leftopen_stored(r, upto);
	r->s->stored_up_to = upto;
}

static bool is_end(uint8_t type)
{
	return type == RECORD_VOID || type == RECORD_REFUSED || type == RECORD_WITHDRAWN ||
	       type == RECORD_TIMED_OUT;
}

static enum status replay_resumed(struct replay *r, uint64_t pos, const struct record_result *rec)
{
	struct open_result *o = leftopen_find(r, rec->sequence);

	if (o != NULL)
		o->pending->sign_ms = rec->at_ms;
	return r->follow ? ST_OK : leftopen_resumed(r, pos, rec->sequence);
}

static enum status replay_result(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	struct record_result rec;
	enum status st = record_result_decode(&rec, payload);

	if (st == ST_OK && r->follow && type == RECORD_PARKED)
		st = followrow_result(r, JOB_PARK, &rec);
	else if (st == ST_OK && r->follow &&
		 (is_end(type) || (type == RECORD_RESUMED && rec.at_ms == 0)))
		st = followrow_result(r, JOB_FORGET, &rec);
	if (st != ST_OK)
		return st;
	if (type == RECORD_RESUMED)
		return replay_resumed(r, pos, &rec);
	if (is_end(type)) {
		/* Its row in the waiting room goes: nothing else says that it is done with. */
		leftopen_settle(r, rec.sequence);
		if (type == RECORD_VOID && pos >= r->snapshot_pos)
			register_void(r->s, &rec);
		if (type == RECORD_VOID && pos >= r->covered)
			void_keys(r->s, &rec, pos);
		else if (pos >= r->covered)
			end_keys(r->s, &rec, pos);
		return leftopen_act(r, pos, type, payload);
	}
	return ST_OK;	/* PARKED: the waiting room itself says what it holds */
}

/* Whatever is told again, or with an etag of before, is known from the key index. */
static enum status replay_event(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	struct record_living rec;
	struct record_share share;
	enum status st = ST_OK;

	if (record_is_share(payload) && pos >= r->covered) {
		st = record_share_decode(&share, payload);
		if (st == ST_OK)
			st = share_remember(r->s, &share, pos);
	}
	if (record_is_living(payload) && pos >= r->covered) {
		st = record_living_decode(&rec, payload);
		if (st == ST_OK)
			st = living_remember(r->s, &rec, pos);
	}
	return st == ST_OK ? leftopen_act(r, pos, type, payload) : st;
}

enum status replay_record(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
				 struct error *e)
{
	struct replay *r = ctx;
	struct reader in = reader_of(payload);

	r->records++;
	r->s->appended = pos + 1;
	switch ((enum record_type)type) {
	case RECORD_ACCEPTED:
	case RECORD_NUMBERED:
		return replay_numbered(r, pos, type, payload, e);
	case RECORD_APPROVED:
		return replay_approved(r, pos, payload);
	case RECORD_REGISTER_OPENED:
	case RECORD_REGISTER_CLOSED:
		return replay_register(r, pos, type, payload, e);
	case RECORD_PARKED:
	case RECORD_RESUMED:
	case RECORD_VOID:
	case RECORD_REFUSED:
	case RECORD_WITHDRAWN:
	case RECORD_TIMED_OUT:
		return replay_result(r, pos, type, payload);
	case RECORD_SIGNATURE:
		return replay_signature(r, pos, payload);
	case RECORD_NUMBERS:
		return numbers_replay(r, pos, payload);
	case RECORD_STATE_EVENT:
		return replay_event(r, pos, type, payload);
	case RECORD_HANDED:
		return r->follow ? followrow_handed(r, payload) :
				   leftopen_act(r, pos, type, payload);
	case RECORD_STORED_UP_TO:
		replay_stored(r, read_u64(&in));
		return in.bad ? ST_DAMAGED : ST_OK;
	default:
		return error_set(e, ST_UNSUPPORTED,
				 "journal: record of type %u at %llu is unknown to this version; "
				 "start the version that wrote it",
				 type, (unsigned long long)pos);
	}
}

/* ---- begin and end ---- */

enum status replay_init(struct replay *r, struct spine *s)
{
	*r = (struct replay){ .s = s };
	return arena_init(&r->arena, 4 * CASE_BYTES_MAX);
}

enum status replay_begin(struct replay *r, struct error *e)
{
	struct spine *s = r->s;
	struct snapshot snap = { 0 };
	uint8_t *buffer = NULL;
	enum status st = snapshot_load(s->counters_dir, &snap, &buffer, e);

	r->covered = keyindex_covered(s->keys);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st == ST_OK && snap.engine != s->config->engine)
		st = error_set(e, ST_PRECONDITION, "this data folder is engine %u's, not %u's",
			       snap.engine, s->config->engine);
	if (st == ST_OK && r->covered < snap.covered)
		st = error_set(e, ST_DAMAGED,
			       "keys-index: it knows what was issued up to %llu, the counters go "
			       "on from %llu: it is missing or older than they. Results could be "
			       "issued twice: restore all of one backup",
			       (unsigned long long)r->covered, (unsigned long long)snap.covered);
	if (st == ST_OK)
		st = registers_load(s->registers, snap.registers, e);
	if (st == ST_OK) {
		r->snapshot_pos = snap.position;
		s->clock.last_ms = snap.clock_last_ms;
		s->clock.counter = snap.clock_counter;
	}
	free(buffer);
	return st;
}

struct open_result *replay_open(const struct replay *r, uint64_t sequence)
{
	return leftopen_find(r, sequence);
}

void replay_free(struct replay *r)
{
	leftopen_free(r);
	free(r->approved);
	free(r->originals);
	arena_free(&r->arena);
	*r = (struct replay){ 0 };
}
