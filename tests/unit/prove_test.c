#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/prove.h"
#include "trien/v1/case.pb-c.h"

#define CASES 300
#define FIRST 4313

static void name(char id[STENCIL_ID_BYTES], uint32_t i)
{
	char text[STENCIL_ID_BYTES + 1];

	snprintf(text, sizeof(text), "%026u", i);
	memcpy(id, text, STENCIL_ID_BYTES);
}

/* A run that went well: one or two results a case, numbers from FIRST on in two registers. */
static void go_well(struct ledger *l)
{
	assert_int_equal(ledger_init(l), ST_OK);
	for (uint32_t b = 0; b < 2; b++) {
		uint32_t at = ledger_book(l, slice_str("ubnd-lac-xuan"),
					  slice_str(b == 0 ? "XNTTHN" : "TLKS"), 2026);

		l->books[at].listed = true;
		l->books[at].next_before = l->books[at].next_after = FIRST;
	}
	for (uint32_t i = 0; i < CASES; i++) {
		uint32_t at = ledger_add(l, i, 1 + i % 2, 0);
		struct load_case *c = &l->cases[at];

		c->state = CASE_ACCEPTED;
		for (uint8_t k = 0; k < c->results; k++) {
			struct load_result *r = &l->results[c->first + k];
			struct found *f = &r->found;

			name(f->id, c->first + k);
			f->book = k;
			f->number = l->books[k].next_after++;
			f->state = TRIEN__V1__STATE__STORED;
			r->is_found = true;
			ledger_receipt(l, at, k, slice_of(f->id, STENCIL_ID_BYTES), f->number);
		}
	}
}

static struct proof proved(struct ledger *l)
{
	struct proof p = { 0 };

	prove_results(l, &p);
	prove_numbers(l, &p);
	ledger_free(l);
	return p;
}

static void a_good_run_holds(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	p = proved(&l);
	assert_true(prove_holds(&p));
	assert_int_equal(p.cases, CASES);
	assert_int_equal(p.results, CASES + CASES / 2);
	assert_int_equal(p.stored, p.results);
	assert_int_equal(p.numbers, p.results);
	assert_int_equal(p.registers, 2);
	assert_int_equal(p.examples_n, 0);
}

static void a_lost_result_is_found(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	l.results[100].is_found = false;
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.lost, 1);
	/* Its number is nobody's now. */
	assert_int_equal(p.gaps, 1);
	assert_non_null(strstr(p.examples[0], "lost"));
}

static void a_result_that_is_not_stored_is_lost(void **state)
{
	const uint8_t states[] = { TRIEN__V1__STATE__HELD, TRIEN__V1__STATE__VOID,
				   TRIEN__V1__STATE__NUMBERED };
	struct ledger l;
	struct proof p;

	go_well(&l);
	for (uint32_t i = 0; i < ARRAY_LEN(states); i++)
		l.results[i].found.state = states[i];
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.lost, 3);
	assert_int_equal(p.held, 1);
	assert_int_equal(p.void_n, 1);
	assert_int_equal(p.gaps, 0);
}

/* It is neither double nor another one, only not there. */
static void what_is_on_its_way_is_lost_and_no_more(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	for (uint32_t i = 10; i < 12; i++) {
		l.results[i].found.state = TRIEN__V1__STATE__NUMBERED;
		l.results[i].found.number = 0;
		l.results[i].found.book = l.results[10].found.book;
	}
	p = proved(&l);
	assert_int_equal(p.lost, 2);
	assert_int_equal(p.gaps, 2);
	assert_true(p.duplicates == 0 && p.differences == 0);
	/* A stored one without a number is another one. */
	go_well(&l);
	l.results[20].found.number = 0;
	assert_int_equal(proved(&l).differences, 1);
}

static void a_case_without_receipt_is_lost(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	l.cases[ledger_add(&l, 0, 1, 0)].state = CASE_ACCEPTED;
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.lost, 1);
}

