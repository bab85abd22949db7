#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "press_rig.h"

static int setup(void **state)
{
	int failed = bench_open(state);
	struct bench *b = *state;

	if (failed != 0)
		return failed;
	leaf_open(&b->leaf, 2);
	leaf_plan(&b->leaf, 4000);
	return 0;
}

static int teardown(void **state)
{
	leaf_close(&((struct bench *)*state)->leaf);
	return bench_close(state);
}

/* The embedded file, as a reader of JSON sees it. */
static json_t *data_of(struct bench *b)
{
	static const char head[] = "/Subtype/application#2Fjson/Length ";
	const struct document *d = &b->leaf.item.doc;
	const char *at;
	json_error_t e;
	json_t *root;

	assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &b->arena), ST_OK);
	at = memmem(d->body, d->body_size, head, strlen(head));
	assert_non_null(at);
	root = json_loadb(strchr(at, '{'), (size_t)atoi(at + strlen(head)), 0, &e);
	if (root == NULL)
		fail_msg("%s at %d", e.text, e.position);
	return root;
}

static const char *text_at(const json_t *root, const char *a, const char *b)
{
	const json_t *v = json_object_get(root, a);

	return json_string_value(b != NULL ? json_object_get(v, b) : v);
}

static void it_says_what_the_page_says(void **state)
{
	struct bench *b = *state;
	json_t *root = data_of(b), *fields = json_object_get(root, "fields");

	assert_string_equal(text_at(root, "schema", NULL), "trien-result/1");
	assert_string_equal(text_at(root, "kind", "code"), "giay-xac-nhan-thu");
	assert_string_equal(text_at(root, "unit", "org_code"), "H99.11");
	assert_string_equal(text_at(root, "signer", "name"), "Nguyễn Thị Hoài Thư");
	assert_string_equal(text_at(root, "number", NULL), "07/XNTN-UBND");
	assert_string_equal(text_at(root, "issued", NULL), "2026-11-24T13:00:00+07:00");
	assert_string_equal(text_at(root, "id", NULL), "0J6HB7H6NWVVR0ZVEBN63PAGS1");
	assert_string_equal(text_at(root, "url", NULL), LEAF_HOST "/V/0J6HB7H6NWVVR0ZVEBN63PAGS1");
	assert_int_equal(json_object_size(fields), b->leaf.kind.fields_n);
	assert_string_equal(text_at(fields, "ho_ten", NULL), "Lò Thị Mỷ");
	assert_string_equal(text_at(fields, "ngay_sinh", NULL), "1999-03-05");
	assert_string_equal(text_at(fields, "cu_tru_tu", NULL), "2017-03");
	assert_int_equal(json_integer_value(json_object_get(fields, "le_phi")), 15000);
	assert_true(json_is_true(json_object_get(fields, "tu_khai")));
	json_decref(root);
}

static void numbers_are_exact(void **state)
{
	static const struct { int64_t value; uint8_t decimals; const char *text; } all[] = {
		{ 0, 0, ":0," }, { 5, 2, ":0.05," }, { -1234567, 3, ":-1234.567," },
		{ 120, 1, ":12.0," }, { INT64_MIN, 0, ":-9223372036854775808," },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct document *d = &b->leaf.item.doc;
		char expected[64];

		leaf_field(&b->leaf, "le_phi")->number.value = all[i].value;
		leaf_field(&b->leaf, "le_phi")->number.decimals = all[i].decimals;
		arena_reset(&b->arena);
		json_decref(data_of(b));
		snprintf(expected, sizeof(expected), "\"le_phi\"%s", all[i].text);
		assert_non_null(memmem(d->body, d->body_size, expected, strlen(expected)));
	}
}

static void values_cannot_spell_structure(void **state)
{
	static const char *const values[] = { "endstream endobj", "%%EOF\n%PDF-1.7", "\"}\\\n\ten",
					      "ende endx eend", "tab\there" };
	static const char *const never[] = { "endstream endobj", "%%EOF\\n", "endobj\"" };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		json_t *root;

		arena_reset(&b->arena);
		leaf_set(&b->leaf, "ghi_chu", slice_str(values[i]));
		root = data_of(b);
		assert_string_equal(text_at(json_object_get(root, "fields"), "ghi_chu", NULL),
				    values[i]);
		json_decref(root);
		for (size_t k = 0; k < ARRAY_LEN(never); k++)
			assert_null(memmem(b->leaf.item.doc.body, b->leaf.item.doc.body_size,
					   never[k], strlen(never[k])));
	}
}

/* What the page does not always show stays out. */
static void private_fields_stay_out(void **state)
{
	struct bench *b = *state;
	json_t *root;

	b->leaf.defs[1].public = false;
	root = data_of(b);
	assert_null(json_object_get(json_object_get(root, "fields"), "ho_ten"));
	assert_non_null(json_object_get(json_object_get(root, "fields"), "ngay_sinh"));
	json_decref(root);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_the_page_says), TEST(numbers_are_exact),
		TEST(values_cannot_spell_structure), TEST(private_fields_stay_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
