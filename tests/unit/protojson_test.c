#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/protojson.h"
#include "client/wellknown.h"
#include "google/rpc/error_details.pb-c.h"
#include "trien/v1/case.pb-c.h"
#include "trien/v1/issuance.pb-c.h"

static Trien__V1__Case *parse(const char *text, struct error *e)
{
	ProtobufCMessage *m = NULL;

	*e = (struct error){ 0 };
	if (protojson_parse(&m, slice_str(text), &trien__v1__case__descriptor, e) != ST_OK) {
		assert_int_equal(e->status, ST_INVALID);
		return NULL;
	}
	return (Trien__V1__Case *)m;
}

static void refused(const char *text, const char *why)
{
	struct error e;

	assert_null(parse(text, &e));
	assert_string_equal(e.text, why);
}

static void both_names_and_every_type(void **state)
{
	struct error e;
	Trien__V1__Case *c = parse("{\"unit\":null}", &e);

	assert_null(c);		/* even null does not make a name known */
	assert_string_equal(e.text, "no member \"unit\" in Case");
	c = parse("{\"code\":\"H1\",\"requestId\":\"r\",\"priority\":\"PRIORITY_BULK\","
		"\"facts\":null,"
		"\"holders\":[{\"id_kind\":1,\"number\":\"0\",\"from\":{\"year\":2026}}],"
		"\"results\":[{\"given_number\":\"18446744073709551615\",\"fields\":["
		"{\"name\":\"a\",\"text\":\"\\u0110\\u1eb7ng\"},"
		"{\"name\":\"b\",\"number\":{\"value\":-1250,\"decimals\":\"2\"}},"
		"{\"name\":\"c\",\"flag\":false},"
		"{\"name\":\"d\",\"table\":{\"rows\":[{\"cells\":[\"x\",\"\"]},{}]}}]}],"
		"\"approval\":{\"shownSha256\":\"AAH_-w\","
		"\"approve_time\":\"2026-07-01T08:30:00.25+07:00\"}}", &e);
	assert_non_null(c);
	assert_string_equal(c->request_id, "r");
	assert_int_equal(c->priority, TRIEN__V1__PRIORITY__PRIORITY_BULK);
	assert_int_equal(c->holders[0]->id_kind, TRIEN__V1__HOLDER__ID_KIND__CITIZEN);
	assert_int_equal(c->holders[0]->from->year, 2026);
	assert_true(c->results[0]->given_number == UINT64_MAX);
	assert_string_equal(c->results[0]->fields[0]->text, "Đặng");
	assert_true(c->results[0]->fields[1]->number->value == -1250);
	assert_int_equal(c->results[0]->fields[1]->number->decimals, 2);
	assert_int_equal(c->results[0]->fields[2]->value_case, TRIEN__V1__FIELD__VALUE_FLAG);
	assert_int_equal(c->results[0]->fields[3]->table->n_rows, 2);
	assert_int_equal(c->results[0]->fields[3]->table->rows[0]->n_cells, 2);
	assert_null(c->facts);
	assert_int_equal(c->approval->shown_sha256.len, 4);
	assert_memory_equal(c->approval->shown_sha256.data, "\x00\x01\xff\xfb", 4);
	assert_true(c->approval->approve_time->seconds == 1782869400);
	assert_int_equal(c->approval->approve_time->nanos, 250000000);
	trien__v1__case__free_unpacked(c, NULL);
}

static void errors_name_the_place_and_no_value(void **state)
{
	struct error e;

	refused("{\"code\":\"Trần\",\"code\":\"x\"}",
		"line 1, column 21: duplicate object key");
	assert_null(parse("{\"code\":\n\"Trần Thị B", &e));
	assert_non_null(strstr(e.text, "line 2, column "));
	assert_null(strstr(e.text, "Tr"));
	refused("[]", "an object is needed");
	refused("{\"code\":7}", "code: text is needed");
	refused("{\"request_id\":\"a\",\"requestId\":\"b\"}", "request_id: given twice");
	refused("{\"holders\":{}}", "holders: a list is needed");
	refused("{\"holders\":[{},{\"from\":{\"year\":-1}}]}",
		"holders[1].from.year: a whole number from 0 to 4294967295 is needed");
	refused("{\"holders\":[{\"from\":{\"year\":1990.5}}]}",
		"holders[0].from.year: a whole number from 0 to 4294967295 is needed");
	refused("{\"results\":[{\"fields\":[{\"number\":{\"value\":\"9223372036854775808\"}}]}]}",
		"results[0].fields[0].number.value: a whole number from -9223372036854775808 to "
		"9223372036854775807 is needed");
	refused("{\"results\":[{\"fields\":[{\"text\":\"a\",\"flag\":true}]}]}",
		"results[0].fields[0].flag: only one value may be given; text is there already");
	refused("{\"priority\":\"URGENT\"}", "priority: unknown name; known are "
		"PRIORITY_UNSPECIFIED, PRIORITY_INTERACTIVE, PRIORITY_NORMAL, PRIORITY_BULK");
	refused("{\"approval\":{\"approveTime\":\"2026-02-30T00:00:00Z\"}}",
		"approval.approve_time: a time like 2026-07-01T08:30:00+07:00 is needed");
	refused("{\"approval\":{\"shownSha256\":\"A\"}}",
		"approval.shown_sha256: base64 text is needed");
	refused("{\"results\":[{\"fields\":[{\"name\":\"a\",\"txt\":\"b\"}]}]}",
		"results[0].fields[0]: no member \"txt\" in Field");
	refused("{\"results\":[null]}", "results[0]: an object is needed");
}

