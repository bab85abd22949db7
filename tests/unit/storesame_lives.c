/* What every store's lists say of the lives of results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "identity.h"
#include "storesame.h"

enum { AS_IT_WAS, PUT_RIGHT, PUT_ASIDE, TAKEN_BACK, RUN_OUT, IN_ITS_PLACE, ALL };

static const enum life lives[ALL] = {
	[AS_IT_WAS] = LIFE_VALID, [PUT_RIGHT] = LIFE_CORRECTED, [PUT_ASIDE] = LIFE_REPLACED,
	[TAKEN_BACK] = LIFE_REVOKED, [RUN_OUT] = LIFE_EXPIRED, [IN_ITS_PLACE] = LIFE_VALID,
};

/* All of one citizen; the last of them comes later, in another's place. */
static void put_all(struct storesame *f, struct slice number)
{
	static const struct field_def defs[] = { { .name = "den", .type = FIELD_DATE } };
	struct kind kind = f->sc.kind;
	struct field end = { .name = slice_str("den"), .type = FIELD_DATE, .date = { 2021, 0, 0 } };
	struct item *items = f->sc.b->items;
	char old[ID_TEXT_BYTES];

	kind.fields = defs;
	kind.fields_n = 1;
	kind.validity_field = 0;
	storecase_fill(&f->sc, 0, IN_ITS_PLACE);
	items[RUN_OUT].kind = &kind;
	items[RUN_OUT].c.results[0].fields = &end;
	for (int k = 0; k < IN_ITS_PLACE; k++) {
		items[k].c.holders[0].number = number;
		storecase_encode(&f->sc, &items[k]);
	}
	assert_int_equal(same_put_batch(f), ST_OK);
	id_text(old, items[PUT_ASIDE].result_id);
	storecase_fill(&f->sc, IN_ITS_PLACE, 1);
	items[0].c.holders[0].number = number;
	items[0].c.results[0].replaces = slice_of(old, sizeof(old));
	items[0].c.results[0].revision = 1;
	storecase_encode(&f->sc, &items[0]);
	assert_int_equal(same_put_batch(f), ST_OK);
}

static void tell(struct storesame *f, uint32_t k, uint8_t kind)
{
	struct result_event ev = { .lane = storecase_lane(k), .sequence = storecase_sequence(k),
				   .kind = kind, .at_ms = SAME_NOW_MS,
				   .actor = slice_str("van-thu"), .detail = slice_str("12/QĐ") };
	struct error e = { 0 };

	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_OK);
}

/* Newest first, and each as it is by itself. */
static void check_list(struct storesame *f, const uint8_t key[16], const uint8_t newer[16])
{
	struct holding_view rows[ALL + 1];
	struct result_view v;
	uint32_t n;

	assert_int_equal(f->store->ops->list(f->reader, key, 0, ALL + 1, rows, &n), ST_OK);
	assert_int_equal(n, ALL);
	for (uint32_t k = 0; k < ALL; k++) {
		const struct result_view *row = &rows[ALL - 1 - k].result;

		assert_int_equal(row->sequence, storecase_sequence(k));
		assert_int_equal(row->life, lives[k]);
		assert_int_equal(id_is_zero(row->replaced_by), k != PUT_ASIDE);
		if (k == PUT_ASIDE)
			assert_memory_equal(row->replaced_by, newer, 16);
	}
	for (uint32_t k = 0; k < ALL; k++) {
		assert_int_equal(same_get(f, k, &v), ST_OK);
		assert_int_equal(v.life, lives[k]);
	}
}

void same_lives_in_lists(void **state)
{
	struct storesame *f = *state;
	const char *number = "079000000042";
	uint8_t key[16], newer[16];

	put_all(f, slice_str(number));
	memcpy(newer, f->sc.b->items[0].result_id, sizeof(newer));
	tell(f, PUT_RIGHT, EVENT_CORRECTED);
	tell(f, TAKEN_BACK, EVENT_CORRECTED);
	tell(f, TAKEN_BACK, EVENT_REVOKED);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str(number));
	check_list(f, key, newer);
	f->reopen(f);
	check_list(f, key, newer);
}
