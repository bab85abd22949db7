/*
 * What is asked when: the desk with an injected clock, a network that only notes the calls, and
 * answers that the test signs itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "devkeys.h"
#include "remote/desk.h"
#include "remote/tree.h"
#include "signer/certs.h"

#define CALLS_MAX 64
#define TAGS_MAX 1024

struct noted { void *call; json_t *body; };

struct rig {
	struct devkeys keys;
	struct services *services;
	struct desk *desk;
	EVP_PKEY *key;
	struct moment now;
	struct noted calls[CALLS_MAX];	/* open ones, oldest first */
	uint32_t calls_n;
	int last[TAGS_MAX];		/* status of the last answer; -1: none */
};

static enum status note(void *ctx, void *call, const struct service *s, const struct api_request *r,
			const char *bearer)
{
	struct rig *g = ctx;

	assert_true(g->calls_n < CALLS_MAX);
	assert_null(bearer);
	g->calls[g->calls_n++] = (struct noted){ call, json_loads(r->body, 0, NULL) };
	return ST_OK;
}

static void answered(void *ctx, const struct remote_answer *a)
{
	struct rig *g = ctx;

	assert_true(a->tag < TAGS_MAX);
	assert_int_equal(g->last[a->tag], -1);
	g->last[a->tag] = (int)a->status;
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

#define SERVICE(name, calls) "{\"name\":\"" name "\",\"api\":" \
	"\"hash_array\",\"url\":\"https://s.example/\",\"ca\":\"root.pem\",\"body\":" \
	"{\"h\":\"$hashes\"},\"answer\":{\"signatures\":\"/s\"},\"hashes_max\":10," \
	"\"calls_max\":" calls ",\"age_ms\":100,\"back_off_ms\":1000,\"back_off_max_ms\":8000," \
	"\"tries\":3,\"wrong_tries\":3,\"patience_ms\":7200000,\"queue_max\":100}"

/* At a service with two keys. */
#define OF_TWO(id) "{\"id\":\"" id "\",\"role\":\"agency\",\"unit\":\"u\"," \
	"\"algorithm\":\"p256\",\"certificate\":\"k.pem\",\"chain\":" \
	"[\"issuing.pem\",\"root.pem\"],\"source\":\"remote\",\"service\":\"two\"}"

static int setup(void **state)
{
	static const struct desk_outlets none;
	struct desk_outlets out = none;
	struct rig *g = calloc(1, sizeof(*g));
	struct error e = { 0 };
	char path[400];
	FILE *f;

	*state = g;
	memset(g->last, 0xff, sizeof(g->last));
	assert_int_equal(devkeys_open(&g->keys, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&g->keys, ALG_P256, "k", "u", NULL), 0);
	assert_int_equal(devca_publish(g->keys.ca, &g->keys.e), ST_OK);
	put(g->keys.certs, "keys.json",
	    "{\"version\":1,\"keys\":[{\"id\":\"k\",\"role\":\"agency\","
	    "\"unit\":\"u\",\"algorithm\":\"p256\",\"certificate\":\"k.pem\",\"chain\":"
	    "[\"issuing.pem\",\"root.pem\"],\"source\":\"remote\",\"service\":\"s\"},"
	    OF_TWO("a") "," OF_TWO("b") ",{\"id\":\"p\",\"role\":\"person\",\"signer\":\"x\","
	    "\"unit\":\"u\",\"algorithm\":\"p256\",\"certificate\":\"k.pem\",\"chain\":"
	    "[\"issuing.pem\",\"root.pem\"],\"source\":\"remote\",\"service\":\"three\"}]}");
	put(g->keys.certs, "remote.json",
	    "{\"version\":1,\"services\":[" SERVICE("s", "2") "," SERVICE("two", "3") ","
	    SERVICE("three", "2") "]}");
	snprintf(path, sizeof(path), "%s/k.pem", g->keys.keys);
	f = fopen(path, "r");
	assert_non_null(f);
	g->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(g->key);
	out = (struct desk_outlets){ g, note, answered };
	assert_int_equal(services_load(&g->services, g->keys.certs, g->keys.certs, &e), ST_OK);
	assert_int_equal(desk_new(&g->desk, g->services, g->keys.certs, &out, 1, &e), ST_OK);
	g->now = (struct moment){ 1000, g->keys.now_ms };
	return 0;
}

static int teardown(void **state)
{
	struct rig *g = *state;

	for (uint32_t i = 0; i < g->calls_n; i++)
		json_decref(g->calls[i].body);
	desk_free(g->desk);
	services_free(g->services);
	EVP_PKEY_free(g->key);
	devkeys_close(&g->keys);
	free(g);
	return 0;
}

static void submit_to(struct rig *g, const char *key, uint64_t first, uint64_t last)
{
	for (uint64_t tag = first; tag <= last; tag++) {
		struct remote_request r = { .verb = REMOTE_VERB_SIGN, .tag = tag,
			.key = slice_str(key), .unit = slice_str("u"), .kind = slice_str("x"),
			.digest = { (uint8_t)tag, (uint8_t)(tag >> 8), 1 } };

		assert_int_equal(desk_submit(g->desk, &r, g->now), ST_OK);
	}
}

static void submit(struct rig *g, uint64_t first, uint64_t last)
{
	submit_to(g, "k", first, last);
}

static int64_t pass(struct rig *g, int64_t ms)
{
	g->now.mono_ms += ms;
	g->now.unix_ms += ms;
	return desk_run(g->desk, g->now);
}

static uint32_t hashes_of(struct rig *g, uint32_t i)
{
	return (uint32_t)json_array_size(json_object_get(g->calls[i].body, "h"));
}

/* Ends the oldest call. */
static void end(struct rig *g, enum web_state state, long status, const char *body)
{
	struct web_result r = { state, status, 0, slice_str(body) };
	struct noted c = g->calls[0];

	g->calls_n--;
	memmove(g->calls, g->calls + 1, g->calls_n * sizeof(*g->calls));
	desk_take(g->desk, c.call, &r, g->now);
	json_decref(c.body);
}

/* Signs what the oldest call asks for, except the entry `spoilt` (-1: none), and ends it. */
static void sign(struct rig *g, int spoilt)
{
	json_t *asked = json_object_get(g->calls[0].body, "h"), *list = json_array(), *one;
	EVP_PKEY_CTX *c = algorithm_context(algorithm_info(ALG_P256), g->key, true);
	char *text;
	size_t i;

	json_array_foreach(asked, i, one) {
		uint8_t digest[32], sig[80];
		size_t n = sizeof(sig);

		assert_int_equal(tree_base64_read(digest, 32, json_string_value(one)), 32);
		do {
			n = sizeof(sig);
			assert_int_equal(EVP_PKEY_sign(c, sig, &n, digest, 32), 1);
		} while (n < algorithm_info(ALG_P256)->signature_min);
		sig[n - 1] ^= (int)i == spoilt;
		json_array_append_new(list, tree_base64(sig, n));
	}
	EVP_PKEY_CTX_free(c);
	asked = json_pack("{s:o}", "s", list);
	text = json_dumps(asked, 0);
	json_decref(asked);
	end(g, WEB_ANSWERED, 200, text);
	free(text);
}

static void a_group_goes_when_it_is_full_or_old(void **state)
{
	struct rig *g = *state;

	submit(g, 1, 9);
	assert_true(pass(g, 0) <= g->now.mono_ms + 100);
	assert_int_equal(g->calls_n, 0);
	submit(g, 10, 10);
	pass(g, 0);
	assert_int_equal(g->calls_n, 1);
	assert_int_equal(hashes_of(g, 0), 10);
	submit(g, 11, 13);
	pass(g, 99);
	assert_int_equal(g->calls_n, 1);
	pass(g, 1);
	assert_int_equal(g->calls_n, 2);
	assert_int_equal(hashes_of(g, 1), 3);
	sign(g, -1);
	sign(g, -1);
	for (int t = 1; t <= 13; t++)
		assert_int_equal(g->last[t], REMOTE_SIGNED);
	assert_int_equal(desk_items(g->desk), 0);
	assert_true(pass(g, 0) == INT64_MAX);
}

static void no_more_calls_than_allowed(void **state)
{
	struct rig *g = *state;

	submit(g, 1, 40);
	pass(g, 0);
	assert_int_equal(g->calls_n, 2);
	sign(g, -1);
	pass(g, 0);
	assert_int_equal(g->calls_n, 2);
	for (int i = 0; i < 3; i++) {
		sign(g, -1);
		pass(g, 0);
	}
	assert_int_equal(g->calls_n, 0);
	assert_int_equal(desk_items(g->desk), 0);
}

static void one_key_leaves_the_others_a_call(void **state)
{
	struct rig *g = *state;

	submit_to(g, "a", 1, 40);
	/* And is not woken for what it must not ask. */
	assert_true(pass(g, 0) > g->now.mono_ms);
	assert_int_equal(g->calls_n, 2);
	submit_to(g, "b", 41, 41);
	pass(g, 100);
	assert_int_equal(g->calls_n, 3);
	assert_int_equal(hashes_of(g, 2), 1);
	while (g->calls_n > 0) {
		sign(g, -1);
		pass(g, 0);
	}
	for (int t = 1; t <= 41; t++)
		assert_int_equal(g->last[t], REMOTE_SIGNED);
}

/* One who does not answer is asked by one call at a time, and it is his affair alone. */
static void a_slow_signer_is_not_the_service(void **state)
{
	struct rig *g = *state;

	submit_to(g, "a", 1, 20);
	pass(g, 0);
	assert_int_equal(g->calls_n, 2);
	end(g, WEB_NO_ANSWER, 0, "");
	end(g, WEB_NO_ANSWER, 0, "");
	submit_to(g, "b", 21, 40);
	pass(g, 0);
	assert_int_equal(g->calls_n, 2);
	pass(g, 4000);
	assert_int_equal(g->calls_n, 3);
	/* A second one: it is the service, and one call tries it. */
	end(g, WEB_NO_ANSWER, 0, "");
	while (g->calls_n > 0)
		end(g, WEB_NO_ANSWER, 0, "");
	pass(g, 400);
	assert_int_equal(g->calls_n, 0);
	pass(g, 8000);
	assert_int_equal(g->calls_n, 1);
	for (int i = 0; i < 4; i++) {
		sign(g, -1);
		pass(g, 8000);
	}
	for (int t = 1; t <= 40; t++)
		assert_int_equal(g->last[t], REMOTE_SIGNED);
}

/* Each pause is half to all of the doubled one before, up to its bound; then one call tries. */
static void an_hour_away_loses_nothing(void **state)
{
	struct rig *g = *state;
	int64_t begun = g->now.mono_ms;
	uint32_t tries = 0;

	submit(g, 1, 30);
	pass(g, 0);
	while (g->now.mono_ms - begun < 3600 * 1000) {
		int64_t failed, bound = tries < 3 ? 1000 << tries : 8000;

		for (uint32_t open = g->calls_n; open > 0; open--)
			end(g, WEB_NOT_SENT, 0, "");
		failed = g->now.mono_ms;
		while (g->calls_n == 0)
			pass(g, 10);
		/* The first time two calls failed: one row more. */
		assert_in_range(g->now.mono_ms - failed, tries == 0 ? 500 : bound / 2 - 10,
				tries == 0 ? 2010 : 2 * bound + 10);
		assert_int_equal(g->calls_n, 1);
		tries++;
	}
	assert_in_range(tries, 440, 920);
	assert_int_equal(desk_items(g->desk), 30);
	for (int i = 0; i < 3; i++) {
		sign(g, -1);
		pass(g, 0);
	}
	for (int t = 1; t <= 30; t++)
		assert_int_equal(g->last[t], REMOTE_SIGNED);
}

static void asked_in_vain_has_an_end(void **state)
{
	struct rig *g = *state;

	submit(g, 1, 10);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(g->last[1], -1);
		while (g->calls_n == 0)
			pass(g, 50);
		end(g, WEB_NO_ANSWER, 0, "");
	}
	for (int t = 1; t <= 10; t++)
		assert_int_equal(g->last[t], REMOTE_UNAVAILABLE);
}

