#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/stencil.h"
#include "sample/sample.h"
#include "trien/v1/case.pb-c.h"

#define SERIALS 2000
#define ID "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"

static struct workload marital = { .mixes = { { "xac-nhan-tinh-trang-hon-nhan", 1 } },
				   .mixes_n = 1 };
static struct workload all = { .mixes = { { "one-stop", 1 } }, .mixes_n = 1 };

static struct stencils *made(struct workload *w, uint64_t seed, uint32_t run)
{
	struct stencils *s;
	struct error e;

	assert_int_equal(stencil_make(&s, w, seed, run, &e), ST_OK);
	return s;
}

static uint8_t *written(const struct stencils *s, uint32_t serial, const char *replaces, size_t *n)
{
	uint8_t *p;

	*n = stencil_size(s, serial, replaces != NULL);
	p = malloc(*n);
	stencil_write(s, serial, replaces, p);
	return p;
}

static Trien__V1__Case *decoded(const struct stencils *s, uint32_t serial, const char *replaces)
{
	size_t n;
	uint8_t *p = written(s, serial, replaces, &n);
	Trien__V1__Case *c = trien__v1__case__unpack(NULL, n, p);

	free(p);
	assert_non_null(c);
	return c;
}

static const char *text_of(const Trien__V1__CaseResult *r, const char *name)
{
	for (size_t i = 0; i < r->n_fields; i++)
		if (strcmp(r->fields[i]->name, name) == 0)
			return r->fields[i]->text;
	return NULL;
}

static void each_serial_is_a_case_of_its_own(void **state)
{
	struct stencils *s = made(&all, 1, 7);
	char before[STENCIL_CODE_BYTES + 1] = "";
	uint32_t serial;

	for (uint32_t i = 0; i < SERIALS; i++) {
		Trien__V1__Case *c = decoded(s, i, NULL);
		char code[STENCIL_CODE_BYTES + 1], citizen[STENCIL_CITIZEN_BYTES + 1];

		stencil_code(s, i, code);
		assert_string_equal(c->code, code);
		assert_true(strcmp(code, before) > 0);
		memcpy(before, code, sizeof(code));
		assert_true(stencil_serial(s, slice_str(code), &serial));
		assert_int_equal(serial, i);
		code[1]++;	/* another run's */
		assert_false(stencil_serial(s, slice_str(code), &serial));
		assert_int_equal(c->n_results, stencil_results(s, i));
		assert_string_equal(c->results[0]->unit, stencil_unit(s, i));
		if (stencil_citizen(s, i, citizen))
			assert_string_equal(c->holders[0]->number, citizen);
		trien__v1__case__free_unpacked(c, NULL);
	}
	stencil_free(s);
}

/* What stands in the fields is what the holder is called. */
static void names_and_numbers_change_everywhere(void **state)
{
	struct stencils *s = made(&marital, 3, 7);
	uint32_t names = 0, numbers = 0;
	char name[200] = "", number[16] = "";

	for (uint32_t i = 0; i < SERIALS; i++) {
		Trien__V1__Case *c = decoded(s, i, NULL);
		const Trien__V1__Holder *h = c->holders[0];

		assert_string_equal(text_of(c->results[0], "ho_ten"), h->name);
		if (h->id_kind == TRIEN__V1__HOLDER__ID_KIND__CITIZEN) {
			assert_non_null(strstr(text_of(c->results[0], "giay_to"), h->number));
			assert_memory_equal(h->number, "099", 3);
			numbers += strcmp(h->number, number) != 0;
			snprintf(number, sizeof(number), "%s", h->number);
		}
		names += strcmp(h->name, name) != 0;
		snprintf(name, sizeof(name), "%s", h->name);
		trien__v1__case__free_unpacked(c, NULL);
	}
	assert_true(names > SERIALS * 0.95);
	assert_true(numbers > SERIALS * 0.9);
	stencil_free(s);
}

