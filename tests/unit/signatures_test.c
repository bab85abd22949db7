#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "intake/answer.h"
#include "intake/methods.h"
#include "intake/read.h"
#include "trien/v1/signing.pb-c.h"

/*
 * What is given, against an engine of the test's own. Result id k: all bytes k. 1 … 4 wait for key
 * "mine" of signer "me", whose good signature over digest {k} is "good k"; 5 waits for another
 * signer; 6 has its signature; 7 is stored with it, 8 with another's; 9 cannot be looked up now.
 */
static Trien__V1__GiveSignaturesRequest request;
static Trien__V1__GiveSignaturesResponse *answers;
static int refused_with;
static uint32_t looked_up;
/* The act, when it was asked for, and what the engine makes of each. */
static struct act *asked;
static enum status act_taken, statuses[8];

/* ---- what stands around ---- */

void *__wrap_read_request(struct call *c, struct read_thread *r,
			  const ProtobufCMessageDescriptor *d);
void __wrap_call_reply(struct call *c, grpc_slice reply);
void __wrap_call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt,
			...);
bool __wrap_principal_signer(const struct principal *pr, struct slice signer);
const char *__wrap_principal_name(const struct principal *pr);

void *__wrap_read_request(struct call *c, struct read_thread *r,
			  const ProtobufCMessageDescriptor *d)
{
	return &request;
}

void __wrap_call_reply(struct call *c, grpc_slice reply)
{
	assert_null(answers);
	answers = trien__v1__give_signatures_response__unpack(NULL, GRPC_SLICE_LENGTH(reply),
							       GRPC_SLICE_START_PTR(reply));
	assert_non_null(answers);
	grpc_slice_unref(reply);
}

void __wrap_call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt,
			...)
{
	refused_with = (int)kind;
}

bool __wrap_principal_signer(const struct principal *pr, struct slice signer)
{
	return slice_eq(signer, slice_str("me"));
}

const char *__wrap_principal_name(const struct principal *pr)
{
	return "me-on-my-desk";
}

/* ---- the engine ---- */

static enum status find(void *reader, const uint8_t id[16], struct awaited_signature *out)
{
	uint8_t k = id[0];

	looked_up++;
	if (k == 9)
		return ST_UNAVAILABLE;
	if (k == 0 || k > 6)
		return ST_NOT_FOUND;
	*out = (struct awaited_signature){ .sequence = k, .slot = 0 };
	memcpy(out->result_id, id, 16);
	out->digest[0] = k;
	snprintf(out->key, sizeof(out->key), "%s", k == 5 ? "theirs" : "mine");
	snprintf(out->signer, sizeof(out->signer), "%s", k == 5 ? "other" : "me");
	return k == 6 ? ST_EXISTS : ST_OK;
}

static bool check(void *reader, const struct awaited_signature *a, struct slice value)
{
	char good[16];

	snprintf(good, sizeof(good), "good %d", a->digest[0]);
	return slice_eq(value, slice_str(good));
}

static enum status get(void *reader, const uint8_t id[16], struct result_view *out)
{
	*out = (struct result_view){ .state = STATE_STORED, .signatures_n = 1 };
	out->signatures[0].cert_sha256[0] = id[0];
	return id[0] == 7 || id[0] == 8 ? ST_OK : ST_NOT_FOUND;
}

static bool signer_of(void *reader, const uint8_t cert[SHA256_BYTES], char out[CODE_BYTES_MAX + 1])
{
	snprintf(out, CODE_BYTES_MAX + 1, "%s", cert[0] == 7 ? "me" : "other");
	return true;
}

static enum status act(void *ctx, struct act *a)
{
	asked = a;
	for (uint32_t i = 0; i < a->signatures_n; i++)
		a->signatures[i].status = statuses[i];
	return act_taken;
}

/* ---- a call ---- */

