#include "store/embedded.h"

#include <assert.h>

/* Longer than any of the records. */
#define ACT_BYTES_MAX (4 * UINT16_MAX)

/* Appends one act, durably. What it says must have been encoded into s->record. */
static enum status act_add(struct embedded *s, enum stored_type type, const struct writer *w,
			   struct error *e)
{
	struct slice payload = writer_slice(w);
	enum status st = embedded_room(s, 1, e);

	if (st == ST_OK)
		st = embedded_add(s, type, &payload, 1, NULL, e);
	if (st == ST_OK)
		st = embedded_commit(s, e);
	if (st != ST_OK)
		embedded_drop(s);
	return st;
}

static_assert(ACT_BYTES_MAX <= STORED_RESULT_BYTES_MAX, "an act fits the scratch");

static enum status find_one(struct embedded *s, enum row_table t, struct row_key key,
			    uint64_t before, struct row_hit *hit)
{
	uint32_t n = 0;
	enum status st = index_find(s->self->index, t, key, before, 1, hit, &n);

	if (st != ST_OK)
		return st;
	return n > 0 ? ST_OK : ST_NOT_FOUND;
}

static enum status known_result(struct embedded *s, uint8_t lane, uint64_t sequence,
				struct error *e)
{
	enum status st = reader_result(s->self, lane, sequence);

	if (st == ST_NOT_FOUND)
		return error_set(e, st, "no such result is stored");
	return st == ST_OK ? ST_OK : error_set(e, st, "the result cannot be read: %s",
					       status_name(st));
}

static enum status link_locked(struct embedded *s, const struct holding_link *l, struct error *e)
{
	struct writer w = writer_of(s->record, STORED_RESULT_BYTES_MAX);
	struct row_hit hit;
	enum status st = known_result(s, l->lane, l->sequence, e);

	if (st != ST_OK)
		return st;
	/* Told again after a restart: it holds already. */
	st = find_one(s, ROW_HOLDING, row_key_bytes(l->key), l->sequence + 1, &hit);
	if (st == ST_OK && hit.sequence == l->sequence)
		return ST_OK;
	if (st != ST_OK && st != ST_NOT_FOUND)
		return st;
	st = stored_link_encode(l, &w);
	return st == ST_OK ? act_add(s, STORED_LINK, &w, e) : st;
}

enum status embedded_link(struct store *store, const struct holding_link *l, struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	pthread_mutex_lock(&s->writer);
	st = link_locked(s, l, e);
	pthread_mutex_unlock(&s->writer);
	return st;
}

/* Was this very event told before? */
static enum status event_known(struct embedded *s, const struct result_event *v)
{
	struct row_hit hits[LIVING_ACTS_MAX + HANDOVERS_MAX];
	uint32_t n = 0;
	/* A share's that is told again is among the newest. */
	struct row_key key = row_key_event(v->sequence, event_is_share(v->kind) ? ABOUT_SHARES :
					   ABOUT_LIFE);
	enum status st = index_find(s->self->index, ROW_EVENT, key, 0, ARRAY_LEN(hits), hits,
				    &n);

	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		struct frame_record rec;
		struct result_event old;

		st = logreader_get(&s->self->log, hits[i].position, 0, &s->self->other, &rec);
		if (st == ST_OK && rec.type == STORED_EVENT &&
		    stored_event_decode(&old, rec.payload) == ST_OK && old.kind == v->kind &&
		    old.at_ms == v->at_ms && slice_eq(old.detail, v->detail))
			return ST_OK;
	}
	return st == ST_OK ? ST_NOT_FOUND : st;
}

/* Checks one event and adds it to the frame; one that is known, but a read, adds nothing. */
static enum status event_add(struct embedded *s, const struct result_event *v, struct error *e)
{
	struct writer w = writer_of(s->record, STORED_RESULT_BYTES_MAX);
	struct slice payload;
	enum status st = known_result(s, v->lane, v->sequence, e);

	if (st != ST_OK)
		return st;
	if (!event_is_kind(v->kind))
		return error_set(e, ST_INVALID, "no such kind of event: %u", v->kind);
	st = v->kind == EVENT_READ ? ST_NOT_FOUND : event_known(s, v);
	if (st != ST_NOT_FOUND)
		return st;
	st = stored_event_encode(v, &w);
	payload = writer_slice(&w);
	return st == ST_OK ? embedded_add(s, STORED_EVENT, &payload, 1, NULL, e) : st;
}

