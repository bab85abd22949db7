/* Whose turn it is to be sealed, and how many batches a token may keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spine/spine.h"

#define AGE_NS 1000u
#define CASES 512

static struct backlog *b;
static struct pending cases[CASES];
static uint32_t cases_n;
static const bool nobody[LINES_MAX];

static int setup(void **state)
{
	b = calloc(1, sizeof(*b));
	cases_n = 0;
	return b == NULL;
}

static int teardown(void **state)
{
	free(b);
	return 0;
}

static struct pending *put(uint32_t tokens, enum priority priority, uint64_t now_ns)
{
	struct pending *p = &cases[cases_n++];

	*p = (struct pending){ .tokens = tokens, .priority = (uint8_t)priority, .size = 100,
			       .pos = cases_n, .payload = (uint8_t *)"there" };
	backlog_add(b, p, now_ns);
	return p;
}

static struct batch_room room(uint32_t batches, uint32_t in_flight)
{
	return (struct batch_room){ batches, in_flight, AGE_NS };
}

/* So many batches it gets, one after the other, in the end. */
static uint32_t granted(struct line *l, uint32_t batches)
{
	const struct batch_room r = room(batches, 0);
	uint32_t n = 0;

	for (; line_has_room(b, l, &r) && n < 100; n++)
		l->batches++;
	return n;
}

static void in_order_of_priority(void **state)
{
	struct pending *bulk = put(0, PRIORITY_BULK, 1), *first = put(0, PRIORITY_NORMAL, 2);
	struct pending *second = put(0, PRIORITY_NORMAL, 3), back = { .priority = 1, .pos = 9 };
	struct line *l = &b->lines[LINE_MAIN];
	uint8_t priority;

	assert_true(l->cases == 3 && b->cases == 3 && b->bytes == 300 && l->oldest_ns == 1);
	assert_ptr_equal(line_first(l, false, &priority), first);
	assert_int_equal(priority, PRIORITY_NORMAL);
	assert_ptr_equal(line_first(l, true, &priority), bulk);
	backlog_put_back(b, &back, 4);
	assert_ptr_equal(line_first(l, false, &priority), &back);
	line_pop(b, l, PRIORITY_NORMAL, 5);
	line_pop(b, l, PRIORITY_NORMAL, 6);
	assert_ptr_equal(line_first(l, false, &priority), second);
	line_pop(b, l, PRIORITY_NORMAL, 7);
	line_pop(b, l, PRIORITY_BULK, 8);
	assert_null(line_first(l, false, &priority));
	assert_int_equal(b->cases, 0);
}

/* Of six batches, keys in files have two for themselves; the others are shared. */
static void tokens_share(void **state)
{
	struct line *one, *two;

	put(1, PRIORITY_NORMAL, 0);
	one = backlog_line(b, 1);
	assert_int_equal(granted(one, 6), 4);
	put(2, PRIORITY_NORMAL, 0);
	two = backlog_line(b, 2);
	assert_ptr_not_equal(one, two);
	assert_int_equal(granted(two, 6), 0);
	one->batches = 0;
	assert_int_equal(granted(two, 6), 2);
	assert_int_equal(granted(one, 6), 2);
	assert_int_equal(granted(&b->lines[LINE_MAIN], 6), 100);
	/* What is urgent takes one of the two. */
	put(1, PRIORITY_INTERACTIVE, 0);
	assert_int_equal(granted(one, 6), 1);
	assert_int_equal(granted(two, 6), 0);
}

static void few_batches_and_many_tokens(void **state)
{
	put(1, PRIORITY_NORMAL, 0);
	assert_int_equal(granted(backlog_line(b, 1), 1), 1);
	backlog_line(b, 1)->batches = 0;
	assert_int_equal(granted(backlog_line(b, 1), 3), 1);
	backlog_line(b, 1)->batches = 0;
	for (uint32_t i = 1; i < LINES_MAX - 1; i++)
		put(1u << i, PRIORITY_NORMAL, 0);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(granted(backlog_line(b, 1u << i), 8), i < 6);
	/* As many lines as there may be: the next one's are sealed with the others. */
	assert_ptr_equal(backlog_line(b, 3), &b->lines[LINE_MAIN]);
	put(3, PRIORITY_NORMAL, 0);
	assert_int_equal(b->lines[LINE_MAIN].cases, 1);
}

static void due_by_age_or_number(void **state)
{
	struct batch_room r = room(6, 0);
	struct line *main = &b->lines[LINE_MAIN], *token;
	bool passed[LINES_MAX] = { false };

	assert_null(backlog_due(b, &r, nobody, 0));
	assert_true(backlog_due_ns(b, &r) == UINT64_MAX);
	put(0, PRIORITY_NORMAL, 10);
	assert_ptr_equal(backlog_due(b, &r, nobody, 10), main);
	r.in_flight = 1;
	assert_null(backlog_due(b, &r, nobody, 10));
	assert_true(backlog_due_ns(b, &r) == 10 + AGE_NS);
	assert_ptr_equal(backlog_due(b, &r, nobody, 10 + AGE_NS), main);
	/* A token's batches keep the others from nothing. */
	put(1, PRIORITY_NORMAL, 5);
	token = backlog_line(b, 1);
	token->batches = 1;
	assert_ptr_equal(backlog_due(b, &r, nobody, 10), main);
	assert_true(backlog_due_ns(b, &r) == 5 + AGE_NS);
	/* In turn; who was passed over, or has its share, is left out. */
	assert_ptr_equal(backlog_due(b, &r, nobody, 5 + AGE_NS), token);
	assert_ptr_equal(backlog_due(b, &r, nobody, 10 + AGE_NS), main);
	passed[LINE_MAIN] = true;
	assert_ptr_equal(backlog_due(b, &r, passed, 10 + AGE_NS), token);
	token->batches = 4;
	assert_null(backlog_due(b, &r, passed, 10 + AGE_NS));
	assert_true(backlog_due_ns(b, &r) == 10 + AGE_NS);
	/* What is urgent goes first. */
	put(1, PRIORITY_INTERACTIVE, 20);
	assert_ptr_equal(backlog_due(b, &r, nobody, 10 + AGE_NS), token);
	assert_ptr_equal(backlog_due(b, &r, nobody, 10 + AGE_NS), token);
}

static void what_is_known_changes_its_line(void **state)
{
	const struct pins a = { .unit = "a" }, c = { .unit = "c" };
	struct pending *p = put(0, PRIORITY_NORMAL, 10);
	struct line *l;

	backlog_learn(b, &a, 0);
	assert_int_equal(backlog_known(b, &a), 0);
	backlog_learn(b, &a, 4);
	backlog_learn(b, &c, 0);
	assert_int_equal(backlog_known(b, &a), 4);
	assert_int_equal(backlog_known(b, &c), 0);
	p->tokens = 4;
	backlog_move(b, PRIORITY_NORMAL, 20);
	l = backlog_line(b, 4);
	assert_true(l->cases == 1 && b->cases == 1 && b->bytes == 100 && l->oldest_ns == 10);
	assert_int_equal(b->lines[LINE_MAIN].cases, 0);
	backlog_learn(b, &a, 0);
	assert_int_equal(backlog_known(b, &a), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(in_order_of_priority), TEST(tokens_share), TEST(few_batches_and_many_tokens),
		TEST(due_by_age_or_number), TEST(what_is_known_changes_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
