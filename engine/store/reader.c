#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "io/io.h"
#include "store/embedded.h"

#define EVENTS_MAX (LIVING_ACTS_MAX + HANDOVERS_MAX)	/* of one life */
#define HISTORY_MAX (EVENTS_MAX + LINKS_TOLD_MAX)
/* A view's strings: five of at most 255 bytes, and the subjects. */
#define TEXT_BYTES (5 * 256 + DOC_SIGNATURES_MAX * 512)

enum status reader_new(struct embedded *s, struct store_reader **out, struct error *e)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	enum status st;

	if (r == NULL)
		return ST_NOMEM;
	r->home = s;
	logreader_init(&r->log, s->dir, s->log.segment_bytes);
	opened_init(&r->files);
	r->hash = sha256_new();
	r->piece = malloc(OBJECT_PIECE_BYTES);
	st = r->hash == NULL || r->piece == NULL ? ST_NOMEM :
	     index_reader_open(&r->index, s->index, e);
	if (st != ST_OK) {
		embedded_reader_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

enum status embedded_reader_open(struct store *store, struct store_reader **r, struct error *e)
{
	return reader_new((struct embedded *)store, r, e);
}

void embedded_reader_close(struct store_reader *r)
{
	if (r == NULL)
		return;
	opened_free(&r->files);
	index_reader_close(r->index);
	for (size_t i = 0; i < LAYERS_KEPT; i++)
		free(r->layers[i].bytes);
	logreader_close(&r->log);
	sha256_free(r->hash);
	free(r->piece);
	free(r->record.p);
	free(r->other.p);
	free(r->body.p);
	free(r->text);
	free(r->hits);
	free(r);
}

bool reader_hits_room(struct store_reader *r, uint32_t n)
{
	struct row_hit *bigger;

	if (n <= r->hits_n)
		return true;
	bigger = realloc(r->hits, n * sizeof(*bigger));
	if (bigger == NULL)
		return false;
	r->hits = bigger;
	r->hits_n = n;
	return true;
}

static bool text_room(struct store_reader *r, uint32_t rows)
{
	uint8_t *bigger;

	if (rows <= r->text_rows)
		return true;
	bigger = realloc(r->text, (size_t)rows * TEXT_BYTES);
	if (bigger == NULL)
		return false;
	r->text = bigger;
	r->text_rows = rows;
	return true;
}

static struct slice text_keep(struct writer *w, struct slice s)
{
	struct slice kept = { w->p, s.n };

	write_bytes(w, s.p, s.n);
	return kept;
}

/* ---- records ---- */

/* The record at a position, if it is a RESULT or a result's VOID; in r->result. */
static enum status known_at(struct store_reader *r, uint64_t position)
{
	struct frame_record rec;
	struct void_entry gone;
	enum status st = logreader_get(&r->log, position, 0, &r->record, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type == STORED_RESULT)
		return stored_result_decode(&r->result, rec.version, rec.payload);
	if (rec.type != STORED_VOID)
		return ST_CORRUPT;
	st = stored_void_decode(&gone, rec.version, rec.payload);
	r->result = (struct stored_result){ 0 };
	stored_void_view(&gone, &r->result.view);
	return st;
}

enum status reader_known(struct store_reader *r, uint8_t lane, uint64_t sequence)
{
	struct row_hit hit;
	uint32_t n = 0;
	enum status st = index_find(r->index, ROW_RESULT, row_key_sequence(sequence), 0, 1, &hit,
				    &n);

	if (st != ST_OK)
		return st;
	if (n == 0)
		return ST_NOT_FOUND;
	st = known_at(r, hit.position);
	if (st == ST_OK && r->result.view.sequence != sequence)
		return ST_CORRUPT;
	r->held = st == ST_OK ? sequence : 0;
	return st == ST_OK && r->result.view.lane != lane ? ST_NOT_FOUND : st;
}

/* Of one who looks at all that is said of a result, one call after the other. */
static bool held_still(const struct store_reader *r, uint8_t lane, uint64_t sequence)
{
	return r->unchecked && r->held == sequence && r->result.view.sequence == sequence &&
	       r->result.view.lane == lane;
}

enum status reader_result(struct store_reader *r, uint8_t lane, uint64_t sequence)
{
	enum status st = held_still(r, lane, sequence) ? ST_OK : reader_known(r, lane, sequence);

	return st == ST_OK && r->result.view.state != STATE_STORED ? ST_NOT_FOUND : st;
}

/* ---- life ---- */

/* A holding whose visibility its holder may have changed since. NULL: none is asked for. */
struct shown { const uint8_t *key; bool hidden, said; int64_t at_ms; };

static enum status event_at(struct store_reader *r, const struct row_hit *hit,
			    struct result_event *ev)
{
	struct frame_record rec;
	enum status st = logreader_get(&r->log, hit->position, 0, &r->other, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type == STORED_LINK)
		return stored_link_event(ev, rec.payload);
	return rec.type == STORED_EVENT ? stored_event_decode(ev, rec.payload) : ST_CORRUPT;
}

static enum status events_read(struct store_reader *r, struct result_view *v, struct shown *shown)
{
	struct row_hit hits[EVENTS_MAX];
	uint32_t n = 0;
	enum status st = index_find(r->index, ROW_EVENT, row_key_event(v->sequence, ABOUT_LIFE), 0,
				    EVENTS_MAX, hits, &n);

	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		struct result_event ev;

		st = event_at(r, &hits[i], &ev);
		if (st == ST_OK)
			st = stored_event_live(v, &ev);
		if (st == ST_OK && shown != NULL)
			shown->said |= living_shown(ev.kind, ev.at_ms, ev.detail, shown->key,
						    &shown->hidden, &shown->at_ms);
	}
	return st;
}

