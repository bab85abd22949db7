#include "intake/noted.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "intake/said.h"

#define PURPOSE_BYTES_MAX 200
#define TEXTS_BYTES (3 * (PURPOSE_BYTES_MAX + 1) + CASE_CODE_BYTES_MAX + 1)

struct noting {
	struct read_noting ask;
	struct call *call;
	bool replies;
	grpc_slice reply;
	uint8_t holder[16];
	char texts[TEXTS_BYTES];
	uint32_t names_max;
	bool *own;			/* behind the names */
	struct result_name names[];
};

void noting_free(struct noting *n)
{
	if (n == NULL)
		return;
	if (n->replies)
		grpc_slice_unref(n->reply);
	free(n);
}

/* ---- who reads ---- */

bool person_key(struct call *c, const Trien__V1__Person *p, const char *field, uint8_t key[16])
{
	const char *country = p == NULL || p->country[0] == '\0' ? "VN" : p->country;
	char path[64];

	snprintf(path, sizeof(path), "%snumber", field);
	if (p == NULL || p->number[0] == '\0' || strlen(p->number) > HOLDER_NUMBER_BYTES_MAX) {
		call_refuse(c, FAULT_ARGUMENT_MISSING, path, "1 to %d bytes",
			    HOLDER_NUMBER_BYTES_MAX);
		return false;
	}
	snprintf(path, sizeof(path), "%sid_kind", field);
	if ((int)p->id_kind < ID_CITIZEN || (int)p->id_kind > ID_OTHER || strlen(country) != 2) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, path, "id kind or country");
		return false;
	}
	holder_key_of_id(key, (uint8_t)p->id_kind, slice_str(country), slice_str(p->number));
	return true;
}

bool sight_of(struct call *c, const Trien__V1__Person *as_holder, struct sight *out)
{
	*out = (struct sight){ .holder = as_holder != NULL };
	if (as_holder == NULL)
		return true;
	if (!principal_may(c->principal, MAY_PORTAL)) {
		access_role(c, MAY_PORTAL, "as_holder");
		return false;
	}
	return person_key(c, as_holder, "as_holder.", out->key);
}

/* ---- why ---- */

/* Into n's own room: one line of text, as it is shown to the holder. */
static bool text_keep(struct noting *n, char **at, struct slice *out, const char *s,
		      size_t bytes_max)
{
	uint8_t room[4096];
	struct arena a;

	arena_wrap(&a, room, sizeof(room));
	if (!said_line(s, bytes_max, &a, out))
		return false;
	assert(*at + out->n <= n->texts + TEXTS_BYTES);
	memcpy(*at, out->p, out->n);
	out->p = (const uint8_t *)*at;
	*at += out->n;
	return true;
}

