#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/audit.pb-c.h"

#define PAGE 2000

static const char usage[] =
	"trien statistics [UNIT …] [--kind K] [--from YYYY-MM-DD] [--to YYYY-MM-DD]\n"
	"                 [--period day|month|quarter|year] [--json]\n"
	"\n"
	"How many results of which agency and kind in which period (a month): issued, each\n"
	"matter once, early, on time, late and without a deadline, online, with reuse, certified\n"
	"copies, used elsewhere, revoked; numbers voided and used outside. Without UNIT all that\n"
	"the caller may see. The last line is the sum. --json: every count that the engine keeps.\n"
	CLIENT_OPTIONS_USAGE;

struct statistics {
	struct client_options engine;
	const char *kind, *from, *to, *period;
	bool json;
	json_t *rows;
};

static bool day_read(const char *text, Trien__V1__Date *out)
{
	char behind;

	trien__v1__date__init(out);
	return strlen(text) == 10 &&
	       sscanf(text, "%4" SCNu32 "-%2" SCNu32 "-%2" SCNu32 "%c", &out->year, &out->month,
		      &out->day, &behind) == 3;
}

static bool period_read(const char *text, Trien__V1__GetStatisticsRequest *q)
{
	static const char *const names[] = { "", "day", "month", "quarter", "year" };

	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0) {
			q->period = (Trien__V1__GetStatisticsRequest__Period)i;
			return true;
		}
	return false;
}

static void columns(const char *day, const char *unit, const char *kind,
		    const Trien__V1__Counts *c)
{
	uint64_t told = c->early + c->on_time + c->late;

	printf("%-10s  %-20s  %-36s %8" PRIu64 " %8" PRIu64 " %7" PRIu64 " %7" PRIu64 " %6" PRIu64
	       " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %6" PRIu64 " %7" PRIu64
	       " %6" PRIu64 " %7" PRIu64 "\n", day, unit, kind, c->results, c->e_results, c->early,
	       c->on_time, c->late, c->e_results - told, c->online, c->reusing,
	       c->certified_copies, c->reuses, c->revoked, c->voided, c->outside);
}

static void head(void)
{
	printf("%-10s  %-20s  %-36s %8s %8s %7s %7s %6s %7s %7s %7s %7s %6s %7s %6s %7s\n",
	       "from", "unit", "kind", "issued", "once", "early", "on-time", "late", "no-due",
	       "online", "reusing", "copies", "reuses", "revoked", "voided", "outside");
}

static void show(struct statistics *s, const Trien__V1__StatisticsRow *r)
{
	char day[40] = "-";

	if (s->json) {
		json_array_append_new(s->rows, protojson_write(&r->base));
		return;
	}
	if (r->first_day != NULL)
		snprintf(day, sizeof(day), "%04" PRIu32 "-%02" PRIu32 "-%02" PRIu32,
			 r->first_day->year, r->first_day->month, r->first_day->day);
	columns(day, r->unit, r->kind[0] != '\0' ? r->kind : "-", r->counts);
}

static void end(struct statistics *s, const Trien__V1__Counts *total)
{
	if (s->json)
		json_print(json_pack("{s:O, s:o}", "rows", s->rows, "total",
				     protojson_write(&total->base)));
	else
		columns("", "", "total", total);
}

static int pages(struct statistics *s, struct client *c, Trien__V1__GetStatisticsRequest *q)
{
	char *token = strdup("");
	struct failure f = { 0 };

	q->page_size = PAGE;
	while (token != NULL) {
		Trien__V1__GetStatisticsResponse *a;

		q->page_token = token;
		a = (void *)client_call(c, AUDIT "GetStatistics", &q->base,
					&trien__v1__get_statistics_response__descriptor, &f);
		if (a == NULL)
			break;
		if (!s->json && token[0] == '\0')
			head();
		for (size_t i = 0; i < a->n_rows; i++)
			show(s, a->rows[i]);
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		if (token == NULL)
			end(s, a->total);
		trien__v1__get_statistics_response__free_unpacked(a, NULL);
	}
	free(token);
	if (f.code == 0)
		return 0;
	failure_print("statistics", &f);
	return failure_exit(&f);
}

int cli_statistics(int argc, char **argv)
{
	struct statistics s = { .engine = client_defaults(), .period = "month" };
	const struct option_row rows[] = {
		{ "kind", OPTION_TEXT, &s.kind, 0, 0 },
		{ "from", OPTION_TEXT, &s.from, 0, 0 },
		{ "to", OPTION_TEXT, &s.to, 0, 0 },
		{ "period", OPTION_TEXT, &s.period, 0, 0 },
		{ "json", OPTION_FLAG, &s.json, 0, 0 },
		CLIENT_OPTION_ROWS(s.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	Trien__V1__GetStatisticsRequest q = TRIEN__V1__GET_STATISTICS_REQUEST__INIT;
	Trien__V1__Date from, to;
	struct client *c = NULL;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (!period_read(s.period, &q))
		return options_wrong(usage, "--period is day, month, quarter or year");
	if ((s.from != NULL && !day_read(s.from, &from)) || (s.to != NULL && !day_read(s.to, &to)))
		return options_wrong(usage, "a day is written 2026-11-29");
	q.from = s.from != NULL ? &from : NULL;
	q.to = s.to != NULL ? &to : NULL;
	q.units = &argv[1];
	q.n_units = (size_t)argc - 1;
	q.kinds = (char **)&s.kind;
	q.n_kinds = s.kind != NULL;
	if (client_open(&c, &s.engine, &e) != ST_OK)
		return error_exit("statistics", &e);
	s.rows = json_array();
	code = pages(&s, c, &q);
	json_decref(s.rows);
	client_close(c);
	return code;
}
