/* My results: the list of who is signed in, by year and agency, searched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/utf8.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/show.h"

#define PAGE_ROWS 30

struct row { int64_t issued_ms; uint64_t sequence; json_t *model; };

struct listing {
	struct reading *r;
	enum language language;
	const char *unit, *year;	/* NULL, "": any */
	char *wanted;			/* folded; NULL: anything */
	bool copies_only, hidden_too;
	json_t *years, *units;		/* code: label, of the whole list */
	struct row rows[HOLDINGS_WALKED_MAX];
	uint32_t n;
};

static bool asked(const char *value, const char *is)
{
	return value == NULL || value[0] == '\0' || strcmp(value, is) == 0;
}

static bool found_in(const json_t *row, const char *wanted)
{
	static const char *const names[] = { "kind", "number", "unit", "issued", "id" };
	bool found = false;

	for (size_t i = 0; !found && i < ARRAY_LEN(names); i++) {
		char *folded = utf8_folded(json_string_value(json_object_get(row, names[i])));

		found = folded != NULL && strstr(folded, wanted) != NULL;
		free(folded);
	}
	return found;
}

static void take(void *ctx, const struct holding_view *h)
{
	struct listing *l = ctx;
	json_t *row = show_row(l->r, h, l->language);
	const char *unit = json_string_value(json_object_get(row, "unit_code"));
	char year[16];

	snprintf(year, sizeof(year), "%u", day_vietnam(h->result.issued_ms) / 10000);
	json_object_set_new(l->years, year, json_string(year));
	json_object_set(l->units, unit, json_object_get(row, "unit"));
	if (l->n == HOLDINGS_WALKED_MAX || !asked(l->unit, unit) || !asked(l->year, year) ||
	    (l->copies_only && !json_is_true(json_object_get(row, "copy"))) ||
	    (l->wanted != NULL && !found_in(row, l->wanted))) {
		json_decref(row);
		return;
	}
	l->rows[l->n++] = (struct row){ h->result.issued_ms, h->result.sequence, row };
}

/* The store lists by acceptance; people by the date on the paper. */
static int newest_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->issued_ms != y->issued_ms)
		return x->issued_ms < y->issued_ms ? 1 : -1;
	return x->sequence < y->sequence ? 1 : x->sequence > y->sequence ? -1 : 0;
}

static int by_code(const void *a, const void *b)
{
	return strcmp(*(const char *const *)b, *(const char *const *)a);
}

/* [{value, label, chosen}], the greatest code first. */
static json_t *choices(json_t *of, const char *chosen)
{
	size_t n = json_object_size(of), i = 0;
	const char **codes = calloc(n + 1, sizeof(*codes)), *code;
	json_t *list = json_array(), *label;

	json_object_foreach(of, code, label)
		if (codes != NULL)
			codes[i++] = code;
	if (codes != NULL)
		qsort(codes, i, sizeof(*codes), by_code);
	for (size_t k = 0; k < i; k++)
		json_array_append_new(list, json_pack(
			"{s:s, s:O, s:b}", "value", codes[k], "label",
			json_object_get(of, codes[k]), "chosen",
			chosen != NULL && strcmp(chosen, codes[k]) == 0));
	free(codes);
	return list;
}

static void paging_add(json_t *model, uint32_t page, uint32_t n)
{
	uint32_t last = n > 0 ? (n - 1) / PAGE_ROWS + 1 : 1;

	json_object_set_new(model, "at", json_integer(page));
	json_object_set_new(model, "last", json_integer(last));
	json_object_set_new(model, "several", json_boolean(last > 1));
	if (page > 1)
		json_object_set_new(model, "before", json_integer(page - 1));
	if (page < last)
		json_object_set_new(model, "after", json_integer(page + 1));
}

static void text_add_to(json_t *model, const char *name, const char *value)
{
	json_object_set_new(model, name, json_string(value != NULL ? value : ""));
}

static json_t *listing_model(struct request *q, struct listing *l, bool all)
{
	json_t *model = json_object(), *rows = json_array();
	const char *at = form_value(&q->query, "page");
	uint32_t page = at != NULL ? (uint32_t)strtoul(at, NULL, 10) : 1;
	uint32_t last = l->n > 0 ? (l->n - 1) / PAGE_ROWS + 1 : 1;

	page = page < 1 ? 1 : page > last ? last : page;
	qsort(l->rows, l->n, sizeof(l->rows[0]), newest_first);
	for (uint32_t i = (page - 1) * PAGE_ROWS; i < l->n && i < page * PAGE_ROWS; i++)
		json_array_append(rows, l->rows[i].model);
	json_object_set_new(model, "results", rows);
	json_object_set_new(model, "n", json_integer(l->n));
	json_object_set_new(model, "one", json_boolean(l->n == 1));
	json_object_set_new(model, "cut", json_boolean(!all));
	json_object_set_new(model, "years", choices(l->years, l->year));
	json_object_set_new(model, "units", choices(l->units, l->unit));
	json_object_set_new(model, "copies", json_boolean(l->copies_only));
	json_object_set_new(model, "hidden_too", json_boolean(l->hidden_too));
	json_object_set_new(model, "any", json_boolean(json_object_size(l->units) > 0));
	text_add_to(model, "unit", l->unit);
	text_add_to(model, "year", l->year);
	text_add_to(model, "q", form_value(&q->query, "q"));
	paging_add(model, page, l->n);
	return model;
}

enum status mine_model(struct request *q, json_t **model)
{
	struct listing *l = calloc(1, sizeof(*l));
	const char *wanted = form_value(&q->query, "q"), *copies = form_value(&q->query, "copies");
	const char *hidden = form_value(&q->query, "hidden");
	uint8_t key[16];
	bool all = false;
	enum status st;

	*model = NULL;
	if (l == NULL)
		return ST_NOMEM;
	st = reading_of(q, &l->r);
	l->language = q->language;
	l->unit = form_value(&q->query, "unit");
	l->year = form_value(&q->query, "year");
	l->copies_only = copies != NULL && strcmp(copies, "1") == 0;
	l->hidden_too = hidden != NULL && strcmp(hidden, "1") == 0;
	l->years = json_object();
	l->units = json_object();
	if (wanted != NULL && wanted[0] != '\0')
		l->wanted = utf8_folded(wanted);
	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_list(l->r, key, q->now_ms, l->hidden_too, take, l, &all);
	if (st == ST_OK)
		*model = listing_model(q, l, all);
	for (uint32_t i = 0; i < l->n; i++)
		json_decref(l->rows[i].model);
	json_decref(l->years);
	json_decref(l->units);
	free(l->wanted);
	free(l);
	return st;
}

static void mine_show(struct request *q)
{
	json_t *model;
	enum status st = mine_model(q, &model);

	if (st != ST_OK)
		reading_refuse(q, st);
	else
		answer_page(q, 200, "results", model);
}

const struct route mine_routes[] = {
	{ METHOD_GET, "/results", mine_show, WHO_CITIZEN, LIMIT_PAGE, 0 },
	{ 0 }
};
