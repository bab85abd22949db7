/* Acts on stored results: their words, and what they make of a life, in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "case.h"
#include "living.h"

static struct decision paper(void)
{
	return (struct decision){ .unit = slice_str("ubnd-a"), .number = slice_str("45/QĐ-UBND"),
				  .day = 20261101, .paper = { 7, 1 }, .person = slice_str("lan"),
				  .ground = slice_str("Cấp sai đối tượng") };
}

static uint8_t buf[4096];

static struct slice written(const struct decision *d)
{
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(decision_write(d, &w), ST_OK);
	return writer_slice(&w);
}

static void decision_round_trip(void **state)
{
	struct decision d = paper(), got;

	assert_int_equal(decision_read(&got, written(&d)), ST_OK);
	assert_true(slice_eq(got.unit, d.unit) && slice_eq(got.number, d.number) &&
		    slice_eq(got.person, d.person) && slice_eq(got.ground, d.ground));
	assert_int_equal(got.day, d.day);
	assert_memory_equal(got.paper, d.paper, 16);
	memset(d.paper, 0, sizeof(d.paper));
	assert_int_equal(decision_read(&got, written(&d)), ST_OK);
	assert_memory_equal(got.paper, d.paper, 16);
}

static void decision_bounds(void **state)
{
	static char big[DECISION_GROUND_BYTES_MAX + 2];
	struct decision d = paper();
	struct writer w = writer_of(buf, sizeof(buf));

	memset(big, 'x', sizeof(big) - 1);
	d.ground = slice_str(big);
	assert_int_equal(decision_write(&d, &w), ST_TOO_LARGE);
	d.ground = slice_of(big, DECISION_GROUND_BYTES_MAX);
	assert_int_equal(decision_write(&d, &w), ST_OK);
	assert_in_range(writer_size(&w), 1, DECISION_BYTES_MAX);
	d = paper();
	d.number = slice_str("4\n5");
	assert_int_equal(decision_write(&d, &w), ST_TOO_LARGE);
}

/* Whatever it reads, it stays within; cut short it is none. */
static void decision_damaged(void **state)
{
	struct decision d = paper(), got;
	struct slice whole = written(&d);
	size_t ground = whole.n - d.ground.n;
	uint32_t seed = 1;

	for (size_t n = 0; n < ground; n++)
		assert_int_equal(decision_read(&got, slice_of(buf, n)), ST_CORRUPT);
	assert_int_equal(decision_read(&got, slice_str("")), ST_CORRUPT);
	for (uint32_t run = 0; run < 20000; run++) {
		whole = written(&d);
		seed = seed * 1664525 + 1013904223;
		buf[(seed >> 8) % whole.n] = (uint8_t)(seed >> 24);
		if (decision_read(&got, whole) == ST_OK)
			assert_in_range(got.number.n, 0, DECISION_NUMBER_BYTES_MAX);
	}
}

static void take(struct living *l, uint8_t kind, int64_t at_ms, const char *number)
{
	struct decision d = paper();

	d.number = slice_str(number);
	assert_int_equal(living_take(l, kind, at_ms, written(&d)), ST_OK);
}

/* In whichever order they are read. */
static void acts_in_any_order(void **state)
{
	static const struct { uint8_t kind; int64_t at_ms; const char *number; } acts[] = {
		{ EVENT_CORRECTED, 10, "1" }, { EVENT_CORRECTED, 20, "2" },
		{ EVENT_RESTRICTED, 30, "3" }, { EVENT_REVOKED, 40, "4" },
		{ EVENT_RELEASED, 50, "5" },
	};

	for (uint32_t order = 0; order < 5; order++) {
		struct living l = { 0 };

		for (uint32_t i = 0; i < 5; i++) {
			uint32_t k = order % 2 == 0 ? (i + order) % 5 : (9 - i - order) % 5;

			take(&l, acts[k].kind, acts[k].at_ms, acts[k].number);
		}
		assert_int_equal(l.acts, 5);
		assert_false(l.restricted);
		assert_int_equal(l.note.kind, EVENT_REVOKED);
		assert_string_equal(l.note.number, "4");
		assert_int_equal(l.note.day, 20261101);
	}
}

