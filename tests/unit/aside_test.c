/* What waits for a server that is away: in order, apart from the others, and in bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spine/spine.h"

#define EAST 0x1ull
#define WEST 0x2ull
#define BOTH (EAST | WEST)
#define MAIN (&spine.backlog.lines[LINE_MAIN])

static struct spine spine;
static uint64_t away;

static void health(const struct store *store, struct store_health *out)
{
	*out = (struct store_health){ .up = away == 0, .servers_n = 2, .lanes_away = away };
}

static const struct store_ops ops = { .name = "made up", .health = health };
static struct store store = { &ops };

static int setup(void **state)
{
	spine = (struct spine){ .store = &store };
	away = 0;
	return 0;
}

static struct pending *case_at(uint64_t pos, uint64_t lanes)
{
	struct pending *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->pos = pos;
	p->lanes = lanes;
	p->priority = PRIORITY_NORMAL;
	p->end = p->left = 1;
	return p;
}

/* The list's places in the journal, and all of it freed. */
static void assert_places(struct pending *first, const struct pending *last, const uint64_t *pos,
			  uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct pending *next = first->next;

		assert_int_equal(first->pos, pos[i]);
		assert_int_equal(next == NULL, i + 1 == n);
		if (next == NULL)
			assert_ptr_equal(first, last);
		free(first);
		first = next;
	}
}
#define assert_list(list, ...) do { \
	static const uint64_t want[] = { __VA_ARGS__ }; \
	assert_places((list)->first[PRIORITY_NORMAL], (list)->last[PRIORITY_NORMAL], want, \
		      ARRAY_LEN(want)); \
} while (0)

static void aside(uint64_t pos, uint64_t lanes)
{
	aside_add(&spine, case_at(pos, lanes), away);
}

static void test_each_goes_on_in_its_place(void **state)
{
	away = EAST;
	/* Batches come back as they do; those of the waiting room have no place. */
	aside(30, EAST);
	aside(50, EAST);
	aside(10, EAST);
	aside(0, EAST);
	aside(40, EAST);
	backlog_add(&spine.backlog, case_at(20, 0), 1);
	backlog_add(&spine.backlog, case_at(45, 0), 1);
	backlog_add(&spine.backlog, case_at(60, 0), 1);
	aside_run(&spine);
	assert_int_equal(spine.backlog.cases, 3);
	assert_int_equal(spine.backlog.aside.n, 5);
	assert_int_equal(backlog_count(&spine), 8);
	away = 0;
	aside_run(&spine);
	assert_int_equal(spine.backlog.cases, 8);
	assert_int_equal(spine.backlog.aside.n, 0);
	assert_null(spine.backlog.aside.last[PRIORITY_NORMAL]);
	assert_list(MAIN, 0, 10, 20, 30, 40, 45, 50, 60);
}

static void test_only_those_whose_servers_are_back(void **state)
{
	away = BOTH;
	aside(10, EAST);
	aside(20, BOTH);
	aside(30, WEST);
	aside(40, EAST);
	away = WEST;
	aside_run(&spine);
	assert_list(MAIN, 10, 40);
	/* It goes again, and comes back, between two looks. */
	away = BOTH;
	aside(50, EAST);
	away = WEST;
	MAIN->first[PRIORITY_NORMAL] = MAIN->last[PRIORITY_NORMAL] = NULL;
	aside_run(&spine);
	assert_list(MAIN, 50);
	assert_list(&spine.backlog.aside, 20, 30);
}

static void test_others_leave_the_waiting_room(void **state)
{
	spine.resumed = RESUMED_MAX;
	assert_true(resumed_full(&spine));
	spine.backlog.aside.resumed = 1;
	assert_false(resumed_full(&spine));
	spine.resumed = spine.backlog.aside.resumed = RESUMED_ASIDE_MAX;
	assert_true(resumed_full(&spine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_goes_on_in_its_place, setup),
		cmocka_unit_test_setup(test_only_those_whose_servers_are_back, setup),
		cmocka_unit_test_setup(test_others_leave_the_waiting_room, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
