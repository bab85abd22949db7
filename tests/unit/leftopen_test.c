/* What a replay has left open: the last one of a sequence, "stored up to", and no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spine/leftopen.h"

/* Linked with --wrap=realloc. */
static bool fails;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_realloc(void *p, size_t n)
{
	return fails ? NULL : __real_realloc(p, n);
}

static struct spine spine;
static struct replay replay;

static int setup(void **state)
{
	fails = false;
	spine = (struct spine){ 0 };
	return replay_init(&replay, &spine) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	replay_free(&replay);
	assert_int_equal(spine.backlog.bytes, 0);
	return 0;
}

/* A record at pos with results of these sequences. */
static struct pending *add(uint64_t pos, uint64_t sequence, uint8_t results)
{
	struct pending *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->pos = pos;
	p->left = p->end = results;
	for (uint8_t i = 0; i < results; i++) {
		struct open_result o = { .sequence = sequence + i, .pending = p, .index = i };

		assert_int_equal(leftopen_result(&replay, &o), ST_OK);
	}
	return p;
}

static void the_last_of_a_sequence_counts(void **state)
{
	struct pending *first = add(10, 1, 3), *later = add(20, 2, 1);

	leftopen_settle(&replay, 2);
	leftopen_settle(&replay, 3);
	leftopen_settle(&replay, 99);
	assert_int_equal(first->settled, 4);
	assert_int_equal(later->settled, 1);
	leftopen_stored(&replay, 20);
	assert_null(leftopen_find(&replay, 1));
	assert_ptr_equal(leftopen_find(&replay, 2)->pending, later);
	assert_null(leftopen_find(&replay, 3));
}

/* However many came and went, what is open is found and what is not, is not. */
static void a_long_journal(void **state)
{
	for (uint64_t i = 0; i < 20000; i++) {
		add(i * 10, i * 16384, 1);
		if (i % 700 == 699)
			leftopen_stored(&replay, (i - 300) * 10);
	}
	for (uint64_t i = 0; i < 20000; i++) {
		struct open_result *o = leftopen_find(&replay, i * 16384);

		assert_int_equal(o != NULL, i >= 19599 - 300);
		if (o != NULL)
			assert_int_equal(o->pending->pos, i * 10);
	}
	assert_in_range(replay.open_room, 1, 2048);
	assert_in_range(replay.slots_mask, 1, 16383);
}

static void stored_empties_each_list(void **state)
{
	for (uint64_t pos = 10; pos <= 50; pos += 10) {
		assert_int_equal(leftopen_act(&replay, pos, RECORD_VOID, slice_str("act")), ST_OK);
		assert_int_equal(leftopen_signature(&replay, pos, slice_str("sig")), ST_OK);
		assert_int_equal(leftopen_approval(&replay, pos, slice_str("yes")), ST_OK);
		assert_int_equal(leftopen_resumed(&replay, pos, pos * 7), ST_OK);
		assert_int_equal(leftopen_numbered(&replay, pos * 7), ST_OK);
	}
	leftopen_stored(&replay, 30);
	assert_int_equal(replay.acts_n, 3);
	assert_int_equal(replay.acts[0].pos, 30);
	assert_memory_equal(replay.acts[0].bytes, "act", 3);
	assert_int_equal(replay.signatures_n, 3);
	assert_int_equal(replay.signatures[0].type, RECORD_SIGNATURE);
	assert_int_equal(replay.signatures[2].pos, 50);
	assert_int_equal(replay.approvals_n, 3);
	assert_memory_equal(replay.approvals[0].bytes, "yes", 3);
	assert_int_equal(replay.resumed_n, 3);
	assert_int_equal(replay.resumed[0].sequence, 210);
	/* Their rows may be there for as long as they like. */
	assert_int_equal(replay.numbered_n, 5);
}

/* What was kept before is whole, and can be given back. */
static void no_memory_ends_it(void **state)
{
	enum status st = ST_OK;
	uint64_t n = 0;

	add(1, 1, 1);
	assert_int_equal(leftopen_approval(&replay, 1, slice_str("yes")), ST_OK);
	fails = true;
	while (st == ST_OK && n < 5000)
		st = leftopen_act(&replay, n++, RECORD_VOID, slice_str("act"));
	assert_int_equal(st, ST_NOMEM);
	fails = false;
	st = ST_OK;
	assert_int_equal(leftopen_act(&replay, 1, RECORD_VOID, slice_str("first")), ST_OK);
	fails = true;
	for (n = 0; st == ST_OK && n < 5000; n++)
		st = leftopen_act(&replay, n + 2, RECORD_VOID, slice_str("act"));
	assert_int_equal(st, ST_NOMEM);
	assert_int_equal(replay.acts_n, n);
	assert_memory_equal(replay.acts[0].bytes, "first", 5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_last_of_a_sequence_counts), CASE(a_long_journal),
		CASE(stored_empties_each_list), CASE(no_memory_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
