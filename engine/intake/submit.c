#include "intake/submit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "intake/answer.h"
#include "intake/check.h"
#include "intake/validate.h"

bool submit_list(struct slice request, uint32_t number, uint32_t max, const char *name,
		 struct arena *a, struct case_list *out, struct fault *f)
{
	struct wire w = wire_of(request);
	struct wire_field field;
	struct slice *list;
	uint32_t n = 0, i = 0;

	while (wire_next(&w, &field)) {
		if (field.number != number)
			continue;
		if (field.type != WIRE_BYTES)
			break;
		n++;
	}
	if (w.bad || w.p != w.end) {
		fault_set(f, FAULT_MALFORMED, "", "not a valid encoding");
		return false;
	}
	if (n == 0 || n > max) {
		fault_set(f, n == 0 ? FAULT_ARGUMENT_MISSING : FAULT_TOO_MANY, name,
			  "1 to %u, got %u", max, n);
		return false;
	}
	list = arena_take(a, n * sizeof(*list));
	if (list == NULL) {
		fault_set(f, FAULT_INTERNAL, "", "no room for a list");
		return false;
	}
	for (w = wire_of(request); wire_next(&w, &field);)
		if (field.number == number)
			list[i++] = field.bytes;
	*out = (struct case_list){ .n = n, .wire = list };
	return true;
}

/* Before anything is looked up: for whom may the caller issue? */
static bool units_allowed(const struct call *c, const struct raw_case *raw, struct refusal *why)
{
	char field[48], code[FIELD_NAME_BYTES_MAX + 1];

	for (uint32_t i = 0; i < raw->results_n; i++) {
		if (principal_unit(c->principal, raw->results[i].unit))
			continue;
		snprintf(field, sizeof(field), "results[%u].unit", i);
		check_name(code, raw->results[i].unit);
		refuse(why, REASON_UNIT_DENIED, field, "%s has not unit %s",
		       principal_name(c->principal), code);
		return false;
	}
	return true;
}

static bool read_case(struct call *c, struct submitted_case *out, struct slice wire,
		      const struct validate_env *env, struct arena *a)
{
	struct raw_case raw;
	enum status st;

	arena_reset(env->scratch);
	st = raw_read(&raw, wire, env->scratch, &out->refusal);
	if (st == ST_OK && units_allowed(c, &raw, &out->refusal))
		st = validate_case(out, &raw, env, a);
	if (out->refusal.reason == REASON_NONE && st == ST_OK) {
		for (uint32_t i = 0; i < raw.results_n; i++)
			out->replaces |= raw.results[i].replaces.n > 0;
		return true;
	}
	/* It may have been right when it was issued: then it is a repetition, for ever. */
	if (earlier_possible(&raw, out->refusal.reason))
		out->wire = arena_copy(a, wire);
	/* A reject names its case; the request is gone by then. */
	out->code = raw.code.n <= CASE_CODE_BYTES_MAX ? arena_copy(a, raw.code) : slice_of(NULL, 0);
	if (out->code.p == NULL)
		out->code.n = 0;
	if (out->refusal.reason == REASON_NONE)
		refuse(&out->refusal, REASON_MALFORMED, "", "%s", status_name(st));
	return false;
}

bool submit_quota(struct call *c, uint32_t cases, struct fault *f)
{
	uint32_t wait_ms;

	if (principal_cases(c->principal, cases, intake_clock_ms(), &wait_ms))
		return true;
	fault_set(f, FAULT_QUOTA_EXCEEDED, "", "cases per second");
	f->retry_ms = wait_ms;
	return false;
}

bool submit_fill(struct call *c, struct submission *s, const struct case_list *list,
		 struct arena *scratch, bool validate_only, uint32_t *left, struct fault *f)
{
	const struct engine_ops *ops = &c->in->ops;
	struct validate_env env = { .scratch = scratch };

	*left = 0;
	s->cases = arena_take(&s->arena, list->n * sizeof(*s->cases));
	if (s->cases == NULL) {
		fault_set(f, FAULT_INTERNAL, "", "no room for %u cases", list->n);
		return false;
	}
	s->cases_n = list->n;
	s->validate_only = validate_only;
	s->catalogue = ops->catalogue(ops->ctx);
	s->principal = slice_str(principal_name(c->principal));
	env.catalogue = s->catalogue;
	env.coverage = ops->coverage(ops->ctx);
	env.day = day_vietnam(ops->now_ms(ops->ctx));
	for (uint32_t i = 0; i < list->n; i++) {
		/* Not the results, most of which no case uses. */
		memset(&s->cases[i], 0, offsetof(struct submitted_case, results));
		s->cases[i].index = i;
		s->cases[i].original = list->originals != NULL ? list->originals[i] : NULL;
		env.original = s->cases[i].original;
		*left += read_case(c, &s->cases[i], list->wire[i], &env, &s->arena) ||
			 s->cases[i].wire.n > 0;
	}
	atomic_fetch_add_explicit(&c->in->cases, list->n, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->in->cases_rejected, list->n - *left, memory_order_relaxed);
	return true;
}

bool submit_push(struct call *c, struct submission *s, struct fault *f)
{
	enum status st = c->in->ops.submit(c->in->ops.ctx, s);

	if (st == ST_OK)
		return true;
	fault_set(f, st == ST_FULL ? FAULT_BUSY : FAULT_STOPPING, "", "%s", "");
	return false;
}

