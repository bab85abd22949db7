#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/calendar.h"
#include "base/hash.h"
#include "identity.h"
#include "register/register.h"

#define UNIT slice_str("lac-xuan")
#define CODE slice_str("GXN")
#define WALL 1795500000000LL		/* 24 November 2026 */

static int setup(void **state)
{
	return registers_new((struct registers **)state) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	registers_free(*state);
	return 0;
}

static uint64_t take(struct registers *r, uint32_t year)
{
	uint64_t number = 0;
	bool turn = true;

	assert_int_equal(register_take(r, UNIT, CODE, year, &number, &turn), ST_OK);
	assert_false(turn);
	return number;
}

static void opens_and_gives(void **state)
{
	struct registers *r = *state;
	struct register_row row;
	uint8_t longer[CODE_BYTES_MAX + 1];

	memset(longer, 'a', sizeof(longer));
	assert_int_equal(register_open(r, UNIT, CODE, 2026, 0), ST_INVALID);
	assert_int_equal(register_open(r, UNIT, CODE, 2026, UINT64_MAX), ST_INVALID);
	assert_int_equal(register_open(r, slice_str(""), CODE, 2026, 1), ST_INVALID);
	assert_int_equal(register_open(r, UNIT, slice_of(longer, sizeof(longer)), 2026, 1),
			 ST_INVALID);
	assert_int_equal(register_open(r, slice_of("a\0b", 3), CODE, 2026, 1), ST_INVALID);
	assert_int_equal(register_open(r, UNIT, slice_of(longer, CODE_BYTES_MAX), 2026, 1), ST_OK);
	assert_int_equal(register_open(r, UNIT, CODE, 2026, 4313), ST_OK);
	assert_int_equal(register_open(r, UNIT, CODE, 2026, 1), ST_EXISTS);
	assert_int_equal(take(r, 2026), 4313);
	assert_int_equal(take(r, 2026), 4314);
	assert_true(register_find(r, UNIT, CODE, 2026, &row));
	assert_int_equal(row.first, 4313);
	assert_int_equal(row.next, 4315);
	assert_int_equal(row.given, 2);
	assert_false(register_find(r, CODE, UNIT, 2026, &row));
	assert_true(register_at(r, 1, &row));
	assert_string_equal(row.code, "GXN");
	assert_false(register_at(r, 2, &row));
}

/* "ab" + "c" and "a" + "bc" are two registers. */
static void names_do_not_run_together(void **state)
{
	struct registers *r = *state;
	struct register_row row;

	assert_int_equal(register_open(r, slice_str("ab"), slice_str("c"), 2026, 1), ST_OK);
	assert_false(register_find(r, slice_str("a"), slice_str("bc"), 2026, &row));
	assert_int_equal(register_open(r, slice_str("a"), slice_str("bc"), 2026, 1), ST_OK);
}

static void untake_gives_the_same_again(void **state)
{
	struct registers *r = *state;
	struct register_row row;

	assert_int_equal(register_open(r, UNIT, CODE, 2026, 1), ST_OK);
	assert_int_equal(take(r, 2026), 1);
	assert_int_equal(take(r, 2026), 2);
	assert_int_equal(take(r, 2026), 3);
	/* A case of two results, newest first. */
	register_untake(r, UNIT, CODE, 2026, 3);
	register_untake(r, UNIT, CODE, 2026, 2);
	assert_true(register_find(r, UNIT, CODE, 2026, &row));
	assert_int_equal(row.given, 1);
	assert_int_equal(take(r, 2026), 2);
}

/* As the spine does it: the year is that of the issue time, in Vietnam. */
static void year_turns_at_midnight_in_vietnam(void **state)
{
	struct registers *r = *state;
	int64_t midnight = day_start_ms(20270101);
	uint32_t before = civil_vietnam(midnight - 1).year, after = civil_vietnam(midnight).year;
	uint64_t number;
	bool turn;

	/* 17:00 UTC on 31 December. */
	assert_int_equal(midnight, 1798736400000LL);
	assert_int_equal(before, 2026);
	assert_int_equal(after, 2027);
	assert_int_equal(register_take(r, UNIT, CODE, before, &number, &turn), ST_NOT_FOUND);
	assert_false(turn);
	assert_int_equal(register_open(r, UNIT, CODE, before, 880), ST_OK);
	assert_int_equal(take(r, before), 880);
	assert_int_equal(register_take(r, UNIT, CODE, after, &number, &turn), ST_NOT_FOUND);
	assert_true(turn);
	assert_int_equal(register_open(r, UNIT, CODE, after, 1), ST_OK);
	assert_int_equal(take(r, after), 1);
	/* The old year's book is still there for what was issued before midnight. */
	assert_int_equal(take(r, before), 881);
	/* Nor does a year without a number end it. */
	assert_int_equal(register_take(r, UNIT, CODE, after + 2, &number, &turn), ST_NOT_FOUND);
	assert_true(turn);
	assert_int_equal(register_gives(r, UNIT, CODE, after + 2), ST_OK);
	assert_int_equal(register_take(r, CODE, CODE, after, &number, &turn), ST_NOT_FOUND);
	assert_false(turn);
	assert_int_equal(register_gives(r, CODE, CODE, after), ST_NOT_FOUND);
}