struct rig { struct intake in; struct call call; struct read_thread reader; };

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->in.ops = (struct engine_ops){ .awaited_find = find, .awaited_check = check,
					   .awaited_signer = signer_of, .get = get, .act = act };
	assert_int_equal(queue_new(&rig->in.jobs, 16), ST_OK);
	rig->call.in = &rig->in;
	atomic_init(&rig->call.refs, 1);
	trien__v1__give_signatures_request__init(&request);
	answers = NULL;
	asked = NULL;
	refused_with = -1;
	looked_up = 0;
	act_taken = ST_OK;
	memset(statuses, 0, sizeof(statuses));
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	signatures_give_free(&rig->call);
	if (answers != NULL)
		trien__v1__give_signatures_response__free_unpacked(answers, NULL);
	queue_free(rig->in.jobs);
	free(rig);
	return 0;
}

struct gift { uint8_t id; uint32_t slot; uint8_t digest; const char *value; };

static void give(struct rig *rig, const struct gift *gifts, size_t n)
{
	static Trien__V1__GivenSignature given[600], *list[600];
	static char ids[600][ID_TEXT_BYTES + 1];
	static uint8_t digests[600][SHA256_BYTES];

	for (size_t i = 0; i < n; i++) {
		uint8_t id[16];

		memset(id, gifts[i].id, sizeof(id));
		id_text(ids[i], id);
		trien__v1__given_signature__init(&given[i]);
		given[i].result_id = ids[i];
		given[i].slot = gifts[i].slot;
		digests[i][0] = gifts[i].digest;
		given[i].digest = (ProtobufCBinaryData){ SHA256_BYTES, digests[i] };
		given[i].signature = (ProtobufCBinaryData){ strlen(gifts[i].value),
							    (uint8_t *)gifts[i].value };
		list[i] = &given[i];
	}
	request.n_given = n;
	request.given = list;
	signatures_give_work(&rig->call, &rig->reader);
}

/* The spine has decided: the call has its second turn. */
static void decide(struct rig *rig)
{
	assert_non_null(asked);
	asked->done(asked);
	assert_ptr_equal(queue_pop(rig->in.jobs), &rig->call);
	call_unref(&rig->call);
	signatures_give_work(&rig->call, &rig->reader);
}

static void expect(const enum _Trien__V1__SignatureOutcome *want, size_t n)
{
	assert_non_null(answers);
	assert_int_equal(answers->n_answers, n);
	for (size_t i = 0; i < n; i++) {
		const Trien__V1__SignatureAnswer *a = answers->answers[i];

		assert_int_equal(a->outcome, want[i]);
		assert_string_equal(a->result_id, request.given[i]->result_id);
		assert_int_equal(a->slot, request.given[i]->slot);
		assert_true((a->outcome == TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_TAKEN) ==
			    (a->message_vi[0] == '\0' && a->message_en[0] == '\0'));
	}
}

#define OUTCOME(name) TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_##name

static void only_good_ones_are_asked_for(void **state)
{
	static const struct gift gifts[] = {
		{ 1, 0, 1, "good 1" }, { 2, 0, 2, "good 3" }, { 3, 0, 3, "good" },
		{ 4, 0, 3, "good 4" }, { 4, 1, 4, "good 4" }, { 5, 0, 5, "good 5" },
		{ 6, 0, 6, "good 6" }, { 7, 0, 7, "good 7" }, { 7, 1, 7, "good 7" },
		{ 8, 0, 8, "good 8" }, { 9, 0, 9, "good 9" }, { 10, 0, 10, "good 10" },
		{ 4, 0, 4, "good 4" },
	};
	static const enum _Trien__V1__SignatureOutcome want[] = {
		OUTCOME(TAKEN), OUTCOME(WRONG), OUTCOME(WRONG), OUTCOME(OTHER_DIGEST),
		OUTCOME(NOT_WAITED_FOR), OUTCOME(NOT_WAITED_FOR), OUTCOME(GIVEN_BEFORE),
		OUTCOME(GIVEN_BEFORE), OUTCOME(NOT_WAITED_FOR), OUTCOME(NOT_WAITED_FOR),
		OUTCOME(NOT_NOW), OUTCOME(NOT_WAITED_FOR), OUTCOME(TAKEN),
	};
	struct rig *rig = *state;

	give(rig, gifts, ARRAY_LEN(gifts));
	assert_null(answers);
	assert_int_equal(asked->type, ACT_SIGNATURES_GIVE);
	assert_int_equal(asked->signatures_n, 2);
	assert_int_equal(asked->signatures[0].sequence, 1);
	assert_int_equal(asked->signatures[1].sequence, 4);
	assert_int_equal(asked->signatures[1].digest[0], 4);
	assert_string_equal(asked->signatures[1].key, "mine");
	assert_int_equal(asked->signatures[1].value_n, 6);
	assert_memory_equal(asked->signatures[1].value, "good 4", 6);
	decide(rig);
	expect(want, ARRAY_LEN(want));
	assert_int_equal(atomic_load(&rig->in.signatures_wrong), 2);
}

