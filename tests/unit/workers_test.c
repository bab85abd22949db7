/* The pool: slow jobs never take all threads, its queue is bounded, what it took is run. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "limits.h"
#include "portal/workers.h"

/* A gate at which slow jobs wait. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t turned;
	uint32_t inside, quick_done, done;
	bool open;
};

struct task { struct job job; struct gate *gate; };

static void slow(struct job *j, struct worker *w)
{
	struct gate *g = ((struct task *)j)->gate;

	pthread_mutex_lock(&g->lock);
	g->inside++;
	pthread_cond_broadcast(&g->turned);
	while (!g->open)
		pthread_cond_wait(&g->turned, &g->lock);
	g->done++;
	pthread_cond_broadcast(&g->turned);
	pthread_mutex_unlock(&g->lock);
}

static void quick(struct job *j, struct worker *w)
{
	struct gate *g = ((struct task *)j)->gate;

	pthread_mutex_lock(&g->lock);
	g->quick_done++;
	pthread_cond_broadcast(&g->turned);
	pthread_mutex_unlock(&g->lock);
}

static void wait_for(struct gate *g, const uint32_t *what, uint32_t is)
{
	pthread_mutex_lock(&g->lock);
	while (*what < is)
		pthread_cond_wait(&g->turned, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void turn(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->turned);
	pthread_mutex_unlock(&g->lock);
}

static void closed(struct worker *w) { (void)w; }

static struct gate *gate_made(void)
{
	struct gate *g = calloc(1, sizeof(*g));

	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->turned, NULL);
	return g;
}

/* Ten wait for somebody who hangs: half of the threads do, the others go on. */
static void slow_ones_leave_room(void **state)
{
	struct task hang[10] = { 0 }, pass[50] = { 0 };
	struct gate *g = gate_made();
	struct workers *w;

	assert_int_equal(workers_start(&w, NULL, 4, closed, NULL), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(hang); i++) {
		hang[i] = (struct task){ { .slow = true, .run = slow }, g };
		assert_int_equal(workers_push(w, &hang[i].job), ST_OK);
	}
	wait_for(g, &g->inside, 2);
	for (size_t i = 0; i < ARRAY_LEN(pass); i++) {
		pass[i] = (struct task){ { .run = quick }, g };
		assert_int_equal(workers_push(w, &pass[i].job), ST_OK);
	}
	/* Hangs for ever where the slow ones have all threads. */
	wait_for(g, &g->quick_done, ARRAY_LEN(pass));
	assert_int_equal(g->inside, 2);
	turn(g);
	wait_for(g, &g->done, ARRAY_LEN(hang));
	workers_stop(w);
	free(g);
}

/* However many files there are, whoever signs in meanwhile is not behind them. */
static void files_leave_a_slow_one(void **state)
{
	struct task files[10] = { 0 }, one = { 0 };
	struct gate *g = gate_made(), *other = gate_made();
	struct workers *w;

	assert_int_equal(workers_start(&w, NULL, 4, closed, NULL), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		files[i] = (struct task){ { .slow = true, .file = true, .run = slow }, g };
		assert_int_equal(workers_push(w, &files[i].job), ST_OK);
	}
	wait_for(g, &g->inside, 1);
	one = (struct task){ { .slow = true, .run = slow }, other };
	turn(other);
	assert_int_equal(workers_push(w, &one.job), ST_OK);
	/* Hangs for ever where the files have all slow ones. */
	wait_for(other, &other->done, 1);
	assert_int_equal(g->inside, 1);
	turn(g);
	wait_for(g, &g->done, ARRAY_LEN(files));
	workers_stop(w);
	free(other);
	free(g);
}

static void the_queue_is_bounded(void **state)
{
	struct task *many = calloc(PORTAL_QUEUE_MAX + 8, sizeof(*many));
	struct gate *g = gate_made();
	struct workers *w;
	uint32_t taken = 0;

	assert_int_equal(workers_start(&w, NULL, 2, closed, NULL), ST_OK);
	for (uint32_t i = 0; i < PORTAL_QUEUE_MAX + 8; i++) {
		many[i] = (struct task){ { .slow = true, .run = slow }, g };
		if (workers_push(w, &many[i].job) == ST_OK)
			taken++;
	}
	assert_in_range(taken, PORTAL_QUEUE_MAX, PORTAL_QUEUE_MAX + 2);
	turn(g);
	/* What was taken is run before the end. */
	workers_stop(w);
	assert_int_equal(g->done, taken);
	free(many);
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_ones_leave_room), cmocka_unit_test(files_leave_a_slow_one),
		cmocka_unit_test(the_queue_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
