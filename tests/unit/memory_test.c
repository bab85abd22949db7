#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
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

/* A child that is found between its fork and its exec goes by its own name afterwards. */
static void one_that_was_just_forked_gets_its_name(void **state)
{
	struct process_watch w = { 0 };
	int go[2], gone[2];
	char byte;
	pid_t pid;

	/* `gone` is closed by the exec. */
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(gone, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &byte, 1) == 1)
			execl("/bin/sleep", "engine", "60", (char *)NULL);
		_exit(1);
	}
	close(gone[1]);
	assert_true(process_watch_root(&w, pid, NULL, false));
	process_look(&w, 0, false);
	assert_int_equal(process_find(&w, "memory_test"), pid);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(read(gone[0], &byte, 1), 0);
	process_look(&w, 1, false);
	assert_int_equal(process_find(&w, "engine"), pid);
	assert_int_equal(process_find(&w, "memory_test"), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(go[0]);
	close(go[1]);
	close(gone[0]);
	process_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_is_flat),
		cmocka_unit_test(what_grows_is_seen),
		cmocka_unit_test(warming_up_is_left_out),
		cmocka_unit_test(nothing_is_said_of_what_was_not_seen),
		cmocka_unit_test(one_that_was_just_forked_gets_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
