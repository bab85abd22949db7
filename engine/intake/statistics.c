/* GetStatistics: what the store's counters say, a page at a time. */
#include <assert.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "counts.h"
#include "intake/answer.h"
#include "intake/read.h"
#include "intake/said.h"
#include "trien/v1/audit.pb-c.h"

#define UNITS_MAX 500
#define KINDS_MAX 100
#define ROWS_DEFAULT 500u
#define ROWS_MAX 2000u
#define TALLY_MOST 65536u		/* rows of one request, over all pages: some 40 MB */
#define PENDING_MAX 4000u		/* agencies and kinds */
#define RATE_BYTES_MAX 30
/* Codes, a name, two dates, parts, all counts and rates. */
#define ROW_BYTES_MAX (2 * CODE_BYTES_MAX + NAME_BYTES_MAX + 64 + PARTS_BYTES_MAX + 8 + \
		       (COUNTS + 5) * 12 + RATES * RATE_BYTES_MAX)
#define PENDING_BYTES_MAX (2 * CODE_BYTES_MAX + 16 + 5 * 11)

/* Fields of trien.v1.Counts: each count has one. */
static const uint8_t fields[COUNTS] = {
	[COUNT_RESULTS] = 1, [COUNT_CASES] = 2, [COUNT_REPLACEMENTS] = 3, [COUNT_EARLY] = 4,
	[COUNT_ON_TIME] = 5, [COUNT_LATE] = 6, [COUNT_ONLINE] = 7, [COUNT_COUNTER] = 8,
	[COUNT_POST] = 9, [COUNT_PROACTIVE] = 10, [COUNT_ELECTRONIC] = 11,
	[COUNT_HANDED_OVER] = 12, [COUNT_POSTED] = 13, [COUNT_FREE] = 14, [COUNT_PAID_ONLINE] = 15,
	[COUNT_PAID_CASH] = 16, [COUNT_EXEMPT] = 17, [COUNT_DUE] = 18, [COUNT_REUSING] = 19,
	[COUNT_REUSED] = 20, [COUNT_SOURCED] = 21, [COUNT_SOURCES] = 22, [COUNT_TIMED] = 23,
	[COUNT_MINUTES] = 24, [COUNT_ACCEPTED] = 25, [COUNT_VOIDED] = 26, [COUNT_REFUSED] = 27,
	[COUNT_WITHDRAWN] = 28, [COUNT_TIMED_OUT] = 29, [COUNT_OUTSIDE] = 30, [COUNT_REUSES] = 31,
	[COUNT_CORRECTED] = 32, [COUNT_REVOKED] = 33, [COUNT_REPLACED] = 34,
	[COUNT_CASES_EARLY] = 35, [COUNT_CASES_ON_TIME] = 36, [COUNT_CASES_LATE] = 37,
	[COUNT_CASES_REUSING] = 45, [COUNT_CASES_CITIZEN_DATA] = 46,
	[COUNT_CASES_WITH_PAPERS] = 47, [COUNT_CASES_DIGITISED] = 48, [COUNT_PAPERS] = 49,
	[COUNT_PAPERS_DIGITISED] = 50,
};
enum { CERTIFIED_COPIES = 40, E_RESULTS, SOLVED, RECEIVED, REGISTER_COPIES };
/* Fields of trien.v1.Rates. */
enum { RATE_E_RESULTS = 1, RATE_E_RESULTS_OF_RECEIVED, RATE_ON_TIME, RATE_CASES_ON_TIME,
       RATE_ON_TIME_OF_RECEIVED, RATE_REUSE, RATE_DIGITISED, RATE_CITIZEN_DATA, RATE_ONLINE,
       RATE_PAID_ONLINE, RATES_BEHIND };
#define RATES (RATES_BEHIND - 1)

_Static_assert(ROWS_MAX * ROW_BYTES_MAX + PENDING_MAX * PENDING_BYTES_MAX < 4 * 1024 * 1024,
	       "what any client takes in one message");

/* ---- the question ---- */

