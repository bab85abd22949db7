#include "cli/storedeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/progress.h"
#include "client/protojson.h"
#include "limits.h"
#include "store/postgres/deep.h"

#define SETTLE_MS 2000
#define UNDETERMINED 3

static const char *const names[DEEP_TABLES] = {
	[DEEP_RESULTS] = "results", [DEEP_HOLDINGS] = "holdings", [DEEP_LOCATORS] = "locators",
	[DEEP_NUMBERS] = "numbers", [DEEP_VOIDED] = "voided", [DEEP_EVENTS] = "events",
	[DEEP_READINGS] = "readings", [DEEP_LAYERS] = "layers",
	[DEEP_ORIGINALS] = "originals",
};

struct telling {
	const struct store_deep *o;
	struct progress progress;
	uint64_t lines_n;
	json_t *lines;			/* --json */
};

static void told(void *ctx, const char *line, enum pg_deep_line kind)
{
	static const char *const kinds[] = { [DEEP_FAULT] = "fault", [DEEP_OPEN] = "open",
					     [DEEP_SPARE] = "spare" };
	struct telling *t = ctx;

	if (t->lines_n++ >= t->o->lines_max)
		return;
	if (t->lines != NULL) {
		json_array_append_new(t->lines, json_pack("{s:s, s:s}", "kind", kinds[kind],
							  "text", line));
		return;
	}
	progress_clear(&t->progress);
	if (kind != DEEP_FAULT)
		printf("%s: ", kinds[kind]);
	printf("%s\n", line);
}

static void progress(void *ctx, const struct pg_deep_report *r)
{
	struct telling *t = ctx;
	uint64_t rows = 0;

	for (int i = 0; i < DEEP_TABLES; i++)
		rows += r->rows[i];
	progress_show(&t->progress, rows, r->lanes, LANES);
}

static void conclude_json(struct telling *t, const struct pg_deep_report *r)
{
	json_t *rows = json_object();

	for (int i = 0; i < DEEP_TABLES; i++)
		json_object_set_new(rows, names[i], json_integer((json_int_t)r->rows[i]));
	json_print(json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:O}", "rows", rows,
			     "file_bytes", (json_int_t)r->file_bytes, "faults",
			     (json_int_t)r->faults, "open", (json_int_t)r->open, "claimed",
			     (json_int_t)r->claimed, "spare", (json_int_t)r->spare, "files",
			     (int)r->files, "counters", (int)r->counters, "lines", t->lines));
}

static void conclude(struct telling *t, const struct pg_deep_report *r)
{
	char number[COUNT_TEXT_BYTES];

	progress_clear(&t->progress);
	if (t->lines_n > t->o->lines_max)
		printf("and %" PRIu64 " more\n", t->lines_n - t->o->lines_max);
	for (int i = 0; i < DEEP_TABLES; i++)
		if (r->files || (i != DEEP_HOLDINGS && i != DEEP_LOCATORS && i != DEEP_LAYERS &&
				 i != DEEP_ORIGINALS))
			printf("%-10s %s\n", names[i], count_text(number, r->rows[i]));
	if (r->files)
		printf("%-10s %s\n", "file bytes", count_text(number, r->file_bytes));
	else
		printf("not looked at: files, holdings, locators, layers; this user may not "
		       "(GRANT trien_reader)\n");
	if (!r->counters)
		printf("not looked at: counters; this user may not (GRANT trien_auditor)\n");
	if (r->claimed > 0)
		printf("%s originals are of cases that are on their way in an engine\n",
		       count_text(number, r->claimed));
	if (r->spare > 0)
		printf("%s originals nobody needs: no engine removes them, an operator may\n",
		       count_text(number, r->spare));
	if (r->open > 0)
		printf("%s numbers are not there: pending in an engine (trien held list), or "
		       "lost\n", count_text(number, r->open));
	if (r->faults > 0)
		printf("DAMAGED: %s faults\n", count_text(number, r->faults));
	else
		printf("%s\n", r->files && r->open == 0 ? "all as it should be" :
		       "nothing is damaged that was looked at");
}

enum status store_deep_run(const struct store_deep *o, int *code, struct error *e)
{
	struct telling t = { .o = o };
	struct pg_deep_config cfg = { .postgres = o->servers, .postgres_n = o->servers_n,
				      .citus = o->citus, .reader = o->reader,
				      .settle_ms = SETTLE_MS, .told = told, .progress = progress,
				      .ctx = &t };
	struct pg_deep_report r;
	enum status st;

	t.lines = o->json ? json_array() : NULL;
	progress_start(&t.progress, "rows");
	st = pg_deep_check(&cfg, &r, e);
	progress_clear(&t.progress);
	if (st == ST_OK && o->json)
		conclude_json(&t, &r);
	else if (st == ST_OK)
		conclude(&t, &r);
	json_decref(t.lines);
	*code = r.faults > 0 ? EX_DATAERR : r.open > 0 || !r.files ? UNDETERMINED : 0;
	return st;
}
