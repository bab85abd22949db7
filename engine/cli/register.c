#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/book.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "client/protojson.h"
#include "trien/v1/operations.pb-c.h"

static const char usage[] =
	"trien register open --unit U --code C --reason TEXT [--next 1] [--year Y] [--json]\n"
	"trien register close --unit U --code C --reason TEXT [--year Y] [--json]\n"
	"trien register use --unit U --code C --next N [--count 1] --reason TEXT [--year Y]\n"
	"        [--json]\n"
	"trien register void --unit U --code C --number N --reason TEXT [--year Y] [--json]\n"
	"trien register list [--unit U] [--json]\n"
	"trien register list --unit U --code C [--year Y] [--recipients] [--json]\n"
	"trien register check [--unit U] [--code C] [--year Y] [--json]\n"
	"trien register check --file FILE [--json]\n"
	"trien register open-year YEAR --reason TEXT [--unit U] [--code C]\n"
	"trien register close-year YEAR --reason TEXT [--unit U] [--code C] [--json]\n"
	"trien register print --unit U --code C [--year Y] [--month M] [--form F]\n"
	"        --output FILE\n"
	"\n"
	"The official number registers. open: --next is the first number that the engine gives;\n"
	"a paper series that ended with 4312 goes on with --next 4313. --year: this one in\n"
	"Vietnam time, unless given. Acts are kept for ever. close is for good: no number is\n"
	"given any more, those given come to their end; the register of next year goes on.\n"
	"use: the register's next numbers, from N on, were given to papers without the engine.\n"
	"void: a number that was given and, as check says, stands nowhere. Each may be told\n"
	"again.\n"
	"\n"
	"list with --code: number by number; --recipients: also to whom (role registry).\n"
	"check: is every number issued, pending, void with a reason, or used outside; once; in\n"
	"the order of time; in its year? Of --file: what list --code --json gave. Exit 0: whole,\n"
	"1: not, 3: not known.\n"
	"\n"
	"open-year: next year's registers at 1, of all series of the year before: numbering goes\n"
	"on at midnight of 1 January. close-year: each of a year that is over, with its total;\n"
	"refused while a number is pending. print: the book as PDF; --form van-ban (Decree\n"
	"30/2020, annex IV) or chung-thuc (certification); else as the register's kinds are.\n"
	"--month: what was numbered in that month, Vietnam time, with its own total, as the\n"
	"certification book is printed month by month and bound at the end of the year.\n"
	CLIENT_OPTIONS_USAGE;

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
static int change(const struct register_options *o, struct client *c, const char *method,
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

static int open_one(const struct register_options *o, struct client *c)
{
	Trien__V1__OpenRegisterRequest q = TRIEN__V1__OPEN_REGISTER_REQUEST__INIT;

	q.unit = (char *)o->unit;
	q.code = (char *)o->code;
	q.year = (uint32_t)o->year;
	q.first = o->next != 0 ? o->next : 1;
	q.reason = (char *)o->reason;
	return change(o, c, OPERATIONS "OpenRegister", &q.base);
}

static int close_one(const struct register_options *o, struct client *c)
{
	Trien__V1__CloseRegisterRequest q = TRIEN__V1__CLOSE_REGISTER_REQUEST__INIT;

	q.unit = (char *)o->unit;
	q.code = (char *)o->code;
	q.year = (uint32_t)o->year;
	q.reason = (char *)o->reason;
	return change(o, c, OPERATIONS "CloseRegister", &q.base);
}

static int use_numbers(const struct register_options *o, struct client *c)
{
	Trien__V1__UseNumbersRequest q = TRIEN__V1__USE_NUMBERS_REQUEST__INIT;

	q.unit = (char *)o->unit;
	q.code = (char *)o->code;
	q.year = (uint32_t)o->year;
	q.first = o->next;
	q.count = (uint32_t)o->count;
	q.reason = (char *)o->reason;
	return change(o, c, OPERATIONS "UseNumbers", &q.base);
}

static int void_number(const struct register_options *o, struct client *c)
{
	Trien__V1__VoidNumberRequest q = TRIEN__V1__VOID_NUMBER_REQUEST__INIT;

	q.unit = (char *)o->unit;
	q.code = (char *)o->code;
	q.year = (uint32_t)o->year;
	q.number = o->number;
	q.reason = (char *)o->reason;
	return change(o, c, OPERATIONS "VoidNumber", &q.base);
}

struct listing { const struct register_options *o; json_t *rows; bool headed; };

static bool list_row(void *ctx, const Trien__V1__Register *r)
{
	struct listing *l = ctx;

	if (l->o->json)
		json_array_append_new(l->rows, protojson_write(&r->base));
	else if (!l->headed)
		print_head();
	if (!l->o->json)
		print_row(r);
	l->headed = true;
	return true;
}

static int list_all(const struct register_options *o, struct client *c)
{
	struct listing l = { o, json_array(), false };
	int code = registers_each(o, c, list_row, &l);

	if (!o->json && code == 0 && !l.headed)
		print_head();
	if (o->json && code == 0)
		json_print(json_incref(l.rows));
	json_decref(l.rows);
	return code;
}

static int list(const struct register_options *o, struct client *c)
{
	return o->code != NULL ? book_list(o, c) : list_all(o, c);
}

/* What an act needs to be told. */
enum { UNIT = 1, CODE = 2, REASON = 4, YEAR_WORD = 8, OUTPUT = 16, FILE_DOES = 32, NEXT = 64,
       NUMBER = 128 };

static const struct act_word {
	const char *name;
	int (*run)(const struct register_options *o, struct client *c);
	unsigned int needs;
} acts[] = {
	{ "open", open_one, UNIT | CODE | REASON },
	{ "close", close_one, UNIT | CODE | REASON },
	{ "use", use_numbers, UNIT | CODE | REASON | NEXT },
	{ "void", void_number, UNIT | CODE | REASON | NUMBER },
	{ "list", list, 0 },
	{ "check", book_check, FILE_DOES },
	{ "open-year", book_open_year, REASON | YEAR_WORD },
	{ "close-year", book_close_year, REASON | YEAR_WORD },
	{ "print", book_print, UNIT | CODE | OUTPUT },
};

static const struct act_word *act_of(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < ARRAY_LEN(acts); i++)
		if (strcmp(argv[1], acts[i].name) == 0)
			return argc == (acts[i].needs & YEAR_WORD ? 3 : 2) ? &acts[i] : NULL;
	return NULL;
}