static void each_has_what_the_engine_made_of_it(void **state)
{
	static const struct gift gifts[] = { { 1, 0, 1, "good 1" }, { 1, 0, 1, "good 1" },
		{ 2, 0, 2, "good 2" }, { 3, 0, 3, "good 3" }, { 4, 0, 4, "good 4" } };
	static const enum _Trien__V1__SignatureOutcome want[] = { OUTCOME(TAKEN),
		OUTCOME(GIVEN_BEFORE), OUTCOME(NOT_WAITED_FOR), OUTCOME(OTHER_DIGEST),
		OUTCOME(NOT_NOW) };
	struct rig *rig = *state;

	statuses[1] = ST_EXISTS;
	statuses[2] = ST_NOT_FOUND;
	statuses[3] = ST_CONFLICT;
	statuses[4] = ST_FULL;
	give(rig, gifts, ARRAY_LEN(gifts));
	decide(rig);
	expect(want, ARRAY_LEN(want));
}

static void an_act_that_fails_is_for_later(void **state)
{
	static const struct gift gifts[] = { { 1, 0, 1, "good 1" }, { 2, 0, 2, "bad" } };
	static const enum _Trien__V1__SignatureOutcome want[] = { OUTCOME(NOT_NOW),
								   OUTCOME(WRONG) };
	struct rig *rig = *state;

	give(rig, gifts, ARRAY_LEN(gifts));
	asked->status = ST_UNAVAILABLE;
	decide(rig);
	expect(want, ARRAY_LEN(want));
}

static void without_a_good_one_nobody_is_asked(void **state)
{
	static const struct gift gifts[] = { { 2, 0, 2, "bad" }, { 10, 0, 2, "good" } };
	static const enum _Trien__V1__SignatureOutcome want[] = { OUTCOME(WRONG),
								   OUTCOME(NOT_WAITED_FOR) };
	struct rig *rig = *state;

	give(rig, gifts, ARRAY_LEN(gifts));
	assert_null(asked);
	expect(want, ARRAY_LEN(want));
}

static void a_spine_that_takes_nothing(void **state)
{
	static const struct gift gifts[] = { { 1, 0, 1, "good 1" } };
	struct rig *rig = *state;

	act_taken = ST_FULL;
	give(rig, gifts, 1);
	assert_null(answers);
	assert_int_equal(refused_with, FAULT_BUSY);
	assert_int_equal(atomic_load(&rig->call.refs), 1);
}

static void bounds(void **state)
{
	static struct gift gifts[AWAITED_MAX + 1];
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(gifts); i++)
		gifts[i] = (struct gift){ 2, 0, 2, "bad" };
	give(rig, gifts, ARRAY_LEN(gifts));
	assert_int_equal(refused_with, FAULT_TOO_MANY);
	assert_int_equal(looked_up, 0);
	signatures_give_free(&rig->call);
	rig->call.state = NULL;
	give(rig, gifts, 0);
	assert_int_equal(refused_with, FAULT_ARGUMENT_MISSING);
	signatures_give_free(&rig->call);
	rig->call.state = NULL;
	give(rig, gifts, AWAITED_MAX);
	assert_int_equal(answers->n_answers, AWAITED_MAX);
	assert_int_equal(atomic_load(&rig->in.signatures_wrong), AWAITED_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_good_ones_are_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_has_what_the_engine_made_of_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_act_that_fails_is_for_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_good_one_nobody_is_asked, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_spine_that_takes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bounds, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
