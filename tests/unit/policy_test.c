#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/calendar.h"
#include "signer/policy.h"
#include "tmpdir.h"

#define KEY(more) "{\"id\":\"a.seal\",\"role\":\"agency\",\"unit\":\"a\",\"algorithm\":\"p256\"," \
	"\"key\":\"a.pem\",\"certificate\":\"a.pem\",\"chain\":[\"ca.pem\"]" more "}"
#define TOKEN_KEY(more) "{\"id\":\"a.seal\",\"role\":\"agency\",\"unit\":\"a\"," \
	"\"algorithm\":\"p256\",\"source\":\"pkcs11\"," \
	"\"certificate\":\"a.pem\",\"chain\":[\"ca.pem\"]" more "}"
#define TOKEN(more) "{\"name\":\"hsm\",\"module\":\"/lib/m.so\"" more "}"
#define WITH_TOKENS(tokens, keys) "{\"version\":1,\"tokens\":[" tokens "],\"keys\":[" keys "]}"
#define REMOTE(more) "{\"id\":\"a.p\",\"role\":\"person\",\"unit\":\"a\",\"signer\":\"p\"," \
	"\"algorithm\":\"rsa2048\",\"certificate\":\"p.pem\",\"chain\":[\"ca.pem\"]," \
	"\"source\":\"remote\"" more "}"
#define BRIDGE(more) "{\"id\":\"a.b\",\"role\":\"person\",\"unit\":\"a\",\"signer\":\"b\"," \
	"\"algorithm\":\"p256\",\"certificate\":\"b.pem\",\"chain\":[\"ca.pem\"]," \
	"\"source\":\"bridge\"" more "}"
#define FILE_OF(keys) "{\"version\":1,\"keys\":[" keys "]}"

static enum status load(struct policy **p, const char *json, struct error *e)
{
	struct tmpdir t;
	char path[300];
	enum status st;
	FILE *f;

