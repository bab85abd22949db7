#include "spine/asking.h"

#include <assert.h>
#include <string.h>

#define PAUSE_MS 2000			/* doubles */
#define PAUSE_DOUBLINGS_MAX 7

static_assert(ASKED_TICKETS_MAX <= PAUSE_DOUBLINGS_MAX, "the pause is that of as many failures");

/* ---- lists and chains ---- */

static void list_add(struct asking *a, struct asked *k, enum asked_state state)
{
	struct asked_list *l = &a->lists[state];

	k->state = state;
	k->next = NULL;
	k->prev = l->last;
	if (l->last != NULL)
		l->last->next = k;
	else
		l->first = k;
	l->last = k;
}

static void list_remove(struct asking *a, struct asked *k)
{
	struct asked_list *l = &a->lists[k->state];

	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		l->first = k->next;
	if (k->next != NULL)
		k->next->prev = k->prev;
	else
		l->last = k->prev;
}

static void move(struct asking *a, struct asked *k, enum asked_state state)
{
	list_remove(a, k);
	list_add(a, k, state);
}

static uint32_t bucket(uint64_t v)
{
	return (uint32_t)(v * 0x9e3779b97f4a7c15u >> 51) % ASKED_BUCKETS;
}

static struct asked_service *service_of(const struct asking *a, const char *name)
{
	const struct asked_service *unused = NULL;

	for (size_t i = 0; i < ARRAY_LEN(a->services); i++) {
		if (a->services[i].n == 0)
			unused = unused != NULL ? unused : &a->services[i];
		else if (strcmp(a->services[i].name, name) == 0)
			return (struct asked_service *)&a->services[i];
	}
	return (struct asked_service *)unused;
}

bool asking_has_room(const struct asking *a, const char *service, size_t bytes)
{
	const struct asked_service *s = service_of(a, service);

	return a->n < ASKED_MAX && a->bytes + bytes <= ASKED_BYTES_MAX && s != NULL &&
	       s->n < ASKED_SERVICE_MAX &&
	       (s->n == 0 || s->bytes + bytes <= ASKED_SERVICE_BYTES_MAX);
}

void asking_put(struct asking *a, struct asked *k)
{
	struct asked_service *s = service_of(a, k->service);
	struct asked **tag, **sequence = &a->by_sequence[bucket(k->sequence)];

	assert(asking_has_room(a, k->service, k->bytes));
	assert(asking_by_sequence(a, k->sequence) == NULL);
	if (s->n++ == 0)
		memcpy(s->name, k->service, sizeof(s->name));
	k->tag = ++a->tags;
	k->fails = k->rounds = k->lost = 0;
	tag = &a->by_tag[bucket(k->tag)];
	k->of_tag = *tag;
	*tag = k;
	k->of_sequence = *sequence;
	*sequence = k;
	a->n++;
	a->bytes += k->bytes;
	s->bytes += k->bytes;
	list_add(a, k, ASKED_TO_SEND);
}

static void sequence_forget(struct asking *a, struct asked *k)
{
	struct asked **sequence = &a->by_sequence[bucket(k->sequence)];

	while (*sequence != k)
		sequence = &(*sequence)->of_sequence;
	*sequence = k->of_sequence;
}

void asking_drop(struct asking *a, struct asked *k)
{
	struct asked **tag = &a->by_tag[bucket(k->tag)];
	struct asked_service *s = service_of(a, k->service);

	while (*tag != k)
		tag = &(*tag)->of_tag;
	*tag = k->of_tag;
	if (!asked_given_up(k))
		sequence_forget(a, k);
	list_remove(a, k);
	s->n--;
	s->bytes -= k->bytes;
	a->n--;
	a->bytes -= k->bytes;
	k->tag = 0;
}

bool asking_give_up(struct asking *a, struct asked *k)
{
	assert(!asked_given_up(k));
	if (k->state != ASKED_SENT) {
		asking_drop(a, k);
		return true;
	}
	sequence_forget(a, k);
	move(a, k, ASKED_TO_CANCEL);
	return false;
}

struct asked *asking_given_up(const struct asking *a)
{
	struct asked *k = a->lists[ASKED_TO_CANCEL].first;

	return k != NULL ? k : a->lists[ASKED_CANCELLED].first;
}

struct asked *asking_by_tag(const struct asking *a, uint64_t tag)
{
	struct asked *k = a->by_tag[bucket(tag)];

	while (k != NULL && k->tag != tag)
		k = k->of_tag;
	return k;
}

struct asked *asking_by_sequence(const struct asking *a, uint64_t sequence)
{
	struct asked *k = a->by_sequence[bucket(sequence)];

