/*
 * The calls about signing sessions and what waits for them: what is refused, and what is told only
 * when it is durable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "desk_rig.h"
#include "intake/methods.h"
#include "intake/read.h"
#include "intake/sessions.h"
#include "intake/waiting.h"
#include "trien/v1/signing.pb-c.h"

#define ANSWERED_OK (-1)
#define NO_ANSWER (-2)

/* ---- what stands around ---- */

static void *request;
static Trien__V1__Session *told_session;
static int refused;			/* enum fault_kind, of unary calls and of streams */
static uint32_t sent;
static bool may_sign, may_read_it;

void *__wrap_read_request(struct call *c, struct read_thread *r,
			  const ProtobufCMessageDescriptor *d);
void __wrap_call_reply(struct call *c, grpc_slice reply);
void __wrap_call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt,
			...);
void __wrap_call_send(struct call *c, grpc_slice message);
void __wrap_call_finish(struct call *c, const struct fault *f);
enum status __wrap_read_result(struct call *c, struct read_thread *r, const char *id,
			       struct result_view *out);
void __wrap_read_refuse(struct call *c, enum status st);
const char *__wrap_principal_signer_only(const struct principal *pr);
const char *__wrap_principal_name(const struct principal *pr);
bool __wrap_principal_signer(const struct principal *pr, struct slice signer);

void *__wrap_read_request(struct call *c, struct read_thread *r,
			  const ProtobufCMessageDescriptor *d)
{
	return request;
}

void __wrap_call_reply(struct call *c, grpc_slice reply)
{
	refused = ANSWERED_OK;
	told_session = trien__v1__session__unpack(NULL, GRPC_SLICE_LENGTH(reply),
						  GRPC_SLICE_START_PTR(reply));
	assert_non_null(told_session);
	grpc_slice_unref(reply);
}

void __wrap_call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt,
			...)
{
	refused = (int)kind;
}

void __wrap_call_send(struct call *c, grpc_slice message)
{
	sent++;
	grpc_slice_unref(message);
}

void __wrap_call_finish(struct call *c, const struct fault *f)
{
	struct fault kind = { 0 };

	refused = f != NULL ? 0 : ANSWERED_OK;
	for (int i = 0; f != NULL && i < FAULT_COUNT; i++) {
		fault_set(&kind, (enum fault_kind)i, "", "%s", "");
		if (strcmp(kind.reason, f->reason) == 0)
			refused = i;
	}
}

enum status __wrap_read_result(struct call *c, struct read_thread *r, const char *id,
			       struct result_view *out)
{
	return may_read_it ? ST_OK : ST_NOT_FOUND;
}

void __wrap_read_refuse(struct call *c, enum status st)
{
	refused = st == ST_NOT_FOUND ? (int)FAULT_RESULT_NOT_FOUND : (int)FAULT_STORE_AWAY;
}

const char *__wrap_principal_signer_only(const struct principal *pr)
{
	return NULL;
}

const char *__wrap_principal_name(const struct principal *pr)
{
	return "p";
}

bool __wrap_principal_signer(const struct principal *pr, struct slice code)
{
	return may_sign && slice_eq(code, slice_str("s"));
}

/* ---- a call ---- */

static struct call call;
static struct read_thread reader;

static const uint8_t *forgotten_by_watch, *forgotten_by_take;

static void wait_forgotten(const uint8_t id[16])
{
	advance(SESSION_KEPT_MS);
	wait_state(in.desk, id, (enum session_state)0);
}

static enum status watch(void *ctx, const struct watch_filter *f, void (*wake)(void *owner),
			 void *owner, struct watch **out)
{
	*out = (struct watch *)&engine;
	if (forgotten_by_watch != NULL)
		wait_forgotten(forgotten_by_watch);
	return ST_OK;
}

static uint32_t watch_take(struct watch *w, struct state_change *out, uint32_t max, bool *cut)
{
	if (forgotten_by_take == NULL)
		return 0;
	wait_forgotten(forgotten_by_take);
	out[0] = (struct state_change){ .state = STATE_STORED, .result_id = { 1 } };
	return 1;
}

