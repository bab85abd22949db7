/* What a holder sees: the results, their lives, what replaces them. */
#include <stdlib.h>

#include "base/log.h"
#include "store/postgres/lanes.h"
#include "store/postgres/reader.h"
#include "store/rows.h"

/* What a list's rows need, fetched for all of them at once. */
struct listed {
	uint32_t n;
	struct place *of;		/* results, as the holder's rows name them */
	PGresult *holdings, *results[LANES], *lives[LANES];
};

static enum status holdings_ask(struct store_reader *r, const uint8_t key[16], uint64_t before,
				uint32_t max, struct listed *l)
{
	struct pg_question *q = &r->questions[0];
	uint8_t lane = lane_of_key(key);
	enum status st;

	pg_question(q, PG_HOLDINGS);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(key, 16));
	pg_int8(q, before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before);
	pg_int8(q, max);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &l->holdings);
	l->n = st == ST_OK ? (uint32_t)PQntuples(l->holdings) : 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (!lanes_place(&l->of[i], pg_number(l->holdings, (int)i, 1),
			      pg_number(l->holdings, (int)i, 0)))
			return ST_CORRUPT;
	if (l->n > 0)
		st = lanes_ask(r, PG_RESULTS, l->of, l->n, l->results);
	if (l->n > 0 && st == ST_OK)
		st = lanes_ask(r, PG_LIVES, l->of, l->n, l->lives);
	return st;
}

/* The act that added the holder, which has a checksum of its own, says the same. */
static bool link_agrees(const PGresult *lives, int row, const struct stored_result *s,
			const uint8_t key[16], const struct holding_view *h)
{
	const struct result_view *v = &s->view;
	struct holding_link l;
	struct slice record;

	return pg_number(lives, row, 3) == PG_EVENT_LINKED &&
	       (uint64_t)pg_number(lives, row, 0) == v->sequence &&
	       reader_record(lives, row, 1, v->lane, v->sequence, &record) &&
	       stored_link_decode(&l, record) == ST_OK && l.sequence == v->sequence &&
	       memcmp(l.key, key, sizeof(l.key)) == 0 && l.holder.role == h->role &&
	       l.holder.visibility == h->visibility && l.holder.from == h->from &&
	       l.holder.to == h->to;
}

bool reader_holding(const struct stored_result *s, const PGresult *lives, const uint8_t key[16],
		    const struct holding_view *h)
{
	for (uint8_t i = 0; i < s->holdings_n; i++) {
		const struct stored_holding *own = &s->holdings[i];

		if (memcmp(own->key, key, sizeof(own->key)) == 0)
			return own->role == h->role && own->visibility == h->visibility &&
			       own->from == h->from && own->to == h->to;
	}
	for (int i = 0; lives != NULL && i < PQntuples(lives); i++)
		if (link_agrees(lives, i, s, key, h))
			return true;
	return false;
}

/* A change of a row's life; the holder may have changed who sees it since: then *h does. */
static enum status holding_life_row(const PGresult *lives, int row, const uint8_t key[16],
				    struct holding_view *h, int64_t *shown_ms)
{
	struct result_view *v = &h->result;
	struct result_event ev;
	bool hidden;
	enum status st = reader_event(lives, row, 1, v->lane, v->sequence, &ev);

	if (st == ST_OK)
		st = stored_event_live(v, &ev);
	if (st == ST_OK && living_shown(ev.kind, ev.at_ms, ev.detail, key, &hidden, shown_ms))
		h->visibility = hidden ? VISIBILITY_HIDDEN : VISIBILITY_VISIBLE;
	return st;
}

/* ST_NOT_FOUND: the result does not stand yet. */
static enum status holding_at(struct store_reader *r, const struct listed *l, uint32_t i,
			      const uint8_t key[16], struct holding_view *out)
{
	const struct place *at = &l->of[i];
	const PGresult *h = l->holdings, *lives = l->lives[at->lane];
	int64_t shown_ms = 0;
	int row = lanes_row(l->results[at->lane], at->sequence);
	enum status st;

	if (row < 0)
		return ST_NOT_FOUND;
	st = reader_row(l->results[at->lane], row, 1, at->lane, at->sequence, &r->result);
	if (st != ST_OK)
		return st;
	*out = (struct holding_view){ .result = r->result.view,
				      .role = (uint8_t)pg_number(h, (int)i, 2),
				      .visibility = (uint8_t)pg_number(h, (int)i, 3),
				      .from = (uint32_t)pg_number(h, (int)i, 4),
				      .to = (uint32_t)pg_number(h, (int)i, 5) };
	out->result.case_bytes = (struct slice){ NULL, 0 };
	if (!reader_holding(&r->result, lives, key, out))
		return ST_CORRUPT;
	reader_expire(&out->result);
	for (int k = 0; k < PQntuples(lives) && st == ST_OK; k++)
		if ((uint64_t)pg_number(lives, k, 0) == at->sequence &&
		    pg_number(lives, k, 3) != PG_EVENT_LINKED)
			st = holding_life_row(lives, k, key, out, &shown_ms);
	return st;
}

