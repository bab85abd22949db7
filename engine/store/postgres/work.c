#include "store/postgres/work.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity.h"
#include "store/counted.h"
#include "store/derive.h"
#include "store/layers.h"
#include "store/rows.h"

#define RECORD_MORE_BYTES 8192	/* what a record has beside its case */
#define WORK_BYTES (BATCH_RECORD_BYTES + \
		    BATCH_ITEMS_MAX * (RECORD_MORE_BYTES + DOC_PARTS_MAX * SHA256_BYTES) + \
		    BATCH_SECTIONS_BYTES)
/* A batch's documents share its memory: so do the runs of their sections, of 12 bytes there. */
#define BATCH_SECTIONS_BYTES (BATCH_WORK_BYTES * 2 / 3)
#define DAY_MS (24 * 3600 * 1000LL)
#define MONTH_DAYS_MIN 28
#define YEAR_2000_MS 946684800000LL

/* ---- from items to rows ---- */

/* Parts name layers by their place in the list, from 1. */
static void layers_list(struct stored_result *r, const struct document *d, struct writer *w)
{
	const struct layer *seen[DOC_PARTS_MAX];
	uint32_t n = 0;

	r->parts_n = d->parts_n;
	for (uint8_t i = 0; i < d->parts_n; i++) {
		const struct part *p = &d->parts[i];
		uint32_t k = 0;

		r->parts[i] = (struct stored_part){ .offset = p->offset, .size = p->size };
		if (p->layer == NULL)
			continue;
		while (k < n && memcmp(seen[k]->sha256, p->layer->sha256, SHA256_BYTES) != 0)
			k++;
		if (k == n) {
			write_bytes(w, p->layer->sha256, SHA256_BYTES);
			seen[n++] = p->layer;
		}
		r->parts[i].layer = k + 1;
		if (p->offset == 0 && p->size == p->layer->size)
			r->parts[i].size = 0;
	}
}

static void locators(struct pg_row *row, const struct result_view *v)
{
	locator_case(row->locators[0], v->unit, v->case_code);
	row->locators_n = 1;
	if (!id_is_zero(v->replaces))
		locator_replaced(row->locators[row->locators_n++], v->replaces);
}

/* Two holders of a case may be the same person: the first counts, as a key is once in a table. */
static void holdings(struct pg_row *row, const struct stored_result *r)
{
	row->holdings_n = 0;
	for (uint8_t i = 0; i < r->holdings_n; i++) {
		uint8_t k = 0;

		while (k < row->holdings_n && memcmp(row->holdings[k].key, r->holdings[i].key,
						     sizeof(r->holdings[i].key)) != 0)
			k++;
		if (k == row->holdings_n)
			row->holdings[row->holdings_n++] = r->holdings[i];
	}
}

static bool row_encode(struct pg_row *row, struct item *it, struct writer *w, int64_t now_ms)
{
	struct stored_result r = { 0 };
	struct counted old;
	uint8_t *start = w->p;

	row->it = it;
	stored_result_of(&r, it, now_ms);
	layers_list(&r, &it->doc, w);
	row->layers = slice_of(start, (size_t)(w->p - start));
	r.body_size = it->doc.body_size;
	start = w->p;
	if (stored_result_encode(&r, w) != ST_OK)
		return false;
	row->record = slice_of(start, (size_t)(w->p - start));
	counted_says(&row->says, &r.view);
	row->old_unit = (struct slice){ NULL, 0 };
	row->old_day = 0;
	if (counted_replaced(&old, &r.view, row->says.facts)) {
		row->old_unit = old.unit;
		row->old_day = old.day;
	}
	row->crc = pg_crc(it->lane, it->sequence, row->layers, row->record);
	row->register_lane = pg_lane_register(r.view.unit, r.view.register_code);
	holdings(row, &r);
	locators(row, &r.view);
	return true;
}

enum status pg_work_begin(struct pg_work *w, struct batch *b, int64_t now_ms)
{
	struct writer out;