	assert_int_equal(tmpdir_make(&t), 0);
	snprintf(path, sizeof(path), "%s/keys.json", t.path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(json, f);
	fclose(f);
	st = policy_load(p, t.path, e);
	tmpdir_remove(&t);
	return st;
}

static void reads_all_members(void **state)
{
	struct policy *p;
	struct error e;
	const struct key_policy *k;

	assert_int_equal(load(&p, FILE_OF(KEY(",\"kinds\":[\"x\",\"y\"],\"from\":\"2026-01-01\","
		"\"to\":\"2026-12-31\",\"evidence\":\"B-B\",\"source\":\"file\"")), &e), ST_OK);
	assert_int_equal(policy_count(p), 1);
	k = policy_key(p, 0);
	assert_string_equal(k->id, "a.seal");
	assert_null(k->signer);
	assert_int_equal(k->algorithm, ALG_P256);
	assert_true(k->from_ms == day_start_ms(20260101));
	assert_true(k->to_ms == day_start_ms(20270101));
	assert_true(policy_covers(k, slice_str("y")));
	assert_false(policy_covers(k, slice_str("xy")));
	assert_false(policy_covers(k, slice_str("")));
	assert_int_equal(k->chain_n, 1);
	policy_free(p);
}

static void reads_keys_of_tokens(void **state)
{
	static const uint8_t id[] = { 0x01, 0xa0 };
	const struct token_policy *t;
	const struct key_policy *k;
	struct policy *p;
	struct error e;

	assert_int_equal(load(&p, WITH_TOKENS(
		"{\"name\":\"other\",\"module\":\"/lib/o.so\",\"slot\":7},"
		TOKEN(",\"token\":\"Con dấu\",\"pin_file\":\"/run/pin\",\"sessions\":3,"
		      "\"network\":true,\"paths\":[\"/a\",\"/b\"]"),
		TOKEN_KEY(",\"token\":\"hsm\",\"label\":\"Khóa 1\",\"object\":\"01a0\"")), &e),
		ST_OK);
	assert_int_equal(policy_tokens(p), 2);
	t = policy_token(p, 0);
	assert_int_equal(t->slot, 7);
	assert_null(t->label);
	assert_false(t->network);
	assert_int_equal(t->sessions, 0);
	t = policy_token(p, 1);
	assert_string_equal(t->label, "Con dấu");
	assert_string_equal(t->pin_file, "/run/pin");
	assert_int_equal(t->sessions, 3);
	assert_true(t->network);
	assert_int_equal(t->paths_n, 2);
	k = policy_key(p, 0);
	assert_int_equal(k->source, SOURCE_PKCS11);
	assert_int_equal(k->token, 1);
	assert_string_equal(k->label, "Khóa 1");
	assert_int_equal(k->object_id_n, 2);
	assert_memory_equal(k->object_id, id, 2);
	assert_null(k->key_file);
	policy_free(p);
}

static void a_key_elsewhere_names_its_service(void **state)
{
	struct policy *p;
	struct error e;
	const struct key_policy *k;

	assert_int_equal(load(&p, FILE_OF(REMOTE(",\"service\":\"ca-one\"") ","
		KEY("")), &e), ST_OK);
	k = policy_key(p, 0);
	assert_int_equal(k->source, SOURCE_REMOTE);
	assert_string_equal(k->service, "ca-one");
	assert_null(k->key_file);
	assert_null(k->credential);
	assert_int_equal(policy_key(p, 1)->source, SOURCE_FILE);
	policy_free(p);
	assert_int_equal(load(&p, FILE_OF(REMOTE(",\"service\":\"ca-one\","
		"\"credential\":\"GX0112348/A\"")), &e), ST_OK);
	assert_string_equal(policy_key(p, 0)->credential, "GX0112348/A");
	assert_null(policy_key(p, 0)->user_id);
	policy_free(p);
	assert_int_equal(load(&p, FILE_OF(REMOTE(",\"service\":\"ca-one\","
		"\"user_id\":\"079/A\"")), &e), ST_OK);
	assert_string_equal(policy_key(p, 0)->user_id, "079/A");
	policy_free(p);
}

static void a_key_on_a_device_names_only_its_officer(void **state)
{
	struct policy *p;
	struct error e;
	const struct key_policy *k;

	assert_int_equal(load(&p, FILE_OF(BRIDGE("") "," KEY("")), &e), ST_OK);
	k = policy_key(p, 0);
	assert_int_equal(k->source, SOURCE_BRIDGE);
	assert_string_equal(k->signer, "b");
	assert_null(k->key_file);
	assert_null(k->service);
	assert_int_equal(policy_key(p, 1)->source, SOURCE_FILE);
	policy_free(p);
	assert_string_equal(key_source_name(SOURCE_BRIDGE), "bridge");
	assert_string_equal(key_source_name(SOURCE_FILE), "file");
}

static void open_ends_are_open(void **state)
{
	struct policy *p;
	struct error e;

	assert_int_equal(load(&p, FILE_OF(KEY("")), &e), ST_OK);
	assert_true(policy_key(p, 0)->from_ms == INT64_MIN);
	assert_true(policy_key(p, 0)->to_ms == INT64_MAX);
	assert_true(policy_covers(policy_key(p, 0), slice_str("anything")));
	policy_free(p);
}

static void says_what_is_wrong(void **state)
{
	static const struct { const char *json, *says; } bad[] = {
		{ FILE_OF(KEY(",\"too\":\"2026-12-31\"")), "too" },
		{ FILE_OF(KEY(",\"to\":\"2026-02-30\"")), "to" },
		{ FILE_OF(KEY(",\"to\":20261231")), "to" },
		{ FILE_OF(KEY(",\"kinds\":[]")), "kinds" },
		{ FILE_OF(KEY(",\"kinds\":\"x\"")), "kinds" },
		{ FILE_OF(KEY(",\"kinds\":[\"../x\"]")), "kinds" },
		{ FILE_OF(KEY(",\"signer\":\"b\"")), "signer" },
		{ FILE_OF(KEY(",\"evidence\":\"B-T\"")), "evidence" },
		{ FILE_OF(KEY(",\"source\":\"tape\"")), "source" },
		{ FILE_OF(KEY(",\"source\":\"pkcs11\"")), "token" },
		{ FILE_OF(KEY(",\"label\":\"x\"")), "label" },
		{ FILE_OF(KEY(",\"source\":\"remote\",\"service\":\"s\"")), "key" },
		{ FILE_OF(KEY(",\"service\":\"s\"")), "service" },
		{ FILE_OF(KEY(",\"credential\":\"c\"")), "credential" },
		{ FILE_OF(KEY(",\"user_id\":\"c\"")), "user_id" },
		{ FILE_OF(REMOTE(",\"service\":\"s\",\"user_id\":\"a b\"")), "user_id" },
		{ FILE_OF(REMOTE("")), "service" },
		{ FILE_OF(REMOTE(",\"service\":\"s\",\"token\":\"hsm\"")), "token" },
		{ FILE_OF(REMOTE(",\"service\":\"../s\"")), "service" },
		{ FILE_OF(REMOTE(",\"service\":\"s\",\"credential\":\"a b\"")), "credential" },
		{ FILE_OF(REMOTE(",\"service\":\"s\",\"credential\":7")), "credential" },
		{ FILE_OF(BRIDGE(",\"key\":\"b.pem\"")), "key" },
		{ FILE_OF(BRIDGE(",\"service\":\"s\"")), "service" },
		{ FILE_OF(BRIDGE(",\"token\":\"hsm\"")), "token" },
		{ FILE_OF(BRIDGE(",\"label\":\"x\"")), "label" },
		{ FILE_OF(TOKEN_KEY(",\"token\":\"hsm\",\"label\":\"x\"")), "no token" },
		{ FILE_OF("{\"id\":\"a.seal\",\"role\":\"agency\",\"unit\":\"a\"," \
			  "\"algorithm\":\"p256\",\"source\":\"bridge\"," \
			  "\"certificate\":\"a.pem\",\"chain\":[\"ca.pem\"]}"), "signer" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1"), TOKEN_KEY(",\"token\":\"hsm\"")), "label" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1"),
			      TOKEN_KEY(",\"token\":\"hsm\",\"object\":\"0g\"")), "object" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1"),
			      TOKEN_KEY(",\"token\":\"hsm\",\"object\":\"011\"")), "object" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1"),
			      TOKEN_KEY(",\"token\":\"hsm\",\"label\":\"x\",\"key\":\"a.pem\"")),
		  "key" },
		{ WITH_TOKENS(TOKEN(""), KEY("")), "tokens[0].token" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1,\"token\":\"t\""), KEY("")), "tokens[0].tok" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1,\"pin\":\"1234\""), KEY("")), "tokens[0].pin" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1,\"sessions\":33"), KEY("")), "sessions" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1,\"network\":1"), KEY("")), "network" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1,\"paths\":[\"x\"]"), KEY("")), "paths" },
		{ WITH_TOKENS(TOKEN(",\"slot\":1") "," TOKEN(",\"slot\":2"), KEY("")),
		  "tokens[1]" },
		{ WITH_TOKENS("{\"name\":\"hsm\",\"module\":\"m.so\",\"slot\":1}", KEY("")),
		  "module" },
		{ FILE_OF(KEY("") "," KEY("")), "twice" },
		{ FILE_OF("{\"id\":\"a\"}"), "unit" },
		{ FILE_OF("3"), "object" },
		{ "{\"version\":2,\"keys\":[]}", "version" },
		{ "{\"version\":1,\"keys\":[]}", "keys" },
		{ "{\"version\":1,\"keys\":[" KEY("") "],\"more\":1}", "exactly" },
		{ "{\"version\":1,\"keys\":[" KEY("") ",}", ":1:" },
		{ "{\"version\":1,\"version\":1,\"keys\":[" KEY("") "]}", "duplicate" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct policy *p;
		struct error e = { 0 };

		assert_int_not_equal(load(&p, bad[i].json, &e), ST_OK);
		if (strstr(e.text, bad[i].says) == NULL)
			fail_msg("case %zu: '%s' does not name '%s'", i, e.text, bad[i].says);
	}
}

