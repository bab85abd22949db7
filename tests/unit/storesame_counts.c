/* What every store counts, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/calendar.h"
#include "base/wire.h"
#include "counts.h"
#include "identity.h"
#include "storesame.h"

#define LOOK_AT 400			/* among so many there are two alike */

static void counts_of(struct storesame *f, struct counts *sum)
{
	const struct counts_question q = { .period = COUNTS_DAY };
	struct tally t;

	*sum = (struct counts){ { 0 } };
	assert_int_equal(tally_init(&t, 64, 64), ST_OK);
	assert_int_equal(f->store->ops->counts(f->reader, &q, &t), ST_OK);
	for (uint32_t i = 0; i < t.n; i++)
		for (int k = 0; k < COUNTS; k++)
			sum->of[k] += t.rows[i].by.of[k];
	tally_free(&t);
}

/* One agency's on a day; all zero where there is no row. */
static struct counts day_of(struct storesame *f, const char *unit, uint32_t day)
{
	const struct slice units[] = { slice_str(unit) };
	const struct counts_question q = { .units = units, .units_n = 1, .from = day, .to = day,
					   .period = COUNTS_DAY };
	struct counts sum = { { 0 } };
	struct tally t;

	assert_int_equal(tally_init(&t, 64, 64), ST_OK);
	assert_int_equal(f->store->ops->counts(f->reader, &q, &t), ST_OK);
	assert_in_range(t.n, 0, 1);
	if (t.n == 1)
		sum = t.rows[0].by;
	tally_free(&t);
	return sum;
}

/* Two results that lie in one lane, of one agency, kind and day. */
static void two_alike(const struct storesame *f, uint32_t of[2])
{
	for (of[0] = 0; of[0] < LOOK_AT; of[0]++)
		for (of[1] = of[0] + f->sc.units; of[1] < LOOK_AT; of[1] += f->sc.units)
			if (storecase_lane(of[0]) == storecase_lane(of[1]))
				return;
	fail_msg("no two are alike");
}

static void act(struct storesame *f, const uint32_t *of, uint32_t n, uint8_t kind)
{
	struct result_event ev[2];
	struct error e = { 0 };

	for (uint32_t i = 0; i < n; i++)
		ev[i] = (struct result_event){ .lane = storecase_lane(of[i]),
					       .sequence = storecase_sequence(of[i]),
					       .kind = kind, .at_ms = SAME_NOW_MS,
					       .actor = slice_str("van-thu"),
					       .detail = slice_str("45/QĐ-UBND") };
	if (f->store->ops->events(f->store, ev, n, &e) != ST_OK)
		fail_msg("%s", e.text);
}

static void reuse(struct storesame *f, uint32_t k, uint32_t call)
{
	const struct result_name name = { storecase_lane(k), storecase_sequence(k) };
	const struct read_note note = { .stamp = sequence_make(STORECASE_BASE_MS + call, 3, 0),
					.call = READ_GET, .reuse = true,
					.actor = slice_str("mot-cua"),
					.purpose = slice_str("Nhập học"),
					.legal_basis = slice_str("Đ.9"),
					.case_code = slice_str("H1"), .names = &name,
					.names_n = 1 };
	struct error e = { 0 };

	if (f->store->ops->note_reads(f->store, &note, 1, &e) != ST_OK)
		fail_msg("%s", e.text);
}

/*
 * One decision upon two results, at one time and in the same words; one reader who uses both for
 * one case: each counts, once.
 */
void same_acts_of_one_day(void **state)
{
	struct storesame *f = *state;
	struct counts sum;
	uint32_t of[2];

	two_alike(f, of);
	same_put(f, of[0], 1);
	same_put(f, of[1], 1);
	act(f, of, 2, EVENT_CORRECTED);
	act(f, &of[1], 1, EVENT_REVOKED);
	act(f, &of[0], 1, EVENT_REVOKED);
	reuse(f, of[0], 1);
	reuse(f, of[1], 2);
	act(f, of, 2, EVENT_CORRECTED);
	act(f, of, 2, EVENT_REVOKED);
	reuse(f, of[1], 3);
	for (int again = 0; again < 2; again++) {
		counts_of(f, &sum);
		assert_int_equal(sum.of[COUNT_RESULTS], 2);
		assert_int_equal(sum.of[COUNT_CORRECTED], 2);
		assert_int_equal(sum.of[COUNT_REVOKED], 2);
		assert_int_equal(sum.of[COUNT_REUSES], 2);
		f->reopen(f);
	}
}

