/* The hand-over between threads: order, bound, and who is woken when. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/queue.h"

#define LEVEL 3

static int items[16];

static void holds_so_many_in_their_order(void **state)
{
	struct queue *q;

	(void)state;
	assert_int_equal(queue_new(&q, 4), ST_OK);
	assert_null(queue_pop(q));
	for (int i = 0; i < 4; i++)
		assert_int_equal(queue_push(q, &items[i]), ST_OK);
	assert_int_equal(queue_push(q, &items[4]), ST_FULL);
	assert_int_equal(queue_count(q), 4);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(queue_wait(q, 0), &items[i]);
	assert_null(queue_wait(q, 1));
	queue_close(q);
	assert_int_equal(queue_push(q, &items[0]), ST_UNAVAILABLE);
	assert_null(queue_wait(q, -1));
	queue_free(q);
}

static void a_helper_leaves_what_is_no_crowd(void **state)
{
	struct queue *q;

	(void)state;
	assert_int_equal(queue_new(&q, 16), ST_OK);
	for (int i = 0; i <= LEVEL; i++)
		assert_int_equal(queue_push(q, &items[i]), ST_OK);
	assert_ptr_equal(queue_help(q, LEVEL), &items[0]);
	assert_int_equal(queue_count(q), LEVEL);
	queue_close(q);
	assert_null(queue_help(q, LEVEL));
	/* What is left is for the others. */
	for (int i = 1; i <= LEVEL; i++)
		assert_ptr_equal(queue_wait(q, -1), &items[i]);
	assert_null(queue_wait(q, -1));
	queue_free(q);
}

struct helper { struct queue *q; atomic_int taken; };

static void *helps(void *arg)
{
	struct helper *h = arg;

	while (queue_help(h->q, LEVEL) != NULL)
		atomic_fetch_add(&h->taken, 1);
	return NULL;
}

static void a_crowd_wakes_the_helpers(void **state)
{
	struct helper h = { 0 };
	pthread_t threads[2];

	(void)state;
	assert_int_equal(queue_new(&h.q, 16), ST_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, helps, &h), 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(queue_push(h.q, &items[i]), ST_OK);
	/* Nobody else takes any, so they come down to the level and no further. */
	for (int i = 0; queue_count(h.q) > LEVEL; i++) {
		assert_true(i < 20000);
		usleep(1000);
	}
	queue_close(h.q);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&h.taken), 12 - LEVEL);
	assert_int_equal(queue_count(h.q), LEVEL);
	while (queue_pop(h.q) != NULL)
		;
	queue_free(h.q);
}

static void *becomes_patient(void *arg)
{
	cpu_patient();
	*(int *)arg = sched_getscheduler(0);
	return NULL;
}

static void patience_is_a_threads_own(void **state)
{
	int before = sched_getscheduler(0), policy = -1;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, becomes_patient, &policy), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(policy, SCHED_IDLE);
	assert_int_equal(sched_getscheduler(0), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_so_many_in_their_order),
		cmocka_unit_test(a_helper_leaves_what_is_no_crowd),
		cmocka_unit_test(a_crowd_wakes_the_helpers),
		cmocka_unit_test(patience_is_a_threads_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
