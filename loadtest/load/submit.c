/* How cases go out, and what is made of each kind of answer. */
#include <grpc/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "load/drive.h"

#define REQUEST_ROOM (1024 * 1024 - 64)
#define CALL_TIMEOUT_MS 60000
#define PAUSE_MS_MIN 20
#define PAUSE_MS_MAX 1000
#define SINGLES_A_WINDOW 4		/* SubmitCase: so many in place of a batch */

enum verdict_of { TAKEN, REFUSED, LATER };

/* Cases that travel together. */
struct request {
	struct request *next;
	struct drive *d;
	struct stream *stream;		/* the one it is on */
	uint64_t seq;
	int64_t due_us;			/* again: not before */
	uint32_t n, tries;
	uint8_t kind;			/* enum call_kind */
	bool answered;
	uint8_t verdicts[DRIVE_CASES_MAX], receipts[DRIVE_CASES_MAX];
	uint32_t places[DRIVE_CASES_MAX];
};

/* Messages that wait for their acknowledgement, in order. */
struct stream {
	struct drive *d;
	struct rpc_call *call;		/* NULL: not open */
	struct request *first, **last;
	uint32_t n, connection;
	uint64_t seq;
	int64_t open_us;		/* not again before */
};

static const struct rpc_owner unary_owner, stream_owner;

/* ---- what is sent ---- */

static bool replaces(const struct drive *d, uint32_t place)
{
	return d->reissue_from > 0 && place >= d->reissue_from;
}

/* A merger's second phase is its first again. */
static uint32_t serial_of(const struct drive *d, uint32_t place)
{
	return replaces(d, place) ? place - (uint32_t)d->reissue_from : place;
}

size_t submit_size(const struct drive *d, uint32_t place)
{
	return stencil_size(d->stencils, serial_of(d, place), replaces(d, place));
}

void submit_write(const struct drive *d, uint32_t place, uint8_t *to)
{
	uint32_t serial = serial_of(d, place);
	const struct load_result *before = &d->ledger.results[d->ledger.cases[serial].first];

	stencil_write(d->stencils, serial, replaces(d, place) ? before->id : NULL, to);
}

static struct rpc_buffer encode(const struct request *r)
{
	const struct drive *d = r->d;
	size_t room = 32;
	struct rpc_buffer b;
	struct writer w;

	for (uint32_t i = 0; i < r->n; i++)
		room += submit_size(d, r->places[i]) + 5;
	b = rpc_buffer(room);
	w = writer_of(b.p, room);
	if (r->kind == CALL_STREAM)
		put_number(&w, 1, r->seq);
	for (uint32_t i = 0; i < r->n; i++) {
		size_t n = submit_size(d, r->places[i]);

		put_varint(&w, (r->kind == CALL_STREAM ? 2 : 1) << 3 | WIRE_BYTES);
		put_varint(&w, n);
		submit_write(d, r->places[i], w.p);
		w.p += n;
	}
	if (r->kind == CALL_STREAM)
		put_number(&w, 3, 1);
	rpc_trim(&b, (size_t)(w.p - b.p));
	return b;
}

static struct stream *pick_stream(struct drive *d, int64_t now_us)
{
	for (uint32_t i = 0; i < d->w->connections; i++) {
		struct stream *s = &d->streams[(d->connection + i) % d->w->connections];

		if (s->n < d->w->window && (s->call != NULL || s->open_us <= now_us))
			return s;
	}
	return NULL;
}

static void send_on_stream(struct request *r, struct stream *s)
{
	struct drive *d = r->d;
	struct rpc_buffer b;

	r->stream = s;
	r->seq = ++s->seq;
	r->next = NULL;
	*s->last = r;
	s->last = &r->next;
	s->n++;
	if (s->call == NULL)
		s->call = rpc_start(d->rpc, RPC_BIDI, s->connection, ISSUANCE "SubmitStream", NULL,
				    0, &stream_owner, s);
	b = encode(r);
	rpc_send(s->call, &b);
}

/* False: no way is free for it now. */
static bool send_request(struct request *r, int64_t now_us)
{
	struct drive *d = r->d;
	struct stream *s = NULL;

	if (r->kind == CALL_STREAM) {
		s = pick_stream(d, now_us);
		if (s == NULL)
			return false;
	}
	r->answered = false;
	memset(r->verdicts, TAKEN, r->n);
	memset(r->receipts, 0, r->n);
	for (uint32_t i = 0; i < r->n; i++)
		if (d->ledger.cases[r->places[i]].sent_us == 0)
			d->ledger.cases[r->places[i]].sent_us = now_us;
	d->tally.requests[r->kind]++;
	d->requests_out++;
	d->out[r->kind]++;
	d->connection++;
	if (s != NULL) {
		send_on_stream(r, s);
	} else {
		struct rpc_buffer b = encode(r);

		rpc_start(d->rpc, RPC_UNARY, d->connection, r->kind == CALL_BATCH ?
			  ISSUANCE "SubmitBatch" : ISSUANCE "SubmitCase", &b, CALL_TIMEOUT_MS,
			  &unary_owner, r);
	}
	return true;
}

/* ---- what comes back ---- */

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
	stencil_code(d->stencils, serial_of(d, place), expected);
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
	while (r->kind == CALL_BATCH && wire_next(&w, &f))
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

