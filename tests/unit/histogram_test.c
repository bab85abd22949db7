#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/histogram.h"

#define VALUES 20000

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* From single microseconds to hours, as a bad day has them. */
static void fill(uint64_t *v, struct histogram *h, uint64_t seed)
{
	for (int i = 0; i < VALUES; i++) {
		v[i] = next(&seed) >> (28 + next(&seed) % 36);
		histogram_record(h, (int64_t)v[i]);
	}
	qsort(v, VALUES, sizeof(v[0]), ascending);
}

static const double shares[] = { 0, 0.001, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1 };

static void percentiles_are_those_of_the_sorted_values(void **state)
{
	static struct histogram h;
	static uint64_t v[VALUES];

	fill(v, &h, 88172645463325252u);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		size_t rank = (size_t)ceil(shares[i] * VALUES);
		uint64_t exact = v[rank > 0 ? rank - 1 : 0], got = histogram_at(&h, shares[i]);

		assert_true(got >= exact);
		assert_true(got - exact <= exact / 1024);
	}
	assert_int_equal(histogram_at(&h, 1), v[VALUES - 1]);
	assert_int_equal(h.max_us, v[VALUES - 1]);
}

static void the_mean_is_exact(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	histogram_record(h, 1);
	histogram_record(h, 3000000);
	histogram_record(h, -5);
	assert_true(histogram_mean(h) == 3000001.0 / 3);
	assert_int_equal(histogram_at(h, 0), 0);
	free(h);
}

static void two_merged_are_one(void **state)
{
	static struct histogram a, b, both;
	static uint64_t v[VALUES];

	fill(v, &a, 1);
	fill(v, &b, 2);
	fill(v, &both, 1);
	fill(v, &both, 2);
	histogram_merge(&a, &b);
	assert_int_equal(a.n, both.n);
	assert_int_equal(a.max_us, both.max_us);
	assert_memory_equal(a.counts, both.counts, sizeof(a.counts));
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		assert_int_equal(histogram_at(&a, shares[i]), histogram_at(&both, shares[i]));
}

static void what_is_too_large_counts_as_the_largest(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	histogram_record(h, INT64_MAX);
	assert_int_equal(h->n, 1);
	assert_int_equal(histogram_at(h, 0.5), (1ull << HISTOGRAM_BITS_MAX) - 1);
	free(h);
}

static void nothing_recorded_is_nothing(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	assert_int_equal(histogram_at(h, 0.99), 0);
	assert_true(histogram_mean(h) == 0);
	free(h);
}

/* The least number of values of which one lies above the share's. */
static void few_values_carry_no_high_share(void **state)
{
	static const struct { double share; uint64_t least; } rows[] = {
		{ 0.5, 2 }, { 0.9, 10 }, { 0.99, 100 }, { 0.999, 1000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct histogram *h = calloc(1, sizeof(*h));

		for (uint64_t n = 0; n < rows[i].least; n++) {
			assert_false(histogram_carries(h, rows[i].share));
			histogram_record(h, (int64_t)n);
		}
		assert_true(histogram_carries(h, rows[i].share));
		assert_true(histogram_at(h, rows[i].share) < h->max_us);
		free(h);
	}
}

/* Every line: rising, its count right, the end the whole. */
static void the_text_is_a_percentile_table(void **state)
{
	static struct histogram h;
	static uint64_t v[VALUES];
	char *text = NULL, *line, *save = NULL;
	double value, share, before = -1, left;
	unsigned long long n;
	size_t size, lines = 0;
	FILE *f = open_memstream(&text, &size);

	fill(v, &h, 77);
	histogram_write(&h, f);
	fclose(f);
	assert_non_null(strstr(text, "Percentile TotalCount 1/(1-Percentile)\n\n"));
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		int got = sscanf(line, "%lf %lf %llu %lf", &value, &share, &n, &left);

		if (line[0] == '#' || got < 3)
			continue;
		lines++;
		assert_true(share > before);
		before = share;
		assert_true(got == 3 || fabs(left * (1 - share) - 1) < 0.02);
		assert_true((double)n >= share * VALUES);
		assert_true(n == VALUES || (double)v[n] / 1e3 >= value * 0.999);
		assert_true((double)v[n - 1] / 1e3 <= value + 0.0005);
	}
	assert_true(share == 1 && n == VALUES);
	assert_true(lines > 40);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
		cmocka_unit_test(the_mean_is_exact),
		cmocka_unit_test(two_merged_are_one),
		cmocka_unit_test(what_is_too_large_counts_as_the_largest),
		cmocka_unit_test(nothing_recorded_is_nothing),
		cmocka_unit_test(few_values_carry_no_high_share),
		cmocka_unit_test(the_text_is_a_percentile_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
