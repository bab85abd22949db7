/* Whose signature is made next, without keys and without threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signer/turns.h"

/* Keys 0 and 1 in files; 2 and 3 of one agency, 4 of another, in a token. */
static const struct { uint32_t source; struct key_policy policy; } keys[] = {
	{ VAULT_FILES, { .unit = "u1" } }, { VAULT_FILES, { .unit = "u1" } },
	{ 1, { .unit = "u1" } }, { 1, { .unit = "u1" } }, { 1, { .unit = "u2" } },
};

uint32_t vault_keys(const struct vault *v)
{
	return ARRAY_LEN(keys);
}

const struct key_policy *vault_policy(const struct vault *v, uint32_t key)
{
	return &keys[key].policy;
}

uint32_t vault_source(const struct vault *v, uint32_t key)
{
	return keys[key].source;
}

struct request { char name; };

static struct request requests[26];
static struct run runs[26];
static struct turns turns;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int setup(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(requests); i++)
		requests[i].name = (char)('a' + i);
	assert_int_equal(pthread_mutex_lock(&lock), 0);
	return turns_init(&turns, (const struct vault *)&keys) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	turns_free(&turns);
	return pthread_mutex_unlock(&lock);
}

static void join(char name, uint32_t key, uint32_t n, uint8_t urgency)
{
	struct run *run = &runs[name - 'a'];

	*run = (struct run){ .request = &requests[name - 'a'], .end = n, .key = key,
			     .urgency = urgency };
	turns_join(&turns, run);
}

/* Takes until as many as `want` is long were taken: the names, each as often as it has entries. */
static void expect(uint32_t source, const char *want)
{
	char got[256];
	size_t at = 0;

	while (at < strlen(want)) {
		uint32_t first, n;
		struct request *r = turns_take(&turns, &lock, source, false, &first, &n);

		assert_non_null(r);
		assert_in_range(n, 1, source == VAULT_FILES ? 4 : 1);
		assert_int_equal(first + n, runs[r->name - 'a'].next);
		memset(got + at, r->name, n);
		at += n;
	}
	got[at] = '\0';
	assert_string_equal(got, want);
}

static void files_go_in_the_order_of_requests(void **state)
{
	join('a', 0, 6, 2);
	join('b', 1, 1, 0);
	join('c', 0, 3, 1);
	expect(VAULT_FILES, "aaaaaabccc");
	join('d', 1, 2, 0);
	expect(VAULT_FILES, "dd");
}

static void what_is_urgent_overtakes_at_a_token(void **state)
{
	join('a', 2, 3, 1);
	expect(1, "a");
	join('b', 2, 2, 0);
	join('c', 2, 1, 2);
	expect(1, "bbaac");
}

static void agencies_share_a_token_and_keys_their_agency(void **state)
{
	join('a', 2, 4, 0);
	join('b', 3, 2, 0);
	join('c', 4, 3, 0);
	expect(1, "acbcacbaa");
}

/* The other agency had five meanwhile: no five in a row for who comes then. */
static void who_was_idle_has_not_saved_it_up(void **state)
{
	join('a', 2, 9, 0);
	expect(1, "aaaaa");
	join('b', 4, 4, 0);
	expect(1, "bbababaa");
}

static void a_close_waits_for_what_is_there(void **state)
{
	uint32_t first, n;

	join('a', 0, 5, 0);
	turns_close(&turns);
	assert_ptr_equal(turns_take(&turns, &lock, VAULT_FILES, true, &first, &n), &requests[0]);
	expect(VAULT_FILES, "a");
	assert_null(turns_take(&turns, &lock, VAULT_FILES, false, &first, &n));
	assert_null(turns_take(&turns, &lock, VAULT_FILES, true, &first, &n));
	assert_null(turns_take(&turns, &lock, 1, false, &first, &n));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files_go_in_the_order_of_requests),
		CASE(what_is_urgent_overtakes_at_a_token),
		CASE(agencies_share_a_token_and_keys_their_agency),
		CASE(who_was_idle_has_not_saved_it_up),
		CASE(a_close_waits_for_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
