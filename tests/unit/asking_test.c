#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spine/asking.h"

static struct asking *a;

static int setup(void **state)
{
	a = calloc(1, sizeof(*a));
	return a == NULL;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(a->lists); i++)
		while (a->lists[i].first != NULL) {
			struct asked *k = a->lists[i].first;

			asking_drop(a, k);
			free(k);
		}
	assert_int_equal(a->n, 0);
	assert_int_equal(a->bytes, 0);
	free(a);
	return 0;
}

static struct asked *put(uint64_t sequence, const char *service)
{
	struct asked *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->sequence = sequence;
	k->bytes = 1000;
	snprintf(k->service, sizeof(k->service), "%s", service);
	asking_put(a, k);
	return k;
}

static enum asked_verdict answer(struct asked *k, enum remote_status s, const char *bytes,
				 int64_t now_ms, enum reason *why)
{
	struct remote_answer r = { k->tag, s, slice_str(bytes) };

	*why = REASON_NONE;
	return asking_answer(a, k, &r, now_ms, why);
}

static void sent_in_order(void **state)
{
	struct asked *first = put(7, "one"), *second = put(8, "one");

	assert_true(first->tag != 0 && second->tag != first->tag);
	assert_ptr_equal(asking_by_tag(a, second->tag), second);
	assert_ptr_equal(asking_by_sequence(a, 7), first);
	assert_null(asking_by_sequence(a, 9));
	assert_ptr_equal(asking_next(a, 0), first);
	assert_ptr_equal(asking_next(a, 0), first);
	asking_sent(a, first);
	assert_ptr_equal(asking_next(a, 0), second);
	asking_sent(a, second);
	assert_null(asking_next(a, 0));
	asking_drop(a, first);
	assert_null(asking_by_sequence(a, 7));
	free(first);
}

/* The remote signer has gone: what was sent is sent again, with the ticket that it has. */
static void lost_is_sent_again(void **state)
{
	struct asked *k = put(7, "one"), *over = put(8, "one");
	enum reason why;

	asking_sent(a, asking_next(a, 0));
	asking_sent(a, asking_next(a, 0));
	assert_int_equal(answer(k, REMOTE_LATER, "a ticket", 0, &why), ASKED_TICKET);
	assert_int_equal(answer(over, REMOTE_SIGNED, "value", 0, &why), ASKED_SIGNED);
	assert_null(asking_next(a, 0));
	asking_lost(a);
	assert_ptr_equal(asking_next(a, 0), k);
	assert_memory_equal(k->ticket, "a ticket", 8);
	asking_sent(a, k);
	assert_null(asking_next(a, 0));
}

static void pauses_grow(void **state)
{
	struct asked *k = put(7, "one"), *other;
	int64_t now = 0, last = 0;
	enum reason why;

	for (int i = 0; i < 12; i++) {
		assert_ptr_equal(asking_next(a, now), k);
		asking_sent(a, k);
		assert_int_equal(answer(k, REMOTE_UNAVAILABLE, "away", now, &why), ASKED_AGAIN);
		assert_null(asking_next(a, now));
		assert_null(asking_next(a, k->due_ms - 1));
		assert_true(k->due_ms - now >= last);
		last = k->due_ms - now;
		now = k->due_ms;
	}
	assert_int_equal(last, 2000 << 7);
	/* It does not hold up another one. */
	asking_sent(a, asking_next(a, now));
	assert_int_equal(answer(k, REMOTE_UNAVAILABLE, "away", now, &why), ASKED_AGAIN);
	other = put(8, "two");
	assert_ptr_equal(asking_next(a, now), other);
	/* A ticket says that the service is there. */
	asking_sent(a, other);
	assert_ptr_equal(asking_next(a, k->due_ms), k);
	asking_sent(a, k);
	assert_int_equal(answer(k, REMOTE_LATER, "t", now, &why), ASKED_TICKET);
	assert_int_equal(k->fails, 0);
}

/* An outage is waited for; a telephone does not ring all night. */
static void a_person_is_asked_some_rounds(void **state)
{
	struct asked *k = put(7, "one");
	int64_t now = 0;
	enum reason why;

	for (int i = 0; i < 2 * ASKED_ROUNDS_MAX - 2; i++) {
		asking_sent(a, asking_next(a, now));
		assert_int_equal(answer(k, i % 2 == 0 ? REMOTE_NOT_GIVEN : REMOTE_UNAVAILABLE, "",
					now, &why), ASKED_AGAIN);
		now = k->due_ms;
	}
	asking_sent(a, asking_next(a, now));
	assert_int_equal(answer(k, REMOTE_NOT_GIVEN, "", now, &why), ASKED_HOLD);
	assert_int_equal(why, REASON_SIGNATURE_NOT_GIVEN);
	assert_null(asking_next(a, INT64_MAX));
}

