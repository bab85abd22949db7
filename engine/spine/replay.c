#include "spine/replay.h"

#include <stdlib.h>

#include "base/log.h"
#include "spine/approval.h"

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

/* ---- what is open, by its sequence ---- */

static size_t slot_of(const struct replay *r, uint64_t sequence)
{
	return (size_t)(sequence * 0x9e3779b97f4a7c15u >> 20) & r->slots_mask;
}

/* NULL: it is not open any more, or never was. */
static struct open_result *slot_open(const struct replay *r, size_t slot)
{
	uint64_t number = r->slots[slot] - 1;

	return number >= r->open_base + r->open_first && number < r->open_base + r->open_n ?
	       &r->open[number - r->open_base] : NULL;
}

static struct open_result *open_find(const struct replay *r, uint64_t sequence)
{
	if (r->slots == NULL)
		return NULL;
	for (size_t at = slot_of(r, sequence); r->slots[at] != 0; at = (at + 1) & r->slots_mask) {
		struct open_result *o = slot_open(r, at);

		if (o != NULL && o->sequence == sequence)
			return o;
	}
	return NULL;
}

/* The one at this running number is the last of its sequence. */
static void slot_put(struct replay *r, uint64_t number)
{
	uint64_t sequence = r->open[number - r->open_base].sequence;
	size_t at = slot_of(r, sequence);

	while (r->slots[at] != 0) {
		struct open_result *o = slot_open(r, at);

		if (o != NULL && o->sequence == sequence)
			break;
		at = (at + 1) & r->slots_mask;
	}
	r->slots_used += r->slots[at] == 0;
	r->slots[at] = number + 1;
}

/* At most half full; those that are not open any more are left out of the new table. */
static enum status slots_room(struct replay *r)
{
	size_t live = r->open_n - r->open_first, size = 1024;

	if (r->slots != NULL && 2 * (r->slots_used + 1) <= r->slots_mask)
		return ST_OK;
	while (size < 4 * (live + 1))
		size *= 2;
	free(r->slots);
	r->slots = calloc(size, sizeof(*r->slots));
	if (r->slots == NULL)
		return ST_NOMEM;
	r->slots_mask = size - 1;
	r->slots_used = 0;
	for (size_t i = r->open_first; i < r->open_n; i++)
		slot_put(r, r->open_base + i);
	return ST_OK;
}

static enum status open_add(struct replay *r, const struct open_result *o)
{
	if (slots_room(r) != ST_OK)
		return ST_NOMEM;
	r->open = grow(r->open, r->open_n, &r->open_room, sizeof(*r->open));
	if (r->open == NULL)
		return ST_NOMEM;
	r->open[r->open_n++] = *o;
	slot_put(r, r->open_base + r->open_n - 1);
	return ST_OK;
}

struct open_result *replay_open(const struct replay *r, uint64_t sequence)
{
	return open_find(r, sequence);
}

static void open_settle(struct open_result *o)
{
	if (o != NULL)
		o->pending->settled |= (uint8_t)(1u << o->index);
}

/* A mirror's own waiting room: what is parked there is parked here, and what leaves it, leaves. */
static enum status follow_row(struct replay *r, enum job_type type, const struct record_result *rec)
{
	struct open_result *o = open_find(r, rec->sequence);
	struct job *j;

