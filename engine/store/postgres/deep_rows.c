/* Tables that lead to results: is there what they lead to, and does it say the same? */
#include <stdio.h>

#include "case.h"
#include "share.h"
#include "store/postgres/deep_inside.h"
#include "store/rows.h"

enum number_state { ISSUED = 1, VOID, OUTSIDE };

static uint64_t sequence_at(const PGresult *page, int row)
{
	return (uint64_t)pg_number(page, row, 0);
}

/* Where rows lead to, by the columns sequence, result's lane; a lane that is none is told. */
static uint32_t places_of(struct deep *d, const PGresult *page, const char *what)
{
	uint32_t n = (uint32_t)PQntuples(page);

	for (uint32_t i = 0; i < n; i++) {
		if (lanes_place(&d->places[i], pg_number(page, (int)i, 1),
				pg_number(page, (int)i, 0)))
			continue;
		deep_fault(d, "lane %u: %s names lane %lld for result %llu", d->lane, what,
			   (long long)pg_number(page, (int)i, 1), number_of(d->places[i].sequence));
		d->places[i].lane = 0;
	}
	return n;
}

static void after_key(struct deep_cursor *at, const PGresult *page, int column)
{
	int last = PQntuples(page) - 1;
	struct slice key;

	if (last < 0)
		return;
	key = pg_column(page, last, column);
	at->sequence = sequence_at(page, last);
	at->key_n = (uint8_t)(key.n < sizeof(at->key) ? key.n : sizeof(at->key));
	memcpy(at->key, key.p, at->key_n);
}

static enum status keyed_page(struct deep *d, enum pg_statement which, enum pg_deep_table t,
			      int column, struct deep_cursor *at, PGresult **page, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	enum status st;

	pg_question(q, which);
	pg_int2(q, d->lane);
	pg_bytes(q, slice_of(at->key, at->key_n));
	pg_int8(q, (int64_t)at->sequence);
	st = deep_ask(d, q, DEEP_PAGE, t, page, more);
	if (st == ST_OK)
		after_key(at, *page, column);
	return st;
}

/* What is the same for tables whose rows lead from a key to a result. */
struct leading {
	enum pg_statement walk, other;	/* other: what is asked beside the results */
	enum pg_deep_table table;
	int key;			/* column */
	const char *what;
	/* In its lane, and what it leads to is there: does it say the same? row -1: not a result */
	void (*says)(struct deep *d, const PGresult *page, int i, const PGresult *results, int row,
		     const PGresult *other);
	bool voided;			/* it may lead to a voided result, too */
};

static void lead_check(struct deep *d, const struct leading *l, const PGresult *page, int i,
		       const PGresult *results, const PGresult *other)
{
	const struct place *at = &d->places[i];
	struct slice key = pg_column(page, i, l->key);
	int row = lanes_row(results, at->sequence);

	if (key.n != 16 || lane_of_key(key.p) != d->lane)
		deep_fault(d, "lane %u: %s of result %llu belongs elsewhere", d->lane, l->what,
			   number_of(at->sequence));
	else if (row < 0 && (!l->voided || lanes_row(other, at->sequence) < 0))
		deep_fault(d, "lane %u: %s leads to result %llu, which is not there", d->lane,
			   l->what, number_of(at->sequence));
	else
		l->says(d, page, i, results, row, other);
}

static enum status leading_page(struct deep *d, const struct leading *l, struct deep_cursor *at,
				bool *more)
{
	PGresult *page = NULL, *results[LANES], *other[LANES];
	uint32_t n = 0;
	enum status st = keyed_page(d, l->walk, l->table, l->key, at, &page, more);

	if (st == ST_OK)
		n = places_of(d, page, l->what);
	if (st == ST_OK)
		st = lanes_ask(d->reader, PG_RESULTS, d->places, n, results);
	if (st == ST_OK)
		st = lanes_ask(d->reader, l->other, d->places, n, other);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		lead_check(d, l, page, (int)i, results[d->places[i].lane],
			   other[d->places[i].lane]);
	return st;
}

/* ---- holdings ---- */