	assert(w->b == NULL);
	if (w->bytes == NULL && (w->bytes = malloc(WORK_BYTES)) == NULL)
		return ST_NOMEM;
	w->b = b;
	w->rows_n = 0;
	w->parts_left = 0;
	out = writer_of(w->bytes, WORK_BYTES);
	for (uint32_t i = 0; i < b->items_n; i++) {
		struct item *it = &b->items[i];
		uint8_t *before = out.p;

		if (it->held != REASON_NONE)
			continue;
		it->stored = ST_OK;
		if (row_encode(&w->rows[w->rows_n], it, &out, now_ms)) {
			w->rows_n++;
			continue;
		}
		out.p = before;
		out.bad = false;
		it->held = REASON_RENDER_FAILED;
		snprintf(it->held_detail, sizeof(it->held_detail), "larger than the store takes");
	}
	return ST_OK;
}

uint64_t pg_lanes_of(const struct item *it)
{
	uint64_t lanes = 1ull << it->lane;
	uint8_t key[16];

	if (it->number != 0)
		lanes |= 1ull << pg_lane_register(it->result->unit,
						  slice_str(it->kind->register_code));
	for (uint8_t i = 0; i < it->c.holders_n; i++) {
		holder_key(key, &it->c.holders[i], it->result->unit, it->c.code, i);
		lanes |= 1ull << lane_of_key(key);
	}
	locator_case(key, it->result->unit, it->c.code);
	lanes |= 1ull << lane_of_key(key);
	if (it->result->replaces.n > 0 && id_read(key, it->result->replaces)) {
		uint8_t old[16];

		memcpy(old, key, sizeof(old));
		locator_replaced(key, old);
		lanes |= 1ull << lane_of_key(key);
	}
	return lanes;
}

bool pg_row_live(const struct pg_row *row)
{
	return row->it->held == REASON_NONE && row->it->stored != ST_CONFLICT;
}

/* ---- which of them a part writes ---- */

static bool lies(uint8_t lane, uint8_t server, int16_t only, const struct pg_servers *servers)
{
	return servers->of_lane[lane] == server && (only == PG_LANE_ANY || only == lane);
}

bool pg_row_lies(const struct pg_row *row, enum pg_part_kind kind, uint8_t server, int16_t lane,
		 const struct pg_servers *servers, uint32_t *bytes)
{
	bool result = lies(row->it->lane, server, lane, servers), other = false;

	if (kind == PART_BEFORE) {
		*bytes = 100;
		return result || lies(row->register_lane, server, lane, servers);
	}
	for (uint8_t i = 0; i < row->holdings_n; i++)
		other |= lies(lane_of_key(row->holdings[i].key), server, lane, servers);
	for (uint8_t i = 0; i < row->locators_n; i++)
		other |= lies(lane_of_key(row->locators[i]), server, lane, servers);
	*bytes = 200 + (result ? (uint32_t)(row->record.n + row->it->doc.body_size) : 0);
	return result || other;
}

struct pick { const struct pg_row *row; uint8_t k, index; };
struct picks { uint32_t n; struct pick of[BATCH_ITEMS_MAX * CASE_HOLDERS_MAX]; };

static uint8_t lane_picked(enum pg_write what, const struct pg_row *row, uint8_t k)
{
	switch (what) {
	case PGW_HOLDINGS:
		return lane_of_key(row->holdings[k].key);
	case PGW_LOCATORS:
		return lane_of_key(row->locators[k]);
	case PGW_NUMBERS:
	case PGW_LANE_NUMBERS:
	case PGW_NUMBERS_THERE:
	case PGW_LANE_NUMBERS_THERE:
		return row->register_lane;
	default:
		return row->it->lane;
	}
}

static uint8_t rows_picked(enum pg_write what, const struct pg_row *row)
{
	switch (what) {
	case PGW_HOLDINGS:
		return row->holdings_n;
	case PGW_LOCATORS:
		return row->locators_n;
	case PGW_NUMBERS:
	case PGW_LANE_NUMBERS:
	case PGW_NUMBERS_THERE:
	case PGW_LANE_NUMBERS_THERE:
		return row->it->number != 0;
	case PGW_LANE_COUNTERS:
		return row->it->stored != ST_EXISTS;
	case PGW_UNCLAIM:
	case PGW_LANE_UNCLAIM:
		return row->it->doc.section != NULL;
	default:
		return 1;
	}
}

