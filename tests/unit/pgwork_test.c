/*
 * From a batch to the parts that are written: which rows lie where, what stands in them, what is
 * left out, halves and months. Without a server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "identity.h"
#include "store/layers.h"
#include "store/postgres/work.h"
#include "storecase.h"

#define N 100u
#define ARRAY_HEAD 20

struct fixture {
	struct storecase sc;
	struct pg_work w;
	struct pg_servers servers;
	struct store_layers layers;
	struct pg_known known;
	struct pg_params params;
};

static const char *const four[] = { "lanes=0-15 host=/a", "lanes=16-31 host=/b",
				    "lanes=32-47 host=/c", "lanes=48-63 host=/d" };

static void servers_set(struct fixture *f, uint32_t n, bool citus)
{
	static const char *const one[] = { "host=/a" };
	struct error e;

	assert_int_equal(pg_servers_read(&f->servers, n == 1 ? one : four, n, citus, "", &e),
			 ST_OK);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || storecase_open(&f->sc, 7, 50, 1200, 500) != 0 ||
	    layers_init(&f->layers) != ST_OK)
		return -1;
	f->known = (struct pg_known){ &f->layers, 0 };
	servers_set(f, 1, false);
	storecase_fill(&f->sc, 1000, N);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	layers_free(&f->layers);
	storecase_close(&f->sc);
	pg_params_free(&f->params);
	free(f->w.bytes);
	free(f);
	return 0;
}

static void begin(struct fixture *f)
{
	f->w.b = NULL;
	assert_int_equal(pg_work_begin(&f->w, f->sc.b, STORECASE_BASE_MS), ST_OK);
}

static struct pg_part part_of_all(struct fixture *f, enum pg_part_kind kind, uint8_t server,
				  int16_t lane)
{
	struct pg_part part = { .work = &f->w, .kind = kind, .server = server, .lane = lane };

	for (uint32_t i = 0; i < f->w.rows_n; i++)
		part.rows[part.n++] = (uint8_t)i;
	return part;
}

static uint32_t fill(struct fixture *f, enum pg_write what, const struct pg_part *part)
{
	uint32_t n = pg_fill(&f->params, what, part, &f->servers, &f->known);

	if (n > 0)
		assert_true(pg_params_end(&f->params));
	return n;
}

static uint64_t be(const char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

/* Value k of an array whose values are all of that width. */
static uint64_t value(const struct fixture *f, int param, uint32_t k, size_t width)
{
	const char *p = f->params.values[param];

	assert_true(k < be(p + 12, 4));
	return be(p + ARRAY_HEAD + k * (4 + width) + 4, width);
}

static void test_rows_say_what_is_stored(void **state)
{
	struct fixture *f = *state;

	begin(f);
	assert_int_equal(f->w.rows_n, N);
	for (uint32_t i = 0; i < N; i++) {
		const struct pg_row *row = &f->w.rows[i];
		const struct item *it = &f->sc.b->items[i];
		struct stored_result r;

		assert_ptr_equal(row->it, it);
		assert_int_equal(stored_result_decode(&r, 2, row->record), ST_OK);
		assert_true(r.view.sequence == it->sequence);
		assert_true(slice_eq(r.view.case_bytes, it->case_bytes));
		assert_int_equal(r.body_size, it->doc.body_size);
		assert_int_equal(r.parts_n, it->doc.parts_n);
		assert_int_equal(row->layers.n, STORECASE_LAYERS * SHA256_BYTES);
		for (uint8_t k = 0; k < r.parts_n; k++) {
			const struct layer *l = it->doc.parts[k].layer;

			assert_int_equal(r.parts[k].layer != 0, l != NULL);
			if (l != NULL)
				assert_memory_equal(row->layers.p +
						    (r.parts[k].layer - 1) * SHA256_BYTES,
						    l->sha256, SHA256_BYTES);
		}
		assert_int_equal(row->crc, pg_crc(it->lane, it->sequence, row->layers,
						  row->record));
	}
}

static void test_held_and_conflicting_stay_out(void **state)
{
	struct fixture *f = *state;
	struct pg_part part;

	f->sc.b->items[3].held = REASON_KEY_MISSING;
	/* Longer than all memory for records: never read. */
	f->sc.b->items[5].case_bytes.n = 64u << 20;
	begin(f);
	assert_int_equal(f->w.rows_n, N - 2);
	assert_int_equal(f->sc.b->items[5].held, REASON_RENDER_FAILED);
	part = part_of_all(f, PART_ROWS, 0, PG_LANE_ANY);
	assert_int_equal(fill(f, PGW_RESULTS, &part), N - 2);
	f->w.rows[10].it->stored = ST_CONFLICT;
	f->w.rows[11].it->held = REASON_STORE_REFUSED;
	f->w.rows[12].it->stored = ST_EXISTS;
	assert_int_equal(fill(f, PGW_RESULTS, &part), N - 4);
	assert_int_equal(fill(f, PGW_HOLDINGS, &part), N - 4);
	assert_int_equal(fill(f, PGW_LOCATORS, &part), N - 4);
}

