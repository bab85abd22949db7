#include <stdlib.h>

#include "base/calendar.h"
#include "base/wire.h"
#include "case.h"
#include "intake/answer.h"
#include "intake/read.h"

/* What is kept, and the two that follow from the result itself. */
#define EVENTS_MAX (LIVING_ACTS_MAX + HANDOVERS_MAX + LINKS_TOLD_MAX + 2)
#define EVENT_BYTES_MAX 1200		/* of one in a reply */
#define DAY_MS (24 * 60 * 60 * 1000LL)
#define HANDED_LINES 3
#define APPROVER_BYTES_MAX 64

/* As an event of kind EXPIRED says. */
#define KIND_EXPIRED TRIEN__V1__EVENT__KIND__EXPIRED
_Static_assert((int)TRIEN__V1__EVENT__KIND__LINKED == (int)EVENT_LINKED, "one numbering");
_Static_assert((int)TRIEN__V1__EVENT__KIND__REVOKED == (int)EVENT_REVOKED, "one numbering");

static void insert(struct result_event *rows, uint32_t *n, uint8_t kind, int64_t at_ms)
{
	uint32_t i = *n;

	for (; i > 0 && rows[i - 1].at_ms > at_ms; i--)
		rows[i] = rows[i - 1];
	rows[i] = (struct result_event){ .kind = kind, .at_ms = at_ms };
	++*n;
}

static void put_handed(struct writer *w, struct slice detail)
{
	static const uint32_t fields[HANDED_LINES] = { 10, 11, 8 };
	const uint8_t *p = detail.p, *end = detail.p + detail.n;

	for (uint32_t i = 0; i < HANDED_LINES && p != NULL; i++) {
		const uint8_t *to = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

		if (to == NULL || i + 1 == HANDED_LINES)
			to = end;
		put_slice(w, fields[i], slice_of(p, (size_t)(to - p)));
		p = to < end ? to + 1 : end;
	}
}

static void put_decision(struct writer *w, struct slice detail)
{
	struct decision d;

	if (decision_read(&d, detail) != ST_OK)
		return;
	put_slice(w, 4, d.unit);
	put_slice(w, 5, d.person);
	put_slice(w, 6, d.number);
	answer_day(w, 7, d.day);
	put_slice(w, 8, d.ground);
	answer_id(w, 9, d.paper);
}

/* What is known of the result beside its events; v's slices are gone by then. */
struct about {
	const struct result_view *v;
	/* of the result in its place: its agency, and the account of who approved it */
	char unit[CODE_BYTES_MAX + 1], approver[APPROVER_BYTES_MAX + 1];
	uint8_t (*keys)[16];		/* of the case's holders */
	uint8_t keys_n;
};

static void holders_note(struct about *a, struct arena *scratch)
{
	struct case_view of;

	if (case_decode(&of, a->v->case_bytes, scratch) != ST_OK)
		return;
	a->keys = arena_take(scratch, of.holders_n * sizeof(*a->keys));
	for (; a->keys != NULL && a->keys_n < of.holders_n; a->keys_n++)
		holder_key(a->keys[a->keys_n], &of.holders[a->keys_n], a->v->unit, of.code,
			   a->keys_n);
}

/* 0: none of the case's. */
static uint8_t holder_place(const struct about *a, struct slice detail)
{
	uint8_t key[16];

	if (!hex_read(key, sizeof(key), detail))
		return 0;
	for (uint8_t i = 0; i < a->keys_n; i++)
		if (memcmp(key, a->keys[i], sizeof(key)) == 0)
			return (uint8_t)(i + 1);
	return 0;
}

static void approver_note(struct about *a, struct slice approval)
{
	struct wire w = wire_of(approval);
	struct wire_field f;

	while (wire_next(&w, &f)) {
		if (f.number != 2 || f.type != WIRE_BYTES || f.bytes.n > APPROVER_BYTES_MAX)
			continue;
		memcpy(a->approver, f.bytes.p, f.bytes.n);
		a->approver[f.bytes.n] = '\0';
	}
}

static void replacer_note(struct call *c, struct read_thread *r, struct about *a)
{
	struct case_view of;
	struct result_view by;

	if (id_is_zero(a->v->replaced_by) ||
	    c->in->ops.get(r->store, a->v->replaced_by, &by) != ST_OK ||
	    by.unit.n > CODE_BYTES_MAX)
		return;
	memcpy(a->unit, by.unit.p, by.unit.n);
	a->unit[by.unit.n] = '\0';
	if (case_decode(&of, by.case_bytes, &r->scratch) == ST_OK)
		approver_note(a, of.approval);
}

static void put_event(struct writer *w, const struct result_event *ev, const struct about *a)
{
	uint8_t *at = put_begin(w, 1);

	put_number(w, 1, ev->kind);
	put_time(w, 2, ev->at_ms);
	put_slice(w, 3, ev->actor);
	if (ev->kind == EVENT_HANDED)
		put_handed(w, ev->detail);
	else if (ev->kind == EVENT_LINKED)
		put_slice(w, 8, ev->detail);
	else if (ev->kind == EVENT_HIDDEN || ev->kind == EVENT_SHOWN)
		put_number(w, 12, holder_place(a, ev->detail));
	else if (ev->kind != EVENT_REPLACED)
		put_decision(w, ev->detail);
	if (ev->kind == EVENT_REPLACED) {
		put_text(w, 4, a->unit);
		put_text(w, 5, a->approver);
		answer_id(w, 9, a->v->replaced_by);
	}
	put_end(w, at);
}

static void reply(struct call *c, const struct about *a, const struct result_event *rows,
		  uint32_t n, const Trien__V1__ListEventsRequest *q)
{
	uint32_t list = crc32c(0, a->v->result_id, sizeof(a->v->result_id));
	uint32_t max = page_size(q->page_size);
	char token[PAGE_TOKEN_BYTES + 1];
	struct reply p;
	uint64_t i;

	if (!page_read(q->page_token, list, &i)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	if (!reply_open(c, &p, (size_t)max * EVENT_BYTES_MAX + 64))
		return;
	for (; i < n && max > 0; i++, max--)
		put_event(&p.w, &rows[i], a);
	if (i < n) {
		page_write(token, list, i);
		put_text(&p.w, 2, token);
	}
	reply_end(c, &p, ST_OK);
}

void events_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListEventsRequest *q =
		read_request(c, r, &trien__v1__list_events_request__descriptor);
	struct result_event *rows = arena_take(&r->scratch, EVENTS_MAX * sizeof(*rows));
	struct result_view v;
	struct about about = { .v = &v };
	int64_t ended_ms;
	uint32_t n = 0;
	enum status st;

	if (q == NULL || !read_stored(c, r, NULL, q->result_id, &v))
		return;
	holders_note(&about, &r->scratch);
	replacer_note(c, r, &about);
	st = rows == NULL ? ST_NOMEM :
	     c->in->ops.history(r->store, v.lane, v.sequence, EVENTS_MAX - 2, rows, &n);
	if (st != ST_OK) {
		read_refuse(c, st);
		return;
	}
	ended_ms = v.valid_until != 0 ? day_start_ms(v.valid_until) + DAY_MS : INT64_MAX;
	if (v.replaced_ms != 0)
		insert(rows, &n, EVENT_REPLACED, v.replaced_ms);
	if (ended_ms <= c->in->ops.now_ms(c->in->ops.ctx))
		insert(rows, &n, KIND_EXPIRED, ended_ms);
	reply(c, &about, rows, n, q);
}
