/* What came from elsewhere is not lost where memory or the journal's room ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "spine/awaitedkey.h"
#include "spine/elsewhere.h"
#include "spine/mirror.h"

/* Linked with --wrap of these. */
static bool no_memory;
static char written[16];		/* records that the journal took: P, S, R */
static int room;			/* so many more; then it is full */
static struct job *pushed;
static uint32_t slots_free;
static int64_t key_ends_ms;
static bool key_signs;			/* the key of today is the one that was asked */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
bool __wrap_append_record(struct spine *s, enum record_type type, struct slice payload,
			  uint64_t *pos);
void __wrap_job_push(struct spine *s, struct job *j);
uint32_t __wrap_journal_slots_free(const struct journal *j);
bool __wrap_inflight_get(const struct inflight *t, uint64_t sequence, struct state_change *out,
			 uint8_t *lane, int64_t *accepted_ms);
struct keyring *__wrap_spine_keyring(struct spine *s);
void __wrap_keyring_unref(struct keyring *k);
const struct signing_key *__wrap_key_asked(const struct keyring *k, const struct question *q,
					   int64_t now_ms);
bool __wrap_keyring_row(const struct keyring *k, uint32_t index, struct key_row *out);

void *__wrap_malloc(size_t n)
{
	return no_memory ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

bool __wrap_append_record(struct spine *s, enum record_type type, struct slice payload,
			  uint64_t *pos)
{
	if (room == 0)
		return false;
	room--;
	written[strlen(written)] = type == RECORD_PARKED ? 'P' :
				   type == RECORD_SIGNATURE ? 'S' : '?';
	*pos = 1;
	return true;
}

void __wrap_job_push(struct spine *s, struct job *j)
{
	pushed = j;
}

uint32_t __wrap_journal_slots_free(const struct journal *j)
{
	return slots_free;
}

/* All are on their way. */
bool __wrap_inflight_get(const struct inflight *t, uint64_t sequence, struct state_change *out,
			 uint8_t *lane, int64_t *accepted_ms)
{
	return true;
}

struct keyring *__wrap_spine_keyring(struct spine *s)
{
	return NULL;
}

void __wrap_keyring_unref(struct keyring *k)
{
}

const struct signing_key *__wrap_key_asked(const struct keyring *k, const struct question *q,
					   int64_t now_ms)
{
	assert_string_equal(q->service, "one");
	assert_true(slice_eq(q->key, slice_str("person")));
	return key_signs ? (const void *)q : NULL;
}

/* One key. */
bool __wrap_keyring_row(const struct keyring *k, uint32_t index, struct key_row *out)
{
	*out = (struct key_row){ .not_after_ms = key_ends_ms, .to_ms = INT64_MAX };
	return index == 0;
}

static struct config config = { .journal_slots = 8 };

static int begin(void **state)
{
	struct spine *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->config = &config;
	assert_int_equal(elsewhere_new(&s->elsewhere), ST_OK);
	no_memory = false;
	memset(written, 0, sizeof(written));
	room = 0;
	pushed = NULL;
	slots_free = 8;
	key_signs = true;
	key_ends_ms = INT64_MAX;
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct spine *s = *state;

	elsewhere_free(s);
	free(s);
	return 0;
}

/* One with its first signature. */
static const struct kept_signatures kept = {
	.n = 1, .slots = { { .key = "person", .sign_ms = 5, .digest = { 1 }, .value_size = 3,
			     .value = { 7, 8, 9 } } }
};
static const struct item held = { .sequence = 77, .lane = 3, .sign_ms = 6, .kept = &kept,
				  .record = { (const uint8_t *)"numbered", 8 } };

/* ---- a held result keeps what came for it ---- */

static void test_kept_in_its_row_and_out_of_it(void **state)
{
	struct kept_signatures *back;
	struct item bare = held;
	struct job j = { 0 };

	assert_int_equal(elsewhere_wrap(&held, &j), ST_OK);
	assert_int_equal(j.row.record, RECORD_SIGNATURE);
	assert_int_equal(elsewhere_kept(j.row.record, slice_of(j.bytes, j.n), &back), ST_OK);
	assert_memory_equal(back, &kept, sizeof(kept));
	free(back);
	free(j.bytes);
	bare.kept = NULL;
	assert_int_equal(elsewhere_wrap(&bare, &j), ST_OK);
	assert_int_equal(j.row.record, RECORD_NUMBERED);
	assert_true(slice_eq(slice_of(j.bytes, j.n), held.record));
	assert_int_equal(elsewhere_kept(j.row.record, slice_of(j.bytes, j.n), &back), ST_OK);
	assert_null(back);
	free(j.bytes);
}

static void test_no_memory_is_not_nothing_kept(void **state)
{
	struct kept_signatures *back;
	struct spine *s = *state;
	struct job j = { 0 }, none = { 0 };
	struct item it = held;

	assert_int_equal(elsewhere_wrap(&held, &j), ST_OK);
	no_memory = true;
	assert_int_equal(elsewhere_kept(j.row.record, slice_of(j.bytes, j.n), &back), ST_NOMEM);
	assert_int_equal(elsewhere_wrap(&held, &none), ST_NOMEM);
	clerk_park(s, &it);
	no_memory = false;
	assert_null(pushed);
	assert_int_not_equal(s->failure.status, ST_OK);
	free(j.bytes);
}

/* ---- a journal that is full ---- */

static void test_without_a_mirror_nobody_waits_for_room(void **state)
{
	struct job j = { .row = { .sequence = 77, .state = STATE_HELD } };

	assert_int_equal(elsewhere_wrap(&held, &j), ST_OK);
	assert_true(clerk_note(*state, &j));
	assert_string_equal(written, "");
	room = 9;
	assert_true(clerk_note(*state, &j));
	assert_string_equal(written, "P");
	free(j.bytes);
}

static void test_a_mirror_gets_both_records_once(void **state)
{
	struct job j = { .row = { .sequence = 77, .state = STATE_HELD } };
	struct spine *s = *state;

	s->mirror = (void *)s;
	assert_int_equal(elsewhere_wrap(&held, &j), ST_OK);
	assert_false(clerk_note(s, &j));
	room = 1;
	assert_false(clerk_note(s, &j));
	assert_false(clerk_note(s, &j));
	assert_string_equal(written, "P");
	room = 9;
	assert_true(clerk_note(s, &j));
	assert_string_equal(written, "PS");
	free(j.bytes);
}

/* ---- looks into the room ---- */

/* The janitor found n rows. false: it was not asked to look. */
static bool look(struct spine *s, uint32_t n)
{
	struct job *j = pushed;

	if (j == NULL)
		return false;
	pushed = NULL;
	assert_int_equal(j->type, JOB_AWAIT_READ);
	j->page->n = n;
	for (uint32_t i = 0; i < n; i++)
		j->page->rows[i].row.sequence = j->page->after + i + 1;
	elsewhere_scanned(s, j);
	s->elsewhere->scan_due_ms = 0;
	elsewhere_room_run(s);
	return true;
}

static void test_a_look_has_an_end(void **state)
{
	struct spine *s = *state;

	elsewhere_room_run(s);
	assert_true(look(s, AWAIT_PAGE));
	assert_true(look(s, AWAIT_PAGE));
	assert_true(look(s, 3));
	assert_false(look(s, 0));
	/* All pages were full. */
	atomic_store(&s->elsewhere->outdated, true);
	elsewhere_room_run(s);
	assert_true(look(s, AWAIT_PAGE));
	assert_true(look(s, 0));
	assert_false(look(s, 0));
}

static void test_who_is_left_behind_meanwhile_is_looked_for(void **state)
{
	struct spine *s = *state;

	elsewhere_room_run(s);
	s->elsewhere->left_behind = true;
	assert_true(look(s, 1));
	assert_true(look(s, 1));
	assert_false(look(s, 0));
}

/* A service whose room is full leaves rows behind at each look: not looked at all the time. */
static void test_a_pause_follows_a_look(void **state)
{
	struct spine *s = *state;
	struct elsewhere *w = s->elsewhere;

	elsewhere_room_run(s);
	for (int i = 0; i < 3; i++) {
		struct job *j = pushed;

		assert_non_null(j);
		pushed = NULL;
		w->left_behind = true;
		elsewhere_scanned(s, j);
		elsewhere_room_run(s);
		assert_null(pushed);
		w->scan_due_ms = 0;
		elsewhere_room_run(s);
	}
	/* Keys were reloaded while one was under way: no pause, once. */
	atomic_store(&w->outdated, true);
	elsewhere_room_run(s);
	elsewhere_scanned(s, pushed);
	pushed = NULL;
	elsewhere_room_run(s);
	assert_non_null(pushed);
	w->left_behind = true;
	elsewhere_scanned(s, pushed);
	pushed = NULL;
	elsewhere_room_run(s);
	assert_null(pushed);
}

/* ---- ends ---- */

static struct errand *errand(void)
{
	struct errand *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->record = malloc(8);
	e->record_n = 8;
	memset(e->record, 1, 8);
	return e;
}

static void test_no_memory_to_park_ends_the_turn(void **state)
{
	struct spine *s = *state;
	struct errand *e = errand();

	s->elsewhere->oldest = s->elsewhere->newest = e;
	s->elsewhere->left_behind = false;
	slots_free = 0;
	no_memory = true;
	alarm(20);
	elsewhere_room_run(s);
	alarm(0);
	no_memory = false;
	assert_int_not_equal(s->failure.status, ST_OK);
	assert_null(pushed);
	errand_free(s, e);
}

/* ---- a person ends the waiting ---- */

static struct errand *sent_errand(struct spine *s, uint64_t sequence)
{
	struct errand *e = errand();

	e->asked.sequence = sequence;
	snprintf(e->asked.service, sizeof(e->asked.service), "one");
	snprintf(e->asked.key, sizeof(e->asked.key), "person");
	asking_put(&s->elsewhere->asking, &e->asked);
	assert_ptr_equal(asking_next(&s->elsewhere->asking, 0), &e->asked);
	asking_sent(&s->elsewhere->asking, &e->asked);
	return e;
}

/* Ended, its answer is no breach and counts for nothing; a second one is a breach. */
static void test_an_answer_behind_the_end(void **state)
{
	struct spine *s = *state;
	struct errand *e = sent_errand(s, 77);
	struct remote_answer a = { e->asked.tag, REMOTE_LATER, slice_str("ticket") };

	elsewhere_end(s, 76);
	elsewhere_end(s, 77);
	elsewhere_end(s, 77);
	assert_int_equal(elsewhere_answer(s, &a), ST_OK);
	a.status = REMOTE_SIGNED;
	assert_int_equal(elsewhere_answer(s, &a), ST_OK);
	assert_null(s->elsewhere->came_first);
	assert_int_equal(atomic_load(&s->counters.signatures), 0);
	assert_int_equal(elsewhere_answer(s, &a), ST_CORRUPT);
	assert_int_equal(s->elsewhere->asking.n, 0);
}

static void test_ended_and_the_remote_signer_gone(void **state)
{
	struct spine *s = *state;

	(void)sent_errand(s, 77);
	(void)sent_errand(s, 78);
	elsewhere_end(s, 77);
	elsewhere_lost(s);
	assert_int_equal(s->elsewhere->asking.n, 1);
	assert_non_null(asking_by_sequence(&s->elsewhere->asking, 78));
}

/* What has come, or is being written, is not ended. */
static void test_when_it_may_end(void **state)
{
	struct spine *s = *state;
	struct errand *e = sent_errand(s, 77);
	struct waiting_row row = { .sequence = 77, .record = RECORD_SIGNATURE };
	struct item given = held;
	struct job j = { 0 };

	/* Its last slot has a value: so has a row whose signature came before a start. */
	assert_int_equal(elsewhere_wrap(&given, &j), ST_OK);
	assert_int_equal(elsewhere_may_end(s, &row, slice_of(j.bytes, j.n)), ST_AGAIN);
	free(j.bytes);
	row.record = RECORD_NUMBERED;
	assert_int_equal(elsewhere_may_end(s, &row, held.record), ST_OK);
	e->parking = true;
	assert_int_equal(elsewhere_may_end(s, &row, held.record), ST_AGAIN);
	e->parking = false;
	errand_came(s->elsewhere, e, CAME_TICKET);
	assert_int_equal(elsewhere_may_end(s, &row, held.record), ST_AGAIN);
	/* Nor is it given a row beside the one that it gets. */
	elsewhere_row_wanted(s, 77);
	assert_null(pushed);
	s->elsewhere->came_first = NULL;
	s->elsewhere->came_end = &s->elsewhere->came_first;
	e->listed = false;
	elsewhere_row_wanted(s, 77);
	assert_non_null(pushed);
	assert_int_equal(pushed->type, JOB_AWAIT);
	assert_int_equal(pushed->row.state, STATE_AWAITING_SIGNATURE);
	free(pushed->bytes);
	free(pushed);
	elsewhere_row_wanted(s, 76);
}

/* ---- keys change ---- */

static void pushed_drop(void)
{
	if (pushed != NULL)
		free(pushed->page);
	free(pushed);
	pushed = NULL;
}

static void keys_reloaded(struct spine *s)
{
	s->elsewhere->left_behind = false;
	s->elsewhere->judge_due_ms = 0;
	atomic_store(&s->elsewhere->outdated, true);
	elsewhere_room_run(s);
}

static void test_a_key_that_signs_is_asked_on(void **state)
{
	struct spine *s = *state;
	struct errand *e = sent_errand(s, 77);

	e->in_room = true;
	keys_reloaded(s);
	assert_ptr_equal(asking_by_sequence(&s->elsewhere->asking, 77), &e->asked);
	assert_false(s->elsewhere->judging);
	pushed_drop();
}

/* Nobody reloads anything when a certificate expires. */
static void test_a_key_that_ends_is_noticed(void **state)
{
	struct spine *s = *state;

	key_ends_ms = io_wall_ms() + 50;
	keys_reloaded(s);
	pushed_drop();
	s->elsewhere->scanning = s->elsewhere->left_behind = false;
	elsewhere_room_run(s);
	assert_false(s->elsewhere->left_behind);
	usleep(60000);
	s->elsewhere->judge_due_ms = INT64_MAX;
	elsewhere_room_run(s);
	assert_non_null(pushed);
	assert_int_equal(pushed->type, JOB_AWAIT_READ);
	assert_true(s->elsewhere->judging);
	/* Once: then the next one counts. */
	pushed_drop();
	s->elsewhere->scanning = false;
	s->elsewhere->judge_due_ms = 0;
	elsewhere_room_run(s);
	assert_int_equal(s->elsewhere->ends_ms, INT64_MAX);
	assert_false(s->elsewhere->judging);
	pushed_drop();
}

/* Its row is looked at anew; an answer that crosses that is no breach and counts for nothing. */
static void test_a_key_that_does_not_is_asked_no_more(void **state)
{
	struct spine *s = *state;
	struct errand *e = sent_errand(s, 77);
	struct remote_answer a = { e->asked.tag, REMOTE_SIGNED, slice_str("value") };

	e->in_room = true;
	key_signs = false;
	keys_reloaded(s);
	assert_null(asking_by_sequence(&s->elsewhere->asking, 77));
	assert_non_null(pushed);
	assert_int_equal(pushed->type, JOB_AWAIT_READ);
	pushed_drop();
	assert_int_equal(elsewhere_answer(s, &a), ST_OK);
	assert_null(s->elsewhere->came_first);
	assert_int_equal(s->elsewhere->asking.n, 0);
}

/* What the journal alone holds gets a row first, and is looked at again after that. */
static void test_what_has_no_row_gets_one_first(void **state)
{
	struct spine *s = *state;
	struct errand *e = sent_errand(s, 77);

	key_signs = false;
	s->elsewhere->scanning = true;	/* the janitor is busy with a look */
	keys_reloaded(s);
	assert_true(e->parking && s->elsewhere->judging);
	assert_ptr_equal(asking_by_sequence(&s->elsewhere->asking, 77), &e->asked);
	free(pushed->bytes);
	free(pushed);
	pushed = NULL;
	e->parking = false;
	e->in_room = true;
	s->elsewhere->scanning = false;
	s->elsewhere->judge_due_ms = 0;
	elsewhere_room_run(s);
	assert_null(asking_by_sequence(&s->elsewhere->asking, 77));
	assert_false(s->elsewhere->judging);
	pushed_drop();
}

/* The sanitizer tells. */
static void test_what_came_goes_at_an_end(void **state)
{
	struct spine *s = *state;

	errand_came(s->elsewhere, errand(), CAME_SIGNED);
	errand_came(s->elsewhere, errand(), CAME_FRESH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
		TEST(test_kept_in_its_row_and_out_of_it),
		TEST(test_no_memory_is_not_nothing_kept),
		TEST(test_without_a_mirror_nobody_waits_for_room),
		TEST(test_a_mirror_gets_both_records_once),
		TEST(test_a_look_has_an_end),
		TEST(test_who_is_left_behind_meanwhile_is_looked_for),
		TEST(test_a_pause_follows_a_look),
		TEST(test_no_memory_to_park_ends_the_turn),
		TEST(test_an_answer_behind_the_end),
		TEST(test_ended_and_the_remote_signer_gone),
		TEST(test_when_it_may_end),
		TEST(test_a_key_that_signs_is_asked_on),
		TEST(test_a_key_that_ends_is_noticed),
		TEST(test_a_key_that_does_not_is_asked_no_more),
		TEST(test_what_has_no_row_gets_one_first),
		TEST(test_what_came_goes_at_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
