#include "load/workload.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sample/sample.h"

static const char *const shapes[] = {
	[SHAPE_CONSTANT] = "constant", [SHAPE_RAMP] = "ramp", [SHAPE_DAYS] = "days",
	[SHAPE_AT_ONCE] = "at-once",
};

enum member_type { MEMBER_NUMBER, MEMBER_COUNT, MEMBER_TEXT, MEMBER_FLAG, MEMBER_OTHER };

struct member {
	const char *name;
	enum member_type type;
	void *at;			/* double, uint64_t, char[WORKLOAD_TEXT_MAX], bool */
	double min, max;
};

static enum status take(const struct member *m, const json_t *v, struct error *e)
{
	double number = json_number_value(v);

	if (m->type == MEMBER_OTHER)
		return ST_OK;
	if (m->type == MEMBER_TEXT) {
		if (!json_is_string(v) || json_string_length(v) >= WORKLOAD_TEXT_MAX)
			return error_set(e, ST_INVALID, "%s: a text of less than %d bytes",
					 m->name, WORKLOAD_TEXT_MAX);
		memcpy(m->at, json_string_value(v), json_string_length(v) + 1);
		return ST_OK;
	}
	if (m->type == MEMBER_FLAG) {
		if (!json_is_boolean(v))
			return error_set(e, ST_INVALID, "%s: true or false", m->name);
		*(bool *)m->at = json_is_true(v);
		return ST_OK;
	}
	if (!json_is_number(v) || (m->type == MEMBER_COUNT && !json_is_integer(v)) ||
	    !(number >= m->min && number <= m->max))
		return error_set(e, ST_INVALID, "%s: a number from %g to %g", m->name, m->min,
				 m->max);
	if (m->type == MEMBER_COUNT)
		*(uint64_t *)m->at = (uint64_t)number;
	else
		*(double *)m->at = number;
	return ST_OK;
}

/* Each member of the object by its row of the table. */
static enum status take_all(json_t *object, const char *where, const struct member *rows, size_t n,
			    struct error *e)
{
	const char *name;
	json_t *v;