static struct registers *reloaded(struct registers *r)
{
	struct registers *back;
	struct error e;
	uint8_t *bytes;
	size_t n;

	assert_int_equal(registers_save(r, &bytes, &n), ST_OK);
	assert_int_equal(registers_new(&back), ST_OK);
	assert_int_equal(registers_load(back, slice_of(bytes, n), &e), ST_OK);
	free(bytes);
	return back;
}

/* In January, before the first number of the new year; a start in between forgets nothing. */
static void a_closed_year_goes_on(void **state)
{
	struct registers *r = *state, *back;
	uint64_t number;
	bool turn;

	assert_int_equal(register_open(r, UNIT, CODE, 2026, 1), ST_OK);
	assert_int_equal(register_close(r, UNIT, CODE, 2026, true), ST_OK);
	back = reloaded(r);
	assert_int_equal(register_gives(back, UNIT, CODE, 2026), ST_PRECONDITION);
	assert_int_equal(register_gives(back, UNIT, CODE, 2027), ST_OK);
	assert_int_equal(register_take(back, UNIT, CODE, 2028, &number, &turn), ST_NOT_FOUND);
	assert_true(turn);
	/* The newest year before says it, not an older one. */
	assert_int_equal(register_open(back, UNIT, CODE, 2028, 1), ST_OK);
	assert_int_equal(register_close(back, UNIT, CODE, 2028, false), ST_OK);
	assert_int_equal(register_gives(back, UNIT, CODE, 2029), ST_NOT_FOUND);
	registers_free(back);
}

static void closed_gives_nothing(void **state)
{
	struct registers *r = *state, *back;
	uint64_t number;
	bool turn;

	assert_int_equal(register_close(r, UNIT, CODE, 2026, false), ST_NOT_FOUND);
	assert_int_equal(register_open(r, UNIT, CODE, 2026, 1), ST_OK);
	assert_int_equal(register_close(r, UNIT, CODE, 2026, false), ST_OK);
	assert_int_equal(register_take(r, UNIT, CODE, 2026, &number, &turn), ST_PRECONDITION);
	assert_false(turn);
	/* Closed by a person: it does not open again by itself, whatever total it gets later. */
	assert_int_equal(register_take(r, UNIT, CODE, 2027, &number, &turn), ST_NOT_FOUND);
	assert_false(turn);
	assert_int_equal(register_close(r, UNIT, CODE, 2026, true), ST_OK);
	back = reloaded(r);
	assert_int_equal(register_gives(back, UNIT, CODE, 2027), ST_NOT_FOUND);
	assert_int_equal(register_gives(back, UNIT, CODE, 2030), ST_NOT_FOUND);
	registers_free(back);
}

static void replay_sees_gaps(void **state)
{
	struct registers *r = *state;
	struct register_row row;

	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 1), ST_DAMAGED);
	assert_int_equal(register_open(r, UNIT, CODE, 2026, 10), ST_OK);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 9), ST_DAMAGED);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 11), ST_DAMAGED);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 10), ST_OK);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 11), ST_OK);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 10), ST_OK);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 13), ST_DAMAGED);
	assert_true(register_find(r, UNIT, CODE, 2026, &row));
	assert_int_equal(row.next, 12);
	assert_int_equal(row.given, 2);
	/* What was given before a closing may be replayed after the row says closed. */
	assert_int_equal(register_close(r, UNIT, CODE, 2026, false), ST_OK);
	assert_int_equal(register_replay(r, UNIT, CODE, 2026, 12), ST_OK);
}

