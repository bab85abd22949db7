#include "load/drive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURN_US_MAX 100000
#define MOMENTS_MAX 2048
#define MOMENT_S 0.1
#define FAIL_SECONDS 2			/* a ramp has failed after so many bad ones */

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

int64_t drive_now(const struct drive *d)
{
	return clock_us(CLOCK_MONOTONIC) - d->begin_us;
}

static struct histogram *histogram_new(void)
{
	struct histogram *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	return h;
}

enum status drive_init(struct drive *d, const struct workload *w, const struct stencils *s,
		       struct rpc *rpc, uint64_t seed, struct error *e)
{
	*d = (struct drive){ .w = w, .stencils = s, .rpc = rpc, .moment_s = MOMENT_S,
			     .random = seed * 0x9e3779b97f4a7c15u + 1 };
	d->moments = calloc(MOMENTS_MAX, sizeof(*d->moments));
	if (d->moments == NULL || !submit_init(d) || ledger_init(&d->ledger) != ST_OK)
		return error_set(e, ST_NOMEM, "out of memory");
	d->second = histogram_new();
	d->tally.list = histogram_new();
	d->tally.list_raw = histogram_new();
	d->tally.download = histogram_new();
	d->tally.download_raw = histogram_new();
	d->begin_us = clock_us(CLOCK_MONOTONIC);
	d->wall_ms = clock_us(CLOCK_REALTIME) / 1000;
	return ST_OK;
}

void drive_free(struct drive *d)
{
	for (uint32_t i = 0; i < d->phases_n; i++) {
		schedule_free(&d->phases[i].schedule);
		free(d->phases[i].corrected);
		free(d->phases[i].raw);
		free(d->phases[i].visible);
		free(d->phases[i].stored);
	}
	submit_free(d);
	reads_free(d);
	ledger_free(&d->ledger);
	free(d->second);
	free(d->tally.list);
	free(d->tally.list_raw);
	free(d->tally.download);
	free(d->tally.download_raw);
	free(d->moments);
}

/* ---- the course of the run ---- */

static void note_moment(struct drive *d, int64_t now_us)
{
	double at_s = (double)now_us / 1e6;

	if (d->moments_n > 0 && at_s < d->moments[d->moments_n - 1].at_s + d->moment_s)
		return;
	/* A long run has moments further apart. */
	if (d->moments_n == MOMENTS_MAX) {
		for (uint32_t i = 0; i < MOMENTS_MAX / 2; i++)
			d->moments[i] = d->moments[2 * i];
		d->moments_n = MOMENTS_MAX / 2;
		d->moment_s *= 2;
	}
	d->moments[d->moments_n++] = (struct moment){
		at_s, d->ledger.cases_n, d->ledger.accepted,
		d->tally.refused_calls + d->tally.refused_cases, d->results, d->backlog, d->up };
}

/* How long the oldest result has been waiting to be stored. */
static double backlog_age_ms(const struct drive *d, int64_t now_us)
{
	uint64_t stored = d->results > d->backlog ? d->results - d->backlog : 0;
	uint32_t i = d->moments_n;

	while (i > 0 && d->moments[i - 1].results > stored)
		i--;
	return i > 0 && d->backlog > 0 ? (double)now_us / 1e3 - d->moments[i - 1].at_s * 1e3 : 0;
}

/* Has a ramp gone beyond what the engine can do? Receipts or results wait too long. */
static bool ramp_failed(struct drive *d, struct phase *p, int64_t now_us)
{
	bool bad;

	if (d->w->fail_ms <= 0 || now_us < d->second_us + 1000000)
		return false;
	bad = histogram_at(d->second, 0.99) > d->w->fail_ms * 1000 ||
	      backlog_age_ms(d, now_us) > d->w->fail_ms;
	memset(d->second, 0, sizeof(*d->second));
	d->second_us = now_us;
	d->bad_seconds = bad ? d->bad_seconds + 1 : 0;
	if (d->bad_seconds < FAIL_SECONDS)
		return false;
	/* The rate of those that were the first to wait so long. */
	p->failed_rate = schedule_rate(&p->schedule, fmax(0, (double)(now_us - p->begin_us) / 1e6 -
						     FAIL_SECONDS - d->w->fail_ms / 1e3));
	return true;
}

void drive_turn(struct drive *d, uint32_t wait_us)
{
	int64_t now_us = drive_now(d);

	reads_status(d, now_us);
	reads_again(d, now_us);
	rpc_wait(d->rpc, wait_us);
	now_us = drive_now(d);
	note_moment(d, now_us);
	if (d->tick != NULL)
		d->tick(d->tick_owner, d, now_us);
}

static uint8_t pick_call(const struct drive *d, uint32_t place)
{
	const struct workload *w = d->w;
	/* Shares in every stretch of cases, without chance: the golden ratio's steps. */
	double x = fmod((place + 1) * 0.6180339887498949, 1);

	if (submit_copies(d, place))
		return CALL_COPY;
	for (uint8_t k = 0; k < CALL_CASE; k++) {
		if (x < w->calls[k])
			return k;
		x -= w->calls[k];
	}
	return w->calls[CALL_CASE] > 0 ? CALL_CASE : CALL_BATCH;
}

