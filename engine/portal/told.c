#include "portal/told.h"

#include <stdio.h>
#include <time.h>

#include "portal/show.h"

void told_ms(json_t *m, const char *name, int64_t unix_ms)
{
	time_t s = (time_t)(unix_ms / 1000);
	char key[48], utc[32];
	struct tm tm;

	if (unix_ms == INT64_MIN)
		return;
	json_object_set_new(m, name, moment_json(unix_ms));
	gmtime_r(&s, &tm);
	strftime(utc, sizeof(utc), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(key, sizeof(key), "%s_utc", name);
	json_object_set_new(m, key, json_string(utc));
}

void told_time(json_t *m, const char *name, const Google__Protobuf__Timestamp *t)
{
	if (t != NULL)
		told_ms(m, name, t->seconds * 1000 + t->nanos / 1000000);
}