static enum status replaced_by(struct store_reader *r, struct result_view *v)
{
	struct stored_result newer;
	struct frame_record rec;
	struct row_hit hit;
	uint8_t key[16];
	uint32_t n = 0;
	enum status st;

	locator_replaced(key, v->result_id);
	st = index_find(r->index, ROW_LOCATOR, row_key_bytes(key), 0, 1, &hit, &n);
	if (st != ST_OK || n == 0)
		return st;
	st = logreader_get(&r->log, hit.position, 0, &r->other, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type != STORED_RESULT ||
	    stored_result_decode(&newer, rec.version, rec.payload) != ST_OK ||
	    memcmp(newer.view.replaces, v->result_id, sizeof(v->result_id)) != 0)
		return ST_CORRUPT;
	memcpy(v->replaced_by, newer.view.result_id, sizeof(v->replaced_by));
	v->replaced_ms = newer.view.stored_ms;
	stored_live(v, LIFE_REPLACED);
	return ST_OK;
}

static enum status life_read(struct store_reader *r, struct result_view *v, struct shown *shown)
{
	enum status st;

	if (v->valid_until != 0 && day_vietnam(io_wall_ms()) > v->valid_until)
		stored_live(v, LIFE_EXPIRED);
	st = replaced_by(r, v);
	return st == ST_OK ? events_read(r, v, shown) : st;
}

enum status embedded_get(struct store_reader *r, uint8_t lane, uint64_t sequence,
			 struct result_view *out)
{
	enum status st = reader_known(r, lane, sequence);

	if (st == ST_OK && r->result.view.state == STATE_STORED)
		st = life_read(r, &r->result.view, NULL);
	if (st == ST_OK)
		*out = r->result.view;
	return st;
}

static int by_position(const void *a, const void *b)
{
	const struct row_hit *x = a, *y = b;

	return x->position < y->position ? -1 : x->position > y->position;
}

/* Its life and the holders added to it, oldest first: acts of one result follow each other. */
static enum status history_find(struct store_reader *r, uint64_t sequence,
				struct row_hit hits[HISTORY_MAX], uint32_t *n)
{
	uint32_t links = 0;
	enum status st = index_find(r->index, ROW_EVENT, row_key_event(sequence, ABOUT_LIFE), 0,
				    EVENTS_MAX, hits, n);

	if (st == ST_OK)
		st = index_find(r->index, ROW_EVENT, row_key_event(sequence, ABOUT_HOLDERS), 0,
				LINKS_TOLD_MAX, hits + *n, &links);
	*n += links;
	qsort(hits, *n, sizeof(*hits), by_position);
	return st;
}

enum status embedded_history(struct store_reader *r, uint8_t lane, uint64_t sequence, uint32_t max,
			     struct result_event *out, uint32_t *n)
{
	struct row_hit hits[HISTORY_MAX];
	uint32_t found = 0;
	enum status st = reader_result(r, lane, sequence);

