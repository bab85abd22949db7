/* The sample cases: the same bytes again, as many as promised, nothing that the schemas refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "catalogue/catalogue.h"
#include "sample/edge.h"
#include "sample/sample.h"

#define DEMO SOURCE_DIR "/loadtest/cases/demo.jsonl"
#define EDGE SOURCE_DIR "/loadtest/cases/edge.jsonl"
#define LINKED SOURCE_DIR "/loadtest/cases/linked.jsonl"
#define DEMO_BYTES_MAX 2500000
#define DAY 20261124

/* As loadtest/README.md gives them. */
static const struct sample_options demo = { .seed = 2026, .results = 1000, .mix = "one-stop",
					    .priority = -1 };
static const struct sample_options edge = {
	.seed = 1, .first = 90001, .mix = "edge", .priority = -1
};
static const struct sample_options linked = {
	.seed = 1, .first = 80001, .cases = 3, .mix = "linked", .priority = -1
};

static char *made(const struct sample_options *o, size_t *n, struct sample_counts *counts)
{
	char *text = NULL;
	struct error e;
	FILE *f = open_memstream(&text, n);

	assert_non_null(f);
	assert_int_equal(sample_write(o, f, counts, &e), ST_OK);
	assert_int_equal(fclose(f), 0);
	return text;
}

static char *file_text(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(2 * DEMO_BYTES_MAX);

	assert_non_null(f);
	assert_non_null(text);
	*n = fread(text, 1, 2 * DEMO_BYTES_MAX - 1, f);
	assert_true(feof(f));
	fclose(f);
	text[*n] = '\0';
	return text;
}

static void assert_reproduced(const char *path, const struct sample_options *o,
			      struct sample_counts *counts)
{
	size_t kept_n, made_n;
	char *kept = file_text(path, &kept_n), *again = made(o, &made_n, counts);

	assert_int_equal(kept_n, made_n);
	assert_memory_equal(kept, again, kept_n);
	assert_true(kept_n <= DEMO_BYTES_MAX);
	free(kept);
	free(again);
}

static void demo_is_reproduced(void **state)
{
	struct sample_counts counts;

	assert_reproduced(DEMO, &demo, &counts);
	assert_int_equal(counts.results, 1000);
}

static void edge_is_reproduced(void **state)
{
	struct sample_counts counts;

	assert_reproduced(EDGE, &edge, &counts);
	assert_int_equal(counts.cases, EDGES);
}

static void linked_is_reproduced(void **state)
{
	struct sample_counts counts;

	assert_reproduced(LINKED, &linked, &counts);
	assert_int_equal(counts.cases, 3);
	assert_int_equal(counts.results, 9);
}

/* Calls each(line, context) for every line of the file. */
static size_t each_line(const char *path,
			void (*each)(const json_t *c, const char *line, void *context),
			void *context)
{
	size_t n, lines = 0;
	char *text = file_text(path, &n), *line = text, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
		json_error_t why;
		json_t *c;

		*end = '\0';
		c = json_loads(line, JSON_REJECT_DUPLICATES, &why);
		if (c == NULL)
			fail_msg("%s:%zu: %s", path, lines + 1, why.text);
		each(c, line, context);
		json_decref(c);
	}
	assert_int_equal(line - text, n);
	free(text);
	return lines;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static bool normal(const char *line, utf8proc_option_t form)
{
	utf8proc_uint8_t *out = NULL;
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)line, 0, &out,
					  UTF8PROC_NULLTERM | UTF8PROC_STABLE | form);
	bool same = n >= 0 && strcmp((const char *)out, line) == 0;

	free(out);
	return same;
}

static void check_form(const json_t *c, const char *line, void *context)
{
	size_t *decomposed = context;
	bool nfd = strstr(text_of(c, "requestId"), "nfd") != NULL;

	assert_true(normal(line, nfd ? UTF8PROC_DECOMPOSE : UTF8PROC_COMPOSE));
	if (nfd)
		assert_false(normal(line, UTF8PROC_COMPOSE));
	*decomposed += nfd;
}

