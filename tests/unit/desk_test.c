/*
 * The desk of signing sessions: what a confirmation asks for and answers, and what a crash at any
 * of its writes leaves behind. The engine behind it is the test's.
 */
#include <unistd.h>

#include "desk_rig.h"

static void assert_approved(uint32_t n, ...)
{
	va_list ap;

	assert_int_equal(engine.approved_n, n);
	va_start(ap, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(engine.approved[i], va_arg(ap, int));
	va_end(ap);
}

static void test_confirmed_once(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 3);
	assert_null(desk_lock(d, id, "q"));
	assert_int_equal(confirm(d, id), ST_OK);
	assert_approved(3, 1, 2, 3);
	assert_int_equal(state_of(d, id), SESSION_CONFIRMED);
	assert_int_equal(confirm(d, id), ST_OK);
	assert_int_equal(engine.acts, 1);
	desk_close(d);
	/* And after a restart. */
	d = open_desk();
	assert_int_equal(state_of(d, id), SESSION_CONFIRMED);
	assert_int_equal(confirm(d, id), ST_OK);
	assert_int_equal(engine.acts, 1);
	desk_close(d);
}

static void test_what_is_not_as_shown_waits(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 4);
	engine.state[1] = STATE_WITHDRAWN;
	engine.draft[3] = 77;
	assert_int_equal(confirm(d, id), ST_OK);
	assert_approved(2, 2, 4);
	assert_int_equal(item_of(d, id, 0).reason, REASON_NOT_WAITING);
	assert_int_equal(item_of(d, id, 0).state, STATE_WITHDRAWN);
	assert_int_equal(item_of(d, id, 2).reason, REASON_DOCUMENT_CHANGED);
	assert_int_equal(item_of(d, id, 2).state, STATE_AWAITING_APPROVAL);
	assert_true(item_of(d, id, 3).approved);
	desk_close(d);
}

static void test_signer_out_of_office(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 2);
	signer.to = 20260101;
	assert_int_equal(confirm(d, id), ST_OK);
	assert_int_equal(engine.acts, 0);
	assert_int_equal(state_of(d, id), SESSION_DONE);
	assert_int_equal(item_of(d, id, 1).reason, REASON_SIGNER_UNKNOWN);
	desk_close(d);
}

static void test_wrong_hash_and_time(void **state)
{
	struct waiter w = { .c = { .done = told, .owner = &w } };
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 2);
	memcpy(w.c.session, id, 16);
	desk_confirm(d, &w.c);
	while (!atomic_load(&w.done))
		usleep(1000);
	assert_int_equal(w.c.status, ST_CONFLICT);
	assert_int_equal(state_of(d, id), SESSION_OPEN);
	engine.now_ms += 60000;
	assert_int_equal(confirm(d, id), ST_PRECONDITION);
	assert_int_equal(engine.acts, 0);
	desk_close(d);
	d = open_desk();
	assert_int_equal(state_of(d, id), SESSION_EXPIRED);
	/* Forgotten in the end, on disk as well. */
	engine.now_ms += SESSION_KEPT_MS;
	wait_state(d, id, (enum session_state)0);
	desk_close(d);
	assert_int_equal(engine.files_n, 0);
}

/* Approved, and the engine died before it could say so: the same outcomes, nothing twice. */
static void test_crash_behind_the_approval(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 3);
	engine.writes_left = 1;		/* CONFIRMING, and no more */
	assert_int_equal(confirm(d, id), ST_NOSPACE);
	assert_approved(3, 1, 2, 3);
	desk_close(d);
	engine.writes_left = 1000;
	engine.state[2] = STATE_STORED;
	d = open_desk();
	wait_state(d, id, SESSION_CONFIRMED);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(item_of(d, id, i).approved);
	assert_int_equal(engine.approved_n, 3);
	assert_int_equal(confirm(d, id), ST_OK);
	desk_close(d);
}

/* The spine took it, but its answer was lost; some of it is not numbered yet. */
static void test_lost_answer(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 3);
	engine.lose_answer = true;
	assert_int_equal(confirm(d, id), ST_UNAVAILABLE);
	assert_int_equal(state_of(d, id), SESSION_CONFIRMING);
	pthread_mutex_lock(&engine.lock);
	engine.lose_answer = false;
	engine.now_ms += 5000;
	pthread_mutex_unlock(&engine.lock);
	wait_state(d, id, SESSION_CONFIRMED);
	assert_approved(3, 1, 2, 3);
	assert_true(item_of(d, id, 0).approved && item_of(d, id, 2).approved);
	desk_close(d);
}

