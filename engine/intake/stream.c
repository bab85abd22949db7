#include <stdlib.h>

#include "intake/answer.h"
#include "intake/submit.h"

#define WINDOW_MESSAGES 32		/* decoded and not acknowledged, of one stream */
#define ACK_MESSAGES 8			/* acknowledge at the latest after so many */
#define SMALL_CASES 32			/* a message that fits a small slot */
#define SMALL_BYTES (256 * 1024)
#define ACK_STACK_BYTES 4096

struct entry {
	uint64_t seq;
	struct slot *slot;
	size_t bytes;
	bool done, want_receipts;
	bool unchecked;			/* for the readers first */
};

/*
 * Messages in the order of their arrival. They may be decided out of order; acknowledged is only
 * what stands in front. Beyond the window nothing is received, which is the client's back-pressure.
 */
struct stream {
	pthread_mutex_t lock;
	struct entry ring[WINDOW_MESSAGES];
	uint32_t head, n;
	size_t bytes;
	uint64_t last_seq, accepted;
	bool started;			/* last_seq is one */
	bool taking;			/* a message is being decoded */
	bool receiving, sending, ended, broken, failed, finished;
	struct fault fault;
};

static struct entry *entry_at(struct stream *s, uint32_t i)
{
	return &s->ring[(s->head + i) % WINDOW_MESSAGES];
}

void stream_begin(struct call *c)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		call_refuse(c, FAULT_INTERNAL, "", "no memory");
		return;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->receiving = true;
	c->state = s;
	call_receive(c);
	/* The engine's stop may have come before there was anything to tell it to. */
	stream_stop(c);
}

void stream_free(struct call *c)
{
	struct stream *s = c->state;

	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- acknowledging; under the lock ---- */

static size_t ack_bound(struct stream *s, uint32_t k)
{
	size_t bound = 64;

	for (uint32_t i = 0; i < k; i++) {
		const struct entry *e = entry_at(s, i);
		const struct submission *sub = &e->slot->submission;

		for (uint32_t n = 0; n < sub->cases_n; n++)
			if (sub->cases[n].refusal.reason != REASON_NONE)
				bound += REJECT_BYTES_MAX + 32;
			else if (e->want_receipts)
				bound += sub->cases[n].results_n * RECEIPT_BYTES_MAX;
	}
	return bound;
}

static void put_entry(struct writer *w, struct stream *s, const struct entry *e)
{
	const struct submission *sub = &e->slot->submission;

	for (uint32_t i = 0; i < sub->cases_n; i++) {
		const struct submitted_case *sc = &sub->cases[i];

		if (sc->refusal.reason != REASON_NONE) {
			uint8_t *at = put_begin(w, 2);

			put_number(w, 1, e->seq);
			answer_reject(w, 2, sc);
			put_end(w, at);
			continue;
		}
		s->accepted++;
		if (e->want_receipts)
			answer_receipts(w, 3, sc);
	}
}

static void acknowledge(struct call *c, struct stream *s, uint32_t k)
{
	uint8_t stack[ACK_STACK_BYTES], *buf = stack;
	size_t bound = ack_bound(s, k);
	struct writer w;

	if (bound > sizeof(stack))
		buf = malloc(bound);
	if (buf == NULL) {
		fault_set(&s->fault, FAULT_INTERNAL, "", "no memory for an acknowledgement");
		s->failed = true;
		bound = 0;
	}
	w = writer_of(buf, bound);
	put_number(&w, 1, entry_at(s, k - 1)->seq);
	for (uint32_t i = 0; i < k; i++) {
		struct entry *e = entry_at(s, i);

		put_entry(&w, s, e);
		call_dismiss(c, e->slot);
		s->bytes -= e->bytes;
	}
	s->head = (s->head + k) % WINDOW_MESSAGES;
	s->n -= k;
	put_number(&w, 4, s->accepted);
	if (!s->broken && !w.bad) {
		s->sending = true;
		call_send(c, slice_copied(&w));
	}
	if (buf != stack)
		free(buf);
}

/* What can be acknowledged is; when nothing is left and nothing more comes, the stream ends. */
static void advance(struct call *c, struct stream *s)
{
	uint32_t k = 0;

	if (s->sending || s->finished)
		return;
	while (k < s->n && entry_at(s, k)->done)
		k++;
	/* Waiting for a few more costs no time: they are on the same journal write. */
	if (k > 0 && (k >= ACK_MESSAGES || k == s->n || s->broken))
		acknowledge(c, s, k);
	if (s->sending || s->n > 0 || s->taking)
		return;
	if (!s->broken && !s->failed && !s->ended) {
		if (!atomic_load(&c->in->stopping))
			return;
		fault_set(&s->fault, FAULT_STOPPING, "", "send again what is not acknowledged");
		s->failed = true;
	}
	s->finished = true;
	if (s->broken)
		call_drop(c);
	else
		call_finish(c, s->failed ? &s->fault : NULL);
}

static void receive_more(struct call *c, struct stream *s)
{
	if (s->receiving || s->ended || s->broken || s->failed || s->finished ||
	    s->n == WINDOW_MESSAGES || s->bytes + REQUEST_BYTES_MAX > STREAM_WINDOW_BYTES_MAX ||
	    atomic_load(&c->in->stopping))
		return;
	s->receiving = true;
	call_receive(c);
}

void stream_answer(struct submission *sub)
{
	struct call *c = sub->call;
	struct stream *s = c->state;

	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < s->n; i++)
		if (&entry_at(s, i)->slot->submission == sub)
			entry_at(s, i)->done = true;
	advance(c, s);
	receive_more(c, s);
	pthread_mutex_unlock(&s->lock);
	call_unref(c);
}

