/*
 * The leaders' page as it is drawn. Of more agencies than a page should have, wards are drawn, and
 * each by itself when it is chosen.
 */
#include "portal/lead.h"

#include <string.h>

#include "portal/chart.h"
#include "portal/models.h"
#include "portal/reading.h"
#include "portal/route.h"

#define AGENCIES_SHOWN_MAX 150
#define WARDS_SHOWN_MAX 300
#define REFRESH_S 60			/* without script */

/* Longest bars. */
struct scale { uint64_t results, pending; };

static uint64_t number(const json_t *group, enum figure f)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(group, "numbers"),
							    figure_names[f]));
}

static uint64_t rest(uint64_t all, uint64_t parts)
{
	return all > parts ? all - parts : 0;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void texts_put(json_t *group, enum language in)
{
	json_t *texts = json_object();
	char text[CHART_NUMBER_BYTES];

	for (int i = 0; i < FIGURES; i++) {
		chart_number(text, number(group, (enum figure)i), in);
		json_object_set_new(texts, figure_names[i], json_string(text));
	}
	json_object_set_new(group, "shown", texts);
}

static void rate_draw(json_t *group, const char *name, enum language in)
{
	json_t *rate = json_object_get(group, name);
	char text[3][CHART_NUMBER_BYTES];
	int per_10000 = (int)json_integer_value(json_object_get(rate, "per_10000"));

	if (!json_is_object(rate))
		return;
	chart_percent(text[0], (uint32_t)per_10000, in);
	chart_number(text[1], (uint64_t)json_integer_value(json_object_get(rate, "part")), in);
	chart_number(text[2], (uint64_t)json_integer_value(json_object_get(rate, "whole")), in);
	json_object_set_new(rate, "percent", json_string(text[0]));
	json_object_set_new(rate, "part_shown", json_string(text[1]));
	json_object_set_new(rate, "whole_shown", json_string(text[2]));
	json_object_set_new(rate, "arc", json_integer(per_10000 * (int)CHART_WIDTH / 10000));
}

static void draw(json_t *group, const struct scale *to, enum language in)
{
	uint64_t early = number(group, FIGURE_EARLY), on_time = number(group, FIGURE_ON_TIME);
	uint64_t late = number(group, FIGURE_LATE), pending = number(group, FIGURE_PENDING);
	uint64_t in_time = number(group, FIGURE_PENDING_IN_TIME);
	uint64_t overdue = number(group, FIGURE_PENDING_LATE), sum = early + on_time + late;
	const struct chart_part issued[] = {
		{ "early", early }, { "on-time", on_time }, { "late", late },
		{ "other", rest(number(group, FIGURE_RESULTS), sum) },
	};
	const struct chart_part waiting[] = {
		{ "late", overdue }, { "on-time", in_time },
		{ "other", rest(pending, in_time + overdue) },
	};

	texts_put(group, in);
	rate_draw(group, "on_time", in);
	rate_draw(group, "electronic", in);
	json_object_set_new(group, "issued_bar", chart_bar(issued, ARRAY_LEN(issued),
		greater(to->results, greater(sum, issued[3].n + sum))));
	json_object_set_new(group, "pending_bar", chart_bar(waiting, ARRAY_LEN(waiting),
		greater(to->pending, greater(pending, in_time + overdue))));
}

static void measure(const json_t *group, struct scale *s)
{
	s->results = greater(s->results, number(group, FIGURE_RESULTS));
	s->pending = greater(s->pending, number(group, FIGURE_PENDING));
}

/* Only the chosen ward stays; false: there is no such. */
static bool choose(json_t *model, const char *ward)
{
	const json_t *wards = json_object_get(model, "wards");
	json_t *one;
	size_t i;

	json_array_foreach(wards, i, one)
		if (strcmp(json_string_value(json_object_get(one, "ward")), ward) == 0) {
			json_object_set_new(model, "wards", json_pack("[O]", one));
			json_object_set_new(model, "chosen", json_string(ward));
			return true;
		}
	return false;
}

/* What is drawn one beside the other has one scale. */
static void wards_draw(json_t *model, enum language in)
{
	bool folded = !json_is_string(json_object_get(model, "chosen")) &&
		      json_integer_value(json_object_get(model, "agencies_n")) >
		      AGENCIES_SHOWN_MAX;
	const json_t *wards = json_object_get(model, "wards");
	struct scale s = { 0 }, alone = { 0 };
	json_t *ward, *one;
	size_t i, k;

	json_array_foreach(wards, i, ward) {
		if (folded) {
			measure(ward, &s);
			json_object_del(ward, "agencies");
		}
		json_array_foreach(json_object_get(ward, "agencies"), k, one)
			measure(one, &s);
	}
	json_array_foreach(wards, i, ward) {
		draw(ward, folded ? &s : &alone, in);
		json_array_foreach(json_object_get(ward, "agencies"), k, one)
			draw(one, &s, in);
	}
	draw(json_object_get(model, "total"), &alone, in);
	json_object_set_new(model, "folded", json_boolean(folded));
}

static void cut(json_t *model)
{
	json_t *wards = json_object_get(model, "wards");

	if (json_array_size(wards) <= WARDS_SHOWN_MAX)
		return;
	while (json_array_size(wards) > WARDS_SHOWN_MAX)
		json_array_remove(wards, json_array_size(wards) - 1);
	json_object_set_new(model, "cut", json_true());
}

static void lead_show(struct request *q)
{
	const char *ward = form_value(&q->query, "ward"), *still = form_value(&q->query, "still");
	bool stands = still != NULL && strcmp(still, "1") == 0;
	json_t *model = NULL;
	enum status st = lead_model(q, &model);
	unsigned int status = 200;

	if (st == ST_UNAVAILABLE) {
		model = json_pack("{s:b}", "none", 1);
		status = 503;
	} else if (st != ST_OK) {
		reading_refuse(q, st);
		return;
	} else if (ward != NULL && ward[0] != '\0' && !choose(model, ward)) {
		json_decref(model);
		answer_error(q, 404);
		return;
	} else {
		wards_draw(model, q->language);
		cut(model);
	}
	json_object_set_new(model, "still", json_boolean(stands));
	if (!stands)
		json_object_set_new(model, "refresh", json_integer(REFRESH_S));
	answer_page(q, status, "lead", model);
}

const struct route lead_routes[] = {
	{ METHOD_GET, "/lead", lead_show, WHO_LEADER, LIMIT_PAGE, ROUTE_SLOW },
	{ 0 }
};
