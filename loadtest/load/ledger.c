#include "load/ledger.h"

#include <stdlib.h>
#include <string.h>

#define CASES_FIRST 4096

enum status ledger_init(struct ledger *l)
{
	*l = (struct ledger){ .cases_max = CASES_FIRST, .results_max = CASES_FIRST };
	l->cases = calloc(l->cases_max, sizeof(*l->cases));
	l->results = calloc(l->results_max, sizeof(*l->results));
	return l->cases != NULL && l->results != NULL ? ST_OK : ST_NOMEM;
}

void ledger_free(struct ledger *l)
{
	free(l->cases);
	free(l->results);
	*l = (struct ledger){ 0 };
}

static void *grown(void *p, uint64_t *max, uint64_t wanted, size_t bytes)
{
	while (*max < wanted)
		*max *= 2;
	p = reallocarray(p, *max, bytes);
	if (p == NULL)
		abort();
	return p;
}

uint32_t ledger_add(struct ledger *l, int64_t due_us, uint8_t results, uint8_t call)
{
	if (l->cases_n == l->cases_max)
		l->cases = grown(l->cases, &l->cases_max, l->cases_n + 1, sizeof(*l->cases));
	if (l->results_n + results > l->results_max)
		l->results = grown(l->results, &l->results_max, l->results_n + results,
				   sizeof(*l->results));
	l->cases[l->cases_n] = (struct load_case){ .due_us = due_us, .results = results,
						   .first = (uint32_t)l->results_n, .call = call };
	memset(&l->results[l->results_n], 0, results * sizeof(*l->results));
	l->results_n += results;
	return (uint32_t)l->cases_n++;
}

uint32_t ledger_case_of(const struct ledger *l, uint32_t result)
{
	uint32_t low = 0, high = (uint32_t)l->cases_n;

	/* The last one whose first result is not behind it. */
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (l->cases[middle].first <= result)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void ledger_receipt(struct ledger *l, uint32_t place, uint8_t k, struct slice id, uint64_t number)
{
	const struct load_case *c = &l->cases[place];
	struct load_result *r = &l->results[c->first + k];

	if (k >= c->results || id.n != STENCIL_ID_BYTES) {
		l->strangers++;
		return;
	}
	if (r->receipts == 0) {
		memcpy(r->id, id.p, STENCIL_ID_BYTES);
		r->number = number;
	} else if (memcmp(r->id, id.p, STENCIL_ID_BYTES) != 0 || r->number != number) {
		l->contradictions++;
	}
	r->receipts += r->receipts < UINT8_MAX;
}

static bool is_text(const char *have, struct slice text)
{
	return strlen(have) == text.n && memcmp(have, text.p, text.n) == 0;
}

uint32_t ledger_book(struct ledger *l, struct slice unit, struct slice code, uint32_t year)
{
	struct book *b;

	for (uint32_t i = 0; i < l->books_n; i++)
		if (l->books[i].year == year && is_text(l->books[i].unit, unit) &&
		    is_text(l->books[i].code, code))
			return i;
	if (l->books_n == LEDGER_REGISTERS_MAX || unit.n >= LEDGER_CODE_BYTES ||
	    code.n >= LEDGER_CODE_BYTES)
		return LEDGER_REGISTERS_MAX;
	b = &l->books[l->books_n];
	*b = (struct book){ .year = year };
	memcpy(b->unit, unit.p, unit.n);
	memcpy(b->code, code.p, code.n);
	return l->books_n++;
}
