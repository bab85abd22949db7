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
#define BY_MAX 4

static const char usage[] =
	"trien statistics [UNIT …] [--kind K] [--from YYYY-MM-DD] [--to YYYY-MM-DD]\n"
	"                 [--period day|month|quarter|year]\n"
	"                 [--by procedure|field|signer|late-cause[,…]] [--pending] [--json]\n"
	"\n"
	"How many results of which agency and kind in which period (a month): issued, each\n"
	"matter once, dossiers, early, on time, late and without a deadline, how many percent\n"
	"were in time and how many electronic, online, dossiers with reuse, certified copies,\n"
	"copies from the register, used elsewhere, revoked; numbers voided and used outside.\n"
	"Without UNIT all that the caller may see. The last line is the sum. --by: told apart by\n"
	"what the cases say of their procedure, its field, who signs, why it is late. --pending:\n"
	"also what waits now, and what was carried over to the first day. --json: every count.\n"
	CLIENT_OPTIONS_USAGE;

struct statistics {
	struct client_options engine;
	const char *kind, *from, *to, *period, *by;
	bool pending, json;
	json_t *rows, *waiting;
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

/* procedure, field, signer, late-cause; as many as there are. */
static bool by_read(const char *text, Trien__V1__GetStatisticsRequest *q,
		    Trien__V1__GetStatisticsRequest__Breakdown by[BY_MAX])
{
	static const char *const names[BY_MAX] = { "procedure", "field", "signer", "late-cause" };

	q->by = by;
	for (; text != NULL; text = text[0] != '\0' ? text + 1 : NULL) {
		size_t n = strcspn(text, ","), i = 0;

		while (i < BY_MAX && (strlen(names[i]) != n || strncmp(names[i], text, n) != 0))
			i++;
		if (i == BY_MAX || q->n_by == BY_MAX)
			return false;
		by[q->n_by++] = (Trien__V1__GetStatisticsRequest__Breakdown)(i + 1);
		text += n;
		if (text[0] == '\0')
			break;
	}
	return true;
}

static const char *percent(char out[16], const Trien__V1__Rate *r)
{
	if (r == NULL)
		return "-";
	snprintf(out, 16, "%" PRIu32 ".%02" PRIu32, r->per_10000 / 100, r->per_10000 % 100);
	return out;
}

static void columns(const char *day, const char *unit, const char *kind,
		    const Trien__V1__Counts *c, const Trien__V1__Rates *rates)
{
	uint64_t told = c->early + c->on_time + c->late;
	char on_time[16], electronic[16];

	printf("%-10s  %-20s  %-36s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %7" PRIu64 " %7" PRIu64
	       " %6" PRIu64 " %7" PRIu64 " %8s %8s", day, unit, kind, c->results, c->e_results,
	       c->cases, c->early, c->on_time, c->late, c->e_results - told,
	       percent(on_time, rates->on_time), percent(electronic, rates->e_results));
	printf(" %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %8" PRIu64 " %6" PRIu64 " %7" PRIu64
	       " %6" PRIu64 " %7" PRIu64, c->online, c->cases_reusing, c->certified_copies,
	       c->register_copies, c->reuses, c->revoked, c->voided, c->outside);
}

static void head(void)
{
	printf("%-10s  %-20s  %-36s %8s %8s %8s %7s %7s %6s %7s %8s %8s %7s %7s %7s %8s %6s %7s "
	       "%6s %7s\n", "from", "unit", "kind", "issued", "once", "cases", "early", "on-time",
	       "late", "no-due", "on-time%", "e-res%", "online", "reusing", "copies", "reg-copy",
	       "reuses", "revoked", "voided", "outside");
}

static void part(const char *name, const char *value)
{
	if (value[0] != '\0')
		printf("  %s=%s", name, value);
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
	columns(day, r->unit, r->kind[0] != '\0' ? r->kind : "-", r->counts, r->rates);
	part("procedure", r->procedure_code);
	part("field", r->procedure_field);
	part("signer", r->signer);
	part("late-cause", r->late_cause);
	putchar('\n');
}

static void pending_columns(const char *unit, const char *kind, const Trien__V1__Pending *p)
{
	printf("%-20s  %-36s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
	       unit, kind, p->pending, p->in_time, p->late, p->from_before, p->carried_over);
}

/* On the first page; told behind the last. */
static void keep_pending(struct statistics *s, const Trien__V1__GetStatisticsResponse *a)
{
	if (a->pending_total == NULL)
		return;
	s->waiting = json_pack("{s:[], s:o}", "rows", "total",
			       protojson_write(&a->pending_total->base));
	for (size_t i = 0; i < a->n_pending; i++)
		json_array_append_new(json_object_get(s->waiting, "rows"),
				      protojson_write(&a->pending[i]->base));
	if (s->json)
		return;
	printf("%-20s  %-36s %8s %8s %8s %8s %8s\n", "unit", "kind", "pending", "in-time", "late",
	       "before", "carried");
	for (size_t i = 0; i < a->n_pending; i++)
		pending_columns(a->pending[i]->unit, a->pending[i]->kind, a->pending[i]->counts);
	pending_columns("", "total", a->pending_total);
	putchar('\n');
}

static void end(struct statistics *s, const Trien__V1__GetStatisticsResponse *a)
{
	json_t *out;

	if (!s->json) {
		columns("", "", "total", a->total, a->rates);
		putchar('\n');
		return;
	}
	out = json_pack("{s:O, s:o, s:o}", "rows", s->rows, "total",
			protojson_write(&a->total->base), "rates",
			protojson_write(&a->rates->base));
	if (s->waiting != NULL)
		json_object_set(out, "pending", s->waiting);
	json_print(out);
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
		keep_pending(s, a);
		if (!s->json && token[0] == '\0')
			head();
		for (size_t i = 0; i < a->n_rows; i++)
			show(s, a->rows[i]);
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		if (token == NULL)
			end(s, a);
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
		{ "by", OPTION_TEXT, &s.by, 0, 0 },
		{ "pending", OPTION_FLAG, &s.pending, 0, 0 },
		{ "json", OPTION_FLAG, &s.json, 0, 0 },
		CLIENT_OPTION_ROWS(s.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	Trien__V1__GetStatisticsRequest q = TRIEN__V1__GET_STATISTICS_REQUEST__INIT;
	Trien__V1__GetStatisticsRequest__Breakdown by[BY_MAX];
	Trien__V1__Date from, to;
	struct client *c = NULL;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (!period_read(s.period, &q))
		return options_wrong(usage, "--period is day, month, quarter or year");
	if (!by_read(s.by, &q, by))
		return options_wrong(usage, "--by is procedure, field, signer, late-cause");
	if ((s.from != NULL && !day_read(s.from, &from)) || (s.to != NULL && !day_read(s.to, &to)))
		return options_wrong(usage, "a day is written 2026-11-29");
	q.from = s.from != NULL ? &from : NULL;
	q.to = s.to != NULL ? &to : NULL;
	q.pending = s.pending;
	q.units = &argv[1];
	q.n_units = (size_t)argc - 1;
	q.kinds = (char **)&s.kind;
	q.n_kinds = s.kind != NULL;
	if (client_open(&c, &s.engine, &e) != ST_OK)
		return error_exit("statistics", &e);
	s.rows = json_array();
	code = pages(&s, c, &q);
	json_decref(s.rows);
	json_decref(s.waiting);
	client_close(c);
	return code;
}