static void holding_says(struct deep *d, const PGresult *page, int i, const PGresult *results,
			 int row, const PGresult *lives)
{
	const struct place *at = &d->places[i];
	const struct holding_view h = { .role = (uint8_t)pg_number(page, i, 2),
					.visibility = (uint8_t)pg_number(page, i, 3),
					.from = (uint32_t)pg_number(page, i, 4),
					.to = (uint32_t)pg_number(page, i, 5) };

	/* A damaged record is told with its own lane. */
	if (reader_row(results, row, 1, at->lane, at->sequence, &d->reader->result) == ST_OK &&
	    !reader_holding(&d->reader->result, lives, pg_column(page, i, 6).p, &h))
		deep_fault(d, "lane %u: the row of a holder says of result %llu what neither its "
			   "record nor an event says", d->lane, number_of(at->sequence));
}

enum status deep_holdings(struct deep *d, struct deep_cursor *at, bool *more)
{
	static const struct leading table = { PG_WALK_HOLDINGS, PG_LIVES, DEEP_HOLDINGS, 6,
					      "the row of a holder", holding_says, false };

	return leading_page(d, &table, at, more);
}

/* ---- voided results ---- */

static bool voided_read(const PGresult *answer, int row, uint8_t lane, uint64_t sequence,
			struct void_entry *v, struct slice *record)
{
	return reader_record(answer, row, 1, lane, sequence, record) &&
	       stored_void_decode(v, stored_version(STORED_VOID), *record) == ST_OK &&
	       v->lane == lane && v->sequence == sequence && v->unit.n <= CODE_BYTES_MAX &&
	       v->case_code.n <= CASE_CODE_BYTES_MAX;
}

static enum status voided_locators(struct deep *d, const struct place *places, uint32_t n)
{
	PGresult *answers[LANES];
	enum status st = lanes_ask(d->reader, PG_LOCATORS_THERE, places, n, answers);

	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		if (lanes_row_of(answers[places[i].lane], &places[i], 2) < 0)
			deep_fault(d, "lane %u, voided %llu: a locator is missing, in lane %u",
				   d->lane, number_of(places[i].sequence), places[i].lane);
	return st;
}

static enum status voided_numbers(struct deep *d, struct deep_number *of, uint32_t n)
{
	enum status st = deep_numbers_ask(d, of, n);

	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		if (!of[i].there || of[i].there_state != VOID ||
		    of[i].there_sequence != of[i].sequence)
			deep_fault(d, "lane %u, voided %llu: its number, %llu of %.*s %.*s %u, is "
				   "not void in the register", d->lane, number_of(of[i].sequence),
				   number_of(of[i].number), of[i].unit_n, of[i].unit,
				   of[i].code_n, of[i].code, of[i].year);
	return st;
}

enum status deep_voided(struct deep *d, struct deep_cursor *at, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	struct deep_wants *w = &d->wants;
	PGresult *page = NULL;
	enum status st;

	w->locators_n = w->numbers_n = 0;
	pg_question(q, PG_WALK_VOIDED);
	pg_int2(q, d->lane);
	pg_int8(q, (int64_t)at->sequence);
	st = deep_ask(d, q, DEEP_PAGE, DEEP_VOIDED, &page, more);
	for (int i = 0; st == ST_OK && i < PQntuples(page); i++) {
		struct place *p = &w->locators[w->locators_n];
		struct slice record;
		struct void_entry v;

		at->sequence = sequence_at(page, i);
		if (!voided_read(page, i, d->lane, at->sequence, &v, &record)) {
			deep_fault(d, "lane %u, voided %llu: the record does not match its "
				   "checksum", d->lane, number_of(at->sequence));
			continue;
		}
		if (v.number != 0 && !v.used_outside &&
		    deep_number_set(&w->numbers[w->numbers_n], v.unit, v.register_code, v.year,
				    v.number, v.sequence))
			w->numbers_n++;
		if (v.case_code.n == 0)
			continue;
		*p = (struct place){ .sequence = v.sequence };
		locator_case(p->key, v.unit, v.case_code);
		p->lane = lane_of_key(p->key);
		w->locators_n++;
	}
	if (st == ST_OK && d->files)
		st = voided_locators(d, w->locators, w->locators_n);
	return st == ST_OK ? voided_numbers(d, w->numbers, w->numbers_n) : st;
}

/* ---- locators ---- */

