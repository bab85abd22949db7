#include <stdio.h>

#include "cli/audit/audit.h"
#include "counts.h"

static void day_counts(json_t *days, const struct tally_row *r)
{
	static const struct { const char *name; enum count of; } told_of[] = {
		{ "results", COUNT_RESULTS }, { "early", COUNT_EARLY },
		{ "on_time", COUNT_ON_TIME }, { "late", COUNT_LATE },
	};
	char day[16];
	json_t *row;

	snprintf(day, sizeof(day), "%u", r->day);
	row = json_object_get(days, day);
	if (row == NULL) {
		row = json_object();
		json_object_set_new(days, day, row);
	}
	for (size_t i = 0; i < ARRAY_LEN(told_of); i++) {
		json_int_t had = json_integer_value(json_object_get(row, told_of[i].name));

		json_object_set_new(row, told_of[i].name,
				    json_integer(had + (json_int_t)r->by.of[told_of[i].of]));
	}
}

json_t *audit_counters(struct audit *a, struct error *e)
{
	const struct counts_question q = { .from = a->scope.from_day, .to = a->scope.to_day,
					   .period = COUNTS_DAY };
	json_t *days = json_object();
	struct tally t;
	enum status st = tally_init(&t, 1024, UINT32_MAX);

	if (st == ST_OK) {
		st = a->store->ops->counts(a->walker, &q, &t);
		for (uint32_t i = 0; i < t.n && st == ST_OK; i++)
			day_counts(days, &t.rows[i]);
		tally_free(&t);
	}
	if (st != ST_OK) {
		error_set(e, st, "statistics cannot be read: %s", status_name(st));
		json_decref(days);
		return NULL;
	}
	return days;
}

static void compare(struct audit *a, const char *day, const json_t *before, const json_t *after,
		    json_t *findings)
{
	json_int_t told = json_integer_value(json_object_get(before, "results"));
	json_int_t there = json_integer_value(json_object_get(a->days, day));

	if ((before != after && !json_equal(before, after)) || told == there)
		return;
	json_array_append_new(findings, audit_finding(
		AUDIT_COUNTERS, NULL, 0, "statistics count %lld results on %s, %lld are there",
		(long long)told, day, (long long)there));
}

void audit_counters_compare(struct audit *a, const json_t *after)
{
	json_t *findings = json_array(), *row;
	const char *day;

	json_object_foreach(a->counters, day, row)
		compare(a, day, row, json_object_get(after, day), findings);
	json_object_foreach(a->days, day, row)
		if (json_object_get(a->counters, day) == NULL)
			compare(a, day, NULL, json_object_get(after, day), findings);
	audit_found(a, findings);
	json_decref(findings);
}