static void unwatch(struct watch *w)
{
}

static int set_up(void **state)
{
	reset(NULL);
	in.ops.watch = watch;
	in.ops.watch_take = watch_take;
	in.ops.unwatch = unwatch;
	assert_int_equal(queue_new(&in.jobs, 16), ST_OK);
	in.desk = open_desk();
	call = (struct call){ .in = &in };
	atomic_init(&call.refs, 1);
	may_sign = true;
	sent = 0;
	forgotten_by_watch = forgotten_by_take = NULL;
	return 0;
}

static int tear_down(void **state)
{
	free(call.state);
	call.state = NULL;
	desk_close(in.desk);
	queue_free(in.jobs);
	return 0;
}

/* One turn: what it was refused with, ANSWERED_OK, NO_ANSWER. told_session: the answer. */
static int turn(void (*work)(struct call *c, struct read_thread *r), void *q)
{
	request = q;
	refused = NO_ANSWER;
	if (told_session != NULL)
		trien__v1__session__free_unpacked(told_session, NULL);
	told_session = NULL;
	work(&call, &reader);
	return refused;
}

/* One with nothing in the way of its next turn. */
static void take_turn(void)
{
	assert_ptr_equal(queue_wait(in.jobs, 5000), &call);
	turn_begin(&call.turn);
	assert_false(turn_end(&call.turn));
}

static char id_of[ID_TEXT_BYTES + 1];

static int get(const uint8_t id[16])
{
	Trien__V1__GetSessionRequest q = TRIEN__V1__GET_SESSION_REQUEST__INIT;

	id_text(id_of, id);
	q.session_id = id_of;
	return turn(session_get_work, &q);
}

static int cancel(const uint8_t id[16])
{
	Trien__V1__CancelSessionRequest q = TRIEN__V1__CANCEL_SESSION_REQUEST__INIT;

	id_text(id_of, id);
	q.session_id = id_of;
	return turn(session_cancel_work, &q);
}

static int manifest(const uint8_t id[16])
{
	Trien__V1__GetManifestRequest q = TRIEN__V1__GET_MANIFEST_REQUEST__INIT;

	id_text(id_of, id);
	q.session_id = id_of;
	return turn(session_manifest_work, &q);
}

static int confirm_call(const uint8_t id[16])
{
	Trien__V1__ConfirmSessionRequest q = TRIEN__V1__CONFIRM_SESSION_REQUEST__INIT;
	struct session *s = desk_find(in.desk, id);
	uint8_t hash[SHA256_BYTES];

	memcpy(hash, s->manifest, sizeof(hash));
	desk_unlock(in.desk);
	id_text(id_of, id);
	q.session_id = id_of;
	q.manifest_sha256 = (ProtobufCBinaryData){ sizeof(hash), hash };
	if (turn(session_confirm_work, &q) == NO_ANSWER) {
		take_turn();
		turn(session_confirm_work, &q);
	}
	free(call.state);
	call.state = NULL;
	return refused;
}

/* Its first turn. */
static int watch_session(const uint8_t id[16])
{
	static Trien__V1__WatchSessionRequest q;

	trien__v1__watch_session_request__init(&q);
	id_text(id_of, id);
	q.session_id = id_of;
	free(call.state);
	call.state = NULL;
	session_watch_run(&call);
	take_turn();
	return turn(session_watch_work, &q);
}

/* The next, behind a message that was sent. */
static int watch_on(void)
{
	session_watch_sent(&call, true);
	take_turn();
	return turn(session_watch_work, request);
}

/* ---- what is not durable is not told ---- */

static void cancelled_when_it_is_written(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 2);
	fill_disk(true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(cancel(id), FAULT_STORE_AWAY);
		assert_int_equal(get(id), FAULT_STORE_AWAY);
	}
	assert_int_equal(state_on_disk(id), SESSION_OPEN);
	fill_disk(false);
	assert_int_equal(cancel(id), ANSWERED_OK);
	assert_int_equal(told_session->state, SESSION_CANCELLED);
	assert_int_equal(state_on_disk(id), SESSION_CANCELLED);
}

