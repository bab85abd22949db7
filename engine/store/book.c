#include <stdlib.h>

#include "store/embedded.h"

/* false: it is not the entry of this number. */
static bool is_mine(const struct result_view *v, struct slice unit, struct slice code,
		    uint32_t year, const struct number_hit *hit)
{
	return v->sequence == hit->sequence && v->number == hit->number &&
	       v->register_year == year && slice_eq(v->unit, unit) &&
	       slice_eq(v->register_code, code);
}

static bool issued_row(const struct frame_record *rec, struct store_reader *r,
		       struct book_entry *out)
{
	out->state = BOOK_ISSUED;
	if (stored_result_decode(&r->result, rec->version, rec->payload) != ST_OK)
		return false;
	out->result = r->result.view;
	return true;
}

static bool void_row(const struct frame_record *rec, struct book_entry *out)
{
	struct void_entry v;

	out->state = BOOK_VOID;
	if (stored_void_decode(&v, rec->version, rec->payload) != ST_OK)
		return false;
	if (v.used_outside)
		out->state = BOOK_OUTSIDE;
	out->actor = v.actor;
	stored_void_view(&v, &out->result);
	return true;
}

/* A row's number, and all that its record says of it; the index alone is never believed. */
static enum status row_read(struct store_reader *r, struct slice unit, struct slice code,
			    uint32_t year, const struct number_hit *hit, struct book_entry *out)
{
	struct frame_record rec;
	bool read = false;
	enum status st = logreader_get(&r->log, hit->position, 0, &r->record, &rec);

	*out = (struct book_entry){ .number = hit->number, .sequence = hit->sequence,
				  .state = BOOK_ISSUED };
	if (st != ST_OK && status_class(st) != CLASS_REJECT)
		return st;
	if (st == ST_OK && rec.type == STORED_RESULT)
		read = issued_row(&rec, r, out);
	else if (st == ST_OK && rec.type == STORED_VOID)
		read = void_row(&rec, out);
	out->damaged = !read || !is_mine(&out->result, unit, code, year, hit);
	return ST_OK;
}

enum status embedded_book(struct store_reader *r, struct slice unit, struct slice code,
			  uint32_t year, uint64_t after, uint32_t max,
			  bool (*cb)(void *ctx, const struct book_entry *row), void *ctx,
			  uint32_t *n)
{
	uint32_t id = marks_find(&r->home->marks, unit, code, year), found = 0;
	struct number_hit *hits;
	enum status st;
	bool on = true;

	*n = 0;
	if (id == 0)
		return ST_OK;
	hits = malloc(max * sizeof(*hits));
	if (hits == NULL)
		return ST_NOMEM;
	st = index_numbers(r->index, id, after, max, hits, &found);
	for (uint32_t i = 0; i < found && st == ST_OK && on; i++) {
		struct book_entry row;

		st = row_read(r, unit, code, year, &hits[i], &row);
		if (st != ST_OK)
			break;
		on = cb(ctx, &row);
		(*n)++;
	}
	free(hits);
	return st;
}
