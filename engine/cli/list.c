#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/list.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/repository.pb-c.h"

static const char usage[] =
	"trien list --number N|- [--id-kind citizen] [--country VN] [--limit 200] [--hidden]\n"
	"           [--as-holder] [--json]\n"
	"\n"
	"A holder's stored results, newest first. --id-kind: citizen, old-citizen, passport,\n"
	"enterprise, tax, other-id. --number -: from standard input, so that it stands in no\n"
	"list of processes. --limit: the cases that were accepted last. --as-holder: a portal,\n"
	"for that very person: it leaves no trace.\n"
	CLIENT_OPTIONS_USAGE;

struct list {
	struct client_options engine;
	const char *id_kind, *country, *number;
	uint64_t limit;
	bool hidden, as_holder, json;
	uint64_t shown;
	json_t *rows;
};

bool id_kind_read(const char *text, Trien__V1__Holder__IdKind *out)
{
	const ProtobufCEnumDescriptor *d = &trien__v1__holder__id_kind__descriptor;
	const ProtobufCEnumValue *v;
	char name[32];

	snprintf(name, sizeof(name), "%s", text);
	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	v = protobuf_c_enum_descriptor_get_value_by_name(d, name);
	if (v == NULL || v->value == 0)
		return false;
	*out = (Trien__V1__Holder__IdKind)v->value;
	return true;
}

static const char *name_of(const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

	return v != NULL && value != 0 ? v->name : "-";
}

static void show(struct list *l, const Trien__V1__Holding *h)
{
	const Trien__V1__Result *r = h->result;
	char issued[WHEN_BYTES];

	if (l->shown++ == 0 && !l->json)
		list_head("%-26s  %-23s  %-9s  %-14s  %-24s  %s", "RESULT", "ISSUED", "LIFE",
			  "HOLDER IS", "NUMBER", "KIND");
	if (l->json)
		json_array_append_new(l->rows, protojson_write(&h->base));
	else if (r != NULL)
		printf("%-26s  %-23s  %-9s  %-14s  %-24s  %s\n", r->result_id,
		       when_text(issued, r->issue_time),
		       name_of(&trien__v1__life__descriptor, (int)r->life),
		       name_of(&trien__v1__holder__role__descriptor, (int)h->role), r->number_text,
		       r->kind);
}

static int list_pages(struct list *l, struct client *c, Trien__V1__ListResultsRequest *q)
{
	char *token = strdup("");
	struct failure f = { 0 };

	while (token != NULL && l->shown < l->limit) {
		Trien__V1__ListResultsResponse *a;

		q->page_token = token;
		q->page_size = l->limit - l->shown < 200 ? (uint32_t)(l->limit - l->shown) : 200;
		a = (void *)client_call(c, REPOSITORY "ListResults", &q->base,
					&trien__v1__list_results_response__descriptor, &f);
		if (a == NULL)
			break;
		for (size_t i = 0; i < a->n_holdings; i++)
			show(l, a->holdings[i]);
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__list_results_response__free_unpacked(a, NULL);
	}
	free(token);
	if (f.code == 0)
		return 0;
	failure_print("list", &f);
	return failure_exit(&f);
}

int cli_list(int argc, char **argv)
{
	struct list l = { .engine = client_defaults(), .id_kind = "citizen", .country = "",
			  .limit = 200 };
	const struct option_row rows[] = {
		{ "id-kind", OPTION_TEXT, &l.id_kind, 0, 0 },
		{ "country", OPTION_TEXT, &l.country, 0, 0 },
		{ "number", OPTION_TEXT, &l.number, 0, 0 },
		{ "limit", OPTION_COUNT, &l.limit, 1, 1000000 },
		{ "hidden", OPTION_FLAG, &l.hidden, 0, 0 },
		{ "as-holder", OPTION_FLAG, &l.as_holder, 0, 0 },
		{ "json", OPTION_FLAG, &l.json, 0, 0 },
		CLIENT_OPTION_ROWS(l.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	Trien__V1__ListResultsRequest q = TRIEN__V1__LIST_RESULTS_REQUEST__INIT;
	struct client *c = NULL;
	struct error e = { 0 };
	char typed[128] = "";

	if (code >= 0)
		return code;
	if (argc != 1 || l.number == NULL)
		return options_wrong(usage, "a holder's --number is needed");
	if (!id_kind_read(l.id_kind, &q.id_kind))
		return options_wrong(usage, "--id-kind %s is not one of them", l.id_kind);
	if (strcmp(l.number, "-") == 0) {
		if (fgets(typed, sizeof(typed), stdin) == NULL)
			return options_wrong(usage, "no number on standard input");
		typed[strcspn(typed, " \t\r\n")] = '\0';
		l.number = typed;
	}
	q.country = (char *)l.country;
	q.number = (char *)l.number;
	q.show_hidden = l.hidden;
	q.as_holder = l.as_holder;
	if (client_open(&c, &l.engine, &e) != ST_OK)
		return error_exit("list", &e);
	l.rows = json_array();
	code = list_pages(&l, c, &q);
	if (l.json && code == 0)
		json_print(json_incref(l.rows));
	else if (code == 0 && l.shown == 0)
		fprintf(stderr, "no results\n");
	json_decref(l.rows);
	client_close(c);
	return code;
}
