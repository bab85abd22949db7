/* FindReusable: a citizen's results for another procedure. */
#include <stdlib.h>

#include "base/calendar.h"
#include "intake/answer.h"
#include "intake/noted.h"

#define KINDS_MAX 32
#define LOOKED_AT_MAX 1000		/* of a holder's results, in one call */

/* A call's look through the list. */
struct look {
	const Trien__V1__FindReusableRequest *q;
	uint32_t today, max, found, looked;
	uint64_t before;		/* where it ended; 0: at the end */
	struct noting *noting;
	struct writer *w;
};

/* Whose list, of which kinds, a page token continues. */
static uint32_t list_mark(const uint8_t key[16], const Trien__V1__FindReusableRequest *q)
{
	uint32_t mark = crc32c(READ_FIND, key, 16);

	for (size_t i = 0; i < q->n_kinds; i++)
		mark = crc32c(mark, q->kinds[i], strlen(q->kinds[i]) + 1);
	return mark;
}

static bool is_wanted(const struct look *l, struct slice kind)
{
	for (size_t i = 0; i < l->q->n_kinds; i++)
		if (slice_eq(slice_str(l->q->kinds[i]), kind))
			return true;
	return l->q->n_kinds == 0;
}

/* In force today, and shown by whoever has it. */
static bool is_reusable(const struct look *l, const struct holding_view *h)
{
	const struct result_view *v = &h->result;

	return v->state == STATE_STORED && (v->life == LIFE_VALID || v->life == LIFE_CORRECTED) &&
	       h->visibility <= TRIEN__V1__HOLDER__VISIBILITY__VISIBLE &&
	       (h->from == 0 || h->from <= l->today) && (h->to == 0 || h->to >= l->today);
}

static enum status page_look(struct call *c, struct read_thread *r, struct look *l,
			     const uint8_t key[16], struct holding_view *rows)
{
	static const struct sight own = { 0 };
	uint32_t n = 0;
	enum status st = c->in->ops.list(r->store, key, l->before, PAGE_SIZE_MAX, rows, &n);

	l->looked += PAGE_SIZE_MAX;
	l->before = 0;
	for (uint32_t i = 0; st == ST_OK && i < n; i++) {
		if (!is_reusable(l, &rows[i]) || read_restricted(c, &rows[i].result) ||
		    !is_wanted(l, rows[i].result.kind))
			continue;
		noting_add(l->noting, &own, &rows[i].result);
		st = put_holding(l->w, &rows[i], &r->scratch);
		if (++l->found == l->max) {
			l->before = rows[i].result.sequence;
			return st;
		}
	}
	if (n == PAGE_SIZE_MAX)
		l->before = rows[n - 1].result.sequence;
	return st;
}

static void find(struct call *c, struct read_thread *r, struct look *l, const uint8_t key[16])
{
	struct holding_view *rows = malloc(PAGE_SIZE_MAX * sizeof(*rows));
	char token[PAGE_TOKEN_BYTES + 1];
	enum status st = rows != NULL ? ST_OK : ST_NOMEM;
	struct reply p;

	if (!reply_open(c, &p, REPLY_BYTES_MAX)) {
		noting_free(l->noting);
		free(rows);
		return;
	}
	l->w = &p.w;
	while (st == ST_OK) {
		st = page_look(c, r, l, key, rows);
		if (l->before == 0 || l->found == l->max || l->looked >= LOOKED_AT_MAX)
			break;
	}
	free(rows);
	if (st == ST_OK && l->before != 0) {
		page_write(token, list_mark(key, l->q), l->before);
		put_text(&p.w, 2, token);
	}
	noting_end(c, l->noting, &p, st);
}

void find_reusable_work(struct call *c, struct read_thread *r)
{
	struct look l = { .today = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx)) };
	uint8_t key[16];

	if (noting_done(c))
		return;
	l.q = read_request(c, r, &trien__v1__find_reusable_request__descriptor);
	if (l.q == NULL || !person_key(c, l.q->holder, "holder.", key))
		return;
	if (l.q->n_kinds > KINDS_MAX) {
		call_refuse(c, FAULT_TOO_MANY, "kinds", "at most %d", KINDS_MAX);
		return;
	}
	if (!page_read(l.q->page_token, list_mark(key, l.q), &l.before)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	l.max = page_size(l.q->page_size);
	l.noting = noting_new(c, READ_FIND, l.q->purpose, l.max);
	if (l.noting == NULL)
		return;
	noting_holder(l.noting, key);
	find(c, r, &l, key);
}