/* Acts as they stand one behind the other; what is asked of one that is told once more. */
static struct act_trace traced(uint8_t kind, const char *detail, const uint8_t *kinds,
			       const char *const *details, uint32_t n)
{
	struct act_trace t = { 0 };

	for (uint32_t i = 0; i < n; i++)
		act_trace_take(&t, kind, slice_str(detail), i + 1, kinds[i],
			       slice_str(details[i]));
	return t;
}

static void a_paper_acts_once(void **state)
{
	static const uint8_t kinds[] = { EVENT_CORRECTED, EVENT_RESTRICTED, EVENT_RELEASED };
	static const char *const details[] = { "1", "9", "9" };
	struct act_trace t = traced(EVENT_CORRECTED, "1", kinds, details, 3);

	assert_true(act_is_again(&t, EVENT_CORRECTED, 0));
	assert_true(act_is_again(&t, EVENT_CORRECTED, 3));
	t = traced(EVENT_REVOKED, "1", kinds, details, 3);
	assert_false(act_is_again(&t, EVENT_REVOKED, 0));
	/* Also one that was lifted since: another paper is needed. */
	t = traced(EVENT_RESTRICTED, "9", kinds, details, 3);
	assert_true(act_is_again(&t, EVENT_RESTRICTED, 3));
}

/* Whatever its holders did, its agency may act; whatever that one did, it may revoke. */
static void a_revocation_has_its_place(void **state)
{
	static const uint8_t kinds[] = { EVENT_SHOWN, EVENT_HIDDEN, EVENT_CORRECTED,
					 EVENT_RESTRICTED, EVENT_RELEASED, EVENT_REVOKED };
	static const uint32_t most[] = { 200, 200, 249, 249, 249, LIVING_ACTS_MAX };

	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++) {
		assert_true(living_has_room(kinds[i], most[i] - 1));
		assert_false(living_has_room(kinds[i], most[i]));
	}
}

static void a_holder_may_hide_again(void **state)
{
	static const uint8_t kinds[] = { EVENT_HIDDEN, EVENT_HIDDEN, EVENT_SHOWN };
	static const char *const details[] = { "a", "b", "a" };
	struct act_trace t = traced(EVENT_HIDDEN, "a", kinds, details, 2);

	/* It is hidden; another holder's act does not matter. */
	assert_true(act_is_again(&t, EVENT_HIDDEN, 0));
	assert_true(act_is_again(&t, EVENT_HIDDEN, 2));
	/* Shown since: whoever saw that hides it once more, whoever did not is told again. */
	t = traced(EVENT_HIDDEN, "a", kinds, details, 3);
	assert_false(act_is_again(&t, EVENT_HIDDEN, 3));
	assert_true(act_is_again(&t, EVENT_HIDDEN, 0));
	t = traced(EVENT_SHOWN, "b", kinds, details, 3);
	assert_false(act_is_again(&t, EVENT_SHOWN, 0));
}

static void reads_are_no_acts(void **state)
{
	struct living l = { 0 };

	assert_int_equal(living_take(&l, EVENT_READ, 5, slice_str("a\nb\nc")), ST_OK);
	assert_int_equal(living_take(&l, EVENT_HANDED, 5, slice_str("a\nb\nc")), ST_OK);
	assert_int_equal(l.acts, 0);
	assert_int_equal(living_take(&l, EVENT_HIDDEN, 5, slice_str("zz")), ST_CORRUPT);
}

static void the_newest_says_who_sees_it(void **state)
{
	static const uint8_t key[16] = { 1 }, other[16] = { 2 };
	struct slice detail = slice_str("01000000000000000000000000000000");
	bool hidden = false;
	int64_t at_ms = 0;

	assert_true(living_shown(EVENT_HIDDEN, 5, detail, key, &hidden, &at_ms));
	assert_true(hidden);
	assert_false(living_shown(EVENT_SHOWN, 4, detail, key, &hidden, &at_ms));
	assert_false(living_shown(EVENT_SHOWN, 9, detail, other, &hidden, &at_ms));
	assert_false(living_shown(EVENT_REVOKED, 9, detail, key, &hidden, &at_ms));
	assert_true(hidden);
	assert_true(living_shown(EVENT_SHOWN, 6, detail, key, &hidden, &at_ms));
	assert_false(hidden);
}

