/* Who is signed in, and for how long: the portal's table of sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "portal/session.h"

#define NOW 1800000000000LL
#define MOST 8

struct browser { char cookie[SESSION_COOKIE_BYTES + 1]; struct session session; };

static struct sessions *table(void)
{
	struct sessions *t;

	assert_int_equal(session_table_new(&t, MOST), ST_OK);
	return t;
}

static struct browser signed_in(struct sessions *t, const char *number, int64_t now_ms)
{
	struct browser b = { .session = { .roles = ROLE_CITIZEN } };

	snprintf(b.session.holder.number, sizeof(b.session.holder.number), "%s", number);
	assert_int_equal(session_start(t, &b.session, now_ms, b.cookie, NULL), ST_OK);
	return b;
}

static bool known(struct sessions *t, const struct browser *b, int64_t now_ms)
{
	struct session s;
	bool found = session_find(t, b->cookie, now_ms, &s);

	if (found)
		assert_string_equal(s.holder.number, b->session.holder.number);
	return found;
}

static void cookies_are_random_and_kept_as_hashes(void **state)
{
	struct sessions *t = table();
	struct browser a = signed_in(t, "1", NOW), b = signed_in(t, "2", NOW);
	uint8_t hash[SHA256_BYTES];

	assert_int_equal(strlen(a.cookie), SESSION_COOKIE_BYTES);
	assert_string_not_equal(a.cookie, b.cookie);
	assert_string_not_equal(a.session.csrf, b.session.csrf);
	assert_string_not_equal(a.session.csrf, a.cookie);
	sha256_once(a.cookie, SESSION_COOKIE_BYTES, hash);
	assert_memory_equal(a.session.key, hash, sizeof(hash));
	assert_true(known(t, &a, NOW));
	assert_true(known(t, &b, NOW));
	session_table_free(t);
}

static void others_are_nobody(void **state)
{
	struct sessions *t = table();
	struct browser a = signed_in(t, "1", NOW);
	struct session s;

	assert_false(session_find(t, NULL, NOW, &s));
	assert_false(session_find(t, "", NOW, &s));
	for (size_t i = 0; i < SESSION_COOKIE_BYTES; i++) {
		char was = a.cookie[i];

		a.cookie[i] = was == 'A' ? 'B' : 'A';
		assert_false(known(t, &a, NOW));
		a.cookie[i] = was;
	}
	a.cookie[SESSION_COOKIE_BYTES - 1] = '\0';
	assert_false(known(t, &a, NOW));
	session_table_free(t);
}

static void both_ends(void **state)
{
	struct sessions *t = table();
	struct browser a = signed_in(t, "1", NOW), b = signed_in(t, "2", NOW);
	int64_t now = NOW;

	/* a is used all the time, b is not. */
	while (now - NOW + SESSION_IDLE_MS_MAX <= SESSION_MS_MAX) {
		now += SESSION_IDLE_MS_MAX;
		assert_true(known(t, &a, now));
	}
	assert_false(known(t, &b, NOW + SESSION_IDLE_MS_MAX + 1));
	assert_false(known(t, &b, NOW));		/* it was forgotten */
	assert_true(known(t, &a, NOW + SESSION_MS_MAX));
	assert_false(known(t, &a, NOW + SESSION_MS_MAX + 1));
	session_table_free(t);
}

static void sign_out_ends_one(void **state)
{
	struct sessions *t = table();
	struct browser a = signed_in(t, "1", NOW), b = signed_in(t, "1", NOW);

	session_end(t, a.session.key);
	assert_false(known(t, &a, NOW));
	assert_true(known(t, &b, NOW));
	session_end(t, a.session.key);
	assert_true(known(t, &b, NOW));
	session_table_free(t);
}

static void a_full_table(void **state)
{
	struct sessions *t = table();
	struct browser all[MOST], more;

	for (int i = 0; i < MOST; i++)
		all[i] = signed_in(t, "1", NOW + i);
	assert_true(known(t, &all[0], NOW + MOST));
	more = signed_in(t, "2", NOW + MOST);
	/* The one idle for longest made room. */
	assert_false(known(t, &all[1], NOW + MOST));
	assert_true(known(t, &more, NOW + MOST));
	for (int i = 0; i < MOST; i++)
		assert_true(i == 1 || known(t, &all[i], NOW + MOST));
	session_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cookies_are_random_and_kept_as_hashes),
		cmocka_unit_test(others_are_nobody), cmocka_unit_test(both_ends),
		cmocka_unit_test(sign_out_ends_one), cmocka_unit_test(a_full_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
