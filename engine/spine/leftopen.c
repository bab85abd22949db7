#include "spine/leftopen.h"

#include <stdlib.h>

/* With room for one more. NULL: no memory; the array is as it was. */
static void *grow(void *array, size_t n, size_t *room, size_t size)
{
	void *bigger;

	if (n < *room)
		return array;
	bigger = realloc(array, (*room == 0 ? 1024 : *room * 2) * size);
	if (bigger != NULL)
		*room = *room == 0 ? 1024 : *room * 2;
	return bigger;
}

/* ---- what is open, by its sequence ---- */

static size_t slot_of(const struct replay *r, uint64_t sequence)
{
	return (size_t)(sequence * 0x9e3779b97f4a7c15u >> 20) & r->slots_mask;
}

/* NULL: it is not open any more. */
static struct open_result *slot_open(const struct replay *r, size_t slot)
{
	uint64_t number = r->slots[slot] - 1;

	return number >= r->open_base + r->open_first && number < r->open_base + r->open_n ?
	       &r->open[number - r->open_base] : NULL;
}

struct open_result *leftopen_find(const struct replay *r, uint64_t sequence)
{
	if (r->slots == NULL)
		return NULL;
	for (size_t at = slot_of(r, sequence); r->slots[at] != 0; at = (at + 1) & r->slots_mask) {
		struct open_result *o = slot_open(r, at);

		if (o != NULL && o->sequence == sequence)
			return o;
	}
	return NULL;
}

/* The one at this running number is the last of its sequence. */
static void slot_put(struct replay *r, uint64_t number)
{
	uint64_t sequence = r->open[number - r->open_base].sequence;
	size_t at = slot_of(r, sequence);

	while (r->slots[at] != 0) {
		struct open_result *o = slot_open(r, at);

		if (o != NULL && o->sequence == sequence)
			break;
		at = (at + 1) & r->slots_mask;
	}
	r->slots_used += r->slots[at] == 0;
	r->slots[at] = number + 1;
}

/* At most half full; those that are not open any more are left out of the new table. */
static enum status slots_room(struct replay *r)
{
	size_t live = r->open_n - r->open_first, size = 1024;

	if (r->slots != NULL && 2 * (r->slots_used + 1) <= r->slots_mask)
		return ST_OK;
	while (size < 4 * (live + 1))
		size *= 2;
	free(r->slots);
	r->slots = calloc(size, sizeof(*r->slots));
	if (r->slots == NULL)
		return ST_NOMEM;
	r->slots_mask = size - 1;
	r->slots_used = 0;
	for (size_t i = r->open_first; i < r->open_n; i++)
		slot_put(r, r->open_base + i);
	return ST_OK;
}

enum status leftopen_result(struct replay *r, const struct open_result *o)
{
	struct open_result *open;

	if (slots_room(r) != ST_OK)
		return ST_NOMEM;
	open = grow(r->open, r->open_n, &r->open_room, sizeof(*open));
	if (open == NULL)
		return ST_NOMEM;
	r->open = open;
	r->open[r->open_n++] = *o;
	slot_put(r, r->open_base + r->open_n - 1);
	return ST_OK;
}

void leftopen_settle(struct replay *r, uint64_t sequence)
{
	struct open_result *o = leftopen_find(r, sequence);

	if (o != NULL)
		o->pending->settled |= (uint8_t)(1u << o->index);
}

/* ---- what else is kept ---- */

static enum status act_add(struct open_act **acts, size_t *n, size_t *room, uint64_t pos,
			   uint8_t type, struct slice payload)
{
	struct open_act *a = grow(*acts, *n, room, sizeof(*a));

	if (a == NULL)
		return ST_NOMEM;
	*acts = a;
	a += *n;
	*a = (struct open_act){ .pos = pos, .type = type, .bytes = malloc(payload.n),
				.n = payload.n };
	if (a->bytes == NULL)
		return ST_NOMEM;
	memcpy(a->bytes, payload.p, payload.n);
	(*n)++;
	return ST_OK;
}