/* False: the call is answered. */
static bool codes_read(struct call *c, struct read_thread *r, char **from, size_t n, size_t most,
		       const char *field, const struct slice **out)
{
	struct slice *codes = arena_take(&r->scratch, (n + 1) * sizeof(*codes));
	uint32_t kept = 0;

	if (codes == NULL || n > most) {
		call_refuse(c, FAULT_TOO_MANY, field, "at most %zu", most);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (from[i][0] == '\0' || strlen(from[i]) > CODE_BYTES_MAX ||
		    !utf8_valid(slice_str(from[i]))) {
			call_refuse(c, FAULT_ARGUMENT_INVALID, field, "1 to %d bytes",
				    CODE_BYTES_MAX);
			return false;
		}
		codes[kept++] = slice_str(from[i]);
	}
	/* Each once: what is asked for twice would count twice. */
	for (uint32_t i = 0; i < kept; i++)
		for (uint32_t k = i + 1; k < kept; k++)
			if (slice_eq(codes[i], codes[k])) {
				call_refuse(c, FAULT_ARGUMENT_INVALID, field, "one stands twice");
				return false;
			}
	*out = codes;
	return true;
}

static bool period_read(struct call *c, int period, enum counts_period *out)
{
	static const enum counts_period periods[] = {
		[TRIEN__V1__GET_STATISTICS_REQUEST__PERIOD__PERIOD_UNSPECIFIED] = COUNTS_MONTH,
		[TRIEN__V1__GET_STATISTICS_REQUEST__PERIOD__DAY] = COUNTS_DAY,
		[TRIEN__V1__GET_STATISTICS_REQUEST__PERIOD__MONTH] = COUNTS_MONTH,
		[TRIEN__V1__GET_STATISTICS_REQUEST__PERIOD__QUARTER] = COUNTS_QUARTER,
		[TRIEN__V1__GET_STATISTICS_REQUEST__PERIOD__YEAR] = COUNTS_YEAR,
	};

	if (period < 0 || (size_t)period >= ARRAY_LEN(periods)) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "period", "unknown");
		return false;
	}
	*out = periods[period];
	return true;
}

static bool by_read(struct call *c, const Trien__V1__GetStatisticsRequest *m, uint8_t *by)
{
	*by = 0;
	for (size_t i = 0; i < m->n_by; i++) {
		int which = (int)m->by[i] - 1;

		if (which < 0 || which >= COUNTS_PARTS || *by >> which & 1) {
			call_refuse(c, FAULT_ARGUMENT_INVALID, "by",
				    "unknown, or one stands twice");
			return false;
		}
		*by |= (uint8_t)(1u << which);
	}
	return true;
}

static bool question_read(struct call *c, struct read_thread *r,
			  const Trien__V1__GetStatisticsRequest *m, struct counts_question *q)
{
	*q = (struct counts_question){ .units_n = (uint32_t)m->n_units,
				       .kinds_n = (uint32_t)m->n_kinds };
	if (!codes_read(c, r, m->units, m->n_units, UNITS_MAX, "units", &q->units) ||
	    !codes_read(c, r, m->kinds, m->n_kinds, KINDS_MAX, "kinds", &q->kinds) ||
	    !said_day(c, m->from, "from", &q->from) || !said_day(c, m->to, "to", &q->to) ||
	    !period_read(c, (int)m->period, &q->period) || !by_read(c, m, &q->by))
		return false;
	if (q->to != 0 && q->to < q->from) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "to", "before from");
		return false;
	}
	for (uint32_t i = 0; i < q->units_n; i++)
		if (!read_unit(c, q->units[i])) {
			access_unit(c, "units", q->units[i]);
			return false;
		}
	/* Zeros would be an answer about one that is there. */
	for (uint32_t i = 0; i < q->units_n; i++)
		if (!access_known(c, "units", q->units[i], false))
			return false;
	for (uint32_t i = 0; i < q->kinds_n; i++)
		if (!access_known(c, "kinds", q->kinds[i], true))
			return false;
	return true;
}

/* Which request a token continues. */
static uint32_t mark_of(const struct counts_question *q)
{
	const uint32_t rest[] = { q->from, q->to, q->period, q->units_n, q->by };
	uint32_t crc = crc32c(0, rest, sizeof(rest));

	for (uint32_t i = 0; i < q->units_n; i++)
		crc = crc32c(crc, q->units[i].p, q->units[i].n + 1);
	for (uint32_t i = 0; i < q->kinds_n; i++)
		crc = crc32c(crc, q->kinds[i].p, q->kinds[i].n + 1);
	return crc;
}

/* ---- the answer ---- */

/* What is copied makes two acts of it: an original that is brought, a result of the register. */
struct copied { uint64_t certified, from_register; };

