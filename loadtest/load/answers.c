/* What is made of each kind of answer. */
#include <grpc/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "load/submit_inside.h"

#define PAUSE_MS_MAX 1000

static void decide(struct drive *d, uint32_t place, enum case_state state, int64_t now_us)
{
	struct load_case *c = &d->ledger.cases[place];
	struct phase *p = &d->phases[d->phases_n - 1];

	c->state = (uint8_t)state;
	c->answered_us = now_us;
	d->open_cases--;
	p->answered_us = now_us;
	if (state == CASE_REJECTED) {
		d->ledger.rejected++;
		return;
	}
	d->ledger.accepted++;
	d->tally.cases[c->call]++;
	p->cases++;
	p->results += c->results;
	d->results += c->results;
	histogram_record(p->corrected, now_us - c->due_us);
	histogram_record(p->raw, now_us - c->sent_us);
	histogram_record(d->second, now_us - c->due_us);
	reads_probe(d, place);
}

/* Nothing goes out before; who is told to wait waits with all it has. */
static void be_quiet(struct drive *d, int64_t now_us, uint32_t ms)
{
	if (d->quiet_us < now_us + (int64_t)ms * 1000)
		d->quiet_us = now_us + (int64_t)ms * 1000;
}

static uint32_t pause_ms(uint32_t tries)
{
	uint32_t ms = (uint32_t)PAUSE_MS_MIN << (tries < 6 ? tries : 6);

	return ms < PAUSE_MS_MAX ? ms : PAUSE_MS_MAX;
}

static void again(struct request *r, int64_t now_us, uint32_t asked_ms)
{
	struct drive *d = r->d;
	uint32_t ms = asked_ms > 0 ? asked_ms : pause_ms(r->tries);

	r->tries++;
	r->due_us = now_us + (int64_t)ms * 1000;
	r->next = d->again;
	d->again = r;
}

/* Settles the cases of a request that was answered; those that may come later come again. */
static void settle(struct request *r, int64_t now_us)
{
	struct drive *d = r->d;
	uint32_t left = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t place = r->places[i];

		if (r->verdicts[i] == TAKEN &&
		    r->receipts[i] == d->ledger.cases[place].results)
			decide(d, place, CASE_ACCEPTED, now_us);
		else if (r->verdicts[i] == REFUSED)
			decide(d, place, CASE_REJECTED, now_us);
		else
			r->places[left++] = place;
	}
	d->requests_out--;
	d->out[r->kind]--;
	if (left == 0) {
		free(r);
		return;
	}
	d->tally.refused_cases += left;
	r->n = left;
	be_quiet(d, now_us, pause_ms(r->tries));
	again(r, now_us, 0);
}

static void take_reject(struct request *r, struct slice bytes)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;
	uint64_t index = 0, retryable = 0;
	struct slice reason = { NULL, 0 };

	while (wire_next(&w, &f)) {
		if (f.number == 1)
			index = f.value;
		else if (f.number == 4)
			reason = f.bytes;
		else if (f.number == 8)
			retryable = f.value;
	}
	if (index >= r->n)
		return;
	r->verdicts[index] = retryable ? LATER : REFUSED;
	if (!retryable && r->d->first_reject[0] == '\0')
		snprintf(r->d->first_reject, sizeof(r->d->first_reject), "%.*s", (int)reason.n,
			 (const char *)reason.p);
}

/* Where the next receipt belongs: the requests in order, their cases in order, refused ones not. */
struct walk { struct request *r; uint32_t i; };

static void take_receipt(struct walk *at, struct slice bytes)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;
	struct slice code = { NULL, 0 }, id = { NULL, 0 };
	char expected[STENCIL_CODE_BYTES + 1];
	uint64_t number = 0;
	struct request *r;
	struct drive *d;
	uint32_t place;

	while (wire_next(&w, &f)) {
		if (f.number == 1)
			code = f.bytes;
		else if (f.number == 5)
			id = f.bytes;
		else if (f.number == 9)
			number = f.value;
	}
	while ((r = at->r) != NULL) {
		while (at->i < r->n && (r->verdicts[at->i] != TAKEN || r->receipts[at->i] ==
					r->d->ledger.cases[r->places[at->i]].results))
			at->i++;
		if (at->i < r->n)
			break;
		*at = (struct walk){ r->next, 0 };
	}
	if (r == NULL)
		return;
	d = r->d;
	place = r->places[at->i];
	stencil_code(d->stencils, submit_serial(d, place), expected);
	if (code.n != STENCIL_CODE_BYTES || memcmp(code.p, expected, code.n) != 0) {
		d->ledger.strangers++;
		return;
	}
	ledger_receipt(&d->ledger, place, r->receipts[at->i]++, id, number);
}