	*n = 0;
	if (st != ST_OK)
		return st;
	st = history_find(r, sequence, hits, &found);
	if (st == ST_OK && !text_room(r, HISTORY_MAX))
		return ST_NOMEM;
	while (*n < found && *n < max && st == ST_OK) {
		struct writer w = writer_of(r->text + (size_t)*n * TEXT_BYTES, TEXT_BYTES);
		struct result_event *ev = &out[*n];

		st = event_at(r, &hits[*n], ev);
		if (st != ST_OK)
			break;
		ev->actor = text_keep(&w, ev->actor);
		ev->detail = text_keep(&w, ev->detail);
		if (w.bad || ev->sequence != sequence)
			st = ST_CORRUPT;
		++*n;
	}
	return st;
}

#define SHARES_READ_MAX (SHARE_CHANGES_MAX + 64)	/* with those that a restart told again */

enum status embedded_shares(struct store_reader *r, uint8_t lane, uint64_t sequence,
			    void (*one)(void *ctx, const struct result_event *v), void *ctx)
{
	uint32_t n = 0;
	enum status st = reader_result(r, lane, sequence);

	if (st != ST_OK)
		return st;
	if (!reader_hits_room(r, SHARES_READ_MAX))
		return ST_NOMEM;
	st = index_find(r->index, ROW_EVENT, row_key_event(sequence, ABOUT_SHARES), 0,
			SHARES_READ_MAX, r->hits, &n);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		struct result_event ev;

		st = event_at(r, &r->hits[i], &ev);
		if (st == ST_OK && (ev.sequence != sequence || !event_is_share(ev.kind)))
			st = ST_CORRUPT;
		if (st == ST_OK)
			one(ctx, &ev);
	}
	return st;
}

/* ---- lists ---- */

/* The record's buffer is used again for the next row: strings move to this row's room. */
static void view_keep(struct store_reader *r, uint32_t row, struct result_view *out)
{
	struct writer w = writer_of(r->text + (size_t)row * TEXT_BYTES, TEXT_BYTES);

	*out = r->result.view;
	out->unit = text_keep(&w, out->unit);
	out->kind = text_keep(&w, out->kind);
	out->case_code = text_keep(&w, out->case_code);
	out->register_code = text_keep(&w, out->register_code);
	out->number_text = text_keep(&w, out->number_text);
	for (uint8_t i = 0; i < out->signatures_n; i++)
		out->signatures[i].subject = text_keep(&w, out->signatures[i].subject);
	out->case_bytes = (struct slice){ NULL, 0 };
	assert(!w.bad);
}

static enum status link_holding(struct store_reader *r, const struct frame_record *rec,
				const uint8_t key[16], struct holding_view *out)
{
	struct holding_link l;
	enum status st = stored_link_decode(&l, rec->payload);

	if (st != ST_OK || memcmp(l.key, key, sizeof(l.key)) != 0)
		return ST_CORRUPT;
	out->role = l.holder.role;
	out->from = l.holder.from;
	out->to = l.holder.to;
	out->visibility = l.holder.visibility;
	st = reader_result(r, l.lane, l.sequence);
	return st == ST_NOT_FOUND ? ST_CORRUPT : st;
}

static enum status own_holding(struct store_reader *r, const struct frame_record *rec,
			       const uint8_t key[16], struct holding_view *out)
{
	enum status st = stored_result_decode(&r->result, rec->version, rec->payload);

	for (uint8_t i = 0; st == ST_OK && i < r->result.holdings_n; i++) {
		const struct stored_holding *h = &r->result.holdings[i];

		if (memcmp(h->key, key, sizeof(h->key)) != 0)
			continue;
		out->role = h->role;
		out->from = h->from;
		out->to = h->to;
		out->visibility = h->visibility;
		return ST_OK;
	}
	return ST_CORRUPT;
}

/* One row of a list: the index says where, the record must say the same. */
static enum status holding_at(struct store_reader *r, const struct row_hit *hit,
			      const uint8_t key[16], uint32_t row, struct holding_view *out)
{
	struct shown shown = { .key = key };
	struct frame_record rec;
	enum status st = logreader_get(&r->log, hit->position, 0, &r->record, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type == STORED_LINK)
		st = link_holding(r, &rec, key, out);
	else
		st = rec.type == STORED_RESULT ? own_holding(r, &rec, key, out) : ST_CORRUPT;
	if (st == ST_OK && r->result.view.sequence != hit->sequence)
		st = ST_CORRUPT;
	if (st == ST_OK)
		st = life_read(r, &r->result.view, &shown);
	if (st == ST_OK && shown.said)
		out->visibility = shown.hidden ? VISIBILITY_HIDDEN : VISIBILITY_VISIBLE;
	if (st == ST_OK)
		view_keep(r, row, &out->result);
	return st;
}

