#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/memory.h"

#define MARKS 100
#define ENGINE_KB (60 * 1024)
#define SIGNER_KB (7 * 1024)
#define FOREIGN_KB (3 * 1024)

/* A mark a second; a database is watched beside the engine. */
static void watch(struct process_watch *w, double grows_kb)
{
	static const char *const names[] = { GENERATOR, "trien", "engine", "signer", "postgres",
					     "foreign" };

	*w = (struct process_watch){ .rows_n = 6, .marks_n = MARKS };
	for (int i = 0; i < 6; i++)
		snprintf(w->rows[i].name, sizeof(w->rows[i].name), "%s", names[i]);
	w->marks = calloc(MARKS, sizeof(*w->marks));
	assert_non_null(w->marks);
	for (int i = 0; i < MARKS; i++) {
		w->marks[i] = (struct process_mark){ .at_s = i, .pss_kb = {
			500 * 1024, 0, ENGINE_KB + (uint32_t)(i * grows_kb), SIGNER_KB,
			900 * 1024, FOREIGN_KB } };
	}
}

static void what_stays_is_flat(void **state)
{
	struct process_watch w;
	struct memory m;

	watch(&w, 0);
	m = memory_of(&w, 0, MARKS);
	assert_true(m.growth == 1 && m.peak_mb == 70);
	process_free(&w);
}

static void what_grows_is_seen(void **state)
{
	struct process_watch w;
	struct memory m;

	watch(&w, 1024);
	m = memory_of(&w, 0, MARKS);
	assert_true(m.peak_mb == 70 + MARKS - 1);
	/* Means of the seconds 20 to 59 and 60 to 99. */
	assert_true(fabs(m.growth - (70 + 79.5) / (70 + 39.5)) < 1e-9);
	/* A peak before or after the stretch is not its own. */
	assert_true(memory_of(&w, 10, 50).peak_mb == 70 + 49);
	process_free(&w);
}

/* Caches that fill at the start are no leak. */
static void warming_up_is_left_out(void **state)
{
	struct process_watch w;

	watch(&w, 0);
	for (int i = 0; i < 20; i++)
		w.marks[i].pss_kb[2] = (uint32_t)i * 1024;
	assert_true(memory_of(&w, 0, MARKS).growth == 1);
	assert_true(memory_of(&w, 10, MARKS).growth == 1);
	/* Later it is one. */
	w.marks[70].pss_kb[2] += 4000;
	assert_true(memory_of(&w, 0, MARKS).growth > 1);
	process_free(&w);
}

static void nothing_is_said_of_what_was_not_seen(void **state)
{
	struct process_watch w;

	watch(&w, 0);
	assert_true(isnan(memory_of(&w, 0, 9).growth) && memory_of(&w, 0, 9).peak_mb == 70);
	assert_true(isnan(memory_of(&w, MARKS, 2 * MARKS).peak_mb));
	/* The engine is not among them. */
	for (int i = 1; i < 6; i++)
		w.rows[i].name[0] = 'x';
	assert_true(isnan(memory_of(&w, 0, MARKS).peak_mb));
	assert_true(isnan(memory_of(&w, 0, MARKS).growth));
	process_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_is_flat),
		cmocka_unit_test(what_grows_is_seen),
		cmocka_unit_test(warming_up_is_left_out),
		cmocka_unit_test(nothing_is_said_of_what_was_not_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
