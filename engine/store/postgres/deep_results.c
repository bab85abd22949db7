/* Results: each row and file by itself, and what belongs to them and lies elsewhere. */
#include <stdlib.h>

#include "base/hash.h"
#include "case.h"
#include "store/counted.h"
#include "store/postgres/deep_inside.h"
#include "store/rows.h"

#define FILES 8			/* at once: four megabytes each at most */

static const uint8_t nothing[SHA256_BYTES];

/* ---- what it wants ---- */

/* Two holders who are the same person have one row, the first one's. */
static void want_holdings(struct deep_wants *w, const struct stored_result *r)
{
	uint32_t begin = w->holdings_n;

	for (uint8_t i = 0; i < r->holdings_n; i++) {
		uint32_t k = begin;

		while (k < w->holdings_n && memcmp(w->holdings[k].key, r->holdings[i].key,
						   sizeof(w->holdings[k].key)) != 0)
			k++;
		if (k < w->holdings_n)
			continue;
		w->holders[w->holdings_n] = r->holdings[i];
		lanes_key(&w->holdings[w->holdings_n++], r->holdings[i].key, r->view.sequence);
	}
}

static void want_hash(struct deep_wants *w, const uint8_t sha256[SHA256_BYTES], uint64_t sequence)
{
	for (uint32_t i = 0; i < w->hashes_n; i++)
		if (memcmp(w->hashes[i], sha256, SHA256_BYTES) == 0)
			return;
	w->hash_of[w->hashes_n] = sequence;
	memcpy(w->hashes[w->hashes_n++], sha256, SHA256_BYTES);
}

static bool wants_of(struct deep_wants *w, const struct stored_result *r)
{
	const struct result_view *v = &r->view;
	uint8_t key[16];

	if (v->unit.n > CODE_BYTES_MAX || v->case_code.n > CASE_CODE_BYTES_MAX)
		return false;
	want_holdings(w, r);
	locator_case(key, v->unit, v->case_code);
	lanes_key(&w->locators[w->locators_n++], key, v->sequence);
	if (!id_is_zero(v->replaces)) {
		locator_replaced(key, v->replaces);
		lanes_key(&w->locators[w->locators_n++], key, v->sequence);
	}
	for (uint8_t i = 0; i < v->signatures_n; i++) {
		const struct signature_view *s = &v->signatures[i];

		if (memcmp(s->evidence_sha256, nothing, SHA256_BYTES) == 0)
			continue;
		want_hash(w, s->evidence_sha256, v->sequence);
		want_hash(w, s->cert_sha256, v->sequence);
	}
	return v->number == 0 ||
	       deep_number_set(&w->numbers[w->numbers_n++], v->unit, v->register_code,
			       v->register_year, v->number, v->sequence);
}

/* ---- one result ---- */

/* Of one that was stored before version 4, or 7, they may not be known. */
static bool counts_good(const PGresult *page, int row, const struct result_view *v)
{
	struct counted_says says;

	counted_says(&says, v);
	return (PQgetisnull(page, row, 5) || pg_number(page, row, 5) == says.facts) &&
	       (PQgetisnull(page, row, 6) || pg_number(page, row, 6) == says.papers) &&
	       (PQgetisnull(page, row, 7) ||
		slice_eq(pg_column(page, row, 7), slice_of(says.parts, says.parts_n)));
}

static bool columns_good(const PGresult *page, int row, const struct result_view *v)
{
	return slice_eq(pg_column(page, row, 1), v->unit) &&
	       slice_eq(pg_column(page, row, 2), v->kind) &&
	       pg_number(page, row, 3) == pg_time(v->issued_ms) &&
	       slice_eq(pg_column(page, row, 4), slice_of(v->case_digest, SHA256_BYTES)) &&
	       counts_good(page, row, v);
}

static enum status result_check(struct deep *d, const PGresult *page, int row,
				const PGresult *file)
{
	uint64_t sequence = (uint64_t)pg_number(page, row, 0);
	const struct result_view *v = &d->reader->result.view;
	uint8_t digest[SHA256_BYTES];
	enum status st;

	if (PQntuples(file) != 1 ||
	    reader_row(file, 0, 0, d->lane, sequence, &d->reader->result) != ST_OK) {
		deep_fault(d, "lane %u, result %llu: the record does not match its checksum",
			   d->lane, number_of(sequence));
		deep_original_named(d, NULL);
		return ST_OK;
	}
	deep_original_named(d, &d->reader->result);
	if (!columns_good(page, row, v))
		deep_fault(d, "lane %u, result %llu: columns say otherwise than the record",
			   d->lane, number_of(sequence));
	if (case_digest(v->case_bytes, digest) != ST_OK ||
	    memcmp(digest, v->case_digest, sizeof(digest)) != 0)
		deep_fault(d, "lane %u, result %llu: the case does not match its digest", d->lane,
			   number_of(sequence));
	if (!wants_of(&d->wants, &d->reader->result))
		deep_fault(d, "lane %u, result %llu: a code is too long", d->lane,
			   number_of(sequence));
	d->report->file_bytes += v->file_size;
	st = reader_file_check(d->reader, pg_column(file, 0, 0), pg_column(file, 0, 3));
	if (st != ST_CORRUPT)
		return st;
	deep_fault(d, "lane %u, result %llu: the file does not match its digest, or a layer is "
		   "missing", d->lane, number_of(sequence));
	return ST_OK;
}