static uint64_t first_ones(const struct counts *c)
{
	return c->of[COUNT_RESULTS] - c->of[COUNT_REPLACEMENTS];
}

static struct copied copied_of(const struct kind *k, const struct counts *c)
{
	uint8_t copies = k != NULL ? k->copies : COPIES_NOTHING;

	return (struct copied){ .certified = copies == COPIES_ORIGINAL ? first_ones(c) : 0,
				.from_register = copies == COPIES_RESULT ? first_ones(c) : 0 };
}

static void counts_put(struct writer *w, uint32_t number, const struct counts *c,
		       struct copied copied)
{
	uint8_t *at = put_begin(w, number);
	uint64_t first = first_ones(c);

	for (int i = 0; i < COUNTS; i++)
		put_number(w, fields[i], c->of[i]);
	put_number(w, CERTIFIED_COPIES, copied.certified);
	put_number(w, E_RESULTS, first);
	put_number(w, SOLVED, first + c->of[COUNT_OUTSIDE]);
	put_number(w, RECEIVED, c->of[COUNT_ACCEPTED] + c->of[COUNT_OUTSIDE]);
	put_number(w, REGISTER_COPIES, copied.from_register);
	put_end(w, at);
}

static void rate_put(struct writer *w, uint32_t number, uint64_t part, uint64_t whole)
{
	uint8_t *at;
	uint64_t share;

	if (whole == 0)
		return;
	/* 2^50 of anything are not counted in a thousand years. */
	share = part < 1ull << 50 ? (part * 10000 + whole / 2) / whole : UINT32_MAX;
	at = put_begin(w, number);
	put_number(w, 1, part);
	put_number(w, 2, whole);
	put_number(w, 3, share < UINT32_MAX ? share : UINT32_MAX);
	put_end(w, at);
}

static void rates_put(struct writer *w, uint32_t number, const struct counts *c)
{
	const uint64_t *of = c->of;
	uint64_t first = first_ones(c), received = of[COUNT_ACCEPTED] + of[COUNT_OUTSIDE];
	uint64_t in_time = of[COUNT_EARLY] + of[COUNT_ON_TIME];
	uint64_t cases_in_time = of[COUNT_CASES_EARLY] + of[COUNT_CASES_ON_TIME];
	uint8_t *at = put_begin(w, number);

	rate_put(w, RATE_E_RESULTS, first, first + of[COUNT_OUTSIDE]);
	rate_put(w, RATE_E_RESULTS_OF_RECEIVED, first, received);
	rate_put(w, RATE_ON_TIME, in_time, in_time + of[COUNT_LATE]);
	rate_put(w, RATE_CASES_ON_TIME, cases_in_time, cases_in_time + of[COUNT_CASES_LATE]);
	rate_put(w, RATE_ON_TIME_OF_RECEIVED, in_time, received);
	rate_put(w, RATE_REUSE, of[COUNT_CASES_REUSING], of[COUNT_CASES]);
	rate_put(w, RATE_DIGITISED, of[COUNT_CASES_DIGITISED], of[COUNT_CASES]);
	rate_put(w, RATE_CITIZEN_DATA, of[COUNT_CASES_CITIZEN_DATA], of[COUNT_CASES]);
	rate_put(w, RATE_ONLINE, of[COUNT_ONLINE], of[COUNT_ONLINE] + of[COUNT_COUNTER] +
		 of[COUNT_POST] + of[COUNT_PROACTIVE]);
	rate_put(w, RATE_PAID_ONLINE, of[COUNT_PAID_ONLINE],
		 of[COUNT_PAID_ONLINE] + of[COUNT_PAID_CASH]);
	put_end(w, at);
}

static uint32_t month_end(uint32_t year, uint32_t month)
{
	uint32_t day = 31;

	while (!date_exists(year, (uint8_t)month, (uint8_t)day))
		day--;
	return year * 10000 + month * 100 + day;
}

static void days_of(enum counts_period p, uint32_t period, uint32_t *first, uint32_t *last)
{
	uint32_t year = period, month = 1, months = 12;

	if (p == COUNTS_DAY) {
		*first = *last = period;
		return;
	}
	if (p == COUNTS_QUARTER) {
		year = period / 10;
		month = period % 10 * 3 - 2;
		months = 3;
	} else if (p == COUNTS_MONTH) {
		year = period / 100;
		month = period % 100;
		months = 1;
	}
	*first = year * 10000 + month * 100 + 1;
	*last = month_end(year, month + months - 1);
}