/* Each row at one server, and none twice. */
static void test_every_row_lies_once(void **state)
{
	static const enum pg_write all[] = { PGW_NUMBERS, PGW_RESULTS, PGW_HOLDINGS, PGW_LOCATORS };
	struct fixture *f = *state;

	servers_set(f, 4, false);
	begin(f);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		uint32_t n = 0;

		for (uint8_t server = 0; server < 4; server++) {
			struct pg_part part = part_of_all(f, PART_ROWS, server, PG_LANE_ANY);
			uint32_t here = fill(f, all[i], &part);

			for (uint32_t k = 0; k < here; k++)
				assert_int_equal(f->servers.of_lane[value(f, 0, k, 2)], server);
			n += here;
		}
		assert_int_equal(n, N);
	}
}

/* What an item is said to have before it is rendered is what is written of it. */
static void test_lanes_are_known_before(void **state)
{
	struct fixture *f = *state;
	char text[ID_TEXT_BYTES];

	id_text(text, f->sc.b->items[1].result_id);
	f->sc.b->items[0].c.results[0].replaces = slice_of(text, sizeof(text));
	begin(f);
	assert_int_equal(f->w.rows[0].locators_n, 2);
	for (uint32_t i = 0; i < N; i++) {
		const struct pg_row *row = &f->w.rows[i];
		uint64_t lanes = 1ull << row->it->lane | 1ull << row->register_lane;

		for (uint8_t k = 0; k < row->holdings_n; k++)
			lanes |= 1ull << lane_of_key(row->holdings[k].key);
		for (uint8_t k = 0; k < row->locators_n; k++)
			lanes |= 1ull << lane_of_key(row->locators[k]);
		assert_true(pg_lanes_of(row->it) == lanes);
	}
}

static bool sends(const struct fixture *f, const struct pg_part *part, enum pg_write what)
{
	enum pg_write all[PG_PART_WRITES_MAX];
	uint32_t n = pg_writes_of(part, f->servers.citus, all);

	while (n > 0 && all[n - 1] != what)
		n--;
	return n > 0;
}

static void test_lanes_never_meet(void **state)
{
	struct fixture *f = *state;
	struct pg_part shared;
	uint32_t n = 0, counted = 0;

	servers_set(f, 1, true);
	begin(f);
	for (int16_t lane = 0; lane < LANES; lane++) {
		struct pg_part part = part_of_all(f, PART_ROWS, 0, lane);
		uint32_t here = fill(f, PGW_HOLDINGS, &part), bytes;

		for (uint32_t k = 0; k < here; k++)
			assert_int_equal(value(f, 0, k, 2), lane);
		n += here;
		assert_false(sends(f, &part, PGW_LAYERS));
		assert_true(sends(f, &part, PGW_LANE_COUNTERS) && !sends(f, &part, PGW_RESULTS));
		here = fill(f, PGW_LANE_COUNTERS, &part);
		for (uint32_t k = 0; k < here; k++) {
			assert_int_equal(value(f, 0, k, 2), lane);
			counted++;
		}
		here = fill(f, PGW_LANE_RESULTS_THERE, &part);
		if (here > 0)
			assert_int_equal(be(f->params.values[0], 2), lane);
		for (uint32_t i = 0; i < N; i++)
			assert_true(pg_row_lies(&f->w.rows[i], PART_ROWS, 0, lane, &f->servers,
						&bytes) ||
				    (f->w.rows[i].it->lane != lane &&
				     lane_of_key(f->w.rows[i].holdings[0].key) != lane));
	}
	assert_int_equal(n, N);
	assert_int_equal(counted, N);
	/* What all shards share is a part of its own. */
	shared = part_of_all(f, PART_BEFORE, 0, PG_LANE_ANY);
	assert_int_equal(fill(f, PGW_LAYERS, &shared), STORECASE_LAYERS);
	assert_false(sends(f, &shared, PGW_NUMBERS));
}

/* Counted is what was not there: the server sums it up. */
static void test_counters(void **state)
{
	struct fixture *f = *state;
	struct pg_part part;
	uint32_t n;

	servers_set(f, 1, true);
	begin(f);
	part = part_of_all(f, PART_ROWS, 0, PG_LANE_ANY);
	f->w.rows[0].it->stored = ST_EXISTS;
	f->w.rows[1].it->stored = ST_CONFLICT;
	n = fill(f, PGW_LANE_COUNTERS, &part);
	assert_int_equal(n, N - 2);
	for (uint32_t k = 0; k < n; k++) {
		assert_int_equal(value(f, 1, k, 8), storecase_sequence(1000 + 2 + k));
		/* The first of its case; facts have none, so nothing else counts. */
		assert_int_equal(value(f, 5, k, 8), 1);
	}
}

