/* Whoever is asked for a signature is asked on while that key signs this, and no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paper.h"
#include "signer/policy.h"
#include "spine/awaitedkey.h"

static struct desk desk;

/* Both keys are at the service "one". */
static int setup(void **state)
{
	static const char *const of[][2] = { { "", "seal" }, { "s", "pen" } };

	desk = (struct desk){ 0 };
	if (desk_open(&desk, ALG_P256) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		const struct signing_key *key = key_named(desk.ring, "u", of[i][0],
							  slice_str(of[i][1]));
		struct key_policy *p;

		if (key == NULL)
			return -1;
		p = (struct key_policy *)key->policy;
		p->source = SOURCE_REMOTE;
		p->service = "one";
	}
	return 0;
}

static int teardown(void **state)
{
	desk_close(&desk);
	return 0;
}

static struct question about(const char *key)
{
	return (struct question){ .unit = "u", .signer = "s", .kind = "k", .service = "one",
				  .key = slice_str(key), .sign_ms = desk.keys.now_ms };
}

static bool is_asked(struct question q)
{
	const struct signing_key *key = key_asked(desk.ring, &q, desk.keys.now_ms);

	return key != NULL && slice_eq(slice_str(key->policy->id), q.key);
}

/* A result's row names its signer; the seal is the agency's. */
static void the_officers_key_and_the_seal_are_asked_on(void **state)
{
	assert_true(is_asked(about("pen")));
	assert_true(is_asked(about("seal")));
}

static void another_one_is_not(void **state)
{
	struct question q = about("pen");

	assert_false(is_asked(about("none")));
	q.signer = "other";
	assert_false(is_asked(q));
	q = about("seal");
	q.unit = "other";
	assert_false(is_asked(q));
	q = about("pen");
	q.service = "two";
	assert_false(is_asked(q));
	q.service = "";		/* on a device */
	assert_false(is_asked(q));
}

static void it_must_be_valid_then_and_now(void **state)
{
	struct question q = about("pen");
	const struct signing_key *key = key_named(desk.ring, "u", "s", q.key);

	assert_non_null(key_asked(desk.ring, &q, key->valid_to_ms));
	assert_null(key_asked(desk.ring, &q, key->valid_to_ms + 1));
	q.sign_ms = key->valid_from_ms - 1;
	assert_null(key_asked(desk.ring, &q, desk.keys.now_ms));
}

/* A delegation ends before its officer's key does. */
static void what_has_ended_is_asked_no_more(void **state)
{
	struct question q = about("pen");

	q.until_ms = desk.keys.now_ms;
	assert_true(is_asked(q));
	assert_true(key_outlasts(desk.ring, &q));
	q.until_ms--;
	assert_false(is_asked(q));
	q.until_ms = key_named(desk.ring, "u", "s", q.key)->valid_to_ms;
	assert_false(key_outlasts(desk.ring, &q));
	q.key = slice_str("none");
	q.until_ms = 0;
	assert_false(key_outlasts(desk.ring, &q));
}

/* What comes is judged once more; to break off what is under way for that would ask twice. */
static void a_stale_list_does_not_break_off_a_service(void **state)
{
	struct question q = about("seal");
	struct signing_key *key = (struct signing_key *)key_named(desk.ring, "u", "", q.key);

	key->fresh_to_ms = INT64_MIN;
	assert_true(is_asked(q));
	key->revoked = true;
	assert_false(is_asked(q));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
		TEST(the_officers_key_and_the_seal_are_asked_on),
		TEST(another_one_is_not),
		TEST(it_must_be_valid_then_and_now),
		TEST(what_has_ended_is_asked_no_more),
		TEST(a_stale_list_does_not_break_off_a_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