static void a_lost_ticket_is_forgotten(void **state)
{
	struct asked *k = put(7, "one");
	enum reason why;

	asking_sent(a, asking_next(a, 0));
	assert_int_equal(answer(k, REMOTE_LATER, "t", 0, &why), ASKED_TICKET);
	assert_int_equal(answer(k, REMOTE_TICKET_LOST, "", 0, &why), ASKED_AGAIN);
	assert_int_equal(k->ticket_n, 0);
}

/* A service that never knows its own tickets again is not asked for ever, and ever later. */
static void lost_tickets_have_an_end(void **state)
{
	struct asked *k = put(7, "one");
	int64_t now = 0, last = 0;
	enum reason why;

	for (int i = 1; i < ASKED_TICKETS_MAX; i++) {
		assert_ptr_equal(asking_next(a, now), k);
		asking_sent(a, k);
		assert_int_equal(answer(k, REMOTE_LATER, "t", now, &why), ASKED_TICKET);
		assert_int_equal(answer(k, REMOTE_TICKET_LOST, "", now, &why), ASKED_AGAIN);
		assert_true(k->due_ms - now > last);
		last = k->due_ms - now;
		now = k->due_ms;
	}
	asking_sent(a, asking_next(a, now));
	assert_int_equal(answer(k, REMOTE_LATER, "t", now, &why), ASKED_TICKET);
	assert_int_equal(answer(k, REMOTE_TICKET_LOST, "", now, &why), ASKED_HOLD);
	assert_int_equal(why, REASON_SIGNATURE_NOT_GIVEN);
	assert_null(asking_next(a, INT64_MAX));
}

static void each_end_has_its_reason(void **state)
{
	static const struct { enum remote_status status; enum reason why; } rows[] = {
		{ REMOTE_REFUSED, REASON_SIGNATURE_REFUSED },
		{ REMOTE_PIN_REFUSED, REASON_SIGNATURE_REFUSED },
		{ REMOTE_WRONG_ANSWER, REASON_SIGNATURE_WRONG },
		{ REMOTE_EXPIRED, REASON_CERT_EXPIRED },
		{ REMOTE_NOT_VALID_NOW, REASON_CERT_EXPIRED },
		{ REMOTE_OTHER_CERTIFICATE, REASON_KEY_MISSING },
		{ REMOTE_UNKNOWN_KEY, REASON_KEY_MISSING },
		{ REMOTE_POLICY, REASON_SIGNER_REFUSED },
	};
	static char long_value[KEPT_VALUE_BYTES_MAX + 2];
	enum reason why;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct asked *k = put(i, "one");

		asking_sent(a, asking_next(a, 0));
		assert_int_equal(answer(k, rows[i].status, "why", 0, &why), ASKED_HOLD);
		assert_int_equal(why, rows[i].why);
		assert_null(asking_next(a, INT64_MAX));
	}
	memset(long_value, 'x', sizeof(long_value) - 1);
	for (int i = 0; i < 2; i++) {
		struct asked *k = put(100 + (uint64_t)i, "one");

		asking_sent(a, asking_next(a, 0));
		assert_int_equal(answer(k, REMOTE_SIGNED, i == 0 ? "" : long_value, 0, &why),
				 ASKED_HOLD);
		assert_int_equal(why, REASON_SIGNATURE_WRONG);
	}
	assert_true(asking_needs_a_person(REASON_SIGNATURE_REFUSED));
	assert_false(asking_needs_a_person(REASON_CERT_EXPIRED));
}

/* A service that never answers leaves the others room. */
static void bounded_by_service(void **state)
{
	struct asked *k;
	char name[8];

	for (uint64_t i = 0; i < ASKED_SERVICE_MAX; i++)
		put(i, "dead");
	assert_false(asking_has_room(a, "dead", 0));
	assert_true(asking_has_room(a, "other", 0));
	k = asking_next(a, 0);
	asking_drop(a, k);
	free(k);
	assert_true(asking_has_room(a, "dead", 0));
	assert_false(asking_has_room(a, "other", ASKED_BYTES_MAX));
	for (uint64_t i = 0; a->n < ASKED_MAX; i++) {
		snprintf(name, sizeof(name), "s%u", (unsigned)(i % 8));
		put(100000 + i, name);
	}
	assert_false(asking_has_room(a, "other", 0));
}

/* Few large ones that wait for a service leave the others room, too. */
static void bounded_by_the_services_bytes(void **state)
{
	struct asked *k = NULL;
	uint64_t n = 0;

	for (; asking_has_room(a, "dead", JOURNAL_RECORD_BYTES_MAX); n++) {
		k = calloc(1, sizeof(*k));
		k->sequence = n;
		k->bytes = JOURNAL_RECORD_BYTES_MAX;
		snprintf(k->service, sizeof(k->service), "dead");
		asking_put(a, k);
	}
	assert_int_equal(n, ASKED_BYTES_MAX / 4 / JOURNAL_RECORD_BYTES_MAX);
	assert_true(asking_has_room(a, "other", JOURNAL_RECORD_BYTES_MAX));
	asking_drop(a, k);
	free(k);
	assert_true(asking_has_room(a, "dead", JOURNAL_RECORD_BYTES_MAX));
}

