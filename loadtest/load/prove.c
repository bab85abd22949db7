#include "load/prove.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trien/v1/case.pb-c.h"

void prove_example(struct proof *p, const char *fmt, ...)
{
	va_list args;

	if (p->examples_n == PROVE_EXAMPLES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(p->examples[p->examples_n++], sizeof(p->examples[0]), fmt, args);
	va_end(args);
}

static int by_id(const void *a, const void *b)
{
	const struct load_result *const *x = a, *const *y = b;

	return memcmp((*x)->id, (*y)->id, STENCIL_ID_BYTES);
}

static void look_at(const struct load_result *r, struct proof *p)
{
	const struct found *f = &r->found;
	/* Of what is on its way the number is told as a text only. */
	bool told = f->number != 0 || f->state == TRIEN__V1__STATE__STORED;

	p->results++;
	if (r->receipts == 0 || !r->is_found) {
		p->lost++;
		prove_example(p, "lost: result %.26s is not found", r->receipts > 0 ? r->id : "-");
		return;
	}
	if ((told && r->number != f->number) || memcmp(r->id, f->id, STENCIL_ID_BYTES) != 0) {
		p->differences++;
		prove_example(p, "differs: %.26s has number %" PRIu64 ", its receipt says %" PRIu64,
			      r->id, f->number, r->number);
	}
	if (f->state == TRIEN__V1__STATE__STORED) {
		p->stored++;
		return;
	}
	/* Held and void ones keep their number, but no citizen has them. */
	p->lost++;
	p->held += f->state == TRIEN__V1__STATE__HELD;
	p->void_n += f->state == TRIEN__V1__STATE__VOID;
	prove_example(p, "not stored: %.26s is in state %u", r->id, f->state);
}

void prove_results(const struct ledger *l, struct proof *p)
{
	const struct load_result **ids = calloc(l->results_n + 1, sizeof(*ids));
	uint64_t n = 0;

	if (ids == NULL)
		abort();
	for (uint64_t i = 0; i < l->cases_n; i++) {
		const struct load_case *c = &l->cases[i];

		p->undecided += c->state == CASE_OPEN;
		p->cases += c->state == CASE_ACCEPTED;
		for (uint8_t k = 0; c->state == CASE_ACCEPTED && k < c->results; k++) {
			look_at(&l->results[c->first + k], p);
			if (l->results[c->first + k].receipts > 0)
				ids[n++] = &l->results[c->first + k];
		}
	}
	qsort(ids, n, sizeof(ids[0]), by_id);
	for (uint64_t i = 1; i < n; i++) {
		if (by_id(&ids[i - 1], &ids[i]) != 0)
			continue;
		p->duplicates++;
		prove_example(p, "double: two results have the id %.26s", ids[i]->id);
	}
	if (l->contradictions > 0)
		prove_example(p, "double: %" PRIu64 " receipts differ from the first ones",
			      l->contradictions);
	p->duplicates += l->contradictions;
	p->differences += l->strangers;
	free(ids);
}

struct row { uint32_t book; uint64_t number; };

static int by_number(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->book != y->book)
		return x->book < y->book ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void tell_gap(struct proof *p, const struct book *b, uint64_t from, uint64_t to)
{
	p->gaps += to - from;
	prove_example(p, "gap: %s %s/%u has %" PRIu64 " to %" PRIu64 ", no result of ours does",
		      b->unit, b->code, b->year, from, to - 1);
}

/* The rows of one register, by number. */
static void look_through(const struct book *b, const struct row *rows, uint64_t n, struct proof *p)
{
	uint64_t expected = b->next_before;

	p->registers++;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t number = rows[i].number;

		p->numbers++;
		if (i > 0 && number == rows[i - 1].number) {
			p->duplicates++;
			prove_example(p, "double: %s %s/%u gave %" PRIu64 " twice", b->unit,
				      b->code, b->year, number);
			continue;
		}
		if (!b->listed)
			continue;
		if (number < b->next_before || number >= b->next_after) {
			p->differences++;
			prove_example(p, "differs: %s %s/%u has not given %" PRIu64, b->unit,
				      b->code, b->year, number);
			continue;
		}
		if (number > expected)
			tell_gap(p, b, expected, number);
		expected = number + 1;
	}
	if (b->listed && expected < b->next_after)
		tell_gap(p, b, expected, b->next_after);
}

void prove_numbers(const struct ledger *l, struct proof *p)
{
	struct row *rows = calloc(l->results_n + 1, sizeof(*rows));
	uint64_t n = 0, at = 0;

	if (rows == NULL)
		abort();
	for (uint64_t i = 0; i < l->results_n; i++)
		if (l->results[i].is_found && l->results[i].found.number != 0)
			rows[n++] = (struct row){ l->results[i].found.book,
						  l->results[i].found.number };
	qsort(rows, n, sizeof(rows[0]), by_number);
	for (uint32_t b = 0; b < l->books_n; b++) {
		uint64_t end = at;

		while (end < n && rows[end].book == b)
			end++;
		look_through(&l->books[b], rows + at, end - at, p);
		at = end;
	}
	/* A register that nobody knows. */
	p->differences += n - at;
	free(rows);
}

bool prove_holds(const struct proof *p)
{
	return p->lost == 0 && p->duplicates == 0 && p->gaps == 0 && p->differences == 0 &&
	       p->undecided == 0 && p->files_bad == 0 && p->list_missing == 0 &&
	       p->list_twice == 0 && p->resent_differ == 0;
}