static void test_layers_once_and_in_order(void **state)
{
	struct fixture *f = *state;
	struct pg_part part;

	begin(f);
	part = part_of_all(f, PART_BEFORE, 0, PG_LANE_ANY);
	assert_int_equal(fill(f, PGW_LAYERS, &part), STORECASE_LAYERS);
	for (uint32_t k = 1; k < STORECASE_LAYERS; k++)
		assert_true(value(f, 0, k - 1, SHA256_BYTES) != value(f, 0, k, SHA256_BYTES) &&
			    memcmp(f->params.values[0] + ARRAY_HEAD + (k - 1) * 36 + 4,
				   f->params.values[0] + ARRAY_HEAD + k * 36 + 4,
				   SHA256_BYTES) < 0);
	assert_true(pg_layers_known(&part, &f->servers, &f->layers));
	assert_int_equal(fill(f, PGW_LAYERS, &part), 0);
	assert_int_equal(f->layers.n, STORECASE_LAYERS);
}

/* Only what is no newer than all that was there is looked for before it is written. */
static void test_what_is_looked_for(void **state)
{
	struct fixture *f = *state;
	struct pg_part before, there;

	begin(f);
	before = part_of_all(f, PART_BEFORE, 0, PG_LANE_ANY);
	there = part_of_all(f, PART_RESULTS_THERE, 0, PG_LANE_ANY);
	assert_int_equal(fill(f, PGW_RESULTS_THERE, &before), 0);
	assert_int_equal(fill(f, PGW_RESULTS_THERE, &there), N);
	f->known.newest = storecase_sequence(1000 + 39);
	assert_int_equal(fill(f, PGW_RESULTS_THERE, &before), 40);
	for (uint32_t k = 0; k < 40; k++)
		assert_int_equal(value(f, 2, k, 4), k);
	f->known.newest = UINT64_MAX;
	assert_int_equal(fill(f, PGW_RESULTS_THERE, &before), N);
	f->w.rows[0].it->number = 0;
	assert_int_equal(fill(f, PGW_NUMBERS, &before), N - 1);
}

static void test_same_person_twice_is_one_holding(void **state)
{
	struct fixture *f = *state;
	struct item *it = &f->sc.b->items[0];
	struct pg_part part;

	it->c.holders_n = 2;
	it->c.holders[1] = it->c.holders[0];
	it->c.holders[1].role = HOLDER_GUARDIAN;
	begin(f);
	part = part_of_all(f, PART_ROWS, 0, PG_LANE_ANY);
	part.n = 1;
	assert_int_equal(fill(f, PGW_HOLDINGS, &part), 1);
	assert_int_equal(value(f, 4, 0, 2), HOLDER_OWNER);
}

/* Down to single items, all of them still there, in order. */
static void halve_down(struct pg_part part, bool seen[BATCH_ITEMS_MAX], uint32_t *steps)
{
	struct pg_part rest = { .work = part.work, .kind = part.kind };
	uint32_t n = part.n, bytes = part.bytes;

	if (part.n == 1) {
		assert_false(seen[part.rows[0]]);
		seen[part.rows[0]] = true;
		return;
	}
	pg_part_halve(&part, &rest);
	++*steps;
	assert_int_equal(part.n + rest.n, n);
	assert_int_equal(part.bytes + rest.bytes, bytes);
	assert_true(part.n > 0 && rest.n > 0 && part.rows[part.n - 1] < rest.rows[0]);
	assert_int_equal(rest.lane, part.lane);
	assert_true(rest.months_made);
	halve_down(part, seen, steps);
	halve_down(rest, seen, steps);
}

static void test_halves(void **state)
{
	struct fixture *f = *state;

	begin(f);
	for (uint32_t n = 1; n <= N; n++) {
		struct pg_part part = part_of_all(f, PART_ROWS, 0, 9);
		bool seen[BATCH_ITEMS_MAX] = { false };
		uint32_t steps = 0;

		part.n = n;
		part.bytes = 1001;
		part.months_made = true;
		halve_down(part, seen, &steps);
		for (uint32_t i = 0; i < n; i++)
			assert_true(seen[i]);
		assert_int_equal(steps, n - 1);
	}
}

static void test_months(void **state)
{
	struct fixture *f = *state;
	struct pg_part part;
	int32_t first, n;

	assert_int_equal(pg_day_of(946684800000LL), 0);
	assert_int_equal(pg_day_of(946684800000LL + 86400000LL * 31), 31);
	begin(f);
	part = part_of_all(f, PART_ROWS, 0, PG_LANE_ANY);
	part.n = 2;
	/* 2026-01-31 and the first instant of March: three months. */
	f->w.rows[0].it->sequence = sequence_make(1769817600000LL, 3, 0);
	f->w.rows[1].it->sequence = sequence_make(1772323200000LL, 3, 0);
	pg_months_of(&part, &first, &n);
	assert_int_equal(first, pg_day_of(1769817600000LL));
	assert_true(n >= 3 && n <= 4);
	assert_int_equal(pg_fill(&f->params, PGW_MONTHS, &(struct pg_part){ .month = first,
									     .months = n },
				 &f->servers, &f->known), 1);
	assert_true(pg_params_end(&f->params));
	assert_int_equal(be(f->params.values[0], 4), first);
	assert_int_equal(be(f->params.values[1], 4), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows_say_what_is_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_and_conflicting_stay_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_every_row_lies_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lanes_are_known_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lanes_never_meet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layers_once_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_looked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_person_twice_is_one_holding, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_halves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_months, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