/* As many names as there may be services, one after the other. */
static void services_come_and_go(void **state)
{
	char name[16];

	for (uint64_t i = 0; i < 500; i++) {
		struct asked *k;

		snprintf(name, sizeof(name), "service%u", (unsigned)i);
		k = put(i, name);
		asking_drop(a, k);
		free(k);
	}
	for (uint64_t i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "service%u", (unsigned)i);
		put(i, name);
	}
	assert_false(asking_has_room(a, "one more", 0));
	assert_true(asking_has_room(a, "service3", 0));
}

/* One that was not sent goes at once; one that was is cancelled, and its sequence is free. */
static void given_up(void **state)
{
	struct asked *sent = put(7, "one"), *later = put(8, "one"), *waits = put(9, "one"), *anew;
	enum reason why;

	asking_sent(a, asking_next(a, 0));
	asking_sent(a, asking_next(a, 0));
	assert_int_equal(answer(later, REMOTE_UNAVAILABLE, "away", 0, &why), ASKED_AGAIN);
	assert_true(asking_give_up(a, later));
	assert_true(asking_give_up(a, waits));
	assert_int_equal(later->tag + waits->tag, 0);
	assert_null(asking_next(a, INT64_MAX));
	free(later);
	free(waits);
	assert_false(asking_give_up(a, sent));
	assert_null(asking_by_sequence(a, 7));
	assert_ptr_equal(asking_by_tag(a, sent->tag), sent);
	anew = put(7, "two");
	assert_ptr_equal(asking_by_sequence(a, 7), anew);
	assert_ptr_equal(asking_next(a, 0), sent);
	assert_true(asked_given_up(sent));
	asking_sent(a, sent);
	assert_ptr_equal(asking_next(a, 0), anew);
	assert_int_equal(answer(sent, REMOTE_LATER, "t", 0, &why), ASKED_UNWANTED);
	assert_int_equal(sent->ticket_n, 0);
	assert_int_equal(answer(sent, REMOTE_CANCELLED, "", 0, &why), ASKED_GONE);
	asking_drop(a, sent);
	free(sent);
	assert_ptr_equal(asking_by_sequence(a, 7), anew);
}

/* The answer crossed the cancelling, or came before it; a signature is as unwanted as a no. */
static void answered_all_the_same(void **state)
{
	static const enum remote_status last[] = { REMOTE_SIGNED, REMOTE_REFUSED,
						   REMOTE_WRONG_ANSWER, REMOTE_UNAVAILABLE,
						   REMOTE_TICKET_LOST };
	enum reason why;

	for (size_t i = 0; i < 2 * ARRAY_LEN(last); i++) {
		struct asked *k = put(i, "one");

		asking_sent(a, asking_next(a, 0));
		assert_false(asking_give_up(a, k));
		if (i % 2 == 0)
			asking_sent(a, asking_next(a, 0));
		assert_int_equal(answer(k, last[i / 2], "value", 0, &why), ASKED_GONE);
		assert_int_equal(why, REASON_NONE);
		asking_drop(a, k);
		free(k);
		assert_null(asking_next(a, 0));
	}
}

/* The remote signer has gone: nobody answers, and nobody is asked again. */
static void given_up_and_lost(void **state)
{
	struct asked *one = put(7, "one"), *two = put(8, "one"), *three = put(9, "one"), *k;
	uint32_t n = 0;

	for (int i = 0; i < 3; i++)
		asking_sent(a, asking_next(a, 0));
	assert_false(asking_give_up(a, one));
	asking_sent(a, asking_next(a, 0));
	assert_false(asking_give_up(a, two));
	asking_lost(a);
	for (; (k = asking_given_up(a)) != NULL; n++) {
		assert_true(k == one || k == two);
		asking_drop(a, k);
		free(k);
	}
	assert_int_equal(n, 2);
	assert_ptr_equal(asking_next(a, 0), three);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(sent_in_order), TEST(lost_is_sent_again), TEST(pauses_grow),
		TEST(a_person_is_asked_some_rounds),
		TEST(a_lost_ticket_is_forgotten), TEST(lost_tickets_have_an_end),
		TEST(each_end_has_its_reason),
		TEST(bounded_by_service),
		TEST(bounded_by_the_services_bytes), TEST(services_come_and_go),
		TEST(given_up), TEST(answered_all_the_same), TEST(given_up_and_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