static void pick(struct picks *out, enum pg_write what, const struct pg_part *part,
		 const struct pg_servers *servers, const struct pg_known *known)
{
	out->n = 0;
	for (uint32_t i = 0; i < part->n; i++) {
		const struct pg_row *row = &part->work->rows[part->rows[i]];

		/* Most are newer than all that was there: nothing to look for. */
		if (!pg_row_live(row) ||
		    (what == PGW_RESULTS_THERE && part->kind == PART_BEFORE &&
		     row->it->sequence > known->newest && known->newest != UINT64_MAX))
			continue;
		for (uint8_t k = 0; k < rows_picked(what, row); k++)
			if (lies(lane_picked(what, row, k), part->server, part->lane, servers))
				out->of[out->n++] = (struct pick){ row, k, part->rows[i] };
	}
}

/* ---- layers ---- */

#define LAYERS_ITEM (DOC_PARTS_MAX + DOC_SIGNATURES_MAX * (EVIDENCE_MEMBERS_MAX + 2))
#define SEEN 512u

struct needed {
	uint32_t n;
	const struct layer *seen[SEEN];	/* by address: items share most of them */
	const struct layer *of[BATCH_ITEMS_MAX * LAYERS_ITEM];
};

static void need(struct needed *out, const struct layer *l)
{
	uint32_t slot = (uint32_t)((uintptr_t)l >> 4) * 2654435761u % SEEN;

	if (out->seen[slot] == l)
		return;
	out->seen[slot] = l;
	out->of[out->n++] = l;
}

static int by_hash(const void *a, const void *b)
{
	const struct layer *const *x = a, *const *y = b;

	return memcmp((*x)->sha256, (*y)->sha256, SHA256_BYTES);
}

/* In one order everywhere, so that two transactions never wait for each other. */
static void layers_needed(struct needed *out, const struct pg_part *part,
			  const struct pg_servers *servers, struct store_layers *known)
{
	uint32_t n = 0;

	out->n = 0;
	memset(out->seen, 0, sizeof(out->seen));
	for (uint32_t i = 0; i < part->n; i++) {
		const struct pg_row *row = &part->work->rows[part->rows[i]];
		const struct item *it = row->it;

		if (!pg_row_live(row) || servers->of_lane[it->lane] != part->server)
			continue;
		for (uint8_t k = 0; k < it->doc.parts_n; k++)
			if (it->doc.parts[k].layer != NULL)
				need(out, it->doc.parts[k].layer);
		for (uint8_t k = 0; k < it->slots_n; k++) {
			const struct evidence *v = it->slots[k].plan.evidence;

			if (v == NULL)
				continue;
			need(out, &v->certificate);
			need(out, &v->set);
			for (uint8_t m = 0; m < v->members_n; m++)
				need(out, v->members[m]);
		}
	}
	for (uint32_t i = 0; i < out->n; i++)
		if (layers_find(known, out->of[i]->sha256) == 0)
			out->of[n++] = out->of[i];
	out->n = n;
	qsort(out->of, out->n, sizeof(out->of[0]), by_hash);
	n = 0;
	for (uint32_t i = 0; i < out->n; i++)
		if (n == 0 || by_hash(&out->of[n - 1], &out->of[i]) != 0)
			out->of[n++] = out->of[i];
	out->n = n;
}

bool pg_layers_known(const struct pg_part *part, const struct pg_servers *servers,
		     struct store_layers *known)
{
	struct needed all;

	layers_needed(&all, part, servers, known);
	for (uint32_t i = 0; i < all.n; i++)
		if (layers_add(known, all.of[i]->sha256, all.of[i]->size, 1) == 0)
			return false;
	return true;
}

