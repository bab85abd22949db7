#include "spine/inflight.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS_MIN 1024

/*
 * One row: fixed facts and the strings behind each other, so that half a million of them (a full
 * journal) stay within some 100 MB.
 */
struct row {
	struct row *next, *next_case;
	uint64_t sequence, case_hash;
	int64_t accepted_ms, at_ms, issued_ms, due_ms;
	uint8_t result_id[16];
	uint64_t number;		/* 0: none yet */
	uint32_t year;			/* of its register */
	uint8_t lane, state, held, room;
	uint8_t case_at, case_n, case_lanes[CASE_RESULTS_MAX];
	struct holder_ends ends;
	uint8_t unit_n, code_n, kind_n, number_n, register_n;
	uint16_t ordinal;
	char strings[];			/* unit, code, kind, number_text, register; no NULs */
};

struct inflight {
	pthread_mutex_t lock;
	struct row **by_sequence, **by_case;
	uint32_t mask, count, over[STATE_VOID + 1];
};

static uint64_t mix(uint64_t v)
{
	v ^= v >> 31;
	v *= 0x9e3779b97f4a7c15u;
	return v ^ v >> 29;
}

static uint64_t case_hash(struct slice unit, struct slice code)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < unit.n; i++)
		h = (h ^ unit.p[i]) * 0x100000001b3u;
	h = (h ^ 0xff) * 0x100000001b3u;
	for (size_t i = 0; i < code.n; i++)
		h = (h ^ code.p[i]) * 0x100000001b3u;
	return mix(h);
}

static enum status tables_new(struct inflight *f, uint32_t buckets)
{
	f->by_sequence = calloc(buckets, sizeof(struct row *));
	f->by_case = calloc(buckets, sizeof(struct row *));
	f->mask = buckets - 1;
	if (f->by_sequence != NULL && f->by_case != NULL)
		return ST_OK;
	free(f->by_sequence);
	free(f->by_case);
	return ST_NOMEM;
}

enum status inflight_new(struct inflight **out)
{
	struct inflight *f = calloc(1, sizeof(*f));

	if (f == NULL || tables_new(f, BUCKETS_MIN) != ST_OK) {
		free(f);
		return ST_NOMEM;
	}
	pthread_mutex_init(&f->lock, NULL);
	*out = f;
	return ST_OK;
}

