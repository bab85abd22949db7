#include <assert.h>
#include <stdio.h>

#include "sample/kinds.h"

#define MINUTE_MS 60000ll
#define HOUR_MS (60 * MINUTE_MS)
#define DUE_MS (16 * HOUR_MS + 30 * MINUTE_MS)		/* when the counters close */

static enum fee pick_fee(struct random *r, const struct procedure *p)
{
	uint32_t which = random_below(r, 100);

	if (p->fee == 0)
		return FEE_FREE;
	if (which < 76)
		return FEE_PAID_ONLINE;
	return which < 90 ? FEE_PAID_CASH : which < 98 ? FEE_EXEMPT : FEE_DUE;
}

static enum channel pick_channel(struct random *r, const struct procedure *p)
{
	uint32_t which = random_below(r, 100);

	if (p == &procedures[PROCEDURE_ALLOWANCE] && which < 30)
		return CHANNEL_PROACTIVE;
	return which < 72 ? CHANNEL_ONLINE : which < 97 ? CHANNEL_COUNTER : CHANNEL_POST;
}

static void fill_times(struct build *b, bool today)
{
	struct facts *f = &b->facts;
	struct random *r = &b->random;
	/* One of two hundred is late by a day. */
	bool late = !today && random_chance(r, 5);
	uint32_t used = today ? 0 : late ? f->procedure->days + 1
					 : random_below(r, f->procedure->days + 1);
	int64_t morning = 7 * HOUR_MS + 30 * MINUTE_MS;

	f->received_ms = working_day_ms(-(int32_t)used) + morning +
			 random_below(r, 180) * MINUTE_MS + random_below(r, 60) * 1000;
	f->due_ms = working_day_ms((int32_t)f->procedure->days - (int32_t)used) + DUE_MS;
	if (used == 0)
		f->finished_ms = f->received_ms + random_between(r, 5, 180) * MINUTE_MS;
	else
		f->finished_ms = working_day_ms(0) + morning + random_below(r, 500) * MINUTE_MS;
	if (random_chance(r, 10)) {
		f->extended_minutes = 24 * 60;
		f->due_ms += SAMPLE_DAY_MS;
	}
}

static void fill_sources(struct build *b)
{
	struct facts *f = &b->facts;
	struct random *r = &b->random;

	if (random_chance(r, 480))
		f->reused_n = random_between(r, 1, 2);
	for (uint32_t i = 0; i < f->reused_n; i++)
		snprintf(f->reused[i], sizeof(f->reused[i]), "KQ.G%02u.%06u",
			 random_between(r, 1, 30), random_below(r, 1000000));
	for (uint32_t i = 0; i < ARRAY_LEN(f->procedure->databases) &&
	     f->procedure->databases[i] != NULL; i++) {
		struct data_source *s = &f->sources[f->sources_n++];

		s->database = f->procedure->databases[i];
		s->read_ms = f->received_ms + (i + 1) * 1000;
		snprintf(s->reference, sizeof(s->reference), "%016llx",
			 (unsigned long long)random_next(r));
	}
}

void facts_fill(struct build *b, const struct procedure *p, bool today)
{
	struct facts *f = &b->facts;
	struct random *r = &b->random;
	struct civil day;

	f->given = true;
	f->procedure = p;
	f->channel = pick_channel(r, p);
	f->fee = pick_fee(r, p);
	f->delivery = random_chance(r, 870) ? DELIVERY_ELECTRONIC :
		      random_chance(r, 700) ? DELIVERY_BY_HAND : DELIVERY_BY_POST;
	fill_times(b, today);
	fill_sources(b);
	snprintf(f->drafter, sizeof(f->drafter), "%s.congchuc%02u", b->office->account,
		 random_between(r, 1, 9));
	snprintf(f->approver, sizeof(f->approver), "%s.lanhdao", b->office->account);
	f->approver_title = b->office->approver_title;
	for (uint32_t i = 0; i < sizeof(f->shown); i += 8) {
		uint64_t word = random_next(r);

		memcpy(f->shown + i, &word, 8);
	}
	day = civil_vietnam(f->received_ms);
	build_code(b, "%s-%02u%02u%02u-%04llu", b->office->org_code, day.year % 100, day.month,
		   day.day, (unsigned long long)b->serial);
}