enum status embedded_list(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
			  uint32_t max, struct holding_view *out, uint32_t *n)
{
	uint32_t got;

	*n = 0;
	if (!text_room(r, max) || !reader_hits_room(r, max))
		return ST_NOMEM;
	while (*n < max) {
		enum status st = index_find(r->index, ROW_HOLDING, row_key_bytes(holder_key),
					    before, max - *n, r->hits, &got);

		if (st != ST_OK || got == 0)
			return st;
		for (uint32_t i = 0; i < got; i++) {
			st = holding_at(r, &r->hits[i], holder_key, *n, &out[*n]);
			if (st == ST_OK)
				(*n)++;
			else if (status_class(st) != CLASS_REJECT)
				return st;
			else	/* One damaged record does not hide a person's other papers. */
				log_error("store",
					  "damaged: record at %llu of a holder's list; run fsck",
					  (unsigned long long)r->hits[i].position);
		}
		before = r->hits[got - 1].sequence;
		if (before == 0)
			break;
	}
	return ST_OK;
}

/* ---- locators ---- */

enum status embedded_find_case(struct store_reader *r, struct slice unit, struct slice code,
			       uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n)
{
	uint8_t key[16];
	uint32_t got = 0;
	enum status st;

	*n = 0;
	if (unit.n > CODE_BYTES_MAX || code.n > CASE_CODE_BYTES_MAX)
		return ST_NOT_FOUND;
	if (!reader_hits_room(r, max))
		return ST_NOMEM;
	locator_case(key, unit, code);
	st = index_find(r->index, ROW_LOCATOR, row_key_bytes(key), 0, max, r->hits, &got);
	for (uint32_t i = 0; i < got && st == ST_OK; i++) {
		st = known_at(r, r->hits[i].position);
		if (st == ST_OK && (!slice_eq(r->result.view.unit, unit) ||
				    !slice_eq(r->result.view.case_code, code)))
			st = ST_CORRUPT;
		if (st != ST_OK)
			break;
		lanes[*n] = r->result.view.lane;
		sequences[(*n)++] = r->result.view.sequence;
	}
	return st == ST_OK && *n == 0 ? ST_NOT_FOUND : st;
}

enum status embedded_names(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
			   uint32_t max, struct result_name *out, uint32_t *n)
{
	uint32_t got = 0;
	enum status st;

	*n = 0;
	if (lane != 0)
		return ST_OK;
	if (!reader_hits_room(r, max))
		return ST_NOMEM;
	st = index_results(r->index, after, upto, max, r->hits, &got);
	for (uint32_t i = 0; i < got && st == ST_OK; i++) {
		st = known_at(r, r->hits[i].position);
		out[i] = (struct result_name){ .sequence = r->hits[i].sequence,
					       .lane = st == ST_OK ? r->result.view.lane : LANES };
		if (status_class(st) == CLASS_REJECT)
			st = ST_OK;
		*n = i + 1;
	}
	return st;
}

void embedded_unchecked(struct store_reader *r)
{
	r->unchecked = true;
}

enum status embedded_find_number(struct store_reader *r, struct slice unit,
				 struct slice register_code, uint32_t year, uint64_t number,
				 uint8_t *lane, uint64_t *sequence)
{
	uint32_t id = marks_find(&r->home->marks, unit, register_code, year), n = 0;
	const struct result_view *v = &r->result.view;
	struct frame_record rec;
	struct row_hit hit;
	enum status st;

	if (id == 0)
		return ST_NOT_FOUND;
	st = index_find(r->index, ROW_NUMBER, row_key_number(id, number), 0, 1, &hit, &n);
	if (st != ST_OK || n == 0)
		return st == ST_OK ? ST_NOT_FOUND : st;
	st = logreader_get(&r->log, hit.position, 0, &r->record, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type == STORED_VOID)
		return ST_NOT_FOUND;
	if (rec.type != STORED_RESULT ||
	    stored_result_decode(&r->result, rec.version, rec.payload) != ST_OK ||
	    v->number != number || v->register_year != year || !slice_eq(v->unit, unit) ||
	    !slice_eq(v->register_code, register_code))
		return ST_CORRUPT;
	*lane = v->lane;
	*sequence = v->sequence;
	return ST_OK;
}

enum status embedded_counts(struct store_reader *r, const struct counts_question *q,
			    struct tally *out)
{
	return index_counts(r->index, q, out);
}