/* ---- receiving ---- */

struct parsed { uint64_t seq; bool want_receipts; };

static void parse_head(struct slice request, struct parsed *p)
{
	struct wire w = wire_of(request);
	struct wire_field f;

	*p = (struct parsed){ 0 };
	while (wire_next(&w, &f)) {
		if (f.number == 1 && f.type == WIRE_VARINT)
			p->seq = f.value;
		else if (f.number == 3 && f.type == WIRE_VARINT)
			p->want_receipts = f.value != 0;
	}
}

static bool admit(struct call *c, const struct case_list *list, size_t bytes, struct slot **slot,
		  struct fault *f)
{
	bool small = list->n <= SMALL_CASES && bytes <= SMALL_BYTES;

	return call_admit(c, !small, slot, f) ||
	       (small && f->code == GRPC_STATUS_RESOURCE_EXHAUSTED && call_admit(c, true, slot, f));
}

/* Everything of a message that needs no lock: only one is received at a time. */
static bool take(struct call *c, struct stream *s, struct entry *e, uint32_t *left, struct fault *f)
{
	struct arena *gather = &c->worker->gather;
	struct slice request;
	struct case_list list;
	struct parsed head;

	arena_reset(gather);
	if (!call_request(c, gather, &request)) {
		fault_set(f, FAULT_MALFORMED, "", "%s", "");
		return false;
	}
	if (!submit_list(request, 2, BATCH_CASES_MAX, "cases", gather, &list, f))
		return false;
	parse_head(request, &head);
	if (s->started && head.seq != s->last_seq + 1) {
		fault_set(f, FAULT_SEQUENCE_BROKEN, "client_seq", "%llu after %llu",
			  (unsigned long long)head.seq, (unsigned long long)s->last_seq);
		return false;
	}
	if (!admit(c, &list, request.n, &e->slot, f))
		return false;
	s->started = true;
	s->last_seq = head.seq;
	e->seq = head.seq;
	e->want_receipts = head.want_receipts;
	e->bytes = request.n;
	e->slot->submission.call = c;
	return submit_quota(c, list.n, f) &&
	       submit_fill(c, &e->slot->submission, &list, &c->worker->scratch, false, left, f);
}