	if (!json_is_object(object))
		return error_set(e, ST_INVALID, "%s: an object is needed", where);
	json_object_foreach(object, name, v) {
		size_t i = 0;
		enum status st;

		while (i < n && strcmp(rows[i].name, name) != 0)
			i++;
		if (i == n)
			return error_set(e, ST_INVALID, "%s: unknown member \"%s\"", where, name);
		st = take(&rows[i], v, e);
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

static enum status take_schedule(struct workload *w, json_t *object, struct error *e)
{
	struct schedule_options *o = &w->schedule;
	char shape[WORKLOAD_TEXT_MAX] = "", arrivals[WORKLOAD_TEXT_MAX] = "poisson";
	uint64_t days = 0, i = 0;
	const struct member rows[] = {
		{ "shape", MEMBER_TEXT, shape, 0, 0 },
		{ "arrivals", MEMBER_TEXT, arrivals, 0, 0 },
		{ "seconds", MEMBER_NUMBER, &o->seconds, 0.001, 1e9 },
		{ "from", MEMBER_NUMBER, &o->rate_from, 0, 1e7 },
		{ "to", MEMBER_NUMBER, &o->rate_to, 0, 1e7 },
		{ "days", MEMBER_COUNT, &days, 1, SCHEDULE_DAYS_MAX },
		{ "session", MEMBER_NUMBER, &o->session, 0, 1 },
		{ "monthEnd", MEMBER_NUMBER, &o->month_end, 1, 1000 },
		{ "failMs", MEMBER_NUMBER, &w->fail_ms, 1, 1e6 },
	};
	enum status st = take_all(object, "schedule", rows, ARRAY_LEN(rows), e);

	if (st != ST_OK)
		return st;
	o->days = (uint32_t)days;
	o->poisson = strcmp(arrivals, "poisson") == 0;
	if (!o->poisson && strcmp(arrivals, "even") != 0)
		return error_set(e, ST_INVALID, "schedule.arrivals: poisson or even");
	while (i < ARRAY_LEN(shapes) && strcmp(shape, shapes[i]) != 0)
		i++;
	if (i == ARRAY_LEN(shapes))
		return error_set(e, ST_INVALID,
				 "schedule.shape: constant, ramp, days or at-once");
	o->shape = (enum shape)i;
	return ST_OK;
}

static enum status take_mix(struct workload *w, json_t *object, struct error *e)
{
	const char *name;
	json_t *v;

	w->mixes_n = 0;
	json_object_foreach(object, name, v) {
		struct workload_mix *m = &w->mixes[w->mixes_n];

		if (w->mixes_n == WORKLOAD_MIXES_MAX || strlen(name) >= sizeof(m->name))
			return error_set(e, ST_INVALID, "mix: at most %d, names below 48 bytes",
					 WORKLOAD_MIXES_MAX);
		if (!(json_number_value(v) > 0))
			return error_set(e, ST_INVALID, "mix.%s: a weight above 0", name);
		memcpy(m->name, name, strlen(name) + 1);
		m->weight = json_number_value(v);
		w->mixes_n++;
	}
	return w->mixes_n > 0 ? ST_OK : error_set(e, ST_INVALID, "mix: at least one");
}

static enum status take_musts(struct workload *w, json_t *object, struct error *e)
{
	const struct member rows[] = {
		{ "receiptP99Flushes", MEMBER_NUMBER, &w->must_p99_flushes, 0.001, 1e9 },
		{ "generatorShare", MEMBER_NUMBER, &w->must_generator_share, 1e-6, 1e6 },
	};

	return object == NULL ? ST_OK : take_all(object, "must", rows, ARRAY_LEN(rows), e);
}

static enum status take_calls(struct workload *w, json_t *object, struct error *e)
{
	double *c = w->calls, sum;
	const struct member rows[] = {
		{ "batch", MEMBER_NUMBER, &c[CALL_BATCH], 0, 1e6 },
		{ "stream", MEMBER_NUMBER, &c[CALL_STREAM], 0, 1e6 },
		{ "case", MEMBER_NUMBER, &c[CALL_CASE], 0, 1e6 },
	};
	enum status st;

	memset(c, 0, sizeof(w->calls));
	st = take_all(object, "calls", rows, ARRAY_LEN(rows), e);
	sum = c[CALL_BATCH] + c[CALL_STREAM] + c[CALL_CASE];
	if (st == ST_OK && !(sum > 0))
		return error_set(e, ST_INVALID, "calls: one share above 0 at least");
	for (int i = 0; i < CALL_COPY; i++)
		c[i] /= sum;
	return st;
}

/* What dossiers become: results of the mix, certified copies, and reads of what is there. */
struct dossiers { double results, copies, reuse, opened; };

static void count_cases(struct workload *w, const struct dossiers *d)
{
	double n = (double)w->dossiers, results = n * d->results, copies = n * d->copies;

	if (w->dossiers == 0)
		return;
	w->schedule.cases = (uint64_t)llround(results + copies);
	w->lists = n * d->reuse / (results + copies);
	w->downloads = w->lists * d->opened;
	if (copies <= 0 || w->mixes_n == WORKLOAD_MIXES_MAX)
		return;
	/* Weights of the mix are shares of the results. */
	for (uint32_t i = 0; i < w->mixes_n; i++)
		w->mixes[i].weight *= results;
	snprintf(w->mixes[w->mixes_n].name, sizeof(w->mixes[0].name), "%s",
		 SAMPLE_COPY_KIND);
	w->mixes[w->mixes_n++].weight = copies;
}

static enum status take_workload(struct workload *w, json_t *root, struct error *e)
{
	struct dossiers d = { .results = 1, .opened = 0.25 };
	uint64_t connections = w->connections, batch = w->batch_cases, wait = w->batch_wait_ms,
		 window = w->window;
	const struct member rows[] = {
		{ "title", MEMBER_TEXT, w->title, 0, 0 },
		{ "source", MEMBER_TEXT, w->source, 0, 0 },
		{ "dossiers", MEMBER_COUNT, &w->dossiers, 1, 1e8 },
		{ "eResults", MEMBER_NUMBER, &d.results, 0.001, 1 },
		{ "copies", MEMBER_NUMBER, &d.copies, 0, 10 },
		{ "reuse", MEMBER_NUMBER, &d.reuse, 0, 10 },
		{ "opened", MEMBER_NUMBER, &d.opened, 0, 10 },
		{ "cases", MEMBER_COUNT, &w->schedule.cases, 1, 1e8 },
		{ "lists", MEMBER_NUMBER, &w->lists, 0, 10 },
		{ "downloads", MEMBER_NUMBER, &w->downloads, 0, 10 },
		{ "compress", MEMBER_NUMBER, &w->schedule.compress, 1, 1e9 },
		{ "connections", MEMBER_COUNT, &connections, 1, 64 },
		{ "batchCases", MEMBER_COUNT, &batch, 1, 500 },
		{ "batchWaitMs", MEMBER_COUNT, &wait, 0, 10000 },
		{ "window", MEMBER_COUNT, &window, 1, 64 },
		{ "verify", MEMBER_NUMBER, &w->verify, 0, 1 },
		{ "reissue", MEMBER_FLAG, &w->reissue, 0, 0 },
		{ "halfPeakSeconds", MEMBER_NUMBER, &w->half_peak_s, 1, 1e6 },
		{ "schedule", MEMBER_OTHER, NULL, 0, 0 },
		{ "mix", MEMBER_OTHER, NULL, 0, 0 },
		{ "calls", MEMBER_OTHER, NULL, 0, 0 },
		{ "must", MEMBER_OTHER, NULL, 0, 0 },
	};
	enum status st = take_all(root, "workload", rows, ARRAY_LEN(rows), e);

	if (st == ST_OK)
		st = take_schedule(w, json_object_get(root, "schedule"), e);
	if (st == ST_OK)
		st = take_mix(w, json_object_get(root, "mix"), e);
	if (st == ST_OK)
		st = take_calls(w, json_object_get(root, "calls"), e);
	if (st == ST_OK)
		st = take_musts(w, json_object_get(root, "must"), e);
	w->connections = (uint32_t)connections;
	w->batch_cases = (uint32_t)batch;
	w->batch_wait_ms = (uint32_t)wait;
	w->window = (uint32_t)window;
	if (st == ST_OK && w->schedule.shape != SHAPE_RAMP && (w->dossiers > 0) ==
	    (w->schedule.cases > 0))
		st = error_set(e, ST_INVALID, "dossiers or cases?");
	if (st == ST_OK)
		count_cases(w, &d);
	w->cases_of_file = w->schedule.cases;
	return st;
}

static void name_after(struct workload *w, const char *path)
{
	const char *base = strrchr(path, '/');
	int n;

	base = base != NULL ? base + 1 : path;
	n = (int)strcspn(base, ".");
	snprintf(w->name, sizeof(w->name), "%.*s", n, base);
}

enum status workload_read(struct workload *w, const char *path, struct error *e)
{
	struct error why = { 0 };
	json_error_t where;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	enum status st;

	*w = (struct workload){ .connections = 2, .batch_cases = 100, .batch_wait_ms = 50,
				.window = 8, .verify = 0.05, .schedule.compress = 1 };
	name_after(w, path);
	if (root == NULL && json_error_code(&where) == json_error_cannot_open_file)
		return error_set(e, ST_NOT_FOUND, "%s: no such workload", path);
	if (root == NULL)
		return error_set(e, ST_INVALID, "%s:%d: %s", path, where.line, where.text);
	st = take_workload(w, root, &why);
	json_decref(root);
	return st == ST_OK ? ST_OK : error_set(e, st, "%s: %s", path, why.text);
}