/* The crash came before the spine was asked: it is asked at the next start, without being told. */
static void test_crash_before_the_approval(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 3);
	engine.act_status = ST_UNAVAILABLE;
	assert_int_equal(confirm(d, id), ST_UNAVAILABLE);
	desk_close(d);
	engine.act_status = ST_OK;
	engine.state[2] = STATE_REFUSED;
	d = open_desk();
	wait_state(d, id, SESSION_CONFIRMED);
	assert_approved(2, 1, 3);
	assert_int_equal(item_of(d, id, 1).reason, REASON_NOT_WAITING);
	assert_false(item_of(d, id, 1).approved);
	desk_close(d);
}

/*
 * What was approved before a crash is issued, whatever has changed since; what was not is refused
 * for it.
 */
static void test_crash_and_a_change(void **state)
{
	for (int approved = 0; approved < 2; approved++) {
		struct desk *d;
		uint8_t id[16];

		reset(NULL);
		engine.slow = true;
		d = open_desk();
		open_session(d, id, 1, 2);
		engine.lose_answer = approved;
		engine.act_status = approved ? ST_OK : ST_UNAVAILABLE;
		assert_int_equal(confirm(d, id), ST_UNAVAILABLE);
		desk_close(d);
		engine.lose_answer = false;
		engine.act_status = ST_OK;
		engine.draft[1]++;
		signer.to = 0;
		d = open_desk();
		wait_state(d, id, approved ? SESSION_CONFIRMED : SESSION_DONE);
		assert_int_equal(engine.approved_n, approved ? 2 : 0);
		for (uint32_t i = 0; i < 2; i++)
			assert_int_equal(item_of(d, id, i).approved, approved);
		assert_int_equal(item_of(d, id, 0).reason,
				 approved ? REASON_NONE : REASON_DOCUMENT_CHANGED);
		assert_int_equal(item_of(d, id, 1).reason,
				 approved ? REASON_NONE : REASON_SIGNER_UNKNOWN);
		desk_close(d);
	}
}

/* What one session has approved and is not numbered yet is not taken for another's. */
static void test_whose_approval(void **state)
{
	for (int numbered = 0; numbered < 2; numbered++) {
		struct desk *d;
		uint8_t first[16], second[16];

		reset(NULL);
		engine.slow = true;
		d = open_desk();
		open_session(d, first, 1, 2);
		open_session(d, second, 2, 2);
		engine.lose_answer = true;
		assert_int_equal(confirm(d, first), ST_UNAVAILABLE);
		desk_close(d);
		engine.lose_answer = false;
		d = open_desk();
		wait_state(d, first, SESSION_CONFIRMED);
		assert_true(item_of(d, first, 0).approved && item_of(d, first, 1).approved);
		engine.act_status = ST_UNAVAILABLE;
		assert_int_equal(confirm(d, second), ST_UNAVAILABLE);
		desk_close(d);
		engine.act_status = ST_OK;
		if (numbered)
			engine.state[2] = STATE_NUMBERED;
		d = open_desk();
		wait_state(d, second, SESSION_CONFIRMED);
		assert_false(item_of(d, second, 0).approved);
		assert_int_equal(item_of(d, second, 0).reason, REASON_NOT_WAITING);
		assert_true(item_of(d, second, 1).approved);
		desk_close(d);
	}
}

/* Not durable as begun: nothing is asked for, and it is an open one again after a crash. */
static void test_disk_full(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 2);
	engine.writes_left = 0;
	assert_int_equal(confirm(d, id), ST_NOSPACE);
	assert_int_equal(engine.acts, 0);
	desk_close(d);
	engine.writes_left = 1000;
	d = open_desk();
	assert_int_equal(state_of(d, id), SESSION_OPEN);
	assert_int_equal(confirm(d, id), ST_OK);
	assert_approved(2, 1, 2);
	desk_close(d);
}

/* While one is stuck, others go on; what it has claimed is not theirs. */
static void test_a_stuck_one_blocks_nobody(void **state)
{
	struct desk *d = open_desk();
	uint8_t stuck[16], other[16];

	open_session(d, stuck, 1, 2);
	open_session(d, other, 2, 2);
	engine.act_status = ST_FULL;
	assert_int_equal(confirm(d, stuck), ST_FULL);
	pthread_mutex_lock(&engine.lock);
	engine.act_status = ST_OK;
	pthread_mutex_unlock(&engine.lock);
	assert_int_equal(confirm(d, other), ST_OK);
	assert_approved(1, 3);
	assert_int_equal(item_of(d, other, 0).reason, REASON_BUSY);
	engine.now_ms += 5000;
	wait_state(d, stuck, SESSION_CONFIRMED);
	assert_approved(3, 3, 1, 2);
	desk_close(d);
}

