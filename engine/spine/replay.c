#include "spine/replay.h"

#include <stdlib.h>

#include "base/log.h"

static void *grow(void *array, size_t n, size_t *room, size_t size)
{
	void *bigger;

	if (n < *room)
		return array;
	bigger = realloc(array, (*room == 0 ? 1024 : *room * 2) * size);
	if (bigger != NULL)
		*room = *room == 0 ? 1024 : *room * 2;
	return bigger;
}

/* ---- one record after the other ---- */

static enum status keys_put(struct spine *s, const struct record_numbered *rec,
			    const struct case_view *c, const uint8_t digest[SHA256_BYTES],
			    uint64_t pos)
{
	enum status st = ST_OK;

	for (uint8_t i = 0; i < rec->results_n && st == ST_OK; i++) {
		const struct numbered_result *n = &rec->results[i];
		const struct case_result *r = &c->results[i];
		struct keyentry k = { .sequence = n->sequence, .number = n->number,
				      .issued_ms = n->issued_ms, .lane = n->lane };

		memcpy(k.digest, digest, SHA256_BYTES);
		memcpy(k.number_text, n->number_text.p, n->number_text.n);
		result_key(k.key, r->unit, c->code, r->kind, r->ordinal, r->revision);
		st = keyindex_put(s->keys, &k, pos);
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

		if (c->results[i].given_number != 0)
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

static enum status pending_open(struct replay *r, const struct record_numbered *rec,
				const struct case_view *c, const uint8_t digest[SHA256_BYTES],
				uint64_t pos, struct slice payload)
{
	struct spine *s = r->s;
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ST_NOMEM;
	p->pos = pos;
	p->priority = c->priority < PRIORITY_COUNT ? c->priority : PRIORITY_NORMAL;
	p->end = p->left = rec->results_n;
	p->size = (uint32_t)payload.n;
	memcpy(p->digest, digest, SHA256_BYTES);
	if (s->backlog.bytes + payload.n <= BACKLOG_CASE_BYTES_MAX)
		p->payload = malloc(payload.n);
	if (p->payload != NULL) {
		memcpy(p->payload, payload.p, payload.n);
		s->backlog.bytes += payload.n;
	}
	for (uint8_t i = 0; i < rec->results_n; i++) {
		struct open_result *o;

		r->open = grow(r->open, r->open_n, &r->open_room, sizeof(*r->open));
		if (r->open == NULL)
			return ST_NOMEM;
		o = &r->open[r->open_n++];
		*o = (struct open_result){ .sequence = rec->results[i].sequence, .pending = p,
					   .lane = rec->results[i].lane, .index = i };
		if (r->follow)
			continue;
		change_fill(s, &o->change, &rec->results[i], &c->results[i], c->code,
			    STATE_NUMBERED, rec->accepted_ms);
	}
	return ST_OK;
}

static enum status replay_numbered(struct replay *r, uint64_t pos, struct slice payload,
				   struct error *e)
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
	if (st != ST_OK || c.results_n != rec.results_n)
		return error_set(e, ST_DAMAGED, "journal: record at %llu is not a numbered case",
				 (unsigned long long)pos);
	if (pos >= r->snapshot_pos) {
		uint64_t last = rec.results[rec.results_n - 1].sequence;

		s->clock.last_ms = sequence_ms(last);
		s->clock.counter = (uint16_t)(last & 0x3fff);
		st = registers_put(s, &rec, &c, e);
	}
	if (st == ST_OK && pos >= r->covered)
		st = keys_put(s, &rec, &c, digest, pos);
	return st == ST_OK ? pending_open(r, &rec, &c, digest, pos, payload) : st;
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
		return register_close(registers, reg.unit, reg.code, reg.year);
	st = register_open(registers, reg.unit, reg.code, reg.year, reg.first);
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

static struct open_result *open_find(const struct replay *r, uint64_t sequence)
{
	size_t low = r->open_first, high = r->open_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->open[mid].sequence == sequence)
			return &r->open[mid];
		if (r->open[mid].sequence < sequence)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static void replay_stored(struct replay *r, uint64_t upto)
{
	struct spine *s = r->s;
	size_t kept = 0;

	while (r->open_first < r->open_n && r->open[r->open_first].pending->pos < upto) {
		struct pending *p = r->open[r->open_first++].pending;

		if (--p->left > 0)
			continue;
		if (p->payload != NULL)
			s->backlog.bytes -= p->size;
		pending_free(s, p);
	}
	if (r->open_first > r->open_n / 2) {
		memmove(r->open, r->open + r->open_first,
			(r->open_n - r->open_first) * sizeof(*r->open));
		r->open_n -= r->open_first;
		r->open_first = 0;
	}
	for (size_t i = 0; i < r->acts_n; i++) {
		if (r->acts[i].pos < upto)
			free(r->acts[i].bytes);
		else
			r->acts[kept++] = r->acts[i];
	}
	r->acts_n = kept;
	s->stored_up_to = upto;
}

static enum status replay_act(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	struct open_act *a;

	r->acts = grow(r->acts, r->acts_n, &r->acts_room, sizeof(*r->acts));
	if (r->acts == NULL)
		return ST_NOMEM;
	a = &r->acts[r->acts_n];
	*a = (struct open_act){ .pos = pos, .type = type, .bytes = malloc(payload.n),
				.n = payload.n };
	if (a->bytes == NULL)
		return ST_NOMEM;
	memcpy(a->bytes, payload.p, payload.n);
	r->acts_n++;
	return ST_OK;
}

/* A mirror's own waiting room: what is parked there is parked here, and what leaves it, leaves. */
static enum status follow_row(struct replay *r, enum job_type type, const struct record_result *rec)
{
	struct open_result *o = open_find(r, rec->sequence);
	struct job *j;

	/* Parked again for another reason: it stands there already. */
	if (type == JOB_PARK && o == NULL)
		return ST_OK;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return ST_NOMEM;
	j->type = type;
	j->track = NO_TRACK;
	j->row.sequence = rec->sequence;
	j->row.lane = rec->lane;
	j->row.reason = rec->reason;
	j->row.parked_ms = rec->at_ms;
	if (type == JOB_PARK) {
		j->n = o->pending->size;
		j->record_pos = o->pending->pos;
		if (o->pending->payload != NULL) {
			j->bytes = malloc(j->n);
			if (j->bytes == NULL) {
				free(j);
				return ST_NOMEM;
			}
			memcpy(j->bytes, o->pending->payload, j->n);
		}
	}
	job_push(r->s, j);
	return ST_OK;
}

static enum status replay_result(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	struct record_result rec;
	enum status st = record_result_decode(&rec, payload);

	if (st == ST_OK && r->follow && type == RECORD_PARKED)
		st = follow_row(r, JOB_PARK, &rec);
	else if (st == ST_OK && r->follow &&
		 (type == RECORD_VOID || (type == RECORD_RESUMED && rec.at_ms == 0)))
		st = follow_row(r, JOB_FORGET, &rec);
	if (st != ST_OK)
		return st;
	if (type == RECORD_RESUMED) {
		struct open_result *o = open_find(r, rec.sequence);

		if (o != NULL)
			o->pending->sign_ms = rec.at_ms;
	} else if (type == RECORD_VOID) {
		struct open_result *o = open_find(r, rec.sequence);

		/* Its row in the waiting room goes: nothing else says that it is done with. */
		if (o != NULL)
			o->pending->settled |= (uint8_t)(1u << o->index);
		if (pos >= r->snapshot_pos)
			register_void(r->s, &rec);
		if (pos >= r->covered)
			void_keys(r->s, &rec, pos);
		return replay_act(r, pos, type, payload);
	}
	return ST_OK;	/* PARKED: the waiting room itself says what it holds */
}

enum status replay_record(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
				 struct error *e)
{
	struct replay *r = ctx;
	struct reader in = reader_of(payload);

	r->records++;
	r->s->appended = pos + 1;
	switch ((enum record_type)type) {
	case RECORD_NUMBERED:
		return replay_numbered(r, pos, payload, e);
	case RECORD_REGISTER_OPENED:
	case RECORD_REGISTER_CLOSED:
		return replay_register(r, pos, type, payload, e);
	case RECORD_PARKED:
	case RECORD_RESUMED:
	case RECORD_VOID:
		return replay_result(r, pos, type, payload);
	case RECORD_STATE_EVENT:
		return replay_act(r, pos, type, payload);
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

void replay_free(struct replay *r)
{
	for (size_t i = r->open_first; i < r->open_n; i++) {
		struct pending *p = r->open[i].pending;

		if (--p->left == 0)
			pending_free(r->s, p);
	}
	for (size_t i = 0; i < r->acts_n; i++)
		free(r->acts[i].bytes);
	free(r->open);
	free(r->acts);
	arena_free(&r->arena);
	*r = (struct replay){ 0 };
}