static void fill(struct registers *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char unit[CODE_BYTES_MAX + 1];
		uint64_t number;
		bool turn;

		snprintf(unit, sizeof(unit), "ubnd-%u", i);
		assert_int_equal(register_open(r, slice_str(unit), CODE, 2020 + i % 7, i + 1),
				 ST_OK);
		for (uint32_t k = 0; k < i % 3; k++)
			assert_int_equal(register_take(r, slice_str(unit), CODE, 2020 + i % 7,
						       &number, &turn),
					 ST_OK);
		if (i % 5 == 0)
			register_voided(r, slice_str(unit), CODE, 2020 + i % 7);
		if (i % 11 == 0)
			assert_int_equal(register_close(r, slice_str(unit), CODE, 2020 + i % 7,
							false),
					 ST_OK);
	}
}

static void saves_and_loads(void **state)
{
	struct registers *r = *state, *back;
	struct register_row a, b;
	struct error e;
	uint8_t *bytes, *again;
	size_t n, again_n;

	fill(r, 5000);
	assert_int_equal(registers_save(r, &bytes, &n), ST_OK);
	assert_int_equal(registers_new(&back), ST_OK);
	assert_int_equal(register_open(back, UNIT, CODE, 2026, 3), ST_OK);
	assert_int_equal(registers_load(back, slice_of(bytes, n), &e), ST_OK);
	for (uint32_t i = 0; register_at(r, i, &a); i++) {
		assert_true(register_at(back, i, &b));
		assert_memory_equal(&a, &b, sizeof(a));
		assert_true(register_find(back, slice_str(a.unit), slice_str(a.code), a.year, &b));
	}
	assert_false(register_at(back, 5000, &b));
	assert_false(register_find(back, UNIT, CODE, 2026, &b));
	assert_int_equal(registers_save(back, &again, &again_n), ST_OK);
	assert_true(slice_eq(slice_of(bytes, n), slice_of(again, again_n)));
	free(again);
	free(bytes);
	registers_free(back);
}

/* Who opened and closed it, and its total: kept, and over a snapshot. */
static void acts_are_kept(void **state)
{
	struct registers *r = *state, *back;
	struct register_total total = { .issued = 1, .voided = 1 }, wrong = { .issued = 2 };
	struct register_row row;
	struct error e;
	uint8_t *bytes;
	size_t n;

	assert_int_equal(register_note(r, UNIT, CODE, 2026, false, 1, CODE, CODE), ST_NOT_FOUND);
	assert_int_equal(register_open(r, UNIT, CODE, 2026, 7), ST_OK);
	assert_true(register_find(r, UNIT, CODE, 2026, &row));
	assert_true(row.opened.at_ms == 0 && row.opened.reason[0] == '\0');
	assert_int_equal(register_note(r, UNIT, CODE, 2026, false, 5, slice_str("văn thư"),
				       slice_str("sổ mới")), ST_OK);
	take(r, 2026);
	take(r, 2026);
	register_voided(r, UNIT, CODE, 2026);
	assert_int_equal(register_total(r, UNIT, CODE, 2026, &total), ST_PRECONDITION);
	assert_int_equal(register_close(r, UNIT, CODE, 2026, false), ST_OK);
	assert_int_equal(register_note(r, UNIT, CODE, 2026, true, 6, slice_str("văn thư"),
				       slice_str("hết năm")), ST_OK);
	assert_int_equal(register_total(r, UNIT, CODE, 2026, &wrong), ST_PRECONDITION);
	assert_int_equal(register_total(r, UNIT, CODE, 2026, &total), ST_OK);
	assert_int_equal(registers_save(r, &bytes, &n), ST_OK);
	assert_int_equal(registers_new(&back), ST_OK);
	assert_int_equal(registers_load(back, slice_of(bytes, n), &e), ST_OK);
	assert_true(register_find(back, UNIT, CODE, 2026, &row));
	assert_true(row.opened.at_ms == 5 && strcmp(row.opened.reason, "sổ mới") == 0);
	assert_true(row.last.at_ms == 6 && strcmp(row.last.actor, "văn thư") == 0);
	assert_true(row.closed && row.totalled && row.total.issued == 1 && row.total.voided == 1);
	free(bytes);
	registers_free(back);
}

/* As the version before wrote it: it knew no acts. */
static void loads_version_1(void **state)
{
	struct registers *r = *state;
	struct register_row row;
	struct error e;
	uint8_t buf[256];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u32(&w, 0x47455254);
	write_u32(&w, 1);
	write_u32(&w, 1);
	write_blob(&w, UNIT);
	write_blob(&w, CODE);
	write_u32(&w, 2026);
	write_u64(&w, 3);
	write_u64(&w, 9);
	write_u64(&w, 6);
	write_u64(&w, 1);
	write_u8(&w, 1);
	write_u32(&w, crc32c(0, buf, writer_size(&w)));
	assert_int_equal(registers_load(r, writer_slice(&w), &e), ST_OK);
	assert_true(register_find(r, UNIT, CODE, 2026, &row));
	assert_true(row.first == 3 && row.next == 9 && row.voided == 1 && row.closed);
	assert_true(!row.totalled && row.opened.at_ms == 0 && row.last.actor[0] == '\0');
}