/* The entry stands in the ring before the spine has it: the answer may be quicker than we are. */
static void enter(struct call *c, struct stream *s, const struct entry *e, uint32_t left)
{
	struct submission *sub = &e->slot->submission;
	bool unchecked = left > 0 && submit_for_readers(sub);
	struct fault f;

	pthread_mutex_lock(&s->lock);
	*entry_at(s, s->n) = *e;
	entry_at(s, s->n)->done = left == 0;
	entry_at(s, s->n)->unchecked = unchecked;
	s->n++;
	s->bytes += e->bytes;
	pthread_mutex_unlock(&s->lock);
	if (left == 0)
		return;
	call_ref(c);
	if (unchecked) {
		call_queue(c);
		return;
	}
	if (submit_push(c, sub, &f))
		return;
	pthread_mutex_lock(&s->lock);
	s->n--;				/* the newest: nobody else adds */
	s->bytes -= e->bytes;
	s->failed = true;
	s->fault = f;
	pthread_mutex_unlock(&s->lock);
	call_dismiss(c, e->slot);
	call_unref(c);
}

/* The engine does not take it: each of its cases is rejected as one to be sent again. */
static void not_taken(struct submission *sub, const struct fault *f)
{
	for (uint32_t i = 0; i < sub->cases_n; i++)
		if (sub->cases[i].refusal.reason == REASON_NONE)
			refuse(&sub->cases[i].refusal, f->code == GRPC_STATUS_RESOURCE_EXHAUSTED ?
			       REASON_BUSY : REASON_STOPPING, "", "%s", "");
	stream_answer(sub);
}

static struct submission *unchecked_next(struct stream *s)
{
	struct submission *sub = NULL;

	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < s->n && sub == NULL; i++) {
		struct entry *e = entry_at(s, i);

		if (e->unchecked)
			sub = &e->slot->submission;
		e->unchecked = e->unchecked && sub == NULL;
	}
	pthread_mutex_unlock(&s->lock);
	return sub;
}

void stream_work(struct call *c, struct read_thread *r)
{
	struct submission *sub;
	struct fault f;

	while ((sub = unchecked_next(c->state)) != NULL) {
		if (submit_look(c, r, sub) == 0)
			stream_answer(sub);
		else if (!submit_push(c, sub, &f))
			not_taken(sub, &f);
	}
}

static void take_message(struct call *c, struct stream *s)
{
	struct entry e = { 0 };
	struct fault f;
	uint32_t left = 0;
	bool ok = take(c, s, &e, &left, &f);

	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	if (ok) {
		enter(c, s, &e, left);
		return;
	}
	if (e.slot != NULL)
		call_dismiss(c, e.slot);
	atomic_fetch_add_explicit(&c->in->calls_refused, 1, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	s->failed = true;
	s->fault = f;
	pthread_mutex_unlock(&s->lock);
}

void stream_message(struct call *c, bool ok)
{
	struct stream *s = c->state;
	bool message = ok && c->request != NULL;

	pthread_mutex_lock(&s->lock);
	s->taking = message && !s->finished;
	pthread_mutex_unlock(&s->lock);
	if (s->taking)
		take_message(c, s);
	pthread_mutex_lock(&s->lock);
	s->taking = false;
	s->receiving = false;
	s->ended |= ok && !message;
	s->broken |= !ok;
	advance(c, s);
	receive_more(c, s);
	pthread_mutex_unlock(&s->lock);
}

void stream_sent(struct call *c, bool ok)
{
	struct stream *s = c->state;

	pthread_mutex_lock(&s->lock);
	s->sending = false;
	s->broken |= !ok;
	advance(c, s);
	receive_more(c, s);
	pthread_mutex_unlock(&s->lock);
}

void stream_closed(struct call *c)
{
	struct stream *s = c->state;

	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->broken = true;
	advance(c, s);
	pthread_mutex_unlock(&s->lock);
}

void stream_stop(struct call *c)
{
	struct stream *s = c->state;

	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	advance(c, s);
	pthread_mutex_unlock(&s->lock);
}