/* Item k takes the place of a result of that id, as intake found it. */
static void replacing(struct storesame *f, uint32_t k, const uint8_t id[16], const char text[26],
		      const struct replaced *old)
{
	struct item *it = &f->sc.b->items[0];

	storecase_fill(&f->sc, k, 1);
	it->c.results[0].replaces = slice_of(text, ID_TEXT_BYTES);
	it->c.results[0].replaced = *old;
	storecase_encode(&f->sc, it);
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(it->stored, ST_OK);
	/* Once more, as after a crash: it is there. */
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(it->stored, ST_EXISTS);
}

/* On the day and with the agency of the one that is replaced, which may be the newer one's. */
void same_replaced_on_its_own_day(void **state)
{
	struct storesame *f = *state;
	struct replaced old = { .number = slice_str("07"), .day = 20260312 };
	uint8_t ids[3][16];
	char texts[3][ID_TEXT_BYTES], unit[16];

	same_put(f, 0, 3);
	for (uint32_t i = 0; i < 3; i++) {
		memcpy(ids[i], f->sc.b->items[i].result_id, 16);
		id_text(texts[i], ids[i]);
	}
	storecase_unit(&f->sc, 3, unit);
	replacing(f, 3, ids[0], texts[0], &old);
	old.unit = slice_str("don-vi-cu");
	replacing(f, 4, ids[1], texts[1], &old);
	/* Revoked before: it counted then. */
	old.revoked = true;
	replacing(f, 5, ids[2], texts[2], &old);
	/* And on the day of the newer one itself. */
	old = (struct replaced){ .number = slice_str("08"), .day = day_vietnam(STORECASE_BASE_MS) };
	replacing(f, 6, ids[0], texts[0], &old);
	for (int again = 0; again < 2; again++) {
		struct counts sum;

		counts_of(f, &sum);
		assert_int_equal(sum.of[COUNT_RESULTS], 7);
		assert_int_equal(sum.of[COUNT_REPLACEMENTS], 4);
		assert_int_equal(sum.of[COUNT_REPLACED], 3);
		assert_int_equal(day_of(f, unit, 20260312).of[COUNT_REPLACED], 1);
		assert_int_equal(day_of(f, unit, 20260312).of[COUNT_RESULTS], 0);
		assert_int_equal(day_of(f, "don-vi-cu", 20260312).of[COUNT_REPLACED], 1);
		sum = day_of(f, unit, day_vietnam(STORECASE_BASE_MS));
		assert_int_equal(sum.of[COUNT_REPLACED], 1);
		assert_int_equal(sum.of[COUNT_REPLACEMENTS], 2);
		assert_int_equal(sum.of[COUNT_RESULTS], 3);
		f->reopen(f);
	}
}

/* Facts of item k: whose procedure, how late, why, how many of its papers as data. */
static struct slice facts_of(uint8_t *buf, size_t room, uint32_t k)
{
	struct writer w = writer_of(buf, room);
	uint8_t *at;

	put_text(&w, 1, k % 2 == 0 ? "1.004873" : "2.000815");
	put_time(&w, 5, k % 3 == 0 ? STORECASE_BASE_MS - 1000 * 3600000LL :
				     STORECASE_BASE_MS + 1000 * 3600000LL);
	for (uint32_t i = 0; i < k % 4; i++)
		put_text(&w, 9, "KQ.1");
	at = put_begin(&w, 10);
	put_text(&w, 1, k % 5 == 0 ? "CSDLQGDC" : "CSDLDN");
	put_end(&w, at);
	put_text(&w, 12, "Hộ tịch");
	put_text(&w, 13, k % 2 == 0 ? "PHOI_HOP" : "NHAN_SU");
	put_number(&w, 14, k == 1 ? 1000 : 4);
	put_number(&w, 15, k == 1 ? 999 : k % 6);
	assert_false(w.bad);
	return writer_slice(&w);
}

