/* Who read what: each row says it as it was noted, to the person whom it is about. */
#include "store/postgres/deep_inside.h"

/* Results that rows name, until a look-up is full. */
struct named { uint32_t n; uint64_t stamps[DEEP_PAGE]; };

static bool row_good(const PGresult *page, int i, uint8_t lane, uint64_t stamp,
		     struct reading_view *v)
{
	struct slice record, holder = pg_column(page, i, 3);

	return reader_record(page, i, 1, lane, stamp, &record) &&
	       stored_reading_decode(v, record) == ST_OK && v->stamp == stamp &&
	       slice_eq(holder, slice_of(v->holder, sizeof(v->holder))) &&
	       lane_of_key(v->holder) == lane;
}

/* The page stands before the answers. */
static enum status named_ask(struct deep *d, struct named *w)
{
	PGresult *results[LANES];
	enum status st = lanes_ask(d->reader, PG_STORED, d->places, w->n, results);

	for (uint32_t i = 0; i < w->n && st == ST_OK; i++)
		if (lanes_row(results[d->places[i].lane], d->places[i].sequence) < 0)
			deep_fault(d, "lane %u, read %llu: it names result %llu, which is not "
				   "there", d->lane, number_of(w->stamps[i]),
				   number_of(d->places[i].sequence));
	reader_forget(d->reader, 1);
	w->n = 0;
	return st;
}

static enum status named_add(struct deep *d, struct named *w, const struct reading_view *v)
{
	enum status st = ST_OK;

	for (uint16_t i = 0; i < v->names_n && st == ST_OK; i++) {
		struct result_name name = reading_name(v, i);

		if (!lanes_place(&d->places[w->n], name.lane, (int64_t)name.sequence)) {
			deep_fault(d, "lane %u, read %llu: it names lane %u", d->lane,
				   number_of(v->stamp), name.lane);
			continue;
		}
		w->stamps[w->n++] = v->stamp;
		if (w->n == DEEP_PAGE)
			st = named_ask(d, w);
	}
	return st;
}

enum status deep_readings(struct deep *d, struct deep_cursor *at, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	struct named w = { .n = 0 };
	PGresult *page = NULL;
	enum status st;

	pg_question(q, PG_WALK_READINGS);
	pg_int2(q, d->lane);
	pg_bytes(q, slice_of(at->key, at->key_n));
	pg_int8(q, (int64_t)at->sequence);
	st = deep_ask(d, q, DEEP_PAGE, DEEP_READINGS, &page, more);
	for (int i = 0; st == ST_OK && i < PQntuples(page); i++) {
		struct slice holder = pg_column(page, i, 3);
		struct reading_view v;

		at->sequence = (uint64_t)pg_number(page, i, 0);
		at->key_n = (uint8_t)(holder.n < sizeof(at->key) ? holder.n : sizeof(at->key));
		memcpy(at->key, holder.p, at->key_n);
		if (row_good(page, i, d->lane, at->sequence, &v))
			st = named_add(d, &w, &v);
		else
			deep_fault(d, "lane %u, read %llu: the record does not match its checksum",
				   d->lane, number_of(at->sequence));
	}
	return st == ST_OK && w.n > 0 ? named_ask(d, &w) : st;
}
