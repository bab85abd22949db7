/* Shares: what opens them, what they say, and what a result's events make of them in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "identity.h"
#include "living.h"
#include "share.h"

#define T 1790000000000ll

static struct share one(uint64_t stamp, uint8_t kind, uint16_t views)
{
	return (struct share){ .stamp = stamp, .holder = { 9, 9 }, .kind = kind,
			       .scope = SHARE_DATA, .views_max = 3, .views = views,
			       .expire_ms = T + 1000, .view_ms = views > 0 ? T + views : 0 };
}

static void states(void **state)
{
	struct share s = one(1, SHARE_LINK, 0);

	assert_int_equal(share_state(&s, T + 999), SHARE_OPEN);
	assert_int_equal(share_state(&s, T + 1000), SHARE_EXPIRED);
	s.views = 2;
	assert_int_equal(share_state(&s, T), SHARE_OPEN);
	s.views = 3;
	assert_int_equal(share_state(&s, T), SHARE_USED_UP);
	assert_int_equal(share_state(&s, T + 1000), SHARE_USED_UP);
	s.end = SHARE_REVOKED;
	assert_int_equal(share_state(&s, T + 1000), SHARE_REVOKED);
}

static void round_trip(void **state)
{
	uint8_t buf[SHARE_DETAIL_BYTES_MAX + 1];
	struct writer w = writer_of(buf, sizeof(buf));
	struct share s = one(0x123456789abcdef0, SHARE_CODE, 2), got;
	struct slice viewer;

	s.end = SHARE_TRIED_OUT;
	share_write(&s, slice_str("Hà Nội"), &w);
	assert_int_equal(share_read(&got, &viewer, writer_slice(&w)), ST_OK);
	assert_true(slice_eq(viewer, slice_str("Hà Nội")));
	assert_int_equal(got.stamp, s.stamp);
	assert_memory_equal(got.holder, s.holder, 16);
	assert_int_equal(got.kind, SHARE_CODE);
	assert_int_equal(got.scope, SHARE_DATA);
	assert_int_equal(got.end, SHARE_TRIED_OUT);
	assert_int_equal(got.views_max, 3);
	assert_int_equal(got.views, 2);
	assert_int_equal(got.expire_ms, s.expire_ms);
	assert_int_equal(got.view_ms, s.view_ms);
	for (size_t n = 0; n < SHARE_BYTES; n++)
		assert_int_equal(share_read(&got, NULL, slice_of(buf, n)), ST_CORRUPT);
	assert_int_equal(share_read(&got, NULL, slice_of(buf, sizeof(buf))), ST_CORRUPT);
	buf[24] = 3;			/* no such kind */
	assert_int_equal(share_read(&got, NULL, slice_of(buf, SHARE_BYTES)), ST_CORRUPT);
}

static void ids(void **state)
{
	uint8_t id[16] = { 0x5a, 1, 2 }, got[16];
	char text[SHARE_ID_BYTES];
	uint64_t stamp = sequence_make(T, 7, 3), back;

	share_id_text(text, id, stamp);
	assert_true(share_id_read(got, &back, slice_of(text, sizeof(text))));
	assert_memory_equal(got, id, 16);
	assert_int_equal(back, stamp);
	assert_false(share_id_read(got, &back, slice_of(text, sizeof(text) - 1)));
	text[SHARE_ID_BYTES - 1] = 'x';
	assert_false(share_id_read(got, &back, slice_of(text, sizeof(text))));
}

static void tokens(void **state)
{
	uint8_t id[16] = { 0x5a, 1, 2 }, secret[SHARE_SECRET_BYTES] = { 1, 2, 3 }, got[16];
	uint8_t hash[SHA256_BYTES], want[SHA256_BYTES];
	char text[SHARE_TOKEN_BYTES];

	share_token_text(text, id, secret);
	sha256_once(secret, sizeof(secret), want);
	assert_true(share_token_read(got, hash, slice_of(text, sizeof(text))));
	assert_memory_equal(got, id, 16);
	assert_memory_equal(hash, want, sizeof(hash));
	text[SHARE_TOKEN_BYTES - 1] = text[SHARE_TOKEN_BYTES - 1] == '1' ? '2' : '1';
	assert_true(share_token_read(got, hash, slice_of(text, sizeof(text))));
	assert_memory_not_equal(hash, want, sizeof(hash));
	text[3] = '!';
	assert_false(share_token_read(got, hash, slice_of(text, sizeof(text))));
	assert_false(share_token_read(got, hash, slice_of(text, ID_TEXT_BYTES)));
}