/* Silence where a person has to confirm is told apart: not a line that breaks, nor a seal's. */
static void silence_of_a_person_is_told(void **state)
{
	static const struct { const char *key; enum web_state last; int told; } rows[] = {
		{ "p", WEB_SILENT, REMOTE_NOT_GIVEN }, { "p", WEB_NO_ANSWER, REMOTE_UNAVAILABLE },
		{ "k", WEB_SILENT, REMOTE_UNAVAILABLE } };
	struct rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		submit_to(g, rows[i].key, i + 1, i + 1);
		for (int n = 0; n < 3; n++) {
			while (g->calls_n == 0)
				pass(g, 50);
			assert_int_equal(g->last[i + 1], -1);
			end(g, n < 2 ? WEB_SILENT : rows[i].last, 0, "");
		}
		assert_int_equal(g->last[i + 1], rows[i].told);
	}
}

static void a_wrong_signature_harms_its_item_alone(void **state)
{
	struct rig *g = *state;

	submit(g, 1, 10);
	pass(g, 0);
	sign(g, 4);
	for (int t = 1; t <= 10; t++)
		assert_int_equal(g->last[t], t == 5 ? -1 : REMOTE_SIGNED);
	for (int i = 0; i < 2; i++) {
		while (g->calls_n == 0)
			pass(g, 50);
		assert_int_equal(hashes_of(g, 0), 1);
		assert_int_equal(g->last[5], -1);
		sign(g, 0);
	}
	assert_int_equal(g->last[5], REMOTE_WRONG_ANSWER);
}