struct apart { uint64_t results, late, accepted, reusing, citizens, digitised, papers, as_data; };

static void expect(struct apart *a, uint32_t k)
{
	a->results++;
	a->accepted++;
	a->late += k % 3 == 0;
	a->reusing += k % 4 > 0;
	a->citizens += k % 5 == 0;
	a->digitised += k != 1 && k % 6 >= 4;
	a->papers += k == 1 ? 255 : 4;
	a->as_data += k == 1 ? 254 : k % 6 < 4 ? k % 6 : 4;
}

static void compare(const struct counts *c, const struct apart *a)
{
	assert_int_equal(c->of[COUNT_RESULTS], a->results);
	assert_int_equal(c->of[COUNT_ACCEPTED], a->accepted);
	assert_int_equal(c->of[COUNT_LATE], a->late);
	assert_int_equal(c->of[COUNT_CASES_REUSING], a->reusing);
	assert_int_equal(c->of[COUNT_CASES_CITIZEN_DATA], a->citizens);
	assert_int_equal(c->of[COUNT_CASES_WITH_PAPERS], a->results);
	assert_int_equal(c->of[COUNT_CASES_DIGITISED], a->digitised);
	assert_int_equal(c->of[COUNT_PAPERS], a->papers);
	assert_int_equal(c->of[COUNT_PAPERS_DIGITISED], a->as_data);
}

/* The one row of that part, among what a question tells apart by it. */
static void part_is(struct storesame *f, enum counts_part which, const char *value, uint32_t from,
		    const struct apart *a)
{
	const struct counts_question q = { .from = from, .period = COUNTS_YEAR,
					   .by = (uint8_t)(1u << which) };
	struct counts sum = { { 0 } };
	struct tally t;

	assert_int_equal(tally_init(&t, 64, 64), ST_OK);
	assert_int_equal(f->store->ops->counts(f->reader, &q, &t), ST_OK);
	for (uint32_t i = 0; i < t.n; i++) {
		struct slice part = counts_part(slice_str(t.rows[i].parts), which);

		for (int k = 0; k < COUNTS && slice_eq(part, slice_str(value)); k++)
			sum.of[k] += t.rows[i].by.of[k];
	}
	tally_free(&t);
	compare(&sum, a);
}

/* By procedure, and by the cause of what is late; before and after rows are folded. */
void same_told_apart(void **state)
{
	struct storesame *f = *state;
	const uint32_t n = 60, day = day_vietnam(STORECASE_BASE_MS);
	struct apart all = { 0 }, even = { 0 }, odd = { 0 }, late_even = { 0 };
	static uint8_t facts[60][256];

	storecase_fill(&f->sc, 0, n);
	for (uint32_t k = 0; k < n; k++) {
		struct item *it = &f->sc.b->items[k];

		it->c.facts = facts_of(facts[k], sizeof(facts[k]), k);
		storecase_encode(&f->sc, it);
		expect(&all, k);
		expect(k % 2 == 0 ? &even : &odd, k);
		if (k % 6 == 0)
			expect(&late_even, k);
	}
	assert_int_equal(same_put_batch(f), ST_OK);
	/* Once more, as after a crash. */
	assert_int_equal(same_put_batch(f), ST_OK);
	for (int again = 0; again < 2; again++) {
		struct counts sum;

		counts_of(f, &sum);
		compare(&sum, &all);
		/* With and without a first day they are found by other ways. */
		for (uint32_t from = 0; from <= day; from += day) {
			part_is(f, COUNTS_PROCEDURE, "1.004873", from, &even);
			part_is(f, COUNTS_PROCEDURE, "2.000815", from, &odd);
			part_is(f, COUNTS_CAUSE, "PHOI_HOP", from, &late_even);
			part_is(f, COUNTS_FIELD, "Hộ tịch", from, &all);
			part_is(f, COUNTS_FIELD, "", from, &(struct apart){ 0 });
		}
		f->reopen(f);
	}
}