static bool purpose_keep(struct call *c, struct noting *n, const Trien__V1__Purpose *p)
{
	struct read_note *note = &n->ask.note;
	char *at = n->texts;
	const struct { const char *field, *text; struct slice *to; size_t max; } of[] = {
		{ "purpose.purpose", p->purpose, &note->purpose, PURPOSE_BYTES_MAX },
		{ "purpose.legal_basis", p->legal_basis, &note->legal_basis, PURPOSE_BYTES_MAX },
		{ "purpose.requester", p->requester, &note->requester, PURPOSE_BYTES_MAX },
		{ "purpose.case_code", p->case_code, &note->case_code, CASE_CODE_BYTES_MAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		if (!text_keep(n, &at, of[i].to, of[i].text, of[i].max)) {
			call_refuse(c, FAULT_ARGUMENT_INVALID, of[i].field,
				    "one line of text, at most %zu bytes", of[i].max);
			return false;
		}
	return true;
}

/* ---- what ---- */

static void noted(struct read_noting *ask)
{
	struct call *c = ask->owner;

	call_queue(c);
	call_unref(c);
}

struct noting *noting_new(struct call *c, enum read_call call, const Trien__V1__Purpose *purpose,
			  uint32_t names_max)
{
	struct noting *n = calloc(1, sizeof(*n) + names_max * (sizeof(n->names[0]) +
							       sizeof(*n->own)));

	if (n == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return NULL;
	}
	n->names_max = names_max;
	n->own = (bool *)(n->names + names_max);
	n->ask = (struct read_noting){ .done = noted, .owner = c };
	n->ask.note = (struct read_note){ .call = (uint8_t)call, .names = n->names,
					  .own = n->own,
					  .reuse = call == READ_FIND,
					  .actor = slice_str(principal_name(c->principal)) };
	n->call = c;
	if (purpose == NULL || purpose_keep(c, n, purpose))
		return n;
	free(n);
	return NULL;
}

void noting_holder(struct noting *n, const uint8_t key[16])
{
	memcpy(n->holder, key, sizeof(n->holder));
	n->ask.note.holder = n->holder;
}

void noting_add(struct noting *n, const struct sight *s, const struct result_view *v)
{
	struct read_note *note = &n->ask.note;
	bool own;

	if (s->holder || v->state != STATE_STORED)
		return;
	for (uint32_t i = 0; i < note->names_n; i++)
		if (n->names[i].sequence == v->sequence)
			return;
	assert(note->names_n < n->names_max);
	/* Beside others', what the reader's own agency issued is read as ever. */
	own = note->call != READ_FIND && read_allowed(n->call, v->unit);
	n->own[note->names_n] = own;
	n->names[note->names_n++] = (struct result_name){ v->lane, v->sequence };
	note->reuse |= !own;
}

/* False: the reader does not say why; the call is answered, n is gone. */
static bool is_allowed(struct call *c, struct noting *n)
{
	const struct read_note *note = &n->ask.note;

	if (!note->reuse || (note->purpose.n > 0 && note->legal_basis.n > 0 &&
			     note->case_code.n > 0))
		return true;
	call_refuse(c, FAULT_ARGUMENT_MISSING, "purpose", "%s",
		    "another's result is read with purpose, legal_basis and case_code");
	noting_free(n);
	return false;
}

static void ask(struct call *c, struct noting *n)
{
	enum status st;

	c->noting = n;
	call_ref(c);
	st = c->in->ops.note_read(c->in->ops.ctx, &n->ask);
	if (st == ST_OK)
		return;
	call_refuse(c, st == ST_FULL ? FAULT_BUSY : FAULT_STOPPING, "", "%s", "");
	call_unref(c);
}

static bool is_noted(const struct noting *n)
{
	return n->ask.note.names_n > 0 || n->ask.note.holder != NULL;
}

void noting_send(struct call *c, struct noting *n, grpc_slice reply)
{
	if (!is_allowed(c, n)) {
		grpc_slice_unref(reply);
		return;
	}
	if (!is_noted(n)) {
		noting_free(n);
		call_reply(c, reply);
		return;
	}
	n->reply = reply;
	n->replies = true;
	ask(c, n);
}

void noting_end(struct call *c, struct noting *n, struct reply *p, enum status st)
{
	grpc_slice reply;

	if (st != ST_OK) {
		free(p->buf);
		read_refuse(c, st);
	} else if (reply_close(c, p, &reply)) {
		noting_send(c, n, reply);
		return;
	}
	noting_free(n);
}

/* A call that comes back. False: it was not noted, and the call is answered. */
static bool stands(struct call *c)
{
	if (c->noting->ask.status == ST_OK)
		return true;
	read_refuse(c, c->noting->ask.status);
	return false;
}

bool noting_done(struct call *c)
{
	if (c->noting == NULL)
		return false;
	if (stands(c)) {
		c->noting->replies = false;
		call_reply(c, c->noting->reply);
	}
	return true;
}

bool one_noted(struct call *c, enum read_call call, const Trien__V1__Purpose *purpose,
	       const struct sight *s, const struct result_view *v)
{
	struct noting *n;

	if (c->noting != NULL)
		return stands(c);
	n = noting_new(c, call, purpose, 1);
	if (n == NULL)
		return false;
	noting_add(n, s, v);
	if (!is_allowed(c, n))
		return false;
	if (is_noted(n)) {
		ask(c, n);
		return false;
	}
	noting_free(n);
	return true;
}
