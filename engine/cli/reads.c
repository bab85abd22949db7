/* reuse, reads, case: what another procedure may use, who read, and how far a case is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/list.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/repository.pb-c.h"

#define KINDS_MAX 32

static const char reuse_usage[] =
	"trien reuse --number N|- --purpose TEXT --legal-basis TEXT --case CODE\n"
	"            [--kinds K,K…] [--requester TEXT] [--id-kind citizen] [--country VN]\n"
	"            [--json]\n"
	"\n"
	"A citizen's results of any agency that another procedure can use: valid, and shown by\n"
	"the holder, who sees that it was asked for and why. --number -: from standard input.\n"
	CLIENT_OPTIONS_USAGE;

static const char reads_usage[] =
	"trien reads --number N|- [--id-kind citizen] [--country VN] | --result RESULT_ID\n"
	"            [--limit 200] [--json]\n"
	"\n"
	"Who read about a holder, or a result, newest first: when, who, for whom, why.\n"
	"--number -: from standard input, so that it stands in no list of processes.\n"
	CLIENT_OPTIONS_USAGE;

static const char case_usage[] =
	"trien case UNIT CODE [--json]\n"
	"\n"
	"A case with all its results, of whichever agencies, and where each of them is. Exit 3\n"
	"while not all are done.\n"
	CLIENT_OPTIONS_USAGE;

struct asked {
	const char *command, *usage;
	struct client_options engine;
	const char *id_kind, *country, *number, *result;
	const char *purpose, *legal_basis, *case_code, *requester;
	char *kinds;
	uint64_t limit;
	bool json;
	char typed[128];
	json_t *rows;
	uint64_t shown;
};

/* -1: go on. */
static int person_read(struct asked *a, Trien__V1__Person *out)
{
	if (!id_kind_read(a->id_kind, &out->id_kind))
		return options_wrong(a->usage, "--id-kind %s is not one of them", a->id_kind);
	if (strcmp(a->number, "-") == 0) {
		if (fgets(a->typed, sizeof(a->typed), stdin) == NULL)
			return options_wrong(a->usage, "no number on standard input");
		a->typed[strcspn(a->typed, " \t\r\n")] = '\0';
		a->number = a->typed;
	}
	out->country = (char *)a->country;
	out->number = (char *)a->number;
	return -1;
}

static const char *name_of(const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

	return v != NULL ? v->name : "?";
}

static void show(struct asked *a, const ProtobufCMessage *m, void (*line)(const void *m))
{
	a->shown++;
	if (a->json)
		json_array_append_new(a->rows, protojson_write(m));
	else
		line(m);
}

static int finish(struct asked *a, struct client *c, const struct failure *f, const char *none)
{
	client_close(c);
	if (f->code != 0) {
		failure_print(a->command, f);
		json_decref(a->rows);
		return failure_exit(f);
	}
	if (a->json)
		json_print(json_incref(a->rows));
	else if (a->shown == 0)
		fprintf(stderr, "%s\n", none);
	json_decref(a->rows);
	return 0;
}

/* ---- reuse ---- */

static void holding_line(const void *m)
{
	const Trien__V1__Holding *h = m;
	const Trien__V1__Result *r = h->result;

	if (r != NULL)
		printf("%-26s  %-9s  %-24s  %-16s  %s\n", r->result_id,
		       name_of(&trien__v1__life__descriptor, (int)r->life), r->number_text,
		       r->unit, r->kind);
}

static void holding_show(struct asked *a, const Trien__V1__Holding *h)
{
	if (a->shown == 0 && !a->json)
		list_head("%-26s  %-9s  %-24s  %-16s  %s", "RESULT", "LIFE", "NUMBER", "AGENCY",
			  "KIND");
	show(a, &h->base, holding_line);
}

static void reuse_pages(struct asked *a, struct client *c, Trien__V1__FindReusableRequest *q,
			struct failure *f)
{
	char *token = strdup("");

	q->page_size = 200;
	while (token != NULL) {
		Trien__V1__FindReusableResponse *page;

		q->page_token = token;
		page = (void *)client_call(c, REPOSITORY "FindReusable", &q->base,
					   &trien__v1__find_reusable_response__descriptor, f);
		if (page == NULL)
			break;
		for (size_t i = 0; i < page->n_holdings; i++)
			holding_show(a, page->holdings[i]);
		free(token);
		token = page->next_page_token[0] != '\0' ? strdup(page->next_page_token) : NULL;
		trien__v1__find_reusable_response__free_unpacked(page, NULL);
	}
	free(token);
}