/* ---- SubmitCase and SubmitBatch: one message, one submission, one reply ---- */

bool submit_for_readers(const struct submission *s)
{
	for (uint32_t i = 0; i < s->cases_n; i++)
		if (s->cases[i].wire.n > 0 ||
		    (s->cases[i].replaces && s->cases[i].refusal.reason == REASON_NONE))
			return true;
	return false;
}

void submit_refuse(struct call *c, const struct fault *f)
{
	atomic_fetch_add_explicit(&c->in->calls_refused, 1, memory_order_relaxed);
	call_finish(c, f);
}

/* The reply is built behind the cases, in the submission's own memory. */
void submit_reply(struct call *c, struct submission *s)
{
	struct unary *u = c->state;
	uint8_t *buf = s->arena.base + s->arena.used;
	struct writer w = writer_of(buf, s->arena.size - s->arena.used);
	uint32_t accepted = 0;
	struct fault f;

	for (uint32_t i = 0; i < s->cases_n; i++) {
		if (s->cases[i].refusal.reason != REASON_NONE)
			continue;
		accepted++;
		if (!s->validate_only)
			answer_receipts(&w, 1, &s->cases[i]);
	}
	if (u->single && accepted == 0) {
		fault_refusal(&f, &s->cases[0].refusal, u->path);
		call_finish(c, &f);
		return;
	}
	for (uint32_t i = 0; i < s->cases_n && !u->single; i++)
		if (s->cases[i].refusal.reason != REASON_NONE)
			answer_reject(&w, 2, &s->cases[i]);
	if (!u->single)
		put_number(&w, 3, accepted);
	if (writer_size(&w) > s->arena.peak - s->arena.used)
		s->arena.peak = s->arena.used + writer_size(&w);
	if (w.bad) {
		/* It stands in the journal: sent again, the same is answered with its receipts. */
		fault_set(&f, FAULT_INTERNAL, "", "the reply is too large; send smaller batches");
		call_finish(c, &f);
		return;
	}
	call_reply(c, slice_copied(&w));
}

static void on_answer(struct tag *t, bool ok)
{
	struct slot *slot = (struct slot *)((char *)t - offsetof(struct slot, on_answer));

	(void)ok;
	t->call->m->answer(&slot->submission);
}

void submit_answer(struct submission *s)
{
	submit_reply(s->call, s);
}

/*
 * Not from here: a reply takes locks of its connection, and its gRPC thread is in the middle of
 * them. Two threads in one connection cost a seventh of the CPU per case, and the spine has other
 * things to do than HTTP/2 and TLS.
 */
void intake_answer(struct submission *s)
{
	struct slot *slot = (struct slot *)((char *)s - offsetof(struct slot, submission));

	slot->on_answer = (struct tag){ on_answer, s->call };
	call_post(s->call, &slot->on_answer);
}

void submit_batch_free(struct call *c)
{
	struct unary *u = c->state;

	if (u != NULL && u->slot != NULL)
		call_return(c, u->slot);
	free(u);
}

bool submit_flag(struct slice request, uint32_t number)
{
	struct wire w = wire_of(request);
	struct wire_field f;
	bool set = false;

	while (wire_next(&w, &f))
		if (f.number == number && f.type == WIRE_VARINT)
			set = f.value != 0;
	return set;
}

static bool accept_request(struct call *c, bool single, struct fault *f)
{
	struct arena *gather = &c->worker->gather;
	struct slice request;
	struct case_list list;
	struct unary *u = calloc(1, sizeof(*u));
	uint32_t left;

	c->state = u;
	arena_reset(gather);
	if (u == NULL || !call_request(c, gather, &request)) {
		fault_set(f, FAULT_INTERNAL, "", "no memory");
		return false;
	}
	u->single = single;
	u->path = "case";
	if (!submit_list(request, 1, BATCH_CASES_MAX, "cases", gather, &list, f))
		return false;
	if (single && list.n != 1) {
		fault_set(f, FAULT_MALFORMED, "case", "exactly one");
		return false;
	}
	if (!call_enter(c, f) || !call_slot(c, !single, &u->slot, f))
		return false;
	u->slot->submission.call = c;
	if (!submit_quota(c, list.n, f) ||
	    !submit_fill(c, &u->slot->submission, &list, &c->worker->scratch,
			 submit_flag(request, 2), &left, f))
		return false;
	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	if (left == 0)
		submit_reply(c, &u->slot->submission);
	else if (submit_for_readers(&u->slot->submission))
		call_queue(c);
	else
		return submit_push(c, &u->slot->submission, f);
	return true;
}

uint32_t submit_look(struct call *c, struct read_thread *r, struct submission *s)
{
	earlier_check(c, r, s);
	return replaced_check(c, r, s);
}

void submit_work(struct call *c, struct read_thread *r)
{
	struct submission *s = &((struct unary *)c->state)->slot->submission;
	struct fault f;

	if (submit_look(c, r, s) == 0)
		submit_reply(c, s);
	else if (!submit_push(c, s, &f))
		submit_refuse(c, &f);
}

void submit_case_run(struct call *c)
{
	struct fault f;

	if (!accept_request(c, true, &f))
		submit_refuse(c, &f);
}

void submit_batch_run(struct call *c)
{
	struct fault f;

	if (!accept_request(c, false, &f))
		submit_refuse(c, &f);
}