/* The newest result that says it replaces this one. */
static int replacer_find(PGresult *const found[LANES], const struct place *old)
{
	const PGresult *answer = found[old->lane];

	for (int i = 0; answer != NULL && i < PQntuples(answer); i++)
		if (slice_eq(pg_column(answer, i, 0), slice_of(old->key, sizeof(old->key))))
			return i;
	return -1;
}

/* What replaces the n results of a list. */
static enum status lists_replaced(struct store_reader *r, struct holding_view *rows, uint32_t n)
{
	struct place *old = calloc(2 * (size_t)n + 1, sizeof(*old)), *by = old + n;
	PGresult *found[LANES], *results[LANES];
	uint32_t *whose = calloc((size_t)n + 1, sizeof(*whose)), by_n = 0;
	enum status st = old != NULL && whose != NULL ? ST_OK : ST_NOMEM;

	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		locator_replaced(old[i].key, rows[i].result.result_id);
		old[i].lane = lane_of_key(old[i].key);
		old[i].sequence = rows[i].result.sequence;
	}
	if (st == ST_OK && n > 0)
		st = lanes_ask(r, PG_REPLACED, old, n, found);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		int row = replacer_find(found, &old[i]);

		if (row < 0)
			continue;
		if (!lanes_place(&by[by_n], pg_number(found[old[i].lane], row, 2),
			      pg_number(found[old[i].lane], row, 1)))
			st = ST_CORRUPT;
		whose[by_n++] = i;
	}
	if (st == ST_OK && by_n > 0)
		st = lanes_ask(r, PG_RESULTS, by, by_n, results);
	for (uint32_t i = 0; i < by_n && st == ST_OK; i++) {
		struct result_view *v = &rows[whose[i]].result;
		int row = lanes_row(results[by[i].lane], by[i].sequence);

		if (row < 0)
			continue;
		st = reader_row(results[by[i].lane], row, 1, by[i].lane, by[i].sequence,
				&r->result);
		if (st == ST_OK && memcmp(r->result.view.replaces, v->result_id, 16) == 0) {
			reader_replace(v, &r->result.view);
			continue;
		}
		/* What replaces it cannot be read: still it is not valid any more. */
		log_error("store", "damaged: result %llu, which replaces another",
			  (unsigned long long)by[i].sequence);
		stored_live(v, LIFE_REPLACED);
		st = ST_OK;
	}
	free(old);
	free(whose);
	return st;
}

enum status pg_list(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
		    uint32_t max, struct holding_view *out, uint32_t *n)
{
	struct listed l = { .of = calloc((size_t)max + 1, sizeof(*l.of)) };
	enum status st = l.of != NULL ? ST_OK : ST_NOMEM;

	reader_forget(r, 0);
	*n = 0;
	while (*n < max && st == ST_OK) {
		st = holdings_ask(r, holder_key, before, max - *n, &l);
		if (st != ST_OK || l.n == 0)
			break;
		for (uint32_t i = 0; i < l.n && st == ST_OK; i++) {
			st = holding_at(r, &l, i, holder_key, &out[*n]);
			*n += st == ST_OK;
			/* One damaged row does not hide a person's other papers. */
			if (st == ST_CORRUPT)
				log_error("store", "damaged: result %llu of a holder's list",
					  (unsigned long long)l.of[i].sequence);
			if (st == ST_CORRUPT || st == ST_NOT_FOUND)
				st = ST_OK;
		}
		before = l.of[l.n - 1].sequence;
		if (before == 0)
			break;
	}
	free(l.of);
	return st == ST_OK ? lists_replaced(r, out, *n) : st;
}
