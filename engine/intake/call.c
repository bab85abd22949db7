#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>

#include "base/log.h"
#include "intake/server.h"

static void arm(struct intake *in, struct worker *w, const struct method *m, void *registered);
static void on_request(struct tag *t, bool ok);
static void on_message(struct tag *t, bool ok);
static void on_sent(struct tag *t, bool ok);
static void on_finished(struct tag *t, bool ok);
static void on_closed(struct tag *t, bool ok);

uint64_t intake_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct call *call_new(struct intake *in, struct worker *w, const struct method *m,
			     void *registered)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->in = in;
	c->worker = w;
	c->m = m;
	c->registered = registered;
	c->on_request = (struct tag){ on_request, c };
	c->on_message = (struct tag){ on_message, c };
	c->on_sent = (struct tag){ on_sent, c };
	c->on_finished = (struct tag){ on_finished, c };
	c->on_closed = (struct tag){ on_closed, c };
	atomic_init(&c->refs, 1);
	grpc_metadata_array_init(&c->metadata);
	grpc_call_details_init(&c->details);
	return c;
}

void call_ref(struct call *c)
{
	atomic_fetch_add(&c->refs, 1);
}

bool call_try_ref(struct call *c)
{
	unsigned int n = atomic_load(&c->refs);

	while (n > 0)
		if (atomic_compare_exchange_weak(&c->refs, &n, n + 1))
			return true;
	return false;
}

static void unlist(struct call *c)
{
	struct intake *in = c->in;

	pthread_mutex_lock(&in->lock);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		in->live = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (--in->live_n == 0)
		pthread_cond_broadcast(&in->idle);
	pthread_mutex_unlock(&in->lock);
}

void call_leave(struct call *c)
{
	if (c->entered)
		principal_leave(c->principal);
	c->entered = false;
}

void call_end(struct call *c)
{
	if (c->m != NULL && c->m->free != NULL)
		c->m->free(c);
	noting_free(c->noting);
	call_leave(c);
	if (c->request != NULL)
		grpc_byte_buffer_destroy(c->request);
	grpc_metadata_array_destroy(&c->metadata);
	grpc_call_details_destroy(&c->details);
	principals_unref(c->principals);
	if (c->grpc != NULL)
		grpc_call_unref(c->grpc);
	if (c->listed)
		unlist(c);
	free(c);
}

void call_unref(struct call *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	/* Behind the copiers' own end, when their queue is closed, there is nobody to wait for. */
	if (c->m == NULL || c->m->on_disk == NULL || !c->m->on_disk(c) ||
	    queue_push(c->in->slow_jobs, c) != ST_OK)
		call_end(c);
}

void call_drop(struct call *c)
{
	call_unref(c);
}

/* Core refuses a batch only when we break its rules: that is a bug of ours. */
static void start(struct call *c, const grpc_op *ops, size_t n, struct tag *t)
{
	grpc_call_error err = grpc_call_start_batch(c->grpc, ops, n, t, NULL);

	if (err != GRPC_CALL_OK) {
		log_error("intake", "batch refused code=%d method=%s", (int)err,
			  c->m != NULL ? c->m->path : "?");
		abort();
	}
}

enum status calls_arm(struct intake *in, struct worker *w)
{
	for (uint32_t i = 0; i < methods_n; i++)
		for (uint32_t k = 0; k < methods[i].armed; k++)
			arm(in, w, &methods[i], in->registered[i]);
	for (uint32_t k = 0; k < 4; k++)
		arm(in, w, NULL, NULL);
	return ST_OK;
}

static void arm(struct intake *in, struct worker *w, const struct method *m, void *registered)
{
	struct call *c;
	grpc_call_error err;

	if (atomic_load(&in->stopping))
		return;
	c = call_new(in, w, m, registered);
	if (c == NULL) {
		log_error("intake", "no memory for a call; one request slot less");
		return;
	}
	if (m != NULL)
		err = grpc_server_request_registered_call(in->server, registered, &c->grpc,
							  &c->deadline, &c->metadata, NULL, w->cq,
							  w->cq, &c->on_request);
	else
		err = grpc_server_request_call(in->server, &c->grpc, &c->details, &c->metadata,
					       w->cq, w->cq, &c->on_request);
	if (err != GRPC_CALL_OK) {
		log_error("intake", "request refused code=%d", (int)err);
		call_unref(c);
	}
}