	/* It was ended meanwhile. */
	if (type == JOB_PARK && o != NULL && (o->pending->settled >> o->index & 1) != 0)
		return ST_OK;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return ST_NOMEM;
	/* Parked again: it stands there already, and now waits for something else. */
	j->type = type == JOB_PARK && (o == NULL || o->handed) ? JOB_AWAIT_APPLY : type;
	j->track = NO_TRACK;
	/* A row that goes before that is durable could be missed by who takes over. */
	j->after = r->s->appended;
	j->row.sequence = rec->sequence;
	j->row.lane = rec->lane;
	j->row.reason = rec->reason;
	j->row.parked_ms = rec->at_ms;
	j->row.state = rec->state;
	j->row.record = rec->state == STATE_AWAITING_APPROVAL ? RECORD_ACCEPTED : RECORD_NUMBERED;
	j->row.expires_ms = rec->expires_ms;
	snprintf(j->row.detail, sizeof(j->row.detail), "%.*s", (int)rec->detail.n,
		 rec->detail.n > 0 ? (const char *)rec->detail.p : "");
	if (j->type == JOB_PARK) {
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

/* The row there gets the other signer, as it does here. */
static enum status follow_handed(struct replay *r, struct slice payload)
{
	struct record_handed h;
	struct open_result *o;
	struct job *j = calloc(1, sizeof(*j));
	enum status st = j != NULL ? record_handed_decode(&h, payload) : ST_NOMEM;

	if (st == ST_OK) {
		j->bytes = malloc(payload.n);
		st = j->bytes != NULL ? ST_OK : ST_NOMEM;
	}
	if (st != ST_OK) {
		free(j);
		return st;
	}
	/* Parked again it keeps this row: the NUMBERED record names the signer before. */
	o = open_find(r, h.sequence);
	if (o != NULL)
		o->handed = true;
	memcpy(j->bytes, payload.p, payload.n);
	j->n = payload.n;
	j->type = JOB_HAND;
	j->track = NO_TRACK;
	j->after = r->s->appended;
	job_push(r->s, j);
	return ST_OK;
}

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

		if (!speaks_of(type, n))
			continue;
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

	open_settle(open_find(r, n->sequence));
	if (r->follow)
		return follow_row(r, JOB_FORGET, &gone);
	r->numbered = grow(r->numbered, r->numbered_n, &r->numbered_room, sizeof(*r->numbered));
	if (r->numbered == NULL)
		return ST_NOMEM;
	r->numbered[r->numbered_n++] = n->sequence;
	return ST_OK;
}

/* Those of its results that the record speaks of. */
static enum status results_open(struct replay *r, uint8_t type, const struct record_numbered *rec,
				const struct case_view *c, struct pending *p)
{
	enum status st = ST_OK;

	for (uint8_t i = p->next_result; i < p->end && st == ST_OK; i++) {
		const struct numbered_result *n = &rec->results[i];
		struct open_result o = { .sequence = n->sequence, .pending = p, .lane = n->lane,
					 .index = i };
		bool waits = n->number == 0;

		if (is_numbered_later(type, n))
			st = row_numbered(r, n);
		p->awaiting |= (uint8_t)(waits << i);
		if (!r->follow)
			change_fill(r->s, &o.change, n, &c->results[i], c->code,
				    waits ? STATE_AWAITING_APPROVAL : STATE_NUMBERED,
				    rec->accepted_ms);
		if (st == ST_OK)
			st = open_add(r, &o);
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
	return st == ST_OK ? pending_open(r, type, &rec, &c, digest, pos, payload) : st;
}

static enum status replay_approved(struct replay *r, uint64_t pos, struct slice payload)
{
	struct open_approval *a;
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
	r->approvals = grow(r->approvals, r->approvals_n, &r->approvals_room,
			    sizeof(*r->approvals));
	if (r->approvals == NULL)
		return ST_NOMEM;
	a = &r->approvals[r->approvals_n];
	*a = (struct open_approval){ .pos = pos, .n = payload.n, .bytes = malloc(payload.n) };
	if (a->bytes == NULL)
		return ST_NOMEM;
	memcpy(a->bytes, payload.p, payload.n);
	r->approvals_n++;
	return ST_OK;
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

static void acts_drop(struct open_act *acts, size_t *n, uint64_t upto)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (acts[i].pos < upto)
			free(acts[i].bytes);
		else
			acts[kept++] = acts[i];
	}
	*n = kept;
}

static void replay_stored(struct replay *r, uint64_t upto)
{
	struct spine *s = r->s;
	size_t approvals = 0, kept = 0;

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
		r->open_base += r->open_first;
		r->open_first = 0;
	}
	for (size_t i = 0; i < r->approvals_n; i++) {
		if (r->approvals[i].pos < upto)
			free(r->approvals[i].bytes);
		else
			r->approvals[approvals++] = r->approvals[i];
	}
	r->approvals_n = approvals;
	acts_drop(r->acts, &r->acts_n, upto);
	acts_drop(r->signatures, &r->signatures_n, upto);
	for (size_t i = 0; i < r->resumed_n; i++)
		if (r->resumed[i].pos >= upto)
			r->resumed[kept++] = r->resumed[i];
	r->resumed_n = kept;
	s->stored_up_to = upto;
}

