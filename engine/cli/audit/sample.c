#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/calendar.h"
#include "cli/audit/audit.h"

/* Whoever does not know the seed cannot tell which results will never be looked at. */
static uint32_t mark_of(const struct audit_scope *s, uint64_t sequence)
{
	uint8_t bytes[sizeof(s->seed) + sizeof(sequence)], digest[SHA256_BYTES];
	size_t n = strlen(s->seed);

	memcpy(bytes, s->seed, n);
	memcpy(bytes + n, &sequence, sizeof(sequence));
	sha256_once(bytes, n + sizeof(sequence), digest);
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
	       digest[3];
}

bool audit_takes(const struct audit_scope *s, uint64_t sequence)
{
	return s->sample_text[0] == '\0' || mark_of(s, sequence) <= s->sample;
}

bool audit_in_period(const struct audit_scope *s, int64_t issued_ms)
{
	uint32_t day = day_vietnam(issued_ms);

	return day >= s->from_day && (s->to_day == 0 || day <= s->to_day);
}

enum status audit_seed(struct audit_scope *s, struct error *e)
{
	uint8_t random[8];

	if (s->sample_text[0] == '\0' || s->seed[0] != '\0')
		return ST_OK;
	if (getentropy(random, sizeof(random)) != 0)
		return error_set(e, ST_INTERNAL, "no randomness for a sample");
	hex_lower(s->seed, random, sizeof(random));
	s->seed[2 * sizeof(random)] = '\0';
	return ST_OK;
}

/* ---- the lowest marks ---- */

static void sift(uint32_t *heap, uint64_t n)
{
	for (uint64_t at = 0, child; (child = 2 * at + 1) < n; at = child) {
		uint32_t t = heap[at];

		child += child + 1 < n && heap[child + 1] > heap[child];
		if (heap[child] <= t)
			return;
		heap[at] = heap[child];
		heap[child] = t;
	}
}

static void climb(uint32_t *heap, uint64_t at)
{
	while (at > 0 && heap[at] > heap[(at - 1) / 2]) {
		uint32_t t = heap[at];

		heap[at] = heap[(at - 1) / 2];
		heap[(at - 1) / 2] = t;
		at = (at - 1) / 2;
	}
}

/* Is it of the period that was asked for? What cannot be read may be. */
static enum status counts(struct audit *a, struct result_name name, bool *yes)
{
	struct result_view v;
	uint32_t tries = 0;
	enum status st;

	*yes = true;
	if ((a->scope.from_day == 0 && a->scope.to_day == 0) || name.lane >= LANES)
		return ST_OK;
	do
		st = a->store->ops->get(a->walker, name.lane, name.sequence, &v);
	while (st != ST_OK && audit_may_wait(st, &tries));
	if (st == ST_OK)
		*yes = audit_in_period(&a->scope, v.issued_ms);
	return st == ST_CORRUPT || st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status page_sift(struct audit *a, const struct audit_page *p, uint32_t *lowest,
			     uint64_t n, uint64_t *have)
{
	bool yes;

	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t mark = mark_of(&a->scope, p->names[i].sequence);
		enum status st;

		if (*have == n && mark >= lowest[0])
			continue;
		st = counts(a, p->names[i], &yes);
		if (st != ST_OK)
			return st;
		if (!yes)
			continue;
		if (*have < n) {
			lowest[*have] = mark;
			climb(lowest, (*have)++);
		} else {
			lowest[0] = mark;
			sift(lowest, n);
		}
	}
	return ST_OK;
}

enum status audit_sample(struct audit *a, uint64_t n, struct error *e)
{
	uint32_t *lowest = malloc(n * sizeof(*lowest));
	struct audit_page *p = calloc(1, sizeof(*p));
	enum status st = lowest == NULL || p == NULL ? ST_NOMEM : ST_OK;
	uint64_t have = 0;

	a->at = (struct audit_place){ 0, 0 };
	do {
		if (st == ST_OK)
			st = audit_page_take(a, p);
		if (st == ST_OK)
			st = page_sift(a, p, lowest, n, &have);
	} while (st == ST_OK && p->n > 0);
	if (st == ST_OK)
		a->scope.sample = have < n ? UINT32_MAX : lowest[0];
	free(lowest);
	free(p);
	return st == ST_OK ? ST_OK : error_set(e, st, "no sample can be taken: %s",
					       status_name(st));
}