/* Counted as what it is: the engine's word, or a connection that broke. */
static void note_failure(struct drive *d, const struct failure *f, int64_t now_us)
{
	if (f != NULL && (f->retry_ms > 0 || f->code == GRPC_STATUS_RESOURCE_EXHAUSTED)) {
		d->tally.refused_calls++;
		d->tally.honoured_ms += f->retry_ms;
		be_quiet(d, now_us, f->retry_ms);
	} else {
		d->tally.broken_calls++;
	}
	if (f != NULL && !failure_passing(f) && d->fatal.code == 0)
		d->fatal = *f;
}

static void unary_message(void *owner, struct slice bytes)
{
	struct request *r = owner;
	struct wire w = wire_of(bytes);
	struct wire_field f;
	struct walk at = { r, 0 };

	r->next = NULL;
	/* Rejects first: they tell whose the receipts are. */
	while (r->kind != CALL_CASE && wire_next(&w, &f))
		if (f.number == 2)
			take_reject(r, f.bytes);
	w = wire_of(bytes);
	while (wire_next(&w, &f))
		if (f.number == 1)
			take_receipt(&at, f.bytes);
	r->answered = true;
}

static void unary_ended(void *owner, const struct failure *f)
{
	struct request *r = owner;
	struct drive *d = r->d;
	int64_t now_us = drive_now(d);

	if (f == NULL && r->answered) {
		settle(r, now_us);
		return;
	}
	if (f != NULL && !failure_passing(f) && r->kind == CALL_CASE) {
		r->verdicts[0] = REFUSED;
		if (d->first_reject[0] == '\0')
			snprintf(d->first_reject, sizeof(d->first_reject), "%s", f->reason);
		settle(r, now_us);
		return;
	}
	d->requests_out--;
	d->out[r->kind]--;
	note_failure(d, f, now_us);
	again(r, now_us, f != NULL ? f->retry_ms : 0);
}

/* ---- streams ---- */

static void take_stream_reject(struct stream *s, struct slice bytes)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;
	uint64_t seq = 0;

	while (wire_next(&w, &f)) {
		if (f.number == 1)
			seq = f.value;
		for (struct request *r = s->first; f.number == 2 && r != NULL; r = r->next)
			if (r->seq == seq)
				take_reject(r, f.bytes);
	}
}

static void stream_message(void *owner, struct slice bytes)
{
	struct stream *s = owner;
	struct drive *d = s->d;
	struct wire w = wire_of(bytes);
	struct wire_field f;
	struct walk at = { s->first, 0 };
	uint64_t acked = 0;
	int64_t now_us = drive_now(d);

	while (wire_next(&w, &f)) {
		if (f.number == 1)
			acked = f.value;
		else if (f.number == 2)
			take_stream_reject(s, f.bytes);
	}
	w = wire_of(bytes);
	while (wire_next(&w, &f))
		if (f.number == 3)
			take_receipt(&at, f.bytes);
	while (s->first != NULL && s->first->seq <= acked) {
		struct request *r = s->first;

		s->first = r->next;
		if (s->first == NULL)
			s->last = &s->first;
		s->n--;
		settle(r, now_us);
	}
}

/* What is not acknowledged goes again, on this or another stream. */
static void stream_ended(void *owner, const struct failure *f)
{
	struct stream *s = owner;
	struct drive *d = s->d;
	int64_t now_us = drive_now(d);

	s->call = NULL;
	s->open_us = now_us + PAUSE_MS_MIN * 1000;
	if (f != NULL && (s->first != NULL || !failure_passing(f)))
		note_failure(d, f, now_us);
	while (s->first != NULL) {
		struct request *r = s->first;

		s->first = r->next;
		d->requests_out--;
		d->out[r->kind]--;
		again(r, now_us, f != NULL ? f->retry_ms : 0);
	}
	s->last = &s->first;
	s->n = 0;
}

const struct rpc_owner request_owner = { unary_message, unary_ended };
const struct rpc_owner stream_owner = { stream_message, stream_ended };
