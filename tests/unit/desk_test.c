/*
 * The desk of signing sessions: what a confirmation asks for and answers, and what a crash at any
 * of its writes leaves behind. The engine behind it is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "intake/deskwork.h"

#define NOW 1780000000000LL		/* 2026-05-28 */
#define PAPERS 8
#define FILES 16

struct kept { uint8_t id[16]; uint8_t *bytes; size_t n; };

/* An engine that survives its desks. */
static struct engine {
	pthread_mutex_t lock;
	int64_t now_ms;
	struct kept files[FILES];
	uint32_t files_n;
	uint32_t writes_left;		/* then they fail: the disk is full */
	enum state state[PAPERS];	/* where each result is */
	uint8_t draft[PAPERS];		/* its drawing's digest */
	enum status paper_status;	/* not ST_OK: nothing can be read */
	enum status act_status;		/* of the next approvals */
	bool lose_answer;		/* approve, and answer ST_UNAVAILABLE */
	bool slow;			/* what is approved is not numbered yet */
	bool decided[PAPERS];
	uint32_t acts, approved[64], approved_n;
} engine;

static const struct kind kind = { .code = "k", .own_draft = true };
static const struct unit unit = { .code = "u" };
static struct signer signer = { .code = "s", .unit = "u", .name = "A", .title = "T",
				.authority = "", .authority_line = "" };

/* The catalogue has this one signer, unit and kind. */
const struct signer *__wrap_catalogue_signer(const struct catalogue *c, struct slice code,
					     uint32_t day);
const struct signer *__wrap_catalogue_signer(const struct catalogue *c, struct slice code,
					     uint32_t day)
{
	return day < signer.to ? &signer : NULL;
}

const struct unit *__wrap_catalogue_unit(const struct catalogue *c, struct slice code,
					 uint32_t day);
const struct unit *__wrap_catalogue_unit(const struct catalogue *c, struct slice code, uint32_t day)
{
	return &unit;
}

const struct kind *__wrap_catalogue_kind(const struct catalogue *c, struct slice code,
					 uint32_t day);
const struct kind *__wrap_catalogue_kind(const struct catalogue *c, struct slice code, uint32_t day)
{
	return &kind;
}

void __wrap_catalogue_unref(struct catalogue *c);
void __wrap_catalogue_unref(struct catalogue *c)
{
}

/* ---- the engine's doors ---- */

static struct catalogue *catalogue_of(void *ctx)
{
	return NULL;
}

static int64_t now_of(void *ctx)
{
	return engine.now_ms;
}

static enum status reader_open(void *ctx, void **reader, struct error *e)
{
	*reader = &engine;
	return ST_OK;
}

static void reader_close(void *reader)
{
}

static enum status get(void *reader, const uint8_t id[16], struct result_view *out)
{
	*out = (struct result_view){ .state = engine.state[id[0]] };
	return engine.state[id[0]] == 0 ? ST_NOT_FOUND : ST_OK;
}

static enum status paper(void *reader, struct catalogue *c, const uint8_t id[16], bool file,
			 struct waiting_paper *out, struct error *e)
{
	uint8_t k = id[0];
	enum status st;

	pthread_mutex_lock(&engine.lock);
	st = engine.state[k] != STATE_AWAITING_APPROVAL ? ST_NOT_FOUND : engine.paper_status;
	*out = (struct waiting_paper){ .kind = &kind, .unit = &unit, .signer = &signer,
				       .row = { .sequence = 100u + k } };
	memset(out->case_sha256, k, SHA256_BYTES);
	memset(out->preview_sha256, engine.draft[k], SHA256_BYTES);
	pthread_mutex_unlock(&engine.lock);
	return st;
}

static enum status act(void *ctx, struct act *a)
{
	pthread_mutex_lock(&engine.lock);
	assert_int_equal(a->type, ACT_APPROVE);
	engine.acts++;
	a->status = engine.act_status;
	for (uint32_t i = 0; a->status == ST_OK && i < a->approval->items_n; i++) {
		struct approval_item *item = &a->approval->items[i];
		uint32_t k = (uint32_t)item->sequence - 100;

		if (engine.state[k] != STATE_AWAITING_APPROVAL || engine.decided[k]) {
			item->refused = REASON_NOT_WAITING;
			continue;
		}
		engine.decided[k] = true;
		if (!engine.slow)
			engine.state[k] = STATE_NUMBERED;
		engine.approved[engine.approved_n++] = k;
	}
	if (engine.lose_answer)
		a->status = ST_UNAVAILABLE;
	pthread_mutex_unlock(&engine.lock);
	a->done(a);
	return ST_OK;
}

static enum status session_keep(void *ctx, const uint8_t id[16], struct slice bytes,
				struct error *e)
{
	enum status st = ST_OK;
	uint32_t i = 0;

