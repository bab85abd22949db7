#include "cli/bookcheck.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/bytes.h"

#define SEEN_MIN 1024u

/* A result that was seen, by a hash of its id: 64 bits tell a million of them apart. */
struct seen { uint64_t hash, number; };

struct bookcheck {
	void (*found)(void *ctx, const struct book_finding *f);
	void *ctx;
	bool known;			/* there is a head */
	uint64_t first, next, voided;	/* of the head */
	Trien__V1__RegisterTotal total;
	bool totalled;
	uint32_t year;
	uint64_t expected, highest;	/* next number; the highest told, 0: none */
	int64_t time_ms;		/* of the latest so far, and whose it is */
	uint64_t time_number;
	struct seen *seen;		/* open addressing; hash 0: empty */
	uint32_t seen_n, seen_mask;
	bool short_of_memory;
	struct book_sums sums;
};

static const struct { const char *name, *todo; } faults[BOOK_FAULTS] = {
	[BOOK_MISSING] = { "MISSING",
		"look for it in the paper book and in the newest backup; run trien fsck, or trien "
		"store check --deep; if it is lost for good: trien register void" },
	[BOOK_TWICE] = { "TWICE",
		"the one that was issued keeps it; void the other: trien held list, trien held "
		"void" },
	[BOOK_DISORDER] = { "DISORDER", "the copy is damaged: list the register again" },
	[BOOK_TIME] = { "TIME", "compare both results with their files: trien get, trien verify" },
	[BOOK_YEAR] = { "YEAR", "compare the result with its file: trien get, trien verify" },
	[BOOK_NO_TIME] = { "NO_TIME", "run trien fsck, or trien store check --deep" },
	[BOOK_NO_REASON] = { "NO_REASON",
		"ask whoever voided it; note the reason in the paper book" },
	[BOOK_NO_RESULT] = { "NO_RESULT", "run trien fsck, or trien store check --deep" },
	[BOOK_DAMAGED] = { "DAMAGED",
		"run trien fsck, or trien store check --deep, and restore the store" },
	[BOOK_RESULT_TWICE] = { "RESULT_TWICE",
		"its file says which number is its own: trien get, trien verify" },
	[BOOK_BEYOND] = { "BEYOND",
		"the data folder is older than the store: restore its newest backup" },
	[BOOK_TOTALS] = { "TOTALS", "compare with the printed book of the year" },
};

const char *book_fault_name(enum book_fault f)
{
	return faults[f].name;
}

enum status bookcheck_new(struct bookcheck **out,
			  void (*found)(void *ctx, const struct book_finding *f), void *ctx)
{
	struct bookcheck *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return ST_NOMEM;
	b->found = found;
	b->ctx = ctx;
	*out = b;
	return ST_OK;
}

void bookcheck_free(struct bookcheck *b)
{
	if (b == NULL)
		return;
	free(b->seen);
	free(b);
}

static void find(struct bookcheck *b, enum book_fault fault, uint64_t number, uint64_t last,
		 uint64_t other, const char *fmt, ...) printf_like(6, 7);
static void find(struct bookcheck *b, enum book_fault fault, uint64_t number, uint64_t last,
		 uint64_t other, const char *fmt, ...)
{
	struct book_finding f = { .fault = fault, .number = number, .last = last, .other = other,
				  .todo = faults[fault].todo };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.what, sizeof(f.what), fmt, ap);
	va_end(ap);
	b->sums.findings++;
	if (b->found != NULL)
		b->found(b->ctx, &f);
}

void bookcheck_head(struct bookcheck *b, const Trien__V1__Register *r)
{
	b->known = true;
	b->first = b->expected = r->first;
	b->next = r->next;
	b->voided = r->voided;
	b->year = r->year;
	b->totalled = r->total != NULL;
	if (b->totalled)
		b->total = *r->total;
}

/* ---- order and completeness ---- */

static void missing(struct bookcheck *b, uint64_t from, uint64_t to)
{
	if (from == to)
		find(b, BOOK_MISSING, from, to, 0,
		     "stands nowhere: it is not issued, pending, void or used outside");
	else
		find(b, BOOK_MISSING, from, to, 0,
		     "to %" PRIu64 " stand nowhere: not issued, pending, void or used outside", to);
}

static void place(struct bookcheck *b, uint64_t number)
{
	if (b->highest != 0 && number == b->highest)
		find(b, BOOK_TWICE, number, 0, 0, "is claimed by two results");
	else if (number < b->highest)
		find(b, BOOK_DISORDER, number, 0, b->highest, "is told behind %" PRIu64,
		     b->highest);
	else
		b->highest = number;
	if (!b->known || number < b->first)
		return;
	if (number > b->expected)
		missing(b, b->expected, number - 1);
	if (number >= b->expected)
		b->expected = number + 1;
	if (number >= b->next)
		find(b, BOOK_BEYOND, number, 0, 0,
		     "is in the book, but the last one given is %" PRIu64, b->next - 1);
}

/* ---- results ---- */

static uint64_t id_hash(const char *id)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * 0x100000001b3u;
	h = (h ^ h >> 31) * 0x9e3779b97f4a7c15u;
	return h | 1;
}

static struct seen *seen_at(struct seen *table, uint32_t mask, uint64_t hash)
{
	uint64_t at = hash >> 1 & mask;

	while (table[at].hash != 0 && table[at].hash != hash)
		at = (at + 1) & mask;
	return &table[at];
}

