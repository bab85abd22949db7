#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/protojson.h"
#include "trien/v1/operations.pb-c.h"

static const char usage[] =
	"trien register open --unit U --code C --reason TEXT [--next 1] [--year Y] [--json]\n"
	"trien register close --unit U --code C --reason TEXT [--year Y] [--json]\n"
	"trien register list [--unit U] [--json]\n"
	"\n"
	"The official number registers. open: --next is the first number that the engine gives;\n"
	"a paper series that ended with 4312 goes on with --next 4313. --year: this one in\n"
	"Vietnam time, unless given. Acts are kept for ever.\n"
	CLIENT_OPTIONS_USAGE;

struct options {
	struct client_options engine;
	const char *unit, *code, *reason;
	uint64_t next, year;
	bool json;
};

static void print_head(void)
{
	printf("%-24s %-16s %4s %10s %10s %8s %5s  %s\n", "UNIT", "REGISTER", "YEAR", "FIRST",
	       "LAST", "GIVEN", "VOID", "STATE");
}

static void print_row(const Trien__V1__Register *r)
{
	char last[24] = "-";

	if (r->next > r->first)
		snprintf(last, sizeof(last), "%" PRIu64, r->next - 1);
	printf("%-24s %-16s %4u %10" PRIu64 " %10s %8" PRIu64 " %5" PRIu64 "  %s\n", r->unit,
	       r->code, r->year, r->first, last, r->given, r->voided,
	       r->closed ? "closed" : "open");
}

/* Opens or closes one; prints what it is now. */
static int change(const struct options *o, struct client *c, const char *method,
		  const ProtobufCMessage *request)
{
	struct failure f;
	ProtobufCMessage *m = client_call(c, method, request, &trien__v1__register__descriptor, &f);

	if (m == NULL) {
		failure_print("register", &f);
		return failure_exit(&f);
	}
	if (o->json) {
		json_print(protojson_write(m));
	} else {
		print_head();
		print_row((const Trien__V1__Register *)m);
	}
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}

static int open_one(const struct options *o, struct client *c)
{
	Trien__V1__OpenRegisterRequest q = TRIEN__V1__OPEN_REGISTER_REQUEST__INIT;

	q.unit = (char *)o->unit;
	q.code = (char *)o->code;
	q.year = (uint32_t)o->year;
	q.first = o->next;
	q.reason = (char *)o->reason;
	return change(o, c, OPERATIONS "OpenRegister", &q.base);
}

static int close_one(const struct options *o, struct client *c)
{
	Trien__V1__CloseRegisterRequest q = TRIEN__V1__CLOSE_REGISTER_REQUEST__INIT;

	q.unit = (char *)o->unit;
	q.code = (char *)o->code;
	q.year = (uint32_t)o->year;
	q.reason = (char *)o->reason;
	return change(o, c, OPERATIONS "CloseRegister", &q.base);
}

static int list_all(const struct options *o, struct client *c)
{
	Trien__V1__ListRegistersRequest q = TRIEN__V1__LIST_REGISTERS_REQUEST__INIT;
	json_t *rows = json_array();
	char *token = strdup("");
	struct failure f = { 0 };

	q.unit = (char *)(o->unit != NULL ? o->unit : "");
	q.page_size = 200;
	if (!o->json)
		print_head();
	while (token != NULL) {
		Trien__V1__ListRegistersResponse *a;

		q.page_token = token;
		a = (void *)client_call(c, OPERATIONS "ListRegisters", &q.base,
					&trien__v1__list_registers_response__descriptor, &f);
		if (a == NULL)
			break;
		for (size_t i = 0; i < a->n_registers; i++) {
			if (o->json)
				json_array_append_new(rows,
						      protojson_write(&a->registers[i]->base));
			else
				print_row(a->registers[i]);
		}
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__list_registers_response__free_unpacked(a, NULL);
	}
	free(token);
	if (o->json && f.code == 0)
		json_print(json_incref(rows));
	json_decref(rows);
	if (f.code != 0)
		failure_print("register", &f);
	return failure_exit(&f);
}

int cli_register(int argc, char **argv)
{
	struct options o = { .engine = client_defaults(), .next = 1 };
	const struct option_row rows[] = {
		{ "unit", OPTION_TEXT, &o.unit, 0, 0 },
		{ "code", OPTION_TEXT, &o.code, 0, 0 },
		{ "reason", OPTION_TEXT, &o.reason, 0, 0 },
		{ "next", OPTION_COUNT, &o.next, 1, INT64_MAX },
		{ "year", OPTION_COUNT, &o.year, 2020, 9999 },
		{ "json", OPTION_FLAG, &o.json, 0, 0 },
		CLIENT_OPTION_ROWS(o.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	const char *act = argc == 2 ? argv[1] : "";
	bool list = strcmp(act, "list") == 0, open = strcmp(act, "open") == 0;
	struct client *c = NULL;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (!list && !open && strcmp(act, "close") != 0)
		return options_wrong(usage, "open, close or list?");
	if (!list && (o.unit == NULL || o.code == NULL || o.reason == NULL))
		return options_wrong(usage, "--unit, --code and --reason are needed");
	if (client_open(&c, &o.engine, &e) != ST_OK)
		return error_exit("register", &e);
	code = list ? list_all(&o, c) : open ? open_one(&o, c) : close_one(&o, c);
	client_close(c);
	return code;
}
