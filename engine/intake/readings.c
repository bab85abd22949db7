/* ListReads: who read about a holder, or a result. */
#include <stdlib.h>

#include "base/calendar.h"
#include "base/wire.h"
#include "holding.h"
#include "identity.h"
#include "intake/answer.h"
#include "intake/noted.h"

#define LOOKED_AT_MAX 1000		/* of a holder's rows, in one call */
#define IDS_SHOWN_MAX 200		/* of one row */
#define HOLDINGS_LOOKED_AT_MAX 2000	/* for those that ended; a person has some dozens */

_Static_assert((int)TRIEN__V1__READ__CALL__ISSUE_COPY == (int)READ_COPY &&
	       (int)TRIEN__V1__READ__CALL__GET == (int)READ_GET, "calls have one numbering");

/* Whose rows, and of which result among theirs. */
struct look {
	struct call *c;
	struct read_thread *r;
	uint8_t key[16];
	bool of_result;
	uint64_t sequence;		/* of that result */
	uint64_t *ended;		/* of a holder: what is not theirs to see any more */
	uint32_t ended_n;
	uint32_t max, shown;
	uint64_t last_shown;
	struct writer *w;
};

static bool tells(const struct look *l, uint64_t sequence)
{
	if (l->of_result)
		return sequence == l->sequence;
	for (uint32_t i = 0; i < l->ended_n; i++)
		if (l->ended[i] == sequence)
			return false;
	return true;
}

static uint32_t told_n(const struct look *l, const struct reading_view *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->names_n; i++)
		n += tells(l, reading_name(v, i).sequence);
	return n;
}

static void put_ids(struct look *l, const struct reading_view *v, uint32_t n)
{
	uint32_t shown = 0;

	for (uint32_t i = 0; i < v->names_n && shown < IDS_SHOWN_MAX; i++) {
		struct result_name name = reading_name(v, i);
		uint8_t id[16];
		char text[ID_TEXT_BYTES];

		if (!tells(l, name.sequence))
			continue;
		l->c->in->ops.result_id(l->r->store, name.lane, name.sequence, id);
		id_text(text, id);
		put_slice(l->w, 6, slice_of(text, sizeof(text)));
		shown++;
	}
	put_number(l->w, 7, n);
}

/* By a share, or by the public: from where. */
static void put_shared(struct writer *w, const struct reading_view *v)
{
	if (v->call == READ_SHARE) {
		put_slice(w, 8, v->case_code);
		put_number(w, 9, v->purpose.n == 1 ? v->purpose.p[0] - '0' : 0);
	}
	put_slice(w, 10, v->requester);
}

static void one(void *owner, const struct reading_view *v)
{
	struct look *l = owner;
	uint32_t n = told_n(l, v);
	uint8_t *at, *inner;

	/* One that only looked got nothing of anybody's. */
	if (l->shown == l->max || (n == 0 && (l->of_result || v->names_n > 0)))
		return;
	at = put_begin(l->w, 1);
	put_time(l->w, 1, sequence_ms(v->stamp));
	put_slice(l->w, 2, v->actor);
	if (v->call >= READ_SHARE) {
		put_shared(l->w, v);
	} else if (v->purpose.n + v->legal_basis.n + v->case_code.n + v->requester.n > 0) {
		inner = put_begin(l->w, 3);
		put_slice(l->w, 1, v->purpose);
		put_slice(l->w, 2, v->legal_basis);
		put_slice(l->w, 3, v->case_code);
		put_slice(l->w, 4, v->requester);
		put_end(l->w, inner);
	}
	put_number(l->w, 4, v->call);
	put_number(l->w, 5, v->reuse);
	put_ids(l, v, n);
	put_end(l->w, at);
	l->shown++;
	l->last_shown = v->stamp;
}

static uint32_t list_mark(const struct look *l)
{
	return crc32c(crc32c(READ_CALLS, l->key, sizeof(l->key)), &l->sequence,
		      sizeof(l->sequence));
}

/* Rows from a place on, until the page is full. */
static void list(struct look *l, uint64_t before)
{
	struct call *c = l->c;
	char token[PAGE_TOKEN_BYTES + 1];
	uint32_t looked = 0;
	struct reply p;
	enum status st;

	if (!reply_open(c, &p, REPLY_BYTES_MAX))
		return;
	l->w = &p.w;
	do {
		uint32_t rows = l->of_result ? PAGE_SIZE_MAX : l->max - l->shown;

		st = c->in->ops.readings(l->r->store, l->key, before, rows, one, l, &before);
		looked += rows;
	} while (st == ST_OK && before != 0 && l->shown < l->max && looked < LOOKED_AT_MAX);
	if (l->shown == l->max && l->of_result)
		before = l->last_shown;
	if (st == ST_OK && before != 0) {
		page_write(token, list_mark(l), before);
		put_text(&p.w, 2, token);
	}
	reply_end(c, &p, st);
}

/* A guardian is told of a child's papers as long as they see them. False: the call is answered. */
static bool holder_look(struct call *c, struct read_thread *r, struct look *l)
{
	uint32_t today = day_vietnam(c->in->ops.now_ms(c->in->ops.ctx)), got = PAGE_SIZE_MAX;
	struct holding_view *rows = arena_take(&r->scratch, PAGE_SIZE_MAX * sizeof(*rows));
	uint64_t before = 0;
	enum status st = ST_OK;

	l->ended = arena_take(&r->scratch, HOLDINGS_LOOKED_AT_MAX * sizeof(*l->ended));
	if (rows == NULL || l->ended == NULL)
		st = ST_NOMEM;
	for (uint32_t n = 0; st == ST_OK && got == PAGE_SIZE_MAX && n < HOLDINGS_LOOKED_AT_MAX;
	     n += got) {
		st = c->in->ops.list(r->store, l->key, before, PAGE_SIZE_MAX, rows, &got);
		for (uint32_t i = 0; st == ST_OK && i < got; i++) {
			before = rows[i].result.sequence;
			if (!holding_lasts(rows[i].from, rows[i].to, today))
				l->ended[l->ended_n++] = before;
		}
	}
	if (st != ST_OK)
		read_refuse(c, st);
	return st == ST_OK;
}

/* Every read of a result is told to its first holder, too. False: the call is answered. */
static bool result_look(struct call *c, struct read_thread *r, const char *id, struct look *l)
{
	struct result_view v;
	struct case_view about;
	enum status st;

	if (!read_stored(c, r, NULL, id, &v))
		return false;
	st = case_decode(&about, v.case_bytes, &r->scratch);
	if (st != ST_OK || about.holders_n == 0) {
		read_refuse(c, ST_CORRUPT);
		return false;
	}
	holder_key(l->key, &about.holders[0], v.unit, v.case_code, 0);
	l->of_result = true;
	l->sequence = v.sequence;
	return true;
}

void list_reads_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListReadsRequest *q =
		read_request(c, r, &trien__v1__list_reads_request__descriptor);
	struct look l = { .c = c, .r = r };
	uint64_t before;

	if (q == NULL)
		return;
	if ((q->holder != NULL) == (q->result_id[0] != '\0')) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "holder", "a holder or a result_id");
		return;
	}
	if (q->holder != NULL && !principal_may(c->principal, MAY_PORTAL)) {
		access_role(c, MAY_PORTAL, "holder");
		return;
	}
	if (q->holder != NULL ? !person_key(c, q->holder, "holder.", l.key) ||
				!holder_look(c, r, &l) :
				!result_look(c, r, q->result_id, &l))
		return;
	l.max = page_size(q->page_size);
	if (page_read(q->page_token, list_mark(&l), &before))
		list(&l, before);
	else
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
}