/*
 * A kind by its code, as it was called then, else as it is called now; NULL: it is not known any
 * more. Whether it is a copy all versions say alike.
 */
static const struct kind *kind_of(const struct catalogue *cat, const struct tally_row *row,
				  uint32_t first, uint32_t last)
{
	struct slice code = slice_str(row->kind);
	const struct kind *k = catalogue_kind_within(cat, code, first, last);

	return k != NULL ? k : catalogue_kind_within(cat, code, 0, UINT32_MAX);
}

static void row_put(struct writer *w, const struct tally_row *row, const struct kind *k,
		    uint32_t first, uint32_t last)
{
	uint8_t *at = put_begin(w, 1);

	put_text(w, 1, row->unit);
	put_text(w, 2, row->kind);
	if (k != NULL)
		put_text(w, 3, k->name_vi);
	answer_day(w, 4, first);
	answer_day(w, 5, last);
	counts_put(w, 6, &row->by, copied_of(k, &row->by));
	rates_put(w, 7, &row->by);
	for (int i = 0; i < COUNTS_PARTS; i++)
		put_slice(w, 8 + (uint32_t)i, counts_part(slice_str(row->parts),
							  (enum counts_part)i));
	put_end(w, at);
}

static bool nothing(const struct counts *c)
{
	for (int i = 0; i < COUNTS; i++)
		if (c->of[i] != 0)
			return false;
	return true;
}

struct answer { struct reply reply; struct counts total; struct copied copied; uint64_t next; };

static void rows_put(struct call *c, const struct counts_question *q, struct tally *t,
		     uint64_t from, uint32_t max, struct answer *a)
{
	struct catalogue *cat = c->in->ops.catalogue(c->in->ops.ctx);
	uint64_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct tally_row *row = &t->rows[i];
		uint32_t first, last;
		const struct kind *k;
		struct copied copied;

		if (nothing(&row->by) || !read_unit(c, slice_str(row->unit)))
			continue;
		days_of(q->period, row->day, &first, &last);
		k = kind_of(cat, row, first, last);
		copied = copied_of(k, &row->by);
		a->copied.certified += copied.certified;
		a->copied.from_register += copied.from_register;
		for (int m = 0; m < COUNTS; m++)
			a->total.of[m] += row->by.of[m];
		if (n >= from && n < from + max)
			row_put(&a->reply.w, row, k, first, last);
		n++;
	}
	a->next = from + max < n ? from + max : 0;
	catalogue_unref(cat);
}

/* ---- what is pending ---- */

/*
 * One tally of both: as engine_ops.pending has it, and in CASES what was carried over, which ended
 * since.
 */
static bool carried_add(struct tally *pending, const struct tally *before)
{
	for (uint32_t i = 0; i < before->n; i++) {
		const struct tally_row *b = &before->rows[i];
		const uint64_t *of = b->by.of;
		struct tally_row *row = tally_at(pending, slice_str(b->unit), slice_str(b->kind), 0,
						 (struct slice){ NULL, 0 }, 0);

		if (row == NULL)
			return false;
		/* Of one year it may be less than nothing; of all of them it is not. */
		row->by.of[COUNT_CASES] += of[COUNT_ACCEPTED] - of[COUNT_RESULTS] -
					   of[COUNT_VOIDED] - of[COUNT_REFUSED] -
					   of[COUNT_WITHDRAWN] - of[COUNT_TIMED_OUT];
	}
	return true;
}

/* before: room for what the counters say of the days before. */
static enum status pending_find(struct call *c, struct read_thread *r,
				const struct counts_question *q, struct tally *pending,
				struct tally *before)
{
	struct counts_question earlier = *q;
	int64_t begin_ms = q->from != 0 ? day_start_ms(q->from) : INT64_MIN;
	enum status st = c->in->ops.pending(r->store, begin_ms, pending);

	if (st != ST_OK || q->from == 0)
		return st;
	earlier.from = 0;
	earlier.to = day_vietnam(begin_ms - 1);
	earlier.period = COUNTS_YEAR;
	earlier.by = 0;
	st = c->in->ops.counts(r->store, &earlier, before);
	return st == ST_OK && !carried_add(pending, before) ? ST_TOO_LARGE : st;
}