static void text_is_nfc_but_where_said(void **state)
{
	size_t decomposed = 0, lines = each_line(DEMO, check_form, &decomposed);

	/* About 3 of 100. */
	assert_in_range(decomposed, lines / 100, lines / 20);
	decomposed = 0;
	each_line(EDGE, check_form, &decomposed);
	assert_int_equal(decomposed, 3);
}

static void a_case_is_the_same_in_any_run(void **state)
{
	struct sample_options o = { .seed = 5, .cases = 40, .mix = "one-stop", .priority = -1 };
	struct sample_counts counts;
	size_t n, tail_n;
	char *all = made(&o, &n, &counts), *tail;

	o.first = 31;
	o.cases = 10;
	tail = made(&o, &tail_n, &counts);
	assert_true(tail_n < n);
	assert_memory_equal(all + n - tail_n, tail, tail_n);
	free(all);
	free(tail);
}

static void what_is_unclear_is_refused(void **state)
{
	struct sample_options o = { .mix = "one-shop", .cases = 1, .priority = -1 };
	struct sample_counts counts;
	struct error e;

	assert_int_equal(sample_write(&o, stdout, &counts, &e), ST_INVALID);
	o = (struct sample_options){ .mix = "one-stop", .priority = -1 };
	assert_int_equal(sample_write(&o, stdout, &counts, &e), ST_INVALID);
}

/* ---- against the schemas ---- */

struct seen { const struct catalogue *catalogue; json_t *keys, *numbers; };

static size_t composed_bytes(const char *text)
{
	utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, 0, &nfc,
					  UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);

	assert_true(n >= 0);
	free(nfc);
	return (size_t)n;
}

static void check_text(const struct field_def *d, const char *text)
{
	bool listed = d->values_n == 0;
	utf8proc_uint8_t *nfc = utf8proc_NFC((const utf8proc_uint8_t *)text);

	if (composed_bytes(text) > d->bytes_max)
		fail_msg("%s: %zu bytes of %u", d->name, composed_bytes(text), d->bytes_max);
	assert_true(d->multiline || strchr(text, '\n') == NULL);
	for (uint8_t i = 0; i < d->values_n; i++)
		listed |= strcmp(d->values[i], (const char *)nfc) == 0;
	if (!listed)
		fail_msg("%s: \"%s\" is no value of it", d->name, text);
	free(nfc);
}

static void check_table(const struct field_def *d, const json_t *rows)
{
	size_t i, k;
	const json_t *row, *cell;

	assert_in_range(json_array_size(rows), 1, d->rows_max);
	json_array_foreach(rows, i, row) {
		const json_t *cells = json_object_get(row, "cells");

		assert_int_equal(json_array_size(cells), d->columns_n);
		json_array_foreach(cells, k, cell)
			check_text(d, json_string_value(cell));
	}
}

static void check_number(const struct field_def *d, const json_t *number)
{
	int64_t value = strtoll(text_of(number, "value"), NULL, 10), unit = 1;
	int64_t decimals = json_integer_value(json_object_get(number, "decimals"));

	for (int64_t i = 0; i < decimals; i++)
		unit *= 10;
	if (decimals > d->decimals_max || value < d->min * unit || value > d->max * unit)
		fail_msg("%s: %lld with %lld decimals", d->name, (long long)value,
			 (long long)decimals);
}

static void check_field(const struct field_def *d, const json_t *field)
{
	static const char *const keys[] = { NULL, "text", "number", "flag", "date", "table" };
	const json_t *value = json_object_get(field, keys[d->type]);

	if (value == NULL)
		fail_msg("%s has no %s", d->name, keys[d->type]);
	assert_int_equal(json_object_size(field), 2);
	if (d->type == FIELD_TEXT)
		check_text(d, json_string_value(value));
	else if (d->type == FIELD_TABLE)
		check_table(d, json_object_get(value, "rows"));
	else if (d->type == FIELD_NUMBER)
		check_number(d, value);
	else if (d->type == FIELD_DATE)
		assert_true(d->year_only || json_object_get(value, "day") != NULL);
}

