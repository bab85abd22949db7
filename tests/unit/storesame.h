/*
 * storesame.h - what every store does alike, whoever made it: the tests of store.h's contract, run
 * over the embedded store and over PostgreSQL.
 */
#ifndef TESTS_STORESAME_H
#define TESTS_STORESAME_H

#include "objects/objects.h"
#include "storecase.h"
#include "storewait.h"

#define SAME_NOW_MS (STORECASE_BASE_MS + 1000000)

struct storesame {
	struct storecase sc;
	struct storewait wait;
	struct store *store;
	struct store_reader *reader;
	/* Closes and opens the store and its reader: nothing may hang on what is in memory. */
	void (*reopen)(struct storesame *f);
	int (*event_rows)(struct storesame *f);
	struct objects *objects;	/* the store's originals */
	bool keeps;			/* it has them itself: none is left in the depot */
	void (*spoil)(struct storesame *f);	/* damages the originals that it has */
};

/* The reader of a store that was just opened. */
void same_opened(struct storesame *f);
/* Both; a second time nothing. */
void same_close(struct storesame *f);
enum status same_put_batch(struct storesame *f);
/* Results first … first + n, all of them new. */
void same_put(struct storesame *f, uint32_t first, uint32_t n);
enum status same_get(struct storesame *f, uint32_t k, struct result_view *v);
void same_check_all(struct storesame *f, uint32_t first, uint32_t n);
/* The mark of the first unit's register. */
uint64_t same_highest(struct storesame *f);

/* An original, kept in depot and store. */
void same_bring(struct storesame *f, uint8_t lane, struct slice bytes);

/* A set that names one list, and a certificate, all of made-up bytes. */
struct proof { struct evidence v; struct layer list; char set[200]; };

void same_proof(struct proof *p, const char *list);
void same_put_with(struct storesame *f, uint32_t k, const struct proof *p);

/* The tests; their state is a struct storesame. */
void same_stored_as_given(void **state);
void same_offsets(void **state);
void same_first_stored_wins(void **state);
void same_number_taken(void **state);
void same_held_items_stay_out(void **state);
void same_list_pages(void **state);
void same_find_case(void **state);
void same_holders(void **state);
void same_validity(void **state);
void same_life(void **state);
void same_lives_in_lists(void **state);
void same_reads_together(void **state);
void same_readings(void **state);
void same_readings_of_many(void **state);
void same_reuse_counts_once(void **state);
void same_reuse_hides_no_holder(void **state);
void same_shares(void **state);
void same_shares_hide_no_life(void **state);
void same_link(void **state);
void same_void(void **state);
void same_book(void **state);
void same_voided_result(void **state);
void same_ended_result(void **state);
void same_disputed(void **state);
void same_evidence_is_kept(void **state);
void same_copies(void **state);
void same_acts_of_one_day(void **state);
void same_replaced_on_its_own_day(void **state);
void same_told_apart(void **state);

#define SAME_TESTS(setup, teardown) \
	cmocka_unit_test_setup_teardown(same_stored_as_given, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_offsets, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_first_stored_wins, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_number_taken, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_held_items_stay_out, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_list_pages, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_find_case, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_holders, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_validity, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_life, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_lives_in_lists, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_reads_together, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_readings, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_readings_of_many, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_reuse_counts_once, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_reuse_hides_no_holder, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_shares, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_shares_hide_no_life, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_link, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_void, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_book, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_voided_result, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_ended_result, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_disputed, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_evidence_is_kept, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_copies, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_acts_of_one_day, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_replaced_on_its_own_day, setup, teardown), \
	cmocka_unit_test_setup_teardown(same_told_apart, setup, teardown)

#endif
