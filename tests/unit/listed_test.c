/* What a holder's list shows is what receipts promised, once; one more is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/listed.h"
#include "trien/v1/repository.pb-c.h"

#define RUN 7
#define RESULTS_MAX 8

/* A run of four cases with two results each; those of the last two are in the first two's place. */
struct run {
	struct stencils *stencils;
	struct ledger l;
};

static void name(char id[STENCIL_ID_BYTES + 1], uint32_t i)
{
	snprintf(id, STENCIL_ID_BYTES + 1, "%026u", i);
}

static int set_up(void **state)
{
	static struct workload w = { .mixes = { { "xac-nhan-tinh-trang-hon-nhan", 1 } },
				     .mixes_n = 1 };
	static struct run r;
	char id[STENCIL_ID_BYTES + 1];
	struct error e;

	assert_int_equal(stencil_make(&r.stencils, &w, 1, RUN, &e), ST_OK);
	assert_int_equal(ledger_init(&r.l), ST_OK);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t at = ledger_add(&r.l, 0, 2, 0);

		for (uint8_t k = 0; k < 2; k++) {
			name(id, 2 * i + k);
			ledger_receipt(&r.l, at, k, slice_str(id), i);
		}
	}
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	struct run *r = *state;

	ledger_free(&r->l);
	stencil_free(r->stencils);
	return 0;
}

/* A result as a list shows it: its id's number, and the case's code. */
struct shown { uint32_t id; const char *code; };

static void show(struct listed *g, const struct shown *rows, size_t n, const char *token)
{
	Trien__V1__ListResultsResponse page = TRIEN__V1__LIST_RESULTS_RESPONSE__INIT;
	Trien__V1__Holding holdings[RESULTS_MAX], *list[RESULTS_MAX];
	Trien__V1__Result results[RESULTS_MAX];
	char ids[RESULTS_MAX][STENCIL_ID_BYTES + 1];
	uint8_t bytes[2000];

	for (size_t i = 0; i < n; i++) {
		trien__v1__holding__init(&holdings[i]);
		trien__v1__result__init(&results[i]);
		name(ids[i], rows[i].id);
		results[i].result_id = ids[i];
		results[i].case_code = (char *)rows[i].code;
		holdings[i].result = &results[i];
		list[i] = &holdings[i];
	}
	page.holdings = list;
	page.n_holdings = n;
	page.next_page_token = (char *)token;
	assert_true(trien__v1__list_results_response__get_packed_size(&page) <= sizeof(bytes));
	listed_page(g, slice_of(bytes, trien__v1__list_results_response__pack(&page, bytes)));
}

static struct proof judged(struct run *r, uint64_t reissue_from, const struct shown *rows, size_t n)
{
	struct listed g = { .l = &r->l, .stencils = r->stencils, .reissue_from = reissue_from,
			    .c = &r->l.cases[0] };
	struct proof p = { 0 };

	show(&g, rows, n, "");
	assert_string_equal(g.token, "");
	listed_end(&g, &p);
	return p;
}

static void each_once_is_as_promised(void **state)
{
	struct run *r = *state;
	struct listed g = { .l = &r->l, .stencils = r->stencils, .c = &r->l.cases[0] };
	struct proof p = { 0 };

	show(&g, (struct shown[]){ { 0, "L00007-000000000" } }, 1, "more");
	assert_string_equal(g.token, "more");
	show(&g, (struct shown[]){ { 1, "L00007-000000000" } }, 1, "");
	assert_string_equal(g.token, "");
	listed_end(&g, &p);
	assert_true(prove_holds(&p));
	assert_int_equal(p.listed, 2);
}

static void one_that_is_missing_or_twice_is_found(void **state)
{
	const struct shown rows[] = { { 0, "L00007-000000000" }, { 0, "L00007-000000000" } };
	struct proof p = judged(*state, 0, rows, 2);

	assert_false(prove_holds(&p));
	assert_int_equal(p.list_twice, 1);
	assert_int_equal(p.list_missing, 1);
	assert_int_equal(p.examples_n, 2);
}

/* The same case issued once more, under an id of its own. */
static void a_result_that_no_receipt_named_is_found(void **state)
{
	const struct shown rows[] = { { 0, "L00007-000000000" }, { 99, "L00007-000000000" },
				      { 1, "L00007-000000000" }, { 98, "L00007-000000003" },
				      { 97, "L00007-000000004" } };
	struct proof p = judged(*state, 0, rows, 5);

	assert_false(prove_holds(&p));
	assert_int_equal(p.duplicates, 3);
	assert_int_equal(p.list_twice + p.list_missing, 0);
	assert_non_null(strstr(p.examples[0], "00000097, which no receipt named"));
}

/* Two cases may have the same number by chance, and a number may have been another run's, too. */
static void what_another_case_was_promised_is_no_double(void **state)
{
	const struct shown rows[] = { { 0, "L00007-000000000" }, { 1, "L00007-000000000" },
				      { 2, "L00007-000000001" }, { 50, "L00008-000000000" },
				      { 51, "H99.11-261130-0001" }, { 52, "" } };
	struct proof p = judged(*state, 0, rows, 6);

	assert_true(prove_holds(&p));
	assert_int_equal(p.listed, 2);
}

/* A merger: each case has the old result and the one in its place, under the same code. */
static void re_issued_ones_are_expected_once_more(void **state)
{
	const struct shown rows[] = { { 0, "L00007-000000000" }, { 1, "L00007-000000000" },
				      { 4, "L00007-000000000" }, { 5, "L00007-000000000" } };
	struct proof p = judged(*state, 2, rows, 4);

	assert_true(prove_holds(&p));
	/* Where nothing is re-issued, those of the third case are not the first one's. */
	p = judged(*state, 0, rows, 4);
	assert_int_equal(p.duplicates, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_once_is_as_promised),
		cmocka_unit_test(one_that_is_missing_or_twice_is_found),
		cmocka_unit_test(a_result_that_no_receipt_named_is_found),
		cmocka_unit_test(what_another_case_was_promised_is_no_double),
		cmocka_unit_test(re_issued_ones_are_expected_once_more),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