/* On the list of live calls, unless there are too many. */
static bool enlist(struct call *c)
{
	struct intake *in = c->in;
	bool room;

	pthread_mutex_lock(&in->lock);
	room = in->live_n < CALLS_LIVE_MAX;
	c->principals = principals_ref(in->principals);
	c->next = in->live;
	if (in->live != NULL)
		in->live->prev = c;
	in->live = c;
	in->live_n++;
	c->number = ++in->numbered;
	c->listed = true;
	pthread_mutex_unlock(&in->lock);
	return room;
}

void call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt, ...)
{
	struct fault f;
	char detail[sizeof(f.detail)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	atomic_fetch_add_explicit(&c->in->calls_refused, 1, memory_order_relaxed);
	fault_set(&f, kind, field, "%s", detail);
	call_finish(c, &f);
}

static void on_request(struct tag *t, bool ok)
{
	struct call *c = t->call;
	grpc_op op = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER };

	if (!ok) {
		call_unref(c);
		return;
	}
	arm(c->in, c->worker, c->m, c->registered);
	atomic_fetch_add_explicit(&c->in->calls, 1, memory_order_relaxed);
	op.data.recv_close_on_server.cancelled = &c->cancelled_out;
	call_ref(c);
	start(c, &op, 1, &c->on_closed);
	if (!enlist(c)) {
		call_refuse(c, FAULT_BUSY, "", "%s", "");
		return;
	}
	if (c->m == NULL) {
		call_refuse(c, FAULT_METHOD_UNKNOWN, "", "%s", "");
		return;
	}
	if (atomic_load(&c->in->stopping) && !c->m->anonymous) {
		call_refuse(c, FAULT_STOPPING, "", "%s", "");
		return;
	}
	if (!access_check(c))
		return;
	if (c->m->begin != NULL)
		c->m->begin(c);
	else
		call_receive(c);
}

static bool enter(struct call *c, struct fault *f)
{
	if (principal_enter(c->principal))
		return true;
	fault_set(f, FAULT_QUOTA_EXCEEDED, "", "too many requests at the same time");
	f->retry_ms = 100;
	return false;
}

bool call_enter(struct call *c, struct fault *f)
{
	c->entered = enter(c, f);
	return c->entered;
}

bool call_slot(struct call *c, bool large, struct slot **slot, struct fault *f)
{
	*slot = slot_take(c->in->slots, large);
	if (*slot == NULL)
		fault_set(f, FAULT_BUSY, "", "%s", "");
	return *slot != NULL;
}

bool call_admit(struct call *c, bool large, struct slot **slot, struct fault *f)
{
	if (!enter(c, f))
		return false;
	if (call_slot(c, large, slot, f))
		return true;
	principal_leave(c->principal);
	return false;
}

void call_return(struct call *c, struct slot *slot)
{
	if (slot->submission.catalogue != NULL)
		catalogue_unref(slot->submission.catalogue);
	slot_give(c->in->slots, slot);
}

void call_dismiss(struct call *c, struct slot *slot)
{
	call_return(c, slot);
	principal_leave(c->principal);
}

/* An empty batch is over at once, and its tag comes out of the call's queue. */
void call_post(struct call *c, struct tag *t)
{
	start(c, NULL, 0, t);
}

void call_receive(struct call *c)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	op.data.recv_message.recv_message = &c->request;
	call_ref(c);
	start(c, &op, 1, &c->on_message);
}

/* A message over the limit, or one that was cut off: the client is told by core. */
static void unary_message(struct call *c, bool ok)
{
	if (!ok || (c->request == NULL && atomic_load(&c->cancelled)))
		call_drop(c);
	else if (c->request == NULL)
		call_refuse(c, FAULT_MALFORMED, "", "there is no message");
	else if (atomic_load(&c->in->stopping) && !c->m->anonymous)
		call_refuse(c, FAULT_STOPPING, "", "%s", "");
	else if (call_late(c))
		call_refuse(c, FAULT_DEADLINE_PASSED, "", "%s", "");
	else if (c->m->run != NULL)
		c->m->run(c);
	else
		call_queue(c);
}

static void on_message(struct tag *t, bool ok)
{
	struct call *c = t->call;

	if (ok && c->request != NULL)
		atomic_fetch_add_explicit(&c->in->bytes_in, grpc_byte_buffer_length(c->request),
					  memory_order_relaxed);
	if (c->m->message != NULL)
		c->m->message(c, ok);
	else
		unary_message(c, ok);
	call_unref(c);
}

bool call_late(const struct call *c)
{
	return gpr_time_cmp(c->deadline, gpr_now(c->deadline.clock_type)) <= 0;
}

