/*
 * A store whose writes block, behind its thread: order, asking again, failing for good, ending.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdlib.h>

#include "store/batchwriter.h"
#include "storewait.h"

/* A store that answers what it is told to: first `refusals` times `answer`, then ST_OK. */
struct fake {
	struct store store;
	enum status answer;
	_Atomic uint32_t refusals, asked;
	const struct batch *took[BATCHES_IN_FLIGHT_MAX];
	uint32_t took_n;
};

static enum status fake_put(struct store *s, struct batch *b, int64_t now_ms, struct error *e)
{
	struct fake *f = (struct fake *)s;

	assert_int_equal(now_ms, 77);
	atomic_fetch_add(&f->asked, 1);
	if (atomic_load(&f->refusals) > 0) {
		atomic_fetch_sub(&f->refusals, 1);
		return error_set(e, f->answer, "the fake store was told so");
	}
	f->took[f->took_n++] = b;
	return ST_OK;
}

static struct batchwriter *begin(struct fake *f, struct storewait *w)
{
	struct store_sink sink = storewait_sink(w, 77);
	struct batchwriter *bw = NULL;

	assert_int_equal(batchwriter_new(&bw, &f->store, fake_put, &sink), ST_OK);
	return bw;
}

static void give(struct batchwriter *bw, struct storewait *w, struct batch *b)
{
	pthread_mutex_lock(&w->lock);
	w->out++;
	pthread_mutex_unlock(&w->lock);
	batchwriter_take(bw, b);
}

static void test_order(void **state)
{
	struct fake f = { 0 };
	struct storewait w;
	struct batchwriter *bw = begin(&f, &w);
	struct batch *b = calloc(BATCHES_IN_FLIGHT_MAX, sizeof(*b));
	uint64_t retries;

	assert_non_null(b);
	for (uint32_t i = 0; i < BATCHES_IN_FLIGHT_MAX; i++)
		give(bw, &w, &b[i]);
	assert_int_equal(storewait_all(&w), ST_OK);
	assert_int_equal(f.took_n, BATCHES_IN_FLIGHT_MAX);
	for (uint32_t i = 0; i < BATCHES_IN_FLIGHT_MAX; i++)
		assert_ptr_equal(f.took[i], &b[i]);
	assert_true(batchwriter_up(bw, &retries));
	assert_int_equal(retries, 0);
	batchwriter_free(bw);
	free(b);
}

static void test_asked_again(void **state)
{
	struct fake f = { .answer = ST_NOSPACE, .refusals = 3 };
	struct storewait w;
	struct batchwriter *bw = begin(&f, &w);
	struct batch *b = calloc(1, sizeof(*b));
	uint64_t retries;

	assert_non_null(b);
	give(bw, &w, b);
	assert_int_equal(storewait_all(&w), ST_OK);
	assert_int_equal(f.asked, 4);
	assert_true(batchwriter_up(bw, &retries));
	assert_int_equal(retries, 3);
	batchwriter_free(bw);
	free(b);
}

static void test_for_good(void **state)
{
	struct fake f = { .answer = ST_IO, .refusals = 1 };
	struct storewait w;
	struct batchwriter *bw = begin(&f, &w);
	struct batch *b = calloc(1, sizeof(*b));
	uint64_t retries;

	assert_non_null(b);
	give(bw, &w, b);
	assert_int_equal(storewait_all(&w), ST_IO);
	assert_false(batchwriter_up(bw, &retries));
	batchwriter_free(bw);
	assert_int_equal(w.out, 1);
	assert_int_equal(f.asked, 1);
	free(b);
}

static void test_end_while_away(void **state)
{
	struct fake f = { .answer = ST_UNAVAILABLE, .refusals = UINT32_MAX };
	struct storewait w;
	struct batchwriter *bw = begin(&f, &w);
	struct batch *b = calloc(1, sizeof(*b));
	uint64_t retries;

	assert_non_null(b);
	give(bw, &w, b);
	while (atomic_load(&f.asked) < 2)
		sched_yield();
	assert_false(batchwriter_up(bw, &retries));
	batchwriter_free(bw);
	assert_int_equal(w.out, 1);
	assert_false(w.failed);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_asked_again),
		cmocka_unit_test(test_for_good),
		cmocka_unit_test(test_end_while_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