static void a_gap_is_found_wherever_it_is(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	l.books[0].next_after += 2;	/* given to nobody, at the end */
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.gaps, 2);

	go_well(&l);
	l.books[1].next_before -= 1;	/* at the beginning */
	p = proved(&l);
	assert_int_equal(p.gaps, 1);

	go_well(&l);
	l.books[0].next_after++;	/* in the middle: all behind it one further */
	for (uint64_t i = 10; i < l.cases_n; i++) {
		struct load_result *r = &l.results[l.cases[i].first];

		r->number = ++r->found.number;
	}
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.gaps, 1);
	assert_int_equal(p.duplicates, 0);
	assert_non_null(strstr(p.examples[0], "gap"));
}

static void a_number_given_twice_is_found(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	l.results[0].number = l.results[0].found.number =
		l.results[l.cases[1].first].found.number;
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.duplicates, 1);
	assert_int_equal(p.gaps, 1);
}

static void an_id_of_two_results_is_found(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	memcpy(l.results[7].id, l.results[8].id, STENCIL_ID_BYTES);
	memcpy(l.results[7].found.id, l.results[8].id, STENCIL_ID_BYTES);
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.duplicates, 1);
}

static void a_second_receipt_has_to_be_the_first(void **state)
{
	struct ledger l;
	struct proof p;
	char id[STENCIL_ID_BYTES];

	go_well(&l);
	memcpy(id, l.results[0].id, sizeof(id));
	ledger_receipt(&l, 0, 0, slice_of(id, sizeof(id)), l.results[0].number);
	assert_int_equal(l.contradictions, 0);
	id[0] = 'Z';
	ledger_receipt(&l, 0, 0, slice_of(id, sizeof(id)), l.results[0].number);
	ledger_receipt(&l, 0, 0, slice_of(l.results[0].id, sizeof(id)), 1);
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.duplicates, 2);
}

static void a_receipt_too_many_is_found(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	ledger_receipt(&l, 0, 1, slice_of(l.results[0].id, STENCIL_ID_BYTES), 1);
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.differences, 1);
}

static void found_otherwise_than_promised_is_told(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	l.results[3].number++;
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.differences, 1);
	assert_int_equal(p.duplicates, 0);
}

static void a_case_without_answer_does_not_hold(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	ledger_add(&l, 0, 1, 0);
	p = proved(&l);
	assert_false(prove_holds(&p));
	assert_int_equal(p.undecided, 1);
	assert_int_equal(p.lost, 0);
}

/* Numbers that cases bring may be any, but each once. */
static void given_numbers_need_no_order(void **state)
{
	struct ledger l;
	struct proof p;

	go_well(&l);
	l.books[0].listed = false;
	l.results[0].number = l.results[0].found.number = 990000000000;
	p = proved(&l);
	assert_true(prove_holds(&p));
}

static void whatever_fetching_found_counts(void **state)
{
	struct proof good = { .stored = 1 }, p;

	assert_true(prove_holds(&good));
	p = good;
	p.files_bad = 1;
	assert_false(prove_holds(&p));
	p = good;
	p.list_missing = 1;
	assert_false(prove_holds(&p));
	p = good;
	p.list_twice = 1;
	assert_false(prove_holds(&p));
	p = good;
	p.resent_differ = 1;
	assert_false(prove_holds(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_run_holds),
		cmocka_unit_test(a_lost_result_is_found),
		cmocka_unit_test(what_is_on_its_way_is_lost_and_no_more),
		cmocka_unit_test(a_result_that_is_not_stored_is_lost),
		cmocka_unit_test(a_case_without_receipt_is_lost),
		cmocka_unit_test(a_gap_is_found_wherever_it_is),
		cmocka_unit_test(a_number_given_twice_is_found),
		cmocka_unit_test(an_id_of_two_results_is_found),
		cmocka_unit_test(a_second_receipt_has_to_be_the_first),
		cmocka_unit_test(a_receipt_too_many_is_found),
		cmocka_unit_test(found_otherwise_than_promised_is_told),
		cmocka_unit_test(a_case_without_answer_does_not_hold),
		cmocka_unit_test(given_numbers_need_no_order),
		cmocka_unit_test(whatever_fetching_found_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