	while (k != NULL && k->sequence != sequence)
		k = k->of_sequence;
	return k;
}

/* ---- what is sent ---- */

struct asked *asking_next(struct asking *a, int64_t now_ms)
{
	if (now_ms >= a->due_ms) {
		a->due_ms = INT64_MAX;
		for (struct asked *k = a->lists[ASKED_LATER].first, *next; k != NULL; k = next) {
			next = k->next;
			if (k->due_ms <= now_ms)
				move(a, k, ASKED_TO_SEND);
			else if (k->due_ms < a->due_ms)
				a->due_ms = k->due_ms;
		}
	}
	if (a->lists[ASKED_TO_CANCEL].first != NULL)
		return a->lists[ASKED_TO_CANCEL].first;
	return a->lists[ASKED_TO_SEND].first;
}

void asking_sent(struct asking *a, struct asked *k)
{
	assert(k->state == ASKED_TO_SEND || k->state == ASKED_TO_CANCEL);
	move(a, k, k->state == ASKED_TO_SEND ? ASKED_SENT : ASKED_CANCELLED);
}

void asking_lost(struct asking *a)
{
	while (a->lists[ASKED_SENT].first != NULL)
		move(a, a->lists[ASKED_SENT].first, ASKED_TO_SEND);
}

/* ---- what an answer means ---- */

static enum asked_verdict again(struct asking *a, struct asked *k, int64_t now_ms)
{
	uint8_t n = k->fails < PAUSE_DOUBLINGS_MAX ? k->fails++ : PAUSE_DOUBLINGS_MAX;

	/* A fresh ticket says that the service is there, not that it keeps it. */
	if (n < k->lost)
		n = k->lost;
	k->due_ms = now_ms + ((int64_t)PAUSE_MS << n);
	move(a, k, ASKED_LATER);
	if (k->due_ms < a->due_ms)
		a->due_ms = k->due_ms;
	return ASKED_AGAIN;
}

static enum asked_verdict over(struct asking *a, struct asked *k, enum asked_verdict v)
{
	move(a, k, ASKED_OVER);
	return v;
}

static enum reason reason_of(enum remote_status s)
{
	switch (s) {
	case REMOTE_REFUSED:
	case REMOTE_PIN_REFUSED:
		return REASON_SIGNATURE_REFUSED;
	case REMOTE_EXPIRED:
	case REMOTE_NOT_VALID_NOW:
		return REASON_CERT_EXPIRED;
	case REMOTE_OTHER_CERTIFICATE:
	case REMOTE_UNKNOWN_KEY:
		return REASON_KEY_MISSING;
	case REMOTE_POLICY:
		return REASON_SIGNER_REFUSED;
	case REMOTE_NOT_GIVEN:
		return REASON_SIGNATURE_NOT_GIVEN;
	default:
		return REASON_SIGNATURE_WRONG;
	}
}

enum asked_verdict asking_answer(struct asking *a, struct asked *k, const struct remote_answer *r,
				 int64_t now_ms, enum reason *why)
{
	assert(k->state == ASKED_SENT || asked_given_up(k));
	if (asked_given_up(k))
		return r->status == REMOTE_LATER ? ASKED_UNWANTED : ASKED_GONE;
	switch (r->status) {
	case REMOTE_LATER:
		/* One that cannot be kept is as good as none. */
		k->ticket_n = r->bytes.n <= sizeof(k->ticket) ? (uint16_t)r->bytes.n : 0;
		memcpy(k->ticket, r->bytes.p, k->ticket_n);
		k->fails = 0;
		return ASKED_TICKET;
	case REMOTE_SIGNED:
		*why = REASON_SIGNATURE_WRONG;
		return over(a, k, r->bytes.n > 0 && r->bytes.n <= KEPT_VALUE_BYTES_MAX ?
			    ASKED_SIGNED : ASKED_HOLD);
	case REMOTE_TICKET_LOST:
		k->ticket_n = 0;
		if (++k->lost < ASKED_TICKETS_MAX)
			return again(a, k, now_ms);
		*why = REASON_SIGNATURE_NOT_GIVEN;
		return over(a, k, ASKED_HOLD);
	case REMOTE_UNAVAILABLE:
	case REMOTE_CANCELLED:
		return again(a, k, now_ms);
	case REMOTE_NOT_GIVEN:
		if (++k->rounds < ASKED_ROUNDS_MAX)
			return again(a, k, now_ms);
		/* fall through */
	default:
		*why = reason_of(r->status);
		return over(a, k, ASKED_HOLD);
	}
}

bool asking_needs_a_person(enum reason why)
{
	return why == REASON_SIGNATURE_REFUSED;
}