/* It kept whether a row was closed, when, and with which total. */
static void version_2_says_what_went_on(void **state)
{
	const int64_t over = day_start_ms(20270105), within = day_start_ms(20260605);
	const struct { int64_t at_ms; bool totalled; enum status next; } rows[] = {
		{ over, true, ST_OK }, { within, true, ST_NOT_FOUND }, { over, false, ST_NOT_FOUND }
	};
	struct registers *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t buf[256];
		struct writer w = writer_of(buf, sizeof(buf));
		struct error e;

		write_u32(&w, 0x47455254);
		write_u32(&w, 2);
		write_u32(&w, 1);
		write_blob(&w, UNIT);
		write_blob(&w, CODE);
		write_u32(&w, 2026);
		write_u64(&w, 1);
		write_u64(&w, 3);
		write_u64(&w, 2);
		write_u64(&w, 0);
		write_u8(&w, 1);
		write_u64(&w, 0);
		write_u64(&w, 0);
		write_u64(&w, (uint64_t)rows[i].at_ms);
		write_blob(&w, UNIT);
		write_blob(&w, CODE);
		write_u8(&w, rows[i].totalled);
		write_u64(&w, rows[i].totalled ? 2 : 0);
		write_u64(&w, 0);
		write_u64(&w, 0);
		write_u32(&w, crc32c(0, buf, writer_size(&w)));
		assert_int_equal(registers_load(r, writer_slice(&w), &e), ST_OK);
		assert_int_equal(register_gives(r, UNIT, CODE, 2027), rows[i].next);
	}
}

static void load_refuses_every_flipped_bit(void **state)
{
	struct registers *r = *state, *back;
	struct register_row row;
	struct error e;
	uint8_t *bytes;
	size_t n;

	fill(r, 4);
	assert_int_equal(registers_save(r, &bytes, &n), ST_OK);
	assert_int_equal(registers_new(&back), ST_OK);
	assert_int_equal(register_open(back, UNIT, CODE, 2026, 3), ST_OK);
	for (size_t i = 0; i < 8 * n; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_not_equal(registers_load(back, slice_of(bytes, n), &e), ST_OK);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *exact = malloc(cut + 1);

		assert_non_null(exact);
		memcpy(exact, bytes, cut);
		assert_int_equal(registers_load(back, slice_of(exact, cut), &e), ST_CORRUPT);
		free(exact);
	}
	/* A refused load changes nothing. */
	assert_true(register_find(back, UNIT, CODE, 2026, &row));
	assert_int_equal(row.first, 3);
	free(bytes);
	registers_free(back);
}

/* Well summed, but no state that registers can be in. */
static void load_refuses_contradictions(void **state)
{
	struct registers *r = *state, *back;
	struct error e;
	uint8_t *bytes;
	size_t n;

	fill(r, 3);
	assert_int_equal(registers_save(r, &bytes, &n), ST_OK);
	assert_int_equal(registers_new(&back), ST_OK);
	for (size_t i = 4; i < n - 4; i++) {
		uint32_t crc;
		enum status st;

		bytes[i] ^= 0xff;
		crc = crc32c(0, bytes, n - 4);
		for (int k = 0; k < 4; k++)
			bytes[n - 4 + (size_t)k] = (uint8_t)(crc >> 8 * k);
		st = registers_load(back, slice_of(bytes, n), &e);
		if (i < 8)
			assert_int_equal(st, ST_UNSUPPORTED);
		else if (i < 12)
			assert_int_equal(st, ST_DAMAGED);
		bytes[i] ^= 0xff;
	}
	free(bytes);
	registers_free(back);
}

/* ---- the clock ---- */

static uint64_t tick(struct numbering_clock *c, int64_t wall, int64_t *issued)
{
	uint64_t sequence = 0;

	assert_int_equal(numbering_tick(c, wall, 7, &sequence, issued), ST_OK);
	assert_int_equal(sequence_ms(sequence), *issued);
	assert_int_equal(sequence >> 14 & 0xff, 7);
	return sequence;
}