static void the_same_serial_is_the_same_bytes(void **state)
{
	struct stencils *a = made(&all, 5, 9), *b = made(&all, 5, 9), *c = made(&all, 5, 10);

	for (uint32_t i = 0; i < SERIALS; i++) {
		size_t n, m, k;
		uint8_t *p = written(a, i, NULL, &n), *q = written(b, i, NULL, &m);
		uint8_t *r = written(c, i, NULL, &k);

		assert_int_equal(n, m);
		assert_memory_equal(p, q, n);
		/* Another run has other codes. */
		assert_int_equal(n, k);
		assert_memory_not_equal(p, r, n);
		free(p);
		free(q);
		free(r);
	}
	stencil_free(a);
	stencil_free(b);
	stencil_free(c);
}

static void one_in_anothers_place_names_it(void **state)
{
	struct workload w = marital;
	struct stencils *s;

	w.reissue = true;
	s = made(&w, 1, 7);
	for (uint32_t i = 0; i < 100; i++) {
		Trien__V1__Case *c = decoded(s, i, NULL), *again = decoded(s, i, ID);

		assert_string_equal(again->code, c->code);
		assert_string_equal(again->holders[0]->number, c->holders[0]->number);
		assert_string_equal(again->results[0]->replaces, ID);
		assert_int_equal(again->results[0]->revision, 1);
		assert_string_equal(c->results[0]->replaces, "");
		assert_int_equal(c->results[0]->revision, 0);
		trien__v1__case__free_unpacked(c, NULL);
		trien__v1__case__free_unpacked(again, NULL);
	}
	stencil_free(s);
}

static void given_numbers_are_never_the_same(void **state)
{
	struct workload w = { .mixes = { { "giay-chung-nhan-dang-ky-ho-kinh-doanh", 1 } },
			      .mixes_n = 1 };
	struct stencils *s = made(&w, 1, 7);
	uint64_t before = 0;

	for (uint32_t i = 0; i < SERIALS; i++) {
		Trien__V1__Case *c = decoded(s, i, NULL);

		assert_true(c->results[0]->given_number > before);
		before = c->results[0]->given_number;
		trien__v1__case__free_unpacked(c, NULL);
	}
	stencil_free(s);
}

/* A copy's case, and an original that bears its code; others bring none. */
static void copies_come_with_their_original(void **state)
{
	struct workload w = { .mixes = { { "one-stop", 1 }, { SAMPLE_COPY_KIND, 1 } },
			      .mixes_n = 2 };
	struct stencils *s = made(&w, 1, 7), *other = made(&w, 1, 7);
	uint32_t copies = 0;

	for (uint32_t i = 0; i < SERIALS; i++) {
		Trien__V1__Case *c = decoded(s, i, NULL);
		char code[STENCIL_CODE_BYTES + 1];
		uint8_t *p, *q;
		size_t n;

		assert_int_equal(strcmp(c->results[0]->kind, SAMPLE_COPY_KIND) == 0,
				 stencil_copies(s, i));
		trien__v1__case__free_unpacked(c, NULL);
		if (!stencil_copies(s, i))
			continue;
		copies++;
		n = stencil_original_size(s, i);
		p = malloc(n);
		q = malloc(n);
		stencil_original(s, i, p);
		stencil_original(other, i, q);
		assert_memory_equal(p, q, n);
		stencil_code(s, i, code);
		assert_non_null(memmem(p, n, code, STENCIL_CODE_BYTES));
		free(p);
		free(q);
	}
	assert_in_range(copies, SERIALS * 4 / 10, SERIALS * 6 / 10);
	stencil_free(s);
	stencil_free(other);
}

static void an_unknown_mix_is_refused(void **state)
{
	struct workload w = { .mixes = { { "no-such-kind", 1 } }, .mixes_n = 1 };
	struct stencils *s;
	struct error e;

	assert_int_equal(stencil_make(&s, &w, 1, 1, &e), ST_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_serial_is_a_case_of_its_own),
		cmocka_unit_test(names_and_numbers_change_everywhere),
		cmocka_unit_test(the_same_serial_is_the_same_bytes),
		cmocka_unit_test(one_in_anothers_place_names_it),
		cmocka_unit_test(given_numbers_are_never_the_same),
		cmocka_unit_test(copies_come_with_their_original),
		cmocka_unit_test(an_unknown_mix_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
