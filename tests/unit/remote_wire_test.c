/* The remote signer's messages, tickets, and places in JSON: pure bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "remote/remote.h"
#include "remote/template.h"
#include "remote/ticket.h"
#include "remote/tree.h"

static const struct remote_request sample = { .verb = REMOTE_VERB_SIGN, .tag = 7,
	.deadline_ms = 99, .key = { (const uint8_t *)"k.1", 3 },
	.unit = { (const uint8_t *)"u", 1 }, .kind = { (const uint8_t *)"kind", 4 },
	.name = { (const uint8_t *)"7/GXN", 5 },
	.ticket = { (const uint8_t *)"T", 1 }, .digest = { 1, 2, 3 } };

static void a_request_comes_back(void **state)
{
	uint8_t buf[REMOTE_MESSAGE_BYTES_MAX + 4];
	struct writer w = writer_of(buf, sizeof(buf));
	struct remote_request r;

	assert_int_equal(remote_encode(&w, &sample), ST_OK);
	assert_int_equal(remote_decode(&r, slice_of(buf + 4, writer_size(&w) - 4)), ST_OK);
	assert_int_equal(r.tag, 7);
	assert_int_equal(r.deadline_ms, 99);
	assert_true(slice_eq(r.key, sample.key) && slice_eq(r.unit, sample.unit) &&
		    slice_eq(r.kind, sample.kind) && slice_eq(r.name, sample.name) &&
		    slice_eq(r.ticket, sample.ticket));
	assert_memory_equal(r.digest, sample.digest, 32);
}

static void a_cut_or_longer_request_is_none(void **state)
{
	uint8_t buf[REMOTE_MESSAGE_BYTES_MAX + 4];
	struct writer w = writer_of(buf, sizeof(buf));
	struct remote_request r;
	size_t n;

	assert_int_equal(remote_encode(&w, &sample), ST_OK);
	n = writer_size(&w) - 4;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(remote_decode(&r, slice_of(buf + 4, i)), ST_CORRUPT);
	buf[4 + n] = 0;
	assert_int_equal(remote_decode(&r, slice_of(buf + 4, n + 1)), ST_CORRUPT);
	buf[4] = 3;
	assert_int_equal(remote_decode(&r, slice_of(buf + 4, n)), ST_CORRUPT);
}

static void an_answer_comes_back(void **state)
{
	uint8_t buf[REMOTE_ANSWER_BYTES_MAX];
	struct remote_answer a = { 9, REMOTE_REFUSED, slice_str("no") }, b;

	for (int s = 0; s < REMOTE_STATUS_COUNT; s++) {
		struct writer w = writer_of(buf, sizeof(buf));

		a.status = (enum remote_status)s;
		assert_int_equal(remote_encode_answer(&w, &a), ST_OK);
		assert_int_equal(remote_decode_answer(&b, slice_of(buf + 4, writer_size(&w) - 4)),
				 ST_OK);
		assert_int_equal(b.status, s);
		assert_true(b.tag == 9 && slice_eq(b.bytes, a.bytes));
		assert_string_not_equal(remote_status_name(b.status), "UNKNOWN");
	}
	buf[12] = REMOTE_STATUS_COUNT;
	assert_int_equal(remote_decode_answer(&b, slice_of(buf + 4, 13)), ST_CORRUPT);
}

static void a_ticket_comes_back_whole_or_not(void **state)
{
	struct ticket t = { 5, { 1, 2, 3, 4, 5, 6, 7, 8 }, 3, 10, slice_str("id-1") }, u;
	uint8_t buf[REMOTE_TICKET_BYTES_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(ticket_encode(&w, &t), ST_OK);
	assert_int_equal(ticket_decode(&u, writer_slice(&w)), ST_OK);
	assert_true(u.step == 5 && u.index == 3 && u.count == 10 && slice_eq(u.id, t.id));
	assert_memory_equal(u.mark, t.mark, 8);
	for (size_t i = 0; i < writer_size(&w); i++)
		assert_int_equal(ticket_decode(&u, slice_of(buf, i)), ST_CORRUPT);
	t.index = 10;
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(ticket_encode(&w, &t), ST_OK);
	assert_int_equal(ticket_decode(&u, writer_slice(&w)), ST_CORRUPT);
}

static void base64_is_read_as_services_write_it(void **state)
{
	static const struct { const char *text, *bytes; } good[] = {
		{ "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" },
		{ "Zm8", "fo" }, { "Zm9v\r\nYmFy", "foobar" }, { "_-_-", "\xff\xef\xfe" } };
	static const char *const bad[] = { "Z", "Zm9vY", "Zm 9", "Zm9=v", "Zh==" };
	uint8_t out[16];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		long n = tree_base64_read(out, sizeof(out), good[i].text);

		assert_int_equal(n, strlen(good[i].bytes));
		assert_memory_equal(out, good[i].bytes, (size_t)n);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(tree_base64_read(out, sizeof(out), bad[i]), -1);
	assert_int_equal(tree_base64_read(out, 2, "Zm9v"), -1);
	assert_int_equal(tree_hex_read(out, sizeof(out), "0aFF"), 2);
	assert_int_equal(tree_hex_read(out, sizeof(out), "0aF"), -1);
}

static void pointers_find_their_place(void **state)
{
	json_t *v = json_loads("{\"a\":{\"b~/\":[{\"c\":7},\"x\"]},\"n\":null}", 0, NULL);

	assert_int_equal(json_integer_value(tree_at(v, "/a/b~0~1/0/c")), 7);
	assert_string_equal(json_string_value(tree_at(v, "/a/b~0~1/1")), "x");
	assert_ptr_equal(tree_at(v, ""), v);
	assert_null(tree_at(v, "/a/b~0~1/2"));
	assert_null(tree_at(v, "/a/b~0~1/-1"));
	assert_null(tree_at(v, "/n/x"));
	assert_true(tree_is_pointer("") && tree_is_pointer("/a~1b"));
	assert_false(tree_is_pointer("a") || tree_is_pointer("/a~2") || tree_is_pointer(NULL));
	json_decref(v);
}

static void a_template_is_filled_in_whole_texts(void **state)
{
	json_t *t = json_loads("{\"s\":\"$serial\",\"l\":[\"$hashes\",\"not $serial\",1]}", 0,
			       NULL);
	struct template_word words[] = { { "$serial", json_string("0A\"") },
					 { "$hashes", json_pack("[s]", "h") } };
	json_t *out = template_fill(t, words, 2);
	char *text = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);
	char url[64];

	assert_string_equal(text, "{\"l\":[[\"h\"],\"not $serial\",1],\"s\":\"0A\\\"\"}");
	assert_null(template_unknown(t, TEMPLATE_BODY));
	assert_string_equal(template_unknown(t, TEMPLATE_ITEM), "$serial");
	assert_true(template_url(url, sizeof(url), "https://h/$transaction/x", "a/b c?"));
	assert_string_equal(url, "https://h/a%2Fb%20c%3F/x");
	assert_false(template_url(url, 12, "https://h/$transaction/x", "abc"));
	free(text);
	json_decref(out);
	json_decref(t);
	json_decref(words[0].value);
	json_decref(words[1].value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_comes_back),
		cmocka_unit_test(a_cut_or_longer_request_is_none),
		cmocka_unit_test(an_answer_comes_back),
		cmocka_unit_test(a_ticket_comes_back_whole_or_not),
		cmocka_unit_test(base64_is_read_as_services_write_it),
		cmocka_unit_test(pointers_find_their_place),
		cmocka_unit_test(a_template_is_filled_in_whole_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