int cli_reuse(int argc, char **argv)
{
	struct asked a = { .command = "reuse", .usage = reuse_usage, .engine = client_defaults(),
			   .id_kind = "citizen", .country = "", .purpose = "", .legal_basis = "",
			   .case_code = "", .requester = "" };
	const struct option_row options[] = {
		{ "number", OPTION_TEXT, &a.number, 0, 0 },
		{ "id-kind", OPTION_TEXT, &a.id_kind, 0, 0 },
		{ "country", OPTION_TEXT, &a.country, 0, 0 },
		{ "kinds", OPTION_TEXT, &a.kinds, 0, 0 },
		{ "purpose", OPTION_TEXT, &a.purpose, 0, 0 },
		{ "legal-basis", OPTION_TEXT, &a.legal_basis, 0, 0 },
		{ "case", OPTION_TEXT, &a.case_code, 0, 0 },
		{ "requester", OPTION_TEXT, &a.requester, 0, 0 },
		{ "json", OPTION_FLAG, &a.json, 0, 0 },
		CLIENT_OPTION_ROWS(a.engine),
	};
	int code = options_read(reuse_usage, &argc, argv, options, ARRAY_LEN(options));
	Trien__V1__FindReusableRequest q = TRIEN__V1__FIND_REUSABLE_REQUEST__INIT;
	Trien__V1__Person who = TRIEN__V1__PERSON__INIT;
	Trien__V1__Purpose why = TRIEN__V1__PURPOSE__INIT;
	char *kinds[KINDS_MAX + 1], *rest = NULL;
	struct client *c = NULL;
	struct failure f = { 0 };
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc != 1 || a.number == NULL)
		return options_wrong(reuse_usage, "a holder's --number is needed");
	code = person_read(&a, &who);
	if (code >= 0)
		return code;
	why.purpose = (char *)a.purpose;
	why.legal_basis = (char *)a.legal_basis;
	why.case_code = (char *)a.case_code;
	why.requester = (char *)a.requester;
	q.holder = &who;
	q.purpose = &why;
	q.kinds = kinds;
	for (char *k = a.kinds != NULL ? strtok_r(a.kinds, ",", &rest) : NULL;
	     k != NULL && q.n_kinds <= KINDS_MAX; k = strtok_r(NULL, ",", &rest))
		kinds[q.n_kinds++] = k;
	if (client_open(&c, &a.engine, &e) != ST_OK)
		return error_exit("reuse", &e);
	a.rows = json_array();
	reuse_pages(&a, c, &q, &f);
	return finish(&a, c, &f, "nothing that can be reused");
}

/* ---- reads ---- */

static void read_line(const void *m)
{
	const Trien__V1__Read *r = m;
	char when[WHEN_BYTES];

	printf("%-23s  %s  %s%s  %u result%s\n", when_text(when, r->read_time), r->reader,
	       name_of(&trien__v1__read__call__descriptor, (int)r->call),
	       r->reuse ? " reuse" : "", r->results, r->results == 1 ? "" : "s");
	if (r->purpose != NULL)
		printf("    %s | %s | case %s%s%s\n", r->purpose->purpose,
		       r->purpose->legal_basis, r->purpose->case_code,
		       r->purpose->requester[0] != '\0' ? " | for " : "", r->purpose->requester);
}

static void read_show(struct asked *a, const Trien__V1__Read *r)
{
	if (a->shown == 0 && !a->json)
		list_head("%-23s  %s", "READ", "BY, HOW, WHAT");
	show(a, &r->base, read_line);
}

static void reads_pages(struct asked *a, struct client *c, Trien__V1__ListReadsRequest *q,
			struct failure *f)
{
	char *token = strdup("");

	while (token != NULL && a->shown < a->limit) {
		Trien__V1__ListReadsResponse *page;

		q->page_token = token;
		q->page_size = a->limit - a->shown < 200 ? (uint32_t)(a->limit - a->shown) : 200;
		page = (void *)client_call(c, REPOSITORY "ListReads", &q->base,
					   &trien__v1__list_reads_response__descriptor, f);
		if (page == NULL)
			break;
		for (size_t i = 0; i < page->n_reads; i++)
			read_show(a, page->reads[i]);
		free(token);
		token = page->next_page_token[0] != '\0' ? strdup(page->next_page_token) : NULL;
		trien__v1__list_reads_response__free_unpacked(page, NULL);
	}
	free(token);
}