/* As a person reads it out, and another one types it. */
static void codes(void **state)
{
	const uint8_t random[5] = { 0, 1, 0xff, 0x80, 0x21 };
	static const char *const bad[] = { "", "000ZZ01", "000ZZ0111", "000ZZU11", "000ZZ0 1",
					   "000ZZ01\n1" };
	uint8_t want[SHA256_BYTES], hash[SHA256_BYTES];
	char text[SHARE_CODE_BYTES + 1] = "";

	share_code_text(text, random);
	assert_string_equal(text, "000ZZ011");
	assert_true(share_code_read(want, slice_str(text)));
	assert_true(share_code_read(hash, slice_str("ooozz-0 il")));
	assert_memory_equal(hash, want, sizeof(hash));
	assert_true(share_code_read(hash, slice_str("000ZZ012")));
	assert_memory_not_equal(hash, want, sizeof(hash));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(share_code_read(hash, slice_str(bad[i])));
	assert_false(share_code_read(hash, slice_of("000ZZ01", 8)));	/* with its NUL */
}

static void take(struct shares *all, uint8_t event, int64_t at_ms, const struct share *s)
{
	uint8_t buf[SHARE_DETAIL_BYTES_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	share_write(s, slice_str("x"), &w);
	assert_int_equal(shares_take(all, event, at_ms, writer_slice(&w)), ST_OK);
}

struct told { uint8_t event; int64_t at_ms; struct share s; };

static void check(const struct told *of, uint32_t n)
{
	const uint8_t me[16] = { 9, 9 };
	struct shares all = { 0 };

	for (uint32_t i = 0; i < n; i++)
		take(&all, of[i].event, of[i].at_ms, &of[i].s);
	shares_of(&all, me);
	assert_int_equal(all.n, 4);
	assert_int_equal(all.of[0].stamp, 40);	/* a code made after the end of the others */
	assert_int_equal(share_state(&all.of[0], T + 500), SHARE_OPEN);
	assert_int_equal(all.of[1].stamp, 20);	/* a code that was open then */
	assert_int_equal(share_state(&all.of[1], T + 500), SHARE_TRIED_OUT);
	assert_int_equal(all.of[1].views, 1);
	assert_int_equal(all.of[2].stamp, 15);	/* a code that was used up before */
	assert_int_equal(share_state(&all.of[2], T + 500), SHARE_USED_UP);
	assert_int_equal(all.of[3].stamp, 10);	/* a link */
	assert_int_equal(all.of[3].views, 2);
	assert_int_equal(all.of[3].view_ms, T + 2);
	assert_int_equal(share_state(&all.of[3], T + 500), SHARE_REVOKED);
	shares_free(&all);
}

/* Whatever order a store tells them in, some of them twice. */
static void events_in_any_order(void **state)
{
	struct share revoked = one(10, SHARE_LINK, 2), others = one(11, SHARE_LINK, 0);
	const struct share over = { .stamp = 30, .kind = SHARE_CODE, .end = SHARE_TRIED_OUT };
	struct told of[] = {
		{ EVENT_SHARED, T, one(10, SHARE_LINK, 0) },
		{ EVENT_SHARE_VIEWED, T + 1, one(10, SHARE_LINK, 1) },
		{ EVENT_SHARE_VIEWED, T + 2, one(10, SHARE_LINK, 2) },
		{ EVENT_SHARED, T + 3, one(15, SHARE_CODE, 0) },
		{ EVENT_SHARE_VIEWED, T + 4, one(15, SHARE_CODE, 3) },
		{ EVENT_SHARED, T + 5, one(20, SHARE_CODE, 0) },
		{ EVENT_SHARE_VIEWED, T + 6, one(20, SHARE_CODE, 1) },
		{ EVENT_SHARE_ENDED, T + 7, over },
		{ EVENT_SHARED, T + 8, one(40, SHARE_CODE, 0) },
		{ EVENT_SHARE_ENDED, T + 9, revoked },
		{ EVENT_SHARED, T + 10, others },
		{ EVENT_SHARE_VIEWED, T + 1, one(10, SHARE_LINK, 1) },
	};
	uint32_t n = ARRAY_LEN(of), seed = 5;

	of[9].s.end = SHARE_REVOKED;
	of[10].s.holder[0] = 8;
	for (int round = 0; round < 500; round++) {
		check(of, n);
		for (uint32_t i = n - 1; i > 0; i--) {
			uint32_t k = (seed = seed * 1664525 + 1013904223) % (i + 1);
			struct told t = of[i];

			of[i] = of[k];
			of[k] = t;
		}
	}
}

static void damaged(void **state)
{
	struct shares all = { 0 };

	assert_int_equal(shares_take(&all, EVENT_REVOKED, T, slice_str("x")), ST_OK);
	assert_int_equal(shares_take(&all, EVENT_SHARED, T, slice_str("x")), ST_CORRUPT);
	assert_int_equal(all.n, 0);
	shares_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(ids),
		cmocka_unit_test(tokens),
		cmocka_unit_test(codes),
		cmocka_unit_test(events_in_any_order),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