static enum status files_check(struct deep *d, const PGresult *page, int row, uint32_t n)
{
	struct pg_question q[FILES];
	PGresult *files[FILES];
	enum status st;

	for (uint32_t i = 0; i < n; i++) {
		pg_question(&q[i], PG_FILE);
		pg_int2(&q[i], d->lane);
		pg_int8(&q[i], pg_number(page, row + (int)i, 0));
	}
	st = reader_ask_all(d->reader, d->server, q, n, files);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		st = result_check(d, page, row + (int)i, files[i]);
	/* Only the page stays. */
	reader_forget(d->reader, 1);
	return st;
}

/* ---- is it there? ---- */

static enum status holdings_check(struct deep *d)
{
	const struct deep_wants *w = &d->wants;
	PGresult *answers[LANES];
	enum status st = lanes_ask(d->reader, PG_HOLDINGS_THERE, w->holdings, w->holdings_n,
				   answers);

	for (uint32_t i = 0; i < w->holdings_n && st == ST_OK; i++) {
		const struct stored_holding *h = &w->holders[i];
		const PGresult *a = answers[w->holdings[i].lane];
		int row = lanes_row_of(a, &w->holdings[i], 6);

		if (row < 0)
			deep_fault(d, "lane %u, result %llu: the row of a holder is missing, in "
				   "lane %u", d->lane, number_of(w->holdings[i].sequence),
				   w->holdings[i].lane);
		else if (pg_number(a, row, 1) != d->lane || pg_number(a, row, 2) != h->role ||
			 pg_number(a, row, 3) != h->visibility ||
			 pg_number(a, row, 4) != h->from || pg_number(a, row, 5) != h->to)
			deep_fault(d, "lane %u, result %llu: the row of a holder says otherwise, "
				   "in lane %u", d->lane, number_of(w->holdings[i].sequence),
				   w->holdings[i].lane);
	}
	return st;
}

static enum status locators_check(struct deep *d)
{
	const struct deep_wants *w = &d->wants;
	PGresult *answers[LANES];
	enum status st = lanes_ask(d->reader, PG_LOCATORS_THERE, w->locators, w->locators_n,
				   answers);

	for (uint32_t i = 0; i < w->locators_n && st == ST_OK; i++) {
		const struct place *at = &w->locators[i];
		int row = lanes_row_of(answers[at->lane], at, 2);

		if (row < 0 || pg_number(answers[at->lane], row, 1) != d->lane)
			deep_fault(d, "lane %u, result %llu: a locator is %s, in lane %u", d->lane,
				   number_of(at->sequence), row < 0 ? "missing" : "wrong",
				   at->lane);
	}
	return st;
}

static enum status numbers_check(struct deep *d)
{
	struct deep_wants *w = &d->wants;
	enum status st = deep_numbers_ask(d, w->numbers, w->numbers_n);

	for (uint32_t i = 0; i < w->numbers_n && st == ST_OK; i++) {
		const struct deep_number *n = &w->numbers[i];

		if (n->there && n->there_sequence == n->sequence && n->there_lane == d->lane &&
		    n->there_state == 1)
			continue;
		deep_fault(d, "lane %u, result %llu: its number, %llu of %.*s %.*s %u, is %s",
			   d->lane, number_of(n->sequence), number_of(n->number), n->unit_n,
			   n->unit, n->code_n, n->code, n->year,
			   n->there ? "another's" : "not in the register");
	}
	return st;
}

static enum status evidence_check(struct deep *d)
{
	struct deep_wants *w = &d->wants;
	bool there[DEEP_PAGE * 2 * DOC_SIGNATURES_MAX];
	enum status st = deep_hashes_ask(d, w->hashes, w->hashes_n, there);

	for (uint32_t i = 0; i < w->hashes_n && st == ST_OK; i++)
		if (!there[i])
			deep_fault(d, "lane %u, result %llu: evidence that it names is missing",
				   d->lane, number_of(w->hash_of[i]));
	return st;
}