/* NULL: nothing is missing. */
static const char *missing(const struct act_word *act, const struct register_options *o)
{
	if (act->needs & UNIT && (o->unit == NULL || o->code == NULL))
		return act->needs & REASON ? "--unit, --code and --reason are needed" :
		       "--unit and --code are needed";
	if (act->needs & REASON && o->reason == NULL)
		return act->needs & UNIT ? "--unit, --code and --reason are needed" :
		       "--reason is needed";
	/* What is to be done to a book is never left to a default. */
	if (act->needs & NEXT && o->next == 0)
		return "--next is needed: the first number on paper";
	if (act->needs & NUMBER && o->number == 0)
		return "--number is needed";
	if (act->needs & OUTPUT && o->output == NULL)
		return "--output is needed";
	if (act->run == list && o->code != NULL && o->unit == NULL)
		return "--unit is needed with --code";
	return NULL;
}

static bool year_word(const char *word, uint64_t *year)
{
	char *end;

	*year = strtoull(word, &end, 10);
	return *end == '\0' && *year >= 2020 && *year <= 9999;
}

int cli_register(int argc, char **argv)
{
	struct register_options o = { .engine = client_defaults(), .count = 1 };
	const struct option_row rows[] = {
		{ "unit", OPTION_TEXT, &o.unit, 0, 0 },
		{ "code", OPTION_TEXT, &o.code, 0, 0 },
		{ "reason", OPTION_TEXT, &o.reason, 0, 0 },
		{ "file", OPTION_TEXT, &o.file, 0, 0 },
		{ "output", OPTION_TEXT, &o.output, 0, 0 },
		{ "form", OPTION_TEXT, &o.form, 0, 0 },
		{ "next", OPTION_COUNT, &o.next, 1, INT64_MAX },
		{ "count", OPTION_COUNT, &o.count, 1, 200 },
		{ "number", OPTION_COUNT, &o.number, 1, INT64_MAX },
		{ "year", OPTION_COUNT, &o.year, 2020, 9999 },
		{ "month", OPTION_COUNT, &o.month, 1, 12 },
		{ "recipients", OPTION_FLAG, &o.recipients, 0, 0 },
		{ "json", OPTION_FLAG, &o.json, 0, 0 },
		CLIENT_OPTION_ROWS(o.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	const struct act_word *act = act_of(argc, argv);
	struct client *c = NULL;
	struct error e = { 0 };
	const char *why;

	if (code >= 0)
		return code;
	if (act == NULL)
		return options_wrong(usage, "open, close, use, void, list, check, open-year, "
				     "close-year or print?");
	if (act->needs & YEAR_WORD && !year_word(argv[2], &o.year))
		return options_wrong(usage, "no year: %s", argv[2]);
	why = missing(act, &o);
	if (why != NULL)
		return options_wrong(usage, "%s", why);
	if (act->needs & FILE_DOES && o.file != NULL)
		return act->run(&o, NULL);
	if (client_open(&c, &o.engine, &e) != ST_OK)
		return error_exit("register", &e);
	code = act->run(&o, c);
	client_close(c);
	return code;
}