static bool locator_fits(const struct stored_result *s, struct slice key)
{
	const struct result_view *v = &s->view;
	uint8_t of_case[16], of_replaced[16];

	if (v->unit.n > CODE_BYTES_MAX || v->case_code.n > CASE_CODE_BYTES_MAX)
		return false;
	locator_case(of_case, v->unit, v->case_code);
	locator_replaced(of_replaced, v->replaces);
	return memcmp(key.p, of_case, 16) == 0 || memcmp(key.p, of_replaced, 16) == 0;
}

static void locator_says(struct deep *d, const PGresult *page, int i, const PGresult *results,
			 int row, const PGresult *voided)
{
	const struct place *at = &d->places[i];
	struct slice key = pg_column(page, i, 2), record;
	struct void_entry v;
	uint8_t of_case[16];
	bool fits = true;

	/* Damaged records are told with their own lane. */
	if (row >= 0) {
		if (reader_row(results, row, 1, at->lane, at->sequence, &d->reader->result) ==
		    ST_OK)
			fits = locator_fits(&d->reader->result, key);
	} else if (voided_read(voided, lanes_row(voided, at->sequence), at->lane, at->sequence, &v,
			       &record)) {
		locator_case(of_case, v.unit, v.case_code);
		fits = memcmp(key.p, of_case, sizeof(of_case)) == 0;
	}
	if (!fits)
		deep_fault(d, "lane %u: a locator leads to result %llu, which is of another case",
			   d->lane, number_of(at->sequence));
}

enum status deep_locators(struct deep *d, struct deep_cursor *at, bool *more)
{
	static const struct leading table = { PG_WALK_LOCATORS, PG_VOIDED_THERE, DEEP_LOCATORS, 2,
					      "a locator", locator_says, true };

	return leading_page(d, &table, at, more);
}

/* ---- the book ---- */

struct book_row {
	struct slice unit, code, record;
	uint32_t year;
	uint64_t number, sequence;
	int64_t state;
	char text[2 * CODE_BYTES_MAX + 48];	/* for what is told */
};

static void book_read(struct book_row *b, const PGresult *page, int i)
{
	*b = (struct book_row){ .sequence = sequence_at(page, i), .state = pg_number(page, i, 2),
				.unit = pg_column(page, i, 3), .code = pg_column(page, i, 4),
				.year = (uint32_t)pg_number(page, i, 5),
				.number = (uint64_t)pg_number(page, i, 6),
				.record = pg_column(page, i, 7) };
	snprintf(b->text, sizeof(b->text), "number %llu of %.*s %.*s %u", number_of(b->number),
		 (int)b->unit.n, b->unit.p, (int)b->code.n, b->code.p, b->year);
}

static bool same_book(const struct deep_cursor *at, const struct book_row *b)
{
	return at->number > 0 && at->year == b->year &&
	       slice_eq(slice_of(at->unit, at->unit_n), b->unit) &&
	       slice_eq(slice_of(at->code, at->code_n), b->code);
}

/* Did the case bring the number? Then the register has whatever numbers cases bring. */
static bool number_given(struct deep *d, const PGresult *results, const struct place *at)
{
	const struct result_view *v = &d->reader->result.view;
	int row = lanes_row(results, at->sequence);
	struct case_view c;

	arena_reset(&d->scratch);
	if (!d->files || row < 0 ||
	    reader_row(results, row, 1, at->lane, at->sequence, &d->reader->result) != ST_OK ||
	    case_decode(&c, v->case_bytes, &d->scratch) != ST_OK)
		return false;
	for (uint8_t i = 0; i < c.results_n; i++)
		if (c.results[i].given_number == v->number && v->number != 0 &&
		    c.results[i].ordinal == v->ordinal && slice_eq(c.results[i].kind, v->kind))
			return true;
	return false;
}

/* From its first number on, each is there: what is between two that are, is pending or lost. */
static void gap_check(struct deep *d, struct deep_cursor *at, const struct book_row *b,
		      const PGresult *results, const struct place *place)
{
	uint64_t n = same_book(at, b) ? b->number - at->number - 1 : 0;

	at->given &= same_book(at, b);
	if (n == 0)
		return;
	if (b->state == ISSUED)
		at->given = number_given(d, results, place);
	if (at->given)
		return;
	if (n == 1)
		deep_open(d, n, "lane %u: %.*s %.*s %u: number %llu is not there", d->lane,
			  at->unit_n, at->unit, at->code_n, at->code, at->year,
			  number_of(at->number + 1));
	else
		deep_open(d, n, "lane %u: %.*s %.*s %u: numbers %llu to %llu are not there",
			  d->lane, at->unit_n, at->unit, at->code_n, at->code, at->year,
			  number_of(at->number + 1), number_of(b->number - 1));
}

