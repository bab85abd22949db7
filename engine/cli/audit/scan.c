#include <stdlib.h>
#include <time.h>

#include "cli/audit/audit.h"

#define TRIES 20			/* of a store that is away, a second apart */

static enum status failed(struct audit *a, enum status st)
{
	pthread_mutex_lock(&a->lock);
	if (a->st == ST_OK)
		a->st = st;
	pthread_mutex_unlock(&a->lock);
	return st;
}

bool audit_may_wait(enum status st, uint32_t *tries)
{
	if ((st != ST_UNAVAILABLE && st != ST_TIMEOUT && st != ST_AGAIN) || ++*tries > TRIES)
		return false;
	nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	return true;
}

/* ---- pages ---- */

static int order(struct audit_place a, struct audit_place b)
{
	if (a.lane != b.lane)
		return a.lane < b.lane ? -1 : 1;
	return a.after < b.after ? -1 : a.after > b.after;
}

/* Over what is done; then the page must end where the next that is done begins. */
static uint64_t place_next(struct audit *a)
{
	uint64_t upto = a->scope.upto;

	for (size_t i = 0; i < a->done_n; i++) {
		const struct audit_range *d = &a->done[i];

		if (order(d->begin, a->at) == 0) {
			a->at = d->end;
		} else if (order(d->begin, a->at) > 0) {
			if (d->begin.lane == a->at.lane && d->begin.after < upto)
				upto = d->begin.after;
			break;
		}
	}
	return upto;
}

enum status audit_page_take(struct audit *a, struct audit_page *p)
{
	p->n = 0;
	while (a->at.lane < LANES && p->n == 0) {
		uint64_t upto = place_next(a);
		uint32_t tries = 0;
		enum status st;

		if (a->at.lane >= LANES)
			break;
		p->range.begin = a->at;
		do
			st = a->store->ops->names(a->walker, (uint8_t)a->at.lane, a->at.after,
						  upto, AUDIT_PAGE, p->names, &p->n);
		while (st != ST_OK && audit_may_wait(st, &tries));
		if (st != ST_OK)
			return st;
		if (p->n == AUDIT_PAGE)
			a->at.after = p->names[p->n - 1].sequence;
		else if (upto < a->scope.upto)
			a->at.after = upto;
		else
			a->at = (struct audit_place){ a->at.lane + 1, 0 };
		p->range.end = a->at;
	}
	return ST_OK;
}

static enum status page_new(struct audit_page *p)
{
	p->sums = (struct audit_sums){ 0 };
	p->days = json_object();
	p->findings = json_array();
	p->links = json_array();
	return p->days != NULL && p->findings != NULL && p->links != NULL ? ST_OK : ST_NOMEM;
}

static void page_drop(struct audit_page *p)
{
	json_decref(p->days);
	json_decref(p->findings);
	json_decref(p->links);
	p->days = p->findings = p->links = NULL;
}

static enum status page_look(const struct audit *a, struct audit_one *o, struct audit_page *p)
{
	enum status st = page_new(p);

	for (uint32_t i = 0; i < p->n && st == ST_OK; i++) {
		uint32_t tries = 0;

		if (!audit_takes(&a->scope, p->names[i].sequence))
			continue;
		do
			st = audit_result(o, p->names[i], p);
		while (st != ST_OK && audit_may_wait(st, &tries));
	}
	return st;
}

/* ---- what pages add up to ---- */

void audit_found(struct audit *a, const json_t *findings)
{
	json_t *one;
	size_t i;

	json_array_foreach(findings, i, one) {
		const char *name = json_string_value(json_object_get(one, "fault"));
		enum audit_fault f = audit_kind_by_name(name != NULL ? name : "");

		if (f == AUDIT_FAULTS)
			continue;
		a->by_fault[f]++;
		if (json_array_size(a->findings) < AUDIT_FINDINGS_MAX)
			json_array_append(a->findings, one);
	}
}

static enum status links_take(struct audit *a, const json_t *links)
{
	const char *of, *other;
	json_t *one;
	size_t i;
	int forward, fresh;

