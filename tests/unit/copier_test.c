/* Copiers without gRPC: their clock, their round over all calls, and calls that end with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "intake/server.h"

#define CALLS 200
#define WAIT_MS 20000

uint64_t __wrap_intake_clock_ms(void);

/* Right behind each look at the clock another copier has made a tick. */
static struct intake *busy;
static atomic_uint_fast64_t clock_ms;

uint64_t __wrap_intake_clock_ms(void)
{
	uint64_t now = atomic_fetch_add(&clock_ms, 2);

	if (busy != NULL)
		atomic_store(&busy->ticked_ms, now + 1);
	return now;
}

static atomic_uint turns, ticks, freed;
static pthread_t freed_by;
static bool lies_on_disk;

static void turn(struct call *c, struct read_thread *r)
{
	atomic_fetch_add(&turns, 1);
}

static void tick(struct call *c)
{
	atomic_fetch_add(&ticks, 1);
}

static bool on_disk(const struct call *c)
{
	return lies_on_disk;
}

static void ended(struct call *c)
{
	freed_by = pthread_self();
	atomic_fetch_add(&freed, 1);
}

static const struct method method = { .path = "/a/b", .work = turn, .tick = tick,
				      .on_disk = on_disk, .free = ended };

static enum status reader_open(void *ctx, void **reader, struct error *e)
{
	return ST_OK;
}

static int set_up(void **state)
{
	struct intake *in = calloc(1, sizeof(*in));

	assert_non_null(in);
	in->ops.reader_open = reader_open;
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->idle, NULL);
	assert_int_equal(queue_new(&in->slow_jobs, CALLS_LIVE_MAX), ST_OK);
	atomic_store(&clock_ms, 1000000);
	atomic_store(&turns, 0);
	atomic_store(&ticks, 0);
	atomic_store(&freed, 0);
	busy = NULL;
	lies_on_disk = true;
	*state = in;
	return 0;
}

static int tear_down(void **state)
{
	struct intake *in = *state;

	queue_free(in->slow_jobs);
	pthread_cond_destroy(&in->idle);
	pthread_mutex_destroy(&in->lock);
	free(in);
	return 0;
}

static struct call *call_on(struct intake *in)
{
	struct call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->in = in;
	c->m = &method;
	c->slow = true;
	atomic_init(&c->refs, 1);
	return c;
}

/* As a call that has just come. */
static void live(struct intake *in, struct call *c)
{
	c->number = ++in->numbered;
	c->next = in->live;
	if (in->live != NULL)
		in->live->prev = c;
	in->live = c;
	in->live_n++;
}

static void leave(struct intake *in, struct call *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		in->live = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->prev = c->next = NULL;
	in->live_n--;
}

static void wait_for(const atomic_uint *n, unsigned int want)
{
	for (int i = 0; i < WAIT_MS && atomic_load(n) < want; i++)
		usleep(1000);
	assert_int_equal(atomic_load(n), want);
}

static void start(struct intake *in)
{
	struct error e = { 0 };

	assert_int_equal(copiers_start(in, &e), ST_OK);
}

static void a_tick_of_another_copier_is_not_of_the_past(void **state)
{
	struct intake *in = *state;
	struct call *c = call_on(in);

	live(in, c);
	busy = in;
	atomic_store(&in->ticked_ms, atomic_load(&clock_ms));
	start(in);
	for (unsigned int i = 1; i <= 50; i++) {
		call_queue(c);
		wait_for(&turns, i);
	}
	copiers_stop(in);
	assert_int_equal(atomic_load(&ticks), 0);
	free(c);
}

/* ---- the round ---- */

static struct call *all[CALLS];
static uint32_t seen[CALLS];
static bool moving;

static bool any(const struct call *c)
{
	return true;
}

/* Whoever was seen leaves, and now and then somebody new comes. */
static void see(struct call *c)
{
	struct intake *in = c->in;

	for (uint32_t i = 0; i < CALLS; i++)
		seen[i] += all[i] == c;
	if (!moving)
		return;
	leave(in, c);
	if (c->number % 3 == 0)
		live(in, call_on(in));
}

static void each_live_call_is_seen_once(void **state)
{
	struct intake *in = *state;

	for (int moves = 0; moves < 2; moves++) {
		memset(seen, 0, sizeof(seen));
		moving = moves == 1;
		for (uint32_t i = 0; i < CALLS; i++) {
			all[i] = call_on(in);
			live(in, all[i]);
		}
		calls_each(in, any, see);
		for (uint32_t i = 0; i < CALLS; i++)
			assert_int_equal(seen[i], 1);
		for (uint32_t i = 0; i < CALLS && !moving; i++)
			leave(in, all[i]);
		for (uint32_t i = 0; i < CALLS; i++)
			free(all[i]);
		/* Those that came meanwhile. */
		for (struct call *c; (c = in->live) != NULL; free(c))
			leave(in, c);
	}
}

/* ---- the end of a call ---- */

static void what_lies_on_the_disk_goes_on_a_copier(void **state)
{
	struct intake *in = *state;

	pthread_t first, second;

	start(in);
	call_unref(call_on(in));
	wait_for(&freed, 1);
	first = freed_by;
	/* What does not, goes where it is. */
	lies_on_disk = false;
	call_unref(call_on(in));
	second = freed_by;
	copiers_stop(in);
	assert_false(pthread_equal(first, pthread_self()));
	assert_true(pthread_equal(second, pthread_self()));
	assert_int_equal(atomic_load(&freed), 2);
	/* The very last ones find no copier. */
	lies_on_disk = true;
	call_unref(call_on(in));
	assert_int_equal(atomic_load(&freed), 3);
}

static void the_stop_leaves_nothing_in_the_queue(void **state)
{
	struct intake *in = *state;
	struct call *waiting[8];

	for (int i = 0; i < 8; i++) {
		waiting[i] = call_on(in);
		call_queue(waiting[i]);
		call_unref(call_on(in));
	}
	atomic_store(&in->closing, true);
	start(in);
	copiers_stop(in);
	assert_int_equal(atomic_load(&turns), 8);
	assert_int_equal(atomic_load(&freed), 8);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(atomic_load(&waiting[i]->refs), 1);
		free(waiting[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_tick_of_another_copier_is_not_of_the_past,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_live_call_is_seen_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_lies_on_the_disk_goes_on_a_copier, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_stop_leaves_nothing_in_the_queue, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