	pthread_mutex_lock(&engine.lock);
	while (i < engine.files_n && memcmp(engine.files[i].id, id, 16) != 0)
		i++;
	if (engine.writes_left == 0) {
		st = error_set(e, ST_NOSPACE, "full");
	} else {
		engine.writes_left--;
		engine.files_n += i == engine.files_n;
		memcpy(engine.files[i].id, id, 16);
		free(engine.files[i].bytes);
		engine.files[i].bytes = malloc(bytes.n);
		memcpy(engine.files[i].bytes, bytes.p, bytes.n);
		engine.files[i].n = bytes.n;
	}
	pthread_mutex_unlock(&engine.lock);
	return st;
}

static enum status session_forget(void *ctx, const uint8_t id[16], struct error *e)
{
	pthread_mutex_lock(&engine.lock);
	for (uint32_t i = 0; i < engine.files_n; i++) {
		if (memcmp(engine.files[i].id, id, 16) != 0)
			continue;
		free(engine.files[i].bytes);
		engine.files[i] = engine.files[--engine.files_n];
	}
	pthread_mutex_unlock(&engine.lock);
	return ST_OK;
}

static enum status session_each(void *ctx, void (*one)(void *owner, struct slice bytes),
				void *owner, struct error *e)
{
	for (uint32_t i = 0; i < engine.files_n; i++)
		one(owner, slice_of(engine.files[i].bytes, engine.files[i].n));
	return ST_OK;
}

static struct intake in = { .ops = {
	.act = act, .catalogue = catalogue_of, .now_ms = now_of, .reader_open = reader_open,
	.reader_close = reader_close, .get = get, .waiting_paper = paper,
	.session_keep = session_keep, .session_forget = session_forget,
	.session_each = session_each } };

/* ---- the tests' own ---- */

static struct desk *open_desk(void)
{
	struct desk *d;
	struct error e;

	assert_int_equal(desk_open(&d, &in, &e), ST_OK);
	return d;
}

static int reset(void **state)
{
	while (engine.files_n > 0)
		free(engine.files[--engine.files_n].bytes);
	engine = (struct engine){ .lock = PTHREAD_MUTEX_INITIALIZER, .now_ms = NOW,
				  .writes_left = 1000 };
	for (int i = 0; i < PAPERS; i++) {
		engine.state[i] = STATE_AWAITING_APPROVAL;
		engine.draft[i] = (uint8_t)(i + 1);
	}
	signer.to = 99999999;
	return 0;
}

static void open_session(struct desk *d, uint8_t id[16], uint32_t first, uint32_t n)
{
	struct session *s = session_new(n);

	s->state = SESSION_OPEN;
	s->opened_ms = engine.now_ms;
	s->expires_ms = engine.now_ms + 60000;
	snprintf(s->signer, sizeof(s->signer), "s");
	snprintf(s->principal, sizeof(s->principal), "p");
	for (uint32_t i = 0; i < n; i++) {
		struct session_item *item = &s->items[i];

		item->result_id[0] = (uint8_t)(first + i);
		item->sequence = 100 + first + i;
		snprintf(item->unit, sizeof(item->unit), "u");
		snprintf(item->kind, sizeof(item->kind), "k");
		memset(item->case_sha256, (int)(first + i), SHA256_BYTES);
		memset(item->preview_sha256, (int)(first + i + 1), SHA256_BYTES);
	}
	assert_int_equal(desk_add(d, s, id), ST_OK);
}

struct waiter { struct confirmation c; atomic_bool done; };

static void told(struct confirmation *c)
{
	atomic_store(&((struct waiter *)c->owner)->done, true);
}

static enum status confirm(struct desk *d, const uint8_t id[16])
{
	struct waiter w = { .c = { .done = told, .owner = &w } };
	struct session *s = desk_lock(d, id, "p");

	assert_non_null(s);
	memcpy(w.c.session, id, 16);
	memcpy(w.c.manifest, s->manifest, SHA256_BYTES);
	desk_unlock(d);
	desk_confirm(d, &w.c);
	while (!atomic_load(&w.done))
		usleep(1000);
	return w.c.status;
}

static enum session_state state_of(struct desk *d, const uint8_t id[16])
{
	struct session *s = desk_lock(d, id, "p");
	enum session_state st = s != NULL ? s->state : (enum session_state)0;

	if (s != NULL)
		desk_unlock(d);
	return st;
}

static void wait_state(struct desk *d, const uint8_t id[16], enum session_state want)
{
	for (int i = 0; state_of(d, id) != want; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

static struct session_item item_of(struct desk *d, const uint8_t id[16], uint32_t i)
{
	struct session *s = desk_lock(d, id, "p");
	struct session_item item = s->items[i];

	desk_unlock(d);
	return item;
}

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
		cmocka_unit_test_setup(test_whose_approval, reset),
		cmocka_unit_test_setup(test_disk_full, reset),
		cmocka_unit_test_setup(test_a_stuck_one_blocks_nobody, reset),
		cmocka_unit_test_setup(test_follow, reset),
		cmocka_unit_test_setup(test_broken_file, reset),
		cmocka_unit_test_setup(test_stop, reset),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	reset(NULL);
	return failed;
}