static void half_read_messages_are_freed(void **state)
{
	struct error e;

	/* Leaks would be found by the address sanitizer. */
	assert_null(parse("{\"holders\":[{\"name\":\"a\"},{\"name\":\"b\",\"x\":1}]}", &e));
	assert_null(parse("{\"results\":[{\"fields\":[{\"table\":{\"rows\":[{\"cells\":[\"a\",1]}]"
			  "}}]}]}", &e));
	assert_null(parse("{\"facts\":{\"reusedResults\":[\"a\",\"b\",3]}}", &e));
}

static void what_is_written_reads_back(void **state)
{
	const char *text = "{\"code\":\"H1\","
		"\"holders\":[{\"idKind\":\"PASSPORT\",\"number\":\"P1\"}],"
		"\"results\":[{\"ordinal\":3,\"givenNumber\":\"7\",\"fields\":[{\"name\":\"c\","
		"\"flag\":false},{\"name\":\"n\",\"number\":{\"value\":\"-5\"}}]}],\"approval\":{"
		"\"approveTime\":\"2026-07-01T01:30:00.250Z\",\"shownSha256\":\"AAH/+w==\"}}";
	struct error e;
	Trien__V1__Case *c = parse(text, &e);
	char *again;
	json_t *j;

	assert_non_null(c);
	j = protojson_write(&c->base);
	again = json_dumps(j, JSON_COMPACT);
	assert_string_equal(again, text);
	free(again);
	json_decref(j);
	trien__v1__case__free_unpacked(c, NULL);
}

static void times(void **state)
{
	static const char *const bad[] = {
		"", "2026-07-01", "2026-07-01T08:30:00", "2026-07-01T08:30:00+7",
		"2026-13-01T00:00:00Z",
		"2026-07-01T24:00:00Z", "2026-07-01T08:30:60Z", "2026-07-01T08:30:00.Z",
		"2026-07-01T08:30:00.1234567891Z", "2026-07-01T08:30:00Zz",
		"0001-01-01T00:00:00+01:00",
		"9999-12-31T23:59:59-01:00", "2026-07-01T08:30:00+24:00",
	};
	char out[TIMESTAMP_TEXT_BYTES];
	int64_t s;
	int32_t n;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(timestamp_read(&s, &n, bad[i]));
	assert_true(timestamp_read(&s, &n, "0001-01-01T00:00:00Z"));
	timestamp_write(out, s, n);
	assert_string_equal(out, "0001-01-01T00:00:00Z");
	assert_true(timestamp_read(&s, &n, "9999-12-31t23:59:59.000001000z"));
	timestamp_write(out, s, n);
	assert_string_equal(out, "9999-12-31T23:59:59.000001Z");
	timestamp_write(out, INT64_MAX, 0);
	assert_string_equal(out, "");
	assert_true(duration_read(&s, &n, "-1.5s"));
	assert_true(s == -1 && n == -500000000);
	duration_write(out, s, n);
	assert_string_equal(out, "-1.500s");
	duration_write(out, 0, -1);
	assert_string_equal(out, "-0.000000001s");
	assert_false(duration_read(&s, &n, "1"));
	assert_false(duration_read(&s, &n, "1.s"));
	assert_false(duration_read(&s, &n, "99999999999999999999s"));
	assert_false(duration_read(&s, &n, "s"));
}

static void base64(void **state)
{
	static const uint8_t bytes[] = { 0xfb, 0xff, 0x00, 0x10, 0x83 };
	char text[16];
	uint8_t out[16];
	size_t n;

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		base64_write(text, bytes, len);
		assert_int_equal(strlen(text), (len + 2) / 3 * 4);
		assert_true(base64_read(out, &n, text, strlen(text)));
		assert_int_equal(n, len);
		assert_memory_equal(out, bytes, len);
	}
	assert_true(base64_read(out, &n, "-_8", 3));
	assert_int_equal(n, 2);
	assert_false(base64_read(out, &n, "A===", 4));
	assert_false(base64_read(out, &n, "AA=", 3));
	assert_false(base64_read(out, &n, "A A=", 4));
	assert_false(base64_read(out, &n, "====", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_names_and_every_type),
		cmocka_unit_test(errors_name_the_place_and_no_value),
		cmocka_unit_test(half_read_messages_are_freed),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(times),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