static void test_follow(void **state)
{
	struct followed f = { .result_id = { 1 }, .state = STATE_STORED, .at_ms = NOW + 1,
			      .number_text = "07/K" };
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 2);
	assert_int_equal(desk_follow(d, id, &f, 1), ST_OK);
	assert_int_equal(item_of(d, id, 0).cursor, 0);
	assert_int_equal(confirm(d, id), ST_OK);
	assert_int_equal(desk_follow(d, id, &f, 1), ST_OK);
	desk_close(d);
	d = open_desk();
	assert_int_equal(item_of(d, id, 0).cursor, 3);
	assert_string_equal(item_of(d, id, 0).number_text, "07/K");
	f.result_id[0] = 2;
	assert_int_equal(desk_follow(d, id, &f, 1), ST_OK);
	assert_int_equal(state_of(d, id), SESSION_DONE);
	f.result_id[0] = 9;
	assert_int_equal(desk_follow(d, id, &f, 1), ST_OK);
	assert_int_equal(desk_follow(d, f.result_id, &f, 1), ST_NOT_FOUND);
	desk_close(d);
}

/* What cannot be read any more is left out, and the others are there. */
static void test_broken_file(void **state)
{
	struct desk *d = open_desk();
	uint8_t a[16], b[16];

	open_session(d, a, 1, 1);
	open_session(d, b, 2, 1);
	desk_close(d);
	engine.files[0].bytes[40] ^= 1;
	d = open_desk();
	assert_int_equal(state_of(d, a), 0);
	assert_int_equal(state_of(d, b), SESSION_OPEN);
	desk_close(d);
	desk_close(NULL);
}

/* ---- what could not be written ---- */