static void pending_put(struct writer *w, uint32_t number, const struct counts *p)
{
	uint8_t *at = put_begin(w, number);

	put_number(w, 1, p->of[COUNT_RESULTS]);
	put_number(w, 2, p->of[COUNT_ON_TIME]);
	put_number(w, 3, p->of[COUNT_LATE]);
	put_number(w, 4, p->of[COUNT_ACCEPTED]);
	put_number(w, 5, p->of[COUNT_CASES] + p->of[COUNT_ACCEPTED]);
	put_end(w, at);
}

static bool pending_asked(struct call *c, const struct counts_question *q,
			  const struct tally_row *row)
{
	struct counts_question any_day = *q;

	any_day.from = any_day.to = 0;
	return !nothing(&row->by) && read_unit(c, slice_str(row->unit)) &&
	       counts_asked(&any_day, slice_str(row->unit), slice_str(row->kind), 0);
}

/* False: more than fit. */
static bool pendings_put(struct call *c, const struct counts_question *q, struct tally *pending,
			 struct writer *w)
{
	struct counts total = { { 0 } };
	uint32_t n = 0;

	tally_sort(pending);
	for (uint32_t i = 0; i < pending->n; i++) {
		const struct tally_row *row = &pending->rows[i];
		uint8_t *at;

		if (!pending_asked(c, q, row))
			continue;
		if (n++ == PENDING_MAX)
			return false;
		at = put_begin(w, 5);
		put_text(w, 1, row->unit);
		put_text(w, 2, row->kind);
		pending_put(w, 3, &row->by);
		put_end(w, at);
		for (int k = 0; k < COUNTS; k++)
			total.of[k] += row->by.of[k];
	}
	pending_put(w, 6, &total);
	return true;
}

/* ---- the call ---- */

static void too_many(struct call *c)
{
	call_refuse(c, FAULT_TOO_MANY, "", "more than %u rows; ask for fewer agencies or longer "
		    "periods", TALLY_MOST);
}

/* pending: not made: it was not asked for. */
static void answer(struct call *c, const struct counts_question *q, struct tally *t,
		   struct tally *pending, uint64_t from, uint32_t max)
{
	struct answer a = { 0 };
	char token[PAGE_TOKEN_BYTES + 1];
	size_t waiting = pending->n < PENDING_MAX ? pending->n : PENDING_MAX;

	if (!reply_open(c, &a.reply, ((size_t)(max < t->n ? max : t->n) + 2) * ROW_BYTES_MAX +
			(waiting + 1) * PENDING_BYTES_MAX))
		return;
	rows_put(c, q, t, from, max, &a);
	counts_put(&a.reply.w, 2, &a.total, a.copied);
	rates_put(&a.reply.w, 4, &a.total);
	if (pending->rows != NULL && !pendings_put(c, q, pending, &a.reply.w)) {
		free(a.reply.buf);
		call_refuse(c, FAULT_TOO_MANY, "pending", "more than %u rows; ask for fewer "
			    "agencies", PENDING_MAX);
		return;
	}
	if (a.next != 0) {
		page_write(token, mark_of(q), a.next);
		put_text(&a.reply.w, 3, token);
	}
	assert(!a.reply.w.bad);
	reply_end(c, &a.reply, ST_OK);
}

void statistics_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__GetStatisticsRequest *m =
		read_request(c, r, &trien__v1__get_statistics_request__descriptor);
	struct counts_question q;
	struct tally t = { 0 }, pending = { 0 };
	uint64_t from;
	uint32_t max;
	enum status st;

	if (m == NULL || !question_read(c, r, m, &q))
		return;
	max = m->page_size == 0 ? ROWS_DEFAULT : m->page_size < ROWS_MAX ? m->page_size : ROWS_MAX;
	if (!page_read(m->page_token, mark_of(&q), &from) || from > TALLY_MOST) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	st = tally_init(&t, 256, TALLY_MOST);
	if (st == ST_OK && m->pending && from == 0)
		st = tally_init(&pending, 64, TALLY_MOST);
	if (st == ST_OK && pending.rows != NULL)
		st = pending_find(c, r, &q, &pending, &t);
	if (st == ST_OK)
		st = c->in->ops.counts(r->store, &q, &t);
	if (st == ST_OK) {
		tally_sort(&t);
		answer(c, &q, &t, &pending, from, max);
	} else if (st == ST_TOO_LARGE) {
		too_many(c);
	} else {
		read_refuse(c, st);
	}
	tally_free(&t);
	tally_free(&pending);
}
