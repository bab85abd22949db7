#include "intake/operation.h"

#include <stdlib.h>

static void decided(struct act *a)
{
	struct call *c = a->owner;
	struct operation *o = c->state;

	atomic_store(&o->decided, true);
	call_queue(c);
	call_unref(c);
}

void operate_free(struct call *c)
{
	struct operation *o = c->state;

	if (o == NULL)
		return;
	arena_free(&o->texts);
	free(o->rows);
	free(o);
}

struct operation *operation_of(struct call *c, enum act_type type)
{
	struct operation *o = c->state;

	if (o != NULL)
		return o;
	o = calloc(1, sizeof(*o));
	if (o == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return NULL;
	}
	o->principal = c->principal;
	o->act = (struct act){ .type = type, .actor = slice_str(principal_name(c->principal)),
			       .done = decided, .owner = c };
	c->state = o;
	return o;
}

void operation_ask(struct call *c, struct operation *o)
{
	enum status st;

	call_ref(c);
	st = c->in->ops.act(c->in->ops.ctx, &o->act);
	if (st == ST_OK)
		return;
	call_refuse(c, st == ST_FULL ? FAULT_BUSY : FAULT_STOPPING, "", "%s", "");
	call_unref(c);
}

bool operation_succeeded(struct call *c, const struct operation *o)
{
	struct refusal why = { 0 };
	struct fault f;

	if (o->act.status == ST_OK)
		return true;
	fault_status(&f, o->act.status, o->act.vi, o->act.error.text);
	if (o->act.refused == REASON_UNIT_ELSEWHERE) {
		refuse(&why, o->act.refused, "result_id", "%s", o->act.error.text);
		fault_refusal(&f, &why, "");
	} else if (o->act.refused != REASON_NONE) {
		refuse(&why, o->act.refused, "", "%s", o->code);
		fault_refusal(&f, &why, "signer");
	}
	call_finish(c, &f);
	return false;
}

void operation_turn(struct call *c, struct read_thread *r, enum act_type type,
		    void (*begin)(struct call *c, struct operation *o, struct read_thread *r),
		    void (*reply)(struct call *c, const struct operation *o))
{
	struct operation *o = operation_of(c, type);

	if (o == NULL)
		return;
	if (!atomic_load(&o->decided))
		begin(c, o, r);
	else if (operation_succeeded(c, o))
		reply(c, o);
}

bool operation_keep(struct call *c, struct slice *out, char *place, size_t bytes_max,
		    const char *text, const char *field, bool required)
{
	size_t n = strlen(text);

	if (n > bytes_max || (required && n == 0)) {
		call_refuse(c, n == 0 ? FAULT_ARGUMENT_MISSING : FAULT_ARGUMENT_INVALID, field,
			    "1 to %zu bytes", bytes_max);
		return false;
	}
	memcpy(place, text, n + 1);
	*out = slice_of(place, n);
	return true;
}

void operation_about(struct operation *o, const struct result_view *v)
{
	size_t n = v->unit.n <= CODE_BYTES_MAX ? v->unit.n : 0;

	memcpy(o->unit, v->unit.p, n);
	o->unit[n] = '\0';
	o->act.unit = slice_of(o->unit, n);
	o->act.lane = v->lane;
	o->act.sequence = v->sequence;
	memcpy(o->result_id, v->result_id, sizeof(o->result_id));
}

bool operation_reason(struct call *c, struct operation *o, const char *text)
{
	return operation_keep(c, &o->act.reason, o->reason, REASON_BYTES_MAX, text, "reason", true);
}

bool operation_unit(struct call *c, struct slice unit)
{
	if (principal_unit(c->principal, unit))
		return true;
	access_unit(c, "unit", unit);
	return false;
}