static bool seen_room(struct bookcheck *b)
{
	uint32_t size = b->seen == NULL ? SEEN_MIN : 2 * (b->seen_mask + 1);
	struct seen *bigger;

	if (b->seen != NULL && 2 * b->seen_n <= b->seen_mask)
		return true;
	bigger = calloc(size, sizeof(*bigger));
	if (bigger == NULL) {
		b->short_of_memory = true;
		return false;
	}
	for (uint32_t i = 0; b->seen != NULL && i <= b->seen_mask; i++)
		if (b->seen[i].hash != 0)
			*seen_at(bigger, size - 1, b->seen[i].hash) = b->seen[i];
	free(b->seen);
	b->seen = bigger;
	b->seen_mask = size - 1;
	return true;
}

static void result_once(struct bookcheck *b, const Trien__V1__RegisterEntry *e)
{
	uint64_t hash = id_hash(e->result_id);
	struct seen *s;

	if (b->short_of_memory || !seen_room(b))
		return;
	s = seen_at(b->seen, b->seen_mask, hash);
	if (s->hash != 0 && s->number != e->number) {
		find(b, BOOK_RESULT_TWICE, e->number, 0, s->number,
		     "is of result %.26s, which has number %" PRIu64 " already", e->result_id,
		     s->number);
		return;
	}
	b->seen_n += s->hash == 0;
	*s = (struct seen){ hash, e->number };
}

/* ---- time ---- */

static int64_t ms_of(const Google__Protobuf__Timestamp *t)
{
	return t == NULL ? 0 : t->seconds * 1000 + t->nanos / 1000000;
}

static void clock_text(char out[32], int64_t ms)
{
	struct civil c = civil_vietnam(ms);

	snprintf(out, 32, "%04u-%02u-%02u %02u:%02u:%02u.%03u", c.year, c.month, c.day, c.hour,
		 c.minute, c.second, (unsigned)(ms % 1000));
}

static void time_of(struct bookcheck *b, const Trien__V1__RegisterEntry *e)
{
	int64_t ms = ms_of(e->issue_time);
	char now[32], before[32];

	if (ms == 0) {
		/* Of one that never had a result nobody knows when it was given. */
		if (e->result_id[0] != '\0' ||
		    (e->state != TRIEN__V1__REGISTER_ENTRY__STATE__USED_OUTSIDE &&
		     e->state != TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED))
			find(b, BOOK_NO_TIME, e->number, 0, 0, "has no date");
		return;
	}
	clock_text(now, ms);
	if (b->known && civil_vietnam(ms).year != b->year)
		find(b, BOOK_YEAR, e->number, 0, 0, "was given on %s (Vietnam), in the book of %u",
		     now, b->year);
	/* What a case brought was numbered elsewhere. */
	if (!b->known || e->number < b->first)
		return;
	if (ms < b->time_ms) {
		clock_text(before, b->time_ms);
		find(b, BOOK_TIME, e->number, 0, b->time_number,
		     "was given on %s, number %" PRIu64 " on %s", now, b->time_number, before);
		return;
	}
	b->time_ms = ms;
	b->time_number = e->number;
}

/* ---- an entry, and the end ---- */

void book_sums_add(struct book_sums *s, uint64_t first, const Trien__V1__RegisterEntry *e)
{
	if (e->number < first) {
		s->brought++;
		return;
	}
	if (s->first == 0)
		s->first = e->number;
	if (e->number > s->last)
		s->last = e->number;
	s->issued += e->state == TRIEN__V1__REGISTER_ENTRY__STATE__ISSUED;
	s->voided += e->state == TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED;
	s->outside += e->state == TRIEN__V1__REGISTER_ENTRY__STATE__USED_OUTSIDE;
	if (e->state != TRIEN__V1__REGISTER_ENTRY__STATE__PENDING)
		return;
	s->pending++;
	if (s->pending_first == 0)
		s->pending_first = e->number;
}

void bookcheck_entry(struct bookcheck *b, const Trien__V1__RegisterEntry *e)
{
	bool ended = e->state == TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED ||
		     e->state == TRIEN__V1__REGISTER_ENTRY__STATE__USED_OUTSIDE;

	place(b, e->number);
	book_sums_add(&b->sums, b->first, e);
	if (e->damaged) {
		find(b, BOOK_DAMAGED, e->number, 0, 0,
		     "leads to a result that is missing, or is another's");
		return;
	}
	time_of(b, e);
	if (ended && e->end_reason[0] == '\0')
		find(b, BOOK_NO_REASON, e->number, 0, 0, "is %s without a reason",
		     e->state == TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED ? "void" :
		     "used outside");
	if (e->result_id[0] != '\0')
		result_once(b, e);
	else if (!ended)
		find(b, BOOK_NO_RESULT, e->number, 0, 0, "names no result");
}

static void totals(struct bookcheck *b)
{
	const struct book_sums *s = &b->sums;

	if (s->pending == 0 && s->voided < b->voided)
		find(b, BOOK_TOTALS, 0, 0, 0, "%" PRIu64 " are void, the register counts %" PRIu64,
		     s->voided, b->voided);
	if (b->totalled && (s->issued != b->total.issued || s->voided != b->total.voided ||
			    s->outside != b->total.used_outside))
		find(b, BOOK_TOTALS, 0, 0, 0,
		     "it was closed with %" PRIu64 " issued, %" PRIu64 " void, %" PRIu64
		     " used outside; now these are %" PRIu64 ", %" PRIu64 ", %" PRIu64,
		     b->total.issued, b->total.voided, b->total.used_outside, s->issued,
		     s->voided, s->outside);
}

enum status bookcheck_end(struct bookcheck *b, struct book_sums *sums)
{
	if (b->known && b->expected < b->next)
		missing(b, b->expected, b->next - 1);
	if (b->known)
		totals(b);
	*sums = b->sums;
	return b->short_of_memory ? ST_NOMEM : ST_OK;
}