bool call_request(struct call *c, struct arena *a, struct slice *out)
{
	grpc_byte_buffer *b = c->request;
	size_t n = grpc_byte_buffer_length(b), at = 0;
	grpc_byte_buffer_reader r;
	grpc_slice *piece;
	uint8_t *whole;

	if (b->data.raw.slice_buffer.count == 1 && b->data.raw.compression == GRPC_COMPRESS_NONE) {
		const grpc_slice *only = &b->data.raw.slice_buffer.slices[0];

		*out = slice_of(GRPC_SLICE_START_PTR(*only), GRPC_SLICE_LENGTH(*only));
		return true;
	}
	whole = arena_take(a, n);
	if (whole == NULL || !grpc_byte_buffer_reader_init(&r, b))
		return false;
	while (grpc_byte_buffer_reader_peek(&r, &piece) && GRPC_SLICE_LENGTH(*piece) <= n - at) {
		memcpy(whole + at, GRPC_SLICE_START_PTR(*piece), GRPC_SLICE_LENGTH(*piece));
		at += GRPC_SLICE_LENGTH(*piece);
	}
	grpc_byte_buffer_reader_destroy(&r);
	*out = slice_of(whole, at);
	return at == n;
}

static void put_headers(struct call *c, grpc_op *op)
{
	*op = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
	c->headers_sent = true;
}

static grpc_byte_buffer *put_message(grpc_op *op, grpc_slice message)
{
	grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&message, 1);

	grpc_slice_unref(message);
	*op = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE };
	op->data.send_message.send_message = b;
	return b;
}

void call_reply(struct call *c, grpc_slice reply)
{
	grpc_op ops[3];
	grpc_byte_buffer *b;

	call_leave(c);
	put_headers(c, &ops[0]);
	b = put_message(&ops[1], reply);
	ops[2] = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
	ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
	start(c, ops, 3, &c->on_finished);
	grpc_byte_buffer_destroy(b);
}

void call_send(struct call *c, grpc_slice message)
{
	grpc_op ops[2];
	size_t n = 0;
	grpc_byte_buffer *b;

	if (!c->headers_sent)
		put_headers(c, &ops[n++]);
	b = put_message(&ops[n++], message);
	call_ref(c);
	start(c, ops, n, &c->on_sent);
	grpc_byte_buffer_destroy(b);
}

static void on_sent(struct tag *t, bool ok)
{
	t->call->m->sent(t->call, ok);
	call_unref(t->call);
}

void call_finish(struct call *c, const struct fault *f)
{
	grpc_op ops[2];
	size_t n = 0;
	grpc_op *status;
	uint8_t details[FAULT_BYTES_MAX];
	char text[512];
	grpc_slice message = grpc_empty_slice();
	grpc_metadata trailer = { .key = grpc_slice_from_static_string("grpc-status-details-bin") };

	call_leave(c);
	if (!c->headers_sent)
		put_headers(c, &ops[n++]);
	status = &ops[n++];
	*status = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
	status->data.send_status_from_server.status = f != NULL ? f->code : GRPC_STATUS_OK;
	if (f != NULL) {
		size_t size = fault_encode(f, details);

		fault_message(f, text, sizeof(text));
		message = grpc_slice_from_copied_string(text);
		trailer.value = grpc_slice_from_copied_buffer((const char *)details, size);
		status->data.send_status_from_server.status_details = &message;
		status->data.send_status_from_server.trailing_metadata = &trailer;
		status->data.send_status_from_server.trailing_metadata_count = size > 0;
	}
	start(c, ops, n, &c->on_finished);
	if (f != NULL) {
		grpc_slice_unref(message);
		grpc_slice_unref(trailer.value);
	}
}

static void on_finished(struct tag *t, bool ok)
{
	(void)ok;
	call_unref(t->call);
}

static void on_closed(struct tag *t, bool ok)
{
	struct call *c = t->call;

	(void)ok;
	atomic_store(&c->cancelled, c->cancelled_out != 0);
	if (c->m != NULL && c->m->closed != NULL && c->cancelled_out != 0)
		c->m->closed(c);
	call_unref(c);
}

void call_queue(struct call *c)
{
	if (!turn_ask(&c->turn))
		return;
	call_ref(c);
	/* Every live call stands in one queue once at most, and each holds as many. */
	if (queue_push(c->slow ? c->in->slow_jobs : c->in->jobs, c) != ST_OK)
		call_unref(c);
}
