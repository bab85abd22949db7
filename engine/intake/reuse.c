#include <stdio.h>
#include <stdlib.h>

#include "intake/read.h"

#define PURPOSE_BYTES_MAX 200

/* One act for all results of a call; the call is answered once it is done. */
struct noting {
	struct act act;
	char text[3 * PURPOSE_BYTES_MAX + 4];
	struct result_name names[];
};

void noting_free(struct noting *n)
{
	free(n);
}

static void noted(struct act *a)
{
	struct call *c = a->owner;

	call_queue(c);
	call_unref(c);
}

static bool text_fits(const char *s, size_t bytes_max)
{
	return s[0] != '\0' && strlen(s) <= bytes_max && strchr(s, '\n') == NULL &&
	       utf8_valid(slice_str(s));
}

static bool purpose_given(struct call *c, const Trien__V1__Purpose *p)
{
	if (p != NULL && text_fits(p->purpose, PURPOSE_BYTES_MAX) &&
	    text_fits(p->legal_basis, PURPOSE_BYTES_MAX) &&
	    text_fits(p->case_code, CASE_CODE_BYTES_MAX))
		return true;
	call_refuse(c, FAULT_ARGUMENT_MISSING, "purpose", "%s",
		    "another's result is read with purpose, legal_basis and case_code");
	return false;
}

/* Those among ids that the caller may read only for reuse. */
static void names_collect(struct call *c, struct read_thread *r, struct noting *n, char *const *ids,
			  size_t ids_n)
{
	for (size_t i = 0; i < ids_n; i++) {
		struct result_view v;
		uint8_t id[16];

		if (!id_read(id, slice_str(ids[i])) ||
		    c->in->ops.get(r->store, id, &v) != ST_OK || v.state != STATE_STORED ||
		    read_allowed(c, v.unit))
			continue;
		n->names[n->act.names_n++] = (struct result_name){ v.lane, v.sequence };
	}
}

static bool succeeded(struct call *c)
{
	struct fault f;

	if (c->noting->act.status == ST_OK)
		return true;
	fault_status(&f, c->noting->act.status, c->noting->act.error.text);
	call_finish(c, &f);
	return false;
}

bool reuse_noted(struct call *c, struct read_thread *r, const Trien__V1__Purpose *purpose,
		 char *const *ids, size_t ids_n)
{
	struct noting *n;
	enum status st;

	if (!principal_may(c->principal, MAY_REUSE) || principal_may(c->principal, MAY_PORTAL))
		return true;
	if (c->noting != NULL)
		return succeeded(c);
	n = calloc(1, sizeof(*n) + ids_n * sizeof(n->names[0]));
	if (n == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return false;
	}
	names_collect(c, r, n, ids, ids_n);
	if (n->act.names_n == 0 || !purpose_given(c, purpose)) {
		bool mine = n->act.names_n == 0;

		free(n);
		return mine;
	}
	snprintf(n->text, sizeof(n->text), "%s\n%s\n%s", purpose->purpose, purpose->legal_basis,
		 purpose->case_code);
	n->act.type = ACT_NOTE_READS;
	n->act.actor = slice_str(principal_name(c->principal));
	n->act.reason = slice_str(n->text);
	n->act.names = n->names;
	n->act.done = noted;
	n->act.owner = c;
	c->noting = n;
	call_ref(c);
	st = c->in->ops.act(c->in->ops.ctx, &n->act);
	if (st == ST_OK)
		return false;
	call_refuse(c, st == ST_FULL ? FAULT_BUSY : FAULT_STOPPING, "", "%s", "");
	call_unref(c);
	return false;
}