/* yyyymmdd; what is not known is 0. 0: there is no such field. */
static int64_t date_of(const json_t *fields, const char *name)
{
	const json_t *field, *d;
	int64_t date = 0;
	size_t i;

	json_array_foreach(fields, i, field) {
		d = json_object_get(field, "date");
		if (strcmp(text_of(field, "name"), name) == 0 && d != NULL)
			date = json_integer_value(json_object_get(d, "year")) * 10000 +
				json_integer_value(json_object_get(d, "month")) * 100 +
				json_integer_value(json_object_get(d, "day"));
	}
	return date;
}

static void check_result(const json_t *c, const json_t *r, struct seen *seen)
{
	const struct kind *k = catalogue_kind(seen->catalogue, slice_str(text_of(r, "kind")), DAY);
	const struct signer *s =
		catalogue_signer(seen->catalogue, slice_str(text_of(r, "signer")), DAY);
	const json_t *fields = json_object_get(r, "fields"), *field;
	const char *given = text_of(r, "givenNumber");
	bool present[FIELDS_MAX] = { false };
	char key[400];
	size_t i;

	assert_non_null(k);
	assert_non_null(s);
	assert_non_null(catalogue_unit(seen->catalogue, slice_str(text_of(r, "unit")), DAY));
	assert_string_equal(s->unit, text_of(r, "unit"));
	json_array_foreach(fields, i, field) {
		int at = kind_field(k, slice_str(text_of(field, "name")));

		if (at < 0 || present[at])
			fail_msg("%s: %s is unknown or twice there", k->code,
				 text_of(field, "name"));
		present[at] = true;
		check_field(&k->fields[at], field);
	}
	if (date_of(fields, "ngay_dang_ky") != 0 &&
	    date_of(fields, "ngay_dang_ky") < date_of(fields, "ngay_sinh"))
		fail_msg("%s: registered before the birth", text_of(c, "code"));
	for (uint8_t f = 0; f < k->fields_n; f++)
		if (k->fields[f].required && !present[f])
			fail_msg("%s: %s is missing", k->code, k->fields[f].name);
	snprintf(key, sizeof(key), "%s %s %s %lld", text_of(r, "unit"), text_of(c, "code"), k->code,
		 (long long)json_integer_value(json_object_get(r, "ordinal")));
	assert_null(json_object_get(seen->keys, key));
	json_object_set_new(seen->keys, key, json_true());
	assert_int_equal(k->number_given, given[0] != '\0');
	if (given[0] != '\0') {
		assert_null(json_object_get(seen->numbers, given));
		json_object_set_new(seen->numbers, given, json_true());
	}
}

static void check_case(const json_t *c, const char *line, void *context)
{
	const json_t *results = json_object_get(c, "results"), *r;
	size_t i;

	assert_in_range(strlen(text_of(c, "code")), 1, CASE_CODE_BYTES_MAX);
	assert_in_range(strlen(text_of(c, "requestId")), 1, 64);
	assert_in_range(json_array_size(json_object_get(c, "holders")), 1, CASE_HOLDERS_MAX);
	assert_in_range(json_array_size(results), 1, CASE_RESULTS_MAX);
	assert_true(strlen(line) < CASE_BYTES_MAX);
	json_array_foreach(results, i, r)
		check_result(c, r, context);
}

/* All may be submitted to one engine, so keys and given numbers are apart over all. */
static void cases_fit_the_schemas(void **state)
{
	struct catalogue_config cfg = { .schemas = SOURCE_DIR "/schemas" };
	struct catalogue *c;
	struct error e;
	struct seen seen = { .keys = json_object(), .numbers = json_object() };

	if (catalogue_load(&c, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	seen.catalogue = c;
	each_line(DEMO, check_case, &seen);
	each_line(EDGE, check_case, &seen);
	each_line(LINKED, check_case, &seen);
	json_decref(seen.keys);
	json_decref(seen.numbers);
	catalogue_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(demo_is_reproduced),
		cmocka_unit_test(edge_is_reproduced),
		cmocka_unit_test(linked_is_reproduced),
		cmocka_unit_test(text_is_nfc_but_where_said),
		cmocka_unit_test(a_case_is_the_same_in_any_run),
		cmocka_unit_test(what_is_unclear_is_refused),
		cmocka_unit_test(cases_fit_the_schemas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