static void time_never_goes_back(void **state)
{
	struct numbering_clock c = { 0 };
	struct numbering_clock before;
	int64_t issued;
	uint64_t s = tick(&c, WALL, &issued), next;

	assert_int_equal(issued, WALL);
	next = tick(&c, WALL - CLOCK_STEP_MS_MAX, &issued);
	assert_true(next > s);
	assert_int_equal(issued, WALL);
	before = c;
	assert_int_equal(numbering_tick(&c, WALL - CLOCK_STEP_MS_MAX - 1, 7, &s, &issued),
			 ST_UNAVAILABLE);
	assert_int_equal(numbering_tick(&c, WALL - 3600000, 7, &s, &issued), ST_UNAVAILABLE);
	assert_int_equal(numbering_tick(&c, 0, 7, &s, &issued), ST_UNAVAILABLE);
	assert_int_equal(numbering_tick(&c, INT64_MIN, 7, &s, &issued), ST_UNAVAILABLE);
	assert_int_equal(numbering_tick(&c, INT64_MAX, 7, &s, &issued), ST_UNAVAILABLE);
	assert_memory_equal(&before, &c, sizeof(c));
	/* It caught up. */
	assert_true(tick(&c, WALL + 1, &issued) > next);
	assert_int_equal(issued, WALL + 1);
}

/* A machine that starts in 1970 gives nothing, not even a first number. */
static void no_time_before_the_epoch(void **state)
{
	struct numbering_clock c = { 0 };
	uint64_t s;
	int64_t issued;

	assert_int_equal(numbering_tick(&c, SEQUENCE_EPOCH_MS - 1, 0, &s, &issued), ST_UNAVAILABLE);
	assert_int_equal(numbering_tick(&c, 1000, 0, &s, &issued), ST_UNAVAILABLE);
}

static void a_millisecond_overflows_into_the_next(void **state)
{
	struct numbering_clock c = { 0 };
	int64_t issued;
	uint64_t last = 0;

	for (uint32_t i = 0; i < 3 * 0x4000; i++) {
		uint64_t s = tick(&c, WALL, &issued);

		assert_true(s > last);
		assert_int_equal(issued, WALL + i / 0x4000);
		last = s;
	}
	/* The wall clock within what was given away already. */
	assert_true(tick(&c, WALL + 1, &issued) > last);
}

/* Time that runs ahead is bounded like a step back. */
static void running_ahead_is_bounded(void **state)
{
	struct numbering_clock c = { .last_ms = WALL + CLOCK_STEP_MS_MAX, .counter = 0x3fff };
	uint64_t s;
	int64_t issued;

	assert_int_equal(numbering_tick(&c, WALL, 7, &s, &issued), ST_UNAVAILABLE);
	assert_int_equal(c.last_ms, WALL + CLOCK_STEP_MS_MAX);
	tick(&c, WALL + 1, &issued);
	assert_int_equal(issued, WALL + CLOCK_STEP_MS_MAX + 1);
}

/* A wall clock that jitters, and restarts that take up the clock from the last sequence. */
static void unique_and_rising(void **state)
{
	struct numbering_clock c = { 0 };
	unsigned int seed = 7;
	int64_t wall = WALL, issued, last_issued = 0;
	uint64_t last = 0;

	for (int i = 0; i < 200000; i++) {
		uint64_t s;

		wall += rand_r(&seed) % 100 == 0 ? rand_r(&seed) % 400 - 190 : rand_r(&seed) % 2;
		if (numbering_tick(&c, wall, 7, &s, &issued) != ST_OK)
			continue;
		assert_true(s > last);
		assert_true(issued >= last_issued && issued >= wall);
		last = s;
		last_issued = issued;
		if (i % 1000 == 0)
			c = (struct numbering_clock){ sequence_ms(s), (uint16_t)(s & 0x3fff) };
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_and_gives, setup, teardown),
		cmocka_unit_test_setup_teardown(names_do_not_run_together, setup, teardown),
		cmocka_unit_test_setup_teardown(untake_gives_the_same_again, setup, teardown),
		cmocka_unit_test_setup_teardown(year_turns_at_midnight_in_vietnam, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_year_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_gives_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(replay_sees_gaps, setup, teardown),
		cmocka_unit_test_setup_teardown(saves_and_loads, setup, teardown),
		cmocka_unit_test_setup_teardown(acts_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(loads_version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(version_2_says_what_went_on, setup, teardown),
		cmocka_unit_test_setup_teardown(load_refuses_every_flipped_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(load_refuses_contradictions, setup, teardown),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(no_time_before_the_epoch),
		cmocka_unit_test(a_millisecond_overflows_into_the_next),
		cmocka_unit_test(running_ahead_is_bounded),
		cmocka_unit_test(unique_and_rising),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
