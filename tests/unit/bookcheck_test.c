/* Books whole and damaged: what the checker says of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cli/bookcheck.h"

#define JANUARY 1798736400		/* 2027-01-01T00:00:00+07:00 */
#define ENTRY(part) TRIEN__V1__REGISTER_ENTRY__STATE__##part

/* A book of 2027 that began at 5 and came to 11. */
static const struct row {
	uint64_t number;
	int64_t seconds;
	int state;
	const char *id;
} whole[] = {
	{ 2, 0, ENTRY(ISSUED), "BROUGHT" },	/* by its case, numbered elsewhere */
	{ 5, 0, ENTRY(ISSUED), "A" }, { 6, 0, ENTRY(VOIDED), "B" },
	{ 7, 9, ENTRY(PENDING), "C" }, { 8, 9, ENTRY(USED_OUTSIDE), "" },
	{ 9, 40, ENTRY(ISSUED), "D" }, { 10, 40, ENTRY(ISSUED), "E" },
};
#define ROWS 7
#define NO_DATE (-9999)

struct found { struct book_finding of[16]; uint32_t n; };

static void keep(void *ctx, const struct book_finding *f)
{
	struct found *all = ctx;

	assert_true(all->n < 16 && f->todo[0] != '\0' && f->what[0] != '\0');
	all->of[all->n++] = *f;
}

static struct found check(const struct row *rows, uint32_t n, uint32_t voided,
			  const char *reason, struct book_sums *sums)
{
	Trien__V1__Register head = TRIEN__V1__REGISTER__INIT;
	struct found all = { .n = 0 };
	struct bookcheck *b;

	assert_int_equal(bookcheck_new(&b, keep, &all), ST_OK);
	head.first = 5;
	head.next = 11;
	head.year = 2027;
	head.voided = voided;
	bookcheck_head(b, &head);
	for (uint32_t i = 0; i < n; i++) {
		Trien__V1__RegisterEntry e = TRIEN__V1__REGISTER_ENTRY__INIT;
		Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

		e.number = rows[i].number;
		e.state = (Trien__V1__RegisterEntry__State)rows[i].state;
		e.result_id = (char *)rows[i].id;
		t.seconds = JANUARY + rows[i].seconds;
		e.issue_time = rows[i].seconds != NO_DATE ? &t : NULL;
		e.end_reason = (char *)reason;
		bookcheck_entry(b, &e);
	}
	assert_int_equal(bookcheck_end(b, sums), ST_OK);
	assert_int_equal(sums->findings, all.n);
	bookcheck_free(b);
	return all;
}

static void a_whole_book(void **state)
{
	struct book_sums s;

	assert_int_equal(check(whole, ROWS, 1, "hỏng", &s).n, 0);
	assert_true(s.issued == 3 && s.voided == 1 && s.pending == 1 && s.outside == 1);
	assert_true(s.brought == 1 && s.first == 5 && s.last == 10 && s.pending_first == 7);
}

/* One thing wrong, and that alone is said of that number. */
static void expect(const struct row *rows, uint32_t n, enum book_fault fault, uint64_t number,
		   uint64_t last_or_other)
{
	struct book_sums s;
	struct found f = check(rows, n, 1, "hỏng", &s);

	assert_int_equal(f.n, 1);
	assert_int_equal(f.of[0].fault, fault);
	assert_int_equal(f.of[0].number, number);
	if (last_or_other != 0)
		assert_true(f.of[0].last == last_or_other || f.of[0].other == last_or_other);
}

static void what_is_wrong_is_named(void **state)
{
	struct row rows[ROWS];
	struct book_sums s;
	struct found f;

	memcpy(rows, whole, sizeof(rows));
	memmove(rows + 3, rows + 5, 2 * sizeof(*rows));
	expect(rows, 5, BOOK_MISSING, 7, 8);
	expect(whole, ROWS - 1, BOOK_MISSING, 10, 10);
	memcpy(rows, whole, sizeof(rows));
	rows[4] = rows[3];
	rows[4].id = "X";
	f = check(rows, ROWS, 1, "hỏng", &s);
	assert_true(f.n == 2 && f.of[0].fault == BOOK_TWICE && f.of[1].fault == BOOK_MISSING);
	memcpy(rows, whole, sizeof(rows));
	rows[5].seconds = 3;
	expect(rows, ROWS, BOOK_TIME, 9, 8);
	rows[5].seconds = 40;
	rows[1].seconds = -1;
	expect(rows, ROWS, BOOK_YEAR, 5, 0);
	rows[1].seconds = 0;
	rows[6].id = "A";
	expect(rows, ROWS, BOOK_RESULT_TWICE, 10, 5);
	rows[6].id = "";
	expect(rows, ROWS, BOOK_NO_RESULT, 10, 0);
	rows[6] = (struct row){ 4, 40, ENTRY(ISSUED), "E" };
	f = check(rows, ROWS, 1, "hỏng", &s);
	assert_true(f.n == 2 && f.of[0].fault == BOOK_DISORDER && f.of[1].fault == BOOK_MISSING);
	rows[6] = (struct row){ 11, 40, ENTRY(ISSUED), "E" };
	f = check(rows, ROWS, 1, "hỏng", &s);
	assert_true(f.n == 2 && f.of[0].fault == BOOK_MISSING && f.of[1].fault == BOOK_BEYOND);
	f = check(whole, ROWS, 1, "", &s);
	assert_true(f.n == 2 && f.of[0].fault == BOOK_NO_REASON && f.of[0].number == 6);
}

/* Of a number that never had a result nobody knows when it was given; of a result one does. */
static void dates_that_may_be_missing(void **state)
{
	struct row rows[ROWS];
	struct book_sums s;

	memcpy(rows, whole, sizeof(rows));
	rows[2].seconds = NO_DATE;
	expect(rows, ROWS, BOOK_NO_TIME, 6, 0);
	rows[2].id = "";
	rows[4].seconds = NO_DATE;
	assert_int_equal(check(rows, ROWS, 1, "hỏng", &s).n, 0);
	rows[5].seconds = NO_DATE;
	expect(rows, ROWS, BOOK_NO_TIME, 9, 0);
}

/* Many results: each is remembered. */
static void a_long_book(void **state)
{
	struct found all = { .n = 0 };
	struct book_sums s;
	struct bookcheck *b;

	assert_int_equal(bookcheck_new(&b, keep, &all), ST_OK);
	for (uint32_t i = 1; i <= 20001; i++) {
		Trien__V1__RegisterEntry e = TRIEN__V1__REGISTER_ENTRY__INIT;
		Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
		char id[27];

		snprintf(id, sizeof(id), "R%u", i == 20001 ? 4711 : i);
		t.seconds = JANUARY + i;
		e.number = i;
		e.state = ENTRY(ISSUED);
		e.result_id = id;
		e.issue_time = &t;
		bookcheck_entry(b, &e);
	}
	assert_int_equal(bookcheck_end(b, &s), ST_OK);
	assert_true(all.n == 1 && all.of[0].fault == BOOK_RESULT_TWICE && all.of[0].other == 4711);
	bookcheck_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_book),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(dates_that_may_be_missing),
		cmocka_unit_test(a_long_book),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