static const struct rpc_owner unary_owner = { unary_message, unary_ended };
static const struct rpc_owner stream_owner = { stream_message, stream_ended };

/* ---- what is due ---- */

void submit_due(struct drive *d, uint32_t place)
{
	struct waiting *w = &d->waiting[d->ledger.cases[place].call];

	d->open_cases++;
	if (w->head + w->n == w->max && w->head > w->max / 2) {
		memmove(w->places, w->places + w->head, w->n * sizeof(*w->places));
		w->head = 0;
	}
	if (w->head + w->n == w->max) {
		w->max = w->max > 0 ? 2 * w->max : 1024;
		w->places = reallocarray(w->places, w->max, sizeof(*w->places));
		if (w->places == NULL)
			abort();
	}
	w->places[w->head + w->n++] = place;
}

static struct request *take_waiting(struct drive *d, enum call_kind kind, uint32_t max)
{
	struct request *r = calloc(1, sizeof(*r));
	struct waiting *w = &d->waiting[kind];
	size_t bytes = 0;

	if (r == NULL)
		abort();
	r->d = d;
	r->kind = (uint8_t)kind;
	while (r->n < max && w->n > 0) {
		uint32_t place = w->places[w->head];

		bytes += submit_size(d, place) + 5;
		if (r->n > 0 && bytes > REQUEST_ROOM)
			break;
		r->places[r->n++] = place;
		w->head++;
		w->n--;
	}
	return r;
}

static void put_back(struct drive *d, struct request *r)
{
	struct waiting *w = &d->waiting[r->kind];

	w->head -= r->n;
	w->n += r->n;
	free(r);
}

/* Cases of a request at most. */
static uint32_t cases_max(const struct drive *d, enum call_kind kind)
{
	return kind == CALL_CASE ? 1 : d->w->batch_cases;
}

/* Requests under way at most. */
static uint32_t out_max(const struct drive *d, enum call_kind kind)
{
	return d->w->window * d->w->connections * (kind == CALL_CASE ? SINGLES_A_WINDOW : 1);
}

bool submit_none_waits(const struct drive *d, enum call_kind kind)
{
	return d->waiting[kind].n == 0;
}

bool submit_fills(const struct drive *d, enum call_kind kind, uint32_t more, int64_t at_us)
{
	uint64_t n = d->waiting[kind].n;
	uint32_t max = cases_max(d, kind);

	return n < max && n + more >= max && d->out[kind] < out_max(d, kind) &&
	       at_us >= d->quiet_us;
}

/* One kind of call; when it is due next. */
static int64_t send_kind(struct drive *d, enum call_kind kind, int64_t now_us)
{
	struct waiting *w = &d->waiting[kind];
	uint32_t max = cases_max(d, kind);
	int64_t wait_us = kind == CALL_CASE ? 0 : (int64_t)d->w->batch_wait_ms * 1000;

	while (w->n > 0) {
		int64_t full_us = d->ledger.cases[w->places[w->head]].due_us + wait_us;
		struct request *r;

		if (w->n < max && now_us < full_us)
			return full_us;
		if (d->out[kind] >= out_max(d, kind))
			return INT64_MAX;
		r = take_waiting(d, kind, max);
		if (!send_request(r, now_us)) {
			put_back(d, r);
			return now_us + PAUSE_MS_MIN * 1000;
		}
	}
	return INT64_MAX;
}

/* What was refused or broke off and may go again. */
static int64_t send_again(struct drive *d, int64_t now_us)
{
	struct request **at = &d->again;
	int64_t soonest = INT64_MAX;

	while (*at != NULL) {
		struct request *r = *at;

		if (r->due_us <= now_us) {
			*at = r->next;
			if (send_request(r, now_us))
				continue;
			r->due_us = now_us + PAUSE_MS_MIN * 1000;
			r->next = *at;
			*at = r;
		}
		if (r->due_us < soonest)
			soonest = r->due_us;
		at = &r->next;
	}
	return soonest;
}

int64_t submit_some(struct drive *d, int64_t now_us)
{
	int64_t soonest;

	if (now_us < d->quiet_us)
		return d->quiet_us;
	soonest = send_again(d, now_us);
	for (int k = 0; k < CALL_KINDS; k++) {
		int64_t at_us = send_kind(d, (enum call_kind)k, now_us);

		if (at_us < soonest)
			soonest = at_us;
	}
	return soonest;
}

bool submit_idle(const struct drive *d)
{
	return d->open_cases == 0;
}

bool submit_init(struct drive *d)
{
	d->streams = calloc(d->w->connections, sizeof(*d->streams));
	for (uint32_t i = 0; d->streams != NULL && i < d->w->connections; i++)
		d->streams[i] = (struct stream){ .d = d, .last = &d->streams[i].first,
						 .connection = i };
	return d->streams != NULL;
}

void submit_finish(struct drive *d)
{
	for (uint32_t i = 0; i < d->w->connections; i++)
		if (d->streams[i].call != NULL)
			rpc_finish(d->streams[i].call);
}

void submit_free(struct drive *d)
{
	while (d->again != NULL) {
		struct request *r = d->again;

		d->again = r->next;
		free(r);
	}
	for (int k = 0; k < CALL_KINDS; k++)
		free(d->waiting[k].places);
	free(d->streams);
}