enum status leftopen_act(struct replay *r, uint64_t pos, uint8_t type, struct slice payload)
{
	return act_add(&r->acts, &r->acts_n, &r->acts_room, pos, type, payload);
}

enum status leftopen_signature(struct replay *r, uint64_t pos, struct slice payload)
{
	return act_add(&r->signatures, &r->signatures_n, &r->signatures_room, pos,
		       RECORD_SIGNATURE, payload);
}

enum status leftopen_approval(struct replay *r, uint64_t pos, struct slice payload)
{
	struct open_approval *a = grow(r->approvals, r->approvals_n, &r->approvals_room,
				       sizeof(*a));

	if (a == NULL)
		return ST_NOMEM;
	r->approvals = a;
	a += r->approvals_n;
	*a = (struct open_approval){ .pos = pos, .n = payload.n, .bytes = malloc(payload.n) };
	if (a->bytes == NULL)
		return ST_NOMEM;
	memcpy(a->bytes, payload.p, payload.n);
	r->approvals_n++;
	return ST_OK;
}

enum status leftopen_numbered(struct replay *r, uint64_t sequence)
{
	uint64_t *numbered = grow(r->numbered, r->numbered_n, &r->numbered_room,
				  sizeof(*numbered));

	if (numbered == NULL)
		return ST_NOMEM;
	r->numbered = numbered;
	r->numbered[r->numbered_n++] = sequence;
	return ST_OK;
}

enum status leftopen_resumed(struct replay *r, uint64_t pos, uint64_t sequence)
{
	struct resumed *resumed = grow(r->resumed, r->resumed_n, &r->resumed_room,
				       sizeof(*resumed));

	if (resumed == NULL)
		return ST_NOMEM;
	r->resumed = resumed;
	r->resumed[r->resumed_n++] = (struct resumed){ pos, sequence };
	return ST_OK;
}

/* ---- what goes ---- */

static void acts_drop(struct open_act *acts, size_t *n, uint64_t upto)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (acts[i].pos < upto)
			free(acts[i].bytes);
		else
			acts[kept++] = acts[i];
	}
	*n = kept;
}

void leftopen_stored(struct replay *r, uint64_t upto)
{
	struct spine *s = r->s;
	size_t approvals = 0, kept = 0;

	while (r->open_first < r->open_n && r->open[r->open_first].pending->pos < upto) {
		struct pending *p = r->open[r->open_first++].pending;

		if (--p->left > 0)
			continue;
		if (p->payload != NULL)
			s->backlog.bytes -= p->size;
		pending_free(s, p);
	}
	if (r->open_first > r->open_n / 2) {
		memmove(r->open, r->open + r->open_first,
			(r->open_n - r->open_first) * sizeof(*r->open));
		r->open_n -= r->open_first;
		r->open_base += r->open_first;
		r->open_first = 0;
	}
	for (size_t i = 0; i < r->approvals_n; i++) {
		if (r->approvals[i].pos < upto)
			free(r->approvals[i].bytes);
		else
			r->approvals[approvals++] = r->approvals[i];
	}
	r->approvals_n = approvals;
	acts_drop(r->acts, &r->acts_n, upto);
	acts_drop(r->signatures, &r->signatures_n, upto);
	for (size_t i = 0; i < r->resumed_n; i++)
		if (r->resumed[i].pos >= upto)
			r->resumed[kept++] = r->resumed[i];
	r->resumed_n = kept;
}

void leftopen_free(struct replay *r)
{
	for (size_t i = r->open_first; i < r->open_n; i++) {
		struct pending *p = r->open[i].pending;

		if (--p->left == 0)
			pending_free(r->s, p);
	}
	for (size_t i = 0; i < r->acts_n; i++)
		free(r->acts[i].bytes);
	for (size_t i = 0; i < r->signatures_n; i++)
		free(r->signatures[i].bytes);
	for (size_t i = 0; i < r->approvals_n; i++)
		free(r->approvals[i].bytes);
	free(r->open);
	free(r->slots);
	free(r->approvals);
	free(r->numbered);
	free(r->acts);
	free(r->resumed);
	free(r->signatures);
}
