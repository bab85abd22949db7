#include "store/readings.h"

#include <assert.h>
#include <stdlib.h>

#include "identity.h"

enum status readings_add(struct readings *r, uint32_t note, uint32_t name, const uint8_t key[16])
{
	struct reading_pair *p;

	if (r->n == r->room) {
		uint32_t room = r->room == 0 ? 64 : 2 * r->room;
		struct reading_pair *bigger = realloc(r->of, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		r->of = bigger;
		r->room = room;
	}
	p = &r->of[r->n++];
	*p = (struct reading_pair){ .note = note, .name = name };
	memcpy(p->key, key, sizeof(p->key));
	return ST_OK;
}

enum status readings_result(struct readings *r, uint32_t note, uint32_t name,
			    const struct stored_result *s)
{
	enum status st = ST_OK;

	for (uint8_t i = 0; i < s->holdings_n && st == ST_OK; i++)
		st = readings_add(r, note, name, s->holdings[i].key);
	return st;
}

static int by_person(const void *a, const void *b)
{
	const struct reading_pair *x = a, *y = b;
	int order = (x->note > y->note) - (x->note < y->note);

	if (order == 0)
		order = memcmp(x->key, y->key, sizeof(x->key));
	return order != 0 ? order : (x->name > y->name) - (x->name < y->name);
}

void readings_sort(struct readings *r)
{
	if (r->n > 0)
		qsort(r->of, r->n, sizeof(*r->of), by_person);
}

static bool same_row(const struct reading_pair *a, const struct reading_pair *b)
{
	return a->note == b->note && memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

enum status readings_next(struct readings *r, uint32_t *at, struct reading_row *out)
{
	uint32_t first = *at, end = first;

	if (first == r->n)
		return ST_NOT_FOUND;
	while (end < r->n && same_row(&r->of[first], &r->of[end]))
		end++;
	if (r->which_room < end - first) {
		uint32_t *bigger = realloc(r->which, (end - first) * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		r->which = bigger;
		r->which_room = end - first;
	}
	*out = (struct reading_row){ .note = r->of[first].note, .key = r->of[first].key,
				     .which = r->which };
	for (uint32_t i = first; i < end; i++) {
		uint32_t name = r->of[i].name;

		/* A holder in two roles, or one who was added again, sees it once. */
		if (name != READING_NO_NAME && (out->n == 0 || r->which[out->n - 1] != name))
			r->which[out->n++] = name;
	}
	*at = end;
	return ST_OK;
}

void readings_free(struct readings *r)
{
	free(r->of);
	free(r->which);
	*r = (struct readings){ 0 };
}

struct result_event reading_event(const struct read_note *n, const struct result_view *v,
				  uint8_t detail[REUSE_DETAIL_BYTES])
{
	struct writer w = writer_of(detail, REUSE_DETAIL_BYTES);

	write_bytes(&w, v->unit.p, v->unit.n);
	write_u8(&w, '\n');
	write_bytes(&w, v->kind.p, v->kind.n);
	write_u8(&w, '\n');
	write_bytes(&w, n->case_code.p, n->case_code.n);
	assert(!w.bad);
	return (struct result_event){ .lane = v->lane, .sequence = v->sequence,
				      .kind = EVENT_REUSED, .at_ms = sequence_ms(n->stamp),
				      .actor = n->actor, .detail = writer_slice(&w) };
}