static enum status act_add(struct open_act **acts, size_t *n, size_t *room, uint64_t pos,
			   uint8_t type, struct slice payload)
{
	struct open_act *a;

	*acts = grow(*acts, *n, room, sizeof(**acts));
	if (*acts == NULL)
		return ST_NOMEM;
	a = &(*acts)[*n];
	*a = (struct open_act){ .pos = pos, .type = type, .bytes = malloc(payload.n),
				.n = payload.n };
	if (a->bytes == NULL)
		return ST_NOMEM;
	memcpy(a->bytes, payload.p, payload.n);
	(*n)++;
	return ST_OK;
}

static enum status replay_act(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	return act_add(&r->acts, &r->acts_n, &r->acts_room, pos, type, payload);
}

/* A mirror's row gets it at once; a start brings it into the waiting room once all is replayed. */
static enum status replay_signature(struct replay *r, uint64_t pos, struct slice payload)
{
	struct job *j;

	if (!r->follow)
		return act_add(&r->signatures, &r->signatures_n, &r->signatures_room, pos,
			       RECORD_SIGNATURE, payload);
	j = calloc(1, sizeof(*j));
	if (j != NULL)
		j->bytes = malloc(payload.n);
	if (j == NULL || j->bytes == NULL) {
		free(j);
		return ST_NOMEM;
	}
	memcpy(j->bytes, payload.p, payload.n);
	j->n = payload.n;
	j->type = JOB_AWAIT_APPLY;
	j->track = NO_TRACK;
	j->after = r->s->appended;
	job_push(r->s, j);
	return ST_OK;
}

static bool is_end(uint8_t type)
{
	return type == RECORD_VOID || type == RECORD_REFUSED || type == RECORD_WITHDRAWN ||
	       type == RECORD_TIMED_OUT;
}

static enum status replay_resumed(struct replay *r, uint64_t pos, const struct record_result *rec)
{
	struct open_result *o = open_find(r, rec->sequence);

	if (o != NULL)
		o->pending->sign_ms = rec->at_ms;
	if (r->follow)
		return ST_OK;
	r->resumed = grow(r->resumed, r->resumed_n, &r->resumed_room, sizeof(*r->resumed));
	if (r->resumed == NULL)
		return ST_NOMEM;
	r->resumed[r->resumed_n++] = (struct resumed){ pos, rec->sequence };
	return ST_OK;
}

static enum status replay_result(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	struct record_result rec;
	enum status st = record_result_decode(&rec, payload);

	if (st == ST_OK && r->follow && type == RECORD_PARKED)
		st = follow_row(r, JOB_PARK, &rec);
	else if (st == ST_OK && r->follow &&
		 (is_end(type) || (type == RECORD_RESUMED && rec.at_ms == 0)))
		st = follow_row(r, JOB_FORGET, &rec);
	if (st != ST_OK)
		return st;
	if (type == RECORD_RESUMED)
		return replay_resumed(r, pos, &rec);
	if (is_end(type)) {
		/* Its row in the waiting room goes: nothing else says that it is done with. */
		open_settle(open_find(r, rec.sequence));
		if (type == RECORD_VOID && pos >= r->snapshot_pos)
			register_void(r->s, &rec);
		if (type == RECORD_VOID && pos >= r->covered)
			void_keys(r->s, &rec, pos);
		else if (pos >= r->covered)
			end_keys(r->s, &rec, pos);
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
	case RECORD_STATE_EVENT:
		return replay_act(r, pos, type, payload);
	case RECORD_HANDED:
		return r->follow ? follow_handed(r, payload) : replay_act(r, pos, type, payload);
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
	for (size_t i = 0; i < r->signatures_n; i++)
		free(r->signatures[i].bytes);
	free(r->signatures);
	for (size_t i = 0; i < r->approvals_n; i++)
		free(r->approvals[i].bytes);
	free(r->open);
	free(r->slots);
	free(r->approvals);
	free(r->approved);
	free(r->numbered);
	free(r->acts);
	free(r->resumed);
	arena_free(&r->arena);
	*r = (struct replay){ 0 };
}