	json_array_foreach(links, i, one) {
		struct audit_link l;

		if (json_unpack(one, "[ssbb]", &of, &other, &forward, &fresh) != 0 ||
		    !id_read(l.of, slice_str(of)) || !id_read(l.other, slice_str(other)))
			continue;
		l.forward = forward != 0;
		l.fresh = fresh != 0;
		if (a->links_n == a->links_room) {
			size_t room = a->links_room == 0 ? 1024 : 2 * a->links_room;
			void *bigger = realloc(a->links, room * sizeof(*a->links));

			if (bigger == NULL)
				return ST_NOMEM;
			a->links = bigger;
			a->links_room = room;
		}
		a->links[a->links_n++] = l;
	}
	return ST_OK;
}

enum status audit_merge(struct audit *a, const struct audit_page *p)
{
	const char *day;
	json_t *n;

	a->sums.looked += p->sums.looked;
	a->sums.passed += p->sums.passed;
	a->sums.bytes += p->sums.bytes;
	a->sums.ended += p->sums.ended;
	a->sums.without_evidence += p->sums.without_evidence;
	a->sums.revoked_since += p->sums.revoked_since;
	json_object_foreach(p->days, day, n) {
		json_int_t had = json_integer_value(json_object_get(a->days, day));

		json_object_set_new(a->days, day, json_integer(had + json_integer_value(n)));
	}
	audit_found(a, p->findings);
	return links_take(a, p->links);
}

/* ---- threads ---- */

static enum status page_end(struct audit *a, struct audit_page *p)
{
	enum status st = audit_merge(a, p);

	if (st == ST_OK)
		st = audit_state_add(a, p);
	progress_show(&a->progress, a->sums.looked, a->sums.looked, a->expected);
	return st;
}

static enum status pages_look(struct audit *a, struct audit_one *o, struct audit_page *p)
{
	enum status st = ST_OK;

	for (;;) {
		pthread_mutex_lock(&a->lock);
		st = a->st == ST_OK ? audit_page_take(a, p) : a->st;
		pthread_mutex_unlock(&a->lock);
		if (st != ST_OK || p->n == 0)
			return st;
		st = page_look(a, o, p);
		if (st == ST_OK) {
			pthread_mutex_lock(&a->lock);
			st = page_end(a, p);
			pthread_mutex_unlock(&a->lock);
		}
		page_drop(p);
		if (st != ST_OK)
			return st;
	}
}

static void *work(void *arg)
{
	struct audit *a = arg;
	const struct store_ops *ops = a->store->ops;
	struct audit_page *p = calloc(1, sizeof(*p));
	struct store_reader *r = NULL;
	struct audit_one *o = NULL;
	enum status st = p == NULL ? ST_NOMEM : ops->reader_open(a->store, &r, NULL);

	if (st == ST_OK) {
		ops->unchecked(r);
		st = audit_one_new(&o, a, r);
	}
	if (st == ST_OK)
		st = pages_look(a, o, p);
	if (st != ST_OK)
		failed(a, st);
	audit_one_free(o);
	if (r != NULL)
		ops->reader_close(r);
	free(p);
	return NULL;
}

static int by_begin(const void *a, const void *b)
{
	const struct audit_range *x = a, *y = b;

	return order(x->begin, y->begin);
}

enum status audit_scan(struct audit *a, struct error *e)
{
	pthread_t threads[AUDIT_JOBS_MAX];
	uint32_t n = 0;

	if (a->done_n > 0)
		qsort(a->done, a->done_n, sizeof(*a->done), by_begin);
	a->at = (struct audit_place){ 0, 0 };
	while (n < a->jobs && pthread_create(&threads[n], NULL, work, a) == 0)
		n++;
	if (n == 0)
		return error_set(e, ST_NOMEM, "no thread can be started");
	for (uint32_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	progress_clear(&a->progress);
	if (a->st == ST_IO)
		return error_set(e, ST_IO, "the store could not be read to its end: its disk fails "
				 "for one result after the other");
	return a->st == ST_OK ? ST_OK :
	       error_set(e, a->st, "the store could not be read to its end: %s",
			 status_name(a->st));
}