static void become_due(struct drive *d, int64_t due_us)
{
	uint32_t place = (uint32_t)d->ledger.cases_n;
	bool again = d->reissue_from > 0 && place >= d->reissue_from;
	uint32_t serial = again ? place - (uint32_t)d->reissue_from : place;

	place = ledger_add(&d->ledger, due_us, stencil_results(d->stencils, serial),
			   pick_call(d, place));
	submit_due(d, place);
	reads_due(d, due_us);
}

/* ---- cases that are due next ---- */

/* The k-th from now, in time of the run; false: there are no more. k is below DRIVE_AHEAD_MAX. */
static bool look_ahead(struct drive *d, struct phase *p, uint32_t k, int64_t *due_us)
{
	struct ahead *a = &d->ahead;

	for (; a->n <= k; a->n++)
		if (!schedule_next(&p->schedule,
				   &a->due_us[(a->head + a->n) % DRIVE_AHEAD_MAX]))
			return false;
	*due_us = p->begin_us + a->due_us[(a->head + k) % DRIVE_AHEAD_MAX];
	return true;
}

static void take_ahead(struct drive *d)
{
	d->ahead.head = (d->ahead.head + 1) % DRIVE_AHEAD_MAX;
	d->ahead.n--;
}

/*
 * When the cases that are due next want the loop, if before soonest_us: to read something, or
 * because a request is full. One that only joins others wakes nobody, and its latency counts from
 * when it was due all the same; the first of a batch says when that goes at the latest.
 */
static int64_t due_wakes(struct drive *d, struct phase *p, int64_t soonest_us)
{
	double lists = d->lists_due, downloads = d->downloads_due;
	uint32_t more[CALL_KINDS] = { 0 };
	int64_t due_us = 0;

	for (uint32_t k = 0; k < DRIVE_AHEAD_MAX; k++) {
		uint8_t call = pick_call(d, (uint32_t)d->ledger.cases_n + k);

		if (!look_ahead(d, p, k, &due_us) || due_us >= soonest_us)
			return soonest_us;
		lists += d->w->lists;
		downloads += d->w->downloads;
		more[call]++;
		if (lists >= 1 || downloads >= 1 || submit_fills(d, call, more[call], due_us))
			return due_us;
		if (more[call] == 1 && submit_none_waits(d, call) &&
		    due_us + d->w->batch_wait_ms * 1000 < soonest_us)
			soonest_us = due_us + d->w->batch_wait_ms * 1000;
	}
	return due_us;
}

static bool stopped(const struct drive *d)
{
	return d->fatal.code != 0 || (d->stop != NULL && *d->stop != 0);
}

/* Every case gets its due time from the schedule, however late the loop is. */
static void play(struct drive *d, struct phase *p)
{
	int64_t due_us = 0, now_us, next_us;

	d->ahead = (struct ahead){ .n = 0 };
	while (look_ahead(d, p, 0, &due_us) && !stopped(d) &&
	       d->ledger.cases_n < STENCIL_SERIALS_MAX) {
		now_us = drive_now(d);
		for (; look_ahead(d, p, 0, &due_us) && due_us <= now_us; take_ahead(d))
			become_due(d, due_us);
		if (ramp_failed(d, p, now_us))
			break;
		next_us = submit_some(d, now_us);
		now_us = drive_now(d);
		if (next_us > now_us + TURN_US_MAX)
			next_us = now_us + TURN_US_MAX;
		next_us = due_wakes(d, p, next_us);
		drive_turn(d, next_us > now_us ? (uint32_t)(next_us - now_us) : 0);
	}
	p->sent_us = drive_now(d);
}

/* Until all is decided and stored; time is over when nothing has moved for so long. */
static bool drain(struct drive *d, struct phase *p, uint32_t drain_s)
{
	int64_t moved_us = drive_now(d), asked_us = 0;
	uint64_t open = UINT64_MAX, backlog = UINT64_MAX;

	while (d->fatal.code == 0) {
		int64_t now_us = drive_now(d), next_us = submit_some(d, now_us);

		if (d->open_cases != open || d->backlog != backlog) {
			open = d->open_cases;
			backlog = d->backlog;
			moved_us = now_us;
		}
		if (submit_idle(d) && asked_us == 0)
			asked_us = now_us;
		/* An answer to a question that was asked after the last receipt. */
		if (submit_idle(d) && d->status_us > asked_us && d->status_asked_us >= asked_us &&
		    d->backlog == 0 && d->reads_out == 0 && d->probes_out == 0) {
			p->stored_us = d->status_us;
			return true;
		}
		if (now_us > moved_us + (int64_t)drain_s * 1000000)
			return false;
		drive_turn(d, next_us > now_us && next_us - now_us < TURN_US_MAX ?
			   (uint32_t)(next_us - now_us) : TURN_US_MAX);
	}
	return false;
}

bool drive_phase(struct drive *d, const char *name, const struct schedule_options *o,
		 uint32_t drain_s)
{
	struct phase *p = &d->phases[d->phases_n];
	struct error e;

	*p = (struct phase){ .name = name, .first = d->ledger.cases_n,
			     .corrected = histogram_new(), .raw = histogram_new(),
			     .visible = histogram_new(), .stored = histogram_new() };
	if (schedule_init(&p->schedule, o, &e) != ST_OK)
		abort();		/* the options were looked at before */
	d->phases_n++;
	p->begin_us = drive_now(d);
	d->second_us = p->begin_us;
	memset(d->second, 0, sizeof(*d->second));
	play(d, p);
	return drain(d, p, drain_s);
}