/* What is found of a replaced result is no content: the same case has the same digest. */
static void a_case_says_what_it_replaces(void **state)
{
	struct case_result results[2] = {
		{ .unit = slice_str("u"), .kind = slice_str("k"), .signer = slice_str("s") },
		{ .unit = slice_str("u"), .kind = slice_str("k"), .signer = slice_str("s"),
		  .replaces = slice_str("0123456789ABCDEFGHJKMNPQRS") },
	};
	const struct replaced old = { .number = slice_str("07/GXN-UBND"), .day = 20260312,
				      .revoked = true, .unit = slice_str("ubnd-cu"),
				      .agency = slice_str("UBND xã") };
	struct case_view c = { .code = slice_str("c"), .results_n = 2, .results = results,
			       .facts = slice_str("f") };
	struct writer w = writer_of(buf, sizeof(buf) - CASE_REPLACED_BYTES);
	uint8_t before[SHA256_BYTES], after[SHA256_BYTES], again[sizeof(buf)];
	uint8_t id[16], nobody[16] = { 0 };
	struct case_view got;
	struct replaced found;
	struct slice bytes;
	struct arena a;

	assert_true(id_read(id, results[1].replaces));
	assert_int_equal(arena_init(&a, 65536), ST_OK);
	assert_int_equal(case_encode(&c, &w), ST_OK);
	bytes = writer_slice(&w);
	assert_int_equal(case_digest(bytes, before), ST_OK);
	assert_int_equal(case_skim_replaced(&found, bytes, id), ST_NOT_FOUND);
	case_add_replaced(&bytes, sizeof(buf), id, &old);
	assert_int_equal(case_digest(bytes, after), ST_OK);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(case_decode(&got, bytes, &a), ST_OK);
	assert_int_equal(got.results[0].replaced.number.n, 0);
	assert_true(slice_eq(got.results[1].replaced.number, old.number));
	assert_true(slice_eq(got.results[1].replaced.agency, old.agency));
	assert_true(slice_eq(got.results[1].replaced.unit, old.unit));
	assert_int_equal(got.results[1].replaced.day, 20260312);
	assert_true(got.results[1].replaced.revoked);
	assert_int_equal(case_skim_replaced(&found, bytes, nobody), ST_NOT_FOUND);
	assert_int_equal(found.day, 0);
	assert_int_equal(case_skim_replaced(&found, bytes, id), ST_OK);
	assert_true(slice_eq(found.unit, old.unit));
	assert_int_equal(found.day, 20260312);
	assert_true(slice_eq(got.facts, c.facts));
	/* Encoded once more it has the same bytes. */
	w = writer_of(again, sizeof(again));
	assert_int_equal(case_encode(&got, &w), ST_OK);
	assert_true(slice_eq(writer_slice(&w), bytes));
	for (size_t n = 0; n < bytes.n; n++)
		assert_true(case_decode(&got, slice_of(buf, n), &a) == ST_CORRUPT &&
			    case_skim_replaced(&found, slice_of(buf, n), id) == ST_CORRUPT);
	/* Of a result that the case does not have. */
	w = writer_of(buf, sizeof(buf) - CASE_REPLACED_BYTES);
	assert_int_equal(case_encode(&c, &w), ST_OK);
	bytes = writer_slice(&w);
	case_add_replaced(&bytes, sizeof(buf), nobody, &old);
	assert_int_equal(case_decode(&got, bytes, &a), ST_CORRUPT);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decision_round_trip), cmocka_unit_test(decision_bounds),
		cmocka_unit_test(decision_damaged), cmocka_unit_test(acts_in_any_order),
		cmocka_unit_test(a_paper_acts_once), cmocka_unit_test(a_revocation_has_its_place),
		cmocka_unit_test(a_holder_may_hide_again),
		cmocka_unit_test(reads_are_no_acts), cmocka_unit_test(the_newest_says_who_sees_it),
		cmocka_unit_test(a_case_says_what_it_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
