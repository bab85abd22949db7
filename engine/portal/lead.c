/*
 * The leaders' page: today's numbers per ward and agency of the units that the leader's token
 * names. Here what is told; leadshow.c makes pictures of it.
 */
#include "portal/lead.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/utf8.h"
#include "portal/chart.h"
#include "portal/figures.h"
#include "portal/inside.h"
#include "portal/library.h"
#include "portal/models.h"
#include "portal/show.h"

#define AGENCIES_MAX 20000

const char *const figure_names[FIGURES] = {
	[FIGURE_RESULTS] = "results", [FIGURE_CASES] = "cases",
	[FIGURE_E_RESULTS] = "e_results", [FIGURE_SOLVED] = "solved",
	[FIGURE_EARLY] = "early", [FIGURE_ON_TIME] = "on_time", [FIGURE_LATE] = "late",
	[FIGURE_ONLINE] = "online", [FIGURE_CERTIFIED_COPIES] = "certified_copies",
	[FIGURE_REGISTER_COPIES] = "register_copies", [FIGURE_REUSES] = "reuses",
	[FIGURE_REVOKED] = "revoked", [FIGURE_PENDING] = "pending",
	[FIGURE_PENDING_IN_TIME] = "pending_in_time", [FIGURE_PENDING_LATE] = "pending_late",
};

/* An agency that is led, with its place in the list. */
struct agency { const char *code, *name, *ward; char *order; };

struct agencies { struct agency *all; uint32_t n; };

static bool leads(const char *units, const char *code)
{
	size_t n = strlen(code), piece;

	for (; *units != '\0'; units += piece + (units[piece] == ',')) {
		piece = strcspn(units, ",");
		if ((piece == 1 && *units == '*') ||
		    (piece == n && memcmp(units, code, n) == 0))
			return true;
	}
	return false;
}

/* By ward, then by name, as people read them. */
static int in_order(const void *a, const void *b)
{
	return strcmp(((const struct agency *)a)->order, ((const struct agency *)b)->order);
}

static char *order_of(const char *ward, const char *name, const char *code)
{
	size_t n = strlen(ward) * 2 + strlen(name) + strlen(code) + 4;
	char *text = malloc(n), *folded = NULL;

	/* A blank is less than any letter, so a ward's agencies stand together. */
	if (text != NULL) {
		snprintf(text, n, "%s  %s  %s", ward, name, code);
		folded = utf8_folded(text);
	}
	free(text);
	return folded;
}

static bool agency_add(struct agencies *a, const struct unit *u)
{
	const char *ward = u->place != NULL ? u->place : "";
	char *order = order_of(ward, u->name, u->code);

	if (order == NULL)
		return false;
	a->all[a->n++] = (struct agency){ u->code, u->name, ward, order };
	return true;
}

static void agencies_free(struct agencies *a)
{
	for (uint32_t i = 0; i < a->n; i++)
		free(a->all[i].order);
	free(a->all);
}

/* Of the catalogue, as it is on that day. */
static bool agencies_find(struct agencies *a, const struct catalogue *c, const char *units,
			  uint32_t day)
{
	const struct unit *u;
	uint32_t n = 0;

	while (n < AGENCIES_MAX && catalogue_unit_at(c, n) != NULL)
		n++;
	a->all = calloc(n + 1, sizeof(*a->all));
	for (uint32_t i = 0; a->all != NULL && i < n; i++) {
		u = catalogue_unit_at(c, i);
		if (u == catalogue_unit(c, slice_str(u->code), day) && leads(units, u->code) &&
		    !agency_add(a, u))
			return false;
	}
	if (a->n > 1)
		qsort(a->all, a->n, sizeof(a->all[0]), in_order);
	return a->all != NULL;
}

/* ---- the model ---- */

static json_t *rate_json(uint64_t part, uint64_t whole)
{
	return whole == 0 ? json_null() :
	       json_pack("{s:I, s:I, s:i}", "part", (json_int_t)part, "whole", (json_int_t)whole,
			 "per_10000", (int)chart_rate(part, whole));
}

/* Rates as trien.v1.Rates forms them, of these sums. */
static void figures_put(json_t *model, const uint64_t of[FIGURES])
{
	uint64_t in_time = of[FIGURE_EARLY] + of[FIGURE_ON_TIME];
	json_t *numbers = json_object();

	for (int i = 0; i < FIGURES; i++)
		json_object_set_new(numbers, figure_names[i], json_integer((json_int_t)of[i]));
	json_object_set_new(model, "numbers", numbers);
	json_object_set_new(model, "on_time", rate_json(in_time, in_time + of[FIGURE_LATE]));
	json_object_set_new(model, "electronic", rate_json(of[FIGURE_E_RESULTS],
							   of[FIGURE_SOLVED]));
}

static void sum(uint64_t to[FIGURES], const uint64_t of[FIGURES])
{
	for (int i = 0; i < FIGURES; i++)
		to[i] += of[i];
}

/* The agencies of one ward from a->all[*at] on, added to total. */
static json_t *ward_json(const struct agencies *a, const struct figures *f, uint32_t *at,
			 uint64_t total[FIGURES])
{
	static const uint64_t none[FIGURES];
	const char *ward = a->all[*at].ward;
	uint64_t of[FIGURES] = { 0 };
	json_t *list = json_array(), *model = json_object();

	for (; *at < a->n && strcmp(a->all[*at].ward, ward) == 0; (*at)++) {
		const struct agency *one = &a->all[*at];
		const struct figure_row *row = figures_of(f, one->code);
		json_t *j = json_pack("{s:s, s:s}", "code", one->code, "agency", one->name);

		figures_put(j, row != NULL ? row->of : none);
		sum(of, row != NULL ? row->of : none);
		json_array_append_new(list, j);
	}
	json_object_set_new(model, "ward", json_string(ward));
	figures_put(model, of);
	json_object_set_new(model, "agencies", list);
	sum(total, of);
	return model;
}

static json_t *model_of(const struct agencies *a, const struct figures *f, bool fresh)
{
	uint64_t total[FIGURES] = { 0 };
	json_t *wards = json_array(), *model = json_object(), *sums = json_object();

	for (uint32_t at = 0; at < a->n;)
		json_array_append_new(wards, ward_json(a, f, &at, total));
	figures_put(sums, total);
	json_object_set_new(model, "day", day_json(f->day));
	json_object_set_new(model, "asked", moment_json(f->asked_ms));
	json_object_set_new(model, "fresh", json_boolean(fresh));
	json_object_set_new(model, "agencies_n", json_integer(a->n));
	json_object_set_new(model, "total", sums);
	json_object_set_new(model, "wards", wards);
	return model;
}

enum status lead_model(struct request *q, json_t **model)
{
	const struct portal *p = q->portal;
	struct agencies a = { 0 };
	struct figures *f;
	bool fresh;
	enum status st = figures_take(p->figures, q->worker, q->now_ms, &f, &fresh);

	*model = NULL;
	if (st != ST_OK)
		return st;
	if (agencies_find(&a, q->worker->edition->catalogue, q->session.units, f->day))
		*model = model_of(&a, f, fresh);
	agencies_free(&a);
	figures_give(p->figures, f);
	return *model != NULL ? ST_OK : ST_NOMEM;
}