int cli_reads(int argc, char **argv)
{
	struct asked a = { .command = "reads", .usage = reads_usage, .engine = client_defaults(),
			   .id_kind = "citizen", .country = "", .limit = 200 };
	const struct option_row options[] = {
		{ "number", OPTION_TEXT, &a.number, 0, 0 },
		{ "id-kind", OPTION_TEXT, &a.id_kind, 0, 0 },
		{ "country", OPTION_TEXT, &a.country, 0, 0 },
		{ "result", OPTION_TEXT, &a.result, 0, 0 },
		{ "limit", OPTION_COUNT, &a.limit, 1, 1000000 },
		{ "json", OPTION_FLAG, &a.json, 0, 0 },
		CLIENT_OPTION_ROWS(a.engine),
	};
	int code = options_read(reads_usage, &argc, argv, options, ARRAY_LEN(options));
	Trien__V1__ListReadsRequest q = TRIEN__V1__LIST_READS_REQUEST__INIT;
	Trien__V1__Person who = TRIEN__V1__PERSON__INIT;
	struct client *c = NULL;
	struct failure f = { 0 };
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc != 1 || (a.number == NULL) == (a.result == NULL))
		return options_wrong(reads_usage, "a holder's --number or a --result is needed");
	if (a.number != NULL) {
		code = person_read(&a, &who);
		if (code >= 0)
			return code;
		q.holder = &who;
	} else {
		q.result_id = (char *)a.result;
	}
	if (client_open(&c, &a.engine, &e) != ST_OK)
		return error_exit("reads", &e);
	a.rows = json_array();
	reads_pages(&a, c, &q, &f);
	return finish(&a, c, &f, "nobody but the holder");
}

/* ---- case ---- */

static void case_print(const Trien__V1__GetCaseResponse *r)
{
	list_head("%-18s  %-24s  %-36s  %-26s  %s", "STATE", "AGENCY", "KIND", "RESULT", "NUMBER");
	for (size_t i = 0; i < r->n_results; i++) {
		const Trien__V1__LinkedResult *l = r->results[i];

		printf("%-18s  %-24s  %-36s  %-26s  %s%s%s%s\n",
		       name_of(&trien__v1__state__descriptor, (int)l->state), l->unit, l->kind,
		       l->result_id[0] != '\0' ? l->result_id : "-", l->number_text,
		       l->held_reason, l->life != 0 ? "  " : "",
		       l->life != 0 ? name_of(&trien__v1__life__descriptor, (int)l->life) : "");
	}
	printf("%u of %u issued%s", r->stored, r->total, r->ended > 0 ? "" : "\n");
	if (r->ended > 0)
		printf(", %u ended otherwise\n", r->ended);
}

int cli_case(int argc, char **argv)
{
	struct client_options engine = client_defaults();
	bool json = false;
	const struct option_row options[] = {
		{ "json", OPTION_FLAG, &json, 0, 0 },
		CLIENT_OPTION_ROWS(engine),
	};
	int code = options_read(case_usage, &argc, argv, options, ARRAY_LEN(options));
	Trien__V1__GetCaseRequest q = TRIEN__V1__GET_CASE_REQUEST__INIT;
	Trien__V1__GetCaseResponse *r;
	struct client *c = NULL;
	struct failure f = { 0 };
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc != 3)
		return options_wrong(case_usage, "an agency and a case's code are needed");
	q.unit = argv[1];
	q.code = argv[2];
	if (client_open(&c, &engine, &e) != ST_OK)
		return error_exit("case", &e);
	r = (void *)client_call(c, REPOSITORY "GetCase", &q.base,
				&trien__v1__get_case_response__descriptor, &f);
	client_close(c);
	if (r == NULL) {
		failure_print("case", &f);
		return failure_exit(&f);
	}
	if (json)
		json_print(protojson_write(&r->base));
	else
		case_print(r);
	code = r->stored + r->ended == r->total ? 0 : 3;
	trien__v1__get_case_response__free_unpacked(r, NULL);
	return code;
}