static void a_key_file_cannot_leave_its_folder(void **state)
{
	struct policy *p;
	struct error e;

	assert_int_equal(load(&p,
			      FILE_OF("{\"id\":\"a\",\"role\":\"agency\",\"unit\":\"a\","
				      "\"algorithm\":"
				      "\"p256\",\"key\":\"../"
				      "a.pem\",\"certificate\":\"a.pem\",\"chain\":[\"ca.pem\"]}"),
			      &e),
			 ST_INVALID);
	assert_non_null(strstr(e.text, "key"));
}

static void a_missing_file_is_not_found(void **state)
{
	struct policy *p;
	struct error e;

	assert_int_equal(policy_load(&p, "/nonexistent", &e), ST_NOT_FOUND);
}

static void algorithms_have_names(void **state)
{
	for (int a = 0; a < ALG_COUNT; a++) {
		enum algorithm back;

		assert_true(algorithm_by_name(&back,
					      slice_str(algorithm_info((enum algorithm)a)->name)));
		assert_int_equal(back, a);
	}
	assert_false(algorithm_by_name(&(enum algorithm){ 0 }, slice_str("rsa1024")));
	assert_false(algorithm_by_name(&(enum algorithm){ 0 }, slice_str("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_members),
		cmocka_unit_test(reads_keys_of_tokens),
		cmocka_unit_test(open_ends_are_open),
		cmocka_unit_test(a_key_elsewhere_names_its_service),
		cmocka_unit_test(a_key_on_a_device_names_only_its_officer),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(a_key_file_cannot_leave_its_folder),
		cmocka_unit_test(a_missing_file_is_not_found),
		cmocka_unit_test(algorithms_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
