#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "intake/bell.h"

#define FAR_MS 60000
#define SOON_MS (20 * BELL_LOOK_MS)	/* generous: others work on the machine, too */

/* What the bell waits by: its condition variable (the last that was made), its clock, and whether
 * the end was further off by it than a look. */
static pthread_cond_t *_Atomic made;
static atomic_int wait_clock;
static atomic_bool waited_wrong;

int __real_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a)
{
	clockid_t clock = CLOCK_REALTIME;

	if (a != NULL)
		pthread_condattr_getclock(a, &clock);
	atomic_store(&made, c);
	atomic_store(&wait_clock, clock);
	return __real_pthread_cond_init(c, a);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (t->tv_sec - now.tv_sec) * 1000000000LL + t->tv_nsec - now.tv_nsec;
	if (c == atomic_load(&made) && ns > BELL_LOOK_MS * 1000000LL)
		atomic_store(&waited_wrong, true);
	return __real_pthread_cond_timedwait(c, m, t);
}

struct rig {
	struct intake in;
	struct bell *bell;
	atomic_uint_fast64_t news;
};

static uint64_t news(void *ctx)
{
	return atomic_load(&((struct rig *)ctx)->news);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct error e = { 0 };

	assert_non_null(rig);
	assert_int_equal(queue_new(&rig->in.jobs, 2048), ST_OK);
	atomic_store(&waited_wrong, false);
	assert_int_equal(bell_open(&rig->bell, news, rig, &e), ST_OK);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	bell_close(rig->bell);
	queue_free(rig->in.jobs);
	free(rig);
	return 0;
}

/* A call that only waits: its turns come out of the queue of jobs. */
static void call_of(struct rig *rig, struct call *c)
{
	*c = (struct call){ .in = &rig->in };
	atomic_init(&c->refs, 1);
}

/* A turn came within that time: it is taken, and its reference given back. */
static bool rang(struct rig *rig, struct ringing *r, struct call *c, int ms)
{
	struct call *got = queue_wait(rig->in.jobs, ms);

	if (got == NULL)
		return false;
	assert_ptr_equal(got, c);
	turn_begin(&c->turn);
	assert_false(turn_end(&c->turn));
	call_unref(c);
	/* As a call does, which then looks again. The bell has let go of the call then, too. */
	bell_leave(rig->bell, r);
	return true;
}

static void rings_once_when_there_is_news(void **state)
{
	struct rig *rig = *state;
	struct ringing r = { 0 };
	struct call c;

	call_of(rig, &c);
	assert_true(bell_wait(rig->bell, &r, &c, 0, intake_clock_ms() + FAR_MS));
	assert_int_equal(atomic_load(&c.refs), 2);
	assert_false(rang(rig, &r, &c, 3 * BELL_LOOK_MS));
	atomic_store(&rig->news, 1);
	assert_true(rang(rig, &r, &c, SOON_MS));
	assert_false(r.listed);
	assert_int_equal(atomic_load(&c.refs), 1);
	atomic_store(&rig->news, 2);
	assert_false(rang(rig, &r, &c, 3 * BELL_LOOK_MS));
}

static void news_between_look_and_wait_are_not_missed(void **state)
{
	struct rig *rig = *state;
	struct ringing r = { 0 };
	struct call c;

	call_of(rig, &c);
	atomic_store(&rig->news, 7);
	assert_true(bell_wait(rig->bell, &r, &c, 6, intake_clock_ms() + FAR_MS));
	assert_true(rang(rig, &r, &c, SOON_MS));
}

static void rings_when_the_time_is_over(void **state)
{
	struct rig *rig = *state;
	struct ringing r = { 0 };
	struct call c;
	uint64_t until = intake_clock_ms() + 300;

	call_of(rig, &c);
	assert_true(bell_wait(rig->bell, &r, &c, 0, until));
	assert_true(rang(rig, &r, &c, SOON_MS));
	assert_true(intake_clock_ms() >= until);
	/* However the time of day is set meanwhile. */
	assert_int_equal(atomic_load(&wait_clock), CLOCK_MONOTONIC);
	assert_false(atomic_load(&waited_wrong));
}

static void who_leaves_hears_nothing(void **state)
{
	struct rig *rig = *state;
	struct ringing r[3] = { 0 };
	struct call c[3];

	for (int i = 0; i < 3; i++) {
		call_of(rig, &c[i]);
		assert_true(bell_wait(rig->bell, &r[i], &c[i], 0, intake_clock_ms() + FAR_MS));
	}
	bell_leave(rig->bell, &r[1]);
	bell_leave(rig->bell, &r[0]);
	bell_leave(rig->bell, &r[0]);
	assert_int_equal(atomic_load(&c[0].refs), 1);
	assert_int_equal(atomic_load(&c[1].refs), 1);
	atomic_store(&rig->news, 1);
	assert_true(rang(rig, &r[2], &c[2], SOON_MS));
	assert_null(queue_pop(rig->in.jobs));
}

static void there_is_an_end_of_room(void **state)
{
	struct rig *rig = *state;
	struct ringing *r = calloc(BELL_CALLS_MAX + 1, sizeof(*r));
	struct call c;

	assert_non_null(r);
	call_of(rig, &c);
	for (uint32_t i = 0; i < BELL_CALLS_MAX; i++)
		assert_true(bell_wait(rig->bell, &r[i], &c, 0, intake_clock_ms() + FAR_MS));
	assert_false(bell_wait(rig->bell, &r[BELL_CALLS_MAX], &c, 0, 0));
	bell_leave(rig->bell, &r[BELL_CALLS_MAX]);
	for (uint32_t i = 0; i < BELL_CALLS_MAX; i++)
		bell_leave(rig->bell, &r[i]);
	assert_int_equal(atomic_load(&c.refs), 1);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rings_once_when_there_is_news, set_up, tear_down),
		cmocka_unit_test_setup_teardown(news_between_look_and_wait_are_not_missed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(rings_when_the_time_is_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_leaves_hears_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_is_an_end_of_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
