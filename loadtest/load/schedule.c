#include "load/schedule.h"

#include <math.h>
#include <stdlib.h>

#define HALF_HOURS 16
#define STRETCHES_A_DAY (HALF_HOURS + 2)

/* How busy the counters are, half hour by half hour; the second half begins at 13:30. */
static const uint8_t busy[HALF_HOURS] = { 5, 9, 12, 12, 10, 8, 5, 3, 4, 7, 8, 8, 7, 5, 4, 2 };

/* SplitMix64 (Steele, Lea, Flood 2014): the same on every machine. */
static double chance(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return ((double)((z ^ z >> 31) >> 11) + 0.5) / 9007199254740992.0;
}

static void add(struct schedule *s, double long_s, double from, double to)
{
	struct stretch *t = &s->stretches[s->n++];

	*t = (struct stretch){ s->long_s, long_s, from, to, s->area };
	s->area += long_s * (from + to) / 2;
	s->long_s += long_s;
}

static void add_day(struct schedule *s, const struct schedule_options *o, double weight)
{
	double total = 0, half_s = OFFICE_DAY_S / (double)HALF_HOURS, compress = o->compress;

	for (int i = 0; i < HALF_HOURS; i++)
		total += busy[i];
	for (uint32_t i = 0; i < HALF_HOURS; i++) {
		double rate = weight * (1 - o->session) * busy[i] / total / half_s * compress;
		double end_s = half_s;

		/* The session comes on top of what goes on at the counters. */
		if (i * (OFFICE_DAY_S / HALF_HOURS) == OFFICE_SESSION_S) {
			double more = weight * o->session / OFFICE_SESSION_LONG_S * compress;

			add(s, OFFICE_SESSION_LONG_S / compress, rate + more, rate + more);
			end_s -= OFFICE_SESSION_LONG_S;
		}
		add(s, end_s / compress, rate, rate);
	}
}

static void add_days(struct schedule *s, const struct schedule_options *o)
{
	for (uint32_t d = 0; d < o->days; d++) {
		bool end = d % OFFICE_MONTH_DAYS >= OFFICE_MONTH_DAYS - OFFICE_MONTH_END_DAYS;

		add_day(s, o, end && o->month_end > 0 ? o->month_end : 1);
	}
}

static enum status check(const struct schedule_options *o, struct error *e)
{
	if (o->compress < 0 || !isfinite(o->compress))
		return error_set(e, ST_INVALID, "compress: at least 1 is needed");
	if (o->shape != SHAPE_RAMP && o->cases == 0)
		return error_set(e, ST_INVALID, "no cases");
	if ((o->shape == SHAPE_CONSTANT || o->shape == SHAPE_RAMP) && !(o->seconds > 0))
		return error_set(e, ST_INVALID, "over how many seconds?");
	if (o->shape == SHAPE_RAMP && (!(o->rate_from >= 0) || !(o->rate_to > o->rate_from)))
		return error_set(e, ST_INVALID, "a ramp rises from one rate to a higher one");
	if (o->shape == SHAPE_DAYS && (o->days == 0 || o->days > SCHEDULE_DAYS_MAX))
		return error_set(e, ST_INVALID, "1 to %u days", SCHEDULE_DAYS_MAX);
	if (o->shape == SHAPE_DAYS && !(o->session >= 0 && o->session <= 1))
		return error_set(e, ST_INVALID, "session: a share from 0 to 1");
	return ST_OK;
}

enum status schedule_init(struct schedule *s, const struct schedule_options *options,
			  struct error *e)
{
	struct schedule_options o = *options;
	enum status st = check(&o, e);

	*s = (struct schedule){ .cases = o.cases, .poisson = o.poisson, .random = o.seed };
	if (st != ST_OK)
		return st;
	if (o.compress == 0)
		o.compress = 1;
	s->stretches = calloc(o.days * STRETCHES_A_DAY + 1, sizeof(*s->stretches));
	if (s->stretches == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	if (o.shape == SHAPE_AT_ONCE)
		s->at_once = true;
	else if (o.shape == SHAPE_CONSTANT)
		add(s, o.seconds / o.compress, (double)o.cases / o.seconds * o.compress,
		    (double)o.cases / o.seconds * o.compress);
	else if (o.shape == SHAPE_RAMP)
		add(s, o.seconds / o.compress, o.rate_from, o.rate_to);
	else
		add_days(s, &o);
	if (o.shape == SHAPE_RAMP)
		s->cases = (uint64_t)s->area;
	return ST_OK;
}

void schedule_free(struct schedule *s)
{
	free(s->stretches);
	s->stretches = NULL;
}

/* Where in the stretch the integral of its rate reaches a. */
static double reach(const struct stretch *t, double a)
{
	double slope = (t->to - t->from) / t->long_s;

	if (fabs(slope) * t->long_s < 1e-9 * (t->from + t->to))
		return t->from > 0 ? a / t->from : 0;
	return (sqrt(fmax(0, t->from * t->from + 2 * slope * a)) - t->from) / slope;
}

bool schedule_next(struct schedule *s, int64_t *due_us)
{
	uint64_t left = s->cases - s->given;
	double goal;

	if (left == 0)
		return false;
	/* Points in order: what is left after the next of n is the n-th root of a chance. */
	if (s->poisson)
		s->done = 1 - (1 - s->done) * pow(chance(&s->random), 1 / (double)left);
	else
		s->done = ((double)s->given + 0.5) / (double)s->cases;
	s->given++;
	*due_us = 0;
	if (s->at_once)
		return true;
	goal = s->done * s->area;
	while (s->at + 1 < s->n && s->stretches[s->at + 1].before <= goal)
		s->at++;
	*due_us = (int64_t)((s->stretches[s->at].begin_s +
			     reach(&s->stretches[s->at], goal - s->stretches[s->at].before)) * 1e6);
	return true;
}

double schedule_rate(const struct schedule *s, double at_s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct stretch *t = &s->stretches[i];
		double in_s = at_s - t->begin_s;

		if (in_s >= 0 && in_s < t->long_s)
			return (t->from + (t->to - t->from) * in_s / t->long_s) *
			       (double)s->cases / s->area;
	}
	return 0;
}