static void wait_on_disk(const uint8_t id[16], enum session_state want)
{
	for (int i = 0; state_on_disk(id) != want; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

/* CONFIRMING on disk, CONFIRMED in memory only. */
static void confirm_half(struct desk *d, uint8_t id[16])
{
	open_session(d, id, 1, 2);
	pthread_mutex_lock(&engine.lock);
	engine.writes_left = 1;
	pthread_mutex_unlock(&engine.lock);
	assert_int_equal(confirm(d, id), ST_NOSPACE);
	assert_int_equal(state_on_disk(id), SESSION_CONFIRMING);
}

static void test_confirmed_only_when_it_is_written(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	confirm_half(d, id);
	assert_int_equal(confirm(d, id), ST_NOSPACE);
	assert_int_equal(confirm(d, id), ST_NOSPACE);
	fill_disk(false);
	assert_int_equal(confirm(d, id), ST_OK);
	assert_int_equal(state_on_disk(id), SESSION_CONFIRMED);
	assert_int_equal(engine.acts, 1);
	desk_close(d);
}

static void test_the_desk_writes_again(void **state)
{
	struct desk *d = open_desk();
	uint8_t id[16];

	confirm_half(d, id);
	fill_disk(false);
	wait_on_disk(id, SESSION_CONFIRMED);
	assert_int_equal(engine.acts, 1);
	desk_close(d);
}

/* What was followed and not written is told as not written until it is, with or without news. */
static void test_follow_on_a_full_disk(void **state)
{
	struct followed f[2] = { { .result_id = { 1 }, .state = STATE_STORED, .at_ms = NOW + 1 },
				 { .result_id = { 2 }, .state = STATE_STORED, .at_ms = NOW + 1 } };
	struct desk *d = open_desk();
	uint8_t id[16];

	open_session(d, id, 1, 2);
	assert_int_equal(confirm(d, id), ST_OK);
	fill_disk(true);
	assert_int_equal(desk_follow(d, id, f, 2), ST_NOSPACE);
	assert_int_equal(state_of(d, id), SESSION_DONE);
	assert_int_equal(desk_follow(d, id, f, 2), ST_NOSPACE);
	assert_int_equal(state_on_disk(id), SESSION_CONFIRMED);
	fill_disk(false);
	assert_int_equal(desk_follow(d, id, f, 2), ST_OK);
	assert_int_equal(state_on_disk(id), SESSION_DONE);
	desk_close(d);
}

/* ---- whose turn it is ---- */

/* One that fails each time does not hide the others. */
static void test_broken_off_ones_take_turns(void **state)
{
	struct desk *d = open_desk();
	uint8_t fine[16], stuck[16];

	open_session(d, fine, 1, 1);
	open_session(d, stuck, 2, 1);
	engine.act_status = ST_FULL;
	assert_int_equal(confirm(d, fine), ST_FULL);
	assert_int_equal(confirm(d, stuck), ST_FULL);
	pthread_mutex_lock(&engine.lock);
	engine.act_fails = stuck;
	engine.act_status = ST_OK;
	pthread_mutex_unlock(&engine.lock);
	for (int i = 0; state_of(d, fine) != SESSION_CONFIRMED; i++) {
		assert_true(i < 50);
		advance(1000);
		usleep(100000);
	}
	assert_int_equal(state_of(d, stuck), SESSION_CONFIRMING);
	desk_close(d);
}

/* Nor does a client that is wrong, or in a hurry, put off what is due. */
static void test_clients_put_nothing_off(void **state)
{
	for (int hurry = 0; hurry < 2; hurry++) {
		struct waiter w;
		uint8_t broken[16], other[16];
		struct desk *d;

		reset(NULL);
		d = open_desk();
		open_session(d, broken, 1, 1);
		open_session(d, other, 2, 1);
		engine.act_status = ST_FULL;
		assert_int_equal(confirm(d, broken), ST_FULL);
		advance(999);
		w = (struct waiter){ .c = { .done = told, .owner = &w } };
		memcpy(w.c.session, other, 16);
		if (hurry) {
			assert_int_equal(confirm(d, other), ST_FULL);
		} else {
			desk_confirm(d, &w.c);
			while (!atomic_load(&w.done))
				usleep(1000);
			assert_int_equal(w.c.status, ST_CONFLICT);
		}
		pthread_mutex_lock(&engine.lock);
		engine.act_status = ST_OK;
		engine.now_ms += 999;
		pthread_mutex_unlock(&engine.lock);
		wait_state(d, broken, SESSION_CONFIRMED);
		desk_close(d);
	}
}

/* However long the clients' own ones take, to fail in the end. */
static void test_slow_failures_put_nothing_off(void **state)
{
	struct desk *d = open_desk();
	uint8_t broken[16], other[16];

	open_session(d, broken, 1, 1);
	open_session(d, other, 2, 1);
	engine.act_status = ST_FULL;
	assert_int_equal(confirm(d, broken), ST_FULL);
	pthread_mutex_lock(&engine.lock);
	engine.act_status = ST_OK;
	engine.act_fails = other;
	engine.act_ms = 1500;
	pthread_mutex_unlock(&engine.lock);
	for (int i = 0; i < 5; i++)
		assert_int_equal(confirm(d, other), ST_FULL);
	wait_state(d, broken, SESSION_CONFIRMED);
	desk_close(d);
}

/* A stop answers whoever still waits. */
static void test_stop(void **state)
{
	struct waiter w = { .c = { .done = told, .owner = &w } };
	struct desk *d = open_desk();

	desk_quiet(d, 1000);
	desk_confirm(d, &w.c);
	assert_true(atomic_load(&w.done));
	assert_int_equal(w.c.status, ST_UNAVAILABLE);
	desk_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_confirmed_once, reset),
		cmocka_unit_test_setup(test_what_is_not_as_shown_waits, reset),
		cmocka_unit_test_setup(test_signer_out_of_office, reset),
		cmocka_unit_test_setup(test_wrong_hash_and_time, reset),
		cmocka_unit_test_setup(test_crash_behind_the_approval, reset),
		cmocka_unit_test_setup(test_lost_answer, reset),
		cmocka_unit_test_setup(test_crash_before_the_approval, reset),
		cmocka_unit_test_setup(test_crash_and_a_change, reset),
		cmocka_unit_test_setup(test_whose_approval, reset),
		cmocka_unit_test_setup(test_disk_full, reset),
		cmocka_unit_test_setup(test_a_stuck_one_blocks_nobody, reset),
		cmocka_unit_test_setup(test_follow, reset),
		cmocka_unit_test_setup(test_broken_file, reset),
		cmocka_unit_test_setup(test_confirmed_only_when_it_is_written, reset),
		cmocka_unit_test_setup(test_the_desk_writes_again, reset),
		cmocka_unit_test_setup(test_follow_on_a_full_disk, reset),
		cmocka_unit_test_setup(test_broken_off_ones_take_turns, reset),
		cmocka_unit_test_setup(test_clients_put_nothing_off, reset),
		cmocka_unit_test_setup(test_slow_failures_put_nothing_off, reset),
		cmocka_unit_test_setup(test_stop, reset),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	reset(NULL);
	return failed;
}