void inflight_free(struct inflight *f)
{
	if (f == NULL)
		return;
	for (uint32_t i = 0; i <= f->mask; i++) {
		struct row *next;

		for (struct row *r = f->by_sequence[i]; r != NULL; r = next) {
			next = r->next;
			free(r);
		}
	}
	free(f->by_sequence);
	free(f->by_case);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void link_row(struct inflight *f, struct row *r)
{
	struct row **s = &f->by_sequence[mix(r->sequence) & f->mask];
	struct row **c = &f->by_case[r->case_hash & f->mask];

	r->next = *s;
	*s = r;
	r->next_case = *c;
	*c = r;
}

static void grow(struct inflight *f)
{
	struct inflight old = *f;

	if (f->count <= f->mask || tables_new(f, (f->mask + 1) * 2) != ST_OK) {
		f->by_sequence = old.by_sequence;
		f->by_case = old.by_case;
		f->mask = old.mask;
		return;
	}
	for (uint32_t i = 0; i <= old.mask; i++) {
		struct row *next;

		for (struct row *r = old.by_sequence[i]; r != NULL; r = next) {
			next = r->next;
			link_row(f, r);
		}
	}
	free(old.by_sequence);
	free(old.by_case);
}

static void row_show(const struct row *r, struct state_change *out)
{
	const char *p = r->strings;

	*out = (struct state_change){ .state = r->state, .held = r->held, .at_ms = r->at_ms,
				      .issued_ms = r->issued_ms, .due_ms = r->due_ms,
				      .ordinal = r->ordinal,
				      .register_year = r->year, .number = r->number,
				      .case_at = r->case_at, .case_n = r->case_n,
				      .ends = r->ends };
	memcpy(out->case_lanes, r->case_lanes, sizeof(out->case_lanes));
	memcpy(out->result_id, r->result_id, 16);
	memcpy(out->unit, p, r->unit_n);
	memcpy(out->code, p += r->unit_n, r->code_n);
	memcpy(out->kind, p += r->code_n, r->kind_n);
	memcpy(out->number_text, p += r->kind_n, r->number_n);
	memcpy(out->register_code, p + r->number_n, r->register_n);
}

static struct row **find(struct inflight *f, uint64_t sequence)
{
	struct row **at = &f->by_sequence[mix(sequence) & f->mask];

	while (*at != NULL && (*at)->sequence != sequence)
		at = &(*at)->next;
	return at;
}

static void unlink_row(struct inflight *f, struct row **at)
{
	struct row *r = *at, **c = &f->by_case[r->case_hash & f->mask];

	*at = r->next;
	while (*c != r)
		c = &(*c)->next_case;
	*c = r->next_case;
	f->count--;
	f->over[r->room]--;
}

enum status inflight_add_over(struct inflight *f, uint64_t sequence, uint8_t lane,
			      int64_t accepted_ms, const struct state_change *about,
			      enum state room)
{
	size_t unit_n = strlen(about->unit), code_n = strlen(about->code);
	size_t kind_n = strlen(about->kind), number_n = strlen(about->number_text);
	size_t register_n = strlen(about->register_code);
	struct row *r = malloc(sizeof(*r) + unit_n + code_n + kind_n + number_n + register_n);
	struct row **before, *old;
	char *p;

	if (r == NULL)
		return ST_NOMEM;
	*r = (struct row){ .sequence = sequence, .lane = lane, .accepted_ms = accepted_ms,
			   .at_ms = about->at_ms, .issued_ms = about->issued_ms,
			   .due_ms = about->due_ms,
			   .state = (uint8_t)about->state,
			   .held = (uint8_t)about->held, .room = (uint8_t)room,
			   .ordinal = about->ordinal, .number = about->number,
			   .case_at = about->case_at, .case_n = about->case_n,
			   .ends = about->ends,
			   .year = about->register_year, .register_n = (uint8_t)register_n,
			   .unit_n = (uint8_t)unit_n, .code_n = (uint8_t)code_n,
			   .kind_n = (uint8_t)kind_n, .number_n = (uint8_t)number_n };
	memcpy(r->case_lanes, about->case_lanes, sizeof(r->case_lanes));
	memcpy(r->result_id, about->result_id, 16);
	p = r->strings;
	memcpy(p, about->unit, unit_n);
	memcpy(p += unit_n, about->code, code_n);
	memcpy(p += code_n, about->kind, kind_n);
	memcpy(p += kind_n, about->number_text, number_n);
	memcpy(p + number_n, about->register_code, register_n);
	r->case_hash = case_hash(slice_str(about->unit), slice_str(about->code));
	pthread_mutex_lock(&f->lock);
	before = find(f, sequence);
	old = *before;
	if (old != NULL)
		unlink_row(f, before);
	grow(f);
	link_row(f, r);
	f->count++;
	f->over[room]++;
	pthread_mutex_unlock(&f->lock);
	free(old);
	return ST_OK;
}

enum status inflight_add(struct inflight *f, uint64_t sequence, uint8_t lane, int64_t accepted_ms,
			 const struct state_change *about)
{
	return inflight_add_over(f, sequence, lane, accepted_ms, about, 0);
}

bool inflight_set(struct inflight *f, uint64_t sequence, enum state state, enum reason held,
		  int64_t at_ms, struct state_change *changed)
{
	struct row *r;

	pthread_mutex_lock(&f->lock);
	r = *find(f, sequence);
	if (r != NULL) {
		r->state = (uint8_t)state;
		r->held = (uint8_t)held;
		r->at_ms = at_ms;
		row_show(r, changed);
	}
	pthread_mutex_unlock(&f->lock);
	return r != NULL;
}

void inflight_bare(struct inflight *f, uint64_t sequence)
{
	struct row *r;

	pthread_mutex_lock(&f->lock);
	r = *find(f, sequence);
	if (r != NULL) {
		f->over[r->room]--;
		r->room = 0;
		f->over[0]++;
	}
	pthread_mutex_unlock(&f->lock);
}

bool inflight_drop(struct inflight *f, uint64_t sequence, enum state state, int64_t at_ms,
		   struct state_change *changed)
{
	struct row **at, *r;

	pthread_mutex_lock(&f->lock);
	at = find(f, sequence);
	r = *at;
	if (r != NULL) {
		unlink_row(f, at);
		r->state = (uint8_t)state;
		if (state != STATE_VOID && state != STATE_HELD)
			r->held = REASON_NONE;
		r->at_ms = at_ms;
		row_show(r, changed);
	}
	pthread_mutex_unlock(&f->lock);
	free(r);
	return r != NULL;
}

bool inflight_get(struct inflight *f, uint64_t sequence, struct state_change *out, uint8_t *lane,
		  int64_t *accepted_ms)
{
	struct row *r;

	pthread_mutex_lock(&f->lock);
	r = *find(f, sequence);
	if (r != NULL) {
		row_show(r, out);
		*lane = r->lane;
		*accepted_ms = r->accepted_ms;
	}
	pthread_mutex_unlock(&f->lock);
	return r != NULL;
}

uint32_t inflight_case(struct inflight *f, struct slice unit, struct slice code,
		       struct state_change *out, uint32_t max)
{
	uint64_t hash = case_hash(unit, code);
	uint32_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (struct row *r = f->by_case[hash & f->mask]; r != NULL && n < max; r = r->next_case) {
		if (r->case_hash != hash || !slice_eq(unit, slice_of(r->strings, r->unit_n)) ||
		    !slice_eq(code, slice_of(r->strings + r->unit_n, r->code_n)))
			continue;
		row_show(r, &out[n++]);
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

static bool in_register(const struct row *r, struct slice unit, struct slice code, uint32_t year)
{
	const char *at = r->strings + r->unit_n + r->code_n + r->kind_n + r->number_n;

	return r->number != 0 && r->year == year &&
	       slice_eq(code, slice_of(at, r->register_n)) &&
	       slice_eq(unit, slice_of(r->strings, r->unit_n));
}

static int by_number(const void *a, const void *b)
{
	const struct flying *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

enum status inflight_register(struct inflight *f, struct slice unit, struct slice code,
			      uint32_t year, struct flying **out, uint32_t *n)
{
	uint32_t found = 0;

	*out = NULL;
	*n = 0;
	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i <= f->mask; i++)
		for (const struct row *r = f->by_sequence[i]; r != NULL; r = r->next)
			found += in_register(r, unit, code, year);
	if (found > 0)
		*out = malloc(found * sizeof(**out));
	for (uint32_t i = 0; *out != NULL && i <= f->mask; i++)
		for (const struct row *r = f->by_sequence[i]; r != NULL; r = r->next)
			if (in_register(r, unit, code, year))
				(*out)[(*n)++] = (struct flying){ r->number, r->sequence };
	pthread_mutex_unlock(&f->lock);
	if (*out == NULL)
		return found == 0 ? ST_OK : ST_NOMEM;
	qsort(*out, *n, sizeof(**out), by_number);
	return ST_OK;
}

void inflight_each(struct inflight *f, void (*one)(void *ctx, const struct flight *flight),
		   void *ctx)
{
	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i <= f->mask; i++)
		for (const struct row *r = f->by_sequence[i]; r != NULL; r = r->next) {
			const struct flight flight = {
				.unit = slice_of(r->strings, r->unit_n),
				.kind = slice_of(r->strings + r->unit_n + r->code_n, r->kind_n),
				.accepted_ms = r->accepted_ms, .due_ms = r->due_ms,
				.state = (enum state)r->state, .room = (enum state)r->room,
			};

			one(ctx, &flight);
		}
	pthread_mutex_unlock(&f->lock);
}

uint32_t inflight_count(struct inflight *f)
{
	uint32_t n;

	pthread_mutex_lock(&f->lock);
	n = f->count;
	pthread_mutex_unlock(&f->lock);
	return n;
}

uint32_t inflight_over(struct inflight *f, enum state room)
{
	uint32_t n;

	pthread_mutex_lock(&f->lock);
	n = f->over[room];
	pthread_mutex_unlock(&f->lock);
	return n;
}