static uint32_t fill_layers(struct pg_params *out, const struct pg_part *part,
			    const struct pg_servers *servers, const struct pg_known *known)
{
	struct needed all;

	layers_needed(&all, part, servers, known->layers);
	if (all.n == 0)
		return 0;
	pg_params_array(out, PG_OID_BYTEA, all.n);
	for (uint32_t i = 0; i < all.n; i++)
		pg_params_bytes(out, slice_of(all.of[i]->sha256, SHA256_BYTES));
	pg_params_array(out, PG_OID_BYTEA, all.n);
	for (uint32_t i = 0; i < all.n; i++)
		pg_params_bytes(out, slice_of(all.of[i]->bytes, all.of[i]->size));
	return all.n;
}

/* ---- columns ---- */

#define COLUMN(type, put, value) do { \
	pg_params_array(out, type, p->n); \
	for (uint32_t i = 0; i < p->n; i++) { \
		const struct pg_row *row = p->of[i].row; \
		const struct item *it = row->it; \
		uint8_t k = p->of[i].k; \
		(void)it; \
		(void)k; \
		put(out, value); \
	} \
} while (0)

static void fill_lanes(struct pg_params *out, enum pg_write what, const struct picks *p)
{
	COLUMN(PG_OID_INT2, pg_params_i16, lane_picked(what, row, k));
}

static void fill_number_keys(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_TEXT, pg_params_bytes, it->result->unit);
	COLUMN(PG_OID_TEXT, pg_params_bytes, slice_str(it->kind->register_code));
	COLUMN(PG_OID_INT4, pg_params_i32, (int32_t)it->register_year);
	COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->number);
}

static void fill_numbers(struct pg_params *out, const struct picks *p)
{
	fill_number_keys(out, p);
	COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->sequence);
	COLUMN(PG_OID_INT2, pg_params_i16, it->lane);
	COLUMN(PG_OID_TIMESTAMPTZ, pg_params_i64, pg_time(it->issued_ms));
}

static void fill_replaced(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_TEXT, pg_params_bytes, row->old_unit);
	COLUMN(PG_OID_INT4, pg_params_i32, (int32_t)row->old_day);
}

static void fill_says(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_INT8, pg_params_i64, row->says.facts);
	COLUMN(PG_OID_INT4, pg_params_i32, row->says.papers);
	COLUMN(PG_OID_TEXT, pg_params_bytes, slice_of(row->says.parts, row->says.parts_n));
}

static void fill_results(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->sequence);
	COLUMN(PG_OID_TEXT, pg_params_bytes, it->result->unit);
	COLUMN(PG_OID_TEXT, pg_params_bytes, it->result->kind);
	COLUMN(PG_OID_TIMESTAMPTZ, pg_params_i64, pg_time(it->issued_ms));
	COLUMN(PG_OID_BYTEA, pg_params_bytes, slice_of(it->case_digest, SHA256_BYTES));
	COLUMN(PG_OID_INT4, pg_params_i32, row->crc);
	COLUMN(PG_OID_BYTEA, pg_params_bytes, row->layers);
	COLUMN(PG_OID_BYTEA, pg_params_bytes, row->record);
	COLUMN(PG_OID_BYTEA, pg_params_bytes, slice_of(it->doc.body, it->doc.body_size));
	fill_says(out, p);
}

static void fill_holdings(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_BYTEA, pg_params_bytes, slice_of(row->holdings[k].key, 16));
	COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->sequence);
	COLUMN(PG_OID_INT2, pg_params_i16, it->lane);
	COLUMN(PG_OID_INT2, pg_params_i16, row->holdings[k].role);
	COLUMN(PG_OID_INT2, pg_params_i16, row->holdings[k].visibility);
	COLUMN(PG_OID_INT4, pg_params_i32, (int32_t)row->holdings[k].from);
	COLUMN(PG_OID_INT4, pg_params_i32, (int32_t)row->holdings[k].to);
}

static void fill_locators(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_BYTEA, pg_params_bytes, slice_of(row->locators[k], 16));
	COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->sequence);
	COLUMN(PG_OID_INT2, pg_params_i16, it->lane);
}

static void fill_indices(struct pg_params *out, const struct picks *p)
{
	pg_params_array(out, PG_OID_INT4, p->n);
	for (uint32_t i = 0; i < p->n; i++)
		pg_params_i32(out, p->of[i].index);
}