static void patience_deadline_and_room_have_an_end(void **state)
{
	struct rig *g = *state;
	struct remote_request r = { .verb = REMOTE_VERB_SIGN, .tag = 200, .key = slice_str("k"),
		.unit = slice_str("u"), .kind = slice_str("x"),
		.deadline_ms = g->now.unix_ms + 5000 };

	assert_int_equal(desk_submit(g->desk, &r, g->now), ST_OK);
	assert_int_equal(desk_submit(g->desk, &r, g->now), ST_CORRUPT);
	submit(g, 1, 100);
	assert_int_equal(g->last[100], REMOTE_UNAVAILABLE);
	pass(g, 4999);
	assert_int_equal(g->last[200], -1);
	pass(g, 300);
	assert_int_equal(g->last[200], REMOTE_EXPIRED);
	desk_cancel(g->desk, 7);
	desk_cancel(g->desk, 7);
	assert_int_equal(g->last[7], REMOTE_CANCELLED);
	pass(g, 7200000 - 5299);
	assert_int_equal(g->last[1], -1);
	pass(g, 300);
	for (int t = 1; t < 100; t++)
		assert_int_equal(g->last[t], t == 7 ? REMOTE_CANCELLED : REMOTE_UNAVAILABLE);
	/* What comes now comes too late, and nobody is there. */
	while (g->calls_n > 0)
		sign(g, -1);
	assert_int_equal(desk_items(g->desk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_group_goes_when_it_is_full_or_old, setup,
						teardown),
		cmocka_unit_test_setup_teardown(no_more_calls_than_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(one_key_leaves_the_others_a_call, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_signer_is_not_the_service, setup, teardown),
		cmocka_unit_test_setup_teardown(an_hour_away_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(asked_in_vain_has_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_of_a_person_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_signature_harms_its_item_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(patience_deadline_and_room_have_an_end, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