enum status deep_results(struct deep *d, struct deep_cursor *at, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	struct deep_wants *w = &d->wants;
	PGresult *page = NULL;
	enum status st;
	uint32_t rows;

	pg_question(q, PG_WALK_RESULTS);
	pg_int2(q, d->lane);
	pg_int8(q, (int64_t)at->sequence);
	st = deep_ask(d, q, DEEP_PAGE, DEEP_RESULTS, &page, more);
	if (st != ST_OK)
		return st;
	rows = (uint32_t)PQntuples(page);
	if (rows > 0)
		at->sequence = (uint64_t)pg_number(page, (int)rows - 1, 0);
	if (!d->files)
		return ST_OK;
	w->holdings_n = w->locators_n = w->numbers_n = w->hashes_n = 0;
	for (uint32_t i = 0; i < rows && st == ST_OK; i += FILES)
		st = files_check(d, page, (int)i, rows - i < FILES ? rows - i : FILES);
	if (st == ST_OK)
		st = holdings_check(d);
	if (st == ST_OK)
		st = locators_check(d);
	if (st == ST_OK)
		st = numbers_check(d);
	return st == ST_OK ? evidence_check(d) : st;
}

/* ---- look-ups that others need, too ---- */

bool deep_number_set(struct deep_number *n, struct slice unit, struct slice code, uint32_t year,
		     uint64_t number, uint64_t sequence)
{
	*n = (struct deep_number){ .year = year, .number = number, .sequence = sequence };
	if (unit.n > CODE_BYTES_MAX || code.n > CODE_BYTES_MAX)
		return false;
	n->lane = pg_lane_register(unit, code);
	n->unit_n = (uint8_t)unit.n;
	n->code_n = (uint8_t)code.n;
	memcpy(n->unit, unit.p, unit.n);
	memcpy(n->code, code.p, code.n);
	return true;
}

static void number_question(struct pg_question *q, const struct deep_number *n)
{
	pg_question(q, PG_NUMBER);
	pg_int2(q, n->lane);
	pg_bytes(q, slice_of(n->unit, n->unit_n));
	pg_bytes(q, slice_of(n->code, n->code_n));
	pg_int4(q, (int32_t)n->year);
	pg_int8(q, (int64_t)n->number);
}

static void number_answered(struct deep_number *n, const PGresult *answer)
{
	n->there = PQntuples(answer) == 1;
	if (!n->there)
		return;
	n->there_sequence = (uint64_t)pg_number(answer, 0, 0);
	n->there_lane = pg_number(answer, 0, 1);
	n->there_state = pg_number(answer, 0, 2);
}

enum status deep_numbers_ask(struct deep *d, struct deep_number *of, uint32_t n)
{
	const struct pg_servers *s = &d->reader->home->servers;
	struct pg_question *q = d->reader->questions;
	uint32_t most = s->citus ? 1 : LANES;
	enum status st = ST_OK;

	for (uint8_t server = 0; server < s->n; server++)
		for (uint32_t i = 0; i < n && st == ST_OK;) {
			struct deep_number *asked[LANES];
			PGresult *answers[LANES];
			uint32_t k = 0;

			for (; i < n && k < most; i++) {
				if (s->of_lane[of[i].lane] != server)
					continue;
				number_question(&q[k], &of[i]);
				asked[k++] = &of[i];
			}
			if (k > 0)
				st = reader_ask_all(d->reader, server, q, k, answers);
			for (uint32_t j = 0; j < k && st == ST_OK; j++)
				number_answered(asked[j], answers[j]);
		}
	return st;
}

enum status deep_hashes_ask(struct deep *d, uint8_t (*of)[SHA256_BYTES], uint32_t n, bool *there)
{
	size_t room = PG_ARRAY_BYTES + (size_t)n * (SHA256_BYTES + 4);
	struct pg_question *q = &d->reader->questions[0];
	uint8_t *buf = malloc(room);
	struct writer w = writer_of(buf, room);
	struct pg_array a;
	PGresult *answer = NULL;
	enum status st = buf != NULL ? ST_OK : ST_NOMEM;

	if (st == ST_OK && n > 0) {
		a = pg_array(&w, PG_BYTEA);
		for (uint32_t i = 0; i < n; i++)
			pg_array_bytes(&a, slice_of(of[i], SHA256_BYTES));
		pg_question(q, PG_LAYERS_THERE);
		pg_bytes(q, pg_array_end(&a));
		st = reader_ask(d->reader, d->server, q, &answer);
	}
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		there[i] = false;
		for (int k = 0; k < PQntuples(answer) && !there[i]; k++)
			there[i] = slice_eq(pg_column(answer, k, 0), slice_of(of[i], SHA256_BYTES));
	}
	free(buf);
	return st;
}