static void after_number(struct deep_cursor *at, const struct book_row *b)
{
	at->unit_n = (uint8_t)(b->unit.n < sizeof(at->unit) ? b->unit.n : sizeof(at->unit));
	at->code_n = (uint8_t)(b->code.n < sizeof(at->code) ? b->code.n : sizeof(at->code));
	memcpy(at->unit, b->unit.p, at->unit_n);
	memcpy(at->code, b->code.p, at->code_n);
	at->year = b->year;
	at->number = b->number;
}

static void issued_check(struct deep *d, const struct book_row *b, const PGresult *results,
			 const struct place *at)
{
	const struct result_view *v = &d->reader->result.view;
	int row = lanes_row(results, at->sequence);

	if (row < 0) {
		deep_fault(d, "lane %u: %s leads to result %llu of lane %u, which is not there",
			   d->lane, b->text, number_of(at->sequence), at->lane);
		return;
	}
	if (!d->files || reader_row(results, row, 1, at->lane, at->sequence,
				    &d->reader->result) != ST_OK)
		return;
	if (v->number != b->number || v->register_year != b->year || !slice_eq(v->unit, b->unit) ||
	    !slice_eq(v->register_code, b->code))
		deep_fault(d, "lane %u: %s leads to result %llu of lane %u, which has another one",
			   d->lane, b->text, number_of(at->sequence), at->lane);
}

/* Its record has no checksum here; the voided result's, of the same bytes, has. */
static void void_check(struct deep *d, const struct book_row *b, const PGresult *voided,
		       const struct place *at)
{
	struct void_entry v;
	struct slice record;
	int row = lanes_row(voided, at->sequence);
	bool good = stored_void_decode(&v, stored_version(STORED_VOID), b->record) == ST_OK &&
		    v.number == b->number && v.year == b->year && slice_eq(v.unit, b->unit) &&
		    slice_eq(v.register_code, b->code) && v.sequence == b->sequence &&
		    v.used_outside == (b->state == OUTSIDE);

	if (!good)
		deep_fault(d, "lane %u: %s is void, and its record says otherwise", d->lane,
			   b->text);
	else if (b->sequence != 0 && row < 0)
		deep_fault(d, "lane %u: %s leads to voided result %llu of lane %u, which is not "
			   "there", d->lane, b->text, number_of(at->sequence), at->lane);
	else if (b->sequence != 0 &&
		 voided_read(voided, row, at->lane, at->sequence, &v, &record) &&
		 !slice_eq(record, b->record))
		deep_fault(d, "lane %u: %s is void, and its result says otherwise", d->lane,
			   b->text);
}

static enum status numbers_page(struct deep *d, struct deep_cursor *at, PGresult **page,
				bool *more)
{
	struct pg_question *q = &d->reader->questions[0];

	pg_question(q, PG_WALK_NUMBERS);
	pg_int2(q, d->lane);
	pg_bytes(q, slice_of(at->unit, at->unit_n));
	pg_bytes(q, slice_of(at->code, at->code_n));
	pg_int4(q, (int32_t)at->year);
	pg_int8(q, (int64_t)at->number);
	return deep_ask(d, q, DEEP_PAGE, DEEP_NUMBERS, page, more);
}

static void book_check(struct deep *d, struct deep_cursor *at, const struct book_row *b,
		       const struct place *place, PGresult *const results[],
		       PGresult *const voided[])
{
	if (b->unit.n > CODE_BYTES_MAX || b->code.n > CODE_BYTES_MAX ||
	    pg_lane_register(b->unit, b->code) != d->lane)
		deep_fault(d, "lane %u: %s belongs into another lane", d->lane, b->text);
	else
		gap_check(d, at, b, results[place->lane], place);
	after_number(at, b);
	if (b->state == ISSUED)
		issued_check(d, b, results[place->lane], place);
	else if (b->state == VOID || b->state == OUTSIDE)
		void_check(d, b, voided[place->lane], place);
	else
		deep_fault(d, "lane %u: %s has no state that there is: %lld", d->lane, b->text,
			   (long long)b->state);
}

