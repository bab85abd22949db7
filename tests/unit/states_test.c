#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "states.h"

/* Every arrow of the drawing, and the test that takes it in a running engine. */
static const struct arrow { enum state from, to; const char *file, *test; } arrows[] = {
	{ STATE_AWAITING_APPROVAL, STATE_NUMBERED, "test_approval.py",
	  "test_killed_between_numbers_and_store" },
	{ STATE_AWAITING_APPROVAL, STATE_REFUSED, "test_approval.py",
	  "test_sent_back_or_withdrawn_it_ends_without_a_number_and_says_so_for_ever" },
	{ STATE_AWAITING_APPROVAL, STATE_WITHDRAWN, "test_approval.py",
	  "test_sent_back_or_withdrawn_it_ends_without_a_number_and_says_so_for_ever" },
	{ STATE_AWAITING_APPROVAL, STATE_TIMED_OUT, "test_approval_time.py",
	  "test_what_nobody_approves_times_out" },
	{ STATE_NUMBERED, STATE_STORED, "test_issue.py", "test_receipt_then_stored_then_bytes" },
	{ STATE_NUMBERED, STATE_HELD, "test_held.py", "test_held_then_retried" },
	{ STATE_HELD, STATE_NUMBERED, "test_held.py", "test_held_then_retried" },
	{ STATE_HELD, STATE_VOID, "test_held.py", "test_held_then_void" },
	{ STATE_NUMBERED, STATE_AWAITING_SIGNATURE, "test_remote_issue.py",
	  "test_others_go_on_while_a_service_is_late" },
	{ STATE_AWAITING_SIGNATURE, STATE_NUMBERED, "test_remote_issue.py",
	  "test_others_go_on_while_a_service_is_late" },
	{ STATE_AWAITING_SIGNATURE, STATE_HELD, "test_remote_issue.py",
	  "test_a_person_may_say_no" },
	{ STATE_AWAITING_SIGNATURE, STATE_VOID, "test_waiting_ends.py",
	  "test_void_instead_of_a_signature" },
};

static const struct arrow *arrow_find(enum state from, enum state to)
{
	for (size_t i = 0; i < ARRAY_LEN(arrows); i++)
		if (arrows[i].from == from && arrows[i].to == to)
			return &arrows[i];
	return NULL;
}

static void arrows_and_no_others(void **state)
{
	for (int from = 0; from <= STATE_VOID + 1; from++)
		for (int to = 0; to <= STATE_VOID + 1; to++)
			assert_int_equal(state_follows((enum state)from, (enum state)to),
					 arrow_find((enum state)from, (enum state)to) != NULL);
}

static void ends_lead_nowhere(void **state)
{
	for (int from = 0; from <= STATE_VOID + 1; from++) {
		bool leads = false;

		for (int to = 0; to <= STATE_VOID; to++)
			leads |= state_follows((enum state)from, (enum state)to);
		if (from >= STATE_AWAITING_APPROVAL && from <= STATE_VOID)
			assert_int_equal(state_is_end((enum state)from), !leads);
		else
			assert_false(leads || state_is_end((enum state)from));
	}
}

/* What has a number never ends without one, and the other way round. */
static void numbers_are_kept(void **state)
{
	static const enum state unnumbered[] = { STATE_REFUSED, STATE_WITHDRAWN, STATE_TIMED_OUT };

	for (size_t i = 0; i < ARRAY_LEN(unnumbered); i++)
		for (int from = 0; from <= STATE_VOID; from++)
			assert_int_equal(state_follows((enum state)from, unnumbered[i]),
					 from == STATE_AWAITING_APPROVAL);
	assert_false(state_follows(STATE_AWAITING_APPROVAL, STATE_VOID));
	assert_false(state_follows(STATE_AWAITING_APPROVAL, STATE_STORED));
}

/* The tests named above are there. */
static void every_arrow_has_a_test(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(arrows); i++) {
		char path[1000], line[1000];
		size_t n = strlen(arrows[i].test);
		bool found = false;
		const char *here = __FILE__;
		FILE *f;

		snprintf(path, sizeof(path), "%.*s/../e2e/%s",
			 (int)(strrchr(here, '/') - here), here, arrows[i].file);
		f = fopen(path, "r");
		if (f == NULL)
			fail_msg("%s", path);
		while (!found && fgets(line, sizeof(line), f) != NULL)
			found = strncmp(line, "def ", 4) == 0 &&
				strncmp(line + 4, arrows[i].test, n) == 0 && line[4 + n] == '(';
		fclose(f);
		if (!found)
			fail_msg("%s: no %s", arrows[i].file, arrows[i].test);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrows_and_no_others), cmocka_unit_test(ends_lead_nowhere),
		cmocka_unit_test(numbers_are_kept), cmocka_unit_test(every_arrow_has_a_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