static_assert(BATCH_GET_MAX * INDEX_ROWS_RECORD <= INDEX_ROWS_MAX &&
	      BATCH_GET_MAX <= INDEX_RESULTS_MAX &&
	      BATCH_GET_MAX * INDEX_COUNTERS_RECORD <= INDEX_COUNTERS_MAX &&
	      BATCH_GET_MAX * 4096 <= STORE_FRAME_BYTES,
	      "the reads of one call fit the index's memory, and a frame");

enum status embedded_events(struct store *store, const struct result_event *v, uint32_t n,
			    struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	assert(n <= BATCH_GET_MAX);
	pthread_mutex_lock(&s->writer);
	st = embedded_room(s, n, e);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		st = event_add(s, &v[i], e);
	if (st == ST_OK)
		st = embedded_commit(s, e);
	if (st != ST_OK)
		embedded_drop(s);
	pthread_mutex_unlock(&s->writer);
	return st;
}

/* The register's entry of this number. ST_OK: it says this already; ST_EXISTS: it is another's. */
static enum status number_there(struct embedded *s, const struct void_entry *v, struct error *e)
{
	uint32_t id = marks_find(&s->marks, v->unit, v->register_code, v->year);
	struct row_hit hit;
	struct frame_record rec;
	enum status st = ST_NOT_FOUND;

	if (id != 0)
		st = find_one(s, ROW_NUMBER, row_key_number(id, v->number), 0, &hit);
	if (st != ST_OK)
		return st;
	st = logreader_get(&s->self->log, hit.position, 0, &s->self->other, &rec);
	if (st != ST_OK)
		return error_set(e, st, "the register's entry cannot be read");
	return rec.type == STORED_VOID && hit.sequence == v->sequence ? ST_OK : ST_EXISTS;
}

static enum status void_add(struct embedded *s, const struct void_entry *v, struct error *e)
{
	struct writer w = writer_of(s->record, STORED_RESULT_BYTES_MAX);
	enum status st = stored_void_encode(v, &w);

	if (st == ST_OK)
		st = act_add(s, STORED_VOID, &w, e);
	if (st == ST_OK)
		st = marks_write(&s->marks, e);
	return st == ST_OK ? marks_wait(&s->marks, e) : st;
}

/* What is another's goes out of *v. ST_OK: nothing is left to be told; ST_NOT_FOUND: *v is. */
static enum status void_dispute(struct embedded *s, struct void_entry *v, struct error *e)
{
	enum status st = v->sequence == 0 ? ST_NOT_FOUND : reader_known(s->self, v->lane,
									v->sequence);

	if (st == ST_OK && s->self->result.view.state != STATE_STORED)
		return ST_OK;
	if (st == ST_OK)
		v->sequence = 0;
	else if (st != ST_NOT_FOUND)
		return error_set(e, st, "the result cannot be read: %s", status_name(st));
	st = v->number != 0 ? number_there(s, v, e) : ST_EXISTS;
	if (st != ST_EXISTS)
		return st;
	v->number = 0;
	return v->sequence == 0 ? ST_OK : ST_NOT_FOUND;
}

static enum status void_locked(struct embedded *s, const struct void_entry *v, struct error *e)
{
	struct void_entry left = *v;
	enum status st;

	if (v->unit.n > CODE_BYTES_MAX || v->register_code.n > CODE_BYTES_MAX ||
	    v->case_code.n > CASE_CODE_BYTES_MAX)
		return error_set(e, ST_INVALID, "unit, register or case code too long");
	st = v->held == REASON_STORE_CONFLICT || v->number == 0 ? void_dispute(s, &left, e) :
								  number_there(s, v, e);
	if (st == ST_EXISTS)
		return error_set(e, ST_CONFLICT, "number %llu is in the register already",
				 (unsigned long long)v->number);
	return st == ST_NOT_FOUND ? void_add(s, &left, e) : st;
}

enum status embedded_void(struct store *store, const struct void_entry *v, struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	pthread_mutex_lock(&s->writer);
	st = void_locked(s, v, e);
	pthread_mutex_unlock(&s->writer);
	return st;
}