enum status deep_numbers(struct deep *d, struct deep_cursor *at, bool *more)
{
	PGresult *page = NULL, *results[LANES], *voided[LANES];
	struct book_row b;
	uint32_t n = 0;
	enum status st = numbers_page(d, at, &page, more);

	if (st == ST_OK)
		n = places_of(d, page, "a number");
	if (st == ST_OK)
		st = lanes_ask(d->reader, d->files ? PG_RESULTS : PG_STORED, d->places, n, results);
	if (st == ST_OK)
		st = lanes_ask(d->reader, PG_VOIDED_THERE, d->places, n, voided);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		book_read(&b, page, (int)i);
		book_check(d, at, &b, &d->places[i], results, voided);
	}
	return st;
}

/* ---- events ---- */

static bool event_good(const struct deep *d, const PGresult *page, int i, struct place *linked)
{
	uint64_t sequence = sequence_at(page, i);
	int64_t kind = pg_number(page, i, 3);
	struct slice record;
	struct holding_link l;
	struct result_event ev;
	struct share share;

	if (!reader_record(page, i, 1, d->lane, sequence, &record))
		return false;
	if (kind != PG_EVENT_LINKED)
		return stored_event_decode(&ev, record) == ST_OK && ev.kind == kind &&
		       ev.sequence == sequence && ev.lane == d->lane &&
		       (!event_is_share(ev.kind) || share_read(&share, NULL, ev.detail) == ST_OK);
	if (stored_link_decode(&l, record) != ST_OK || l.sequence != sequence || l.lane != d->lane)
		return false;
	*linked = (struct place){ .lane = lane_of_key(l.key), .sequence = sequence };
	memcpy(linked->key, l.key, sizeof(l.key));
	return true;
}

/* Results they are of; holders they added. */
static enum status events_lead(struct deep *d, uint32_t n, const struct place *linked,
			       uint32_t linked_n)
{
	PGresult *results[LANES], *holdings[LANES];
	enum status st = lanes_ask(d->reader, PG_STORED, d->places, n, results);

	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		if (lanes_row(results[d->lane], d->places[i].sequence) < 0)
			deep_fault(d, "lane %u: an event of result %llu, which is not there",
				   d->lane, number_of(d->places[i].sequence));
	if (st == ST_OK && d->files)
		st = lanes_ask(d->reader, PG_HOLDINGS_THERE, linked, linked_n, holdings);
	for (uint32_t i = 0; i < linked_n && st == ST_OK && d->files; i++)
		if (lanes_row_of(holdings[linked[i].lane], &linked[i], 6) < 0)
			deep_fault(d, "lane %u, result %llu: the row of a holder who was added is "
				   "missing, in lane %u", d->lane, number_of(linked[i].sequence),
				   linked[i].lane);
	return st;
}

enum status deep_events(struct deep *d, struct deep_cursor *at, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	struct place *linked = d->wants.locators;
	PGresult *page = NULL;
	uint32_t n = 0, linked_n = 0;
	enum status st;

	pg_question(q, PG_WALK_EVENTS);
	pg_int2(q, d->lane);
	pg_int8(q, (int64_t)at->sequence);
	pg_int8(q, at->n);
	st = deep_ask(d, q, DEEP_PAGE, DEEP_EVENTS, &page, more);
	for (int i = 0; st == ST_OK && i < PQntuples(page); i++) {
		struct place link = { .lane = LANES };

		at->sequence = sequence_at(page, i);
		at->n = pg_number(page, i, 4);
		lanes_place(&d->places[n++], d->lane, (int64_t)at->sequence);
		if (!event_good(d, page, i, &link))
			deep_fault(d, "lane %u, event %lld of result %llu: the record does not "
				   "match its checksum", d->lane, (long long)at->n,
				   number_of(at->sequence));
		else if (link.lane < LANES)
			linked[linked_n++] = link;
	}
	return st == ST_OK ? events_lead(d, n, linked, linked_n) : st;
}
