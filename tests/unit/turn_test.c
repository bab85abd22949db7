#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "base/queue.h"
#include "intake/turn.h"

#define THREADS 4
#define WORKS 8
#define ASKS 80000

/* What is asked for; `seen` and `overlaps` are written only by the thread whose turn it is. */
struct work {
	struct turn turn;
	atomic_uint asked, inside;
	uint32_t seen, overlaps;
};

struct rig {
	struct queue *queue;
	struct work works[WORKS];
	atomic_uint handed;		/* not yet back */
};

static void hand(struct rig *rig, struct work *w)
{
	atomic_fetch_add(&rig->handed, 1);
	assert_int_equal(queue_push(rig->queue, w), ST_OK);
}

static void *ask_main(void *arg)
{
	struct rig *rig = arg;

	for (uint32_t i = 0; i < ASKS; i++) {
		struct work *w = &rig->works[i % WORKS];

		atomic_fetch_add(&w->asked, 1);
		if (turn_ask(&w->turn))
			hand(rig, w);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void *work_main(void *arg)
{
	struct rig *rig = arg;
	struct work *w;

	while ((w = queue_wait(rig->queue, -1)) != NULL) {
		turn_begin(&w->turn);
		w->overlaps += atomic_fetch_add(&w->inside, 1) != 0;
		w->seen = atomic_load(&w->asked);
		sched_yield();
		atomic_fetch_sub(&w->inside, 1);
		if (turn_end(&w->turn))
			hand(rig, w);
		atomic_fetch_sub(&rig->handed, 1);
	}
	return NULL;
}

static void one_at_a_time_and_nothing_missed(void **state)
{
	static struct rig rig;
	pthread_t askers[THREADS], workers[THREADS];

	/* Each work stands in the queue once at most: no more room is needed. */
	assert_int_equal(queue_new(&rig.queue, WORKS), ST_OK);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, work_main, &rig), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, ask_main, &rig), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(askers[i], NULL);
	while (atomic_load(&rig.handed) > 0)
		sched_yield();
	queue_close(rig.queue);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i], NULL);
	for (int i = 0; i < WORKS; i++) {
		assert_int_equal(rig.works[i].overlaps, 0);
		assert_int_equal(rig.works[i].seen, THREADS * ASKS / WORKS);
	}
	queue_free(rig.queue);
}

static void who_asks_while_it_runs_is_seen_to(void **state)
{
	struct turn t = { 0 };

	assert_true(turn_ask(&t));
	assert_false(turn_ask(&t));	/* stands in the queue already */
	turn_begin(&t);
	assert_false(turn_ask(&t));
	assert_false(turn_ask(&t));
	assert_true(turn_end(&t));	/* both at once */
	assert_false(turn_ask(&t));
	turn_begin(&t);
	assert_false(turn_end(&t));
	assert_true(turn_ask(&t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks_while_it_runs_is_seen_to),
		cmocka_unit_test(one_at_a_time_and_nothing_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