static void shown_when_it_is_written(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 2);
	fill_disk(true);
	assert_int_equal(cancel(id), FAULT_STORE_AWAY);
	fill_disk(false);
	assert_int_equal(get(id), ANSWERED_OK);
	assert_int_equal(told_session->state, SESSION_CANCELLED);
	assert_int_equal(state_on_disk(id), SESSION_CANCELLED);
}

static void confirmed_when_it_is_written(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 2);
	engine.writes_left = 1;		/* CONFIRMING */
	assert_int_equal(confirm_call(id), FAULT_SESSION_CONFIRMING);
	assert_int_equal(confirm_call(id), FAULT_SESSION_CONFIRMING);
	assert_int_equal(get(id), FAULT_STORE_AWAY);
	fill_disk(false);
	assert_int_equal(confirm_call(id), ANSWERED_OK);
	assert_int_equal(told_session->state, SESSION_CONFIRMED);
	assert_int_equal(state_on_disk(id), SESSION_CONFIRMED);
}

static void outcomes_are_sent_when_they_are_written(void **state)
{
	struct followed f = { .result_id = { 1 }, .state = STATE_STORED, .at_ms = NOW + 1 };
	uint8_t id[16];

	open_session(in.desk, id, 1, 1);
	assert_int_equal(confirm(in.desk, id), ST_OK);
	assert_int_equal(watch_session(id), NO_ANSWER);
	assert_int_equal(sent, 1);
	fill_disk(true);
	assert_int_equal(desk_follow(in.desk, id, &f, 1), ST_NOSPACE);
	assert_int_equal(watch_on(), FAULT_STORE_AWAY);
	assert_int_equal(sent, 1);
	/* And to begin with. */
	assert_int_equal(watch_session(id), FAULT_STORE_AWAY);
	fill_disk(false);
	assert_int_equal(watch_session(id), NO_ANSWER);
	assert_int_equal(sent, 2);
	assert_int_equal(watch_on(), ANSWERED_OK);
	assert_int_equal(state_on_disk(id), SESSION_DONE);
}

/* ---- who may ---- */

static void for_ones_own_signers_only(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 2);
	may_sign = false;
	assert_int_equal(get(id), FAULT_SIGNER_DENIED);
	assert_int_equal(manifest(id), FAULT_SIGNER_DENIED);
	assert_int_equal(cancel(id), FAULT_SIGNER_DENIED);
	assert_int_equal(confirm_call(id), FAULT_SIGNER_DENIED);
	assert_int_equal(watch_session(id), FAULT_SIGNER_DENIED);
	may_sign = true;
	assert_int_equal(get(id), ANSWERED_OK);
	assert_int_equal(told_session->state, SESSION_OPEN);
	assert_int_equal(cancel(id), ANSWERED_OK);
}

/* ---- a session that is gone ---- */

static void gone_between_two_outcomes(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 1);
	assert_int_equal(confirm(in.desk, id), ST_OK);
	assert_int_equal(watch_session(id), NO_ANSWER);
	wait_forgotten(id);
	assert_int_equal(watch_on(), FAULT_SESSION_NOT_FOUND);
}

static void gone_as_changes_are_taken(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 1);
	assert_int_equal(confirm(in.desk, id), ST_OK);
	assert_int_equal(watch_session(id), NO_ANSWER);
	forgotten_by_take = id;
	assert_int_equal(watch_on(), FAULT_SESSION_NOT_FOUND);
}

static void gone_as_the_watch_begins(void **state)
{
	uint8_t id[16];

	open_session(in.desk, id, 1, 1);
	assert_int_equal(confirm(in.desk, id), ST_OK);
	forgotten_by_watch = id;
	assert_int_equal(watch_session(id), FAULT_SESSION_NOT_FOUND);
}

/* ---- what waits ---- */

static struct waiting_filter asked;
static struct waiting_row found;
static enum status found_status;

static enum status list_waiting(void *store, const struct waiting_filter *f,
				const struct waiting_place *after, struct waiting_row *rows,
				uint32_t max, uint32_t *n)
{
	asked = *f;
	*n = 0;
	return ST_OK;
}

