/* How cases go out. */
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "load/submit_inside.h"

#define CALL_TIMEOUT_MS 60000
#define SINGLES_A_WINDOW 4		/* SubmitCase: so many in place of a batch */
#define COPIES_A_CONNECTION 2		/* CertifyCopies: a request holds many bytes */

/* ---- what is sent ---- */

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
	static const char *const methods[] = {
		[CALL_BATCH] = ISSUANCE "SubmitBatch", [CALL_CASE] = ISSUANCE "SubmitCase",
		[CALL_COPY] = ISSUANCE "CertifyCopies",
	};
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

		rpc_start(d->rpc, RPC_UNARY, d->connection, methods[r->kind], &b, CALL_TIMEOUT_MS,
			  &request_owner, r);
	}
	return true;
}

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
		if (r->n > 0 && bytes > submit_room(kind))
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
	uint32_t max = submit_cases_max(kind);

	return max < d->w->batch_cases ? max : d->w->batch_cases;
}

/* Requests under way at most. */
static uint32_t out_max(const struct drive *d, enum call_kind kind)
{
	if (kind == CALL_COPY)
		return COPIES_A_CONNECTION * d->w->connections;
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
