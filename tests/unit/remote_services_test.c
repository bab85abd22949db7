/* remote.json: what is read, and what is said of what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "remote/services.h"
#include "tmpdir.h"

#define CSC(more) "{\"name\":\"a\",\"api\":\"csc\",\"url\":\"https://a.example/csc/v2\"," \
	"\"ca\":\"ca.pem\"" more "}"
#define ARRAY_WITH(answer, more) "{\"name\":\"b\",\"api\":\"hash_array\"," \
	"\"url\":\"https://b.example/s\",\"ca\":\"ca.pem\",\"body\":{\"h\":\"$hashes\"}," \
	"\"answer\":{\"signatures\":\"/s\"" answer "}" more "}"
#define FILE_OF(services) "{\"version\":1,\"services\":[" services "]}"

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[320];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static enum status load(struct services **s, const char *json, struct error *e)
{
	struct tmpdir t;
	enum status st;

	assert_int_equal(tmpdir_make(&t), 0);
	put(t.path, "remote.json", json, 0644);
	put(t.path, "ca.pem", "a certificate", 0644);
	put(t.path, "secret", "p\"w\nsecond line\n", 0600);
	put(t.path, "open", "x\n", 0640);
	st = services_load(s, t.path, t.path, e);
	tmpdir_remove(&t);
	return st;
}

static void reads_both_kinds(void **state)
{
	const struct service *s;
	struct services *all;
	struct error e = { 0 };

	assert_int_equal(load(&all, FILE_OF(
		CSC(",\"oauth\":{\"url\":\"https://a.example/t\",\"client\":\"c\","
		    "\"secret\":\"secret\"},\"mode\":\"asynchronous\",\"calls_max\":2,"
		    "\"auth_data\":[{\"id\":\"PIN\",\"value\":{\"$secret\":\"secret\"}}]") ","
		ARRAY_WITH(",\"id\":\"/i\",\"transaction\":\"/t\"",
			   ",\"poll\":{\"url\":\"https://b.example/$transaction\"},"
			   "\"headers\":{\"X-K\":{\"secret\":\"secret\"},\"X-L\":\"l\"},"
			   "\"form\":\"raw\",\"hash\":\"hex\"")), &e), ST_OK);
	assert_int_equal(services_count(all), 2);
	assert_int_equal(services_find(all, "b"), 1);
	assert_int_equal(services_find(all, "c"), -1);
	s = services_at(all, 0);
	assert_string_equal(s->client_secret, "p\"w");
	assert_string_equal(json_string_value(json_object_get(json_array_get(s->auth_data, 0),
							      "value")), "p\"w");
	assert_true(s->asynchronous && !s->raw);
	assert_true(s->hashes_max == 200 && s->calls_max == 2 && s->timeout_ms == 180000);
	s = services_at(all, 1);
	assert_int_equal(s->headers_n, 2);
	assert_true(s->raw && s->form.hash_form == FORM_HEX);
	assert_string_equal(s->form.id, "/i");
	assert_true(memcmp(s->mark, services_at(all, 0)->mark, 8) != 0);
	services_free(all);
}

static void says_what_is_wrong(void **state)
{
	static const struct { const char *json, *says; } bad[] = {
		{ FILE_OF(CSC(",\"hashs_max\":7")), "hashs_max" },
		{ FILE_OF(CSC(",\"hashes_max\":0")), "hashes_max" },
		{ FILE_OF(CSC(",\"timeout_ms\":\"3\"")), "timeout_ms" },
		{ FILE_OF(CSC(",\"mode\":\"A\"")), "mode" },
		{ FILE_OF(CSC(",\"body\":{}")), "body" },
		{ FILE_OF(CSC(",\"auth_data\":[]")), "auth_data" },
		{ FILE_OF(CSC(",\"auth_data_of\":[]")), "auth_data_of" },
		{ FILE_OF(CSC(",\"auth_data_of\":{\"k\":[{}]}")), "auth_data_of" },
		{ FILE_OF(CSC(",\"oauth\":{\"url\":\"https://a\",\"client\":\"c\"}")), "secret" },
		{ FILE_OF(CSC(",\"oauth\":{\"url\":\"http://a\",\"client\":\"c\","
			      "\"secret\":\"secret\"}")), "https" },
		{ FILE_OF(CSC(",\"headers\":{\"X\":{\"secret\":\"../x\"}}")), "secrets folder" },
		{ FILE_OF(CSC(",\"headers\":{\"X\":{\"secret\":\"open\"}}")), "chmod 600" },
		{ FILE_OF(CSC(",\"headers\":{\"X\":{\"secret\":\"none\"}}")), "none" },
		{ FILE_OF(CSC(",\"headers\":{\"X\":\"a\\nb\"}")), "X" },
		{ FILE_OF(CSC(",\"client_certificate\":\"ca.pem\"")), "client_key" },
		{ FILE_OF(CSC("") "," CSC("")), "twice" },
		{ FILE_OF(ARRAY_WITH("", ",\"item\":{\"h\":\"$hsh\"}")), "$hsh" },
		{ FILE_OF(ARRAY_WITH(",\"done\":[0]", "")), "status" },
		{ FILE_OF(ARRAY_WITH(",\"transaction\":\"/t\"", "")), "poll" },
		{ FILE_OF(ARRAY_WITH(",\"id\":\"i\"", "")), "pointer" },
		{ FILE_OF("{\"name\":\"a\",\"url\":\"https://x\"}"), "api" },
		{ FILE_OF("{\"name\":\"A B\",\"api\":\"csc\",\"url\":\"https://x\"}"), "name" },
		{ FILE_OF("{\"name\":\"a\",\"api\":\"csc\",\"url\":\"http://x\"}"), "https" },
		{ FILE_OF("{\"name\":\"a\",\"api\":\"csc\",\"url\":\"https://u:p@x\"}"), "url" },
		{ "{\"version\":2,\"services\":[" CSC("") "]}", "version" },
		{ "{\"version\":1,\"services\":[]}", "services" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct services *all;
		struct error e = { 0 };

		assert_int_not_equal(load(&all, bad[i].json, &e), ST_OK);
		if (strstr(e.text, bad[i].says) == NULL)
			fail_msg("case %zu: '%s' does not name '%s'", i, e.text, bad[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_kinds),
		cmocka_unit_test(says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