static enum status find_waiting(void *store, const uint8_t id[16], struct waiting_row *out)
{
	*out = found;
	return found_status;
}

static int list_before(int64_t seconds, int32_t nanos)
{
	Trien__V1__ListWaitingRequest q = TRIEN__V1__LIST_WAITING_REQUEST__INIT;
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	t.seconds = seconds;
	t.nanos = nanos;
	q.signer = (char[]){ "s" };
	q.due_before = &t;
	in.ops.waiting_list = list_waiting;
	asked.due_before_ms = 0;
	return turn(waiting_list_work, &q);
}

static void deadlines_that_are_times(void **state)
{
	static const struct { int64_t seconds; int32_t nanos; } wrong[] = {
		{ INT64_MIN, 0 }, { -1, 0 }, { 0, 1 }, { INT64_MAX, 0 }, { INT64_MAX / 1000, 0 },
		{ 1, -1 }, { 1, 1000000000 }, { 1, INT32_MIN },
	};
	int64_t last = INT64_MAX / 1000 - 1;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(list_before(wrong[i].seconds, wrong[i].nanos),
				 FAULT_ARGUMENT_INVALID);
		assert_int_equal(asked.due_before_ms, 0);
	}
	assert_int_equal(list_before(1780000000, 5000000), ANSWERED_OK);
	assert_int_equal(asked.due_before_ms, NOW + 5);
	assert_int_equal(list_before(last, 999999999), ANSWERED_OK);
	assert_int_equal(asked.due_before_ms, last * 1000 + 999);
}

/* As whom it waits for, in which state, found or not; who asks may read it or not. */
static int refuse_of(const char *of, enum state row, enum status st, bool may_read)
{
	static char id[] = "00000000000000000000000000";
	uint8_t bytes[16];

	found = (struct waiting_row){ .state = row };
	snprintf(found.signer, sizeof(found.signer), "%s", of);
	found_status = st;
	in.ops.waiting_find = find_waiting;
	may_read_it = may_read;
	refused = NO_ANSWER;
	if (waiting_mine(&call, &reader, id, bytes, &found))
		assert_int_equal(refused, NO_ANSWER);
	return refused;
}

static void what_waits_for_something_else(void **state)
{
	for (int may_read = 0; may_read < 2; may_read++) {
		assert_int_equal(refuse_of("s", STATE_AWAITING_APPROVAL, ST_OK, may_read),
				 NO_ANSWER);
		assert_int_equal(refuse_of("t", STATE_AWAITING_APPROVAL, ST_OK, may_read),
				 FAULT_RESULT_NOT_FOUND);
		/* Its number is there by now: held, or on a device. */
		assert_int_equal(refuse_of("s", STATE_HELD, ST_OK, may_read),
				 FAULT_RESULT_NOT_WAITING);
		assert_int_equal(refuse_of("s", STATE_AWAITING_SIGNATURE, ST_OK, may_read),
				 FAULT_RESULT_NOT_WAITING);
		assert_int_equal(refuse_of("t", STATE_HELD, ST_OK, may_read),
				 may_read ? FAULT_RESULT_NOT_WAITING : FAULT_RESULT_NOT_FOUND);
		assert_int_equal(refuse_of("s", STATE_HELD, ST_NOT_FOUND, may_read),
				 may_read ? FAULT_RESULT_NOT_WAITING : FAULT_RESULT_NOT_FOUND);
		assert_int_equal(refuse_of("s", STATE_HELD, ST_IO, may_read), FAULT_STORE_AWAY);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(cancelled_when_it_is_written),
		CASE(shown_when_it_is_written),
		CASE(confirmed_when_it_is_written),
		CASE(outcomes_are_sent_when_they_are_written),
		CASE(for_ones_own_signers_only),
		CASE(gone_between_two_outcomes),
		CASE(gone_as_changes_are_taken),
		CASE(gone_as_the_watch_begins),
		CASE(deadlines_that_are_times),
		CASE(what_waits_for_something_else),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	reset(NULL);
	if (told_session != NULL)
		trien__v1__session__free_unpacked(told_session, NULL);
	return failed;
}
