#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/repository.pb-c.h"

static const char usage[] =
	"trien history RESULT_ID [--json]\n"
	"\n"
	"What happened to a stored result, oldest first: corrected, replaced, revoked, expired,\n"
	"hidden or restricted, another holder; when, by whom, by which paper, on what ground.\n"
	CLIENT_OPTIONS_USAGE;

static void word(const char *label, const char *text)
{
	if (text[0] != '\0')
		printf("    %-10s %s\n", label, text);
}

static void show(const Trien__V1__Event *ev)
{
	const ProtobufCEnumValue *kind =
		protobuf_c_enum_descriptor_get_value(&trien__v1__event__kind__descriptor, ev->kind);
	char when[WHEN_BYTES];

	printf("%s  %s\n", when_text(when, ev->event_time), kind != NULL ? kind->name : "?");
	if (ev->paper_number[0] != '\0' && ev->paper_date != NULL)
		printf("    %-10s %s of %04u-%02u-%02u\n", "paper", ev->paper_number,
		       ev->paper_date->year, ev->paper_date->month, ev->paper_date->day);
	word("ground", ev->ground);
	word("result", ev->other_result_id);
	word("unit", ev->unit);
	word("actor", ev->actor);
	word("told by", ev->principal);
	if (ev->kind == TRIEN__V1__EVENT__KIND__HIDDEN || ev->kind == TRIEN__V1__EVENT__KIND__SHOWN)
		printf(ev->holder != 0 ? "    %-10s number %u of its case, in that one's list\n" :
		       "    %-10s one who was added later, in that one's list\n", "holder",
		       ev->holder);
	word("from", ev->from_signer);
	word("to", ev->to_signer);
}

static int pages(struct client *c, const char *id, json_t *rows, struct failure *f)
{
	Trien__V1__ListEventsRequest q = TRIEN__V1__LIST_EVENTS_REQUEST__INIT;
	char *token = strdup("");
	int n = 0;

	q.result_id = (char *)id;
	q.page_size = 200;
	while (token != NULL) {
		Trien__V1__ListEventsResponse *a;

		q.page_token = token;
		a = (void *)client_call(c, REPOSITORY "ListEvents", &q.base,
					&trien__v1__list_events_response__descriptor, f);
		if (a == NULL)
			break;
		for (size_t i = 0; i < a->n_events; i++, n++)
			if (rows != NULL)
				json_array_append_new(rows, protojson_write(&a->events[i]->base));
			else
				show(a->events[i]);
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__list_events_response__free_unpacked(a, NULL);
	}
	free(token);
	return n;
}

int cli_history(int argc, char **argv)
{
	struct client_options engine = client_defaults();
	bool json = false;
	const struct option_row options[] = {
		{ "json", OPTION_FLAG, &json, 0, 0 },
		CLIENT_OPTION_ROWS(engine),
	};
	int code = options_read(usage, &argc, argv, options, ARRAY_LEN(options)), n;
	struct client *c = NULL;
	struct error e = { 0 };
	struct failure f = { 0 };
	json_t *rows = NULL;

	if (code >= 0)
		return code;
	if (argc != 2)
		return options_wrong(usage, "a result id is needed");
	code = options_id("history", argv[1]);
	if (code != 0)
		return code;
	if (client_open(&c, &engine, &e) != ST_OK)
		return error_exit("history", &e);
	if (json)
		rows = json_array();
	n = pages(c, argv[1], rows, &f);
	client_close(c);
	if (f.code == 0 && rows != NULL)
		json_print(json_incref(rows));
	else if (f.code == 0 && n == 0)
		fprintf(stderr, "nothing happened to it\n");
	json_decref(rows);
	if (f.code == 0)
		return 0;
	failure_print("history", &f);
	return failure_exit(&f);
}