/* What the server counts by itself where it may count several lanes at once. */
static void fill_counters(struct pg_params *out, const struct picks *p)
{
	COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->sequence);
	COLUMN(PG_OID_TEXT, pg_params_bytes, it->result->unit);
	COLUMN(PG_OID_TEXT, pg_params_bytes, it->result->kind);
	COLUMN(PG_OID_TIMESTAMPTZ, pg_params_i64, pg_time(it->issued_ms));
	fill_says(out, p);
}

static void fill_rows(struct pg_params *out, enum pg_write what, const struct picks *p)
{
	if (what == PGW_LANE_NUMBERS_THERE || what == PGW_LANE_RESULTS_THERE ||
	    what == PGW_LANE_UNCLAIM)
		pg_params_one_i16(out, lane_picked(what, p->of[0].row, 0));
	else
		fill_lanes(out, what, p);
	switch (what) {
	case PGW_NUMBERS:
	case PGW_LANE_NUMBERS:
		fill_numbers(out, p);
		break;
	case PGW_RESULTS:
		fill_results(out, p);
		fill_replaced(out, p);
		break;
	case PGW_LANE_RESULTS:
		fill_results(out, p);
		break;
	case PGW_LANE_COUNTERS:
		fill_counters(out, p);
		fill_replaced(out, p);
		break;
	case PGW_HOLDINGS:
		fill_holdings(out, p);
		break;
	case PGW_LOCATORS:
		fill_locators(out, p);
		break;
	case PGW_UNCLAIM:
	case PGW_LANE_UNCLAIM:
		COLUMN(PG_OID_BYTEA, pg_params_bytes,
		       slice_of(it->doc.section->sha256, SHA256_BYTES));
		break;
	case PGW_NUMBERS_THERE:
	case PGW_LANE_NUMBERS_THERE:
		fill_number_keys(out, p);
		fill_indices(out, p);
		break;
	default:
		COLUMN(PG_OID_INT8, pg_params_i64, (int64_t)it->sequence);
		fill_indices(out, p);
	}
}

uint32_t pg_fill(struct pg_params *out, enum pg_write what, const struct pg_part *part,
		 const struct pg_servers *servers, const struct pg_known *known)
{
	struct picks p;

	pg_params_begin(out);
	switch (what) {
	case PGW_LAYERS:
		return fill_layers(out, part, servers, known);
	case PGW_MONTHS:
		pg_params_one_i32(out, part->month);
		pg_params_one_i32(out, part->months);
		return 1;
	case PGW_NEWEST:
		return 1;
	case PGW_FOLD:
		pg_params_one_i16(out, part->lane);
		pg_params_one_i16(out, part->engine);
		return 1;
	default:
		pick(&p, what, part, servers, known);
		if (p.n > 0)
			fill_rows(out, what, &p);
		return p.n;
	}
}

/* ---- parts ---- */

void pg_part_halve(struct pg_part *part, struct pg_part *rest)
{
	uint32_t half = part->n / 2;

	rest->lane = part->lane;
	rest->months_made = part->months_made;
	rest->broken = part->broken;
	rest->n = part->n - half;
	memcpy(rest->rows, part->rows + half, rest->n);
	rest->bytes = part->bytes - part->bytes / 2;
	part->n = half;
	part->bytes /= 2;
}

/* ---- months ---- */

int32_t pg_day_of(int64_t unix_ms)
{
	return (int32_t)((unix_ms - YEAR_2000_MS) / DAY_MS);
}

void pg_months_of(const struct pg_part *part, int32_t *first, int32_t *n)
{
	uint64_t lowest = UINT64_MAX, highest = 0;

	for (uint32_t i = 0; i < part->n; i++) {
		uint64_t sequence = part->work->rows[part->rows[i]].it->sequence;

		lowest = sequence < lowest ? sequence : lowest;
		highest = sequence > highest ? sequence : highest;
	}
	*first = pg_day_of(sequence_ms(lowest));
	*n = (pg_day_of(sequence_ms(highest)) - *first) / MONTH_DAYS_MIN + 2;
}
